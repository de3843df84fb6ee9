//! Traffic of network interfaces, from `/proc/net/dev`.

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::filter::{EXCLUDE, Filter, INCLUDE};
use super::keyed::{Keyed, Table};
use super::parse::{ParseError, fields, lines, whole};
use super::settings::{COMMON, Given, Preset};
use crate::fields::{self, DefaultValue, Field, Inner};
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Family, Item, Label, Reading, Recorder, face};

const INTERFACE: &[Label] = &[Label::key("interface", 0)];
const DEVICE: &[Label] = &[Label::key("device", 0)];
const RECEIVE: &[Label] = &[Label::key("device", 0), Label::constant("direction", "receive")];
const TRANSMIT: &[Label] = &[Label::key("device", 0), Label::constant("direction", "transmit")];

/// One for each of the kernel's columns, in their order.
static TRAFFIC: [Reading; COLUMNS] = [
    Reading {
        native: face(
            &Family::counter("system_network_bytes_recv_total", "bytes", "Bytes that the interface received."),
            INTERFACE,
        ),
        node: face(
            &Family::counter("node_network_receive_bytes_total", "", "Bytes that the interface received."),
            DEVICE,
        ),
        otel: face(&Family::counter("system.network.io", "By", "Bytes that went through the interface."), RECEIVE),
    },
    Reading {
        native: face(
            &Family::counter("system_network_packets_recv_total", "", "Packets that the interface received."),
            INTERFACE,
        ),
        node: face(
            &Family::counter("node_network_receive_packets_total", "", "Packets that the interface received."),
            DEVICE,
        ),
        otel: face(
            &Family::counter("system.network.packets", "{packets}", "Packets that went through the interface."),
            RECEIVE,
        ),
    },
    Reading {
        native: face(
            &Family::counter("system_network_errors_in_total", "", "Packets that were received with an error."),
            INTERFACE,
        ),
        node: face(
            &Family::counter("node_network_receive_errs_total", "", "Packets that were received with an error."),
            DEVICE,
        ),
        otel: face(&Family::counter("system.network.errors", "{errors}", "Packets with an error."), RECEIVE),
    },
    Reading {
        native: face(
            &Family::counter(
                "system_network_drop_in_total",
                "",
                "Received packets that were dropped, for want of room.",
            ),
            INTERFACE,
        ),
        node: face(
            &Family::counter("node_network_receive_drop_total", "", "Received packets that were dropped."),
            DEVICE,
        ),
        otel: face(&Family::counter("system.network.dropped", "{packets}", "Packets that were dropped."), RECEIVE),
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_network_receive_fifo_total", "", "Received packets that a full FIFO lost."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_network_receive_frame_total", "", "Received packets with a framing error."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_network_receive_compressed_total", "", "Compressed packets that were received."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_network_receive_multicast_total", "", "Multicast packets that were received."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: face(
            &Family::counter("system_network_bytes_sent_total", "bytes", "Bytes that the interface sent."),
            INTERFACE,
        ),
        node: face(&Family::counter("node_network_transmit_bytes_total", "", "Bytes that the interface sent."), DEVICE),
        otel: face(&Family::counter("system.network.io", "By", "Bytes that went through the interface."), TRANSMIT),
    },
    Reading {
        native: face(
            &Family::counter("system_network_packets_sent_total", "", "Packets that the interface sent."),
            INTERFACE,
        ),
        node: face(
            &Family::counter("node_network_transmit_packets_total", "", "Packets that the interface sent."),
            DEVICE,
        ),
        otel: face(
            &Family::counter("system.network.packets", "{packets}", "Packets that went through the interface."),
            TRANSMIT,
        ),
    },
    Reading {
        native: face(
            &Family::counter("system_network_errors_out_total", "", "Packets that could not be sent."),
            INTERFACE,
        ),
        node: face(&Family::counter("node_network_transmit_errs_total", "", "Packets that could not be sent."), DEVICE),
        otel: face(&Family::counter("system.network.errors", "{errors}", "Packets with an error."), TRANSMIT),
    },
    Reading {
        native: face(
            &Family::counter("system_network_drop_out_total", "", "Packets to be sent that were dropped."),
            INTERFACE,
        ),
        node: face(
            &Family::counter("node_network_transmit_drop_total", "", "Packets to be sent that were dropped."),
            DEVICE,
        ),
        otel: face(&Family::counter("system.network.dropped", "{packets}", "Packets that were dropped."), TRANSMIT),
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_network_transmit_fifo_total", "", "Packets to be sent that a full FIFO lost."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: face(&Family::counter("node_network_transmit_colls_total", "", "Collisions while sending."), DEVICE),
        otel: None,
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_network_transmit_carrier_total", "", "Packets that were lost with the carrier."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_network_transmit_compressed_total", "", "Compressed packets that were sent."),
            DEVICE,
        ),
        otel: None,
    },
];

/// Everything this collector may give.
static READINGS: &[&[Reading]] = &[&TRAFFIC];

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "network",
    switch: "enable_network",
    about: "Network interfaces.",
    note: "`lo` too; not `veth*`, `cali*` and Docker's `br-*`",
    preset: Some(Preset::Basic),
    reads: &["/proc/self/net/dev"],
    readings: READINGS,
    section: &SECTION,
    build: |parts| Made::Fast(Box::new(Network::new(&parts.settings.own::<Interfaces>("network").0, parts.host))),
    ..Definition::PLAIN
};

static SECTION: fields::Table<Given> = fields::Table::new(|| COMMON.iter().chain([&OWN]).collect());
static OWN: Field<Given> = Field::all_of(&Inner { table: &FILTER, of: |s: &mut Given| &mut s.own::<Interfaces>().0 });

/// Default of `collector.network.exclude`.
const INTERFACES_LEFT_OUT: [&str; 3] = ["veth.*", "cali.*", "br-[0-9a-f]{12}"];

/// Which interfaces are shown; by rule all.
#[derive(Clone, Debug, PartialEq)]
pub struct Interfaces(pub Filter);

impl Default for Interfaces {
    fn default() -> Interfaces {
        Interfaces(Filter::excluding(&INTERFACES_LEFT_OUT))
    }
}

static FILTER_FIELDS: [Field<Filter>; 2] = [
    Field::new(
        "include",
        INCLUDE,
        DefaultValue::Texts(&[]),
        "Interfaces that are shown, as regular expressions for the whole name; empty: all.",
    ),
    Field::new("exclude", EXCLUDE, DefaultValue::Texts(&INTERFACES_LEFT_OUT), "Interfaces left out in any case."),
];

static FILTER: fields::Table<Filter> = fields::Table::new(|| FILTER_FIELDS.iter().collect());

/// Eight of receiving, eight of sending.
const COLUMNS: usize = 16;

/// The collector.
#[derive(Debug)]
pub struct Network {
    file: KernelFile,
    filter: Filter,
    interfaces: Table<Interface>,
}

/// What is remembered of an interface, shown or not.
#[derive(Debug)]
struct Interface {
    name: Box<[u8]>,
    /// `None` where it is not shown.
    item: Option<Item>,
    traffic: Traffic,
}

impl Network {
    /// Reads the `net/dev` of `host`'s own network namespace and shows the interfaces that
    /// `filter` lets through.
    pub fn new(filter: &Filter, host: &HostPaths) -> Network {
        Network {
            file: KernelFile::first_of(host.of_process("net/dev")),
            filter: filter.clone(),
            interfaces: Table::default(),
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<(), ParseError> {
        self.interfaces.begin();
        for line in parse(whole(text)?) {
            let line = line?;
            let filter = &self.filter;
            self.interfaces.entry(line.name, || Interface::new(line.name, filter)).traffic = line.traffic;
        }
        self.interfaces.end();
        if self.interfaces.len() == 0 {
            // Every network namespace has at least `lo`.
            return Err(ParseError {
                line: lines(text).count(),
                what: "the file ends without an interface".to_owned(),
            });
        }
        Ok(())
    }

    fn emit(&self, out: &mut Recorder) {
        for interface in self.interfaces.iter() {
            let Some(item) = &interface.item else { continue };
            let mut out = out.item(item);
            for (reading, number) in TRAFFIC.iter().zip(interface.traffic) {
                out.push(reading, number as f64);
            }
        }
    }
}

impl Keyed for Interface {
    type Key<'a> = &'a [u8];

    fn key(&self) -> &[u8] {
        &self.name
    }

    fn is(&self, key: &[u8]) -> bool {
        *self.name == *key
    }
}

impl Interface {
    fn new(name: &[u8], filter: &Filter) -> Interface {
        // The kernel allows any byte but blanks, `/` and `:`; what is not UTF-8 can't be a
        // label's value and is replaced.
        let shown = String::from_utf8_lossy(name);
        Interface {
            name: name.into(),
            item: filter.shows(&shown, true).then(|| Item::new(&[&shown])),
            traffic: [0; COLUMNS],
        }
    }
}

impl Collector for Network {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let text = self.file.read(scratch).map_err(CollectError::of_required)?;
        self.take(text).map_err(|error| error.of(self.file.path()))?;
        self.emit(out);
        Ok(())
    }
}

/// An interface's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The kernel's name for it.
    pub name: &'a [u8],
    /// What it did.
    pub traffic: Traffic,
}

/// The kernel's columns, since the interface appeared: eight of receiving, eight of sending.
/// Some drivers and 32-bit kernels count in 32 bits; what wraps is sent as it is: to a backend,
/// that is a counter that restarted.
pub type Traffic = [u64; COLUMNS];

/// The interfaces of a whole text:
///
/// ```text
/// Inter-|   Receive                                                |  Transmit
///  face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
///     lo:  908188    5596    0    0    0     0          0         0   908188    5596    0    0    0     0       0          0
///   eth0:15475140   20721    0    0    0     0          0         0   886986   10752    0    0    0     0       0          0
/// ```
///
/// See <https://www.kernel.org/doc/html/latest/filesystems/proc.html#networking-info-in-proc-net>.
/// The name ends at the last colon (an alias has one of its own, `eth0:1`), which a number
/// may touch. Further columns are ignored. A line that is not understood is an error, and
/// its collector then sends nothing of the round. As in diskstats nothing marks the end, so a
/// text that was cut at the end of a line is one of fewer interfaces.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Result<Line<'_>, ParseError>> {
    lines(text).filter_map(|(line, content)| {
        if line <= 2 {
            return (!content.contains(&b'|')).then(|| Err(ParseError::expected(line, "a header with |", content)));
        }
        Some(parse_line(line, content))
    })
}

fn parse_line(line: usize, content: &[u8]) -> Result<Line<'_>, ParseError> {
    let colon = content.iter().rposition(|b| *b == b':');
    let (name, rest) = colon.map(|at| (content[..at].trim_ascii(), &content[at + 1..])).unwrap_or_default();
    if name.is_empty() {
        return Err(ParseError::expected(line, "an interface and a colon", content));
    }
    let mut numbers = [0; COLUMNS];
    let mut columns = fields(rest);
    for number in &mut numbers {
        let given = columns.number().ok_or_else(|| ParseError::expected(line, "16 numbers", content))?;
        *number = given.map_err(|field| ParseError::expected(line, "a count", field))?;
    }
    Ok(Line { name, traffic: numbers })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        Folder, collect, collect_as, cut_everywhere, fixture, have_fixtures, owned, samples, value,
    };
    use super::*;
    use crate::model::Scheme;

    const HEADER: &str = "Inter-|   Receive   |  Transmit\n face |bytes packets|bytes packets\n";

    fn network() -> Network {
        Network::new(&Filter::default(), &HostPaths::default())
    }

    fn round(network: &mut Network, lines: &str) -> Vec<(String, f64)> {
        network.take(format!("{HEADER}{lines}").as_bytes()).unwrap();
        samples(|out| network.emit(out))
    }

    #[test]
    fn each_scheme_has_its_columns() {
        let folder = Folder::new("network-schemes");
        folder.write("proc/1/net/dev", format!("{HEADER}  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"));
        let seen = |scheme| collect_as(scheme, &mut Network::new(&Filter::default(), &folder.host()));
        let expected = [
            ("system_network_bytes_recv_total{interface=eth0}", 1.0),
            ("system_network_packets_recv_total{interface=eth0}", 2.0),
            ("system_network_errors_in_total{interface=eth0}", 3.0),
            ("system_network_drop_in_total{interface=eth0}", 4.0),
            ("system_network_bytes_sent_total{interface=eth0}", 9.0),
            ("system_network_packets_sent_total{interface=eth0}", 10.0),
            ("system_network_errors_out_total{interface=eth0}", 11.0),
            ("system_network_drop_out_total{interface=eth0}", 12.0),
        ];
        assert_eq!(seen(Scheme::Native), owned(&expected));
        let expected = [
            ("node_network_receive_bytes_total{device=eth0}", 1.0),
            ("node_network_receive_packets_total{device=eth0}", 2.0),
            ("node_network_receive_errs_total{device=eth0}", 3.0),
            ("node_network_receive_drop_total{device=eth0}", 4.0),
            ("node_network_receive_fifo_total{device=eth0}", 5.0),
            ("node_network_receive_frame_total{device=eth0}", 6.0),
            ("node_network_receive_compressed_total{device=eth0}", 7.0),
            ("node_network_receive_multicast_total{device=eth0}", 8.0),
            ("node_network_transmit_bytes_total{device=eth0}", 9.0),
            ("node_network_transmit_packets_total{device=eth0}", 10.0),
            ("node_network_transmit_errs_total{device=eth0}", 11.0),
            ("node_network_transmit_drop_total{device=eth0}", 12.0),
            ("node_network_transmit_fifo_total{device=eth0}", 13.0),
            ("node_network_transmit_colls_total{device=eth0}", 14.0),
            ("node_network_transmit_carrier_total{device=eth0}", 15.0),
            ("node_network_transmit_compressed_total{device=eth0}", 16.0),
        ];
        assert_eq!(seen(Scheme::NodeExporter), owned(&expected));
        let expected = [
            ("system.network.io{device=eth0,direction=receive}", 1.0),
            ("system.network.packets{device=eth0,direction=receive}", 2.0),
            ("system.network.errors{device=eth0,direction=receive}", 3.0),
            ("system.network.dropped{device=eth0,direction=receive}", 4.0),
            ("system.network.io{device=eth0,direction=transmit}", 9.0),
            ("system.network.packets{device=eth0,direction=transmit}", 10.0),
            ("system.network.errors{device=eth0,direction=transmit}", 11.0),
            ("system.network.dropped{device=eth0,direction=transmit}", 12.0),
        ];
        assert_eq!(seen(Scheme::Otel), owned(&expected));
    }

    #[test]
    fn names_may_be_odd() {
        let zeros = " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let text = format!("{HEADER}eth0:1:5{zeros}wg-vpn@1: 6{zeros}é\"\\: 7{zeros}");
        let mut text = text.into_bytes();
        text.extend_from_slice(b"x\xff: 8");
        text.extend_from_slice(zeros.as_bytes());
        let mut network = network();
        network.take(&text).unwrap();
        let seen = samples(|out| network.emit(out));
        for (name, bytes) in [("eth0:1", 5.0), ("wg-vpn@1", 6.0), ("é\"\\", 7.0), ("x\u{fffd}", 8.0)] {
            assert_eq!(value(&seen, &format!("system_network_bytes_recv_total{{interface={name}}}")), Some(bytes));
        }
    }

    #[test]
    fn interfaces_come_and_go() {
        let mut network = network();
        let zeros = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let lo = |seen: &[(String, f64)]| value(seen, "system_network_bytes_recv_total{interface=lo}");
        let eth = |seen: &[(String, f64)]| value(seen, "system_network_bytes_recv_total{interface=eth0}");
        let seen = round(&mut network, &format!("lo: 1 {zeros}eth0: 2 {zeros}"));
        assert_eq!((lo(&seen), eth(&seen)), (Some(1.0), Some(2.0)));
        let seen = round(&mut network, &format!("eth0: 3 {zeros}"));
        assert_eq!((lo(&seen), eth(&seen)), (None, Some(3.0)));
        assert_eq!(network.interfaces.len(), 1);
        let seen = round(&mut network, &format!("eth0: 4 {zeros}lo: 9 {zeros}"));
        assert_eq!((lo(&seen), eth(&seen)), (Some(9.0), Some(4.0)));
    }

    #[test]
    fn virtual_interfaces_of_containers_are_left_out() {
        let mut network = Network::new(&Interfaces::default().0, &HostPaths::default());
        let zeros = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let seen = round(
            &mut network,
            &["lo", "veth0a1b", "cali12", "br-0123456789ab", "br-lan"].map(|name| format!("{name}: {zeros}")).concat(),
        );
        let shown: Vec<_> =
            seen.iter().filter_map(|(name, _)| name.strip_prefix("system_network_bytes_sent_total")).collect();
        assert_eq!(shown, ["{interface=lo}", "{interface=br-lan}"]);
    }

    #[test]
    fn in_a_container_the_hosts_interfaces_are_read() {
        if !have_fixtures() {
            return;
        }
        let recv = "system_network_bytes_recv_total{interface=eth0}";
        let sent = "system_network_bytes_sent_total{interface=eth0}";
        let seen = collect(&mut Network::new(&Filter::default(), &fixture("container-v1"))).unwrap();
        assert_eq!((value(&seen, recv), value(&seen, sent)), (Some(77777777777.0), Some(55555555555.0)));
        let seen = collect(&mut Network::new(&Filter::default(), &fixture("old-kernel"))).unwrap();
        assert_eq!((value(&seen, recv), value(&seen, sent)), (Some(4294967290.0), Some(4294967295.0)));
    }

    #[test]
    fn what_is_cut_or_garbage_fails_the_round() {
        let error = |text: String| network().take(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(String::new()), "line 1: the file is empty");
        assert_eq!(error(HEADER.into()), "line 2: the file ends without an interface");
        assert_eq!(error("lo: 1 2\n".into()), "line 1: expected a header with |, got \"lo: 1 2\"");
        assert_eq!(error(format!("{HEADER}lo: 1 2\n")), "line 3: expected 16 numbers, got \"lo: 1 2\"");
        assert_eq!(error(format!("{HEADER}lo: 1 x\n")), "line 3: expected a count, got \"x\"");
        assert_eq!(error(format!("{HEADER}: 1 2\n")), "line 3: expected an interface and a colon, got \": 1 2\"");
        let folder = Folder::new("network-cut");
        folder.write("proc/1/net/dev", format!("{HEADER}lo: 1 2 3"));
        assert!(matches!(collect(&mut Network::new(&Filter::default(), &folder.host())), Err(CollectError::Failed(_))));
    }

    #[test]
    fn no_text_makes_it_panic() {
        let mut network = network();
        cut_everywhere("proc/1/net/dev", |text| {
            parse(text).for_each(drop);
            drop(network.take(text));
        });
    }
}
