//! Runs tests one after the other in the only thread, and says what the usual harness says.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use dlt_bench::error::Error;
use dlt_bench::exit_code::ExitCode as Code;

/// A name and what it runs. What cannot be run on this machine is skipped.
pub(crate) type Test = (&'static str, fn() -> Result<(), Error>);

/// Options of the usual harness that are followed by a value.
const WITH_VALUE: [&str; 5] = ["--color", "--format", "--logfile", "--test-threads", "-Z"];

/// Which tests are asked for.
#[derive(Default)]
struct Request {
    names: Vec<String>,
    not: Vec<String>,
    is_exact: bool,
    lists: bool,
}

impl Request {
    fn of(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut request = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--skip" => request.not.extend(arguments.next()),
                "--exact" => request.is_exact = true,
                "--list" => request.lists = true,
                option if WITH_VALUE.contains(&option) => drop(arguments.next()),
                option if option.starts_with('-') => {}
                _ => request.names.push(argument),
            }
        }
        request
    }

    fn wants(&self, name: &str) -> bool {
        let is_named = |wanted: &String| if self.is_exact { name == wanted } else { name.contains(wanted) };
        (self.names.is_empty() || self.names.iter().any(is_named)) && !self.not.iter().any(is_named)
    }
}

pub(crate) fn run(tests: &[Test]) -> ExitCode {
    let request = Request::of(std::env::args().skip(1));
    let chosen: Vec<_> = tests.iter().filter(|(name, _)| request.wants(name)).collect();
    if request.lists {
        for (name, _) in chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let begin = Instant::now();
    println!("\nrunning {} tests", chosen.len());
    let (mut skipped, mut failed) = (Vec::new(), 0);
    for (name, test) in &chosen {
        let result = match catch_unwind(test) {
            Ok(Ok(())) => "ok",
            Ok(Err(error)) if error.exit_code() == Code::CannotRun => {
                skipped.push((name, error));
                "ok"
            }
            Ok(Err(error)) => {
                eprintln!("{name}: {error}");
                failed += 1;
                "FAILED"
            }
            Err(_) => {
                failed += 1;
                "FAILED"
            }
        };
        println!("test {name} ... {result}");
    }
    for (name, error) in skipped {
        println!("\n---- {name} stdout ----\nSKIPPED: {}", error.to_string().replace('\n', " "));
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed,
        tests.len() - chosen.len(),
        begin.elapsed().as_secs_f64()
    );
    u8::from(failed > 0).into()
}
