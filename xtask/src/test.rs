//! All tests, with one count at the end.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::shell::{self, cargo, root, say};

/// Options of `cargo xtask test`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Tests that need root or something of the kernel that is not here are skipped: the reason is printed and they are counted.
The model checks (loom) explore the ring's interleavings and a mutant of each of its orderings, which must be found.")]
pub(crate) struct Options {
    /// Leave out the model checks and ThreadSanitizer.
    #[arg(long)]
    quick: bool,
}

/// What ran, from the lines that the test harness prints.
#[derive(Debug, Default)]
struct Count {
    /// What the harness calls passed, with those that skipped themselves among them.
    returned: u64,
    failed: u64,
    skipped: u64,
    reasons: BTreeSet<String>,
    /// A test that says twice why it skips is one test.
    has_skipped: bool,
}

impl Count {
    fn line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            let number = |word: &str| {
                let (before, _) = result.split_once(word)?;
                before.split_whitespace().next_back()?.parse::<u64>().ok()
            };
            self.returned += number(" passed").unwrap_or(0);
            self.failed += number(" failed").unwrap_or(0);
        } else if line.starts_with("---- ") {
            self.has_skipped = false;
        } else if let Some(reason) = line.strip_prefix("SKIPPED: ") {
            self.skipped += u64::from(!self.has_skipped);
            self.has_skipped = true;
            self.reasons.insert(reason.to_owned());
        }
    }

    fn passed(&self) -> u64 {
        self.returned.saturating_sub(self.skipped)
    }
}

/// A run of the harness.
struct Step {
    name: &'static str,
    command: Command,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut count = Count::default();
    let mut broken = Vec::new();
    for Step { name, mut command } in steps(options)? {
        say(&format!("== {name}: {}", shell::shown(&command)));
        let (returned, failed) = (count.returned, count.failed);
        let is_good = shell::follow(&mut command, |line| count.line(line))?.success();
        if !is_good {
            // A test program that did not compile or crashed counts no failure itself.
            count.failed += u64::from(count.failed == failed);
            broken.push(format!("FAILED: {name}: `{}`", shell::shown(&command)));
        } else if count.returned == returned {
            count.failed += 1;
            broken.push(format!("FAILED: {name}: no test ran; has the test been renamed?"));
        }
    }
    for reason in &count.reasons {
        say(&format!("skipped: {reason}"));
    }
    for what in &broken {
        say(what);
    }
    shell::print(&format!("{} passed, {} failed, {} skipped", count.passed(), count.failed, count.skipped));
    Ok(u8::from(!broken.is_empty()).into())
}

fn steps(options: &Options) -> Result<Vec<Step>> {
    let mut all = cargo();
    all.args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    let mut steps = vec![Step { name: "tests", command: all }];
    if options.quick {
        return Ok(steps);
    }
    // In folders of their own: other flags would build everything anew each time.
    let target = shell::target_folder()?;
    let mut models = cargo();
    models
        .args(["test", "--release", "--package", "dlt-logger", "--lib", "--", "models", "--nocapture"])
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_TARGET_DIR", target.join("loom"));
    steps.push(Step { name: "models of the ring, and a mutant of each of its orderings", command: models });
    let mut races = cargo();
    // With a target, build scripts and macros are left alone.
    races
        .args(["test", "--package", "dlt-logger", "--test", "stress", "--target", &shell::host()?])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
        .env("TSAN_OPTIONS", format!("suppressions={}", root().join("dlt-logger/tests/tsan.supp").display()))
        .env("CARGO_TARGET_DIR", target.join("tsan"));
    steps.push(Step { name: "stress under ThreadSanitizer", command: races });
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::Count;

    /// As `--show-output` prints it: what tests say comes before the result.
    #[test]
    fn results_and_skips_are_counted() {
        let mut count = Count::default();
        let text = "running 25 tests\n---- suite::a stdout ----\nSKIPPED: no CAP_BPF\nSKIPPED: no CAP_BPF\n\n\
                    ---- suite::b stdout ----\nSKIPPED: no CAP_BPF\n\nsuccesses:\n    suite::a\n\n\
                    test result: FAILED. 24 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.61s\n\
                    test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        text.lines().for_each(|line| count.line(line));
        assert_eq!((count.passed(), count.failed, count.skipped), (24, 1, 2));
        assert_eq!(count.reasons.len(), 1);
    }
}
