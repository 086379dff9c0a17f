//! The process under test.
#![expect(unsafe_code, reason = "fork, and memory that both processes map")]

use std::num::NonZeroUsize;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

use super::Tracee;
use crate::error::Error;

/// Something that may lie in [`shared`] memory.
///
/// # Safety
/// All bytes zero is a valid value, and the type holds nothing but atomics: no pointers, nothing that one side may
/// change while the other takes it for constant.
pub unsafe trait Zeroed: Sync {}

/// A zeroed `T` in memory that children share with this process. It stays mapped until the process ends.
///
/// # Errors
/// The system has no memory for it.
pub fn shared<T: Zeroed>() -> Result<&'static T, Error> {
    let Some(bytes) = NonZeroUsize::new(size_of::<T>()) else {
        return Err(Error::failed("nothing to share"));
    };
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh mapping at an address that the kernel chooses.
    let memory = unsafe { mmap_anonymous(None, bytes, protection, MapFlags::MAP_SHARED) };
    let memory =
        memory.map_err(|error| Error::cannot_run(format!("failed to map {bytes} shared bytes: {error}")))?;
    // SAFETY: page aligned, large enough, zeroed, which is valid (`Zeroed`); never unmapped.
    Ok(unsafe { memory.cast::<T>().as_ref() })
}

/// A forked process. Dropping it kills it and waits until it is gone.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    seized: Vec<Pid>,
    is_gone: bool,
}

impl Child {
    /// Forks. The child runs `body` and exits with what it returns; it ignores Ctrl-C and dies with this process.
    ///
    /// # Errors
    /// This process has more than one thread (a fork would leave the others' locks taken for ever), or the system
    /// refuses a process.
    pub fn fork(body: impl FnOnce() -> i32) -> Result<Self, Error> {
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        if threads != 1 {
            return Err(Error::failed(format!(
                "a process under test is forked, and this one has {threads} threads instead of one"
            )));
        }
        let parent = getpid();
        // SAFETY: this process has one thread, so the child finds no lock taken.
        match unsafe { fork() } {
            Ok(ForkResult::Parent { child }) => Ok(Self { pid: child, seized: Vec::new(), is_gone: false }),
            Ok(ForkResult::Child) => {
                let code = if prepare(parent).is_ok() { body() } else { 1 };
                // SAFETY: always sound. Not `exit`: what the parent had buffered and registered is the parent's.
                unsafe { libc::_exit(code) }
            }
            Err(error) => Err(Error::cannot_run(format!("failed to fork: {error}"))),
        }
    }

    /// Its process id.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Seizes one of its threads, which runs on.
    ///
    /// # Errors
    /// ptrace is refused: says by whom, as far as that can be known.
    pub fn seize(&mut self, tid: u32) -> Result<Tracee, Error> {
        let tid = Pid::from_raw(tid.cast_signed());
        let tracee = Tracee::seize(tid)?;
        self.seized.push(tid);
        Ok(tracee)
    }

    /// Forgets threads that have ended and were reaped by [`Tracee`].
    pub fn forget(&mut self, tracee: &Tracee) {
        self.seized.retain(|&tid| tid != tracee.tid());
    }

    /// Is it there still?
    ///
    /// # Errors
    /// It has ended; says how.
    pub fn check(&mut self) -> Result<(), Error> {
        if self.is_gone {
            return Err(Error::failed("the process under test has ended"));
        }
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(_, code)) => {
                self.is_gone = true;
                Err(Error::failed(format!("the process under test ended with exit code {code}")))
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                self.is_gone = true;
                Err(Error::failed(format!("the process under test was killed by {signal}")))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Waits until `condition` holds or `limit` is over; true if it holds. Looks every 20 µs at first, later every
    /// 0.5 ms.
    ///
    /// # Errors
    /// The child ended.
    pub fn await_that(&mut self, limit: Duration, condition: impl Fn() -> bool) -> Result<bool, Error> {
        let begin = std::time::Instant::now();
        loop {
            if condition() {
                return Ok(true);
            }
            let waited = begin.elapsed();
            if waited > limit {
                return Ok(false);
            }
            let is_long = waited > Duration::from_millis(5);
            if is_long {
                self.check()?;
            }
            std::thread::sleep(Duration::from_micros(if is_long { 500 } else { 20 }));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.is_gone {
            return;
        }
        let _ = kill(self.pid, Signal::SIGKILL);
        // Traced threads first: until their end is reaped the wait for the process does not return.
        for &tid in self.seized.iter().filter(|&&tid| tid != self.pid).chain([&self.pid]) {
            loop {
                match waitpid(tid, Some(WaitPidFlag::__WALL)) {
                    Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => break,
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(_) => break,
                }
            }
        }
    }
}

/// The child's first steps.
fn prepare(parent: Pid) -> nix::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have ended before that.
    if getppid() != parent {
        return Err(Errno::ESRCH);
    }
    // Ends sleeps when they are due: threads inherit it.
    prctl::set_timerslack(1)?;
    for ignored in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: ignoring a signal runs no code.
        unsafe { signal(ignored, SigHandler::SigIgn) }?;
    }
    Ok(())
}
