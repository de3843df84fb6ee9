//! Files of sysfs, each with one value: opened, read and closed each time.

use std::io::{self, Read};
use std::path::Path;

use super::kernel_file::{ReadError, Scratch, open};

/// What an attribute may hold: sysfs gives them a page, of which the largest hold little.
const MAX_BYTES: usize = 4096;

/// Reads the attribute at `path` into `scratch` and lends it.
///
/// One read, as the kernel gives an attribute whole or not at all; where the driver has an error
/// instead of a value (`EIO`, `ENODATA`, `EAGAIN`), that is the answer, and nobody asks twice. It
/// takes as long as the driver takes.
pub fn read_attribute<'s>(path: &Path, scratch: &'s mut Scratch) -> Result<&'s [u8], ReadError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing(path.to_owned()),
        _ => ReadError::Io(path.to_owned(), error),
    };
    let mut file = open(path).map_err(failed)?;
    let buffer = scratch.of_at_least(MAX_BYTES);
    loop {
        match file.read(&mut buffer[..MAX_BYTES]) {
            Ok(len) => return Ok(&buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_read_anew_each_time() {
        let dir = std::env::temp_dir().join(format!("metricsd-attribute-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("temp1_input");
        let mut scratch = Scratch::new();
        assert!(matches!(read_attribute(&path, &mut scratch), Err(ReadError::Missing(_))));
        std::fs::write(&path, "45000\n").unwrap();
        assert_eq!(read_attribute(&path, &mut scratch).unwrap(), b"45000\n");
        std::fs::write(&path, vec![b'x'; MAX_BYTES + 9]).unwrap();
        assert_eq!(read_attribute(&path, &mut scratch).unwrap().len(), MAX_BYTES);
        assert!(matches!(read_attribute(&dir, &mut scratch), Err(ReadError::Io(..))));
        // Nobody writes to it, and nobody waits for that.
        let pipe = dir.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_attribute(&pipe, &mut scratch).unwrap(), b"");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
