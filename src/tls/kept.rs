//! What is made of files, kept in step with them: where they are of no use, the last good
//! state stays.

use std::path::Path;
use std::time::Duration;

use super::files::{FileError, Files, read_file};

/// Between two looks at the files. Each costs one system call a file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What becomes of files.
pub trait Recipe {
    /// What is made of them.
    type Made;

    /// The files, in the order in which [`Recipe::make`] takes them.
    fn paths(&self) -> Vec<&Path>;

    /// Makes it of what the files hold; the error names the one that is to blame.
    fn make(&self, contents: &[Vec<u8>]) -> Result<Self::Made, FileError>;

    /// What an operator should know of files that are good.
    fn warnings(&self, _contents: &[Vec<u8>]) -> Vec<String> {
        Vec::new()
    }
}

/// Something made of files, for one who asks for it from time to time: whoever does not ask
/// costs nothing.
pub struct Kept<R: Recipe> {
    /// Whose it is, for the log: `server.tls`.
    subject: &'static str,
    recipe: R,
    files: Files,
    contents: Vec<Vec<u8>>,
    made: R::Made,
    /// Why what the files hold now is not used.
    trouble: Option<FileError>,
    look_from: Duration,
}

impl<R: Recipe> Kept<R> {
    /// Makes it for the first time, which has to succeed.
    pub fn new(subject: &'static str, recipe: R) -> Result<Kept<R>, FileError> {
        let files = Files::new(recipe.paths());
        let contents = read(&recipe)?;
        let made = recipe.make(&contents)?;
        Ok(Kept { subject, recipe, files, contents, made, trouble: None, look_from: Duration::ZERO })
    }

    /// As it is since the last [`Kept::refresh`].
    pub fn get(&self) -> &R::Made {
        &self.made
    }

    /// Takes up what the files hold now, if they have changed and are of use. `now` is
    /// CLOCK_MONOTONIC; within a second of the last look nothing is done.
    pub fn refresh(&mut self, now: Duration) {
        if now < self.look_from {
            return;
        }
        self.look_from = now + LOOK_EVERY;
        // A disk that failed to be read leaves no trace in the file's stamp when it is well again.
        if !self.files.have_changed() && self.trouble.is_none() {
            return;
        }
        let outcome = read(&self.recipe).and_then(|contents| {
            if contents == self.contents {
                return Ok(None);
            }
            Ok(Some((self.recipe.make(&contents)?, contents)))
        });
        match outcome {
            Ok(new) => {
                if new.is_some() || self.trouble.is_some() {
                    log::info!("{}: its files are good; they are used from the next connection on", self.subject);
                }
                self.trouble = None;
                if let Some((made, contents)) = new {
                    for warning in self.recipe.warnings(&contents) {
                        log::warn!("{}: {warning}", self.subject);
                    }
                    self.made = made;
                    self.contents = contents;
                }
            }
            Err(error) => {
                if self.trouble.as_ref() != Some(&error) {
                    log::warn!("{}: {error}; what its files held before stays in use", self.subject);
                }
                self.trouble = Some(error);
            }
        }
    }
}

fn read<R: Recipe>(recipe: &R) -> Result<Vec<Vec<u8>>, FileError> {
    recipe.paths().into_iter().map(read_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// A number in a file.
    struct Number(PathBuf);

    impl Recipe for Number {
        type Made = u32;

        fn paths(&self) -> Vec<&Path> {
            vec![&self.0]
        }

        fn make(&self, contents: &[Vec<u8>]) -> Result<u32, FileError> {
            let text = String::from_utf8_lossy(&contents[0]);
            text.trim().parse().map_err(|_| FileError::new(&self.0, "holds no number"))
        }
    }

    #[test]
    fn the_last_good_state_stays_until_the_next_good_one() {
        let path = std::env::temp_dir().join(format!("metricsd-kept-{}", std::process::id()));
        let at = Duration::from_secs;
        assert!(Kept::new("test", Number(path.clone())).is_err());
        fs::write(&path, "1").unwrap();
        let mut kept = Kept::new("test", Number(path.clone())).unwrap();
        kept.refresh(at(10));
        for (seconds, text, expected) in [(11, "2", 2), (12, "x", 2), (13, "", 2), (14, "2", 2), (15, "30", 30)] {
            fs::write(&path, text).unwrap();
            kept.refresh(at(seconds));
            assert_eq!(*kept.get(), expected, "{text:?}");
            assert_eq!(kept.trouble.is_some(), !matches!(text, "2" | "30"), "{text:?}");
        }
        fs::write(&path, "4").unwrap();
        kept.refresh(at(15) + LOOK_EVERY / 2);
        assert_eq!(*kept.get(), 30, "too early for a look");
        fs::remove_file(&path).unwrap();
        kept.refresh(at(17));
        assert_eq!(*kept.get(), 30);
    }
}
