//! The calls that are looked at, each in a function of its own: it is entered at one address and left by one return.

use dlt_logger::{Context, Level, Outcome};

use crate::control::{Control, Lock};
use crate::load::producer::Producer;
use crate::load::target::Target;

/// Logs a number and a string with dlt-logger, whose log call is inlined here whole.
///
/// Its callers pass arguments that the compiler cannot know (`black_box`), and its address is taken: otherwise it would be
/// made for the one string that it is called with.
#[inline(never)]
pub fn log_call(context: &Context, number: u32, text: &str) -> Outcome {
    context.log(Level::Info, &(number, text))
}

/// Logs a number and a string with a control.
#[inline(never)]
pub(crate) fn control_call<L: Lock>(caller: &mut <Control<L> as Target>::Producer, number: u32) -> Outcome {
    caller.log(number)
}
