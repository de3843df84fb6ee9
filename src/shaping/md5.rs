//! MD5 (RFC 1321): what `hashmod` has to be computed with. It tells series apart and protects nothing.

/// How far each step of a round turns, four in turn.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// Bytes that are taken in at once.
const BLOCK: usize = 64;

/// The digest of `text`.
pub fn md5(text: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let (blocks, rest) = text.split_at(text.len() - text.len() % BLOCK);
    blocks.chunks_exact(BLOCK).for_each(|block| take_in(&mut state, block));
    // A bit, zeros, and the length in bits; in one more block where these don't fit.
    let mut last = [0; 2 * BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    let end = if rest.len() < BLOCK - 8 { BLOCK } else { 2 * BLOCK };
    last[end - 8..end].copy_from_slice(&(text.len() as u64).wrapping_mul(8).to_le_bytes());
    last[..end].chunks_exact(BLOCK).for_each(|block| take_in(&mut state, block));
    let mut digest = [0; 16];
    for (to, word) in digest.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// The last eight bytes of the digest as one number, which is what Prometheus takes of it.
pub fn md5_tail(text: &[u8]) -> u64 {
    md5(text)[8..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn take_in(state: &mut [u32; 4], block: &[u8]) {
    let mut words = [0_u32; 16];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    let [mut a, mut b, mut c, mut d] = *state;
    for step in 0..64 {
        let (mixed, at) = match step / 16 {
            0 => ((b & c) | (!b & d), step),
            1 => ((d & b) | (!d & c), 5 * step + 1),
            2 => (b ^ c ^ d, 3 * step + 5),
            _ => (c ^ (b | !d), 7 * step),
        };
        // The table of the RFC: the whole part of 2^32 times the sine of the step, counted from 1.
        let sine = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
        let sum = a.wrapping_add(mixed).wrapping_add(words[at % 16]).wrapping_add(sine);
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(TURNS[step / 16][step % 4]));
    }
    for (word, more) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321, A.5, and lengths around those at which another block is needed.
    #[test]
    fn the_digests_are_those_of_the_rfc() {
        let hex = |text: &str| md5(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(hex(text), digest, "{text:?}");
        }
        // From md5sum.
        for (length, digest) in DIGESTS_OF_A {
            assert_eq!(hex(&"a".repeat(length)), digest, "{length}");
        }
        assert_eq!(md5_tail(b"a"), 0x31c3_99e2_6977_2661);
    }

    const DIGESTS_OF_A: [(usize, &str); 4] = [
        (55, "ef1772b6dff9a122358552954ad0df65"),
        (56, "3b0c8ac703f828b04c6c197006d17218"),
        (64, "014842d480b571495a4a0363793f7367"),
        (119, "8a7bd0732ed6a28ce75f6dabc90e1613"),
    ];
}
