//! The same checks on a file that was written.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dlt_logger::format::decode::MAX_ITEM_BYTES;

use super::check::{Checker, Received};

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Takes a whole file apart and checks it.
///
/// # Errors
/// It cannot be read.
pub fn check(path: &Path) -> io::Result<Received> {
    let mut file = File::open(path)?;
    let mut checker = Checker::default();
    let mut bytes = vec![0; READ_BYTES + MAX_ITEM_BYTES];
    let mut filled = 0;
    loop {
        let end = (filled + READ_BYTES).min(bytes.len());
        let n = file.read(&mut bytes[filled..end])?;
        if n == 0 {
            break;
        }
        filled += n;
        let used = checker.feed(0, &bytes[..filled]);
        bytes.copy_within(used..filled, 0);
        filled -= used;
    }
    checker.end_of_stream(0, filled, false);
    Ok(checker.finish(0))
}
