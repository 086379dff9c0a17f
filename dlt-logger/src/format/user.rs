//! What an application and the daemon say to each other besides log messages.
//!
//! These messages have no length field: how long one is follows from its type (`DltUserControlMsg…` of
//! `dlt_user_shared.h`). All numbers are in host byte order, little endian here.

use super::decode::FrameError;

/// Longest description or injected data that is accepted, in bytes. The daemon keeps 256 bytes of a description, and
/// libdlt receives 10,024 bytes at once; a length beyond this is a stream out of step.
pub const MAX_TEXT_BYTES: u32 = u16::MAX as u32;

/// No body is longer: a context registration with the longest description.
pub(super) const MAX_BODY_BYTES: usize = 22 + MAX_TEXT_BYTES as usize;

/// Type in the user header, except LOG (1), whose body is a DLT message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum UserKind {
    /// Application to daemon: id, i32 process id, u32 length, description.
    RegisterApplication = 2,
    /// Application to daemon: id, i32 process id.
    UnregisterApplication = 3,
    /// Application to daemon: application id, context id, i32 position, i8 level, i8 trace status, i32 process id, u32
    /// length, description.
    RegisterContext = 4,
    /// Application to daemon: application id, context id, i32 process id.
    UnregisterContext = 5,
    /// Daemon to application: u8 level, u8 trace status, i32 position.
    LogLevel = 6,
    /// Daemon to application: i32 position, u32 service id, u32 length, data.
    Injection = 7,
    /// Application to daemon: u32 number of messages lost, application id.
    Overflow = 8,
    /// Application to daemon: application id, u8 level, u8 trace status.
    ApplicationLevel = 9,
    /// Application to daemon: nothing; the message is in shared memory.
    LogShm = 10,
    /// Application to daemon: i8 mode.
    LogMode = 11,
    /// Daemon to application: i8, 1 while a client is connected.
    LogState = 12,
    /// Application to daemon: nothing.
    Marker = 13,
}

/// A whole message of these types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserMessage<'a> {
    /// Its type.
    pub kind: UserKind,
    /// What follows the user header.
    pub body: &'a [u8],
}

impl UserKind {
    /// The type with this number. `None` for LOG (1), for `TRACE_LOAD` (14), whose length depends on the build of the
    /// daemon, and for numbers without meaning.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            2 => Self::RegisterApplication,
            3 => Self::UnregisterApplication,
            4 => Self::RegisterContext,
            5 => Self::UnregisterContext,
            6 => Self::LogLevel,
            7 => Self::Injection,
            8 => Self::Overflow,
            9 => Self::ApplicationLevel,
            10 => Self::LogShm,
            11 => Self::LogMode,
            12 => Self::LogState,
            13 => Self::Marker,
            _ => return None,
        })
    }

    /// Length of the body that begins with `body`; `None` if more bytes are needed to tell.
    pub(super) fn body_bytes(self, body: &[u8]) -> Result<Option<usize>, FrameError> {
        let fixed = match self {
            Self::RegisterApplication | Self::Injection => return self.with_text(body, 12),
            Self::RegisterContext => return self.with_text(body, 22),
            Self::UnregisterApplication | Self::Overflow => 8,
            Self::UnregisterContext => 12,
            Self::LogLevel | Self::ApplicationLevel => 6,
            Self::LogMode | Self::LogState => 1,
            Self::LogShm | Self::Marker => 0,
        };
        Ok(Some(fixed))
    }

    /// Length of a body whose first `fixed` bytes end in the u32 length of what follows.
    fn with_text(self, body: &[u8], fixed: usize) -> Result<Option<usize>, FrameError> {
        let Some(len) = body.get(..fixed).and_then(<[u8]>::last_chunk::<4>) else { return Ok(None) };
        let len = u32::from_le_bytes(*len);
        if len > MAX_TEXT_BYTES {
            return Err(FrameError::UserLength { kind: self, len, max: MAX_TEXT_BYTES });
        }
        Ok(Some(fixed + len as usize))
    }
}
