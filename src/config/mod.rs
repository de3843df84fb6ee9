//! The configuration: what was written, and what it means.
//!
//! A file's text becomes a tree whose values know their place (`json`), and the environment
//! is laid over it (`env`). The fields that there are stand beside the settings that they set,
//! in tables (`crate::fields`) that `root` gathers; `fill` reads the tree by them. What concerns
//! several objects comes last (`root`, `shipper`). Whatever is wrong is noted and the reading
//! goes on, so that an operator sees all problems at once. What comes out holds no invalid state.

mod context;
mod env;
mod expand;
mod fill;
mod json;
mod loaded;
mod not_yet;
mod problem;
mod root;
mod shipper;
#[cfg(test)]
mod tests;
mod written;

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::http::Env;
use crate::scrape;

pub use env::{host_paths, process_env, process_env_names, unknown_variables, variables};
pub use loaded::{Config, LogFormat};
pub use problem::{Problem, Problems};
pub use root::{fields, rows};

/// The file that is read where none was named, if it is there.
pub const DEFAULT_FILE: &str = "config.json";

/// A file beyond this is none of ours; the largest sensible one has a few kilobytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file that was named; it has to be there.
    File(PathBuf),
    /// [`DEFAULT_FILE`] in the working directory, or built-in defaults where there is none.
    Default,
    /// A text, and what to call it in messages.
    Text(String, Vec<u8>),
}

impl From<Option<PathBuf>> for Source {
    fn from(named: Option<PathBuf>) -> Source {
        named.map_or(Source::Default, Source::File)
    }
}

/// Reads and checks the whole configuration. `host_name` becomes remote write's `instance`.
pub fn load(source: Source, env: Env<'_>, host_name: &str) -> Result<Config, Problems> {
    let (name, bytes) = match source {
        Source::File(path) => read_file(&path)?,
        Source::Default if is_there(Path::new(DEFAULT_FILE)) => read_file(Path::new(DEFAULT_FILE))?,
        Source::Default => ("built-in defaults".to_owned(), b"{}".to_vec()),
        Source::Text(name, bytes) => (name, bytes),
    };
    let problem = |place, message| Problem { source: name.clone(), place, path: String::new(), message };
    // Editors on other systems write a byte order mark; it carries nothing.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let place = problem::line_and_column(&valid, valid.len());
        problem(Some(place), "not UTF-8 text; save the file as UTF-8".to_owned())
    })?;
    let mut root =
        json::parse(text).map_err(|fault| problem(Some(problem::line_and_column(text, fault.at)), fault.message))?;
    let cx = context::Context::new(&name, text, env);
    env::lay_over(&mut root, &cx);
    root::refuse_both(&cx, &mut root);
    let mut config = root::read(&cx, &root, host_name);
    let log_format = config.log_format;
    config.warnings = cx.finish().map_err(|mut problems| {
        problems.log_format = log_format;
        problems
    })?;
    config.source = name;
    Ok(config)
}

/// What a file of endpoints says, where an endpoint is asked each `interval` unless it says otherwise.
/// `text` is a list of endpoints, or one of Prometheus' `file_sd`.
///
/// # Errors
/// All that is wrong with it, a line each, without the file's name: who asked knows that.
pub fn endpoints_of(
    path: &Path,
    text: &str,
    interval: Duration,
    env: Env<'_>,
) -> Result<Vec<Arc<scrape::Settings>>, String> {
    let made = scrape::from_file_sd(path, text)?;
    let is_made = made.is_some();
    let text = made.map_or(Cow::Borrowed(text), Cow::Owned);
    // It is read as if it stood in a configuration, a line further down, over which no variables are laid.
    let interval = interval.as_secs_f64();
    let whole = format!("{{\"collector\":{{\"interval_seconds\":{interval}}},\"endpoints\":\n{text}\n}}");
    let env = |name: &str| if name.starts_with("MC_") { None } else { env(name) };
    let source = Source::Text(path.display().to_string(), whole.into_bytes());
    let file = format!("{}:", path.display());
    let without_file = |line: &str| line.strip_prefix(&*file).unwrap_or(line).trim_start().to_owned();
    let in_words = |problems: Problems| {
        problems.in_text(!is_made).to_string().lines().map(without_file).collect::<Vec<_>>().join("\n")
    };
    let config = load(source, &env, "").map_err(in_words)?;
    Ok(config.endpoints)
}

/// Whether anything is there, be it a link to nowhere: what an operator put there must be
/// read or complained of, not passed over.
fn is_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The file's name for messages, and its bytes.
fn read_file(path: &Path) -> Result<(String, Vec<u8>), Problem> {
    let name = path.display().to_string();
    let problem = |message| Problem { source: name.clone(), place: None, path: String::new(), message };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_FILE_BYTES => {
            Err(problem(format!("larger than {MAX_FILE_BYTES} bytes; is this the right file?")))
        }
        Ok(_) => Ok((name, bytes)),
        Err(error) => Err(problem(match error.kind() {
            io::ErrorKind::IsADirectory => "is a directory; name the file in it".to_owned(),
            io::ErrorKind::NotFound => "no such file; name another one with -config".to_owned(),
            io::ErrorKind::PermissionDenied => "may not be read by this user; change its owner or mode".to_owned(),
            _ => format!("cannot be read: {error}"),
        })),
    }
}
