//! A chip's sensors and their attributes: found by listing its folders, read one by one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::parse::{self, ParseError};
use super::super::partial::{Bound, Partial};
use super::names::{COLLECTOR, KINDS, Parts, clean, split};
use super::readings::{self, CHIP_NAMES, SENSOR_LABEL};
use crate::host::{ReadError, Scratch, read_attribute};
use crate::model::{Item, Learnt, Reading, Recorder};
use crate::order;

/// No chip has as many attributes; what is beyond is passed over, and said.
const MAX_ATTRIBUTES: usize = 2048;

/// How much of a label is shown.
const MAX_LABEL_BYTES: usize = 128;

/// What is told of a chip's folder to know it again: another chip may get the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity([i64; 6]);

impl Identity {
    /// Of the folder at `path`; none where there is none.
    pub fn of(path: &Path) -> Option<Identity> {
        let meta = fs::metadata(path).ok().filter(fs::Metadata::is_dir)?;
        let [device, inode] = [meta.dev(), meta.ino()].map(|number| number as i64);
        Some(Identity([device, inode, meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()]))
    }
}

/// A chip that is read.
#[derive(Debug)]
pub struct Chip {
    /// The label `chip`.
    pub called: String,
    /// What it calls itself, as a label; may be empty.
    name: String,
    folder: PathBuf,
    item: Item,
    sensors: Vec<Sensor>,
    bound: Bound,
}

/// A sensor: what it is called, and its attributes.
#[derive(Debug, PartialEq)]
struct Sensor {
    item: Item,
    has_label: bool,
    attributes: Vec<Attribute>,
}

/// An attribute, and what becomes of its number.
#[derive(Debug, PartialEq)]
struct Attribute {
    /// Below the chip's folder.
    file: Box<str>,
    /// In metricsd's own names and in OpenTelemetry's, and what its number is divided by there.
    reading: Option<(&'static Reading, f64)>,
    /// The same in node_exporter's.
    node: Option<(Arc<Learnt>, f64)>,
}

/// Why there is no number.
enum Unread {
    /// The driver's answer is none.
    NoNumber(String),
    /// It gave an error.
    Failed(String),
}

/// node_exporter's readings of all chips, each once.
#[derive(Debug, Default)]
pub struct Names(pub(super) Vec<Arc<Learnt>>);

impl Names {
    fn the(&mut self, learnt: Learnt) -> Arc<Learnt> {
        if let Some(known) = self.0.iter().find(|known| ***known == learnt) {
            return Arc::clone(known);
        }
        self.0.push(Arc::new(learnt));
        Arc::clone(&self.0[self.0.len() - 1])
    }

    /// Forgets those that nobody has.
    pub fn tidy(&mut self) {
        self.0.retain(|learnt| Arc::strong_count(learnt) > 1);
    }
}

/// What a round of a chip is read with.
pub struct Round<'r> {
    /// For what files hold.
    pub scratch: &'r mut Scratch,
    /// What fails.
    pub partial: &'r mut Partial,
    /// node_exporter's readings.
    pub names: &'r mut Names,
    /// Numbers that were read.
    pub read: usize,
    /// Attributes that were not.
    pub failed: usize,
}

impl Round<'_> {
    fn fails(&mut self, what: &str, why: &str) {
        self.failed += 1;
        self.partial.failed(COLLECTOR, what, why);
    }
}

impl Chip {
    /// The chip in `folder`, whose sensors are not known yet.
    pub fn new(folder: PathBuf, called: String, name: &str) -> Chip {
        let name = clean(name);
        let item = Item::of_kind("chip", &[&called, "", &name]);
        Chip { called, name, folder, item, sensors: Vec::new(), bound: Bound::default() }
    }

    /// Looks for its sensors anew. Those that are as they were stay the same objects. Whether
    /// everything could be looked at.
    pub fn list(&mut self, round: &mut Round<'_>) -> bool {
        let files = match files(&self.folder) {
            Ok((files, is_over)) => {
                let what = format!("attributes of {}", self.called);
                self.bound.tell(is_over, COLLECTOR, &what, MAX_ATTRIBUTES);
                files
            }
            // It has gone a moment ago.
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                round.fails(&self.called, &format!("cannot list {}: {error}", self.folder.display()));
                return false;
            }
        };
        let mut is_sound = true;
        let mut sensors = Vec::with_capacity(files.len());
        let mut frequencies = Vec::new();
        for ((kind, number), attributes) in &files {
            let sensor = format!("{}{number}", KINDS[*kind]);
            let label = match attributes.get("label").map(|file| self.label(file, round)) {
                Some(Ok(label)) => label,
                Some(Err(())) => {
                    is_sound = false;
                    String::new()
                }
                None => String::new(),
            };
            sensors.push(self.sensor(KINDS[*kind], &sensor, &label, attributes, &mut frequencies, round.names));
        }
        if sensors != self.sensors {
            self.sensors = sensors;
        }
        is_sound
    }

    /// What a file is called in the log.
    fn path_of(&self, file: &str) -> String {
        format!("{}/{file}", self.called)
    }

    /// The text of a label. A failure is noted.
    fn label(&self, file: &str, round: &mut Round<'_>) -> Result<String, ()> {
        match read_attribute(&self.folder.join(file), round.scratch) {
            Ok(text) => Ok(label(text)),
            Err(ReadError::Missing(_)) => Err(()),
            Err(error) => {
                round.fails(&self.path_of(file), &error.to_string());
                Err(())
            }
        }
    }

    fn sensor(
        &self,
        kind: &str,
        sensor: &str,
        label: &str,
        files: &BTreeMap<String, String>,
        frequencies: &mut Vec<String>,
        names: &mut Names,
    ) -> Sensor {
        let frequency = clean(label);
        let is_plain = files.contains_key("");
        let mut attributes: Vec<Attribute> = Vec::new();
        // The value itself stands first.
        let is_value = |property: &str| matches!(property, "input" | "");
        let mut properties: Vec<&String> = files.keys().filter(|property| *property != "label").collect();
        order::sort_by_key(&mut properties, |property| !is_value(property));
        for property in properties {
            let mut node = readings::node(kind, property, is_plain, files.contains_key("label"));
            if (kind, &**property) == ("freq", "input") {
                // Its series has the label in the sensor's place, and no second one may have the same.
                let is_new = !frequency.is_empty() && !frequencies.contains(&frequency);
                node = node.filter(|_| is_new);
                frequencies.push(frequency.clone());
            }
            let node = node.map(|(learnt, divisor)| (names.the(learnt), divisor));
            // Properties that differ only in what a name cannot hold.
            let is_taken = |learnt: &Arc<Learnt>| {
                attributes.iter().any(|other| other.node.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, learnt)))
            };
            let node = node.filter(|(learnt, _)| !is_taken(learnt));
            let reading = readings::reading(kind, property);
            if reading.is_some() || node.is_some() {
                attributes.push(Attribute { file: files[property].as_str().into(), reading, node });
            }
        }
        Sensor {
            item: readings::item(&self.called, &self.name, sensor, label),
            has_label: !label.is_empty(),
            attributes,
        }
    }

    /// Reads all attributes. Whether the files are those that were listed.
    pub fn read(&self, round: &mut Round<'_>, out: &mut Recorder) -> bool {
        if !self.name.is_empty() {
            out.item(&self.item).push(&CHIP_NAMES, 1.0);
        }
        let mut is_as_listed = true;
        let mut path = self.folder.clone();
        for sensor in &self.sensors {
            let mut out = out.item(&sensor.item);
            if sensor.has_label {
                out.push(&SENSOR_LABEL, 1.0);
            }
            for attribute in &sensor.attributes {
                path.push(&*attribute.file);
                let number = match read_attribute(&path, round.scratch) {
                    Ok(text) => parse(text).map_err(|error| Unread::NoNumber(error.of(&path).to_string())),
                    Err(ReadError::Missing(_)) => {
                        is_as_listed = false;
                        path.clone_from(&self.folder);
                        continue;
                    }
                    Err(error) => Err(Unread::Failed(error.to_string())),
                };
                path.clone_from(&self.folder);
                match number {
                    Ok(number) => {
                        round.read += 1;
                        if let Some((reading, divisor)) = attribute.reading {
                            out.push(reading, number / divisor);
                        }
                        if let Some((learnt, divisor)) = &attribute.node {
                            out.push_learnt(learnt, number / divisor);
                        }
                    }
                    // What only node_exporter's rule shows may be any text (`power1_model_number`).
                    Err(Unread::NoNumber(_)) if attribute.reading.is_none() => {}
                    Err(Unread::NoNumber(why) | Unread::Failed(why)) => {
                        round.fails(&self.path_of(&attribute.file), &why);
                    }
                }
            }
        }
        is_as_listed
    }
}

/// Paths of attributes.
type Files = BTreeMap<(usize, u32), BTreeMap<String, String>>;

/// The attributes of sensors in a chip's folder, by kind and number of the sensor and by property,
/// each with its path below the folder. Old drivers have them in the device's own folder, `device`. Whether
/// there are more than [`MAX_ATTRIBUTES`].
fn files(folder: &Path) -> io::Result<(Files, bool)> {
    let mut sensors = Files::new();
    let mut found = 0;
    for prefix in ["", "device/"] {
        let entries = match fs::read_dir(folder.join(prefix)) {
            Ok(entries) => entries,
            Err(error) if !prefix.is_empty() && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some((name, Parts { kind, number, property })) =
                name.to_str().and_then(|name| Some((name, split(name)?)))
            else {
                continue;
            };
            // Folders (`power`), and what can only be written to (`temp1_reset_history`).
            let is_attribute = fs::metadata(entry.path()).is_ok_and(|meta| !meta.is_dir() && meta.mode() & 0o444 != 0);
            found += usize::from(is_attribute);
            if is_attribute && found <= MAX_ATTRIBUTES {
                let properties = sensors.entry((kind, number)).or_default();
                properties.entry(property.to_owned()).or_insert_with(|| format!("{prefix}{name}"));
            }
        }
    }
    Ok((sensors, found > MAX_ATTRIBUTES))
}

/// The text of a label: whatever the board's maker wrote, without its line's end. Each stretch that
/// is not UTF-8 is one replacement character, as in node_exporter.
fn label(text: &[u8]) -> String {
    let mut label = String::new();
    let mut was_invalid = false;
    for chunk in text.utf8_chunks() {
        label.push_str(chunk.valid());
        let goes_on = was_invalid && chunk.valid().is_empty();
        was_invalid = !chunk.invalid().is_empty();
        if was_invalid && !goes_on {
            label.push(char::REPLACEMENT_CHARACTER);
        }
    }
    let label = label.trim_matches('\n');
    let end = (0..=MAX_LABEL_BYTES.min(label.len())).rev().find(|at| label.is_char_boundary(*at));
    label[..end.unwrap_or(0)].to_owned()
}

/// The number of an attribute:
///
/// ```text
/// 45000
/// ```
///
/// See <https://www.kernel.org/doc/html/latest/hwmon/sysfs-interface.html>. It may be below zero.
/// A driver that has nothing to say gives an empty text, which is no number.
pub fn parse(text: &[u8]) -> Result<f64, ParseError> {
    let content = text.trim_ascii();
    let (sign, digits) = match content.strip_prefix(b"-") {
        Some(digits) => (-1.0, digits),
        None => (1.0, content),
    };
    parse::f64(digits).map(|number| sign * number).ok_or_else(|| ParseError::expected(1, "a number", content))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::cut_everywhere;
    use super::*;

    #[test]
    fn a_number_may_be_below_zero_and_nothing_is_none() {
        let number = |text: &str| parse(text.as_bytes()).ok();
        assert_eq!(number("45000\n"), Some(45000.0));
        assert_eq!(number("-12500\n"), Some(-12500.0));
        // Drivers have forgotten the line's end, and left blanks.
        assert_eq!(number(" 7 "), Some(7.0));
        for bad in ["", "\n", "-", "x", "1 2", "0x10", "1e5", "nan", "--1", "+1"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
        assert_eq!(parse(b"\n").unwrap_err().to_string(), "line 1: expected a number, got \"\"");
    }

    #[test]
    fn a_label_is_any_text() {
        assert_eq!(label(b"Core 0\n"), "Core 0");
        assert_eq!(label(b" Left side  \n"), " Left side  ");
        assert_eq!(label(b"CPU \xff\xfe\n"), "CPU \u{fffd}");
        assert_eq!(label(b"\xffa\xff\xffb"), "\u{fffd}a\u{fffd}b");
        assert_eq!(label(b"\n"), "");
        let long = "\u{e4}".repeat(100);
        assert_eq!(label(long.as_bytes()), "\u{e4}".repeat(64));
        assert_eq!(label(format!("x{long}").as_bytes()).len(), 127);
    }

    #[test]
    fn no_text_makes_it_panic() {
        for file in ["hwmon0/temp1_input", "hwmon0/temp3_label", "hwmon1/temp1_label", "hwmon10/in0_input"] {
            cut_everywhere(&format!("sys/class/hwmon/{file}"), |text| {
                drop(parse(text));
                label(text);
            });
        }
    }
}
