//! A receiver that takes every frame apart, and keeps the books.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use dlt_logger::format::decode::{Value, split};
use dlt_logger::{BufferStats, Config, Logger, OverflowMode, Sink};

/// What arrived.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Sequence numbers by context, in the order of their arrival on each stream.
    pub(crate) by_context: BTreeMap<String, Vec<u64>>,
    /// Message counters by context.
    pub(crate) counters: BTreeMap<String, Vec<u8>>,
    /// Losses that the notes name: overwritten, dropped, timed out.
    pub(crate) noted: [u64; 3],
    pub(crate) notes: u64,
    pub(crate) bytes: u64,
}

impl Received {
    pub(crate) fn messages(&self) -> u64 {
        self.by_context.values().map(|numbers| numbers.len() as u64).sum()
    }

    pub(crate) fn of(&self, context: &str) -> &[u64] {
        self.by_context.get(context).map_or(&[], Vec::as_slice)
    }

    /// Takes whole frames from the front of `bytes`; returns what is left.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some((frame, used)) = split(&bytes[at..]).expect("only whole frames, one after the other") {
            at += used;
            let context = frame.ctid().to_string();
            let mut args = frame.args();
            if context == "LOSS" {
                let Some(Ok(Value::Str(text))) = args.next() else { panic!("a note is a string") };
                self.note(text);
                continue;
            }
            let Some(Ok(Value::Unsigned(number))) = args.next() else { panic!("a number comes first") };
            if let Some(Ok(Value::Raw(rest))) = args.next() {
                assert!(rest.iter().all(|&byte| byte == number as u8), "torn: {number}");
            }
            self.by_context.entry(context.clone()).or_default().push(number);
            self.counters.entry(context).or_default().push(frame.mcnt);
        }
        self.bytes += at as u64;
        at
    }

    fn note(&mut self, text: &str) {
        let number = |word: &str| -> u64 {
            let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("no `{word}` in `{text}`"));
            let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        };
        self.notes += 1;
        for (sum, word) in self.noted.iter_mut().zip(["overwritten", "dropped", "timed out"]) {
            *sum += number(word);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (context, numbers) in other.by_context {
            self.by_context.entry(context).or_default().extend(numbers);
        }
        for (context, counters) in other.counters {
            self.counters.entry(context).or_default().extend(counters);
        }
        for (sum, more) in self.noted.iter_mut().zip(other.noted) {
            *sum += more;
        }
        self.notes += other.notes;
        self.bytes += other.bytes;
    }
}

/// Reads a stream to its end in a thread.
pub(crate) fn receive(mut stream: UnixStream, pause: Duration) -> JoinHandle<Received> {
    std::thread::spawn(move || {
        let (mut received, mut pending, mut buffer) = (Received::default(), Vec::new(), vec![0; 1 << 16]);
        loop {
            let n = stream.read(&mut buffer).unwrap();
            if n == 0 {
                assert!(pending.is_empty(), "{} bytes of a frame at the end", pending.len());
                return received;
            }
            pending.extend_from_slice(&buffer[..n]);
            let used = received.take(&pending);
            pending.drain(..used);
            std::thread::sleep(pause);
        }
    })
}

/// A logger on as many socket pairs as it has buffers, and its receivers.
pub(crate) fn logger_on_sockets(config: Config, pause: Duration) -> (Logger, Vec<JoinHandle<Received>>) {
    let pairs: Vec<_> = (0..config.num_buffers).map(|_| UnixStream::pair().unwrap()).collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let receivers = theirs.into_iter().map(|stream| receive(stream, pause)).collect();
    let sink = Sink::Streams(ours.into_iter().map(Into::into).collect());
    (Logger::builder("TEST").config(config).sink(sink).build().unwrap(), receivers)
}

pub(crate) fn join(receivers: Vec<JoinHandle<Received>>) -> Received {
    let mut all = Received::default();
    for receiver in receivers {
        all.merge(receiver.join().unwrap());
    }
    all
}

/// One buffer of this capacity.
pub(crate) fn one_buffer(mode: OverflowMode, capacity: usize) -> Config {
    Config::default().with_num_buffers(1).with_all_buffer_sizes(capacity).with_overflow_mode(mode)
}

/// Attempted = delivered + every term, and the receiver's count is the logger's.
pub(crate) fn assert_books(attempted: u64, received: &Received, total: &BufferStats) {
    assert_eq!(received.messages(), total.sent, "received and sent: {total:#?}");
    assert_eq!(attempted, total.sent + total.lost(), "{total:#?}");
}

/// Strictly increasing, with as many gaps as this.
pub(crate) fn assert_gaps(numbers: &[u64], attempted: u64, lost: u64) {
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order, and nothing twice");
    assert!(numbers.last().is_none_or(|&last| last < attempted));
    assert_eq!(attempted - numbers.len() as u64, lost);
}
