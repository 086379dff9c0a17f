//! The C library `libdlt.so.2` as it is installed, loaded at run time.
#![expect(unsafe_code, reason = "calls into a C library")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use libloading::Library as Loaded;

/// Its file name.
pub const FILE: &str = "libdlt.so.2";
/// `DLT_LOG_INFO` (`dlt_types.h`).
const INFO: c_int = 4;
/// `DLT_RETURN_TRUE`: the message's level passes.
const TRUE: c_int = 1;
/// `DLT_RETURN_PIPE_FULL`: the daemon's pipe is full, and the message is in the library's buffer instead.
const PIPE_FULL: c_int = -3;
/// Words of a `DltContext` (32 bytes in 2.18) and of a `DltContextData` (56 bytes), and room for other versions.
const OPAQUE_WORDS: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Functions {
    version: unsafe extern "C" fn(*mut c_char, usize),
    register_app: unsafe extern "C" fn(*const c_char, *const c_char) -> c_int,
    register_context: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> c_int,
    start: unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int,
    uint: unsafe extern "C" fn(*mut c_void, c_uint) -> c_int,
    string: unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int,
    finish: unsafe extern "C" fn(*mut c_void) -> c_int,
    log_state: unsafe extern "C" fn() -> c_int,
    check_buffer: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    resend_buffer: unsafe extern "C" fn() -> c_int,
}

/// The library. It stays loaded until the process ends, since it starts threads of its own.
#[derive(Debug, Clone, Copy)]
pub struct Library(Functions);

/// A call of the library's failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The function.
    pub function: &'static str,
    /// What it returned (`DltReturnValue` in `dlt_types.h`).
    pub code: i32,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{FILE}: {} returned {}", self.function, self.code)
    }
}

impl std::error::Error for Refused {}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    /// It is on its way to the daemon, or in the library's buffer.
    Accepted,
    /// The level does not pass.
    Filtered,
    /// It was refused: the library's buffer is full.
    Refused,
}

impl Library {
    /// Is it installed?
    pub fn is_installed() -> bool {
        // SAFETY: its initialisers do nothing; a library that is installed under this name is what the user trusts.
        unsafe { Loaded::new(FILE) }.is_ok()
    }

    /// Loads it.
    ///
    /// # Errors
    ///
    /// It is not installed, or not of a version that is known.
    pub fn load() -> Result<Self, libloading::Error> {
        // SAFETY: as in `is_installed`.
        let library = unsafe { Loaded::new(FILE) }?;
        // SAFETY: the types are those of `dlt_user.h` and `dlt_common.h` of version 2.18, which have been the same for all
        // versions of this file name; `dlt_user_log_resend_buffer`, which no header has, takes nothing and returns an enum.
        let functions = unsafe {
            Functions {
                version: *library.get(b"dlt_get_version\0")?,
                register_app: *library.get(b"dlt_register_app\0")?,
                register_context: *library.get(b"dlt_register_context\0")?,
                start: *library.get(b"dlt_user_log_write_start\0")?,
                uint: *library.get(b"dlt_user_log_write_uint\0")?,
                string: *library.get(b"dlt_user_log_write_string\0")?,
                finish: *library.get(b"dlt_user_log_write_finish\0")?,
                log_state: *library.get(b"dlt_get_log_state\0")?,
                check_buffer: *library.get(b"dlt_user_check_buffer\0")?,
                resend_buffer: *library.get(b"dlt_user_log_resend_buffer\0")?,
            }
        };
        std::mem::forget(library);
        Ok(Self(functions))
    }

    /// What it says of its version.
    pub fn version(self) -> String {
        let mut bytes = [0u8; 256];
        // SAFETY: it writes at most the length that it is told, with a NUL at the end.
        unsafe { (self.0.version)(bytes.as_mut_ptr().cast(), bytes.len()) };
        let text = CStr::from_bytes_until_nul(&bytes).map(CStr::to_string_lossy).unwrap_or_default();
        // "DLT Package Version: 2.18.8 STABLE, Package Revision: …"
        text.split(',').next().unwrap_or_default().trim_start_matches("DLT Package Version: ").to_owned()
    }

    /// Registers this process.
    ///
    /// # Errors
    ///
    /// The library refuses.
    pub fn register_app(self, id: &CStr, text: &CStr) -> Result<(), Refused> {
        // SAFETY: both texts end with a NUL, and the library copies them.
        let code = unsafe { (self.0.register_app)(id.as_ptr(), text.as_ptr()) };
        check("dlt_register_app", code)
    }

    /// A context for one thread.
    ///
    /// # Errors
    ///
    /// The library refuses.
    pub fn caller(self, id: &CStr, text: &CStr) -> Result<Caller, Refused> {
        // Not freed: the library keeps a pointer to the context.
        let context = Box::leak(Box::new([0u64; OPAQUE_WORDS]));
        // SAFETY: the context is larger than the library's, zeroed, and stays for ever; the library copies the texts.
        let code =
            unsafe { (self.0.register_context)(context.as_mut_ptr().cast(), id.as_ptr(), text.as_ptr()) };
        check("dlt_register_context", code)?;
        Ok(Caller { functions: self.0, context, data: Box::new([0; OPAQUE_WORDS]) })
    }

    /// Has the daemon answered?
    pub fn is_connected(self) -> bool {
        // -1: nobody has said anything yet.
        // SAFETY: it reads a number of the library's.
        unsafe { (self.0.log_state)() >= 0 }
    }

    /// Tries to send what is in the library's buffer. How many bytes are left in it.
    pub fn resend(self) -> u64 {
        let (mut total, mut used) = (0, 0);
        // SAFETY: the library locks its buffer for the first one; the second one writes two numbers.
        unsafe {
            (self.0.resend_buffer)();
            (self.0.check_buffer)(&raw mut total, &raw mut used);
        }
        u64::try_from(used).unwrap_or_default()
    }
}

fn check(function: &'static str, code: c_int) -> Result<(), Refused> {
    if code < 0 { Err(Refused { function, code }) } else { Ok(()) }
}

/// A thread that logs.
#[derive(Debug)]
pub struct Caller {
    functions: Functions,
    context: &'static mut [u64; OPAQUE_WORDS],
    data: Box<[u64; OPAQUE_WORDS]>,
}

impl Caller {
    /// Logs a number and a text with level "info".
    #[inline]
    pub fn log(&mut self, number: u32, text: &CStr) -> Logged {
        let (context, data) = (self.context.as_mut_ptr().cast(), self.data.as_mut_ptr().cast());
        // SAFETY: the context was registered; the data is larger than the library's and this thread's own; the text ends
        // with a NUL; the other functions are called only if the first one returned true.
        let code = unsafe {
            if (self.functions.start)(context, data, INFO) != TRUE {
                return Logged::Filtered;
            }
            (self.functions.uint)(data, number);
            (self.functions.string)(data, text.as_ptr());
            (self.functions.finish)(data)
        };
        if code < 0 && code != PIPE_FULL { Logged::Refused } else { Logged::Accepted }
    }
}
