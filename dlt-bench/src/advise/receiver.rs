//! The other ends of the logger's streams: a sink that stalls when it is told to, and counts what arrives.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use dlt_logger::Id4;
use dlt_logger::format::decode::{Frame, MAX_ITEM_BYTES, Value, split};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{setsockopt, sockopt};

use crate::error::Error;
use crate::interrupt;
use crate::load::message::{LOSS_CONTEXT, producer_index};
use crate::load::plan::MAX_PRODUCERS;
use crate::measure::clock::monotonic_ns;

/// Wanted size of a stream's buffer in the kernel: a known one, small beside what a stall brings. The kernel doubles it.
const SOCKET_BUFFER_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 64 << 10;
/// Longest wait for bytes before the time is looked at: how late a stall begins on a stream without traffic.
const LOOK_MS: u8 = 5;
/// Longest sleep within a stall: Ctrl-C ends it.
const LOOK: Duration = Duration::from_millis(LOOK_MS as u64);
/// Problems that are kept with their text.
const KEPT: usize = 4;

/// What arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// Messages.
    pub(super) messages: u64,
    /// Of each producer: messages, and the number after the last one.
    pub(super) producers: Vec<(u64, u64)>,
    /// Losses that the logger said in the log.
    pub(super) noted_losses: u64,
    /// `CLOCK_MONOTONIC` at the first and the last message.
    pub(super) between_ns: Option<(u64, u64)>,
    /// What was torn, foreign or out of order.
    pub(super) problems: Vec<String>,
}

/// A receiver at work.
pub(super) struct Receiver {
    thread: JoinHandle<Received>,
    give_up: Arc<AtomicBool>,
}

/// A connected pair whose writing end has a buffer of known size.
pub(super) fn pair() -> std::io::Result<(UnixStream, UnixStream)> {
    let (writer, reader) = UnixStream::pair()?;
    setsockopt(&writer, sockopt::SndBuf, &SOCKET_BUFFER_BYTES)?;
    reader.set_nonblocking(true)?;
    Ok((writer, reader))
}

impl Receiver {
    /// Starts one for this many streams that reads nothing in the `stalls`, which are times of `CLOCK_MONOTONIC` in
    /// ascending order. Returns the ends to write to.
    pub(super) fn start(streams: usize, stalls: Vec<(u64, u64)>) -> Result<(Self, Vec<OwnedFd>), Error> {
        let failed = |error: std::io::Error| Error::failed(format!("failed to start the receiver: {error}"));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..streams {
            let (writer, reader) = pair().map_err(failed)?;
            ours.push(Stream {
                socket: reader,
                bytes: vec![0; READ_BYTES + MAX_ITEM_BYTES],
                filled: 0,
                is_open: true,
            });
            theirs.push(writer.into());
        }
        let give_up = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&give_up);
        let thread = std::thread::Builder::new()
            .name("receiver".to_owned())
            .spawn(move || receive(ours, &stalls, &of_thread))
            .map_err(failed)?;
        Ok((Self { thread, give_up }, theirs))
    }

    /// Waits until the streams end, which they do when the logger has been shut down.
    pub(super) fn finish(self) -> Result<Received, Error> {
        let start = monotonic_ns();
        while !self.thread.is_finished() {
            if monotonic_ns() - start > Duration::from_secs(5).as_nanos() as u64 {
                self.give_up.store(true, Relaxed);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.thread.join().map_err(|_| Error::failed("the receiver has failed"))
    }
}

struct Stream {
    socket: UnixStream,
    bytes: Vec<u8>,
    filled: usize,
    is_open: bool,
}

fn receive(mut streams: Vec<Stream>, stalls: &[(u64, u64)], give_up: &AtomicBool) -> Received {
    let loss = Id4::try_new(LOSS_CONTEXT).unwrap_or(Id4::NONE);
    let mut counts = Counts { all: Received::default(), loss };
    counts.all.producers.resize(MAX_PRODUCERS, (0, 0));
    while streams.iter().any(|stream| stream.is_open) && !give_up.load(Relaxed) {
        let mut polled: Vec<_> = streams
            .iter()
            .filter(|stream| stream.is_open)
            .map(|stream| PollFd::new(stream.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        // If it fails the reads below find nothing, and it is tried again.
        let _ = poll(&mut polled, LOOK_MS);
        for stream in streams.iter_mut().filter(|stream| stream.is_open) {
            stall(stalls, give_up);
            stream.receive(&mut counts);
        }
    }
    counts.all
}

/// Waits for the end of a stall, if this is one.
fn stall(stalls: &[(u64, u64)], give_up: &AtomicBool) {
    let now = monotonic_ns();
    let Some(&(_, end)) = stalls.iter().find(|(start, end)| (*start..*end).contains(&now)) else { return };
    while !interrupt::requested() && !give_up.load(Relaxed) {
        let left = Duration::from_nanos(end.saturating_sub(monotonic_ns()));
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

struct Counts {
    all: Received,
    loss: Id4,
}

impl Counts {
    fn problem(&mut self, text: String) {
        if self.all.problems.len() < KEPT {
            self.all.problems.push(text);
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let first = frame.args().next();
        if frame.ctid() == self.loss {
            let Some(Ok(Value::Str(text))) = first else {
                return self.problem("a loss note without text".to_owned());
            };
            let count = text.split(' ').next().and_then(|count| count.parse::<u64>().ok());
            self.all.noted_losses += count.unwrap_or_default();
            return;
        }
        let index = producer_index(frame.ctid());
        let number = match first {
            Some(Ok(Value::Unsigned(number))) => Some(number),
            _ => None,
        };
        let seen = index.and_then(|index| self.all.producers.get_mut(index));
        let (Some((count, next)), Some(number)) = (seen, number) else {
            return self.problem(format!("a foreign message of context `{}`", frame.ctid()));
        };
        if number < *next {
            let text = format!("{}: number {number} where {next} or later was due", frame.ctid());
            return self.problem(text);
        }
        (*count, *next) = (*count + 1, number + 1);
        self.all.messages += 1;
    }
}

impl Stream {
    fn receive(&mut self, counts: &mut Counts) {
        let end = (self.filled + READ_BYTES).min(self.bytes.len());
        match self.socket.read(&mut self.bytes[self.filled..end]) {
            Ok(0) => {
                self.is_open = false;
                if self.filled > 0 {
                    counts.problem(format!("{} bytes of an unfinished message at the end", self.filled));
                }
            }
            Ok(n) => {
                self.filled += n;
                let before = counts.all.messages;
                let mut at = 0;
                loop {
                    match split(&self.bytes[at..self.filled]) {
                        Ok(Some((frame, used))) => {
                            counts.frame(&frame);
                            at += used;
                        }
                        Ok(None) => break,
                        Err(error) => {
                            counts.problem(format!("torn or foreign bytes: {error}"));
                            at = self.filled;
                        }
                    }
                }
                self.bytes.copy_within(at..self.filled, 0);
                self.filled -= at;
                if counts.all.messages > before {
                    let now = monotonic_ns();
                    let first = counts.all.between_ns.map_or(now, |(first, _)| first);
                    counts.all.between_ns = Some((first, now));
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => {
                counts.problem(format!("failed to read: {error}"));
                self.is_open = false;
            }
        }
    }
}
