//! What applications send by themselves: the sockets, their threads, and where it goes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::threads::{Id, Threads};
use crate::host::wall_ms;
use crate::ingest::ListenSettings;
use crate::ingest::statsd::{self, Running, Statsd};
use crate::model::{Frame, ViewSlots};
use crate::pipeline::{AtTick, Others};
use crate::telemetry::StatsdCounts;

/// What is listened for.
#[derive(Default)]
pub struct Listen {
    statsd: Option<Listening>,
}

/// StatsD, with its thread.
#[derive(Clone)]
struct Listening {
    settings: statsd::Settings,
    statsd: Arc<Statsd>,
    counts: Arc<StatsdCounts>,
    id: Id,
    /// Ends the thread with the last of those who have it.
    _running: Arc<Running>,
}

impl AtTick for Statsd {
    fn frame(&self, time_ms: i64) -> Frame {
        Statsd::frame(self, time_ms)
    }
}

impl Listen {
    /// What is to be listened for by `settings`, beside what there is, of which nothing changes before
    /// [`Listen::adopt`]: what has the same settings goes on.
    ///
    /// # Errors
    /// Where a socket cannot be opened, or a thread not started. Then nothing is left of it.
    pub fn prepare(&self, settings: &ListenSettings, views: &ViewSlots, threads: &mut Threads) -> io::Result<Listen> {
        let Some(wanted) = &settings.statsd else { return Ok(Listen::default()) };
        let before = self.statsd.as_ref();
        if let Some(same) = before.filter(|before| before.settings == *wanted) {
            return Ok(Listen { statsd: Some(same.clone()) });
        }
        let counts = before.map(|before| Arc::clone(&before.counts)).unwrap_or_default();
        let (statsd, running) = Statsd::open(wanted, before.map(|before| &*before.statsd), &counts, views, wall_ms())?;
        let reader = Arc::clone(&statsd);
        let id = threads.spawn("statsd", move || reader.run())?;
        Ok(Listen {
            statsd: Some(Listening { settings: wanted.clone(), statsd, counts, id, _running: Arc::new(running) }),
        })
    }

    /// Nothing comes of what was prepared.
    pub fn abandon(&self, prepared: Listen, threads: &mut Threads) {
        prepared.end_but(self, threads);
    }

    /// From now on it is what was prepared.
    pub fn adopt(&mut self, prepared: Listen, threads: &mut Threads) {
        let old = std::mem::replace(self, prepared);
        for listening in self.statsd.iter().filter(|new| old.ids().all(|id| id != new.id)) {
            let udp = listening.statsd.udp_addr().map(|address| format!("udp://{address}"));
            let unix = listening.settings.unix.as_ref().map(|path| format!("unix://{}", path.display()));
            let places: Vec<String> = udp.into_iter().chain(unix).collect();
            log::info!("statsd: listening on {}", places.join(" and "));
        }
        old.end_but(self, threads);
    }

    /// Ends the threads that `kept` does not have.
    fn end_but(self, kept: &Listen, threads: &mut Threads) {
        let ids: Vec<Id> = self.ids().filter(|id| kept.ids().all(|other| other != *id)).collect();
        threads.ask(&ids);
    }

    fn ids(&self) -> impl Iterator<Item = Id> {
        self.statsd.iter().map(|listening| listening.id)
    }

    /// Nothing is listened for any more.
    pub fn stop(self, threads: &mut Threads) {
        self.end_but(&Listen::default(), threads);
    }

    /// The sources that are listened for, each with the time between two of its frames.
    pub fn sources(&self, interval: Duration) -> Others {
        self.statsd.iter().map(|_| (statsd::SOURCE.into(), interval)).collect()
    }

    /// Those that are asked at each tick.
    pub fn asked(&self) -> Vec<Arc<dyn AtTick>> {
        self.statsd.iter().map(|listening| Arc::clone(&listening.statsd) as Arc<dyn AtTick>).collect()
    }

    /// What came by StatsD, where that is on.
    pub fn statsd_counts(&self) -> Option<Arc<StatsdCounts>> {
        self.statsd.as_ref().map(|listening| Arc::clone(&listening.counts))
    }
}
