//! A push of OTLP metrics: what each application in it says, and what of it is not taken.
//!
//! Both encodings are read into points, one after the other, which a taker makes series of. What a
//! request's parts take in memory comes out of a budget.

mod attribute;
mod exemplar;
mod json;
mod proto;

use std::collections::{HashMap, HashSet};

use attribute::{fits, text_of};
use exemplar::Seen;

use super::exponential::{Exponential, Sent, SentBuckets};
use super::given::{Given, GivenItem, GivenPart, RESERVED, Refused, settle_labels};
use crate::ingest::budget::Budget;
use crate::ingest::names::is_reserved;
use crate::ingest::otlp::Encoding;
use crate::model::{Attribute, Kind};
use crate::order;

/// A point that says to be older than that, or of times to come, is not of now: receivers refuse it.
const MAX_AGE_MS: i64 = 3_600_000;
const MAX_AHEAD_MS: i64 = 600_000;

/// What holds a resource's attributes.
const TARGET_INFO: &str = "target_info";

/// Who pushes where that is not said.
const NAMELESS: &str = "otlp";

/// What a name may be, in bytes.
const MAX_NAME: usize = 255;

/// What is known of a metric's points together.
#[derive(Clone, Copy)]
pub struct Metric<'m> {
    name: &'m str,
    help: &'m str,
    unit: &'m str,
    kind: Kind,
    temporality: Temporality,
}

/// Since when a number counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Temporality {
    /// It does not, or since some start.
    Cumulative,
    /// Since the last push.
    Delta,
    /// Nobody says, where it should be said.
    Unsaid,
}

impl Temporality {
    fn of(number: i64) -> Temporality {
        match number {
            1 => Temporality::Delta,
            2 => Temporality::Cumulative,
            _ => Temporality::Unsaid,
        }
    }
}

/// A point, of whatever kind.
#[derive(Default)]
struct Point {
    attributes: Vec<Attribute>,
    /// Since when it counts; 0: it does not say.
    start_ns: u64,
    time_ns: u64,
    /// Its series has no number now.
    is_none: bool,
    data: Data,
    exemplars: Vec<Seen>,
}

#[derive(Default)]
enum Data {
    /// None was given.
    #[default]
    None,
    Number(f64),
    Histogram {
        count: u64,
        sum: Option<f64>,
        counts: Vec<u64>,
        bounds: Vec<f64>,
    },
    Exponential(Sent),
    Summary {
        count: u64,
        sum: f64,
        quantiles: Vec<(f64, f64)>,
    },
}

/// What of a request is not taken, though the rest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many points.
    pub points: u64,
    /// Why, of the first of them.
    pub why: Option<String>,
}

/// Reads a request, not packed any more, that comes at `now_ms`.
pub fn read(encoding: Encoding, body: &[u8], max_bytes: usize, now_ms: i64) -> Result<(Vec<Given>, Rejected), Refused> {
    let mut taker = Taker::new(now_ms);
    let mut budget = super::given::budget(max_bytes);
    match encoding {
        Encoding::Protobuf => proto::read(body, &mut budget, &mut taker),
        Encoding::Json => json::read(body, &mut budget, &mut taker),
    }?;
    Ok(taker.finish())
}

/// The answer to a request of which a part was not taken.
pub fn partial(encoding: Encoding, rejected: &Rejected) -> Vec<u8> {
    let Some(why) = &rejected.why else { return encoding.taken() };
    match encoding {
        Encoding::Protobuf => {
            let (mut partial, mut out) = (Vec::new(), Vec::new());
            prost::encoding::int64::encode(1, &i64::try_from(rejected.points).unwrap_or(i64::MAX), &mut partial);
            prost::encoding::string::encode(2, why, &mut partial);
            prost::encoding::bytes::encode(1, &partial, &mut out);
            out
        }
        Encoding::Json => {
            let partial = serde_json::json!({ "rejectedDataPoints": rejected.points.to_string(), "errorMessage": why });
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
    }
}

/// Makes series of points.
struct Taker {
    now_ms: i64,
    given: Vec<Given>,
    /// By job and instance.
    by_application: HashMap<(String, String), usize>,
    /// The application whose points come now.
    at: usize,
    /// Where an item of an application is, by what tells it from the others.
    items: HashMap<String, usize>,
    targets: HashSet<usize>,
    rejected: Rejected,
}

impl Taker {
    fn new(now_ms: i64) -> Taker {
        Taker {
            now_ms,
            given: Vec::new(),
            by_application: HashMap::new(),
            at: 0,
            items: HashMap::new(),
            targets: HashSet::new(),
            rejected: Rejected::default(),
        }
    }

    fn finish(self) -> (Vec<Given>, Rejected) {
        (self.given, self.rejected)
    }

    /// What comes from here on is of this resource.
    fn resource(&mut self, attributes: &[Attribute]) {
        let of = |key: &str| attributes.iter().find(|(own, _)| **own == *key).map(|(_, value)| text_of(value));
        let name = of("service.name").filter(|name| !name.is_empty()).unwrap_or_else(|| NAMELESS.to_owned());
        let job = match of("service.namespace").filter(|space| !space.is_empty()) {
            Some(space) => format!("{space}/{name}"),
            None => name,
        };
        let cut =
            |text: String| -> String { text.chars().filter(|c| !c.is_control()).take(super::text::MAX_NAME).collect() };
        let (job, instance) = (cut(job), cut(of("service.instance.id").unwrap_or_default()));
        self.at = *self.by_application.entry((job.clone(), instance.clone())).or_insert_with(|| {
            self.given.push(Given { job, instance, items: Vec::new() });
            self.given.len() - 1
        });
        // What else there is to know of it stands in an info of its own, as OpenTelemetry's rules for Prometheus say.
        let is_own = |key: &str| matches!(key, "service.name" | "service.namespace" | "service.instance.id");
        let rest: Vec<Attribute> = attributes.iter().filter(|(key, _)| !is_own(key)).cloned().collect();
        if let Some(labels) = labels_of(&rest, "").filter(|labels| !labels.is_empty()) {
            if self.targets.insert(self.at) {
                let parts = vec![GivenPart { name: TARGET_INFO.to_owned(), own: None, value: 1.0 }];
                let help = "What the application says of itself.".to_owned();
                self.add(TARGET_INFO, GivenItem { help, labels, parts, ..item(Kind::Info) });
            }
        }
    }

    fn reject(&mut self, points: u64, why: impl FnOnce() -> String) {
        self.rejected.points += points;
        self.rejected.why.get_or_insert_with(why);
    }

    /// A point of the application that is at hand.
    fn point(&mut self, metric: &Metric<'_>, point: Point) {
        if point.is_none {
            return;
        }
        match self.item(metric, &point) {
            Ok(item) => self.add(metric.name, item),
            Err(RESERVED) => self.reject(1, || format!("{} {RESERVED}", metric.name)),
            Err(why) => self.reject(1, || format!("{}: {why}", metric.name)),
        }
    }

    fn item(&self, metric: &Metric<'_>, point: &Point) -> Result<GivenItem, &'static str> {
        let Metric { name, help, unit, kind, temporality } = *metric;
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err("a metric has a name of at most 255 bytes");
        }
        if is_reserved(name) {
            return Err(RESERVED);
        }
        if temporality == Temporality::Unsaid {
            return Err("it does not say whether it is cumulative or delta");
        }
        let own = match kind {
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
            _ => "",
        };
        let labels = labels_of(&point.attributes, own).ok_or("it has too many attributes, or too large ones")?;
        let time_ms = i64::try_from(point.time_ns / 1_000_000).unwrap_or(i64::MAX);
        if time_ms != 0 && !(self.now_ms - MAX_AGE_MS..=self.now_ms + MAX_AHEAD_MS).contains(&time_ms) {
            return Err("it says to be of more than an hour ago, or of times to come");
        }
        let (parts, exponential) = parts(name, &point.data)?;
        let start_ms = i64::try_from(point.start_ns / 1_000_000).ok().filter(|start_ms| *start_ms != 0);
        let time_ms = Some(time_ms).filter(|time_ms| *time_ms != 0);
        let is_delta = temporality == Temporality::Delta;
        // They are added up: one that is none would spoil the sum for good.
        if is_delta && parts.iter().any(|part| !part.value.is_finite() || (kind == Kind::Counter && part.value < 0.0)) {
            return Err("what came since the last point is a finite number, and of a monotonic sum none below 0");
        }
        let (help, unit) = (help.to_owned(), unit.to_owned());
        let mut exemplars: Vec<_> = point.exemplars.iter().filter_map(Seen::exemplar).collect();
        order::sort_by_key(&mut exemplars, |exemplar| exemplar.time_ms);
        Ok(GivenItem { kind, help, unit, labels, parts, time_ms, is_delta, start_ms, exponential, exemplars })
    }

    fn add(&mut self, name: &str, item: GivenItem) {
        let labels = item.labels.iter().map(|(name, value)| format!("{}:{name}{}:{value}", name.len(), value.len()));
        let key = format!("{}|{}:{name}|{}", self.at, name.len(), labels.collect::<String>());
        let items = &mut self.given[self.at].items;
        let Some(at) = self.items.get(&key).copied() else {
            self.items.insert(key, items.len());
            return items.push(item);
        };
        // Several points of one series: what came since each of them adds up, of others the newest counts.
        let known = &mut items[at];
        let is_alike = known.parts.len() == item.parts.len()
            && known.parts.iter().zip(&item.parts).all(|(a, b)| (&a.name, &a.own) == (&b.name, &b.own));
        let is_newer = item.time_ms >= known.time_ms;
        let is_delta = item.is_delta && known.is_delta;
        if let (Some(before), Some(own), true) = (&known.exponential, &item.exponential, is_delta) {
            let mut sum = own.clone();
            sum.follow(before, true);
            known.parts = GivenPart::of_exponential(name, &sum);
            known.exponential = Some(sum);
            known.time_ms = known.time_ms.max(item.time_ms);
            known.start_ms = known.start_ms.min(item.start_ms);
            known.exemplars.extend(item.exemplars);
            return;
        }
        if is_delta && is_alike && known.exponential.is_none() && item.exponential.is_none() {
            known.parts.iter_mut().zip(&item.parts).for_each(|(known, part)| known.value += part.value);
            known.time_ms = known.time_ms.max(item.time_ms);
            known.start_ms = known.start_ms.min(item.start_ms);
            known.exemplars.extend(item.exemplars);
            return;
        }
        if is_newer {
            *known = item;
        }
        self.reject(1, || format!("{name}: of several points of a series the newest is taken"));
    }
}

/// An item that says nothing yet.
fn item(kind: Kind) -> GivenItem {
    let (help, unit, labels, parts) = (String::new(), String::new(), Vec::new(), Vec::new());
    GivenItem {
        kind,
        help,
        unit,
        labels,
        parts,
        time_ms: None,
        is_delta: false,
        start_ms: None,
        exponential: None,
        exemplars: Vec::new(),
    }
}

/// The series of a point, and what they are made of where that is an exponential histogram.
fn parts(name: &str, data: &Data) -> Result<(Vec<GivenPart>, Option<Box<Exponential>>), &'static str> {
    let part = |suffix: &str, own, value| GivenPart { name: format!("{name}{suffix}"), own, value };
    let parts = match data {
        Data::None => return Err("a point has no number"),
        Data::Number(value) => vec![part("", None, *value)],
        Data::Histogram { count, sum, counts, bounds } => {
            if !counts.is_empty() && counts.len() != bounds.len() + 1 {
                return Err("a histogram has one bucket more than bounds");
            }
            if !bounds.is_sorted_by(|a, b| a < b) {
                return Err("the bounds of a histogram ascend");
            }
            if !counts.is_empty() && !add_up(counts, *count) {
                return Err("the buckets of a histogram add up to its count");
            }
            let mut sum_up = 0_u64;
            let mut parts: Vec<GivenPart> = Vec::with_capacity(bounds.len() + 3);
            for (bound, count) in bounds.iter().zip(counts).filter(|(bound, _)| bound.is_finite()) {
                sum_up = sum_up.saturating_add(*count);
                parts.push(GivenPart::bucket(name, *bound, sum_up));
            }
            parts.extend(GivenPart::totals(name, *count, *sum));
            parts
        }
        Data::Exponential(sent) => {
            let one = Exponential::new(sent)?;
            if !add_up([&sent.zero].into_iter().chain(&sent.positive.counts).chain(&sent.negative.counts), sent.count) {
                return Err("the buckets of an exponential histogram add up to its count");
            }
            return Ok((GivenPart::of_exponential(name, &one), Some(Box::new(one))));
        }
        Data::Summary { count, sum, quantiles } => {
            let mut parts: Vec<GivenPart> = Vec::with_capacity(quantiles.len() + 2);
            for (quantile, value) in quantiles {
                let own = Some(("quantile", quantile.to_string()));
                if parts.iter().any(|part| part.own == own) {
                    return Err("a quantile of a summary stands twice");
                }
                parts.push(part("", own, *value));
            }
            parts.extend([part("_sum", None, *sum), part("_count", None, *count as f64)]);
            parts
        }
    };
    Ok((parts, None))
}

/// Whether what buckets hold is `count` together. Numbers too large to be added up are none that were counted.
fn add_up<'c>(counts: impl IntoIterator<Item = &'c u64>, count: u64) -> bool {
    counts.into_iter().try_fold(0_u64, |sum, count| sum.checked_add(*count)) == Some(count)
}

/// Attributes as labels; none where there are too many, or too large ones. `own` is called otherwise.
fn labels_of(attributes: &[Attribute], own: &str) -> Option<Vec<(String, String)>> {
    let mut labels: Vec<(String, String)> = Vec::with_capacity(attributes.len());
    for (key, value) in attributes {
        let value = text_of(value);
        if !fits(key, &value, labels.len()) {
            return None;
        }
        // Of two of one name the first counts.
        if !key.is_empty() && !value.is_empty() && labels.iter().all(|(name, _)| **name != **key) {
            let is_taken = !own.is_empty() && **key == *own || **key == *"__name__";
            let name = if is_taken { format!("exported_{key}") } else { key.to_string() };
            labels.push((name, value));
        }
    }
    settle_labels(&mut labels);
    Some(labels)
}

#[cfg(test)]
mod tests;
