//! What an encoder has made of the chunks that it has seen, found by place.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::model::Chunk;

/// What was made of each source's chunks, in their order.
pub struct Compiled<C> {
    sources: Vec<Source<C>>,
}

struct Source<C> {
    name: Arc<str>,
    /// By the chunk's id.
    made: Vec<(u64, C)>,
}

/// A source that was not heard of is forgotten once there are so many.
const MAX_SOURCES: usize = 10_000;

impl<C> Default for Compiled<C> {
    fn default() -> Compiled<C> {
        Compiled { sources: Vec::new() }
    }
}

impl<C> Compiled<C> {
    /// What was made of the chunks of the source of that name; to be asked for each of these in
    /// their order. What is not asked for goes.
    pub fn of(&mut self, name: &Arc<str>) -> Chunks<'_, C> {
        let at = self.sources.iter().position(|source| Arc::ptr_eq(&source.name, name) || source.name == *name);
        let at = at.unwrap_or_else(|| {
            if self.sources.len() >= MAX_SOURCES {
                self.sources.clear();
            }
            self.sources.push(Source { name: Arc::clone(name), made: Vec::new() });
            self.sources.len() - 1
        });
        Chunks { made: &mut self.sources[at].made, at: 0, behind: None }
    }
}

/// What was made of a source's chunks, while they are gone through.
pub struct Chunks<'c, C> {
    made: &'c mut Vec<(u64, C)>,
    at: usize,
    /// What was made of those behind the first one that is another. What has been asked for is in
    /// `made` then, and nothing else.
    behind: Option<Behind<C>>,
}

/// What has not been asked for yet.
struct Behind<C> {
    /// In order.
    near: VecDeque<(u64, C)>,
    /// Instead, as soon as the order is another one.
    far: HashMap<u64, C>,
    /// The largest id of all.
    newest: u64,
}

/// How far a chunk is looked for behind its place: others went in front of it.
const LOOK_AHEAD: usize = 16;

impl<C> Chunks<'_, C> {
    /// What was made of `chunk`, which is the next one; by `make` where that is nothing.
    pub fn next(&mut self, chunk: &Chunk, make: impl FnOnce() -> C) -> &mut C {
        let at = self.at;
        self.at += 1;
        if self.behind.is_some() || self.made.get(at).is_none_or(|(id, _)| *id != chunk.id()) {
            let behind = self.behind.get_or_insert_with(|| Behind::new(self.made.split_off(at)));
            self.made.push((chunk.id(), behind.take(chunk.id()).unwrap_or_else(make)));
        }
        &mut self.made[at].1
    }
}

impl<C> Behind<C> {
    fn new(all: Vec<(u64, C)>) -> Behind<C> {
        let newest = all.iter().map(|(id, _)| *id).max().unwrap_or_default();
        Behind { near: all.into(), far: HashMap::new(), newest }
    }

    #[cold]
    fn take(&mut self, id: u64) -> Option<C> {
        // Ids only grow: it was made since, as those mostly were that are not what is expected.
        if id > self.newest {
            return None;
        }
        if let Some(gone) = self.near.iter().take(LOOK_AHEAD).position(|(known, _)| *known == id) {
            self.near.drain(..gone);
            return self.near.pop_front().map(|(_, made)| made);
        }
        self.far.extend(self.near.drain(..));
        self.far.remove(&id)
    }
}

impl<C> Drop for Chunks<'_, C> {
    fn drop(&mut self) {
        self.made.truncate(self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{self, COUNT};
    use crate::model::Labels;

    #[test]
    fn what_was_made_is_found_again_wherever_its_chunk_stands_now() {
        let one = || Arc::clone(&testing::frame("x", 1, &[(&COUNT, &Labels::EMPTY, 1.0)]).chunks[0]);
        let chunks = |count: usize| (0..count).map(|_| one()).collect::<Vec<_>>();
        let mut compiled: Compiled<u64> = Compiled::default();
        let name: Arc<str> = "x".into();
        // Which of them something is made of.
        let mut ask = |all: &[Arc<Chunk>]| {
            let mut made = Vec::new();
            let mut known = compiled.of(&name);
            for chunk in all {
                let id = chunk.id();
                let of = known.next(chunk, || {
                    made.push(id);
                    id
                });
                assert_eq!(*of, id);
            }
            made
        };
        let ids = |all: &[Arc<Chunk>]| all.iter().map(|chunk| chunk.id()).collect::<Vec<_>>();
        let mut all = chunks(200);
        assert_eq!(ask(&all), ids(&all));
        assert_eq!(ask(&all), [0_u64; 0]);
        // Some in a row, one more, some less.
        let fresh = chunks(70);
        all.splice(10..60, fresh[..50].iter().cloned());
        all.splice(100..100, fresh[50..].iter().cloned());
        assert_eq!(ask(&all), ids(&fresh));
        all.drain(120..170);
        assert_eq!(ask(&all), [0_u64; 0]);
        // The other way round.
        all.reverse();
        assert_eq!(ask(&all), [0_u64; 0]);
        // What is not asked for goes.
        let gone = all.split_off(50);
        assert_eq!(ask(&all), [0_u64; 0]);
        all.extend(gone.iter().cloned());
        assert_eq!(ask(&all), ids(&gone));
    }
}
