//! The C library `libdlt.so.2` as it is installed, a comparison, with no daemon behind it.
//!
//! Without a daemon it keeps messages in a buffer of the process and drops them when that is full; nothing is delivered
//! that could be counted here.

use std::ffi::CString;
use std::path::Path;
use std::time::Duration;

use dlt_logger::{Config, Outcome};
use dlt_peers::libdlt::{self, FILE, Library, Logged};

use crate::error::Error;
use crate::load::message::{APPLICATION, TEXT};
use crate::load::producer::Producer;
use crate::load::target::{Build, Target};
use crate::load::terms::Terms;

/// Is it installed?
pub(crate) fn is_installed() -> bool {
    Library::is_installed()
}

/// The library.
#[derive(Debug)]
pub(crate) struct Libdlt {
    library: Library,
    text: CString,
}

fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|error| Error::failed(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refused(error: libdlt::Refused) -> Error {
    Error::failed(error.to_string())
}

impl Target for Libdlt {
    type Producer = Caller;

    fn streams(_config: &Config) -> usize {
        0
    }

    fn start(_build: Build<'_>) -> Result<Self, Error> {
        let library = Library::load().map_err(|error| {
            Error::cannot_run(format!("failed to load {FILE}: {error}")).with_hint("apt-get install libdlt2")
        })?;
        let text = c_string(TEXT)?;
        library.register_app(&c_string(APPLICATION)?, &text).map_err(refused)?;
        Ok(Self { library, text })
    }

    fn producer(&self, name: &str) -> Result<Caller, Error> {
        let caller = self.library.caller(&c_string(name)?, &self.text).map_err(refused)?;
        Ok(Caller { caller, text: self.text.clone() })
    }

    fn prepare_thread(&self) -> bool {
        true
    }

    fn worker_tids(&self) -> Vec<u32> {
        Vec::new()
    }

    fn terms(&self) -> Terms {
        Terms::default()
    }

    fn flush(&self, _timeout: Duration) -> Result<(), u64> {
        Ok(())
    }

    fn sink_error(&self) -> Option<String> {
        None
    }

    fn shutdown(self, _timeout: Duration) -> (Terms, bool) {
        (Terms::default(), true)
    }
}

/// A thread that logs.
#[derive(Debug)]
pub(crate) struct Caller {
    caller: libdlt::Caller,
    text: CString,
}

impl Producer for Caller {
    fn log(&mut self, sequence: u32) -> Outcome {
        match self.caller.log(sequence, &self.text) {
            Logged::Accepted => Outcome::Accepted,
            Logged::Filtered => Outcome::Filtered,
            Logged::Refused => Outcome::Full,
        }
    }
}

/// What the process under test does before it loads the library, while it has one thread: the library prints, and looks
/// for a daemon's pipe; in `folder` it finds none, so that a daemon of this machine is left alone.
#[expect(unsafe_code, reason = "the library is told by the environment")]
pub(crate) fn isolate(folder: &Path) {
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("DLT_PIPE_DIR", folder) };
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        // If it fails, the library's words are seen: no harm.
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}
