//! What is made of files, kept in step with them: where they are of no use, the last good
//! state stays.

use std::path::Path;

use super::{FileError, Files, others_may_read, read_file};

/// What becomes of files.
pub trait Recipe {
    /// What is made of them.
    type Made;

    /// What they are called in the log: `TLS files`.
    const FILES: &'static str;

    /// The files, in the order in which [`Recipe::make`] takes them.
    fn paths(&self) -> Vec<&Path>;

    /// Those that hold what nobody else should know.
    fn secret_paths(&self) -> Vec<&Path>;

    /// Makes it of what the files hold; the error names the one that is to blame.
    fn make(&self, contents: &[Vec<u8>]) -> Result<Self::Made, FileError>;

    /// What an operator should know of files that are of use all the same.
    fn notes(&self, _contents: &[Vec<u8>]) -> Vec<FileError> {
        Vec::new()
    }

    /// Reads the files and sees whether all of it goes together. What an operator should know
    /// of them otherwise: which of the secret ones every user of this machine may read, and
    /// [`Recipe::notes`].
    fn check(&self) -> Result<Vec<FileError>, FileError> {
        let contents = read(self)?;
        self.make(&contents)?;
        Ok(warnings(self, &contents))
    }
}

fn warnings<R: Recipe + ?Sized>(recipe: &R, contents: &[Vec<u8>]) -> Vec<FileError> {
    let mut warnings = open_to_all(recipe);
    warnings.extend(recipe.notes(contents));
    warnings
}

fn read<R: Recipe + ?Sized>(recipe: &R) -> Result<Vec<Vec<u8>>, FileError> {
    recipe.paths().into_iter().map(read_file).collect()
}

fn open_to_all<R: Recipe + ?Sized>(recipe: &R) -> Vec<FileError> {
    let open = recipe.secret_paths().into_iter().filter(|path| others_may_read(path));
    open.map(|path| FileError::new(path, "every user of this machine may read this file; chmod o-r it")).collect()
}

/// Something made of files, for one who asks for it from time to time: whoever does not ask
/// costs nothing.
pub struct Kept<R: Recipe> {
    /// Whose it is, for the log: `server.tls`, `destination NAME`.
    subject: String,
    recipe: R,
    files: Files,
    /// The last good state; the error where there has been none yet.
    good: Result<Good<R::Made>, FileError>,
    /// Why what the files hold now is not used, where there is a good state.
    trouble: Option<FileError>,
    /// A file could not be read. A disk that is well again leaves no trace in the file's stamp.
    is_unread: bool,
}

struct Good<T> {
    contents: Vec<Vec<u8>>,
    made: T,
}

impl<R: Recipe> Kept<R> {
    /// Reads the files. What is wrong with them is what [`Kept::get`] says then.
    pub fn new(subject: impl Into<String>, recipe: R) -> Kept<R> {
        let files = Files::new(recipe.paths());
        let read = read(&recipe);
        let is_unread = read.is_err();
        let good = read.and_then(|contents| Ok(Good { made: recipe.make(&contents)?, contents }));
        Kept { subject: subject.into(), recipe, files, good, trouble: None, is_unread }
    }

    /// As it is since the last [`Kept::refresh`]. Once there, it does not go away.
    pub fn get(&self) -> Result<&R::Made, &FileError> {
        self.good.as_ref().map(|good| &good.made)
    }

    /// Looks whether the files have changed, one system call each, and takes up what they hold
    /// if all of it is of use. Whether anything is different since.
    pub fn refresh(&mut self) -> bool {
        (self.files.have_changed() || self.is_unread) && self.take_up()
    }

    /// Says once what is wrong, and once that it is over.
    fn take_up(&mut self) -> bool {
        let read = read(&self.recipe);
        self.is_unread = read.is_err();
        let new = read.and_then(|contents| match &self.good {
            Ok(good) if good.contents == contents => Ok(None),
            _ => Ok(Some(Good { made: self.recipe.make(&contents)?, contents })),
        });
        match new {
            Ok(new) => {
                let was_in_trouble = self.trouble.take().is_some();
                if new.is_some() || was_in_trouble {
                    log::info!(
                        "{}: its {} are good; they are used from the next connection on",
                        self.subject,
                        R::FILES
                    );
                }
                let Some(new) = new else { return false };
                // Of the first ones the configuration's reader says this.
                for warning in warnings(&self.recipe, &new.contents) {
                    log::warn!("{}: {warning}", self.subject);
                }
                self.good = Ok(new);
                true
            }
            Err(error) => {
                match &mut self.good {
                    // Who asks for it is told.
                    Err(why) => *why = error,
                    Ok(_) => {
                        if self.trouble.as_ref() != Some(&error) {
                            log::warn!("{}: {error}; the last good {} stay in use", self.subject, R::FILES);
                        }
                        self.trouble = Some(error);
                    }
                }
                false
            }
        }
    }
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

        const FILES: &'static str = "numbers";

        fn paths(&self) -> Vec<&Path> {
            vec![&self.0]
        }

        fn secret_paths(&self) -> Vec<&Path> {
            Vec::new()
        }

        fn make(&self, contents: &[Vec<u8>]) -> Result<u32, FileError> {
            let text = String::from_utf8_lossy(&contents[0]);
            text.trim().parse().map_err(|_| FileError::new(&self.0, "holds no number"))
        }
    }

    /// The number in a file of its own, which holds `text` where that is given.
    fn kept(name: &str, text: Option<&str>) -> (PathBuf, Kept<Number>) {
        let path = std::env::temp_dir().join(format!("metricsd-kept-{}-{name}", std::process::id()));
        text.inspect(|text| fs::write(&path, text).unwrap());
        (path.clone(), Kept::new("test", Number(path)))
    }

    #[test]
    fn the_last_good_state_stays_until_the_next_good_one() {
        let (path, mut kept) = kept("stays", Some("1"));
        assert_eq!(kept.get(), Ok(&1));
        // Written again with what it held, or with what was good before, nothing is new.
        for (text, expected, renewed) in [
            ("1", 1, false),
            ("2", 2, true),
            ("x", 2, false),
            ("", 2, false),
            ("2", 2, false),
            ("30", 30, true),
            ("30", 30, false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(kept.refresh(), renewed, "{text:?}");
            assert_eq!(kept.get(), Ok(&expected), "{text:?}");
            assert_eq!(kept.trouble.is_some(), matches!(text, "x" | ""), "{text:?}");
        }
        fs::remove_file(&path).unwrap();
        assert!(!kept.refresh());
        assert_eq!(kept.get(), Ok(&30));
    }

    #[test]
    fn without_a_good_state_it_is_the_latest_trouble_until_there_is_one() {
        let why = |kept: &Kept<Number>| kept.get().unwrap_err().why.clone();
        let (path, mut kept) = kept("first", None);
        assert_eq!(why(&kept), "no such file");
        fs::write(&path, "x").unwrap();
        assert!(!kept.refresh());
        assert_eq!(why(&kept), "holds no number");
        fs::write(&path, "1").unwrap();
        assert!(kept.refresh());
        assert_eq!(kept.get(), Ok(&1));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_could_not_be_read_is_tried_again_without_a_sign_of_change() {
        let (path, mut kept) = kept("unread", Some("1"));
        // As if a read had failed while the stamp stayed: an old file that nothing happens to.
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
        fs::write(&path, "2").unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        kept.files = Files::new([path.as_path()]);
        assert!(!kept.refresh());
        kept.is_unread = true;
        assert!(kept.refresh());
        assert_eq!(kept.get(), Ok(&2));
        fs::remove_file(&path).unwrap();
    }
}
