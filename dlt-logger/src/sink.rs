//! Where frames go.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::time::Duration;

use crate::sys::io::{set_nonblocking, wait_writable, writev};

/// Where a logger's frames go, and what stands in front of each.
///
/// One byte stream has one writing thread. Where every worker can have a stream of its own (null, sockets) it does;
/// a file has one worker for all buffers, which is what keeps its frames whole even when the disk is full.
#[derive(Debug)]
#[non_exhaustive]
pub enum Sink {
    /// `/dev/null`, really written to. Plain frames.
    Null,
    /// A `.dlt` file with storage headers, appended to.
    File(PathBuf),
    /// A Unix stream socket with user headers, as an application writes to a DLT daemon. Connected by the workers, and
    /// again after a failure; until then messages stay in their lanes.
    Unix(PathBuf),
    /// A TCP connection with plain frames. Connected as with `Unix`.
    Tcp(SocketAddr),
    /// Connected streams with user headers: one for each worker. With fewer streams than buffers a worker drains
    /// several buffers. A stream that fails is gone.
    Streams(Vec<OwnedFd>),
}

impl Sink {
    /// Number of workers for this many buffers.
    pub(crate) fn workers(&self, buffers: usize) -> usize {
        match self {
            Self::File(_) => 1,
            Self::Streams(streams) => streams.len().clamp(1, buffers),
            Self::Null | Self::Unix(_) | Self::Tcp(_) => buffers,
        }
    }

    /// One output for each worker.
    pub(crate) fn into_outputs(self, workers: usize) -> Vec<Output> {
        match self {
            Self::Streams(streams) => {
                streams.into_iter().take(workers).map(|fd| Output::new(Target::Stream(Some(fd)))).collect()
            }
            Self::Null => (0..workers).map(|_| Output::new(Target::Null)).collect(),
            Self::File(path) => vec![Output::new(Target::File(path))],
            Self::Unix(path) => (0..workers).map(|_| Output::new(Target::Unix(path.clone()))).collect(),
            Self::Tcp(address) => (0..workers).map(|_| Output::new(Target::Tcp(address))).collect(),
        }
    }
}

impl std::fmt::Display for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("/dev/null"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Unix(path) => write!(f, "Unix socket `{}`", path.display()),
            Self::Tcp(address) => write!(f, "TCP `{address}`"),
            Self::Streams(streams) => write!(f, "{} connected stream(s)", streams.len()),
        }
    }
}

/// What stands in front of each frame of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Plain,
    Storage,
    User,
}

#[derive(Debug)]
enum Target {
    Null,
    File(PathBuf),
    Unix(PathBuf),
    Tcp(SocketAddr),
    /// Taken when it is opened; `None` from then on.
    Stream(Option<OwnedFd>),
}

/// One worker's end of the sink.
#[derive(Debug)]
pub(crate) struct Output {
    target: Target,
    fd: Option<OwnedFd>,
    /// File: its length up to the end of the last whole frame, in bytes.
    whole_bytes: u64,
}

impl Output {
    fn new(target: Target) -> Self {
        Self { target, fd: None, whole_bytes: 0 }
    }

    /// What stands in front of each frame.
    pub(crate) const fn framing(&self) -> Framing {
        match self.target {
            Target::Null | Target::Tcp(_) => Framing::Plain,
            Target::File(_) => Framing::Storage,
            Target::Unix(_) | Target::Stream(_) => Framing::User,
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.fd.is_some()
    }

    /// True if its failure to open is an error of the configuration, not of the moment.
    pub(crate) const fn opens_at_start(&self) -> bool {
        matches!(self.target, Target::Null | Target::File(_) | Target::Stream(_))
    }

    /// Opens or connects. Does nothing if it is open.
    pub(crate) fn open(&mut self) -> io::Result<()> {
        if self.fd.is_some() {
            return Ok(());
        }
        let fd: OwnedFd = match &mut self.target {
            Target::Null => OpenOptions::new().write(true).open("/dev/null")?.into(),
            Target::File(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path)?;
                self.whole_bytes = file.metadata()?.len();
                file.into()
            }
            Target::Unix(path) => UnixStream::connect(path)?.into(),
            Target::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, Duration::from_millis(200))?;
                stream.set_nodelay(true)?;
                stream.into()
            }
            Target::Stream(stream) => stream
                .take()
                .ok_or_else(|| io::Error::new(io::ErrorKind::BrokenPipe, "the stream has failed"))?,
        };
        // A file or /dev/null ignores it; a socket must not hold the worker past a close.
        set_nonblocking(fd.as_fd())?;
        self.fd = Some(fd);
        Ok(())
    }

    /// One `writev`. `WouldBlock` if the sink is full.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let Some(fd) = &self.fd else { return Err(io::ErrorKind::NotConnected.into()) };
        match writev(fd.as_fd(), &[IoSlice::new(bytes)])? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            n => Ok(n),
        }
    }

    /// `bytes` of whole frames were taken.
    pub(crate) fn settle(&mut self, bytes: usize) {
        self.whole_bytes += bytes as u64;
    }

    /// Waits until the sink takes bytes again, at most `timeout_ms`.
    pub(crate) fn wait(&self, timeout_ms: i32) {
        if let Some(fd) = &self.fd {
            wait_writable(fd.as_fd(), timeout_ms);
        }
    }

    /// The sink failed, perhaps in the middle of a frame. True if that frame can be written again: a file is cut back
    /// to its last whole frame. A stream is closed.
    pub(crate) fn fail(&mut self) -> bool {
        let Some(fd) = self.fd.take() else { return true };
        if matches!(self.target, Target::File(_)) {
            // Without the cut a reader would take the next frame's bytes for the rest of the broken one.
            return File::from(fd).set_len(self.whole_bytes).is_ok();
        }
        false
    }
}

/// The errno of a sink's last failure. Written by workers, readable at any time.
#[derive(Debug, Default)]
pub(crate) struct ErrorCell(AtomicI32);

impl ErrorCell {
    pub(crate) fn set(&self, error: &io::Error) {
        // Errors without an errno come from our own checks on a stream that takes nothing.
        self.0.store(error.raw_os_error().unwrap_or(libc::EPIPE), Relaxed);
    }

    pub(crate) fn get(&self) -> Option<io::Error> {
        match self.0.load(Relaxed) {
            0 => None,
            errno => Some(io::Error::from_raw_os_error(errno)),
        }
    }
}
