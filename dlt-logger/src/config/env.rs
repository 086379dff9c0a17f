//! The configuration that stands in the environment.

use super::{
    BATCH_SIZE, BUFFER_SIZE, Config, ConfigError, NUM_BUFFERS, OverflowMode, TIMEOUT_MS, not_accepted,
};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

const VAR_NUM_BUFFERS: &str = "DLT_USER_NUM_BUFFERS";
const VAR_BUFFER_SIZE: &str = "DLT_USER_BUFFER_SIZE_";
const VAR_BATCH_SIZE: &str = "DLT_USER_BATCH_SIZE";
const VAR_OVERFLOW_MODE: &str = "DLT_USER_OVERFLOW_MODE";
const VAR_TIMEOUT_MS: &str = "DLT_USER_TIMEOUT_MS";
const VAR_MEMORY_LIMIT: &str = "DLT_USER_MEMORY_LIMIT";

/// What is accepted as a mode.
pub(super) const OVERFLOW_MODES: &str = "0 (Overwrite), 1 (DropNewest) or 2 (BlockWithTimeout) is";

/// Values that a benchmark sweeps itself: they win over the environment. `None` leaves the environment its say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Number of buffers. Variables that size a buffer at or above it are a warning, not an error.
    pub num_buffers: Option<usize>,
    /// Capacity of the lanes of every buffer, in messages.
    pub buffer_size: Option<usize>,
    /// Messages per `writev`.
    pub batch_size: Option<usize>,
    /// What a full lane does.
    pub overflow_mode: Option<OverflowMode>,
}

/// A variable that is set, and whose value is not what counts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A swept value is used instead.
    Overridden {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// The value that is used.
        used: String,
    },
    /// It sizes a buffer that does not exist with the swept number of buffers.
    NoSuchBuffer {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// The swept number of buffers.
        num_buffers: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overridden { name, value, used } => {
                write!(f, "{name} = `{value}` has no effect here: this case sets it to {used}")
            }
            Self::NoSuchBuffer { name, value, num_buffers } => {
                write!(f, "{name} = `{value}` has no effect here: this case has {num_buffers} buffer(s)")
            }
        }
    }
}

impl Config {
    /// The configuration of this process's environment.
    ///
    /// # Errors
    /// A variable has a value that is not accepted.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(std::env::vars_os())
    }

    /// As [`Config::from_env`], from pairs of names and values.
    ///
    /// # Errors
    /// A variable has a value that is not accepted.
    pub fn from_vars<K: Into<OsString>, V: Into<OsString>>(
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError> {
        Self::from_vars_swept(vars, &Overrides::default()).map(|(config, _)| config)
    }

    /// As [`Config::from_env`], with `num_buffers` instead of what the environment says if it is given. Variables that
    /// then size no buffer are a warning.
    ///
    /// # Errors
    /// A variable has a value that is not accepted.
    pub fn from_env_lenient(num_buffers: Option<usize>) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::from_env_swept(&Overrides { num_buffers, ..Overrides::default() })
    }

    /// As [`Config::from_env`], with the values of `overrides` instead of the environment's, and a warning for each
    /// variable that has no effect because of that.
    ///
    /// # Errors
    /// A variable, also one without effect, or an override has a value that is not accepted.
    pub fn from_env_swept(overrides: &Overrides) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::from_vars_swept(std::env::vars_os(), overrides)
    }

    /// As [`Config::from_env_swept`], from pairs of names and values.
    ///
    /// # Errors
    /// A variable, also one without effect, or an override has a value that is not accepted.
    pub fn from_vars_swept<K: Into<OsString>, V: Into<OsString>>(
        vars: impl IntoIterator<Item = (K, V)>,
        overrides: &Overrides,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let vars = Vars::collect(vars);
        let mut warnings = Vec::new();
        let mut config = Self::default();

        let num_buffers = vars.number(VAR_NUM_BUFFERS, &NUM_BUFFERS, "a number of buffers")?;
        let swept = overrides.num_buffers;
        let num_buffers = vars.resolve(VAR_NUM_BUFFERS, num_buffers, swept, &mut warnings);
        if let Some(num_buffers) = num_buffers {
            config = config.with_num_buffers(num_buffers);
        }

        for (name, value) in vars.buffer_sizes() {
            let size = number(name, value, &BUFFER_SIZE, "a number of messages")?;
            let known = config.num_buffers;
            match buffer_index(name) {
                Some(index) if index < known => {
                    config.buffer_sizes[index] = size;
                    vars.resolve(name, Some(size), overrides.buffer_size, &mut warnings);
                }
                Some(_) if swept.is_some() => warnings.push(Warning::NoSuchBuffer {
                    name: name.clone(),
                    value: shown(value),
                    num_buffers: known,
                }),
                _ => {
                    return Err(ConfigError::NoSuchBuffer {
                        name: name.clone(),
                        value: shown(value),
                        num_buffers: known,
                        last: known.saturating_sub(1),
                    });
                }
            }
        }
        if let Some(size) = overrides.buffer_size {
            config.buffer_sizes.fill(size);
        }

        let batch_size = vars.number(VAR_BATCH_SIZE, &BATCH_SIZE, "a number of messages")?;
        if let Some(size) = vars.resolve(VAR_BATCH_SIZE, batch_size, overrides.batch_size, &mut warnings) {
            config.batch_size = size;
        }
        let mode = vars.overflow_mode()?;
        if let Some(mode) = vars.resolve(VAR_OVERFLOW_MODE, mode, overrides.overflow_mode, &mut warnings) {
            config.overflow_mode = mode;
        }
        if let Some(ms) = vars.number(VAR_TIMEOUT_MS, &TIMEOUT_MS, "a number of milliseconds")? {
            config.timeout = Duration::from_millis(ms);
        }
        if let Some(value) = vars.get(VAR_MEMORY_LIMIT) {
            config.memory_limit_bytes = memory_limit(value)?;
        }
        config.validate()?;
        Ok((config, warnings))
    }
}

/// The variables that are ours, by name.
struct Vars(BTreeMap<String, OsString>);

impl Vars {
    fn collect<K: Into<OsString>, V: Into<OsString>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        let ours = |name: &str| {
            name.starts_with(VAR_BUFFER_SIZE)
                || [VAR_NUM_BUFFERS, VAR_BATCH_SIZE, VAR_OVERFLOW_MODE, VAR_TIMEOUT_MS, VAR_MEMORY_LIMIT]
                    .contains(&name)
        };
        let named = vars.into_iter().map(|(name, value)| (shown(name.into()), value.into()));
        Self(named.filter(|(name, _)| ours(name)).collect())
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }

    fn buffer_sizes(&self) -> impl Iterator<Item = (&String, &OsString)> {
        self.0.iter().filter(|(name, _)| name.starts_with(VAR_BUFFER_SIZE))
    }

    fn number<T: TryFrom<u64> + PartialOrd + fmt::Display>(
        &self,
        name: &str,
        range: &RangeInclusive<T>,
        what: &str,
    ) -> Result<Option<T>, ConfigError> {
        self.get(name).map(|value| number(name, value, range, what)).transpose()
    }

    fn overflow_mode(&self) -> Result<Option<OverflowMode>, ConfigError> {
        let Some(value) = self.get(VAR_OVERFLOW_MODE) else { return Ok(None) };
        let mode =
            digits(value.as_encoded_bytes()).and_then(|n| u8::try_from(n).ok()).map(OverflowMode::try_from);
        match mode {
            Some(Ok(mode)) => Ok(Some(mode)),
            _ => Err(not_accepted(VAR_OVERFLOW_MODE, shown(value), OVERFLOW_MODES)),
        }
    }

    /// The swept value if there is one, with a warning if the environment says something else.
    fn resolve<T: PartialEq + fmt::Display>(
        &self,
        name: &str,
        set: Option<T>,
        swept: Option<T>,
        warnings: &mut Vec<Warning>,
    ) -> Option<T> {
        let Some(swept) = swept else { return set };
        if set.is_some_and(|set| set != swept) {
            let value = self.get(name).map(shown).unwrap_or_default();
            warnings.push(Warning::Overridden { name: name.to_owned(), value, used: swept.to_string() });
        }
        Some(swept)
    }
}

/// Text as given, with bytes that are not UTF-8 as `\xNN`.
fn shown(text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref();
    text.to_str().map_or_else(|| text.as_encoded_bytes().escape_ascii().to_string(), str::to_owned)
}

/// The number of the buffer that a variable sizes. Without leading zeros, so that no two variables size the same one.
fn buffer_index(name: &str) -> Option<usize> {
    let text = name.strip_prefix(VAR_BUFFER_SIZE)?;
    if text.len() > 1 && text.starts_with('0') {
        return None;
    }
    digits(text.as_bytes()).and_then(|index| index.try_into().ok())
}

/// A number of decimal digits only: no sign, no space.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn number<T: TryFrom<u64> + PartialOrd + fmt::Display>(
    name: &str,
    value: &OsStr,
    range: &RangeInclusive<T>,
    what: &str,
) -> Result<T, ConfigError> {
    digits(value.as_encoded_bytes())
        .and_then(|n| T::try_from(n).ok())
        .filter(|n| range.contains(n))
        .ok_or_else(|| {
            not_accepted(name, shown(value), format_args!("{what}, {}..={}, is", range.start(), range.end()))
        })
}

/// A number of bytes with an optional suffix.
fn memory_limit(value: &OsStr) -> Result<u64, ConfigError> {
    let text = value.as_encoded_bytes();
    let (text, shift) = match text.split_last() {
        Some((b'k' | b'K', text)) => (text, 10),
        Some((b'm' | b'M', text)) => (text, 20),
        Some((b'g' | b'G', text)) => (text, 30),
        _ => (text, 0),
    };
    digits(text).and_then(|n| n.checked_mul(1 << shift)).filter(|&bytes| bytes > 0).ok_or_else(|| {
        let accepted = format!("a number of bytes, 1..={}, with an optional suffix k, M or G, is", u64::MAX);
        not_accepted(VAR_MEMORY_LIMIT, shown(value), accepted)
    })
}
