//! Typed arguments of a log call, encoded as DLT verbose payload.
//!
//! Everything here is inlined into the log call: type info words and the sizes of arguments of fixed size become
//! constants, and a type info word goes out together with its value wherever both fit eight bytes.
//!
//! A string is sent as UTF-8 with its length and a final NUL. NUL characters within it are sent as they are; most
//! viewers show such a string up to the first one.

#![expect(
    clippy::inline_always,
    reason = "the log call is one straight line: sizes and type infos fold to constants"
)]

use super::type_info as ti;

/// Largest payload an [`Args::size`] is exact for; beyond it the size only says "too large".
const EXACT_BYTES: usize = u16::MAX as usize;

/// Where encoded arguments go.
pub trait PayloadWriter {
    /// Appends the low `bytes` bytes of `value`, least significant first. `bytes` is 1..=8, and the bits of `value` above
    /// them are zero.
    fn put(&mut self, value: u64, bytes: u32);

    /// Appends bytes.
    fn put_slice(&mut self, bytes: &[u8]);
}

/// For tests and for paths that are not hot: this one allocates.
impl PayloadWriter for Vec<u8> {
    fn put(&mut self, value: u64, bytes: u32) {
        let word = value.to_le_bytes();
        self.extend_from_slice(&word[..word.len().min(bytes as usize)]);
    }

    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

mod sealed {
    /// Only this module says what an argument is: the writers rely on sizes that are true.
    pub trait Sealed {}
}
use sealed::Sealed;

/// A value that can be logged: `bool`, `i8`..`i64`, `u8`..`u64`, `isize` and `usize` (always sent as 64 bits), `f32`,
/// `f64`, `str`, `String`, byte slices and arrays (sent as raw bytes), [`Raw`], and references to them.
///
/// Sealed. Neither method allocates or panics.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type that DLT can log",
    label = "not a DLT argument",
    note = "bool, i8..i64, u8..u64, f32, f64, &str, String and &[u8] are; format others into a string first"
)]
pub trait Arg: Sealed {
    /// Bytes on the wire, type info included. More than 65535 if the value is too long for DLT's 16-bit length.
    fn size(&self) -> usize;

    /// Writes type info and value: [`Arg::size`] bytes, as long as that is at most 65535.
    fn encode<W: PayloadWriter>(&self, w: &mut W);
}

/// Up to 16 arguments: a tuple of [`Arg`]s, `()` for none.
///
/// Sealed. Neither method allocates or panics.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tuple of arguments that DLT can log",
    label = "not a tuple of 0 to 16 DLT arguments",
    note = "a single argument is written `(value,)`"
)]
pub trait Args: Sealed {
    /// Number of arguments.
    const COUNT: u8;

    /// Bytes of the payload. More than 65535 if an argument or all together are too long for one message.
    fn size(&self) -> usize;

    /// Writes the payload: [`Args::size`] bytes, as long as that is at most 65535.
    fn encode<W: PayloadWriter>(&self, w: &mut W);
}

/// Bytes that are logged as raw data, whatever they mean. The same as logging a `&[u8]`, but says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

/// Numbers: type info and value in one word where they fit.
macro_rules! number {
    ($($t:ty, $bytes:literal, $info:expr, $value:ident => $bits:expr;)*) => {$(
        impl Sealed for $t {}
        impl Arg for $t {
            #[inline(always)]
            fn size(&self) -> usize {
                4 + $bytes
            }

            #[inline(always)]
            fn encode<W: PayloadWriter>(&self, w: &mut W) {
                let $value = *self;
                let (info, bits) = (u64::from($info), $bits);
                if $bytes <= 4 {
                    w.put(info | bits << 32, 4 + $bytes);
                } else {
                    w.put(info, 4);
                    w.put(bits, $bytes);
                }
            }
        }
    )*};
}

number! {
    bool, 1, ti::BOOL | 1, v => u64::from(v);
    i8, 1, ti::SINT | 1, v => u64::from(v.cast_unsigned());
    i16, 2, ti::SINT | 2, v => u64::from(v.cast_unsigned());
    i32, 4, ti::SINT | 3, v => u64::from(v.cast_unsigned());
    i64, 8, ti::SINT | 4, v => v.cast_unsigned();
    isize, 8, ti::SINT | 4, v => (v as i64).cast_unsigned();
    u8, 1, ti::UINT | 1, v => u64::from(v);
    u16, 2, ti::UINT | 2, v => u64::from(v);
    u32, 4, ti::UINT | 3, v => u64::from(v);
    u64, 8, ti::UINT | 4, v => v;
    usize, 8, ti::UINT | 4, v => v as u64;
    f32, 4, ti::FLOA | 3, v => u64::from(v.to_bits());
    f64, 8, ti::FLOA | 4, v => v.to_bits();
}

/// Bytes of a value of `len` bytes with `around` it: clamped, so that sums of sizes cannot wrap on any target.
#[inline(always)]
fn long_size(len: usize, around: usize) -> usize {
    len.min(EXACT_BYTES + 1) + around
}

impl Sealed for str {}
impl Arg for str {
    #[inline(always)]
    fn size(&self) -> usize {
        long_size(self.len(), 4 + 2 + 1)
    }

    #[inline(always)]
    fn encode<W: PayloadWriter>(&self, w: &mut W) {
        // The length counts the NUL. A string for which this wraps has a size that is refused.
        let len = self.len().wrapping_add(1) as u16;
        w.put(u64::from(ti::STRG | ti::SCOD_UTF8) | u64::from(len) << 32, 6);
        w.put_slice(self.as_bytes());
        w.put(0, 1);
    }
}

impl Sealed for [u8] {}
impl Arg for [u8] {
    #[inline(always)]
    fn size(&self) -> usize {
        long_size(self.len(), 4 + 2)
    }

    #[inline(always)]
    fn encode<W: PayloadWriter>(&self, w: &mut W) {
        // A slice for which this wraps has a size that is refused.
        let len = self.len() as u16;
        w.put(u64::from(ti::RAWD) | u64::from(len) << 32, 6);
        w.put_slice(self);
    }
}

/// Types that are sent as what they hold.
macro_rules! forward {
    ($([$($generics:tt)*] $t:ty, $this:ident => $inner:expr;)*) => {$(
        impl<$($generics)*> Sealed for $t {}
        impl<$($generics)*> Arg for $t {
            #[inline(always)]
            fn size(&self) -> usize {
                let $this = self;
                $inner.size()
            }

            #[inline(always)]
            fn encode<W: PayloadWriter>(&self, w: &mut W) {
                let $this = self;
                $inner.encode(w);
            }
        }
    )*};
}

forward! {
    [T: Arg + ?Sized] &T, this => (**this);
    [T: Arg + ?Sized] &mut T, this => (**this);
    [] String, this => this.as_str();
    [] Vec<u8>, this => this.as_slice();
    [const N: usize] [u8; N], this => this.as_slice();
    [] Raw<'_>, this => this.0;
}

/// One implementation for each number of arguments.
macro_rules! tuples {
    ($($count:literal: $($name:ident $index:tt)*;)*) => {$(
        impl<$($name: Arg),*> Sealed for ($($name,)*) {}
        impl<$($name: Arg),*> Args for ($($name,)*) {
            const COUNT: u8 = $count;

            #[inline(always)]
            fn size(&self) -> usize {
                0 $(+ self.$index.size())*
            }

            #[inline(always)]
            fn encode<W: PayloadWriter>(&self, w: &mut W) {
                $(self.$index.encode(w);)*
                let _ = w;
            }
        }
    )*};
}

tuples! {
    0: ;
    1: A 0;
    2: A 0 B 1;
    3: A 0 B 1 C 2;
    4: A 0 B 1 C 2 D 3;
    5: A 0 B 1 C 2 D 3 E 4;
    6: A 0 B 1 C 2 D 3 E 4 F 5;
    7: A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    8: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
    9: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8;
    10: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9;
    11: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10;
    12: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11;
    13: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12;
    14: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13;
    15: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14;
    16: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14 P 15;
}
