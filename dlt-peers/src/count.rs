//! Messages that are in a sink.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use dlt_logger::format::decode::split;

use crate::Format;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1 << 20;

/// Messages with this text in the file. What a logger says about itself is not counted.
pub fn messages(path: &Path, format: Format, text: &str) -> io::Result<u64> {
    match format {
        Format::Text => lines(path, text.as_bytes()),
        Format::Dlt => frames(path, text.as_bytes()),
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn lines(path: &Path, text: &[u8]) -> io::Result<u64> {
    let mut file = BufReader::with_capacity(PIECE_BYTES, File::open(path)?);
    let (mut line, mut count) = (Vec::new(), 0);
    while file.read_until(b'\n', &mut line)? > 0 {
        count += u64::from(line.ends_with(b"\n") && contains(&line, text));
        line.clear();
    }
    Ok(count)
}

fn frames(path: &Path, text: &[u8]) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let (mut bytes, mut count) = (Vec::new(), 0);
    loop {
        let got = file.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut bytes)?;
        let mut rest = &bytes[..];
        while let Some((frame, used)) =
            split(rest).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?
        {
            count += u64::from(contains(frame.payload, text));
            rest = &rest[used..];
        }
        if got == 0 {
            return if rest.is_empty() { Ok(count) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let used = bytes.len() - rest.len();
        bytes.drain(..used);
    }
}
