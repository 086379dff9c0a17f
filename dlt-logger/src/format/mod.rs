//! The DLT v1 wire format: building and taking apart messages.
//!
//! | module | what |
//! |---|---|
//! | [`ids`] | four-byte identifiers (application, context, ECU) |
//! | [`level`] | log levels and the message-info byte |
//! | [`header`] | storage, user, standard and extended headers, ready to be patched |
//! | [`arg`] | typed arguments to payload bytes |
//! | [`decode`] | bytes to messages: stream splitting and resynchronisation |
//! | [`frame`] | a message that has been split off |
//! | [`user`] | the messages between an application and the daemon that are no log messages |
//! | [`value`] | payload bytes to typed arguments |
//!
//! Constants carry the section of the AUTOSAR "Log and Trace Protocol Specification" (PRS) or, for what the
//! specification leaves to the implementation (user header and serial header), the C header of the COVESA daemon
//! that defines them.
//!
//! Encoding never allocates or panics, whatever values it is given (only the `PayloadWriter` for `Vec<u8>` grows its
//! vector); decoding never does, whatever bytes it is given.

pub mod arg;
pub mod decode;
pub mod frame;
pub mod header;
pub mod ids;
pub mod level;
pub mod user;
pub mod value;

pub use arg::{Arg, Args, PayloadWriter, Raw};
pub use frame::{Frame, Prefix};
pub use header::{Fields, StorageHeader, Template};
pub use ids::{Id4, IdError};
pub use level::Level;
pub use value::{Argument, Value};

/// Bits of HTYP, the first byte of the standard header (PRS "Header Type").
pub mod htyp {
    /// An extended header follows.
    pub const UEH: u8 = 0x01;
    /// The payload is big endian. The headers are not affected.
    pub const MSBF: u8 = 0x02;
    /// The ECU id is there.
    pub const WEID: u8 = 0x04;
    /// The session id is there.
    pub const WSID: u8 = 0x08;
    /// The timestamp is there.
    pub const WTMS: u8 = 0x10;
    /// Protocol version, three bits from bit 5 on.
    pub const VERSION_SHIFT: u32 = 5;
    /// The version that is spoken here.
    pub const VERSION: u8 = 1;
    /// What this library sends: version 1, all optional fields, extended header, little-endian payload.
    pub const SENT: u8 = VERSION << VERSION_SHIFT | WTMS | WSID | WEID | UEH;
}

/// Bits of MSIN, the first byte of the extended header (PRS "Message Info").
pub mod msin {
    /// The payload is verbose: arguments with type information.
    pub const VERB: u8 = 0x01;
    /// Message type, three bits from bit 1 on.
    pub const MSTP_SHIFT: u32 = 1;
    /// Message type info (for a log message its level), four bits from bit 4 on.
    pub const MTIN_SHIFT: u32 = 4;
    /// Message type: log.
    pub const TYPE_LOG: u8 = 0;
    /// Message type: application trace.
    pub const TYPE_APP_TRACE: u8 = 1;
    /// Message type: network trace.
    pub const TYPE_NW_TRACE: u8 = 2;
    /// Message type: control.
    pub const TYPE_CONTROL: u8 = 3;
}

/// Bits of the type info word before each verbose argument (PRS "Type Info").
pub mod type_info {
    /// Type length: 1 = 8 bit, 2 = 16, 3 = 32, 4 = 64, 5 = 128.
    pub const TYLE: u32 = 0x0000_000f;
    /// Boolean.
    pub const BOOL: u32 = 0x0000_0010;
    /// Signed integer.
    pub const SINT: u32 = 0x0000_0020;
    /// Unsigned integer.
    pub const UINT: u32 = 0x0000_0040;
    /// IEEE 754 float.
    pub const FLOA: u32 = 0x0000_0080;
    /// Array.
    pub const ARAY: u32 = 0x0000_0100;
    /// String.
    pub const STRG: u32 = 0x0000_0200;
    /// Raw bytes.
    pub const RAWD: u32 = 0x0000_0400;
    /// Variable info: a name, and for numbers a unit.
    pub const VARI: u32 = 0x0000_0800;
    /// Fixed point.
    pub const FIXP: u32 = 0x0000_1000;
    /// Trace info.
    pub const TRAI: u32 = 0x0000_2000;
    /// Structure.
    pub const STRU: u32 = 0x0000_4000;
    /// String coding, three bits; for numbers and raw bytes libdlt keeps a display hint here.
    pub const SCOD: u32 = 0x0003_8000;
    /// String coding: UTF-8.
    pub const SCOD_UTF8: u32 = 0x0000_8000;
    /// Display hint: hexadecimal (`DLT_SCOD_HEX` of `dlt_protocol.h`).
    pub const SCOD_HEX: u32 = 0x0001_0000;
    /// Display hint: binary (`DLT_SCOD_BIN` of `dlt_protocol.h`).
    pub const SCOD_BIN: u32 = 0x0001_8000;
}

/// Largest value of LEN, hence of a message from HTYP to the end of its payload, in bytes: LEN is a u16.
pub const MAX_MESSAGE_BYTES: usize = u16::MAX as usize;
