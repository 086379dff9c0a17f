//! One measurement in a process of its own: several contenders keep their state in the process, and one that dies or
//! hangs must not take the others' rows with it.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::answer::Answer;
use crate::interrupt;

/// Between two looks at a child: short against the shortest measurement.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes of a child's standard error that are shown.
const SHOWN: usize = 300;

/// Runs the program with these arguments until it has answered; ends it after `patience`, or at Ctrl-C. `None`: Ctrl-C.
pub fn ask(program: &Path, arguments: &[String], patience: Duration) -> Option<Answer> {
    let failed = |reason: String| Answer::Failed { reason };
    let mut child = match start(program, arguments) {
        Ok(child) => child,
        Err(error) => return Some(failed(format!("failed to start `{}`: {error}", program.display()))),
    };
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let ended = wait(&mut child, patience);
    // What it has started itself is in its group: nothing of it goes on beside the next measurement. The group is gone
    // already if it left nothing behind.
    let _ = killpg(group_of(&child), Signal::SIGKILL);
    if !matches!(ended, Ended::Itself(_)) {
        // Killed above; this takes it away. That it cannot be waited for would mean that it is gone.
        let _ = child.wait();
    }
    let (out, err) = (collected(out), collected(err));
    Some(match ended {
        Ended::Interrupted => return None,
        Ended::Late => {
            failed(format!("it had not ended after {} s and was killed{}", patience.as_secs(), said(&err)))
        }
        Ended::Unknown(error) => failed(format!("failed to wait for it: {error}")),
        Ended::Itself(status) => read(&out)
            .unwrap_or_else(|| failed(format!("it ended without an answer: {}{}", how(status), said(&err)))),
    })
}

fn start(program: &Path, arguments: &[String]) -> io::Result<Child> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal reaches this program only, which then ends the child.
        .process_group(0)
        .spawn()
}

fn group_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

enum Ended {
    Itself(ExitStatus),
    Late,
    Interrupted,
    Unknown(io::Error),
}

fn wait(child: &mut Child, patience: Duration) -> Ended {
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ended::Itself(status),
            Ok(None) => {}
            Err(error) => return Ended::Unknown(error),
        }
        if interrupt::requested() {
            return Ended::Interrupted;
        }
        if begin.elapsed() > patience {
            return Ended::Late;
        }
        std::thread::sleep(LOOK);
    }
}

type Collector = Option<JoinHandle<Vec<u8>>>;

/// A thread that reads to the end, so that a child that says much does not wait for a reader.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Collector {
    let mut pipe = pipe?;
    let read = move || {
        let mut bytes = Vec::new();
        // What came before an error is all there is.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    };
    std::thread::Builder::new().name("child output".into()).spawn(read).ok()
}

fn collected(collector: Collector) -> String {
    let bytes = collector.and_then(|thread| thread.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Contenders may print as well: the answer is the last line that is one.
fn read(out: &str) -> Option<Answer> {
    out.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(number) => {
            let name =
                Signal::try_from(number).map_or_else(|_| number.to_string(), |signal| signal.to_string());
            format!("ended by signal {name}")
        }
        None => status.to_string(),
    }
}

fn said(err: &str) -> String {
    let text = err.trim();
    if text.is_empty() {
        return String::new();
    }
    // What went wrong comes first; a backtrace may follow.
    let end = text.char_indices().map(|(at, _)| at).nth(SHOWN).unwrap_or(text.len());
    format!("; it said: {}", text[..end].replace('\n', " | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Answer {
        ask(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], patience).unwrap()
    }

    fn failure(script: &str) -> String {
        match shell(script, Duration::from_secs(10)) {
            Answer::Failed { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_line_that_is_an_answer_counts() {
        let answer = shell(
            r#"echo '{"status":"failed","reason":"no"}'; echo '{"status":"not_installed","reason":"get it"}'; echo bye"#,
            Duration::from_secs(10),
        );
        assert_eq!(answer, Answer::NotInstalled { reason: "get it".into() });
    }

    #[test]
    fn a_child_that_dies_is_a_failure_with_its_reason() {
        assert!(failure("echo oh no >&2; kill -SEGV $$").contains("SIGSEGV; it said: oh no"));
        assert!(failure("exit 7").contains('7'));
        assert!(failure("echo nonsense").contains("without an answer"));
    }

    #[test]
    fn a_child_that_hangs_is_ended_with_all_that_it_started() {
        let begin = Instant::now();
        let answer = shell("sleep 60 & echo $!; wait", Duration::from_millis(300));
        let Answer::Failed { reason } = answer else { panic!("{answer:?}") };
        assert!(reason.contains("was killed"), "{reason}");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_program_that_is_not_there() {
        let answer = ask(Path::new("/nonexistent/program"), &[], Duration::from_secs(1)).unwrap();
        assert!(matches!(answer, Answer::Failed { reason } if reason.contains("failed to start")));
    }

    #[test]
    fn only_the_beginning_of_a_long_complaint_is_shown() {
        let shown = said(&format!("begin{}", "ä".repeat(1000)));
        assert!(shown.contains(": beginä") && shown.chars().count() < SHOWN + 20, "{shown}");
    }
}
