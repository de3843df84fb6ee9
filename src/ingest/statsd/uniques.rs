//! How many different things there were, in little memory.
//!
//! Up to [`EXACT`] they are known one by one (by their hashes of 64 bits). Beyond that it is HyperLogLog
//! (<https://algo.inria.fr/flajolet/Publications/FlFuGaMe07.pdf>) with 4,096 registers of a byte, whose
//! standard error is 1.6 %.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Things that are known one by one.
const EXACT: usize = 512;

/// Bits of a hash that choose the register.
const BITS: u32 = 12;

const REGISTERS: usize = 1 << BITS;

/// Counts different things.
#[derive(Debug, Default)]
pub struct Uniques {
    hasher: RandomState,
    exact: HashSet<u64>,
    registers: Option<Box<[u8; REGISTERS]>>,
}

impl Uniques {
    /// Another thing, or one that was there.
    pub fn add(&mut self, thing: &[u8]) {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(thing);
        let hash = hasher.finish();
        if let Some(registers) = &mut self.registers {
            return note(registers, hash);
        }
        self.exact.insert(hash);
        if self.exact.len() > EXACT {
            let mut registers = Box::new([0; REGISTERS]);
            self.exact.drain().for_each(|hash| note(&mut registers, hash));
            self.exact = HashSet::new();
            self.registers = Some(registers);
        }
    }

    /// How many there are.
    pub fn count(&self) -> f64 {
        let Some(registers) = &self.registers else { return self.exact.len() as f64 };
        let all = REGISTERS as f64;
        let sum: f64 = registers.iter().map(|register| 0.5_f64.powi(i32::from(*register))).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / all) * all * all / sum;
        let empty = registers.iter().filter(|register| **register == 0).count();
        // Where few registers are taken, those that are not say it better.
        if estimate <= 2.5 * all && empty > 0 { (all * (all / empty as f64).ln()).round() } else { estimate.round() }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.exact.clear();
        self.registers = None;
    }
}

fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    let at = (hash >> (u64::BITS - BITS)) as usize;
    let rank = ((hash << BITS) | 1 << (BITS - 1)).leading_zeros() + 1;
    registers[at] = registers[at].max(rank as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_counted_exactly_and_many_to_a_few_hundredths() {
        let mut uniques = Uniques::default();
        let mut at = 0_u32;
        for (until, error) in [(1, 0.0), (512, 0.0), (513, 0.08), (10_000, 0.08), (100_000, 0.08), (1_000_000, 0.08)] {
            while at < until {
                // Each of them twice.
                uniques.add(&at.to_le_bytes());
                uniques.add(&at.to_le_bytes());
                at += 1;
            }
            let off = (uniques.count() - f64::from(until)).abs() / f64::from(until);
            // Five times the standard error.
            assert!(off <= error, "{until}: {}", uniques.count());
        }
        uniques.clear();
        assert_eq!(uniques.count(), 0.0);
    }
}
