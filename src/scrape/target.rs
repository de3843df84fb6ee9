//! One target: its page of the last time, its series, and one scrape after the other.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use log::Level;

use super::fetch::{Failure, Fetcher};
use super::json::Json;
use super::labels::{attributes, json_labels, own_labels};
use super::page_format::format_of;
use super::reading_table::ReadingTable;
use super::said::{About, Said};
use super::series::{self, Known, Left, Manner, Shapes, Taker};
use super::settings::{PageFormat, Settings};
use super::staged::{Passed, Staged};
use crate::exposition::{Format, Page};
use crate::host::monotonic;
use crate::model::{Family, Frame, Item, Label, Labels, Learnt, Recorder, ViewSlots};
use crate::shaping::Rules;
use crate::telemetry::{Causes, EndpointState, EndpointStatus, Scrape, ScrapeCounts, ScrapeDrop, ScrapeFailure};

/// The same trouble is said once in this time.
const SAID_EVERY: Duration = Duration::from_secs(3600);

/// What all targets have in common.
#[derive(Clone, Debug)]
pub struct Context {
    /// Room for the views of destinations.
    pub views: ViewSlots,
    /// Says to a metricsd that it asks itself.
    pub own: Arc<str>,
    /// What scrapes came to.
    pub counts: Arc<ScrapeCounts>,
    /// What the log says of them.
    pub said: Arc<Said>,
    /// What their series are readings of.
    pub readings: Arc<ReadingTable>,
}

/// A target with all that is kept of it.
pub struct Target {
    settings: Arc<Settings>,
    status: Arc<EndpointStatus>,
    fetcher: Fetcher,
    reader: Reader,
    /// Its rules that need to know nothing but a series; none: it has no rules at all.
    transforms: Option<Rules>,
    /// Those from the first one on that does; none: it has no such rules.
    staged: Option<Box<Staged>>,
    out: Recorder,
    own: Own,
    /// How large its last page was.
    bytes: usize,
    /// The last scrape failed, so that its series have ended.
    has_ended: bool,
    /// What is said of its failures, until it answers again.
    causes: Causes,
    /// What is said of its pages.
    notes: Causes,
    context: Context,
}

/// What a scrape came to.
pub struct Scraped {
    /// Also of one that failed: its `up` is 0.
    pub frame: Frame,
    /// What its rules have gathered, in windows that have ended.
    pub gathered: Vec<Frame>,
    /// It took too long.
    pub timed_out: bool,
}

impl Scraped {
    /// All its frames.
    pub fn frames(self) -> impl Iterator<Item = Frame> {
        // A window ends before the scrape that closes it.
        self.gathered.into_iter().chain([self.frame])
    }
}

/// What reads its page, with what it keeps of it.
enum Reader {
    /// Nobody knows yet what the page is.
    Unknown,
    Text(Box<Text>),
    Json(Json),
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

static OWN: [Family<'static>; 6] = [
    Family::gauge("up", "", "Whether the last scrape gave its page."),
    Family::gauge("scrape_duration_seconds", "seconds", "How long the scrape took."),
    Family::gauge("scrape_samples_scraped", "", "Samples on the page."),
    Family::gauge("scrape_samples_post_metric_relabeling", "", "Samples that the endpoint's rules have left."),
    Family::gauge("scrape_series_added", "", "Series that the last page did not have."),
    Family::gauge("scrape_response_bytes", "bytes", "Size of the page, unpacked."),
];

/// Their readings where all their labels are those of all series, which the recorder adds.
static PLAIN: LazyLock<[Arc<Learnt>; 6]> =
    LazyLock::new(|| OWN.each_ref().map(|family| Arc::new(Learnt::everywhere(*family, &[]))));

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
    pub fn new(settings: Arc<Settings>, context: &Context) -> Target {
        let is_json = settings.format == PageFormat::Json;
        let staged = Staged::new(&settings, &context.views).map(Box::new);
        let status = EndpointStatus::new(Arc::clone(&settings.name));
        let status = status.with_rules(staged.iter().flat_map(|staged| staged.places()));
        let (out, own) = recorder(&settings, is_json, &context.views);
        Target {
            fetcher: Fetcher::new(Arc::clone(&settings), &context.own),
            reader: Reader::Unknown,
            transforms: (!settings.transforms.is_empty()).then(|| settings.transforms.split_at_state().0),
            staged,
            out,
            own,
            settings,
            status: Arc::new(status),
            bytes: 0,
            has_ended: true,
            causes: Causes::new(SAID_EVERY),
            notes: Causes::new(SAID_EVERY),
            context: context.clone(),
        }
    }

    /// The same target with nothing kept: a bug may have left it half-way.
    pub fn anew(&self) -> Target {
        let status = Arc::clone(&self.status);
        Target { status, ..Target::new(Arc::clone(&self.settings), &self.context) }
    }

    /// How it is.
    pub fn status(&self) -> &Arc<EndpointStatus> {
        &self.status
    }

    /// Goes on with what the rules of `before` knew, which is the same endpoint as it was before a reload.
    pub fn take_over(&mut self, before: Target) {
        if let (Some(staged), Some(before)) = (&mut self.staged, before.staged) {
            staged.take_over(*before);
        }
    }

    /// Whether it has rules that know something.
    pub fn is_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// How large its last page was, unpacked.
    pub fn page_bytes(&self) -> usize {
        self.bytes
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Asks for the page, at `time_ms` of the wall clock. `body` is room for it, of whoever asks.
    pub fn scrape(&mut self, time_ms: i64, body: &mut Vec<u8>) -> Scraped {
        let begun = monotonic();
        let fetched = self.fetcher.fetch(body);
        let bytes = body.len();
        let read = fetched.and_then(|content_type| self.read(&content_type, time_ms, body));
        let took = monotonic().saturating_sub(begun);
        self.bytes = bytes;
        match read {
            Ok((taken, page)) => {
                self.has_ended = false;
                let (taken, ruled_out, gathered) = self.pass(time_ms, Taken { bytes, ..taken });
                let frame = self.frame(time_ms, 1.0, took, taken);
                self.number(&page);
                let left = page.left;
                let refused = self.staged.as_mut().map_or(&mut self.out, |staged| &mut staged.before).take_refused();
                let left = Left { twice: left.twice + refused.duplicate, ..left };
                let counts = &self.context.counts;
                counts.drop_samples(ScrapeDrop::Duplicate, left.twice);
                counts.drop_samples(ScrapeDrop::Untimely, left.untimely);
                counts.drop_samples(ScrapeDrop::Transforms, ruled_out);
                self.tell(EndpointState::Ok, time_ms, took, taken.samples, note(left));
                Scraped { frame, gathered, timed_out: false }
            }
            Err(failure) => {
                let timed_out = failure.kind == ScrapeFailure::Timeout;
                Scraped { timed_out, ..self.failed(failure, time_ms, took) }
            }
        }
    }

    /// Its turn did not come.
    pub fn waits(&mut self, time_ms: i64) -> Scraped {
        let why = "waiting: all threads are asking endpoints that do not answer";
        self.failed(Failure::new(ScrapeFailure::Waiting, why), time_ms, Duration::ZERO)
    }

    /// Its scrape met a bug.
    pub fn met_a_bug(&mut self, time_ms: i64) -> Scraped {
        self.failed(Failure::new(ScrapeFailure::Bug, "a bug of metricsd"), time_ms, Duration::ZERO)
    }

    fn failed(&mut self, Failure { kind, why }: Failure, time_ms: i64, took: Duration) -> Scraped {
        let is_waiting = kind == ScrapeFailure::Waiting;
        let state = if is_waiting { EndpointState::Waiting } else { EndpointState::Failed };
        self.context.counts.fail(kind);
        self.out.discard();
        if let Some(staged) = &mut self.staged {
            staged.before.discard();
        }
        self.has_ended = true;
        // Its series are gone from the recorder, and with them their numbers.
        if let Reader::Text(text) = &mut self.reader {
            text.page.clear();
        }
        self.tell(state, time_ms, took, 0, Some(why));
        // Of nothing nothing is left, but windows end all the same.
        let (taken, _, gathered) = self.pass(time_ms, Taken::default());
        Scraped { frame: self.frame(time_ms, 0.0, took, taken), gathered, timed_out: false }
    }

    /// Brings what has been taken through the rules that know something: what that leaves of it, how many samples
    /// rules have dropped in all, and what they have gathered.
    fn pass(&mut self, time_ms: i64, taken: Taken) -> (Taken, u64, Vec<Frame>) {
        let dropped = (taken.samples - taken.kept) as u64;
        let Some(staged) = &mut self.staged else { return (taken, dropped, Vec::new()) };
        let Passed { samples, gathered } = staged.pass(time_ms, &mut self.out);
        self.status.rules_dropped(staged.dropped());
        let dropped = dropped + staged.dropped().iter().sum::<u64>();
        if let Some(rule) = staged.take_overfull() {
            let line = format!(
                "endpoint {}: transforms[{rule}] gathers as many series as it can; the others are left out, and \
                 counted in metricsd_transform_dropped_total",
                self.settings.name
            );
            self.say(About::Trouble, Level::Warn, &line);
        }
        (Taken { kept: samples, ..taken }, dropped, gathered)
    }

    /// Takes note of a scrape, and says what is new about it.
    fn tell(&mut self, state: EndpointState, time_ms: i64, duration: Duration, samples: usize, error: Option<String>) {
        let name = &self.settings.name;
        // Of those that wait there are many at a time: the pool says so.
        if let Some(why) = error.as_ref().filter(|_| state != EndpointState::Waiting) {
            // What there is to say of a page is no news because the target was away.
            let said = if state == EndpointState::Ok { &mut self.notes } else { &mut self.causes };
            if let Some(hidden) = said.pass(why, monotonic()) {
                let more = if hidden > 0 { format!(" ({hidden} more since the last line)") } else { String::new() };
                let line = match state {
                    EndpointState::Ok => format!("endpoint {name}: {why}{more}"),
                    _ => format!("endpoint {name}: {why}; it is asked again each {:?}{more}", self.settings.interval),
                };
                self.say(About::Trouble, Level::Warn, &line);
            }
        }
        let before = self.status.ended(Scrape { state, time_ms, duration, samples, error });
        if state == EndpointState::Ok && before.state != EndpointState::Ok {
            self.causes.reset();
            let line = format!("endpoint {name}: {samples} samples in {:.3} s", duration.as_secs_f64());
            self.say(About::Well, Level::Info, &line);
        }
    }

    /// Says `line` in the log, or, where there are too many about other targets, only for those that look closely.
    pub fn say(&self, about: About, level: Level, line: &str) {
        let passes = self.context.said.pass(about, &self.settings.name, monotonic());
        log::log!(if passes { level } else { Level::Debug }, "{line}");
    }

    /// The frame of a scrape, whose samples the recorder has.
    fn frame(&mut self, time_ms: i64, up: f64, took: Duration, taken: Taken) -> Frame {
        let values =
            [up, took.as_secs_f64(), taken.samples as f64, taken.kept as f64, taken.fresh as f64, taken.bytes as f64];
        let mut item = self.out.item(&self.own.item);
        self.own.readings.iter().zip(values).for_each(|(reading, value)| item.push_learnt(reading, value));
        drop(item);
        self.out.finish(time_ms)
    }

    /// Knows the series of the page that was taken by their numbers from now on.
    fn number(&mut self, page: &series::Taken) {
        let out = self.staged.as_ref().map_or(&self.out, |staged| &staged.before);
        if let Reader::Text(text) = &mut self.reader {
            if !page.number(text.page.known_mut(), out.last_round()) {
                text.page.clear();
            }
        }
    }

    /// Reads the page in `body`; what it held, and what came of its samples.
    fn read(
        &mut self,
        content_type: &str,
        time_ms: i64,
        body: &mut Vec<u8>,
    ) -> Result<(Taken, series::Taken), Failure> {
        let format = format_of(self.settings.format, content_type, body).map_err(Failure::page)?;
        self.expect(format.is_none());
        let limits = &self.settings.limits.page;
        let (mut taken, mut page_taken) = (Taken::default(), series::Taken::default());
        let out = self.staged.as_mut().map_or(&mut self.out, |staged| &mut staged.before);
        match &mut self.reader {
            Reader::Text(text) => {
                let Text { page, manner, shapes } = &mut **text;
                let mut taker = Taker::new(out, manner, shapes, time_ms);
                let read = page.read(body, format.unwrap_or(Format::Text), limits, &mut taker);
                let read = read.map_err(|flaw| Failure::page(format!("the page cannot be read: {flaw}")))?;
                page_taken = taker.finish();
                taken.kept = page_taken.given as usize;
                (taken.samples, taken.fresh) = (read.samples, read.fresh);
                if shapes.tidy(read.samples) {
                    page.clear();
                }
            }
            Reader::Json(json) => {
                let read =
                    json.read(body, limits, &self.settings, self.transforms.as_ref(), out).map_err(Failure::page)?;
                (taken.samples, taken.kept, taken.fresh) = (read.samples, read.kept, read.fresh);
            }
            Reader::Unknown => {}
        }
        if self.has_ended {
            taken.fresh = taken.samples;
        }
        Ok((taken, page_taken))
    }

    /// The page is JSON, or text. Where it was the other one, or nobody knew, all is new.
    fn expect(&mut self, is_json: bool) {
        match (&self.reader, is_json) {
            (Reader::Json(_), true) | (Reader::Text(_), false) => return,
            _ => {}
        }
        let settings = &*self.settings;
        (self.out, self.own) = recorder(settings, is_json, &self.context.views);
        match &mut self.staged {
            Some(staged) => staged.expect(settings, is_json),
            None => self.out.know_by_number(!is_json),
        }
        self.has_ended = true;
        self.reader = if is_json {
            Reader::Json(Json::default())
        } else {
            let shapes = Shapes::new(Arc::clone(&self.context.readings));
            let manner = Manner {
                labels: own_labels(settings, false),
                transforms: self.transforms.clone(),
                honor_labels: settings.honor_labels,
                prefix: settings.metric_prefix.to_string(),
                honor_timestamps: settings.honor_timestamps,
            };
            Reader::Text(Box::new(Text { page: Page::default(), manner, shapes }))
        };
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

impl Own {
    /// With these labels, where the recorder does not add them.
    fn new(labels: Option<&Labels>) -> Own {
        let labelled = |labels: &Labels| {
            let labels: Vec<Label<'_>> = labels.iter().map(|(name, value)| Label::Constant { name, value }).collect();
            OWN.each_ref().map(|family| Arc::new(Learnt::everywhere(*family, &labels)))
        };
        let readings = labels.map_or_else(|| PLAIN.clone(), labelled);
        // No series on a page has an item of this kind.
        Own { item: Item::of_kind("scrape", &[]), readings }
    }
}

/// Its series, and what it says of itself, are no more than the limit of samples lets through.
fn recorder(settings: &Settings, is_json: bool, views: &ViewSlots) -> (Recorder, Own) {
    let most = settings.limits.page.samples + OWN.len();
    let labels = own_labels(settings, is_json);
    let (of_all, own) = match (settings.transforms.is_empty(), is_json) {
        // Rules may take them away, so that they are the series' own then.
        (false, _) => (Labels::EMPTY, Own::new(Some(&labels))),
        (true, true) => (json_labels(settings), Own::new(Some(&labels))),
        (true, false) => (labels, Own::new(None)),
    };
    let out = Recorder::new(settings.source(), most).with_labels(of_all).with_slots(views);
    (out.with_attributes(attributes(settings)).of_unknown_start(), own)
}
