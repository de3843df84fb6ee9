//! Counting the frames of all segments, at a start.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Count;
use super::disk::Disk;
use super::format::{Context, FRAME_HEAD, Head};
use super::recovery::{Finding, Recovery};
use super::scan::{CHUNK, Rule, Scan};
use super::segment::Segment;

/// A segment that is left alone: it explains a gap, and its numbers are in use.
pub(super) struct Aside {
    pub(super) name: u64,
    /// Its numbers end before this one.
    pub(super) bound: u64,
}

impl Aside {
    pub(super) fn new(name: u64, len: u64) -> Aside {
        Aside { name, bound: name.saturating_add(len / FRAME_HEAD as u64 + 1) }
    }
}

/// A segment file before its frames were looked at.
pub(super) struct Candidate {
    pub(super) name: u64,
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) len: u64,
    pub(super) frames_at: u64,
    pub(super) header_damage: u64,
    /// Its header's, with the number by which frames name it.
    pub(super) context: Option<(u32, Context)>,
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
}

pub(super) fn scan_all(
    disk: &Disk,
    dir: &Path,
    candidates: &[Candidate],
    aside: &[Aside],
    cursor: u64,
) -> io::Result<Scanned> {
    let mut out = Scanned::default();
    // Before the first segment, only a cursor says that there was anything.
    let mut end = if cursor > 0 { cursor } else { candidates.first().map_or(0, |c| c.first) };
    for (i, candidate) in candidates.iter().enumerate() {
        // A name alone sets no limit: any garbage can have one.
        let upper = candidates[i + 1..].iter().find(|c| c.context.is_some()).map_or(u64::MAX, |next| next.first);
        let lower = out.segments.back().map_or(0, |s| s.end);
        let Some(segment) = scan_one(disk, &mut out, candidate, lower..upper, cursor, i + 1 == candidates.len())?
        else {
            continue;
        };
        // A segment that was left alone explains the gap: its frames are not lost.
        let explained = aside.iter().chain(&out.aside).any(|l| (end..segment.first).contains(&l.name));
        if segment.first > end && !explained {
            out.report.lost_frames += segment.first - end;
            out.report.note(dir.to_path_buf(), Finding::Missing { from: end, to: segment.first });
        }
        end = end.max(segment.end);
        out.report.waiting += segment.waiting;
        out.segments.push_back(segment);
    }
    Ok(out)
}

/// Counts a segment's frames, of those numbered in `range`. `None` where there is nothing
/// in it that could be used.
fn scan_one(
    disk: &Disk,
    out: &mut Scanned,
    candidate: &Candidate,
    range: Range<u64>,
    cursor: u64,
    is_last: bool,
) -> io::Result<Option<Segment>> {
    let Candidate { name, first, path, len, frames_at, .. } = candidate;
    let file = match disk.open(path) {
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
        next: cursor.max(*first).max(range.start),
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
        out.report.lost_frames += head.seq.saturating_sub(segment.end.max(cursor));
        segment.end = head.seq + 1;
        good_end = scan.offset;
        damage_before = scan.skipped.bytes;
        if head.seq < cursor {
            continue;
        }
        if segment.waiting.frames == 0 {
            segment.start = found.offset;
            segment.first_ms = head.time_ms;
        }
        segment.last_ms = head.time_ms;
        segment.waiting += Count { frames: 1, samples: head.samples.into(), bytes: head.len.into() };
    }
    out.report.damaged_ranges += scan.skipped.ranges + u64::from(candidate.header_damage > 0);
    out.report.damaged_bytes += scan.skipped.bytes + candidate.header_damage;
    if segment.end == *first && scan.skipped.bytes > 0 {
        if let Some(error) = scan.take_error() {
            out.aside.push(Aside::new(*name, *len));
            out.report.note(path.clone(), Finding::Unreachable(error.to_string()));
            out.unreachable.get_or_insert((path.clone(), error));
        } else if is_torn_beginning(disk, &file, candidate) {
            out.empty.push(path.clone());
        } else {
            out.unreadable.push((path.clone(), "nothing in it is intact"));
        }
        return Ok(None);
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
