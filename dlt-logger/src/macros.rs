//! One macro per level.

/// Logs a message of any level: `dlt_log!(context, Level::Info, "speed", 42u32)`. Evaluates to an
/// [`Outcome`](crate::Outcome). The arguments are evaluated only if the context's threshold lets the level pass.
#[macro_export]
macro_rules! dlt_log {
    ($context:expr, $level:expr $(, $arg:expr)* $(,)?) => {{
        let (context, level) = (&$context, $level);
        if context.enabled(level) {
            context.log(level, &($(&$arg,)*))
        } else {
            $crate::Outcome::Filtered
        }
    }};
}

macro_rules! level_macro {
    ($dollar:tt $name:ident, $level:ident, $what:literal) => {
        #[doc = concat!("Logs ", $what, ": [`dlt_log!`] with [`Level::", stringify!($level), "`](crate::Level).")]
        #[macro_export]
        macro_rules! $name {
                    ($dollar context:expr $dollar(, $dollar arg:expr)* $dollar(,)?) => {
                        $crate::dlt_log!($dollar context, $crate::Level::$level $dollar(, $dollar arg)*)
                    };
                }
    };
}

level_macro!($ dlt_fatal, Fatal, "a message after which the system cannot go on");
level_macro!($ dlt_error, Error, "an error");
level_macro!($ dlt_warn, Warn, "a warning");
level_macro!($ dlt_info, Info, "information");
level_macro!($ dlt_debug, Debug, "a message for those who look for a fault");
level_macro!($ dlt_verbose, Verbose, "everything else");
