//! Counting the frames of all segments, at a start.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::api::Count;
use super::disk::Disk;
use super::format::{Context, Cursor, FRAME_HEAD, Head, NO_NUMBER, header_bytes, segment_name};
use super::ranges::Ranges;
use super::recovery::{Finding, Recovery};
use super::scan::{CHUNK, Rule, Scan};
use super::segment::Segment;
use super::tally::Tally;

/// A segment that is left alone: it explains a gap, and its numbers are in use.
pub(super) struct Aside {
    pub(super) name: u64,
    /// Its numbers end before this one.
    pub(super) bound: u64,
}

impl Aside {
    /// `name` is the number in its name, below [`NO_NUMBER`].
    pub(super) fn new(name: u64, len: u64) -> Aside {
        Aside { name, bound: name.saturating_add(len / FRAME_HEAD as u64 + 1) }
    }

    /// By its name, unless that can't be right.
    pub(super) fn of(candidate: &Candidate) -> Aside {
        let Candidate { name, first, len, .. } = *candidate;
        Aside::new(if name < NO_NUMBER { name } else { first }, len)
    }
}

/// A segment file before its frames were looked at.
pub(super) struct Candidate {
    pub(super) name: u64,
    pub(super) first: u64,
    pub(super) len: u64,
    pub(super) frames_at: u64,
    pub(super) header_damage: u64,
    /// Its header's, with the number by which frames name it.
    pub(super) context: Option<(u32, Arc<Context>)>,
}

impl Candidate {
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(segment_name(self.name))
    }
}

/// What the frames of all the segments say.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) segments: VecDeque<Segment>,
    pub(super) report: Recovery,
    pub(super) unreadable: Vec<(PathBuf, &'static str)>,
    pub(super) empty: Vec<PathBuf>,
    pub(super) aside: Vec<Aside>,
    pub(super) unreachable: Option<(PathBuf, io::Error)>,
    /// The numbers of what is lost.
    pub(super) gaps: Ranges,
    /// The number after the last frame, lost ones included.
    pub(super) end: u64,
    /// Samples in the last intact frame.
    pub(super) samples: u32,
    /// Waiting, and older than was asked for.
    pub(super) old: Count,
}

/// What a scan is to look for.
pub(super) struct Terms<'a> {
    /// What is below is not counted as waiting.
    pub(super) from: u64,
    /// What was known of the numbers when it was written; all 0 where nothing is.
    pub(super) cursor: &'a Cursor,
    /// Frames from before this time are old.
    pub(super) old_before_ms: i64,
}

pub(super) fn scan_all(
    disk: &Disk,
    dir: &Path,
    candidates: &[Candidate],
    aside: &[Aside],
    terms: &Terms<'_>,
) -> io::Result<Scanned> {
    let mut out = Scanned::default();
    let mut tally = Tally::new(terms.cursor);
    for (i, candidate) in candidates.iter().enumerate() {
        // A name alone sets no limit: any garbage can have one.
        let upper = candidates[i + 1..].iter().find(|c| c.context.is_some()).map_or(u64::MAX, |next| next.first);
        let lower = out.segments.back().map_or(0, |s| s.end);
        // A segment that was left alone explains the gap: its frames are not lost.
        let gap = tally.next..candidate.first;
        let explained = aside.iter().chain(&out.aside).any(|l| gap.contains(&l.name));
        if candidate.context.is_some() {
            tally.begin(candidate.first);
            if explained {
                tally.excuse(candidate.first);
            } else if tally.reach(candidate.first) {
                out.report.note(dir.to_path_buf(), Finding::Missing { from: gap.start, to: gap.end });
            }
        }
        let is_last = i + 1 == candidates.len();
        let place = Spot { range: lower..upper, explained, is_last };
        if let Some(segment) = scan_one(disk, dir, &mut out, candidate, place, terms, &mut tally)? {
            out.report.waiting += segment.waiting;
            out.segments.push_back(segment);
        }
    }
    // What lies behind may be in a segment that was left alone.
    if !aside.iter().chain(&out.aside).any(|l| l.name >= tally.next) {
        tally.finish(candidates.first().map_or(0, |c| c.first));
    }
    out.end = tally.next;
    out.report.lost = tally.lost;
    out.report.fresh = tally.fresh;
    out.gaps = tally.gaps;
    out.gaps.remove_all(&terms.cursor.void);
    Ok(out)
}

/// Where a candidate stands among the others.
struct Spot {
    /// Numbers that its frames can have.
    range: Range<u64>,
    /// Whether what is missing before it is accounted for.
    explained: bool,
    is_last: bool,
}

/// Counts a segment's frames. `None` where there is nothing in it that could be used.
fn scan_one(
    disk: &Disk,
    dir: &Path,
    out: &mut Scanned,
    candidate: &Candidate,
    Spot { range, explained, is_last }: Spot,
    terms: &Terms<'_>,
    tally: &mut Tally<'_>,
) -> io::Result<Option<Segment>> {
    let Candidate { name, first, len, frames_at, .. } = candidate;
    // One that lost its header may have another one's name: no two begin with the same number.
    let first = &(*first).max(range.start);
    let path = candidate.path(dir);
    let file = match disk.open(&path) {
        Ok(file) => file,
        // An acknowledged segment goes away under a reader that holds no lock.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut segment = Segment {
        name: *name,
        first: *first,
        end: *first,
        start: *len,
        next: terms.from.max(*first).max(range.start),
        len: *len,
        context: candidate.context.as_ref().map(|(id, _)| *id),
        content: Arc::from([]),
        waiting: Count::default(),
        first_ms: 0,
        last_ms: 0,
        appendable: false,
    };
    let rule = Rule { next: range.start.max(*first), upper: range.end, ..segment.rule() };
    let mut scan = Scan::new(rule, *frames_at);
    let mut good_end = *frames_at;
    let mut damage_before = 0;
    while let Some(found) = scan.next(disk, &file, *len, None) {
        let head = found.head;
        tally.begin(*first);
        if explained && segment.end == *first {
            tally.excuse(*first);
        }
        tally.headed(scan.take_headed());
        tally.found(&head);
        segment.end = head.seq + 1;
        good_end = scan.offset;
        damage_before = scan.skipped.bytes;
        out.samples = head.samples;
        if head.seq < terms.from {
            continue;
        }
        if segment.waiting.frames == 0 {
            segment.start = found.offset;
            segment.first_ms = head.time_ms;
        }
        segment.last_ms = head.time_ms;
        let count = Count { frames: 1, samples: head.samples.into(), bytes: head.len.into() };
        segment.waiting += count;
        if head.time_ms < terms.old_before_ms {
            out.old += count;
        }
    }
    out.report.damaged_ranges += scan.skipped.ranges + u64::from(candidate.header_damage > 0);
    out.report.damaged_bytes += scan.skipped.bytes + candidate.header_damage;
    let headed = scan.take_headed();
    if headed.frames > 0 {
        tally.begin(*first);
    }
    if segment.end == *first && scan.skipped.bytes > 0 {
        if let Some(error) = scan.take_error() {
            out.aside.push(Aside::of(candidate));
            out.report.note(path.clone(), Finding::Unreachable(error.to_string()));
            out.unreachable.get_or_insert((path.clone(), error));
            return Ok(None);
        }
        if is_torn_beginning(disk, &file, candidate) {
            out.empty.push(path.clone());
        } else {
            out.unreadable.push((path.clone(), "nothing in it is intact"));
        }
        tally.headed(headed);
        if headed.offset < *len && has_frame_bytes(disk, &file, candidate) {
            tally.trailing();
        }
        return Ok(None);
    }
    tally.headed(headed);
    if good_end.max(headed.offset) < *len && has_frame_bytes(disk, &file, candidate) {
        tally.trailing();
    }
    segment.context = scan.rule.context;
    let clean = damage_before + candidate.header_damage == 0 && candidate.context.is_some();
    segment.appendable = clean && name == first && is_last;
    if segment.end == *first && !segment.appendable {
        // It would only be in the way of the segment that begins with the same number.
        out.empty.push(path.clone());
        return Ok(None);
    }
    // What lies behind the last intact frame is a torn write.
    segment.len = good_end;
    segment.start = segment.start.min(good_end);
    Ok(Some(segment))
}

/// Whether the file goes on behind what may be a header.
fn has_frame_bytes(disk: &Disk, file: &File, candidate: &Candidate) -> bool {
    let mut head = [0; 16];
    match disk.read_at(file, &mut head, 0) {
        Ok(got) => candidate.len > header_bytes(&head[..got]),
        Err(_) => true,
    }
}

/// Whether a segment without an intact frame is merely one that a crash left begun: a piece
/// of a header, of a first frame, or zeroes. Nothing for anybody to look at.
fn is_torn_beginning(disk: &Disk, file: &File, candidate: &Candidate) -> bool {
    let Candidate { len, frames_at, .. } = *candidate;
    if len.saturating_sub(frames_at) < FRAME_HEAD as u64 {
        return true;
    }
    let mut bytes = vec![0; CHUNK];
    let head = disk.read_at(file, &mut bytes[..FRAME_HEAD], frames_at);
    if head.is_ok() && Head::decode(&bytes).is_some_and(|h| u64::from(h.len) > len - frames_at - FRAME_HEAD as u64) {
        return true;
    }
    let mut at = frames_at;
    while at < len {
        match disk.read_at(file, &mut bytes, at) {
            Ok(n) if n > 0 && bytes[..n].iter().all(|b| *b == 0) => at += n as u64,
            _ => return false,
        }
    }
    true
}
