//! Headers that go before a payload.
//!
//! The worker writes millions of them a second: everything that a context never changes lies in a [`Template`], and
//! the six fields that differ from message to message are merged in while it is copied.

use super::ids::Id4;
use super::{htyp, level::Level};

/// Bytes of the headers that [`Template`] makes: standard header, ECU id, session id, timestamp, extended header.
pub const TEMPLATE_BYTES: usize = 26;
/// Bytes of the storage header (PRS "Storage Header").
pub const STORAGE_BYTES: usize = 16;
/// Bytes of the user header (`DltUserHeader` of `dlt_user_shared.h`).
pub const USER_BYTES: usize = 8;

/// First four bytes of the storage header.
pub const STORAGE_PATTERN: [u8; 4] = *b"DLT\x01";
/// First four bytes of the user header (`DLT_USER_HEADER` pattern of `dlt_user_shared.h`).
pub const USER_PATTERN: [u8; 4] = *b"DUH\x01";
/// The serial header (`dltSerialHeader` of `dlt_common.c`).
pub const SERIAL_PATTERN: [u8; 4] = *b"DLS\x01";
/// User header of a log message: the pattern and message type 1 (`DLT_USER_MESSAGE_LOG`).
pub const USER_LOG: [u8; USER_BYTES] = *b"DUH\x01\x01\0\0\0";

/// Largest payload that fits behind [`TEMPLATE_BYTES`] of headers.
pub const MAX_PAYLOAD_BYTES: usize = super::MAX_MESSAGE_BYTES - TEMPLATE_BYTES;

/// Offsets within the bytes of a [`Template`], and of every message with all optional fields.
pub mod offset {
    /// Header type.
    pub const HTYP: usize = 0;
    /// u8 message counter.
    pub const MCNT: usize = 1;
    /// u16 big endian, HTYP to the end of the payload.
    pub const LEN: usize = 2;
    /// ECU id.
    pub const ECU: usize = 4;
    /// u32 big endian session id.
    pub const SEID: usize = 8;
    /// u32 big endian timestamp in 0.1 ms.
    pub const TMSP: usize = 12;
    /// Message info.
    pub const MSIN: usize = 16;
    /// u8 number of arguments.
    pub const NOAR: usize = 17;
    /// Application id.
    pub const APID: usize = 18;
    /// Context id.
    pub const CTID: usize = 22;
}

/// The headers of one context's messages, with zeros where messages differ ([`Fields`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    bytes: [u8; TEMPLATE_BYTES],
}

/// What differs from message to message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// Message counter of the context.
    pub mcnt: u8,
    /// Bytes of the payload, at most [`MAX_PAYLOAD_BYTES`].
    pub payload_bytes: usize,
    /// Time since boot in 0.1 ms.
    pub timestamp: u32,
    /// Message type, level and verbose bit: [`Level::msin`].
    pub msin: u8,
    /// Number of arguments.
    pub noar: u8,
}

impl Template {
    /// Headers of the messages of context `ctid` of application `apid`. `session_id` is the process id by convention.
    pub const fn new(ecu: Id4, session_id: u32, apid: Id4, ctid: Id4) -> Self {
        let (e, s, a, c) = (ecu.to_bytes(), session_id.to_be_bytes(), apid.to_bytes(), ctid.to_bytes());
        #[rustfmt::skip]
        let bytes = [
            htyp::SENT, 0, 0, 0, e[0], e[1], e[2], e[3], s[0], s[1], s[2], s[3], 0, 0, 0, 0,
            0, 0, a[0], a[1], a[2], a[3], c[0], c[1], c[2], c[3],
        ];
        Self { bytes }
    }

    /// The 26 bytes with zeros in the fields that differ.
    pub const fn as_bytes(&self) -> &[u8; TEMPLATE_BYTES] {
        &self.bytes
    }

    /// The same for messages of one time: [`Fields::timestamp`] is then 0.
    #[must_use]
    pub(crate) const fn at_time(mut self, timestamp: u32) -> Self {
        let [a, b, c, d] = timestamp.to_be_bytes();
        self.bytes[offset::TMSP] = a;
        self.bytes[offset::TMSP + 1] = b;
        self.bytes[offset::TMSP + 2] = c;
        self.bytes[offset::TMSP + 3] = d;
        self
    }

    /// The headers of one message. A payload of more than [`MAX_PAYLOAD_BYTES`] makes LEN wrap: refuse it before.
    #[inline]
    pub fn render(&self, fields: &Fields) -> [u8; TEMPLATE_BYTES] {
        let mut bytes = self.bytes;
        self.write(fields, &mut bytes);
        bytes
    }

    /// Writes the headers of one message to `out`, as [`Template::render`] does.
    ///
    /// Each word is stored once, with its fields merged in, so that a later load of the same bytes is forwarded from
    /// one store.
    #[inline]
    pub fn write(&self, fields: &Fields, out: &mut [u8; TEMPLATE_BYTES]) {
        debug_assert!(fields.payload_bytes <= MAX_PAYLOAD_BYTES, "{} bytes of payload", fields.payload_bytes);
        let len = (TEMPLATE_BYTES + fields.payload_bytes) as u16;
        let merge = |at: usize, field: u64| (word(&self.bytes, at) | field).to_le_bytes();
        // The words are taken as little endian, so a big-endian field is a byte-swapped one.
        let standard = u64::from(fields.mcnt) << 8 | u64::from(len.swap_bytes()) << 16;
        let time = u64::from(fields.timestamp.swap_bytes()) << 32;
        let extended = u64::from(fields.msin) | u64::from(fields.noar) << 8;
        out[..8].copy_from_slice(&merge(offset::HTYP, standard));
        out[8..16].copy_from_slice(&merge(offset::SEID, time));
        out[16..24].copy_from_slice(&merge(offset::MSIN, extended));
        out[24..].copy_from_slice(&self.bytes[24..]);
    }

    /// The headers of a verbose log message of `level`: [`Template::render`] for paths that are not hot.
    pub fn log(
        &self,
        level: Level,
        mcnt: u8,
        timestamp: u32,
        noar: u8,
        payload_bytes: usize,
    ) -> [u8; TEMPLATE_BYTES] {
        self.render(&Fields { mcnt, payload_bytes, timestamp, msin: level.msin(), noar })
    }
}

/// What a file has before each message: when it was stored, and by which ECU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageHeader {
    /// Seconds since 1970.
    pub seconds: u32,
    /// Microseconds within the second.
    pub microseconds: i32,
    /// ECU id of the storing side.
    pub ecu: Id4,
}

impl StorageHeader {
    /// The 16 bytes in a file. The numbers are little endian: the specification says host byte order, and DLT files
    /// are written on little-endian machines.
    #[inline]
    pub const fn to_bytes(self) -> [u8; STORAGE_BYTES] {
        let (p, e) = (STORAGE_PATTERN, self.ecu.to_bytes());
        let (s, us) = (self.seconds.to_le_bytes(), self.microseconds.to_le_bytes());
        #[rustfmt::skip]
        let bytes = [
            p[0], p[1], p[2], p[3], s[0], s[1], s[2], s[3], us[0], us[1], us[2], us[3], e[0], e[1], e[2], e[3],
        ];
        bytes
    }

    /// Takes the 16 bytes apart; `None` if they do not begin with the pattern.
    #[inline]
    pub const fn from_bytes(bytes: &[u8; STORAGE_BYTES]) -> Option<Self> {
        #[rustfmt::skip]
        let [p0, p1, p2, p3, s0, s1, s2, s3, u0, u1, u2, u3, e0, e1, e2, e3] = *bytes;
        if u32::from_ne_bytes([p0, p1, p2, p3]) != u32::from_ne_bytes(STORAGE_PATTERN) {
            return None;
        }
        Some(Self {
            seconds: u32::from_le_bytes([s0, s1, s2, s3]),
            microseconds: i32::from_le_bytes([u0, u1, u2, u3]),
            ecu: Id4::from_bytes([e0, e1, e2, e3]),
        })
    }
}

/// Eight bytes from `at` on; `at` is a constant that leaves eight.
#[inline]
fn word(bytes: &[u8; TEMPLATE_BYTES], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of a log message in the protocol's description, with its headers only.
    #[test]
    fn every_field_lies_at_its_offset() {
        let id = |text| Id4::new(text).unwrap();
        let template = Template::new(id("ECU1"), 0x0001_2345, id("GOLD"), id("CTX1"));
        let bytes = template.log(Level::Info, 25, 0x0102_0304, 1, 12);
        assert_eq!(bytes, *b"\x3d\x19\x00\x26ECU1\x00\x01\x23\x45\x01\x02\x03\x04\x41\x01GOLDCTX1");
        assert_eq!(bytes[offset::MCNT], 25);
        assert_eq!(bytes[offset::LEN..offset::ECU], [0, 0x26]);
        assert_eq!(bytes[offset::TMSP..offset::MSIN], [1, 2, 3, 4]);
        assert_eq!((bytes[offset::MSIN], bytes[offset::NOAR]), (0x41, 1));
        assert_eq!(&bytes[offset::APID..], b"GOLDCTX1");
        let mut patched = *template.as_bytes();
        for (at, value) in
            [(1, 25), (2, 0), (3, 0x26), (12, 1), (13, 2), (14, 3), (15, 4), (16, 0x41), (17, 1)]
        {
            patched[at] = value;
        }
        assert_eq!(patched, bytes, "patching by offset and writing by word are the same");
    }

    #[test]
    fn largest_payload_fills_len() {
        let template = Template::new(Id4::NONE, 0, Id4::NONE, Id4::NONE);
        let bytes = template.log(Level::Fatal, 255, u32::MAX, 255, MAX_PAYLOAD_BYTES);
        assert_eq!(bytes, *b"\x3d\xff\xff\xff\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x11\xff\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn storage_header_round_trip() {
        let header = StorageHeader { seconds: u32::MAX, microseconds: -1, ecu: Id4::new("E").unwrap() };
        assert_eq!(header.to_bytes(), *b"DLT\x01\xff\xff\xff\xff\xff\xff\xff\xffE\0\0\0");
        assert_eq!(StorageHeader::from_bytes(&header.to_bytes()), Some(header));
        assert_eq!(StorageHeader::from_bytes(&[0; STORAGE_BYTES]), None);
    }
}
