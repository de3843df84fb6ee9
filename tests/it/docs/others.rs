//! What other agents' collectors, inputs and outputs are called here, for those who come from them.
//!
//! Whether a collector or a type is there is not said here: it comes from the code's own tables, so a
//! new one shows in the documentation with the next `make golden`.

use metricsd::{collectors, formats};

use super::{code, read, root, table};
use crate::support::program::{metricsd, run};

/// node_exporter's collectors in its order, and ours; none: there is no such thing here.
const NODE_EXPORTER: &[(&str, &[&str])] = &[
    ("arp", &["arp"]),
    ("bcache", &[]),
    ("bonding", &["bonding"]),
    ("btrfs", &["btrfs"]),
    ("buddyinfo", &["buddyinfo"]),
    ("cgroups", &["cgroups"]),
    ("conntrack", &["conntrack"]),
    ("cpu", &["cpu"]),
    ("cpufreq", &["cpufreq"]),
    ("diskstats", &["disk"]),
    ("dmi", &["dmi"]),
    ("drbd", &[]),
    ("drm", &["drm"]),
    ("edac", &["edac"]),
    ("entropy", &["entropy"]),
    ("ethtool", &["ethtool"]),
    ("fibrechannel", &["fibrechannel"]),
    ("filefd", &["filehandles"]),
    ("filesystem", &["filesystem"]),
    ("hwmon", &["hwmon"]),
    ("infiniband", &["infiniband"]),
    ("interrupts", &["interrupts"]),
    ("ipvs", &[]),
    ("ksmd", &["ksm"]),
    ("loadavg", &["load"]),
    ("logind", &[]),
    ("mdadm", &["md"]),
    ("meminfo", &["memory"]),
    ("meminfo_numa", &["numa"]),
    ("mountstats", &[]),
    ("netdev", &["network"]),
    ("netstat", &["netstat"]),
    ("nfs", &["nfs"]),
    ("nfsd", &[]),
    ("ntp", &[]),
    ("nvme", &["nvme"]),
    ("os", &["os_release"]),
    ("perf", &[]),
    ("powersupplyclass", &["power_supply"]),
    ("pressure", &["pressure"]),
    ("processes", &["processes"]),
    ("qdisc", &["qdisc"]),
    ("rapl", &["rapl"]),
    ("schedstat", &["schedstat"]),
    ("selinux", &["selinux"]),
    ("slabinfo", &["slab"]),
    ("sockstat", &["sockets"]),
    ("softirqs", &["softirqs"]),
    ("softnet", &["softnet"]),
    ("stat", &["cpu", "uptime"]),
    ("systemd", &["systemd"]),
    ("tapestats", &[]),
    ("tcpstat", &["tcp_states"]),
    ("textfile", &["textfile"]),
    ("thermal_zone", &["thermal"]),
    ("time", &["uptime"]),
    ("timex", &["timex"]),
    ("udp_queues", &["udp_queues"]),
    ("uname", &["uname"]),
    ("vmstat", &["vmstat"]),
    ("watchdog", &["watchdog"]),
    ("wifi", &["wifi"]),
    ("xfs", &["xfs"]),
    ("zfs", &["zfs"]),
    ("zoneinfo", &["zoneinfo"]),
];

/// Telegraf's inputs for a host, and our collectors.
const TELEGRAF_INPUTS: &[(&str, &[&str])] = &[
    ("bond", &["bonding"]),
    ("conntrack", &["conntrack"]),
    ("cpu", &["cpu"]),
    ("disk", &["filesystem"]),
    ("diskio", &["disk"]),
    ("docker", &["containers"]),
    ("ethtool", &["ethtool"]),
    ("infiniband", &["infiniband"]),
    ("interrupts", &["interrupts", "softirqs"]),
    ("kernel", &["cpu", "uptime", "entropy"]),
    ("kernel_vmstat", &["vmstat"]),
    ("linux_cpu", &["cpufreq"]),
    ("linux_sysctl_fs", &["filehandles"]),
    ("mdstat", &["md"]),
    ("mem", &["memory"]),
    ("net", &["network"]),
    ("netstat", &["tcp_states"]),
    ("nstat", &["netstat"]),
    ("nvidia_smi", &["gpu"]),
    ("processes", &["processes"]),
    ("procstat", &["process_groups"]),
    ("sensors", &["hwmon"]),
    ("slab", &["slab"]),
    ("smart", &["drive_health"]),
    ("swap", &["memory", "vmstat"]),
    ("system", &["load", "uptime", "cpu"]),
    ("systemd_units", &["systemd"]),
    ("temp", &["hwmon", "thermal"]),
    ("wireless", &["wifi"]),
    ("zfs", &["zfs"]),
];

/// Telegraf's outputs, and our types of a destination.
const TELEGRAF_OUTPUTS: &[(&str, &str)] = &[
    ("`datadog`", "datadog"),
    ("`file`", "file"),
    ("`graphite`", "graphite"),
    ("`http`, `data_format = \"json\"`", "http_json"),
    ("`http`, `data_format = \"prometheusremotewrite\"`", "prometheus_remote_write"),
    ("`influxdb`, `influxdb_v2`", "influxdb"),
    ("`loki`", "loki"),
    ("`opentelemetry`", "otlp_http"),
];

fn ours(names: &[&str]) -> String {
    let known: Vec<&str> = collectors::names().collect();
    let one = |name: &&str| if known.contains(name) { code(name) } else { format!("not yet (`{name}`)") };
    if names.is_empty() { "none".to_owned() } else { names.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// The presets that have these, each once.
fn presets(names: &[&str]) -> String {
    let of = |name: &&str| collectors::definitions().find(|one| one.name == *name);
    let mut found: Vec<String> = Vec::new();
    for definition in names.iter().filter_map(of) {
        let preset = definition.preset.map_or("its switch alone".to_owned(), |preset| code(preset.as_str()));
        if !found.contains(&preset) {
            found.push(preset);
        }
    }
    found.join(", ")
}

fn collectors_of(theirs: &str, rows: &[(&str, &[&str])]) -> String {
    let rows = rows.iter().map(|(name, names)| vec![code(name), ours(names), presets(names)]);
    table(&[theirs, "here", "on in"], rows)
}

pub fn node_exporter() -> String {
    collectors_of("node_exporter's collector", NODE_EXPORTER)
}

pub fn telegraf_inputs() -> String {
    collectors_of("Telegraf's input", TELEGRAF_INPUTS)
}

pub fn telegraf_outputs() -> String {
    let row = |(theirs, ours): &(&str, &str)| {
        let is_there = formats::of_name(ours).is_some();
        vec![(*theirs).to_owned(), if is_there { code(ours) } else { format!("not yet (`{ours}`)") }]
    };
    let page = vec!["`prometheus_client`".to_owned(), "no destination: `/metrics` of the HTTP server".to_owned()];
    table(&["Telegraf's output", "here"], TELEGRAF_OUTPUTS.iter().map(row).chain([page]))
}

/// The values of `label` in the metric `name` of a page.
fn values<'p>(page: &'p str, name: &str, label: &str) -> Vec<&'p str> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    lines.map(|rest| rest.split(&format!("{label}=\"")).nth(1).unwrap().split('"').next().unwrap()).collect()
}

#[test]
fn the_first_metricsds_choice_of_devices_can_be_restored() {
    const CONFIG: &str = "docs/examples/first-metricsd.json";
    let once = |more: &[&str]| {
        let fixture = root().join("tests/fixtures/vm");
        let ran = run(metricsd().current_dir(root()).args(["-once", "-root"]).arg(fixture).args(more));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let (ours, first) = (once(&["-config", "config.example.json"]), once(&["-config", CONFIG]));
    let disks = |page| values(page, "system_disk_read_bytes_total", "device").join(" ");
    assert_eq!(disks(&ours), "vda vdb");
    assert_eq!(disks(&first), "loop0 loop1 loop2 loop3 vda vda1 vda14 vda15 vdb vdb1 vdb2");
    let interfaces = |page| values(page, "system_network_bytes_recv_total", "interface").join(" ");
    assert!(!interfaces(&ours).contains("veth") && !interfaces(&ours).contains("br-"), "{}", interfaces(&ours));
    let all = interfaces(&first);
    assert!(["lo", "eth0", "docker0", "br-3f2a9c41d07e"].iter().all(|name| all.contains(name)), "{all}");
    assert_eq!(all.matches("veth").count(), 3, "{all}");
    // Its file systems are looked at where the patterns are (src/config/tests/examples.rs): a fixture has none to ask.
    let page = read("docs/coming-from.md");
    let block = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let mut example: serde_json::Value = serde_json::from_str(&read(CONFIG)).unwrap();
    example.as_object_mut().unwrap().remove("//");
    assert_eq!(example, serde_json::from_str::<serde_json::Value>(block).unwrap(), "the page and {CONFIG} differ");
}
