//! The files that destinations write: whether each has them for itself.

use std::ffi::OsStr;
use std::fs;
use std::path::{self, Component, Path, PathBuf};

use crate::fields::{Notes, Step};
use crate::lane::{Settings, TeeSettings, To};

/// All files of the destinations so far, and where each is named.
#[derive(Default)]
pub(super) struct Written {
    files: Vec<(String, File)>,
}

enum File {
    /// Of a destination of its own. Several may append to one, as its type always could.
    Own(PathBuf),
    /// A `tee_file`, which is put by under other names, and is therefore one destination's alone.
    Tee(TeeSettings),
}

impl File {
    fn path(&self) -> &Path {
        match self {
            File::Own(path) => path,
            File::Tee(tee) => &tee.path,
        }
    }

    fn puts_by(&self, path: &Path) -> bool {
        matches!(self, File::Tee(tee) if tee.puts_by(path))
    }

    /// The same file by its one path, however it is spelt.
    fn resolved(&self) -> File {
        let path = resolved(self.path());
        match self {
            File::Own(_) => File::Own(path),
            File::Tee(tee) => File::Tee(TeeSettings { path, ..tee.clone() }),
        }
    }

    /// Whether the name without the folder is the other one's, or begins with it or the other way round. No two files
    /// meet otherwise, and no folder, which may hang, has to be looked at.
    fn is_named_like(&self, other: &File) -> bool {
        let name = |file: &File| file.path().file_name().map(OsStr::as_encoded_bytes).map(<[u8]>::to_vec);
        match (name(self), name(other)) {
            (Some(own), Some(other)) => own.starts_with(&other) || other.starts_with(&own),
            _ => false,
        }
    }
}

/// The absolute path, without links among the folders that are there and without `..`. The file itself may be a link:
/// what is put by is the link then.
fn resolved(path: &Path) -> PathBuf {
    let whole = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some((folder, name)) = whole.parent().zip(whole.file_name()) else { return whole };
    let (mut real, mut is_there) = (PathBuf::new(), true);
    for step in folder.components() {
        if step == Component::ParentDir {
            real.pop();
            continue;
        }
        real.push(step);
        // Behind the first one that is missing nothing is asked for.
        if is_there {
            match fs::canonicalize(&real) {
                Ok(path) => real = path,
                Err(_) => is_there = false,
            }
        }
    }
    real.join(name)
}

impl Written {
    /// Takes the files of a destination, which stands at `stands_at`. Notes are of its object.
    pub(super) fn add(&mut self, lane: &Settings, stands_at: &str, notes: &mut Notes) {
        if let To::File(path) = &lane.kind.to {
            self.add_file(&["endpoint"], File::Own(path.clone()), stands_at, notes);
        }
        if let Some(tee) = &lane.tee_file {
            self.add_file(&["tee_file", "path"], File::Tee(tee.clone()), stands_at, notes);
        }
    }

    fn add_file(&mut self, at: &[&str], file: File, stands_at: &str, notes: &mut Notes) {
        let why = self.files.iter().find_map(|(place, other)| {
            if !file.is_named_like(other) || matches!((&file, other), (File::Own(_), File::Own(_))) {
                return None;
            }
            let (file, other, written) = (file.resolved(), other.resolved(), other.path().display());
            let path = file.path();
            if other.path() == path {
                Some(format!("is {place} too; give each a file of its own"))
            } else if other.puts_by(path) {
                Some(format!("is a name under which the file of {place} is put by; give it another one"))
            } else if file.puts_by(other.path()) {
                Some(format!("would be put by as {written}, which is {place}; give it another name"))
            } else {
                None
            }
        });
        if let Some(why) = why {
            let steps: Vec<Step> = at.iter().map(|step| Step::from(*step)).collect();
            notes.problem_at(&steps, why);
        }
        self.files.push((format!("{stands_at}.{}", at.join(".")), file));
    }
}
