//! From the collectors to the lanes: the beat, the rounds, slow collectors, fan-out.

mod clock;
mod done;
mod fanout;
mod handover;
mod own;
mod pace;
mod runner;
mod schedule;
mod scheduler;
mod slots;
mod slow;
#[cfg(test)]
mod tests;

pub use clock::{Clock, Reading, read_clocks};
pub use done::{HandIn, Others};
pub use fanout::{Fanout, Outlet, Way};
pub use handover::{Beat, HANGS_AFTER, Look, Watch};
pub use scheduler::{AtTick, Progress, Pulse, Scheduler, Sign, Update};
pub use slots::{Collectors, Fresh};
pub use slow::SlowWorker;
