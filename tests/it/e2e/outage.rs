//! What was collected while Prometheus was away arrives when it is back.

use nix::sys::signal::Signal;

use super::book::Book;
use super::{daemon, remote_write};
use crate::support::program::{TempDir, free_port};
use crate::support::prometheus::Prometheus;
use crate::support::{wait_for, wait_long_for};

#[test]
#[ignore = "needs prometheus: make e2e"]
fn no_sample_of_an_outage_is_missing() {
    let dir = TempDir::new();
    let port = free_port();
    // The second destination writes down what there was to deliver.
    let book = dir.path().join("book.jsonl");
    let file = format!(r#"{{"type": "file", "endpoint": "{}"}}"#, book.display());
    // Nobody listens on that port yet.
    let mut daemon = daemon(&dir, 0.25, &format!("{}, {file}", remote_write(port)));
    let ticks = || std::fs::read_to_string(&book).unwrap_or_default().lines().count();
    wait_for("ticks of the outage at the start", || (ticks() >= 10).then_some(()));
    let failed = r#"metricsd_destination_requests_total{destination="prometheus_remote_write",outcome="retried"}"#;
    wait_for("a failed delivery", || (daemon.metric(failed)? > 0.0).then_some(()));

    let prometheus = Prometheus::start(dir.path(), port, "[]");
    let delivered = |prometheus: &Prometheus| {
        let before = ticks();
        wait_long_for("the backlog to be delivered", || {
            let have = prometheus.value("count_over_time(system_uptime_seconds[1h])").unwrap_or_default();
            (have >= before as f64).then_some(())
        });
    };
    delivered(&prometheus);
    prometheus.stop();
    let before = ticks();
    wait_for("ticks of the outage in between", || (ticks() >= before + 10).then_some(()));
    let prometheus = Prometheus::start(dir.path(), port, "[]");
    delivered(&prometheus);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);

    let book = Book::read(&book);
    assert!(book.times().len() >= 20);
    book.compare(&prometheus, 0.0);
}
