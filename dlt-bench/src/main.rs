//! `dlt-bench`: parse, call, exit code.

use std::io::Write;

use dlt_bench::advise;
use dlt_bench::anatomy;
use dlt_bench::audit::Audit;
use dlt_bench::case::driver;
use dlt_bench::case::measure::Nobody;
use dlt_bench::cli::{self, Request};
use dlt_bench::compare;
use dlt_bench::config::Config;
use dlt_bench::diff;
use dlt_bench::error::Error;
use dlt_bench::exit_code::ExitCode;
use dlt_bench::floor;
use dlt_bench::interrupt;
use dlt_bench::report::output::{JsonTarget, Outputs};
use dlt_bench::selftest;
use dlt_bench::suspend;

fn main() -> std::process::ExitCode {
    let result = cli::parse().and_then(|request| match request {
        Request::List => Ok(print(&cli::list())),
        Request::Selftest => Ok(selftest::run()),
        Request::Anatomy(options, json, out) => {
            install_interrupt()?;
            anatomy::run(&options, Outputs::open(json, out.as_deref())?)
        }
        Request::Contender(job) => contender(&job),
        Request::Advise(options, json, out) => {
            install_interrupt()?;
            advise::run(&options, Outputs::open(json, out.as_deref())?)
        }
        Request::Diff(options, json, out) => {
            install_interrupt()?;
            diff::run(&options, Outputs::open(json, out.as_deref())?)
        }
        Request::Run(config) => run(&config),
    });
    match result {
        Ok(code) => code.into(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            error.exit_code().into()
        }
    }
}

fn run(config: &Config) -> Result<ExitCode, Error> {
    install_interrupt()?;
    let comparison = compare::driver::prepare(config)?;
    if let Some(prepared) = comparison {
        let outputs = Outputs::open(config.json.clone(), config.out.as_deref())?;
        return compare::driver::run(config, &prepared, outputs);
    }
    if floor::is_asked(config)? {
        return floor::run(config, Outputs::open(config.json.clone(), config.out.as_deref())?);
    }
    let suspensions = suspend::driver::prepare(config)?;
    let outputs = Outputs::open(config.json.clone(), config.out.as_deref())?;
    if let Some(prepared) = suspensions {
        return suspend::driver::run(config, &prepared, outputs);
    }
    let prepared = driver::prepare(config)?;
    if !config.profile {
        return driver::run(config, prepared, &mut Nobody::default(), outputs);
    }
    let mut audit = Audit::start(dlt_logger::Config::from_env()?, config.out.clone())?;
    let code = driver::run(config, prepared, &mut audit, outputs);
    let json = match &config.json {
        Some(JsonTarget::File(path)) => Some(path.as_path()),
        Some(JsonTarget::Stdout) | None => None,
    };
    audit.give_back(json);
    code
}

/// One measurement of one logger, for a compare case in another process.
#[cfg(feature = "peers")]
fn contender(job: &compare::job::Job) -> Result<ExitCode, Error> {
    compare::child::run(job)
}

#[cfg(not(feature = "peers"))]
fn contender(_: &compare::job::Job) -> Result<ExitCode, Error> {
    Err(compare::driver::without_peers())
}

fn install_interrupt() -> Result<(), Error> {
    interrupt::install().map_err(|error| Error::cannot_run(format!("failed to handle Ctrl-C: {error}")))
}

/// A reader that has gone away is no error.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::Pass
}
