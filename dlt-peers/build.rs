//! Versions of the peers, from the lock file, for the configurations that are printed.

use std::path::Path;

/// Crates, by name.
const CRATES: [&str; 8] = [
    "crossbeam-queue",
    "fast_log",
    "ftlog",
    "iceoryx2-bb-lock-free",
    "slog-async",
    "slog-term",
    "tracing-appender",
    "tracing-subscriber",
];

fn main() {
    let path = Path::new("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", path.display());
    let lock = std::fs::read_to_string(path).unwrap_or_default();
    for name in CRATES {
        let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map(|(_, rest)| rest);
        let version = entry.and_then(|rest| rest.split('"').next()).unwrap_or("of an unknown version");
        println!("cargo::rustc-env=VERSION_{}={version}", name.to_uppercase().replace('-', "_"));
    }
}
