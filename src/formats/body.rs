//! A body: bytes, how many samples are in them, and the headers that describe them.

use std::sync::Arc;

/// The headers that describe a body: type, encoding, version.
pub type Content = Arc<[(String, String)]>;

/// [`Content`] from literals.
pub fn content(headers: &[(&str, &str)]) -> Content {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A body by itself: one of those of a batch, or a part of one that was divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// A complete body.
    pub bytes: Vec<u8>,
    /// Samples in it.
    pub samples: u64,
}

/// Divides a body, described by its content headers, into as few complete ones as can be, two
/// at least, of about the same number of samples, and of `most` at most; none where it cannot be
/// divided. Works on the bytes alone, so that it also serves bodies from before a restart.
pub type Divide = fn(&Content, body: &[u8], most: u64) -> Option<Vec<Piece>>;

/// The same body in the older format; none where there is none, or the body is damaged.
pub type Downgrade = fn(&Content, body: &[u8]) -> Option<(Content, Vec<u8>)>;

/// Where the pieces end into which `count` things are divided, as [`Divide`] has it; none where
/// there are not two.
pub fn cuts(count: usize, most: u64) -> Option<impl Iterator<Item = usize>> {
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
    let pieces = count.div_ceil(most).max(2);
    // In 128 bits no product overflows.
    let end = move |piece: usize| (count as u128 * piece as u128 / pieces as u128) as usize;
    (count >= 2).then(|| (1..=pieces).map(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_even_and_within_their_bound() {
        let ends = |count, most| cuts(count, most).map(Iterator::collect::<Vec<_>>);
        assert_eq!(ends(1, 1), None);
        assert_eq!(ends(0, 5), None);
        assert_eq!(ends(3, 100), Some(vec![1, 3]));
        assert_eq!(ends(10, 4), Some(vec![3, 6, 10]));
        assert_eq!(ends(10, 5), Some(vec![5, 10]));
        assert_eq!(ends(3, 1), Some(vec![1, 2, 3]));
        assert_eq!(ends(2, 0), Some(vec![1, 2]));
        for count in 2..200 {
            for most in 1..=count as u64 {
                let ends = ends(count, most).unwrap();
                let sizes: Vec<usize> =
                    ends.iter().scan(0, |from, end| Some(end - std::mem::replace(from, *end))).collect();
                assert_eq!(sizes.iter().sum::<usize>(), count);
                assert!(sizes.iter().all(|size| (1..=most as usize).contains(size)), "{count} {most}");
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{count} {most}");
            }
        }
    }
}
