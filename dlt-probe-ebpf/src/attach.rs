//! Programs into the kernel, onto their tracepoints, and off them again.

use std::io;

use aya::programs::perf_event::{
    PerfEventConfig, PerfEventLink, PerfEventScope, SamplePolicy, SoftwareEvent,
};
use aya::programs::raw_trace_point::RawTracePointLink;
use aya::programs::tp_btf::BtfTracePointLink;
use aya::programs::{PerfEvent, Program, ProgramError};
use aya::{Btf, Ebpf};

use crate::error::Error;
use crate::privileges;

/// Programs and the tracepoints that they belong on.
pub(crate) const PROGRAMS: [(&str, &str); 4] = [
    ("on_switch", "sched_switch"),
    ("on_exit", "sys_exit"),
    ("on_enter", "sys_enter"),
    ("on_fault", "page_fault_user"),
];
/// arm64 has no such tracepoint.
const OPTIONAL: &str = "on_fault";
/// The program of the sampling clock.
pub(crate) const SAMPLER: &str = "on_sample";

/// What holds a program on its tracepoint: it is taken off when this is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "kept for what their ends do")]
pub(crate) enum Link {
    Switch(BtfTracePointLink),
    Raw(RawTracePointLink),
    Clock(PerfEventLink),
}

/// Hands the programs to the kernel, which verifies them; that of the sampling clock only if it is wanted.
pub(crate) fn load(ebpf: &mut Ebpf, btf: &Btf, sample_hz: u32) -> Result<(), Error> {
    let sampler = (sample_hz > 0).then_some((SAMPLER, ""));
    for (name, tracepoint) in PROGRAMS.into_iter().chain(sampler) {
        match ebpf.program_mut(name).ok_or(Error::Missing(name))? {
            Program::BtfTracePoint(program) => program.load(tracepoint, btf),
            Program::RawTracePoint(program) => program.load(),
            Program::PerfEvent(program) => program.load(),
            _ => return Err(Error::Missing(name)),
        }
        .map_err(refused("load", name))?;
    }
    Ok(())
}

/// Puts the programs onto their tracepoints; the sampling clock only if `sample_hz` is not 0. Also says whether page faults are
/// counted.
pub(crate) fn attach(ebpf: &mut Ebpf, sample_hz: u32) -> Result<(Vec<Link>, bool), Error> {
    let mut links = Vec::new();
    let mut has_page_faults = true;
    for (name, tracepoint) in PROGRAMS {
        match attach_one(ebpf, name, tracepoint) {
            Ok(link) => links.push(link),
            Err(_) if name == OPTIONAL => has_page_faults = false,
            Err(error) => return Err(error),
        }
    }
    if sample_hz > 0 {
        attach_sampler(ebpf, sample_hz, &mut links)?;
    }
    Ok((links, has_page_faults))
}

fn attach_one(ebpf: &mut Ebpf, name: &'static str, tracepoint: &str) -> Result<Link, Error> {
    match ebpf.program_mut(name).ok_or(Error::Missing(name))? {
        Program::BtfTracePoint(program) => {
            program.attach().and_then(|id| program.take_link(id)).map(Link::Switch)
        }
        Program::RawTracePoint(program) => {
            program.attach(tracepoint).and_then(|id| program.take_link(id)).map(Link::Raw)
        }
        _ => return Err(Error::Missing(name)),
    }
    .map_err(refused("attach", name))
}

fn attach_sampler(ebpf: &mut Ebpf, hz: u32, links: &mut Vec<Link>) -> Result<(), Error> {
    let program = ebpf.program_mut(SAMPLER).ok_or(Error::Missing(SAMPLER))?;
    let program: &mut PerfEvent = program.try_into().map_err(refused("use", SAMPLER))?;
    let processors = aya::util::online_cpus()
        .map_err(|(_, source)| Error::Io { action: "count the processors", source })?;
    for cpu in processors {
        let clock = PerfEventConfig::Software(SoftwareEvent::CpuClock);
        let scope = PerfEventScope::AllProcessesOneCpu { cpu };
        let link = program
            .attach(clock, scope, SamplePolicy::Frequency(u64::from(hz)), false)
            .and_then(|id| program.take_link(id))
            .map_err(refused("attach", SAMPLER))?;
        links.push(Link::Clock(link));
    }
    Ok(())
}

fn refused(action: &'static str, program: &'static str) -> impl Fn(ProgramError) -> Error {
    move |error| match os_error(&error)
        .and_then(|os| privileges::explain(&format!("{action} program `{program}`"), os))
    {
        Some(reason) => Error::CannotRun(reason),
        None => Error::Program { action, program, source: Box::new(error) },
    }
}

/// The system's error at the end of a chain of causes.
pub(crate) fn os_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(os) = error.downcast_ref::<io::Error>() {
            return Some(os);
        }
        at = error.source();
    }
    None
}
