//! The receivers in the process under test: one thread for each stream, which takes frames apart, checks them, and counts
//! per producer.

use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread::JoinHandle;
use std::time::Duration;

use dlt_logger::format::decode::MAX_ITEM_BYTES;

use super::words::{Watch, Words};
use crate::collector::Received;
use crate::collector::check::Checker;
use crate::load::plan::MAX_PRODUCERS;
use crate::measure::clock::monotonic_ns;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;
/// Between two looks at a stream that had little.
const LITTLE: Duration = Duration::from_micros(200);
/// Between two looks at a stream that had nothing.
const NOTHING: Duration = Duration::from_millis(1);

/// Starts a receiver for each of this many streams; returns the ends that a logger writes to.
pub(super) fn start(
    streams: usize,
    words: &'static Words,
) -> io::Result<(Vec<JoinHandle<Received>>, Vec<OwnedFd>)> {
    let (mut receivers, mut ends) = (Vec::new(), Vec::new());
    for index in 0..streams {
        let (writer, socket) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let thread = std::thread::Builder::new().name(format!("receiver-{index}"));
        receivers.push(thread.spawn(move || receive(index, socket, words))?);
        ends.push(writer.into());
    }
    Ok((receivers, ends))
}

fn receive(index: usize, mut socket: UnixStream, words: &Words) -> Received {
    let mine = &words.streams[index];
    let mut bytes = vec![0; READ_BYTES + MAX_ITEM_BYTES];
    let mut filled = 0;
    let mut checker = Checker::default();
    let mut seen = Seen::default();
    loop {
        if mine.hold.load(Acquire) != 0 {
            mine.is_held.store(1, Release);
            std::thread::sleep(NOTHING);
            continue;
        }
        mine.is_held.store(0, Relaxed);
        let end = (filled + READ_BYTES).min(bytes.len());
        match socket.read(&mut bytes[filled..end]) {
            Ok(0) => break,
            Ok(n) => {
                filled += n;
                let used = checker.feed(index, &bytes[..filled]);
                bytes.copy_within(used..filled, 0);
                filled -= used;
                seen.publish(index, &checker, words);
                if n < READ_BYTES {
                    std::thread::sleep(LITTLE);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                std::thread::sleep(NOTHING);
            }
            Err(error) => {
                checker.violation(format!("stream {index}: failed to read: {error}"));
                break;
            }
        }
    }
    checker.end_of_stream(index, filled, false);
    checker.finish(0)
}

/// What of a receiver's counts the controller has been told.
#[derive(Debug)]
struct Seen {
    received: [u64; MAX_PRODUCERS],
    watches: Vec<Watch>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { received: [0; MAX_PRODUCERS], watches: (0..MAX_PRODUCERS).map(|_| Watch::default()).collect() }
    }
}

impl Seen {
    fn publish(&mut self, stream: usize, checker: &Checker, words: &Words) {
        let now = monotonic_ns();
        let all = checker.producers().iter().zip(&words.producers);
        for ((seen, words), (told, watch)) in all.zip(self.received.iter_mut().zip(&mut self.watches)) {
            if seen.received == *told {
                continue;
            }
            *told = seen.received;
            words.stream.store(stream as u32 + 1, Relaxed);
            words.delivered.store(seen.received, Relaxed);
            watch.note(&words.delivery_gaps, now);
        }
    }
}
