//! What this user and this system allow, said before the kernel says EPERM.

use std::io;

use crate::error::CannotRun;

const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// The command that grants what is missing.
fn remedy() -> String {
    let program =
        std::env::current_exe().map_or_else(|_| "PROGRAM".into(), |path| path.display().to_string());
    format!(
        "run it as root (`sudo {program} …`), or grant the capabilities once: \
         `sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep {program}`"
    )
}

/// Refuses what cannot work.
pub(crate) fn check() -> Result<(), CannotRun> {
    let effective =
        status_field("CapEff:").and_then(|hex| u64::from_str_radix(&hex, 16).ok()).unwrap_or(u64::MAX);
    if effective & CAP_SYS_ADMIN != 0 {
        return Ok(());
    }
    let wanted = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")];
    let missing: Vec<_> =
        wanted.iter().filter(|(bit, _)| effective & bit == 0).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(CannotRun { missing: format!("missing {}", missing.join(" and ")), remedy: remedy() })
}

/// Why the kernel refused what the capabilities allow; `None` if it is not a matter of what this system allows.
pub(crate) fn explain(action: &str, error: &io::Error) -> Option<CannotRun> {
    let cannot = |reason: String, remedy: String| {
        Some(CannotRun { missing: format!("{action}: {error} ({reason})"), remedy })
    };
    match error.raw_os_error()? {
        libc::ENOSYS => {
            cannot("this kernel has no bpf system call".into(), "use a kernel with CONFIG_BPF_SYSCALL".into())
        }
        libc::EMFILE | libc::ENFILE => {
            cannot("no file descriptor left".into(), "raise the limit: `ulimit -n 4096`".into())
        }
        libc::EPERM | libc::EACCES => {
            if status_field("Seccomp:").is_some_and(|mode| mode != "0") {
                return cannot(
                    "a seccomp filter is in force".into(),
                    "allow bpf and perf_event_open, or run outside it".into(),
                );
            }
            if let Some(mode) = lockdown() {
                return cannot(
                    format!("kernel lockdown is `{mode}`"),
                    "boot with lockdown off or in integrity mode".into(),
                );
            }
            if memory_is_limited() {
                return cannot("RLIMIT_MEMLOCK is too low".into(), "raise it: `ulimit -l unlimited`".into());
            }
            cannot("not permitted".into(), remedy())
        }
        _ => None,
    }
}

/// The kernel's lockdown mode, if it denies reading kernel memory.
fn lockdown() -> Option<String> {
    let modes = std::fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let active = modes.split_once('[')?.1.split_once(']')?.0;
    (active == "confidentiality").then(|| active.to_owned())
}

fn memory_is_limited() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    crate::sys::memory_lock_limit(&mut limit);
    limit.rlim_cur < 64 << 20
}

fn status_field(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}
