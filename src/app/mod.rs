//! Wiring only: build, start consumers first, wait, stop producers first.

mod after_burst;
mod check;
mod explain;
mod first_rounds;
mod health;
mod identity;
mod lanes;
mod list;
mod listen;
mod logging;
mod notify;
mod once;
mod pushes;
mod reload;
mod sched;
mod scrapes;
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
use std::path::Path;
use std::time::Duration;

use log::{Level, LevelFilter};

use crate::cli::{self, Command, Exit, Invocation, Mode};
use crate::config::{self, Config};
use crate::host::{HostPaths, host_name};
use crate::http::Url;
use crate::shaping::Series;

use self::identity::Identity;
use self::service::Setup;

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
            if invocation.mode.is_logged() {
                logging::set_format(problems.log_format);
            }
            complain(&problems);
            return Exit::Config;
        }
    };
    let unknown = config::unknown_variables(config::process_env_names(), |name| asked.borrow().contains(name));
    config.warnings.extend(unknown.into_iter().chain(identity::warning(&config::process_env)));
    let log_level = invocation.log_level;
    logging::set_level(level(log_level, &config));
    if invocation.mode.is_logged() {
        logging::set_format(config.log_format);
    }
    let paths = config::host_paths(invocation.root.as_deref(), &config::process_env);
    let identity = || Identity::of(&paths, Path::new("/"), &config::process_env);
    match invocation.mode {
        Mode::Check => check(&config, &paths),
        Mode::Spool => spool::list(&config),
        Mode::Explain(series) => explain(&config, &series),
        Mode::List(format) => list::list(&config, &paths, format),
        Mode::Once(format, naming) => {
            once::once(&config, &paths, format, naming, identity().resource(&host_name, None))
        }
        // Not earlier: what hangs before this, such as a configuration from a pipe, can be interrupted.
        Mode::Serve => {
            if let Err(error) = signals::block() {
                complain(&format!("cannot block signals: {error}"));
                return Exit::Internal;
            }
            let identity = identity();
            serve::serve(Setup { source, paths, host_name, identity, log_level }, config)
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
    print(&format!("{}: the configuration is good; destinations: {}\n", config.source, config.destinations))
}

fn explain(config: &Config, series: &str) -> Exit {
    // It was looked at with the other flags.
    match Series::parse(series) {
        Ok(series) => print(&explain::explain(config, &series)),
        Err(why) => {
            complain(&why);
            Exit::Usage
        }
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
    say(Level::Error, &what.to_string());
}

fn warn(what: &(impl std::fmt::Display + ?Sized)) {
    say(Level::Warn, &format!("warning: {what}"));
}

fn say(level: Level, what: &str) {
    // After what was logged before it.
    logging::finish();
    let priority = logging::priority(level);
    if logging::is_json() {
        // A line is an object, whatever it says.
        for line in what.lines().map(|line| line.strip_prefix("warning: ").unwrap_or(line)) {
            let _ = writeln!(io::stderr(), "{priority}{}", logging::line(level, module_path!(), line, false));
        }
        return;
    }
    // The journal takes each line for itself.
    let what = what.replace('\n', &format!("\n{priority}"));
    let _ = writeln!(io::stderr(), "{priority}metricsd: {what}");
}
