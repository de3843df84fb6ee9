//! Which chunks of a source are others than in the frame before. It costs what is different: those
//! that stayed are only passed by.

use std::collections::HashMap;
use std::sync::Arc;

use super::Chunk;

/// How far behind a difference the place is looked for, step by step, where both go on alike.
const LOOK_AHEAD: usize = 16;

/// The chunks that only `before` has, and those that only `after` has. Chunks that stay are the
/// same objects in the same order; one that changes its place may be among both.
pub fn changes<'c>(before: &'c [Arc<Chunk>], after: &'c [Arc<Chunk>]) -> [Vec<&'c Arc<Chunk>>; 2] {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (before, after);
    let mut places = None;
    loop {
        let alike = old.iter().zip(new).take_while(|(one, other)| Arc::ptr_eq(one, other)).count();
        (old, new) = (&old[alike..], &new[alike..]);
        if old.is_empty() || new.is_empty() {
            break;
        }
        let next = near(old, new).or_else(|| {
            let places = places.get_or_insert_with(|| places_of(before));
            far(before.len() - old.len(), new, places)
        });
        let Some((passed, added)) = next else { break };
        gone.extend(&old[..passed]);
        come.extend(&new[..added]);
        (old, new) = (&old[passed..], &new[added..]);
    }
    gone.extend(old);
    come.extend(new);
    [gone, come]
}

/// How many to pass by on both sides, as few as possible, until both go on alike.
fn near(old: &[Arc<Chunk>], new: &[Arc<Chunk>]) -> Option<(usize, usize)> {
    let pairs = (1..=LOOK_AHEAD).flat_map(|sum| (0..=sum).map(move |passed| (passed, sum - passed)));
    let is_alike = |(passed, added): &(usize, usize)| match (old.get(*passed), new.get(*added)) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    };
    pairs.into_iter().find(is_alike)
}

fn places_of(chunks: &[Arc<Chunk>]) -> HashMap<*const Chunk, usize> {
    chunks.iter().enumerate().map(|(at, chunk)| (Arc::as_ptr(chunk), at)).collect()
}

/// The same, however far: the first of `new` that stands behind the place `at` of those before.
fn far(at: usize, new: &[Arc<Chunk>], places: &HashMap<*const Chunk, usize>) -> Option<(usize, usize)> {
    let of = |chunk| places.get(&Arc::as_ptr(chunk)).and_then(|place| place.checked_sub(at));
    new.iter().enumerate().find_map(|(added, chunk)| Some((of(chunk)?, added)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Item, Reading, Recorder, face};

    static COUNT: Reading =
        Reading { native: face(&Family::gauge("test_count", "", "A count."), &[]), node: None, otel: None };

    fn chunks(count: usize) -> Vec<Arc<Chunk>> {
        let one = || {
            let mut out = Recorder::new("x", 1);
            out.item(&Item::new(&[])).push(&COUNT, 1.0);
            Arc::clone(&out.finish(1).chunks[0])
        };
        (0..count).map(|_| one()).collect()
    }

    /// By what they are told from each other, both sides.
    fn ids(changes: [Vec<&Arc<Chunk>>; 2]) -> [Vec<u64>; 2] {
        changes.map(|side| side.iter().map(|chunk| chunk.id()).collect())
    }

    #[test]
    fn what_came_went_or_was_made_anew_is_found_wherever_and_nothing_else() {
        let (all, fresh) = (chunks(200), chunks(50));
        let list = |parts: &[&[Arc<Chunk>]]| parts.concat();
        for (what, after, gone, come) in [
            ("nothing", all.clone(), &all[..0], &fresh[..0]),
            ("one anew", list(&[&all[..7], &fresh[..1], &all[8..]]), &all[7..8], &fresh[..1]),
            ("one more", list(&[&all[..7], &fresh[..1], &all[7..]]), &all[..0], &fresh[..1]),
            ("one less", list(&[&all[..7], &all[8..]]), &all[7..8], &fresh[..0]),
            ("split", list(&[&all[..7], &fresh[..2], &all[8..]]), &all[7..8], &fresh[..2]),
            ("the first", list(&[&all[1..]]), &all[..1], &fresh[..0]),
            ("the last", list(&[&all[..199], &fresh[..3]]), &all[199..], &fresh[..3]),
            ("many less", list(&[&all[..5], &all[105..]]), &all[5..105], &fresh[..0]),
            ("many others", list(&[&all[..5], &fresh, &all[105..]]), &all[5..105], &fresh[..]),
            ("all", fresh.clone(), &all[..], &fresh[..]),
            ("none left", Vec::new(), &all[..], &fresh[..0]),
        ] {
            let of = |chunks: &[Arc<Chunk>]| -> Vec<u64> { chunks.iter().map(|chunk| chunk.id()).collect() };
            assert_eq!(ids(changes(&all, &after)), [of(gone), of(come)], "{what}");
        }
    }

    #[test]
    fn several_changes_at_once_are_those() {
        let (all, fresh) = (chunks(300), chunks(3));
        let after = [&all[1..100], &fresh[..1], &all[101..200], &all[230..290], &fresh[1..]].concat();
        let [gone, come] = ids(changes(&all, &after));
        assert_eq!(gone.len(), 1 + 1 + 30 + 10);
        assert_eq!(come, fresh.iter().map(|chunk| chunk.id()).collect::<Vec<_>>());
    }
}
