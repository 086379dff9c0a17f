//! What we build is byte for byte what libdlt built for the same call.

use crate::vectors;
use dlt_logger::format::header::USER_LOG;
use dlt_logger::format::type_info::{SCOD_UTF8, STRG};
use dlt_logger::format::{Args, Id4, Level, Raw, StorageHeader, Template};

const SESSION: u32 = 0x0001_2345;
const TIMESTAMP: u32 = 0x0102_0304;

/// Position and mode of a message that are not in its arguments.
struct Call {
    file: &'static str,
    ctid: &'static str,
    level: Level,
    mcnt: u8,
    timestamp: u32,
}

fn info(file: &'static str, mcnt: u8) -> Call {
    Call { file, ctid: "CTX1", level: Level::Info, mcnt, timestamp: TIMESTAMP }
}

/// A message of our own making, without prefix.
fn build<A: Args>(call: &Call, args: &A) -> Vec<u8> {
    let id = |text| Id4::new(text).unwrap();
    let template = Template::new(id("ECU1"), SESSION, id("GOLD"), id(call.ctid));
    let mut payload = Vec::new();
    args.encode(&mut payload);
    assert_eq!(args.size(), payload.len(), "{}: size() is what encode() writes", call.file);
    let headers = template.log(call.level, call.mcnt, call.timestamp, A::COUNT, args.size());
    [headers.as_slice(), &payload].concat()
}

#[track_caller]
fn same<A: Args>(file: &'static str, mcnt: u8, args: &A) {
    let built = [USER_LOG.as_slice(), &build(&info(file, mcnt), args)].concat();
    assert_eq!(built, vectors::read(&format!("user/{file}")), "{file}");
}

/// libdlt wrote an ASCII string, we always say UTF-8: the file with that bit set in its type infos at `offsets`.
#[track_caller]
fn same_but_utf8<A: Args>(call: &Call, offsets: &[usize], args: &A) {
    let mut expected = vectors::read(&format!("user/{}", call.file));
    for &at in offsets {
        let info = &mut expected[USER_LOG.len() + 26 + at..][..4];
        assert_eq!(info, STRG.to_le_bytes(), "{}: an ASCII string is at {at}", call.file);
        info.copy_from_slice(&(STRG | SCOD_UTF8).to_le_bytes());
    }
    let built = [USER_LOG.as_slice(), &build(call, args)].concat();
    assert_eq!(built, expected, "{}", call.file);
}

#[test]
fn bool_integers_and_floats() {
    same("04_log_bool_true.bin", 0, &(true,));
    same("05_log_bool_false.bin", 1, &(false,));
    same("07_log_int8.bin", 3, &(-2i8,));
    same("08_log_int16.bin", 4, &(-300i16,));
    same("09_log_int32.bin", 5, &(-70_000i32,));
    same("10_log_int64.bin", 6, &(-5_000_000_000i64,));
    same("10_log_int64.bin", 6, &(-5_000_000_000isize,));
    same("11_log_uint8.bin", 7, &(0x81u8,));
    same("12_log_uint16.bin", 8, &(0x8182u16,));
    same("13_log_uint32.bin", 9, &(0x8182_8384u32,));
    same("14_log_uint64.bin", 10, &(0x8182_8384_8586_8788u64,));
    same("14_log_uint64.bin", 10, &(0x8182_8384_8586_8788usize,));
    same("25_log_float32.bin", 21, &(-1.5f32,));
    same("26_log_float64.bin", 22, &(std::f64::consts::PI,));
}

#[test]
fn utf8_string_raw_bytes_and_no_argument() {
    same("31_log_string_utf8.bin", 27, &("grüß €",));
    same("31_log_string_utf8.bin", 27, &(String::from("grüß €"),));
    same("31_log_string_utf8.bin", 27, &(&&"grüß €",));
    same("36_log_raw.bin", 32, &([0u8, 1, 2, 0xff, 0xfe].as_slice(),));
    same("36_log_raw.bin", 32, &(Raw(&[0, 1, 2, 0xff, 0xfe]),));
    same("36_log_raw.bin", 32, &(b"\x00\x01\x02\xff\xfe",));
    same("36_log_raw.bin", 32, &(vec![0u8, 1, 2, 0xff, 0xfe],));
    same("37_log_raw_empty.bin", 33, &(Raw(&[]),));
    same("43_log_no_args.bin", 39, &());
}

#[test]
fn ascii_strings_differ_in_their_coding_only() {
    same_but_utf8(&info("29_log_string_ascii.bin", 25), &[0], &("hello",));
    same_but_utf8(&info("30_log_string_empty.bin", 26), &[0], &("",));
    same_but_utf8(&info("34_log_sized_string.bin", 30), &[0], &("abc",));
    same_but_utf8(&info("42_log_many_args.bin", 38), &[0], &("a=", 1u32, true, 2.5f64, "end"));
    same_but_utf8(&info("49_log_nonverbose_id.bin", 43), &[8, 17], &(5u32, "nv", "dropped"));
    let automatic = Call { timestamp: 0x00ac_1ce3, ..info("50_log_auto_ts.bin", 44) };
    same_but_utf8(&automatic, &[0], &("auto",));
}

#[test]
fn every_level() {
    let call = |file, ctid, level, mcnt| Call { file, ctid, level, mcnt, timestamp: TIMESTAMP };
    same_but_utf8(&call("44_log_fatal.bin", "CTX1", Level::Fatal, 40), &[0], &("F",));
    same_but_utf8(&call("45_log_error.bin", "CTX1", Level::Error, 41), &[0], &("E",));
    same_but_utf8(&call("46_log_warn.bin", "CTX1", Level::Warn, 42), &[0], &("W",));
    same_but_utf8(&call("29_log_string_ascii.bin", "CTX1", Level::Info, 25), &[0], &("hello",));
    same_but_utf8(&call("47_log_debug.bin", "CTX3", Level::Debug, 0), &[0], &("D",));
    same_but_utf8(&call("48_log_verbose.bin", "CTX3", Level::Verbose, 1), &[0], &("V",));
}

#[test]
fn storage_header() {
    let header =
        StorageHeader { seconds: 1_700_000_000, microseconds: 123_456, ecu: Id4::new("ECU1").unwrap() };
    let built = [header.to_bytes().as_slice(), &build(&info("04_log_bool_true.bin", 0), &(true,))].concat();
    assert!(vectors::read("golden_all.dlt").starts_with(&built));
}
