//! Running the program.

use std::process::{Command, Stdio};

/// `dlt-bench` with these arguments, separated by spaces, and no `DLT_USER_` variable set.
pub(crate) fn bench(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlt-bench"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DLT_USER_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).args(arguments.split_whitespace());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
