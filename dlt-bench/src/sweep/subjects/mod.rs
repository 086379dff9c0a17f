//! What `suspend-sweep` sweeps: dlt-logger, and the controls in which a stopped thread must be found to stop others.

mod dlt;
mod force_push;
mod mutex;
#[cfg(feature = "peers")]
pub mod peer;
mod receiver;
mod worker;

/// Address of the function in which dlt-logger is called.
pub(super) fn log_call_address() -> u64 {
    crate::anatomy::call::log_call as *const () as u64
}

pub use dlt::{BLOCK, DROP_NEWEST, Dlt, OVERWRITE};
pub use force_push::ForcePush;
pub use mutex::MutexLogger;
pub use worker::DltWorker;
