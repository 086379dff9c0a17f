//! Which calls are looked at.

use dlt_logger::OverflowMode;

use crate::load::plan::LoggerKind;

/// What the call finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A ring that is empty, in its first lap.
    Empty,
    /// A ring that is full, in its second lap.
    Full,
    /// A context whose threshold lets nothing pass.
    LevelOff,
}

impl State {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "ring empty",
            Self::Full => "ring full",
            Self::LevelOff => "level off",
        }
    }
}

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Of which logger.
    pub logger: LoggerKind,
    /// In which mode.
    pub mode: OverflowMode,
    /// With the ring in which state.
    pub state: State,
}

impl Subject {
    /// The calls of a logger: of one mode, or of all of them.
    pub fn all(logger: LoggerKind, mode: Option<OverflowMode>) -> Vec<Self> {
        let modes = mode.map_or_else(|| OverflowMode::ALL.to_vec(), |mode| vec![mode]);
        let mut subjects = Vec::new();
        for &mode in &modes {
            subjects.push(Self { logger, mode, state: State::Empty });
            // A control's worker cannot be held back, so its queue does not stay full.
            if mode == OverflowMode::Overwrite && logger == LoggerKind::Dlt {
                subjects.push(Self { logger, mode, state: State::Full });
            }
        }
        // Controls have no levels. Whatever the mode is, a call below the threshold does not look at it.
        if logger == LoggerKind::Dlt {
            subjects.extend(modes.first().map(|&mode| Self { logger, mode, state: State::LevelOff }));
        }
        subjects
    }

    /// Its name in reports.
    pub fn name(&self) -> String {
        format!("{}, {}", self.mode, self.state.name())
    }
}
