//! From the tree to settings: each object against the fields that it may have.

use std::collections::HashSet;

use super::context::{Context, Item};
use super::json::{Data, Entry, Value};
use super::not_yet;
use super::problem::Path;
use crate::fields::{DefaultValue, Done, Fault, Field, Fields, Fill, Info, Notes, Piece, Scalar, Shape, Table, Takes};
use crate::nearest::did_you_mean;

/// Reads the object `value` into what `fill` fills. Notes unknown and double fields, and what
/// the fields refuse.
pub(super) fn object(cx: &Context<'_>, value: &Value<'_>, path: Path, fields: &dyn Fields, fill: &mut dyn Fill) {
    let item = Item::new(value, path, false);
    let Some(entries) = entries(cx, &item, is_comment) else { return };
    let infos = fields.infos();
    let mut seen = HashSet::new();
    for Entry { key, key_origin, value } in entries {
        let path = item.path.key(key);
        let Some(info) = infos.iter().find(|info| info.name == key) else {
            match not_yet::field(&path, value) {
                Some(Ok(())) => {}
                Some(Err(message)) => cx.problem(*key_origin, &path, message),
                None => {
                    let nearest = did_you_mean(key, infos.iter().map(|info| info.name));
                    cx.problem(*key_origin, &path, format!("unknown field{nearest}"));
                }
            }
            continue;
        };
        if let Some(message) = of_wrong_number(info, &value.data, &infos) {
            cx.problem(value.origin, &path, message);
            continue;
        }
        // Of a field that is given twice the first counts; that it is was noted.
        if seen.insert(key) && !value.is_null() {
            field(cx, &Item::new(value, path, info.is_secret), info, fill);
        }
    }
    let mut notes = Notes::default();
    fill.check(&mut notes);
    cx.take(notes, &item, fields);
}

/// Where a list stands for an object of which another field takes several, or the other way round: which field that is.
fn of_wrong_number(info: &Info, data: &Data<'_>, all: &[Info]) -> Option<String> {
    let (other, expected, got) = match (info.shape, data) {
        (Shape::Object, Data::List(_)) => (Shape::Objects, "an object", "a list"),
        (Shape::Objects, Data::Object(_)) => (Shape::Object, "a list", "an object"),
        _ => return None,
    };
    let table = |info: &Info| info.inner.map(|inner| std::ptr::from_ref(inner).cast::<()>());
    let other = all.iter().find(|known| known.shape == other && table(known) == table(info))?;
    Some(format!("expected {expected}, got {got}; {} takes {got}", other.name))
}

fn field(cx: &Context<'_>, item: &Item<'_>, info: &Info, fill: &mut dyn Fill) {
    let name = info.name;
    let data = item.value.map(|value| &value.data);
    match (info.shape, data, item.value) {
        (Shape::Object, Some(Data::Object(_)), Some(value)) => {
            if let (Some(mut inner), Some(fields)) = (fill.open(name), info.inner) {
                object(cx, value, item.path.clone(), fields, &mut *inner);
            }
        }
        (Shape::Objects, Some(Data::List(items)), _) => {
            for (at, value) in items.iter().enumerate() {
                if let (Some(mut inner), Some(fields)) = (fill.open(name), info.inner) {
                    object(cx, value, item.path.index(at), fields, &mut *inner);
                }
            }
        }
        (Shape::Texts | Shape::Numbers, Some(Data::List(items)), _) => {
            check(cx, item, fill.set(name, Piece::List));
            for (at, value) in items.iter().enumerate() {
                let item = Item::new(value, item.path.index(at), item.is_secret);
                let mut meant = None;
                one(cx, &item, |scalar| {
                    if let Scalar::Text(pattern) = &scalar {
                        meant = info.instead_of_glob(pattern);
                    }
                    fill.set(name, Piece::Item(scalar))
                });
                if let Some(meant) = meant {
                    let what = "is a regular expression for the whole name, in which * repeats the character before it";
                    cx.warning(
                        item.origin,
                        &item.path,
                        format!("{} {what}; did you mean {meant:?}?", item.described()),
                    );
                }
            }
        }
        (Shape::Map | Shape::Secrets, Some(Data::Object(_)), _) => {
            for Entry { key, value, .. } in entries(cx, item, is_comment_of_a_map).unwrap_or_default() {
                let item = Item::new(value, item.path.key(key), item.is_secret);
                match value.data {
                    // Not given, as everywhere.
                    Data::Null => {}
                    Data::Object(_) if info.shape == Shape::Secrets => {
                        if let Some(file) = file(cx, &item, value) {
                            check(cx, &item, fill.set(name, Piece::MemberFile(key, file)));
                        }
                    }
                    _ => one(cx, &item, |scalar| fill.set(name, Piece::Member(key, scalar))),
                }
            }
        }
        _ => {
            let Some(scalar) = scalar(cx, item) else { return };
            let is_nothing = info.is_nothing(&scalar);
            match fill.set(name, Piece::One(scalar)) {
                Err(_) if is_nothing => warn_of_nothing(cx, item, info),
                done => check(cx, item, done),
            }
        }
    }
}

/// Says that what stands there counts as not given. Where the field has to be given, that is what will be said.
fn warn_of_nothing(cx: &Context<'_>, item: &Item<'_>, info: &Info) {
    let means = match (info.default, info.default.json()) {
        (DefaultValue::Null, _) => "counts as not given".to_owned(),
        (_, Some(default)) => format!("counts as not given, which means {default}"),
        (_, None) => return,
    };
    cx.warning(item.origin, &item.path, format!("{} {means}", item.described()));
}

/// Sets a value that holds no other.
fn one(cx: &Context<'_>, item: &Item<'_>, set: impl FnOnce(Scalar<'_>) -> Done) {
    if let Some(scalar) = scalar(cx, item) {
        check(cx, item, set(scalar));
    }
}

/// A value that holds no other; none if it was refused already.
fn scalar<'v>(cx: &Context<'_>, item: &Item<'v>) -> Option<Scalar<'v>> {
    Some(match item.value.map(|value| &value.data) {
        Some(Data::Bool(value)) => Scalar::Bool(*value),
        Some(Data::Number(number)) => Scalar::Number(number),
        Some(Data::Text(text)) => {
            let text = cx.text(item, text)?;
            if let Some(message) = not_yet::word(&item.path, &text) {
                cx.problem(item.origin, &item.path, message);
                return None;
            }
            Scalar::Text(text)
        }
        _ => Scalar::Other,
    })
}

fn check(cx: &Context<'_>, item: &Item<'_>, done: Done) {
    if let Err(fault) = done {
        cx.refuse(item, &fault);
    }
}

/// Whether a key of an object is a comment, whatever its value is.
fn is_comment(key: &str) -> bool {
    key.starts_with(['_', '$']) || is_comment_of_a_map(key)
}

/// The same where keys are names of the operator's own: labels, headers and parameters may begin with
/// `_` or `$`, and none of them with `//`.
fn is_comment_of_a_map(key: &str) -> bool {
    key.starts_with("//")
}

/// An object's entries without its comments; notes double keys, and that it is none.
fn entries<'v>(cx: &Context<'_>, item: &Item<'v>, is_comment: fn(&str) -> bool) -> Option<Vec<&'v Entry<'v>>> {
    let Some(Data::Object(entries)) = item.value.map(|value| &value.data) else {
        cx.refuse(item, &Fault::expected("an object"));
        return None;
    };
    let entries: Vec<&Entry<'_>> = entries.iter().filter(|entry| !is_comment(&entry.key)).collect();
    let mut seen = HashSet::new();
    for entry in entries.iter().filter(|entry| !seen.insert(entry.key.as_ref())) {
        cx.problem(entry.key_origin, &item.path.key(&entry.key), "given twice in the same object");
    }
    Some(entries)
}

/// The path in `{"file": "/path"}`, where a secret could stand.
fn file(cx: &Context<'_>, item: &Item<'_>, value: &Value<'_>) -> Option<String> {
    static FIELD: Field<Option<String>> = Field::new(
        "file",
        Takes::Text(|file, path| {
            *file = Some(path);
            Ok(())
        }),
        DefaultValue::Required,
        "The file that holds the value.",
    );
    static FILE: Table<Option<String>> = Table::checked(
        || vec![&FIELD],
        |file, notes| {
            if file.is_none() {
                notes.lack("expected a string, or {\"file\": \"/path\"} for a value that a file holds");
            }
        },
    );
    let mut file = None;
    object(cx, value, item.path.clone(), &FILE, &mut FILE.fill(&mut file));
    file
}
