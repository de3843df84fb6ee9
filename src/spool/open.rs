//! Opening a spool: taking up what an earlier life left, and mending what can be.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::api::{Count, OpenError, Options};
use super::disk::Disk;
use super::format::context_id;
use super::home::{CURSOR, CURSOR_TMP, Home, clear, quarantine};
use super::recovery::{Finding, Note, Recovery};
use super::segments::Segments;
use super::state::{Spool, encode_context};
use super::survey::{Own, Survey, survey};

impl Spool {
    /// Opens the spool in `options.dir`, made if it is missing, and finds out what is in it.
    ///
    /// No damage to files is a reason to fail: what is intact is kept, the rest is in the
    /// [`Recovery`]. Damage is found again at each start until its segment is done with;
    /// what is lost to it is counted in `Stats::lost` by the first of them. On a read-only
    /// file system a spool that exists can be opened, read and acknowledged; pushes fail, and
    /// what was acknowledged is sent again, and what was lost counted again, after a restart.
    ///
    /// # Errors
    /// Another process has the spool, or the directory can't be made, locked or listed, or
    /// none of its segments can be opened (permissions, a dead disk), or `destination` and
    /// `content` are longer than a header may be.
    pub fn open(options: Options, now_ms: i64) -> Result<(Spool, Recovery), OpenError> {
        let disk = Disk {
            #[cfg(test)]
            faults: options.faults.clone(),
        };
        Spool::open_on(disk, options, now_ms)
    }

    pub(super) fn open_on(disk: Disk, options: Options, now_ms: i64) -> Result<(Spool, Recovery), OpenError> {
        let (home, moved) = Home::take(&disk, &options.dir)?;
        let io_error = |error| OpenError::Io(options.dir.clone(), error);
        let own = Own { destination: &options.destination, content: &options.content };
        let mut survey = survey(&disk, &options.dir, own, i64::MIN).map_err(io_error)?;
        if let Some((path, error)) = survey.unreachable.take_if(|_| survey.nonce.is_none()) {
            // Not one of its segments can be read. A new life among them would get in
            // the way of the old one when the disk, or the permissions, are mended.
            return Err(OpenError::Io(path, error));
        }
        let nonce = survey.nonce.unwrap_or_else(|| RandomState::new().hash_one(now_ms));
        let content: Arc<[(String, String)]> = options.content.clone().into();
        let context = encode_context(nonce, &options.destination, &content).map_err(io_error)?;
        mend(&disk, &home, &mut survey);
        let mut report = survey.report;
        if let Some(Note { path, finding }) = moved {
            report.note(path, finding);
        }
        let spool = Spool {
            disk,
            home,
            nonce,
            context_id: context_id(&context),
            context,
            content,
            segments: Segments::new(survey.segments),
            active: None,
            data_dirty: false,
            dir_dirty: false,
            retired: Vec::new(),
            next_seq: survey.free,
            reader: None,
            taken: BTreeMap::new(),
            in_hand: Count::default(),
            newly_gone: Vec::new(),
            returned: BTreeMap::new(),
            trouble: None,
            is_exact: survey.is_exact,
            saved_cursor: survey.cursor,
            cursor_stays: survey.unreachable.is_some(),
            bad_cursor: survey.bad_cursor,
            cursor_failed: false,
            told: survey.told,
            void: survey.void,
            has_news: survey.has_news,
            last_samples: survey.samples,
            last_sync_ms: now_ms,
            over_cap: Count::default(),
            expired: Count::default(),
            lost: report.fresh,
            disk_errors: 0,
            scratch: Vec::new(),
            options,
        };
        Ok((spool, report))
    }
}

/// Moves away what can't be read or is in the way, and removes what holds nothing.
fn mend(disk: &Disk, home: &Home, survey: &mut Survey) {
    let unreadable = std::mem::take(&mut survey.unreadable);
    for (path, why) in unreadable {
        survey.report.note(path.clone(), Finding::Unreadable(why));
        if let Err(error) = quarantine(disk, &home.dir, &path) {
            survey.leave_in_place(path, &error);
        }
    }
    for path in std::mem::take(&mut survey.empty) {
        survey.report.note(path.clone(), Finding::Empty);
        if let Err(error) = disk.remove(&path) {
            survey.leave_in_place(path, &error);
        }
    }
    for name in [CURSOR, CURSOR_TMP] {
        match clear(disk, &home.dir, name) {
            Ok(moved) => moved.into_iter().for_each(|note| survey.report.note(note.path, note.finding)),
            Err(error) => survey.leave_in_place(home.dir.join(name), &error),
        }
    }
    if survey.bad_cursor && disk.remove(&home.dir.join(CURSOR)).is_ok() {
        survey.bad_cursor = false;
    }
}
