//! The families that collectors give.

use metricsd::collectors;
use metricsd::model::{Family, Scheme};

/// The native families of all collectors.
pub fn native() -> impl Iterator<Item = Family<'static>> {
    collectors::families(Scheme::Native).into_iter().map(|(family, _)| family)
}
