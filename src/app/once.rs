//! `-once`: one round of everything, printed.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select, unbounded};

use super::sched::Sched;
use super::scrapes::endpoints_now;
use super::service::start_slow;
use super::threads::Threads;
use super::{complain, print, warn};
use crate::cli::{Exit, Format};
use crate::collectors::{self, Due, Settings};
use crate::config::Config;
use crate::formats::{json, text};
use crate::host::{HostPaths, SystemStatFs, boottime, monotonic, wall_ms};
use crate::model::{Batch, Frame, Resource, Scheme, ViewSlots};
use crate::order;
use crate::pipeline::{Clock, Collectors, Fanout, HANGS_AFTER, Others, Progress, Pulse, Scheduler, Sign, read_clocks};
use crate::scrape::{Context, scrape_once};
use crate::shaping::Perspective;
use crate::telemetry::{CollectorStatus, Subjects, Telemetry, rfc3339};

/// No second round comes before the program has ended.
const NO_SECOND_ROUND: Duration = Duration::from_secs(24 * 3600);

const NONE_IS_ON: &str = "no collector is on, so there is nothing to read: collector.preset says which are, and \
                          collector.enable_NAME switches one on; -list names them";

/// Collects one round, asks each endpoint once, and prints what comes; ships nothing. What hangs is named and left out.
pub fn once(config: &Config, paths: &HostPaths, format: Format, naming: Scheme, resource: Resource) -> Exit {
    if Clock::of_this_build().is_unset(wall_ms()) {
        warn(&format!("the clock says {}, so it is not set", rfc3339(wall_ms())));
    }
    let resource = Arc::new(resource);
    let (mut frames, statuses) = match collect(&config.collectors, paths, &resource) {
        Ok(collected) => collected,
        Err(error) => {
            complain(&format!("cannot start a thread: {error}"));
            return Exit::Internal;
        }
    };
    let endpoints = endpoints_now(config, |path, why| warn(&format!("{}: {why}", path.display())));
    let context = Context {
        views: ViewSlots::default(),
        own: "".into(),
        counts: Arc::default(),
        said: Arc::default(),
        readings: Arc::default(),
    };
    frames.extend(scrape_once(&endpoints, &context));
    if frames.is_empty() {
        complain(if statuses.is_empty() { NONE_IS_ON } else { "nothing could be read" });
        return Exit::Internal;
    }
    let from = Perspective::new(naming, config.labels.clone());
    print(&page(frames, resource, &from, format))
}

/// The first round of a scheduler like any other, which sends nothing: what it has collected
/// is what its pages would show. And how each collector fared.
pub fn collect(
    settings: &Settings,
    paths: &HostPaths,
    resource: &Arc<Resource>,
) -> io::Result<(Vec<Frame>, Vec<Arc<CollectorStatus>>)> {
    let built = collectors::build(settings, paths, Arc::new(SystemStatFs));
    let slow: Vec<(&str, Due)> = built.slow.iter().map(|named| (named.plan.name, Arc::clone(&named.due))).collect();
    let patience = built.slow.iter().map(|named| named.deadline).max().unwrap_or_default();
    let (collectors, statuses, workers) = Collectors::new(built, settings.max_series);
    let mut threads = Threads::new();
    start_slow(&mut threads, workers)?;
    let telemetry = Arc::new(Telemetry::new(boottime(), wall_ms(), Subjects::default()));
    let (tell, signs) = unbounded();
    // Never closed: the scheduler is left where it is when the program ends.
    let (_updates, updated) = unbounded();
    let scheduler = Scheduler {
        others: Others::new(),
        asked: Vec::new(),
        collectors,
        fanout: Arc::new(Fanout::default()),
        telemetry: Arc::clone(&telemetry),
        resource: Arc::clone(resource),
        interval: NO_SECOND_ROUND,
        updates: updated,
        // One that is wrong is no reason to print nothing: no tick is held here.
        clock: Clock::new(i64::MIN),
        read: Box::new(read_clocks),
        pulse: Pulse { every: None, beat: Box::new(move |sign| _ = tell.send(sign)) },
        progress: Progress::default(),
    };
    let mut sched = Sched::start(&mut threads, scheduler, HANGS_AFTER)?;
    wait(&mut sched, &mut threads, &signs, Sign::Round, None);
    if !wait(&mut sched, &mut threads, &signs, Sign::Complete, Some(Instant::now() + patience)) {
        let is_late =
            |name: &str| statuses.iter().any(|status| status.name() == name && status.last(monotonic()).is_none());
        for (name, _) in slow.iter().filter(|(name, due)| due() && is_late(name)) {
            log::warn!("collector {name}: gave nothing within {patience:?}");
        }
    }
    let mut frames = telemetry.latest.frames();
    // Those of slow ones come as they are ready; the page is the same each time.
    order::sort_by_key(&mut frames, |frame| collectors::names().position(|name| name == &*frame.source));
    Ok((frames, statuses))
}

/// Waits for a sign, at most until `until`. Whether it was given.
fn wait(
    sched: &mut Sched,
    threads: &mut Threads,
    signs: &Receiver<Sign>,
    wanted: Sign,
    until: Option<Instant>,
) -> bool {
    loop {
        let mut patience = sched.look(threads);
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            patience = patience.min(left);
        }
        let ends = threads.ends().clone();
        select! {
            recv(signs) -> sign => match sign {
                Ok(sign) if sign == wanted => return true,
                Ok(_) => {}
                // The thread is gone: there is nothing more to wait for.
                Err(_) => return false,
            },
            recv(ends) -> ended => {
                if let Ok(ended) = ended {
                    threads.has_ended(&ended);
                }
            }
            default(patience) => {}
        }
    }
}

/// One round as `-once` prints it.
fn page(frames: Vec<Frame>, resource: Arc<Resource>, from: &Perspective, format: Format) -> String {
    let mut page = String::new();
    match format {
        Format::Prom => text::render(&frames, from, text::Format::Prometheus, &mut page),
        Format::Json => {
            let batch = Batch::new(wall_ms(), resource, frames);
            let mut bytes = json::payload(&batch, from);
            bytes.push(b'\n');
            page = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    page
}
