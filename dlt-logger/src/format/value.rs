//! Taking the arguments of a verbose message apart.

use super::type_info as ti;

/// Value of an argument.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Boolean.
    Bool(bool),
    /// Signed integer of 8 to 64 bits.
    Signed(i64),
    /// Unsigned integer of 8 to 64 bits.
    Unsigned(u64),
    /// Single-precision float.
    F32(f32),
    /// Double-precision float.
    F64(f64),
    /// String without its final NUL.
    Str(&'a str),
    /// String whose bytes are not UTF-8, without its final NUL: it was declared ASCII and is not.
    StrBytes(&'a [u8]),
    /// Raw bytes.
    Raw(&'a [u8]),
}

/// An argument with all that is said about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Argument<'a> {
    /// Type info word: the bits in [`type_info`](ti), display hints included.
    pub type_info: u32,
    /// Name of the variable, without NUL; empty if there is none.
    pub name: &'a [u8],
    /// Unit of the variable, without NUL; empty if there is none.
    pub unit: &'a [u8],
    /// Its value.
    pub value: Value<'a>,
}

/// Why a payload cannot be taken apart any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgError {
    /// The payload ends within an argument.
    #[error("the payload ends within argument {index}: {missing} more bytes are needed than the {left} left")]
    Truncated {
        /// Position of the argument, from 0.
        index: u8,
        /// Bytes that are missing.
        missing: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// The type is none that can be decoded: array, structure, fixed point, trace info, 128 bits, or contradictory.
    #[error("argument {index} has type info {type_info:#010x}, which is not supported")]
    Unsupported {
        /// Position of the argument, from 0.
        index: u8,
        /// Its type info.
        type_info: u32,
    },
}

/// Iterator over the arguments; ends after an error, since what follows cannot be found.
#[derive(Debug, Clone)]
pub struct Arguments<'a> {
    rest: &'a [u8],
    index: u8,
    count: u8,
    big_endian: bool,
}

/// Iterator over the values; ends after an error, since what follows cannot be found.
#[derive(Debug, Clone)]
pub struct Values<'a>(pub(super) Arguments<'a>);

impl<'a> Arguments<'a> {
    /// Takes `count` arguments from `payload`.
    #[inline]
    pub fn new(payload: &'a [u8], count: u8, big_endian: bool) -> Self {
        Self { rest: payload, index: 0, count, big_endian }
    }

    /// The bytes that have not been taken apart: after the last argument none should be left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn argument(&mut self) -> Result<Argument<'a>, ArgError> {
        let type_info = u32::from_le_bytes(self.number()?);
        let named = type_info & ti::VARI != 0;
        let (mut name, mut unit): (&[u8], &[u8]) = (&[], &[]);
        let unsupported = ArgError::Unsupported { index: self.index, type_info };
        if type_info & (ti::ARAY | ti::FIXP | ti::TRAI | ti::STRU) != 0 {
            return Err(unsupported);
        }
        let value = match type_info & (ti::BOOL | ti::SINT | ti::UINT | ti::FLOA | ti::STRG | ti::RAWD) {
            kind @ (ti::STRG | ti::RAWD) => {
                let len = self.length()?;
                if named {
                    let name_len = self.length()?;
                    name = without_nul(self.take(name_len)?);
                }
                let data = self.take(len)?;
                if kind == ti::RAWD { Value::Raw(data) } else { text(without_nul(data)) }
            }
            kind @ (ti::BOOL | ti::SINT | ti::UINT | ti::FLOA) => {
                if named {
                    let name_len = self.length()?;
                    let unit_len = if kind == ti::BOOL { 0 } else { self.length()? };
                    name = without_nul(self.take(name_len)?);
                    unit = without_nul(self.take(unit_len)?);
                }
                match (kind, type_info & ti::TYLE) {
                    // libdlt reads one byte whatever TYLE says; 0 and 1 are seen.
                    (ti::BOOL, 0 | 1) => Value::Bool(self.number::<1>()? != [0]),
                    (ti::SINT, 1) => Value::Signed(i8::from_le_bytes(self.number()?).into()),
                    (ti::SINT, 2) => Value::Signed(i16::from_le_bytes(self.number()?).into()),
                    (ti::SINT, 3) => Value::Signed(i32::from_le_bytes(self.number()?).into()),
                    (ti::SINT, 4) => Value::Signed(i64::from_le_bytes(self.number()?)),
                    (ti::UINT, 1) => Value::Unsigned(u8::from_le_bytes(self.number()?).into()),
                    (ti::UINT, 2) => Value::Unsigned(u16::from_le_bytes(self.number()?).into()),
                    (ti::UINT, 3) => Value::Unsigned(u32::from_le_bytes(self.number()?).into()),
                    (ti::UINT, 4) => Value::Unsigned(u64::from_le_bytes(self.number()?)),
                    (ti::FLOA, 3) => Value::F32(f32::from_le_bytes(self.number()?)),
                    (ti::FLOA, 4) => Value::F64(f64::from_le_bytes(self.number()?)),
                    _ => return Err(unsupported),
                }
            }
            _ => return Err(unsupported),
        };
        Ok(Argument { type_info, name, unit, value })
    }

    /// The next `n` bytes.
    #[inline]
    fn take(&mut self, n: usize) -> Result<&'a [u8], ArgError> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else { return Err(self.truncated(n)) };
        self.rest = rest;
        Ok(taken)
    }

    /// The bytes of a number, least significant first.
    #[inline]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], ArgError> {
        let Some((&taken, rest)) = self.rest.split_first_chunk::<N>() else { return Err(self.truncated(N)) };
        self.rest = rest;
        let mut bytes = taken;
        if self.big_endian {
            bytes.reverse();
        }
        Ok(bytes)
    }

    #[inline]
    fn length(&mut self) -> Result<usize, ArgError> {
        Ok(u16::from_le_bytes(self.number()?).into())
    }

    #[cold]
    fn truncated(&self, wanted: usize) -> ArgError {
        let left = self.rest.len();
        ArgError::Truncated { index: self.index, missing: wanted - left, left }
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = Result<Argument<'a>, ArgError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            return None;
        }
        let result = self.argument();
        if result.is_ok() {
            self.index += 1;
        } else {
            self.count = self.index;
        }
        Some(result)
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<Value<'a>, ArgError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|argument| argument.value))
    }
}

/// Strings and names carry their NUL in the length; a missing one is tolerated.
#[inline]
fn without_nul(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}

#[inline]
fn text(bytes: &[u8]) -> Value<'_> {
    std::str::from_utf8(bytes).map_or(Value::StrBytes(bytes), Value::Str)
}
