//! What is listened for, as metricsd's own metrics.

use super::{PushCounts, PushKind, PushOutcome, StatsdCounts, StatsdDrop};
use crate::model::{Family, Item, Label, Reading, Recorder, everywhere};

const REASON: &[Label] = &[Label::key("reason", 0)];
const KIND_OUTCOME: &[Label] = &[Label::key("kind", 0), Label::key("outcome", 1)];

static DATAGRAMS: Reading =
    everywhere!(&Family::counter("metricsd_statsd_datagrams_total", "", "Datagrams of StatsD that were read."), &[]);
static DATAGRAMS_LOST: Reading = everywhere!(
    &Family::counter(
        "metricsd_statsd_datagrams_lost_total",
        "",
        "Datagrams of StatsD that the kernel dropped, since they came faster than they were read."
    ),
    &[]
);
static METRICS: Reading =
    everywhere!(&Family::counter("metricsd_statsd_metrics_total", "", "Lines of StatsD that were taken."), &[]);
static METRICS_DROPPED: Reading = everywhere!(
    &Family::counter("metricsd_statsd_metrics_dropped_total", "", "Lines of StatsD that were not taken, by reason."),
    REASON
);
static STATSD_SERIES: Reading =
    everywhere!(&Family::gauge("metricsd_statsd_series", "", "Series that come by StatsD."), &[]);
static PUSHES: Reading = everywhere!(
    &Family::counter("metricsd_pushes_total", "", "Pushes by what they were and how they were answered."),
    KIND_OUTCOME
);
static PUSH_SAMPLES: Reading =
    everywhere!(&Family::counter("metricsd_push_samples_total", "", "Samples of pushes that were taken."), &[]);
static PUSH_SAMPLES_REFUSED: Reading = everywhere!(
    &Family::counter(
        "metricsd_push_samples_refused_total",
        "",
        "Samples that were not taken of pushes that otherwise were: OTLP's partial success."
    ),
    &[]
);
static PUSH_SERIES: Reading = everywhere!(&Family::gauge("metricsd_push_series", "", "Series that are pushed."), &[]);
static PUSH_SOURCES: Reading = everywhere!(
    &Family::gauge("metricsd_push_sources", "", "Applications that have pushed lately, by job and instance."),
    &[]
);

/// Their series, at most.
pub(super) const SERIES: usize = 4 + StatsdDrop::ALL.len() + 4 + PushKind::ALL.len() * PushOutcome::ALL.len();

/// The items of StatsD.
#[derive(Debug)]
pub(super) struct StatsdItems {
    plain: Item,
    dropped: [Item; StatsdDrop::ALL.len()],
}

impl StatsdItems {
    pub(super) fn new() -> StatsdItems {
        StatsdItems {
            plain: Item::of_kind("statsd", &[]),
            dropped: StatsdDrop::ALL.map(|reason| Item::of_kind("statsd dropped", &[reason.as_str()])),
        }
    }

    pub(super) fn record(&self, counts: &StatsdCounts, out: &mut Recorder) {
        let mut item = out.item(&self.plain);
        item.push(&DATAGRAMS, counts.datagrams() as f64);
        item.push(&DATAGRAMS_LOST, counts.datagrams_lost() as f64);
        item.push(&METRICS, counts.metrics() as f64);
        item.push(&STATSD_SERIES, counts.series() as f64);
        drop(item);
        for (reason, item) in StatsdDrop::ALL.into_iter().zip(&self.dropped) {
            out.item(item).push(&METRICS_DROPPED, counts.metrics_dropped(reason) as f64);
        }
    }
}

/// The items of pushes.
#[derive(Debug)]
pub(super) struct PushItems {
    plain: Item,
    answered: Vec<(PushKind, PushOutcome, Item)>,
}

impl PushItems {
    pub(super) fn new() -> PushItems {
        let each = PushKind::ALL.into_iter().flat_map(|kind| PushOutcome::ALL.map(|outcome| (kind, outcome)));
        let item = |kind: PushKind, outcome: PushOutcome| Item::of_kind("pushes", &[kind.as_str(), outcome.as_str()]);
        PushItems {
            plain: Item::of_kind("push", &[]),
            answered: each.map(|(kind, outcome)| (kind, outcome, item(kind, outcome))).collect(),
        }
    }

    pub(super) fn record(&self, counts: &PushCounts, out: &mut Recorder) {
        let mut item = out.item(&self.plain);
        item.push(&PUSH_SAMPLES, counts.samples() as f64);
        item.push(&PUSH_SAMPLES_REFUSED, counts.samples_refused() as f64);
        item.push(&PUSH_SERIES, counts.series() as f64);
        item.push(&PUSH_SOURCES, counts.sources() as f64);
        drop(item);
        for (kind, outcome, item) in &self.answered {
            out.item(item).push(&PUSHES, counts.pushes(*kind, *outcome) as f64);
        }
    }
}
