//! Wiring only: build, start consumers first, wait, stop producers first.

mod check;
mod health;
mod lanes;
mod logging;
mod notify;
mod reload;
mod serve;
mod service;
mod signals;
mod spool;
mod stranded;
mod threads;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use log::{Level, LevelFilter};

use crate::cli::{self, Command, Exit, Format, Invocation, Mode};
use crate::collectors;
use crate::config::{self, Config};
use crate::formats::{json, text};
use crate::host::{HostPaths, SystemStatFs, host_name, wall_ms};
use crate::http::Url;
use crate::model::{Batch, Frame, Labels, Resource};
use crate::pipeline::{Clock, Collectors};
use crate::telemetry::rfc3339;

use self::service::{Setup, start_slow};
use self::threads::Threads;

/// What is left of a file system's timeout for the rest of a slow round, in `-once`.
const ONCE_MARGIN: Duration = Duration::from_secs(1);

/// How long `-health` waits: less than the checks of containers do.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// The program, from its arguments to its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    match cli::parse(args, &config::process_env) {
        Ok(Command::Help) => print(&cli::help()),
        Ok(Command::Version) => print(&cli::version()),
        Ok(Command::Health(url)) => health(&Url::new(url)),
        Ok(Command::Run(invocation)) => {
            let exit = run(invocation);
            logging::finish();
            exit
        }
        Err(error) => {
            complain(&error);
            error.exit()
        }
    }
}

fn run(invocation: Invocation) -> Exit {
    logging::start();
    let host_name = host_name();
    let source = config::Source::from(invocation.config);
    let asked = RefCell::new(BTreeSet::from(["MC_LOG_LEVEL".to_owned()]));
    let env = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        config::process_env(name)
    };
    let mut config = match config::load(source.clone(), &env, &host_name) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return Exit::Config;
        }
    };
    let unknown = config::unknown_variables(config::process_env_names(), |name| asked.borrow().contains(name));
    config.warnings.extend(unknown);
    let log_level = invocation.log_level;
    logging::set_level(level(log_level, &config));
    let paths = config::host_paths(invocation.root.as_deref(), &config::process_env);
    match invocation.mode {
        Mode::Check => check(&config, &paths),
        Mode::Spool => spool::list(&config),
        Mode::Once(format) => once(&config, &paths, format, &host_name),
        // Not earlier: what hangs before this, such as a configuration from a pipe, can be interrupted.
        Mode::Serve => {
            if let Err(error) = signals::block() {
                complain(&format!("cannot block signals: {error}"));
                return Exit::Internal;
            }
            serve::serve(Setup { source, paths, host_name, log_level }, config)
        }
    }
}

/// From what level on to log: `said` by the command line or the environment, or else by `config`.
fn level(said: Option<LevelFilter>, config: &Config) -> LevelFilter {
    said.or(config.log_level).unwrap_or(LevelFilter::Info)
}

/// Asks the metricsd behind `url`; a good answer needs no word.
fn health(url: &Url) -> Exit {
    match health::ask(url, HEALTH_TIMEOUT) {
        Ok(()) => Exit::Ok,
        Err(why) => {
            complain(&why);
            Exit::Unavailable
        }
    }
}

fn check(config: &Config, paths: &HostPaths) -> Exit {
    for warning in config.warnings.iter().chain(&check::warnings(config, paths)) {
        warn(&warning);
    }
    print(&format!("{}: the configuration is good; destinations: {}\n", config.source, config.lanes.len()))
}

fn once(config: &Config, paths: &HostPaths, format: Format, host_name: &str) -> Exit {
    let built = collectors::build(&config.collectors, paths, Arc::new(SystemStatFs));
    let resource = Arc::new(Resource { host: host_name.into(), boot_ms: None });
    let (collectors, _, workers) = Collectors::new(built, config.collectors.max_series);
    let mut threads = Threads::new();
    if let Err(error) = start_slow(&mut threads, workers) {
        complain(&format!("cannot start a thread: {error}"));
        return Exit::Internal;
    }
    if Clock::of_this_build().is_unset(wall_ms()) {
        warn(&format!("the clock says {}, so it is not set", rfc3339(wall_ms())));
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
            let mut bytes = json::payload(&batch, labels);
            bytes.push(b'\n');
            page = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    page
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
    say(Level::Error, &what.to_string());
}

fn warn(what: &(impl std::fmt::Display + ?Sized)) {
    say(Level::Warn, &format!("warning: {what}"));
}

fn say(level: Level, what: &str) {
    // After what was logged before it.
    logging::finish();
    let priority = logging::priority(level);
    // The journal takes each line for itself.
    let what = what.replace('\n', &format!("\n{priority}"));
    let _ = writeln!(io::stderr(), "{priority}metricsd: {what}");
}
