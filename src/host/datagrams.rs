//! Datagrams, many with one system call.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};

/// How many are read at a time.
const AT_A_TIME: usize = 64;

/// What one may hold: more than UDP can. What a larger one of a Unix socket has behind that is cut off.
const MAX_BYTES: usize = 64 << 10;

/// What a socket is asked to hold while nobody reads; the kernel gives at most `net.core.rmem_max`.
const SOCKET_BYTES: usize = 4 << 20;

/// Room for datagrams. Of its 4 MiB only those pages are there that something was ever written to.
pub struct Datagrams {
    room: Vec<u8>,
    /// How often the kernel has dropped one since the socket was full, as it said last.
    dropped: u32,
}

impl Default for Datagrams {
    fn default() -> Datagrams {
        Datagrams { room: vec![0; AT_A_TIME * MAX_BYTES], dropped: 0 }
    }
}

impl Datagrams {
    /// Has `socket` hold much, and tell of what it could not hold.
    pub fn prepare(socket: &impl AsFd) -> io::Result<()> {
        setsockopt(socket, sockopt::RcvBuf, &SOCKET_BYTES)?;
        Ok(setsockopt(socket, sockopt::RxqOvfl, &1)?)
    }

    /// Reads what is there without waiting and calls `each` with it, unless it is empty; how many that were, and how many the
    /// kernel has dropped since the last time. None: there were none.
    pub fn read(&mut self, socket: &impl AsFd, mut each: impl FnMut(&[u8])) -> io::Result<Option<(usize, u32)>> {
        let mut slices: Vec<[io::IoSliceMut<'_>; 1]> =
            self.room.chunks_exact_mut(MAX_BYTES).map(|room| [io::IoSliceMut::new(room)]).collect();
        // Made anew, since the kernel leaves in them what room for its own words was used.
        let mut headers: MultiHeaders<()> = MultiHeaders::preallocate(AT_A_TIME, Some(cmsg_space!(u32)));
        let flags = MsgFlags::MSG_DONTWAIT;
        let read = match recvmmsg(socket.as_fd().as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
            Ok(read) => read,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (mut count, mut dropped) = (0, self.dropped);
        for message in read {
            count += 1;
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(all) = control {
                    dropped = all;
                }
            }
            message.iovs().for_each(&mut each);
        }
        let more = dropped.wrapping_sub(std::mem::replace(&mut self.dropped, dropped));
        Ok(Some((count, more)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn what_a_socket_holds_is_read_and_what_it_does_not_is_counted() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Datagrams::prepare(&socket).unwrap();
        let to = socket.local_addr().unwrap();
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut datagrams = Datagrams::default();
        assert_eq!(datagrams.read(&socket, |_| panic!("there is none")).unwrap(), None);
        from.send_to(b"", to).unwrap();
        let large = vec![b'x'; 65_507];
        from.send_to(&large, to).unwrap();
        from.send_to(b"last", to).unwrap();
        let mut got = Vec::new();
        assert_eq!(datagrams.read(&socket, |one| got.push(one.to_vec())).unwrap(), Some((3, 0)));
        assert!(got == [large.clone(), b"last".to_vec()]);
        // Far more than it can hold, whatever the kernel gave it.
        let sent = 1000;
        (0..sent).for_each(|_| _ = from.send_to(&large, to).unwrap());
        let (mut read, mut dropped) = (0, 0);
        let mut take = |datagrams: &mut Datagrams| {
            while let Some((count, more)) = datagrams.read(&socket, |_| ()).unwrap() {
                (read, dropped) = (read + count, dropped + more as usize);
            }
        };
        take(&mut datagrams);
        // The count comes with the next one.
        from.send_to(b"last", to).unwrap();
        take(&mut datagrams);
        assert_eq!(read + dropped, sent + 1);
        assert!(dropped > 0);
    }
}
