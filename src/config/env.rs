//! The environment's say: `MC_*` over the file, `HOST_*` for the host's roots.
//!
//! A variable is laid over the tree as if its value stood in the file, so every check of
//! the field holds for it too, and its name is what a problem is reported under.

use std::path::Path as FsPath;

use super::context::Context;
use super::json::{Data, Entry, Origin, Value};
use super::problem::{Path, quoted};
use super::root::ROOT;
use crate::fields::{self, Row, Shape, Variable, any_of};
use crate::host::HostPaths;
use crate::http::Env;
use crate::nearest::did_you_mean;
use crate::order;

/// What all variables that are laid over the file begin with.
const PREFIX: &str = "MC_";

const SHIPPER_TYPE: &str = "MC_SHIPPER_TYPE";

/// Each variable that is laid over the file, with the field that it stands for.
pub fn variables() -> impl Iterator<Item = (&'static str, String)> {
    fields::variables(&ROOT).into_iter().map(|variable| (variable.name, variable.path.join(".")))
}

/// What Go's `strconv.ParseBool` takes.
const TRUE: [&str; 6] = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE: [&str; 6] = ["0", "f", "F", "false", "FALSE", "False"];

/// A variable of this process. One that is not UTF-8 is given with replacement characters:
/// whoever checks it will refuse it rather than take it for unset.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The names of this process's variables, what is not UTF-8 in them replaced.
pub fn process_env_names() -> impl Iterator<Item = String> {
    std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned())
}

/// A warning for each of `names` that begins as ours do and was not `asked` for, by us or by
/// a `${NAME}` of the file: most likely a typing mistake. Sorted; values are not looked at.
pub fn unknown_variables(names: impl IntoIterator<Item = String>, asked: impl Fn(&str) -> bool) -> Vec<String> {
    let mut unknown: Vec<String> =
        names.into_iter().filter(|name| name.starts_with(PREFIX) && !asked(name.as_str())).collect();
    order::sort(&mut unknown);
    let known = || variables().map(|(name, _)| name).chain(["MC_LOG_LEVEL"]);
    let rows = fields::rows(&ROOT);
    let warning = |name: &String| {
        let nearest = match field_of(name, &rows) {
            Some(path) => format!("; set {path} in the configuration"),
            None => did_you_mean(name, known()),
        };
        // A name may hold anything but `=`, line breaks too.
        format!("{}: no variable of metricsd's, and without effect{nearest}", name.escape_debug())
    };
    unknown.iter().map(warning).collect()
}

/// The field that whoever made up the variable `name` most likely means: `MC_SHIPPER_TIMEOUT`, or
/// `MC_TLS_CIPHER_SUITES` as those of `shipper.tls` are called.
fn field_of<'r>(name: &str, rows: &'r [Row]) -> Option<&'r str> {
    let meant = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let written = |row: &Row| row.path.replace('.', "_");
    let shipper = format!("shipper_{meant}");
    let mut found =
        rows.iter().filter(|row| written(row) == meant).chain(rows.iter().filter(|row| written(row) == shipper));
    found.next().map(|row| row.path.as_str())
}

/// Where the host's roots are: below `root` (`-root`) if it was given, else where
/// `HOST_PROC`, `HOST_SYS` and `HOST_ROOT` say, else here.
pub fn host_paths(root: Option<&FsPath>, env: Env<'_>) -> HostPaths {
    if let Some(root) = root {
        return HostPaths::below(root);
    }
    let at = |name, default: &str| set(env, name).unwrap_or_else(|| default.to_owned());
    HostPaths::new(at("HOST_PROC", "/proc"), at("HOST_SYS", "/sys"), at("HOST_ROOT", "/"))
}

/// The variable `name`; an empty one counts as unset.
fn set(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// Lays every `MC_*` variable that is set over `root`.
pub(super) fn lay_over(root: &mut Value<'_>, cx: &Context<'_>) {
    // `MC_SHIPPER_TYPE` stands before all that speak of a shipper, since it can make one.
    for Variable { name: variable, path, shape } in fields::variables(&ROOT) {
        let Some(text) = set(cx.env, variable) else { continue };
        let origin = Origin::Variable(variable);
        let full = path.iter().fold(Path::default(), |path, key| path.key(key));
        let data = match shape {
            Shape::Map => {
                match pairs(&text) {
                    Some(pairs) => lay_members_over(root, path[0], &pairs, origin),
                    None => cx.problem(origin, &full, format!("expected name=value,name=value, got {}", quoted(&text))),
                }
                continue;
            }
            // What is no number stays a text, which the field will refuse.
            Shape::Whole | Shape::Number if text.parse::<f64>().is_ok() => Data::Number(text.into()),
            Shape::Bool => match bool_of_go(&text) {
                Some(value) => Data::Bool(value),
                None => {
                    let known = any_of(&[&TRUE[..], &FALSE[..]].concat());
                    cx.problem(origin, &full, format!("expected {known}, got {}", quoted(&text)));
                    continue;
                }
            },
            _ => Data::Text(text.into()),
        };
        let (shipper, keys) = match path.split_first() {
            Some((&"shipper", keys)) => (Some(find_shipper(root)), keys),
            _ => (None, &path[..]),
        };
        let object = match shipper {
            None => Some(&mut *root),
            Some(Shipper::Short) => member(root, "shipper"),
            Some(Shipper::FirstOfList) => member(root, "shippers").and_then(|list| match &mut list.data {
                Data::List(items) => items.first_mut(),
                _ => None,
            }),
            Some(Shipper::None) if variable == SHIPPER_TYPE => object_member(root, "shipper", origin),
            Some(Shipper::None) => {
                if variable == "MC_SHIPPER_ENDPOINT" {
                    cx.problem(origin, &full, format!("no shipper is configured; {SHIPPER_TYPE} makes one"));
                } else {
                    cx.warning(origin, &full, "no shipper is configured; this is not used");
                }
                continue;
            }
            // Of the wrong type, which its reader will say.
            Some(Shipper::Unreadable) => None,
        };
        if let Some(object) = object {
            put(object, keys, Value { origin, data }, origin);
        }
    }
}

/// What `k=v,k2=v2` says; none where it does not say that.
fn pairs(text: &str) -> Option<Vec<(&str, &str)>> {
    text.split(',').map(|item| item.split_once('=').map(|(name, value)| (name.trim(), value.trim()))).collect()
}

/// Lays each of `pairs` over the member of its name in the map `key` of `root`. Of a map of the wrong type nothing is
/// said here: its reader will refuse it.
fn lay_members_over(root: &mut Value<'_>, key: &'static str, pairs: &[(&str, &str)], origin: Origin) {
    let Some(Value { data: Data::Object(entries), .. }) = object_member(root, key, origin) else { return };
    let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    entries.retain(|entry| !names.contains(&entry.key.as_ref()));
    // One that is given twice here is refused as one that is given twice in the file.
    entries.extend(pairs.iter().map(|(name, value)| Entry {
        key: (*name).to_owned().into(),
        key_origin: origin,
        value: Value { origin, data: Data::Text((*value).to_owned().into()) },
    }));
}

/// Which object the variables speak of.
enum Shipper {
    Short,
    FirstOfList,
    None,
    Unreadable,
}

fn find_shipper(root: &Value<'_>) -> Shipper {
    let Data::Object(entries) = &root.data else { return Shipper::Unreadable };
    let given = |key: &str| entries.iter().find(|entry| entry.key == key && !entry.value.is_null());
    match (given("shipper"), given("shippers").map(|entry| &entry.value.data)) {
        (Some(_), _) => Shipper::Short,
        (None, Some(Data::List(items))) if !items.is_empty() => Shipper::FirstOfList,
        (None, Some(Data::List(_)) | None) => Shipper::None,
        (None, Some(_)) => Shipper::Unreadable,
    }
}

/// Puts `value` at `keys` below `object`, and makes the objects on the way. Where something
/// else than an object is in the way nothing is put: its reader will refuse it.
fn put<'t>(object: &mut Value<'t>, keys: &[&'static str], value: Value<'t>, origin: Origin) {
    match keys {
        [] => *object = value,
        [last] => {
            if let Some(place) = member(object, last) {
                *place = value;
            }
        }
        [next, rest @ ..] => {
            if let Some(inner) = object_member(object, next, origin) {
                put(inner, rest, value, origin);
            }
        }
    }
}

/// The member `key`, made as `null` if it is missing; none of what is no object.
fn member<'r, 't>(object: &'r mut Value<'t>, key: &'static str) -> Option<&'r mut Value<'t>> {
    let origin = object.origin;
    let Data::Object(entries) = &mut object.data else { return None };
    let at = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let value = Value { origin, data: Data::Null };
        entries.push(Entry { key: key.into(), key_origin: origin, value });
        entries.len() - 1
    });
    Some(&mut entries[at].value)
}

/// The member `key`, made an empty object if it is missing.
fn object_member<'r, 't>(object: &'r mut Value<'t>, key: &'static str, origin: Origin) -> Option<&'r mut Value<'t>> {
    let member = member(object, key)?;
    if member.is_null() {
        *member = Value { origin, data: Data::Object(Vec::new()) };
    }
    Some(member)
}

fn bool_of_go(text: &str) -> Option<bool> {
    if TRUE.contains(&text) { Some(true) } else { FALSE.contains(&text).then_some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_roots_come_from_the_flag_then_the_environment() {
        let env = |name: &str| match name {
            "HOST_PROC" => Some("/host/proc".to_owned()),
            "HOST_SYS" => Some(String::new()),
            _ => None,
        };
        assert_eq!(host_paths(None, &env), HostPaths::new("/host/proc", "/sys", "/"));
        assert_eq!(host_paths(Some(FsPath::new("/fix")), &env), HostPaths::new("/fix/proc", "/fix/sys", "/fix"));
        assert_eq!(host_paths(None, &|_| None), HostPaths::default());
    }
}
