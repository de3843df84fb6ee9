//! What is in a spool's directory, found out without changing anything.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::api::{Count, DEFAULT_SEGMENT_BYTES};
use super::census::{Aside, Candidate, Terms, scan_all};
use super::disk::Disk;
use super::format::{
    Context, Cursor, Header, MAX_CURSOR_BYTES, MAX_HEADER, NO_NUMBER, context_id, decode_header, parse_segment_name,
    segment_name,
};
use super::home::{CURSOR, CURSOR_TMP, LOCK, QUARANTINE};
use super::ranges::Ranges;
use super::recovery::{Finding, Recovery};
use super::segment::Segment;
use crate::order;

/// The result of [`survey`].
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) segments: VecDeque<Segment>,
    /// Of the life that the directory's files belong to; `None` where there is none to go on with.
    pub(super) nonce: Option<u64>,
    /// The destination that the newest header names.
    pub(super) destination: Option<String>,
    /// The cursor that was found good; `Some` also when it lies below everything.
    pub(super) cursor: Option<Cursor>,
    /// Its end is that of the data: nothing was stored since it was written.
    pub(super) is_exact: bool,
    /// Numbers that are missing: those of lost frames, and those that were never a frame's.
    pub(super) told: Ranges,
    pub(super) void: Ranges,
    /// Samples in the last intact frame.
    pub(super) samples: u32,
    /// What of `told` and `void` no cursor says.
    pub(super) has_news: bool,
    /// Waiting, and from before the time that was asked for.
    pub(super) old: Count,
    /// A sequence number from which on none is in use.
    pub(super) free: u64,
    /// A cursor file is there that must not be believed by a later start either.
    pub(super) bad_cursor: bool,
    pub(super) report: Recovery,
    /// Files for the quarantine, with the reason.
    pub(super) unreadable: Vec<(PathBuf, &'static str)>,
    /// Segment files without a byte in them.
    pub(super) empty: Vec<PathBuf>,
    /// The first segment that could not be opened or read, and may be intact.
    pub(super) unreachable: Option<(PathBuf, io::Error)>,
}

impl Survey {
    /// A file could be neither moved nor removed: no number that its name may claim is used.
    pub(super) fn leave_in_place(&mut self, path: PathBuf, error: &io::Error) {
        let name = path.file_name().and_then(|n| n.to_str()).and_then(parse_segment_name);
        if let Some(name) = name.filter(|name| *name < NO_NUMBER) {
            self.free_from(Aside::new(name, DEFAULT_SEGMENT_BYTES).bound);
        }
        self.report.note(path, Finding::LeftInPlace(error.to_string()));
    }

    /// No number below `bound` is used.
    fn free_from(&mut self, bound: u64) {
        if bound > self.free {
            self.void.add(self.free..bound);
            self.has_news = true;
            self.free = bound;
        }
    }
}

/// What the caller would write into a header: the last resort for a segment that lost its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub(super) destination: &'a str,
    pub(super) content: &'a [(String, String)],
}

/// Reads the whole directory, and counts apart what is from before `old_before_ms`. Fails
/// only where it can't be listed, or where the process is out of file descriptors or memory:
/// then nothing is known about the files.
pub(super) fn survey(disk: &Disk, dir: &Path, own: Own<'_>, old_before_ms: i64) -> io::Result<Survey> {
    let mut out = Survey {
        segments: VecDeque::new(),
        nonce: None,
        destination: None,
        cursor: None,
        is_exact: false,
        told: Ranges::default(),
        void: Ranges::default(),
        samples: 0,
        has_news: false,
        old: Count::default(),
        bad_cursor: false,
        free: 1,
        report: Recovery::default(),
        unreadable: Vec::new(),
        empty: Vec::new(),
        unreachable: None,
    };
    // First: a daemon that runs may put in more meanwhile, of which a later cursor would tell.
    let cursor = read_cursor(disk, dir, &mut out);
    let mut candidates = Vec::new();
    let mut aside = Vec::new();
    for name in list(dir, &mut out.report)? {
        look_at(disk, dir, name, &mut out, &mut candidates, &mut aside)?;
    }
    // Of two that begin alike, only the last is read: the one that bears its right name.
    order::sort_by_key(&mut candidates, |c| (c.first, c.name == c.first));

    set_others_aside(dir, &mut candidates, &mut aside, &mut out.report);
    let newest = candidates.iter().rev().find_map(|c| c.context.as_ref());
    out.destination = newest.map(|(_, context)| context.destination.clone());
    // Without any header the cursor is all that is left of this life's identity. Without
    // any segment there is nothing to go on with.
    out.nonce = match newest {
        Some((_, context)) => Some(context.nonce),
        None if candidates.is_empty() => None,
        None => cursor.as_ref().map(|c| c.nonce),
    };
    let is_alone = candidates.is_empty() && aside.is_empty();
    let mut accepted = cursor.clone().filter(|c| Some(c.nonce) == out.nonce);
    if cursor.is_some() && accepted.is_none() {
        if !candidates.is_empty() {
            out.report.note(dir.join(CURSOR), Finding::CursorIgnored("it belongs to an earlier spool"));
        }
        out.bad_cursor = true;
    }
    // Alone, it says what was there: frames that are lost, or nothing where it is what a kill
    // between the last segment's removal and its own left.
    let known = if is_alone { cursor } else { accepted.clone() }.unwrap_or_default();

    let contents = known_contents(&out, &candidates, own);
    let mut terms = Terms { from: known.seq, cursor: &known, old_before_ms };
    let mut scanned = scan_all(disk, dir, &candidates, &aside, &terms)?;
    let mut accounted = known.told.clone();
    accounted.add_all(&known.void);
    let is_beyond = |last: &Segment| accounted.outside(&(last.end..known.seq)) > 0;
    if accepted.is_some() && scanned.segments.back().is_some_and(is_beyond) {
        // The data behind it is gone, or it never was: what is there is delivered again
        // rather than lost.
        out.report.note(dir.join(CURSOR), Finding::CursorIgnored("it lies beyond the data"));
        out.bad_cursor = true;
        accepted = None;
        terms.from = 0;
        scanned = scan_all(disk, dir, &candidates, &aside, &terms)?;
    }
    (out.told, out.void) = (known.told.clone(), known.void.clone());
    out.told.add_all(&scanned.gaps);
    out.has_news = scanned.report.fresh.frames > 0;
    out.samples = if scanned.samples > 0 { scanned.samples } else { known.samples };
    out.old = scanned.old;
    if accepted.is_none() {
        // What it says of the numbers is not to be lost with it.
        out.has_news |= out.told != Ranges::default();
    }
    out.cursor = accepted;
    out.is_exact = known.is_exact_for(scanned.end) && !is_alone;
    let last = scanned.segments.back().map_or(scanned.end, |last| last.end);
    let behind = last..scanned.end;
    out.free = scanned.end.max(1);
    if scanned.gaps.outside(&behind) < behind.end - behind.start {
        // The numbers of what is lost at the end are not used again: so they stay missing.
        out.void.add(last..known.seq);
    } else if !behind.is_empty() {
        out.told.forget_from(last);
        out.void.forget_from(last);
        out.free = last;
    }
    for mut segment in scanned.segments {
        segment.content = match segment.context.and_then(|id| contents.get(&id)) {
            Some(content) => Arc::clone(content),
            None => {
                out.report.note(segment.path(dir), Finding::ContentUnknown);
                own.content.into()
            }
        };
        segment.appendable &= aside.iter().chain(&scanned.aside).all(|a| a.name < segment.first);
        out.free = out.free.max(segment.end);
        out.segments.push_back(segment);
    }
    for segment in aside.iter().chain(&scanned.aside) {
        out.free_from(segment.bound);
    }
    out.report.merge(scanned.report);
    out.unreadable.extend(scanned.unreadable);
    out.empty.extend(scanned.empty);
    out.unreachable = out.unreachable.take().or(scanned.unreachable);
    // Without one, the next start could not tell that the first segment is gone.
    out.has_news |= out.cursor.is_none() && out.segments.len() > 1;
    if out.segments.is_empty() && out.unreachable.is_none() {
        // With what is gone it is done with; another start would count it again.
        out.bad_cursor |= out.cursor.take().is_some();
    }
    Ok(out)
}

/// A directory belongs to one life. Segments of others, which only a copy can have brought
/// here, would claim the same numbers.
fn set_others_aside(dir: &Path, candidates: &mut Vec<Candidate>, aside: &mut Vec<Aside>, report: &mut Recovery) {
    let mut lives: HashMap<u64, usize> = HashMap::new();
    for (_, context) in candidates.iter().filter_map(|c| c.context.as_ref()) {
        *lives.entry(context.nonce).or_default() += 1;
    }
    if lives.len() < 2 {
        return;
    }
    let ours = lives.into_iter().max_by_key(|(nonce, segments)| (*segments, *nonce)).map(|(nonce, _)| nonce);
    candidates.retain(|c| {
        let other = c.context.as_ref().is_some_and(|(_, context)| Some(context.nonce) != ours);
        if other {
            aside.push(Aside::of(c));
            report.note(c.path(dir), Finding::OtherSpool);
        }
        !other
    });
}

/// The names in the directory that may be segments; what is nothing of ours is noted.
fn list(dir: &Path, report: &mut Recovery) -> io::Result<Vec<u64>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if [LOCK, CURSOR, CURSOR_TMP, QUARANTINE].contains(&name) {
            continue;
        }
        match parse_segment_name(name) {
            Some(_) if !entry.file_type()?.is_file() => report.note(entry.path(), Finding::NotAFile),
            Some(number) => names.push(number),
            None => report.note(entry.path(), Finding::Foreign),
        }
    }
    order::sort(&mut names);
    Ok(names)
}

/// Opens one segment and reads its header.
fn look_at(
    disk: &Disk,
    dir: &Path,
    name: u64,
    out: &mut Survey,
    candidates: &mut Vec<Candidate>,
    aside: &mut Vec<Aside>,
) -> io::Result<()> {
    let path = dir.join(segment_name(name));
    if name >= NO_NUMBER {
        return look_at_renamed(disk, path, name, out, candidates);
    }
    let opened = disk.open(&path).and_then(|file| Ok((file.metadata()?, file)));
    let (meta, file) = match opened {
        Ok(opened) => opened,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) if is_ours_to_mend(&e) => return Err(e),
        Err(e) => {
            // Its size is not known either; this is a whole segment of the smallest frames.
            aside.push(Aside::new(name, DEFAULT_SEGMENT_BYTES));
            out.report.note(path.clone(), Finding::Unreachable(e.to_string()));
            out.unreachable.get_or_insert((path, e));
            return Ok(());
        }
    };
    if !meta.is_file() {
        out.report.note(path, Finding::NotAFile);
        return Ok(());
    }
    if meta.len() == 0 {
        out.empty.push(path);
        return Ok(());
    }
    let head = read_head(disk, &file, meta.len());
    let mut candidate = Candidate { name, first: name, len: meta.len(), frames_at: 0, header_damage: 0, context: None };
    match decode_header(&head) {
        Header::Later(version) => {
            out.report.note(path, Finding::LaterVersion(version));
            aside.push(Aside::new(name, meta.len()));
            return Ok(());
        }
        Header::Known { first, context, context_id, frames_at, damaged } => {
            candidate.first = first;
            candidate.frames_at = frames_at;
            candidate.header_damage = damaged;
            candidate.context = Some((context_id, shared(candidates, context)));
        }
        Header::Lost => {}
    }
    candidates.push(candidate);
    Ok(())
}

/// One context for all segments of it, however many there are: nearly all have their neighbour's.
fn shared(candidates: &[Candidate], context: Context) -> Arc<Context> {
    let near = candidates.iter().rev().take(16).filter_map(|near| near.context.as_ref());
    let same = near.map(|(_, near)| near).find(|near| ***near == context);
    same.map_or_else(|| Arc::new(context), Arc::clone)
}

/// A segment's name and no number that a frame can have: a segment if its header says so.
fn look_at_renamed(
    disk: &Disk,
    path: PathBuf,
    name: u64,
    out: &mut Survey,
    candidates: &mut Vec<Candidate>,
) -> io::Result<()> {
    let read = disk.open(&path).and_then(|file| {
        let len = file.metadata()?.len();
        Ok((len, decode_header(&read_head(disk, &file, len))))
    });
    match read {
        Ok((len, Header::Known { first, context, context_id, frames_at, damaged })) if first < NO_NUMBER => {
            let context = Some((context_id, shared(candidates, context)));
            candidates.push(Candidate { name, first, len, frames_at, header_damage: damaged, context });
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) if is_ours_to_mend(&e) => return Err(e),
        Ok(_) | Err(_) => out.report.note(path, Finding::Foreign),
    }
    Ok(())
}

/// As much of a file of `len` bytes as a header may take; less where it can't be read.
fn read_head(disk: &Disk, file: &File, len: u64) -> Vec<u8> {
    let mut head = vec![0; (len as usize).min(2 * MAX_HEADER)];
    let mut got = 0;
    while got < head.len() {
        match disk.read_at(file, &mut head[got..], got as u64) {
            Ok(n) if n > 0 => got += n,
            // The scan finds out what can be read of it.
            _ => break,
        }
    }
    head.truncate(got);
    head
}

/// Conditions of this process and not of the file: judging the file by them would lose it.
fn is_ours_to_mend(e: &io::Error) -> bool {
    use nix::libc::{EMFILE, ENFILE, ENOMEM};
    matches!(e.raw_os_error(), Some(EMFILE | ENFILE | ENOMEM))
}

fn read_cursor(disk: &Disk, dir: &Path, out: &mut Survey) -> Option<Cursor> {
    let path = dir.join(CURSOR);
    let read = disk.open(&path).and_then(|file| {
        // One byte more, to see that there is none.
        let mut bytes = [0; MAX_CURSOR_BYTES + 1];
        let got = disk.read_at(&file, &mut bytes, 0)?;
        Ok(Cursor::decode(&bytes[..got]))
    });
    match read {
        Ok(Some(cursor)) => Some(cursor),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Ok(None) | Err(_) => {
            out.report.note(path, Finding::CursorIgnored("it cannot be read"));
            None
        }
    }
}

/// The content headers by the number that frames name them with: a segment without its
/// header finds its own among those of the others, or it was written by us.
fn known_contents(out: &Survey, candidates: &[Candidate], own: Own<'_>) -> HashMap<u32, Arc<[(String, String)]>> {
    let mut contents: HashMap<_, Arc<_>> = HashMap::new();
    for (id, context) in candidates.iter().filter_map(|c| c.context.as_ref()) {
        contents.entry(*id).or_insert_with(|| Arc::clone(&context.content));
    }
    if let Some(nonce) = out.nonce {
        let own = Context { nonce, destination: own.destination.to_owned(), content: own.content.into() };
        if let Some(encoded) = own.encode() {
            contents.entry(context_id(&encoded)).or_insert(own.content);
        }
    }
    contents
}
