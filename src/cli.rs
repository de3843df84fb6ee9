//! The command line: what was typed, as something that cannot hold nonsense.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use log::LevelFilter;

use crate::model::Scheme;
use crate::nearest::{did_you_mean, nearest};
use crate::shaping::Series;
use crate::telemetry;

/// How the program ends. The numbers are those of `sysexits.h`, which service managers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Did what it was asked to.
    Ok = 0,
    /// Unknown flag or bad use.
    Usage = 64,
    /// The HTTP server cannot listen: the port is taken, or the address is not there (yet); or
    /// `-health` got no good answer.
    Unavailable = 69,
    /// A bug, a thread that ended uninvited, or `-once` that could read nothing.
    Internal = 70,
    /// No permission.
    Permission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// Every way to end: in a word or two, and in the words of the documentation.
pub static EXITS: [(Exit, &str, &str); 6] = [
    (Exit::Ok, "fine", "stopped by SIGTERM or SIGINT, or did what it was asked to"),
    (Exit::Usage, "bad use", "an unknown flag or bad use"),
    (
        Exit::Unavailable,
        "unavailable",
        "the HTTP port is taken, or `server.host` is not (yet) an address of this host; or `-health` got no good answer",
    ),
    (Exit::Internal, "internal", "a bug: a thread ended uninvited; or `-once` could read nothing"),
    (Exit::Permission, "permission", "no permission to bind the port"),
    (Exit::Config, "configuration", "the configuration is wrong"),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print [`help`].
    Help,
    /// Print [`version`].
    Version,
    /// `-health`: ask the metricsd that serves this URL how it is.
    Health(String),
    /// Load the configuration and work with it.
    Run(Invocation),
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do with the configuration.
    pub mode: Mode,
    /// `-config`, if it was given.
    pub config: Option<PathBuf>,
    /// `-root`, if it was given.
    pub root: Option<PathBuf>,
    /// `-log-level`, else `MC_LOG_LEVEL`; either goes over the configuration's `log_level`.
    pub log_level: Option<LevelFilter>,
}

/// What to do with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Collect, serve and ship until stopped.
    Serve,
    /// `-check`: only say what is wrong with it.
    Check,
    /// `-spool`: list what waits on disk.
    Spool,
    /// `-explain`: say what rules do to this series.
    Explain(String),
    /// `-list`: print which collectors and metrics there are.
    List(Format),
    /// `-once`: print one round, ship nothing.
    Once(Format, Scheme),
}

impl Mode {
    /// Whether what it says on standard error is a log, in the form that the configuration asks
    /// for; else a person reads it.
    pub fn is_logged(&self) -> bool {
        matches!(self, Mode::Serve | Mode::Once(..))
    }
}

/// How `-once` and `-list` print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text; `-list`: tables.
    #[default]
    Prom,
    /// The payload of `http_json`; `-list`: one object.
    Json,
}

/// Why a command line was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// What was typed is wrong.
    Flag(String),
    /// `MC_LOG_LEVEL` is wrong: the environment is part of the configuration.
    Variable(String),
}

impl UsageError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            UsageError::Flag(_) => Exit::Usage,
            UsageError::Variable(_) => Exit::Config,
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Flag(message) => write!(f, "{message}; see metricsd -help"),
            UsageError::Variable(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for UsageError {}

/// A flag: how it is written, what it means, what it does.
struct Flag {
    name: &'static str,
    takes: Takes,
    help: &'static str,
}

enum Takes {
    /// Nothing, or `=true` and `=false`.
    Switch(fn(&mut Typed, bool)),
    /// A value, shown in the help under this name.
    Value(&'static str, fn(&mut Typed, &OsStr) -> Result<(), String>),
}

/// Everything typed so far.
#[derive(Default)]
struct Typed {
    config: Option<PathBuf>,
    root: Option<PathBuf>,
    log_level: Option<LevelFilter>,
    check: bool,
    list: bool,
    once: bool,
    spool: bool,
    explain: Option<String>,
    health: Option<String>,
    format: Option<Format>,
    naming: Option<Scheme>,
    help: bool,
    version: bool,
}

static FLAGS: [Flag; 13] = [
    Flag {
        name: "config",
        takes: Takes::Value("FILE", |typed, value| {
            typed.config = Some(path(value)?);
            Ok(())
        }),
        help: "configuration file; without it config.json in the working directory if there\n\
               is one, else built-in defaults",
    },
    Flag {
        name: "log-level",
        takes: Takes::Value("LEVEL", |typed, value| {
            typed.log_level = Some(log_level(&value.to_string_lossy())?);
            Ok(())
        }),
        help: "debug, info, warn or error (default: MC_LOG_LEVEL, else the configuration's\n\
               log_level, else info)",
    },
    Flag {
        name: "check",
        takes: Takes::Switch(|typed, on| typed.check = on),
        help: "check the configuration, print every problem in it, and exit",
    },
    Flag {
        name: "once",
        takes: Takes::Switch(|typed, on| typed.once = on),
        help: "collect one round, print it and exit; ships nothing",
    },
    Flag {
        name: "list",
        takes: Takes::Switch(|typed, on| typed.list = on),
        help: "list the collectors (on or off, what they read and need, whether this host has\n\
               it) and all metrics with their names in each scheme, and exit",
    },
    Flag {
        name: "explain",
        takes: Takes::Value("SERIES", |typed, value| {
            typed.explain = Some(series(&value.to_string_lossy())?);
            Ok(())
        }),
        help: "say what the rules of each destination do to a series, name{label=\"value\"}, and\n\
               what leaves, and exit",
    },
    Flag {
        name: "spool",
        takes: Takes::Switch(|typed, on| typed.spool = on),
        help: "list what waits on disk for each destination, or for none, and exit",
    },
    Flag {
        name: "health",
        takes: Takes::Value("URL", |typed, value| {
            typed.health = Some(url(&value.to_string_lossy())?);
            Ok(())
        }),
        help: "ask a running metricsd, say http://127.0.0.1:8080/health, whether it is well",
    },
    Flag {
        name: "format",
        takes: Takes::Value("FORMAT", |typed, value| {
            typed.format = Some(format(&value.to_string_lossy())?);
            Ok(())
        }),
        help: "what -once prints: prom or json (default prom); -list prints tables or json",
    },
    Flag {
        name: "naming",
        takes: Takes::Value("SCHEME", |typed, value| {
            typed.naming = Some(naming(&value.to_string_lossy())?);
            Ok(())
        }),
        help: "by which names -once prints: native, node_exporter or otel (default native)",
    },
    Flag {
        name: "root",
        takes: Takes::Value("DIR", |typed, value| {
            typed.root = Some(path(value)?);
            Ok(())
        }),
        help: "take DIR/proc, DIR/sys and DIR for the host's /proc, /sys and /",
    },
    Flag { name: "help", takes: Takes::Switch(|typed, on| typed.help |= on), help: "print this and exit" },
    Flag { name: "version", takes: Takes::Switch(|typed, on| typed.version |= on), help: "print the version and exit" },
];

/// Reads `args`, without the program's name. `env` is asked for `MC_LOG_LEVEL`.
///
/// Flags have one dash or two and their value in the same argument after `=` or in the
/// next; the last of several wins, as with Go's flag package.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Command, UsageError> {
    let mut typed = Typed::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        read_flag(&mut typed, &arg, &mut args).map_err(UsageError::Flag)?;
        if typed.help {
            return Ok(Command::Help);
        }
        if typed.version {
            return Ok(Command::Version);
        }
    }
    if let Some(url) = typed.health {
        let modes = typed.check || typed.list || typed.once || typed.spool || typed.explain.is_some();
        let others = modes || typed.format.is_some() || typed.naming.is_some();
        if others || typed.config.is_some() || typed.root.is_some() {
            return Err(UsageError::Flag("-health asks another process; it stands alone".to_owned()));
        }
        return Ok(Command::Health(url));
    }
    let (format, naming) = (typed.format.unwrap_or_default(), typed.naming.unwrap_or_default());
    let modes = [
        (typed.check, Mode::Check),
        (typed.list, Mode::List(format)),
        (typed.once, Mode::Once(format, naming)),
        (typed.spool, Mode::Spool),
        (typed.explain.is_some(), Mode::Explain(typed.explain.unwrap_or_default())),
    ];
    let mut asked = modes.into_iter().filter_map(|(is_asked, mode)| is_asked.then_some(mode));
    let mode = asked.next().unwrap_or(Mode::Serve);
    if asked.next().is_some() {
        return Err(UsageError::Flag("-check, -explain, -list, -once and -spool exclude each other".to_owned()));
    }
    if typed.format.is_some() && !typed.once && !typed.list {
        return Err(UsageError::Flag("-format goes with -once and -list".to_owned()));
    }
    if typed.naming.is_some() && !typed.once {
        return Err(UsageError::Flag("-naming goes with -once".to_owned()));
    }
    // Looked at even where the flag decides: a wrong value is never passed over.
    let from_env = env("MC_LOG_LEVEL")
        .filter(|level| !level.is_empty())
        .map(|level| log_level(&level).map_err(|why| UsageError::Variable(format!("MC_LOG_LEVEL: {why}"))))
        .transpose()?;
    let log_level = typed.log_level.or(from_env);
    Ok(Command::Run(Invocation { mode, config: typed.config, root: typed.root, log_level }))
}

fn read_flag(typed: &mut Typed, arg: &OsStr, rest: &mut impl Iterator<Item = OsString>) -> Result<(), String> {
    let bytes = arg.as_bytes();
    let Some(after) = bytes.strip_prefix(b"--").or(bytes.strip_prefix(b"-")).filter(|after| !after.is_empty()) else {
        return Err(format!("unexpected argument {arg:?}; everything is said by flags"));
    };
    let (name, value) = match after.iter().position(|b| *b == b'=') {
        Some(at) => (&after[..at], Some(OsStr::from_bytes(&after[at + 1..]))),
        None => (after, None),
    };
    let name = String::from_utf8_lossy(name);
    let wanted = if name == "h" { "help" } else { name.as_ref() };
    let Some(flag) = FLAGS.iter().find(|flag| flag.name == wanted) else {
        let known = FLAGS.iter().map(|flag| flag.name);
        let hint = nearest(wanted, known).map(|name| format!("; did you mean -{name}?")).unwrap_or_default();
        let shown: String = name.chars().take(60).collect();
        return Err(format!("unknown flag {:?}{hint}", format!("-{shown}")));
    };
    match &flag.takes {
        Takes::Switch(set) => match value.map(OsStr::as_bytes) {
            None | Some(b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True") => set(typed, true),
            Some(b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False") => set(typed, false),
            Some(_) => return Err(format!("-{wanted} takes true or false, not {:?}", value.unwrap_or_default())),
        },
        Takes::Value(placeholder, set) => {
            let next;
            let value = match value {
                Some(value) => value,
                None => {
                    next = rest.next();
                    // `-config -check` is a forgotten value; a file of that name is given with `=`.
                    next.as_deref()
                        .filter(|next| !next.as_bytes().starts_with(b"-"))
                        .ok_or_else(|| format!("-{wanted} needs a value: -{wanted} {placeholder}"))?
                }
            };
            set(typed, value).map_err(|why| format!("-{wanted}: {why}"))?;
        }
    }
    Ok(())
}

fn path(value: &OsStr) -> Result<PathBuf, String> {
    if value.is_empty() { Err("expected a path, got \"\"".to_owned()) } else { Ok(PathBuf::from(value)) }
}

/// What is wrong with the rest of it, whoever connects says. A host and a port alone are those
/// of a metricsd, whose page this is about.
fn url(value: &str) -> Result<String, String> {
    let scheme = value.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let place = value.split_once("://").map_or(value, |(_, place)| place).split('/').next().unwrap_or_default();
    // Behind the brackets of an IPv6 address; one without them is refused later on.
    let port = match place.rsplit_once(']') {
        Some((_, port)) => port.strip_prefix(':'),
        None => place.rsplit_once('@').map_or(place, |(_, host)| host).split_once(':').map(|(_, port)| port),
    };
    if port.is_some_and(|port| !port.contains(':') && port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Err(format!("expected a port from 1 to 65535, got {:?}", port.unwrap_or_default()));
    }
    match scheme.as_deref() {
        Some("http" | "https") => Ok(value.to_owned()),
        None if value.contains('/') && !value.starts_with('/') => Ok(format!("http://{value}")),
        None if !value.contains('/') && !value.is_empty() => Ok(format!("http://{value}/health")),
        _ => Err("expected a URL such as http://127.0.0.1:8080/health".to_owned()),
    }
}

/// A series, as it was typed.
fn series(text: &str) -> Result<String, String> {
    Series::parse(text).map_err(|why| format!("{why}; a series is written as name{{label=\"value\"}}"))?;
    Ok(text.to_owned())
}

fn log_level(level: &str) -> Result<LevelFilter, String> {
    match level {
        "debug" => Ok(LevelFilter::Debug),
        "info" => Ok(LevelFilter::Info),
        "warn" => Ok(LevelFilter::Warn),
        "error" => Ok(LevelFilter::Error),
        _ => {
            let hint = did_you_mean(level, ["debug", "info", "warn", "error"]);
            Err(format!("expected debug, info, warn or error, got {level:?}{hint}"))
        }
    }
}

fn format(format: &str) -> Result<Format, String> {
    match format {
        "prom" => Ok(Format::Prom),
        "json" => Ok(Format::Json),
        "otlp-json" => Err("otlp-json is not available in this version; use prom or json".to_owned()),
        _ => Err(format!("expected prom or json, got {format:?}")),
    }
}

fn naming(name: &str) -> Result<Scheme, String> {
    let known = Scheme::ALL.map(Scheme::as_str);
    Scheme::parse(name).ok_or_else(|| {
        let hint = nearest(name, known).map(|known| format!("; did you mean {known:?}?")).unwrap_or_default();
        format!("expected {}, got {name:?}{hint}", known.join(", "))
    })
}

/// A flag as the documentation and the shells' completions have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagRow {
    /// Without its dash.
    pub name: &'static str,
    /// What its value is called; none where it takes none.
    pub value: Option<&'static str>,
    /// What it means, in one line.
    pub meaning: String,
}

/// All flags, in the order of [`help`].
pub fn flags() -> impl Iterator<Item = FlagRow> {
    FLAGS.iter().map(|flag| {
        let value = match flag.takes {
            Takes::Switch(_) => None,
            Takes::Value(placeholder, _) => Some(placeholder),
        };
        FlagRow { name: flag.name, value, meaning: flag.help.replace('\n', " ") }
    })
}

/// What `-help` prints.
pub fn help() -> String {
    let mut text = "metricsd reads this host's metrics from the kernel's own files, serves them over HTTP\n\
                    and ships them to the destinations that its configuration names.\n\n\
                    usage: metricsd [flags]\n\n"
        .to_owned();
    for flag in &FLAGS {
        let usage = match flag.takes {
            Takes::Switch(_) => format!("-{}", flag.name),
            Takes::Value(placeholder, _) => format!("-{} {placeholder}", flag.name),
        };
        for (i, line) in flag.help.lines().enumerate() {
            let left = if i == 0 { usage.as_str() } else { "" };
            text.push_str(&format!("  {left:<18} {line}\n"));
        }
    }
    let exits = EXITS.map(|(exit, word, _)| format!("{} {word}", exit as u8)).join(", ");
    text.push_str("\nA flag has one dash or two, and its value follows after a space or =.\n");
    text.push_str(&format!("exit codes: {exits}\n"));
    text
}

/// What `-version` prints.
pub fn version() -> String {
    format!("metricsd {} ({}, {})\n", telemetry::VERSION, telemetry::COMMIT, telemetry::TARGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, UsageError> {
        parse(args.iter().map(OsString::from), &|_| None)
    }

    fn run(args: &[&str]) -> Invocation {
        match parsed(args) {
            Ok(Command::Run(invocation)) => invocation,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn refused(args: &[&str]) -> String {
        let error = parsed(args).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        error.to_string()
    }

    #[test]
    fn nothing_typed_means_serve_with_defaults() {
        let plain = Invocation { mode: Mode::Serve, config: None, root: None, log_level: None };
        assert_eq!(run(&[]), plain);
    }

    #[test]
    fn values_follow_after_a_space_or_an_equals_sign_and_dashes_are_one_or_two() {
        for args in [
            &["-config", "x.json"][..],
            &["--config", "x.json"],
            &["-config=x.json"],
            &["--config=x.json"],
            &["-config", "y", "-config", "x.json"],
        ] {
            assert_eq!(run(args).config, Some(PathBuf::from("x.json")));
        }
        assert_eq!(run(&["-config=-odd=name"]).config, Some(PathBuf::from("-odd=name")));
        assert_eq!(run(&["-root", "/host", "-log-level=debug"]).log_level, Some(LevelFilter::Debug));
    }

    #[test]
    fn modes_and_their_switches() {
        assert_eq!(run(&["-check"]).mode, Mode::Check);
        assert_eq!(run(&["-check=true"]).mode, Mode::Check);
        assert_eq!(run(&["-check=false"]).mode, Mode::Serve);
        assert_eq!(run(&["-once"]).mode, Mode::Once(Format::Prom, Scheme::Native));
        assert_eq!(run(&["-format", "json", "--once"]).mode, Mode::Once(Format::Json, Scheme::Native));
        assert_eq!(parsed(&["-h"]), Ok(Command::Help));
        assert_eq!(parsed(&["--help", "-bogus"]), Ok(Command::Help));
        assert_eq!(parsed(&["-version"]), Ok(Command::Version));
        for (given, asked) in [
            ("HTTP://h/", "HTTP://h/"),
            ("localhost:8080/health", "http://localhost:8080/health"),
            ("localhost:8080/", "http://localhost:8080/"),
            ("[::1]:8080", "http://[::1]:8080/health"),
        ] {
            assert_eq!(parsed(&["-health", given]), Ok(Command::Health(asked.to_owned())));
        }
    }

    #[test]
    fn bad_use_is_explained() {
        for (args, said) in [
            (&["-confg", "x"][..], "unknown flag \"-confg\"; did you mean -config?"),
            (&["-x\n"], "unknown flag \"-x\\n\""),
            (&["-config"], "-config needs a value: -config FILE"),
            (&["-config", "-check"], "-config needs a value"),
            (&["-config="], "-config: expected a path"),
            (&["config.json"], "unexpected argument \"config.json\""),
            (&["-"], "unexpected argument"),
            (&["--"], "unexpected argument"),
            (&["-check=maybe"], "-check takes true or false, not \"maybe\""),
            (&["-log-level", "warning"], "-log-level: expected debug, info, warn or error, got \"warning\""),
            (&["-once", "-format", "otlp-json"], "not available in this version"),
            (&["-once", "-format", "xml"], "expected prom or json"),
            (&["-format", "json"], "-format goes with -once and -list"),
            (&["-naming", "otel"], "-naming goes with -once"),
            (&["-once", "-naming", "node"], "expected native, node_exporter, otel, got \"node\""),
            (&["-check", "-once"], "exclude each other"),
            (&["-list", "-once"], "exclude each other"),
            (&["-health"], "-health needs a value: -health URL"),
            (&["-health", "ftp://localhost:8080"], "-health: expected a URL such as http://"),
            (&["-health", "/health"], "-health: expected a URL such as http://"),
            (&["-health", ""], "-health: expected a URL such as http://"),
            (&["-health", "http://h:99999/"], "-health: expected a port from 1 to 65535, got \"99999\""),
            (&["-health", "h:/health"], "-health: expected a port from 1 to 65535, got \"\""),
            (&["-health", "http://[::1]:0/"], "-health: expected a port from 1 to 65535, got \"0\""),
            (&["-health", "http://h/", "-check"], "-health asks another process; it stands alone"),
            (&["-health", "http://h/", "-config", "x"], "stands alone"),
        ] {
            let error = refused(args);
            assert!(error.contains(said) && error.ends_with("; see metricsd -help"), "{args:?}: {error}");
        }
    }

    #[test]
    fn arguments_need_not_be_utf8() {
        let odd = OsStr::from_bytes(b"-config=\xff.json").to_owned();
        let Ok(Command::Run(invocation)) = parse([odd], &|_| None) else { panic!() };
        assert_eq!(invocation.config, Some(PathBuf::from(OsStr::from_bytes(b"\xff.json"))));
        for odd in [&b"\xff"[..], b"-\xff", b"-log-level=\xff", b"-check=\xff"] {
            assert!(parse([OsStr::from_bytes(odd).to_owned()], &|_| None).is_err());
        }
    }

    #[test]
    fn the_log_level_comes_from_the_flag_then_the_environment() {
        let with = |level: &'static str, args: &[&str]| {
            parse(args.iter().map(OsString::from), &|name| (name == "MC_LOG_LEVEL").then(|| level.to_owned()))
        };
        let level = |result| match result {
            Ok(Command::Run(invocation)) => invocation.log_level,
            other => panic!("{other:?}"),
        };
        assert_eq!(level(with("error", &[])), Some(LevelFilter::Error));
        assert_eq!(level(with("error", &["-log-level", "warn"])), Some(LevelFilter::Warn));
        assert_eq!(level(with("", &[])), None);
        let error = with("loud", &[]).unwrap_err();
        assert_eq!(error.exit(), Exit::Config);
        assert_eq!(error.to_string(), "MC_LOG_LEVEL: expected debug, info, warn or error, got \"loud\"");
        assert_eq!(with("loud", &["-help"]), Ok(Command::Help));
    }

    #[test]
    fn the_help_names_every_flag_within_a_terminals_width() {
        let help = help();
        for flag in &FLAGS {
            assert!(help.contains(&format!("\n  -{}", flag.name)), "{}", flag.name);
        }
        assert!(help.lines().all(|line| line.len() <= 100));
    }
}
