//! What the integration tests share.

pub mod kernel;
pub mod mounts;
pub mod page;
pub mod peer;
pub mod pki;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod receivers;
pub mod series;
pub mod spool;
pub mod tls_peer;

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Generous: no test may depend on
/// how fast the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// This test cannot look at what it is for: that is said, and a failure where everything is to be looked at.
#[track_caller]
pub fn cannot_look(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "this looks at nothing: {why}");
    println!("SKIPPED: {why}");
}

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

/// [`wait_for`], for what takes long by its nature: five times as patient.
#[track_caller]
pub fn wait_long_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    for _ in 0..4 {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(found) = check() {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    wait_for(what, check)
}
