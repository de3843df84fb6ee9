//! Secrets, each given as such or as the file that holds it.

use std::path::PathBuf;

use super::section::Item;
use crate::files::Recipe;
use crate::secret::{Form, Secret, Secrets, Source};

/// How the secrets of one owner are read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub form: Form,
    /// Whether the files are looked at: they will be used.
    pub used: bool,
}

/// The fields `value` and `file`, of which one may be given; with its place.
pub(super) fn one_of<'v>([value, file]: [Option<Item<'v>>; 2], reading: Reading) -> Option<(Item<'v>, Option<Source>)> {
    match (value, file) {
        (Some(_), Some(item)) => {
            item.problem("the secret itself and its file are given together; keep one");
            Some((item, None))
        }
        (Some(item), None) => {
            let source = given(&item, reading.form);
            Some((item, source))
        }
        (None, Some(item)) => {
            let source = in_file(&item, reading);
            Some((item, source))
        }
        (None, None) => None,
    }
}

/// A secret that the configuration itself holds.
pub(super) fn given(item: &Item<'_>, form: Form) -> Option<Source> {
    Some(Source::Given(Secret::new(text(item, form)?)))
}

/// A text that has to be of this form.
pub(super) fn text(item: &Item<'_>, form: Form) -> Option<String> {
    let text = item.text()?;
    match form.fault(&text) {
        Some(fault) => {
            item.problem(fault);
            None
        }
        None => Some(text),
    }
}

/// A secret that a file holds.
pub(super) fn in_file(item: &Item<'_>, Reading { form, used }: Reading) -> Option<Source> {
    let path = item.text()?;
    if path.is_empty() || path.contains('\0') {
        return item.expected("the path of a file");
    }
    let source = Source::File(PathBuf::from(path));
    if used {
        match Secrets(vec![(source.clone(), form)]).check() {
            Ok(warnings) => warnings.iter().for_each(|warning| item.warning(warning.to_string())),
            Err(error) => item.problem(error.to_string()),
        }
    }
    Some(source)
}
