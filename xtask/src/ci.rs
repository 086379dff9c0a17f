//! What must pass before a change lands, in the order of how soon it can fail.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::shell::{self, cargo, root, say};
use crate::{ebpf, kernels, test};

/// Options of `cargo xtask ci`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Leave out what needs privileges, the eBPF tool chain or other kernels.
    #[arg(long)]
    ordinary: bool,
}

/// A file that is longer than this holds two things.
const LONGEST_FILE: usize = 800;

type Step<'a> = (&'static str, Box<dyn Fn() -> Result<bool> + 'a>);

pub(crate) fn run(options: &Options) -> ExitCode {
    let succeeded = |code: ExitCode| code == ExitCode::SUCCESS;
    let passes = |command: &mut Command| -> Result<bool> {
        shell::run(command)?;
        Ok(true)
    };
    let mut steps: Vec<Step<'_>> = vec![
        ("format", Box::new(|| passes(cargo().args(["fmt", "--all", "--check"])))),
        ("tidy", Box::new(|| tidy().map(|()| true))),
        (
            "clippy",
            Box::new(|| {
                passes(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
            }),
        ),
        (
            "documentation",
            Box::new(|| {
                passes(
                    cargo()
                        .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
                        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"),
                )
            }),
        ),
    ];
    if !options.ordinary {
        steps.push(("eBPF object", Box::new(move || ebpf::check().map(succeeded))));
    }
    steps.push(("tests", Box::new(move || test::run(&test::Options::default()).map(succeeded))));
    steps.push((
        "release build",
        Box::new(|| passes(cargo().args(["build", "--release", "--bin", "dlt-bench"]))),
    ));
    if !options.ordinary {
        steps.push(("kernels", Box::new(move || kernels::run(&kernels::Options::default()).map(succeeded))));
    }
    let mut summary = Vec::new();
    let mut is_green = true;
    for (name, step) in &steps {
        say(&format!("==== {name}"));
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs();
        let outcome = match result {
            Ok(true) => "passed",
            Ok(false) => "FAILED",
            Err(error) => {
                say(&format!("{error:#}"));
                "FAILED"
            }
        };
        is_green &= outcome == "passed";
        summary.push(format!("{outcome}  {seconds:5} s  {name}"));
    }
    say(&format!("==== summary\n{}", summary.join("\n")));
    u8::from(!is_green).into()
}

/// Rules of this repository that no other tool checks.
fn tidy() -> Result<()> {
    let files =
        shell::output(Command::new("git").args(["ls-files", "*.rs", "*.md", "*.toml"]).current_dir(root()))?;
    let mut wrong = Vec::new();
    for file in files.lines() {
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        let lines = text.lines().count();
        let is_rust = std::path::Path::new(file).extension().is_some_and(|extension| extension == "rs");
        if is_rust && lines > LONGEST_FILE {
            wrong.push(format!("{file} has {lines} lines: does it hold two things?"));
        }
        let unfinished = ["todo!", "unimplemented!", "#[ignore"].map(|word| word.to_owned() + "(");
        if is_rust && unfinished.iter().any(|word| text.contains(word.as_str())) {
            wrong.push(format!("{file} has something unfinished"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
