//! `dlt-core`, a parser that shares nothing with ours, finds the same in the golden messages.

use crate::vectors::{frames, names, read};
use dlt_core::dlt::{self, Message, PayloadContent};
use dlt_core::parse::{ParsedMessage, dlt_message};
use dlt_logger::format::decode::{Frame, Value};

/// Parses exactly one message.
pub(crate) fn parse(bytes: &[u8], with_storage_header: bool) -> Message {
    match dlt_message(bytes, None, with_storage_header) {
        Ok(([], ParsedMessage::Item(message))) => message,
        other => panic!("dlt-core says {other:?}"),
    }
}

/// True if both say the same value; floats by their bits.
pub(crate) fn same_value(ours: Value<'_>, theirs: &dlt::Value) -> bool {
    match (ours, theirs) {
        (Value::Bool(a), dlt::Value::Bool(b)) => u8::from(a) == *b,
        (Value::Signed(a), dlt::Value::I8(b)) => a == i64::from(*b),
        (Value::Signed(a), dlt::Value::I16(b)) => a == i64::from(*b),
        (Value::Signed(a), dlt::Value::I32(b)) => a == i64::from(*b),
        (Value::Signed(a), dlt::Value::I64(b)) => a == *b,
        (Value::Unsigned(a), dlt::Value::U8(b)) => a == u64::from(*b),
        (Value::Unsigned(a), dlt::Value::U16(b)) => a == u64::from(*b),
        (Value::Unsigned(a), dlt::Value::U32(b)) => a == u64::from(*b),
        (Value::Unsigned(a), dlt::Value::U64(b)) => a == *b,
        (Value::F32(a), dlt::Value::F32(b)) => a.to_bits() == b.to_bits(),
        (Value::F64(a), dlt::Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Value::Str(a), dlt::Value::StringVal(b)) => a == b,
        (Value::Raw(a), dlt::Value::Raw(b)) => a == b,
        _ => false,
    }
}

/// Headers and values are the same for both.
pub(crate) fn same_message(ours: &Frame<'_>, theirs: &Message, what: &str) {
    let header = &theirs.header;
    assert_eq!(ours.mcnt, header.message_counter, "{what}");
    assert_eq!(ours.ecu.map(|id| id.to_string()), header.ecu_id, "{what}");
    assert_eq!((ours.session_id, ours.timestamp), (header.session_id, header.timestamp), "{what}");
    assert_eq!(ours.payload.len(), usize::from(header.payload_length), "{what}");
    assert_eq!(ours.extended.is_some(), theirs.extended_header.is_some(), "{what}");
    if let Some(extended) = &theirs.extended_header {
        assert_eq!(ours.apid().to_string(), extended.application_id, "{what}");
        assert_eq!(ours.ctid().to_string(), extended.context_id, "{what}");
        assert_eq!((ours.noar(), ours.is_verbose()), (extended.argument_count, extended.verbose), "{what}");
    }
    match &theirs.payload {
        PayloadContent::Verbose(arguments) => {
            let values: Vec<_> = ours.args().map(Result::unwrap).collect();
            assert_eq!(values.len(), arguments.len(), "{what}");
            for (ours, theirs) in values.iter().zip(arguments) {
                assert!(same_value(*ours, &theirs.value), "{what}: {ours:?} and {:?}", theirs.value);
            }
        }
        PayloadContent::NonVerbose(id, data) => {
            assert_eq!(ours.message_id(), Some((*id, data.as_slice())), "{what}");
        }
        // It takes the bare argument lists of network traces apart.
        PayloadContent::NetworkTrace(slices) => {
            let raw: Vec<_> = ours
                .args()
                .filter_map(|value| match value.unwrap() {
                    Value::Raw(bytes) => Some(bytes),
                    _ => None,
                })
                .collect();
            assert_eq!(raw, slices.iter().map(Vec::as_slice).collect::<Vec<_>>(), "{what}");
        }
        other @ PayloadContent::ControlMsg(..) => panic!("{what} is no control message: {other:?}"),
    }
}

#[test]
fn golden_messages_mean_the_same_to_both() {
    let bytes = read("golden_all.dlt");
    let mut rest = bytes.as_slice();
    for (frame, name) in frames(&bytes).iter().zip(names()) {
        let (after, parsed) = dlt_message(rest, None, true).expect(&name);
        let ParsedMessage::Item(message) = parsed else { panic!("{name}: {parsed:?}") };
        same_message(frame, &message, &name);
        rest = after;
    }
    assert!(rest.is_empty());
}
