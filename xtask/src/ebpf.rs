//! The eBPF object: committed, so that users need no eBPF tool chain; rebuilt here, and compared with what is committed.

mod tool_chain;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::shell::{self, cargo, output, root, run as must, say};
use tool_chain::{TARGET, ToolChain};

/// The object's name in `prebuilt/`.
const OBJECT: &str = "dlt_probe.bpf.o";

/// Options of `cargo xtask ebpf`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The object is committed: only who changes dlt-probe-ebpf needs this.
It is built with Debian's /usr/bin/rustc, which ships a `core` for BPF, or else with rustup's nightly and its rust-src;
always with bpf-linker. What is missing is named, with the commands that install it.

Examples:
  cargo xtask ebpf                     rebuild dlt-probe-ebpf/prebuilt after a change of the programs
  cargo xtask ebpf --check             is the committed object what its sources give?
  cargo xtask ebpf --install --check   the same, after installing the tool chain (Debian, as root)")]
pub(crate) struct Options {
    /// Build in another folder and compare with the committed object instead of replacing it.
    #[arg(long)]
    pub(crate) check: bool,
    /// Install the tool chain first where it is missing (Debian packages and bpf-linker), as root.
    #[arg(long)]
    pub(crate) install: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.install && ToolChain::find().is_err() {
        tool_chain::install()?;
    }
    let tools = match ToolChain::find() {
        Ok(tools) => tools,
        Err(missing) => {
            say(&format!("error: cannot build eBPF here: {missing}.\n{}", tool_chain::how_to_install()));
            return Ok(shell::CANNOT_RUN.into());
        }
    };
    if options.check { check(&tools) } else { rebuild(&tools) }
}

fn prebuilt() -> PathBuf {
    root().join("dlt-probe-ebpf/prebuilt")
}

fn rebuild(tools: &ToolChain) -> Result<ExitCode> {
    let object = build(tools, &root().join("dlt-probe-ebpf/bpf"))?;
    let committed = prebuilt().join(OBJECT);
    std::fs::copy(&object, &committed)
        .with_context(|| format!("failed to copy to `{}`", committed.display()))?;
    write(&prebuilt().join(format!("{OBJECT}.sha256")), &(sha256(&committed)? + "  " + OBJECT + "\n"))?;
    write(&prebuilt().join("BUILD-INFO"), &build_info(tools)?)?;
    say(&format!("built {} with\n{}", committed.display(), build_info(tools)?));
    Ok(ExitCode::SUCCESS)
}

fn check(tools: &ToolChain) -> Result<ExitCode> {
    let committed = prebuilt().join(OBJECT);
    let noted = std::fs::read_to_string(prebuilt().join(format!("{OBJECT}.sha256")))
        .context("failed to read the committed object's hash")?;
    ensure!(
        noted.split_whitespace().next() == Some(sha256(&committed)?.as_str()),
        "`{}` is not the object that its .sha256 names; run `cargo xtask ebpf` and commit the result",
        committed.display()
    );
    let (info, committed_info) =
        (build_info(tools)?, std::fs::read_to_string(prebuilt().join("BUILD-INFO"))?);
    ensure!(
        line(&committed_info, "sources").is_some()
            && line(&committed_info, "sources") == line(&info, "sources"),
        "the eBPF sources are not those of the committed object; run `cargo xtask ebpf` and commit the result"
    );
    // In another folder: the object must not depend on where it is built.
    let copy = shell::target_folder()?.join("ebpf-check");
    if copy.exists() {
        std::fs::remove_dir_all(&copy)?;
    }
    std::fs::create_dir_all(&copy)?;
    for part in ["bpf", "src"] {
        must(Command::new("cp").arg("-r").arg(root().join("dlt-probe-ebpf").join(part)).arg(&copy))?;
    }
    let object = build(tools, &copy.join("bpf"))?;
    if committed_info == info {
        ensure!(
            std::fs::read(&object)? == std::fs::read(&committed)?,
            "the same sources and tools give another object (`{}`) than the committed one; run `cargo xtask ebpf` and \
             commit the result",
            object.display()
        );
        say(&format!("the committed eBPF object is byte for byte what its sources give with\n{info}"));
        return Ok(ExitCode::SUCCESS);
    }
    // Compilers move on; an object of another compiler has other bytes and must count the same.
    say(&format!(
        "the tools are not those of BUILD-INFO, so bytes are not compared. Built it:\n{committed_info}Here:\n{info}\
         The probe's tests run with the fresh object instead."
    ));
    must(
        cargo()
            .args(["test", "--package", "dlt-probe-ebpf", "--", "--show-output"])
            .env("DLT_PROBE_OBJECT", &object),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the programs in `package`; returns the object.
fn build(tools: &ToolChain, package: &Path) -> Result<PathBuf> {
    let target = shell::target_folder()?.join("ebpf");
    let mut flags = vec!["-Clink-arg=--btf".to_owned(), "-Cdebuginfo=2".to_owned()];
    flags.extend(remapped(package)?.into_iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")));
    let mut command = tools.cargo();
    command
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(&target)
        .current_dir(package)
        // Unlike RUSTFLAGS it takes paths with blanks.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    must(&mut command)?;
    Ok(target.join(TARGET).join("release/dlt_probe"))
}

/// Prefixes of paths, and what stands for them: nothing of this machine is in the object, which is the same wherever it is
/// built. Of several that match the compiler takes the last one.
fn remapped(package: &Path) -> Result<Vec<(String, &'static str)>> {
    let home = tool_chain::cargo_home()?;
    let mut all = vec![(package.display().to_string(), "."), (home.display().to_string(), "cargo")];
    // One folder for each registry, named after its address.
    if let Ok(registries) = std::fs::read_dir(home.join("registry/src")) {
        for registry in registries {
            all.push((registry?.path().display().to_string(), "registry"));
        }
    }
    Ok(all)
}

/// What the object is built from, and with: one `name value` a line.
fn build_info(tools: &ToolChain) -> Result<String> {
    Ok(format!(
        "rustc   {}\nllvm    {}\nlinker  {}\nsources {}\n",
        tools.rustc_version()?,
        tools.llvm_version()?,
        tools.linker_version()?,
        sources()?
    ))
}

/// The rest of the line of `info` that begins with `name`.
fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// One hash for everything that the object is built from.
fn sources() -> Result<String> {
    let folder = root().join("dlt-probe-ebpf");
    let mut files =
        ["src/records.rs", "bpf/Cargo.toml", "bpf/Cargo.lock"].map(|file| folder.join(file)).to_vec();
    for entry in std::fs::read_dir(folder.join("bpf/src"))? {
        files.push(entry?.path());
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(std::fs::read(&file).with_context(|| format!("failed to read `{}`", file.display()))?);
    }
    // Through a file, since the hash comes from the same program as that of the object.
    let joined = shell::target_folder()?.join("ebpf-sources");
    std::fs::write(&joined, all).with_context(|| format!("failed to write `{}`", joined.display()))?;
    sha256(&joined)
}

fn sha256(file: &Path) -> Result<String> {
    let text = output(Command::new("sha256sum").arg("--").arg(file))?;
    Ok(text.split_whitespace().next().context("sha256sum prints a hash")?.to_owned())
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("failed to write `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{line, sha256};

    #[test]
    fn build_info_is_read_by_name() {
        let info = "rustc   rustc 1.96.0 (ac68)\nllvm    22.1.8\nsources e2d4\n";
        assert_eq!(line(info, "rustc"), Some("rustc 1.96.0 (ac68)"));
        assert_eq!(line(info, "sources"), Some("e2d4"));
        assert_eq!(line(info, "linker"), None);
    }

    #[test]
    fn hash_of_nothing() {
        let hash = sha256(std::path::Path::new("/dev/null")).unwrap();
        assert_eq!(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
