//! The probe against threads whose every wait is known. Needs CAP_BPF and CAP_PERFMON.
//!
//! Without the privileges a test says so and counts as skipped; with CAP_SYS_ADMIN, on a kernel with BTF, a skip is a failure.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod suite {
    pub(crate) mod counts;
    pub(crate) mod helper;
    pub(crate) mod in_call;
    pub(crate) mod refusals;
    pub(crate) mod stacks;
    pub(crate) mod support;
}
