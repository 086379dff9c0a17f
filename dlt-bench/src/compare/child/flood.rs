//! Producers without a pause, until everything is written.

use std::path::Path;

use dlt_peers::Contender;

use super::super::answer::{Answer, Measured};
use super::super::job::Job;
use super::crew::{flood, together};
use super::usage::Cpu;
use super::{WARM_UP, start};
use crate::load::message::TEXT;

/// Messages per second until everything is written, and what they cost.
pub(super) fn throughput<C: Contender>(job: &Job) -> Result<Measured, Answer> {
    let (contender, mut measured) = start::<C>(job)?;
    let (began, calls) = together(&contender, job.producers, |_, producer| flood::<C>(job, producer));
    let called = began.at.elapsed();
    let finished = contender.finish();
    let time_s = began.at.elapsed().as_secs_f64();
    let cpu = Cpu::now().since(began.cpu);

    let warm = u64::from(WARM_UP) * job.producers as u64;
    let calls: u64 = calls.iter().sum();
    let attempted = calls + warm;
    let in_sink = counted::<C>(&job.sink)?;
    measured.set("calls_per_s", calls as f64 / called.as_secs_f64());
    measured.set("attempted", attempted as f64);
    let written = match in_sink {
        Some((messages, _)) => messages,
        None if finished.is_exact => attempted.saturating_sub(finished.dropped),
        None => {
            let reason = "it does not count what it drops, and nothing can be counted here";
            for name in ["messages_per_s", "dropped", "cpu_s_per_million", "bytes_per_message"] {
                measured.lacks(name, reason);
            }
            measured.remarks.push(format!("null sink: {reason}"));
            return Ok(measured);
        }
    };
    if in_sink.is_some() && finished.is_exact && written + finished.dropped != attempted {
        return Err(Answer::Failed {
            reason: format!(
                "{attempted} messages were logged, it says that {} of them were dropped, and {written} are in the file",
                finished.dropped
            ),
        });
    }
    // Where some were lost nobody knows which: the warm-up has its share of what was written.
    let measured_messages = (u128::from(written) * u128::from(calls) / u128::from(attempted.max(1))) as u64;
    if measured_messages == 0 {
        return Err(Answer::Failed { reason: format!("of {attempted} messages {written} were written") });
    }
    let millions = measured_messages as f64 / 1e6;
    measured.set("messages_per_s", measured_messages as f64 / time_s);
    let dropped = attempted.saturating_sub(written) as f64;
    measured.set("dropped", dropped);
    measured.set("dropped_percent", dropped / attempted as f64 * 100.0);
    measured.set("cpu_s_per_million", cpu.own_s / millions);
    // Programs that have ended by now, and been waited for, with all that they have used; some of it before the window.
    if cpu.others_s > 0.0 {
        measured.set("daemon_cpu_s_per_million", (cpu.others_s - began.others_s).max(0.0) / millions);
    }
    if let Some((messages, bytes)) = in_sink {
        let each = bytes as f64 / messages.max(1) as f64;
        measured.set("bytes_per_message", each);
        measured.set("bytes_per_s", each * measured_messages as f64 / time_s);
    } else {
        measured.lacks("bytes_per_message", "what is written is not in a file that this program can read");
    }
    Ok(measured)
}

/// Messages and bytes in the sink; `None` if it is no file that holds the messages.
fn counted<C: Contender>(sink: &Path) -> Result<Option<(u64, u64)>, Answer> {
    let is_file = std::fs::metadata(sink).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Ok(None);
    }
    let failed =
        |error: std::io::Error| Answer::Failed { reason: format!("failed to read the sink: {error}") };
    let bytes = std::fs::metadata(sink).map_err(failed)?.len();
    let messages = dlt_peers::count::messages(sink, C::FORMAT, TEXT).map_err(failed)?;
    Ok(Some((messages, bytes)))
}
