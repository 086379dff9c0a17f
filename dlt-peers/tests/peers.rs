//! Each contender, in a process of its own: what is in its file is what was logged, less what it says it dropped.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests as well")]

use std::path::{Path, PathBuf};
use std::process::Command;

use dlt_core::parse::{DltParseError, ParsedMessage, dlt_message};

const TEXT: &str = "0123456789abcdef";
const MESSAGES: u64 = 10_000;
/// Exit code of `dlt-peer`: not installed.
const NOT_INSTALLED: i32 = 4;

/// A file that is gone at the end.
struct Sink(PathBuf);

impl Sink {
    fn new(name: &str) -> Self {
        let file = format!("dlt-peers-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(file))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // A test that failed before may have made none.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs it; how many it says it dropped. `None`: it is not installed.
fn log(name: &str, sink: &Path, policy: Option<&str>) -> Option<u64> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlt-peer"));
    command.arg(name).arg(sink).args([MESSAGES.to_string(), "2".to_owned()]).args(policy);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(NOT_INSTALLED) {
        eprintln!("skipped: {name}: {said}");
        return None;
    }
    assert!(output.status.success(), "{name}: {output:?}");
    assert!(said.contains("configuration: "), "{said}");
    let dropped = said.lines().find_map(|line| line.strip_prefix("dropped: ")).unwrap();
    Some(dropped.split(' ').next().unwrap().parse().unwrap())
}

/// Frames of the file, by a parser that is not this project's, with the message's two arguments.
fn frames(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let (mut rest, mut count) = (&bytes[..], 0);
    while !rest.is_empty() {
        match dlt_message(rest, None, true) {
            Ok((left, ParsedMessage::Item(message))) => {
                count += u64::from(format!("{:?}", message.payload).contains(TEXT));
                rest = left;
            }
            Ok((_, other)) => panic!("{other:?}"),
            Err(DltParseError::IncompleteParse { .. }) => panic!("{} bytes too many", rest.len()),
            Err(error) => panic!("{error:?}"),
        }
    }
    count
}

fn lines(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().filter(|line| line.contains(TEXT)).count() as u64
}

/// The file of a logger that can wait has everything; that of one that can not, what it did not drop.
fn all_is_there(name: &str, count: impl Fn(&Path) -> u64, waits: bool) {
    let sink = Sink::new(name);
    let Some(dropped) = log(name, &sink.0, None) else { return };
    assert_eq!(count(&sink.0) + dropped, MESSAGES, "{name}");
    assert!(!waits || dropped == 0, "{name} dropped {dropped}");
}

/// The same if calls do not wait.
fn losses_are_counted(name: &str, count: impl Fn(&Path) -> u64) {
    let sink = Sink::new(&format!("{name}-lossy"));
    let Some(dropped) = log(name, &sink.0, Some("lossy")) else { return };
    assert_eq!(count(&sink.0) + dropped, MESSAGES, "{name}");
}

macro_rules! contenders {
    ($($test:ident $name:literal $count:ident $waits:literal $exact:literal)+) => {
        /// Names in this file: none is forgotten.
        const TESTED: &[&str] = &[$($name),+];

        $(#[test]
        fn $test() {
            all_is_there($name, $count, $waits);
            if $exact {
                losses_are_counted($name, $count);
            }
        })+
    };
}

// Whether calls can wait for room; whether drops are counted exactly.
contenders! {
    dlt_logger_overwrite "dlt-logger-overwrite" frames false true
    dlt_logger_drop "dlt-logger-drop" frames false true
    dlt_logger_block "dlt-logger-block" frames true true
    mutex "mutex" frames true true
    std_mpsc "std-mpsc" frames true true
    array_queue "array-queue" frames true true
    iceoryx2_queue "iceoryx2-queue" frames true true
    tracing_appender "tracing-appender" lines true true
    slog_async "slog-async" lines true true
    ftlog "ftlog" lines true false
    fast_log "fast_log" lines true true
    libdlt "libdlt" frames false false
}

#[test]
fn each_contender_has_a_test() {
    for name in dlt_peers::NAMES {
        assert!(TESTED.contains(name), "{name}");
    }
}
