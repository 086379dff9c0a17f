//! Where a control's worker writes.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, IoSlice};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{SystemTime, UNIX_EPOCH};

use dlt_logger::Id4;
use dlt_logger::format::StorageHeader;
use dlt_logger::format::header::USER_LOG;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;
use nix::sys::uio::writev;
use nix::unistd::ftruncate;

use crate::load::sink::Endpoint;

/// What stands before each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Plain,
    Storage,
    User,
}

#[derive(Debug)]
pub(super) struct Output {
    fd: OwnedFd,
    framing: Framing,
    ecu: Id4,
    /// `writev` calls.
    pub(super) calls: u64,
    /// Those that found the sink full.
    pub(super) full: u64,
}

impl Output {
    pub(super) fn open(endpoint: Endpoint, ecu: Id4) -> io::Result<Self> {
        let (fd, framing): (OwnedFd, _) = match endpoint {
            Endpoint::Null => (OpenOptions::new().write(true).open("/dev/null")?.into(), Framing::Plain),
            Endpoint::File(path) => {
                (OpenOptions::new().append(true).create(true).open(path)?.into(), Framing::Storage)
            }
            Endpoint::Unix(path) => (UnixStream::connect(path)?.into(), Framing::User),
            Endpoint::Tcp(address) => (TcpStream::connect(address)?.into(), Framing::Plain),
            Endpoint::Streams(streams) => {
                let stream = streams.into_iter().next();
                (stream.ok_or_else(|| io::Error::other("a control needs one stream"))?, Framing::User)
            }
        };
        let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
        // So that a full sink is counted, as dlt-logger counts it.
        fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self { fd, framing, ecu, calls: 0, full: 0 })
    }

    /// Appends what stands before a frame, and the frame.
    pub(super) fn stage(&self, frame: &[u8], bytes: &mut Vec<u8>) {
        match self.framing {
            Framing::Plain => {}
            Framing::User => bytes.extend_from_slice(&USER_LOG),
            Framing::Storage => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let (seconds, microseconds) = (now.as_secs() as u32, now.subsec_micros() as i32);
                bytes.extend_from_slice(&StorageHeader { seconds, microseconds, ecu: self.ecu }.to_bytes());
            }
        }
        bytes.extend_from_slice(frame);
    }

    /// Bytes that stand before each frame.
    pub(super) const fn prefix_bytes(&self) -> usize {
        match self.framing {
            Framing::Plain => 0,
            Framing::Storage => 16,
            Framing::User => USER_LOG.len(),
        }
    }

    /// Takes the torn end of a failed write off a file, so that what follows stays readable. A stream has no such way back.
    pub(super) fn cut(&self, torn_bytes: usize) {
        if self.framing == Framing::Storage {
            let size = fstat(self.fd.as_fd()).map_or(0, |stat| stat.st_size);
            // If it cannot be cut, the check of the file finds the torn frame and says so.
            let _ = ftruncate(self.fd.as_fd(), size - torn_bytes as i64);
        }
    }

    /// Writes everything, unless the sink fails: then the number of bytes that it took.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            self.calls += 1;
            match writev(self.fd.as_fd(), &[IoSlice::new(&bytes[written..])]) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(Errno::EAGAIN) => {
                    self.full += 1;
                    let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
                    // Whether it came to this or to the timeout, the next writev says.
                    let _ = poll(&mut fds, PollTimeout::from(50u8));
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err((written, errno.into())),
            }
        }
        Ok(())
    }
}
