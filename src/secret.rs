//! Passwords, tokens and keys: nothing prints them, and those in files are kept in step with
//! their files ([`Secrets`]).

mod fields;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::files::{FileError, Recipe};

pub use fields::{SecretFields, check, of_member};

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

    /// The secret, in the form `form`. A file takes the next one of `contents`; what is given
    /// was checked by whoever read the configuration.
    pub fn take<'c>(&self, contents: &mut impl Iterator<Item = &'c Vec<u8>>, form: Form) -> Result<Secret, FileError> {
        match self {
            Source::Given(secret) => Ok(secret.clone()),
            Source::File(path) => {
                let bytes = contents.next().ok_or_else(|| FileError::new(path, "has not been read"))?;
                one_line(bytes, form).map_err(|why| FileError::new(path, why))
            }
        }
    }
}

/// What a secret has to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line of text.
    Line,
    /// What follows `Bearer ` in a header: visible ASCII, and some of it.
    Token,
}

impl Form {
    /// What makes `text` none of this form, if anything does.
    pub fn fault(self, text: &str) -> Option<&'static str> {
        if text.contains(char::is_control) {
            return Some("holds a line break or another control character, which cannot be sent");
        }
        match self {
            Form::Line => None,
            Form::Token if text.is_empty() => Some("is empty"),
            Form::Token if text.starts_with("Bearer ") => Some("begins with \"Bearer \"; give the token alone"),
            Form::Token if !text.bytes().all(|b| b.is_ascii_graphic()) => {
                Some("is a token with a space or another character that is not visible ASCII, which cannot be sent")
            }
            Form::Token => None,
        }
    }
}

fn one_line(bytes: &[u8], form: Form) -> Result<Secret, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text")?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.len() > MAX_SECRET_BYTES {
        return Err(format!("larger than {MAX_SECRET_BYTES} bytes; is this the right file?"));
    }
    match form.fault(line) {
        Some(fault) => Err(format!("{fault}; one line with the secret alone is expected")),
        None => Ok(Secret::new(line)),
    }
}

/// The secrets of one owner, each with its form: all of them are of use, or none.
pub struct Secrets(pub Vec<(Source, Form)>);

impl Recipe for Secrets {
    /// In the order of their sources.
    type Made = Vec<Secret>;

    const FILES: &'static str = "secrets";

    fn paths(&self) -> Vec<&Path> {
        self.0.iter().filter_map(|(source, _)| source.file()).collect()
    }

    fn secret_paths(&self) -> Vec<&Path> {
        self.paths()
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Vec<Secret>, FileError> {
        let mut contents = contents.iter();
        self.0.iter().map(|(source, form)| source.take(&mut contents, *form)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "<secret> <secret> Some(<secret>)");
        assert_eq!(format!("{:?}", Source::Given(secret.clone())), "Given(<secret>)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_file_holds_one_line() {
        let secrets = |form| Secrets(vec![(Source::File("secret".into()), form)]);
        let read = |form, content: &[u8]| secrets(form).make(&[content.to_vec()]).map(|mut made| made.remove(0));
        for form in [Form::Line, Form::Token] {
            for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
                assert_eq!(read(form, content.as_bytes()), Ok(Secret::new("s3cret")), "{content:?}");
            }
        }
        // What stands around it may belong to it.
        assert_eq!(read(Form::Line, b" p w \n"), Ok(Secret::new(" p w ")));
        assert_eq!(read(Form::Line, "pässword\r\n".as_bytes()), Ok(Secret::new("pässword")));
        let token = "is a token with a space or another character that is not visible ASCII";
        for (form, content, why) in [
            (Form::Line, &b"sesame\ntwo\n"[..], "holds a line break"),
            (Form::Line, b"sesame\n\n", "holds a line break"),
            (Form::Line, b"sesame\0", "another control character"),
            (Form::Line, b"ses\tame", "another control character"),
            (Form::Line, b"sesame\rtwo", "holds a line break"),
            (Form::Line, b"\xff\xfe", "is not UTF-8 text"),
            (Form::Token, b"sesame\ntwo", "holds a line break"),
            (Form::Token, b"\n", "is empty"),
            (Form::Token, b"sesame two", token),
            (Form::Token, b" sesame", token),
            (Form::Token, "sesäme".as_bytes(), token),
            (Form::Token, b"Bearer sesame", "begins with \"Bearer \"; give the token alone"),
        ] {
            let error = read(form, content).unwrap_err().to_string();
            assert!(error.starts_with("secret: ") && error.contains(why), "{content:?}: {error}");
            assert!(!error.contains("sesame"), "{error}");
        }
        let long = read(Form::Line, &[b'x'; MAX_SECRET_BYTES + 1]).unwrap_err().to_string();
        assert!(long.contains("larger than 65536 bytes"), "{long}");
    }

    #[test]
    fn secrets_are_taken_up_together_and_in_their_order() {
        let given = Source::Given(Secret::new("given"));
        let file = |name: &str| Source::File(name.into());
        let secrets = Secrets(vec![(file("a"), Form::Line), (given, Form::Line), (file("b"), Form::Token)]);
        let made = |a: &str, b: &str| secrets.make(&[a.into(), b.into()]);
        let exposed = |made: Vec<Secret>| made.iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(exposed(made("one\n", "two\n").unwrap()), ["one", "given", "two"]);
        assert_eq!(made("one", "t w o").unwrap_err().path, Path::new("b"));
        assert_eq!(secrets.check().unwrap_err().to_string(), "a: no such file");
    }
}
