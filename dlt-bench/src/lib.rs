//! Benchmark cases for dlt-logger: load, measurement, accounting, and the embedded receiver that checks every frame.
//!
//! | module | what |
//! |---|---|
//! | [`cli`], [`config`] | the command line, and what it asks for |
//! | [`case`] | the cases by name, their rows, and what follows from them |
//! | [`load`] | the load engine: producers, accounts |
//! | [`compare`] | dlt-logger beside other loggers |
//! | [`control`] | negative controls: loggers that wait for locks |
//! | [`collector`] | the receiver |
//! | [`measure`] | clocks, CPU time, latencies, the floor |
//! | [`report`] | rows, tables, JSON |
//! | [`floor`] | the case that measures what the machine allows |
//! | [`audit`], [`stacks`] | the kernel probe's evidence, the verdict, flamegraphs |
//! | [`suspend`] | cases that stop threads and watch the others |
//! | [`stop`] | threads of a child process that are really stopped |
//! | [`advise`] | which settings a load needs |
//! | [`anatomy`] | every instruction of a log call |
//! | `code` | this program's own machine code: functions, instructions, coverage (x86-64) |
//! | [`sweep`] | a thread is stopped at every instruction of a log call |
//! | [`selftest`] | does the probe work on this kernel |
//! | [`diff`] | two sets of runs, compared statistically |
//! | [`watch`] | what a run tells the kernel probe |
//! | [`daemon`] | `dlt-daemon`: the receiver as a program of its own |
//! | [`exit_code`], [`error`], [`interrupt`] | how a run ends |

pub mod advise;
pub mod anatomy;
pub mod audit;
pub mod case;
pub mod cli;
#[cfg(target_arch = "x86_64")]
pub mod code;
pub mod collector;
pub mod compare;
pub mod config;
pub mod control;
pub mod daemon;
pub mod diff;
pub mod error;
pub mod exit_code;
pub mod floor;
pub mod interrupt;
pub mod load;
pub mod measure;
pub mod report;
pub mod selftest;
pub mod stacks;
pub mod stop;
pub mod suspend;
#[cfg(target_arch = "x86_64")]
pub mod sweep;
pub mod watch;
