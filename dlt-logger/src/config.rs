//! What a logger is made of, from code and from the environment.
//!
//! | variable | default | accepted |
//! |---|---|---|
//! | `DLT_USER_NUM_BUFFERS` | 4 | 1..=64 |
//! | `DLT_USER_BUFFER_SIZE_<n>` | 2048 | messages per lane, 2..=1048576; `n` is below the number of buffers |
//! | `DLT_USER_BATCH_SIZE` | 16 | messages per `writev`, 1..=1024 |
//! | `DLT_USER_OVERFLOW_MODE` | 0 | 0 Overwrite, 1 `DropNewest`, 2 `BlockWithTimeout` |
//! | `DLT_USER_TIMEOUT_MS` | 100 | mode 2 only, 1..=60000 |
//! | `DLT_USER_MEMORY_LIMIT` | 256M | bytes for all lanes together, with suffix k, M or G (of 1024) |
//!
//! A value that is not accepted is an error, never ignored. Other variables that begin with `DLT_USER_` belong to the
//! C library and are left alone.

mod env;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

pub use env::{Overrides, Warning};

/// Accepted numbers of buffers.
pub const NUM_BUFFERS: RangeInclusive<usize> = 1..=64;
/// Accepted capacities of a lane, in messages.
pub const BUFFER_SIZE: RangeInclusive<usize> = 2..=1_048_576;
/// Accepted numbers of messages per `writev`.
pub const BATCH_SIZE: RangeInclusive<usize> = 1..=1024;
/// Accepted timeouts of [`OverflowMode::BlockWithTimeout`], in milliseconds.
pub const TIMEOUT_MS: RangeInclusive<u64> = 1..=60_000;
/// Capacity of a lane, in messages, unless configured.
pub const DEFAULT_BUFFER_SIZE: usize = 2048;

/// What a producer does when its lane is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum OverflowMode {
    /// The oldest message of the lane is given up for the new one. The call never waits.
    #[default]
    Overwrite = 0,
    /// The new message is given up and counted. The call never waits.
    DropNewest = 1,
    /// The call waits for room, at most for the configured timeout.
    BlockWithTimeout = 2,
}

impl OverflowMode {
    /// All modes in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Overwrite, Self::DropNewest, Self::BlockWithTimeout];
}

impl fmt::Display for OverflowMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Overwrite => "Overwrite",
            Self::DropNewest => "DropNewest",
            Self::BlockWithTimeout => "BlockWithTimeout",
        })
    }
}

impl TryFrom<u8> for OverflowMode {
    type Error = ConfigError;

    fn try_from(number: u8) -> Result<Self, ConfigError> {
        Self::ALL
            .into_iter()
            .find(|&mode| mode as u8 == number)
            .ok_or_else(|| not_accepted("overflow mode", number, env::OVERFLOW_MODES))
    }
}

/// Why a configuration is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value is out of its range or cannot be read.
    #[error("{name} = `{value}` is not accepted: {accepted}")]
    NotAccepted {
        /// The variable or field.
        name: String,
        /// Its value as it was given; bytes that are not UTF-8 are shown as `\xNN`.
        value: String,
        /// What would be accepted.
        accepted: String,
    },
    /// The name of a variable does not end in the number of a buffer.
    #[error(
        "{name} = `{value}` sizes no buffer: the name ends in a buffer number, 0..={last} with {num_buffers} buffers \
         (DLT_USER_NUM_BUFFERS)"
    )]
    NoSuchBuffer {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// Number of buffers that are configured.
        num_buffers: usize,
        /// Number of the last buffer.
        last: usize,
    },
}

fn not_accepted(
    name: impl fmt::Display,
    value: impl fmt::Display,
    accepted: impl fmt::Display,
) -> ConfigError {
    ConfigError::NotAccepted {
        name: name.to_string(),
        value: value.to_string(),
        accepted: accepted.to_string(),
    }
}

/// What a logger is made of. A logger checks it when it is built ([`Config::validate`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Number of buffers, [`NUM_BUFFERS`].
    pub num_buffers: usize,
    /// Capacity of the lanes of each buffer, in messages, [`BUFFER_SIZE`]; one entry per buffer.
    pub buffer_sizes: Vec<usize>,
    /// Most messages that one `writev` carries, [`BATCH_SIZE`].
    pub batch_size: usize,
    /// What a full lane does; can be changed at run time.
    pub overflow_mode: OverflowMode,
    /// How long [`OverflowMode::BlockWithTimeout`] waits at most, [`TIMEOUT_MS`].
    pub timeout: Duration,
    /// Most memory of all lanes together, in bytes; 1 or more.
    pub memory_limit_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        let num_buffers = 4;
        Self {
            num_buffers,
            buffer_sizes: vec![DEFAULT_BUFFER_SIZE; num_buffers],
            batch_size: 16,
            overflow_mode: OverflowMode::default(),
            timeout: Duration::from_millis(100),
            memory_limit_bytes: 256 << 20,
        }
    }
}

impl Config {
    /// Sets the number of buffers. New ones have the default size. Sizes of buffers that are no more are dropped only if
    /// they are the default; one that was set on purpose stays and is refused by [`Config::validate`].
    #[must_use]
    pub fn with_num_buffers(mut self, num_buffers: usize) -> Self {
        self.num_buffers = num_buffers;
        // The clamp only keeps a nonsensical number, which is refused later, from being allocated.
        let wanted = num_buffers.min(*NUM_BUFFERS.end());
        while self.buffer_sizes.len() > wanted && self.buffer_sizes.last() == Some(&DEFAULT_BUFFER_SIZE) {
            self.buffer_sizes.pop();
        }
        if self.buffer_sizes.len() < wanted {
            self.buffer_sizes.resize(wanted, DEFAULT_BUFFER_SIZE);
        }
        self
    }

    /// Sets the capacity of the lanes of one buffer, in messages. A buffer that does not exist is refused by
    /// [`Config::validate`], unless [`Config::with_num_buffers`] makes it exist.
    #[must_use]
    pub fn with_buffer_size(mut self, buffer: usize, messages: usize) -> Self {
        let buffer = buffer.min(*NUM_BUFFERS.end());
        if buffer >= self.buffer_sizes.len() {
            self.buffer_sizes.resize(buffer + 1, DEFAULT_BUFFER_SIZE);
        }
        self.buffer_sizes[buffer] = messages;
        self
    }

    /// Sets the capacity of the lanes of all buffers there are, in messages.
    #[must_use]
    pub fn with_all_buffer_sizes(mut self, messages: usize) -> Self {
        self.buffer_sizes.fill(messages);
        self
    }

    /// Sets the number of messages per `writev`.
    #[must_use]
    pub fn with_batch_size(mut self, messages: usize) -> Self {
        self.batch_size = messages;
        self
    }

    /// Sets what a full lane does.
    #[must_use]
    pub fn with_overflow_mode(mut self, mode: OverflowMode) -> Self {
        self.overflow_mode = mode;
        self
    }

    /// Sets how long a call waits at most in [`OverflowMode::BlockWithTimeout`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the limit of memory of all lanes together, in bytes.
    #[must_use]
    pub fn with_memory_limit_bytes(mut self, bytes: u64) -> Self {
        self.memory_limit_bytes = bytes;
        self
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first value that is not accepted.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { num_buffers, buffer_sizes, batch_size, overflow_mode: _, timeout, memory_limit_bytes } =
            self;
        in_range("num_buffers", *num_buffers, &NUM_BUFFERS, "a number of buffers")?;
        if buffer_sizes.len() != *num_buffers {
            let accepted = format!("one size for each of the {num_buffers} buffers of `num_buffers`");
            return Err(not_accepted("buffer_sizes", format!("{buffer_sizes:?}"), accepted));
        }
        for (buffer, &size) in buffer_sizes.iter().enumerate() {
            in_range(format_args!("buffer_sizes[{buffer}]"), size, &BUFFER_SIZE, "a number of messages")?;
        }
        in_range("batch_size", *batch_size, &BATCH_SIZE, "a number of messages")?;
        let (least, most) =
            (Duration::from_millis(*TIMEOUT_MS.start()), Duration::from_millis(*TIMEOUT_MS.end()));
        if !(least..=most).contains(timeout) {
            return Err(not_accepted(
                "timeout",
                format!("{timeout:?}"),
                format!("a time of {least:?}..={most:?} is"),
            ));
        }
        in_range("memory_limit_bytes", *memory_limit_bytes, &(1..=u64::MAX), "a number of bytes")
    }
}

fn in_range<T: PartialOrd + fmt::Display>(
    name: impl fmt::Display,
    value: T,
    range: &RangeInclusive<T>,
    what: &str,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(not_accepted(name, value, format_args!("{what}, {}..={}, is", range.start(), range.end())))
}
