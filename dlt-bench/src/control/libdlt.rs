//! The C library `libdlt.so.2` as it is installed, loaded at run time: a comparison, with no daemon behind it.
//!
//! Without a daemon it keeps messages in a buffer of the process and drops them when that is full; nothing is delivered
//! that could be counted here.
#![expect(unsafe_code, reason = "calls into a C library")]

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::time::Duration;

use dlt_logger::{Config, Outcome};
use libloading::Library;

use crate::error::Error;
use crate::load::message::{APPLICATION, TEXT};
use crate::load::producer::Producer;
use crate::load::target::{Build, Target};
use crate::load::terms::Terms;

/// Its file name.
const FILE: &str = "libdlt.so.2";
/// `DLT_LOG_INFO` (`dlt_types.h`).
const INFO: c_int = 4;
/// `DLT_RETURN_TRUE`: the message's level passes.
const TRUE: c_int = 1;
/// Words of a `DltContext` (32 bytes in 2.18) and of a `DltContextData` (56 bytes), and room for other versions.
const OPAQUE_WORDS: usize = 64;

type RegisterApp = unsafe extern "C" fn(*const c_char, *const c_char) -> c_int;
type RegisterContext = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> c_int;
type WriteStart = unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int;
type WriteUint = unsafe extern "C" fn(*mut c_void, c_uint) -> c_int;
type WriteString = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;
type WriteFinish = unsafe extern "C" fn(*mut c_void) -> c_int;

#[derive(Debug, Clone, Copy)]
struct Functions {
    register_app: RegisterApp,
    register_context: RegisterContext,
    start: WriteStart,
    uint: WriteUint,
    string: WriteString,
    finish: WriteFinish,
}

/// Is it installed?
pub(crate) fn is_installed() -> bool {
    // SAFETY: its initialisers do nothing; a library that is installed under this name is what the user trusts.
    unsafe { Library::new(FILE) }.is_ok()
}

/// The library.
#[derive(Debug)]
pub(crate) struct Libdlt {
    functions: Functions,
    text: CString,
}

fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|error| Error::failed(error.to_string()))
}

fn functions() -> Result<Functions, Error> {
    let failed = |error: libloading::Error| {
        Error::cannot_run(format!("failed to load {FILE}: {error}")).with_hint("apt-get install libdlt2")
    };
    // SAFETY: as in `is_installed`.
    let library = unsafe { Library::new(FILE) }.map_err(failed)?;
    // SAFETY: the types are those of `dlt_user.h` of version 2.18, which have been the same for all versions of this
    // file name.
    let functions = unsafe {
        Functions {
            register_app: *library.get(b"dlt_register_app\0").map_err(failed)?,
            register_context: *library.get(b"dlt_register_context\0").map_err(failed)?,
            start: *library.get(b"dlt_user_log_write_start\0").map_err(failed)?,
            uint: *library.get(b"dlt_user_log_write_uint\0").map_err(failed)?,
            string: *library.get(b"dlt_user_log_write_string\0").map_err(failed)?,
            finish: *library.get(b"dlt_user_log_write_finish\0").map_err(failed)?,
        }
    };
    // It starts threads of its own: its code stays until the process ends.
    std::mem::forget(library);
    Ok(functions)
}

impl Target for Libdlt {
    type Producer = Caller;

    fn streams(_config: &Config) -> usize {
        0
    }

    fn start(_build: Build<'_>) -> Result<Self, Error> {
        let functions = functions()?;
        let (id, text) = (c_string(APPLICATION)?, c_string(TEXT)?);
        // SAFETY: both texts end with a NUL, and the library copies them.
        let result = unsafe { (functions.register_app)(id.as_ptr(), text.as_ptr()) };
        if result < 0 {
            return Err(Error::failed(format!("{FILE}: dlt_register_app returned {result}")));
        }
        Ok(Self { functions, text })
    }

    fn producer(&self, name: &str) -> Result<Caller, Error> {
        let id = c_string(name)?;
        // Not freed: the library keeps a pointer to the context.
        let context = Box::leak(Box::new([0u64; OPAQUE_WORDS]));
        // SAFETY: the context is larger than the library's, zeroed, and stays for ever.
        let result = unsafe {
            (self.functions.register_context)(context.as_mut_ptr().cast(), id.as_ptr(), self.text.as_ptr())
        };
        if result < 0 {
            return Err(Error::failed(format!("{FILE}: dlt_register_context returned {result}")));
        }
        let data = Box::new([0; OPAQUE_WORDS]);
        Ok(Caller { functions: self.functions, context, data, text: self.text.clone() })
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
    functions: Functions,
    context: &'static mut [u64; OPAQUE_WORDS],
    data: Box<[u64; OPAQUE_WORDS]>,
    text: CString,
}

impl Producer for Caller {
    fn log(&mut self, sequence: u32) -> Outcome {
        let (context, data) = (self.context.as_mut_ptr().cast(), self.data.as_mut_ptr().cast());
        // SAFETY: the context was registered; the data is larger than the library's and this thread's own; the text ends
        // with a NUL; the other functions are called only if the first one returned true.
        let result = unsafe {
            if (self.functions.start)(context, data, INFO) != TRUE {
                return Outcome::Filtered;
            }
            (self.functions.uint)(data, sequence);
            (self.functions.string)(data, self.text.as_ptr());
            (self.functions.finish)(data)
        };
        if result < 0 { Outcome::Full } else { Outcome::Accepted }
    }
}

/// What the process under test does before it loads the library, while it has one thread: the library prints, and looks
/// for a daemon's pipe; in `folder` it finds none, so that a daemon of this machine is left alone.
pub(crate) fn isolate(folder: &Path) {
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("DLT_PIPE_DIR", folder) };
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        // If it fails, the library's words are seen: no harm.
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}
