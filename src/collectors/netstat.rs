//! What the network protocols did, from `/proc/net/snmp`, `netstat` and `snmp6`.

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::keys::{self, Keys};
use super::parse::{ParseError, fields, lines, number, u64, whole};
use super::settings::Preset;
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Family, Item, Kind, Label, Learnt, Reading, Recorder, Scheme, Writer, face};

const PACKETS: Family = Family::counter("system.linux.netstat.packets", "{packets}", "Packets of a protocol.");
const BYTES: Family = Family::counter("system.linux.netstat.io", "By", "Bytes of a protocol.");
const ERRORS: Family = Family::counter("system.linux.netstat.errors", "{errors}", "Packets with an error.");
const BUFFERS: Family =
    Family::counter("system.linux.netstat.buffer_errors", "{errors}", "Packets for which a socket's buffer was full.");
const NO_PORTS: Family =
    Family::counter("system.linux.netstat.no_ports", "{packets}", "Packets for a port that nobody listens on.");
const OPENS: Family =
    Family::counter("system.linux.netstat.tcp.opens", "{connections}", "Connections that were opened.");
const ESTABLISHED: Family = Family::new(
    Kind::UpDown,
    "system.linux.netstat.tcp.established",
    "{connections}",
    "TCP connections that are open now.",
);
const COOKIES: Family = Family::counter("system.linux.netstat.tcp.syncookies", "{cookies}", "SYN cookies.");

/// Defines the list of the keys, and the reading of each in metricsd's own names and in OpenTelemetry's.
macro_rules! readings {
    ($($kind:ident $key:literal $native:literal $unit:literal $help:literal $otel:tt)*) => {
        /// The keys, `Protocol_Name`, in the order of the files.
        static KEYS: &[&str] = &[$($key),*];

        /// The reading of each key.
        static READINGS: &[Reading] = &[$(Reading {
            native: face(&Family::$kind($native, $unit, $help), &[]),
            node: None,
            otel: readings!(@otel $kind $help $otel),
        }),*];
    };
    (@otel $kind:ident $help:literal ($family:ident, $($name:literal $value:literal),*)) => {
        face(&$family, &[$(Label::constant($name, $value)),*])
    };
    (@otel $kind:ident $help:literal ($name:literal $unit:literal)) => {
        face(&Family::$kind($name, $unit, $help), &[])
    };
}

readings! {
    gauge "Ip_Forwarding" "system_netstat_ip_forwarding" "" "Whether the host forwards IPv4 (1) or not (0)."
        ("system.linux.netstat.ip.forwarding" "")
    counter "Icmp_InMsgs" "system_netstat_icmp_messages_recv_total" "" "ICMP messages that were received."
        (PACKETS, "protocol" "icmp", "direction" "receive")
    counter "Icmp_InErrors" "system_netstat_icmp_errors_in_total" "" "ICMP messages that were received with an error."
        (ERRORS, "protocol" "icmp", "direction" "receive")
    counter "Icmp_OutMsgs" "system_netstat_icmp_messages_sent_total" "" "ICMP messages that were sent."
        (PACKETS, "protocol" "icmp", "direction" "transmit")
    counter "Tcp_ActiveOpens" "system_netstat_tcp_active_opens_total" "" "TCP connections that were opened from here."
        (OPENS, "type" "active")
    counter "Tcp_PassiveOpens" "system_netstat_tcp_passive_opens_total" "" "TCP connections that were opened to here."
        (OPENS, "type" "passive")
    gauge "Tcp_CurrEstab" "system_netstat_tcp_established" "" "TCP connections that are open now."
        (ESTABLISHED,)
    counter "Tcp_InSegs" "system_netstat_tcp_segments_recv_total" "" "TCP segments that were received."
        (PACKETS, "protocol" "tcp", "direction" "receive")
    counter "Tcp_OutSegs" "system_netstat_tcp_segments_sent_total" "" "TCP segments that were sent, but for those sent again."
        (PACKETS, "protocol" "tcp", "direction" "transmit")
    counter "Tcp_RetransSegs" "system_netstat_tcp_segments_retransmitted_total" "" "TCP segments that were sent again."
        ("system.linux.netstat.tcp.retransmissions" "{packets}")
    counter "Tcp_InErrs" "system_netstat_tcp_errors_in_total" "" "TCP segments that were received with an error."
        (ERRORS, "protocol" "tcp", "direction" "receive")
    counter "Tcp_OutRsts" "system_netstat_tcp_resets_sent_total" "" "TCP segments with a reset that were sent."
        ("system.linux.netstat.tcp.resets" "{packets}")
    counter "Udp_InDatagrams" "system_netstat_udp_datagrams_recv_total" "" "UDP datagrams that were received."
        (PACKETS, "protocol" "udp", "direction" "receive")
    counter "Udp_NoPorts" "system_netstat_udp_no_ports_total" "" "UDP datagrams for a port that nobody listens on."
        (NO_PORTS, "protocol" "udp")
    counter "Udp_InErrors" "system_netstat_udp_errors_in_total" "" "UDP datagrams that were received and not delivered."
        (ERRORS, "protocol" "udp", "direction" "receive")
    counter "Udp_OutDatagrams" "system_netstat_udp_datagrams_sent_total" "" "UDP datagrams that were sent."
        (PACKETS, "protocol" "udp", "direction" "transmit")
    counter "Udp_RcvbufErrors" "system_netstat_udp_buffer_errors_in_total" ""
        "UDP datagrams that were received while the socket's buffer was full."
        (BUFFERS, "protocol" "udp", "direction" "receive")
    counter "Udp_SndbufErrors" "system_netstat_udp_buffer_errors_out_total" ""
        "UDP datagrams that were to be sent while the socket's buffer was full."
        (BUFFERS, "protocol" "udp", "direction" "transmit")
    counter "UdpLite_InErrors" "system_netstat_udplite_errors_in_total" ""
        "UDP-Lite datagrams that were received and not delivered."
        (ERRORS, "protocol" "udplite", "direction" "receive")
    counter "TcpExt_SyncookiesSent" "system_netstat_tcp_syncookies_sent_total" "" "SYN cookies that were sent."
        (COOKIES, "state" "sent")
    counter "TcpExt_SyncookiesRecv" "system_netstat_tcp_syncookies_recv_total" "" "SYN cookies that came back."
        (COOKIES, "state" "received")
    counter "TcpExt_SyncookiesFailed" "system_netstat_tcp_syncookies_failed_total" "" "SYN cookies that came back and were wrong."
        (COOKIES, "state" "failed")
    counter "TcpExt_ListenOverflows" "system_netstat_tcp_listen_overflows_total" ""
        "TCP connections that found the queue of a listening socket full."
        ("system.linux.netstat.tcp.listen.overflows" "{connections}")
    counter "TcpExt_ListenDrops" "system_netstat_tcp_listen_drops_total" ""
        "TCP connections that a listening socket dropped, whatever the reason."
        ("system.linux.netstat.tcp.listen.drops" "{connections}")
    counter "TcpExt_TCPTimeouts" "system_netstat_tcp_timeouts_total" "" "Times that a TCP segment was not acknowledged in time."
        ("system.linux.netstat.tcp.timeouts" "{timeouts}")
    counter "TcpExt_TCPOFOQueue" "system_netstat_tcp_out_of_order_total" "" "TCP segments that came out of order, and were kept."
        ("system.linux.netstat.tcp.out_of_order" "{packets}")
    counter "TcpExt_TCPSynRetrans" "system_netstat_tcp_syn_retransmitted_total" "" "TCP segments with a SYN that were sent again."
        ("system.linux.netstat.tcp.syn_retransmissions" "{packets}")
    counter "TcpExt_TCPRcvQDrop" "system_netstat_tcp_receive_queue_drops_total" ""
        "TCP segments that were dropped while the socket's receive queue was full."
        ("system.linux.netstat.tcp.receive_queue_drops" "{packets}")
    counter "IpExt_InOctets" "system_netstat_ip_recv_bytes_total" "bytes" "Bytes of IPv4 that were received."
        (BYTES, "protocol" "ip", "direction" "receive")
    counter "IpExt_OutOctets" "system_netstat_ip_sent_bytes_total" "bytes" "Bytes of IPv4 that were sent."
        (BYTES, "protocol" "ip", "direction" "transmit")
    counter "Ip6_InOctets" "system_netstat_ip6_recv_bytes_total" "bytes" "Bytes of IPv6 that were received."
        (BYTES, "protocol" "ip6", "direction" "receive")
    counter "Ip6_OutOctets" "system_netstat_ip6_sent_bytes_total" "bytes" "Bytes of IPv6 that were sent."
        (BYTES, "protocol" "ip6", "direction" "transmit")
    counter "Icmp6_InMsgs" "system_netstat_icmp6_messages_recv_total" "" "ICMPv6 messages that were received."
        (PACKETS, "protocol" "icmp6", "direction" "receive")
    counter "Icmp6_InErrors" "system_netstat_icmp6_errors_in_total" "" "ICMPv6 messages that were received with an error."
        (ERRORS, "protocol" "icmp6", "direction" "receive")
    counter "Icmp6_OutMsgs" "system_netstat_icmp6_messages_sent_total" "" "ICMPv6 messages that were sent."
        (PACKETS, "protocol" "icmp6", "direction" "transmit")
    counter "Udp6_InDatagrams" "system_netstat_udp6_datagrams_recv_total" "" "UDP datagrams over IPv6 that were received."
        (PACKETS, "protocol" "udp6", "direction" "receive")
    counter "Udp6_NoPorts" "system_netstat_udp6_no_ports_total" "" "UDP datagrams over IPv6 for a port that nobody listens on."
        (NO_PORTS, "protocol" "udp6")
    counter "Udp6_InErrors" "system_netstat_udp6_errors_in_total" ""
        "UDP datagrams over IPv6 that were received and not delivered."
        (ERRORS, "protocol" "udp6", "direction" "receive")
    counter "Udp6_OutDatagrams" "system_netstat_udp6_datagrams_sent_total" "" "UDP datagrams over IPv6 that were sent."
        (PACKETS, "protocol" "udp6", "direction" "transmit")
    counter "Udp6_RcvbufErrors" "system_netstat_udp6_buffer_errors_in_total" ""
        "UDP datagrams over IPv6 that were received while the socket's buffer was full."
        (BUFFERS, "protocol" "udp6", "direction" "receive")
    counter "Udp6_SndbufErrors" "system_netstat_udp6_buffer_errors_out_total" ""
        "UDP datagrams over IPv6 that were to be sent while the socket's buffer was full."
        (BUFFERS, "protocol" "udp6", "direction" "transmit")
    counter "UdpLite6_InErrors" "system_netstat_udplite6_errors_in_total" ""
        "UDP-Lite datagrams over IPv6 that were received and not delivered."
        (ERRORS, "protocol" "udplite6", "direction" "receive")
}

/// Whether a number is shown: node_exporter's default choice of several hundred, and the largest
/// number of connections, for which its dashboards have a line.
fn is_shown(protocol: &[u8], name: &[u8]) -> bool {
    match name {
        b"InErrors" | b"InErrs" => return true,
        _ => {}
    }
    match protocol {
        b"Ip" => name == b"Forwarding",
        b"IpExt" | b"Ip6" => matches!(name, b"InOctets" | b"OutOctets"),
        b"Icmp" | b"Icmp6" => matches!(name, b"InMsgs" | b"OutMsgs"),
        b"Tcp" => matches!(
            name,
            b"ActiveOpens"
                | b"PassiveOpens"
                | b"CurrEstab"
                | b"InSegs"
                | b"OutSegs"
                | b"RetransSegs"
                | b"OutRsts"
                | b"MaxConn"
        ),
        b"TcpExt" => {
            name.starts_with(b"Listen")
                || name.starts_with(b"Syncookies")
                || matches!(name, b"TCPSynRetrans" | b"TCPTimeouts" | b"TCPOFOQueue" | b"TCPRcvQDrop")
        }
        b"Udp" | b"Udp6" => {
            matches!(name, b"InDatagrams" | b"OutDatagrams" | b"NoPorts" | b"RcvbufErrors" | b"SndbufErrors")
        }
        _ => false,
    }
}

/// What node_exporter makes of a key: `Tcp_InSegs` is `node_netstat_Tcp_InSegs`, whatever it counts.
fn key(name: &[u8], _: u8) -> Option<Learnt> {
    let family = format!("node_netstat_{}", keys::clean(name));
    let help = format!("{} of the kernel's network statistics.", name.escape_ascii());
    Some(Learnt::new(Scheme::NodeExporter, Family::untyped(&family, "", &help), &[]))
}

/// node_exporter's families of the keys that kernels have.
fn known_keys() -> Vec<Learnt> {
    KEYS.iter().chain(&["Tcp_MaxConn"]).filter_map(|name| key(name.as_bytes(), 0)).collect()
}

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "netstat",
    switch: "enable_netstat",
    about: "Network protocols: TCP, UDP, ICMP and IP, of both versions.",
    note: "the numbers that node_exporter shows by default",
    preset: Some(Preset::Full),
    reads: &["/proc/self/net/snmp", "/proc/self/net/netstat", "/proc/self/net/snmp6"],
    readings: &[READINGS],
    keys: known_keys,
    build: |parts| Made::Fast(Box::new(Netstat::new(parts.host))),
    ..Definition::PLAIN
};

/// The collector.
#[derive(Debug)]
pub struct Netstat {
    sources: [Source; 3],
    host: Item,
    shown: Shown,
}

/// A file.
#[derive(Debug)]
struct Source {
    file: KernelFile,
    parse: Parse,
    /// A number that the file has on every kernel, near the end of those that are shown: without it the text
    /// was cut at the end of a line.
    until: (&'static str, &'static str),
}

/// What is remembered of the numbers that are shown.
#[derive(Debug)]
struct Shown {
    keys: Keys,
    /// `Protocol_Name` of the one at hand.
    text: Vec<u8>,
    /// Which of `KEYS` comes next, if they come as they do in other kernels.
    next: usize,
    /// Which of `KEYS` have come in this round, a bit each.
    given: u64,
}

impl Netstat {
    /// Reads the statistics of `host`'s own network namespace.
    pub fn new(host: &HostPaths) -> Netstat {
        let source = |file: &str, parse, until| Source {
            file: KernelFile::first_of(host.of_process(file)).in_one_piece(),
            parse,
            until,
        };
        Netstat {
            sources: [
                source("net/snmp", parse_tables, ("Udp", "InErrors")),
                source("net/netstat", parse_tables, ("IpExt", "OutOctets")),
                source("net/snmp6", parse_list, ("Udp6", "InErrors")),
            ],
            host: Item::new(&[]),
            shown: Shown { keys: Keys::new("netstat", key), text: Vec::new(), next: 0, given: 0 },
        }
    }
}

impl Collector for Netstat {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let Netstat { sources, host, shown } = self;
        let mut host = out.item(host);
        let mut missing = None;
        let mut is_there = false;
        shown.begin();
        for source in sources {
            match source.collect(scratch, |protocol, name, number| shown.push(protocol, name, number, &mut host)) {
                Ok(()) => is_there = true,
                // A kernel without IPv6 has two of the files.
                Err(CollectError::Absent(why)) => _ = missing.get_or_insert(why),
                Err(error) => return Err(error),
            }
        }
        shown.keys.end();
        match missing {
            Some(why) if !is_there => Err(CollectError::Absent(why)),
            _ => Ok(()),
        }
    }
}

impl Source {
    /// Tells `each` of the numbers of the file that are shown.
    fn collect(&mut self, scratch: &mut Scratch, each: impl FnMut(&[u8], &[u8], f64)) -> Result<(), CollectError> {
        let text = self.file.read(scratch)?;
        take(self.parse, self.until, text, each).map_err(|error| error.of(self.file.path()))
    }
}

fn take(
    parse: Parse,
    until: (&str, &str),
    text: &[u8],
    mut each: impl FnMut(&[u8], &[u8], f64),
) -> Result<(), ParseError> {
    let mut is_whole = false;
    parse(text, &mut |protocol, name, number| {
        is_whole |= protocol == until.0.as_bytes() && name == until.1.as_bytes();
        each(protocol, name, number);
    })?;
    if is_whole {
        return Ok(());
    }
    let what = format!("the file ends without {} of {}", until.1, until.0);
    Err(ParseError { line: lines(text).count(), what })
}

impl Shown {
    fn begin(&mut self) {
        self.keys.begin();
        (self.next, self.given) = (0, 0);
    }

    fn push(&mut self, protocol: &[u8], name: &[u8], number: f64, out: &mut Writer<'_>) {
        self.text.clear();
        self.text.extend_from_slice(protocol);
        self.text.push(b'_');
        self.text.extend_from_slice(name);
        self.keys.push(&self.text, 0, number, out);
        let (before, after) = KEYS.split_at(self.next);
        let Some(found) = after.iter().chain(before).position(|key| key.as_bytes() == self.text) else { return };
        let at = (self.next + found) % KEYS.len();
        self.next = at + 1;
        // A series that stands twice would make destinations refuse the whole request.
        if self.given & (1 << at) != 0 {
            return;
        }
        self.given |= 1 << at;
        // The kernel writes 2 for a host that does not forward.
        let is_forwarding = KEYS[at] == "Ip_Forwarding";
        out.push(&READINGS[at], if is_forwarding { f64::from(number == 1.0) } else { number });
    }
}

/// A bit for each.
const _: () = assert!(KEYS.len() <= 64);

/// Is told of a number: its protocol, its name, the number.
type Each<'a> = dyn FnMut(&[u8], &[u8], f64) + 'a;

/// Tells of each number of a text that is shown.
type Parse = fn(&[u8], &mut Each<'_>) -> Result<(), ParseError>;

/// Of `snmp` and `netstat`, which have two lines for each protocol:
///
/// ```text
/// Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors
/// Udp: 88542 120 0 53028 9 8
/// ```
///
/// See <https://www.kernel.org/doc/html/latest/networking/snmp_counter.html>. A protocol that is
/// not known here may have any numbers, as many as it has names.
pub fn parse_tables(text: &[u8], each: &mut Each<'_>) -> Result<(), ParseError> {
    let mut lines = lines(whole(text)?);
    while let Some((line, content)) = lines.next() {
        let (protocol, mut names) =
            of_protocol(content).ok_or_else(|| ParseError::expected(line, "a protocol and a colon", content))?;
        let (line, content) = lines.next().unwrap_or((line + 1, b""));
        let values = of_protocol(content).filter(|(of, _)| *of == protocol);
        let of = || String::from_utf8_lossy(protocol).into_owned();
        let (_, mut values) =
            values.ok_or_else(|| ParseError::expected(line, &format!("the numbers of {}", of()), content))?;
        loop {
            match (names.next(), values.next()) {
                (Some(name), Some(value)) if is_shown(protocol, name) => each(protocol, name, read(line, name, value)?),
                (Some(_), Some(_)) => {}
                (None, None) => break,
                _ => {
                    return Err(ParseError::expected(line, &format!("as many numbers as {} has names", of()), content));
                }
            }
        }
    }
    Ok(())
}

/// A line's protocol, and what stands behind the colon.
fn of_protocol(content: &[u8]) -> Option<(&[u8], impl Iterator<Item = &[u8]>)> {
    let mut words = fields(content);
    let protocol = words.next()?.strip_suffix(b":")?;
    Some((protocol, words))
}

/// Of `snmp6`, which has a line for each number; the protocol ends with the 6:
///
/// ```text
/// Ip6InReceives                           7
/// Icmp6OutMsgs                            8
/// ```
///
/// Lines without a 6 are passed over.
pub fn parse_list(text: &[u8], each: &mut Each<'_>) -> Result<(), ParseError> {
    for (line, content) in lines(whole(text)?) {
        let mut words = fields(content);
        let key = words.next().unwrap_or_default();
        let Some(six) = key.iter().position(|byte| *byte == b'6') else { continue };
        let (protocol, name) = key.split_at(six + 1);
        if is_shown(protocol, name) {
            each(protocol, name, read(line, name, words.next().unwrap_or_default())?);
        }
    }
    Ok(())
}

/// The kernel's counters are unsigned; `MaxConn` alone may be below zero: there is no limit.
fn read(line: usize, name: &[u8], value: &[u8]) -> Result<f64, ParseError> {
    let read = if name == b"MaxConn" { number(value) } else { u64(value).map(|count| count as f64) };
    read.ok_or_else(|| ParseError::expected(line, "a count", value))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Folder, collect, collect_as, cut_everywhere, fixture, have_fixtures, owned, value};
    use super::*;

    fn seen(host: &str, scheme: Scheme) -> Vec<(String, f64)> {
        collect_as(scheme, &mut Netstat::new(&fixture(host)))
    }

    #[test]
    fn node_exporters_names_are_the_keys() {
        if !have_fixtures() {
            return;
        }
        let expected = [
            ("Ip_Forwarding", 1.0),
            ("Icmp_InMsgs", 104.0),
            ("Icmp_InErrors", 1.0),
            ("Icmp_OutMsgs", 120.0),
            // That there is no limit.
            ("Tcp_MaxConn", -1.0),
            ("Tcp_ActiveOpens", 3556.0),
            ("Tcp_PassiveOpens", 230.0),
            ("Tcp_CurrEstab", 12.0),
            ("Tcp_InSegs", 57_252_008.0),
            ("Tcp_OutSegs", 54_915_039.0),
            ("Tcp_RetransSegs", 227.0),
            ("Tcp_InErrs", 5.0),
            ("Tcp_OutRsts", 1003.0),
            ("Udp_InDatagrams", 88542.0),
            ("Udp_NoPorts", 120.0),
            ("Udp_InErrors", 7.0),
            ("Udp_OutDatagrams", 53028.0),
            ("Udp_RcvbufErrors", 9.0),
            ("Udp_SndbufErrors", 8.0),
            ("UdpLite_InErrors", 0.0),
            ("TcpExt_SyncookiesSent", 3.0),
            ("TcpExt_SyncookiesRecv", 2.0),
            ("TcpExt_SyncookiesFailed", 1.0),
            ("TcpExt_ListenOverflows", 4.0),
            ("TcpExt_ListenDrops", 6.0),
            ("TcpExt_TCPTimeouts", 115.0),
            ("TcpExt_TCPOFOQueue", 42.0),
            ("TcpExt_TCPSynRetrans", 31.0),
            ("TcpExt_TCPRcvQDrop", 131.0),
            ("IpExt_InOctets", 6_286_396_970.0),
            ("IpExt_OutOctets", 2_786_264_347.0),
            ("Ip6_InOctets", 460.0),
            ("Ip6_OutOctets", 536.0),
            ("Icmp6_InMsgs", 3.0),
            ("Icmp6_InErrors", 0.0),
            ("Icmp6_OutMsgs", 8.0),
            ("Udp6_InDatagrams", 40.0),
            ("Udp6_NoPorts", 2.0),
            ("Udp6_InErrors", 1.0),
            ("Udp6_OutDatagrams", 50.0),
            ("Udp6_RcvbufErrors", 1.0),
            ("Udp6_SndbufErrors", 0.0),
            ("UdpLite6_InErrors", 0.0),
        ];
        let expected: Vec<_> = expected.iter().map(|(key, value)| (format!("node_netstat_{key}"), *value)).collect();
        assert_eq!(seen("vm", Scheme::NodeExporter), expected);
    }

    #[test]
    fn native_and_otel_names_say_what_is_counted() {
        if !have_fixtures() {
            return;
        }
        let native = seen("vm", Scheme::Native);
        // All but the largest number of connections.
        assert_eq!(native.len(), 42);
        for (name, expected) in [
            ("system_netstat_ip_forwarding", 1.0),
            ("system_netstat_tcp_established", 12.0),
            ("system_netstat_tcp_active_opens_total", 3556.0),
            ("system_netstat_tcp_segments_retransmitted_total", 227.0),
            ("system_netstat_tcp_listen_drops_total", 6.0),
            ("system_netstat_udp_buffer_errors_in_total", 9.0),
            ("system_netstat_ip_recv_bytes_total", 6_286_396_970.0),
            ("system_netstat_udp6_datagrams_sent_total", 50.0),
        ] {
            assert_eq!(value(&native, name), Some(expected), "{name}");
        }
        let otel = seen("vm", Scheme::Otel);
        assert_eq!(otel.len(), 42);
        for (name, expected) in [
            ("system.linux.netstat.tcp.opens{type=passive}", 230.0),
            ("system.linux.netstat.packets{direction=transmit,protocol=tcp}", 54_915_039.0),
            ("system.linux.netstat.errors{direction=receive,protocol=udp}", 7.0),
            ("system.linux.netstat.io{direction=receive,protocol=ip6}", 460.0),
            ("system.linux.netstat.tcp.syncookies{state=failed}", 1.0),
            ("system.linux.netstat.tcp.retransmissions", 227.0),
        ] {
            assert_eq!(value(&otel, name), Some(expected), "{name}");
        }
        assert_eq!(value(&seen("old-kernel", Scheme::Native), "system_netstat_ip_forwarding"), Some(0.0));
    }

    #[test]
    fn in_a_container_it_is_the_hosts_own_and_ipv6_may_be_missing() {
        if !have_fixtures() {
            return;
        }
        // The container's own file has 3 and 2.
        let node = seen("container-v1", Scheme::NodeExporter);
        assert_eq!(value(&node, "node_netstat_Tcp_ActiveOpens"), Some(5000.0));
        assert_eq!(value(&node, "node_netstat_Ip_Forwarding"), Some(1.0));
        assert!(node.iter().all(|(name, _)| !name.contains('6')));
    }

    #[test]
    fn an_old_kernel_has_fewer_columns() {
        if !have_fixtures() {
            return;
        }
        let node = seen("old-kernel", Scheme::NodeExporter);
        assert_eq!(value(&node, "node_netstat_TcpExt_TCPTimeouts"), Some(4100.0));
        assert_eq!(value(&node, "node_netstat_TcpExt_TCPSynRetrans"), None);
        assert_eq!(value(&node, "node_netstat_Udp6_OutDatagrams"), Some(6.0));
        assert_eq!(value(&node, "node_netstat_Udp6_RcvbufErrors"), None);
    }

    const UDP: &str = "Udp: InDatagrams InErrors\nUdp: 5 1\n";

    #[test]
    fn protocols_and_keys_that_are_new_are_shown_where_the_choice_names_them() {
        let folder = Folder::new("netstat-new");
        let mut netstat = Netstat::new(&folder.host());
        folder.write(
            "proc/1/net/snmp",
            format!("New: InErrors Other\nNew: 3 x\nOdd-: InErrs\nOdd-: 4\nNone:\nNone:\n{UDP}"),
        );
        let expected = [
            ("node_netstat_New_InErrors", 3.0),
            ("node_netstat_Odd__InErrs", 4.0),
            ("node_netstat_Udp_InDatagrams", 5.0),
            ("node_netstat_Udp_InErrors", 1.0),
        ];
        assert_eq!(collect_as(Scheme::NodeExporter, &mut netstat), owned(&expected));
        let expected = [("system_netstat_udp_datagrams_recv_total", 5.0), ("system_netstat_udp_errors_in_total", 1.0)];
        assert_eq!(collect(&mut netstat).unwrap(), owned(&expected));
    }

    #[test]
    fn a_number_that_comes_twice_is_given_once() {
        let folder = Folder::new("netstat-twice");
        folder.write("proc/1/net/snmp", format!("{UDP}Udp: InDatagrams InErrors\nUdp: 6 2\n"));
        for _ in 0..2 {
            let mut netstat = Netstat::new(&folder.host());
            for scheme in Scheme::ALL {
                assert_eq!(collect_as(scheme, &mut netstat).len(), 2);
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_fails_the_round_and_says_where() {
        let folder = Folder::new("netstat-cut");
        let error = |text: &str| {
            folder.write("proc/1/net/snmp", text);
            match collect(&mut Netstat::new(&folder.host())) {
                Err(CollectError::Failed(why)) => why.split_once("net/snmp ").unwrap().1.to_owned(),
                other => panic!("{text}: {other:?}"),
            }
        };
        assert_eq!(error(""), "line 1: the file is empty");
        assert_eq!(error("Udp: InErrors\nUdp: 1"), "line 2: expected a whole line, got \"Udp: 1\"");
        assert_eq!(error("Udp: InErrors\n"), "line 2: expected the numbers of Udp, got \"\"");
        assert_eq!(error("Udp: InErrors\nTcp: 1\n"), "line 2: expected the numbers of Udp, got \"Tcp: 1\"");
        let lengths = "line 2: expected as many numbers as Udp has names, got ";
        assert_eq!(error("Udp: InErrors NoPorts\nUdp: 1\n"), format!("{lengths}\"Udp: 1\""));
        assert_eq!(error("Udp: InErrors\nUdp: 1 2\n"), format!("{lengths}\"Udp: 1 2\""));
        assert_eq!(error("Udp: InErrors\nUdp: x\n"), "line 2: expected a count, got \"x\"");
        assert_eq!(error("Udp: InErrors\nUdp: -1\n"), "line 2: expected a count, got \"-1\"");
        assert_eq!(error("Udp InErrors\n"), "line 1: expected a protocol and a colon, got \"Udp InErrors\"");
        assert_eq!(error("Tcp: InErrs\nTcp: 1\n"), "line 2: the file ends without InErrors of Udp");
        folder.write("proc/1/net/snmp", UDP);
        folder.write("proc/1/net/snmp6", "Ip6InOctets\t7\nUdp6InErrors\n");
        let error = collect(&mut Netstat::new(&folder.host())).unwrap_err().to_string();
        assert!(error.ends_with("net/snmp6 line 2: expected a count, got \"\""), "{error}");
    }

    #[test]
    fn a_kernel_without_network_is_no_failure() {
        let folder = Folder::new("netstat-missing");
        assert!(matches!(collect(&mut Netstat::new(&folder.host())), Err(CollectError::Absent(_))));
    }

    #[test]
    fn every_cut_before_the_last_protocol_of_all_kernels_gives_nothing() {
        if !have_fixtures() {
            return;
        }
        for (source, last) in
            Netstat::new(&fixture("vm")).sources.iter().zip(["\nUdp: ", "\nIpExt: ", "\nUdp6InErrors"])
        {
            for host in ["vm", "numa64", "old-kernel"] {
                let name = source.file.path().file_name().unwrap();
                let text = std::fs::read_to_string(fixture(host).proc("1/net").join(name)).unwrap();
                let cut = |at| take(source.parse, source.until, &text.as_bytes()[..at], |_, _, _| {});
                assert_eq!(cut(text.len()), Ok(()), "{host} {name:?}");
                for at in 0..=text.rfind(last).unwrap() + last.len() {
                    assert!(cut(at).is_err(), "{host} {name:?}: {at} bytes");
                }
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for file in ["snmp", "netstat", "snmp6"] {
            cut_everywhere(&format!("proc/1/net/{file}"), |text| {
                drop(parse_tables(text, &mut |_, _, _| {}));
                drop(parse_list(text, &mut |_, _, _| {}));
            });
        }
    }
}
