//! What the running kernel's BTF says: offsets of struct members, parameters of tracepoints.
//!
//! Rust's eBPF target emits no relocations, so an offset that was compiled in would be silently wrong on another kernel.

use btf::btf::{Btf, Struct, Type};

use crate::error::CannotRun;
use crate::records::Config;

/// Where the kernel shows its own types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Offsets of the running kernel, in bytes, and what `sched_switch` passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Parameters of `sched_switch`: 4 since Linux 5.18, which added `prev_state`.
    pub switch_parameters: usize,
    /// `task_struct.__state`, before 5.14 `task_struct.state`.
    pub state: u32,
    /// `task_struct.nvcsw`.
    pub nvcsw: u32,
    /// `task_struct.pid`.
    pub pid: u32,
    /// `task_struct.tgid`.
    pub tgid: u32,
    /// `task_struct.start_time`.
    pub start_time: u32,
    /// `task_struct.se.sum_exec_runtime`.
    pub run_time: u32,
    /// The word of `thread_info` that tells a 32-bit system call.
    pub compat: u32,
}

impl Facts {
    /// Reads the running kernel's BTF.
    ///
    /// # Errors
    /// The kernel shows none, or not what is needed.
    pub fn read() -> Result<Self, CannotRun> {
        let missing = |what: String| CannotRun {
            missing: what,
            remedy:
                "a kernel with CONFIG_DEBUG_INFO_BTF is needed (Debian's stock kernels since 5.10 have it)"
                    .into(),
        };
        if let Err(error) = std::fs::metadata(VMLINUX) {
            return Err(missing(format!("the kernel shows no BTF ({VMLINUX}: {error})")));
        }
        let btf =
            Btf::from_file(VMLINUX).map_err(|error| missing(format!("failed to read {VMLINUX}: {error}")))?;
        Self::from_btf(&btf).map_err(|what| missing(format!("{VMLINUX} describes no {what}")))
    }

    fn from_btf(btf: &Btf) -> Result<Self, String> {
        let task = find_struct(btf, "task_struct")?;
        let entity = find_struct(btf, "sched_entity")?;
        let info = find_struct(btf, "thread_info")?;
        // TS_COMPAT is in `status` on x86, TIF_32BIT in `flags` on arm64.
        let compat = if cfg!(target_arch = "x86_64") { "status" } else { "flags" };
        Ok(Self {
            switch_parameters: parameters(btf, "btf_trace_sched_switch")?,
            state: offset(task, &["__state", "state"])?,
            nvcsw: offset(task, &["nvcsw"])?,
            pid: offset(task, &["pid"])?,
            tgid: offset(task, &["tgid"])?,
            start_time: offset(task, &["start_time"])?,
            run_time: offset(task, &["se"])? + offset(entity, &["sum_exec_runtime"])?,
            compat: offset(task, &["thread_info"])? + offset(info, &[compat])?,
        })
    }

    /// The configuration of the programs for this kernel; the watched thread group is not set yet.
    pub fn config(&self) -> Config {
        let number = |n: libc::c_long| n as u32;
        Config {
            has_state_argument: u32::from(self.switch_parameters >= 4),
            state: self.state,
            nvcsw: self.nvcsw,
            pid: self.pid,
            task_tgid: self.tgid,
            start_time: self.start_time,
            run_time: self.run_time,
            compat: self.compat,
            nr_futex: number(libc::SYS_futex),
            nr_waitv: number(libc::SYS_futex_waitv),
            nr_writev: number(libc::SYS_writev),
            nr_yield: number(libc::SYS_sched_yield),
            nr_nanosleep: number(libc::SYS_nanosleep),
            nr_clock_nanosleep: number(libc::SYS_clock_nanosleep),
            nr_ppoll: number(libc::SYS_ppoll),
            // `futex_wake`; the C library's crate does not know it on every target.
            nr_futex2: 454,
            ..ARCH
        }
    }
}

/// Members of `pt_regs` as in the kernel's user API: rsi and rdx; TS_COMPAT.
#[cfg(target_arch = "x86_64")]
const ARCH: Config = Config {
    argument_1: 104,
    argument_2: 96,
    compat_mask: 2,
    nr_poll: libc::SYS_poll as u32,
    ..Config::ZERO
};
/// x1 and x2; TIF_32BIT.
#[cfg(target_arch = "aarch64")]
const ARCH: Config =
    Config { argument_1: 8, argument_2: 16, compat_mask: 1 << 22, nr_poll: u32::MAX, ..Config::ZERO };

/// Not the crate's look-up by name, which keeps the last type of a name whatever its kind.
fn find_struct<'a>(btf: &'a Btf, name: &str) -> Result<&'a Struct, String> {
    let found = btf.get_types().iter().find_map(|t| match &t.base_type {
        Type::Struct(found) if t.num_refs == 0 && t.name.as_deref() == Some(name) => Some(found),
        _ => None,
    });
    found.ok_or_else(|| format!("struct `{name}`"))
}

fn offset(of: &Struct, names: &[&str]) -> Result<u32, String> {
    let member = of.members.iter().find(|m| m.name.as_deref().is_some_and(|name| names.contains(&name)));
    // The crate gives offsets in bits.
    member.map(|m| m.offset / 8).ok_or_else(|| format!("member `{}`", names[0]))
}

fn parameters(btf: &Btf, name: &str) -> Result<usize, String> {
    let count = btf.get_types().iter().find_map(|t| match &t.base_type {
        // The first one is the tracepoint's private data.
        Type::FunctionProto(prototype) if t.name.as_deref() == Some(name) => Some(prototype.params.len() - 1),
        _ => None,
    });
    count.ok_or_else(|| format!("tracepoint `{name}`"))
}
