//! The machine and the program that a report was made with.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::measure::clock::Clock;

/// What figures depend on. A field that is `None` has its reason in `null_because`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Environment {
    /// Name, release and version of the kernel.
    pub kernel: String,
    /// Architecture.
    pub architecture: String,
    /// Model name of the first processor.
    pub cpu: Option<String>,
    /// Processors that this process may use.
    pub cores: usize,
    /// Load average of the last minute before the first case.
    pub load_before: Option<f64>,
    /// The same after the last case.
    pub load_after: Option<f64>,
    /// The kernel's clock source.
    pub kernel_clock_source: Option<String>,
    /// The clock that is read around calls.
    pub clock: &'static str,
    /// What a reading of it costs.
    pub clock_reading_ns: f64,
    /// Frequency governor of the first processor.
    pub governor: Option<String>,
    /// Cargo profile.
    pub build_profile: &'static str,
    /// Revision of the source.
    pub git_revision: Option<&'static str>,
    /// Version of this program.
    pub version: &'static str,
    /// The kernel probe watches.
    pub probe: bool,
    /// There are hardware counters.
    pub pmu: bool,
    /// When the run began, in seconds since 1970.
    pub started_at_unix_s: u64,
    /// The command line.
    pub command: Vec<String>,
    /// `DLT_USER_` variables that are set.
    pub variables: BTreeMap<String, String>,
    /// Why a field is null.
    pub null_because: BTreeMap<&'static str, String>,
}

impl Environment {
    /// Looks around.
    pub fn read(probe: bool) -> Self {
        let mut null_because = BTreeMap::new();
        let mut note = |field: &'static str, value: Result<String, String>| {
            value.map_err(|reason| null_because.insert(field, reason)).ok()
        };
        let cpu = note("cpu", cpu_model());
        let kernel_clock_source = note(
            "kernel_clock_source",
            first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        );
        let governor = note("governor", first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
        let git_revision = option_env!("DLT_BENCH_GIT_REVISION");
        if git_revision.is_none() {
            null_because
                .insert("git_revision", "the program was not built in a git work tree with a commit".into());
        }
        null_because.insert("load_after", "the run has not ended".into());
        let load_before = load_average();
        if load_before.is_none() {
            null_because.insert("load_before", "/proc/loadavg cannot be read".into());
        }
        let clock = Clock::get();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ours = |(name, _): &(std::ffi::OsString, _)| name.to_string_lossy().starts_with("DLT_USER_");
        let shown = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            kernel: kernel(),
            architecture: std::env::consts::ARCH.to_owned(),
            cpu,
            cores: cores(),
            load_before,
            load_after: None,
            kernel_clock_source,
            clock: clock.source(),
            clock_reading_ns: (clock.cost_ns() * 10.0).round() / 10.0,
            governor,
            build_profile: env!("DLT_BENCH_PROFILE"),
            git_revision,
            version: env!("CARGO_PKG_VERSION"),
            probe,
            pmu: std::path::Path::new("/sys/bus/event_source/devices/cpu").exists()
                || std::path::Path::new("/sys/bus/event_source/devices/armv8_pmuv3_0").exists(),
            started_at_unix_s: since_1970.as_secs(),
            command: std::env::args_os().map(shown).collect(),
            variables: std::env::vars_os().filter(ours).map(|(n, v)| (shown(n), shown(v))).collect(),
            null_because,
        }
    }

    /// The last case has ended.
    pub fn finish(&mut self) {
        self.load_after = load_average();
        if self.load_after.is_some() {
            self.null_because.remove("load_after");
        } else {
            self.null_because.insert("load_after", "/proc/loadavg cannot be read".into());
        }
    }
}

/// Processors that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn kernel() -> String {
    let part = |name: &str| first_line(&format!("/proc/sys/kernel/{name}")).unwrap_or_else(|error| error);
    format!("{} {} {}", part("ostype"), part("osrelease"), part("version"))
}

fn first_line(path: &str) -> Result<String, String> {
    match read_to_string(path) {
        Ok(text) => Ok(text.lines().next().unwrap_or_default().trim().to_owned()),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

fn cpu_model() -> Result<String, String> {
    let path = "/proc/cpuinfo";
    let text = read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let names = ["model name", "Model", "cpu model", "CPU part"];
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        names.contains(&name.trim()).then(|| value.trim().to_owned())
    };
    text.lines().find_map(value).ok_or_else(|| format!("{path} names no model"))
}

fn load_average() -> Option<f64> {
    read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
