//! SIGHUP: the whole new configuration is read and checked, and only then anything changes.
//!
//! Reading and checking may hang (a file on a dead server, a name server that is silent), so
//! it has a thread of its own, and whoever wants the program to stop meanwhile is heard.
//! What comes then can fail for want of a port or of threads only; all that can fail is done
//! before the first thing changes.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded, never};

use super::first_rounds::FirstRounds;
use super::lanes::{Ending, Running, combinations};
use super::level;
use super::logging;
use super::pushes::Pushes;
use super::service::{Service, Setup, resource_of, start_slow};
use super::stranded;
use super::threads::Id;
use crate::collectors;
use crate::config::{self, Config};
use crate::host::{SystemStatFs, host_name};
use crate::lane::{Control, Settings};
use crate::pipeline::{Fresh, Update};
use crate::scrape;
use crate::server::{self, Bound, Security, Server, StartError};
use crate::telemetry::rough_duration;

/// A configuration that was checked, and what was made ready for it.
pub struct Prepared {
    config: Config,
    /// The host's name as it is now.
    host_name: String,
    port: Port,
}

/// What there is to do about the HTTP server's address.
enum Port {
    /// It stays.
    Same,
    /// It stays, and who may come in, and how, is another matter.
    Secured(Security),
    /// The new one is ours.
    Bound(Bound),
    /// Only the server that runs is in the way: `0.0.0.0:8080` is to become `127.0.0.1:8080`.
    OursToFree,
}

/// Why nothing changes. It has been logged; this is for `/health`.
pub struct Refused(String);

/// The reloads, one at a time.
#[derive(Default)]
pub struct Reloads {
    under_way: Option<(Instant, Receiver<Result<Prepared, Refused>>)>,
    /// Somebody asked while one was under way: what that one has read may be out of date.
    again: bool,
}

impl Reloads {
    /// Begins a reload, or another one behind that under way.
    pub fn ask(&mut self, service: &Service) {
        if self.under_way.is_some() {
            self.again = true;
            return;
        }
        service.notify.reloading();
        log::info!("SIGHUP: reading {} again", service.config.source);
        let (tell, told) = bounded(1);
        let setup = service.setup.clone();
        let server = service.server.is_some().then(|| service.config.server.clone());
        // Not one of the program's threads: should this one panic, nothing is lost but a reload.
        let thread = std::thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || _ = tell.send(prepare(&setup, server.as_ref())));
        self.under_way = Some((Instant::now(), told));
        if let Err(error) = thread {
            // With the thread its end of the channel is gone, so that the reload ends as one that panicked.
            log::error!("cannot start a thread: {error}");
        }
    }

    /// Where the reload under way says that it is prepared.
    pub fn prepared(&self) -> Receiver<Result<Prepared, Refused>> {
        self.under_way.as_ref().map_or_else(never, |(_, told)| told.clone())
    }

    /// The reload under way is prepared, or failed; none: its thread is gone.
    pub fn finish(&mut self, service: &mut Service, outcome: Option<Result<Prepared, Refused>>) {
        let begun = self.under_way.take().map_or_else(Instant::now, |(begun, _)| begun);
        let outcome = outcome.unwrap_or_else(|| Err(Refused("it could not be read".to_owned())));
        match outcome.and_then(|prepared| service.take_up(prepared)) {
            Ok(()) => {
                log::info!(
                    "reloaded in {}; collecting every {:?}",
                    rough_duration(begun.elapsed()),
                    service.config.interval
                );
                service.notify.reloaded("Reloaded");
                service.telemetry.reloaded(None);
            }
            Err(Refused(why)) => {
                log::error!("nothing was changed: {why}; the configuration from before stays in use");
                service.notify.reloaded(&format!("The reload changed nothing: {why}"));
                service.telemetry.reloaded(Some(why));
            }
        }
        if std::mem::take(&mut self.again) {
            self.ask(service);
        }
    }
}

/// All that can be done without touching what runs. `server` is where it listens now.
fn prepare(setup: &Setup, server: Option<&server::Settings>) -> Result<Prepared, Refused> {
    let host_name = host_name();
    let config = config::load(setup.source.clone(), &config::process_env, &host_name).map_err(|problems| {
        problems.to_string().lines().for_each(|line| log::error!("{line}"));
        let mut lines = problems.iter();
        let first = lines.next().map_or_else(String::new, ToString::to_string);
        match lines.len() {
            0 => Refused(first),
            more => Refused(format!("{first}; and {more} more problems, see the log")),
        }
    })?;
    let port = match server {
        Some(server) if *server == config.server => Port::Same,
        Some(server) if server.is_same_address(&config.server) => {
            Port::Secured(Security::new(&config.server).map_err(|error| refused(&error))?)
        }
        _ => match Bound::new(&config.server) {
            Ok(bound) => Port::Bound(bound),
            Err(StartError::Taken(..)) if server.is_some_and(|server| server.port == config.server.port) => {
                Port::OursToFree
            }
            Err(error) => return Err(refused(&error)),
        },
    };
    Ok(Prepared { config, host_name, port })
}

/// What all spools together may take is counted in one place, also for lanes of different age.
fn share_budget(config: &mut Config, old: &Config) {
    if config.spool.budget == old.spool.budget {
        config.spool.budget = Arc::clone(&old.spool.budget);
        config.lanes.iter_mut().for_each(|lane| lane.spool.budget = Arc::clone(&old.spool.budget));
    }
}

/// The lane of these that is there, or was and has not ended: the last of them.
fn before<'l>(settings: &Settings, lanes: &'l [Running], ending: &'l [Ending]) -> Option<&'l Control> {
    let running = lanes.iter().find(|lane| lane.settings.is_same_lane(settings)).map(Running::control);
    let name = settings.lane_name();
    running.or_else(|| ending.iter().rev().find(|lane| lane.name == name).map(|lane| &lane.control))
}

fn refused(error: &dyn std::error::Error) -> Refused {
    Refused(error.to_string())
}

impl Service {
    /// Goes on with a new configuration; where that fails, with the one there is.
    fn take_up(&mut self, prepared: Prepared) -> Result<(), Refused> {
        let Prepared { mut config, host_name, port } = prepared;
        share_budget(&mut config, &self.config);
        scrape::Settings::share(&mut config.endpoints, &self.config.endpoints);
        let no_thread = |error| Refused(format!("cannot start a thread: {error}"));
        let started = self.start_lanes(&config).map_err(no_thread)?;
        let new_threads: Vec<_> = started.iter().flat_map(|lane| lane.threads.clone()).collect();

        let mut built = collectors::build(&config.collectors, &self.setup.paths, Arc::new(SystemStatFs));
        let order: Vec<&'static str> = built.names().collect();
        let kept: Vec<&'static str> = collectors::unchanged(&self.config.collectors, &config.collectors).collect();
        built.leave_out(&kept);
        let mut fresh = Fresh::new(built, config.collectors.max_series, &self.views, &self.hand_in);
        let slow = start_slow(&mut self.threads, std::mem::take(&mut fresh.workers));
        // From here on a failure has threads to take back; with what they wait on they end.
        let slow = slow.inspect_err(|_| self.threads.ask(&new_threads)).map_err(no_thread)?;
        let scrapers = self.scrapes.grow(&config, &mut self.threads);
        scrapers
            .inspect_err(|_| {
                self.threads.ask(&new_threads);
                slow.iter().for_each(|(_, id)| self.threads.ask(&[*id]));
            })
            .map_err(no_thread)?;
        let pushes = self.start_pushes(&config).map_err(|error| {
            self.threads.ask(&new_threads);
            slow.iter().for_each(|(_, id)| self.threads.ask(&[*id]));
            no_thread(error)
        })?;
        let listen = match self.listen.prepare(&config.listen, &self.views, &mut self.threads) {
            Ok(listen) => listen,
            Err(error) => {
                self.threads.ask(&new_threads);
                slow.iter().for_each(|(_, id)| self.threads.ask(&[*id]));
                if let Some(pushes) = pushes {
                    pushes.stop(&mut self.threads);
                }
                return Err(refused(&error));
            }
        };
        let server = match self.move_server(&config, port, &host_name) {
            Ok(server) => server,
            Err(refused) => {
                self.threads.ask(&new_threads);
                slow.iter().for_each(|(_, id)| self.threads.ask(&[*id]));
                if let Some(pushes) = pushes {
                    pushes.stop(&mut self.threads);
                }
                self.listen.abandon(listen, &mut self.threads);
                return Err(refused);
            }
        };

        // Nothing fails from here on.
        logging::set_level(level(self.setup.log_level, &config));
        logging::set_format(config.log_format);
        for warning in &config.warnings {
            log::warn!("{warning}");
        }
        if server.is_some() {
            self.server = server;
        }
        if self.setup.host_name != host_name {
            log::info!("the host is now called {host_name}");
            self.server.iter().for_each(|server| server.rename(&host_name));
            self.setup.host_name = host_name;
        }
        self.exchange_lanes(&config, started);
        self.exchange_pushes(&config, pushes);
        // Behind them: chunks that are made from here on are for the lanes of now.
        let views = combinations(&config.lanes);
        if views != combinations(&self.config.lanes) {
            self.views.change(views.count());
        }
        self.exchange_collectors(&order, &kept, &fresh, slow);
        self.scrapes.exchange(&config);
        self.listen.adopt(listen, &mut self.threads);
        self.first_rounds = FirstRounds::of(&fresh.statuses, &config.collectors);
        self.config = config;
        self.tell();
        self.stranded.look(&self.config);
        // Closed only where the scheduler's thread is gone, which ends the program.
        let resource = resource_of(&self.setup, self.boot_ms);
        let (others, asked) = (self.sources(), self.listen.asked());
        let _ = self.updates.send(Update { interval: self.config.interval, resource, order, fresh, others, asked });
        self.sched.wakes();
        Ok(())
    }

    /// The lanes that `config` has and that are not there, in its order; all or none. They
    /// have not begun.
    fn start_lanes(&mut self, config: &Config) -> io::Result<Vec<Running>> {
        let mut started: Vec<Running> = Vec::new();
        for settings in &config.lanes {
            if self.lanes.iter().any(|lane| lane.can_become(settings)) {
                continue;
            }
            let before = before(settings, &self.lanes, &self.ending);
            let lane = Running::new(settings, before, &mut self.threads).inspect_err(|_| {
                started.iter().for_each(|lane| self.threads.ask(&lane.threads));
            })?;
            started.push(lane);
        }
        Ok(started)
    }

    /// What takes pushes from now on, where that is another one.
    fn start_pushes(&mut self, config: &Config) -> io::Result<Option<Pushes>> {
        let Some(push) = config.listen.push.as_ref().filter(|_| self.pushes.is_none()) else { return Ok(None) };
        let (resource, counts) = (resource_of(&self.setup, self.boot_ms), &self.push_counts);
        let (fanout, views) = (&self.fanout, &self.views);
        Pushes::start(push, fanout, &self.telemetry, views, resource, counts, &mut self.threads).map(Some)
    }

    /// Behind the lanes: these take what is pushed from here on.
    fn exchange_pushes(&mut self, config: &Config, fresh: Option<Pushes>) {
        if let Some(old) = if config.listen.push.is_none() { self.pushes.take() } else { None } {
            old.stop(&mut self.threads);
        }
        if fresh.is_some() {
            self.pushes = fresh;
        }
        if let Some(pushes) = &self.pushes {
            if let Some(settings) = &config.listen.push {
                pushes.change_to(settings, resource_of(&self.setup, self.boot_ms));
            }
        }
        // The server may be another one.
        if let Some(server) = &self.server {
            server.take_pushes(self.pushes.as_ref().map(Pushes::intake));
        }
    }

    /// The server at its new address; none where it stays.
    fn move_server(&mut self, config: &Config, port: Port, host: &str) -> Result<Option<Server>, Refused> {
        let telemetry = &self.telemetry;
        match port {
            Port::Same => Ok(None),
            Port::Secured(security) => {
                if let Some(server) = &self.server {
                    server.secure(security);
                }
                Ok(None)
            }
            Port::Bound(bound) => bound.serve(Arc::clone(telemetry), host).map(Some).map_err(|error| refused(&error)),
            Port::OursToFree => {
                self.server = None;
                server::start(&config.server, Arc::clone(telemetry), host).map(Some).map_err(|error| {
                    match server::start(&self.config.server, Arc::clone(telemetry), host) {
                        Ok(server) => self.server = Some(server),
                        Err(error) => log::error!("{error}; no page is served until a reload that works"),
                    }
                    refused(&error)
                })
            }
        }
    }

    fn exchange_lanes(&mut self, config: &Config, started: Vec<Running>) {
        let mut old = std::mem::take(&mut self.lanes);
        let mut started = started.into_iter();
        for settings in &config.lanes {
            if let Some(at) = old.iter().position(|lane| lane.can_become(settings)) {
                let mut lane = old.remove(at);
                if lane.change_to(settings) {
                    log::info!("destination {}: changed: {}", settings.lane_name(), settings.kind);
                }
                self.lanes.push(lane);
            } else if let Some(mut lane) = started.next() {
                // They were made in this order.
                lane.begin();
                self.lanes.push(lane);
            }
        }
        self.fanout.exchange(self.lanes.iter().map(Running::way).collect());
        for gone in old {
            self.let_go(gone, config);
        }
    }

    fn let_go(&mut self, gone: Running, config: &Config) {
        self.threads.ask(&gone.threads);
        let name = gone.settings.lane_name();
        if config.lanes.iter().any(|lane| lane.is_same_lane(&gone.settings)) {
            log::info!("destination {name}: changed: other threads go on with it");
        } else {
            match gone.status().queue_frames() {
                0 => log::info!("destination {name}: let go of; nothing waits for it"),
                waiting => log::warn!(
                    "destination {name}: let go of; requests that wait: {waiting}; what can't be delivered within its \
                     grace stays on disk, and is lost where it has no spool"
                ),
            }
            if let Some(home) = stranded::abandoned(&gone.settings, &config.lanes) {
                gone.abandon();
                self.stranded.is_said(home);
            }
        }
        self.ending.push(gone.end());
    }

    fn exchange_collectors(
        &mut self,
        order: &[&'static str],
        kept: &[&str],
        fresh: &Fresh,
        slow: Vec<(&'static str, Id)>,
    ) {
        let old = std::mem::take(&mut self.collectors);
        let of = |name: &str| {
            let all = if kept.contains(&name) { &old } else { &fresh.statuses };
            all.iter().find(|status| status.name() == name).cloned()
        };
        self.collectors = order.iter().filter_map(|name| of(name)).collect();
        let (kept, gone): (Vec<_>, Vec<_>) = self.slow.drain(..).partition(|(name, _)| kept.contains(name));
        self.threads.ask(&gone.iter().map(|(_, id)| *id).collect::<Vec<_>>());
        self.slow = kept;
        self.slow.extend(slow);
    }
}
