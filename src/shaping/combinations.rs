//! From where the destinations look, each place once: what chunks have room for.

use super::Perspective;

/// The combinations of a scheme, labels and rules that are asked for besides the schemes alone, which
/// every chunk has room for.
#[derive(Debug)]
pub struct Combinations(Vec<Perspective>);

impl Combinations {
    /// Those of `all`, which may be among them more than once.
    pub fn of(all: impl IntoIterator<Item = Perspective>) -> Combinations {
        let mut found = Vec::new();
        for one in all {
            if !one.is_plain() && !found.contains(&one) {
                found.push(one);
            }
        }
        Combinations(found)
    }

    /// How many there are. A configuration has no more destinations than fit.
    pub fn count(&self) -> u32 {
        self.0.len() as u32
    }
}

/// Whatever their order is.
impl PartialEq for Combinations {
    fn eq(&self, other: &Combinations) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|one| other.0.contains(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Scheme};

    #[test]
    fn what_is_alike_counts_once_and_what_has_room_anyway_not_at_all() {
        let from = |scheme, job: &str| Perspective::new(scheme, Labels::of(&[("job", job)]));
        let (a, b, c) = (from(Scheme::Native, "a"), from(Scheme::Native, "b"), from(Scheme::Otel, "a"));
        let all = Combinations::of([a.clone(), b.clone(), from(Scheme::Native, "a"), c.clone()]);
        assert_eq!(all.count(), 3);
        assert_eq!(all, Combinations::of([c.clone(), b.clone(), a.clone()]));
        assert_ne!(all, Combinations::of([a.clone(), b.clone(), from(Scheme::Otel, "b")]));
        assert_ne!(all, Combinations::of([a, b]));
        assert_eq!(Combinations::of([Perspective::new(Scheme::Otel, Labels::EMPTY)]).count(), 0);
    }
}
