//! All tests, with one count at the end.

use std::process::ExitCode;

use anyhow::Result;

use crate::shell::{self, cargo, root, say};

/// Options of `cargo xtask test`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Leave out the model checks and ThreadSanitizer.
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
    broken: Vec<&'static str>,
}

impl Count {
    /// `test result: ok. 24 passed; 0 failed; 0 ignored; …`, and what the tests of this repository print when they skip.
    fn line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            let number = |word: &str| {
                let before = result.split(word).next().unwrap_or_default();
                before.split_whitespace().next_back().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
            };
            self.passed += number(" passed");
            self.failed += number(" failed");
            self.skipped += number(" ignored");
        } else if line.contains("SKIPPED: ") {
            // A test that skips is counted as passed by the harness.
            self.skipped += 1;
            self.passed = self.passed.wrapping_sub(1);
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut count = Count::default();
    let mut step = |name: &'static str, command: &mut std::process::Command| -> Result<()> {
        say(&format!("== {name}: {}", shell::shown(command)));
        if !shell::follow(command, |line| count.line(line))? {
            count.broken.push(name);
        }
        Ok(())
    };
    step("tests", cargo().args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]))?;
    if !options.quick {
        // In folders of their own: other flags would build everything anew each time.
        let target = root().join("target");
        step(
            "models of the ring, and a mutant for each of its orderings",
            cargo()
                .args([
                    "test",
                    "--release",
                    "--package",
                    "dlt-logger",
                    "--lib",
                    "--",
                    "models",
                    "--nocapture",
                ])
                .env("RUSTFLAGS", "--cfg loom")
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_TARGET_DIR", target.join("loom")),
        )?;
        let suppressions = format!("suppressions={}", root().join("dlt-logger/tests/tsan.supp").display());
        step(
            "stress under ThreadSanitizer",
            cargo()
                .args([
                    "test",
                    "--package",
                    "dlt-logger",
                    "--test",
                    "stress",
                    "--target",
                    "x86_64-unknown-linux-gnu",
                ])
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
                .env("TSAN_OPTIONS", suppressions)
                .env("CARGO_TARGET_DIR", target.join("tsan")),
        )?;
    }
    let Count { passed, failed, skipped, broken } = count;
    for name in &broken {
        say(&format!("FAILED: {name}"));
    }
    let _ = std::io::Write::write_all(
        &mut std::io::stdout(),
        format!("{passed} passed, {failed} failed, {skipped} skipped\n").as_bytes(),
    );
    Ok(u8::from(failed > 0 || !broken.is_empty()).into())
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn results_and_skips_are_counted() {
        let mut count = Count::default();
        count.line(
            "test result: ok. 24 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.61s",
        );
        count.line("SKIPPED: missing CAP_BPF");
        count.line("running 3 tests");
        assert_eq!((count.passed, count.failed, count.skipped), (23, 1, 3));
    }
}
