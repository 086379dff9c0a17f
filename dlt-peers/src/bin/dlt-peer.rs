//! Logs with one of the peers: `dlt-peer NAME SINK MESSAGES THREADS [lossy]`. Without arguments it names them.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::Instant;

use dlt_peers::{Contender, NAMES, Setup, Unavailable, Visit, with};

/// Messages per producer that a queue has room for.
const CAPACITY: usize = 2048;
/// The text of each message.
const TEXT: &str = "0123456789abcdef";
/// Exit code: what it needs is not installed.
const NOT_INSTALLED: u8 = 4;

struct Run<'a> {
    setup: Setup<'a>,
    messages: u32,
}

impl Visit for Run<'_> {
    type Output = Result<(), Unavailable>;

    /// Each thread logs its share; one of them logs what is left over.
    fn visit<C: Contender>(self) -> Self::Output {
        let logger = C::start(&self.setup)?;
        println!("configuration: {}", logger.configuration());
        let threads = self.setup.producers as u32;
        let barrier = Barrier::new(self.setup.producers);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for index in 0..threads {
                let (logger, barrier) = (&logger, &barrier);
                let share = self.messages / threads + u32::from(index < self.messages % threads);
                scope.spawn(move || {
                    let mut producer = logger.producer(index as usize);
                    barrier.wait();
                    for number in 0..share {
                        C::log(&mut producer, number, TEXT);
                    }
                });
            }
        });
        let calls = start.elapsed();
        let finished = logger.finish();
        println!("calls: {} in {calls:.1?}, written after {:.1?}", self.messages, start.elapsed());
        println!("dropped: {} ({})", finished.dropped, if finished.is_exact { "exact" } else { "at least" });
        Ok(())
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (name, sink, messages, threads, lossless) = match arguments[..] {
        [] => {
            for name in NAMES {
                println!("{name}");
            }
            return Ok(ExitCode::SUCCESS);
        }
        [name, sink, messages, threads] => (name, sink, messages, threads, true),
        [name, sink, messages, threads, "lossy"] => (name, sink, messages, threads, false),
        _ => return Err("dlt-peer NAME SINK MESSAGES THREADS [lossy]".into()),
    };
    let producers = threads.parse::<usize>()?.max(1);
    let setup = Setup { sink: Path::new(sink), capacity: CAPACITY, producers, lossless, prompt: false };
    let run = Run { setup, messages: messages.parse()? };
    match with(name, run).ok_or_else(|| format!("no peer is called `{name}`"))? {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Unavailable::NotInstalled(what)) => {
            println!("not installed: {what}");
            Ok(ExitCode::from(NOT_INSTALLED))
        }
        Err(error) => Err(error.into()),
    }
}
