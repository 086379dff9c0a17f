//! The child: starts one contender, makes one measurement, says what came out.
//!
//! | module | what |
//! |---|---|
//! | [`crew`] | producers that begin together |
//! | [`latency`] | bursts, a fixed rate |
//! | [`flood`] | throughput and CPU time |
//! | [`delivery`] | from the call to the end of the write; a logger that is idle |
//! | [`kernel`] | what the probe sees of producers |
//! | [`memory`] | resident memory |

mod crew;
mod delivery;
mod flood;
mod kernel;
mod latency;
mod memory;
mod usage;

use std::io::Write;

use dlt_peers::{Contender, Setup, Unavailable, Visit};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use super::answer::{Answer, Measured};
use super::job::{CAPACITY, Job, Measure};
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::load::message::TEXT;

/// A file that grows beyond this has its writer killed: the sink lies in memory.
const MOST_BYTES: u64 = 3 << 30;
/// Calls of each producer before anything is measured: a fraction of its queue, so that nothing is lost.
const WARM_UP: u32 = 1000;

/// Makes a measurement and prints the answer.
///
/// # Errors
/// There is no such contender, or the answer cannot be printed.
pub fn run(job: &Job) -> Result<ExitCode, Error> {
    // Whoever asked has gone away: nobody wants the answer. A refusal means a longer life, no wrong figure.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    let _ = setrlimit(Resource::RLIMIT_FSIZE, MOST_BYTES, MOST_BYTES);
    let answer = dlt_peers::with(&job.contender, Measurement(job))
        .ok_or_else(|| Error::usage(format!("there is no contender `{}`", job.contender)))?;
    let text = serde_json::to_string(&answer).map_err(|error| Error::failed(error.to_string()))?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| Error::failed(error.to_string()))?;
    Ok(ExitCode::Pass)
}

struct Measurement<'a>(&'a Job);

impl Visit for Measurement<'_> {
    type Output = Answer;

    fn visit<C: Contender>(self) -> Answer {
        let job = self.0;
        let made = match job.measure {
            Measure::Bursts => latency::bursts::<C>(job),
            Measure::Paced => latency::paced::<C>(job),
            Measure::Throughput => flood::throughput::<C>(job),
            Measure::Delivery => delivery::delivery::<C>(job),
            Measure::Idle => delivery::idle::<C>(job),
            Measure::KernelBursts => kernel::kernel::<C>(job, Some(kernel::PAUSE)),
            Measure::KernelFull => kernel::kernel::<C>(job, None),
            Measure::Memory => memory::memory::<C>(job),
        };
        made.map_or_else(|answer| answer, Answer::Measured)
    }
}

/// Starts the contender. Calls wait for room where it can do that: what is lost costs nothing and would look fast.
fn start<C: Contender>(job: &Job) -> Result<(C, Measured), Answer> {
    let setup = Setup {
        sink: &job.sink,
        capacity: CAPACITY,
        producers: job.producers,
        lossless: true,
        prompt: false,
    };
    let contender = C::start(&setup).map_err(|unavailable| match unavailable {
        Unavailable::NotInstalled(reason) => Answer::NotInstalled { reason },
        Unavailable::Failed(reason) => Answer::Failed { reason },
    })?;
    let measured = Measured { configuration: contender.configuration(), ..Measured::default() };
    Ok((contender, measured))
}

/// Calls before anything is measured.
fn warm_up<C: Contender>(producer: &mut C::Producer) {
    for number in 0..WARM_UP {
        C::log(producer, number, TEXT);
    }
}
