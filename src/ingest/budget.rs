//! What a request's parts may take in memory, and how deep they may lie. Pure.

/// Why a request is not taken, and never will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not understood.
    Malformed(String),
    /// It holds too much for one request.
    TooMuch,
}

/// Values lie in each other at most so deep: few are three deep, and each level is one of the stack.
pub const MAX_DEPTH: usize = 16;

/// Bytes that are left.
#[derive(Debug, Default)]
pub struct Budget(usize);

/// What an allocation takes besides what is in it.
const ALLOCATION: usize = 16;

impl Budget {
    /// So many bytes.
    pub fn new(bytes: usize) -> Budget {
        Budget(bytes)
    }

    /// Takes what a `T` takes that has `len` bytes elsewhere.
    pub fn take<T>(&mut self, len: usize) -> Result<(), Refused> {
        self.0 = self.0.checked_sub(size_of::<T>() + ALLOCATION + len).ok_or(Refused::TooMuch)?;
        Ok(())
    }
}
