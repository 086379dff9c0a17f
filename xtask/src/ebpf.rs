//! The eBPF object: built with Debian's rustc, which ships a `core` for the BPF target, so no nightly compiler is needed.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::shell::{self, cargo, output, root, run as must, say};

const COMPILER: &str = "/usr/bin/rustc";
const TARGET: &str = "bpfel-unknown-none";
const LLVM: &str = "/usr/lib/llvm-22";
const LINKER_VERSION: &str = "0.13.0";
const PACKAGES: [&str; 5] =
    ["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev", "zlib1g-dev", "libzstd-dev"];

/// Options of `cargo xtask ebpf`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The object is committed, so only who changes dlt-probe-ebpf/bpf needs this.")]
pub(crate) struct Options {
    /// Build in a temporary folder and compare with the committed object instead of replacing it.
    #[arg(long)]
    check: bool,
    /// Install the tool chain first (Debian packages and bpf-linker), as root.
    #[arg(long)]
    install: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.install {
        install()?;
    }
    if let Some(missing) = missing() {
        say(&format!(
            "error: cannot build eBPF here: {missing}.\nOn Debian 12 as root: `cargo xtask ebpf --install`, which runs\n  \
             apt-get install -y --no-install-recommends {}\n  {}",
            PACKAGES.join(" "),
            shell::shown(&linker_install())
        ));
        return Ok(shell::CANNOT_RUN.into());
    }
    let prebuilt = root().join("dlt-probe-ebpf/prebuilt");
    let committed = prebuilt.join("dlt_probe.bpf.o");
    let info = build_info()?;
    if !options.check {
        let object = build(&root().join("dlt-probe-ebpf/bpf"))?;
        std::fs::copy(&object, &committed)?;
        let hash = output(Command::new("sha256sum").arg("dlt_probe.bpf.o").current_dir(&prebuilt))?;
        std::fs::write(prebuilt.join("dlt_probe.bpf.o.sha256"), hash + "\n")?;
        std::fs::write(prebuilt.join("BUILD-INFO"), info)?;
        say(&format!("built {}", committed.display()));
        return Ok(ExitCode::SUCCESS);
    }
    // In another folder: the object must not depend on where it is built.
    let copy = root().join("target/ebpf-check");
    let _ = std::fs::remove_dir_all(&copy);
    std::fs::create_dir_all(copy.join("src"))?;
    std::fs::copy(root().join("dlt-probe-ebpf/src/records.rs"), copy.join("src/records.rs"))?;
    must(Command::new("cp").arg("-r").arg(root().join("dlt-probe-ebpf/bpf")).arg(&copy))?;
    let object = build(&copy.join("bpf"))?;
    let committed_info =
        std::fs::read_to_string(prebuilt.join("BUILD-INFO")).context("failed to read BUILD-INFO")?;
    if committed_info == info {
        ensure!(
            std::fs::read(&object)? == std::fs::read(&committed)?,
            "the committed object is not what its sources give; run `cargo xtask ebpf` and commit the result"
        );
        say("the committed eBPF object is byte for byte what its sources give");
        return Ok(ExitCode::SUCCESS);
    }
    let sources = |text: &str| text.lines().find(|line| line.starts_with("sources")).map(str::to_owned);
    ensure!(
        sources(&committed_info) == sources(&info),
        "the eBPF sources have changed since the committed object was built; run `cargo xtask ebpf` and commit the result"
    );
    say(&format!(
        "the tool chain differs from BUILD-INFO, so the bytes are not compared:\n{info}running the probe's tests with the fresh \
         object instead"
    ));
    must(cargo().args(["test", "--package", "dlt-probe-ebpf", "counts"]).env("DLT_PROBE_OBJECT", &object))?;
    Ok(ExitCode::SUCCESS)
}

/// The check as part of other tasks.
pub(crate) fn check() -> Result<ExitCode> {
    run(&Options { check: true, install: false })
}

/// What is missing of the tool chain.
fn missing() -> Option<String> {
    if !Path::new(COMPILER).exists() {
        return Some(format!("there is no {COMPILER}"));
    }
    let core = output(Command::new(COMPILER).args(["--print", "target-libdir", "--target", TARGET])).ok()?;
    if !Path::new(&core).exists() {
        return Some(format!("{COMPILER} has no `core` for {TARGET}"));
    }
    (!shell::exists("bpf-linker")).then(|| "there is no bpf-linker on PATH".to_owned())
}

fn linker_install() -> Command {
    let mut command = cargo();
    command.args([
        "install",
        "bpf-linker",
        "--version",
        LINKER_VERSION,
        "--no-default-features",
        "--features",
        "llvm-22",
    ]);
    // Without these the linker's build takes the first llvm-config on PATH, which may be another LLVM.
    command.env("LLVM_PREFIX", LLVM).env("LLVM_SYS_221_PREFIX", LLVM);
    command
}

fn install() -> Result<()> {
    if missing().is_none() {
        return Ok(());
    }
    must(Command::new("apt-get").args(["update", "-qq"]))?;
    must(Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends"]).args(PACKAGES))?;
    if !shell::exists("bpf-linker") {
        must(&mut linker_install())?;
    }
    Ok(())
}

fn build(package: &Path) -> Result<PathBuf> {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"))?;
    let target = root().join("target/ebpf");
    // No path of this machine in the object: it is the same wherever it is built.
    let flags = format!(
        "-C link-arg=--btf -C debuginfo=2 --remap-path-prefix={}=. --remap-path-prefix={home}=cargo",
        package.display()
    );
    must(
        cargo()
            .args(["build", "--release", "--quiet", "--target", TARGET, "--target-dir"])
            .arg(&target)
            .current_dir(package)
            .env("RUSTC", COMPILER)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", flags)
            .env_remove("RUSTUP_TOOLCHAIN"),
    )?;
    Ok(target.join(TARGET).join("release/dlt_probe"))
}

/// What the object is built from, and with.
fn build_info() -> Result<String> {
    let rustc = output(Command::new(COMPILER).arg("--version"))?;
    let verbose = output(Command::new(COMPILER).arg("-vV"))?;
    let llvm =
        verbose.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or("unknown").to_owned();
    let linker = output(Command::new("bpf-linker").arg("--version"))?;
    let mut files = vec![root().join("dlt-probe-ebpf/src/records.rs")];
    for file in ["bpf/Cargo.toml", "bpf/Cargo.lock"] {
        files.push(root().join("dlt-probe-ebpf").join(file));
    }
    for entry in std::fs::read_dir(root().join("dlt-probe-ebpf/bpf/src"))? {
        files.push(entry?.path());
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(std::fs::read(&file).with_context(|| format!("failed to read `{}`", file.display()))?);
    }
    let hash = hash(&all)?;
    Ok(format!("rustc   {rustc}\nllvm    {llvm}\nlinker  {linker}\nsources {hash}\n"))
}

fn hash(bytes: &[u8]) -> Result<String> {
    use std::io::Write;
    let mut child = Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("failed to start sha256sum")?;
    child.stdin.take().context("its input is piped")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().next().context("sha256sum prints a hash")?.to_owned())
}
