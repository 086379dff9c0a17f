//! Bytes that are no messages: an error or "more bytes", never a panic, never an endless loop.

use crate::vectors::{folder, frames, items, read};
use dlt_logger::format::decode::{Frame, FrameError, Item, MAX_ITEM_BYTES, resync, split_item};
use dlt_logger::format::user::UserKind;
use proptest::prelude::*;

/// What a receiver does with all the bytes it will ever get: (messages, errors, bytes of an incomplete item).
fn drain(bytes: &[u8]) -> (Vec<Frame<'_>>, usize, usize) {
    let (mut at, mut messages, mut errors) = (0, Vec::new(), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        match split_item(rest) {
            Ok(Some((item, used))) => {
                assert!(
                    used >= 1 && used <= rest.len() && used <= MAX_ITEM_BYTES,
                    "{used} of {}",
                    rest.len()
                );
                if let Item::Message(frame) = item {
                    let arguments = frame.arguments().count();
                    assert!(arguments <= usize::from(frame.noar()));
                    messages.push(frame);
                }
                at += used;
            }
            Ok(None) => {
                assert!(rest.len() < MAX_ITEM_BYTES, "a full buffer must not wait for more");
                return (messages, errors, rest.len());
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                let skip = resync(rest);
                assert!(skip >= 1 && skip <= rest.len(), "{skip} of {}", rest.len());
                errors += 1;
                at += skip;
            }
        }
    }
    (messages, errors, 0)
}

/// Every byte of every golden item set to every value.
#[test]
fn one_wrong_byte() {
    let files = folder("user").into_iter().chain(folder("tcp")).chain(folder("daemon_to_app"));
    let mut bytes_changed = 0;
    for (file, mut bytes) in files {
        // The two files of 1400 bytes have nothing but filling after the first hundred.
        for at in 0..bytes.len().min(100) {
            let good = bytes[at];
            for value in 0..=u8::MAX {
                bytes[at] = value;
                drain(&bytes);
            }
            bytes[at] = good;
            bytes_changed += 1;
        }
        assert_eq!(drain(&bytes).1, 0, "{file} is whole again");
    }
    assert!(bytes_changed > 5000, "{bytes_changed}");
}

#[test]
fn every_truncation_of_a_stream() {
    let bytes = read("golden_all.dlt");
    let all = frames(&bytes);
    for cut in (0..bytes.len()).step_by(7) {
        let (found, errors, left) = drain(&bytes[..cut]);
        assert_eq!(errors, 0, "cut to {cut}");
        assert_eq!(found, all[..found.len()], "cut to {cut}");
        let used: usize = found.iter().map(|frame| frame_bytes(frame)).sum();
        assert_eq!(used + left, cut, "nothing vanished");
    }
}

/// Bytes of a message with a storage header.
fn frame_bytes(frame: &Frame<'_>) -> usize {
    let optional = [frame.ecu.is_some(), frame.session_id.is_some(), frame.timestamp.is_some()];
    let optional = 4 * optional.iter().filter(|&&there| there).count();
    16 + 4 + optional + if frame.extended.is_some() { 10 } else { 0 } + frame.payload.len()
}

#[test]
fn len_shorter_than_the_announced_headers() {
    let message = &read("user/43_log_no_args.bin")[8..];
    for len in 0..26u16 {
        let mut short = message.to_vec();
        short[2..4].copy_from_slice(&len.to_be_bytes());
        assert_eq!(split_item(&short), Err(FrameError::Length { len, htyp: 0x3d, headers: 26 }), "LEN {len}");
        assert_eq!(split_item(&short[..4]), split_item(&short), "LEN {len}: seen without waiting for more");
    }
}

#[test]
fn errors_name_what_they_found() {
    let found = |bytes: &[u8]| split_item(bytes).unwrap_err();
    assert_eq!(found(b"x"), FrameError::Start { found: b'x' });
    assert_eq!(found(b"DUX\x01"), FrameError::Start { found: b'X' });
    assert_eq!(found(b"DLT\x02"), FrameError::Start { found: 2 });
    assert_eq!(found(b"DUH\x01\x01\0\0\0\x55"), FrameError::Start { found: 0x55 });
    assert_eq!(found(b"DLS\x01\x5d"), FrameError::Start { found: 0x5d });
    assert_eq!(found(b"DUH\x01\x0e\0\0\0"), FrameError::UserKind { kind: 14 });
    assert_eq!(found(b"DUH\x01\0\0\0\0"), FrameError::UserKind { kind: 0 });
    let endless = b"DUH\x01\x02\0\0\0APP1\0\0\0\0\xff\xff\xff\xff";
    let error = FrameError::UserLength { kind: UserKind::RegisterApplication, len: u32::MAX, max: 65_535 };
    assert_eq!(found(endless), error);
    assert!(error.to_string().contains("4294967295"), "{error}");
}

#[test]
fn resync_goes_to_the_next_pattern_or_the_beginning_of_one() {
    for (bytes, skip) in [
        (&b""[..], 0),
        (b"x", 1),
        (b"D", 1),
        (b"xxDLT\x01", 2),
        (b"DLT\x01DUH\x01", 4),
        (b"xDLT\x02DLS\x01", 5),
        (b"xxxDL", 3),
        (b"xxxD", 3),
        (b"xDUxDUHDUH\x01", 7),
    ] {
        assert_eq!(resync(bytes), skip, "{}", bytes.escape_ascii());
    }
}

/// A marker may come with a byte of padding, which the daemon eats.
#[test]
fn padding_after_a_marker_costs_no_message() {
    let message = read("user/29_log_string_ascii.bin");
    let bytes = [&read("user/59_marker.bin"), &[0][..], &message].concat();
    let (messages, errors, left) = drain(&bytes);
    assert_eq!((messages.len(), errors, left), (1, 1, 0));
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drain(&bytes);
    }

    /// Random bytes get further behind a good beginning.
    #[test]
    fn random_bytes_behind_a_pattern(
        pattern in prop::sample::select(vec![
            &b"DLT\x01"[..], b"DUH\x01", b"DUH\x01\x01\0\0\0", b"DLS\x01", b"\x3d", b"\x3d\0\0", b"\x3d\0\0\x30",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        drain(&[pattern, &bytes].concat());
    }

    /// Whole messages between garbage are all found. The garbage has bytes that begin nothing.
    #[test]
    fn messages_between_garbage(
        picks in prop::collection::vec((0usize..55, prop::collection::vec(0x80u8.., 0..20)), 1..30),
    ) {
        let golden = read("golden_all.dlt");
        let golden = frames(&golden);
        let whole = read("golden_all.dlt");
        let mut starts = vec![0];
        for frame in &golden {
            starts.push(starts[starts.len() - 1] + frame_bytes(frame));
        }
        let mut stream = Vec::new();
        for (pick, garbage) in &picks {
            stream.extend_from_slice(garbage);
            stream.extend_from_slice(&whole[starts[*pick]..starts[pick + 1]]);
        }
        let (found, errors, left) = drain(&stream);
        let expected: Vec<_> = picks.iter().map(|(pick, _)| golden[*pick]).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(errors, picks.iter().filter(|(_, garbage)| !garbage.is_empty()).count());
        prop_assert_eq!(left, 0);
    }

    /// However a stream is cut into reads, the same items come out.
    #[test]
    fn any_cutting_into_reads(cuts in prop::collection::vec(1usize..300, 1..200)) {
        let stream: Vec<u8> = folder("user").into_iter().flat_map(|(_, bytes)| bytes).collect();
        let expected = items(&stream);
        let (mut buffer, mut fed, mut count) = (Vec::new(), 0, 0);
        let mut cuts = cuts.into_iter().cycle();
        while fed < stream.len() {
            let more = cuts.next().unwrap().min(stream.len() - fed);
            buffer.extend_from_slice(&stream[fed..fed + more]);
            fed += more;
            while let Some((item, used)) = split_item(&buffer).unwrap() {
                prop_assert_eq!(item, expected[count]);
                count += 1;
                buffer.drain(..used);
            }
        }
        prop_assert_eq!((count, buffer.len()), (expected.len(), 0));
    }
}
