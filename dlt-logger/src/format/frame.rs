//! A message as it lies in received bytes.

use super::header::{StorageHeader, TEMPLATE_BYTES};
use super::ids::Id4;
use super::value::{Arguments, Values};
use super::{htyp, level::Level, msin};

/// What stood before the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// Nothing: TCP.
    None,
    /// A storage header: a file.
    Storage(StorageHeader),
    /// A user header of type LOG: an application's connection to the daemon.
    User,
    /// The serial header.
    Serial,
}

/// The extended header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended {
    /// Message info: verbose bit, type, level.
    pub msin: u8,
    /// Number of arguments.
    pub noar: u8,
    /// Application.
    pub apid: Id4,
    /// Context.
    pub ctid: Id4,
}

/// One DLT v1 message. Optional fields are `None` where the message does not have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What stood before it.
    pub prefix: Prefix,
    /// Header type: the bits in [`htyp`].
    pub htyp: u8,
    /// Message counter.
    pub mcnt: u8,
    /// ECU id.
    pub ecu: Option<Id4>,
    /// Session id; the process id by convention.
    pub session_id: Option<u32>,
    /// Time since boot in 0.1 ms.
    pub timestamp: Option<u32>,
    /// Extended header.
    pub extended: Option<Extended>,
    /// What follows the headers.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Application id; [`Id4::NONE`] without extended header.
    #[inline]
    pub fn apid(&self) -> Id4 {
        self.extended.map_or(Id4::NONE, |extended| extended.apid)
    }

    /// Context id; [`Id4::NONE`] without extended header.
    #[inline]
    pub fn ctid(&self) -> Id4 {
        self.extended.map_or(Id4::NONE, |extended| extended.ctid)
    }

    /// Number of arguments as the extended header says; 0 without one.
    #[inline]
    pub fn noar(&self) -> u8 {
        self.extended.map_or(0, |extended| extended.noar)
    }

    /// Message type: [`msin::TYPE_LOG`] and so on. `None` without extended header.
    #[inline]
    pub fn message_type(&self) -> Option<u8> {
        self.extended.map(|extended| extended.msin >> msin::MSTP_SHIFT & 0x7)
    }

    /// Message type info; what it means depends on the message type. `None` without extended header.
    #[inline]
    pub fn message_type_info(&self) -> Option<u8> {
        self.extended.map(|extended| extended.msin >> msin::MTIN_SHIFT)
    }

    /// Level, if this is a log message with one.
    #[inline]
    pub fn level(&self) -> Option<Level> {
        match self.message_type() {
            Some(msin::TYPE_LOG) => self.message_type_info().and_then(Level::from_number),
            _ => None,
        }
    }

    /// True if the payload is arguments with type information.
    #[inline]
    pub fn is_verbose(&self) -> bool {
        self.extended.is_some_and(|extended| extended.msin & msin::VERB != 0)
    }

    /// True if the payload is big endian.
    #[inline]
    pub fn is_big_endian(&self) -> bool {
        self.htyp & htyp::MSBF != 0
    }

    /// Message id of a non-verbose message, service id of a control message: the first four bytes of a payload that is
    /// not verbose, and what follows them.
    pub fn message_id(&self) -> Option<(u32, &'a [u8])> {
        if self.is_verbose() {
            return None;
        }
        let (id, data) = self.payload.split_first_chunk::<4>()?;
        Some((if self.is_big_endian() { u32::from_be_bytes(*id) } else { u32::from_le_bytes(*id) }, data))
    }

    /// The values of a verbose message, one after the other; none if it is not verbose.
    #[inline]
    pub fn args(&self) -> Values<'a> {
        Values(self.arguments())
    }

    /// The arguments of a verbose message with their type info, names and units; none if it is not verbose.
    #[inline]
    pub fn arguments(&self) -> Arguments<'a> {
        let count = if self.is_verbose() { self.noar() } else { 0 };
        Arguments::new(self.payload, count, self.is_big_endian())
    }

    /// Takes a whole message apart, HTYP to the end of its payload, whose LEN and version have been checked.
    /// `None` if the headers do not fit it.
    #[inline]
    pub(super) fn parse(message: &'a [u8], prefix: Prefix) -> Option<Self> {
        let &[htyp, mcnt, ..] = message else { return None };
        if htyp & !htyp::MSBF == htyp::SENT {
            Self::parse_full(message, prefix)
        } else {
            Self::parse_any(message, prefix, htyp, mcnt)
        }
    }

    /// All optional fields are there: fixed offsets.
    #[inline]
    fn parse_full(message: &'a [u8], prefix: Prefix) -> Option<Self> {
        let (head, payload) = message.split_first_chunk::<TEMPLATE_BYTES>()?;
        #[rustfmt::skip]
        let [
            htyp, mcnt, _, _, e0, e1, e2, e3, s0, s1, s2, s3, t0, t1, t2, t3,
            msin, noar, a0, a1, a2, a3, c0, c1, c2, c3,
        ] = *head;
        let (apid, ctid) = (Id4::from_bytes([a0, a1, a2, a3]), Id4::from_bytes([c0, c1, c2, c3]));
        Some(Self {
            prefix,
            htyp,
            mcnt,
            ecu: Some(Id4::from_bytes([e0, e1, e2, e3])),
            session_id: Some(u32::from_be_bytes([s0, s1, s2, s3])),
            timestamp: Some(u32::from_be_bytes([t0, t1, t2, t3])),
            extended: Some(Extended { msin, noar, apid, ctid }),
            payload,
        })
    }

    fn parse_any(message: &'a [u8], prefix: Prefix, htyp: u8, mcnt: u8) -> Option<Self> {
        let mut rest = message.get(4..)?;
        let mut field = |bit| -> Option<Option<[u8; 4]>> {
            if htyp & bit == 0 {
                return Some(None);
            }
            let (field, after) = rest.split_first_chunk::<4>()?;
            rest = after;
            Some(Some(*field))
        };
        let ecu = field(htyp::WEID)?.map(Id4::from_bytes);
        let session_id = field(htyp::WSID)?.map(u32::from_be_bytes);
        let timestamp = field(htyp::WTMS)?.map(u32::from_be_bytes);
        let mut extended = None;
        if htyp & htyp::UEH != 0 {
            let (&[msin, noar, a0, a1, a2, a3, c0, c1, c2, c3], after) = rest.split_first_chunk::<10>()?;
            rest = after;
            let (apid, ctid) = (Id4::from_bytes([a0, a1, a2, a3]), Id4::from_bytes([c0, c1, c2, c3]));
            extended = Some(Extended { msin, noar, apid, ctid });
        }
        Some(Self { prefix, htyp, mcnt, ecu, session_id, timestamp, extended, payload: rest })
    }
}

/// Bytes of the standard header with its optional fields and of the extended header, as HTYP announces them.
#[inline]
pub(super) const fn header_bytes(htyp: u8) -> usize {
    let optional = (htyp & (htyp::WEID | htyp::WSID | htyp::WTMS)).count_ones() as usize;
    let extended = if htyp & htyp::UEH != 0 { 10 } else { 0 };
    4 + 4 * optional + extended
}
