//! What a destination is sent, written into a file beside it: for looking at, whatever its format is.
//!
//! A disk may take as long as it likes, so a thread of its own writes. What it cannot write, or not in time,
//! is left out and said once; nothing waits for it, and no sample depends on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::transport::{File, Transport};
use super::verdict::Answer;
use crate::formats::json::Json;
use crate::formats::{Bodies, Content, Encoder, RecordEncoder};
use crate::model::{Batch, Records};

/// `tee_file` of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeeSettings {
    /// The file; its directory is made if it is missing.
    pub path: PathBuf,
    /// A line that would make it larger begins a new file.
    pub max_bytes: u64,
    /// How many of the files before it are kept.
    pub keep: u64,
}

impl TeeSettings {
    /// Whether the file is put by under this name, sooner or later.
    pub fn puts_by(&self, name: &Path) -> bool {
        let number = name.as_os_str().as_encoded_bytes().strip_prefix(self.path.as_os_str().as_encoded_bytes());
        let number = number.and_then(|rest| std::str::from_utf8(rest.strip_prefix(b".")?).ok()?.parse().ok());
        number.is_some_and(|number| (1..=self.keep).contains(&number) && numbered(&self.path, number) == name)
    }
}

/// Lines that may wait for the disk. A line is a tick.
const WAITING: usize = 16;

/// Bytes that may; one line may always.
const WAITING_BYTES: usize = 4 << 20;

/// What waits when it is not needed any more has so long to be written.
const END_WITHIN: Duration = Duration::from_secs(1);

/// What one lane has written down.
pub struct Tee {
    encoder: LineEncoder,
    outlet: Arc<Outlet>,
}

/// What makes lines.
pub enum LineEncoder {
    /// Of metrics.
    Metrics(Box<Json>),
    /// Of records.
    Records(Box<dyn RecordEncoder>),
}

/// The way to the thread that writes a file.
struct Outlet {
    destination: String,
    settings: TeeSettings,
    lines: Option<Sender<Vec<u8>>>,
    waiting: Arc<AtomicUsize>,
    ended: Receiver<()>,
    is_late: AtomicBool,
}

/// The files that are written: one thread has each, whichever lanes give it lines, so that only one puts it by.
static OUTLETS: Mutex<Vec<Weak<Outlet>>> = Mutex::new(Vec::new());

impl Tee {
    /// Writes what `encoder` makes of what the destination is sent. None where no thread can be started, which is said.
    pub fn new(destination: &str, settings: &TeeSettings, encoder: LineEncoder) -> Option<Tee> {
        let mut outlets = OUTLETS.lock().unwrap_or_else(PoisonError::into_inner);
        outlets.retain(|outlet| outlet.strong_count() > 0);
        let known = outlets.iter().filter_map(Weak::upgrade).find(|outlet| outlet.settings == *settings);
        let outlet = match known {
            Some(outlet) => outlet,
            None => {
                let outlet = Arc::new(Outlet::new(destination, settings)?);
                outlets.push(Arc::downgrade(&outlet));
                outlet
            }
        };
        Some(Tee { encoder, outlet })
    }

    /// Hands on what the destination is sent with `batch`.
    pub fn take(&mut self, batch: &Batch) {
        let mut bodies = Bodies::default();
        if let LineEncoder::Metrics(encoder) = &mut self.encoder {
            encoder.encode(batch, u64::MAX, &mut bodies);
        }
        self.outlet.put(bodies);
    }

    /// The same with `records`.
    pub fn take_records(&mut self, records: &Records) {
        let mut bodies = Bodies::default();
        if let LineEncoder::Records(encoder) = &mut self.encoder {
            encoder.encode(records, u64::MAX, &mut bodies);
        }
        self.outlet.put(bodies);
    }
}

impl Outlet {
    fn new(destination: &str, settings: &TeeSettings) -> Option<Outlet> {
        let (lines, received): (Sender<Vec<u8>>, Receiver<Vec<u8>>) = bounded(WAITING);
        let (alive, ended) = bounded(0);
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut writer = Writer {
            destination: destination.to_owned(),
            settings: settings.clone(),
            file: File::new(settings.path.clone()),
            content: Content::default(),
            has_failed: false,
        };
        let left = Arc::clone(&waiting);
        let run = move || {
            let _alive: Sender<()> = alive;
            for line in received {
                writer.write(&line);
                left.fetch_sub(line.len(), Ordering::Relaxed);
            }
        };
        let started = std::thread::Builder::new().name(format!("tee-{destination}")).spawn(run);
        if let Err(error) = started {
            let path = settings.path.display();
            log::warn!(
                "destination {destination}: cannot start a thread for tee_file {path}: {error}; it is not written"
            );
            return None;
        }
        let (destination, settings) = (destination.to_owned(), settings.clone());
        Some(Outlet { destination, settings, lines: Some(lines), waiting, ended, is_late: AtomicBool::new(false) })
    }

    fn put(&self, mut bodies: Bodies) {
        for line in bodies.drain() {
            let (bytes, waiting) = (line.bytes.len(), self.waiting.load(Ordering::Relaxed));
            let has_room = waiting == 0 || waiting + bytes <= WAITING_BYTES;
            self.waiting.fetch_add(bytes, Ordering::Relaxed);
            let is_taken = has_room && self.lines.as_ref().is_some_and(|lines| lines.try_send(line.bytes).is_ok());
            if !is_taken {
                self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                if !self.is_late.swap(true, Ordering::Relaxed) {
                    log::warn!(
                        "destination {}: the disk of tee_file {} does not keep up; what it does not take is left out \
                         there, the destination has it",
                        self.destination,
                        self.settings.path.display()
                    );
                }
            }
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.lines = None;
        // Nothing is ever sent: it closes.
        let _ = self.ended.recv_timeout(END_WITHIN);
    }
}

/// The thread's side.
struct Writer {
    destination: String,
    settings: TeeSettings,
    file: File,
    content: Content,
    has_failed: bool,
}

impl Writer {
    fn write(&mut self, line: &[u8]) {
        let outcome = self.make_room(line.len() as u64 + 1).and_then(|()| match self.file.send(&self.content, line) {
            Answer::Local(outcome) => outcome,
            other => Err(other.describe()),
        });
        match outcome {
            Ok(()) => self.has_failed = false,
            Err(why) if !std::mem::replace(&mut self.has_failed, true) => log::warn!(
                "destination {}: tee_file: {why}; it is tried again with each tick, and said when it fails anew",
                self.destination
            ),
            Err(_) => {}
        }
    }

    /// Puts the file by where it would be too large with so many bytes more.
    fn make_room(&self, bytes: u64) -> Result<(), String> {
        let TeeSettings { path, max_bytes, keep } = &self.settings;
        // What is no regular file has no size, and what is not there has none either.
        let size = fs::metadata(path).ok().filter(fs::Metadata::is_file).map_or(0, |meta| meta.len());
        if size == 0 || size.saturating_add(bytes) <= *max_bytes {
            return Ok(());
        }
        let failed = |path: &Path, error: std::io::Error| format!("cannot put {} by: {error}", path.display());
        if *keep == 0 {
            return fs::remove_file(path).map_err(|error| failed(path, error));
        }
        for number in (1..=*keep).rev() {
            let from = if number == 1 { path.clone() } else { numbered(path, number - 1) };
            match fs::rename(&from, numbered(path, number)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&from, error)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The name of the `number`th file before `path`.
fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::fs::read_to_string;

    use super::*;

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("metricsd-tee-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn of(path: PathBuf, max_bytes: u64, keep: u64) -> Writer {
        Writer {
            destination: "x".into(),
            file: File::new(path.clone()),
            settings: TeeSettings { path, max_bytes, keep },
            content: Content::default(),
            has_failed: false,
        }
    }

    #[test]
    fn files_are_put_by_before_they_are_too_large_and_the_oldest_goes() {
        let dir = dir("rotation");
        let path = dir.join("deeper/out");
        let mut writer = of(path.clone(), 8, 2);
        for line in ["aa", "bb", "cccccccccc", "dd", "ee", "ff"] {
            writer.write(line.as_bytes());
        }
        let read = |name: &str| read_to_string(dir.join("deeper").join(name)).ok();
        assert_eq!(read("out").as_deref(), Some("ff\n"));
        assert_eq!(read("out.1").as_deref(), Some("dd\nee\n"));
        assert_eq!(read("out.2").as_deref(), Some("cccccccccc\n"), "a line alone may be larger");
        assert_eq!(read("out.3"), None);
        let mut none = of(path, 4, 0);
        none.write(b"gg");
        assert_eq!((read("out").as_deref(), read("out.1").as_deref()), (Some("gg\n"), Some("dd\nee\n")));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_left_out_and_tried_again() {
        let dir = dir("failure");
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("out");
        // A directory stands in its place.
        fs::create_dir(&path).unwrap();
        let mut writer = of(path.clone(), 100, 1);
        writer.write(b"a");
        assert!(writer.has_failed);
        fs::remove_dir(&path).unwrap();
        writer.write(b"b");
        assert!(!writer.has_failed);
        assert_eq!(read_to_string(&path).unwrap(), "b\n");
        // One that the disk has no room for.
        let mut full = of("/dev/full".into(), 100, 1);
        full.write(b"a");
        assert!(full.has_failed && Path::new("/dev/full").exists());
        fs::remove_dir_all(&dir).unwrap();
    }
}
