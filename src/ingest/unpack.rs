//! A push as it was before it was packed, within a bound: a few bytes may unpack to gigabytes.

use std::io::Read;

use flate2::read::MultiGzDecoder;

/// Why there is nothing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpack {
    /// It is not gzip, or damaged.
    Damaged,
    /// It is more than it may be.
    TooLarge,
}

/// What `packed` holds, at most `max_bytes`.
pub fn gunzip(packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, Unpack> {
    let mut plain = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed).take(limit).read_to_end(&mut plain).map_err(|_| Unpack::Damaged)?;
    if plain.len() > max_bytes { Err(Unpack::TooLarge) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_packed_comes_out_and_no_more_than_may() {
        let packed = gzip(b"hello");
        assert_eq!(gunzip(&packed, 5), Ok(b"hello".to_vec()));
        assert_eq!(gunzip(&packed, 4), Err(Unpack::TooLarge));
        let bomb = gzip(&vec![0; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert_eq!(gunzip(&bomb, 1 << 20), Err(Unpack::TooLarge));
        // Members one behind the other are one.
        assert_eq!(gunzip(&[gzip(b"a"), gzip(b"b")].concat(), 10), Ok(b"ab".to_vec()));
    }

    #[test]
    fn what_is_damaged_is_none() {
        let packed = gzip(b"hello");
        for end in 0..packed.len() {
            // Of nothing nothing comes, which is no push either.
            assert!(gunzip(&packed[..end], 100).map_or(true, |plain| plain.is_empty()), "{end}");
        }
        assert_eq!(gunzip(b"hello, hello, hello", 100), Err(Unpack::Damaged));
    }
}
