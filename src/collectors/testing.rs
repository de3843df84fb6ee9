//! What the collectors' unit tests share.

use std::path::{Path, PathBuf};

use crate::host::HostPaths;
use crate::model::{Labels, Recorder, Scheme};
use crate::shaping::Perspective;

use super::collector::{CollectError, Collector, Tick};
use crate::host::Scratch;

/// Texts that no kernel writes.
const GARBAGE: &[&[u8]] = &[
    b"",
    b"\n",
    b"\0",
    b" ",
    b":",
    b"\n\n\n",
    b"cpu",
    b"cpu \n",
    b"cpu0\n",
    b"cpu99999999999 1 2 3 4\nintr 1\n",
    b"cpu0 18446744073709551615 18446744073709551615 18446744073709551615 18446744073709551615\ncpu1 18446744073709551615 1 1 18446744073709551615\nintr\n",
    b"MemTotal: 18446744073709551615 kB\nMemAvailable: 18446744073709551615 kB\n",
    b"8 0 sda 18446744073709551615 1 18446744073709551615 1 1 1 18446744073709551615 1 1 1 1\n",
    b"a|b\nc|d\n:\n",
    b"a|b\nc|d\n\xff\xfe: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
    b"1 1 0:0 / / - - - -\n",
    b"1 1 8:1 / \\\\0 rw - ext4 \\777 rw\n",
    b"\xff\xff\xff\xff\n",
];

/// A fixture host's folder, with what is below it.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The roots of the fixture host `name`.
pub fn fixture(name: &str) -> HostPaths {
    HostPaths::below(&fixtures().join(name))
}

/// Whether the fixture hosts are there at all (the published crate has none). That they are not is said, and a failure
/// where everything is to be looked at.
#[track_caller]
pub fn have_fixtures() -> bool {
    let are_there = fixtures().is_dir();
    if !are_there {
        assert!(std::env::var_os("CI").is_none(), "there are no fixture hosts, so this looks at nothing");
        println!("SKIPPED, no fixture hosts here");
    }
    are_there
}

/// Calls `feed` with the file `file` of every fixture host cut at every byte, and with garbage.
/// Of a long file only the end is cut at every byte, the rest at every seventh.
pub fn cut_everywhere(file: &str, mut feed: impl FnMut(&[u8])) {
    for garbage in GARBAGE {
        feed(garbage);
    }
    if !have_fixtures() {
        return;
    }
    let mut found = 0;
    for host in std::fs::read_dir(fixtures()).unwrap().map(|host| host.unwrap().path()) {
        let Ok(text) = std::fs::read(host.join(file)) else { continue };
        found += 1;
        let dense = if text.len() > 20 << 10 { text.len() - (4 << 10) } else { 0 };
        let mut at = 0;
        while at <= text.len() {
            feed(&text[..at]);
            at += if at < dense { 7 } else { 1 };
        }
        // A byte that is wrong somewhere in the middle, which no cut gives.
        for at in (0..text.len().min(4 << 10)).step_by(3) {
            let mut bad = text[..text.len().min(8 << 10)].to_vec();
            bad[at] = b"\n 9:x\xff-"[at % 7];
            feed(&bad);
        }
    }
    assert!(found > 0, "no fixture host has {file}");
}

/// What `push` gives, as `name{label=value,...}` and value.
pub fn samples(push: impl FnOnce(&mut Recorder)) -> Vec<(String, f64)> {
    let mut out = Recorder::new("test", 100_000);
    push(&mut out);
    shown_as(Scheme::Native, &mut out)
}

/// What was recorded, by the names of `scheme`.
fn shown_as(scheme: Scheme, out: &mut Recorder) -> Vec<(String, f64)> {
    let frame = out.finish(0);
    let from = Perspective::new(scheme, Labels::EMPTY);
    let mut shown = Vec::new();
    for (chunk, values) in frame.parts() {
        for series in from.view(chunk).series() {
            let labels: Vec<String> = series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            shown.push((format!("{}{labels}", series.family().name), series.value(values)));
        }
    }
    shown
}

/// One round of `collector` at the wall clock time `wall_ms`, by the names of `scheme`.
pub fn collect_at_as(
    scheme: Scheme,
    collector: &mut dyn Collector,
    wall_ms: i64,
) -> Result<Vec<(String, f64)>, CollectError> {
    let tick = Tick { wall_ms, monotonic: std::time::Duration::ZERO };
    let mut out = Recorder::new("test", 100_000);
    collector.collect(&tick, &mut Scratch::new(), &mut out)?;
    Ok(shown_as(scheme, &mut out))
}

/// One round of `collector`, by the names of `scheme`.
pub fn collect_as(scheme: Scheme, collector: &mut dyn Collector) -> Vec<(String, f64)> {
    collect_at_as(scheme, collector, 0).unwrap()
}

/// One round of `collector` at the wall clock time `wall_ms`.
pub fn collect_at(collector: &mut dyn Collector, wall_ms: i64) -> Result<Vec<(String, f64)>, CollectError> {
    collect_at_as(Scheme::Native, collector, wall_ms)
}

/// `all` as [`samples`] writes it.
pub fn owned(all: &[(&str, f64)]) -> Vec<(String, f64)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// One round of `collector`.
pub fn collect(collector: &mut dyn Collector) -> Result<Vec<(String, f64)>, CollectError> {
    collect_at(collector, 0)
}

/// The value of `series`, written as [`samples`] writes it.
pub fn value(samples: &[(String, f64)], series: &str) -> Option<f64> {
    samples.iter().find(|(name, _)| name == series).map(|(_, value)| *value)
}

/// A folder of its own for one test, removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder; `name` is the test's.
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("metricsd-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Writes a file, and the folders on the way to it.
    pub fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Makes a folder below.
    pub fn folder(&self, name: &str) {
        std::fs::create_dir_all(self.0.join(name)).unwrap();
    }

    /// A host whose three roots are below this folder.
    pub fn host(&self) -> HostPaths {
        HostPaths::below(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
