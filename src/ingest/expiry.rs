//! How long series stay that do not come any more.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What may be asked for.
pub(super) const EXPIRE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);

/// Where nothing is said: long enough for what comes each minute.
pub(super) const DEFAULT_EXPIRE: Duration = Duration::from_secs(300);
