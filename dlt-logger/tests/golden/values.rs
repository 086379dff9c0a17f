//! Every argument of every golden message has the value, name and unit that the call had.

use crate::vectors::read;
use dlt_logger::format::decode::{ArgError, Argument, Arguments, Value, split};

struct Expected {
    file: &'static str,
    args: Vec<(Value<'static>, &'static str, &'static str)>,
}

fn plain(file: &'static str, values: &[Value<'static>]) -> Expected {
    Expected { file, args: values.iter().map(|&value| (value, "", "")).collect() }
}

fn named(file: &'static str, value: Value<'static>, name: &'static str, unit: &'static str) -> Expected {
    Expected { file, args: vec![(value, name, unit)] }
}

const HELLO: &[Value<'static>] = &[Value::Str("hello")];

/// All messages but the two long ones, from the calls in `manifest.json`.
fn expected() -> Vec<Expected> {
    use Value::{Bool, F32, F64, Raw, Signed, Str, Unsigned};
    vec![
        plain("04_log_bool_true.bin", &[Bool(true)]),
        plain("05_log_bool_false.bin", &[Bool(false)]),
        named("06_log_bool_attr.bin", Bool(true), "flag", ""),
        plain("07_log_int8.bin", &[Signed(-2)]),
        plain("08_log_int16.bin", &[Signed(-300)]),
        plain("09_log_int32.bin", &[Signed(-70_000)]),
        plain("10_log_int64.bin", &[Signed(-5_000_000_000)]),
        plain("11_log_uint8.bin", &[Unsigned(0x81)]),
        plain("12_log_uint16.bin", &[Unsigned(0x8182)]),
        plain("13_log_uint32.bin", &[Unsigned(0x8182_8384)]),
        plain("14_log_uint64.bin", &[Unsigned(0x8182_8384_8586_8788)]),
        named("15_log_int32_attr.bin", Signed(42), "speed", "km/h"),
        plain("16_log_int_default_api.bin", &[Signed(42)]),
        plain("17_log_uint_default_api.bin", &[Unsigned(42)]),
        plain("18_log_hex8.bin", &[Unsigned(0xab)]),
        plain("19_log_hex16.bin", &[Unsigned(0xabcd)]),
        plain("20_log_hex32.bin", &[Unsigned(0xdead_beef)]),
        plain("21_log_hex64.bin", &[Unsigned(0x0123_4567_89ab_cdef)]),
        plain("22_log_bin8.bin", &[Unsigned(0xa5)]),
        plain("23_log_bin16.bin", &[Unsigned(0xa55a)]),
        plain("24_log_ptr.bin", &[Unsigned(0x7f11_2233_4455)]),
        plain("25_log_float32.bin", &[F32(-1.5)]),
        plain("26_log_float64.bin", &[F64(std::f64::consts::PI)]),
        named("27_log_float32_attr.bin", F32(21.5), "temp", "C"),
        named("28_log_float64_attr_nullunit.bin", F64(0.25), "ratio", ""),
        plain("29_log_string_ascii.bin", HELLO),
        plain("30_log_string_empty.bin", &[Str("")]),
        plain("31_log_string_utf8.bin", &[Str("grüß €")]),
        named("32_log_string_attr.bin", Str("val"), "key", ""),
        named("33_log_utf8_attr.bin", Str("é"), "key", ""),
        plain("34_log_sized_string.bin", &[Str("abc")]),
        plain("36_log_raw.bin", &[Raw(&[0, 1, 2, 0xff, 0xfe])]),
        plain("37_log_raw_empty.bin", &[Raw(&[])]),
        plain("38_log_raw_hex8.bin", &[Raw(&[0, 1, 2, 0xff])]),
        plain("39_log_raw_bin16.bin", &[Raw(&[0, 1, 2, 0xff])]),
        named("40_log_raw_attr.bin", Raw(&[9, 8]), "blob", ""),
        plain("41_log_int_string.bin", &[Signed(7), Str("short")]),
        plain("42_log_many_args.bin", &[Str("a="), Unsigned(1), Bool(true), F64(2.5), Str("end")]),
        plain("43_log_no_args.bin", &[]),
        plain("44_log_fatal.bin", &[Str("F")]),
        plain("45_log_error.bin", &[Str("E")]),
        plain("46_log_warn.bin", &[Str("W")]),
        plain("47_log_debug.bin", &[Str("D")]),
        plain("48_log_verbose.bin", &[Str("V")]),
        plain("49_log_nonverbose_id.bin", &[Unsigned(5), Str("nv"), Str("dropped")]),
        plain("50_log_auto_ts.bin", &[Str("auto")]),
        plain("51_trace_network_ipc.bin", &[Raw(&[1, 2, 3, 4]), Raw(&[0xaa, 0xbb, 0xcc])]),
        plain("53_log_nonverbose_id_exthdr.bin", &[]),
        plain("54_log_int_string_nvmode.bin", &[Signed(7), Str("short")]),
        plain("55_log_nonverbose_id_noexthdr.bin", &[]),
        plain("56_log_string_no_seid.bin", HELLO),
        plain("57_log_string_no_seid_tmsp.bin", HELLO),
        plain("58_log_string_no_extras.bin", HELLO),
    ]
}

#[test]
fn arguments_of_every_message() {
    let all = expected();
    assert_eq!(all.len() + 2, 55);
    for Expected { file, args: expected } in all {
        let bytes = read(&format!("user/{file}"));
        let (frame, _) = split(&bytes).unwrap().unwrap();
        let mut arguments = frame.arguments();
        let found: Vec<Argument<'_>> = arguments.by_ref().map(|a| a.expect(file)).collect();
        let parts: Vec<_> = found.iter().map(|a| (a.value, a.name, a.unit)).collect();
        let expected: Vec<_> =
            expected.iter().map(|&(v, name, unit)| (v, name.as_bytes(), unit.as_bytes())).collect();
        assert_eq!(parts, expected, "{file}");
        assert!(!frame.is_verbose() || arguments.rest().is_empty(), "{file}: bytes are left over");
        let values: Vec<_> = frame.args().map(Result::unwrap).collect();
        assert_eq!(values, expected.iter().map(|part| part.0).collect::<Vec<_>>(), "{file}");
    }
}

#[test]
fn message_id_of_non_verbose_messages() {
    for file in ["53_log_nonverbose_id_exthdr.bin", "55_log_nonverbose_id_noexthdr.bin"] {
        let bytes = read(&format!("user/{file}"));
        let (frame, _) = split(&bytes).unwrap().unwrap();
        assert!(!frame.is_verbose(), "{file}");
        assert_eq!(frame.message_id(), Some((0x1122_3344, b"\x05\0\0\0\x03\0nv\0".as_slice())), "{file}");
    }
}

#[test]
fn long_messages() {
    let bytes = read("user/35_log_string_too_long.bin");
    let (frame, _) = split(&bytes).unwrap().unwrap();
    let notice = "... <<Message truncated, too long>>";
    // libdlt's payload limit less type info, length, notice and NUL.
    let truncated = format!("{}{notice}", "x".repeat(1390 - 6 - notice.len() - 1));
    assert_eq!(frame.args().collect::<Vec<_>>(), [Ok(Value::Str(&truncated))]);

    let bytes = read("user/52_trace_network_trunc.bin");
    let (frame, _) = split(&bytes).unwrap().unwrap();
    let data = vec![0x55; 1357];
    let expected = [Value::Str("NWTR"), Value::Raw(&[1, 2]), Value::Unsigned(3000), Value::Raw(&data)];
    assert_eq!(frame.args().map(Result::unwrap).collect::<Vec<_>>(), expected);
    assert_eq!((frame.level(), frame.message_type(), frame.message_type_info()), (None, Some(2), Some(2)));
}

/// Golden messages are little endian, so these bytes are by hand, from the specification.
#[test]
fn big_endian_payload() {
    let payload = b"\0\0\0\x22\xfe\xd4\0\0\x08\x43\0\x02\0\x03n\0km\0\0\0\0\x2a\0\0\x82\0\0\x03ab\0\0\0\0\x84\x40\x09\x21\xfb\x54\x44\x2d\x18";
    let found: Vec<_> = Arguments::new(payload, 4, true).map(Result::unwrap).collect();
    let values: Vec<_> = found.iter().map(|argument| argument.value).collect();
    let expected =
        [Value::Signed(-300), Value::Unsigned(42), Value::Str("ab"), Value::F64(std::f64::consts::PI)];
    assert_eq!(values, expected);
    assert_eq!((found[1].name, found[1].unit), (b"n".as_slice(), b"km".as_slice()));
}

#[test]
fn text_that_is_no_utf8_is_kept_as_bytes() {
    let payload = b"\0\x02\0\0\x03\0\xe9!\0";
    assert_eq!(Arguments::new(payload, 1, false).next().unwrap().unwrap().value, Value::StrBytes(b"\xe9!"));
}

#[test]
fn types_that_cannot_be_decoded_are_said_and_end_the_iteration() {
    // 128 bits, array, fixed point, trace info, structure, f16, two types at once, none at all.
    for type_info in [0x25u32, 0x45, 0x141, 0x1023, 0x2200, 0x4000, 0x82, 0x63, 0, 0x0001_0000] {
        let payload = [&b"\x11\0\0\0\x01"[..], &type_info.to_le_bytes(), &[0; 32]].concat();
        let found: Vec<_> = Arguments::new(&payload, 3, false).collect();
        let error = ArgError::Unsupported { index: 1, type_info };
        assert_eq!(found.len(), 2, "{type_info:#x}");
        assert_eq!(found[0].as_ref().map(|argument| argument.value), Ok(Value::Bool(true)));
        assert_eq!(found[1], Err(error), "{type_info:#x}");
        assert!(error.to_string().contains(&format!("{type_info:#010x}")));
    }
}

#[test]
fn truncated_payload_is_said_at_the_argument_it_hits() {
    for Expected { file, args } in expected() {
        let bytes = read(&format!("user/{file}"));
        let (frame, _) = split(&bytes).unwrap().unwrap();
        if args.is_empty() {
            continue;
        }
        for cut in 0..frame.payload.len() {
            let found: Vec<_> = Arguments::new(&frame.payload[..cut], frame.noar(), false).collect();
            let (last, whole) = found.split_last().unwrap();
            let Err(ArgError::Truncated { index, missing, .. }) = *last else {
                panic!("{file} cut to {cut}: {last:?}")
            };
            assert_eq!(usize::from(index), whole.len(), "{file} cut to {cut}");
            assert!(missing >= 1 && missing <= frame.payload.len() - cut, "{file} cut to {cut}: {missing}");
            assert!(
                whole.iter().zip(&args).all(|(found, expected)| found.as_ref().unwrap().value == expected.0)
            );
        }
    }
}
