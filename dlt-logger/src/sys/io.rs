//! Writing to a descriptor that may not take everything.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};

/// One `writev`. Restarted after a signal.
pub(crate) fn writev(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        // Not `libc::writev`: that is a cancellation point, which costs a tenth of the call.
        // SAFETY: `IoSlice` has the layout of `iovec` (std's guarantee), and the slices live across the call.
        let n = unsafe { libc::syscall(libc::SYS_writev, fd.as_raw_fd(), slices.as_ptr(), slices.len()) };
        if n >= 0 {
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Waits until `fd` takes bytes or has failed, at most `timeout_ms`.
pub(crate) fn wait_writable(fd: BorrowedFd<'_>, timeout_ms: i32) {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: `poll` is one valid entry. Whatever the result, the caller tries to write again.
    unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
}

/// Sets or clears `O_NONBLOCK` on the open file description.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: reads and sets the status flags of a descriptor that the caller borrowed to us.
    unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        if flags < 0 || libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
