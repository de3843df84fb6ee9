//! One payload a line, into a file or to standard output: for looking at what would be sent.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Transport;
use crate::formats::Content;
use crate::lane::verdict::Answer;

/// Appends to a file; its directory is made if it is missing.
pub struct File {
    path: PathBuf,
    open: Option<fs::File>,
    line: Vec<u8>,
    turn: Turn,
}

/// One line at a time: lanes of a destination, and its senders, write to one file, and whoever takes half a line back
/// must not take another one's with it. Held over a write: those wait who would wait for the same disk.
type Turn = Arc<Mutex<()>>;

/// The turns of all files that are written to.
static TURNS: Mutex<Vec<(PathBuf, Weak<Mutex<()>>)>> = Mutex::new(Vec::new());

fn turn_of(path: &Path) -> Turn {
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.retain(|(_, turn)| turn.strong_count() > 0);
    if let Some(turn) = turns.iter().find_map(|(of, turn)| turn.upgrade().filter(|_| of == path)) {
        return turn;
    }
    let turn = Turn::default();
    turns.push((path.to_owned(), Arc::downgrade(&turn)));
    turn
}

impl File {
    /// Opens nothing yet.
    pub fn new(path: PathBuf) -> File {
        File { turn: turn_of(&path), path, open: None, line: Vec::new() }
    }

    fn append(&mut self, body: &[u8]) -> io::Result<()> {
        let turn = Arc::clone(&self.turn);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.current()?;
        let before = file.metadata()?;
        self.line.clear();
        self.line.extend_from_slice(body);
        self.line.push(b'\n');
        let mut file = file;
        let written = file.write_all(&self.line);
        if written.is_err() && before.is_file() {
            // A full disk leaves half a line; the next attempt would make the file unreadable.
            let _ = file.set_len(before.len());
        }
        written
    }

    /// The file at `path`, opened anew when it has been renamed or removed (log rotation).
    fn current(&mut self) -> io::Result<fs::File> {
        if let Some(open) = &self.open {
            let same = fs::metadata(&self.path).and_then(|there| {
                let here = open.metadata()?;
                Ok((there.dev(), there.ino()) == (here.dev(), here.ino()))
            });
            if matches!(same, Ok(true)) {
                return open.try_clone();
            }
        }
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut options = fs::OpenOptions::new();
        options.create(true).append(true);
        let file = match options.clone().read(true).open(&self.path) {
            Ok(file) => {
                end_torn_line(&file)?;
                file
            }
            // Ours to append to, not to read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => options.open(&self.path)?,
            Err(error) => return Err(error),
        };
        self.open = Some(file.try_clone()?);
        Ok(file)
    }
}

/// A kill in mid-write leaves half a line; without an end of its own it would spoil the next one.
fn end_torn_line(mut file: &fs::File) -> io::Result<()> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(()) };
    let mut byte = [0];
    // What is no regular file cannot be read so, and holds no line of ours.
    if matches!(file.read_at(&mut byte, last), Ok(1)) && byte != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}

/// What waited when a destination of another type became one of lines is none.
const NO_LINE: Answer = Answer::Unfit("it is of the type that the destination had before, and no line of JSON");

fn is_line(content: &Content) -> bool {
    content.iter().all(|(name, value)| match name.to_ascii_lowercase().as_str() {
        "content-encoding" => false,
        "content-type" => value.starts_with("application/json"),
        _ => true,
    })
}

impl Transport for File {
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer {
        if !is_line(content) {
            return NO_LINE;
        }
        Answer::Local(self.append(body).map_err(|error| format!("cannot write {}: {error}", self.path.display())))
    }
}

/// Writes to standard output.
pub struct Stdout;

impl Transport for Stdout {
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer {
        if !is_line(content) {
            return NO_LINE;
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(body).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        Answer::Local(written.map_err(|error| format!("cannot write to standard output: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::content;

    fn none() -> Content {
        content(&[])
    }

    #[test]
    fn lines_are_appended_and_rotation_is_followed() {
        let dir = std::env::temp_dir().join(format!("metricsd-file-{}", std::process::id()));
        let path = dir.join("deeper/out.jsonl");
        let mut file = File::new(path.clone());
        assert_eq!(file.send(&none(), b"{\"a\":1}"), Answer::Local(Ok(())));
        assert_eq!(file.send(&none(), b"{\"a\":2}"), Answer::Local(Ok(())));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"a\":2}\n");
        fs::rename(&path, dir.join("old")).unwrap();
        assert_eq!(file.send(&none(), b"{\"a\":3}"), Answer::Local(Ok(())));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":3}\n");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_is_no_line_is_not_written() {
        let path = std::env::temp_dir().join(format!("metricsd-unfit-{}", std::process::id()));
        let snappy = content(&[("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")]);
        assert_eq!(File::new(path.clone()).send(&snappy, b"\x00\x01"), NO_LINE);
        assert!(!path.exists());
        let json = content(&[("Content-Type", "application/json")]);
        assert_eq!(File::new(path.clone()).send(&json, b"{}"), Answer::Local(Ok(())));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn half_a_line_from_a_kill_stays_alone() {
        let path = std::env::temp_dir().join(format!("metricsd-torn-{}", std::process::id()));
        fs::write(&path, "{\"a\":1}\n{\"a\":").unwrap();
        assert_eq!(File::new(path.clone()).send(&none(), b"{\"a\":3}"), Answer::Local(Ok(())));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"a\":\n{\"a\":3}\n");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_disk_and_a_bad_path_are_errors_that_name_the_file() {
        let full = File::new("/dev/full".into()).send(&none(), b"{}");
        let Answer::Local(Err(error)) = full else { panic!("{full:?}") };
        assert!(error.starts_with("cannot write /dev/full: No space left on device"), "{error}");
        let bad = File::new("/proc/nothing/here".into()).send(&none(), b"{}");
        assert!(matches!(bad, Answer::Local(Err(_))), "{bad:?}");
    }
}
