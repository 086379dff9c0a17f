//! Ends in mid-sweep: nothing stays behind, least of all a stopped process.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use dlt_bench::error::Error;
use dlt_bench::sweep::subjects::{Dlt, OVERWRITE};
use dlt_bench::sweep::{Options, sweep_calls};
use dlt_bench::{exit_code, interrupt};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::harness::Test;
use crate::left_behind::{await_the_end_of, only_child_of, states};

pub(crate) const TESTS: &[Test] = &[
    ("endings::a_killed_controller_leaves_nothing_stopped", a_killed_controller_leaves_nothing_stopped),
    ("endings::ctrl_c_ends_a_sweep_and_its_process", ctrl_c_ends_a_sweep_and_its_process),
];

/// The argument by which this program is the controller of a long sweep instead.
pub(crate) const SWEEP: &str = "sweep-for-long";
/// Stops after which it says so, and goes on.
const STOPS: usize = 20;

/// A sweep that takes longer than any test waits for it. Says how it ended, if somebody ends it.
pub(crate) fn sweep() -> ExitCode {
    let made = interrupt::install().map_err(|error| Error::failed(error.to_string())).and_then(|()| {
        let options = Options { every_occurrence: true, ..Options::default() };
        sweep_calls("dlt-logger", &|_| Dlt::<OVERWRITE>::new(), &options, &mut |_, done, _| {
            if done == STOPS {
                println!("sweeping");
            }
        })
    });
    match made {
        Ok(report) => {
            let left = waitpid(Pid::from_raw(-1), None);
            let state = report.states.last().map(|state| format!("{} of {}", state.made, state.planned));
            println!(
                "complete: {}, no child: {}, stops: {}",
                report.is_complete,
                left == Err(Errno::ECHILD),
                state.unwrap_or_default()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            (error.exit_code() as u8).into()
        }
    }
}

/// This program in mid-sweep, in a process group of its own as on a terminal; with the process that it sweeps.
struct Controller {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    swept: i32,
}

impl Controller {
    fn start() -> Result<Self, Error> {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(SWEEP)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        match said.next() {
            Some(Ok(line)) if line == "sweeping" => {}
            other => {
                let code = process.wait().unwrap().code();
                if code == Some(exit_code::ExitCode::CannotRun as i32) {
                    return Err(Error::cannot_run(other.unwrap().unwrap()));
                }
                panic!("{other:?}, exit code {code:?}");
            }
        }
        let swept = only_child_of(process.id());
        Ok(Self { process, said, swept })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }

    /// Waits until a thread stands.
    fn await_stop(&self) {
        let begin = Instant::now();
        while !states(self.swept).contains(&'t') {
            assert!(begin.elapsed() < Duration::from_secs(5), "nobody is stopped: {:?}", states(self.swept));
        }
    }
}

fn a_killed_controller_leaves_nothing_stopped() -> Result<(), Error> {
    // Whatever it is doing when it is killed: the instants are not controlled.
    for _ in 0..8 {
        let mut controller = Controller::start()?;
        controller.await_stop();
        kill(controller.pid(), Signal::SIGKILL).unwrap();
        let status = controller.process.wait().unwrap();
        assert_eq!(status.code(), None, "it had ended by itself");
        await_the_end_of(controller.swept);
    }
    Ok(())
}

fn ctrl_c_ends_a_sweep_and_its_process() -> Result<(), Error> {
    let mut controller = Controller::start()?;
    controller.await_stop();
    // As a terminal does it: to the process that is swept as well.
    killpg(controller.pid(), Signal::SIGINT).unwrap();
    let rest: Vec<_> = controller.said.by_ref().map(Result::unwrap).collect();
    let status = controller.process.wait().unwrap();
    assert!(status.success(), "{status}: {rest:?}");
    assert_eq!(states(controller.swept), [], "it is reaped by who started it");
    let [ending] = &rest[..] else { panic!("{rest:?}") };
    let stops = ending.strip_prefix("complete: false, no child: true, stops: ");
    let (made, planned) =
        stops.and_then(|stops| stops.split_once(" of ")).unwrap_or_else(|| panic!("{ending}"));
    let (made, planned): (usize, usize) = (made.parse().unwrap(), planned.parse().unwrap());
    // Not only between two states.
    assert!((STOPS..planned).contains(&made), "{ending}");
    Ok(())
}
