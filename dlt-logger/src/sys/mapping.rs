//! Anonymous memory straight from the kernel.
//!
//! Not from the allocator: a thread that is stopped inside `malloc` holds an arena's lock, and registration of a
//! thread must not be able to hold up another one. The memory is zeroed, touched pages only cost, and a forked child
//! finds it zeroed again (`MADV_WIPEONFORK`, Linux 4.14), which is how it notices the fork.

use std::io;
use std::ptr::NonNull;

/// Size of a page that is right everywhere for rounding; the kernel rounds up further where pages are larger.
pub(crate) const PAGE: usize = 4096;

/// Maps `bytes` of zeroed memory that a forked child sees zeroed. `prefault` makes all of its pages present.
pub(crate) fn map(bytes: usize, prefault: bool) -> io::Result<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE
        | libc::MAP_ANONYMOUS
        | libc::MAP_NORESERVE
        | if prefault { libc::MAP_POPULATE } else { 0 };
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no existing memory.
    let address =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the range was mapped above. The advice changes what a child sees after a fork and nothing here.
    if unsafe { libc::madvise(address, bytes, libc::MADV_WIPEONFORK) } != 0 {
        let error = io::Error::last_os_error();
        // SAFETY: the range was mapped above and nobody knows of it yet.
        unsafe { libc::munmap(address, bytes) };
        return Err(error);
    }
    NonNull::new(address.cast()).ok_or_else(|| io::Error::other("the kernel mapped page zero"))
}

/// Makes the pages of a mapping present and writable, keeping their contents. False before Linux 5.14.
///
/// # Safety
/// `address` and `bytes` are those of one mapping made by [`map`] that is not unmapped during the call.
pub(crate) unsafe fn populate(address: NonNull<u8>, bytes: usize) -> bool {
    // SAFETY: the caller vouches for the range; the advice keeps the contents.
    unsafe { libc::madvise(address.as_ptr().cast(), bytes, libc::MADV_POPULATE_WRITE) == 0 }
}

/// Gives a mapping back.
///
/// # Safety
/// `address` and `bytes` are those of one mapping made by [`map`], and nothing refers to it any more.
pub(crate) unsafe fn unmap(address: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller vouches for the range and that it is unused.
    unsafe { libc::munmap(address.as_ptr().cast(), bytes) };
}
