//! A queue of one's own, swept: does a thread that stands still anywhere in `push` make others wait?
//!
//! `cargo run --release -p dlt-bench --example sweep_queue`. The queue and what the sweep has to know about it are in
//! `sweep_queue/queue.rs`. Shared by all threads it makes delivery wait for whoever stands between taking a slot and
//! filling it; with a queue for each thread nobody waits.
#![expect(clippy::print_stdout, reason = "the example's output")]

#[cfg(target_arch = "x86_64")]
#[path = "sweep_queue/queue.rs"]
mod queue;

#[cfg(target_arch = "x86_64")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use dlt_bench::sweep::{Options, PRODUCERS, sweep_calls};

    // Ctrl-C ends a sweep in good order.
    dlt_bench::interrupt::install()?;
    let options = Options { watchdog: std::time::Duration::from_millis(200), ..Options::default() };
    // `make` is called in the process under test, a fork: this process must have no other thread.
    let shared =
        sweep_calls("one queue for all", &|_| queue::Queues::<1>::new(), &options, &mut |_, _, _| {})?;
    print(&shared)?;
    let own = sweep_calls(
        "one for each thread",
        &|_| queue::Queues::<PRODUCERS>::new(),
        &options,
        &mut |_, _, _| {},
    )?;
    print(&own)?;
    Ok(())
}

/// Stops of one source line with one outcome are printed together.
#[cfg(target_arch = "x86_64")]
fn print(report: &dlt_bench::sweep::SubjectReport) -> Result<(), dlt_bench::error::Error> {
    let symbols = dlt_bench::code::Symbols::of_this_process()?;
    println!("{}{}", report.name, if report.is_complete { "" } else { " (interrupted)" });
    for state in &report.states {
        let violations = state.violations();
        println!("  {}: {} of {} stops made, {violations} bad", state.state, state.made, state.planned);
        let mut places = std::collections::BTreeMap::<_, Vec<_>>::new();
        for finding in &state.findings {
            let what = format!("{}: {:?}", symbols.place(finding.addresses[0]), finding.outcome);
            places.entry(what).or_default().push(finding.indices[0]);
        }
        for (what, instructions) in places {
            println!("    before instruction {instructions:?} in {what}");
        }
    }
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("the sweep is for x86-64");
}
