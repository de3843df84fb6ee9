//! Where the lines of the last page are, by their text: for pages of which much has changed.

/// How many places are tried for a text. Whoever makes texts that collide has some of them read
/// in full, and costs nobody time.
const PROBES: usize = 16;

/// Lines by their text. Two of the same text stand in their order.
pub(super) struct Index {
    /// Where a line begins, plus one; 0 where there is none.
    slots: Box<[u32]>,
}

impl Index {
    /// An index with room for so many lines.
    pub(super) fn for_lines(lines: usize) -> Index {
        Index { slots: vec![0; (lines + lines / 2).next_power_of_two().max(PROBES)].into() }
    }

    /// Adds the line of `text` that begins at `begin`.
    pub(super) fn add(&mut self, text: &[u8], begin: usize) {
        if let Some(slot) = self.places(text).find(|slot| self.slots[*slot] == 0) {
            self.slots[slot] = begin as u32 + 1;
        }
    }

    /// Where lines begin whose text may be this one, in their order.
    pub(super) fn find<'a>(&'a self, text: &[u8]) -> impl Iterator<Item = usize> + use<'a> {
        self.places(text).map(|slot| self.slots[slot] as usize).take_while(|begin| *begin > 0).map(|begin| begin - 1)
    }

    fn places(&self, text: &[u8]) -> impl Iterator<Item = usize> + use<> {
        let (mask, first) = (self.slots.len() - 1, hash(text) as usize);
        (0..PROBES).map(move |at| first.wrapping_add(at) & mask)
    }
}

/// Eight bytes a step. A product carries upwards only, so the upper half is what all bytes reach.
fn hash(text: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = text.len() as u64;
    let mut words = text.chunks_exact(8);
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        hash = (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }
    for byte in words.remainder() {
        hash = (hash.rotate_left(23) ^ u64::from(*byte)).wrapping_mul(FACTOR);
    }
    ((hash ^ hash >> 32).wrapping_mul(FACTOR) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_text_in_their_order() {
        let text: Vec<String> = (0..5000).map(|at| format!("line{{at=\"{at}\"}} ")).collect();
        let mut index = Index::for_lines(text.len() + 1);
        for (at, line) in text.iter().enumerate() {
            index.add(line.as_bytes(), at * 100);
        }
        index.add(text[7].as_bytes(), 990_000);
        // Few are lost to collisions.
        let found =
            text.iter().enumerate().filter(|(at, line)| index.find(line.as_bytes()).any(|begin| begin == at * 100));
        assert!(found.count() > 4990);
        let twice: Vec<usize> = index.find(text[7].as_bytes()).filter(|begin| [700, 990_000].contains(begin)).collect();
        assert_eq!(twice, [700, 990_000]);
    }

    #[test]
    fn an_index_of_nothing_and_a_full_one_end() {
        assert_eq!(Index::for_lines(0).find(b"x").count(), 0);
        let mut index = Index::for_lines(1);
        (0..100).for_each(|at| index.add(b"x", at));
        assert_eq!(index.find(b"x").collect::<Vec<_>>(), (0..PROBES).collect::<Vec<_>>());
    }
}
