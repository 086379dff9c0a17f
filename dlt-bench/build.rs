//! Tells the program which source and which profile it was built from.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    if let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]).filter(|revision| !revision.is_empty())
    {
        println!("cargo::rustc-env=DLT_BENCH_GIT_REVISION={revision}");
    }
    // HEAD changes with the branch, logs/HEAD with every commit. A file that is not there would rebuild each time.
    if let Some(folder) = git(&["rev-parse", "--absolute-git-dir"]) {
        for file in ["HEAD", "logs/HEAD"] {
            let path = Path::new(&folder).join(file);
            if path.exists() {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
    let value = |name: &str| std::env::var(name).unwrap_or_default();
    println!("cargo::rustc-env=DLT_BENCH_PROFILE={} (opt-level {})", value("PROFILE"), value("OPT_LEVEL"));
}
