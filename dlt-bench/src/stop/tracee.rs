//! One seized thread.
#![expect(unsafe_code, reason = "the kernel's account of a system call is a union")]

use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::error::Error;

/// Why a seized thread stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A single step is done, or a breakpoint was reached.
    Trap,
    /// At the entry or the exit of a system call.
    SystemCall,
    /// It was asked to.
    Interrupted,
    /// It has not stopped within the limit.
    Late,
    /// It has ended.
    Ended,
}

/// A thread of a child, seized. It runs until it is stopped; only this thread stops.
///
/// Dropping it leaves the thread as it is: [`super::Child`] ends the process.
#[derive(Debug)]
pub struct Tracee {
    tid: Pid,
}

/// Looks for the tracee's stop without a pause for this long: a step takes 20 to 30 µs.
const LOOK_HARD: Duration = Duration::from_micros(500);
/// Pause between two looks after that.
const LOOK_AGAIN: Duration = Duration::from_micros(50);
/// A thread that is asked to stop does so at once, unless the kernel is in an uninterruptible wait.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(5);

impl Tracee {
    pub(super) fn seize(tid: Pid) -> Result<Self, Error> {
        let options = Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD;
        ptrace::seize(tid, options).map_err(|errno| refused(tid, errno))?;
        Ok(Self { tid })
    }

    /// Its thread id.
    pub const fn tid(&self) -> Pid {
        self.tid
    }

    /// Stops it wherever it is; returns when it stands.
    ///
    /// # Errors
    /// It has ended, or does not stop within 5 s.
    pub fn interrupt(&mut self) -> Result<(), Error> {
        ptrace::interrupt(self.tid).map_err(|errno| self.failed("stop", errno))?;
        loop {
            match self.wait(INTERRUPT_LIMIT)? {
                Stop::Interrupted => return Ok(()),
                // It was on its way to one; the interrupt is still due.
                Stop::Trap | Stop::SystemCall => self.resume()?,
                Stop::Ended => return Err(self.failed("stop", Errno::ESRCH)),
                Stop::Late => return Err(self.failed("stop", Errno::ETIMEDOUT)),
            }
        }
    }

    /// Lets it run.
    ///
    /// # Errors
    /// It has ended, or does not stand.
    pub fn resume(&mut self) -> Result<(), Error> {
        ptrace::cont(self.tid, None).map_err(|errno| self.failed("resume", errno))
    }

    /// Lets it run to the next breakpoint.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn run(&mut self, limit: Duration) -> Result<Stop, Error> {
        self.resume()?;
        self.wait(limit)
    }

    /// Lets it execute one instruction.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn step(&mut self, limit: Duration) -> Result<Stop, Error> {
        ptrace::step(self.tid, None).map_err(|errno| self.failed("step", errno))?;
        self.wait(limit)
    }

    /// Lets it run to the next entry or exit of a system call.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn run_to_system_call(&mut self, limit: Duration) -> Result<Stop, Error> {
        ptrace::syscall(self.tid, None).map_err(|errno| self.failed("resume", errno))?;
        self.wait(limit)
    }

    /// Number of the system call at whose entry it stands; `None` if it stands elsewhere.
    ///
    /// # Errors
    /// It does not stand.
    pub fn system_call_entry(&self) -> Result<Option<i64>, Error> {
        let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
        // Not nix's call: it hands the kernel a size of zero and gets nothing (nix 0.30).
        // SAFETY: the kernel writes at most the size that it is told into `info`.
        let written = unsafe {
            libc::ptrace(
                libc::PTRACE_GET_SYSCALL_INFO,
                self.tid.as_raw(),
                size_of_val(&info) as *mut libc::c_void,
                info.as_mut_ptr(),
            )
        };
        if written < 0 {
            return Err(self.failed("ask for the system call of", Errno::last()));
        }
        // SAFETY: plain words, for which zero is a valid value; the kernel has filled in what `op` says.
        let info = unsafe { info.assume_init() };
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return Ok(None);
        }
        // SAFETY: as above.
        Ok(Some(unsafe { info.u.entry.nr }.cast_signed()))
    }

    /// Waits until it stands. Signals on their way to it are delivered.
    ///
    /// # Errors
    /// The wait fails.
    pub fn wait(&mut self, limit: Duration) -> Result<Stop, Error> {
        let begin = Instant::now();
        loop {
            match waitpid(self.tid, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {
                    let waited = begin.elapsed();
                    if waited > limit {
                        return Ok(Stop::Late);
                    }
                    if waited > LOOK_HARD {
                        std::thread::sleep(LOOK_AGAIN);
                    } else {
                        std::thread::yield_now();
                    }
                }
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => return Ok(Stop::Trap),
                Ok(WaitStatus::PtraceSyscall(_)) => return Ok(Stop::SystemCall),
                Ok(WaitStatus::PtraceEvent(_, _, event)) if event == libc::PTRACE_EVENT_STOP => {
                    return Ok(Stop::Interrupted);
                }
                Ok(WaitStatus::Stopped(_, signal)) => {
                    ptrace::cont(self.tid, signal).map_err(|errno| self.failed("resume", errno))?;
                }
                Ok(WaitStatus::PtraceEvent(..) | WaitStatus::Continued(_)) => self.resume()?,
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => return Ok(Stop::Ended),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.failed("wait for", errno)),
            }
        }
    }

    /// Lets it run, and go: it is no longer traced.
    ///
    /// # Errors
    /// The system refuses. That it has ended is no error.
    pub fn release(self) -> Result<(), Error> {
        match ptrace::detach(self.tid, None) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(self.failed("release", errno)),
        }
    }

    pub(super) fn failed(&self, what: &str, errno: Errno) -> Error {
        Error::failed(format!("failed to {what} thread {}: {errno}", self.tid))
    }
}

/// Why ptrace may be refused.
fn refused(tid: Pid, errno: Errno) -> Error {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let hint = match (errno, scope.trim()) {
        (Errno::EPERM, "3") => {
            "kernel.yama.ptrace_scope is 3: no process may trace another until the next boot"
        }
        (Errno::EPERM, "2") => {
            "kernel.yama.ptrace_scope is 2: run as root, or `sysctl kernel.yama.ptrace_scope=1` as root"
        }
        (Errno::EPERM, _) => {
            "a seccomp filter (a container's, for example) or another tracer (a debugger, strace) stands against it"
        }
        (Errno::ENOSYS, _) => "this kernel, or the emulator that it runs under, has no ptrace",
        _ => "the thread may have ended",
    };
    Error::cannot_run(format!("failed to seize thread {tid} with ptrace: {errno}")).with_hint(hint)
}
