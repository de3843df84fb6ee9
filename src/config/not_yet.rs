//! What belongs to metricsd and this version does not have: no typing mistakes, and refused as such.

use super::json::{Data, Value};
use super::problem::Path;

/// Fields, each with what may be said of it all the same. Those of `shipper` are those of each of `shippers`.
const FIELDS: [(&str, Off); 9] = [
    ("logs", Off::Never),
    ("ci_runners", Off::Never),
    ("management", Off::Never),
    ("history", Off::Never),
    ("server.allowed_hosts", Off::Never),
    ("server.allow_config_edit", Off::Never),
    ("collector.gpu.nvidia_smi", Off::Never),
    ("collector.gpu.per_process", Off::False),
    ("shipper.send", Off::Never),
];

/// Collectors, those that are there by now too: each has a switch, `enable_<name>`, and settings under its name.
const COLLECTORS: &str = "arp bonding btrfs buddyinfo cgroups conntrack containers cpufreq dmi drive_health drm edac \
    entropy ethtool fibrechannel filehandles gpu hwmon infiniband interrupts ksm md netstat nfs numa nvme os_release \
    power_supply pressure process_groups processes qdisc rapl schedstat selinux slab sockets softirqs softnet systemd \
    tcp_states textfile thermal timex udp_queues uname vmstat watchdog wifi xfs zfs zoneinfo";

/// What a field that is not there may hold: what asks for nothing, and stands in files as they are.
#[derive(Clone, Copy)]
enum Off {
    Never,
    False,
}

/// What to say of a field that no table has: nothing where it asks for nothing; none where we have never heard of it.
pub(super) fn field(path: &Path, value: &Value<'_>) -> Option<Result<(), String>> {
    let path = path.of_field();
    let name = path.rsplit('.').next().unwrap_or(&path);
    let off = match FIELDS.iter().find(|(field, _)| *field == path) {
        Some((_, off)) => *off,
        None if is_of_a_collector(&path) => Off::Never,
        None => return None,
    };
    let leave = match (off, &value.data) {
        (Off::Never, _) => "remove it",
        (_, Data::Null) | (Off::False, Data::Bool(false)) => return Some(Ok(())),
        (Off::False, _) => "leave it at false",
    };
    Some(Err(format!("this version has no {name} yet; {leave}")))
}

fn is_of_a_collector(path: &str) -> bool {
    let name = path.strip_prefix("collector.").unwrap_or_default();
    let name = name.strip_prefix("enable_").unwrap_or(name);
    COLLECTORS.split_ascii_whitespace().any(|collector| collector == name)
}

/// What to say of the word `text` for a field, if it is one of those to come.
pub(super) fn word(path: &Path, text: &str) -> Option<String> {
    match (&*path.of_field(), text) {
        ("shipper.type", "otlp_grpc") => {
            Some("there is no gRPC here; use \"otlp_http\", on port 4318 by default".to_owned())
        }
        ("shipper.compression", "zstd") => Some(
            "there is no zstd here: what there is of it in Rust alone packs no better than snappy does; use \"snappy\""
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rows;

    #[test]
    fn what_is_there_by_now_is_not_in_the_list() {
        let there: Vec<String> = rows().into_iter().map(|row| row.path).collect();
        for (field, _) in FIELDS {
            assert!(!there.iter().any(|path| path == field), "{field} has a field");
        }
    }
}
