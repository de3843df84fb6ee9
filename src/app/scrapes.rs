//! The applications that are scraped: the pool, its threads, and where their frames go.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use super::threads::{Id, Threads};
use crate::config::{self, Config};
use crate::model::ViewSlots;
use crate::pipeline::{HandIn, Others};
use crate::scrape::{Context, Followed, Kind, Pool, Settings, THREADS, sources_of};
use crate::telemetry::{EndpointStatus, Telemetry};

/// What files of endpoints say.
#[derive(Default)]
pub struct Found {
    endpoints: Vec<Arc<Settings>>,
    /// What is wrong with them.
    troubles: Vec<String>,
}

/// All endpoints.
pub struct Scrapes {
    pool: Pool,
    statuses: Vec<Arc<EndpointStatus>>,
    sources: Others,
    configured: Vec<Arc<Settings>>,
    /// What files say, for as long as they are followed.
    found: Found,
    files: Option<Files>,
    /// How many threads there are of each kind.
    threads: usize,
    ids: Vec<Id>,
}

impl Scrapes {
    /// Asks these endpoints from now on, whose frames are handed in.
    pub fn start(
        config: &Config,
        telemetry: &Telemetry,
        views: &ViewSlots,
        hand_in: &HandIn,
        threads: &mut Threads,
    ) -> io::Result<Scrapes> {
        let context = Context {
            views: views.clone(),
            own: telemetry.instance.as_str().into(),
            counts: Arc::clone(&telemetry.scrapes),
            said: Arc::default(),
            readings: Arc::default(),
        };
        let hand_in = hand_in.clone();
        let pool = Pool::new(context, Box::new(move |frame| hand_in.frame(frame)));
        let mut scrapes = Scrapes {
            pool,
            statuses: Vec::new(),
            sources: Others::new(),
            configured: Vec::new(),
            found: Found::default(),
            files: None,
            threads: 0,
            ids: Vec::new(),
        };
        scrapes.grow(config, threads)?;
        scrapes.exchange(config);
        Ok(scrapes)
    }

    /// Starts the threads that these endpoints need: one of each kind for each, up to the bound.
    /// Those that are too many afterwards have nothing to do.
    pub fn grow(&mut self, config: &Config, threads: &mut Threads) -> io::Result<()> {
        self.start_threads(config.endpoints.len() + self.found.endpoints.len(), threads)?;
        let followed = Follow::of(config);
        if self.files.as_ref().map(|files| &files.follow) != followed.as_ref() {
            // With its channel the thread before ends, and with it what it said.
            self.files = followed.map(|follow| Files::start(follow, threads)).transpose()?;
            if self.files.is_none() {
                self.found = Found::default();
            }
        }
        Ok(())
    }

    fn start_threads(&mut self, endpoints: usize, threads: &mut Threads) -> io::Result<()> {
        while self.threads < endpoints.min(THREADS) {
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

    /// From now on those of the configuration are asked, and those of its files; those whose settings
    /// are the same go on as they are.
    pub fn exchange(&mut self, config: &Config) {
        self.configured.clone_from(&config.endpoints);
        self.adopt();
    }

    fn adopt(&mut self) {
        let all: Vec<_> = self.configured.iter().chain(&self.found.endpoints).cloned().collect();
        self.statuses = self.pool.exchange(&all);
        self.sources = all.iter().flat_map(|settings| sources_of(settings)).collect();
    }

    /// What files say, whenever that changes.
    pub fn found(&self) -> Receiver<Found> {
        self.files.as_ref().map_or_else(never, |files| files.found.clone())
    }

    /// From now on files say this.
    pub fn files_say(&mut self, found: Found, threads: &mut Threads) -> io::Result<()> {
        self.start_threads(self.configured.len() + found.endpoints.len(), threads)?;
        if self.found.endpoints.len() != found.endpoints.len() {
            log::info!("endpoints: {} in files", found.endpoints.len());
        }
        self.found = found;
        self.adopt();
        Ok(())
    }

    /// How they are, in the order of the configuration.
    pub fn statuses(&self) -> &[Arc<EndpointStatus>] {
        &self.statuses
    }

    /// What is wrong with files of endpoints.
    pub fn troubles(&self) -> &[String] {
        &self.found.troubles
    }

    /// The sources that they are, each with its interval.
    pub fn sources(&self) -> Others {
        self.sources.clone()
    }

    /// None is asked any more.
    pub fn stop(&self, threads: &mut Threads) {
        threads.ask(&self.ids);
        threads.ask(self.files.as_ref().map(|files| files.id).as_slice());
        self.pool.stop();
    }
}

/// All endpoints of the configuration and of its files as these are now; what is wrong with a file is
/// told to `complain`.
pub fn endpoints_now(config: &Config, mut complain: impl FnMut(&Path, String)) -> Vec<Arc<Settings>> {
    let parse = |path: &Path, text: &str| config::endpoints_of(path, text, config.interval, &config::process_env);
    let mut files = Followed::new(config.endpoints_files.clone());
    files.look(&parse, &mut complain);
    let found = files.endpoints(&config.endpoints, complain);
    config.endpoints.iter().cloned().chain(found).collect()
}

/// How often files of endpoints are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// So many names that are taken already are said one by one: files may have thousands.
const MAX_SAID: usize = 20;

/// What is followed, and what counts for it.
#[derive(Clone, Debug, PartialEq)]
struct Follow {
    patterns: Vec<String>,
    interval: Duration,
    /// Names that others have.
    taken: Vec<Arc<Settings>>,
}

impl Follow {
    fn of(config: &Config) -> Option<Follow> {
        let (patterns, taken) = (config.endpoints_files.clone(), config.endpoints.clone());
        (!patterns.is_empty()).then_some(Follow { patterns, interval: config.interval, taken })
    }
}

/// The thread that follows files: a path may hang, and nobody else should wait for it.
struct Files {
    follow: Follow,
    found: Receiver<Found>,
    /// Closes when it is time to end.
    _stop: Sender<()>,
    id: Id,
}

impl Files {
    fn start(follow: Follow, threads: &mut Threads) -> io::Result<Files> {
        let ((_stop, stopped), (tell, found)) = (bounded(0), bounded(1));
        let own = follow.clone();
        let id = threads.spawn_unawaited("endpoints-files", move || run(&own, &stopped, &tell))?;
        // Its end is that of a reload, or of the program.
        threads.ask(&[id]);
        Ok(Files { follow, found, _stop, id })
    }
}

fn run(follow: &Follow, stopped: &Receiver<()>, tell: &Sender<Found>) {
    let Follow { patterns, interval, taken } = follow;
    let parse = |path: &Path, text: &str| config::endpoints_of(path, text, *interval, &config::process_env);
    let mut files = Followed::new(patterns.clone());
    let mut is_first = true;
    loop {
        let say = |path: &Path, why| log::warn!("{}: {why}; what it said before counts on", path.display());
        if files.look(&parse, say) || is_first {
            let mut troubles: Vec<String> =
                files.troubles().map(|(path, why)| format!("{}: {why}", path.display())).collect();
            let mut said = 0;
            let endpoints = files.endpoints(taken, |path, why| {
                said += 1;
                if said <= MAX_SAID {
                    log::warn!("{}: {why}", path.display());
                }
                troubles.push(format!("{}: {why}", path.display()));
            });
            if said > MAX_SAID {
                log::warn!("endpoints_files: {} more such names; /health has each", said - MAX_SAID);
            }
            if tell.send(Found { endpoints, troubles }).is_err() {
                return;
            }
        }
        is_first = false;
        if stopped.recv_timeout(LOOK_EVERY) != Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            return;
        }
    }
}
