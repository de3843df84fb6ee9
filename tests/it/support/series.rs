//! The families that collectors give.

use metricsd::collectors::{self, Preset};
use metricsd::model::{Family, Scheme};

/// The native families of the collectors that are on where nothing is said.
pub fn native() -> impl Iterator<Item = Family<'static>> {
    collectors::families_of(Scheme::Native, Preset::Basic).into_iter().map(|(family, _)| family)
}
