//! Destinations under fault: what each kind of answer does to the data.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use metricsd::config;
use metricsd::formats::{Compression, Options, RemoteWriteVersion, json, remote_write};
use metricsd::http::HttpSettings;
use metricsd::lane::{Control, Inlet, Kind, Lane, RetrySettings, Settings, SpoolSettings};
use metricsd::model::{
    Batch, Family, Item, Label, Labels, Parcel, Payload, Reading, Recorder, Resource, Scheme, Signal, face,
};
use metricsd::shaping::Rules;
use metricsd::telemetry::{DestinationState, DestinationStatus, DropReason, Outcome};
use prometheus_remote_write::WriteRequest;
use prost_0_12::Message;

use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::TempDir;
use crate::support::wait_for;

static FIRST: Reading = Reading {
    native: face(&Family::gauge("test_first", "", "First."), &[Label::key("disk", 0)]),
    node: None,
    otel: None,
};
static SECOND: Reading =
    Reading { native: face(&Family::counter("test_second_total", "", "Second."), &[]), node: None, otel: None };

/// A lane on its threads.
pub struct Running {
    inlet: Option<Inlet>,
    pub status: Arc<DestinationStatus>,
    recorder: Recorder,
    threads: Vec<JoinHandle<()>>,
    control: Control,
    settings: Settings,
}

impl Running {
    pub fn start(kind: Kind) -> Running {
        Running::start_with(kind, SpoolSettings::memory(1 << 20))
    }

    pub fn start_with(kind: Kind, spool: SpoolSettings) -> Running {
        Running::start_at(kind, spool, 1, None)
    }

    pub fn start_at(kind: Kind, spool: SpoolSettings, workers: usize, drain_rate: Option<f64>) -> Running {
        let settings = Settings {
            name: "test".to_owned(),
            signal: Signal::Metrics,
            naming: Scheme::Native,
            rules: Rules::NONE,
            rule_places: Vec::new(),
            tee_file: None,
            own_metrics: false,
            labels: Labels::of(&[("job", "metricsd"), ("instance", "host-1")]),
            kind,
            spool,
            workers,
            drain_rate,
            retry: RetrySettings {
                min_backoff: Duration::from_millis(1),
                max_backoff: Duration::from_millis(20),
                ..RetrySettings::default()
            },
        };
        let (inlet, mut control, lane) = Lane::new(&settings, Duration::from_millis(50), None);
        control.begin();
        let status = Arc::clone(control.status());
        let (worker, keeper) = (lane.worker, lane.keeper);
        let mut threads = vec![std::thread::spawn(move || worker.run()), std::thread::spawn(move || keeper.run())];
        threads.extend(lane.senders.into_iter().map(|sender| std::thread::spawn(move || sender.run())));
        Running { inlet: Some(inlet), status, recorder: Recorder::new("test", 10), threads, control, settings }
    }

    /// One tick of two samples at `time_ms`.
    pub fn tick(&mut self, time_ms: i64) {
        self.recorder.item(&Item::new(&["sda"])).push(&FIRST, time_ms as f64);
        self.recorder.item(&Item::new(&[])).push(&SECOND, 0.5);
        let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
        let frames = vec![self.recorder.finish(time_ms)];
        self.inlet
            .as_ref()
            .unwrap()
            .put(Parcel::new(Payload::Metrics(Arc::new(Batch::new(time_ms, resource, frames)))));
    }

    /// One tick of so many samples.
    pub fn tick_of(&mut self, time_ms: i64, samples: usize) {
        let mut recorder = Recorder::new("many", samples);
        for number in 0..samples {
            recorder.item(&Item::new(&[&number.to_string()])).push(&FIRST, 0.5);
        }
        let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
        let frames = vec![recorder.finish(time_ms)];
        self.inlet
            .as_ref()
            .unwrap()
            .put(Parcel::new(Payload::Metrics(Arc::new(Batch::new(time_ms, resource, frames)))));
    }

    /// Takes up settings that are different.
    pub fn reload(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.control.apply(&self.settings);
    }

    pub fn wait_sent(&self, samples: u64) {
        wait_for("samples to be delivered", || (self.status.samples_sent() >= samples).then_some(()));
    }

    /// Closes the mailbox and waits for both threads.
    pub fn stop(mut self) -> Arc<DestinationStatus> {
        self.inlet = None;
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        Arc::clone(&self.status)
    }
}

pub fn http(url: String) -> HttpSettings {
    HttpSettings::new(url.into())
}

pub fn remote_write_to(http: HttpSettings, version: RemoteWriteVersion) -> Kind {
    Kind::to_url(&remote_write::FORMAT, Options::default().with(version), http)
}

pub fn json_to(http: HttpSettings, compression: Compression) -> Kind {
    Kind::to_url(&json::HTTP, Options::compressed(compression), http)
}

fn remote_write(peer: &Peer) -> Kind {
    remote_write_to(http(peer.url("/api/v1/write")), RemoteWriteVersion::V1)
}

/// The times of the samples of the first series, in the order of arrival.
fn times(received: &[Received]) -> Vec<i64> {
    received.iter().flat_map(|r| decode(&r.body).timeseries.remove(0).samples).map(|s| s.timestamp).collect()
}

pub fn decode(body: &[u8]) -> WriteRequest {
    WriteRequest::decode(&snap::raw::Decoder::new().decompress_vec(body).unwrap()[..]).unwrap()
}

#[test]
fn remote_write_requests_are_as_specified_and_share_a_connection() {
    let peer = Peer::start(|_, _| Reply::status(204));
    let mut lane = Running::start(remote_write(&peer));
    for time_ms in [1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000] {
        lane.tick(time_ms);
        lane.wait_sent(2);
    }
    lane.wait_sent(6);
    let status = lane.stop();
    let received = peer.received();
    assert_eq!(times(&received), [1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000]);
    assert_eq!(peer.connections(), 1);
    let first = &received[0];
    assert_eq!(first.line, "POST /api/v1/write HTTP/1.1");
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("user-agent", concat!("metricsd/", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    let labels = |at: usize| {
        let series = decode(&first.body).timeseries.remove(at);
        series.labels.into_iter().map(|l| format!("{}={}", l.name, l.value)).collect::<Vec<_>>()
    };
    assert_eq!(labels(0), ["__name__=test_first", "disk=sda", "instance=host-1", "job=metricsd"]);
    assert_eq!(labels(1), ["__name__=test_second_total", "instance=host-1", "job=metricsd"]);
    assert_eq!(status.samples_sent(), 6);
    assert_eq!(status.bytes_sent(), received.iter().map(|r| r.body.len() as u64).sum::<u64>());
    assert_eq!(status.requests(Outcome::Delivered), 3);
    assert_eq!(status.queue_frames(), 0);
}

#[test]
fn json_arrives_plain_and_gzipped() {
    for (compression, encoding) in [(Compression::None, None), (Compression::Gzip, Some("gzip"))] {
        let peer = Peer::start(|_, _| Reply::status(200));
        let mut lane = Running::start(json_to(http(peer.url("/in")), compression));
        lane.tick(1_700_000_000_123);
        lane.wait_sent(2);
        lane.stop();
        let received = peer.received().remove(0);
        assert_eq!(received.header("content-type"), Some("application/json"));
        assert_eq!(received.header("content-encoding"), encoding);
        let text = match encoding {
            None => received.body,
            Some(_) => {
                let mut text = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&received.body[..]), &mut text).unwrap();
                text
            }
        };
        let payload: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(payload["timestamp"], 1_700_000_000);
        assert_eq!(payload["metrics"][1]["name"], "test_second_total");
        assert_eq!(payload["metrics"][1]["value"], 0.5);
        assert_eq!(payload["metrics"][1]["type"], "counter");
        assert_eq!(payload["metrics"][1]["labels"]["job"], "metricsd");
    }
}

#[test]
fn what_a_peer_does_wrong_for_a_while_costs_nothing_and_keeps_the_order() {
    let garbage: &'static [u8] = b"\x00\x01\x02 not http at all\r\n\r\n";
    for trouble in [
        Reply::status(500),
        Reply::status(503),
        Reply::status(408),
        Reply::Answer(429, vec![("Retry-After", "0".to_owned())], "slow down"),
        Reply::Raw(garbage),
        Reply::Raw(b""),
        Reply::Reset,
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    ] {
        let script = trouble.clone();
        let peer = Peer::start(move |n, _| if n < 3 { script.clone() } else { Reply::status(200) });
        let mut lane = Running::start(remote_write(&peer));
        lane.tick(1000);
        lane.tick(2000);
        lane.wait_sent(4);
        let status = lane.stop();
        assert_eq!(times(&peer.received()), [1000, 1000, 1000, 1000, 2000], "{trouble:?}");
        assert_eq!(status.requests(Outcome::Retried), 3, "{trouble:?}");
        assert_eq!(status.requests(Outcome::Delivered), 2, "{trouble:?}");
        assert_eq!(status.state(), (DestinationState::Ok, None), "{trouble:?}");
        assert!(DropReason::ALL.iter().all(|reason| status.samples_dropped(*reason) == 0), "{trouble:?}");
    }
}

#[test]
fn a_refused_connection_is_tried_again_until_somebody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut lane = Running::start(remote_write_to(http(format!("http://{address}/w")), RemoteWriteVersion::V1));
    lane.tick(1000);
    wait_for("the first refusal", || (lane.status.requests(Outcome::Retried) > 1).then_some(()));
    let (state, error) = lane.status.state();
    assert_eq!(state, DestinationState::Retrying);
    assert!(error.unwrap().to_lowercase().contains("refused"));
    let peer = Peer::start_on(std::net::TcpListener::bind(address).unwrap(), |_, _| Reply::status(200));
    lane.wait_sent(2);
    assert_eq!(times(&peer.received()), [1000]);
    lane.stop();
}

#[test]
fn retry_after_is_waited_for_in_seconds_and_as_a_date() {
    for header in [|| "1".to_owned(), || httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(2))]
    {
        let peer = Peer::start(move |n, _| match n {
            0 => Reply::Answer(429, vec![("Retry-After", header())], ""),
            _ => Reply::status(200),
        });
        let mut lane = Running::start(remote_write(&peer));
        lane.tick(1000);
        lane.wait_sent(2);
        lane.stop();
        let received = peer.received();
        // A date has whole seconds, so two seconds from now can be little more than one.
        assert!(received[1].at - received[0].at >= Duration::from_millis(950));
    }
}

#[test]
fn what_the_operator_has_to_mend_is_held_and_not_followed() {
    let elsewhere = Peer::start(|_, _| Reply::status(200));
    let location = elsewhere.url("/stolen?token=secret");
    for status in [301, 302, 307, 308, 401, 403, 404, 405] {
        let (location, is_mended) = (location.clone(), Arc::new(AtomicBool::new(false)));
        let mended = Arc::clone(&is_mended);
        let peer = Peer::start(move |_, _| match is_mended.load(Ordering::Relaxed) {
            false => Reply::Answer(status, vec![("Location", location.clone())], "mend me"),
            true => Reply::status(200),
        });
        let mut lane = Running::start(remote_write(&peer));
        lane.tick(1000);
        wait_for("two refusals", || (lane.status.requests(Outcome::Held) > 1).then_some(()));
        let (state, said) = lane.status.state();
        assert_eq!(state, DestinationState::Held, "{status}");
        let said = said.unwrap();
        assert!(said.starts_with(&format!("{}: answered {status} ", peer.url("/api/v1/write"))), "{said}");
        let remedy = match status {
            401 | 403 => "no credentials are configured",
            404 | 405 => "check the path of endpoint",
            _ => &format!("set endpoint, if {} is the right place", elsewhere.url("/stolen")),
        };
        assert!(said.contains(": mend me; ") && said.contains(remedy), "{said}");
        assert!(!said.contains("secret"), "{said}");
        mended.store(true, Ordering::Relaxed);
        lane.tick(2000);
        wait_for("both", || (lane.status.requests(Outcome::Delivered) == 2).then_some(()));
        let lane_status = lane.stop();
        let received = peer.received();
        let held = received.len() - 2;
        assert_eq!(times(&received[..=held]), vec![1000; held + 1], "{status}");
        assert_eq!(times(&received[held + 1..]), [2000], "{status}");
        assert!(received[1].at - received[0].at >= Duration::from_millis(50), "held for its pause: {status}");
        assert_eq!(lane_status.requests(Outcome::Held), held as u64, "{status}");
    }
    assert!(elsewhere.received().is_empty(), "a redirect was followed");
}

#[test]
fn a_poisoned_request_is_dropped_counted_and_the_next_one_goes_on() {
    let peer = Peer::start(|n, _| match n {
        0 => Reply::Answer(400, vec![], "out of order sample"),
        _ => Reply::status(200),
    });
    let mut lane = Running::start(remote_write(&peer));
    lane.tick(1000);
    wait_for("the rejection", || (lane.status.requests(Outcome::Rejected) == 1).then_some(()));
    let (_, error) = lane.status.state();
    let said = format!(
        "dropped what it was sent: {}: answered 400 Bad Request: out of order sample",
        peer.url("/api/v1/write")
    );
    assert_eq!(error, Some(said));
    lane.tick(2000);
    lane.wait_sent(2);
    let status = lane.stop();
    assert_eq!(status.samples_dropped(DropReason::Rejected), 2);
    assert_eq!(times(&peer.received()), [1000, 2000]);
}

#[test]
fn a_body_too_large_is_sent_in_halves_and_one_series_too_large_is_dropped() {
    // Takes no request of more than one series, and never the second metric.
    let peer = Peer::start(|_, request| {
        let series = decode(&request.body).timeseries;
        let is_second = series.iter().any(|s| s.labels.iter().any(|l| l.value == "test_second_total"));
        Reply::status(if series.len() > 1 || is_second { 413 } else { 200 })
    });
    let mut lane = Running::start(remote_write(&peer));
    lane.tick(1000);
    lane.wait_sent(1);
    let status = lane.stop();
    assert_eq!(status.samples_sent(), 1);
    assert_eq!(status.samples_dropped(DropReason::Rejected), 1);
    let sizes: Vec<usize> = peer.received().iter().map(|r| decode(&r.body).timeseries.len()).collect();
    assert_eq!(sizes, [2, 1, 1]);
}

#[test]
fn an_answer_without_end_is_read_to_its_bound() {
    let peer = Peer::start(|n, _| if n == 0 { Reply::Endless } else { Reply::status(200) });
    let mut lane = Running::start(remote_write(&peer));
    lane.tick(1000);
    lane.wait_sent(2);
    lane.tick(2000);
    lane.wait_sent(4);
    lane.stop();
    // What is beyond our 64 KiB sat in the sockets' buffers when we hung up.
    assert!(peer.poured() < 64 << 20, "{} bytes were taken", peer.poured());
    assert_eq!(times(&peer.received()), [1000, 2000]);
    assert_eq!(peer.connections(), 2);
}

#[test]
fn an_answer_whose_body_never_ends_is_not_waited_for_till_the_timeout() {
    let peer = Peer::start(|_, _| Reply::StallInBody);
    let kind = http(peer.url("/api/v1/write"));
    let kind = HttpSettings { timeout: Duration::from_secs(3600), ..kind };
    let mut lane = Running::start(remote_write_to(kind, RemoteWriteVersion::V1));
    for (tick, sent) in [(1000, 2), (2000, 4)] {
        lane.tick(tick);
        lane.wait_sent(sent);
    }
    lane.stop();
    assert_eq!(peer.connections(), 2);
}

#[test]
fn a_reset_after_the_status_counts_as_delivered() {
    let peer = Peer::start(|n, _| if n == 0 { Reply::ResetInBody } else { Reply::status(200) });
    let mut lane = Running::start(remote_write(&peer));
    lane.tick(1000);
    lane.wait_sent(2);
    lane.tick(2000);
    lane.wait_sent(4);
    lane.stop();
    assert_eq!(times(&peer.received()), [1000, 2000]);
}

#[test]
fn a_peer_that_hangs_runs_into_the_timeout() {
    let peer = Peer::start(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200) });
    let settings = HttpSettings { timeout: Duration::from_millis(200), ..http(peer.url("/w")) };
    let mut lane = Running::start(remote_write_to(settings, RemoteWriteVersion::V1));
    lane.tick(1000);
    wait_for("the timeout", || (lane.status.requests(Outcome::Retried) == 1).then_some(()));
    lane.wait_sent(2);
    assert_eq!(times(&peer.received()), [1000, 1000]);
    lane.stop();
}

#[test]
fn an_outage_longer_than_the_queue_costs_the_oldest_counted() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let peer = Peer::start(move |_, _| Reply::status(if is_down.load(Ordering::Relaxed) { 503 } else { 200 }));
    let mut lane = Running::start_with(remote_write(&peer), SpoolSettings::memory(1500));
    for tick in 1..=100 {
        lane.tick(tick * 1000);
        // Each tick is queued before the next one, so that the mailbox does not overflow.
        wait_for("the tick to be queued", || {
            let dropped = lane.status.samples_dropped(DropReason::QueueFull);
            (lane.status.queue_frames() * 2 + dropped >= tick as u64 * 2).then_some(())
        });
    }
    let dropped = lane.status.samples_dropped(DropReason::QueueFull);
    assert!(dropped > 0);
    assert!(lane.status.queue_bytes() <= 1500 + 500, "{} bytes wait", lane.status.queue_bytes());
    down.store(false, Ordering::Relaxed);
    lane.wait_sent(200 - dropped);
    let status = lane.stop();
    assert_eq!(status.samples_sent() + dropped, 200);
}

#[test]
fn what_an_operator_lets_wait_in_memory_is_what_waits_there() {
    let peer = Peer::start(|_, _| Reply::status(503));
    let text = r#"{"spool": {"mode": "memory", "memory_max_bytes": 1000000},
        "shipper": {"type": "http_json", "endpoint": "URL", "spool": {"memory_max_bytes": 65536}}}"#;
    let source = config::Source::Text("c.json".to_owned(), text.replace("URL", &peer.url("/")).into_bytes());
    let settings = config::load(source, &|_| None, "host-1").unwrap().lanes.remove(0);
    let mut lane = Running::start_with(settings.kind, settings.spool);
    let mut ticks = 0;
    while lane.status.samples_dropped(DropReason::QueueFull) == 0 {
        // Each tick's body has more than 200 bytes.
        assert!(ticks < 400, "{} bytes wait", lane.status.queue_bytes());
        ticks += 1;
        lane.tick(ticks * 1000);
        wait_for("the tick to be queued", || {
            let dropped = lane.status.samples_dropped(DropReason::QueueFull);
            (lane.status.queue_frames() * 2 + dropped >= ticks as u64 * 2).then_some(())
        });
    }
    // What the sender has in hand counts, and cannot be the one that goes.
    let bytes = lane.status.queue_bytes();
    assert!((60_000..=65_536 + 500).contains(&bytes), "{bytes} bytes wait");
    // The oldest two samples went, and nothing else.
    assert_eq!(lane.status.samples_dropped(DropReason::QueueFull), 2);
    assert_eq!(lane.status.queue_frames(), ticks as u64 - 1);
    lane.stop();
}

#[test]
fn stopping_gives_up_on_what_cannot_be_delivered_and_counts_it() {
    let peer = Peer::start(|_, _| Reply::status(503));
    let mut lane = Running::start(remote_write(&peer));
    lane.tick(1000);
    lane.tick(2000);
    wait_for("a failure", || (lane.status.requests(Outcome::Retried) > 0).then_some(()));
    let status = lane.stop();
    assert_eq!(status.samples_dropped(DropReason::Shutdown), 4);
    assert_eq!(status.samples_sent(), 0);
}

#[test]
fn stopping_delivers_what_waits_where_the_peer_takes_it() {
    let peer = Peer::start(|_, _| Reply::status(200));
    let mut lane = Running::start(remote_write(&peer));
    for tick in 1..=10 {
        lane.tick(tick * 1000);
    }
    let status = lane.stop();
    assert_eq!(status.samples_sent(), 20);
    assert_eq!(times(&peer.received()).len(), 10);
}

fn remote_write_2(peer: &Peer) -> Kind {
    remote_write_to(http(peer.url("/api/v1/write")), RemoteWriteVersion::V2)
}

pub const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// An answer as a receiver of 2.0 gives it.
pub fn wrote(samples: u64) -> Reply {
    Reply::Answer(204, vec![("X-Prometheus-Remote-Write-Samples-Written", samples.to_string())], "")
}

#[test]
fn remote_write_2_says_what_it_is_and_hears_what_was_written() {
    let peer = Peer::start(|n, _| wrote(if n == 1 { 1 } else { 2 }));
    let mut lane = Running::start(remote_write_2(&peer));
    for (tick, sent) in [(1000, 2), (2000, 3), (3000, 5)] {
        lane.tick(tick);
        lane.wait_sent(sent);
    }
    let status = lane.stop();
    assert_eq!(status.samples_dropped(DropReason::Refused), 1);
    assert_eq!((status.samples_sent(), status.requests(Outcome::Delivered)), (5, 3));
    for received in peer.received() {
        assert_eq!(received.header("content-type"), Some(V2));
        assert_eq!(received.header("content-encoding"), Some("snappy"));
        assert_eq!(received.header("x-prometheus-remote-write-version"), Some("2.0.0"));
        let message = snap::raw::Decoder::new().decompress_vec(&received.body).unwrap();
        // The table of symbols begins with the empty one; a reader of 1.0 finds nothing.
        assert_eq!(message[..2], [0x22, 0]);
        assert!(decode(&received.body).timeseries.is_empty());
    }
}

#[test]
fn a_receiver_of_1_0_gets_1_0_and_what_waits_is_turned() {
    // One that says so, and one that takes what it does not understand.
    for refusal in [Reply::status(415), Reply::status(200)] {
        let is_v2 = |request: &Received| request.header("content-type") == Some(V2);
        let script = refusal.clone();
        let peer = Peer::start(move |n, request| match n {
            // The first waits long enough for the second and third to be encoded as 2.0.
            0..20 => Reply::status(503),
            _ if is_v2(request) => script.clone(),
            _ => Reply::status(200),
        });
        let mut lane = Running::start(remote_write_2(&peer));
        lane.tick(1000);
        wait_for("a failure", || (lane.status.requests(Outcome::Retried) > 0).then_some(()));
        for (tick, waiting) in [(2000, 2), (3000, 3)] {
            lane.tick(tick);
            wait_for("the tick to be queued", || (lane.status.queue_frames() >= waiting).then_some(()));
        }
        lane.wait_sent(6);
        lane.tick(4000);
        lane.wait_sent(8);
        let status = lane.stop();
        let received = peer.received();
        let (new, old): (Vec<Received>, Vec<Received>) = received.into_iter().partition(is_v2);
        assert_eq!(times(&old), [1000, 2000, 3000, 4000], "{refusal:?}");
        assert_eq!(new.len(), 20 + 1, "one refusal counts for what waits and for what comes: {refusal:?}");
        for received in &old {
            assert_eq!(received.header("content-type"), Some("application/x-protobuf"));
            assert_eq!(received.header("x-prometheus-remote-write-version"), Some("0.1.0"));
            assert_eq!(decode(&received.body).timeseries.len(), 2);
        }
        assert_eq!(status.samples_sent(), 8, "{refusal:?}");
        assert!(DropReason::ALL.iter().all(|reason| status.samples_dropped(*reason) == 0), "{refusal:?}");
    }
}

#[test]
fn one_answer_that_says_nothing_does_not_cost_a_receiver_of_2_0_its_data_for_ever() {
    // A page of somebody on the way, once; otherwise 2.0 and nothing else.
    let peer = Peer::start(|n, request| match n {
        0 => Reply::status(200),
        _ if request.header("content-type") == Some(V2) => wrote(2),
        _ => Reply::status(415),
    });
    let mut lane = Running::start(remote_write_2(&peer));
    lane.tick(1000);
    wait_for("the loss", || (lane.status.samples_dropped(DropReason::Rejected) == 2).then_some(()));
    lane.tick(2000);
    lane.wait_sent(2);
    lane.tick(3000);
    lane.wait_sent(4);
    assert_eq!(lane.stop().samples_dropped(DropReason::Rejected), 2);
}

#[test]
fn a_request_refused_in_part_is_counted_in_part() {
    let written = "X-Prometheus-Remote-Write-Samples-Written";
    let peer = Peer::start(move |_, _| Reply::Answer(400, vec![(written, "1".to_owned())], "out of order sample"));
    let mut lane = Running::start(remote_write_2(&peer));
    lane.tick(1000);
    wait_for("the rejection", || (lane.status.requests(Outcome::Rejected) == 1).then_some(()));
    let status = lane.stop();
    assert_eq!((status.samples_sent(), status.samples_dropped(DropReason::Rejected)), (1, 1));
}

#[test]
fn a_request_of_2_0_too_large_is_sent_in_halves() {
    let peer = Peer::start(|n, _| if n == 0 { Reply::status(413) } else { wrote(1) });
    let mut lane = Running::start(remote_write_2(&peer));
    lane.tick(1000);
    lane.wait_sent(2);
    lane.stop();
    let received = peer.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|request| request.header("content-type") == Some(V2)));
}

#[test]
fn series_under_labels_of_before_a_reload_are_ended() {
    let peer = Peer::start(|_, _| Reply::status(200));
    let mut lane = Running::start(remote_write(&peer));
    lane.tick(1000);
    lane.wait_sent(2);
    lane.reload(|settings| settings.labels = Labels::of(&[("job", "other")]));
    lane.tick(2000);
    lane.wait_sent(6);
    lane.stop();
    let last = decode(&peer.received().remove(1).body).timeseries;
    let ended: Vec<_> = last.iter().filter(|s| s.samples[0].value.to_bits() == 0x7ff0000000000002).collect();
    assert_eq!(ended.len(), 2);
    for series in ended {
        assert!(series.labels.iter().any(|label| (&*label.name, &*label.value) == ("job", "metricsd")));
    }
}

/// Whether the payload of the tick at `second` is in `body`.
fn is_of_second(body: &[u8], second: i64) -> bool {
    serde_json::from_slice::<serde_json::Value>(body).unwrap()["timestamp"] == second
}

/// A lane of JSON to `peer` with ten ticks, which looks for a body in the way after a fifth of a second.
fn ten_ticks(peer: &Peer, spool: SpoolSettings, workers: usize) -> Running {
    let mut lane = Running::start_at(json_to(http(peer.url("/in")), Compression::None), spool, workers, None);
    lane.reload(|settings| settings.retry.aside_after = Duration::from_millis(200));
    (1..=10).for_each(|second| lane.tick(second * 1000));
    lane
}

#[test]
fn a_body_that_is_answered_500_for_ever_while_others_are_taken_is_put_aside() {
    // Two in a row, and one by itself.
    let poison = [1, 2, 6];
    let is_poison = move |body: &[u8]| poison.iter().any(|second| is_of_second(body, *second));
    for (on_disk, workers) in [(false, 1), (true, 1), (false, 3)] {
        let peer = Peer::start(move |_, r| Reply::status(if is_poison(&r.body) { 500 } else { 204 }));
        let dir = TempDir::new();
        let spool = if on_disk { SpoolSettings::behind(dir.path()) } else { SpoolSettings::memory(16 << 20) };
        let mut lane = ten_ticks(&peer, spool, workers);
        // There is always another one to try, as there is in a life, and never a crowd of them.
        let mut ticks = 10;
        wait_for("all three to be put aside", || {
            let is_over = lane.status.samples_dropped(DropReason::Stuck) == 6;
            if !is_over && lane.status.queue_frames() < 20 {
                ticks += 1;
                lane.tick(ticks * 1000);
            }
            is_over.then_some(())
        });
        wait_for("the rest", || (lane.status.queue_frames() == 0).then_some(()));
        let status = lane.stop();
        let taken: BTreeSet<i64> = peer.received().iter().filter(|r| !is_poison(&r.body)).map(second_of).collect();
        let expected: BTreeSet<i64> = (1..=ticks).filter(|second| !poison.contains(second)).collect();
        assert_eq!(taken, expected, "on disk: {on_disk}, {workers} workers");
        assert_eq!(status.samples_dropped_total(), 6);
        assert_eq!(status.requests(Outcome::Rejected), 3);
    }
}

fn second_of(received: &Received) -> i64 {
    serde_json::from_slice::<serde_json::Value>(&received.body).unwrap()["timestamp"].as_i64().unwrap()
}

#[test]
fn a_peer_that_answers_500_to_all_loses_nothing() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let peer = Peer::start(move |_, _| Reply::status(if is_up.load(Ordering::Relaxed) { 204 } else { 500 }));
    let lane = ten_ticks(&peer, SpoolSettings::memory(1 << 20), 1);
    let is_seen = |second| peer.received().iter().any(|received| is_of_second(&received.body, second));
    wait_for("some looks at others", || (2..=4).all(is_seen).then_some(()));
    assert_eq!(lane.status.samples_dropped_total(), 0);
    let refused = peer.received().len();
    up.store(true, Ordering::Relaxed);
    lane.wait_sent(20);
    let status = lane.stop();
    let taken: Vec<i64> = peer.received()[refused..].iter().map(second_of).collect();
    assert_eq!(taken.iter().collect::<BTreeSet<_>>(), (1..=10).collect::<Vec<_>>().iter().collect());
    assert_eq!((status.samples_dropped_total(), status.queue_frames()), (0, 0));
}

#[test]
fn a_backlog_is_drained_no_faster_than_the_rate_allows() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let peer = Peer::start(move |_, _| Reply::status(if is_up.load(Ordering::Relaxed) { 200 } else { 503 }));
    let mut lane = Running::start_at(remote_write(&peer), SpoolSettings::memory(1 << 20), 1, Some(20.0));
    for tick in 1..=6 {
        lane.tick(tick * 1000);
        wait_for("the tick to be queued", || (lane.status.queue_frames() == tick as u64).then_some(()));
    }
    let attempts = peer.received().len();
    up.store(true, Ordering::Relaxed);
    lane.wait_sent(12);
    let taken = peer.received()[attempts..].to_vec();
    assert_eq!(times(&taken[taken.len() - 5..]), [2000, 3000, 4000, 5000, 6000]);
    // The first one came straight; between those that waited there is a twentieth of a second.
    for pair in taken[taken.len() - 5..].windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(45), "{:?}", pair[1].at - pair[0].at);
    }
    lane.stop();
}
