//! Tells the program from which commit, for which target, and of which date it is built.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// `git archive` writes commit and date into this file (`.gitattributes`).
const ARCHIVED: &str = "packaging/release/commit";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=METRICSD_COMMIT");
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo:rustc-env=METRICSD_TARGET={target}");
    let given = std::env::var("METRICSD_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(commit).or_else(|| archived().map(|(commit, _)| commit));
    println!("cargo:rustc-env=METRICSD_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    if let Some(seconds) = date() {
        println!("cargo:rustc-env=METRICSD_BUILT={seconds}");
    }
}

/// The date of what is built, in seconds since 1970: a host's clock that shows less was never
/// set. As <https://reproducible-builds.org/specs/source-date-epoch/> says, else the commit's,
/// else today's: a builder's clock is the last thing to trust here.
fn date() -> Option<u64> {
    let parse = |text: String| text.trim().parse().ok();
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(parse);
    let root = std::env::var_os("CARGO_MANIFEST_DIR")?;
    let committed = || {
        Path::new(&root).join(".git").exists().then(|| git(&["log", "-1", "--format=%ct"])).flatten().and_then(parse)
    };
    let archived = || archived().map(|(_, date)| date);
    let today = || SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
    given.or_else(committed).or_else(archived).or_else(today)
}

/// The short id of the commit that is checked out; none without git, or outside of a clone.
fn commit() -> Option<String> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR")?;
    // An archive unpacked inside of somebody else's repository must not take that one's commit.
    if !Path::new(&root).join(".git").exists() {
        return None;
    }
    // The log of HEAD grows with every commit and checkout; HEAD itself only names a branch.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// The commit and its date that an archive was made of.
fn archived() -> Option<(String, u64)> {
    println!("cargo:rerun-if-changed={ARCHIVED}");
    let root = std::env::var_os("CARGO_MANIFEST_DIR")?;
    commit_and_date(&std::fs::read_to_string(Path::new(&root).join(ARCHIVED)).ok()?)
}

/// The short id and the date in [`ARCHIVED`]; none where git has not filled it in.
pub fn commit_and_date(text: &str) -> Option<(String, u64)> {
    let (id, date) = text.trim().split_once(' ')?;
    let short = id.get(..12).filter(|_| id.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((short.to_owned(), date.parse().ok()?))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
