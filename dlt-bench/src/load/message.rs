//! The benchmark's message: a sequence number and a 16-byte string, from a context that names its producer.
//!
//! 31 bytes of payload, 57 with the headers: the message of the figures that this project publishes.

use dlt_logger::Id4;

/// The application id.
pub const APPLICATION: &str = "BNCH";
/// The string of every message.
pub const TEXT: &str = "0123456789abcdef";
/// Arguments of every message.
pub const ARGUMENTS: u8 = 2;
/// Context of the logger's own messages about losses; they are no part of what was attempted.
pub const LOSS_CONTEXT: &str = "LOSS";

/// Type info of a u32.
const TYPE_U32: [u8; 4] = [0x43, 0, 0, 0];
/// Type info of a UTF-8 string, and its length with the final NUL.
const STRING_HEAD: [u8; 6] = [0, 0x82, 0, 0, TEXT.len() as u8 + 1, 0];
/// Bytes of the payload.
pub const PAYLOAD_BYTES: usize = 4 + 4 + 6 + TEXT.len() + 1;

/// Name of a producer, which is the id of its context: `P000`, `P001`, ….
pub fn producer_name(index: usize) -> String {
    format!("P{index:03}")
}

/// Index of the producer whose context this is.
#[inline]
pub fn producer_index(context: Id4) -> Option<usize> {
    let [b'P', digits @ ..] = context.to_bytes() else { return None };
    digits.iter().try_fold(0, |index, digit| match digit {
        b'0'..=b'9' => Some(index * 10 + usize::from(digit - b'0')),
        _ => None,
    })
}

/// The sequence number in a payload that is, byte for byte, that of a message; `None` for any other payload.
#[inline]
pub fn sequence_number(payload: &[u8]) -> Option<u32> {
    let payload: &[u8; PAYLOAD_BYTES] = payload.try_into().ok()?;
    let (type_info, rest) = payload.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<4>()?;
    let (head, rest) = rest.split_first_chunk::<6>()?;
    let (text, nul) = rest.split_at(TEXT.len());
    let is_ours = *type_info == TYPE_U32 && *head == STRING_HEAD && text == TEXT.as_bytes() && nul == [0];
    is_ours.then_some(u32::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt_logger::format::Args;

    fn payload(number: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        (number, TEXT).encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_encoder_and_the_check_agree() {
        for number in [0, 1, 0x0102_0304, u32::MAX] {
            assert_eq!(sequence_number(&payload(number)), Some(number));
        }
    }

    #[test]
    fn any_changed_byte_but_the_number_is_noticed() {
        let good = payload(7);
        for at in (0..good.len()).filter(|at| !(4..8).contains(at)) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(sequence_number(&bad), None, "byte {at}");
        }
        assert_eq!(sequence_number(&good[1..]), None);
    }

    #[test]
    fn names_and_indices() {
        for index in [0, 7, 42, 99] {
            assert_eq!(producer_index(Id4::new(&producer_name(index)).unwrap()), Some(index));
        }
        for other in ["LOSS", "P00", "P0a1", "Q001"] {
            assert_eq!(producer_index(Id4::new(other).unwrap()), None, "{other}");
        }
    }
}
