//! What an encoder has compiled for the schemas that it has seen.

use std::sync::Arc;

use crate::model::{Labels, Schema, Series};

/// Something compiled for each schema, found by place and address.
pub struct Compiled<T>(Vec<(Arc<Schema>, T)>);

impl<T> Compiled<T> {
    /// None yet.
    pub fn new() -> Compiled<T> {
        Compiled(Vec::new())
    }

    /// What `schema`, of the frame at place `at` of its batch, was compiled to: in the steady
    /// state a look at that place, else a search, else anew by `compile`. One for which `fits`
    /// says no is compiled again.
    pub fn get(
        &mut self,
        at: usize,
        schema: &Arc<Schema>,
        fits: impl Fn(&T) -> bool,
        compile: impl FnOnce() -> T,
    ) -> &T {
        let is_it = |(of, compiled): &(Arc<Schema>, T)| Arc::ptr_eq(of, schema) && fits(compiled);
        let found = match self.0.get(at) {
            Some(entry) if is_it(entry) => Some(at),
            // A slow collector's frame travels alone: its place in the batch is not its place here.
            _ => self.0.iter().position(is_it),
        };
        let at = found.unwrap_or_else(|| {
            // A schema that nobody else holds will never be asked for again.
            self.0.retain(|(of, _)| Arc::strong_count(of) > 1 && !Arc::ptr_eq(of, schema));
            let at = at.min(self.0.len());
            self.0.insert(at, (Arc::clone(schema), compile()));
            at
        });
        &self.0[at].1
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// A series' labels with those that the configuration adds, sorted by name. Where both
/// have a name, the series' own wins: it says which series it is.
pub fn merged<'l>(series: &'l Series, extra: &'l Labels) -> Vec<(&'l str, &'l str)> {
    let extra = extra.iter().filter(|(name, _)| series.labels.get(name).is_none());
    let mut all: Vec<(&str, &str)> = series.labels.iter().chain(extra).collect();
    all.sort_unstable_by_key(|(name, _)| *name);
    all
}
