//! Pushes of metrics: each application, by job and instance, is a source, which gives a frame with each
//! push. A push ends nothing by what it lacks; what has not come for a while ends.

mod application;
mod exponential;
mod given;
pub mod otlp;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use application::{Application, Plan, Size};
use given::Given;
pub use given::Refused;
use otlp::Rejected;

use super::fields::PushSettings;
use super::otlp::Encoding;
use crate::model::{Frame, ViewSlots};
use crate::telemetry::PushCounts;

/// Stands for the sources of all applications in a roster: their names begin with `push/`.
pub const SOURCES: &str = "push/*";

/// Applications at most: each is a source, which whoever sends or shows it walks through.
const MAX_APPLICATIONS: usize = 1000;

/// What all labels that are kept may take, in what one push may.
const MAX_TEXT: usize = 4;

/// What has not come is looked for so often in the time that it may stay away.
const LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All that is pushed.
pub struct Pushed {
    settings: PushSettings,
    views: ViewSlots,
    applications: BTreeMap<Arc<str>, Application>,
    size: Size,
    counts: Arc<PushCounts>,
    /// When it is looked next for what has ended, CLOCK_MONOTONIC.
    look: Duration,
    /// Since when pushes are taken, in wall-clock milliseconds.
    begun_ms: i64,
}

impl Pushed {
    /// Nothing yet. It is `now_ms` of the wall clock.
    pub fn new(settings: PushSettings, views: &ViewSlots, counts: &Arc<PushCounts>, now_ms: i64) -> Pushed {
        Pushed {
            settings,
            views: views.clone(),
            applications: BTreeMap::new(),
            size: Size::default(),
            counts: Arc::clone(counts),
            look: Duration::ZERO,
            begun_ms: now_ms,
        }
    }

    /// From now on these are the settings.
    pub fn change_to(&mut self, settings: PushSettings) {
        self.settings = settings;
        self.look = Duration::ZERO;
    }

    /// Takes a page of Prometheus text, not packed any more, that comes at `now` (CLOCK_MONOTONIC) or
    /// `time_ms` of the wall clock. Its frame; none where there is nothing in it.
    pub fn text(
        &mut self,
        query: &str,
        content_type: &str,
        page: &[u8],
        now: Duration,
        time_ms: i64,
    ) -> Result<Vec<Frame>, Refused> {
        let PushSettings { max_bytes, max_series, .. } = self.settings;
        let given = text::read(query, content_type, page, max_bytes, max_series, time_ms)?;
        self.take(vec![given], now, time_ms)
    }

    /// Takes a request of OTLP, not packed any more, likewise. Its frames, what of it is not taken, and whether
    /// something in it is summed up here.
    pub fn otlp(
        &mut self,
        encoding: Encoding,
        body: &[u8],
        now: Duration,
        time_ms: i64,
    ) -> Result<(Vec<Frame>, Rejected, bool), Refused> {
        let (given, rejected) = otlp::read(encoding, body, self.settings.max_bytes, time_ms)?;
        let has_deltas = given.iter().flat_map(|given| &given.items).any(|item| item.is_delta);
        let frames = self.take(given, now, time_ms)?;
        self.counts.took(0, rejected.points);
        Ok((frames, rejected, has_deltas))
    }

    /// Takes all of it or nothing.
    fn take(&mut self, given: Vec<Given>, now: Duration, time_ms: i64) -> Result<Vec<Frame>, Refused> {
        let mut plans: Vec<(Arc<str>, Given, Plan)> = Vec::with_capacity(given.len());
        let mut after = self.size;
        let mut known = self.applications.len();
        for mut given in given.into_iter().filter(|given| !given.items.is_empty()) {
            let source = source_of(&given.job, &given.instance);
            let application = self.applications.entry(Arc::clone(&source)).or_insert_with_key(|source| {
                known += 1;
                Application::new(source, &given.job, &given.instance, &self.views)
            });
            let before = application.size();
            match application.plan(&mut given) {
                Ok(plan) => {
                    after.series = after.series - before.series + plan.size.series;
                    after.text = after.text - before.text + plan.size.text;
                    plans.push((source, given, plan));
                }
                Err(twice) => {
                    let name = given.items[twice].parts.first().map_or("", |part| &part.name).to_owned();
                    self.forget_refused();
                    return Err(Refused::Malformed(format!("{name} stands twice with the same labels")));
                }
            }
        }
        if let Err(why) = self.has_room(after, known) {
            self.forget_refused();
            return Err(Refused::NoRoom(why));
        }
        let samples = plans.iter().flat_map(|(_, given, _)| &given.items).map(|item| item.parts.len()).sum::<usize>();
        // What began before that may have been here already, and have ended since.
        let expire_ms = i64::try_from(self.settings.expire.as_millis()).unwrap_or(i64::MAX);
        let new_since_ms = self.begun_ms.max(time_ms.saturating_sub(expire_ms));
        let take = |(source, given, plan)| {
            let application: &mut Application = self.applications.get_mut(&source)?;
            Some(application.take(given, plan, now, time_ms, new_since_ms))
        };
        let frames = plans.into_iter().filter_map(take).collect();
        self.size = after;
        self.counts.took(samples as u64, 0);
        self.tell();
        Ok(frames)
    }

    /// Why there is no room for so much.
    fn has_room(&self, size: Size, applications: usize) -> Result<(), String> {
        let PushSettings { max_bytes, max_series, .. } = self.settings;
        if applications > MAX_APPLICATIONS {
            return Err(format!("{MAX_APPLICATIONS} applications push already"));
        }
        if size.series > max_series {
            let series = size.series;
            return Err(format!(
                "there would be {series} series of all who push, and {max_series} are allowed (listen.push.max_series)"
            ));
        }
        if size.text > max_bytes.saturating_mul(MAX_TEXT) {
            return Err("the labels of all who push take too much memory".to_owned());
        }
        Ok(())
    }

    /// Forgets what was made for a push that is refused.
    fn forget_refused(&mut self) {
        self.forget_empty();
        self.applications.values_mut().for_each(Application::forget_unused);
    }

    /// Forgets applications of which nothing is left.
    fn forget_empty(&mut self) {
        self.applications.retain(|_, application| application.size().series > 0);
    }

    /// When there may be something for [`Pushed::expire`]; none: there is nothing that could end.
    pub fn next_look(&self) -> Option<Duration> {
        (!self.applications.is_empty()).then_some(self.look)
    }

    /// Ends what has not come for too long. The frames that say so.
    pub fn expire(&mut self, now: Duration, time_ms: i64) -> Vec<Frame> {
        if now < self.look {
            return Vec::new();
        }
        self.look = now + (self.settings.expire / LOOKS).min(LOOK_EVERY);
        let mut frames = Vec::new();
        for (source, application) in &mut self.applications {
            let before = application.size();
            let Some(frame) = application.expire(self.settings.expire, now, time_ms) else { continue };
            let left = application.size();
            self.size.series -= before.series - left.series;
            self.size.text -= before.text - left.text;
            frames.push(if left.series == 0 { Frame::ended(source, frame.time_ms) } else { frame });
        }
        self.forget_empty();
        self.tell();
        frames
    }

    fn tell(&self) {
        self.counts.has(self.size.series, self.applications.len());
    }
}

/// The source's name of an application. What is between its slashes tells it from all others.
fn source_of(job: &str, instance: &str) -> Arc<str> {
    format!("push/{}/{instance}", job.replace('%', "%25").replace('/', "%2F")).into()
}

#[cfg(test)]
mod tests;
