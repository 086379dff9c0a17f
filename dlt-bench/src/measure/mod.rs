//! Measuring: clocks, CPU time, latencies, the floor.

pub mod bursts;
pub mod clock;
pub mod cpu;
pub mod floor;
pub mod latency;
pub mod perf;
