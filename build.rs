//! Tells the program which commit and which target it is built from and for.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=METRICSD_COMMIT");
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo:rustc-env=METRICSD_TARGET={target}");
    // Who builds from an archive knows the commit, and git does not.
    let commit = std::env::var("METRICSD_COMMIT").ok().filter(|commit| !commit.is_empty()).or_else(commit);
    println!("cargo:rustc-env=METRICSD_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
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

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
