//! The suspend cases as their users run them: as root, where the kernel confirms the stops, and without privileges.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

#[path = "suspend/cases.rs"]
mod cases;
#[path = "suspend/endings.rs"]
mod endings;
#[path = "suite/left_behind.rs"]
mod left_behind;
#[path = "suite/misfits.rs"]
mod misfits;
#[path = "suspend/support.rs"]
mod support;
