//! Two commands in turn, round after round, so that what the machine does meanwhile meets both.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde::Serialize;
use serde_json::Value;

use super::read::{self, RUNS_VERSION, RunFigures, Side};
use crate::error::Error;
use crate::interrupt;
use crate::report::output::Screen;

/// What a command is replaced in.
const JSON: &str = "{json}";
/// Between two looks whether a command has ended.
const LOOK: Duration = Duration::from_millis(20);
/// A command that is asked to end has this long.
const GRACE: Duration = Duration::from_secs(1);
/// After so many runs without a report the rest is given up.
const MOST_FAILURES: usize = 3;

/// Two commands, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// Shell commands: A, B. Each prints a report, or writes one to the file that `{json}` in it stands for.
    pub commands: [String; 2],
    /// Each runs once a round.
    pub rounds: usize,
    /// Chooses which is first in which round; `None`: by the time of day.
    pub seed: Option<u64>,
}

/// What they gave.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) sides: [Side; 2],
    pub(super) seed: u64,
    pub(super) remarks: Vec<String>,
    pub(super) files: Vec<PathBuf>,
    pub(super) is_interrupted: bool,
}

/// The runs of one side as they are kept.
#[derive(Debug, Serialize)]
struct Kept {
    runs_version: u64,
    series: String,
    side: &'static str,
    command: String,
    runs: Vec<KeptRun>,
}

#[derive(Debug, Serialize)]
struct KeptRun {
    round: u64,
    /// 1: it ran before the other command.
    position: u8,
    report: Value,
}

/// Runs both commands in turn. After each round everything so far is in the folder `keep`.
///
/// # Errors
/// A command gives no report in the first round; the folder cannot be written.
pub(super) fn collect(
    commands: &Commands,
    keep: Option<&Path>,
    screen: &mut Screen,
) -> Result<Collected, Error> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = commands.seed.unwrap_or(since_1970.as_nanos() as u64);
    let series = format!("{}-{seed:016x}", since_1970.as_millis());
    let mut kept = [0, 1].map(|side| Kept {
        runs_version: RUNS_VERSION,
        series: series.clone(),
        side: NAMES[side],
        command: commands.commands[side].clone(),
        runs: Vec::new(),
    });
    let mut sides = [0, 1].map(|side: usize| Side {
        source: commands.commands[side].clone(),
        series: Some(series.clone()),
        runs: Vec::new(),
    });
    let (mut remarks, mut failures, mut files) = (Vec::new(), 0, Vec::new());
    screen.print(&format!("{} rounds of A and B, the order by seed {seed}\n", commands.rounds));
    let bar = progress(commands.rounds);
    for (round, is_b_first) in (1..).zip(orders(commands.rounds, seed)) {
        for position in 0..2u8 {
            let side = usize::from((position == 1) != is_b_first);
            let place = format!("round {round}, {}", NAMES[side]);
            match run_once(&commands.commands[side], round) {
                Ok(None) => {}
                Ok(Some((report, figures))) => {
                    kept[side].runs.push(KeptRun { round, position: position + 1, report });
                    sides[side].runs.push(figures);
                }
                Err(problem) if round == 1 => {
                    return Err(Error::usage(format!("{place} gave no report: {problem}")).with_hint(
                        "each command must print its report (`dlt-bench -c CASE --json -`), or write it to the file \
                         that `{json}` in it stands for",
                    ));
                }
                Err(problem) => {
                    remarks.push(format!("{place} gave no report and is left out: {problem}"));
                    failures += 1;
                }
            }
            bar.inc(1);
        }
        if let Some(folder) = keep {
            files = write(folder, &kept)?;
        }
        if interrupt::requested() {
            break;
        }
        if failures >= MOST_FAILURES {
            remarks.push(format!("given up after round {round}: {failures} runs gave no report"));
            break;
        }
    }
    bar.finish_and_clear();
    Ok(Collected { sides, seed, remarks, files, is_interrupted: interrupt::requested() })
}

const NAMES: [&str; 2] = ["A", "B"];

/// For each round, if B is first: half of them, in random order.
fn orders(rounds: usize, seed: u64) -> Vec<bool> {
    // Sebastiano Vigna, "splitmix64.c", 2015.
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let odd = next() & 1;
    let mut orders: Vec<bool> = (0..rounds).map(|round| (round as u64 + odd) & 1 == 1).collect();
    for last in (1..orders.len()).rev() {
        orders.swap(last, (next() % (last as u64 + 1)) as usize);
    }
    orders
}

fn progress(rounds: usize) -> ProgressBar {
    if !Screen::shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} run {pos} of {len}, {eta} left");
    ProgressBar::with_draw_target(Some(rounds as u64 * 2), ProgressDrawTarget::stderr())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A file each. An older one stays whole until the new one is.
fn write(folder: &Path, kept: &[Kept; 2]) -> Result<Vec<PathBuf>, Error> {
    let one = |kept: &Kept| {
        let path = folder.join(format!("{}.json", kept.side.to_lowercase()));
        let part = path.with_extension("json.part");
        let text = serde_json::to_string(kept).map_err(std::io::Error::other)?;
        std::fs::write(&part, text + "\n")?;
        std::fs::rename(&part, &path)?;
        Ok(path)
    };
    kept.iter()
        .map(one)
        .collect::<std::io::Result<_>>()
        .map_err(|error| Error::failed(format!("failed to keep the runs in `{}`: {error}", folder.display())))
}

/// A run of one command: its report, or why there is none; `Ok(None)` if Ctrl-C ended it.
fn run_once(command: &str, round: u64) -> Result<Option<(Value, RunFigures)>, String> {
    let file = command.contains(JSON).then(|| Scratch::new(round));
    let command = match &file {
        Some(Scratch(path)) => command.replace(JSON, &path.display().to_string()),
        None => command.to_owned(),
    };
    let mut running =
        Running::start(&command).map_err(|error| format!("the shell cannot be started: {error}"))?;
    let Some(Ended { status, stdout, stderr }) = running.wait()? else { return Ok(None) };
    let text = match &file {
        Some(Scratch(path)) => std::fs::read(path).unwrap_or_default(),
        None => stdout,
    };
    let ended = ended(status, &stderr);
    if text.is_empty() {
        return Err(format!("{ended}, and wrote nothing"));
    }
    let report: Value =
        serde_json::from_slice(&text).map_err(|error| format!("{ended}; no JSON: {error}"))?;
    let figures = read::run(&report, "", round).map_err(|misfit| format!("{ended}; {misfit}"))?;
    if figures.is_interrupted {
        return Err("it was interrupted".to_owned());
    }
    Ok(Some((report, figures)))
}

fn ended(status: ExitStatus, stderr: &[u8]) -> String {
    const LAST: usize = 400;
    let text = String::from_utf8_lossy(stderr);
    let from = text.char_indices().rev().nth(LAST).map_or(0, |(at, _)| at);
    let said = text[from..].trim();
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("signal {signal} ended it"),
        (None, None) => "it ended".to_owned(),
    };
    if said.is_empty() { how } else { format!("{how}, and said: {said}") }
}

/// A file that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new(round: u64) -> Self {
        Self(std::env::temp_dir().join(format!("dlt-bench-diff-{}-{round}.json", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If it was not written there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// How a command ended, and what it said.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// A command in a process group of its own, so that whatever it has started ends with it.
struct Running {
    child: Child,
    outputs: [Option<JoinHandle<Vec<u8>>>; 2],
    is_reaped: bool,
}

impl Running {
    fn start(command: &str) -> std::io::Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let outputs = [child.stdout.take().map(drain), child.stderr.take().map(drain)];
        Ok(Self { child, outputs, is_reaped: false })
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Waits for its end, and for what it said. `None`: Ctrl-C ended it.
    fn wait(&mut self) -> Result<Option<Ended>, String> {
        while !self.has_ended() {
            if interrupt::requested() {
                self.end();
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
        let status = self.reap()?;
        if interrupt::requested() {
            return Ok(None);
        }
        let [stdout, stderr] = self
            .outputs
            .each_mut()
            .map(|output| output.take().and_then(|thread| thread.join().ok()).unwrap_or_default());
        Ok(Some(Ended { status, stdout, stderr }))
    }

    /// True if the shell has ended. It is not reaped, so that the number of its group stays its own.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.group()), flags), Ok(WaitStatus::StillAlive))
    }

    /// Ends the whole group, politely first.
    fn end(&mut self) {
        let _ = killpg(self.group(), Signal::SIGTERM);
        let start = Instant::now();
        while !self.has_ended() && start.elapsed() < GRACE {
            std::thread::sleep(LOOK);
        }
        let _ = self.reap();
    }

    /// Ends what is left of the group and reaps the shell.
    fn reap(&mut self) -> Result<ExitStatus, String> {
        // No such group: nothing is left.
        let _ = killpg(self.group(), Signal::SIGKILL);
        self.is_reaped = true;
        self.child.wait().map_err(|error| format!("it cannot be waited for: {error}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = self.reap();
        }
    }
}

fn drain(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        // What was read until an error is what there is.
        let _ = from.read_to_end(&mut all);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_first_in_half_of_the_rounds() {
        for (rounds, seed) in [(2, 1), (10, 7), (15, 3), (15, 4)] {
            let orders = orders(rounds, seed);
            let first = orders.iter().filter(|is_b_first| **is_b_first).count();
            assert!(first.abs_diff(rounds - first) <= 1, "{orders:?}");
        }
        assert_eq!(orders(20, 5), orders(20, 5));
        assert_ne!(orders(20, 5), orders(20, 6));
    }

    #[test]
    fn what_a_command_says_and_how_it_ends() {
        let ran = |command: &str| Running::start(command).unwrap().wait().unwrap().unwrap();
        let Ended { status, stdout, stderr } = ran("echo out; echo err >&2; exit 3");
        assert_eq!((status.code(), &stdout[..], &stderr[..]), (Some(3), &b"out\n"[..], &b"err\n"[..]));
        assert_eq!(ended(status, &stderr), "it ended with exit code 3, and said: err");
        // A process that it leaves behind holds the pipe open: it ends with the command.
        let start = Instant::now();
        let Ended { stdout, .. } = ran("sleep 600 & echo $!");
        assert!(start.elapsed() < Duration::from_secs(60));
        let left: i32 = String::from_utf8(stdout).unwrap().trim().parse().unwrap();
        let is_gone = || {
            !Path::new(&format!("/proc/{left}/stat")).exists()
                || std::fs::read_to_string(format!("/proc/{left}/stat"))
                    .is_ok_and(|stat| stat.contains(") Z "))
        };
        while !is_gone() {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(LOOK);
        }
    }

    #[test]
    fn runs_that_give_no_report() {
        let problem = |command: &str| run_once(command, 9).unwrap_err();
        assert!(problem("exit 7").contains("exit code 7"));
        assert!(problem("no-such-command-at-all").contains("not found"));
        assert!(problem("echo '{'").contains("no JSON"));
        assert!(problem("echo '{}'").contains("schema_version"));
        assert!(problem("true {json}").contains("wrote nothing"));
        let report = r#"{"schema_version":1,"rows":[]}"#;
        let (_, figures) = run_once(&format!("echo '{report}' > {{json}}"), 4).unwrap().unwrap();
        assert_eq!((figures.round, figures.rows.len()), (4, 0));
        assert!(!Scratch::new(4).0.exists());
    }
}
