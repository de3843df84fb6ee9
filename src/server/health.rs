//! How metricsd is doing: the verdict, its reasons, and the object that `/health` shows.

use std::time::Duration;

use serde::ser::{Serialize, Serializer};

use crate::model::Signal;
use crate::telemetry::{
    self, CollectorState, CollectorStatus, DestinationState, DestinationStatus, DropReason, EndpointState,
    EndpointStatus, LastTrouble, Scrape, Subjects, Telemetry, VERSION, go_duration, rfc3339,
};

/// The clocks at the time of a request.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// CLOCK_MONOTONIC.
    pub monotonic: Duration,
    /// CLOCK_BOOTTIME.
    pub boottime: Duration,
    /// Milliseconds since the UNIX epoch.
    pub wall_ms: i64,
}

/// Intervals without a collection after which metricsd no longer does its work.
const MISSED_INTERVALS: u32 = 3;

/// The least that those intervals last: with an interval of 50 ms, a machine that is busy
/// for a moment is not yet a sick agent.
const MIN_PATIENCE: Duration = Duration::from_secs(5);

/// So many endpoints' reasons are given one by one: there may be thousands, all for one reason.
const MOST_ENDPOINTS: usize = 20;

/// The one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// All is well.
    Healthy,
    /// It works, but something is late or failing.
    Degraded,
    /// It does not do its work.
    Unhealthy,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Status::Healthy => "healthy",
            Status::Degraded => "degraded",
            Status::Unhealthy => "unhealthy",
        }
    }
}

/// The object of `/health`. The order of the fields is that of the keys.
#[derive(Debug, serde::Serialize)]
pub(super) struct Health {
    pub(super) status: Status,
    timestamp: String,
    pub(super) uptime: String,
    version: &'static str,
    pub(super) reasons: Vec<String>,
    collectors: Ordered<&'static str, Collector>,
    destinations: Ordered<String, Destination>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    endpoints: Ordered<String, Endpoint>,
    /// Only what is on.
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    listen: Ordered<&'static str, Listening>,
}

#[derive(Debug, serde::Serialize)]
struct Collector {
    state: &'static str,
    /// Since the last round ended; null where none ever has.
    age_seconds: Option<f64>,
    duration_seconds: f64,
    error: Option<String>,
}

#[derive(Debug, serde::Serialize)]
struct Destination {
    r#type: &'static str,
    state: &'static str,
    last_success: Option<String>,
    backlog_frames: u64,
    backlog_bytes: u64,
    backlog_seconds: u64,
    last_error: Option<String>,
    dropped_samples: u64,
    /// Only where it is sent records.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_records: Option<u64>,
    /// What is wrong with how its data is kept; only where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    spool: Option<String>,
    /// Only where it is so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    insecure_skip_verify: bool,
}

#[derive(Debug, serde::Serialize)]
struct Endpoint {
    state: &'static str,
    last_error: Option<String>,
    /// Null before the first one.
    last_scrape: Option<String>,
    duration_seconds: f64,
    samples: usize,
}

#[derive(Debug, serde::Serialize)]
struct Listening {
    series: u64,
    /// Applications that push.
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<u64>,
    last_error: Option<String>,
}

/// A map that keeps the order it was given: the collectors' table, the configuration.
#[derive(Debug)]
struct Ordered<K, V>(Vec<(K, V)>);

impl<K, V> Ordered<K, V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Ordered<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// A body that has waited for longer is late, whatever the interval: a request that is well
/// takes a fraction of this.
const LATE_SECONDS: f64 = 10.0;

/// Losses that say nothing of how metricsd is: values that a format has no way to say.
const EXPECTED_LOSSES: [DropReason; 1] = [DropReason::Unencodable];

/// Looks at everything once.
pub(super) fn examine(telemetry: &Telemetry, now: Now) -> Health {
    let subjects = telemetry.subjects();
    let mut reasons = Vec::new();
    let dead = telemetry.is_thread_lost();
    if dead {
        reasons.push("a worker thread is gone; metricsd has to be restarted".to_owned());
    }
    let late = overdue(telemetry, &subjects, now);
    if let Some(since) = late {
        reasons.push(format!(
            "no collection for {}, with one due every {}s",
            go_duration(since),
            subjects.interval.as_secs_f64()
        ));
    }
    reasons.extend(telemetry.why_held());
    reasons.extend(telemetry.reload_refused().map(|why| format!("the last reload changed nothing: {why}")));
    let collectors = subjects
        .collectors
        .iter()
        .filter_map(|status| Some((status.name(), collector(status, now, &mut reasons)?)))
        .collect();
    let destinations =
        subjects.by_destination().map(|one| (one.name().to_owned(), destination(one, now, &mut reasons))).collect();
    let mut of_endpoints = Vec::new();
    let endpoints = subjects.endpoints.iter();
    let endpoints = endpoints.map(|status| (status.name().to_owned(), endpoint(status, &mut of_endpoints))).collect();
    let more = of_endpoints.len().saturating_sub(MOST_ENDPOINTS);
    reasons.extend(of_endpoints.into_iter().take(MOST_ENDPOINTS));
    if more > 0 {
        reasons.push(format!("and {more} more endpoints, see `endpoints`"));
    }
    reasons.extend(subjects.endpoints_files.iter().map(|why| format!("endpoints_files: {why}")));
    let listen = listening(&subjects, now, &mut reasons);
    let status = match (dead || late.is_some(), reasons.is_empty()) {
        (true, _) => Status::Unhealthy,
        (false, false) => Status::Degraded,
        (false, true) => Status::Healthy,
    };
    Health {
        status,
        timestamp: rfc3339(now.wall_ms),
        uptime: go_duration(now.boottime.saturating_sub(telemetry.started)),
        version: VERSION,
        reasons,
        collectors: Ordered(collectors),
        destinations: Ordered(destinations),
        endpoints: Ordered(endpoints),
        listen: Ordered(listen),
    }
}

/// How long there has been no collection, where that is too long. Before the first one the
/// start counts: it gets as much time as any other, and so does the first after a reload,
/// which may have brought a shorter interval.
fn overdue(telemetry: &Telemetry, subjects: &Subjects, now: Now) -> Option<Duration> {
    let last = telemetry.last_collection().unwrap_or_default().max(subjects.since);
    let since = now.monotonic.saturating_sub(last);
    (since > subjects.interval.saturating_mul(MISSED_INTERVALS).max(MIN_PATIENCE)).then_some(since)
}

/// None for a collector whose first round is still under way.
fn collector(status: &CollectorStatus, now: Now, reasons: &mut Vec<String>) -> Option<Collector> {
    let round = status.last(now.monotonic)?;
    let name = status.name();
    // "This host has no such thing" is no failure.
    if matches!(round.state, CollectorState::Failed | CollectorState::Stale) {
        let why = round.error.as_deref().unwrap_or("no reason given");
        reasons.push(format!("collector {name} is {}: {why}", round.state.as_str()));
    }
    let refused = status.last_refused();
    if refused.max_series > 0 {
        reasons.push(format!("collector {name} is over its cap of series: {} left out", refused.max_series));
    }
    if refused.duplicate > 0 {
        reasons.push(format!("collector {name} gave {} series twice", refused.duplicate));
    }
    Some(Collector {
        state: round.state.as_str(),
        age_seconds: (round.at > Duration::ZERO).then(|| seconds(now.monotonic.saturating_sub(round.at), 3)),
        duration_seconds: seconds(round.duration, 6),
        error: round.error,
    })
}

fn endpoint(status: &EndpointStatus, reasons: &mut Vec<String>) -> Endpoint {
    let Scrape { state, time_ms, duration, samples, error } = status.last();
    if matches!(state, EndpointState::Failed | EndpointState::Waiting) {
        let why = error.as_deref().unwrap_or("no reason given");
        reasons.push(format!("endpoint {} is {}: {why}", status.name(), state.as_str()));
    }
    Endpoint {
        state: state.as_str(),
        last_error: error,
        last_scrape: (state != EndpointState::Pending).then(|| rfc3339(time_ms)),
        duration_seconds: seconds(duration, 6),
        samples,
    }
}

fn listening(subjects: &Subjects, now: Now, reasons: &mut Vec<String>) -> Vec<(&'static str, Listening)> {
    let mut all = Vec::new();
    let mut add = |name, trouble: &LastTrouble, series, sources| {
        reasons.extend(trouble.recent(now.monotonic).map(|why| format!("{name}: {why}")));
        all.push((name, Listening { series, sources, last_error: trouble.last() }));
    };
    if let Some(counts) = &subjects.statsd {
        add("statsd", &counts.trouble, counts.series(), None);
    }
    if let Some(counts) = &subjects.pushes {
        add("push", &counts.trouble, counts.series(), Some(counts.sources()));
    }
    all
}

fn destination(status: telemetry::Destination<'_>, now: Now, reasons: &mut Vec<String>) -> Destination {
    status.lanes().for_each(|lane| say_lane(lane, now, reasons));
    let (state, last_error) = status.state();
    let dropped = |signal| status.lane(signal).map(DestinationStatus::samples_dropped_total);
    Destination {
        r#type: status.kind(),
        state: state.as_str(),
        last_success: status.last_success_ms().map(rfc3339),
        backlog_frames: status.sum(DestinationStatus::queue_frames),
        backlog_bytes: status.sum(DestinationStatus::queue_bytes),
        backlog_seconds: status.queue_oldest_seconds(now.wall_ms) as u64,
        last_error,
        dropped_samples: dropped(Signal::Metrics).unwrap_or(0),
        dropped_records: dropped(Signal::Records),
        spool: status.trouble().map(|trouble| trouble.why),
        insecure_skip_verify: status.is_unverified(),
    }
}

/// Says what is not as it should be with one of a destination's lanes.
fn say_lane(status: &DestinationStatus, now: Now, reasons: &mut Vec<String>) {
    let (state, last_error) = status.state();
    let is_late = status.queue_oldest_seconds(now.wall_ms) > LATE_SECONDS;
    if matches!(state, DestinationState::Retrying | DestinationState::Held) {
        let why = last_error.as_deref().unwrap_or("no reason given");
        reasons.push(format!("destination {} is {}: {why}", status.lane(), state.as_str()));
    } else if is_late {
        // Nothing has failed: it sits on a request, or a backlog is still being drained.
        let behind = Duration::from_secs(status.queue_oldest_seconds(now.wall_ms) as u64);
        reasons.push(format!("destination {} is {} behind", status.lane(), go_duration(behind)));
    }
    if let (DestinationState::Ok, Some(why)) = (state, &last_error) {
        reasons.push(format!("destination {}: {why}", status.lane()));
    }
    // Of what is delivered nothing has to wait: for that no disk is needed, and who has none is told below.
    let is_delivered = matches!(state, DestinationState::Ok | DestinationState::Waiting) && !is_late;
    let trouble = status.trouble();
    let needed = trouble.as_ref().filter(|trouble| !(trouble.is_lack && is_delivered));
    reasons.extend(needed.map(|trouble| format!("destination {}: {}", status.lane(), trouble.why)));
    for reason in DropReason::ALL.into_iter().filter(|reason| !EXPECTED_LOSSES.contains(reason)) {
        if let Some(ago) = status.recent_loss(reason, now.monotonic) {
            reasons.push(format!(
                "destination {} loses {} ({}): {} since the start, the last ones {} ago",
                status.lane(),
                status.signal().things(),
                reason.as_str(),
                status.samples_dropped(reason),
                go_duration(ago)
            ));
        }
    }
}

/// Seconds with at most `digits` decimal places: nanoseconds would only be noise here.
fn seconds(duration: Duration, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (duration.as_secs_f64() * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Refused;
    use crate::telemetry::{Outcome, Round};

    const START: Duration = Duration::from_secs(1000);

    fn round(state: CollectorState, at: Duration, error: Option<&str>) -> Round {
        Round { state, at, duration: Duration::from_nanos(300_400), series: 1, error: error.map(str::to_owned) }
    }

    fn telemetry(interval_ms: u64) -> Telemetry {
        let subjects = Subjects {
            since: START,
            interval: Duration::from_millis(interval_ms),
            collectors: vec![Arc::new(CollectorStatus::new("disk")), Arc::new(CollectorStatus::new("cpu"))],
            destinations: vec![Arc::new(DestinationStatus::new("prom", "prometheus_remote_write"))],
            ..Subjects::default()
        };
        Telemetry::new(START, 1_762_340_000_000, subjects)
    }

    fn after(seconds: f64) -> Now {
        let monotonic = START + Duration::from_secs_f64(seconds);
        Now { monotonic, boottime: monotonic, wall_ms: 1_762_346_096_000 }
    }

    #[test]
    fn the_object_has_the_documented_shape() {
        let telemetry = telemetry(1000);
        telemetry.subjects().collectors[0]
            .ended(round(CollectorState::Ok, after(5025.0).monotonic, None), Refused::default());
        telemetry.subjects().collectors[1].ended(
            round(CollectorState::Failed, after(5025.0).monotonic, Some("cannot read \"stat\"")),
            Refused::default(),
        );
        telemetry.subjects().destinations[0].delivered(10, 100, 1_762_346_090_500);
        telemetry.subjects().destinations[0].failed(
            Outcome::Retried,
            DestinationState::Retrying,
            "timed out".to_owned(),
        );
        telemetry.subjects().destinations[0].dropped(DropReason::QueueFull, 4, START);
        telemetry.subjects().destinations[0].dropped(DropReason::Rejected, 3, START);
        telemetry.subjects().destinations[0].queue(2, 2048, Some(1_762_346_086_400));
        telemetry.collected(after(5025.0).monotonic, 0);
        assert_eq!(
            serde_json::to_string(&examine(&telemetry, after(5025.4))).unwrap(),
            concat!(
                r#"{"status":"degraded","timestamp":"2025-11-05T12:34:56Z","uptime":"1h23m45s","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#"","reasons":["collector cpu is failed: cannot read \"stat\"","destination prom is retrying: timed out"],"#,
                r#""collectors":{"disk":{"state":"ok","age_seconds":0.4,"duration_seconds":0.0003,"error":null},"#,
                r#""cpu":{"state":"failed","age_seconds":0.4,"duration_seconds":0.0003,"error":"cannot read \"stat\""}},"#,
                r#""destinations":{"prom":{"type":"prometheus_remote_write","state":"retrying","#,
                r#""last_success":"2025-11-05T12:34:50Z","backlog_frames":2,"backlog_bytes":2048,"backlog_seconds":9,"#,
                r#""last_error":"timed out","dropped_samples":7}}}"#
            )
        );
    }

    #[test]
    fn a_host_that_has_just_started_is_healthy() {
        let telemetry = telemetry(60_000);
        let health = examine(&telemetry, after(0.0));
        assert_eq!((health.status, health.reasons.len()), (Status::Healthy, 0));
        let json = serde_json::to_string(&health).unwrap();
        assert!(json.contains(r#""uptime":"0s""#), "{json}");
        assert!(json.contains(r#""collectors":{}"#), "{json}");
        assert!(json.contains(r#""state":"waiting","last_success":null,"backlog_frames":0,"backlog_bytes":0,"backlog_seconds":0,"last_error":null,"dropped_samples":0"#), "{json}");
    }

    #[test]
    fn of_thousands_of_endpoints_that_fail_some_are_reasons() {
        let endpoints = (0..1000).map(|at| {
            let status = EndpointStatus::new(format!("app{at}"));
            let state = if at == 0 { EndpointState::Ok } else { EndpointState::Failed };
            let error = Some("connection refused".to_owned());
            status.ended(Scrape { state, time_ms: 0, duration: Duration::ZERO, samples: 0, error });
            Arc::new(status)
        });
        let subjects = Subjects { since: START, endpoints: endpoints.collect(), ..Subjects::default() };
        let health = examine(&Telemetry::new(START, 0, subjects), after(0.0));
        assert_eq!(health.reasons.len(), 21);
        assert_eq!(health.reasons[19], "endpoint app20 is failed: connection refused");
        assert_eq!(health.reasons[20], "and 979 more endpoints, see `endpoints`");
        assert_eq!(health.endpoints.0.len(), 1000);
    }

    #[test]
    fn three_intervals_without_a_collection_are_unhealthy() {
        let telemetry = telemetry(60_000);
        assert_eq!(examine(&telemetry, after(180.0)).status, Status::Healthy);
        let health = examine(&telemetry, after(181.0));
        assert_eq!(health.status, Status::Unhealthy);
        assert_eq!(health.reasons, ["no collection for 3m1s, with one due every 60s"]);
        telemetry.collected(after(181.0).monotonic, 0);
        assert_eq!(examine(&telemetry, after(182.0)).status, Status::Healthy);
        assert_eq!(examine(&telemetry, after(361.5)).status, Status::Unhealthy);
    }

    #[test]
    fn a_tiny_interval_still_has_five_seconds() {
        let telemetry = telemetry(50);
        telemetry.collected(after(1.0).monotonic, 0);
        assert_eq!(examine(&telemetry, after(5.9)).status, Status::Healthy);
        let health = examine(&telemetry, after(6.1));
        assert_eq!(health.reasons, ["no collection for 5s, with one due every 0.05s"]);
    }

    #[test]
    fn uptime_counts_a_suspend_and_lateness_does_not() {
        let telemetry = telemetry(1000);
        telemetry.collected(after(10.0).monotonic, 0);
        let asleep = Duration::from_secs(3600);
        let health = examine(&telemetry, Now { boottime: after(11.0).monotonic + asleep, ..after(11.0) });
        assert_eq!((health.status, health.uptime.as_str()), (Status::Healthy, "1h0m11s"));
    }

    #[test]
    fn a_reload_with_a_shorter_interval_is_not_late_at_once() {
        let telemetry = telemetry(60_000);
        telemetry.collected(after(10.0).monotonic, 0);
        let (since, interval) = (after(60.0).monotonic, Duration::from_secs(1));
        telemetry.exchange(Subjects { since, interval, ..Subjects::clone(&telemetry.subjects()) });
        assert_eq!(examine(&telemetry, after(64.0)).status, Status::Healthy);
        assert_eq!(examine(&telemetry, after(66.0)).status, Status::Unhealthy);
    }

    #[test]
    fn held_ticks_and_a_refused_reload_degrade_until_they_are_over() {
        let telemetry = telemetry(60_000);
        telemetry.hold(Some("the clock is not set".to_owned()));
        telemetry.reloaded(Some("2 problems".to_owned()));
        let health = examine(&telemetry, after(1.0));
        assert_eq!(health.status, Status::Degraded);
        assert_eq!(health.reasons, ["the clock is not set", "the last reload changed nothing: 2 problems"]);
        telemetry.hold(None);
        telemetry.reloaded(None);
        assert_eq!(examine(&telemetry, after(1.0)).status, Status::Healthy);
    }

    #[test]
    fn a_lost_thread_is_unhealthy_at_once() {
        let telemetry = telemetry(60_000);
        telemetry.thread_lost();
        assert_eq!(examine(&telemetry, after(1.0)).status, Status::Unhealthy);
    }

    #[test]
    fn a_loss_is_a_reason_for_five_minutes_unless_nothing_could_be_done() {
        let telemetry = telemetry(60_000);
        let status = &telemetry.subjects().destinations[0];
        status.dropped(DropReason::Unencodable, 9, after(1.0).monotonic);
        telemetry.collected(after(299.0).monotonic, 0);
        assert_eq!(examine(&telemetry, after(2.0)).status, Status::Healthy);
        status.dropped(DropReason::Expired, 5, after(1.0).monotonic);
        status.dropped(DropReason::Expired, 7, after(3.0).monotonic);
        let health = examine(&telemetry, after(65.0));
        assert_eq!(health.status, Status::Degraded);
        let said = "destination prom loses samples (expired): 12 since the start, the last ones 1m2s ago";
        assert_eq!(health.reasons, [said]);
        assert_eq!(examine(&telemetry, after(303.0)).status, Status::Healthy);
    }

    #[test]
    fn a_destination_that_nobody_verifies_shows_it() {
        let telemetry = telemetry(60_000);
        telemetry.subjects().destinations[0].is_of("prometheus_remote_write", true);
        let health = examine(&telemetry, after(1.0));
        assert_eq!(health.status, Status::Healthy);
        let json = serde_json::to_string(&health).unwrap();
        assert!(json.ends_with(r#""dropped_samples":0,"insecure_skip_verify":true}}}"#), "{json}");
    }

    #[test]
    fn a_disk_that_is_not_there_is_a_reason_while_something_waits_for_it() {
        let telemetry = telemetry(60_000);
        let status = &telemetry.subjects().destinations[0];
        let why = "what waits is in memory until its spool works: cannot use spool /x";
        status.lacks_disk(why.to_owned());
        let reason = format!("destination prom: {why}");
        let shows = |health: &Health| serde_json::to_string(health).unwrap().contains(&format!(r#""spool":"{why}""#));
        // Nothing was to be sent yet, and then all of it was delivered.
        for delivered in [false, true] {
            if delivered {
                status.delivered(10, 100, 1_762_346_090_500);
            }
            let health = examine(&telemetry, after(1.0));
            assert_eq!((health.status, health.reasons.len()), (Status::Healthy, 0));
            assert!(shows(&health));
        }
        status.failed(Outcome::Retried, DestinationState::Retrying, "timed out".to_owned());
        let health = examine(&telemetry, after(1.0));
        assert_eq!(health.reasons, ["destination prom is retrying: timed out", &reason]);
        status.delivered(10, 100, 1_762_346_090_500);
        status.queue(2, 2048, Some(1_762_346_096_000 - 11_000));
        assert_eq!(examine(&telemetry, after(1.0)).reasons, ["destination prom is 11s behind", &reason]);
        status.queue(0, 0, None);
        // What is wrong with a disk that is there is a reason in any case.
        status.keeps_badly(Some("its spool's disk hangs".to_owned()));
        let health = examine(&telemetry, after(1.0));
        assert_eq!(health.reasons, ["destination prom: its spool's disk hangs"]);
        status.keeps_badly(None);
        let json = serde_json::to_string(&examine(&telemetry, after(1.0))).unwrap();
        assert!(json.contains(r#""status":"healthy""#) && !json.contains("spool"), "{json}");
    }

    #[test]
    fn what_is_absent_or_waiting_is_no_reason() {
        let telemetry = telemetry(60_000);
        telemetry.subjects().collectors[0]
            .ended(round(CollectorState::Absent, START, Some("no disks")), Refused::default());
        assert_eq!(examine(&telemetry, after(1.0)).status, Status::Healthy);
    }

    #[test]
    fn a_stale_collector_a_held_destination_and_refused_series_degrade() {
        let telemetry = telemetry(60_000);
        telemetry.subjects().collectors[0].stale("/mnt/nfs does not answer".to_owned());
        telemetry.subjects().collectors[1]
            .ended(round(CollectorState::Ok, START, None), Refused { max_series: 12, duplicate: 1 });
        telemetry.subjects().destinations[0].failed(
            Outcome::Held,
            DestinationState::Held,
            "401 Unauthorized".to_owned(),
        );
        let health = examine(&telemetry, after(1.0));
        assert_eq!(health.status, Status::Degraded);
        assert_eq!(
            health.reasons,
            [
                "collector disk is stale: /mnt/nfs does not answer",
                "collector cpu is over its cap of series: 12 left out",
                "collector cpu gave 1 series twice",
                "destination prom is held: 401 Unauthorized",
            ]
        );
        let json = serde_json::to_string(&health).unwrap();
        assert!(json.contains(r#""disk":{"state":"stale","age_seconds":null"#), "{json}");
        // What was refused once, long ago, is in the counter only.
        telemetry.subjects().collectors[1].ended(round(CollectorState::Ok, START, None), Refused::default());
        assert_eq!(examine(&telemetry, after(1.0)).reasons.len(), 2);
    }

    #[test]
    fn a_hang_is_as_old_as_when_it_is_asked_for() {
        let telemetry = telemetry(3_600_000);
        telemetry.subjects().collectors[0].hangs(after(2.0).monotonic, "the others go on");
        for (at, age) in [(8.0, 6), (99.9, 97)] {
            let said = format!("it hangs: its call has not come back for {age} s; the others go on");
            let health = examine(&telemetry, after(at));
            assert_eq!(health.reasons, [format!("collector disk is stale: {said}")]);
            assert_eq!(health.collectors.0[0].1.error, Some(said));
        }
        telemetry.subjects().collectors[0]
            .ended(round(CollectorState::Ok, after(100.0).monotonic, None), Refused::default());
        assert_eq!(examine(&telemetry, after(101.0)).reasons, [""; 0]);
    }

    #[test]
    fn a_destination_that_sits_on_what_it_is_given_is_behind() {
        let telemetry = telemetry(60_000);
        let now = after(1.0);
        telemetry.subjects().destinations[0].queue(1, 100, Some(now.wall_ms - 9_000));
        assert_eq!(examine(&telemetry, now).reasons, [""; 0]);
        telemetry.subjects().destinations[0].queue(1, 100, Some(now.wall_ms - 75_000));
        assert_eq!(examine(&telemetry, now).reasons, ["destination prom is 1m15s behind"]);
    }
}
