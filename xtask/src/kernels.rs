//! The probe on other kernels: Debian's stock ones, booted under emulation.
//!
//! Timings under emulation say nothing; counts must be exact all the same.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::shell::{self, cargo, print, root, run as must, say};

/// Debian suites and the kernels that they ship.
const KERNELS: [(&str, &str); 3] = [("bullseye", "5.10"), ("bookworm", "6.1"), ("trixie", "6.12")];

/// Options of `cargo xtask kernels`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Fetches kernels and an emulator from the Debian mirror that this machine is configured with and unpacks them; the only thing
that it installs is cpio. Then boots each kernel with a static dlt-bench as its only program: `dlt-bench selftest` must find
every number of the canary exact, and must say that it cannot run where the kernel shows no BTF.")]
pub(crate) struct Options {
    /// Folder for kernels and emulator. Default: target/kernels.
    dir: Option<PathBuf>,
}

/// What a boot must end with.
#[derive(Debug, Clone, Copy)]
struct Expected {
    what: &'static str,
    hides_btf: bool,
    code: u8,
    /// A line of the self-test that is there only if it did its work.
    says: &'static str,
}

const EXPECTED: [Expected; 2] = [
    Expected { what: "probe and canary exact", hides_btf: false, code: 0, says: "all exact" },
    Expected {
        what: "without BTF: cannot run, and why",
        hides_btf: true,
        code: shell::CANNOT_RUN,
        says: "CANNOT RUN: ",
    },
];

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let folder = options
        .dir
        .clone()
        .map_or_else(|| shell::target_folder().map(|target| target.join("kernels")), Ok)?;
    let fetch = root().join("xtask/kernels/fetch");
    if let Err(error) = must(Command::new(fetch).arg(&folder).args(KERNELS.map(|(suite, _)| suite))) {
        say(&format!(
            "error: cannot test other kernels here: {error:#}.\nIt takes a Debian mirror in apt's sources that can be \
             reached, and cpio (`apt-get install cpio`)."
        ));
        return Ok(shell::CANNOT_RUN.into());
    }
    let program = static_benchmark()?;
    let mut failed = 0;
    print("kernel             must show                          took  result");
    for (suite, version) in KERNELS {
        for expected in EXPECTED {
            let start = Instant::now();
            let result = boot(&folder, suite, &program, expected);
            let seconds = start.elapsed().as_secs();
            let (text, lines) = match result {
                Ok(line) => ("ok", line),
                Err(error) => ("FAILED", format!("{error:#}")),
            };
            failed += u32::from(text == "FAILED");
            print(&format!("{version:<5} ({suite})  {:<33} {seconds:4} s  {text}", expected.what));
            lines.lines().for_each(|line| print(&format!("    {line}")));
        }
    }
    print(&format!("{} boots, {failed} failed", KERNELS.len() * EXPECTED.len()));
    Ok(u8::from(failed > 0).into())
}

/// Builds dlt-bench so that it needs nothing of the system that it runs on.
fn static_benchmark() -> Result<PathBuf> {
    let host = shell::host()?;
    // Without link-time optimisation: how fast it is does not matter under emulation.
    must(
        cargo()
            .args(["build", "--release", "--package", "dlt-bench", "--bin", "dlt-bench", "--target", &host])
            // Other loggers are not compared with there, and one of them is a C library.
            .args(["--no-default-features"])
            .env("RUSTFLAGS", "-C target-feature=+crt-static -C force-frame-pointers=yes")
            .env("CARGO_PROFILE_RELEASE_LTO", "off"),
    )?;
    Ok(shell::target_folder()?.join(host).join("release/dlt-bench"))
}

/// Boots; returns the line that shows that what was expected happened.
fn boot(folder: &Path, suite: &str, program: &Path, expected: Expected) -> Result<String> {
    let mut command = Command::new(root().join("xtask/kernels/boot"));
    command.arg(folder).arg(suite).arg(program).arg("selftest");
    command.env("HIDE_BTF", if expected.hides_btf { "1" } else { "" });
    let result = command.output()?;
    let console = String::from_utf8_lossy(&result.stdout);
    let shown = console.lines().find(|line| line.contains(expected.says));
    match (result.status.code(), shown) {
        (Some(code), Some(line)) if code == i32::from(expected.code) => Ok(line.to_owned()),
        (code, _) => bail!(
            "expected exit {} and `{}`; got exit {}, and on the console:\n{console}{}",
            expected.code,
            expected.says,
            code.map_or_else(|| "by a signal".to_owned(), |code| code.to_string()),
            String::from_utf8_lossy(&result.stderr)
        ),
    }
}
