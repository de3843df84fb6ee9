//! Taking frames out: in order, several at a time, and back where they were not delivered.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::api::Frame;
use super::disk::Disk;
use super::format::FRAME_HEAD;
use super::home::is_no_file;
use super::reader::{Reader, Trouble};
use super::scan::{Rule, Scan};
use super::segment::{Gone, Place};
use super::state::Spool;

/// Reads that fail are tried again this often at least, and for this long, before what
/// can't be read is given up: a disk that is back after a hiccup has lost nothing.
const READ_TRIES: u32 = 10;
const READ_PATIENCE_MS: i64 = 60_000;

impl Spool {
    /// The oldest frame that nobody has: it is the caller's until [`ack`](Spool::ack) or
    /// [`release`](Spool::release). `None` where all are taken.
    ///
    /// Frames that turn out damaged or gone are counted in [`Stats::lost`](super::Stats::lost)
    /// and passed over.
    ///
    /// # Errors
    /// A segment, which the error names, can't be opened now, for want of file descriptors,
    /// permission and the like, or reading it failed: nothing has changed, try again later. Where reading has failed
    /// ten times over a minute, it goes on behind what can't be read.
    pub fn take(&mut self, now_ms: i64) -> io::Result<Option<Frame>> {
        self.expire(now_ms)?;
        let mut bytes = Vec::new();
        while let Some((&id, &place)) = self.returned.first_key_value() {
            let intact = self.read_again(id, &place, &mut bytes, now_ms)?;
            // Reading may have found the whole segment gone, and this frame with it.
            if self.returned.remove(&id).is_none() {
                continue;
            }
            if intact {
                return Ok(self.hand_out(id, place, bytes));
            }
            self.done_with(&place);
            self.told.add(id..id + 1);
            self.lost += place.count();
        }
        match self.read_next(&mut bytes, now_ms)? {
            Some((id, place)) => Ok(self.hand_out(id, place, bytes)),
            None => Ok(None),
        }
    }

    /// The frame is delivered, or refused for good: it will not come again. In any order.
    /// False where it is not in anybody's hands.
    pub fn ack(&mut self, id: u64) -> bool {
        let Some(place) = self.taken.remove(&id) else { return false };
        if place.gone.is_none() {
            self.in_hand -= place.count();
            self.done_with(&place);
        }
        true
    }

    /// The frame was not delivered: it is the next to be taken, unless an older one was
    /// released too. False where it is not in anybody's hands, or where the cap (or
    /// whoever removed the directory) took it meanwhile and it is now counted as lost.
    pub fn release(&mut self, id: u64) -> bool {
        let Some(place) = self.taken.remove(&id) else { return false };
        match place.gone {
            None => {
                self.in_hand -= place.count();
                self.returned.insert(id, place);
            }
            Some(Gone::OverCap) => self.over_cap += place.count(),
            Some(Gone::Lost) => self.lost += place.count(),
        }
        place.gone.is_none()
    }

    /// Whether the frame is in somebody's hands and nowhere else: the cap, or whoever removed
    /// its file, has taken it. [`Spool::release`] then counts it.
    pub fn is_gone(&self, id: u64) -> bool {
        self.taken.get(&id).is_some_and(|place| place.gone.is_some())
    }

    /// Drops what is older than `max_age` and in nobody's hands.
    pub(super) fn expire(&mut self, now_ms: i64) -> io::Result<()> {
        let Some(max_age) = self.options.max_age else { return Ok(()) };
        let limit = now_ms.saturating_sub(i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX));
        let mut bytes = Vec::new();
        loop {
            while let Some((&id, &place)) = self.returned.first_key_value() {
                if place.time_ms >= limit {
                    return Ok(());
                }
                self.returned.remove(&id);
                self.done_with(&place);
                self.expired += place.count();
            }
            match self.read_next(&mut bytes, now_ms)? {
                Some((id, place)) => self.returned.insert(id, place),
                None => return Ok(()),
            };
        }
    }

    /// Whether everything that is there has been looked at and is in somebody's hands.
    pub(super) fn nothing_unread(&self) -> bool {
        self.returned.is_empty() && self.segments.waiting().frames == self.in_hand.frames
    }

    /// Everything has been read.
    pub(super) fn read_past_last(&mut self) {
        let Some(last) = self.segments.back() else { return };
        let reader = self.reader.get_or_insert_with(|| Reader::at_start_of(last));
        if reader.segment != last.first {
            reader.move_to(last);
        }
        reader.scan.offset = last.len;
        reader.scan.rule.next = self.next_seq;
        reader.last_ms = Some(last.last_ms);
    }

    fn hand_out(&mut self, id: u64, place: Place, bytes: Vec<u8>) -> Option<Frame> {
        let content = Arc::clone(&self.segments[self.segments.index_of(place.segment)?].content);
        self.put_in_hand(id, place);
        Some(Frame { id, time_ms: place.time_ms, samples: place.samples, content, bytes })
    }

    /// The frame is in somebody's hands.
    pub(super) fn put_in_hand(&mut self, id: u64, place: Place) {
        self.in_hand += place.count();
        self.taken.insert(id, place);
    }

    fn done_with(&mut self, place: &Place) {
        if let Some(i) = self.segments.index_of(place.segment) {
            self.segments.settle(i, place.count());
        }
    }

    /// The next frame in the files.
    fn read_next(&mut self, bytes: &mut Vec<u8>, now_ms: i64) -> io::Result<Option<(u64, Place)>> {
        loop {
            let Some(index) = self.settle_reader() else { return Ok(None) };
            let Some(reader) = &mut self.reader else { return Ok(None) };
            let segment = &self.segments[index];
            if reader.at() < segment.len {
                if reader.file.is_none() {
                    reader.file = open_segment(&self.disk, &segment.path(&self.home.dir))?;
                    if reader.file.is_none() {
                        self.lose_segment(index);
                        continue;
                    }
                }
                let Some(file) = &reader.file else { return Ok(None) };
                reader.scan.rule.upper = segment.end;
                let (rule, offset) = (reader.scan.rule, reader.scan.offset);
                let found = reader.scan.next(&self.disk, file, segment.len, Some(bytes));
                if let Some(error) = reader.scan.take_error() {
                    if is_worth_a_try(&mut self.trouble, segment.first, now_ms) {
                        reader.scan.restart(rule, offset);
                        return Err(unread(&segment.path(&self.home.dir), &error));
                    }
                } else {
                    self.trouble.take_if(|t| !t.given_up);
                }
                reader.passed.add(rule.next..found.map_or(segment.end, |found| found.head.seq));
                if let Some(found) = found {
                    let head = found.head;
                    reader.last_ms = Some(head.time_ms);
                    let place = Place {
                        segment: segment.first,
                        offset: found.offset,
                        len: head.len,
                        samples: head.samples,
                        time_ms: head.time_ms,
                        gone: None,
                    };
                    return Ok(Some((head.seq, place)));
                }
            }
            self.count_unread(index);
            if index + 1 == self.segments.len() {
                return Ok(None);
            }
            let next = &self.segments[index + 1];
            if let Some(reader) = &mut self.reader {
                reader.move_to(next);
            }
        }
    }

    /// The index of the segment to read from. The one it was in may have been dropped.
    fn settle_reader(&mut self) -> Option<usize> {
        let front = self.segments.front()?;
        let reader = self.reader.get_or_insert_with(|| Reader::at_start_of(front));
        let index = self.segments.at_or_behind(reader.segment);
        let Some(segment) = self.segments.get(index) else {
            // It was the last one, and everything in front of it has been read.
            return None;
        };
        if segment.first != reader.segment {
            reader.move_to(segment);
        }
        Some(index)
    }

    /// The segment has been read to its end: what was counted in it and did not turn up
    /// has been damaged since.
    fn count_unread(&mut self, index: usize) {
        let segment = &self.segments[index];
        if segment.waiting.frames == 0 {
            return;
        }
        let mut missing = segment.waiting;
        for place in self.taken.values().chain(self.returned.values()) {
            if place.segment == segment.first && place.gone.is_none() {
                missing -= place.count();
            }
        }
        self.segments.settle(index, missing);
        if missing.frames > 0 {
            self.lost += missing;
            let passed = self.reader.as_ref().map(|reader| &reader.passed);
            passed.inspect(|passed| self.told.add_all(passed));
        }
    }

    /// Reads a frame whose place is known. False where it is no longer intact.
    fn read_again(&mut self, id: u64, place: &Place, bytes: &mut Vec<u8>, now_ms: i64) -> io::Result<bool> {
        let Some(index) = self.segments.index_of(place.segment) else { return Ok(false) };
        let segment = &self.segments[index];
        let opened;
        let file = match &self.reader {
            Some(Reader { segment: first, file: Some(file), .. }) if *first == place.segment => file,
            _ => match open_segment(&self.disk, &segment.path(&self.home.dir))? {
                Some(file) => {
                    opened = file;
                    &opened
                }
                None => {
                    self.lose_segment(index);
                    return Ok(false);
                }
            },
        };
        let rule = Rule { next: id, upper: id + 1, ..segment.rule() };
        let end = place.offset + FRAME_HEAD as u64 + u64::from(place.len);
        let mut scan = Scan::new(rule, place.offset);
        let found = scan.next(&self.disk, file, end, Some(bytes));
        match scan.take_error() {
            Some(error) if is_worth_a_try(&mut self.trouble, place.segment, now_ms) => {
                Err(unread(&self.segments[index].path(&self.home.dir), &error))
            }
            _ => Ok(found.is_some()),
        }
    }
}

/// None where it is gone, or something else than a regular file has come into its place:
/// neither will bring it back.
fn open_segment(disk: &Disk, path: &Path) -> io::Result<Option<File>> {
    match disk.open(path) {
        Ok(file) if file.metadata().is_ok_and(|meta| !meta.is_file()) => Ok(None),
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_file(path) => Ok(None),
        Err(error) => Err(unread(path, &error)),
    }
}

fn unread(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
}

/// Whether a failed read in `segment` is to be tried again.
fn is_worth_a_try(trouble: &mut Option<Trouble>, segment: u64, now_ms: i64) -> bool {
    let known = trouble.filter(|t| t.segment == segment);
    let trouble = trouble.insert(known.unwrap_or(Trouble { segment, since_ms: now_ms, tries: 0, given_up: false }));
    trouble.tries += 1;
    let waited_ms = now_ms.saturating_sub(trouble.since_ms).saturating_abs();
    trouble.given_up |= trouble.tries > READ_TRIES && waited_ms >= READ_PATIENCE_MS;
    !trouble.given_up
}
