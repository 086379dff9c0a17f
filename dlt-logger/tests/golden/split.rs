//! Streams and files of real programs fall into the right pieces.

use crate::vectors::{folder, frames, items, names, read, read_text};
use dlt_logger::format::decode::{Frame, FrameError, Item, Prefix, Value, split, split_item};
use dlt_logger::format::user::UserKind;
use dlt_logger::format::{Id4, StorageHeader};

/// The user messages of `user/` that are no log messages.
const CONTROL: [(&str, UserKind); 10] = [
    ("00_reg_app.bin", UserKind::RegisterApplication),
    ("01_reg_ctx1.bin", UserKind::RegisterContext),
    ("02_reg_ctx2_nodesc.bin", UserKind::RegisterContext),
    ("03_reg_ctx3_ll_ts.bin", UserKind::RegisterContext),
    ("59_marker.bin", UserKind::Marker),
    ("60_log_mode_both.bin", UserKind::LogMode),
    ("61_app_ll_ts_limit.bin", UserKind::ApplicationLevel),
    ("62_unreg_ctx2.bin", UserKind::UnregisterContext),
    ("63_overflow.bin", UserKind::Overflow),
    ("64_unreg_app.bin", UserKind::UnregisterApplication),
];

fn only<'a>(file: &str, bytes: &'a [u8]) -> Item<'a> {
    let items = items(bytes);
    assert_eq!(items.len(), 1, "{file}");
    items[0]
}

#[test]
fn every_user_message_is_one_item() {
    for version in ["user", "user_v3.0.0"] {
        let files = folder(version);
        assert_eq!(files.len(), 65, "{version}");
        let mut control = 0;
        for (file, bytes) in &files {
            match (only(file, bytes), CONTROL.iter().find(|(name, _)| name == file)) {
                (Item::User(message), Some(&(_, kind))) => {
                    control += 1;
                    assert_eq!((message.kind, message.body), (kind, &bytes[8..]), "{file}");
                    assert_eq!(
                        split(bytes),
                        Err(FrameError::NotALog { kind, bytes: bytes.len() }),
                        "{file}: split() refuses it and says what to skip"
                    );
                }
                (Item::Message(frame), None) => {
                    assert_eq!(frame.prefix, Prefix::User, "{file}");
                    assert_eq!(split(bytes), Ok(Some((frame, bytes.len()))), "{file}");
                }
                (item, expected) => panic!("{version}/{file}: {item:?}, expected {expected:?}"),
            }
        }
        assert_eq!(control, CONTROL.len(), "{version}");
        let stream = files.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect::<Vec<_>>();
        assert_eq!(items(&stream).len(), 65, "{version}: and all of them are one stream");
    }
}

#[test]
fn messages_of_the_daemon_to_an_application() {
    let files = folder("daemon_to_app");
    assert_eq!(files.len(), 9);
    for (file, bytes) in &files {
        let kind = match file.as_str() {
            name if name.contains("log_state") => UserKind::LogState,
            name if name.contains("injection") => UserKind::Injection,
            _ => UserKind::LogLevel,
        };
        let items = items(bytes);
        assert!(!items.is_empty());
        for item in items {
            assert!(matches!(item, Item::User(message) if message.kind == kind), "{file}: {item:?}");
        }
    }
}

#[test]
fn messages_over_tcp() {
    let files = folder("tcp");
    assert_eq!(files.len(), 64);
    for (file, bytes) in &files {
        let Item::Message(frame) = only(file, bytes) else { panic!("{file}: no DLT message") };
        assert_eq!(frame.prefix, Prefix::None, "{file}");
        let (request, response, time) = (Some(1), Some(2), Some(3));
        let info = match file.as_str() {
            name if name.contains("_req_") => request,
            // The time message that was switched on came behind the response.
            "14_time_0.bin" | "14_time_1.bin" | "14_resp_set_timing_packets_1.bin" => time,
            name if name.contains("_resp_") => response,
            _ => continue,
        };
        assert_eq!((frame.message_type(), frame.message_type_info()), (Some(3), info), "{file}");
        assert_eq!((frame.session_id, frame.payload.is_empty()), (None, info == time), "{file}");
    }
    let software_version = read("tcp/03_resp_get_software_version_0.bin");
    let (frame, _) = split(&software_version).unwrap().unwrap();
    let (service, data) = frame.message_id().unwrap();
    assert_eq!((service, data[0], frame.level(), frame.args().next()), (0x13, 0, None, None));
}

#[test]
fn golden_all_is_the_log_messages_with_storage_headers() {
    let bytes = read("golden_all.dlt");
    let (frames, names) = (frames(&bytes), names());
    assert_eq!((frames.len(), names.len()), (55, 55));
    let storage =
        StorageHeader { seconds: 1_700_000_000, microseconds: 123_456, ecu: Id4::new("ECU1").unwrap() };
    for (frame, name) in frames.iter().zip(&names) {
        let file = read(&format!("user/{name}"));
        let (message, used) = split(&file).unwrap().unwrap();
        assert_eq!(used, file.len(), "{name}");
        assert_eq!(*frame, Frame { prefix: Prefix::Storage(storage), ..message }, "{name}");
    }
}

#[test]
fn optional_fields_are_there_when_announced() {
    let read_frame = |name: &str| {
        let bytes = read(&format!("user/{name}"));
        let frame = split(&bytes).unwrap().unwrap().0;
        (frame.ecu.is_some(), frame.session_id, frame.timestamp, frame.extended.is_some())
    };
    let (pid, time) = (Some(0x12345), Some(0x0102_0304));
    assert_eq!(read_frame("29_log_string_ascii.bin"), (true, pid, time, true));
    assert_eq!(read_frame("55_log_nonverbose_id_noexthdr.bin"), (true, pid, time, false));
    assert_eq!(read_frame("56_log_string_no_seid.bin"), (true, None, time, true));
    assert_eq!(read_frame("57_log_string_no_seid_tmsp.bin"), (true, None, None, true));
    assert_eq!(read_frame("58_log_string_no_extras.bin"), (false, None, None, true));
}

#[test]
fn serial_header_is_a_prefix() {
    let message = &read("user/29_log_string_ascii.bin")[8..];
    let bytes = [b"DLS\x01", message].concat();
    let (frame, used) = split(&bytes).unwrap().unwrap();
    assert_eq!((frame.prefix, used), (Prefix::Serial, bytes.len()));
    assert_eq!(frame.args().collect::<Vec<_>>(), [Ok(Value::Str("hello"))]);
}

#[test]
fn file_written_by_libdlt() {
    let bytes = read("libdlt_init_file.dlt");
    let frames = frames(&bytes);
    assert_eq!(frames.len(), 3);
    for (n, frame) in (0u32..).zip(&frames) {
        assert_eq!((frame.apid().to_string(), frame.ctid().to_string()), ("FILE".into(), "FCTX".into()));
        assert_eq!((u32::from(frame.mcnt), frame.timestamp), (n, Some(1000 + n)));
        let values: Result<Vec<_>, _> = frame.args().collect();
        assert_eq!(values.unwrap(), [Value::Signed(n.into()), Value::Str("to file")]);
    }
}

#[test]
fn file_stored_by_a_viewer() {
    let bytes = read("dlt-receive_example-user.dlt");
    let frames = frames(&bytes);
    assert_eq!(frames.len(), bytes.windows(4).filter(|w| *w == b"DLT\x01").count());
    let logged: Vec<_> = frames
        .iter()
        .filter(|frame| frame.apid().to_string() == "LOG" && frame.is_verbose())
        .map(|frame| frame.args().map(Result::unwrap).collect::<Vec<_>>())
        .collect();
    let expected: Vec<_> = (0..5).map(|n| vec![Value::Signed(n), Value::Str("hello world")]).collect();
    assert_eq!(logged, expected);
}

/// The manifest says what each file should hold; the files are what is tested.
#[test]
fn files_are_what_the_manifest_says() {
    let manifest = read_text("user/manifest.json");
    let field = |line: &str, key: &str| -> Option<String> {
        let value = line.trim().strip_prefix(&format!("\"{key}\": "))?;
        Some(value.trim_end_matches(',').trim_matches('"').to_owned())
    };
    let (mut file, mut checked) = (String::new(), 0);
    for line in manifest.lines() {
        if let Some(name) = field(line, "file") {
            file = name;
        } else if let Some(hex) = field(line, "hex")
            && !hex.is_empty()
        {
            let bytes: Vec<u8> =
                (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
            assert_eq!(bytes, read(&format!("user/{file}")), "{file}");
            checked += 1;
        }
    }
    assert_eq!(checked, folder("user").len());
}

#[test]
fn more_bytes_are_awaited_never_invented() {
    for (file, bytes) in folder("user").iter().chain(&folder("tcp")).chain(&folder("user_v3.0.0")) {
        for cut in 0..bytes.len() {
            assert_eq!(split_item(&bytes[..cut]), Ok(None), "{file} cut to {cut} bytes");
        }
    }
    let all = read("golden_all.dlt");
    let (_, first) = split(&all).unwrap().unwrap();
    for cut in 0..first {
        assert_eq!(split(&all[..cut]), Ok(None), "cut to {cut} bytes");
    }
}
