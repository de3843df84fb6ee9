//! By node_exporter's names metricsd says what node_exporter says, at the same moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use prometheus_remote_write::WriteRequest;
use prost_0_12::Message;

use super::{host_name, now_ms};
use crate::support::page::{Key, Page};
use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir, free_port};
use crate::support::prometheus::Prometheus;
use crate::support::{PATIENCE, wait_for};

/// What node_exporter alone gives of what our collectors are about, by how its families begin,
/// and why. What it has beyond the areas (`node_cpu_`, `node_disk_`, ...) in which we have
/// families belongs to collectors that we do not have, and needs no row.
const ONLY_THEIRS: &[(&str, &str)] = &[
    ("node_cpu_core_throttles_total", "cpufreq and thermal: of sysfs, not of /proc/stat"),
    ("node_cpu_package_throttles_total", "the same"),
    ("node_cpu_frequency_", "the same, under hypervisors that say it"),
    ("node_cpu_scaling_", "the same"),
    ("node_cpu_info", "off by default there; /proc/cpuinfo"),
    ("node_cpu_flag_info", "off by default there; /proc/cpuinfo"),
    ("node_cpu_bug_info", "off by default there; /proc/cpuinfo"),
    ("node_cpu_isolated", "since 1.6; sysfs"),
    ("node_cpu_online", "since 1.9; sysfs"),
    ("node_disk_info", "udev's database and sysfs, not /proc/diskstats"),
    ("node_disk_device_mapper_info", "udev's database"),
    ("node_disk_filesystem_info", "udev's database"),
    ("node_disk_ata_", "udev's database"),
    ("node_filesystem_mount_info", "since 1.9; mountinfo's numbers"),
    ("node_filesystem_purgeable_bytes", "since 1.9; of macOS"),
    ("node_network_address_assign_type", "netclass: /sys/class/net"),
    ("node_network_altnames_info", "netdev of 1.10, by netlink"),
    ("node_network_carrier", "netclass"),
    ("node_network_device_id", "netclass"),
    ("node_network_dormant", "netclass"),
    ("node_network_flags", "netclass"),
    ("node_network_iface_", "netclass"),
    ("node_network_info", "netclass"),
    ("node_network_mtu_bytes", "netclass"),
    ("node_network_name_assign_type", "netclass"),
    ("node_network_net_dev_group", "netclass"),
    ("node_network_protocol_type", "netclass"),
    ("node_network_speed_bytes", "netclass"),
    ("node_network_transmit_queue_length", "netclass"),
    ("node_network_up", "netclass"),
    ("node_time_clocksource_", "time: /sys/devices/system/clocksource"),
    ("node_time_zone_offset_seconds", "time: of the zone database; our times are UTC"),
    ("node_network_receive_nohandler_total", "netlink's alone: /proc/net/dev has no such column"),
];

/// The same of ours: families that node_exporter has since a later version than Debian's.
const ONLY_OURS: &[(&str, &str)] = &[
    ("node_pressure_irq_", "since 1.9; kernels from 6.1 on"),
    ("node_netstat_Tcp_MaxConn", "its dashboards have a line for it, its default choice does not"),
    ("node_netstat_TcpExt_TCPOFOQueue", "since 1.8"),
    ("node_netstat_TcpExt_TCPRcvQDrop", "since 1.9"),
    ("node_hwmon_freq_freq_mhz", "since 1.9"),
];

/// How a number is held against node_exporter's from before and after its reading.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// A counter: not below the one, not above the other, but for this.
    Between(f64),
    /// It goes up and down: no further than this beyond the two, in one round of several.
    Near(f64),
    /// The same, by this share of the larger of the two, or 1.
    Share(f64),
}

use Rule::*;

/// Two programs divide and print by themselves.
const ROUNDING: f64 = 1e-9;

/// Of families that begin so and are not counters, or are counters that step back. Generous:
/// other programs take and give back memory, space and processes between two looks.
const RULES: &[(&str, Rule)] = &[
    // Idle and iowait are estimates that the kernel corrects a little; the one program holds
    // the highest, the other not always.
    ("node_cpu_seconds_total", Between(0.1)),
    // Nobody counts what is in flight down at the same moment.
    ("node_disk_io_now", Near(1000.0)),
    ("node_memory_", Near(268_435_456.0)),
    ("node_filesystem_files", Near(20_000.0)),
    ("node_filesystem_", Near(268_435_456.0)),
    ("node_load", Near(2.0)),
    ("node_procs_", Near(200.0)),
    // Set by steps of the clock alone, and kept while those are small.
    ("node_boot_time_seconds", Near(2.0)),
    ("node_time_seconds", Between(0.0)),
    ("node_entropy_available_bits", Near(4096.0)),
    ("node_netstat_Tcp_CurrEstab", Near(1000.0)),
    ("node_netstat_Ip_Forwarding", Near(0.0)),
    ("node_netstat_", Between(0.0)),
    ("node_vmstat_nr_", Share(0.3)),
    ("node_vmstat_", Between(0.0)),
    ("node_hwmon_", Share(0.3)),
];

fn rule_of(family: &str, kind: &str) -> Rule {
    let row = RULES.iter().find(|(prefix, _)| family.starts_with(prefix));
    match row {
        Some((_, rule)) => *rule,
        None if kind == "counter" => Between(0.0),
        None => Share(0.1),
    }
}

/// Which devices it shows: those that metricsd shows by default, as far as patterns can say it.
const FLAGS: [&str; 5] = [
    // It wants a system that runs systemd.
    "--no-collector.systemd",
    "--collector.netdev.device-exclude=^(veth.*|cali.*|br-[0-9a-f]{12})$",
    "--collector.diskstats.device-exclude=^((loop|ram|zram|sr|fd|[hsv]d[a-z]+|xvd[a-z]+|nvme[0-9]+n[0-9]+p|mmcblk[0-9]+p)[0-9]+)$",
    "--collector.filesystem.mount-points-exclude=^(/(var/lib/docker|var/lib/containers|var/lib/kubelet/pods|run/containerd|run/docker|run/credentials|run/user)/.+|/(proc|sys|dev)(/.*)?)$",
    "--collector.filesystem.fs-types-exclude=^(tmpfs|devtmpfs|ramfs|rootfs|squashfs|erofs|overlay|aufs|iso9660|autofs|binfmt_misc|bpf|cgroup2?|configfs|cpuset|debugfs|devpts|efivarfs|fuse\\.(lxcfs|portal|gvfsd-fuse|snapfuse)|fusectl|hugetlbfs|mqueue|nsfs|proc|pstore|resctrl|rpc_pipefs|securityfs|selinuxfs|sysfs|tracefs)$",
];

#[test]
#[ignore = "needs node_exporter: make e2e"]
fn whatever_both_have_is_the_same_in_node_exporter() {
    let dir = TempDir::new();
    let theirs = node_exporter(dir.path());
    let peer = Peer::start(|_, _| Reply::status(204));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"preset": "full", "interval_seconds": 0.5}},
            "shipper": {{"type": "prometheus_remote_write", "naming": "node_exporter", "endpoint": "{}"}}}}"#,
        peer.url("/write")
    );
    let ours = Daemon::start(dir.path(), &config);
    let until = Instant::now() + PATIENCE;
    loop {
        let round = Round::take(&theirs, &ours, &peer);
        let (wrong, doubtful) = round.faults();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        if doubtful.is_empty() {
            round.say_how_much();
            return;
        }
        assert!(Instant::now() < until, "in no round did all agree; in the last one:\n{}", doubtful.join("\n"));
    }
}

fn node_exporter(dir: &Path) -> Prometheus {
    let port = free_port();
    let mut command = Command::new("prometheus-node-exporter");
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args(FLAGS);
    Prometheus::serve(command, dir, port, "/metrics")
}

fn their_page(server: &Prometheus) -> Page {
    let mut response = ureq::get(format!("http://127.0.0.1:{}/metrics", server.port)).call().unwrap();
    Page::read(&response.body_mut().read_to_string().unwrap())
}

/// A request's series without the labels that every one has, and the time of its tick.
fn written(request: &Received) -> (i64, BTreeMap<Key, f64>) {
    let message = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
    let message = WriteRequest::decode(&message[..]).unwrap();
    let time_ms = message.timeseries.iter().map(|series| series.samples[0].timestamp).min().unwrap();
    let series = message.timeseries.iter().map(|series| {
        let mut labels: BTreeMap<String, String> =
            series.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
        let name = labels.remove("__name__").unwrap();
        assert_eq!(labels.remove("job").as_deref(), Some("node"), "{name}");
        assert_eq!(labels.remove("instance"), Some(host_name()), "{name}");
        ((name, labels), series.samples[0].value)
    });
    (time_ms, series.collect())
}

/// What metricsd says, and what node_exporter said before and after.
struct Round {
    before: Page,
    page: Page,
    written: BTreeMap<Key, f64>,
    after: Page,
}

impl Round {
    fn take(theirs: &Prometheus, ours: &Daemon, peer: &Peer) -> Round {
        let before = their_page(theirs);
        let began_ms = now_ms();
        // A tick's time is taken before it reads anything. That of the second one is on the
        // page, whichever of page and destination a tick reaches first.
        let written = wait_for("two ticks of after the reading", || {
            let mut ticks =
                peer.received().iter().map(written).filter(|(time, _)| *time > began_ms).collect::<Vec<_>>();
            (ticks.len() > 1).then(|| ticks.remove(1).1)
        });
        let (status, page) = ours.get("/metrics/node").unwrap();
        assert_eq!(status, 200);
        let after = their_page(theirs);
        Round { before, page: Page::read(&page), written, after }
    }

    fn families(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.page.types.iter().map(|(name, kind)| (name.as_str(), kind.as_str()));
        // Beside these stands what metricsd says of itself.
        all.filter(|(name, _)| name.starts_with("node_"))
    }

    /// What is certainly wrong, and what only is if the next rounds say the same.
    fn faults(&self) -> (Vec<String>, Vec<String>) {
        let (mut wrong, mut doubtful) = (Vec::new(), Vec::new());
        let areas: BTreeSet<String> = self.families().map(|(name, _)| area(name)).collect();
        let is_listed = |list: &[(&str, &str)], name: &str| list.iter().any(|(prefix, _)| name.starts_with(prefix));
        for name in self.after.types.keys().filter(|name| areas.contains(&area(name))) {
            if !self.page.types.contains_key(name) && !is_listed(ONLY_THEIRS, name) {
                // It may be of a device that has just come.
                doubtful.push(format!("node_exporter has {name}; we have not, and no row says why"));
            }
        }
        for (name, kind) in self.families() {
            match self.after.types.get(name).or_else(|| self.before.types.get(name)) {
                None if is_listed(ONLY_OURS, name) => {}
                None => doubtful.push(format!("we have {name}; node_exporter has not, and no row says why")),
                Some(theirs) if theirs != kind => {
                    wrong.push(format!("{name} is a {kind}, but a {theirs} in node_exporter"));
                }
                Some(_) => self.compare(name, kind, &mut wrong, &mut doubtful),
            }
        }
        let host = |(key, _): &(&Key, &f64)| key.0.starts_with("node_");
        let (on_page, written): (BTreeSet<&Key>, BTreeSet<&Key>) =
            (self.page.values.iter().filter(host).map(|(key, _)| key).collect(), self.written.keys().collect());
        let different: Vec<_> = on_page.symmetric_difference(&written).collect();
        if !different.is_empty() {
            doubtful.push(format!("on the page or in remote write, not in both: {different:?}"));
        }
        (wrong, doubtful)
    }

    fn compare(&self, name: &str, kind: &str, wrong: &mut Vec<String>, doubtful: &mut Vec<String>) {
        let rule = rule_of(name, kind);
        let before: BTreeMap<_, f64> = self.before.series(name).collect();
        let after: BTreeMap<_, f64> = self.after.series(name).collect();
        let ours: BTreeMap<_, f64> = self.page.series(name).collect();
        for labels in after.keys().filter(|labels| before.contains_key(*labels) && !ours.contains_key(*labels)) {
            if !is_shown_elsewhere(name, labels, ours.keys().copied()) {
                doubtful.push(format!("node_exporter has {name} {labels:?}; we have not"));
            }
        }
        for (labels, on_page) in ours {
            let (Some(before), Some(after)) = (before.get(labels), after.get(labels)) else {
                doubtful.push(format!("we have {name} {labels:?}; node_exporter has not"));
                continue;
            };
            let written = self.written.get(&(name.to_owned(), labels.clone())).copied();
            for (where_, value) in [("on the page", on_page), ("in remote write", written.unwrap_or(on_page))] {
                let said =
                    format!("{name} {labels:?} is {value} {where_}; node_exporter: {before} before, {after} after");
                let (low, high) = (before.min(*after), before.max(*after));
                let rounding = high.abs() * ROUNDING;
                let within = |slack: f64| (low - slack - rounding..=high + slack + rounding).contains(&value);
                match rule {
                    Between(slack) if !within(slack) => wrong.push(said),
                    Near(slack) if !within(slack) => doubtful.push(said),
                    Share(share) if !within((high * share).abs().max(1.0)) => doubtful.push(said),
                    _ => {}
                }
            }
        }
    }

    fn say_how_much(&self) {
        let both = self.families().filter(|(name, _)| self.after.types.contains_key(*name));
        println!("{} families, {} series alike", both.count(), self.written.len());
    }
}

/// What a family is about: `node_cpu`, `node_disk`.
fn area(family: &str) -> String {
    family.splitn(3, '_').take(2).collect::<Vec<_>>().join("_")
}

/// Of several mounts of one file system we show one, node_exporter each; also it shows those
/// without a device that are of no type that either list knows.
fn is_shown_elsewhere<'a>(
    family: &str,
    labels: &BTreeMap<String, String>,
    mut ours: impl Iterator<Item = &'a BTreeMap<String, String>>,
) -> bool {
    let Some(device) = labels.get("device").filter(|_| family.starts_with("node_filesystem_")) else { return false };
    !device.starts_with('/') || ours.any(|ours| ours.get("device") == Some(device))
}
