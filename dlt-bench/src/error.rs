//! What keeps a run from being made, with what to do about it.

use std::fmt;

use crate::exit_code::ExitCode;

/// An expected failure: message, what to do next, exit code.
#[derive(Debug)]
pub struct Error {
    code: ExitCode,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// The command line, the environment, or an output is not usable.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Usage, message: message.into(), hint: None }
    }

    /// Something that the run needs is not there.
    pub fn cannot_run(message: impl Into<String>) -> Self {
        Self { code: ExitCode::CannotRun, message: message.into(), hint: None }
    }

    /// Something failed in a run that had begun.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Violation, message: message.into(), hint: None }
    }

    /// It ran, and no judgement can be made.
    pub fn inconclusive(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Inconclusive, message: message.into(), hint: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code that goes with it.
    pub const fn exit_code(&self) -> ExitCode {
        self.code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<dlt_logger::ConfigError> for Error {
    fn from(error: dlt_logger::ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

/// An error and all its sources in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
