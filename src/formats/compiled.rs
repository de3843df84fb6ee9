//! What an encoder has made of the chunks that it has seen, found by place.

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
        Chunks { made: &mut self.sources[at].made, at: 0 }
    }
}

/// What was made of a source's chunks, while they are gone through.
pub struct Chunks<'c, C> {
    made: &'c mut Vec<(u64, C)>,
    at: usize,
}

/// How far a chunk is looked for behind its place: others went in front of it.
const LOOK_AHEAD: usize = 16;

impl<C> Chunks<'_, C> {
    /// What was made of `chunk`, which is the next one; by `make` where that is nothing.
    pub fn next(&mut self, chunk: &Chunk, make: impl FnOnce() -> C) -> &mut C {
        let at = self.at;
        self.at += 1;
        if self.made.get(at).is_none_or(|(id, _)| *id != chunk.id()) {
            let ahead = self.made.iter().skip(at).take(LOOK_AHEAD).position(|(id, _)| *id == chunk.id());
            match ahead {
                Some(gone) => drop(self.made.drain(at..at + gone)),
                None => self.made.insert(at, (chunk.id(), make())),
            }
        }
        &mut self.made[at].1
    }
}

impl<C> Drop for Chunks<'_, C> {
    fn drop(&mut self) {
        self.made.truncate(self.at);
    }
}
