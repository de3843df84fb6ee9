//! Wiring only: build, start consumers first, wait, stop producers first.

mod logging;
mod signals;
mod threads;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select};

use crate::cli::{self, Command, Exit, Format, Invocation, Mode};
use crate::collectors;
use crate::config::{self, Config};
use crate::host::{SystemStatFs, host_name, monotonic, wall_ms};
use crate::lane::encode::{Encoder, json, text};
use crate::lane::{Compression, HOLD, Lane};
use crate::model::{Batch, Frame, Labels, Resource};
use crate::pipeline::{Collectors, Outlet, Scheduler, SlowWorker};
use crate::server::{self, StartError};
use crate::telemetry::{DestinationStatus, Telemetry, VERSION};

use self::signals::Signal;
use self::threads::Threads;

/// From the first signal to the end, whatever hangs.
const STOP_WITHIN: Duration = Duration::from_secs(9);

/// What is left of a file system's timeout for the rest of a slow round, in `-once`.
const ONCE_MARGIN: Duration = Duration::from_secs(1);

/// The program, from its arguments to its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    match cli::parse(args, &config::process_env) {
        Ok(Command::Help) => print(&cli::help()),
        Ok(Command::Version) => print(&cli::version()),
        Ok(Command::Run(invocation)) => run(invocation),
        Err(error) => {
            complain(&error);
            error.exit()
        }
    }
}

fn run(invocation: Invocation) -> Exit {
    logging::start(invocation.log_level);
    if let Err(error) = signals::block() {
        complain(&format!("cannot block signals: {error}"));
        return Exit::Internal;
    }
    let host_name = host_name();
    let config = match config::load(invocation.config.into(), &config::process_env, &host_name) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return Exit::Config;
        }
    };
    let paths = config::host_paths(invocation.root.as_deref(), &config::process_env);
    let built = collectors::build(&config.collectors, &paths, Arc::new(SystemStatFs));
    match invocation.mode {
        Mode::Check => check(&config),
        Mode::Once(format) => once(&config, built, format, &host_name),
        Mode::Serve => {
            let boot_ms = collectors::uptime::boot_ms(&paths);
            serve(&config, built, Arc::new(Resource { host: host_name.into(), boot_ms }))
        }
    }
}

fn check(config: &Config) -> Exit {
    for warning in &config.warnings {
        complain(&format!("warning: {warning}"));
    }
    print(&format!("{}: the configuration is good; {} destinations\n", config.source, config.lanes.len()))
}

fn once(config: &Config, built: collectors::Built, format: Format, host_name: &str) -> Exit {
    let resource = Arc::new(Resource { host: host_name.into(), boot_ms: None });
    let (collectors, _, workers) = Collectors::new(built, config.collectors.max_series);
    let mut threads = Threads::new();
    if let Err(error) = start_slow(&mut threads, workers) {
        complain(&format!("cannot start a thread: {error}"));
        return Exit::Internal;
    }
    let frames = collectors.once(config.collectors.filesystem.timeout + ONCE_MARGIN);
    if frames.iter().all(|frame| frame.values.is_empty()) {
        complain("nothing could be read");
        return Exit::Internal;
    }
    print(&page(frames, resource, &config.labels, format))
}

/// One round as `-once` prints it.
fn page(frames: Vec<Frame>, resource: Arc<Resource>, labels: &Labels, format: Format) -> String {
    let mut page = String::new();
    match format {
        Format::Prom => text::render(&frames, labels, text::Format::Prometheus, &mut page),
        Format::Json => {
            let batch = Batch { time_ms: wall_ms(), resource, frames };
            let mut bytes = Vec::new();
            json::Json::new(labels.clone(), Compression::None).encode(&batch, &mut bytes);
            bytes.push(b'\n');
            page = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    page
}

fn serve(config: &Config, built: collectors::Built, resource: Arc<Resource>) -> Exit {
    let begun = Instant::now();
    log::info!("metricsd {VERSION} starts; configuration: {}", config.source);
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let (collectors, collector_statuses, slow_workers) = Collectors::new(built, config.collectors.max_series);
    let destinations: Vec<Arc<DestinationStatus>> =
        config.lanes.iter().map(|lane| Arc::new(DestinationStatus::new(&*lane.name, lane.kind.as_str()))).collect();
    let telemetry =
        Arc::new(Telemetry::new(monotonic(), wall_ms(), config.interval, collector_statuses, destinations.clone()));

    let server = match server::start(&config.server, Arc::clone(&telemetry), &resource.host) {
        Ok(server) => server,
        Err(error) => {
            log::error!("{error}");
            return exit_of(&error);
        }
    };
    let (stop, stopped) = bounded(0);
    let mut threads = Threads::new();
    let start = || -> io::Result<Receiver<Signal>> {
        let mut outlets: Vec<Outlet> = Vec::new();
        for (settings, status) in config.lanes.iter().zip(&destinations) {
            let (inlet, _control, lane) = Lane::new(settings, Arc::clone(status), HOLD);
            outlets.push(Box::new(move |batch: &Arc<Batch>| inlet.put(batch)));
            for sender in lane.senders {
                threads.spawn(format!("send-{}", settings.name), move || sender.run())?;
            }
            threads.spawn(format!("keep-{}", settings.name), move || lane.keeper.run())?;
            threads.spawn(format!("lane-{}", settings.name), move || lane.worker.run())?;
            log::info!("destination {}: {}", settings.name, settings.kind);
        }
        start_slow(&mut threads, slow_workers)?;
        let scheduler = Scheduler {
            collectors,
            outlets,
            telemetry: Arc::clone(&telemetry),
            resource: Arc::clone(&resource),
            interval: config.interval,
            stop: stopped,
        };
        threads.spawn("sched", move || scheduler.run())?;
        signals::listen()
    };
    let signals = match start() {
        Ok(signals) => signals,
        Err(error) => {
            log::error!("cannot start a thread: {error}");
            return Exit::Internal;
        }
    };
    log::info!("started in {:.1?}; collecting every {:?}", begun.elapsed(), config.interval);

    let exit = wait(&mut threads, &signals, &telemetry);
    let begun = Instant::now();
    drop(stop);
    let left = threads.wait(STOP_WITHIN, &signals);
    server.stop();
    if left > 0 {
        log::warn!("{left} threads did not end in time and are left behind");
    }
    log::info!("stopped in {:.1?}", begun.elapsed());
    exit
}

/// Waits for the end: a signal, or a thread that should not have ended.
fn wait(threads: &mut Threads, signals: &Receiver<Signal>, telemetry: &Telemetry) -> Exit {
    loop {
        select! {
            recv(signals) -> signal => match signal {
                Ok(Signal::Reload) => log::warn!("SIGHUP: this version cannot reload; restart it to take up changes"),
                Ok(Signal::Stop) => {
                    log::info!("stopping; a second signal ends the program at once");
                    return Exit::Ok;
                }
                Err(_) => {
                    log::error!("the signals thread is gone; stopping");
                    return Exit::Internal;
                }
            },
            recv(threads.ends()) -> ended => {
                telemetry.thread_lost();
                if let Ok(ended) = ended {
                    threads.has_ended(&ended);
                    let how = if ended.panicked { "panicked" } else { "ended" };
                    log::error!("thread {} {how} uninvited; stopping", ended.name);
                }
                return Exit::Internal;
            }
        }
    }
}

fn start_slow(threads: &mut Threads, workers: Vec<SlowWorker>) -> io::Result<()> {
    workers.into_iter().try_for_each(|worker| threads.spawn_unawaited(worker.thread_name(), move || worker.run()))
}

fn exit_of(error: &StartError) -> Exit {
    match error {
        StartError::Resolve(..) | StartError::NotLocal(..) => Exit::Config,
        StartError::Taken(..) => Exit::Unavailable,
        StartError::Permission(..) => Exit::Permission,
        StartError::Other(..) => Exit::Internal,
    }
}

/// Prints to standard output; a reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to standard output: {error}"));
            Exit::Internal
        }
        _ => Exit::Ok,
    }
}

/// Says on standard error what is wrong, before or beside the log.
fn complain(what: &(impl std::fmt::Display + ?Sized)) {
    let _ = writeln!(io::stderr(), "metricsd: {what}");
}
