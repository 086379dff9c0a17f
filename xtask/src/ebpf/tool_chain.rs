//! What builds eBPF programs: a compiler with a `core` for the BPF target, and bpf-linker.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{self, cargo, output, run as must};

/// What the programs are built for.
pub(super) const TARGET: &str = "bpfel-unknown-none";

/// Debian's compiler; its package `libstd-rust-web-dev-bpf` brings a `core` for the target.
const DEBIAN: &str = "/usr/bin/rustc";
const LLVM: &str = "/usr/lib/llvm-22";
const LINKER_VERSION: &str = "0.13.0";
const PACKAGES: [&str; 5] =
    ["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev", "zlib1g-dev", "libzstd-dev"];

/// A complete tool chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToolChain {
    /// Debian's compiler with its prebuilt `core`.
    Debian,
    /// rustup's nightly compiler, which builds `core` from rust-src.
    Nightly,
}

impl ToolChain {
    /// What is here, or what is missing.
    pub(super) fn find() -> std::result::Result<Self, String> {
        if !linker().is_file() && !shell::exists("bpf-linker") {
            return Err("there is no bpf-linker".to_owned());
        }
        if has_core(Command::new(DEBIAN).args(["--print", "target-libdir", "--target", TARGET]), "") {
            return Ok(Self::Debian);
        }
        let sources = "lib/rustlib/src/rust/library/core";
        if has_core(Command::new("rustc").args(["+nightly", "--print", "sysroot"]), sources) {
            return Ok(Self::Nightly);
        }
        Err(format!(
            "neither has {DEBIAN} a `core` for {TARGET}, nor is there a nightly compiler with rust-src"
        ))
    }

    /// A cargo that builds for the target.
    pub(super) fn cargo(&self) -> Command {
        let mut command = cargo();
        match self {
            // Debian's compiler is a stable one; the BPF target's features are not.
            Self::Debian => {
                command.env("RUSTC", DEBIAN).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN")
            }
            Self::Nightly => {
                command.env("RUSTUP_TOOLCHAIN", "nightly").env("CARGO_UNSTABLE_BUILD_STD", "core")
            }
        };
        if let Some(folder) = linker().parent() {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
            if let Ok(path) = std::env::join_paths(folders) {
                command.env("PATH", path);
            }
        }
        command
    }

    fn rustc(&self) -> Command {
        match self {
            Self::Debian => Command::new(DEBIAN),
            Self::Nightly => {
                let mut command = Command::new("rustc");
                command.arg("+nightly");
                command
            }
        }
    }

    pub(super) fn rustc_version(&self) -> Result<String> {
        output(self.rustc().arg("--version"))
    }

    pub(super) fn llvm_version(&self) -> Result<String> {
        let verbose = output(self.rustc().arg("-vV"))?;
        let version = verbose.lines().find_map(|line| line.strip_prefix("LLVM version: "));
        Ok(version.context("`rustc -vV` names its LLVM")?.to_owned())
    }

    #[expect(
        clippy::unused_self,
        reason = "the linker is part of the tool chain, whichever compiler it goes with"
    )]
    pub(super) fn linker_version(&self) -> Result<String> {
        let own = linker();
        output(Command::new(if own.is_file() { own } else { "bpf-linker".into() }).arg("--version"))
    }
}

/// True if the command prints a folder that has `below`.
fn has_core(command: &mut Command, below: &str) -> bool {
    output(command).is_ok_and(|folder| Path::new(&folder).join(below).is_dir())
}

/// Where cargo keeps what it downloads and installs.
pub(super) fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    Ok(Path::new(&std::env::var_os("HOME").context("HOME is not set")?).join(".cargo"))
}

/// Where `cargo install` puts the linker, which need not be on PATH.
fn linker() -> PathBuf {
    cargo_home().unwrap_or_default().join("bin/bpf-linker")
}

fn apt_install() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["install", "-y", "--no-install-recommends"]).args(PACKAGES);
    command
}

fn linker_install() -> Command {
    let mut command = cargo();
    command.args(["install", "bpf-linker", "--version", LINKER_VERSION, "--no-default-features"]);
    command.args(["--features", "llvm-22"]);
    // Without these the linker's build takes the first llvm-config on PATH, which may be another LLVM.
    command.env("LLVM_PREFIX", LLVM).env("LLVM_SYS_221_PREFIX", LLVM);
    command
}

/// The commands that install what is missing.
pub(super) fn how_to_install() -> String {
    format!(
        "On Debian 12, as root, `cargo xtask ebpf --install` runs\n  apt-get update\n  {}\n  \
         LLVM_PREFIX={LLVM} LLVM_SYS_221_PREFIX={LLVM} {}\n\
         Elsewhere, with LLVM 22 for bpf-linker:\n  rustup toolchain install nightly --component rust-src\n  \
         cargo install bpf-linker",
        shell::shown(&apt_install()),
        shell::shown(&linker_install())
    )
}

/// Installs what is missing, on Debian.
pub(super) fn install() -> Result<()> {
    must(Command::new("apt-get").arg("update").arg("-qq"))?;
    must(apt_install().arg("-qq"))?;
    if !linker().is_file() && !shell::exists("bpf-linker") {
        must(&mut linker_install())?;
    }
    Ok(())
}
