//! Closing: what was accepted is delivered, what comes later is counted, and it never takes longer than allowed.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{Received, join, logger_on_sockets, one_buffer};
use dlt_logger::{Logger, Outcome, OverflowMode, Sink, dlt_info};

const CLOSE: Duration = Duration::from_secs(20);

/// Round after round a logger is closed while threads log: no message is accepted after the last drain.
#[test]
fn closed_while_threads_log() {
    let rounds = if cfg!(debug_assertions) { 150 } else { 1_000 };
    for round in 0..rounds {
        let mode = OverflowMode::ALL[round % 3];
        let (logger, receivers) = logger_on_sockets(one_buffer(mode, 64), Duration::ZERO);
        let context = logger.context("RACE").unwrap();
        let (accepted, report) = std::thread::scope(|scope| {
            let log = || {
                scope.spawn(|| {
                    let mut accepted = 0u64;
                    for number in 0u64.. {
                        match dlt_info!(context, number) {
                            Outcome::Accepted => accepted += 1,
                            Outcome::Closed => break,
                            _ => {}
                        }
                    }
                    accepted
                })
            };
            let threads: Vec<_> = (0..3).map(|_| log()).collect();
            std::thread::sleep(Duration::from_micros(200));
            let report = logger.shutdown(CLOSE);
            assert!(report.is_complete);
            (threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>(), report)
        });
        // Every call that returned Accepted, also those that were under way, was delivered or overwritten.
        let (received, total) = (join(receivers), report.stats.total());
        assert_eq!(accepted, received.messages() + total.overwritten, "round {round}: {total:#?}");
        assert_eq!(received.messages(), total.sent);
    }
}

/// `shutdown` delivers what was accepted, however much it is.
#[test]
fn everything_accepted_is_delivered() {
    let (logger, receivers) =
        logger_on_sockets(one_buffer(OverflowMode::DropNewest, 100_000), Duration::ZERO);
    let context = logger.context("ALL").unwrap();
    (0..100_000u64).for_each(|number| assert_eq!(dlt_info!(context, number), Outcome::Accepted));
    assert_eq!(logger.shutdown(CLOSE).stats.total().sent, 100_000);
    assert_eq!(join(receivers).messages(), 100_000);
    assert_eq!(dlt_info!(context, 1u64), Outcome::Closed);
}

/// The same for a logger that is dropped.
#[test]
fn dropping_delivers() {
    let (logger, receivers) = logger_on_sockets(one_buffer(OverflowMode::DropNewest, 1_000), Duration::ZERO);
    let context = logger.context("DROP").unwrap();
    (0..1_000u64).for_each(|number| assert_eq!(dlt_info!(context, number), Outcome::Accepted));
    drop(logger);
    drop(context);
    assert_eq!(join(receivers).messages(), 1_000);
}

/// A receiver that takes nothing: closing takes its time and no more, and says what is left.
#[test]
fn a_stuck_receiver_does_not_hold_up_the_close() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let config = one_buffer(OverflowMode::DropNewest, 100_000);
    let logger =
        Logger::builder("STCK").config(config).sink(Sink::Streams(vec![ours.into()])).build().unwrap();
    let context = logger.context("STCK").unwrap();
    let mut accepted = 0;
    for number in 0..50_000u64 {
        accepted += u64::from(dlt_info!(context, number, "text") == Outcome::Accepted);
    }
    let start = Instant::now();
    assert!(logger.flush(Duration::from_millis(100)).is_err());
    let report = logger.shutdown(Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let total = report.stats.total();
    assert!(report.is_complete && total.lost_at_close + total.sink_lost > 0, "{total:#?}");
    assert_eq!(accepted, total.sent + total.lost_at_close + total.sink_lost);
    // What it did take are whole frames, and the beginning of one more.
    let mut bytes = Vec::new();
    let mut theirs = theirs;
    theirs.read_to_end(&mut bytes).unwrap();
    let mut received = Received::default();
    let whole = received.take(&bytes);
    assert!(bytes.len() - whole < 200);
    assert_eq!(received.messages(), total.sent);
}

/// A flush returns in its time also when the workers do nothing.
#[test]
fn flush_returns_with_held_workers() {
    let logger = Logger::builder("FLSH").build().unwrap();
    let context = logger.context("FLSH").unwrap();
    logger.pause_workers();
    (0..7u64).for_each(|number| _ = dlt_info!(context, number));
    let start = Instant::now();
    let left = logger.flush(Duration::from_millis(50)).unwrap_err();
    assert_eq!(left.undelivered, 7);
    assert!((Duration::from_millis(50)..Duration::from_secs(2)).contains(&start.elapsed()));
    logger.resume_workers();
    logger.flush(CLOSE).unwrap();
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// The child's part: a logger in a static, and an exit right after the last call.
#[test]
fn exits_after_the_last_call() {
    let Some(path) = std::env::var_os("CLOSE_CHILD") else { return };
    let logger = Logger::builder("EXIT")
        .config(one_buffer(OverflowMode::DropNewest, 5_000))
        .sink(Sink::Unix(path.into()));
    let logger = LOGGER.get_or_init(|| logger.build().unwrap());
    let context = logger.context("EXIT").unwrap();
    (0..5_000u64).for_each(|number| assert_eq!(dlt_info!(context, number), Outcome::Accepted));
    std::process::exit(0);
}

fn exiting_child(path: &std::path::Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["exits_after_the_last_call", "--exact", "--nocapture"])
        .env("CLOSE_CHILD", path)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn an_exit_right_after_the_last_call_delivers() {
    let path = std::env::temp_dir().join(format!("dlt-logger-exit-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let child = exiting_child(&path);
    let (mut client, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    std::fs::remove_file(&path).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut received = Received::default();
    assert_eq!(received.take(&bytes), bytes.len());
    assert_eq!(received.of("EXIT"), (0..5_000).collect::<Vec<_>>());
}

/// Without a daemon the exit takes a second, and what was not delivered is said.
#[test]
fn an_exit_without_a_daemon_says_what_is_lost() {
    let start = Instant::now();
    let output = exiting_child(std::path::Path::new("/nonexistent/daemon.sock")).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("application EXIT: 5000 messages were not delivered"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
