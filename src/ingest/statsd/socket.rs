//! The sockets that datagrams come in by.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::host::Datagrams;

/// Every local user may send, as by UDP on a loopback address.
const MODE: u32 = 0o666;

/// A socket of UDP.
pub struct Udp {
    place: String,
    socket: UdpSocket,
}

impl Udp {
    /// At `place`, host and port; that of `before`, where it is there.
    pub fn open(place: &str, before: Option<&Udp>) -> io::Result<Udp> {
        let socket = match before {
            Some(before) if before.place == place => before.socket.try_clone(),
            _ => UdpSocket::bind(place),
        };
        let socket = socket.map_err(|error| wrong("udp", place, &error))?;
        Datagrams::prepare(&socket).map_err(|error| wrong("udp", place, &error))?;
        Ok(Udp { place: place.to_owned(), socket })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }
}

/// A Unix socket, whose file goes with the last of those who have it.
pub struct Unix {
    path: PathBuf,
    socket: UnixDatagram,
    /// The file's device and inode: another one may have taken its place by now.
    file: Option<(u64, u64)>,
    is_taken_over: std::sync::atomic::AtomicBool,
}

impl Unix {
    /// At `path`; that of `before`, where it is there.
    pub fn open(path: &Path, before: Option<&Unix>) -> io::Result<Unix> {
        let say = |error: io::Error| wrong("unix", &path.display().to_string(), &error);
        if let Some(before) = before.filter(|before| before.path == path) {
            let socket = before.socket.try_clone().map_err(say)?;
            before.is_taken_over.store(true, std::sync::atomic::Ordering::Relaxed);
            return Ok(Unix { path: path.to_owned(), socket, file: before.file, is_taken_over: false.into() });
        }
        remove_stale(path);
        let socket = UnixDatagram::bind(path).map_err(say)?;
        let unix = Unix { path: path.to_owned(), socket, file: id_of(path), is_taken_over: false.into() };
        fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(say)?;
        Datagrams::prepare(&unix.socket).map_err(say)?;
        Ok(unix)
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        if !*self.is_taken_over.get_mut() && self.file.is_some() && id_of(&self.path) == self.file {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsFd for Unix {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn id_of(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Removes a socket that nobody listens at any more: what is left of one that was killed.
fn remove_stale(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let probe = UnixDatagram::unbound().and_then(|probe| probe.connect(path));
    if is_socket && probe.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        let _ = fs::remove_file(path);
    }
}

fn wrong(field: &str, place: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {place} (listen.statsd.{field}): {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_makes_room_and_a_living_one_or_a_file_does_not() {
        let path = std::env::temp_dir().join(format!("metricsd-statsd-{}", std::process::id()));
        drop(UnixDatagram::bind(&path).unwrap());
        let unix = Unix::open(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let taken = Unix::open(&path, None).err().unwrap();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(taken.to_string().contains("listen.statsd.unix"), "{taken}");
        let next = Unix::open(&path, Some(&unix)).unwrap();
        drop(unix);
        assert!(path.exists());
        drop(next);
        assert!(!path.exists());
        fs::write(&path, "a file").unwrap();
        assert!(Unix::open(&path, None).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"a file");
        fs::remove_file(&path).unwrap();
    }
}
