//! Why the probe is not running.

use std::fmt;
use std::io;

/// The probe cannot run on this system, or not for this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotRun {
    /// What is missing.
    pub missing: String,
    /// The command or change that grants it.
    pub remedy: String,
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.missing, self.remedy)
    }
}

impl std::error::Error for CannotRun {}

/// What went wrong with the probe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is missing that this system or the user's privileges do not give.
    #[error("the probe cannot run here: {0}")]
    CannotRun(#[from] CannotRun),
    /// The object cannot be loaded.
    #[error("failed to load the eBPF object")]
    Load(#[from] aya::EbpfError),
    /// A program was refused.
    #[error("failed to {action} program `{program}`")]
    Program {
        /// What was tried.
        action: &'static str,
        /// Which program.
        program: &'static str,
        /// The kernel's reason.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// A map is not as expected.
    #[error("failed to use map `{map}`")]
    Map {
        /// Which map.
        map: &'static str,
        /// The reason.
        #[source]
        source: Box<aya::maps::MapError>,
    },
    /// A map could not be read or written.
    #[error("failed to {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The object was built with other records than this loader knows.
    #[error(
        "the eBPF object has records of version {}, this loader knows version {wanted}: run `cargo xtask ebpf`, and build \
         without DLT_PROBE_OBJECT or with that object",
        .found.map_or_else(|| "unknown".to_owned(), |found| found.to_string())
    )]
    OtherRecords {
        /// Version in the object; `None` if it tells none.
        found: Option<u32>,
        /// Version of [`crate::records`].
        wanted: u32,
    },
    /// The object does not hold what this loader needs: it was built from other sources.
    #[error("the eBPF object has no `{0}`: it was built from other sources, run `cargo xtask ebpf`")]
    Missing(&'static str),
}
