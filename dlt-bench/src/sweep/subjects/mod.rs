//! What `suspend-sweep` sweeps: dlt-logger, and the controls in which a stopped thread must be found to stop others.

mod dlt;
mod force_push;
mod mutex;
mod receiver;
mod worker;

pub use dlt::{BLOCK, DROP_NEWEST, Dlt, OVERWRITE};
pub use force_push::ForcePush;
pub use mutex::MutexLogger;
pub use worker::DltWorker;
