//! Files of endpoints that are followed as they change: our own lists, and Prometheus' `file_sd`.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::settings::Settings;

/// Files that are followed at a time; more of them are a pattern that was not meant so.
const MAX_FILES: usize = 1000;

/// What is said where there are more.
const TOO_MANY: &str = "the patterns match more than 1000 files; those from here on are left out";

/// A list of ten thousand endpoints has two million bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// What the text of a file of that name means, where its endpoints are; or what is wrong with it.
pub type Parse<'p> = &'p dyn Fn(&Path, &str) -> Result<Vec<Arc<Settings>>, String>;

/// The files that match some patterns, and what they last said.
#[derive(Debug, Default)]
pub struct Followed {
    patterns: Vec<String>,
    files: BTreeMap<PathBuf, Known>,
    /// They match too many files, of which this is the first that is left out.
    beyond: Option<PathBuf>,
}

/// A file, as it was when it was last read.
#[derive(Debug)]
struct Known {
    stamp: Stamp,
    /// Of its last good text.
    endpoints: Vec<Arc<Settings>>,
    /// What is wrong with what it says now.
    trouble: Option<String>,
}

/// What tells a changed file from an unchanged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Followed {
    /// Those that match these patterns; nothing is read yet.
    pub fn new(patterns: Vec<String>) -> Followed {
        Followed { patterns, ..Followed::default() }
    }

    /// Looks at all files. Whether anything is other than it was, or something else is wrong. What cannot be read or is not
    /// understood keeps its last good state, and is told to `complain` once for each of its states;
    /// a file that is gone takes its endpoints with it.
    pub fn look(&mut self, parse: Parse<'_>, mut complain: impl FnMut(&Path, String)) -> bool {
        let mut changed = false;
        let mut there: BTreeMap<PathBuf, Option<Stamp>> = BTreeMap::new();
        for pattern in &self.patterns {
            // Each was checked.
            for found in glob::glob(pattern).into_iter().flatten() {
                match found {
                    Ok(path) => _ = there.entry(path).or_default(),
                    // A directory that cannot be read just now: what was in it stays.
                    Err(error) => {
                        let within = self.files.keys().filter(|path| path.starts_with(error.path()));
                        within
                            .cloned()
                            .collect::<Vec<_>>()
                            .into_iter()
                            .for_each(|path| _ = there.entry(path).or_default());
                    }
                }
            }
        }
        let beyond = there.keys().nth(MAX_FILES).cloned();
        if let Some(first) = &beyond {
            if self.beyond.is_none() {
                complain(first, TOO_MANY.to_owned());
            }
            there.split_off(first);
        }
        changed |= self.beyond != beyond;
        self.beyond = beyond;
        let before = self.files.len();
        self.files.retain(|path, _| there.contains_key(path));
        changed |= self.files.len() != before;
        for path in there.into_keys() {
            let (stamp, is_file) = match fs::metadata(&path) {
                Ok(metadata) => (Stamp::of(&metadata), metadata.is_file()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    changed |= self.files.remove(&path).is_some();
                    continue;
                }
                Err(_) => continue,
            };
            if self.files.get(&path).is_some_and(|known| known.stamp == stamp) {
                continue;
            }
            // Opening a pipe would wait for its other end.
            let text = if is_file { read(&path) } else { Err("is no regular file".to_owned()) };
            let read = text.and_then(|text| parse(&path, &text));
            let known =
                self.files.entry(path.clone()).or_insert_with(|| Known { stamp, endpoints: Vec::new(), trouble: None });
            known.stamp = stamp;
            let before = known.trouble.take();
            match read {
                Ok(mut endpoints) => {
                    changed |= known.endpoints != endpoints;
                    Settings::share(&mut endpoints, &known.endpoints);
                    known.endpoints = endpoints;
                }
                Err(why) => {
                    complain(&path, why.clone());
                    known.trouble = Some(why);
                }
            }
            changed |= known.trouble != before;
        }
        changed
    }

    /// What is wrong with files, as they are now.
    pub fn troubles(&self) -> impl Iterator<Item = (&Path, &str)> {
        let own = self.files.iter().filter_map(|(path, known)| Some((&**path, known.trouble.as_deref()?)));
        own.chain(self.beyond.as_deref().map(|path| (path, TOO_MANY)))
    }

    /// What all files say, by their names. Of two endpoints of one name the first counts, and the
    /// other one is told to `complain`; `taken` are the names that are not theirs.
    pub fn endpoints(&self, taken: &[Arc<Settings>], mut complain: impl FnMut(&Path, String)) -> Vec<Arc<Settings>> {
        let mut names: std::collections::HashSet<&str> = taken.iter().map(|one| &*one.name).collect();
        let mut all = Vec::new();
        for (path, known) in &self.files {
            for endpoint in &known.endpoints {
                if names.insert(&endpoint.name) {
                    all.push(Arc::clone(endpoint));
                } else {
                    complain(
                        path,
                        format!("the name {:?} is another endpoint's already; it is left out", endpoint.name),
                    );
                }
            }
        }
        all
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_FILE_BYTES => Err(format!("is larger than {MAX_FILE_BYTES} bytes")),
        Ok(_) => String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// The list of endpoints that `text` is, as it would stand in the configuration: its own text, or
/// what a list of Prometheus' `file_sd` means. None: that is another list, and to be read as it is.
///
/// A target group `{"targets": ["host:port"], "labels": {...}}` is an endpoint for each target, called
/// `<file>/<target>`. Of its labels `job`, `__scheme__`, `__metrics_path__` and `__param_<name>` say
/// what is asked; other names that begin with `__` are dropped.
pub fn from_file_sd(path: &Path, text: &str) -> Result<Option<String>, String> {
    let Ok(Value::Array(groups)) = serde_json::from_str::<Value>(text) else { return Ok(None) };
    if !groups.iter().any(|group| group.get("targets").is_some()) {
        return Ok(None);
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut all: Vec<Value> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        let refuse = |why: &str| format!("[{at}]: {why}");
        let targets = group.get("targets").and_then(Value::as_array).ok_or_else(|| refuse("has no list of targets"))?;
        let none = Map::new();
        let labels = match group.get("labels") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(labels)) => labels,
            Some(_) => return Err(refuse("labels: expected an object of strings")),
        };
        let text_of = |name: &str| labels.get(name).and_then(Value::as_str);
        let scheme = text_of("__scheme__").unwrap_or("http");
        let place = text_of("__metrics_path__").unwrap_or("/metrics");
        let query: Vec<String> = labels
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("__param_")?, value.as_str()?)))
            .map(|(name, value)| {
                format!("{}={}", crate::http::percent_encoded(name), crate::http::percent_encoded(value))
            })
            .collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let own: Map<String, Value> = labels
            .iter()
            .filter(|(name, _)| *name != "job" && !name.starts_with("__"))
            .map(|(name, value)| (name.clone(), literal(value)))
            .collect();
        for target in targets {
            let target = target.as_str().ok_or_else(|| refuse("targets: expected strings"))?;
            let mut name = format!("{stem}/{target}{}", if place == "/metrics" { "" } else { place });
            let count = names.entry(name.clone()).or_default();
            *count += 1;
            if *count > 1 {
                name = format!("{name}#{count}");
            }
            all.push(json!({
                "name": literal(&name.into()),
                "job": literal(&text_of("job").unwrap_or(&stem).into()),
                "url": literal(&format!("{scheme}://{target}{place}{query}").into()),
                "labels": own,
            }));
        }
    }
    Ok(Some(Value::Array(all).to_string()))
}

/// A text in which no variable of the environment is meant.
fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn a_list_of_file_sd_is_an_endpoint_for_each_target() {
        let text = r#"[
            {"targets": ["a:1", "[::1]:2"], "labels": {"job": "j", "zone": "${x}", "__meta_x": "y"}},
            {"targets": ["b:3"], "labels": {"__scheme__": "https", "__metrics_path__": "/m", "__param_q": "a b&c"}},
            {"targets": ["a:1"]}
        ]"#;
        let read = from_file_sd(Path::new("/etc/sd/shop.json"), text).unwrap().unwrap();
        let read: Value = serde_json::from_str(&read).unwrap();
        let expected = json!([
            {"name": "shop/a:1", "job": "j", "url": "http://a:1/metrics", "labels": {"zone": "$${x}"}},
            {"name": "shop/[::1]:2", "job": "j", "url": "http://[::1]:2/metrics", "labels": {"zone": "$${x}"}},
            {"name": "shop/b:3/m", "job": "shop", "url": "https://b:3/m?q=a%20b%26c", "labels": {}},
            {"name": "shop/a:1#2", "job": "shop", "url": "http://a:1/metrics", "labels": {}},
        ]);
        assert_eq!(read, expected);
        assert_eq!(from_file_sd(Path::new("x"), r#"[{"name": "a", "url": "http://h/"}]"#), Ok(None));
        assert_eq!(
            from_file_sd(Path::new("x"), "[{\"targets\": "),
            Ok(None),
            "the one who reads it all says what is wrong"
        );
        assert!(from_file_sd(Path::new("x"), r#"[{"targets": "a:1"}]"#).unwrap_err().contains("no list of targets"));
        assert!(from_file_sd(Path::new("x"), r#"[{"targets": [1]}]"#).unwrap_err().contains("expected strings"));
    }

    #[test]
    fn files_are_followed_and_what_is_not_understood_keeps_its_last_good_state() {
        let dir = std::env::temp_dir().join(format!("metricsd-files-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut followed = Followed::new(vec![dir.join("*.json").display().to_string()]);
        // One name a line; `bad` is not understood.
        let parse = |_: &Path, text: &str| {
            if text.contains("bad") {
                return Err("is bad".to_owned());
            }
            Ok(text.lines().map(|name| Arc::new(settings(name, "http://h/"))).collect())
        };
        let mut said = Vec::new();
        let mut look = |followed: &mut Followed| {
            let changed = followed.look(&parse, |path, why| said.push(format!("{} {why}", path.display())));
            let names: Vec<_> = followed
                .endpoints(&[Arc::new(settings("taken", "http://h/"))], |_, _| ())
                .into_iter()
                .map(|one| one.name.to_string())
                .collect();
            (changed, names.join(" "))
        };
        assert_eq!(look(&mut followed), (false, String::new()));
        fs::write(dir.join("a.json"), "one\ntwo\ntaken").unwrap();
        fs::write(dir.join("b.json"), "three\none").unwrap();
        fs::write(dir.join("c.txt"), "four").unwrap();
        nix::unistd::mkfifo(&dir.join("d.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(look(&mut followed), (true, "one two three".to_owned()));
        assert_eq!(look(&mut followed), (false, "one two three".to_owned()));
        fs::write(dir.join("a.json"), "bad").unwrap();
        assert_eq!(look(&mut followed), (true, "one two three".to_owned()), "what is wrong is another thing");
        let wrong = |followed: &Followed| followed.troubles().map(|(_, why)| why.to_owned()).collect::<Vec<_>>();
        assert_eq!(wrong(&followed), ["is bad", "is no regular file"]);
        assert_eq!(look(&mut followed), (false, "one two three".to_owned()));
        fs::remove_file(dir.join("b.json")).unwrap();
        assert_eq!(look(&mut followed), (true, "one two".to_owned()));
        fs::write(dir.join("a.json"), "five").unwrap();
        assert_eq!(look(&mut followed), (true, "five".to_owned()));
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(look(&mut followed), (true, String::new()));
        let expected = ["d.json is no regular file", "a.json is bad"].map(|end| format!("{}/{end}", dir.display()));
        assert_eq!(said, expected, "each once");
    }
}
