//! Takes apart what dlt-logger sends, and books it.

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use dlt_logger::format::decode::{MAX_ITEM_BYTES, Value, split};

use super::super::memory::Books;
use crate::load::message::producer_index;

const READ_BYTES: usize = 64 << 10;

/// The receiving end of one stream.
#[derive(Debug)]
pub(super) struct Receiver {
    socket: UnixStream,
    bytes: Vec<u8>,
    filled: usize,
}

impl Receiver {
    /// A connected pair: the receiver, and the end that the logger writes to.
    pub(super) fn pair() -> std::io::Result<(Self, OwnedFd)> {
        let (socket, other) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        Ok((Self { socket, bytes: vec![0; READ_BYTES + MAX_ITEM_BYTES], filled: 0 }, other.into()))
    }

    /// Reads once and books what is whole; every text that may have been logged is a beginning of `text`. False: there was nothing.
    pub(super) fn receive(&mut self, books: &Books, text: &str) -> bool {
        let end = (self.filled + READ_BYTES).min(self.bytes.len());
        match self.socket.read(&mut self.bytes[self.filled..end]) {
            Ok(0) => return false,
            Ok(n) => self.filled += n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return false;
            }
            Err(_) => return false,
        }
        let mut at = 0;
        loop {
            match split(&self.bytes[at..self.filled]) {
                Ok(Some((frame, used))) => {
                    if let Some(producer) = producer_index(frame.ctid()) {
                        let mut values = frame.args();
                        let id = match values.next() {
                            Some(Ok(Value::Unsigned(id))) => Some(id),
                            _ => None,
                        };
                        let is_intact = matches!(values.next(), Some(Ok(Value::Str(seen))) if text.starts_with(seen))
                            && values.next().is_none();
                        books.deliver(producer, id.unwrap_or(0), id.is_some() && is_intact);
                    }
                    at += used;
                }
                Ok(None) => break,
                Err(_) => {
                    // Nothing after it can be trusted: as many faults as it takes to be noticed.
                    books.deliver(usize::MAX, 0, false);
                    at = self.filled;
                }
            }
        }
        self.bytes.copy_within(at..self.filled, 0);
        self.filled -= at;
        true
    }
}
