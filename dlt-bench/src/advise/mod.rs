//! Which settings a load needs: buffers, capacity, batch and mode, with what they will lose, and what they did lose.
//!
//! | module | what |
//! |---|---|
//! | [`load`] | the load, as told or from a report |
//! | [`model`] | what it needs: arrivals against service |
//! | `calibrate` | what this machine does |
//! | [`measure`] | the load run with settings |
//! | `receiver` | a sink that stalls |
//! | [`report`] | text, JSON, the lines to paste |

mod calibrate;
pub mod load;
pub mod measure;
pub mod model;
mod receiver;
pub mod report;

use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::report::environment::Environment;
use crate::report::human::environment;
use crate::report::output::Outputs;
use load::{Load, Source};
use measure::Schedule;
use model::{AllowLoss, Settings};
use report::{Document, Tried};

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The load; where a report is given, what it does not say.
    pub load: Load,
    /// The report whose load it is.
    pub source: Option<Source>,
    /// What may be lost if more comes.
    pub allow_loss: AllowLoss,
    /// For all lanes.
    pub memory_bytes: u64,
    /// Run the load.
    pub measure: bool,
}

/// Advises, measures, reports.
///
/// # Errors
/// A report that cannot be read, values that do not fit each other, a budget that holds no lane.
pub fn run(options: &Options, outputs: Outputs) -> Result<ExitCode, Error> {
    let seen = options.source.as_ref().map(load::read).transpose()?;
    let threads = seen.as_ref().map_or(options.load.threads, |seen| seen.threads);
    if model::affordable(threads, 1, options.memory_bytes) == 0 {
        return Err(Error::usage(format!(
            "--memory of {} bytes holds no lane for each of {threads} thread(s): a lane takes {} at least",
            options.memory_bytes,
            model::lane_bytes(*dlt_logger::config::BUFFER_SIZE.start())
        )));
    }
    let mut screen = outputs.screen();
    let environment_of_run = Environment::read(false);
    screen.print(&environment(&environment_of_run, "dlt", "Unix sockets whose receiver stalls as told"));
    let machine = calibrate::calibrate(options.load.payload_bytes)?;
    if interrupt::requested() {
        screen.print("! interrupted before this machine was known: nothing can be advised\n");
        return Ok(ExitCode::Interrupted);
    }
    let load = match &seen {
        Some(seen) => {
            let Load { every, stall, payload_bytes, .. } = options.load;
            Load { every, stall, payload_bytes, ..seen.load(machine.batch().1) }
        }
        None => options.load.clone(),
    };
    load.check()?;
    let advice = model::advise(&load, &machine, options.allow_loss, options.memory_bytes);
    let half =
        Settings { capacity_msgs: (advice.settings.capacity_msgs / 2).max(2), ..advice.settings.clone() };
    let schedule = Schedule::of(&load);
    let surplus_per_s = model::surplus_per_s(&load, advice.drain_per_s);
    let mut tried =
        [("advised", advice.settings.clone()), ("half of it", half)].map(|(name, settings)| Tried {
            name,
            predicted_loss: model::loss(
                &load,
                &machine,
                &advice,
                &settings,
                schedule.events.len(),
                schedule.time,
            ),
            settings,
            measured: None,
        });
    let mut document =
        Document::new(environment_of_run, options, load, seen, machine, advice, schedule.time, surplus_per_s);
    screen.print(&report::advice(&document));
    if options.measure && surplus_per_s <= 0.0 {
        for one in &mut tried {
            let measured = measure::run(&document.load, &one.settings, &schedule)?;
            if interrupt::requested() {
                break;
            }
            one.measured = Some(measured);
        }
    }
    document.tried = tried.into();
    let code = document.finish(interrupt::requested());
    screen.print(&report::outcome(&document));
    for file in outputs.write(&document)? {
        screen.print(&format!("report    {}\n", file.display()));
    }
    screen.print(&report::lines(&document));
    Ok(code)
}
