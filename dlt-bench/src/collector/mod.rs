//! The embedded receiver: the other ends of the logger's streams. Every frame is taken apart and checked.

pub mod check;
pub mod file;
mod reader;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

pub use check::{Received, Seen};
use reader::Reader;

use crate::measure::clock::monotonic_ns;

/// Wanted size of a stream's buffer in the kernel: what a receiver that looks every 200 µs needs at some ten million
/// messages a second.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// State that the driver reads while the readers run.
#[derive(Debug, Default)]
struct Shared {
    /// Set by the driver: end at once, also if a stream is still open.
    stop: AtomicBool,
    /// Thread ids, one per reader; 0 until it runs.
    tids: Vec<AtomicU32>,
    /// Messages received so far, notes not included. Written by the readers.
    received: AtomicU64,
}

/// The running receiver.
#[derive(Debug)]
pub struct Collector {
    readers: Vec<JoinHandle<Received>>,
    shared: Arc<Shared>,
}

impl Collector {
    /// Makes this many streams; returns the ends that a logger writes to.
    ///
    /// Half of the processors read, at least one: more would only take them from the producers.
    ///
    /// # Errors
    /// The system refuses sockets or threads.
    pub fn start(streams: usize) -> io::Result<(Self, Vec<OwnedFd>)> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let readers = (cores / 2).clamp(1, streams.max(1));
        let mut shares: Vec<Vec<(usize, UnixStream)>> = (0..readers).map(|_| Vec::new()).collect();
        let mut ends = Vec::new();
        for stream in 0..streams {
            let (writer, reader) = UnixStream::pair()?;
            grow(writer.as_fd());
            reader.set_nonblocking(true)?;
            shares[stream % readers].push((stream, reader));
            ends.push(writer.into());
        }
        let shared =
            Arc::new(Shared { tids: (0..readers).map(|_| AtomicU32::new(0)).collect(), ..Shared::default() });
        let start_one = |(index, share)| {
            let shared = Arc::clone(&shared);
            let name = format!("collector-{index}");
            std::thread::Builder::new().name(name).spawn(move || Reader::new(index, share, shared).run())
        };
        let readers = shares.into_iter().enumerate().map(start_one).collect::<io::Result<_>>()?;
        Ok((Self { readers, shared }, ends))
    }

    /// Thread ids of the readers.
    pub fn tids(&self) -> Vec<u32> {
        let tid = |tid: &AtomicU32| loop {
            match tid.load(Relaxed) {
                0 => std::thread::yield_now(),
                tid => return tid,
            }
        };
        self.shared.tids.iter().map(tid).collect()
    }

    /// Messages received so far, notes not included.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Relaxed)
    }

    /// Waits until this many messages were received. False if they were not in time.
    pub fn wait_for(&self, messages: u64, timeout: Duration) -> bool {
        let deadline = monotonic_ns() + timeout.as_nanos() as u64;
        while self.received() < messages {
            if monotonic_ns() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        true
    }

    /// Waits for the end of all streams, which comes when the logger has closed its ends, and returns what was
    /// received. After `timeout` it no longer waits.
    ///
    /// # Panics
    /// If a reader panicked.
    pub fn finish(self, timeout: Duration) -> Received {
        let deadline = monotonic_ns() + timeout.as_nanos() as u64;
        while monotonic_ns() < deadline && !self.readers.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(Duration::from_micros(200));
        }
        self.shared.stop.store(true, Relaxed);
        let received = self.readers.into_iter().map(|reader| reader.join().expect("a reader does not panic"));
        received.reduce(Received::merge).unwrap_or_default()
    }
}

/// As large as the system permits; privileged processes may go beyond `net.core.wmem_max`.
fn grow(writer: std::os::fd::BorrowedFd<'_>) {
    // Neither is needed: a smaller buffer shows as "socket full" in the report.
    let _ = setsockopt(&writer, sockopt::SndBufForce, &SOCKET_BUFFER_BYTES)
        .or_else(|_| setsockopt(&writer, sockopt::SndBuf, &SOCKET_BUFFER_BYTES));
}
