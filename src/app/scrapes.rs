//! The applications that are scraped: the pool, its threads, and where their frames go.

use std::io;
use std::sync::Arc;

use super::threads::{Id, Threads};
use crate::model::ViewSlots;
use crate::pipeline::{HandIn, Others};
use crate::scrape::{Context, Kind, Pool, Settings, THREADS, source_of};
use crate::telemetry::{EndpointStatus, Telemetry};

/// All endpoints.
pub struct Scrapes {
    pool: Pool,
    statuses: Vec<Arc<EndpointStatus>>,
    sources: Others,
    /// How many threads there are of each kind.
    threads: usize,
    ids: Vec<Id>,
}

impl Scrapes {
    /// Asks these endpoints from now on, whose frames are handed in.
    pub fn start(
        endpoints: &[Settings],
        telemetry: &Telemetry,
        views: &ViewSlots,
        hand_in: &HandIn,
        threads: &mut Threads,
    ) -> io::Result<Scrapes> {
        let context = Context { views: views.clone(), own: telemetry.instance.clone() };
        let hand_in = hand_in.clone();
        let pool = Pool::new(context, Box::new(move |frame| hand_in.frame(frame)));
        let mut scrapes = Scrapes { pool, statuses: Vec::new(), sources: Others::new(), threads: 0, ids: Vec::new() };
        scrapes.grow(endpoints, threads)?;
        scrapes.exchange(endpoints);
        Ok(scrapes)
    }

    /// Starts the threads that these endpoints need: one of each kind for each, up to the bound.
    /// Those that are too many afterwards have nothing to do.
    pub fn grow(&mut self, endpoints: &[Settings], threads: &mut Threads) -> io::Result<()> {
        while self.threads < endpoints.len().min(THREADS) {
            for (kind, name) in [(Kind::Well, "scrape"), (Kind::Slow, "scrape-slow")] {
                let pool = self.pool.clone();
                // What they wait for ends when it likes, and nobody waits for that.
                let id = threads.spawn_unawaited(format!("{name}-{}", self.threads), move || pool.run(kind))?;
                self.ids.push(id);
            }
            self.threads += 1;
        }
        Ok(())
    }

    /// From now on these are asked; those whose settings are the same go on as they are.
    pub fn exchange(&mut self, endpoints: &[Settings]) {
        self.statuses = self.pool.exchange(endpoints);
        self.sources = endpoints.iter().map(|one| (source_of(&one.name), one.interval)).collect();
    }

    /// How they are, in the order of the configuration.
    pub fn statuses(&self) -> &[Arc<EndpointStatus>] {
        &self.statuses
    }

    /// The sources that they are, each with its interval.
    pub fn sources(&self) -> Others {
        self.sources.clone()
    }

    /// None is asked any more.
    pub fn stop(&self, threads: &mut Threads) {
        threads.ask(&self.ids);
        self.pool.stop();
    }
}
