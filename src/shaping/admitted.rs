//! Which series a destination has, by identity: of two that rules have left alike only one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::view::ViewSeries;

/// The series that a lane lets through.
#[derive(Debug, Default)]
pub struct Admitted {
    series: HashMap<u64, Holder>,
}

/// Who has a series.
#[derive(Debug)]
struct Holder {
    /// How many give it, which is more than one only where no rule has a part in that.
    count: u32,
    /// The last rule that changed it.
    changed_by: Option<u16>,
}

impl Admitted {
    /// Lets `series` through, which a rule has changed or none, or gives the rule by which it is
    /// like another one that is there.
    pub fn claim(&mut self, series: &ViewSeries<'_>, changed_by: Option<usize>) -> Result<(), usize> {
        match self.series.entry(series.identity) {
            Entry::Vacant(free) => {
                free.insert(Holder { count: 1, changed_by: changed_by.map(|rule| rule as u16) });
                Ok(())
            }
            Entry::Occupied(mut taken) => match changed_by.or(taken.get().changed_by.map(usize::from)) {
                Some(rule) => Err(rule),
                // Two sources that give the same are their own matter.
                None => {
                    taken.get_mut().count += 1;
                    Ok(())
                }
            },
        }
    }

    /// `series`, which was let through, is not given any more. Whether nobody gives it now.
    pub fn release(&mut self, series: &ViewSeries<'_>) -> bool {
        let Entry::Occupied(mut taken) = self.series.entry(series.identity) else { return false };
        taken.get_mut().count -= 1;
        let is_free = taken.get().count == 0;
        if is_free {
            taken.remove();
        }
        is_free
    }
}
