//! Any contender of the compare cases. It has a worker of its own, and what is delivered is what is in its file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dlt_logger::format::Value;
use dlt_logger::format::decode::split;
use dlt_peers::{Contender, Format, Setup, Unavailable};

use super::super::memory::{Books, PRODUCERS};
use super::super::subject::Subject;
use crate::load::message::TEXT;

/// Messages that there is room for: more than are logged while somebody stands, so that no call waits for room and none
/// is lost for want of it.
const CAPACITY: usize = 2048;
/// A message's number is its producer's, and above that its own.
const PRODUCER_BITS: u32 = 3;

/// A contender and the file that it writes.
#[derive(Debug)]
pub struct Peer<C> {
    contender: C,
    tail: Mutex<Tail>,
}

/// One thread's way to it.
#[derive(Debug)]
pub struct Producer<P> {
    producer: P,
    index: u32,
}

/// The file, and what has been read of it and not been taken apart.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: Option<File>,
    bytes: Vec<u8>,
}

/// The function that is stopped in.
#[inline(never)]
fn log_call<C: Contender>(producer: &mut C::Producer, number: u32) {
    C::log(producer, number, TEXT);
}

/// What it is set up with.
pub fn setup(sink: &Path) -> Setup<'_> {
    Setup { sink, capacity: CAPACITY, producers: PRODUCERS, lossless: false, prompt: true }
}

impl<C: Contender> Peer<C> {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started, or is not installed.
    pub fn start(sink: &Path) -> Result<Self, Unavailable> {
        let contender = C::start(&setup(sink))?;
        let path = contender.file().unwrap_or_else(|| sink.to_owned());
        Ok(Self { contender, tail: Mutex::new(Tail { path, file: None, bytes: Vec::new() }) })
    }
}

impl<C: Contender> Peer<C> {
    /// How it was set up, in its own words.
    pub fn configuration(&self) -> String {
        self.contender.configuration()
    }
}

impl Tail {
    /// Reads what is new. False: nothing.
    fn read(&mut self) -> bool {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let read = self.file.as_mut().and_then(|file| file.read_to_end(&mut self.bytes).ok());
        read.is_some_and(|bytes| bytes > 0)
    }

    /// Takes the whole messages off; their numbers.
    fn take(&mut self, format: Format) -> Vec<Option<u32>> {
        let (numbers, used) = match format {
            Format::Text => lines(&self.bytes),
            Format::Dlt => frames(&self.bytes),
        };
        self.bytes.drain(..used);
        numbers
    }
}

fn position(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

/// Numbers of the messages, `None` for what is torn, and how many bytes that were. What a logger says about itself is left
/// out.
fn lines(bytes: &[u8]) -> (Vec<Option<u32>>, usize) {
    let used = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let whole = bytes[..used].split_inclusive(|&byte| byte == b'\n');
    let number = |line: &[u8]| {
        let before = line[..position(line, TEXT.as_bytes())?].trim_ascii_end();
        let digits = before.rsplit(u8::is_ascii_whitespace).next()?;
        Some(std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()))
    };
    (whole.filter_map(number).collect(), used)
}

/// The same of DLT messages.
fn frames(bytes: &[u8]) -> (Vec<Option<u32>>, usize) {
    let (mut numbers, mut used) = (Vec::new(), 0);
    loop {
        match split(&bytes[used..]) {
            Ok(Some((frame, length))) => {
                if position(frame.payload, TEXT.as_bytes()).is_some() {
                    numbers.push(match frame.args().next() {
                        Some(Ok(Value::Unsigned(number))) => u32::try_from(number).ok(),
                        _ => None,
                    });
                }
                used += length;
            }
            Ok(None) => return (numbers, used),
            Err(_) => {
                numbers.push(None);
                return (numbers, bytes.len());
            }
        }
    }
}

impl<C: Contender> Subject for Peer<C> {
    type Producer = Producer<C::Producer>;

    const STATES: &'static [&'static str] = &["empty"];
    const CROWD_CALLS: u64 = 250;

    fn producer(self: &Arc<Self>, index: usize) -> Self::Producer {
        Producer { producer: self.contender.producer(index), index: index as u32 }
    }

    fn log(producer: &mut Self::Producer, id: u64) {
        let number = (id as u32) << PRODUCER_BITS | producer.index;
        log_call::<C>(&mut producer.producer, number);
    }

    fn entry() -> usize {
        log_call::<C> as *const () as usize
    }

    /// There is room for all that is logged.
    fn counted(&self) -> u64 {
        0
    }

    fn deliver(&self, books: &Books) -> bool {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if !tail.read() {
            return false;
        }
        for number in tail.take(C::FORMAT) {
            let producer = number.map_or(usize::MAX, |number| (number % (1 << PRODUCER_BITS)) as usize);
            let id = number.unwrap_or_default() >> PRODUCER_BITS;
            books.deliver(producer, id.into(), number.is_some());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_lines() {
        let text = format!("2026 INFO 17 {TEXT}\nqueue full\n[I] 4294967295 {TEXT}\r\nx {TEXT}\n18 {TEXT}");
        let (numbers, used) = lines(text.as_bytes());
        assert_eq!(numbers, [Some(17), Some(u32::MAX), None]);
        assert_eq!(&text[used..], format!("18 {TEXT}"));
        assert_eq!(lines(b"no end"), (vec![], 0));
    }

    #[test]
    fn numbers_are_found_in_frames() {
        use dlt_logger::format::{Args, StorageHeader, Template};
        use dlt_logger::{Id4, Level};
        let id = |text| Id4::new(text).unwrap();
        let mut file = Vec::new();
        let mut add = |number: u32, text: &str| {
            let mut payload = Vec::new();
            (number, text).encode(&mut payload);
            file.extend(StorageHeader { seconds: 0, microseconds: 0, ecu: id("ECU1") }.to_bytes());
            let template = Template::new(id("ECU1"), 1, id("PEER"), id("P000"));
            file.extend(template.log(Level::Info, 0, 0, 2, payload.len()));
            file.extend(payload);
        };
        add(7, TEXT);
        add(8, "lost here");
        add(9, TEXT);
        let whole = file.len();
        assert_eq!(frames(&file), (vec![Some(7), Some(9)], whole));
        let (numbers, used) = frames(&file[..whole - 1]);
        assert_eq!(numbers, [Some(7)]);
        assert!(used < whole - 1);
    }
}
