//! One client: its bytes to messages.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use dlt_logger::format::decode::{Frame, Item, MAX_ITEM_BYTES, resync, split_item};

use super::stats::Stats;

/// Bytes that are read at once.
pub const READ_BYTES: usize = 256 << 10;
/// Room for what is read at once behind an unfinished message of before.
pub const BUFFER_BYTES: usize = READ_BYTES + MAX_ITEM_BYTES;

/// A client's socket.
#[derive(Debug)]
pub enum Socket {
    /// On the Unix socket.
    Unix(UnixStream),
    /// On TCP.
    Tcp(TcpStream),
}

impl Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.read(bytes),
            Self::Tcp(socket) => socket.read(bytes),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(socket) => socket.as_fd(),
            Self::Tcp(socket) => socket.as_fd(),
        }
    }
}

/// What is left of a client after one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// This many bytes came.
    Read(usize),
    /// Nothing is there now.
    Nothing,
    /// The client has gone, or was closed for what it sent.
    Closed,
}

/// A client.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    /// The beginning of a message whose end has not come yet.
    unfinished: Vec<u8>,
}

impl Connection {
    /// A client that has connected. Its socket is non-blocking.
    pub const fn new(socket: Socket) -> Self {
        Self { socket, unfinished: Vec::new() }
    }

    /// Its socket.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads once, into `buffer` of [`BUFFER_BYTES`], and gives each message to `take` with all of its bytes.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        stats: &mut Stats,
        take: impl FnMut(&Frame<'_>, &[u8], &mut Stats),
    ) -> Progress {
        let kept = self.unfinished.len();
        match self.socket.read(&mut buffer[kept..kept + READ_BYTES]) {
            Ok(0) => {
                stats.skipped_bytes += kept as u64;
                Progress::Closed
            }
            Ok(n) => {
                buffer[..kept].copy_from_slice(&self.unfinished);
                self.unfinished.clear();
                let is_tcp = matches!(self.socket, Socket::Tcp(_));
                if let Some(used) = take_apart(&buffer[..kept + n], is_tcp, stats, take) {
                    self.unfinished.extend_from_slice(&buffer[used..kept + n]);
                    Progress::Read(n)
                } else {
                    stats.refused += 1;
                    Progress::Closed
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Progress::Nothing
            }
            Err(_) => {
                // The client was killed: what it sent has been read.
                stats.skipped_bytes += kept as u64;
                Progress::Closed
            }
        }
    }
}

/// Takes whole messages; returns how many bytes these were. `None`: there is no way to find the next message, since
/// plain messages, as TCP clients send them, have no pattern to look for.
pub fn take_apart(
    bytes: &[u8],
    is_tcp: bool,
    stats: &mut Stats,
    mut take: impl FnMut(&Frame<'_>, &[u8], &mut Stats),
) -> Option<usize> {
    let mut at = 0;
    loop {
        match split_item(&bytes[at..]) {
            Ok(Some((Item::Message(frame), used))) => {
                stats.message(frame.apid(), used);
                take(&frame, &bytes[at..at + used], stats);
                at += used;
            }
            Ok(Some((Item::User(_), used))) => {
                stats.user_messages += 1;
                at += used;
            }
            Ok(None) => return Some(at),
            Err(_) => {
                stats.errors += 1;
                if is_tcp {
                    stats.skipped_bytes += (bytes.len() - at) as u64;
                    return None;
                }
                let skipped = resync(&bytes[at..]);
                stats.skipped_bytes += skipped as u64;
                at += skipped;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] =
        b"DUH\x01\x01\0\0\0\x3d\x19\x00\x22ECU1\0\0\x12\x34\0\0\0\x07\x41\x01APP1CTX1\x43\0\0\0\x2a\0\0\0";

    fn all(bytes: &[u8], is_tcp: bool) -> (Option<usize>, Stats, usize) {
        let (mut stats, mut taken) = (Stats::default(), 0);
        let used = take_apart(bytes, is_tcp, &mut stats, |_, whole, _| taken += whole.len());
        (used, stats, taken)
    }

    #[test]
    fn messages_are_counted_and_the_rest_is_kept() {
        let bytes = [MESSAGE, MESSAGE, &MESSAGE[..10]].concat();
        let (used, stats, taken) = all(&bytes, false);
        assert_eq!(used, Some(2 * MESSAGE.len()));
        assert_eq!((stats.messages, stats.bytes as usize, taken), (2, 2 * MESSAGE.len(), 2 * MESSAGE.len()));
        assert_eq!((stats.errors, stats.skipped_bytes), (0, 0));
    }

    #[test]
    fn garbage_is_skipped_on_a_unix_socket_and_ends_a_tcp_connection() {
        let bytes = [b"garbage".as_slice(), MESSAGE].concat();
        let (used, stats, _) = all(&bytes, false);
        assert_eq!(used, Some(bytes.len()));
        assert_eq!((stats.messages, stats.errors, stats.skipped_bytes), (1, 1, 7));
        let (used, stats, _) = all(&[&MESSAGE[8..], b"garbage".as_slice()].concat(), true);
        assert_eq!(used, None);
        assert_eq!((stats.messages, stats.errors, stats.skipped_bytes), (1, 1, 7));
    }

    /// Every byte is accounted for, whatever comes, and what is kept always fits the buffer.
    #[test]
    fn no_bytes_make_it_hang_or_panic() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..2000 {
            let mut bytes = MESSAGE.repeat(3);
            for _ in 0..=round % 7 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = state as usize % bytes.len();
                bytes[at] = (state >> 32) as u8;
            }
            let (used, stats, taken) = all(&bytes, false);
            let used = used.expect("a Unix connection is never given up");
            assert!(bytes.len() - used <= MAX_ITEM_BYTES);
            assert_eq!(stats.bytes as usize, taken);
            assert!(taken + stats.skipped_bytes as usize <= used, "{stats:?}");
        }
    }
}
