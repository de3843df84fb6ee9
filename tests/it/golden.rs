//! The real binary on every fixture host, its whole output against `tests/golden`.
//!
//! `make golden` rewrites the files; what then shows in the diff is to be understood, not
//! only committed.

use std::fs;
use std::path::{Path, PathBuf};

use metricsd::model::Scheme;

use crate::support::program::{metricsd, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixture_hosts() -> Vec<String> {
    let entries = fs::read_dir(root().join("tests/fixtures")).unwrap().map(Result::unwrap);
    let mut hosts: Vec<String> =
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect();
    hosts.sort();
    assert!(hosts.len() >= 5, "{hosts:?}");
    hosts
}

/// The space of local file systems: a fixture can't mount any, and should this checkout lie
/// on a device of the number that a fixture mentions, it would be shown. Tests beside the
/// collector cover it with injected answers, and `e2e` against `df`.
const SPACE: [&str; 8] = [
    "system_disk_total_bytes",
    "system_disk_used_bytes",
    "system_disk_free_bytes",
    "system_disk_usage_percent",
    "system_disk_inodes_",
    "system_disk_read_only",
    "node_filesystem_",
    "system_filesystem_",
];

/// What the clock says is another thing each time.
const CLOCK: &str = "node_time_seconds";

/// Collectors with a thread of their own, whose lines stand in the log wherever they were said.
const SLOW: [&str; 2] = ["collector hwmon:", "collector gpu:"];

/// `log` with the lines of slow collectors behind the others.
fn in_order(log: &str) -> String {
    let mut lines: Vec<&str> = log.split_inclusive('\n').collect();
    lines.sort_by_key(|line| SLOW.iter().position(|slow| line.contains(slow)));
    lines.concat()
}

/// `text` without the lines that contain one of `words`.
fn without(text: &str, words: &[&str]) -> String {
    text.split_inclusive('\n').filter(|line| !words.iter().any(|word| line.contains(word))).collect()
}

/// Compares `text` with the golden file, or writes it there.
fn compare(file: &str, text: &str, differ: &mut Vec<String>) {
    let path: PathBuf = root().join("tests/golden").join(file);
    if std::env::var("METRICSD_GOLDEN").as_deref() == Ok("write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == text {
        return;
    }
    let mut diff = format!("{file} differs (`make golden` rewrites it):\n");
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), text.lines().collect());
    for line in old.iter().filter(|line| !new.contains(line)).take(20) {
        diff.push_str(&format!("  - {line}\n"));
    }
    for line in new.iter().filter(|line| !old.contains(line)).take(20) {
        diff.push_str(&format!("  + {line}\n"));
    }
    differ.push(diff);
}

#[test]
fn every_fixture_host_gives_what_it_gave_before() {
    let mut differ = Vec::new();
    for host in fixture_hosts() {
        let dir = root().join("tests/fixtures").join(&host);
        // Nothing named in a fixture's mountinfo is mounted here: a remote mount fails at
        // once, so nothing of this machine gets into the page.
        let ran = run(metricsd().env("MC_COLLECTOR_PRESET", "full").args(["-once", "-root"]).arg(&dir));
        let log = ran.stderr.replace(dir.to_str().unwrap(), "ROOT");
        assert_eq!(ran.code, if ran.stdout.is_empty() { 70 } else { 0 }, "{host}:\n{log}");
        for scheme in Scheme::ALL.map(Scheme::as_str) {
            let page = run(metricsd()
                .env("MC_COLLECTOR_PRESET", "full")
                .args(["-once", "-naming", scheme, "-root"])
                .arg(&dir))
            .stdout;
            let page = without(&without(&page, &SPACE), &[CLOCK]);
            let file = if scheme == "native" { format!("{host}.prom") } else { format!("{host}.{scheme}.prom") };
            compare(&file, &page, &mut differ);
        }
        compare(
            &format!("{host}.log"),
            &in_order(&without(&log, &["cannot look at ", "collector filesystem:"])),
            &mut differ,
        );
    }
    assert!(differ.is_empty(), "\n{}", differ.join("\n"));
}

#[test]
fn once_prints_json_too() {
    let dir = root().join("tests/fixtures/vm");
    let ran = run(metricsd().args(["-once", "-format", "json", "-root"]).arg(&dir));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let payload: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let metrics = payload["metrics"].as_array().unwrap();
    let total = metrics.iter().find(|m| m["name"] == "system_memory_total_bytes").unwrap();
    // 4025344 kB, from the fixture's meminfo.
    assert_eq!(total["value"], 4_121_952_256_i64);
    assert_eq!(total["type"], "gauge");
    assert_eq!(total["labels"], serde_json::json!({}));
}

#[test]
fn a_root_with_nothing_in_it_is_said_and_exits_70() {
    let ran = run(metricsd().args(["-once", "-root", "/nonexistent"]));
    assert_eq!(ran.code, 70);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("/nonexistent/proc/stat does not exist"), "{}", ran.stderr);
}
