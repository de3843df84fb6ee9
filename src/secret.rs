//! Passwords, tokens and keys: nothing prints them, and those in files are kept in step with
//! their files.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::files::{FileError, Files, others_may_read, read_file};

/// No token in the field is longer; HTTP servers refuse headers long before this.
const MAX_SECRET_BYTES: usize = 64 << 10;

/// A secret. `Display` and `Debug` say `<secret>`, so that no log line, error or page can
/// give it away by accident; [`Secret::expose`] is for what goes over the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into().into_boxed_str())
    }

    /// The secret itself: for the wire, never for people.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The configuration holds it.
    Given(Secret),
    /// This file holds it: one line, whose end does not count.
    File(PathBuf),
}

impl Source {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Source::Given(_) => None,
            Source::File(path) => Some(path),
        }
    }

    /// The secret as it is now.
    pub fn read(&self) -> Result<Secret, FileError> {
        match self {
            Source::Given(secret) => Ok(secret.clone()),
            Source::File(path) => read_secret(path),
        }
    }

    /// What an operator should know of the file: nothing, or that others may read it.
    pub fn warning(&self) -> Option<String> {
        let path = self.file().filter(|path| others_may_read(path))?;
        Some(format!("{}: every user of this machine may read this secret; chmod o-r it", path.display()))
    }
}

/// What makes `text` no secret that can be sent in a header, if anything does.
pub fn fault(text: &str) -> Option<&'static str> {
    text.chars().any(|c| c.is_control() && c != '\t').then_some("holds a line break or another control character")
}

fn read_secret(path: &Path) -> Result<Secret, FileError> {
    let bytes = read_file(path)?;
    let refused = |why: &str| FileError::new(path, why);
    let text = String::from_utf8(bytes).map_err(|_| refused("is not UTF-8 text"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.len() > MAX_SECRET_BYTES {
        return Err(FileError::new(path, format!("larger than {MAX_SECRET_BYTES} bytes; is this the right file?")));
    }
    match fault(line) {
        Some(fault) => Err(FileError::new(path, format!("{fault}; one line with the secret alone is expected"))),
        None => Ok(Secret::new(line)),
    }
}

/// The secrets of one owner, kept in step with their files: all as they are now, or all as
/// they were when every file was last of use.
pub struct Kept {
    /// Whose they are, for the log: `destination NAME`.
    subject: String,
    sources: Vec<Source>,
    files: Files,
    /// In the order of the sources.
    good: Option<Vec<Secret>>,
    /// Why what the files hold now is not used.
    trouble: Option<FileError>,
}

impl Kept {
    /// Reads the files. What is wrong with them is what [`Kept::get`] says then.
    pub fn new(subject: impl Into<String>, sources: Vec<Source>) -> Kept {
        let files = Files::new(sources.iter().filter_map(Source::file));
        let mut kept = Kept { subject: subject.into(), sources, files, good: None, trouble: None };
        kept.take_up();
        kept
    }

    /// Looks whether the files have changed, one system call a file, and takes up what they
    /// hold if all of it is of use. Whether anything is different since.
    pub fn refresh(&mut self) -> bool {
        self.files.have_changed() && self.take_up()
    }

    /// The secrets, in the order of their sources.
    pub fn get(&self) -> Result<&[Secret], FileError> {
        match (&self.good, &self.trouble) {
            (Some(good), _) => Ok(good),
            (None, Some(trouble)) => Err(trouble.clone()),
            (None, None) => Err(FileError::new(Path::new("secrets"), "have not been read")),
        }
    }

    /// Says once what is wrong, and once that it is over.
    fn take_up(&mut self) -> bool {
        match self.sources.iter().map(Source::read).collect::<Result<Vec<Secret>, FileError>>() {
            Ok(secrets) => {
                let first = self.good.is_none() && self.trouble.is_none();
                let renewed = self.good.as_ref() != Some(&secrets) && !first;
                if renewed || self.trouble.is_some() {
                    log::info!("{}: its secret files are good; they are used from now on", self.subject);
                }
                self.good = Some(secrets);
                self.trouble = None;
                renewed
            }
            Err(error) => {
                if self.good.is_some() && self.trouble.as_ref() != Some(&error) {
                    log::warn!("{}: {error}; the last good secrets stay in use", self.subject);
                }
                self.trouble = Some(error);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "<secret> <secret> Some(<secret>)");
        assert_eq!(format!("{:?}", Source::Given(secret.clone())), "Given(<secret>)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_file_holds_one_line() {
        let path = std::env::temp_dir().join(format!("metricsd-secret-{}", std::process::id()));
        let read = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            Source::File(path.clone()).read()
        };
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(read(content.as_bytes()), Ok(Secret::new("s3cret")), "{content:?}");
        }
        // What stands around it may belong to it.
        assert_eq!(read(b" p w \n"), Ok(Secret::new(" p w ")));
        for (content, why) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"sesame\ntwo\n", "a line break"),
            (b"sesame\n\n", "a line break"),
            (b"sesame\0", "control character"),
            (b"sesame\rtwo", "a line break"),
            (b"\xff\xfe", "not UTF-8"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains(why) && error.starts_with(&*path.to_string_lossy()), "{content:?}: {error}");
            assert!(!error.contains("sesame"), "{error}");
        }
        assert!(read(&[b'x'; MAX_SECRET_BYTES + 1]).unwrap_err().to_string().contains("larger than 65536 bytes"));
        fs::remove_file(&path).unwrap();
        assert!(Source::File(path).read().unwrap_err().to_string().ends_with("no such file"));
    }

    #[test]
    fn what_is_half_written_changes_nothing() {
        let path = std::env::temp_dir().join(format!("metricsd-kept-{}", std::process::id()));
        fs::write(&path, "old\n").unwrap();
        let mut kept = Kept::new("test", vec![Source::Given(Secret::new("given")), Source::File(path.clone())]);
        let exposed = |kept: &Kept| kept.get().unwrap().iter().map(|s| s.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(exposed(&kept), ["given", "old"]);
        fs::write(&path, "").unwrap();
        assert!(!kept.refresh());
        fs::remove_file(&path).unwrap();
        assert!(!kept.refresh());
        assert_eq!(exposed(&kept), ["given", "old"]);
        fs::write(&path, "new\n").unwrap();
        assert!(kept.refresh());
        assert_eq!(exposed(&kept), ["given", "new"]);
        // Written again with what it held.
        fs::write(&path, "new\n").unwrap();
        assert!(!kept.refresh());
        fs::remove_file(&path).unwrap();
        assert!(Kept::new("test", vec![Source::File(path)]).get().is_err());
    }
}
