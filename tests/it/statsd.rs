//! StatsD: what is sent to the program, and what becomes of it.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::own_metrics::{is_stale, series};
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

/// A port of UDP that is free.
fn free_udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn config(statsd: &str, shippers: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1, "preset": "none"}},
            "spool": {{"mode": "memory"}}, "listen": {{"statsd": {statsd}}}, "shippers": [{shippers}]}}"#
    )
}

fn listening(dir: &TempDir, statsd: &str, shippers: &str) -> Daemon {
    Daemon::start(dir.path(), &config(statsd, shippers))
}

fn send(to: SocketAddr, text: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(socket.send_to(text.as_bytes(), to).unwrap(), text.len());
}

fn until(daemon: &Daemon, series: &str, value: f64) {
    wait_for(&format!("{series} to be {value}"), || daemon.metric(series).filter(|now| *now == value));
}

fn health(daemon: &Daemon) -> serde_json::Value {
    serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap()
}

#[test]
fn datagrams_by_both_ways_become_series_and_go_to_destinations() {
    let (dir, peer) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let (udp, unix) = (free_udp(), dir.path().join("statsd.sock"));
    let statsd = format!(r#"{{"udp": "{udp}", "unix": "{}", "expire": "2s"}}"#, unix.display());
    let destination = format!(r#"{{"type": "prometheus_remote_write", "endpoint": "{}"}}"#, peer.url("/w"));
    let daemon = listening(&dir, &statsd, &destination);
    send(udp, "shop.orders:3|c|#env:prod\nshop.took:250|ms\nshop.queue:7|g\nshop.users:ann|s");
    let local = UnixDatagram::unbound().unwrap();
    local.send_to(b"shop.orders:2|c|@0.5|#env:prod\nshop.queue:-2|g", &unix).unwrap();
    until(&daemon, r#"shop_orders_total{env="prod"}"#, 7.0);
    until(&daemon, "shop_queue", 5.0);
    until(&daemon, "shop_took_count", 1.0);
    until(&daemon, "shop_took_sum", 0.25);
    until(&daemon, "metricsd_statsd_metrics_total", 6.0);
    until(&daemon, "metricsd_statsd_datagrams_total", 2.0);
    assert_eq!(health(&daemon)["listen"]["statsd"]["last_error"], serde_json::Value::Null);
    // The values that the destination was sent of what is called so, and has this label.
    let sent = |name: &str, label: &str| -> Vec<f64> {
        let all = peer.received().iter().flat_map(series).collect::<Vec<_>>();
        let is_it = |text: &str| text.starts_with(&format!("{name}{{")) && text.contains(label);
        all.into_iter().filter(|(text, _)| is_it(text)).map(|(_, value)| value).collect()
    };
    wait_for("the counter at the destination", || sent("shop_orders_total", "env=prod").contains(&7.0).then_some(()));
    wait_for("a quantile at the destination", || {
        sent("shop_took", "quantile=0.5").iter().any(|value| (value / 0.25 - 1.0).abs() < 0.011).then_some(())
    });
    // What does not come any more ends.
    wait_for("the counter to end", || sent("shop_orders_total", "env=prod").iter().any(is_stale).then_some(()));
    assert_eq!(daemon.metric(r#"shop_orders_total{env="prod"}"#), None);
}

#[test]
fn garbage_is_counted_by_reason_said_once_and_stops_nothing() {
    let (dir, udp) = (TempDir::new(), free_udp());
    let daemon = listening(&dir, &format!(r#"{{"udp": "{udp}", "max_series": 3}}"#), "");
    let dropped = |reason: &str| format!(r#"metricsd_statsd_metrics_dropped_total{{reason="{reason}"}}"#);
    send(udp, "first:1|c");
    until(&daemon, "first_total", 1.0);
    for _ in 0..50 {
        send(udp, "\u{0}\u{1}\u{2}\nnothing\n:|@#\nx:1|c|@7");
        send(udp, "_e{1,1}:a|b");
        send(udp, "up:1|g\nsystem.load.1m:3|g");
        send(udp, "first_total:1|g");
    }
    send(udp, &"x".repeat(65_000));
    // One is enough to keep the beat's frames busy: 3 series there are, at most.
    (0..500).for_each(|at| send(udp, &format!("new.{at}:1|c")));
    until(&daemon, &dropped("malformed"), 201.0);
    until(&daemon, &dropped("unsupported"), 50.0);
    until(&daemon, &dropped("reserved"), 100.0);
    until(&daemon, &dropped("conflict"), 50.0);
    until(&daemon, &dropped("max_series"), 498.0);
    until(&daemon, "metricsd_statsd_series", 3.0);
    send(udp, "first:1|c");
    until(&daemon, "first_total", 2.0);
    for kind in ["is no metric", "is of a kind", "or metricsd's own", "of another type", "max_series allows"] {
        assert_eq!(daemon.log().matches(kind).count(), 1, "{kind}: {}", daemon.log());
    }
    let health = health(&daemon);
    assert_eq!(health["status"], "degraded");
    assert!(health["listen"]["statsd"]["last_error"].as_str().unwrap().contains("max_series"), "{health}");
}

#[test]
fn a_reload_moves_the_socket_keeps_what_is_the_same_and_switches_it_off() {
    let (dir, first, second) = (TempDir::new(), free_udp(), free_udp());
    let file = dir.path().join("config.json");
    let mut daemon = listening(&dir, &format!(r#"{{"udp": "{first}"}}"#), "");
    let text = std::fs::read_to_string(&file).unwrap();
    let reload = |daemon: &Daemon, from: &str, to: &str| {
        let before = daemon.log().matches("eloaded in").count();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        daemon.signal(Signal::SIGHUP);
        wait_for("the reload", || (daemon.log().matches("eloaded in").count() > before).then_some(()));
    };
    send(first, "kept:1|c");
    until(&daemon, "kept_total", 1.0);
    reload(&daemon, "\"interval_seconds\": 0.1", "\"interval_seconds\": 0.2");
    send(first, "kept:1|c");
    until(&daemon, "kept_total", 2.0);
    // Other settings at the same place: the socket stays, and counting begins anew.
    reload(&daemon, &format!(r#""udp": "{first}""#), &format!(r#""udp": "{first}", "max_series": 7"#));
    send(first, "kept:1|c");
    until(&daemon, "kept_total", 1.0);
    reload(&daemon, &first.to_string(), &second.to_string());
    send(second, "kept:5|c");
    until(&daemon, "kept_total", 5.0);
    wait_for("the old port to be free", || UdpSocket::bind(first).ok());
    // A place that is taken changes nothing.
    let taken = UdpSocket::bind(first).unwrap();
    let before = daemon.log().matches("nothing was changed").count();
    let now = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, now.replace(&second.to_string(), &first.to_string())).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("the refusal", || (daemon.log().matches("nothing was changed").count() > before).then_some(()));
    assert!(daemon.log().contains("listen.statsd.udp"), "{}", daemon.log());
    send(second, "kept:1|c");
    until(&daemon, "kept_total", 6.0);
    std::fs::write(&file, text.replace(&format!(r#"{{"udp": "{first}"}}"#), "null")).unwrap();
    drop(taken);
    daemon.signal(Signal::SIGHUP);
    wait_for("statsd to be off", || daemon.metric("kept_total").is_none().then_some(()));
    wait_for("the port to be free", || UdpSocket::bind(second).ok());
    assert!(health(&daemon).get("listen").is_none());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn off_it_has_no_thread_and_no_socket_and_a_place_that_is_taken_stops_the_start() {
    let dir = TempDir::new();
    let daemon = listening(&dir, "null", "");
    let names = || {
        let tasks = std::fs::read_dir(daemon.proc("task")).unwrap().map(|task| task.unwrap().path().join("comm"));
        tasks.filter_map(|comm| std::fs::read_to_string(comm).ok()).collect::<String>()
    };
    assert!(names().contains("sched") && !names().contains("statsd") && !names().contains("push"), "{}", names());
    let sockets =
        std::fs::read_dir(daemon.proc("fd")).unwrap().filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    let own: Vec<String> = sockets
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    let udp = std::fs::read_to_string(daemon.proc("net/udp")).unwrap();
    assert!(udp.lines().skip(1).all(|line| !own.iter().any(|inode| line.contains(&format!(" {inode} ")))), "{udp}");

    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dir = TempDir::new();
    let statsd = format!(r#"{{"udp": "{}"}}"#, taken.local_addr().unwrap());
    let path = dir
        .write("config.json", &config(&statsd, "").replace("PORT", &crate::support::program::free_port().to_string()));
    let ran = crate::support::program::run(crate::support::program::metricsd().arg("-config").arg(path));
    assert_eq!(ran.code, 69, "{}", ran.stderr);
    assert!(ran.stderr.contains("listen.statsd.udp"), "{}", ran.stderr);
}

/// What the issue asks for: 200,000 datagrams a second of 1,000 names on one core, none lost that the
/// socket held. `cargo test --release --locked --test it -- --ignored --nocapture statsd::a_flood`
#[test]
#[ignore = "a measurement: takes a release build"]
fn a_flood_is_taken_by_less_than_a_core() {
    let (dir, udp) = (TempDir::new(), free_udp());
    let daemon = listening(&dir, &format!(r#"{{"udp": "{udp}"}}"#), "");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(udp).unwrap();
    let cpu = || {
        let stat = std::fs::read_to_string(daemon.proc("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    };
    let texts: Vec<String> = (0..1000)
        .map(|at| match at % 3 {
            0 => format!("bench.requests.{at}:1|c|#env:prod,zone:eu-1"),
            1 => format!("bench.took.{at}:{}|ms|#env:prod,zone:eu-1", at + 1),
            _ => format!("bench.depth.{at}:{at}|g|#env:prod,zone:eu-1"),
        })
        .collect();
    let (count, per_second) = (2_000_000_u32, 200_000.0);
    let (begun, before) = (Instant::now(), cpu());
    for at in 0..count {
        // In bursts of a millisecond.
        if at % 200 == 0 {
            let due = Duration::from_secs_f64(f64::from(at) / per_second);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
        socket.send(texts[at as usize % 1000].as_bytes()).unwrap();
    }
    let (took, used) = (begun.elapsed().as_secs_f64(), cpu() - before);
    let taken = wait_for("all to be counted", || {
        let taken = daemon.metric("metricsd_statsd_datagrams_total")?;
        let lost = daemon.metric("metricsd_statsd_datagrams_lost_total")?;
        (taken + lost >= f64::from(count)).then_some((taken, lost))
    });
    println!(
        "{count} datagrams in {took:.2} s: {:.0} a second, {used:.2} s of CPU, {:.2} us each; taken, lost: {taken:?}",
        f64::from(count) / took,
        used / f64::from(count) * 1e6
    );
}
