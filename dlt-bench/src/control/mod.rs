//! Negative controls: small loggers that do wait for each other, so that whatever finds nothing in dlt-logger can be
//! seen to find something here.
//!
//! They make the same frames for the same sinks and account for every message. Their callers build the frame in a queue
//! that all of them share, under one lock; their worker takes batches out under the same lock.
//!
//! | name | lock |
//! |---|---|
//! | `mutex` | `std::sync::Mutex` |
//! | `spin` | spinlock |
//! | `spin-yield` | spinlock that calls `sched_yield` while it waits |

#[cfg(feature = "peers")]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only the advantage case loads it"))]
pub(crate) mod libdlt;
pub(crate) mod lock;
mod logger;
mod output;
pub(crate) mod queue;

pub(crate) use lock::Lock;
pub(crate) use logger::Control;
