//! What the series of all targets are readings of, each once: targets are mostly many of one kind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::Learnt;

/// The readings that targets have learnt, by name, metadata and the names of labels.
#[derive(Debug, Default)]
pub struct ReadingTable(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    all: HashMap<Box<str>, Arc<Learnt>>,
    /// How many there may be until those are looked for that nobody has any more.
    most: usize,
}

/// Fewer are not worth a look.
const FEW: usize = 1000;

impl ReadingTable {
    /// Forgets those that nobody has any more.
    pub fn tidy(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tidy();
    }

    /// The one that is called `key`; `make` makes it where nobody has it.
    pub fn get(&self, key: &str, make: impl FnOnce() -> Learnt) -> Arc<Learnt> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = table.all.get(key) {
            return Arc::clone(reading);
        }
        if table.all.len() >= table.most.max(FEW) {
            table.tidy();
        }
        let reading = Arc::new(make());
        table.all.insert(key.into(), Arc::clone(&reading));
        reading
    }
}

impl Table {
    fn tidy(&mut self) {
        self.all.retain(|_, reading| Arc::strong_count(reading) > 1);
        self.all.shrink_to(FEW);
        self.most = 2 * self.all.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;

    #[test]
    fn one_that_somebody_has_is_that_one_and_others_are_forgotten() {
        let readings = ReadingTable::default();
        let get = |at: usize| {
            let name = format!("m{at}");
            readings.get(&name, || Learnt::everywhere(Family::gauge(&name, "", ""), &[]))
        };
        let held: Vec<Arc<Learnt>> = (0..10).map(get).collect();
        for at in 10..50 * FEW {
            get(at);
            assert!(readings.0.lock().unwrap().all.len() <= FEW);
        }
        assert!(held.iter().enumerate().all(|(at, reading)| Arc::ptr_eq(reading, &get(at))));
    }
}
