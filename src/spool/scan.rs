//! Reads frames out of a segment, one after the other, and past whatever is damaged.
//!
//! Where a frame does not hold, the search goes on at the next marker behind it: a frame's
//! length is not believed when its checksums fail. The work is linear in the file's size:
//! a marker costs one checksum over 36 bytes, and payload checksums that fail are limited
//! by [`MAX_WASTE`].

use std::fs::File;
use std::io;

use super::disk::Disk;
use super::format::{FRAME_HEAD, Head, MARKER};

/// How much is read at once. Larger ones make the scan no faster, and one of these is kept
/// while a spool is being read.
pub(super) const CHUNK: usize = 64 << 10;

/// What is given up where the disk reports an error: a page, the unit in which it does.
const BAD_BLOCK: u64 = 4096;

/// Unreadable pages in one file after which the rest of it is given up: a dying disk takes
/// seconds over each.
const MAX_BAD_BLOCKS: u32 = 16;

/// Payload checksums may fail over this many times the file's size. Accidents stay far
/// below one; only a file made for it (frames within frames within frames) gets here, and
/// from then on a failed frame is skipped whole.
const MAX_WASTE: u64 = 4;

/// Which frames are taken for this segment's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The header's context; `None` where the header is lost: then the first intact frame says.
    pub(super) context: Option<u32>,
    /// The segment's first sequence number.
    pub(super) first: u64,
    /// The lowest number that can come next.
    pub(super) next: u64,
    /// Numbers from here on belong to later segments.
    pub(super) upper: u64,
}

impl Rule {
    fn takes(&self, head: &Head, offset: u64) -> bool {
        // Numbers within a segment are consecutive, and each frame before this one took
        // FRAME_HEAD bytes at least: a frame from elsewhere does not fit this bound.
        self.context.is_none_or(|c| c == head.context)
            && (self.next..self.upper).contains(&head.seq)
            && head.seq - self.first <= offset / FRAME_HEAD as u64
    }
}

/// An intact frame, and where its head begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) offset: u64,
}

/// What a scan passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) ranges: u64,
    pub(super) bytes: u64,
}

/// Frames whose heads hold and whose payloads do not: lost, and known by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Headed {
    pub(super) frames: u64,
    pub(super) samples: u64,
    /// The number after the last one.
    pub(super) end: u64,
    /// Where that one's payload ends, or would.
    pub(super) offset: u64,
}

impl Headed {
    /// `body` is where its payload begins.
    pub(super) fn add(&mut self, head: &Head, body: u64) {
        // One that seems to come again lies within another's payload.
        if head.seq >= self.end {
            self.frames += 1;
            self.samples += u64::from(head.samples);
            self.end = head.seq + 1;
            self.offset = body + u64::from(head.len);
        }
    }
}

/// A position in a segment.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) rule: Rule,
    pub(super) offset: u64,
    pub(super) skipped: Skipped,
    /// Passed over since the last intact frame.
    pub(super) headed: Headed,
    window: Window,
    wasted: u64,
}

impl Scan {
    pub(super) fn new(rule: Rule, offset: u64) -> Scan {
        let (skipped, headed) = (Skipped::default(), Headed::default());
        Scan { rule, offset, skipped, headed, window: Window::default(), wasted: 0 }
    }

    /// The read error since this was last asked, if there was one: then what was skipped
    /// may be intact.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.window.error.take()
    }

    /// A new scan, perhaps of another file; only the buffer is kept, without what is in it.
    pub(super) fn restart(&mut self, rule: Rule, offset: u64) {
        let mut window = std::mem::take(&mut self.window);
        window.forget();
        *self = Scan { window, ..Scan::new(rule, offset) };
    }

    /// The next intact frame before `end`; its payload goes to `out`, where one is given.
    /// At `None` the position is `end`.
    pub(super) fn next(&mut self, disk: &Disk, file: &File, end: u64, mut out: Option<&mut Vec<u8>>) -> Option<Found> {
        let from = self.offset;
        while self.offset + FRAME_HEAD as u64 <= end {
            let at = self.offset;
            let head = Head::decode(self.window.slice(disk, file, at, FRAME_HEAD, end));
            let body = at + FRAME_HEAD as u64;
            let head = head.filter(|h| self.rule.takes(h, at));
            if let Some(head) = head.filter(|h| u64::from(h.len) <= end - body) {
                self.offset = body + u64::from(head.len);
                if self.payload_holds(disk, file, body, &head, out.as_deref_mut()) {
                    self.skip(from, at);
                    self.rule.next = head.seq + 1;
                    self.rule.context = Some(head.context);
                    return Some(Found { head, offset: at });
                }
                self.headed.add(&head, body);
                self.wasted += u64::from(head.len);
                if self.wasted > MAX_WASTE * end {
                    continue;
                }
            } else if let Some(head) = head {
                // Torn.
                self.headed.add(&head, body);
            }
            self.offset = self.find_marker(disk, file, at + 1, end);
        }
        self.offset = end;
        self.skip(from, end);
        None
    }

    /// What [`Scan::headed`] says since this was last asked.
    pub(super) fn take_headed(&mut self) -> Headed {
        std::mem::take(&mut self.headed)
    }

    fn skip(&mut self, from: u64, to: u64) {
        if to > from {
            self.skipped.ranges += 1;
            self.skipped.bytes += to - from;
        }
    }

    fn payload_holds(
        &mut self,
        disk: &Disk,
        file: &File,
        body: u64,
        head: &Head,
        mut out: Option<&mut Vec<u8>>,
    ) -> bool {
        if let Some(out) = out.as_mut() {
            // No further than the file: the caller compared `len` with its end.
            out.clear();
            out.reserve_exact(head.len as usize);
        }
        let mut crc = crc32fast::Hasher::new();
        let end = body + u64::from(head.len);
        let mut at = body;
        while at < end {
            let bytes = self.window.slice(disk, file, at, 1, end);
            let bytes = &bytes[..bytes.len().min((end - at) as usize)];
            if bytes.is_empty() {
                return false;
            }
            crc.update(bytes);
            if let Some(out) = out.as_mut() {
                out.extend_from_slice(bytes);
            }
            at += bytes.len() as u64;
        }
        crc.finalize() == head.crc
    }

    fn find_marker(&mut self, disk: &Disk, file: &File, from: u64, end: u64) -> u64 {
        let mut at = from;
        while at + FRAME_HEAD as u64 <= end {
            let bytes = self.window.slice(disk, file, at, FRAME_HEAD, end);
            if bytes.len() < MARKER.len() {
                return end;
            }
            if let Some(found) = bytes.windows(MARKER.len()).position(|w| w == MARKER) {
                return at + found as u64;
            }
            at += (bytes.len() - (MARKER.len() - 1)) as u64;
        }
        end
    }
}

/// The part of the file that is in memory.
#[derive(Debug, Default)]
struct Window {
    buf: Vec<u8>,
    start: u64,
    bad_blocks: u32,
    error: Option<io::Error>,
}

impl Window {
    fn forget(&mut self) {
        self.buf.clear();
        self.error = None;
        self.bad_blocks = 0;
    }

    /// The bytes from `at`: `need` of them or more, fewer only at `end` or where the file
    /// can't be read. What can't be read in places is zeroes, which no checksum holds for.
    fn slice(&mut self, disk: &Disk, file: &File, at: u64, need: usize, end: u64) -> &[u8] {
        let buffered = self.start..self.start + self.buf.len() as u64;
        if !buffered.contains(&at) || buffered.end - at < need as u64 {
            self.fill(disk, file, at, need, end);
        }
        &self.buf[(at - self.start) as usize..]
    }

    fn fill(&mut self, disk: &Disk, file: &File, at: u64, need: usize, end: u64) {
        let want = end.saturating_sub(at).min(CHUNK as u64) as usize;
        self.start = at;
        self.buf.resize(want, 0);
        let mut got = 0;
        while got < want.min(need) {
            match disk.read_at(file, &mut self.buf[got..], at + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) => {
                    self.bad_blocks += 1;
                    self.error = Some(error);
                    if self.bad_blocks > MAX_BAD_BLOCKS {
                        break;
                    }
                    let bad_end = ((at + got as u64) / BAD_BLOCK + 1) * BAD_BLOCK - at;
                    let bad_end = (bad_end as usize).min(want);
                    self.buf[got..bad_end].fill(0);
                    got = bad_end;
                }
            }
        }
        self.buf.truncate(got);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn frame(seq: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Head { context: 1, len: 0, seq, time_ms: 0, samples: 0, crc: 0 }.encode(payload, &mut out);
        out
    }

    fn file(bytes: &[u8]) -> File {
        let dir = crate::spool::tests::TempDir::new();
        let path = dir.path().join("file");
        let mut file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn scan(bytes: &[u8], rule: Rule) -> (Vec<u64>, Skipped, u64) {
        let file = file(bytes);
        let mut scan = Scan::new(rule, 0);
        let mut found = Vec::new();
        while let Some(frame) = scan.next(&Disk::default(), &file, bytes.len() as u64, None) {
            found.push(frame.head.seq);
        }
        assert_eq!(scan.offset, bytes.len() as u64);
        (found, scan.skipped, scan.wasted)
    }

    const RULE: Rule = Rule { context: Some(1), first: 1, next: 1, upper: 100 };

    #[test]
    fn frames_larger_than_the_window_are_read() {
        let bytes = [frame(1, &vec![7; 3 * CHUNK]), frame(2, b""), frame(3, &vec![8; CHUNK])].concat();
        assert_eq!(scan(&bytes, RULE), (vec![1, 2, 3], Skipped::default(), 0));
    }

    #[test]
    fn garbage_before_between_and_after_is_passed_over_and_counted() {
        let garbage: Vec<u8> = (0..200u8).collect();
        let bytes = [&garbage[..], &frame(2, b"two"), &garbage[..50], &frame(3, b"three"), &MARKER, &[0; 99]].concat();
        assert_eq!(scan(&bytes, RULE), (vec![2, 3], Skipped { ranges: 3, bytes: 200 + 50 + 103 }, 0));
    }

    #[test]
    fn frames_of_another_context_or_another_place_are_not_taken() {
        let mut foreign = Vec::new();
        Head { context: 2, len: 0, seq: 2, time_ms: 0, samples: 0, crc: 0 }.encode(b"foreign", &mut foreign);
        let bytes = [&frame(1, b"a")[..], &foreign, &frame(1, b"again"), &frame(99, b"far"), &frame(3, b"b")].concat();
        assert_eq!(scan(&bytes, RULE).0, [1, 3]);
        assert_eq!(scan(&bytes, Rule { upper: 3, ..RULE }).0, [1]);
    }

    #[test]
    fn without_a_header_the_first_intact_frame_says_the_context() {
        let mut foreign = Vec::new();
        Head { context: 2, len: 0, seq: 2, time_ms: 0, samples: 0, crc: 0 }.encode(b"foreign", &mut foreign);
        let bytes = [&frame(1, b"a")[..], &foreign, &frame(2, b"b")].concat();
        assert_eq!(scan(&bytes, Rule { context: None, ..RULE }).0, [1, 2]);
    }

    #[test]
    fn the_work_stays_linear_however_frames_are_nested() {
        // Heads that hold, each with a payload that runs to the end and does not hold: the
        // worst that a file can be made to cost.
        const HEADS: usize = 5000;
        let size = HEADS * FRAME_HEAD;
        let mut bytes = Vec::new();
        for i in 0..HEADS {
            let mut one = Vec::new();
            let left = size - (i + 1) * FRAME_HEAD;
            Head { context: 1, len: 0, seq: 1 + i as u64, time_ms: 0, samples: 0, crc: 0 }
                .encode(&vec![1; left], &mut one);
            bytes.extend(&one[..FRAME_HEAD]);
        }
        let (found, skipped, wasted) = scan(&bytes, Rule { upper: u64::MAX, ..RULE });
        // The last head has an empty payload, which does hold; it is passed over once the
        // allowance is spent, since it lies within a frame that is skipped whole.
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(skipped, Skipped { ranges: 1, bytes: size as u64 });
        assert!(wasted <= (MAX_WASTE + 1) * size as u64, "{wasted} bytes for a file of {size}");
    }
}
