//! Our decoder says of each golden message what the C tool `dlt-convert` says.

use crate::vectors::{frames, read, read_text};
use dlt_logger::format::decode::{Argument, Frame, Prefix, Value};
use dlt_logger::format::type_info::{SCOD, SCOD_BIN, SCOD_HEX};

fn hex(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}

/// `%g` of C for the magnitudes in the golden messages.
fn six_digits(value: f64) -> String {
    format!("{value:.5e}").parse::<f64>().unwrap().to_string()
}

fn width_bytes(argument: &Argument<'_>) -> usize {
    1 << ((argument.type_info & 0xf) - 1)
}

fn argument(argument: &Argument<'_>) -> String {
    match argument.value {
        Value::Bool(value) => u8::from(value).to_string(),
        Value::Signed(value) => value.to_string(),
        Value::Unsigned(value) => match argument.type_info & SCOD {
            SCOD_HEX => format!("0x{value:0width$x}", width = 2 * width_bytes(argument)),
            SCOD_BIN => {
                let bits = format!("{value:0width$b}", width = 8 * width_bytes(argument));
                let nibbles: Vec<_> = bits.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
                format!("0b{}", nibbles.join(" "))
            }
            _ => value.to_string(),
        },
        Value::F32(value) => six_digits(value.into()),
        Value::F64(value) => six_digits(value),
        Value::Str(text) => text.to_owned(),
        Value::Raw(bytes) => hex(bytes, "'"),
        other => panic!("no golden message holds {other:?}"),
    }
}

fn headers(index: usize, frame: &Frame<'_>) -> String {
    assert!(
        matches!(frame.prefix, Prefix::Storage(s) if (s.seconds, s.microseconds) == (1_700_000_000, 123_456))
    );
    let time = frame.timestamp.map_or("----------".to_owned(), |t| format!("{t:>10}"));
    let ecu = frame.ecu.map_or("ECU1".to_owned(), |ecu| ecu.to_string());
    let kind = match (frame.message_type(), frame.message_type_info(), frame.level()) {
        (Some(0), _, Some(level)) => format!("log {level}"),
        (Some(2), Some(1), None) => "nw_trace ipc".to_owned(),
        (Some(2), Some(2), None) => "nw_trace can".to_owned(),
        (None, None, None) => "--- ---".to_owned(),
        other => panic!("no golden message is {other:?}"),
    };
    let (apid, ctid, noar) = match frame.extended {
        Some(extended) => (extended.apid.to_string(), extended.ctid.to_string(), extended.noar.to_string()),
        None => ("----".to_owned(), "----".to_owned(), "-".to_owned()),
    };
    let verbose = if frame.is_verbose() { 'V' } else { 'N' };
    let mcnt = frame.mcnt;
    format!("{index} 2023/11/14 22:13:20.123456 {time} {mcnt:03} {ecu} {apid} {ctid} {kind} {verbose} {noar}")
}

#[test]
fn decoded_messages_read_as_dlt_convert_prints_them() {
    let bytes = read("golden_all.dlt");
    let printed = read_text("golden_all.dlt-convert-a.txt");
    let decoded: Vec<String> = frames(&bytes)
        .iter()
        .enumerate()
        .map(|(index, frame)| {
            let payload = match frame.message_id() {
                Some((id, data)) => format!("{id}, {}", hex(data, " ")),
                None => frame.arguments().map(|a| argument(&a.unwrap())).collect::<Vec<_>>().join(" "),
            };
            format!("{} [{payload}]", headers(index, frame))
        })
        .collect();
    assert_eq!(decoded, printed.lines().map(str::trim_end).collect::<Vec<_>>());
}

#[test]
fn payloads_are_the_bytes_that_dlt_convert_prints() {
    let bytes = read("golden_all.dlt");
    let printed = read_text("golden_all.dlt-convert-x.txt");
    let decoded: Vec<String> = frames(&bytes)
        .iter()
        .enumerate()
        .map(|(index, frame)| format!("{} [{}]", headers(index, frame), hex(frame.payload, " ")))
        .collect();
    assert_eq!(decoded, printed.lines().map(str::trim_end).collect::<Vec<_>>());
}
