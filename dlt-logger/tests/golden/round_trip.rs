//! What is built is decoded to the same values, by us and by `dlt-core`.

use crate::independent::{parse, same_message};
use dlt_logger::format::decode::{Prefix, Value, split};
use dlt_logger::format::header::{MAX_PAYLOAD_BYTES, TEMPLATE_BYTES, USER_LOG};
use dlt_logger::format::{Arg, Args, Id4, Level, PayloadWriter, Raw, StorageHeader, Template};
use proptest::prelude::*;

/// An argument of any type.
#[derive(Debug, Clone)]
enum Any {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    F32(f32),
    F64(f64),
    Str(String),
    Raw(Vec<u8>),
}

impl Any {
    /// Encodes itself and checks on the way that `size` is true.
    fn encode(&self, w: &mut Checked) {
        fn one(arg: &impl Arg, w: &mut Checked) {
            let before = w.bytes.len();
            arg.encode(w);
            assert_eq!(arg.size(), w.bytes.len() - before);
        }
        match self {
            Self::Bool(v) => one(v, w),
            Self::I8(v) => one(v, w),
            Self::I16(v) => one(v, w),
            Self::I32(v) => one(v, w),
            Self::I64(v) => one(v, w),
            Self::U8(v) => one(v, w),
            Self::U16(v) => one(v, w),
            Self::U32(v) => one(v, w),
            Self::U64(v) => one(v, w),
            Self::F32(v) => one(v, w),
            Self::F64(v) => one(v, w),
            Self::Str(v) => one(v, w),
            Self::Raw(v) => one(&Raw(v), w),
        }
    }

    fn is(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Bool(a), Value::Bool(b)) => *a == b,
            (Self::I8(a), Value::Signed(b)) => i64::from(*a) == b,
            (Self::I16(a), Value::Signed(b)) => i64::from(*a) == b,
            (Self::I32(a), Value::Signed(b)) => i64::from(*a) == b,
            (Self::I64(a), Value::Signed(b)) => *a == b,
            (Self::U8(a), Value::Unsigned(b)) => u64::from(*a) == b,
            (Self::U16(a), Value::Unsigned(b)) => u64::from(*a) == b,
            (Self::U32(a), Value::Unsigned(b)) => u64::from(*a) == b,
            (Self::U64(a), Value::Unsigned(b)) => *a == b,
            (Self::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
            (Self::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::Str(a), Value::Str(b)) => a == b,
            (Self::Raw(a), Value::Raw(b)) => a == b,
            _ => false,
        }
    }
}

fn any_argument() -> impl Strategy<Value = Any> {
    prop_oneof![
        any::<bool>().prop_map(Any::Bool),
        any::<i8>().prop_map(Any::I8),
        any::<i16>().prop_map(Any::I16),
        any::<i32>().prop_map(Any::I32),
        any::<i64>().prop_map(Any::I64),
        any::<u8>().prop_map(Any::U8),
        any::<u16>().prop_map(Any::U16),
        any::<u32>().prop_map(Any::U32),
        any::<u64>().prop_map(Any::U64),
        any::<u32>().prop_map(|bits| Any::F32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Any::F64(f64::from_bits(bits))),
        // dlt-core ends a string at its first NUL.
        "[^\0]{0,40}".prop_map(Any::Str),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(Any::Raw),
    ]
}

fn any_id() -> impl Strategy<Value = Id4> {
    "[!-~]{1,4}".prop_map(|text| Id4::new(&text).unwrap())
}

fn any_level() -> impl Strategy<Value = Level> {
    prop::sample::select(&Level::ALL)
}

/// A writer that holds its callers to the contract that the ring's writer relies on.
#[derive(Default)]
struct Checked {
    bytes: Vec<u8>,
}

impl PayloadWriter for Checked {
    fn put(&mut self, value: u64, bytes: u32) {
        assert!((1..=8).contains(&bytes), "{bytes} bytes");
        assert!(bytes == 8 || value >> (8 * bytes) == 0, "{value:#x} has bits above {bytes} bytes");
        self.bytes.put(value, bytes);
    }

    fn put_slice(&mut self, bytes: &[u8]) {
        self.bytes.put_slice(bytes);
    }
}

proptest! {
    #[test]
    fn any_message(
        args in prop::collection::vec(any_argument(), 0..=16),
        (ecu, apid, ctid) in (any_id(), any_id(), any_id()),
        (session, timestamp, mcnt) in any::<(u32, u32, u8)>(),
        level in any_level(),
        (seconds, microseconds) in (any::<u32>(), 0..1_000_000i32),
    ) {
        let mut w = Checked::default();
        for arg in &args {
            arg.encode(&mut w);
        }
        let template = Template::new(ecu, session, apid, ctid);
        let headers = template.log(level, mcnt, timestamp, args.len() as u8, w.bytes.len());
        let message = [headers.as_slice(), &w.bytes].concat();
        let storage = StorageHeader { seconds, microseconds, ecu };
        let in_file = [storage.to_bytes().as_slice(), &message].concat();

        for (prefix, before) in [
            (Prefix::None, &[][..]),
            (Prefix::Storage(storage), &storage.to_bytes()),
            (Prefix::User, &USER_LOG),
            (Prefix::Serial, b"DLS\x01"),
        ] {
            let bytes = [before, &message].concat();
            let (frame, used) = split(&bytes).unwrap().unwrap();
            prop_assert_eq!(used, bytes.len());
            prop_assert_eq!(frame.prefix, prefix);
            prop_assert_eq!((frame.ecu, frame.apid(), frame.ctid()), (Some(ecu), apid, ctid));
            prop_assert_eq!((frame.session_id, frame.timestamp, frame.mcnt), (Some(session), Some(timestamp), mcnt));
            prop_assert_eq!((frame.level(), frame.is_verbose()), (Some(level), true));
            let values: Vec<_> = frame.args().map(Result::unwrap).collect();
            prop_assert_eq!(values.len(), args.len());
            for (arg, value) in args.iter().zip(values) {
                prop_assert!(arg.is(value), "{:?} came back as {:?}", arg, value);
            }
        }
        let (frame, _) = split(&in_file).unwrap().unwrap();
        same_message(&frame, &parse(&in_file, true), "in a file");
        same_message(&frame, &parse(&message, false), "alone");
    }
}

fn count<A: Args>(_: &A) -> u8 {
    A::COUNT
}

/// Tuples are their members one after the other, whatever their number.
#[test]
fn tuples_of_every_length() {
    macro_rules! check {
        ($($n:literal: $($arg:expr),*;)*) => {$({
            let tuple = ($($arg,)*);
            let (mut together, mut apart, mut size) = (Checked::default(), Checked::default(), 0usize);
            tuple.encode(&mut together);
            $($arg.encode(&mut apart); size += $arg.size();)*
            assert_eq!((count(&tuple), tuple.size()), ($n, size));
            assert_eq!(together.bytes, apart.bytes);
            assert_eq!(together.bytes.len(), size);
            let _ = (&mut apart, &mut size);
        })*};
    }
    check! {
        0: ;
        1: true;
        2: true, -1i8;
        3: true, -1i8, "x";
        4: true, -1i8, "x", 2u16;
        5: true, -1i8, "x", 2u16, 0.5f32;
        6: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2];
        7: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64;
        8: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64;
        9: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64, 0.25f64;
        10: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64, 0.25f64, "";
        11: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64, 0.25f64, "", Raw(&[]);
        12: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64, 0.25f64, "", Raw(&[]), 5u8;
        13: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64, 0.25f64, "", Raw(&[]), 5u8, false;
        14: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64, 0.25f64, "", Raw(&[]), 5u8, false, 6i16;
        15: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64, 0.25f64, "", Raw(&[]), 5u8, false, 6i16, 7i32;
        16: true, -1i8, "x", 2u16, 0.5f32, [1u8, 2], 3u64, -4i64, 0.25f64, "", Raw(&[]), 5u8, false, 6i16, 7i32, 8u32;
    }
}

/// A 16-bit length must never wrap to a small one.
#[test]
fn values_that_are_too_long_have_a_size_that_is_refused() {
    let max = usize::from(u16::MAX);
    let text = "x".repeat(3 * (max + 1));
    // 7 bytes around a string, 6 around raw bytes.
    for (len, size) in [(0, 7), (max - 7, max), (max - 6, max + 1)] {
        assert_eq!(text[..len].size(), size);
    }
    for (len, size) in [(0, 6), (max - 6, max), (max - 5, max + 1)] {
        assert_eq!(text.as_bytes()[..len].size(), size);
    }
    for len in [max, max + 1, max + 2, 2 * max + 1, 2 * max + 2, 3 * max] {
        assert!(text[..len].size() > max, "string of {len}");
        assert!(text.as_bytes()[..len].size() > max, "raw of {len}");
        assert!((1u32, &text[..len]).size() > max);
    }
    let half = &text[..max / 2];
    assert!((half, half, half).size() > max, "together too long");

    let largest = &text[..MAX_PAYLOAD_BYTES - 7];
    let mut payload = Vec::new();
    (largest,).encode(&mut payload);
    assert_eq!(payload.len(), MAX_PAYLOAD_BYTES);
    let headers = Template::new(Id4::NONE, 0, Id4::NONE, Id4::NONE).log(Level::Info, 0, 0, 1, payload.len());
    let message = [headers.as_slice(), &payload].concat();
    assert_eq!(message.len(), max);
    let (frame, used) = split(&message).unwrap().unwrap();
    assert_eq!((used, frame.payload.len()), (max, max - TEMPLATE_BYTES));
    assert_eq!(frame.args().collect::<Vec<_>>(), [Ok(Value::Str(largest))]);
    same_message(&frame, &parse(&message, false), "largest message");
}

/// Encoding what is refused anyway must not panic either.
#[test]
fn encoding_what_is_too_long_does_not_panic() {
    let text = "x".repeat(usize::from(u16::MAX) + 10);
    let mut w = Checked::default();
    (text.as_str(), text.as_bytes()).encode(&mut w);
    assert_eq!(w.bytes.len(), 2 * text.len() + 7 + 6);
}
