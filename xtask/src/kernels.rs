//! The probe on other kernels: Debian's stock ones, booted under emulation.
//!
//! Timings under emulation say nothing; counts must be exact all the same.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::bench::target_folder;
use crate::shell::{self, cargo, output, root, run as must, say};

/// Debian suites and the kernels that they ship.
const KERNELS: [(&str, &str); 3] = [("bullseye", "5.10"), ("bookworm", "6.1"), ("trixie", "6.12")];

/// Options of `cargo xtask kernels`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Folder for kernels and emulator. Default: target/kernels.
    dir: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let folder = options.dir.clone().unwrap_or_else(|| root().join("target/kernels"));
    let scripts = root().join("xtask/kernels");
    if let Err(error) =
        must(Command::new(scripts.join("fetch")).arg(&folder).args(KERNELS.map(|(suite, _)| suite)))
    {
        say(&format!("error: the kernels cannot be fetched: {error:#}"));
        return Ok(shell::CANNOT_RUN.into());
    }
    let host = "x86_64-unknown-linux-gnu";
    must(
        cargo()
            .args(["build", "--release", "--package", "dlt-bench", "--bin", "dlt-bench", "--target", host])
            .env("RUSTFLAGS", "-C target-feature=+crt-static -C force-frame-pointers=yes")
            .env("CARGO_PROFILE_RELEASE_LTO", "off"),
    )?;
    let program = target_folder()?.join(host).join("release/dlt-bench");
    let mut failed = 0;
    for (suite, version) in KERNELS {
        for (hide, expected) in [(false, 0), (true, shell::CANNOT_RUN.into())] {
            let mut boot = Command::new(scripts.join("boot"));
            boot.arg(&folder)
                .arg(suite)
                .arg(&program)
                .arg("selftest")
                .env("HIDE_BTF", if hide { "1" } else { "" });
            let result = boot.output()?;
            let console = String::from_utf8_lossy(&result.stdout);
            let code = result.status.code().unwrap_or(-1);
            let is_right = code == expected && (!hide || console.contains("CANNOT RUN"));
            failed += u32::from(!is_right);
            let what = if hide { "BTF hidden: cannot run" } else { "probe and canary" };
            say(&format!(
                "{} Linux {version} ({suite}): {what}, exit {code}",
                if is_right { "ok    " } else { "FAILED" }
            ));
            let own = console
                .lines()
                .filter(|line| !is_right || line.contains("canary") || line.contains("CANNOT RUN"));
            own.for_each(|line| say(&format!("         {line}")));
        }
    }
    let tested = output(Command::new("uname").arg("-r"))?;
    say(&format!("{} kernels besides this machine's {tested}, {failed} failures", KERNELS.len()));
    Ok(u8::from(failed > 0).into())
}
