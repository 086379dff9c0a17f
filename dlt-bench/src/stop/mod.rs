//! Threads of a child process that are really stopped: by ptrace, one at a time, wherever they are.
//!
//! The process that stops threads is the parent: a single-threaded controller. It forks the process under test
//! ([`Child::fork`], no exec: both have the same addresses), talks to it through memory that both map ([`shared`]), and
//! seizes single threads of it ([`Child::seize`]). Only a seized thread stops; the others run on. This needs no
//! privileges for one's own child, also with the Yama security module in its usual setting.
//!
//! However the controller ends, no stopped process stays behind: before the first thread is seized the child has asked to
//! die with its parent, from then on the kernel kills it with its tracer (`PTRACE_O_EXITKILL`).

mod child;
#[cfg(target_arch = "x86_64")]
pub mod registers;
mod tracee;

pub use child::{Child, Zeroed, shared};
pub use tracee::{Stop, Tracee};
