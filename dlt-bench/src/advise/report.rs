//! The advice for people and for programs, and the lines to paste.

use std::fmt::Write as _;
use std::time::Duration;

use dlt_logger::OverflowMode;
use serde::Serialize;

use super::Options;
use super::load::{Load, Seen};
use super::measure::Measured;
use super::model::{Advice, AllowLoss, Loss, Machine, Settings, first_look, lane_bytes, lanes};
use crate::exit_code::ExitCode;
use crate::report::environment::Environment;
use crate::report::human::{add, bytes, count, dash, remarks, table, time};

/// Version of the form in which a report is written. `schemas/advise.v1.json` describes it.
pub const SCHEMA_VERSION: u32 = 1;

/// Settings, and what became of the load with them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// `advised` or `half of it`.
    pub name: &'static str,
    /// The settings.
    pub settings: Settings,
    /// What they were expected to lose.
    pub predicted_loss: Loss,
    /// What they did; `None` if the load was not run.
    pub measured: Option<Measured>,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// `advise`: tells it from other reports.
    pub kind: &'static str,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Machine and program.
    pub environment: Environment,
    /// The load.
    pub load: Load,
    /// The row that it was taken from.
    pub source: Option<Seen>,
    /// What may be lost if more comes.
    pub allow_loss: AllowLoss,
    /// For all lanes.
    pub memory_budget_bytes: u64,
    /// What was found out about this machine.
    pub machine: Machine,
    /// What is advised.
    pub advice: Advice,
    /// Messages per second that come in more than the sink takes; 0 if it keeps up.
    pub surplus_per_s: f64,
    /// Length of a run.
    pub run_s: f64,
    /// The advised settings and half of their capacity.
    pub tried: Vec<Tried>,
    /// The variables to set, as `NAME=VALUE`.
    pub lines: Vec<String>,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// What is not as it should be.
    pub errors: Vec<String>,
    /// Ctrl-C ended it.
    pub interrupted: bool,
    /// Exit code of the program.
    pub exit_code: u8,
}

impl Document {
    #[expect(clippy::too_many_arguments, reason = "each becomes a field, once")]
    pub(super) fn new(
        environment: Environment,
        options: &Options,
        load: Load,
        source: Option<Seen>,
        machine: Machine,
        advice: Advice,
        run: Duration,
        surplus_per_s: f64,
    ) -> Self {
        Self {
            kind: "advise",
            schema_version: SCHEMA_VERSION,
            environment,
            load,
            source,
            allow_loss: options.allow_loss,
            memory_budget_bytes: options.memory_bytes,
            machine,
            lines: variables(&advice.settings, options.memory_bytes),
            advice,
            surplus_per_s,
            run_s: run.as_secs_f64(),
            tried: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            interrupted: false,
            exit_code: 0,
        }
    }

    /// Everything was tried.
    pub(super) fn finish(&mut self, interrupted: bool) -> ExitCode {
        self.environment.finish();
        if self.surplus_per_s > 0.0 {
            self.errors.push(format!(
                "no capacity is enough: {} messages/s more come in than the sink takes, and are lost, or (--allow-loss none) \
                 slow their threads down; the load was not run",
                count(self.surplus_per_s.ceil() as u64)
            ));
        } else if self.advice.is_cut {
            let lost = self.tried.first().map_or(0.0, |advised| advised.predicted_loss.most);
            self.errors.push(format!(
                "the budget of {} is too small: with what fits into it up to {} of these messages will be lost in a run \
                 of {:.1} s",
                bytes(self.memory_budget_bytes),
                count(lost.ceil() as u64),
                self.run_s
            ));
        }
        for tried in &self.tried {
            let Some(measured) = &tried.measured else { continue };
            let problems = measured.problems.iter();
            self.errors.extend(problems.map(|problem| format!("{}: {problem}", tried.name)));
            let is_advised = tried.name == "advised";
            if is_advised && measured.lost() > 0 && !self.advice.is_cut {
                self.errors.push(format!(
                    "the advised settings lost {} messages: something kept a worker away for longer than the reserve; \
                     repeat, and if it stays so give a longer --stall",
                    count(measured.lost())
                ));
            }
            if !is_advised && measured.lost() == 0 && tried.predicted_loss.least >= 1.0 {
                self.warnings.push(
                    "half of it lost nothing, though it was expected to: the advice is roomy".to_owned(),
                );
            }
        }
        if !self.environment.build_profile.starts_with("release") {
            self.warnings
                .push("built without optimisation: the figures of this machine are too low".to_owned());
        }
        let cores = self.environment.cores as f64;
        if let Some(load) = self.environment.load_before.filter(|&load| load > cores / 2.0) {
            self.warnings.push(format!(
                "the machine was busy before (load {load:.2} on {cores} cores): workers here are slower and later than on a \
                 quiet one"
            ));
        }
        self.interrupted = interrupted;
        let code = if self.errors.is_empty() { ExitCode::Pass } else { ExitCode::Violation };
        let code = if interrupted { ExitCode::Interrupted } else { code };
        self.exit_code = code as u8;
        code
    }
}

/// The variables that make these settings.
pub fn variables(settings: &Settings, memory_bytes: u64) -> Vec<String> {
    let Settings { buffers, capacity_msgs, batch_msgs, mode, timeout_ms } = settings;
    let mut lines = vec![format!("DLT_USER_NUM_BUFFERS={buffers}")];
    lines.extend((0..*buffers).map(|buffer| format!("DLT_USER_BUFFER_SIZE_{buffer}={capacity_msgs}")));
    lines.push(format!("DLT_USER_BATCH_SIZE={batch_msgs}"));
    lines.push(format!("DLT_USER_OVERFLOW_MODE={}", *mode as u8));
    if *mode == OverflowMode::BlockWithTimeout {
        lines.push(format!("DLT_USER_TIMEOUT_MS={timeout_ms}"));
    }
    let suffixes = [(30, "G"), (20, "M"), (10, "k")];
    let fits = |(shift, _): &&(u32, &str)| memory_bytes.is_multiple_of(1 << shift);
    let memory = suffixes.iter().find(fits);
    let memory = memory.map_or_else(
        || memory_bytes.to_string(),
        |(shift, suffix)| format!("{}{suffix}", memory_bytes >> shift),
    );
    lines.push(format!("DLT_USER_MEMORY_LIMIT={memory}"));
    lines
}

/// The load, this machine, and each setting with its reason.
pub fn advice(document: &Document) -> String {
    let Document { load, machine, advice, .. } = document;
    let Settings { buffers, capacity_msgs, batch_msgs, mode, timeout_ms } = advice.settings;
    let (_, one_worker) = machine.batch();
    let per_s = |rate: f64| format!("{}/s", count(rate.round() as u64));
    let mut text = String::from("\n");
    if let Some(seen) = &document.source {
        let _ = writeln!(
            text,
            "from      {}: {} calls, {} lost, fullest lane {} of {}",
            seen.name,
            per_s(seen.calls_per_s),
            count(seen.lost),
            count(seen.high_mark_msgs),
            count(seen.capacity_msgs)
        );
    }
    let _ = writeln!(text, "load      {}", described(load));
    let batches =
        machine.drain_per_s.iter().map(|&(batch, rate)| format!("{} with batches of {batch}", per_s(rate)));
    let _ = writeln!(
        text,
        "here      a call of a burst takes {}; a worker delivers {}; a sleeper is {} late at most; a stalled sink and its \
         worker hold {} messages",
        time(machine.call_ns),
        batches.collect::<Vec<_>>().join(", "),
        time(machine.late_s * 1e9),
        count(machine.held_msgs as u64)
    );
    let _ = writeln!(text, "needed    {}", needed(document));
    text.push('\n');
    let mut say = |what: &str, value: String, why: String| {
        let _ = writeln!(text, "  {what:<10}{value:<20}{why}");
    };
    let share = load.mean_per_s() / advice.drain_per_s.max(1.0) * 100.0;
    say(
        "buffers",
        buffers.to_string(),
        format!(
            "a worker each: one delivers {}, the load is {} on average, {share:.1} % of what {buffers} can; half is \
                 asked at most",
            per_s(one_worker),
            per_s(load.mean_per_s())
        ),
    );
    say("capacity", count(capacity_msgs as u64), capacity_reason(document));
    say(
        "batch",
        batch_msgs.to_string(),
        "the smallest that delivers nine tenths of the most, above".to_owned(),
    );
    let why = match document.allow_loss {
        AllowLoss::None => format!(
            "nothing may be lost: if more comes, calls wait, at most {timeout_ms} ms: twice what keeps a worker away"
        ),
        AllowLoss::Oldest => {
            "calls never wait; if more comes, the oldest are lost (if threads may wait instead: \
                              --allow-loss none)"
                .to_owned()
        }
        AllowLoss::Newest => "calls never wait; if more comes, the newest are lost".to_owned(),
    };
    say("mode", format!("{} {mode}", mode as u8), why);
    let lane_count = lanes(load.threads, buffers);
    say(
        "memory",
        bytes(advice.memory_bytes),
        format!(
            "of {}: {lane_count} lane(s) of {}{}",
            bytes(document.memory_budget_bytes),
            bytes(lane_bytes(capacity_msgs)),
            if lane_count > load.threads { ", with those for Fatal and Error" } else { "" }
        ),
    );
    text
}

fn needed(document: &Document) -> String {
    let Document { load, machine, advice, .. } = document;
    let shown = |of: Duration| time(of.as_nanos() as f64);
    let (look, late) = (first_look(advice.settings.buffers), Duration::from_secs_f64(machine.late_s));
    let mut away =
        vec![format!("the first look of an idle worker {}", shown(look)), format!("late {}", shown(late))];
    let mut parts = Vec::new();
    if load.burst_msgs > 0 {
        parts.push(format!("{} of a burst", count(load.burst_of_thread())));
    }
    if !load.stall.is_zero() {
        away.insert(0, format!("stall {}", shown(load.stall)));
    }
    if load.rate_per_s > 0.0 {
        let rate = count(load.rate_of_thread().round() as u64);
        parts.push(format!("{rate}/s × {} ({})", shown(load.stall + look + late), away.join(" + ")));
    }
    format!("{} messages in a thread's lane = {}", count(advice.needed_msgs.ceil() as u64), parts.join(" + "))
}

fn described(load: &Load) -> String {
    let mut parts = Vec::new();
    if load.rate_per_s > 0.0 {
        parts.push(format!("{} messages/s", count(load.rate_per_s.round() as u64)));
    }
    if load.burst_msgs > 0 {
        parts.push(format!("every {:?} {} at once", load.every, count(load.burst_msgs)));
    }
    if !load.stall.is_zero() {
        parts.push(format!("every {:?} the sink takes nothing for {:?}", load.every, load.stall));
    }
    format!("{}; {} thread(s), {} bytes of arguments", parts.join(", "), load.threads, load.payload_bytes)
}

fn capacity_reason(document: &Document) -> String {
    let Advice { needed_msgs, is_cut, ref settings, .. } = document.advice;
    if is_cut {
        return "messages per lane: all that fits into the budget, or the most that a lane can have; less than what is \
                needed with a reserve"
            .to_owned();
    }
    let over = settings.capacity_msgs as f64 / needed_msgs.max(1.0);
    format!(
        "messages per lane, {over:.2} × what is needed: a quarter more, or what comes in 50 ms if that is more, since a \
         worker may have to wait for a processor"
    )
}

/// What was predicted and what was measured.
pub fn outcome(document: &Document) -> String {
    let mut text = format!("\nWhat is lost in a run of {:.1} s\n", document.run_s);
    let header = [
        "Settings",
        "Capacity",
        "Predicted loss",
        "Measured loss",
        "Attempted",
        "Delivered",
        "Fullest lane",
        "Memory",
    ];
    let mut shown = table(&header);
    for Tried { name, settings, predicted_loss: Loss { least, most }, measured } in &document.tried {
        let (least, most) = (count(least.round() as u64), count(most.round() as u64));
        let of = |figure: fn(&Measured) -> u64| {
            measured.as_ref().map_or_else(dash, |measured| count(figure(measured)))
        };
        let cells = vec![
            (*name).to_owned(),
            count(settings.capacity_msgs as u64),
            if least == most { most } else { format!("{least} to {most}") },
            of(Measured::lost),
            of(|measured| measured.attempted),
            of(|measured| measured.delivered),
            of(|measured| measured.high_mark_msgs),
            measured.as_ref().map_or_else(dash, |measured| bytes(measured.memory_bytes)),
        ];
        add(&mut shown, cells);
    }
    let _ = writeln!(text, "{shown}");
    for Tried { name, settings, measured, .. } in &document.tried {
        let waited = measured.as_ref().filter(|_| settings.mode == OverflowMode::BlockWithTimeout);
        if let Some(measured) = waited {
            let _ = writeln!(
                text,
                "· {name}: a thread took {:.1} ms at most for what was due at once",
                measured.longest_turn_ms
            );
        }
    }
    if document.tried.iter().all(|tried| tried.measured.is_none()) {
        text.push_str("· Not measured\n");
    }
    text + &remarks(&document.warnings, &document.errors, document.interrupted)
}

/// The lines to paste, last.
pub fn lines(document: &Document) -> String {
    let mut text =
        String::from("\n# export $(dlt-bench advise … | grep ^DLT_USER_), or paste after `export`:\n");
    document.lines.iter().for_each(|line| {
        text.push_str(line);
        text.push('\n');
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt_logger::Config;

    /// The library reads from the lines what was meant.
    #[test]
    fn the_lines_make_the_settings() {
        for mode in OverflowMode::ALL {
            let settings =
                Settings { buffers: 3, capacity_msgs: 27_520, batch_msgs: 64, mode, timeout_ms: 437 };
            for memory in [64 << 20, 1 << 30, 5000, 3 << 10] {
                let lines = variables(&settings, memory);
                let pairs = lines.iter().map(|line| line.split_once('=').unwrap());
                let config = Config::from_vars(pairs).unwrap();
                config.validate().unwrap();
                assert_eq!((config.num_buffers, config.buffer_sizes), (3, vec![27_520; 3]));
                assert_eq!((config.batch_size, config.overflow_mode), (64, mode));
                assert_eq!(config.memory_limit_bytes, memory);
                let timeout = if mode == OverflowMode::BlockWithTimeout { 437 } else { 100 };
                assert_eq!(config.timeout, Duration::from_millis(timeout));
            }
        }
    }
}
