//! The configuration as a whole: text in, settings or problems out.

mod collectors;
mod credentials;
mod environment;
mod examples;
mod files;
mod form;
mod server;
mod shippers;
mod transforms;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::http::HttpSettings;
use crate::secret::{self, Secret};

const EXAMPLE: &str = include_str!("../../../config.example.json");
const EXAMPLE_SHIPPER: &str = include_str!("../../../docs/examples/shipper.json");

fn load_with(text: &str, env: &[(&str, &str)]) -> Result<Config, Problems> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    let look = |name: &str| env.get(name).map(|value| (*value).to_owned());
    load(Source::Text("c.json".into(), text.as_bytes().to_vec()), &look, "host1")
}

fn loaded(text: &str) -> Config {
    load_with(text, &[]).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

fn loaded_with(text: &str, env: &[(&str, &str)]) -> Config {
    load_with(text, env).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

/// The problems of `text`, a line each.
fn problems(text: &str) -> Vec<String> {
    problems_with(text, &[])
}

fn problems_with(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    let problems = load_with(text, env).expect_err(text);
    assert!(!problems.is_empty());
    problems.iter().map(ToString::to_string).collect()
}

/// The one problem of `text`.
fn problem(text: &str) -> String {
    let all = problems(text);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap()
}

/// A shipper in a file of one line; `more` begins with a comma.
fn shipper(more: &str) -> String {
    format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "http://h/"{more}}}}}"#)
}

/// How the one destination of `text` is reached.
fn http_of(text: &str, env: &[(&str, &str)]) -> HttpSettings {
    let config = load_with(text, env).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    config.lanes[0].kind.http().unwrap().clone()
}

fn given(text: &str) -> secret::Source {
    secret::Source::Given(Secret::new(text))
}

/// A directory that is gone when the test is.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("metricsd-config-{}-{count}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        TempDir(dir)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
