//! Clock readings.

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is writable; the clocks used here exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now
}

/// CLOCK_MONOTONIC in nanoseconds. Not inlined: where the counter is used this is off the log call's way.
#[inline(never)]
pub(crate) fn monotonic_ns() -> u64 {
    let now = read(libc::CLOCK_MONOTONIC);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// CLOCK_REALTIME as seconds since 1970 and microseconds, as a storage header has it.
pub(crate) fn wall_clock() -> (u32, u32) {
    let now = read(libc::CLOCK_REALTIME);
    (now.tv_sec as u32, (now.tv_nsec / 1000) as u32)
}

/// The time stamp counter. Its unit is a tick of unknown length.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn counter() -> u64 {
    // SAFETY: RDTSC exists on every x86-64 processor.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The virtual counter.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn counter() -> u64 {
    let ticks: u64;
    // SAFETY: CNTVCT_EL0 is readable in user space on Linux and reading it has no side effect.
    unsafe {
        std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags))
    };
    ticks
}

/// Elsewhere there is no counter that is cheaper than the clock.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
pub(crate) fn counter() -> u64 {
    monotonic_ns()
}

/// True if the counter runs at one rate on all processors, also across idle states, and the kernel trusts it.
pub(crate) fn counter_is_invariant() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::__cpuid;
        // AMD64 Architecture Programmer's Manual vol. 3, CPUID Fn8000_0007_EDX[8]: TscInvariant; the same at Intel.
        let invariant = __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & 1 << 8 != 0;
        // The kernel takes `tsc` off this list when its watchdog has found it unstable.
        let trusted =
            std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/available_clocksource")
                .is_ok_and(|list| list.split_whitespace().any(|name| name == "tsc"));
        invariant && trusted
    }
    // Arm Architecture Reference Manual, "The Generic Timer": one system counter at a fixed frequency.
    #[cfg(target_arch = "aarch64")]
    {
        true
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}
