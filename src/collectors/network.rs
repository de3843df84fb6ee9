//! Traffic of network interfaces, from `/proc/net/dev`.

use super::collector::{CollectError, Collector, Tick};
use super::filter::{EXCLUDE, Filter, INCLUDE};
use super::keyed;
use super::parse::{ParseError, fields, lines, u64, whole};
use super::settings::{INTERFACES_LEFT_OUT, Settings};
use crate::fields::{DefaultValue, Field, Inner, Table, Takes};
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Labels, Metric, Recorder};

static BYTES_SENT: Metric =
    Metric::counter("system_network_bytes_sent_total", "bytes", "Bytes that the interface sent.");
static BYTES_RECV: Metric =
    Metric::counter("system_network_bytes_recv_total", "bytes", "Bytes that the interface received.");
static PACKETS_SENT: Metric =
    Metric::counter("system_network_packets_sent_total", "", "Packets that the interface sent.");
static PACKETS_RECV: Metric =
    Metric::counter("system_network_packets_recv_total", "", "Packets that the interface received.");
static ERRORS_IN: Metric =
    Metric::counter("system_network_errors_in_total", "", "Packets that were received with an error.");
static ERRORS_OUT: Metric = Metric::counter("system_network_errors_out_total", "", "Packets that could not be sent.");
static DROP_IN: Metric =
    Metric::counter("system_network_drop_in_total", "", "Received packets that were dropped, for want of room.");
static DROP_OUT: Metric = Metric::counter("system_network_drop_out_total", "", "Packets to be sent that were dropped.");

/// Everything this collector may emit.
pub static METRICS: &[&Metric] =
    &[&BYTES_SENT, &BYTES_RECV, &PACKETS_SENT, &PACKETS_RECV, &ERRORS_IN, &ERRORS_OUT, &DROP_IN, &DROP_OUT];

/// Its fields of `collector`.
pub static FIELDS: [Field<Settings>; 2] = [
    Field::new(
        "enable_network",
        Takes::Bool(|s, on| s.enable_network = on),
        DefaultValue::Bool(true),
        "Network interfaces.",
    ),
    Field::new(
        "network",
        Takes::Object(&Inner { table: &FILTER, of: |s: &mut Settings| &mut s.network }),
        DefaultValue::EmptyMap,
        "",
    ),
];

static FILTER_FIELDS: [Field<Filter>; 2] = [
    Field::new(
        "include",
        INCLUDE,
        DefaultValue::Texts(&[]),
        "Interfaces that are shown, as regular expressions for the whole name; empty: all.",
    ),
    Field::new("exclude", EXCLUDE, DefaultValue::Texts(&INTERFACES_LEFT_OUT), "Interfaces left out in any case."),
];

static FILTER: Table<Filter> = Table::new(|| FILTER_FIELDS.iter().collect());

/// Eight of receiving, eight of sending.
const COLUMNS: usize = 16;

/// The collector.
#[derive(Debug)]
pub struct Network {
    file: KernelFile,
    filter: Filter,
    interfaces: Vec<Interface>,
}

/// What is remembered of an interface, shown or not.
#[derive(Debug)]
struct Interface {
    name: Box<[u8]>,
    /// `None` where it is not shown.
    labels: Option<Labels>,
    traffic: Traffic,
}

impl Network {
    /// Reads the `net/dev` of `host`'s own network namespace and shows the interfaces that
    /// `filter` lets through.
    pub fn new(filter: &Filter, host: &HostPaths) -> Network {
        Network {
            file: KernelFile::first_of(host.of_process("net/dev")),
            filter: filter.clone(),
            interfaces: Vec::new(),
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<(), ParseError> {
        let mut seen = 0;
        for line in parse(whole(text)?) {
            let line = line?;
            let filter = &self.filter;
            let interface = keyed::entry(
                &mut self.interfaces,
                seen,
                |interface| *interface.name == *line.name,
                || Interface::new(line.name, filter),
            );
            interface.traffic = line.traffic;
            seen += 1;
        }
        self.interfaces.truncate(seen);
        if seen == 0 {
            // Every network namespace has at least `lo`.
            return Err(ParseError {
                line: lines(text).count(),
                what: "the file ends without an interface".to_owned(),
            });
        }
        Ok(())
    }

    fn emit(&self, out: &mut Recorder) {
        let mut push = |metric, value: fn(&Traffic) -> u64| {
            for interface in &self.interfaces {
                if let Some(labels) = &interface.labels {
                    out.push(metric, labels, value(&interface.traffic) as f64);
                }
            }
        };
        push(&BYTES_SENT, |t| t.sent.bytes);
        push(&BYTES_RECV, |t| t.received.bytes);
        push(&PACKETS_SENT, |t| t.sent.packets);
        push(&PACKETS_RECV, |t| t.received.packets);
        push(&ERRORS_IN, |t| t.received.errors);
        push(&ERRORS_OUT, |t| t.sent.errors);
        push(&DROP_IN, |t| t.received.dropped);
        push(&DROP_OUT, |t| t.sent.dropped);
    }
}

impl Interface {
    fn new(name: &[u8], filter: &Filter) -> Interface {
        // The kernel allows any byte but blanks, `/` and `:`; what is not UTF-8 can't be a
        // label's value and is replaced.
        let shown = String::from_utf8_lossy(name);
        Interface {
            name: name.into(),
            labels: filter.shows(&shown, true).then(|| Labels::of(&[("interface", &shown)])),
            traffic: Traffic::default(),
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

/// Both directions. Some drivers and 32-bit kernels count in 32 bits; what wraps is sent as
/// it is: to a backend, that is a counter that restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Traffic {
    pub received: Direction,
    pub sent: Direction,
}

/// One direction, since the interface appeared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Direction {
    pub bytes: u64,
    pub packets: u64,
    pub errors: u64,
    pub dropped: u64,
}

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
        let field = columns.next().ok_or_else(|| ParseError::expected(line, "16 numbers", content))?;
        *number = u64(field).ok_or_else(|| ParseError::expected(line, "a count", field))?;
    }
    let direction = |at: usize| Direction {
        bytes: numbers[at],
        packets: numbers[at + 1],
        errors: numbers[at + 2],
        dropped: numbers[at + 3],
    };
    Ok(Line { name, traffic: Traffic { received: direction(0), sent: direction(COLUMNS / 2) } })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Folder, collect, cut_everywhere, fixture, have_fixtures, samples, value};
    use super::*;

    const HEADER: &str = "Inter-|   Receive   |  Transmit\n face |bytes packets|bytes packets\n";

    fn network() -> Network {
        Network::new(&Filter::default(), &HostPaths::default())
    }

    fn round(network: &mut Network, lines: &str) -> Vec<(String, f64)> {
        network.take(format!("{HEADER}{lines}").as_bytes()).unwrap();
        samples(|out| network.emit(out))
    }

    #[test]
    fn every_column_has_its_metric() {
        let seen = round(&mut network(), "  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n");
        let expected = [
            ("system_network_bytes_sent_total{interface=eth0}", 9.0),
            ("system_network_bytes_recv_total{interface=eth0}", 1.0),
            ("system_network_packets_sent_total{interface=eth0}", 10.0),
            ("system_network_packets_recv_total{interface=eth0}", 2.0),
            ("system_network_errors_in_total{interface=eth0}", 3.0),
            ("system_network_errors_out_total{interface=eth0}", 11.0),
            ("system_network_drop_in_total{interface=eth0}", 4.0),
            ("system_network_drop_out_total{interface=eth0}", 12.0),
        ];
        assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
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
        let mut network = Network::new(&Settings::default().network, &HostPaths::default());
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
