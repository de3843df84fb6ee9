//! Everything that runs: consumers are started first, producers stopped first.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use log::LevelFilter;

use super::after_burst::AfterBurst;
use super::first_rounds::FirstRounds;
use super::identity::Identity;
use super::lanes::{Ending, Running, combinations};
use super::listen::Listen;
use super::notify::Notify;
use super::pushes::Pushes;
use super::sched::Sched;
use super::scrapes::{Found, Scrapes};
use super::signals::{self, Signal};
use super::stranded::Stranded;
use super::threads::{Ended, Id, Threads};
use crate::cli::Exit;
use crate::collectors;
use crate::config::{Config, Source};
use crate::host::{HostPaths, SystemStatFs, boottime, monotonic, wall_ms};
use crate::lane::{GRACE, Unsaved};
use crate::model::{Resource, ViewSlots};
use crate::pipeline::{
    Clock, Collectors, Fanout, HANGS_AFTER, HandIn, Others, Progress, Scheduler, SlowWorker, Update, read_clocks,
};
use crate::server::{self, Server, StartError};
use crate::telemetry::{CollectorStatus, PushCounts, Subjects, Telemetry, counted, rough_duration};

/// From the first signal to the end, whatever hangs.
const STOP_WITHIN: Duration = Duration::from_secs(9);

/// What comes after it, for lanes that have not ended: writing down what is in memory, which
/// takes milliseconds.
const FINISH_WITHIN: Duration = Duration::from_millis(500);

/// How much later than its grace a sender may end that hangs nowhere.
const LEEWAY: Duration = Duration::from_millis(300);

/// How much of that the scheduler may take for the round it is in. It reads the kernel's
/// files, which takes milliseconds; where one of them hangs, lanes must not wait for it.
const LAST_ROUND: Duration = Duration::from_secs(2);

/// Reading one of the kernel's files takes microseconds.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// What stays as the command line and the environment said at the start.
#[derive(Clone)]
pub struct Setup {
    pub source: Source,
    pub paths: HostPaths,
    pub host_name: String,
    /// What the host is besides its name.
    pub identity: Identity,
    /// `-log-level` or `MC_LOG_LEVEL`, over the configuration's.
    pub log_level: Option<LevelFilter>,
}

/// Everything that runs.
pub struct Service {
    pub(super) setup: Setup,
    /// What it runs with.
    pub(super) config: Config,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) threads: Threads,
    pub(super) fanout: Arc<Fanout>,
    /// In the order of the configuration.
    pub(super) lanes: Vec<Running>,
    /// Lanes that are being let go of, until their threads have ended.
    pub(super) ending: Vec<Ending>,
    /// Of the collectors that run, in the order of their table, fast ones first.
    pub(super) collectors: Vec<Arc<CollectorStatus>>,
    /// The threads of the slow ones among them.
    pub(super) slow: Vec<(&'static str, Id)>,
    pub(super) hand_in: HandIn,
    /// The applications that are scraped.
    pub(super) scrapes: Scrapes,
    /// What applications push; none: they may not.
    pub(super) pushes: Option<Pushes>,
    /// What pushes have come to since the start.
    pub(super) push_counts: Arc<PushCounts>,
    /// What applications send by themselves.
    pub(super) listen: Listen,
    /// For how many views there is room in what is collected.
    pub(super) views: ViewSlots,
    /// To the scheduler, which stops when this is dropped.
    pub(super) updates: Sender<Update>,
    /// None only where a reload moved it to a place that it could not come back from.
    pub(super) server: Option<Server>,
    /// To the service manager.
    pub(super) notify: Notify,
    pub(super) stranded: Stranded,
    pub(super) first_rounds: FirstRounds,
    pub(super) after_burst: AfterBurst,
    /// When the host was started, where it says so: milliseconds since the UNIX epoch.
    pub(super) boot_ms: Option<i64>,
    pub(super) sched: Sched,
}

impl Service {
    /// Starts everything.
    pub fn start(setup: Setup, config: Config) -> Result<(Service, Receiver<Signal>), Exit> {
        let notify = Notify::from_env();
        let telemetry = Arc::new(Telemetry::new(boottime(), wall_ms(), Subjects::default()));
        let server = server::start(&config.server, Arc::clone(&telemetry), &setup.host_name).map_err(|error| {
            log::error!("{error}");
            exit_of(&error)
        })?;
        let no_thread = |error: io::Error| {
            log::error!("cannot start a thread: {error}");
            Exit::Internal
        };
        let mut threads = Threads::new();
        let lanes = config.lanes.iter().map(|settings| Running::new(settings, None, &mut threads));
        let mut lanes = lanes.collect::<io::Result<Vec<Running>>>().map_err(no_thread)?;
        lanes.iter_mut().for_each(Running::begin);
        let fanout = Arc::new(Fanout::default());
        fanout.exchange(lanes.iter().map(Running::way).collect());

        let built = collectors::build(&config.collectors, &setup.paths, Arc::new(SystemStatFs));
        let (runners, statuses, workers) = Collectors::new(built, config.collectors.max_series);
        let (hand_in, views) = (runners.hand_in(), runners.views());
        views.change(combinations(&config.lanes).count());
        let slow = start_slow(&mut threads, workers).map_err(no_thread)?;
        let scrapes = Scrapes::start(&config, &telemetry, &views, &hand_in, &mut threads).map_err(no_thread)?;
        let mut listen = Listen::default();
        match listen.prepare(&config.listen, &views, &mut threads) {
            Ok(prepared) => listen.adopt(prepared, &mut threads),
            Err(error) => {
                log::error!("{error}");
                return Err(exit_of_listen(&error));
            }
        }
        let boot_ms = boot_ms(&setup.paths);
        let resource = resource_of(&setup, boot_ms);
        let push_counts = Arc::default();
        let pushes = config.listen.push.as_ref();
        let pushes =
            pushes.map(|push| Pushes::start(push, &fanout, &telemetry, &views, resource, &push_counts, &mut threads));
        let pushes = pushes.transpose().map_err(no_thread)?;
        let of_pushes = pushes.iter().flat_map(Pushes::sources);
        let others = scrapes.sources().into_iter().chain(listen.sources(config.interval)).chain(of_pushes);
        let (updates, updated) = unbounded();
        let scheduler = Scheduler {
            collectors: runners,
            others: others.collect(),
            asked: listen.asked(),
            fanout: Arc::clone(&fanout),
            telemetry: Arc::clone(&telemetry),
            resource: resource_of(&setup, boot_ms),
            interval: config.interval,
            updates: updated,
            clock: Clock::of_this_build(),
            read: Box::new(read_clocks),
            pulse: notify.pulse(Arc::clone(&telemetry)),
            progress: Progress::default(),
        };
        server.take_pushes(pushes.as_ref().map(Pushes::intake));
        // Long before the service manager's patience is over.
        let limit = notify.watchdog().map_or(HANGS_AFTER, |patience| HANGS_AFTER.min(patience / 4));
        let sched = Sched::start(&mut threads, scheduler, limit).map_err(no_thread)?;
        let first_rounds = FirstRounds::of(&statuses, &config.collectors);
        let mut service = Service {
            setup,
            config,
            telemetry,
            threads,
            fanout,
            lanes,
            ending: Vec::new(),
            collectors: statuses,
            slow,
            hand_in,
            scrapes,
            pushes,
            push_counts,
            listen,
            views,
            updates,
            boot_ms,
            server: Some(server),
            notify,
            stranded: Stranded::default(),
            first_rounds,
            after_burst: AfterBurst::default(),
            sched,
        };
        service.tell();
        service.stranded.look(&service.config);
        let signals = signals::listen().map_err(no_thread)?;
        Ok((service, signals))
    }

    /// Tells the pages what there is now.
    pub(super) fn tell(&mut self) {
        self.telemetry.exchange(Subjects {
            since: monotonic(),
            interval: self.config.interval,
            collectors: self.collectors.clone(),
            destinations: self.lanes.iter().map(|lane| Arc::clone(lane.status())).collect(),
            endpoints: self.scrapes.statuses().to_vec(),
            endpoints_files: self.scrapes.troubles().to_vec(),
            statsd: self.listen.statsd_counts(),
            pushes: self.pushes.is_some().then(|| Arc::clone(&self.push_counts)),
        });
    }

    /// Files of endpoints say this from now on.
    pub fn endpoints_found(&mut self, found: Found) {
        if let Err(error) = self.scrapes.files_say(found, &mut self.threads) {
            log::error!("endpoints_files: cannot start a thread: {error}; the endpoints of before stay");
            return;
        }
        self.hand_in.sources(self.sources());
        self.tell();
    }

    /// All sources that are no collectors.
    pub(super) fn sources(&self) -> Others {
        let of_pushes = self.pushes.iter().flat_map(Pushes::sources);
        self.scrapes.sources().into_iter().chain(self.listen.sources(self.config.interval)).chain(of_pushes).collect()
    }

    /// A thread has ended. Whether it should not have: then nothing works as it is meant to.
    pub fn is_lost(&mut self, ended: &Ended) -> bool {
        let lost = self.threads.has_ended(ended);
        self.ending.iter_mut().for_each(|lane| lane.threads.retain(|id| *id != ended.id));
        self.ending.retain(|lane| !lane.threads.is_empty());
        if lost {
            self.telemetry.thread_lost();
            let how = if ended.panicked { "panicked" } else { "ended" };
            log::error!("thread {} {how} uninvited; stopping", ended.name);
        }
        lost
    }

    /// Producers first, then the lanes with what they have.
    pub fn stop(self, signals: &Receiver<Signal>) {
        let begun = Instant::now();
        let Service { mut threads, fanout, lanes, ending, updates, server, sched, scrapes, pushes, listen, .. } = self;
        scrapes.stop(&mut threads);
        if let Some(pushes) = pushes {
            pushes.stop(&mut threads);
        }
        listen.stop(&mut threads);
        drop(updates);
        if !sched.wait(&mut threads, LAST_ROUND, signals) && !threads.is_hurried() {
            log::warn!("a collector hangs; its round is left behind");
        }
        fanout.exchange(Vec::new());
        let ending: Vec<Ending> = ending.into_iter().chain(lanes.into_iter().map(Running::end)).collect();
        let left = STOP_WITHIN.saturating_sub(begun.elapsed());
        threads.wait(left.min(GRACE + LEEWAY), signals);
        for lane in &ending {
            if threads.any_runs(&lane.senders) && !threads.is_hurried() {
                log::warn!(
                    "destination {}: what is under way to it did not end within the {} s that there are for it; it is \
                     not waited for",
                    lane.name,
                    GRACE.as_secs()
                );
            }
            lane.senders.iter().for_each(|id| threads.forgo(*id));
            lane.control.finish();
        }
        let left = threads.wait(STOP_WITHIN.saturating_sub(begun.elapsed()), signals);
        cut_off(&ending);
        drop(server);
        if threads.is_hurried() {
            log::warn!("a second signal: what is under way is not waited for");
        } else if !left.is_empty() {
            log::warn!("what these threads have under way did not end in time and is left behind: {}", left.join(", "));
        }
        log::info!("stopped in {}", rough_duration(begun.elapsed()));
    }
}

/// Ends the lanes that have not ended, and says what is lost with those whose disk hangs.
fn cut_off(lanes: &[Ending]) {
    lanes.iter().for_each(|lane| lane.control.cut_off());
    let until = Instant::now() + FINISH_WITHIN;
    // A lane that came after another one has that one's queue.
    let mut said = BTreeSet::new();
    for lane in lanes {
        let Err(Unsaved { requests, samples, batches }) = lane.control.wait_for_end(until) else { continue };
        if !said.insert(&lane.name) {
            continue;
        }
        let thing = lane.control.status().signal().thing();
        let what = match (requests, batches) {
            (0, 0) => "nothing waits in memory for it".to_owned(),
            (_, 0) => {
                format!("lost: {} ({}) that it has not taken", counted(requests, "request"), counted(samples, thing))
            }
            _ => format!(
                "lost: {} ({}) that it has not taken, and {} of which no request was made yet",
                counted(requests, "request"),
                counted(samples, thing),
                counted(batches, "collection")
            ),
        };
        log::warn!("destination {}: its spool's disk hangs; {what}", lane.name);
    }
}

/// When the host was started. Where its file hangs, what begins with the host has no such time:
/// the collectors are watched over for this, the start is not.
fn boot_ms(paths: &HostPaths) -> Option<i64> {
    let (tell, told) = bounded(1);
    let paths = paths.clone();
    let reading = std::thread::Builder::new()
        .name("boot-time".to_owned())
        .spawn(move || _ = tell.send(collectors::uptime::boot_ms(&paths)));
    reading.ok().and_then(|_| told.recv_timeout(READ_WITHIN).ok().flatten())
}

/// What all that is collected belongs to.
pub(super) fn resource_of(setup: &Setup, boot_ms: Option<i64>) -> Arc<Resource> {
    Arc::new(setup.identity.resource(&setup.host_name, boot_ms))
}

/// Starts the threads of slow collectors; all or none.
pub(super) fn start_slow(threads: &mut Threads, workers: Vec<SlowWorker>) -> io::Result<Vec<(&'static str, Id)>> {
    let mut started: Vec<(&'static str, Id)> = Vec::new();
    for worker in workers {
        let name = worker.name();
        match threads.spawn_unawaited(format!("slow-{name}"), move || worker.run()) {
            Ok(id) => started.push((name, id)),
            Err(error) => {
                started.iter().for_each(|(_, id)| threads.ask(&[*id]));
                return Err(error);
            }
        }
    }
    Ok(started)
}

/// The same as for the server's port.
fn exit_of_listen(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::Permission,
        _ => Exit::Unavailable,
    }
}

fn exit_of(error: &StartError) -> Exit {
    match error {
        StartError::Files(..) => Exit::Config,
        // At boot the network may not be up yet: what starts us tries again, as it would not
        // after a wrong configuration.
        StartError::Resolve(..) | StartError::NotLocal(..) | StartError::Taken(..) => Exit::Unavailable,
        StartError::Permission(..) => Exit::Permission,
        StartError::Other(..) => Exit::Internal,
    }
}
