//! Loading, attaching, watching, reading.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use aya::maps::{Map, MapData, PerCpuArray, RingBuf};
use aya::{Btf, Ebpf, EbpfLoader};

use crate::attach::{self, Link, PROGRAMS, SAMPLER, os_error};
use crate::error::{CannotRun, Error};
use crate::facts::Facts;
use crate::records::{Config, MAX_SLOTS, Role, Slot, StackKind, Thread, VERSION, ledger};
use crate::slots::SlotTable;
use crate::sys::{self, Mapping, map_element};
use crate::{object, privileges};

/// Inode of the first pid namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// What the probe is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Take stacks where watched threads block or yield.
    pub stacks: bool,
    /// Take stacks of what runs so many times a second on each processor; 0: not.
    pub sample_hz: u32,
    /// Keep the kernel's run-time statistics of the programs, which costs each run a little.
    pub statistics: bool,
    /// Negative control: a struct offset that is wrong by this many bytes.
    #[doc(hidden)]
    pub shift_offsets: u32,
}

/// What was lost. Counts from the load on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Stack samples that the ring buffer refused.
    pub ring_full: u64,
    /// Entries that a map refused.
    pub map_full: u64,
    /// User stacks that could not be read.
    pub user_stacks: u64,
    /// Kernel stacks that could not be read.
    pub kernel_stacks: u64,
    /// The same, both, by their errors: ENOMEM, EFAULT, EINVAL, any other.
    pub stack_errors: [u64; ledger::ERRORS.len() + 1],
    /// Reads of kernel memory that failed.
    pub kernel_reads: u64,
    /// Runs that the kernel skipped because a program was already running on that processor. `None`: the kernel does not
    /// say (before 5.12).
    pub recursion_misses: Option<u64>,
}

impl Ledger {
    /// Nothing that counts was lost. Stacks explain and prove nothing, so a stack that could not be read is no loss of
    /// evidence.
    pub const fn is_clean(&self) -> bool {
        let misses = match self.recursion_misses {
            Some(misses) => misses,
            None => 0,
        };
        self.ring_full == 0 && self.map_full == 0 && self.kernel_reads == 0 && misses == 0
    }
}

/// What one program has cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name.
    pub program: &'static str,
    /// Time spent in it, in ns. 0 unless [`Options::statistics`] is set.
    pub run_ns: u64,
    /// Its runs.
    pub runs: u64,
}

/// One stack sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// What it is about.
    pub kind: StackKind,
    /// Thread id as the watcher knows it.
    pub tid: u32,
    /// Role of the thread; `None` if it is not watched.
    pub role: Option<Role>,
    /// Inside a log call.
    pub in_call: bool,
    /// How long the thread was away, or the sampling period, in ns.
    pub weight_ns: u64,
    /// Return addresses, innermost first.
    pub user: Vec<u64>,
    /// The same of the kernel.
    pub kernel: Vec<u64>,
}

/// A thread's record and its own switch counts at one instant: no switch lay between the readings.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    /// The probe's record.
    pub thread: Thread,
    /// `RUSAGE_THREAD`'s voluntary switches.
    pub voluntary: u64,
    /// `RUSAGE_THREAD`'s involuntary switches.
    pub involuntary: u64,
}

/// The loaded and attached programs. Dropping it detaches them.
#[derive(Debug)]
pub struct Probe {
    ebpf: Mutex<Ebpf>,
    /// Hold the programs on their tracepoints.
    links: Mutex<Vec<Link>>,
    threads: OwnedFd,
    pending: OwnedFd,
    slots: SlotTable,
    has_page_faults: bool,
    options: Options,
    /// Holds the kernel's statistics on.
    _statistics: Option<OwnedFd>,
}

impl Probe {
    /// Loads the programs for this process's threads and attaches them.
    ///
    /// # Errors
    /// [`Error::CannotRun`] if privileges or the kernel stand against it.
    pub fn load(options: Options) -> Result<Self, Error> {
        Self::load_for(std::process::id(), options)
    }

    /// The same for the threads of process `tgid`, which is in this process's pid namespace.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_for(tgid: u32, options: Options) -> Result<Self, Error> {
        Self::load_object(object::bytes(), tgid, options)
    }

    /// The same from another object than the embedded one: for tests.
    ///
    /// # Errors
    /// As [`Self::load`]; [`Error::OtherRecords`] if the object was built with other records.
    #[doc(hidden)]
    pub fn load_object(object: &[u8], tgid: u32, options: Options) -> Result<Self, Error> {
        privileges::check()?;
        match object::version(object) {
            Some(VERSION) => {}
            found => return Err(Error::OtherRecords { found, wanted: VERSION }),
        }
        let facts = Facts::read()?;
        sys::lift_memory_lock_limit();
        let config = configure(&facts, tgid, options)?;
        let config_name = format!("CONFIG_V{VERSION}");
        let mut ebpf = EbpfLoader::new()
            .override_global(&config_name, &config, true)
            .load(object)
            .map_err(|error| explained("load the eBPF object", error))?;
        let btf = Btf::from_sys_fs().map_err(|error| CannotRun {
            missing: format!("failed to read the kernel's BTF: {error}"),
            remedy: "a kernel with CONFIG_DEBUG_INFO_BTF is needed".into(),
        })?;
        let (threads, pending) = (map_fd(&ebpf, "THREADS")?, map_fd(&ebpf, "PENDING")?);
        let slots = Mapping::of_map(map_fd(&ebpf, "SLOTS")?.as_fd(), MAX_SLOTS as usize * size_of::<Slot>())
            .map_err(|source| Error::Io { action: "map the in-call words", source })?;
        let statistics =
            options.statistics.then(|| aya::sys::enable_stats(aya::sys::Stats::RunTime).ok()).flatten();
        attach::load(&mut ebpf, &btf, options.sample_hz)?;
        let (links, has_page_faults) = attach::attach(&mut ebpf, options.sample_hz)?;
        Ok(Self {
            ebpf: Mutex::new(ebpf),
            links: Mutex::new(links),
            threads,
            pending,
            slots: SlotTable::mapped(slots),
            has_page_faults,
            options,
            _statistics: statistics,
        })
    }

    /// The in-call words, mapped.
    pub const fn slots(&self) -> &SlotTable {
        &self.slots
    }

    /// True if page faults are counted.
    pub const fn counts_page_faults(&self) -> bool {
        self.has_page_faults
    }

    /// What it was loaded with.
    pub const fn options(&self) -> Options {
        self.options
    }

    /// Begins to watch a thread of the watched process, from zero.
    ///
    /// # Errors
    /// The map is full, or the kernel refuses.
    pub fn watch(&self, tid: u32, role: Role, slot: Option<usize>) -> Result<(), Error> {
        let mut thread = sys::zeroed_thread();
        thread.role = role as u64;
        thread.slot = slot.map_or(0, |slot| slot as u64 % u64::from(MAX_SLOTS) + 1);
        map_element(true, self.threads.as_fd(), tid, &mut thread)
            .map_err(|source| Error::Io { action: "watch a thread", source })
    }

    /// Ends watching a thread, which makes room for another. Its record is gone, and so is the stack that was kept for the end of
    /// its wait.
    ///
    /// # Errors
    /// It is not watched.
    pub fn unwatch(&self, tid: u32) -> Result<(), Error> {
        // Mostly there is none.
        let _ = sys::delete_element(self.pending.as_fd(), tid);
        sys::delete_element(self.threads.as_fd(), tid)
            .map_err(|source| Error::Io { action: "end watching a thread", source })
    }

    /// The record of a watched thread.
    ///
    /// # Errors
    /// It is not watched.
    pub fn read(&self, tid: u32) -> Result<Thread, Error> {
        let mut thread = sys::zeroed_thread();
        map_element(false, self.threads.as_fd(), tid, &mut thread)
            .map_err(|source| Error::Io { action: "read a thread's record", source })?;
        Ok(thread)
    }

    /// The calling thread's record and its own switch counts, read until no switch lay between.
    ///
    /// # Errors
    /// The thread is not watched.
    pub fn edge(&self) -> Result<Edge, Error> {
        let tid = sys::gettid();
        loop {
            let before = self.read(tid)?;
            let (voluntary, involuntary) = sys::own_switches();
            let thread = self.read(tid)?;
            if (before.voluntary, before.involuntary) == (thread.voluntary, thread.involuntary) {
                return Ok(Edge { thread, voluntary, involuntary });
            }
        }
    }

    /// Takes the programs off their tracepoints; maps and in-call words stay. What happens meanwhile is not counted, so that
    /// records are of no use from then on: this is for measuring what the probe costs.
    pub fn detach(&self) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Puts them back.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach(&self) -> Result<(), Error> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.is_empty() {
            *links = attach::attach(&mut self.ebpf(), self.options.sample_hz)?.0;
        }
        Ok(())
    }

    /// What was lost so far.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn ledger(&self) -> Result<Ledger, Error> {
        let ebpf = self.ebpf();
        let map = ebpf.map("LEDGER").ok_or(Error::Missing("LEDGER"))?;
        let counts = PerCpuArray::<&MapData, u64>::try_from(map).map_err(|e| map_error("LEDGER", e))?;
        let sum = |index: u32| -> Result<u64, Error> {
            Ok(counts.get(&index, 0).map_err(|e| map_error("LEDGER", e))?.iter().sum())
        };
        let stacks = |first: u32| -> Result<[u64; ledger::ERRORS.len() + 1], Error> {
            let mut errors = [0; ledger::ERRORS.len() + 1];
            for (index, count) in (first..).zip(&mut errors) {
                *count = sum(index)?;
            }
            Ok(errors)
        };
        let (user, kernel) = (stacks(ledger::USER_STACK)?, stacks(ledger::KERNEL_STACK)?);
        Ok(Ledger {
            ring_full: sum(ledger::RING_FULL)?,
            map_full: sum(ledger::MAP_FULL)?,
            user_stacks: user.iter().sum(),
            kernel_stacks: kernel.iter().sum(),
            stack_errors: std::array::from_fn(|kind| user[kind] + kernel[kind]),
            kernel_reads: sum(ledger::KERNEL_READ)?,
            recursion_misses: recursion_misses(&ebpf),
        })
    }

    /// What the programs cost so far.
    pub fn costs(&self) -> Vec<ProgramCost> {
        let ebpf = self.ebpf();
        let names = PROGRAMS.iter().map(|(program, _)| *program).chain([SAMPLER]);
        let cost = |program: &'static str| {
            let info = ebpf.program(program)?.info().ok()?;
            Some(ProgramCost { program, run_ns: info.run_time().as_nanos() as u64, runs: info.run_count() })
        };
        names.filter_map(cost).collect()
    }

    /// Takes the stacks that have come in.
    ///
    /// # Errors
    /// The ring buffer cannot be read.
    pub fn take_stacks(&self) -> Result<Vec<Stack>, Error> {
        let mut ebpf = self.ebpf();
        let map = ebpf.map_mut("STACKS").ok_or(Error::Missing("STACKS"))?;
        let mut ring = RingBuf::try_from(map).map_err(|e| map_error("STACKS", e))?;
        let mut stacks = Vec::new();
        while let Some(item) = ring.next() {
            stacks.extend(sys::stack_record(&item).and_then(|record| Stack::from_record(&record)));
        }
        Ok(stacks)
    }

    fn ebpf(&self) -> std::sync::MutexGuard<'_, Ebpf> {
        self.ebpf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stack {
    fn from_record(record: &crate::records::StackRecord) -> Option<Self> {
        let kind = match record.kind {
            0 => StackKind::OnCpu,
            1 => StackKind::Blocked,
            2 => StackKind::Yielded,
            3 => StackKind::Futex,
            _ => return None,
        };
        let frames = |bytes: i64, all: &[u64]| {
            let count = usize::try_from(bytes).map_or(0, |bytes| bytes / 8);
            all.iter().take(count).copied().filter(|&address| address != 0).collect()
        };
        Some(Self {
            kind,
            tid: record.tid as u32,
            role: Role::from_number(record.role),
            in_call: record.in_call != 0,
            weight_ns: record.weight_ns,
            user: frames(record.user_bytes, &record.user),
            kernel: frames(record.kernel_bytes, &record.kernel),
        })
    }
}

fn configure(facts: &Facts, tgid: u32, options: Options) -> Result<Config, Error> {
    let namespace = std::fs::metadata("/proc/self/ns/pid")
        .map_err(|source| Error::Io { action: "look at this process's pid namespace", source })?;
    let device = namespace.st_dev();
    let mut config = facts.config();
    config.tgid = tgid;
    config.use_namespace = u32::from(namespace.st_ino() != FIRST_PID_NAMESPACE);
    // As the kernel's `new_encode_dev` has it inside: major and minor in one word.
    config.ns_dev = u64::from(libc::major(device)) << 20 | u64::from(libc::minor(device));
    config.ns_ino = namespace.st_ino();
    config.stacks = u32::from(options.stacks);
    config.sample_ns = 1_000_000_000u32.checked_div(options.sample_hz).unwrap_or(0);
    config.nvcsw += options.shift_offsets;
    Ok(config)
}

fn map_fd(ebpf: &Ebpf, name: &'static str) -> Result<OwnedFd, Error> {
    let fd: BorrowedFd<'_> = match ebpf.map(name).ok_or(Error::Missing(name))? {
        Map::HashMap(data) | Map::Array(data) => data.fd().as_fd(),
        _ => return Err(Error::Missing(name)),
    };
    fd.try_clone_to_owned().map_err(|source| Error::Io { action: "keep a map's descriptor", source })
}

fn map_error(map: &'static str, error: aya::maps::MapError) -> Error {
    Error::Map { map, source: Box::new(error) }
}

fn explained(action: &str, error: aya::EbpfError) -> Error {
    match os_error(&error).and_then(|os| privileges::explain(action, os)) {
        Some(reason) => Error::CannotRun(reason),
        None => Error::Load(error),
    }
}

fn recursion_misses(ebpf: &Ebpf) -> Option<u64> {
    let mut sum = 0;
    for (name, program) in ebpf.programs() {
        let Ok(fd) = program.fd() else { continue };
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).ok()?;
        let value = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
        let misses: u64 = value.trim().parse().ok()?;
        // The sampling program may be skipped: its samples are no evidence of absence.
        if name != SAMPLER {
            sum += misses;
        }
    }
    Some(sum)
}
