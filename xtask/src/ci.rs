//! What must pass before a change lands, in the order of how soon it can fail.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::shell::{self, cargo, say};
use crate::{ebpf, kernels, test, tidy};

/// Options of `cargo xtask ci`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every step runs, also after one that failed. Steps that cannot run here count as failed: leave them out with --ordinary.")]
pub(crate) struct Options {
    /// Leave out what needs the eBPF tool chain or other kernels.
    #[arg(long)]
    ordinary: bool,
    /// Install the eBPF tool chain first where it is missing, as root on Debian.
    #[arg(long, conflicts_with = "ordinary")]
    install: bool,
}

const PACKAGES: [&str; 5] = ["dlt-logger", "dlt-probe-ebpf", "dlt-peers", "dlt-bench", "xtask"];

struct Step<'a> {
    name: &'static str,
    run: Box<dyn Fn() -> Result<()> + 'a>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    // What did not run did not pass.
    let mut summary = left_out(options);
    let mut is_green = true;
    for Step { name, run } in steps(options) {
        say(&format!("==== {name}"));
        let start = Instant::now();
        let result = run();
        let outcome = if result.is_ok() { "passed" } else { "FAILED" };
        is_green &= result.is_ok();
        let why = result.err().map(|error| format!(": {error:#}")).unwrap_or_default();
        if !why.is_empty() {
            say(&format!("FAILED: {name}{why}"));
        }
        let first = why.lines().next().unwrap_or_default();
        summary.push(format!("{outcome}  {:5} s  {name}{first}", start.elapsed().as_secs()));
    }
    shell::print(&format!("==== summary\n{}", summary.join("\n")));
    u8::from(!is_green).into()
}

fn left_out(options: &Options) -> Vec<String> {
    let mut left_out = Vec::new();
    if !has_deny() {
        left_out.push(
            "left out          licences, bans, sources: no cargo-deny (`cargo install --locked cargo-deny`)",
        );
    }
    if options.ordinary {
        left_out.push("left out          eBPF object, other kernels: --ordinary");
    }
    left_out.into_iter().map(str::to_owned).collect()
}

fn steps(options: &Options) -> Vec<Step<'_>> {
    let mut steps = vec![
        Step { name: "format", run: Box::new(|| shell::run(cargo().args(["fmt", "--all", "--check"]))) },
        Step { name: "tidy", run: Box::new(tidy::run) },
        Step { name: "clippy", run: Box::new(clippy) },
        Step { name: "documentation", run: Box::new(documentation) },
    ];
    if has_deny() {
        steps.push(Step { name: "licences, bans, sources", run: Box::new(deny) });
    }
    if !options.ordinary {
        steps.push(Step {
            name: "eBPF object",
            run: Box::new(|| must(ebpf::run(&ebpf::Options { check: true, install: options.install }))),
        });
    }
    steps.push(Step { name: "tests", run: Box::new(|| must(test::run(&test::Options::default()))) });
    // The build that the README names.
    let release = || shell::run(cargo().args(["build", "--release", "--bin", "dlt-bench"]));
    steps.push(Step { name: "release build", run: Box::new(release) });
    steps.push(Step { name: "anatomy of the log call", run: Box::new(anatomy) });
    steps.push(Step { name: "sample of the stop sweep", run: Box::new(sweep) });
    if !options.ordinary {
        let kernels = || must(kernels::run(&kernels::Options::default()));
        steps.push(Step { name: "other kernels", run: Box::new(kernels) });
    }
    steps
}

/// Instructions of a log call (a u32 and a 16-byte string) at most: with room in the ring, the same in each mode; in
/// Overwrite with a full ring, where the oldest message is given up; with its level off. There are 144, 248 and 23, and a
/// tenth more is allowed for other compilers: the clock read twice, a lock or a call out is more than that.
const BOUNDS: &str =
    "--max-instructions 158 --max-when-full 272 --max-when-off 25 --no-locked --no-calls-out";

/// The release build's log call has no locked instruction, no system call and no call out.
fn anatomy() -> Result<()> {
    shell::run(released()?.arg("anatomy").args(BOUNDS.split(' ')))
}

/// A thread is stopped at some instructions of each way of the release build; all of them take minutes.
fn sweep() -> Result<()> {
    shell::run(released()?.args(["-c", "suspend-sweep", "--sample", "40"]))
}

fn released() -> Result<Command> {
    Ok(Command::new(shell::target_folder()?.join("release/dlt-bench")))
}

/// A task that has said itself what is wrong.
fn must(code: Result<ExitCode>) -> Result<()> {
    let code = code?;
    if code == ExitCode::from(shell::CANNOT_RUN) {
        bail!("cannot run here");
    } else if code != ExitCode::SUCCESS {
        bail!("see above");
    }
    Ok(())
}

/// Package by package: a feature that only another package switches on is missed otherwise.
fn clippy() -> Result<()> {
    for package in PACKAGES {
        shell::run(cargo().args(["clippy", "--package", package, "--all-targets", "--", "-D", "warnings"]))?;
    }
    // The records alone, as the eBPF programs use them.
    shell::run(cargo().args([
        "clippy",
        "--package",
        "dlt-probe-ebpf",
        "--lib",
        "--no-default-features",
        "--",
        "-D",
        "warnings",
    ]))
}

fn documentation() -> Result<()> {
    shell::run(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"),
    )
}

/// cargo-deny is used where it is installed: to build it takes longer than the tests do.
fn has_deny() -> bool {
    shell::output(cargo().args(["deny", "--version"])).is_ok()
}

/// Advisories need a database from the network, on which a gate should not depend.
fn deny() -> Result<()> {
    // The eBPF programs have a lock file of their own.
    for manifest in ["Cargo.toml", "dlt-probe-ebpf/bpf/Cargo.toml"] {
        let mut check = cargo();
        check.args(["deny", "--manifest-path", manifest, "--config", "deny.toml", "--log-level", "error"]);
        check.args(["check", "bans", "licenses", "sources"]);
        shell::run(&mut check)?;
    }
    Ok(())
}
