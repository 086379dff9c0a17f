//! What a message costs the side that writes it: sinks of every kind, frames laid out in several ways.

use std::fs::File;
use std::io::{IoSlice, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dlt_logger::format::decode;
use dlt_logger::format::header::{StorageHeader, USER_LOG};
use dlt_logger::{Config, Id4, Logger, Sink, dlt_info};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::slices::{Group, Planned, Subject, Took, timed};
use crate::error::{Error, chain};
use crate::interrupt;
use crate::load::message::{APPLICATION, TEXT, producer_name};

/// Length of a slice.
const SLICE: Duration = Duration::from_millis(10);
/// Messages per `writev` with an iovec each.
const VECTORS: [usize; 4] = [1, 16, 64, 256];
/// Messages per `writev` that lie one after the other.
const BUFFERS: [usize; 3] = [16, 64, 256];
/// What a receiver reads at once.
const READ_BYTES: usize = 256 << 10;
/// Longest wait for a receiver, or for the logger that makes the frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message of dlt-logger as it goes over a stream.
pub(super) fn frame() -> Result<Vec<u8>, Error> {
    let failed = |what: &dyn std::error::Error| {
        Error::failed(format!("failed to make a frame to write: {}", chain(what)))
    };
    let (mut ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
    let logger = Logger::builder(APPLICATION)
        .config(Config::default().with_num_buffers(1))
        .sink(Sink::Streams(vec![theirs.into()]))
        .build()
        .map_err(|error| failed(&error))?;
    let context = logger.context(&producer_name(0)).map_err(|error| failed(&error))?;
    dlt_info!(context, 1_u32, TEXT);
    logger.flush(PATIENCE).map_err(|error| failed(&error))?;
    drop(context);
    let _ = logger.shutdown(PATIENCE);
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    match decode::split(&bytes) {
        Ok(Some((_, used))) if used == bytes.len() => Ok(bytes),
        _ => Err(Error::failed("failed to make a frame to write: the logger sent something else")),
    }
}

/// The same as it stands in a file: with a storage header in place of the stream's.
pub(super) fn stored(frame: &[u8]) -> Vec<u8> {
    let storage = StorageHeader { seconds: 0, microseconds: 0, ecu: Id4::NONE };
    let message = frame.strip_prefix(&USER_LOG).unwrap_or(frame);
    [storage.to_bytes().as_slice(), message].concat()
}

/// A row for each sink and layout.
pub(super) fn rows(frame: &[u8]) -> Result<Vec<Planned>, Error> {
    type Make = fn() -> std::io::Result<Stream>;
    let stored = stored(frame);
    let sinks: [(&str, &[u8], Make); 5] = [
        ("/dev/null", frame, Stream::null),
        ("tmpfs file", &stored, Stream::tmpfs),
        ("pipe", frame, Stream::pipe),
        ("Unix stream socket", frame, Stream::unix),
        ("TCP over loopback", frame, Stream::tcp),
    ];
    let mut rows = Vec::new();
    for (sink, frame, make) in sinks {
        let stream =
            make().map_err(|error| Error::failed(format!("failed to make the sink `{sink}`: {error}")))?;
        let stream = Rc::new(stream);
        for layout in VECTORS.map(Layout::Vectors).into_iter().chain(BUFFERS.map(Layout::Buffer)) {
            let subject = Writing {
                stream: Rc::clone(&stream),
                bytes: frame.repeat(layout.messages()),
                frame_bytes: frame.len(),
                layout,
            };
            let name = format!("{sink}: {}", layout.name());
            let mut row = Planned::new(Group::Writing, name, SLICE, Box::new(subject));
            row.sink = Some(sink);
            row.layout = Some(layout.name());
            row.messages = Some(layout.messages() as u64);
            rows.push(row);
        }
    }
    Ok(rows)
}

/// How the frames of one `writev` lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// An iovec each.
    Vectors(usize),
    /// One after the other in one iovec, as dlt-logger's workers lay them out.
    Buffer(usize),
}

impl Layout {
    const fn messages(self) -> usize {
        match self {
            Self::Vectors(n) | Self::Buffer(n) => n,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Vectors(n) => format!("writev ×{n}"),
            Self::Buffer(n) => format!("one buffer of {n}"),
        }
    }
}

/// Something that is written to, with the thread that reads what arrives.
#[derive(Debug)]
struct Stream {
    end: Option<File>,
    receiver: Option<(Arc<AtomicU64>, JoinHandle<()>)>,
    /// It grows, and is emptied after each slice.
    is_file: bool,
}

impl Stream {
    fn null() -> std::io::Result<Self> {
        Ok(Self { end: Some(File::options().write(true).open("/dev/null")?), receiver: None, is_file: false })
    }

    /// A memory file: it is one of the kernel's own tmpfs mount, and leaves nothing behind.
    fn tmpfs() -> std::io::Result<Self> {
        let file = memfd_create("dlt-bench-floor", MFdFlags::MFD_CLOEXEC)?;
        Ok(Self { end: Some(file.into()), receiver: None, is_file: true })
    }

    fn pipe() -> std::io::Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        Self::received(OwnedFd::from(writer), OwnedFd::from(reader))
    }

    fn unix() -> std::io::Result<Self> {
        let (writer, reader) = UnixStream::pair()?;
        Self::received(OwnedFd::from(writer), OwnedFd::from(reader))
    }

    fn tcp() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let writer = TcpStream::connect(listener.local_addr()?)?;
        // As dlt-logger's sink does.
        writer.set_nodelay(true)?;
        let (reader, _) = listener.accept()?;
        Self::received(OwnedFd::from(writer), OwnedFd::from(reader))
    }

    fn received(writer: OwnedFd, reader: OwnedFd) -> std::io::Result<Self> {
        let count = Arc::new(AtomicU64::new(0));
        let (of_thread, mut reader) = (Arc::clone(&count), File::from(reader));
        let thread = std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            let mut bytes = vec![0; READ_BYTES];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                of_thread.fetch_add(n as u64, Relaxed);
            }
        })?;
        Ok(Self { end: Some(writer.into()), receiver: Some((count, thread)), is_file: false })
    }

    /// Takes away what a slice has written.
    fn settle(&self, before: u64, written: u64) -> std::io::Result<()> {
        if let (true, Some(mut file)) = (self.is_file, self.end.as_ref()) {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
        }
        let start = Instant::now();
        while self.received_bytes() < before + written && self.receiver.is_some() {
            if start.elapsed() > PATIENCE {
                return Err(std::io::Error::other("the receiver does not get what was written"));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn received_bytes(&self) -> u64 {
        self.receiver.as_ref().map_or(0, |(count, _)| count.load(Relaxed))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end = None;
        if let Some((_, thread)) = self.receiver.take() {
            let _ = thread.join();
        }
    }
}

/// A sink and a layout.
struct Writing {
    stream: Rc<Stream>,
    bytes: Vec<u8>,
    frame_bytes: usize,
    layout: Layout,
}

impl Writing {
    fn write_often(&self, mut end: &File, operations: u64) -> std::io::Result<u64> {
        let step = match self.layout {
            Layout::Vectors(_) => self.frame_bytes,
            Layout::Buffer(_) => self.bytes.len(),
        };
        let slices: Vec<IoSlice<'_>> = self.bytes.chunks(step).map(IoSlice::new).collect();
        let mut written = 0;
        for _ in 0..operations {
            let n = end.write_vectored(&slices)?;
            written += n as u64;
            if n != self.bytes.len() {
                if interrupt::requested() {
                    break;
                }
                // A blocking stream takes all of it.
                return Err(std::io::Error::other(format!("{n} of {} bytes were taken", self.bytes.len())));
            }
        }
        Ok(written)
    }
}

impl Subject for Writing {
    fn run(&mut self, operations: u64) -> Result<Took, Error> {
        let failed = |error: std::io::Error| {
            Error::failed(format!("failed to write with `{}`: {error}", self.layout.name()))
        };
        let Some(end) = &self.stream.end else { return Err(Error::failed("the sink is closed")) };
        let before = self.stream.received_bytes();
        let mut written = Ok(0);
        let took = timed(operations, || written = self.write_often(end, operations));
        self.stream.settle(before, written.map_err(failed)?).map_err(failed)?;
        Ok(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::message::{PAYLOAD_BYTES, sequence_number};

    #[test]
    fn the_frame_is_a_message_of_the_benchmark() {
        let frame = frame().unwrap();
        // 8 bytes of the stream's header, 16 of standard header with all its fields, 10 of extended header.
        assert_eq!(frame.len(), 8 + 26 + PAYLOAD_BYTES);
        // 16 of a file's header instead of the 8.
        let stored = stored(&frame);
        assert_eq!(stored.len(), 16 + 26 + PAYLOAD_BYTES);
        for bytes in [frame, stored] {
            let (split, used) = decode::split(&bytes).unwrap().unwrap();
            assert_eq!((used, sequence_number(split.payload)), (bytes.len(), Some(1)));
        }
    }

    /// Every byte arrives, whatever the layout, and a file begins anew with each slice.
    #[test]
    fn what_is_written_arrives() {
        let frame = vec![7; 57];
        for row in &mut rows(&frame).unwrap() {
            let took = row.subject.as_mut().unwrap().run(3).unwrap();
            assert!(took.elapsed_ns > 0.0, "{}", row.name);
        }
        for layout in [Layout::Vectors(16), Layout::Buffer(64)] {
            let bytes = frame.repeat(layout.messages());
            for make in [Stream::pipe, Stream::unix, Stream::tcp] {
                let stream = Rc::new(make().unwrap());
                let subject =
                    Writing { stream: Rc::clone(&stream), bytes: bytes.clone(), frame_bytes: 57, layout };
                Subject::run(&mut { subject }, 5).unwrap();
                assert_eq!(stream.received_bytes(), 5 * bytes.len() as u64);
            }
            let stream = Rc::new(Stream::tmpfs().unwrap());
            let mut subject = Writing { stream: Rc::clone(&stream), bytes, frame_bytes: 57, layout };
            subject.run(5).unwrap();
            assert_eq!(stream.end.as_ref().unwrap().metadata().unwrap().len(), 0);
        }
    }
}
