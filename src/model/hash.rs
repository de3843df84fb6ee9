//! Hashes of what comes from outside, and tables of such hashes.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// A hasher of texts, alike in all of this process. Its key is another one in each process, so that
/// nobody can know which texts have hashes that collide in a table.
pub fn keyed() -> DefaultHasher {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.build_hasher()
}

/// For tables whose keys are such hashes: they need not be hashed once more.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsItIs;

/// See [`AsItIs`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Hash(u64);

impl BuildHasher for AsItIs {
    type Hasher = Hash;

    fn build_hasher(&self) -> Hash {
        Hash(0)
    }
}

impl Hasher for Hash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
