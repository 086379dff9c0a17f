//! Log levels.

use super::msin;
use std::fmt;
use std::str::FromStr;

/// Level of a log message (PRS "Message Type Info" of type log). A smaller number is more severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The system or the application cannot go on.
    Fatal = 1,
    /// Something does not work.
    Error = 2,
    /// Something unexpected, handled.
    Warn = 3,
    /// What an operator wants to know; libdlt's default threshold.
    Info = 4,
    /// For those who look for a fault.
    Debug = 5,
    /// Everything.
    Verbose = 6,
}

/// A text that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("level `{}` is not accepted: fatal, error, warn, info, debug, verbose or 1 to 6 are", value.escape_debug())]
pub struct LevelError {
    /// The refused text.
    pub value: String,
}

impl Level {
    /// All levels, the most severe first.
    pub const ALL: [Self; 6] = [Self::Fatal, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Verbose];

    /// The level with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Fatal),
            2 => Some(Self::Error),
            3 => Some(Self::Warn),
            4 => Some(Self::Info),
            5 => Some(Self::Debug),
            6 => Some(Self::Verbose),
            _ => None,
        }
    }

    /// The MSIN byte of a verbose log message of this level.
    #[inline]
    pub const fn msin(self) -> u8 {
        (self as u8) << msin::MTIN_SHIFT | msin::TYPE_LOG << msin::MSTP_SHIFT | msin::VERB
    }

    /// Lower-case name, as DLT tools print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Verbose => "verbose",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Accepts the name in any case, or the number.
impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let named = Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(text));
        let numbered = || match text.as_bytes() {
            &[digit @ b'1'..=b'6'] => Self::from_number(digit - b'0'),
            _ => None,
        };
        named.or_else(numbered).ok_or_else(|| LevelError { value: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_round_trip() {
        for (number, level) in (1u8..).zip(Level::ALL) {
            assert_eq!(level as u8, number);
            assert_eq!(Level::from_number(number), Some(level));
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(level.to_string().to_uppercase().parse(), Ok(level));
            assert_eq!(number.to_string().parse(), Ok(level));
        }
    }

    #[test]
    fn other_texts_are_refused_and_named() {
        for text in ["", "0", "7", "01", "+1", "information", "info "] {
            let error = text.parse::<Level>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
        assert_eq!((Level::from_number(0), Level::from_number(7)), (None, None));
    }
}
