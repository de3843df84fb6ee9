//! The cursor's file.

use std::io;
use std::path::Path;

use super::disk::Disk;
use super::format::Cursor;
use super::home::{CURSOR, CURSOR_TMP, clear};

/// Writes `cursor` beside the old one and puts it in its place. What is no file there goes to
/// the quarantine. Whether its name has reached the device.
///
/// # Errors
/// The old one is still there; the error names the path.
pub(super) fn write_cursor(disk: &Disk, home: &Path, cursor: &Cursor, sync: bool) -> io::Result<io::Result<()>> {
    let (tmp, path) = (home.join(CURSOR_TMP), home.join(CURSOR));
    write_file(disk, home, &tmp, &cursor.encode(), sync).map_err(|error| unwritten(&tmp, error))?;
    let clear = clear(disk, home, CURSOR);
    clear.and_then(|_| disk.rename(&tmp, &path)).map_err(|error| unwritten(&path, error))?;
    Ok(if sync { disk.sync_dir(home) } else { Ok(()) })
}

/// There is to be none.
///
/// # Errors
/// It is still there.
pub(super) fn remove_cursor(disk: &Disk, home: &Path) -> io::Result<()> {
    let clear = clear(disk, home, CURSOR);
    match clear.and_then(|_| disk.remove(&home.join(CURSOR))) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn write_file(disk: &Disk, home: &Path, path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let file = match disk.create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            if clear(disk, home, CURSOR_TMP)?.is_none() {
                disk.remove(path)?;
            }
            disk.create(path)?
        }
        result => result?,
    };
    disk.write_all_at(&file, bytes, 0)?;
    if sync { disk.sync_data(&file) } else { Ok(()) }
}

fn unwritten(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}
