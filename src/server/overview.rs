//! What people look at first, out of the latest collection: CPU, memory, disks, network.

use std::collections::HashMap;

use crate::model::{Labels, Scheme};
use crate::order;
use crate::shaping::{Perspective, ViewSeries};
use crate::telemetry::Newest;

/// The sources that are shown as so much a second.
pub(super) const RATES: &[&str] = &["disk", "network"];

/// What of them is.
const RATED: [&str; 6] = [
    "system_disk_read_bytes_total",
    "system_disk_write_bytes_total",
    "system_disk_read_count_total",
    "system_disk_write_count_total",
    "system_network_bytes_recv_total",
    "system_network_bytes_sent_total",
];

/// Rows of a table: what people read, and little to send each few seconds. Hosts with ten thousand
/// interfaces exist.
const MAX_ROWS: usize = 50;

/// What is not known is none.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Overview {
    pub cpu: Cpu,
    pub memory: Memory,
    pub file_systems: Rows<FileSystem>,
    pub disks: Rows<Disk>,
    pub interfaces: Rows<Interface>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Cpu {
    pub percent: Option<f64>,
    pub count: Option<f64>,
    /// Over one, five and fifteen minutes.
    pub load: [Option<f64>; 3],
}

/// Bytes, and percent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub percent: Option<f64>,
    pub total: Option<f64>,
    pub used: Option<f64>,
    pub available: Option<f64>,
    pub swap_percent: Option<f64>,
    pub swap_total: Option<f64>,
    pub swap_used: Option<f64>,
}

/// Bytes, and percent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FileSystem {
    pub mountpoint: String,
    pub device: String,
    pub kind: String,
    pub percent: Option<f64>,
    pub total: Option<f64>,
    pub used: Option<f64>,
    pub is_stuck: bool,
}

/// Bytes and operations a second.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Disk {
    pub device: String,
    pub read: Option<f64>,
    pub written: Option<f64>,
    pub reads: Option<f64>,
    pub writes: Option<f64>,
}

/// Bytes a second; errors and drops since the interface is there.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Interface {
    pub name: String,
    pub received: Option<f64>,
    pub sent: Option<f64>,
    pub errors: f64,
    pub dropped: f64,
}

/// A table's rows.
#[derive(Debug, PartialEq)]
pub(super) struct Rows<T> {
    pub shown: Vec<T>,
    /// How many more there are.
    pub hidden: usize,
}

impl<T> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows { shown: Vec::new(), hidden: 0 }
    }
}

impl<T: Default> Rows<T> {
    /// The row of the item that `series` is of: the last one, or where that is another one's, a new one.
    fn of(&mut self, is_last: bool, name: impl FnOnce(&mut T)) -> Option<&mut T> {
        if !is_last {
            let mut row = T::default();
            name(&mut row);
            self.shown.push(row);
        }
        self.shown.last_mut()
    }

    /// Where there are too many, those with the largest `weight` stay, in their order.
    fn cut(&mut self, weight: impl Fn(&T) -> f64) {
        if self.shown.len() <= MAX_ROWS {
            return;
        }
        let mut weights: Vec<(f64, usize)> = self.shown.iter().map(&weight).zip(0..).collect();
        order::sort_by(&mut weights, |(one, at), (other, behind)| other.total_cmp(one).then(at.cmp(behind)));
        let mut keeps = vec![false; self.shown.len()];
        weights[..MAX_ROWS].iter().for_each(|(_, at)| keeps[*at] = true);
        self.hidden = self.shown.len() - MAX_ROWS;
        let mut keeps = keeps.into_iter();
        self.shown.retain(|_| keeps.next() == Some(true));
    }
}

impl Overview {
    /// Of what was collected last.
    pub fn of(rounds: &[Newest]) -> Overview {
        let mut out = Overview::default();
        let from = Perspective::new(Scheme::Native, Labels::EMPTY);
        for round in rounds {
            let before = before(round, &from);
            for (chunk, values) in round.frame.parts() {
                let view = from.view(chunk);
                let mut last = None;
                for series in view.series() {
                    let value = series.value(values);
                    let rate = || {
                        let (then, seconds) = before.as_ref()?;
                        let grown = value - then.get(&series.identity)?;
                        // What fell was counted anew.
                        (grown >= 0.0).then_some(grown / seconds)
                    };
                    let is_last = last == Some(series.item);
                    if out.take(series, value, rate, is_last) {
                        last = Some(series.item);
                    }
                }
            }
        }
        out.file_systems.cut(|row| if row.is_stuck { f64::MAX } else { row.percent.unwrap_or_default() });
        out.disks.cut(|row| row.read.unwrap_or_default() + row.written.unwrap_or_default());
        out.interfaces.cut(|row| row.received.unwrap_or_default() + row.sent.unwrap_or_default());
        out
    }

    /// Takes what is shown. Whether that began or went on with a row; `is_last`: that of the row before.
    fn take(&mut self, series: ViewSeries<'_>, value: f64, rate: impl Fn() -> Option<f64>, is_last: bool) -> bool {
        let Overview { cpu, memory, file_systems, disks, interfaces } = self;
        let label = |name: &str| {
            let value = series.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value);
            value.unwrap_or_default().to_owned()
        };
        let Some(name) = series.family().name.strip_prefix("system_") else { return false };
        let one = match name {
            "cpu_usage_total_percent" => &mut cpu.percent,
            "cpu_count" => &mut cpu.count,
            "load_1m" => &mut cpu.load[0],
            "load_5m" => &mut cpu.load[1],
            "load_15m" => &mut cpu.load[2],
            "memory_usage_percent" => &mut memory.percent,
            "memory_total_bytes" => &mut memory.total,
            "memory_used_bytes" => &mut memory.used,
            "memory_available_bytes" => &mut memory.available,
            "swap_usage_percent" => &mut memory.swap_percent,
            "swap_total_bytes" => &mut memory.swap_total,
            "swap_used_bytes" => &mut memory.swap_used,
            "disk_total_bytes" | "disk_used_bytes" | "disk_usage_percent" | "disk_stuck" => {
                let named = |row: &mut FileSystem| {
                    (row.mountpoint, row.device, row.kind) = (label("mountpoint"), label("device"), label("fstype"));
                };
                let Some(row) = file_systems.of(is_last, named) else { return false };
                match name {
                    "disk_total_bytes" => row.total = Some(value),
                    "disk_used_bytes" => row.used = Some(value),
                    "disk_usage_percent" => row.percent = Some(value),
                    _ => row.is_stuck = value != 0.0,
                }
                return true;
            }
            "disk_read_bytes_total" | "disk_write_bytes_total" | "disk_read_count_total" | "disk_write_count_total" => {
                let Some(row) = disks.of(is_last, |row| row.device = label("device")) else { return false };
                let place = match name {
                    "disk_read_bytes_total" => &mut row.read,
                    "disk_write_bytes_total" => &mut row.written,
                    "disk_read_count_total" => &mut row.reads,
                    _ => &mut row.writes,
                };
                *place = rate();
                return true;
            }
            "network_bytes_recv_total"
            | "network_bytes_sent_total"
            | "network_errors_in_total"
            | "network_errors_out_total"
            | "network_drop_in_total"
            | "network_drop_out_total" => {
                let Some(row) = interfaces.of(is_last, |row| row.name = label("interface")) else { return false };
                match name {
                    "network_bytes_recv_total" => row.received = rate(),
                    "network_bytes_sent_total" => row.sent = rate(),
                    "network_errors_in_total" | "network_errors_out_total" => row.errors += value,
                    _ => row.dropped += value,
                }
                return true;
            }
            _ => return false,
        };
        *one = Some(value);
        false
    }
}

/// What counted in the round before, by the series' identities, and how many seconds before.
fn before(round: &Newest, from: &Perspective) -> Option<(HashMap<u64, f64>, f64)> {
    let (frame, between) = round.before.as_ref()?;
    let mut values = HashMap::new();
    for (chunk, numbers) in frame.parts() {
        let view = from.view(chunk);
        let rated = view.series().filter(|series| RATED.contains(&series.family().name));
        values.extend(rated.map(|series| (series.identity, series.value(numbers))));
    }
    Some((values, between.as_secs_f64()))
}
