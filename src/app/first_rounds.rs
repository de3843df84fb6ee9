//! Warns of a collector whose own settings leave nothing of it: patterns that match nothing here, most likely.

use std::sync::Arc;
use std::time::Duration;

use crate::collectors::Settings;
use crate::telemetry::{CollectorState, CollectorStatus};

/// Collectors that have settings of their own, and whose first round has not been looked at.
#[derive(Default)]
pub struct FirstRounds(Vec<Arc<CollectorStatus>>);

impl FirstRounds {
    /// Of these that have begun, those that `settings` say anything of.
    pub fn of<'s>(begun: impl IntoIterator<Item = &'s Arc<CollectorStatus>>, settings: &Settings) -> FirstRounds {
        FirstRounds(begun.into_iter().filter(|status| settings.has_own(status.name())).cloned().collect())
    }

    /// Looks at those that have ended a round by `now` (CLOCK_MONOTONIC), each once.
    pub fn look(&mut self, now: Duration) {
        self.0.retain(|status| {
            let Some(round) = status.last(now) else { return true };
            if round.state == CollectorState::Ok && round.series == 0 {
                let name = status.name();
                log::warn!(
                    "collector {name}: there is nothing here that collector.{name} leaves over, so {name} is missing; \
                     patterns are regular expressions for the whole name"
                );
            }
            false
        });
    }
}
