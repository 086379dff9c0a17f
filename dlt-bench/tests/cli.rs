//! The programs as their users run them.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

#[path = "suite/advise.rs"]
mod advise;
#[cfg(target_arch = "x86_64")]
#[path = "suite/anatomy.rs"]
mod anatomy;
#[path = "suite/cases.rs"]
mod cases;
#[path = "suite/daemon.rs"]
mod daemon;
#[path = "suite/diff.rs"]
mod diff;
#[path = "suite/diff_ab.rs"]
mod diff_ab;
#[path = "suite/endings.rs"]
mod endings;
#[path = "suite/floor.rs"]
mod floor;
#[path = "suite/misfits.rs"]
mod misfits;
#[path = "suite/refusals.rs"]
mod refusals;
#[path = "suite/schema.rs"]
mod schema;
#[path = "suite/sinks.rs"]
mod sinks;
#[path = "suite/support.rs"]
mod support;
