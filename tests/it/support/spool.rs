//! What is in a spool's directory, as a kill would leave it.

use std::path::Path;

/// The head of a frame.
const FRAME_HEAD: usize = 40;

/// Where the first frame of a segment is: behind its header, which stands twice.
pub fn first_frame(segment: &[u8]) -> Option<usize> {
    Some(2 * number(segment, 12)?)
}

/// Whether a whole request is in a segment of the spool `home`. A segment by itself says nothing:
/// its header is written first.
pub fn has_frame(home: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(home) else { return false };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let segments = files.filter(|path| path.extension().is_some_and(|extension| extension == "seg"));
    segments.filter_map(|path| std::fs::read(path).ok()).any(|segment| holds_frame(&segment).unwrap_or_default())
}

fn holds_frame(segment: &[u8]) -> Option<bool> {
    let frame = segment.get(first_frame(segment)?..)?;
    Some(frame.len() >= FRAME_HEAD + number(frame, 12)?)
}

/// The layout stands at the top of `src/spool/mod.rs`.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}
