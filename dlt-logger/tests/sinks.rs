//! Sinks that are full, late, broken, or fill up.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Received, one_buffer};
use dlt_logger::{Config, Logger, Outcome, OverflowMode, Sink, dlt_info};

const CLOSE: Duration = Duration::from_secs(20);

/// A folder of this test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dlt-logger-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file has storage headers, is appended to, and an independent parser reads it.
#[test]
fn a_file_opens_in_an_independent_parser() {
    let folder = Folder::new("file");
    let path = folder.0.join("log.dlt");
    for _ in 0..2 {
        let config = Config::default().with_overflow_mode(OverflowMode::BlockWithTimeout);
        let logger = Logger::builder("FILE").config(config).sink(Sink::File(path.clone())).build().unwrap();
        let context = logger.context("CTX1").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..500u64).for_each(|number| _ = dlt_info!(context, number, "text äöü")));
            }
        });
        assert_eq!(logger.shutdown(CLOSE).stats.total().sent, 2_000);
    }
    let bytes = std::fs::read(&path).unwrap();
    let (mut rest, mut messages) = (&bytes[..], 0);
    while !rest.is_empty() {
        let (after, parsed) = dlt_core::parse::dlt_message(rest, None, true).unwrap();
        let dlt_core::parse::ParsedMessage::Item(message) = parsed else { panic!("{parsed:?}") };
        assert_eq!(message.storage_header.unwrap().ecu_id, "ECU1");
        assert_eq!(message.extended_header.unwrap().application_id, "FILE");
        rest = after;
        messages += 1;
    }
    assert_eq!(messages, 4_000);
    let mut received = Received::default();
    assert_eq!(received.take(&bytes), bytes.len());
}

/// A file that cannot be opened is an error of the builder, with the path and the reason.
#[test]
fn a_file_that_cannot_be_opened() {
    let error = Logger::builder("FILE").sink(Sink::File("/nonexistent/log.dlt".into())).build().unwrap_err();
    assert!(error.to_string().contains("/nonexistent/log.dlt"), "{error}");
}

/// A disk that fills up: whole frames only, the error is known, the books hold, and the rest is delivered once there is room.
#[test]
fn a_full_disk() {
    let folder = Folder::new("full");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&folder.0).status();
    if !mount.is_ok_and(|status| status.success()) {
        println!("SKIPPED: mounting a small file system needs root");
        return;
    }
    let result = std::panic::catch_unwind(|| {
        let path = folder.0.join("log.dlt");
        let config = one_buffer(OverflowMode::DropNewest, 64);
        let logger = Logger::builder("FULL").config(config).sink(Sink::File(path.clone())).build().unwrap();
        let context = logger.context("CTX1").unwrap();
        let mut attempted = 0u64;
        let start = Instant::now();
        while logger.sink_error().is_none() && start.elapsed() < Duration::from_secs(10) {
            let _ = dlt_info!(context, attempted, "some text that fills the disk");
            attempted += 1;
            std::thread::sleep(Duration::from_micros(20));
        }
        assert_eq!(logger.sink_error().unwrap().raw_os_error(), Some(libc::ENOSPC));
        let report = logger.shutdown(Duration::from_millis(300));
        let total = report.stats.total();
        assert!(report.sink_error.is_some());
        assert_eq!(attempted, total.sent + total.lost(), "{total:#?}");
        let bytes = std::fs::read(&path).unwrap();
        let mut received = Received::default();
        assert_eq!(received.take(&bytes), bytes.len(), "no torn frame at the end");
        assert_eq!(received.messages(), total.sent);
    });
    let unmounted = Command::new("umount").arg(&folder.0).status().unwrap();
    assert!(unmounted.success());
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn config() -> Config {
    one_buffer(OverflowMode::DropNewest, 1024)
}

/// Reads what a client sends until it closes.
fn read_client(stream: &mut UnixStream) -> Received {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut received = Received::default();
    assert_eq!(received.take(&bytes), bytes.len());
    received
}

/// A daemon that starts after the application: what was logged before is kept and delivered.
#[test]
fn a_daemon_that_comes_late() {
    let folder = Folder::new("late");
    let path = folder.0.join("daemon.sock");
    let logger = Logger::builder("LATE").config(config()).sink(Sink::Unix(path.clone())).build().unwrap();
    let context = logger.context("CTX1").unwrap();
    (0..100u64).for_each(|number| assert_eq!(dlt_info!(context, number), Outcome::Accepted));
    std::thread::sleep(Duration::from_millis(50));
    assert!(logger.stats().workers[0].sink_down);
    let listener = UnixListener::bind(&path).unwrap();
    let (mut client, _) = listener.accept().unwrap();
    logger.flush(CLOSE).unwrap();
    assert!(!logger.stats().workers[0].sink_down);
    assert_eq!(logger.shutdown(CLOSE).stats.total().sent, 100);
    assert_eq!(read_client(&mut client).of("CTX1"), (0..100).collect::<Vec<_>>());
}

/// A daemon that dies and comes again: what it had not been sent goes to the next one, and every message is accounted for.
#[test]
fn a_daemon_that_dies() {
    let folder = Folder::new("dies");
    let path = folder.0.join("daemon.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let logger = Logger::builder("DIES").config(config()).sink(Sink::Unix(path)).build().unwrap();
    let context = logger.context("CTX1").unwrap();
    let (first, _) = listener.accept().unwrap();
    (0..10u64).for_each(|number| assert_eq!(dlt_info!(context, number), Outcome::Accepted));
    logger.flush(CLOSE).unwrap();
    // Dies without having read: what the kernel had taken is gone, and only the daemon could have known.
    drop(first);
    (10..110u64).for_each(|number| assert_eq!(dlt_info!(context, number), Outcome::Accepted));
    let (mut second, _) = listener.accept().unwrap();
    logger.flush(CLOSE).unwrap();
    let total = logger.shutdown(CLOSE).stats.total();
    let received = read_client(&mut second);
    assert_eq!(110, total.sent + total.sink_lost, "{total:#?}");
    assert_eq!(received.messages(), total.sent - 10);
    let numbers = received.of("CTX1");
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]) && numbers.last() == Some(&109), "{numbers:?}");
}

/// No daemon at all: the logger ends within its time and says how many it could not deliver.
#[test]
fn a_daemon_that_never_comes() {
    let folder = Folder::new("never");
    let sink = Sink::Unix(folder.0.join("nobody.sock"));
    let logger = Logger::builder("NEVR").config(config()).sink(sink).build().unwrap();
    let context = logger.context("CTX1").unwrap();
    (0..100u64).for_each(|number| _ = dlt_info!(context, number));
    let start = Instant::now();
    let report = logger.shutdown(Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let total = report.stats.total();
    assert_eq!((total.sent, total.lost_at_close + total.sink_lost), (0, 100), "{total:#?}");
    assert!(report.sink_error.is_some());
}

/// A `writev` carries at most the batch: with everything waiting there are exactly as many calls as batches.
#[test]
fn one_writev_a_batch() {
    for batch in [1, 7, 16, 64] {
        let config = one_buffer(OverflowMode::DropNewest, 1024).with_batch_size(batch);
        let logger = Logger::builder("BTCH").config(config).sink(Sink::Null).build().unwrap();
        let context = logger.context("CTX1").unwrap();
        logger.pause_workers();
        (0..1000u64).for_each(|number| assert_eq!(dlt_info!(context, number), Outcome::Accepted));
        logger.resume_workers();
        logger.flush(CLOSE).unwrap();
        assert_eq!(logger.stats().writev_calls(), 1000u64.div_ceil(batch as u64), "batches of {batch}");
    }
}

/// After a pause all workers sleep long, but not at the same time, and whoever wakes looks after the others' lanes: a
/// message waits for the next wake-up of any of sixteen workers, not for that of its own, which is eight wake-ups later.
#[test]
fn first_message_after_a_pause_is_delivered_by_the_next_wakeup_of_any_worker() {
    let logger = Logger::builder("IDLE")
        .config(Config::default().with_num_buffers(16))
        .sink(Sink::Null)
        .build()
        .unwrap();
    let context = logger.context("CTX1").unwrap();
    logger.prepare_thread();
    let mut waited: Vec<u64> = (1..=15u64)
        .map(|round| {
            // Until all of them are idle, and any phase of their sleeps.
            std::thread::sleep(Duration::from_millis(450 + round * 7));
            let before = logger.stats().wakeups();
            assert_eq!(dlt_info!(context, round), Outcome::Accepted);
            while logger.stats().total().sent < round {
                std::thread::sleep(Duration::from_micros(200));
            }
            logger.stats().wakeups() - before
        })
        .collect();
    waited.sort_unstable();
    assert!(waited[7] <= 3, "wake-ups of any worker until it was delivered: {waited:?}");
}
