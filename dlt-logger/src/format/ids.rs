//! Four-byte identifiers: ECU, application and context ids.

use std::fmt;
use std::str::FromStr;

/// An identifier of one to four characters, left aligned, padded with NUL bytes (PRS "ECU ID", "APID", "CTID").
///
/// What [`Id4::new`] makes is printable ASCII. What comes from the wire ([`Id4::from_bytes`]) may be any four bytes;
/// `Display` stays printable all the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Id4([u8; 4]);

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("identifier `{}` is not accepted: 1 to 4 printable ASCII characters are, e.g. `APP1`", value.escape_debug())]
pub struct IdError {
    /// The refused text.
    pub value: String,
}

impl Id4 {
    /// No identifier: four NUL bytes.
    pub const NONE: Self = Self([0; 4]);

    /// Makes an identifier of one to four printable ASCII characters (space to `~`).
    ///
    /// # Errors
    /// The text is empty, longer, or holds another character.
    pub fn new(text: &str) -> Result<Self, IdError> {
        Self::try_new(text).ok_or_else(|| IdError { value: text.to_owned() })
    }

    /// The same for constants; `None` if the text is not accepted.
    pub const fn try_new(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.is_empty() || text.len() > 4 {
            return None;
        }
        let mut bytes = [0; 4];
        let mut i = 0;
        while i < text.len() {
            if !matches!(text[i], b' '..=b'~') {
                return None;
            }
            bytes[i] = text[i];
            i += 1;
        }
        Some(Self(bytes))
    }

    /// Takes four bytes as they were on the wire.
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes as they go to the wire.
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// True if there is no identifier: four NUL bytes.
    pub const fn is_none(self) -> bool {
        u32::from_ne_bytes(self.0) == 0
    }
}

impl FromStr for Id4 {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Id4 {
    type Error = IdError;

    fn try_from(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

/// The characters up to the NUL padding; bytes that are not printable ASCII as `\xNN`. Honours width and alignment
/// while all characters are printable.
impl fmt::Display for Id4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let padding = self.0.iter().rev().take_while(|&&b| b == 0).count();
        let text = &self.0[..4 - padding];
        match std::str::from_utf8(text) {
            Ok(text) if text.bytes().all(|b| matches!(b, b' '..=b'~')) => f.pad(text),
            _ => write!(f, "{}", text.escape_ascii()),
        }
    }
}

impl fmt::Debug for Id4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id4({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_four_printable_characters_are_padded_with_nul() {
        for (text, bytes) in [("A", *b"A\0\0\0"), ("APP1", *b"APP1"), ("~ ", *b"~ \0\0")] {
            let id = Id4::new(text).unwrap();
            assert_eq!(id.to_bytes(), bytes);
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse::<Id4>().unwrap(), id);
        }
    }

    #[test]
    fn everything_else_is_refused_and_named() {
        for text in ["", "TOOLONG", "ABCDE", "a\nb", "a\0", "é", "\u{7f}"] {
            let error = Id4::new(text).unwrap_err();
            assert_eq!(error.value, text);
            assert!(error.to_string().contains(&text.escape_debug().to_string()), "{error}");
        }
    }

    #[test]
    fn any_bytes_of_the_wire_are_shown_printable() {
        assert_eq!(Id4::from_bytes([b'A', 0, b'B', 0xff]).to_string(), r"A\x00B\xff");
        assert_eq!(Id4::NONE.to_string(), "");
        assert_eq!(format!("{:>4}", Id4::new("AB").unwrap()), "  AB");
    }
}
