//! Splitting a byte stream into messages.
//!
//! What stands before a message is recognised by itself: a storage header (file), a user header (application to
//! daemon), a serial header, or nothing (TCP). Nothing is ambiguous: a version 1 message begins with a byte
//! 0x20..=0x3f, and all patterns begin with `D`, 0x44.
//!
//! [`split`] is for streams of messages. [`split_item`] also gives the other messages between an application and the
//! daemon. Both want a buffer that can hold [`MAX_ITEM_BYTES`]; then `None` always means "read more".
//!
//! ```
//! use dlt_logger::format::decode::{Value, split};
//!
//! let bytes = b"\x3d\x19\x00\x22ECU1\0\0\x12\x34\0\0\0\x07\x41\x01APP1CTX1\x43\0\0\0\x2a\0\0\0";
//! let (frame, used) = split(bytes)?.expect("the message is complete");
//! assert_eq!(used, 34);
//! assert_eq!(frame.ctid().to_string(), "CTX1");
//! assert_eq!(frame.args().next(), Some(Ok(Value::Unsigned(42))));
//! # Ok::<(), dlt_logger::format::decode::FrameError>(())
//! ```

use super::frame::header_bytes;
use super::header::{
    SERIAL_PATTERN, STORAGE_BYTES, STORAGE_PATTERN, StorageHeader, USER_BYTES, USER_PATTERN,
};
use super::user::{self, UserKind, UserMessage};
use super::{MAX_MESSAGE_BYTES, htyp};

pub use super::frame::{Extended, Frame, Prefix};
pub use super::value::{ArgError, Argument, Arguments, Value, Values};

/// No item with its prefix is longer, so a buffer of this size is never full of an incomplete one.
pub const MAX_ITEM_BYTES: usize = USER_BYTES + user::MAX_BODY_BYTES;
const _: () = assert!(MAX_ITEM_BYTES >= STORAGE_BYTES + MAX_MESSAGE_BYTES);

/// What a stream between application and daemon carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A DLT message.
    Message(Frame<'a>),
    /// Anything else, such as a registration.
    User(UserMessage<'a>),
}

/// Why bytes are no message. [`resync`] says where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The first bytes begin no message, neither with a known pattern nor with a standard header of version 1.
    #[error("{found:#04x} begins neither a DLT v1 message nor a storage, user or serial header")]
    Start {
        /// The byte that does not fit.
        found: u8,
    },
    /// LEN is less than the headers that HTYP announces.
    #[error("LEN is {len}, but the headers that HTYP {htyp:#04x} announces are {headers} bytes long")]
    Length {
        /// LEN.
        len: u16,
        /// HTYP.
        htyp: u8,
        /// Bytes of headers.
        headers: usize,
    },
    /// The type of a user header is unknown, and so is the length of what follows.
    #[error("user message type {kind} is unknown")]
    UserKind {
        /// The type.
        kind: u32,
    },
    /// The description or data of a user message is too long to be true.
    #[error(
        "a user message of type {kind:?} announces {len} bytes of text or data, at most {max} are accepted"
    )]
    UserLength {
        /// The type.
        kind: UserKind,
        /// Length field of the message.
        len: u32,
        /// What is accepted.
        max: u32,
    },
    /// Only from [`split`]: a whole user message that is no log message; `bytes` is what to skip to go on.
    #[error("a user message of type {kind:?} where only log messages are expected")]
    NotALog {
        /// The type.
        kind: UserKind,
        /// Length with its user header.
        bytes: usize,
    },
}

/// Splits the first message off `bytes`: the message and the number of bytes it takes with what stands before it.
/// `None` if more bytes are needed.
///
/// # Errors
/// The bytes are no message; see [`FrameError`].
#[inline]
pub fn split(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    match split_item(bytes) {
        Ok(Some((Item::Message(frame), used))) => Ok(Some((frame, used))),
        Ok(Some((Item::User(message), bytes))) => Err(FrameError::NotALog { kind: message.kind, bytes }),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    }
}

/// As [`split`], for the connection of an application: registrations and the like are items too.
///
/// # Errors
/// The bytes are no message; see [`FrameError`].
#[inline]
pub fn split_item(bytes: &[u8]) -> Result<Option<(Item<'_>, usize)>, FrameError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    if is_standard_header(first) {
        return message(bytes, 0, Prefix::None);
    }
    let Some(pattern) = bytes.first_chunk::<4>() else { return incomplete_pattern(bytes) };
    match *pattern {
        USER_PATTERN => {
            let Some(&[_, _, _, _, k0, k1, k2, k3]) = bytes.first_chunk::<USER_BYTES>() else {
                return Ok(None);
            };
            match u32::from_le_bytes([k0, k1, k2, k3]) {
                1 => message(bytes, USER_BYTES, Prefix::User),
                kind => user_message(bytes, kind),
            }
        }
        STORAGE_PATTERN => {
            let Some(header) = bytes.first_chunk().and_then(StorageHeader::from_bytes) else {
                return Ok(None);
            };
            message(bytes, STORAGE_BYTES, Prefix::Storage(header))
        }
        SERIAL_PATTERN => message(bytes, SERIAL_PATTERN.len(), Prefix::Serial),
        _ => Err(FrameError::Start { found: first_misfit(bytes) }),
    }
}

/// How many bytes to drop after a [`FrameError`]: up to the next pattern of a storage, user or serial header, or all but
/// a possible beginning of one. At least 1 unless `bytes` is empty.
///
/// A stream without such headers (TCP) has nothing to find again: close the connection.
pub fn resync(bytes: &[u8]) -> usize {
    let at_pattern = |bytes: &[u8]| {
        [STORAGE_PATTERN, USER_PATTERN, SERIAL_PATTERN].iter().any(|p| {
            let n = bytes.len().min(p.len());
            bytes[..n] == p[..n]
        })
    };
    (1..bytes.len()).find(|&at| at_pattern(&bytes[at..])).unwrap_or(bytes.len())
}

#[inline]
const fn is_standard_header(htyp: u8) -> bool {
    htyp >> htyp::VERSION_SHIFT == htyp::VERSION
}

/// Splits off a message that begins at `offset`.
#[inline]
fn message(bytes: &[u8], offset: usize, prefix: Prefix) -> Result<Option<(Item<'_>, usize)>, FrameError> {
    let Some(rest) = bytes.get(offset..) else { return Ok(None) };
    let Some(&[htyp, _, l0, l1]) = rest.first_chunk::<4>() else {
        return match rest.first() {
            Some(&found) if !is_standard_header(found) => Err(FrameError::Start { found }),
            _ => Ok(None),
        };
    };
    if !is_standard_header(htyp) {
        return Err(FrameError::Start { found: htyp });
    }
    let len = u16::from_be_bytes([l0, l1]);
    let headers = header_bytes(htyp);
    if usize::from(len) < headers {
        return Err(FrameError::Length { len, htyp, headers });
    }
    let Some(whole) = rest.get(..usize::from(len)) else { return Ok(None) };
    match Frame::parse(whole, prefix) {
        Some(frame) => Ok(Some((Item::Message(frame), offset + usize::from(len)))),
        None => Err(FrameError::Length { len, htyp, headers }),
    }
}

#[cold]
fn user_message(bytes: &[u8], kind: u32) -> Result<Option<(Item<'_>, usize)>, FrameError> {
    let kind = UserKind::from_number(kind).ok_or(FrameError::UserKind { kind })?;
    let body = bytes.get(USER_BYTES..).unwrap_or_default();
    let Some(body_bytes) = kind.body_bytes(body)? else { return Ok(None) };
    let Some(body) = body.get(..body_bytes) else { return Ok(None) };
    Ok(Some((Item::User(UserMessage { kind, body }), USER_BYTES + body_bytes)))
}

/// Fewer than four bytes that begin no standard header.
#[cold]
fn incomplete_pattern(bytes: &[u8]) -> Result<Option<(Item<'_>, usize)>, FrameError> {
    let fits = |p: [u8; 4]| p.starts_with(bytes);
    if fits(STORAGE_PATTERN) || fits(USER_PATTERN) || fits(SERIAL_PATTERN) {
        Ok(None)
    } else {
        Err(FrameError::Start { found: first_misfit(bytes) })
    }
}

/// The first byte that fits no pattern.
#[cold]
fn first_misfit(bytes: &[u8]) -> u8 {
    let longest = [STORAGE_PATTERN, USER_PATTERN, SERIAL_PATTERN]
        .iter()
        .map(|p| bytes.iter().zip(p).take_while(|(b, p)| b == p).count())
        .max()
        .unwrap_or(0);
    bytes.get(longest).or(bytes.first()).copied().unwrap_or(0)
}
