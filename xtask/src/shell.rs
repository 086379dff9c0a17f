//! Running other programs, and talking.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, ensure};

/// What every task ends with.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 pass, 1 violation or failed test, 2 usage, 3 inconclusive, \
                                     4 cannot run here, 130 interrupted";

/// Exit code of a task that this machine or user does not allow.
pub(crate) const CANNOT_RUN: u8 = 4;

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned()
}

/// `cargo` in the repository, without what the cargo that runs this task has set for it.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR") {
            command.env_remove(name);
        }
    }
    command
}

/// Where cargo builds, which the user may have set.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let (_, rest) =
        metadata.split_once("\"target_directory\":\"").context("`cargo metadata` names the target folder")?;
    let (folder, _) = rest.split_once('"').context("`cargo metadata` prints JSON")?;
    Ok(PathBuf::from(folder))
}

/// The target that this machine's compiler builds for by default.
pub(crate) fn host() -> Result<String> {
    let verbose = output(Command::new("rustc").arg("-vV"))?;
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names its host")?.to_owned())
}

/// Says something to whoever watches.
#[expect(clippy::print_stderr, reason = "this is how tasks talk")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// How a command looks on a command line.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to start `{}`", shown(command)))?;
    ensure!(status.success(), "`{}` failed: {status}", shown(command));
    Ok(())
}

/// Prints data. That nobody reads it is no error.
pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Standard output of a command that must succeed, without the white space at its ends.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("failed to start `{}`", shown(command)))?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}\n{}",
        shown(command),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command and passes its standard output on, line by line, to `line` as well.
pub(crate) fn follow(command: &mut Command, mut line: impl FnMut(&str)) -> Result<ExitStatus> {
    let what = shown(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("failed to start `{what}`"))?;
    let output = child.stdout.take().context("its output is piped")?;
    for text in BufReader::new(output).split(b'\n') {
        let text = String::from_utf8_lossy(&text?).into_owned();
        print(&text);
        line(&text);
    }
    Ok(child.wait()?)
}

/// True if the user is root.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

/// True if there is a program of this name.
pub(crate) fn exists(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// From now on Ctrl-C only ends the programs that a task runs; the task sees it here.
pub(crate) fn note_interrupts() -> Result<Arc<AtomicBool>> {
    let noted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&noted))?;
    Ok(noted)
}

/// The exit code of a program; that of a shell if a signal ended it.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// A folder for what a run writes, which did not exist before.
pub(crate) fn new_run_folder() -> Result<PathBuf> {
    let now = output(Command::new("date").arg("+%Y%m%d-%H%M%S"))?;
    let runs = root().join("runs");
    std::fs::create_dir_all(&runs).with_context(|| format!("failed to make `{}`", runs.display()))?;
    for n in 1.. {
        let folder = runs.join(if n == 1 { now.clone() } else { format!("{now}-{n}") });
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            // Another run began in the same second.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("failed to make `{}`", folder.display()));
            }
        }
    }
    unreachable!("the numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::{ExitStatus, ExitStatusExt, exit_code};

    #[test]
    fn exit_codes_are_passed_on() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(11)), 139);
    }
}
