//! What tells a series from others: a hash of its name and its labels, which are summed, so that what
//! is the same for many series is hashed once.
//!
//! It is not the same in two processes: whoever chooses names and values cannot know which of them
//! collide.

use std::hash::Hasher as _;
use std::sync::LazyLock;

use crate::model::keyed;

static KEY: LazyLock<[u64; 3]> = LazyLock::new(|| {
    [1, 2, 3].map(|nth| {
        let mut hasher = keyed();
        hasher.write_u64(nth);
        hasher.finish()
    })
});

/// The hash of a text.
pub fn text(bytes: &[u8]) -> u64 {
    let key = &*KEY;
    let mut hash = key[0];
    let mut blocks = bytes.chunks_exact(16);
    for block in &mut blocks {
        hash = step(hash, block, key[1]);
    }
    let rest = blocks.remainder();
    if !rest.is_empty() {
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        hash = step(hash, &last, key[1]);
    }
    // Behind all else, since the last bytes are filled up with zeros.
    fold(hash ^ bytes.len() as u64, key[2])
}

/// The hash of a label, of that of its name and of its value.
pub fn label(name: u64, value: &[u8]) -> u64 {
    let key = &*KEY;
    fold(name ^ key[1], text(value) ^ key[2])
}

/// That of a series, of the hash of its name and the sum of those of its labels.
pub fn of(name: u64, labels: u64) -> u64 {
    let key = &*KEY;
    fold(name ^ key[2], labels ^ key[0])
}

/// That of a series of that name with these labels.
pub fn of_series<'l>(name: &str, labels: impl Iterator<Item = (&'l str, &'l str)>) -> u64 {
    let labels = labels.map(|(name, value)| label(text(name.as_bytes()), value.as_bytes()));
    of(text(name.as_bytes()), labels.fold(0, u64::wrapping_add))
}

fn step(hash: u64, block: &[u8], key: u64) -> u64 {
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    fold(word(&block[..8]) ^ key, word(&block[8..]) ^ hash)
}

/// All bits of both have a part in all of the result.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_that_differ_anywhere_have_other_hashes() {
        let mut known = HashSet::new();
        for len in 0..70 {
            let mut bytes = vec![b'a'; len];
            assert!(known.insert(text(&bytes)));
            for at in 0..len {
                for other in [0, b'b', 0xff] {
                    bytes[at] = other;
                    assert!(known.insert(text(&bytes)), "{at} of {len}");
                }
                bytes[at] = b'a';
            }
        }
        let of_label = |name: &str, value: &str| label(text(name.as_bytes()), value.as_bytes());
        let sums = [
            of_label("a", "b").wrapping_add(of_label("c", "d")),
            of_label("a", "d").wrapping_add(of_label("c", "b")),
            of_label("a", "b"),
            of_label("b", "a"),
        ];
        assert_eq!(sums.into_iter().map(|sum| of(text(b"x"), sum)).collect::<HashSet<_>>().len(), 4);
    }
}
