//! Who has a lane's disk: the only thread that opens, writes, reads, syncs and tidies there,
//! however long that takes.

use std::sync::Arc;

use super::body_maker::BodyMaker;
use super::budget::Share;
use super::losses::say;
use super::queue::{Queue, Settled, Task, Write, Written};
use super::series_file::SeriesFile;
use super::settings::SpoolSettings;
use super::start::{Role, Start};
use crate::host::{monotonic, wall_ms};
use crate::model::Signal;
use crate::spool::{Finding, OpenError, Options, Recovery, Spool, Stats, WriteError};
use crate::telemetry::{DestinationStatus, Throttle, counted};

/// Looks after a lane's disk. In the steady state it sleeps.
pub struct Keeper {
    pub(super) name: String,
    pub(super) generation: u64,
    pub(super) queue: Arc<Queue>,
    pub(super) maker: Arc<BodyMaker>,
    pub(super) status: Arc<DestinationStatus>,
    pub(super) spool: Option<Spool>,
    /// Its part of what all spools together may take.
    pub(super) share: Share,
    /// What the destination has been sent, on disk; none where nothing of it is kept there.
    pub(super) series: Option<SeriesFile>,
    /// Why the spool cannot be opened is said once,
    pub(super) is_said: bool,
    /// that it cannot be read and that a request is too large for it each minute.
    pub(super) unreadable: Throttle,
    pub(super) too_large: Throttle,
    pub(super) start: Start,
    /// Closed when this has ended.
    pub(super) _alive: crossbeam_channel::Sender<()>,
    /// What had gone wrong with the disk when it was last synced.
    pub(super) disk_errors: u64,
    #[cfg(test)]
    pub(super) faults: crate::spool::Faults,
}

impl Keeper {
    /// Reads what an earlier life left on disk, and runs until the queue has ended or another
    /// keeper comes after this one.
    pub fn run(mut self) {
        if !self.start.wait(Role::Keeper) {
            return;
        }
        self.begin();
        loop {
            let (settled, task) = self.queue.next_task(self.generation);
            if !self.carry_out(settled, task) {
                return;
            }
        }
    }

    /// Takes up what was there before.
    pub(super) fn begin(&mut self) {
        self.queue.revive();
        self.spool = self.queue.take_over();
        if self.maker.is_without_past() {
            self.maker.inherit(self.series.as_ref().and_then(SeriesFile::load));
        }
    }

    /// False: that was the last one.
    pub(super) fn carry_out(&mut self, settled: Settled, task: Task) -> bool {
        self.pass_on(settled);
        match task {
            Task::Leave => {
                self.save_series(true);
                self.queue.leave_spool(self.spool.take());
                return false;
            }
            Task::End => {
                self.end();
                return false;
            }
            Task::Limits(settings) => self.set_limits(&settings),
            Task::Elsewhere(settings, old) => {
                self.leave(&old.unwrap_or_default());
                self.set_limits(&settings);
                self.series = SeriesFile::of(self.status.signal(), &settings, &self.name);
                self.is_said = false;
            }
            Task::Open(settings) => self.open(&settings),
            Task::Write(write) => self.write(write),
            Task::Read => self.read(),
            Task::Series => {
                self.save_series(false);
                self.say_kept();
            }
            Task::Upkeep => self.tidy(),
        }
        true
    }

    /// Tells the spool what has become of its frames. That touches no disk.
    fn pass_on(&mut self, settled: Settled) {
        let Some(spool) = &mut self.spool else { return };
        settled.done.iter().for_each(|id| _ = spool.ack(*id));
        settled.released.iter().for_each(|id| _ = spool.release(*id));
    }

    /// What the spool says of itself.
    fn stats(&mut self) -> Stats {
        let Some(spool) = &mut self.spool else { return Stats::default() };
        for id in self.queue.dropped(spool.newly_gone()) {
            spool.release(id);
        }
        let stats = spool.stats();
        self.share.set(stats.disk_bytes, stats.oldest_ms);
        stats
    }

    fn set_limits(&mut self, settings: &SpoolSettings) {
        if !self.share.is_of(&settings.budget) {
            self.share = settings.budget.share();
        }
        if let (Some(options), Some(spool)) = (settings.options(&self.name), &mut self.spool) {
            spool.set_limits(&options);
        }
        self.say_kept();
    }

    /// What was done with the disk is done.
    fn say_kept(&mut self) {
        match self.spool {
            Some(_) => {
                let stats = self.stats();
                self.queue.kept(stats);
            }
            None => self.queue.kept_nothing(),
        }
    }

    /// What waits on disk stays there, and is not this lane's any more.
    fn leave(&mut self, dir: &std::path::Path) {
        let Some(spool) = self.spool.take() else { return };
        let left = spool.stats().waiting;
        if left.frames > 0 {
            log::warn!(
                "destination {}: what waits in {}, {} ({}), stays there, and nobody sends it; set spool.dir and \
                 spool.mode back to send it, or remove the directory",
                self.name,
                dir.display(),
                counted(left.frames, "request"),
                counted(left.samples, self.status.signal().thing())
            );
        }
        if let Err(error) = spool.close() {
            log::warn!("destination {}: the spool it leaves did not close cleanly: {error}", self.name);
        }
        self.share.set(0, None);
    }

    /// Opens the spool, which takes as long as reading all that is in it, or for ever on a disk
    /// that hangs. Another metricsd that is being replaced by this one holds its lock for seconds.
    fn open(&mut self, settings: &SpoolSettings) {
        let Some(options) = settings.options(&self.name) else { return self.queue.kept_nothing() };
        #[cfg(test)]
        let options = Options { faults: self.faults.clone(), ..options };
        let dir = options.dir.clone();
        match Spool::open(options, wall_ms()) {
            Ok((spool, recovery)) => {
                say_recovery(&self.name, self.status.signal(), &dir, &recovery);
                self.spool = Some(spool);
                self.disk_errors = 0;
                let stats = self.stats();
                self.queue.opened(Ok(stats));
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_said, true) {
                    log::warn!(
                        "destination {}: {error}; what waits for it is kept in memory until that works, at most {} \
                         bytes, and what is undelivered at the end is lost; {}",
                        self.name,
                        settings.memory_max_bytes,
                        remedy(&error)
                    );
                }
                self.queue.opened(Err(error.to_string()));
            }
        }
    }

    fn write(&mut self, Write { number, body, stays }: Write) {
        let Some(spool) = &mut self.spool else { return self.queue.kept_nothing() };
        let samples = u32::try_from(body.samples).unwrap_or(u32::MAX);
        let pushed = match spool.set_content(body.content.to_vec()) {
            Err(error) => Err(error.to_string()),
            Ok(()) => {
                let pushed = match stays {
                    true => spool.push_taken(body.time_ms, samples, &body.bytes),
                    false => spool.push(body.time_ms, samples, &body.bytes),
                };
                match pushed {
                    Ok(pushed) => Ok(Written::Stored { id: pushed.id, taken: pushed.taken }),
                    Err(error @ WriteError::TooLarge { .. }) => {
                        if self.too_large.pass(monotonic()).is_some() {
                            log::warn!(
                                "destination {}: {error}; it is lost, as each one of that size is, unless it is \
                                 delivered at once",
                                self.name
                            );
                        }
                        Ok(Written::TooLarge)
                    }
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        let stats = self.stats();
        self.queue.written(number, pushed.unwrap_or_else(Written::Failed), stats);
        self.give_way();
    }

    /// Over what all spools together may take, the one with the oldest gives.
    fn give_way(&mut self) {
        while self.share.has_to_give() {
            let Some(spool) = &mut self.spool else { return };
            self.queue.at_work();
            let dropped = spool.drop_oldest();
            let stats = self.stats();
            self.queue.kept(stats);
            if dropped.frames == 0 {
                return;
            }
        }
    }

    fn read(&mut self) {
        let Some(spool) = &mut self.spool else { return self.queue.kept_nothing() };
        let read = spool.take(wall_ms()).map_err(|error| {
            let why = format!("cannot read its spool: {error}; nothing is sent before that works");
            if self.unreadable.pass(monotonic()).is_some() {
                log::warn!("destination {}: {why}, or a minute is over", self.name);
            }
            why
        });
        if read.is_ok() {
            self.unreadable.reset();
        }
        let stats = self.stats();
        self.queue.read(read, stats);
    }

    /// Brings the disk up to date.
    fn tidy(&mut self) {
        say(&self.status);
        self.save_series(false);
        let Some(spool) = &mut self.spool else { return self.queue.kept_nothing() };
        if let Err(error) = spool.sync(wall_ms()) {
            log::debug!("destination {}: cannot sync its spool: {error}", self.name);
        }
        let (is_synced, stats) = (spool.is_synced(), self.stats());
        self.say_synced(is_synced, stats.disk_errors);
        self.queue.kept(stats);
    }

    /// Tells who waits for it whether what was written is on the device: so many errors there were by now.
    fn say_synced(&mut self, is_synced: bool, errors: u64) {
        // After a failed sync the kernel may think its pages clean.
        let has_failed = std::mem::replace(&mut self.disk_errors, errors) < errors;
        if is_synced || has_failed {
            self.queue.synced(!has_failed);
        }
    }

    /// Writes down which series the destination has, if that has changed. `last`: there will
    /// be no other occasion.
    fn save_series(&mut self, last: bool) {
        let Some(file) = &mut self.series else { return };
        let Some((revision, sent)) = self.maker.sent_where(|revision| file.is_due(revision, last)) else { return };
        if let Err(error) = file.save(revision, &sent) {
            log::debug!("destination {}: cannot write its list of series: {error}", self.name);
        }
    }

    /// The end: what is undelivered goes to the disk, and what the disk does not take is lost,
    /// counted.
    fn end(&mut self) {
        let abandoned = self.queue.abandoned();
        while self.spool.is_some() {
            let Some(write) = self.queue.next_to_park() else { break };
            self.write(write);
            if !self.queue.disk_works() {
                break;
            }
        }
        let (lost, settled) = self.queue.park_rest();
        self.pass_on(settled);
        let stats = self.stats();
        let kept = stats.waiting.samples;
        self.queue.parked(stats);
        // Before what may hang: nobody else says it.
        say_end(&self.name, self.status.signal(), lost, kept, abandoned.as_deref());
        self.save_series(true);
        let closed = self.spool.take().map(Spool::close);
        self.queue.synced(matches!(closed, Some(Ok(()))));
        if let Some(Err(error)) = closed {
            log::warn!(
                "destination {}: its spool did not close cleanly: {error}; some of it may be sent twice",
                self.name
            );
        }
        self.share.set(0, None);
        self.queue.has_ended();
    }
}

impl SpoolSettings {
    /// How the spool of the destination `name` is kept; none: in memory only.
    fn options(&self, name: &str) -> Option<Options> {
        let mut options = Options::new(self.home(name)?, name);
        options.max_bytes = self.max_bytes;
        options.max_age = self.max_age;
        options.sync = self.sync_policy();
        Some(options)
    }
}

/// What to do about a spool that cannot be opened.
fn remedy(error: &OpenError) -> &'static str {
    match error {
        OpenError::Locked(_) => {
            "give each metricsd, and each destination, a spool.dir of its own (under systemd metricsd@.service does)"
        }
        OpenError::Io(..) => {
            "set spool.dir to a directory that this user may write to (StateDirectory= makes one under systemd), or \
             spool.mode to \"memory\""
        }
    }
}

/// Says what was found in a spool.
fn say_recovery(name: &str, signal: Signal, dir: &std::path::Path, recovery: &Recovery) {
    let (waiting, fresh) = (recovery.waiting, recovery.fresh);
    for note in &recovery.notes {
        // What is missing is found again until all around it is done with.
        let is_old = fresh.frames == 0 && matches!(note.finding, Finding::Missing { .. });
        let level = if is_old { log::Level::Info } else { log::Level::Warn };
        log::log!(level, "destination {name}: spool: {note}");
    }
    if fresh.frames > 0 {
        log::warn!(
            "destination {name}: lost to damage in {}: {} ({})",
            dir.display(),
            counted(fresh.frames, "request"),
            counted(fresh.samples, signal.thing())
        );
    }
    if waiting.frames > 0 {
        log::info!("destination {name}: {} from before in {}", counted(waiting.frames, "request"), dir.display());
    }
}

/// Says what is undelivered at the end: so many samples, or records, are lost, and so many kept.
fn say_end(name: &str, signal: Signal, lost: u64, kept: u64, abandoned: Option<&std::path::Path>) {
    let things = signal.things();
    match ((lost, kept), abandoned) {
        ((0, 0), _) => {}
        ((lost, kept @ 1..), Some(dir)) => {
            if lost > 0 {
                log::warn!("destination {name}: {lost} {things} are undelivered and lost");
            }
            log::warn!(
                "destination {name}: {kept} {things} are undelivered and stay in {}, from where nobody sends them; \
                 bring the destination back to send them, or remove the directory",
                dir.display()
            );
        }
        ((0, kept), _) => {
            log::info!("destination {name}: {kept} {things} are undelivered; they wait on disk for the next start")
        }
        ((lost, 0), _) => log::warn!("destination {name}: {lost} {things} are undelivered and lost"),
        ((lost, kept), None) => {
            log::warn!(
                "destination {name}: {lost} {things} are undelivered and lost; {kept} more wait on disk for the next start"
            );
        }
    }
}
