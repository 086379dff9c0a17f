//! The kernel probe: eBPF programs that watch system calls, futexes and the scheduler, and their loader.
//!
//! | module | what |
//! |---|---|
//! | [`records`] | what the programs and user space share |
//! | [`slots`] | in-call words: written by a producer around each log call, read by the programs |
//! | [`facts`] | what the running kernel's BTF says |
//! | [`probe`] | loading, attaching, watching, reading |
//! | [`canary`] | exactly known numbers of everything, to show that the probe counts right |
//!
//! The programs are in `bpf/`, a package of its own. Their object is committed (`prebuilt/`), so that building this crate needs no
//! eBPF tool chain; one object serves kernels 5.10 to 6.18.
//!
//! # Kernel requirements
//!
//! BTF (`CONFIG_DEBUG_INFO_BTF`), raw and BTF tracepoints, ring buffers: Linux 5.10 or later. No kprobe, no fentry. CAP_BPF and
//! CAP_PERFMON, and CAP_SYS_RESOURCE before 5.11.
#![cfg_attr(not(feature = "user"), no_std)]
#![deny(unsafe_code)]

pub mod records;

#[cfg(feature = "user")]
mod attach;
#[cfg(feature = "user")]
pub mod canary;
#[cfg(feature = "user")]
mod error;
#[cfg(feature = "user")]
pub mod facts;
#[cfg(feature = "user")]
mod object;
#[cfg(feature = "user")]
mod privileges;
#[cfg(feature = "user")]
pub mod probe;
#[cfg(feature = "user")]
pub mod slots;
#[cfg(feature = "user")]
mod sys;

pub use records::{Leave, Role, StackKind, Thread};

#[cfg(feature = "user")]
pub use error::{CannotRun, Error};
#[cfg(feature = "user")]
pub use probe::{Edge, Ledger, Options, Probe, ProgramCost, Stack};
#[cfg(feature = "user")]
pub use slots::{SlotPtr, SlotTable};
