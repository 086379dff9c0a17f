//! What the exit code of `dlt-bench` says.

/// Exit code of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything that ran is in order.
    Pass = 0,
    /// A violation: broken accounting, a failed audit, a sink that failed (full disk).
    Violation = 1,
    /// A usage error, or an output that cannot be written. Found before any case runs.
    Usage = 2,
    /// No judgement could be made: losses in the probe, or a control that failed.
    Inconclusive = 3,
    /// This machine or user cannot run it.
    CannotRun = 4,
    /// Ctrl-C. What was done until then has been reported.
    Interrupted = 130,
}

impl ExitCode {
    /// The code of a run of which these are parts: an interrupt first, else a violation, else what keeps from a judgement.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let weight = |code| match code {
            Self::Pass => 0,
            Self::Inconclusive => 1,
            Self::CannotRun => 2,
            Self::Violation => 3,
            Self::Usage => 4,
            Self::Interrupted => 5,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode::{Inconclusive, Interrupted, Pass, Violation};

    #[test]
    fn a_violation_outweighs_what_is_inconclusive() {
        assert_eq!(Pass.and(Inconclusive).and(Violation).and(Inconclusive), Violation);
        assert_eq!(Violation.and(Interrupted).and(Pass), Interrupted);
        assert_eq!(Pass.and(Pass), Pass);
    }
}
