//! Build, run, and say where everything is.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::shell::{self, cargo, say};

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask bench --profile\n  cargo xtask bench -c overflow-all -c batch-size\n  \
                        cargo xtask bench --profile -c concurrency-mpsc -- --logger mutex"
)]
pub(crate) struct Options {
    /// Watch with the kernel probe: verdict on lock contention, perf counters, flamegraphs. Needs root.
    #[arg(long)]
    profile: bool,
    /// Case to run; may be given several times. Default: what dlt-bench runs by default for the profile, else `quick`.
    #[arg(short, long = "case", value_name = "CASE")]
    case: Vec<String>,
    /// Folder for what is written. Default: runs/DATE-TIME.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// More arguments for dlt-bench, after `--`.
    #[arg(last = true, value_name = "ARGS")]
    more: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    shell::run(cargo().args(["build", "--release", "--package", "dlt-bench"]))?;
    let program = target_folder()?.join("release/dlt-bench");
    let out = match &options.out {
        Some(out) => out.clone(),
        None => new_run_folder()?,
    };
    let mut arguments: Vec<String> = Vec::new();
    for case in &options.case {
        arguments.extend(["-c".into(), case.clone()]);
    }
    if options.profile {
        arguments.push("--profile".into());
    } else if options.case.is_empty() {
        arguments.extend(["-c".into(), "quick".into()]);
    }
    arguments.extend(["--out".into(), out.display().to_string()]);
    arguments.extend(options.more.iter().cloned());

    let mut command = Command::new(&program);
    if options.profile && !shell::is_root() {
        if !shell::exists("sudo") {
            say(&format!(
                "error: the kernel probe needs CAP_BPF and CAP_PERFMON, and there is no sudo here.\nGrant them as root, \
                 then run this again as dlt-bench itself:\n  setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep {0}\n  {0} {1}",
                program.display(),
                arguments.join(" ")
            ));
            return Ok(shell::CANNOT_RUN.into());
        }
        // Only the benchmark is raised; what it writes is given back to the caller.
        let kept = "--preserve-env=DLT_USER_NUM_BUFFERS,DLT_USER_BATCH_SIZE,DLT_USER_OVERFLOW_MODE,DLT_USER_TIMEOUT_MS,\
                    DLT_USER_MEMORY_LIMIT";
        command = Command::new("sudo");
        command.arg(kept).arg(&program);
    }
    command.args(&arguments);
    if command.get_program() == "sudo" {
        say(&format!(
            "the kernel probe needs privileges; running only the benchmark with them:\n  {}",
            shell::shown(&command)
        ));
    }
    let status = command.status().with_context(|| format!("failed to start `{}`", shell::shown(&command)))?;
    if let Ok(files) = std::fs::read_dir(&out) {
        let mut files: Vec<_> = files.flatten().map(|file| file.path().display().to_string()).collect();
        files.sort();
        say(&format!("files of this run:\n  {}", files.join("\n  ")));
    }
    // A signal has no code; the shell's convention for Ctrl-C is what dlt-bench uses itself.
    Ok(u8::try_from(status.code().unwrap_or(130)).unwrap_or(1).into())
}

/// Where cargo builds, which the user may have set.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let metadata = shell::output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let (_, rest) =
        metadata.split_once("\"target_directory\":\"").context("cargo metadata names the target folder")?;
    let (folder, _) = rest.split_once('"').context("cargo metadata is JSON")?;
    Ok(PathBuf::from(folder.replace("\\\\", "\\")))
}

/// A folder that does not exist yet.
fn new_run_folder() -> Result<PathBuf> {
    let now = shell::output(Command::new("date").arg("+%Y%m%d-%H%M%S"))?;
    let runs = shell::root().join("runs");
    let names = std::iter::once(now.clone()).chain((2..).map(|n| format!("{now}-{n}")));
    let folder = names.map(|name| runs.join(name)).find(|folder| !folder.exists()).context("a free name")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    Ok(folder)
}
