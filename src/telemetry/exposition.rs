//! metricsd's own numbers as metrics, for its `/metrics` page.

use std::sync::Arc;

use crate::model::{Frame, Labels, Metric, Recorder};

use super::process::{self, Process};
use super::{
    COMMIT, CollectorState, CollectorStatus, DestinationStatus, DropReason, Outcome, StepDirection, Subjects, TARGET,
    Telemetry, VERSION,
};

static BUILD_INFO: Metric =
    Metric::gauge("metricsd_build_info", "", "Always 1; version, commit and target of the running metricsd.");
static COLLECTIONS: Metric = Metric::counter("metricsd_collections_total", "", "Collections since the start.");
static SKIPPED: Metric = Metric::counter(
    "metricsd_collections_skipped_total",
    "",
    "Collections that did not take place because an earlier one took too long, or that the clock gave no time to.",
);
static CLOCK_STEPS: Metric =
    Metric::counter("metricsd_clock_steps_total", "", "Steps of the wall clock that were noticed, by direction.");
static COLLECTOR_DURATION: Metric =
    Metric::gauge("metricsd_collector_duration_seconds", "seconds", "How long the collector's last round took.");
static COLLECTOR_SUCCESS: Metric = Metric::gauge(
    "metricsd_collector_success",
    "",
    "Whether the collector's last round gave numbers; absent where the host has no such thing.",
);
static COLLECTOR_SERIES: Metric =
    Metric::gauge("metricsd_collector_series", "", "Series that the collector's last round gave.");
static SERIES_REFUSED: Metric = Metric::counter(
    "metricsd_series_refused_total",
    "",
    "Samples that were not taken from a collector: over its cap of series, or the same series twice.",
);
static SAMPLES_SENT: Metric =
    Metric::counter("metricsd_destination_samples_sent_total", "", "Samples that were delivered.");
static BYTES_SENT: Metric = Metric::counter(
    "metricsd_destination_bytes_sent_total",
    "bytes",
    "Body bytes that were delivered, as they went over the wire.",
);
static REQUESTS: Metric =
    Metric::counter("metricsd_destination_requests_total", "", "Requests to the destination by how they ended.");
static SAMPLES_DROPPED: Metric = Metric::counter(
    "metricsd_destination_samples_dropped_total",
    "",
    "Samples that will not reach the destination, by reason.",
);
static QUEUE_BYTES: Metric =
    Metric::gauge("metricsd_destination_queue_bytes", "bytes", "Bytes that wait for delivery.");
static QUEUE_FRAMES: Metric =
    Metric::gauge("metricsd_destination_queue_frames", "", "Request bodies that wait for delivery.");
static QUEUE_OLDEST: Metric = Metric::gauge(
    "metricsd_destination_queue_oldest_seconds",
    "seconds",
    "Age of the oldest request body that waits for delivery; 0 where none does.",
);
static LAST_SUCCESS: Metric = Metric::gauge(
    "metricsd_destination_last_success_timestamp_seconds",
    "seconds",
    "When the last request was delivered, in seconds since the UNIX epoch.",
);

/// Makes frames of what [`Telemetry`] knows, and of what this process costs.
///
/// It keeps its labels, so that a page asked for again and again has one schema; they are
/// made anew when collectors or destinations were exchanged.
#[derive(Debug)]
pub struct Exposition {
    recorder: Recorder,
    /// What the recorder and the labels are for.
    subjects: Arc<Subjects>,
    build: Labels,
    steps: [Labels; StepDirection::ALL.len()],
    collectors: Vec<CollectorLabels>,
    destinations: Vec<DestinationLabels>,
    process: Process,
}

#[derive(Debug)]
struct CollectorLabels {
    plain: Labels,
    max_series: Labels,
    duplicate: Labels,
}

#[derive(Debug)]
struct DestinationLabels {
    plain: Labels,
    outcomes: [Labels; Outcome::ALL.len()],
    reasons: [Labels; DropReason::ALL.len()],
}

/// Series of a collector and of a destination, at most; with what there is once, they
/// bound the frame.
const SERIES_ONCE: usize = 3 + StepDirection::ALL.len() + process::SERIES;
const SERIES_PER_COLLECTOR: usize = 5;
const SERIES_PER_DESTINATION: usize = 6 + Outcome::ALL.len() + DropReason::ALL.len();

impl Exposition {
    /// For the collectors and destinations of `telemetry`.
    pub fn new(telemetry: &Telemetry) -> Exposition {
        let subjects = telemetry.subjects();
        let max_series = SERIES_ONCE
            + subjects.collectors.len() * SERIES_PER_COLLECTOR
            + subjects.destinations.len() * SERIES_PER_DESTINATION;
        Exposition {
            recorder: Recorder::new("metricsd", max_series),
            build: Labels::of(&[("version", VERSION), ("commit", COMMIT), ("target", TARGET)]),
            steps: StepDirection::ALL.map(|direction| Labels::of(&[("direction", direction.as_str())])),
            collectors: subjects.collectors.iter().map(|status| CollectorLabels::new(status.name())).collect(),
            destinations: subjects.destinations.iter().map(|status| DestinationLabels::new(status.name())).collect(),
            process: Process::new(),
            subjects,
        }
    }

    /// The numbers as they are at `wall_ms`, in milliseconds since the UNIX epoch.
    pub fn frame(&mut self, telemetry: &Telemetry, wall_ms: i64) -> Frame {
        if !Arc::ptr_eq(&self.subjects, &telemetry.subjects()) {
            *self = Exposition::new(telemetry);
        }
        let out = &mut self.recorder;
        out.push(&BUILD_INFO, &self.build, 1.0);
        out.push(&COLLECTIONS, &Labels::EMPTY, telemetry.collections() as f64);
        out.push(&SKIPPED, &Labels::EMPTY, telemetry.skipped() as f64);
        for (direction, labels) in StepDirection::ALL.into_iter().zip(&self.steps) {
            out.push(&CLOCK_STEPS, labels, telemetry.clock_steps(direction) as f64);
        }
        for (status, labels) in self.subjects.collectors.iter().zip(&self.collectors) {
            labels.record(status, out);
        }
        for (status, labels) in self.subjects.destinations.iter().zip(&self.destinations) {
            labels.record(status, wall_ms, out);
        }
        self.process.record(telemetry.started_wall_ms, out);
        out.finish(wall_ms)
    }
}

impl CollectorLabels {
    fn new(name: &str) -> CollectorLabels {
        let refused = |reason| Labels::of(&[("collector", name), ("reason", reason)]);
        CollectorLabels {
            plain: Labels::of(&[("collector", name)]),
            max_series: refused("max_series"),
            duplicate: refused("duplicate"),
        }
    }

    fn record(&self, status: &CollectorStatus, out: &mut Recorder) {
        if let Some(round) = status.last() {
            out.push(&COLLECTOR_DURATION, &self.plain, round.duration.as_secs_f64());
            // Neither a success nor a failure: an alert on 0 must not fire on a host without disks.
            if round.state != CollectorState::Absent {
                let success = round.state == CollectorState::Ok;
                out.push(&COLLECTOR_SUCCESS, &self.plain, f64::from(u8::from(success)));
            }
            out.push(&COLLECTOR_SERIES, &self.plain, round.series as f64);
        }
        let refused = status.refused();
        out.push(&SERIES_REFUSED, &self.max_series, refused.max_series as f64);
        out.push(&SERIES_REFUSED, &self.duplicate, refused.duplicate as f64);
    }
}

impl DestinationLabels {
    fn new(name: &str) -> DestinationLabels {
        let with = |label, value| Labels::of(&[("destination", name), (label, value)]);
        DestinationLabels {
            plain: Labels::of(&[("destination", name)]),
            outcomes: Outcome::ALL.map(|outcome| with("outcome", outcome.as_str())),
            reasons: DropReason::ALL.map(|reason| with("reason", reason.as_str())),
        }
    }

    fn record(&self, status: &DestinationStatus, wall_ms: i64, out: &mut Recorder) {
        out.push(&SAMPLES_SENT, &self.plain, status.samples_sent() as f64);
        out.push(&BYTES_SENT, &self.plain, status.bytes_sent() as f64);
        for (outcome, labels) in Outcome::ALL.into_iter().zip(&self.outcomes) {
            out.push(&REQUESTS, labels, status.requests(outcome) as f64);
        }
        for (reason, labels) in DropReason::ALL.into_iter().zip(&self.reasons) {
            out.push(&SAMPLES_DROPPED, labels, status.samples_dropped(reason) as f64);
        }
        out.push(&QUEUE_BYTES, &self.plain, status.queue_bytes() as f64);
        out.push(&QUEUE_FRAMES, &self.plain, status.queue_frames() as f64);
        out.push(&QUEUE_OLDEST, &self.plain, status.queue_oldest_seconds(wall_ms));
        // The last: it is the one that may be missing, and what follows a gap is recorded anew.
        if let Some(at) = status.last_success_ms() {
            out.push(&LAST_SUCCESS, &self.plain, at as f64 / 1000.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::Refused;
    use crate::telemetry::{DestinationState, Round};

    fn telemetry() -> Telemetry {
        let ok = CollectorStatus::new("cpu");
        ok.ended(
            Round {
                state: CollectorState::Ok,
                at: Duration::from_secs(5),
                duration: Duration::from_micros(250),
                series: 12,
                error: None,
            },
            Refused { max_series: 3, duplicate: 1 },
        );
        let absent = CollectorStatus::new("gpu");
        absent.ended(
            Round {
                state: CollectorState::Absent,
                at: Duration::from_secs(5),
                duration: Duration::ZERO,
                series: 0,
                error: None,
            },
            Refused::default(),
        );
        let sent = DestinationStatus::new("prom", "prometheus_remote_write");
        sent.delivered(100, 2048, 1_700_000_000_250);
        sent.failed(Outcome::Retried, DestinationState::Retrying, "refused".to_owned());
        sent.dropped(DropReason::QueueFull, 7, Duration::ZERO);
        sent.queue(2, 512, Some(1_700_000_000_000));
        let idle = DestinationStatus::new("new", "http_json");
        let telemetry = Telemetry::new(
            Duration::from_secs(1),
            1_699_999_000_000,
            Subjects {
                since: Duration::from_secs(1),
                interval: Duration::from_secs(60),
                collectors: vec![Arc::new(ok), Arc::new(absent)],
                destinations: vec![Arc::new(sent), Arc::new(idle)],
            },
        );
        telemetry.clock_stepped(StepDirection::Backward);
        telemetry.collected(Duration::from_secs(5), 2);
        telemetry
    }

    fn value(frame: &Frame, name: &str, labels: &[(&'static str, &str)]) -> Option<f64> {
        let labels = Labels::of(labels);
        let mut found = frame.samples().filter(|(s, _)| s.metric.name == name && s.labels == labels);
        let value = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "{name} twice");
        value
    }

    #[test]
    fn every_number_of_the_telemetry_is_a_metric() {
        let telemetry = telemetry();
        let mut exposition = Exposition::new(&telemetry);
        let frame = exposition.frame(&telemetry, 1_700_000_002_500);
        let get = |name, labels: &[(&'static str, &str)]| value(&frame, name, labels);

        let build = [("version", VERSION), ("commit", COMMIT), ("target", TARGET)];
        assert_eq!(get("metricsd_build_info", &build), Some(1.0));
        assert_eq!(get("metricsd_collections_total", &[]), Some(1.0));
        assert_eq!(get("metricsd_collections_skipped_total", &[]), Some(2.0));
        assert_eq!(get("metricsd_clock_steps_total", &[("direction", "forward")]), Some(0.0));
        assert_eq!(get("metricsd_clock_steps_total", &[("direction", "backward")]), Some(1.0));

        let cpu = ("collector", "cpu");
        assert_eq!(get("metricsd_collector_duration_seconds", &[cpu]), Some(0.00025));
        assert_eq!(get("metricsd_collector_success", &[cpu]), Some(1.0));
        assert_eq!(get("metricsd_collector_series", &[cpu]), Some(12.0));
        assert_eq!(get("metricsd_series_refused_total", &[cpu, ("reason", "max_series")]), Some(3.0));
        assert_eq!(get("metricsd_series_refused_total", &[cpu, ("reason", "duplicate")]), Some(1.0));
        assert_eq!(get("metricsd_collector_success", &[("collector", "gpu")]), None);

        let prom = ("destination", "prom");
        assert_eq!(get("metricsd_destination_samples_sent_total", &[prom]), Some(100.0));
        assert_eq!(get("metricsd_destination_bytes_sent_total", &[prom]), Some(2048.0));
        assert_eq!(get("metricsd_destination_requests_total", &[prom, ("outcome", "delivered")]), Some(1.0));
        assert_eq!(get("metricsd_destination_requests_total", &[prom, ("outcome", "retried")]), Some(1.0));
        assert_eq!(get("metricsd_destination_requests_total", &[prom, ("outcome", "held")]), Some(0.0));
        assert_eq!(get("metricsd_destination_samples_dropped_total", &[prom, ("reason", "queue_full")]), Some(7.0));
        assert_eq!(get("metricsd_destination_queue_bytes", &[prom]), Some(512.0));
        assert_eq!(get("metricsd_destination_queue_frames", &[prom]), Some(2.0));
        assert_eq!(get("metricsd_destination_queue_oldest_seconds", &[prom]), Some(2.5));
        assert_eq!(get("metricsd_destination_last_success_timestamp_seconds", &[prom]), Some(1_700_000_000.25));
        assert_eq!(get("metricsd_destination_last_success_timestamp_seconds", &[("destination", "new")]), None);
        assert_eq!(get("process_start_time_seconds", &[]), Some(1_699_999_000.0));
    }

    #[test]
    fn nothing_is_refused_and_the_schema_stays() {
        let telemetry = telemetry();
        let mut exposition = Exposition::new(&telemetry);
        let first = exposition.frame(&telemetry, 1_700_000_002_500);
        let second = exposition.frame(&telemetry, 1_700_000_003_500);
        assert!(Arc::ptr_eq(&first.schema, &second.schema));
        assert_eq!(exposition.recorder.take_refused(), Refused::default());
    }

    #[test]
    fn exchanged_subjects_show_at_once_and_what_went_is_gone() {
        let telemetry = telemetry();
        let mut exposition = Exposition::new(&telemetry);
        exposition.frame(&telemetry, 1_700_000_002_500);
        let old = telemetry.subjects();
        let mut destinations = vec![Arc::clone(&old.destinations[0])];
        destinations.extend((0..9).map(|n| Arc::new(DestinationStatus::new(format!("more{n}"), "stdout"))));
        telemetry.exchange(Subjects { destinations, ..Subjects::clone(&old) });
        let frame = exposition.frame(&telemetry, 1_700_000_002_500);
        let sent = |name| value(&frame, "metricsd_destination_samples_sent_total", &[("destination", name)]);
        assert_eq!((sent("prom"), sent("new"), sent("more8")), (Some(100.0), None, Some(0.0)));
        assert_eq!(exposition.recorder.take_refused(), Refused::default());
    }
}
