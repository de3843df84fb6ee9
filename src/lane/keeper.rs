//! Who looks after a lane's disk.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::queue::Queue;
use super::series_file::SeriesFile;
use super::settings::SpoolSettings;
use super::start::{Part, Start};
use super::worker::BodyMaker;
use crate::host::wall_ms;

/// Looks after a lane's disk, which may take its time, while something is on it.
pub struct Keeper {
    pub(super) name: String,
    pub(super) poked: Receiver<()>,
    pub(super) queue: Arc<Queue>,
    /// Weak: the maker wakes this thread, and this thread ends when nobody can any more.
    pub(super) maker: Weak<BodyMaker>,
    /// How what waits is to be kept from now on.
    pub(super) moved: Receiver<SpoolSettings>,
    pub(super) start: Start,
    /// Closed when this has ended.
    pub(super) _alive: Sender<()>,
}

/// How often the disk is looked after while something is on it.
const TIDY: Duration = Duration::from_secs(1);

impl Keeper {
    /// Reads what an earlier life left on disk, and runs until nobody is left to wake it. In
    /// the steady state nobody does.
    pub fn run(self) {
        if !self.start.wait(Part::Keeper) {
            return;
        }
        self.queue.revive();
        if let Some(maker) = self.maker.upgrade() {
            maker.inherit();
        }
        loop {
            self.move_to();
            self.queue.open();
            let busy = self.queue.tidy(wall_ms());
            self.save_series();
            let poked = match busy {
                true => self.poked.recv_timeout(TIDY),
                false => self.poked.recv().map_err(RecvTimeoutError::from),
            };
            match poked {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
                // Pushed; the disk is not touched more often for it.
                Ok(()) if busy => std::thread::sleep(TIDY / 10),
                Ok(()) => {}
            }
        }
    }

    fn move_to(&self) {
        let Some(settings) = self.moved.try_iter().last() else { return };
        self.queue.move_to(&settings);
        if let Some(maker) = self.maker.upgrade() {
            maker.move_series(SeriesFile::of(&settings, &self.name));
        }
    }

    fn save_series(&self) {
        if let Some(maker) = self.maker.upgrade() {
            maker.save_series(false);
        }
    }
}
