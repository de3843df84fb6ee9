//! What the integration tests share.

pub mod peer;

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Generous: no test may depend on
/// how fast the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `check` gives something, looking again every few milliseconds.
#[track_caller]
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < until, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
