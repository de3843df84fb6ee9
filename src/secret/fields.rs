//! Secrets as the configuration gives them: each as such, or as the file that holds it.

use std::path::PathBuf;

use super::{Form, Secret, Secrets, Source};
use crate::fields::{Done, Fault, Held, Notes, Step};
use crate::files::Recipe;

/// A secret and its file, of which one may be given.
#[derive(Default)]
pub struct SecretFields {
    value: Option<Secret>,
    file: Option<String>,
}

impl SecretFields {
    /// The secret itself, which has to be of this form.
    pub fn set_value(&mut self, text: String, form: Form) -> Done {
        check(&text, form)?;
        self.value = Some(Secret::new(text));
        Ok(())
    }

    /// Its file.
    pub fn set_file(&mut self, path: String) -> Done {
        check_path(&path)?;
        self.file = Some(path);
        Ok(())
    }

    /// What is meant by the fields `names`, with the name of the one that is given; none: none is, or neither is
    /// any good. Notes are of the object that they are in. A file is looked at where `used` says that it
    /// will be.
    pub fn settle(
        self,
        [value, file]: [&'static str; 2],
        form: Form,
        used: bool,
        notes: &mut Notes,
    ) -> Option<(&'static str, Source)> {
        match (self.value, self.file) {
            (Some(_), Some(path)) => {
                notes.problem(file, "the secret itself and its file are given together; keep one");
                Some((file, Source::File(path.into())))
            }
            (Some(secret), None) => Some((value, Source::Given(secret))),
            (None, Some(path)) => Some((file, in_file(path, file, form, used, notes))),
            (None, None) => None,
        }
    }

    /// Which of the fields `names` is given, the secret itself or its file.
    pub fn given_as(&self, [value, file]: [&'static str; 2]) -> Option<&'static str> {
        let file = self.file.as_ref().map(|_| file);
        self.value.as_ref().map(|_| value).or(file)
    }

    /// Whether it is given, either way.
    pub fn is_given(&self) -> bool {
        self.value.is_some() || self.file.is_some()
    }

    /// Whether what the configuration itself holds is empty.
    pub fn is_empty(&self) -> bool {
        self.value.as_ref().is_some_and(|secret| secret.expose().is_empty())
    }
}

/// Whether `text` is of this form.
pub fn check(text: &str, form: Form) -> Done {
    form.fault(text).map_or(Ok(()), |fault| Err(fault.into()))
}

fn check_path(path: &str) -> Done {
    if path.is_empty() || path.contains('\0') {
        return Err(Fault::expected("the path of a file"));
    }
    Ok(())
}

/// A member of an object of secrets, at its name; a line each.
pub fn of_member(name: &str, value: Held, used: bool, notes: &mut Notes) -> Source {
    match value {
        Held::Here(text) => {
            if let Err(fault) = check(&text, Form::Line) {
                notes.problem(name, fault);
            }
            Source::Given(Secret::new(text))
        }
        Held::InFile(path) => notes.within(name, |notes| {
            if let Err(fault) = check_path(&path) {
                notes.problem("file", fault);
                return Source::File(path.into());
            }
            in_file(path, "file", Form::Line, used, notes)
        }),
    }
}

fn in_file(path: String, field: impl Into<Step>, form: Form, used: bool, notes: &mut Notes) -> Source {
    let source = Source::File(PathBuf::from(path));
    if used {
        notes.within(field, |notes| match Secrets(vec![(source.clone(), form)]).check() {
            Ok(warnings) => warnings.iter().for_each(|warning| notes.warn(warning.to_string())),
            Err(error) => notes.refuse(error.to_string()),
        });
    }
    source
}
