//! The `.dlt` file that messages are stored in.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use dlt_logger::Id4;
use dlt_logger::format::{Frame, Prefix, StorageHeader};

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that grows.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: BufWriter<File>,
    /// Messages in the buffer, which a failed write loses.
    buffered: u64,
    /// ECU id of messages that have none.
    ecu: Id4,
}

impl Store {
    /// Opens the file; appends if it exists.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let ecu = Id4::try_new("ECU1").unwrap_or(Id4::NONE);
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            buffered: 0,
            ecu,
        })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores a message: `bytes` is the whole of it, with what stood before it. A message that was already stored
    /// somewhere keeps the header that says when.
    ///
    /// # Errors
    /// The file cannot be written, with the number of messages that are lost by that.
    pub fn message(&mut self, frame: &Frame<'_>, bytes: &[u8]) -> Result<(), (u64, io::Error)> {
        let (header, from) = match frame.prefix {
            Prefix::Storage(header) => (header, 16),
            Prefix::User => (self.header(frame), 8),
            Prefix::Serial => (self.header(frame), 4),
            Prefix::None => (self.header(frame), 0),
        };
        self.buffered += 1;
        let written =
            self.file.write_all(&header.to_bytes()).and_then(|()| self.file.write_all(&bytes[from..]));
        written.map_err(|error| self.lost(error))
    }

    /// Writes what is in the buffer.
    ///
    /// # Errors
    /// The file cannot be written, with the number of messages that are lost by that.
    pub fn flush(&mut self) -> Result<(), (u64, io::Error)> {
        self.file.flush().map_err(|error| self.lost(error))?;
        self.buffered = 0;
        Ok(())
    }

    fn header(&self, frame: &Frame<'_>) -> StorageHeader {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        StorageHeader {
            seconds: now.as_secs() as u32,
            microseconds: now.subsec_micros() as i32,
            ecu: frame.ecu.unwrap_or(self.ecu),
        }
    }

    fn lost(&mut self, error: io::Error) -> (u64, io::Error) {
        (std::mem::take(&mut self.buffered), error)
    }
}
