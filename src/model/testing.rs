//! What tests of several rooms share.

/// Numbers below what is asked for, by Marsaglia's xorshift of 64 bits: the same ones in each run.
pub fn random() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}
