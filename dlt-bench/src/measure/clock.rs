//! The clock that is read around calls: the processor's counter where it can be trusted, `CLOCK_MONOTONIC` elsewhere.

use std::sync::OnceLock;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Distance of the two readings from which the counter's rate is taken: 40 ms make it exact to a few millionths.
const CALIBRATION: Duration = Duration::from_millis(40);

/// `CLOCK_MONOTONIC` in nanoseconds.
///
/// # Panics
/// Never: the clock exists on every Linux.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// A counter of ticks and the length of a tick.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    use_counter: bool,
    ns_per_tick: f64,
}

impl Clock {
    /// The process's clock. The first call takes 40 ms to measure the counter's rate.
    pub fn get() -> Self {
        static CLOCK: OnceLock<Clock> = OnceLock::new();
        *CLOCK.get_or_init(Self::calibrate)
    }

    fn calibrate() -> Self {
        if !counter_is_usable() {
            return Self { use_counter: false, ns_per_tick: 1.0 };
        }
        let (ticks, ns) = both();
        std::thread::sleep(CALIBRATION);
        let (later_ticks, later_ns) = both();
        let ns_per_tick = (later_ns - ns) as f64 / later_ticks.wrapping_sub(ticks) as f64;
        Self { use_counter: true, ns_per_tick }
    }

    /// A reading.
    #[inline(always)]
    pub fn ticks(self) -> u64 {
        if self.use_counter { counter() } else { monotonic_ns() }
    }

    /// Length of a number of ticks in nanoseconds.
    pub fn ns(self, ticks: u64) -> f64 {
        ticks as f64 * self.ns_per_tick
    }

    /// Number of ticks in a time.
    pub fn ticks_in_ns(self, ns: u64) -> u64 {
        (ns as f64 / self.ns_per_tick) as u64
    }

    /// Its name in reports.
    pub const fn source(self) -> &'static str {
        match (self.use_counter, cfg!(target_arch = "x86_64")) {
            (false, _) => "clock_gettime(CLOCK_MONOTONIC)",
            (true, true) => "tsc",
            (true, false) => "cntvct_el0",
        }
    }

    /// What a reading costs: the least mean of several loops, in nanoseconds.
    pub fn cost_ns(self) -> f64 {
        const READINGS: u32 = 20_000;
        let one_loop = || {
            let start = self.ticks();
            for _ in 0..READINGS {
                std::hint::black_box(self.ticks());
            }
            self.ns(self.ticks().wrapping_sub(start)) / f64::from(READINGS)
        };
        (0..5).map(|_| one_loop()).fold(f64::INFINITY, f64::min)
    }
}

/// Both clocks at nearly the same instant: of some tries the one with the least time around it.
fn both() -> (u64, u64) {
    let one = |_| {
        let before = counter();
        let ns = monotonic_ns();
        let width = counter().wrapping_sub(before);
        (width, before.wrapping_add(width / 2), ns)
    };
    let (_, ticks, ns) = (0..5).map(one).min().unwrap_or_default();
    (ticks, ns)
}

/// The processor's counter.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn counter() -> u64 {
    // SAFETY: RDTSC exists on every x86-64 processor; Linux does not disable it for user space.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The same, after all loads before it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn ordered_counter() -> u64 {
    let mut processor = 0;
    // SAFETY: the caller has seen that the processor has RDTSCP; Linux does not disable it for user space.
    unsafe { std::arch::x86_64::__rdtscp(&raw mut processor) }
}

/// True if the processor has RDTSCP.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_ordered_counter() -> bool {
    // AMD64 Architecture Programmer's Manual vol. 3, CPUID Fn8000_0001_EDX[27]: RDTSCP; the same at Intel.
    std::arch::x86_64::__cpuid(0x8000_0001).edx & 1 << 27 != 0
}

/// The processor's counter.
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

/// There is none.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn counter() -> u64 {
    monotonic_ns()
}

/// True if the counter runs at one rate on all processors and the kernel has not found it unstable.
fn counter_is_usable() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::__cpuid;
        // AMD64 Architecture Programmer's Manual vol. 3, CPUID Fn8000_0007_EDX[8]: TscInvariant; the same at Intel.
        let invariant = __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & 1 << 8 != 0;
        let list = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
        invariant
            && std::fs::read_to_string(list).is_ok_and(|l| l.split_whitespace().any(|name| name == "tsc"))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        cfg!(target_arch = "aarch64")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_and_monotonic_clock_agree() {
        let clock = Clock::get();
        if !clock.use_counter {
            assert!((clock.ns(5) - 5.0).abs() < 1e-9);
            return;
        }
        let (ticks, ns) = both();
        std::thread::sleep(Duration::from_millis(50));
        let (later_ticks, later_ns) = both();
        let (measured, true_ns) = (clock.ns(later_ticks - ticks), (later_ns - ns) as f64);
        assert!((measured / true_ns - 1.0).abs() < 0.01, "{measured} {true_ns}");
        assert!(clock.ticks_in_ns(1_000_000).abs_diff((1e6 / clock.ns_per_tick) as u64) <= 1);
    }

    #[test]
    fn a_reading_costs_something_and_less_than_a_system_call_would() {
        let cost = Clock::get().cost_ns();
        assert!((0.1..2_000.0).contains(&cost), "{cost}");
    }
}
