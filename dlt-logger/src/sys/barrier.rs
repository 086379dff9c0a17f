//! `membarrier`: the slow side pays for both fences.

/// Registers the process for [`everywhere`]. Call once before; repeats are harmless. False before Linux 4.14 or under
/// a filter that denies it.
pub(crate) fn register() -> bool {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
}

/// A full memory fence in every running thread of the process. False if it could not be had.
pub(crate) fn everywhere() -> bool {
    membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call changes no memory; an unknown command fails with EINVAL.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
