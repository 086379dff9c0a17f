//! Ctrl-C: the first one ends the run in good order, the second one at once.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

fn requested_flag() -> &'static Arc<AtomicBool> {
    static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    REQUESTED.get_or_init(Arc::default)
}

/// Turns SIGINT and SIGTERM into a request.
///
/// # Errors
/// The system refuses a handler.
pub fn install() -> io::Result<()> {
    let flag = requested_flag();
    for signal in [SIGINT, SIGTERM] {
        // In this order: at the first signal the flag is not yet set, at the second it is.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(flag))?;
        flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// True once the run has been asked to end. One relaxed load.
pub fn requested() -> bool {
    requested_flag().load(Relaxed)
}
