//! Each native metric against the kernel's own figures.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{daemon, host_name, now_ms, own_name, remote_write};
use crate::support::kernel::{self, Figures};
use crate::support::program::{TempDir, free_port};
use crate::support::prometheus::{Prometheus, Series};
use crate::support::series::native;
use crate::support::{PATIENCE, wait_for};

/// How a metric is held against the kernel's figures from before and after its reading.
pub enum Rule {
    /// The same number.
    Exact,
    /// A counter: not below the one, not above the other.
    Between,
    /// It goes up and down: no further than this beyond the two, in one round of several.
    Near(f64),
    /// CPU usage: see [`usage_faults`].
    Usage,
    /// Only hosts with network or FUSE mounts have it.
    RemoteMounts,
}

use Rule::*;

/// Memory and disk space that others may take and give back between two looks.
const SLACK_BYTES: f64 = 67_108_864.0;

/// Every native name that there is.
pub const NAMES: [(&str, Rule); 41] = [
    ("system_cpu_usage_percent", Usage),
    ("system_cpu_usage_total_percent", Usage),
    ("system_cpu_count", Exact),
    // Idle and iowait are estimates that the kernel corrects a little.
    ("system_cpu_seconds_total", Near(0.1)),
    ("system_context_switches_total", Between),
    ("system_interrupts_total", Between),
    ("system_processes_created_total", Between),
    ("system_processes_running", Near(20.0)),
    ("system_processes_blocked", Near(20.0)),
    ("system_memory_total_bytes", Exact),
    ("system_memory_used_bytes", Near(SLACK_BYTES)),
    ("system_memory_available_bytes", Near(SLACK_BYTES)),
    ("system_memory_usage_percent", Near(1.0)),
    ("system_swap_total_bytes", Exact),
    ("system_swap_used_bytes", Near(SLACK_BYTES)),
    ("system_swap_usage_percent", Near(1.0)),
    ("system_load_1m", Near(0.0)),
    ("system_load_5m", Near(0.0)),
    ("system_load_15m", Near(0.0)),
    ("system_uptime_seconds", Between),
    // Set by steps of the clock alone, and kept while those are small.
    ("system_boot_time_seconds", Near(2.0)),
    ("system_disk_read_bytes_total", Between),
    ("system_disk_write_bytes_total", Between),
    ("system_disk_read_count_total", Between),
    ("system_disk_write_count_total", Between),
    ("system_disk_total_bytes", Exact),
    ("system_disk_used_bytes", Near(SLACK_BYTES)),
    ("system_disk_free_bytes", Near(SLACK_BYTES)),
    ("system_disk_usage_percent", Near(0.5)),
    ("system_disk_inodes", Exact),
    ("system_disk_inodes_free", Near(20_000.0)),
    ("system_disk_read_only", Exact),
    ("system_disk_stuck", RemoteMounts),
    ("system_network_bytes_sent_total", Between),
    ("system_network_bytes_recv_total", Between),
    ("system_network_packets_sent_total", Between),
    ("system_network_packets_recv_total", Between),
    ("system_network_errors_in_total", Between),
    ("system_network_errors_out_total", Between),
    ("system_network_drop_in_total", Between),
    ("system_network_drop_out_total", Between),
];

#[test]
#[ignore = "needs prometheus: make e2e"]
fn every_native_metric_agrees_with_the_kernels_own_figures() {
    let known: BTreeSet<&str> = native().map(|metric| metric.name).collect();
    assert_eq!(known, NAMES.iter().map(|(name, _)| *name).collect(), "the list above is not complete");

    let dir = TempDir::new();
    let prometheus = Prometheus::start(dir.path(), free_port(), "[]");
    let _daemon = daemon(&dir, 0.5, &remote_write(prometheus.port));
    agree(&prometheus);
}

/// Holds what a metricsd of [`daemon`] writes to `prometheus` against the kernel's figures.
pub fn agree(prometheus: &Prometheus) {
    let mountpoints = wait_for("the first tick", || {
        let uptime = prometheus.samples("system_uptime_seconds[5m]");
        let spaces = prometheus.samples("system_disk_total_bytes[5m]");
        uptime.first().map(|_| spaces.iter().map(|s| s.labels["mountpoint"].clone()).collect::<Vec<_>>())
    });
    let devices = prometheus.samples("system_disk_total_bytes[5m]");
    let devices: BTreeSet<&str> = devices.iter().map(|s| s.labels["device"].as_str()).collect();
    for row in kernel::df(&[]) {
        let is_image = row.device.starts_with("/dev/loop") || ["iso9660", "squashfs", "erofs"].contains(&&*row.fstype);
        let shown = !row.device.starts_with("/dev/") || is_image || devices.contains(&*row.device);
        assert!(shown, "df shows {} on {}, metricsd does not", row.device, row.mountpoint);
    }

    let until = Instant::now() + PATIENCE;
    loop {
        let round = Round::take(prometheus, &mountpoints);
        let (wrong, doubtful) = round.faults();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        if doubtful.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "in no round did all agree; in the last one:\n{}", doubtful.join("\n"));
    }
}

/// One tick as it is in Prometheus, and the kernel's figures around it.
struct Round {
    before: Figures,
    after: Figures,
    /// The time of this tick, and of the one before it.
    time_ms: i64,
    last_ms: i64,
    /// All series, by metric.
    found: BTreeMap<&'static str, Vec<Series>>,
}

impl Round {
    fn take(prometheus: &Prometheus, mountpoints: &[String]) -> Round {
        let before = kernel::figures(mountpoints);
        let began_ms = now_ms();
        // A tick's time is taken before it reads anything.
        let (last_ms, time_ms) = wait_for("a tick of after the reading", || {
            let ticks = prometheus.samples("system_uptime_seconds[5m]").remove(0).samples;
            let at = ticks.iter().position(|(time, _)| *time > began_ms)?;
            Some((ticks[at.checked_sub(1)?].0, ticks[at].0))
        });
        let after = kernel::figures(mountpoints);
        let found = NAMES.iter().map(|(name, _)| (*name, prometheus.samples(&format!("{name}[5m]")))).collect();
        Round { before, after, time_ms, last_ms, found }
    }

    /// What is certainly wrong, and what only is if the next rounds say the same.
    fn faults(&self) -> (Vec<String>, Vec<String>) {
        let (mut wrong, mut doubtful) = (Vec::new(), Vec::new());
        for (name, rule) in &NAMES {
            let all = &self.found[name];
            for series in all {
                let common = [("job", "metricsd"), ("instance", &*host_name()), ("site", "test \"1\"")];
                for (label, value) in common {
                    assert_eq!(series.labels.get(label).map(String::as_str), Some(value), "{name} {label}");
                }
            }
            let is_of = |key: &&String| key.split('{').next() == Some(*name);
            let values: Figures = all.iter().filter_map(|s| Some((own_name(s), s.at(self.time_ms)?))).collect();
            match rule {
                RemoteMounts => continue,
                Usage => {
                    wrong.extend(self.usage_faults(name, &values));
                    continue;
                }
                _ => {}
            }
            // What comes or goes in between may be there or not.
            for key in self.before.keys().filter(is_of).filter(|key| self.after.contains_key(*key)) {
                if !values.contains_key(key) {
                    doubtful.push(format!("{key} is not in Prometheus"));
                }
            }
            for (key, value) in &values {
                let (Some(before), Some(after)) = (self.before.get(key), self.after.get(key)) else {
                    doubtful.push(format!("{key} is {value}, and the kernel knows no such thing"));
                    continue;
                };
                let said = format!("{key} is {value}, but the kernel said {before} before and {after} after");
                let (low, high) = (before.min(*after), before.max(*after));
                match rule {
                    Exact if before == after && value != before => wrong.push(said),
                    Between if value < before || value > after => wrong.push(said),
                    Near(slack) if *value < low - slack || *value > high + slack => doubtful.push(said),
                    _ => {}
                }
            }
        }
        (wrong, doubtful)
    }

    /// CPU usage is the busy share of the seconds that passed since the tick before. The
    /// seconds themselves are held against the kernel's.
    fn usage_faults(&self, name: &str, values: &Figures) -> Vec<String> {
        // Core to (busy, all).
        let mut passed: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for series in &self.found["system_cpu_seconds_total"] {
            let (Some(last), Some(now)) = (series.at(self.last_ms), series.at(self.time_ms)) else { continue };
            let (busy, all) = passed.entry(&series.labels["core"]).or_default();
            *all += now - last;
            if !["idle", "iowait"].contains(&series.labels["mode"].as_str()) {
                *busy += now - last;
            }
        }
        let total = passed.values().fold((0.0, 0.0), |sum, core| (sum.0 + core.0, sum.1 + core.1));
        let shares: Vec<(String, (f64, f64))> = match name {
            "system_cpu_usage_total_percent" => vec![(name.to_owned(), total)],
            _ => passed.iter().map(|(core, passed)| (kernel::series(name, [("core", *core)]), *passed)).collect(),
        };
        let shares = shares.into_iter().filter(|(_, (_, all))| *all > 0.0);
        let expected: Figures = shares.map(|(key, (busy, all))| (key, busy / all * 100.0)).collect();
        if expected.is_empty() {
            return vec![format!("no CPU time passed between {} and {}", self.last_ms, self.time_ms)];
        }
        let same = expected.keys().eq(values.keys())
            && expected.iter().all(|(key, share)| (values[key] - share).abs() < 1e-6 && (0.0..=100.0).contains(share));
        if same { Vec::new() } else { vec![format!("usage is {values:?}, but of the seconds {expected:?} were busy")] }
    }
}
