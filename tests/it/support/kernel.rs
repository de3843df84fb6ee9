//! What the kernel says, read by other means than metricsd's: Debian's programs where there
//! is one, plain splitting of the kernel's files where there is none.
//!
//! Everything comes under the name and labels that metricsd gives it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Values by series, written as [`series`] does.
pub type Figures = BTreeMap<String, f64>;

/// `name{a="1",b="2"}`, or only the name; `labels` come sorted.
pub fn series<'a>(name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let labels: Vec<String> = labels.into_iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

/// Everything but CPU usage, which is a difference; of file systems those at `mountpoints`.
pub fn figures(mountpoints: &[String]) -> Figures {
    let mut all = Figures::new();
    cpu(&mut all);
    memory(&mut all);
    load_and_uptime(&mut all);
    disks(&mut all);
    file_systems(mountpoints, &mut all);
    interfaces(&mut all);
    all
}

fn cpu(all: &mut Figures) {
    // 0-3,8: ranges and single ones.
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let count = online.trim().split(',').map(|range| match range.split_once('-') {
        Some((first, last)) => last.parse::<u32>().unwrap() - first.parse::<u32>().unwrap() + 1,
        None => 1,
    });
    all.insert("system_cpu_count".into(), count.sum::<u32>().into());
    let hz = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).unwrap().unwrap() as f64;
    let stat = fs::read_to_string("/proc/stat").unwrap();
    for line in stat.lines() {
        let (word, numbers) = line.split_once(' ').unwrap();
        let Some(core) = word.strip_prefix("cpu").filter(|core| !core.is_empty()) else { continue };
        let mut ticks: Vec<f64> = numbers.split_whitespace().map(|n| n.parse().unwrap()).collect();
        // What guests used is in user and nice, too.
        ticks[0] -= ticks[8];
        ticks[1] -= ticks[9];
        let modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
        for (mode, ticks) in modes.iter().zip(ticks) {
            all.insert(series("system_cpu_seconds_total", [("core", core), ("mode", *mode)]), ticks / hz);
        }
    }
    for (word, name) in [
        ("ctxt", "system_context_switches_total"),
        ("intr", "system_interrupts_total"),
        ("processes", "system_processes_created_total"),
        ("procs_running", "system_processes_running"),
        ("procs_blocked", "system_processes_blocked"),
    ] {
        let line = stat.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        all.insert(name.into(), line.unwrap().split(' ').next().unwrap().parse().unwrap());
    }
}

/// `free -b`:
///
/// ```text
///                total        used        free      shared  buff/cache   available
/// Mem:     25276514304   694521856 23023243264     8998912  1849655296 24581992448
/// Swap:              0           0           0
/// ```
fn memory(all: &mut Figures) {
    let text = output(Command::new("free").arg("-b")).expect("`free` is missing (Debian package: procps)");
    let row = |head: &str| -> Vec<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(head)).unwrap();
        line.split_whitespace().map(|n| n.parse().unwrap()).collect()
    };
    let (memory, swap) = (row("Mem:"), row("Swap:"));
    let (total, available) = (memory[0], memory[5]);
    all.insert("system_memory_total_bytes".into(), total);
    all.insert("system_memory_available_bytes".into(), available);
    // Its own "used" is this only since procps 4.
    all.insert("system_memory_used_bytes".into(), total - available);
    all.insert("system_memory_usage_percent".into(), (total - available) / total * 100.0);
    all.insert("system_swap_total_bytes".into(), swap[0]);
    all.insert("system_swap_used_bytes".into(), swap[1]);
    let percent = if swap[0] > 0.0 { swap[1] / swap[0] * 100.0 } else { 0.0 };
    all.insert("system_swap_usage_percent".into(), percent);
}

fn load_and_uptime(all: &mut Figures) {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    for (name, average) in ["system_load_1m", "system_load_5m", "system_load_15m"].iter().zip(load.split(' ')) {
        all.insert((*name).into(), average.parse().unwrap());
    }
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    all.insert("system_uptime_seconds".into(), uptime.split(' ').next().unwrap().parse().unwrap());
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let btime = stat.lines().find_map(|line| line.strip_prefix("btime ")).unwrap();
    all.insert("system_boot_time_seconds".into(), btime.parse().unwrap());
}

/// Whole disks only, and none that live in memory or in a file.
fn disks(all: &mut Figures) {
    let text = fs::read_to_string("/proc/diskstats").unwrap();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let device = fields[2];
        let kind = device.trim_end_matches(|c: char| c.is_ascii_digit());
        let whole = Path::new("/sys/block").join(device.replace('/', "!")).exists();
        if !whole || ["loop", "ram", "zram", "sr", "fd"].contains(&kind) {
            continue;
        }
        let number = |at: usize| fields[at].parse::<f64>().unwrap();
        for (name, value) in [
            ("system_disk_read_count_total", number(3)),
            ("system_disk_read_bytes_total", number(5) * 512.0),
            ("system_disk_write_count_total", number(7)),
            ("system_disk_write_bytes_total", number(9) * 512.0),
        ] {
            all.insert(series(name, [("device", device)]), value);
        }
    }
}

/// Device, type, size, used, available, inodes, those free, and mount point, as `df` says.
pub struct DfRow {
    pub device: String,
    pub fstype: String,
    pub sizes: [f64; 3],
    pub inodes: [f64; 2],
    pub mountpoint: String,
}

/// `df -B1` of these mount points, or of all local ones where none are given.
pub fn df(mountpoints: &[String]) -> Vec<DfRow> {
    let mut command = Command::new("df");
    command.args(["-B1", "--output=source,fstype,size,used,avail,itotal,iavail,target"]);
    if mountpoints.is_empty() {
        command.arg("--local");
    }
    let text = output(command.args(mountpoints)).unwrap();
    let row = |line: &str| {
        let mut rest = line;
        let mut field = || {
            let (field, after) = rest.trim_start().split_once(' ').unwrap();
            rest = after;
            field.to_owned()
        };
        let (device, fstype) = (field(), field());
        let sizes = [field(), field(), field()].map(|size| size.parse().unwrap());
        let inodes = [field(), field()].map(|count| count.parse().unwrap_or(0.0));
        DfRow { device, fstype, sizes, inodes, mountpoint: rest.trim_start().to_owned() }
    };
    text.lines().skip(1).map(row).collect()
}

fn file_systems(mountpoints: &[String], all: &mut Figures) {
    if mountpoints.is_empty() {
        return;
    }
    for row in df(mountpoints) {
        let [total, used, available] = row.sizes;
        let labels = [("device", &*row.device), ("fstype", &row.fstype), ("mountpoint", &row.mountpoint)];
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mut options = mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
        let options = options.find(|fields| fields[1] == row.mountpoint).unwrap()[3].to_owned();
        let read_only = options.split(',').any(|option| option == "ro");
        for (name, value) in [
            ("system_disk_inodes", row.inodes[0]),
            ("system_disk_inodes_free", row.inodes[1]),
            ("system_disk_read_only", f64::from(u8::from(read_only))),
            ("system_disk_total_bytes", total),
            ("system_disk_used_bytes", used),
            ("system_disk_free_bytes", available),
            ("system_disk_usage_percent", used / (used + available) * 100.0),
        ] {
            all.insert(series(name, labels), value);
        }
    }
}

/// `ip -json -s -s link`; without it `/proc/net/dev`.
fn interfaces(all: &mut Figures) {
    let links = output(Command::new("ip").args(["-json", "-s", "-s", "link"]))
        .or_else(|| output(Command::new("/usr/sbin/ip").args(["-json", "-s", "-s", "link"])));
    let mut put = |interface: &str, received: [f64; 4], sent: [f64; 4]| {
        let is_bridge = interface.strip_prefix("br-").is_some_and(|id| id.len() == 12);
        if interface.starts_with("veth") || interface.starts_with("cali") || is_bridge {
            return;
        }
        for (what, received, sent) in [
            (["bytes_recv", "bytes_sent"], received[0], sent[0]),
            (["packets_recv", "packets_sent"], received[1], sent[1]),
            (["errors_in", "errors_out"], received[2], sent[2]),
            (["drop_in", "drop_out"], received[3], sent[3]),
        ] {
            for (what, value) in what.iter().zip([received, sent]) {
                all.insert(series(&format!("system_network_{what}_total"), [("interface", interface)]), value);
            }
        }
    };
    if let Some(links) = links {
        let links: serde_json::Value = serde_json::from_str(&links).unwrap();
        for link in links.as_array().unwrap() {
            let stats = &link["stats64"];
            let of = |direction: &str| {
                ["bytes", "packets", "errors", "dropped"].map(|field| stats[direction][field].as_f64().unwrap())
            };
            let mut received = of("rx");
            // The kernel's text, and everybody who reads it, counts these as dropped.
            received[3] += stats["rx"]["missed_errors"].as_f64().unwrap();
            put(link["ifname"].as_str().unwrap(), received, of("tx"));
        }
        return;
    }
    let text = fs::read_to_string("/proc/net/dev").unwrap();
    for line in text.lines().skip(2) {
        let (interface, numbers) = line.rsplit_once(':').unwrap();
        let numbers: Vec<f64> = numbers.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let four = |at: usize| [numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]];
        put(interface.trim(), four(0), four(8));
    }
}

/// What a program prints; none where it is not installed.
fn output(command: &mut Command) -> Option<String> {
    let output = command.env("LC_ALL", "C").output().ok()?;
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
