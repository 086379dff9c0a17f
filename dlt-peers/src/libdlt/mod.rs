//! The C library libdlt, with a daemon of its own behind it.
//!
//! The daemon writes what reaches it to a file with storage headers, which becomes the sink's: what the other contenders
//! do with a thread is done by a process here.

mod daemon;
mod library;

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub use library::{Caller, FILE, Library, Logged, Refused};

use crate::{Contender, Finished, Format, Setup, TEXT_BYTES, Unavailable};
use daemon::{Daemon, INSTALL};

/// Bytes of a message in the library's buffer: 57 of the frame, its headers, and room.
const MESSAGE_BYTES: usize = 96;
/// The daemon has answered, or the buffer shrinks, within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// The daemon has written everything when its files have not grown for this long and nothing is on the way.
const SETTLED: Duration = Duration::from_millis(20);

/// The library and its daemon.
#[derive(Debug)]
pub struct Libdlt {
    library: Library,
    daemon: Daemon,
    sink: PathBuf,
    refused: Arc<AtomicU64>,
    configuration: String,
}

/// One thread's context.
#[derive(Debug)]
pub struct Producer {
    /// `None`: the library refused the context.
    caller: Option<Caller>,
    refused: u64,
    total: Arc<AtomicU64>,
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.total.fetch_add(self.refused, Relaxed);
    }
}

impl Contender for Libdlt {
    type Producer = Producer;

    const NAME: &'static str = "libdlt";
    const FORMAT: Format = Format::Dlt;

    fn start(setup: &Setup<'_>) -> Result<Self, Unavailable> {
        if !Library::is_installed() {
            return Err(Unavailable::NotInstalled(INSTALL.into()));
        }
        let is_null = setup.sink == Path::new("/dev/null");
        let folder = folder(setup.sink, is_null);
        let daemon = Daemon::start(folder.clone(), !is_null)?;
        let buffer = setup.shared_capacity() * MESSAGE_BYTES;
        set_environment(&folder, buffer);
        let library = Library::load().map_err(Unavailable::failed)?;
        // Refused while the daemon does not read yet.
        if !within(PATIENCE, || library.register_app(c"PEER", c"peer").is_ok()) {
            library.register_app(c"PEER", c"peer").map_err(Unavailable::failed)?;
        }
        if !within(PATIENCE, || library.is_connected()) {
            return Err(Unavailable::failed("the library does not reach its daemon"));
        }
        let configuration = format!(
            "libdlt and dlt-daemon {}: a buffer of {} KiB for all threads, the newest is dropped when it is full (calls cannot \
             wait); the daemon runs on loopback, without a client, and writes DLT frames with storage headers (offline trace)",
            library.version(),
            buffer >> 10
        );
        let refused = Arc::new(AtomicU64::new(0));
        Ok(Self { library, daemon, sink: setup.sink.to_owned(), refused, configuration })
    }

    fn configuration(&self) -> String {
        self.configuration.clone()
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.daemon.first_file())
    }

    fn producer(&self, index: usize) -> Producer {
        let id = CString::new(format!("P{index:03}")).unwrap_or_default();
        let caller = self.library.caller(&id, c"producer").ok();
        Producer { caller, refused: 0, total: Arc::clone(&self.refused) }
    }

    #[inline(always)]
    fn log(producer: &mut Producer, number: u32, text: &str) {
        let mut bytes = [0; TEXT_BYTES + 1];
        let used = text.len().min(TEXT_BYTES);
        bytes[..used].copy_from_slice(&text.as_bytes()[..used]);
        let text = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
        let logged = producer.caller.as_mut().map(|caller| caller.log(number, text));
        producer.refused += u64::from(logged != Some(Logged::Accepted));
    }

    fn finish(self) -> Finished {
        let mut left = u64::MAX;
        while left > 0 {
            let before = left;
            let shrinks = || {
                left = self.library.resend();
                left < before
            };
            if !within(PATIENCE, shrinks) {
                break;
            }
        }
        let mut written = self.daemon.written();
        let mut since = Instant::now();
        while since.elapsed() < SETTLED {
            std::thread::sleep(LOOK);
            let now = self.daemon.written();
            if now != written {
                (written, since) = (now, Instant::now());
            }
        }
        // What cannot be moved is missing in the sink, where it is counted.
        let _ = self.daemon.finish(&self.sink);
        // The library's own count is not exact.
        Finished::at_least(self.refused.load(Relaxed))
    }
}

/// Beside the sink, so that the daemon's file can become it; if there is none, where temporary files go.
fn folder(sink: &Path, is_null: bool) -> PathBuf {
    let name = format!("dlt-peers-libdlt-{}", std::process::id());
    let beside = sink.parent().filter(|_| !is_null).filter(|folder| !folder.as_os_str().is_empty());
    beside.map_or_else(std::env::temp_dir, Path::to_owned).join(name)
}

/// False: it was not so within this time.
fn within(time: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// Where the library finds its daemon, the size of its buffer, and that it prints errors only.
#[expect(unsafe_code, reason = "the library has no other way to be told")]
fn set_environment(folder: &Path, buffer_bytes: usize) {
    let bytes = buffer_bytes.to_string();
    // SAFETY: a contender is started while the process has one thread.
    unsafe {
        std::env::set_var("DLT_PIPE_DIR", folder);
        std::env::set_var("DLT_USER_BUFFER_MIN", &bytes);
        std::env::set_var("DLT_USER_BUFFER_MAX", &bytes);
        std::env::set_var("DLT_LOG_LEVEL", "3");
    }
}
