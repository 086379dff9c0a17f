//! System calls that aya does not offer.
#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A shared mapping.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: *mut u8,
    bytes: usize,
}

// SAFETY: a mapping is memory; who uses it uses atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Zeroed memory of this process, present from the start.
    pub(crate) fn anonymous(bytes: usize) -> io::Result<Self> {
        Self::new(bytes, libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE, -1)
    }

    /// The memory of a BPF array that was made with `BPF_F_MMAPABLE`.
    pub(crate) fn of_map(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Self::new(bytes, libc::MAP_SHARED | libc::MAP_POPULATE, fd.as_raw_fd())
    }

    fn new(bytes: usize, flags: i32, fd: i32) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { address: address.cast(), bytes })
    }

    pub(crate) fn address(&self) -> *mut u8 {
        self.address
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this size; slots keep the mapping alive while they are used.
        unsafe { libc::munmap(self.address.cast(), self.bytes) };
    }
}

/// Thread id of the calling thread, as its pid namespace sees it.
pub(crate) fn gettid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }.cast_unsigned()
}

const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_MAP_DELETE_ELEM: libc::c_long = 3;

/// `bpf(2)` on one element, without a lock or an allocation: threads read their own record with it.
pub(crate) fn map_element<T>(
    is_update: bool,
    map: BorrowedFd<'_>,
    key: u32,
    value: &mut T,
) -> io::Result<()> {
    let command = if is_update { BPF_MAP_UPDATE_ELEM } else { BPF_MAP_LOOKUP_ELEM };
    let fd = map.as_raw_fd().cast_unsigned();
    // The kernel reads and writes through the addresses.
    let key = (&raw const key).expose_provenance() as u64;
    let value = std::ptr::from_mut(value).expose_provenance() as u64;
    let attributes: [u64; 4] = [u64::from(fd), key, value, 0];
    // SAFETY: key and value live across the call and have the sizes that the map was made with.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(&attributes)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Deletes an element of a map.
pub(crate) fn delete_element(map: BorrowedFd<'_>, key: u32) -> io::Result<()> {
    let fd = map.as_raw_fd().cast_unsigned();
    let attributes: [u64; 4] = [u64::from(fd), (&raw const key).expose_provenance() as u64, 0, 0];
    // SAFETY: the key lives across the call and has the size that the map was made with.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_MAP_DELETE_ELEM, attributes.as_ptr(), size_of_val(&attributes))
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A system call with up to six arguments, by number: for exactly known numbers of calls, past the C library.
pub(crate) fn raw_call(number: libc::c_long, arguments: [usize; 6]) -> io::Result<usize> {
    let a = arguments;
    // SAFETY: callers pass addresses of live values of the right size, or numbers.
    let result = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result.cast_unsigned() as usize) }
}

/// Voluntary and involuntary switches of the calling thread (`RUSAGE_THREAD`).
pub(crate) fn own_switches() -> (u64, u64) {
    // SAFETY: all zeros is a valid rusage, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
        usage
    };
    (usage.ru_nvcsw as u64, usage.ru_nivcsw as u64)
}

/// RLIMIT_MEMLOCK of this process.
pub(crate) fn memory_lock_limit(limit: &mut libc::rlimit) {
    // SAFETY: fills `limit`; on an error it stays as it is.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, limit) };
}

/// Lifts RLIMIT_MEMLOCK, which bounds BPF memory before Linux 5.11. Where that is denied the load says so.
pub(crate) fn lift_memory_lock_limit() {
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: only reads `unlimited`.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const unlimited) };
}

// SAFETY: plain integers without padding (asserted beside the definition).
unsafe impl aya::Pod for crate::records::Config {}

/// A zeroed record.
pub(crate) fn zeroed_thread() -> crate::records::Thread {
    // SAFETY: all words are integers.
    unsafe { std::mem::zeroed() }
}

/// A record as it lies in the ring buffer.
pub(crate) fn stack_record(bytes: &[u8]) -> Option<crate::records::StackRecord> {
    if bytes.len() < size_of::<crate::records::StackRecord>() {
        return None;
    }
    // SAFETY: long enough (above), and all words are integers.
    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
}

/// A time of less than a second.
pub(crate) const fn timespec(ns: i64) -> libc::timespec {
    libc::timespec { tv_sec: 0, tv_nsec: ns }
}

/// Confines the calling thread to one processor; where that is refused it runs anywhere.
pub(crate) fn confine_to(cpu: usize) {
    // SAFETY: all zeros is an empty set; CPU_SET and the call stay within it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if cpu < libc::CPU_SETSIZE as usize {
            libc::CPU_SET(cpu, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
        }
    }
}

/// A process that stops the thread that started it by ptrace, an exact number of times.
///
/// It shares this process's memory (`CLONE_VM`). A fork would write-protect all of it for copy-on-write and hold its lock
/// for that time: the next store of every thread would fault, some would sleep in the fault, and an audit that runs in the
/// same process would take that for a wait of the logger.
#[derive(Debug)]
pub(crate) struct Tracer {
    pid: libc::pid_t,
    /// [`Order`], then the process's stack.
    memory: Mapping,
}

/// What the two have in common.
#[repr(C)]
struct Order {
    /// 0 wait, or one of the following.
    state: std::sync::atomic::AtomicU32,
    /// The thread to be stopped, and how often.
    tid: libc::pid_t,
    stops: u32,
}

const GO: u32 = 1;
const DONE: u32 = 2;
const REFUSED: u32 = 3;

/// Of the tracing process: a few calls deep.
const TRACER_STACK: usize = 64 * 1024;

impl Tracer {
    /// Starts the process; it waits for [`Self::go_and_wait`]. `None` if there can be none.
    pub(crate) fn start(stops: u32) -> Option<Self> {
        let memory = Mapping::anonymous(TRACER_STACK).ok()?;
        let order = Self::order(&memory);
        let state = std::sync::atomic::AtomicU32::new(0);
        // SAFETY: a page-aligned mapping of this process that nobody else knows yet.
        unsafe { order.write(Order { state, tid: gettid().cast_signed(), stops }) };
        // Where Yama allows tracing only of descendants, this allows the child to trace its parent.
        // SAFETY: changes an attribute of this process only.
        unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::c_long::from(-1i32)) };
        let stack = memory.address().wrapping_add(TRACER_STACK).cast();
        // SAFETY: the stack grows down from the mapping's end and is kept until the process has ended (`Drop`); `trace` makes
        // only system calls past the C library's state, which it shares with the thread that started it.
        let pid = unsafe { libc::clone(Self::trace, stack, libc::CLONE_VM | libc::SIGCHLD, order.cast()) };
        (pid > 0).then_some(Self { pid, memory })
    }

    fn state(&self) -> &std::sync::atomic::AtomicU32 {
        // SAFETY: written by `start`, and the mapping lives as long as `self`.
        unsafe { &(*Self::order(&self.memory)).state }
    }

    /// Aligned: a mapping begins with a page.
    fn order(memory: &Mapping) -> *mut Order {
        memory.address().cast()
    }

    extern "C" fn trace(order: *mut libc::c_void) -> libc::c_int {
        use std::sync::atomic::Ordering::SeqCst;
        // SAFETY: `start` has written it, and it lives until this process has ended.
        let order = unsafe { &*order.cast::<Order>() };
        let short = timespec(200_000);
        let tid = order.tid;
        // SAFETY: raw calls on this process and on the thread that started it; nothing allocates, none is a point of
        // cancellation.
        unsafe {
            let ptrace = |request: u32| libc::syscall(libc::SYS_ptrace, request, tid, 0, 0) == 0;
            libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            while order.state.load(SeqCst) != GO {
                libc::syscall(libc::SYS_nanosleep, &raw const short, 0);
            }
            let mut ok = ptrace(libc::PTRACE_SEIZE);
            for i in 0..order.stops {
                let mut status = 0;
                let resume = if i + 1 == order.stops { libc::PTRACE_DETACH } else { libc::PTRACE_CONT };
                ok = ok
                    && ptrace(libc::PTRACE_INTERRUPT)
                    && libc::syscall(libc::SYS_wait4, tid, &raw mut status, libc::__WALL, 0)
                        == i64::from(tid)
                    && ptrace(resume);
            }
            order.state.store(if ok { DONE } else { REFUSED }, SeqCst);
            libc::syscall(libc::SYS_exit_group, 0);
        }
        0
    }

    /// Has the calling thread stopped. Spins, so that the stops are no system calls. False if ptrace was refused.
    pub(crate) fn go_and_wait(&self) -> bool {
        use std::sync::atomic::Ordering::SeqCst;
        let state = self.state();
        state.store(GO, SeqCst);
        while state.load(SeqCst) == GO {
            std::hint::spin_loop();
        }
        state.load(SeqCst) == DONE
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // SAFETY: the child is this process's own and has not been waited for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}
