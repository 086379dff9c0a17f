//! The kernel's side of the probe. Every program looks at one thread group only and counts per thread.
#![no_std]
#![no_main]

#[allow(dead_code, reason = "user space uses the rest")]
#[path = "../../src/records.rs"]
mod records;
mod stack;
mod state;
mod switch;
mod syscall;

use aya_ebpf::macros::{btf_tracepoint, perf_event, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, PerfEventContext, RawTracePointContext};

/// A task leaves a processor to another one.
#[btf_tracepoint(function = "sched_switch")]
pub fn on_switch(ctx: BtfTracePointContext) -> i32 {
    switch::on_switch(&ctx);
    0
}

/// A system call begins.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn on_enter(ctx: RawTracePointContext) -> i32 {
    syscall::on_enter(&ctx);
    0
}

/// A system call returns.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn on_exit(ctx: RawTracePointContext) -> i32 {
    syscall::on_exit(&ctx);
    0
}

/// User code took a page fault (x86-64).
#[raw_tracepoint(tracepoint = "page_fault_user")]
pub fn on_fault(_ctx: RawTracePointContext) -> i32 {
    syscall::on_fault();
    0
}

/// The sampling clock.
#[perf_event]
pub fn on_sample(ctx: PerfEventContext) -> i32 {
    stack::on_sample(&ctx);
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
