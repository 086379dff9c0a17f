//! One thread of the receiver.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use dlt_logger::format::decode::MAX_ITEM_BYTES;
use nix::unistd::gettid;

use super::Shared;
use super::check::{Checker, Received};
use crate::measure::clock::monotonic_ns;
use crate::measure::cpu;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;
/// Between two looks at streams that had little. Being woken by every write would cost the logger's workers 8 µs each.
const LITTLE: Duration = Duration::from_micros(200);
/// Between two looks at streams that had nothing.
const NOTHING: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct Stream {
    index: usize,
    socket: UnixStream,
    /// `bytes[..filled]` were received and are not yet taken apart.
    bytes: Vec<u8>,
    filled: usize,
    is_open: bool,
}

#[derive(Debug)]
pub(super) struct Reader {
    index: usize,
    streams: Vec<Stream>,
    checker: Checker,
    shared: Arc<Shared>,
}

impl Reader {
    pub(super) fn new(index: usize, streams: Vec<(usize, UnixStream)>, shared: Arc<Shared>) -> Self {
        let stream = |(index, socket)| Stream {
            index,
            socket,
            bytes: vec![0; READ_BYTES + MAX_ITEM_BYTES],
            filled: 0,
            is_open: true,
        };
        let streams = streams.into_iter().map(stream).collect();
        Self { index, streams, checker: Checker::default(), shared }
    }

    pub(super) fn run(mut self) -> Received {
        self.shared.tids[self.index].store(gettid().as_raw().cast_unsigned(), Relaxed);
        loop {
            let mut most = 0;
            let before = self.checker.messages();
            for stream in self.streams.iter_mut().filter(|stream| stream.is_open) {
                most = most.max(stream.receive(&mut self.checker));
            }
            let new = self.checker.messages() - before;
            if new > 0 {
                self.checker.note_time(monotonic_ns());
                self.shared.received.fetch_add(new, Relaxed);
            }
            if !self.streams.iter().any(|stream| stream.is_open) || self.shared.stop.load(Relaxed) {
                break;
            }
            match most {
                0 => std::thread::sleep(NOTHING),
                READ_BYTES.. => {}
                _ => std::thread::sleep(LITTLE),
            }
        }
        for stream in &self.streams {
            self.checker.end_of_stream(stream.index, stream.filled, stream.is_open);
        }
        self.checker.finish(cpu::this_thread_ns())
    }
}

impl Stream {
    /// Reads once and takes apart what is whole. Returns the number of bytes read.
    fn receive(&mut self, checker: &mut Checker) -> usize {
        let end = (self.filled + READ_BYTES).min(self.bytes.len());
        match self.socket.read(&mut self.bytes[self.filled..end]) {
            Ok(0) => {
                self.is_open = false;
                0
            }
            Ok(n) => {
                self.filled += n;
                let used = checker.feed(self.index, &self.bytes[..self.filled]);
                self.bytes.copy_within(used..self.filled, 0);
                self.filled -= used;
                n
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(error) => {
                checker.violation(format!("stream {}: failed to read: {error}", self.index));
                self.is_open = false;
                0
            }
        }
    }
}
