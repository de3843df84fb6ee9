//! metricsd's own numbers as metrics, for its `/metrics` page and for destinations that want them.

use std::sync::Arc;

use crate::host::monotonic;
use crate::model::{Family, Frame, Item, Label, Reading, Recorder, Signal, everywhere};

use super::listened::{self, PushItems, StatsdItems};
use super::process::{self, Process};
use super::{
    COMMIT, CollectorState, CollectorStatus, Destination, DestinationStatus, DropReason, EndpointStatus, Outcome,
    ScrapeCounts, ScrapeDrop, ScrapeFailure, StepDirection, Subjects, TARGET, Telemetry, VERSION,
};

const BUILD: &[Label] = &[Label::key("version", 0), Label::key("commit", 1), Label::key("target", 2)];
const DIRECTION: &[Label] = &[Label::key("direction", 0)];
const REASON: &[Label] = &[Label::key("reason", 0)];
const COLLECTOR: &[Label] = &[Label::key("collector", 0)];
const COLLECTOR_REASON: &[Label] = &[Label::key("collector", 0), Label::key("reason", 1)];
const DESTINATION: &[Label] = &[Label::key("destination", 0)];
const DESTINATION_OUTCOME: &[Label] = &[Label::key("destination", 0), Label::key("outcome", 1)];
const DESTINATION_RULE: &[Label] = &[Label::key("destination", 0), Label::key("rule", 1)];
const ENDPOINT_RULE: &[Label] = &[Label::key("endpoint", 0), Label::key("rule", 1)];
const DESTINATION_REASON: &[Label] = &[Label::key("destination", 0), Label::key("reason", 1)];

/// The source of metricsd's own metrics.
pub const OWN: &str = "metricsd";

static UP: Reading =
    everywhere!(&Family::gauge("up", "", "Always 1: as a scrape of metricsd that succeeded has it."), &[]);
static BUILD_INFO: Reading = everywhere!(
    &Family::gauge("metricsd_build_info", "", "Always 1; version, commit and target of the running metricsd."),
    BUILD
);
static COLLECTIONS: Reading =
    everywhere!(&Family::counter("metricsd_collections_total", "", "Collections since the start."), &[]);
static SKIPPED: Reading = everywhere!(
    &Family::counter(
        "metricsd_collections_skipped_total",
        "",
        "Collections that did not take place because an earlier one took too long, or that the clock gave no time to."
    ),
    &[]
);
static CLOCK_STEPS: Reading = everywhere!(
    &Family::counter("metricsd_clock_steps_total", "", "Steps of the wall clock that were noticed, by direction."),
    DIRECTION
);
static COLLECTOR_DURATION: Reading = everywhere!(
    &Family::gauge("metricsd_collector_duration_seconds", "seconds", "How long the collector's last round took."),
    COLLECTOR
);
static COLLECTOR_SUCCESS: Reading = everywhere!(
    &Family::gauge(
        "metricsd_collector_success",
        "",
        "Whether the collector's last round gave numbers; absent where the host has no such thing."
    ),
    COLLECTOR
);
static COLLECTOR_SERIES: Reading = everywhere!(
    &Family::gauge("metricsd_collector_series", "", "Series that the collector's last round gave."),
    COLLECTOR
);
static SERIES_REFUSED: Reading = everywhere!(
    &Family::counter(
        "metricsd_series_refused_total",
        "",
        "Samples that were not taken from a collector: over its cap of series, or the same series twice."
    ),
    COLLECTOR_REASON
);
static SAMPLES_SENT: Reading = everywhere!(
    &Family::counter("metricsd_destination_samples_sent_total", "", "Samples that were delivered."),
    DESTINATION
);
static BYTES_SENT: Reading = everywhere!(
    &Family::counter(
        "metricsd_destination_bytes_sent_total",
        "bytes",
        "Body bytes that were delivered, as they went over the wire."
    ),
    DESTINATION
);
static REQUESTS: Reading = everywhere!(
    &Family::counter(
        "metricsd_destination_requests_total",
        "",
        "Requests to the destination by how they ended: delivered, retried, held, rejected, or sent again at once, divided or downgraded."
    ),
    DESTINATION_OUTCOME
);
static SAMPLES_DROPPED: Reading = everywhere!(
    &Family::counter(
        "metricsd_destination_samples_dropped_total",
        "",
        "Samples that will not reach the destination, by reason."
    ),
    DESTINATION_REASON
);
static ITEMS_SENT: Reading = everywhere!(
    &Family::counter("metricsd_destination_items_sent_total", "", "Records that were delivered: log lines, events."),
    DESTINATION
);
static ITEMS_DROPPED: Reading = everywhere!(
    &Family::counter(
        "metricsd_destination_items_dropped_total",
        "",
        "Records that will not reach the destination, by reason."
    ),
    DESTINATION_REASON
);
static TRANSFORM_DROPPED_FAMILY: Family = Family::counter(
    "metricsd_transform_dropped_total",
    "",
    "Samples that a rule dropped, those among them of series that it left like another one; by the rule's place in the configuration, or in its endpoint.",
);
static TRANSFORM_DROPPED: Reading = everywhere!(&TRANSFORM_DROPPED_FAMILY, DESTINATION_RULE);
static ENDPOINT_DROPPED: Reading = everywhere!(&TRANSFORM_DROPPED_FAMILY, ENDPOINT_RULE);
static SCRAPES_FAILED: Reading = everywhere!(
    &Family::counter(
        "metricsd_scrapes_failed_total",
        "",
        "Scrapes of endpoints that came to nothing, by reason; which endpoint it was says its up."
    ),
    REASON
);
static SCRAPED_DROPPED: Reading = everywhere!(
    &Family::counter(
        "metricsd_scraped_samples_dropped_total",
        "",
        "Samples of scraped pages that were not taken, by reason: series that came before, times too far from now, an endpoint's rules."
    ),
    REASON
);
static QUEUE_BYTES: Reading = everywhere!(
    &Family::gauge("metricsd_destination_queue_bytes", "bytes", "Bytes that wait for delivery."),
    DESTINATION
);
static QUEUE_FRAMES: Reading = everywhere!(
    &Family::gauge("metricsd_destination_queue_frames", "", "Request bodies that wait for delivery."),
    DESTINATION
);
static QUEUE_OLDEST: Reading = everywhere!(
    &Family::gauge(
        "metricsd_destination_queue_oldest_seconds",
        "seconds",
        "Age of the oldest request body that waits for delivery; 0 where none does."
    ),
    DESTINATION
);
static LAST_SUCCESS: Reading = everywhere!(
    &Family::gauge(
        "metricsd_destination_last_success_timestamp_seconds",
        "seconds",
        "When the last request was delivered, in seconds since the UNIX epoch."
    ),
    DESTINATION
);

/// Makes frames of what [`Telemetry`] knows, and of what this process costs.
///
/// It keeps its items, so that a page asked for again and again has the same chunks; they are
/// made anew when collectors or destinations were exchanged.
#[derive(Debug)]
pub struct Exposition {
    recorder: Recorder,
    /// What the recorder and the items are for.
    subjects: Arc<Subjects>,
    /// Only where it is sent: whoever asks for a page sees by that whether it is there, and has
    /// an `up` of its own.
    up: Option<Item>,
    build: Item,
    itself: Item,
    steps: [Item; StepDirection::ALL.len()],
    collectors: Vec<CollectorItems>,
    destinations: Vec<DestinationItems>,
    /// Only where there are endpoints.
    scrapes: Option<ScrapeItems>,
    statsd: Option<StatsdItems>,
    pushes: Option<PushItems>,
    process: Process,
}

#[derive(Debug)]
struct CollectorItems {
    plain: Item,
    max_series: Item,
    duplicate: Item,
}

#[derive(Debug)]
struct DestinationItems {
    plain: Item,
    outcomes: [Item; Outcome::ALL.len()],
    reasons: [Item; DropReason::ALL.len()],
    /// Of its records, where it has a lane for them.
    items: Item,
    items_reasons: [Item; DropReason::ALL.len()],
    /// Where each of its rules stands, and its item.
    rules: Vec<(String, Item)>,
}

#[derive(Debug)]
struct ScrapeItems {
    failed: [Item; ScrapeFailure::ALL.len()],
    dropped: [Item; ScrapeDrop::ALL.len()],
    /// For each endpoint one for each of its rules that are counted.
    rules: Vec<Vec<Item>>,
}

/// Series of a collector and of a destination, at most; with what there is once, they
/// bound the frame.
const SERIES_ONCE: usize = 4
    + StepDirection::ALL.len()
    + ScrapeFailure::ALL.len()
    + ScrapeDrop::ALL.len()
    + listened::SERIES
    + process::SERIES;
const SERIES_PER_COLLECTOR: usize = 5;
const SERIES_PER_DESTINATION: usize = 7 + Outcome::ALL.len() + 2 * DropReason::ALL.len();

impl Exposition {
    /// For a page, of the collectors and destinations of `telemetry`.
    pub fn new(telemetry: &Telemetry) -> Exposition {
        Exposition::with(telemetry, None)
    }

    /// For destinations: the same, and `up`.
    pub fn sent(telemetry: &Telemetry) -> Exposition {
        Exposition::with(telemetry, Some(Item::of_kind("up", &[])))
    }

    fn with(telemetry: &Telemetry, up: Option<Item>) -> Exposition {
        let subjects = telemetry.subjects();
        let max_series = SERIES_ONCE
            + subjects.collectors.len() * SERIES_PER_COLLECTOR
            + subjects.destinations.len() * SERIES_PER_DESTINATION;
        let destinations: Vec<_> = subjects.by_destination().map(DestinationItems::new).collect();
        let max_series = max_series + destinations.iter().map(|items| items.rules.len()).sum::<usize>();
        let max_series = max_series + subjects.endpoints.iter().map(|status| status.rules().len()).sum::<usize>();
        Exposition {
            recorder: Recorder::new(OWN, max_series).since(telemetry.started_wall_ms),
            up,
            build: Item::of_kind("build", &[VERSION, COMMIT, TARGET]),
            itself: Item::new(&[]),
            steps: StepDirection::ALL.map(|direction| Item::of_kind("step", &[direction.as_str()])),
            collectors: subjects.collectors.iter().map(|status| CollectorItems::new(status.name())).collect(),
            destinations,
            scrapes: (!subjects.endpoints.is_empty()).then(|| ScrapeItems::new(&subjects.endpoints)),
            statsd: subjects.statsd.as_ref().map(|_| StatsdItems::new()),
            pushes: subjects.pushes.as_ref().map(|_| PushItems::new()),
            process: Process::new(),
            subjects,
        }
    }

    /// The numbers as they are at `wall_ms`, in milliseconds since the UNIX epoch.
    pub fn frame(&mut self, telemetry: &Telemetry, wall_ms: i64) -> Frame {
        if !Arc::ptr_eq(&self.subjects, &telemetry.subjects()) {
            *self = Exposition::with(telemetry, self.up.take());
        }
        let out = &mut self.recorder;
        if let Some(up) = &self.up {
            out.item(up).push(&UP, 1.0);
        }
        out.item(&self.build).push(&BUILD_INFO, 1.0);
        let mut itself = out.item(&self.itself);
        itself.push(&COLLECTIONS, telemetry.collections() as f64);
        itself.push(&SKIPPED, telemetry.skipped() as f64);
        drop(itself);
        for (direction, item) in StepDirection::ALL.into_iter().zip(&self.steps) {
            out.item(item).push(&CLOCK_STEPS, telemetry.clock_steps(direction) as f64);
        }
        for (status, items) in self.subjects.collectors.iter().zip(&self.collectors) {
            items.record(status, out);
        }
        for (destination, items) in self.subjects.by_destination().zip(&self.destinations) {
            items.record(destination, wall_ms, out);
        }
        if let Some(items) = &self.scrapes {
            items.record(&telemetry.scrapes, &self.subjects.endpoints, out);
        }
        if let (Some(items), Some(counts)) = (&self.statsd, &self.subjects.statsd) {
            items.record(counts, out);
        }
        if let (Some(items), Some(counts)) = (&self.pushes, &self.subjects.pushes) {
            items.record(counts, out);
        }
        self.process.record(telemetry.started_wall_ms, out);
        out.finish(wall_ms)
    }
}

impl CollectorItems {
    fn new(name: &str) -> CollectorItems {
        let refused = |reason| Item::of_kind("refused", &[name, reason]);
        CollectorItems {
            plain: Item::of_kind("collector", &[name]),
            max_series: refused("max_series"),
            duplicate: refused("duplicate"),
        }
    }

    fn record(&self, status: &CollectorStatus, out: &mut Recorder) {
        if let Some(round) = status.last(monotonic()) {
            let mut out = out.item(&self.plain);
            out.push(&COLLECTOR_DURATION, round.duration.as_secs_f64());
            // Neither a success nor a failure: an alert on 0 must not fire on a host without disks.
            if round.state != CollectorState::Absent {
                let success = round.state == CollectorState::Ok;
                out.push(&COLLECTOR_SUCCESS, f64::from(u8::from(success)));
            }
            out.push(&COLLECTOR_SERIES, round.series as f64);
        }
        let refused = status.refused();
        out.item(&self.max_series).push(&SERIES_REFUSED, refused.max_series as f64);
        out.item(&self.duplicate).push(&SERIES_REFUSED, refused.duplicate as f64);
    }
}

impl ScrapeItems {
    fn new(endpoints: &[Arc<EndpointStatus>]) -> ScrapeItems {
        let items = |status: &Arc<EndpointStatus>| -> Vec<Item> {
            status.rules().map(|(place, _)| Item::of_kind("endpoint rule", &[status.name(), place])).collect()
        };
        ScrapeItems {
            rules: endpoints.iter().map(items).collect(),
            failed: ScrapeFailure::ALL.map(|reason| Item::of_kind("scrape failed", &[reason.as_str()])),
            dropped: ScrapeDrop::ALL.map(|reason| Item::of_kind("scrape dropped", &[reason.as_str()])),
        }
    }

    fn record(&self, counts: &ScrapeCounts, endpoints: &[Arc<EndpointStatus>], out: &mut Recorder) {
        for (status, items) in endpoints.iter().zip(&self.rules) {
            for ((_, dropped), item) in status.rules().zip(items) {
                out.item(item).push(&ENDPOINT_DROPPED, dropped as f64);
            }
        }
        for (reason, item) in ScrapeFailure::ALL.into_iter().zip(&self.failed) {
            out.item(item).push(&SCRAPES_FAILED, counts.failed(reason) as f64);
        }
        for (reason, item) in ScrapeDrop::ALL.into_iter().zip(&self.dropped) {
            out.item(item).push(&SCRAPED_DROPPED, counts.dropped(reason) as f64);
        }
    }
}

impl DestinationItems {
    fn new(destination: Destination<'_>) -> DestinationItems {
        let name = destination.name();
        let mut rules = Vec::new();
        for lane in destination.lanes() {
            lane.each_rule(|place, _| rules.push((place.to_owned(), Item::of_kind("rule", &[name, place]))));
        }
        DestinationItems {
            rules,
            items: Item::of_kind("items", &[name]),
            items_reasons: DropReason::ALL.map(|reason| Item::of_kind("items reason", &[name, reason.as_str()])),
            plain: Item::of_kind("destination", &[name]),
            outcomes: Outcome::ALL.map(|outcome| Item::of_kind("outcome", &[name, outcome.as_str()])),
            reasons: DropReason::ALL.map(|reason| Item::of_kind("reason", &[name, reason.as_str()])),
        }
    }

    fn record(&self, destination: Destination<'_>, wall_ms: i64, out: &mut Recorder) {
        for (outcome, item) in Outcome::ALL.into_iter().zip(&self.outcomes) {
            out.item(item).push(&REQUESTS, destination.sum(|lane| lane.requests(outcome)) as f64);
        }
        if let Some(metrics) = destination.lane(Signal::Metrics) {
            for (reason, item) in DropReason::ALL.into_iter().zip(&self.reasons) {
                out.item(item).push(&SAMPLES_DROPPED, metrics.samples_dropped(reason) as f64);
            }
        }
        // Where a reload has changed them, they are made anew in a moment.
        let mut items = self.rules.iter();
        for lane in destination.lanes() {
            lane.each_rule(|place, dropped| {
                if let Some((_, item)) = items.next().filter(|(known, _)| known == place) {
                    out.item(item).push(&TRANSFORM_DROPPED, dropped as f64);
                }
            });
        }
        if let Some(records) = destination.lane(Signal::Records) {
            for (reason, item) in DropReason::ALL.into_iter().zip(&self.items_reasons) {
                out.item(item).push(&ITEMS_DROPPED, records.samples_dropped(reason) as f64);
            }
            out.item(&self.items).push(&ITEMS_SENT, records.samples_sent() as f64);
        }
        let mut out = out.item(&self.plain);
        if let Some(metrics) = destination.lane(Signal::Metrics) {
            out.push(&SAMPLES_SENT, metrics.samples_sent() as f64);
        }
        out.push(&BYTES_SENT, destination.sum(DestinationStatus::bytes_sent) as f64);
        out.push(&QUEUE_BYTES, destination.sum(DestinationStatus::queue_bytes) as f64);
        out.push(&QUEUE_FRAMES, destination.sum(DestinationStatus::queue_frames) as f64);
        out.push(&QUEUE_OLDEST, destination.queue_oldest_seconds(wall_ms));
        if let Some(at) = destination.last_success_ms() {
            out.push(&LAST_SUCCESS, at as f64 / 1000.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::{Refused, Scheme, Since};
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
                ..Subjects::default()
            },
        );
        telemetry.clock_stepped(StepDirection::Backward);
        telemetry.collected(Duration::from_secs(5), 2);
        telemetry
    }

    fn value(frame: &Frame, name: &str, labels: &[(&'static str, &str)]) -> Option<f64> {
        let found = frame.parts().flat_map(|(chunk, values)| chunk.each().zip(values));
        let mut found = found.filter(|((item, reading), _)| {
            let face = reading.face(Scheme::Native).unwrap();
            let own = face.labels.iter().map(|label| match label {
                Label::Key { name, at, .. } => (name, item.key.value(at)),
                Label::Constant { name, value } => (name, value),
            });
            face.family.name == name && own.eq(labels.iter().copied())
        });
        let value = found.next().map(|(_, value)| *value);
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
    fn up_is_sent_and_on_no_page_and_counters_count_since_the_start() {
        let telemetry = telemetry();
        let frame = |mut exposition: Exposition| exposition.frame(&telemetry, 1_700_000_002_500);
        let (page, sent) = (frame(Exposition::new(&telemetry)), frame(Exposition::sent(&telemetry)));
        assert_eq!((value(&page, "up", &[]), value(&sent, "up", &[])), (None, Some(1.0)));
        assert_eq!(sent.values.len(), page.values.len() + 1);
        assert_eq!(&*sent.source, "metricsd");
        let mut items = sent.chunks.iter().flat_map(|chunk| chunk.items().iter());
        assert!(items.all(|item| item.since == Since::ms(1_699_999_000_000)));
    }

    #[test]
    fn nothing_is_refused_and_the_chunks_stay() {
        let telemetry = telemetry();
        let mut exposition = Exposition::new(&telemetry);
        let first = exposition.frame(&telemetry, 1_700_000_002_500);
        let second = exposition.frame(&telemetry, 1_700_000_003_500);
        assert!(Arc::ptr_eq(&first.chunks, &second.chunks));
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
