//! Tasks of this repository. `cargo xtask --help` lists them.

mod bench;
mod ci;
mod ebpf;
mod kernels;
mod shell;
mod sweep;
mod test;
mod tidy;

use clap::{Parser, Subcommand};

/// Tasks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, about, after_help = shell::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build dlt-bench, run cases, and collect what they write in a folder; with --profile under the kernel probe.
    Bench(bench::Options),
    /// Stop a thread at every instruction of a log call, in builds with several code layouts.
    Sweep(sweep::Options),
    /// Run all tests: unit, integration, wire, command line, probe (as root), model checks, ThreadSanitizer.
    Test(test::Options),
    /// Rebuild the eBPF object, or check that the committed one is current.
    Ebpf(ebpf::Options),
    /// Boot stock kernels under emulation and let `dlt-bench selftest` prove the probe there.
    Kernels(kernels::Options),
    /// Everything that must pass before a change lands.
    Ci(ci::Options),
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().task {
        Task::Bench(options) => bench::run(&options),
        Task::Sweep(options) => sweep::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Ebpf(options) => ebpf::run(&options),
        Task::Kernels(options) => kernels::run(&options),
        Task::Ci(options) => Ok(ci::run(&options)),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            shell::say(&format!("error: {error:#}"));
            1.into()
        }
    }
}
