//! The files that destinations write: whether each has them for itself.

use std::path::{Path, PathBuf};

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
        let path = file.path();
        let why = self.files.iter().find_map(|(place, other)| {
            let is_shared = other.path() == path && !matches!((&file, other), (File::Own(_), File::Own(_)));
            if is_shared {
                Some(format!("is {place} too; give each a file of its own"))
            } else if other.puts_by(path) {
                Some(format!("is a name under which the file of {place} is put by; give it another one"))
            } else if file.puts_by(other.path()) {
                Some(format!("would be put by as {}, which is {place}; give it another name", other.path().display()))
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
