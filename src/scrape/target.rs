//! One target: its page of the last time, its series, and one scrape after the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::fetch::{Failure, Fetcher};
use super::series::{Known, Left, Manner, Shapes, Taker};
use super::settings::{PageFormat, Settings};
use crate::exposition::{self, Flaw, Format, Page, json};
use crate::host::monotonic;
use crate::model::{Family, Frame, Item, Label, Labels, Learnt, Recorder, ViewSlots};
use crate::shaping::{self, Outcome};
use crate::telemetry::{Causes, EndpointState, EndpointStatus, Scrape};

/// The same trouble is said once in this time.
const SAID_EVERY: Duration = Duration::from_secs(3600);

/// A page's memory is given back to the system above this; below it is kept for the next page.
const KEPT_BODY: usize = 64 << 10;

/// What all targets have in common.
#[derive(Clone, Debug)]
pub struct Context {
    /// Room for the views of destinations.
    pub views: ViewSlots,
    /// Says to a metricsd that it asks itself.
    pub own: String,
}

/// The source's name of the endpoint `name`: no collector's name has a slash.
pub fn source_of(name: &str) -> Arc<str> {
    format!("endpoints/{name}").into()
}

/// A target with all that is kept of it.
pub struct Target {
    settings: Arc<Settings>,
    status: Arc<EndpointStatus>,
    fetcher: Fetcher,
    body: Vec<u8>,
    /// None as long as it is not known whether it gives JSON or text.
    reader: Option<Reader>,
    /// For what is said while it is not.
    unknown: Own,
    /// The last scrape failed, so that its series have ended.
    has_ended: bool,
    causes: Causes,
    views: ViewSlots,
}

/// What a scrape came to.
pub struct Scraped {
    /// Also of one that failed: its `up` is 0.
    pub frame: Frame,
    /// It took too long.
    pub timed_out: bool,
}

/// What reads its page, and what of it is kept.
struct Reader {
    of: Of,
    out: Recorder,
    own: Own,
}

enum Of {
    Text(Box<Text>),
    Json { known: HashMap<Box<str>, Option<(Item, Arc<Learnt>)>> },
}

struct Text {
    page: Page<Known>,
    manner: Manner,
    shapes: Shapes,
}

/// What a scrape says of itself.
struct Own {
    item: Item,
    readings: [Arc<Learnt>; 6],
}

const UP: usize = 0;
static OWN: [Family<'static>; 6] = [
    Family::gauge("up", "", "Whether the last scrape gave its page."),
    Family::gauge("scrape_duration_seconds", "seconds", "How long the scrape took."),
    Family::gauge("scrape_samples_scraped", "", "Samples on the page."),
    Family::gauge("scrape_samples_post_metric_relabeling", "", "Samples that the endpoint's rules have left."),
    Family::gauge("scrape_series_added", "", "Series that the last page did not have."),
    Family::gauge("scrape_response_bytes", "bytes", "Size of the page, unpacked."),
];

/// What a page held.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    samples: usize,
    kept: usize,
    fresh: usize,
    bytes: usize,
}

impl Target {
    /// Asks nobody yet.
    pub fn new(settings: Arc<Settings>, status: Arc<EndpointStatus>, context: &Context) -> Target {
        let unknown = Own::new(&own_labels(&settings, settings.format == PageFormat::Json));
        Target {
            fetcher: Fetcher::new(Arc::clone(&settings), &context.own),
            settings,
            status,
            body: Vec::new(),
            reader: None,
            unknown,
            has_ended: true,
            causes: Causes::new(SAID_EVERY),
            views: context.views.clone(),
        }
    }

    /// The same target with nothing kept: a bug may have left it half-way.
    pub fn anew(&self, context: &Context) -> Target {
        Target::new(Arc::clone(&self.settings), Arc::clone(&self.status), context)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Asks for the page, at `time_ms` of the wall clock.
    pub fn scrape(&mut self, time_ms: i64, _: &Context) -> Scraped {
        let begun = monotonic();
        let fetched = self.fetcher.fetch(&mut self.body);
        let bytes = self.body.len();
        let read = fetched.and_then(|content_type| self.read(&content_type, time_ms));
        let took = monotonic().saturating_sub(begun);
        if self.body.capacity() > KEPT_BODY {
            self.body = Vec::new();
        }
        match read {
            Ok((taken, left)) => {
                let taken = Taken { bytes, ..taken };
                self.has_ended = false;
                let frame = self.frame(time_ms, 1.0, took, taken);
                let refused = self.reader.as_mut().map(|reader| reader.out.take_refused()).unwrap_or_default();
                let left = Left { twice: left.twice + refused.duplicate, ..left };
                self.tell(EndpointState::Ok, time_ms, took, taken.samples, note(left));
                Scraped { frame, timed_out: false }
            }
            Err(Failure { why, timed_out }) => {
                let frame = self.failed(EndpointState::Failed, why, time_ms, took);
                Scraped { frame, timed_out }
            }
        }
    }

    /// Its turn did not come.
    pub fn waits(&mut self, time_ms: i64) -> Frame {
        let why = "waiting: all threads are asking endpoints that do not answer".to_owned();
        self.failed(EndpointState::Waiting, why, time_ms, Duration::ZERO)
    }

    /// A scrape has come to nothing for this reason.
    pub fn missed(&mut self, why: &str, time_ms: i64) -> Frame {
        self.failed(EndpointState::Failed, why.to_owned(), time_ms, Duration::ZERO)
    }

    fn failed(&mut self, state: EndpointState, why: String, time_ms: i64, took: Duration) -> Frame {
        if let Some(reader) = &mut self.reader {
            reader.out.discard();
        }
        self.has_ended = true;
        self.tell(state, time_ms, took, 0, Some(why));
        self.frame(time_ms, 0.0, took, Taken::default())
    }

    /// Takes note of a scrape, and says what is new about it.
    fn tell(&mut self, state: EndpointState, time_ms: i64, duration: Duration, samples: usize, error: Option<String>) {
        let name = &self.settings.name;
        // Of those that wait there are many at a time: the pool says so.
        if let Some(why) = error.as_ref().filter(|_| state != EndpointState::Waiting) {
            if let Some(hidden) = self.causes.pass(why, monotonic()) {
                let more = if hidden > 0 { format!(" ({hidden} more since the last line)") } else { String::new() };
                match state {
                    EndpointState::Ok => log::warn!("endpoint {name}: {why}{more}"),
                    _ => {
                        log::warn!("endpoint {name}: {why}; it is asked again each {:?}{more}", self.settings.interval)
                    }
                }
            }
        }
        let before = self.status.ended(Scrape { state, time_ms, duration, samples, error });
        if state == EndpointState::Ok && before.state != EndpointState::Ok {
            self.causes = Causes::new(SAID_EVERY);
            log::info!("endpoint {name}: {samples} samples in {:.3} s", duration.as_secs_f64());
        }
    }

    /// The frame of a scrape, whose samples the recorder has.
    fn frame(&mut self, time_ms: i64, up: f64, took: Duration, taken: Taken) -> Frame {
        let source = source_of(&self.settings.name);
        let mut first = None;
        let (out, own) = match &mut self.reader {
            Some(reader) => (&mut reader.out, &reader.own),
            None => (first.insert(recorder(source, &self.settings, Labels::EMPTY, &self.views)), &self.unknown),
        };
        let values =
            [up, took.as_secs_f64(), taken.samples as f64, taken.kept as f64, taken.fresh as f64, taken.bytes as f64];
        let mut item = out.item(&own.item);
        own.readings.iter().zip(values).for_each(|(reading, value)| item.push_learnt(reading, value));
        drop(item);
        out.finish(time_ms)
    }

    /// Reads the page in `body`; what it held, and what of it was not taken.
    fn read(&mut self, content_type: &str, time_ms: i64) -> Result<(Taken, Left), Failure> {
        let settings = &self.settings;
        let format = format_of(settings.format, content_type, &self.body).map_err(Failure::new)?;
        let is_json = format.is_none();
        if self.reader.as_ref().is_none_or(|reader| matches!(reader.of, Of::Json { .. }) != is_json) {
            self.reader = Some(Reader::new(settings, is_json, &self.views));
            self.has_ended = true;
        }
        let Some(Reader { of, out, .. }) = &mut self.reader else { return Err(Failure::new("no reader")) };
        let limits = exposition::Limits {
            samples: settings.limits.samples,
            labels: settings.limits.labels,
            label_name_bytes: settings.limits.label_name_bytes,
            label_value_bytes: settings.limits.label_value_bytes,
        };
        let flawed = |flaw: Flaw| Failure::new(format!("the page cannot be read: {flaw}"));
        let (mut taken, mut left) = (Taken::default(), Left::default());
        match (of, format) {
            (Of::Text(text), Some(format)) => {
                let Text { page, manner, shapes } = &mut **text;
                let mut taker = Taker::new(out, manner, shapes, time_ms);
                let read = page.read(&mut self.body, format, &limits, &mut taker).map_err(flawed)?;
                (taken.kept, left) = taker.finish();
                (taken.samples, taken.fresh) = (read.samples, read.fresh);
                shapes.tidy(read.samples);
            }
            (Of::Json { known }, _) => {
                let (mut fresh, mut kept) = (0, 0);
                let json = JsonManner { settings };
                let samples = json::read(&self.body, &limits, &mut |name, value| {
                    if !known.contains_key(name) {
                        fresh += 1;
                        known.insert(name.into(), json.series(name));
                    }
                    if let Some(Some((item, reading))) = known.get(name) {
                        kept += 1;
                        out.item(item).push_learnt(reading, value);
                    }
                });
                (taken.samples, taken.fresh, taken.kept) = (samples.map_err(Failure::new)?, fresh, kept);
                // Keys that come and go for ever are not kept for ever.
                if known.len() > 2 * taken.samples + 1000 {
                    known.clear();
                }
            }
            (Of::Text(_), None) => return Err(Failure::new("no reader")),
        }
        if self.has_ended {
            taken.fresh = taken.samples;
        }
        Ok((taken, left))
    }
}

/// What there is to say of a page that was taken.
fn note(left: Left) -> Option<String> {
    let twice = (left.twice > 0).then(|| format!("{} series come twice: the first of each is taken", left.twice));
    let untimely = (left.untimely > 0).then(|| {
        format!("{} samples say to be of more than an hour ago or of times to come: they are not taken", left.untimely)
    });
    let notes: Vec<String> = twice.into_iter().chain(untimely).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

impl Reader {
    fn new(settings: &Settings, is_json: bool, views: &ViewSlots) -> Reader {
        let labels = own_labels(settings, is_json);
        let own = Own::new(&labels);
        let source = source_of(&settings.name);
        if is_json {
            let labels = if settings.transforms.is_empty() { json_labels(settings) } else { Labels::EMPTY };
            let out = recorder(source, settings, labels, views);
            return Reader { of: Of::Json { known: HashMap::new() }, out, own };
        }
        let transforms = settings.transforms.clone();
        let of_all = if transforms.is_empty() { labels.clone() } else { Labels::EMPTY };
        let out = recorder(source, settings, of_all, views);
        let manner = Manner {
            labels,
            transforms,
            honor_labels: settings.honor_labels,
            prefix: settings.metric_prefix.clone(),
            honor_timestamps: settings.honor_timestamps,
        };
        let text = Text { page: Page::default(), manner, shapes: Shapes::default() };
        Reader { of: Of::Text(Box::new(text)), out, own }
    }
}

impl Own {
    fn new(labels: &Labels) -> Own {
        let labels: Vec<Label<'_>> = labels.iter().map(|(name, value)| Label::Constant { name, value }).collect();
        let readings = OWN.each_ref().map(|family| Arc::new(Learnt::everywhere(*family, &labels)));
        debug_assert_eq!(OWN[UP].name, "up");
        // No series on a page has an item of this kind.
        Own { item: Item::of_kind("scrape", &[]), readings }
    }
}

/// Its series, and what it says of itself, are no more than the limit of samples lets through.
fn recorder(source: Arc<str>, settings: &Settings, labels: Labels, views: &ViewSlots) -> Recorder {
    let most = settings.limits.samples + OWN.len();
    Recorder::new(source, most).with_labels(labels).with_slots(views).of_unknown_start()
}

/// The labels of `up` and its like; of a text's series as well.
fn own_labels(settings: &Settings, is_json: bool) -> Labels {
    let mut more = vec![("job", &*settings.job), ("instance", &*settings.instance)];
    if is_json {
        more.push(("endpoint", &settings.name));
    }
    with(&settings.labels, &more)
}

/// `labels`, and those of `more` that are not among them.
fn with(labels: &Labels, more: &[(&str, &str)]) -> Labels {
    let more = more.iter().copied().filter(|(name, _)| labels.get(name).is_none());
    Labels::new(labels.iter().chain(more)).unwrap_or(Labels::EMPTY)
}

/// How the numbers of a JSON object become series.
struct JsonManner<'s> {
    settings: &'s Settings,
}

impl JsonManner<'_> {
    /// The series of that name; none: rules drop it.
    fn series(&self, name: &str) -> Option<(Item, Arc<Learnt>)> {
        let whole = [&*self.settings.metric_prefix, name].concat();
        if self.settings.transforms.is_empty() {
            let family = Family::gauge(&whole, "", "");
            return Some((Item::new(&[&whole]), Arc::new(Learnt::everywhere(family, &[]))));
        }
        let mut series = shaping::Series::default();
        series.begin(&whole);
        json_labels(self.settings).iter().for_each(|(name, value)| series.set(name, value));
        if !matches!(self.settings.transforms.apply(&mut series), Outcome::Kept { .. }) {
            return None;
        }
        let labels: Vec<Label<'_>> = series.labels().map(|(name, value)| Label::Constant { name, value }).collect();
        let key: Vec<&str> = [series.name()].into_iter().chain(series.labels().flat_map(|(n, v)| [n, v])).collect();
        let reading = Learnt::everywhere(Family::gauge(series.name(), "", ""), &labels).scaled(series.factor());
        Some((Item::new(&key), Arc::new(reading)))
    }
}

/// The labels of a JSON object's series: `endpoint`, and those of the endpoint.
fn json_labels(settings: &Settings) -> Labels {
    with(&settings.labels, &[("endpoint", &settings.name)])
}

/// How a page is read: as text of this format, or as JSON (none).
fn format_of(asked: PageFormat, content_type: &str, body: &[u8]) -> Result<Option<Format>, String> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    Ok(match asked {
        PageFormat::Json => None,
        PageFormat::Prometheus => Some(Format::Text),
        PageFormat::OpenMetrics => Some(Format::OpenMetrics),
        PageFormat::Auto => match media {
            "application/openmetrics-text" => Some(Format::OpenMetrics),
            "text/plain" if content_type.contains("version=0.0.4") => Some(Format::Text),
            // Servers label JSON as they like.
            _ => match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'{') if !looks_like_a_quoted_series(body) => None,
                Some(b'<') => {
                    return Err(format!("is no page of metrics: it is HTML or XML ({media})"));
                }
                _ => Some(Format::Text),
            },
        },
    })
}

/// A line of Prometheus text may begin with a brace (`{"a.b"} 1`); a JSON object has a colon or its
/// end behind its first string.
fn looks_like_a_quoted_series(body: &[u8]) -> bool {
    let mut rest = body.iter().copied().skip_while(|byte| *byte != b'{').skip(1).skip_while(u8::is_ascii_whitespace);
    if rest.next() != Some(b'"') {
        return false;
    }
    let mut escaped = false;
    for byte in rest.by_ref() {
        match byte {
            b'"' if !escaped => break,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    matches!(rest.find(|byte| !byte.is_ascii_whitespace()), Some(b'}' | b','))
}
