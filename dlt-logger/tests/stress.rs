//! Many threads, all modes, changing modes, slow receivers: every message is delivered once, whole and in order, or counted.
//! Also run under ThreadSanitizer.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use common::{Received, assert_books, assert_gaps, join, logger_on_sockets};
use dlt_logger::{BufferStats, Config, Level, Logger, Outcome, OverflowMode};

/// Smaller where every instruction is watched.
const MESSAGES: u64 = if cfg!(debug_assertions) { 50_000 } else { 200_000 };
const NONE: Duration = Duration::ZERO;
const CLOSE: Duration = Duration::from_secs(20);

/// Logs `MESSAGES` numbered messages of changing length in each of `threads` threads; returns how many were attempted
/// and accepted.
fn log_from(logger: &Logger, threads: usize) -> [u64; 2] {
    std::thread::scope(|scope| {
        let log = |thread: usize| {
            let context = logger.context(&format!("T{thread:03}")).unwrap();
            let mut accepted = 0;
            for number in 0..MESSAGES {
                let length = (number * 7 + thread as u64) as usize % 90;
                let bytes = [number as u8; 90];
                let outcome = context.log(Level::Info, &(number, &bytes[..length]));
                assert!(
                    !matches!(outcome, Outcome::Filtered | Outcome::Closed | Outcome::NoLane),
                    "{outcome:?}"
                );
                accepted += u64::from(outcome == Outcome::Accepted);
            }
            accepted
        };
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || log(thread))).collect();
        let attempted = threads.len() as u64 * MESSAGES;
        [attempted, threads.into_iter().map(|thread| thread.join().unwrap()).sum()]
    })
}

fn run(config: Config, threads: usize, pause: Duration) {
    let (logger, receivers) = logger_on_sockets(config, pause);
    let [attempted, accepted] = log_from(&logger, threads);
    let report = logger.shutdown(CLOSE);
    assert!(report.is_complete);
    let total = report.stats.total();
    assert_eq!(accepted, total.accepted, "outcomes and counters");
    assert_losses(attempted, threads, &join(receivers), &total);
}

/// The books agree; each thread's messages are in order; gaps and loss notes are the logger's own terms.
fn assert_losses(attempted: u64, threads: usize, received: &Received, total: &BufferStats) {
    assert_books(attempted, received, total);
    let lost: u64 = (0..threads)
        .map(|thread| {
            let numbers = received.of(&format!("T{thread:03}"));
            let lost = MESSAGES - numbers.len() as u64;
            assert_gaps(numbers, MESSAGES, lost);
            lost
        })
        .sum();
    assert_eq!(lost, total.lost(), "the receiver's gaps are the logger's own terms");
    assert_eq!(
        received.noted,
        [total.overwritten, total.dropped(), total.timed_out],
        "losses are said in the log"
    );
}

fn config(mode: OverflowMode, buffers: usize, capacity: usize, batch: usize) -> Config {
    Config::default()
        .with_num_buffers(buffers)
        .with_all_buffer_sizes(capacity)
        .with_batch_size(batch)
        .with_overflow_mode(mode)
        .with_timeout(Duration::from_secs(30))
}

#[test]
fn overwrite() {
    for (capacity, batch) in [(2, 1), (16, 16), (2048, 64)] {
        run(config(OverflowMode::Overwrite, 2, capacity, batch), 4, NONE);
    }
}

#[test]
fn drop_newest() {
    for (capacity, batch) in [(2, 1), (16, 16), (2048, 64)] {
        run(config(OverflowMode::DropNewest, 2, capacity, batch), 4, NONE);
    }
}

/// With a timeout that is never reached nothing is lost.
#[test]
fn block_with_timeout_loses_nothing() {
    for (capacity, batch) in [(16, 16), (2048, 64)] {
        let (logger, receivers) =
            logger_on_sockets(config(OverflowMode::BlockWithTimeout, 2, capacity, batch), NONE);
        let [attempted, _] = log_from(&logger, 4);
        let report = logger.shutdown(CLOSE);
        let received = join(receivers);
        assert_eq!(report.stats.total().lost(), 0, "{:#?}", report.stats.total());
        assert_eq!(received.messages(), attempted);
    }
}

#[test]
fn a_slow_receiver_loses_only_what_is_counted() {
    run(config(OverflowMode::Overwrite, 1, 64, 16), 2, Duration::from_millis(2));
    run(config(OverflowMode::DropNewest, 1, 64, 16), 2, Duration::from_millis(2));
}

#[test]
fn mode_changes_under_load() {
    let (logger, receivers) = logger_on_sockets(config(OverflowMode::Overwrite, 2, 64, 16), NONE);
    let stop = AtomicBool::new(false);
    let attempted = std::thread::scope(|scope| {
        scope.spawn(|| {
            for mode in OverflowMode::ALL.into_iter().cycle() {
                if stop.load(Relaxed) {
                    break;
                }
                logger.set_overflow_mode(mode);
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let [attempted, _] = log_from(&logger, 4);
        stop.store(true, Relaxed);
        attempted
    });
    let total = logger.shutdown(CLOSE).stats.total();
    assert_losses(attempted, 4, &join(receivers), &total);
}

/// A context that threads of several buffers share: its message counter goes round without a gap or a repetition.
#[test]
fn message_counters_of_a_shared_context() {
    let (logger, receivers) = logger_on_sockets(config(OverflowMode::BlockWithTimeout, 4, 256, 16), NONE);
    let context = logger.context("SHAR").unwrap();
    let each = MESSAGES / 4;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..each).for_each(|number| _ = context.log(Level::Info, &(number,))));
        }
    });
    logger.shutdown(CLOSE);
    let received = join(receivers);
    let mut seen = [0u64; 256];
    received.counters["SHAR"].iter().for_each(|&counter| seen[usize::from(counter)] += 1);
    let (least, most) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
    assert_eq!(received.messages(), 4 * each);
    assert!(most - least <= 1, "each value as often as any other: {least} to {most}");
}

/// Statistics and a flush may be asked for at any time by any thread.
#[test]
fn statistics_and_flushes_under_load() {
    let (logger, receivers) = logger_on_sockets(config(OverflowMode::DropNewest, 2, 256, 16), NONE);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut before = 0;
            while !stop.load(Relaxed) {
                let total = logger.stats().total();
                assert!(total.accepted >= before, "counters only grow");
                before = total.accepted;
                logger.flush(CLOSE).unwrap();
            }
        });
        log_from(&logger, 3);
        stop.store(true, Relaxed);
    });
    logger.shutdown(CLOSE);
    join(receivers);
}

/// A socket buffer that takes a frame or two: short writes and EAGAIN all the time, and every frame arrives whole.
#[test]
fn tiny_socket_buffers() {
    use std::os::unix::net::UnixStream;
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_send_buffer(&ours, 1);
    let receiver = common::receive(theirs, Duration::from_micros(50));
    let config = config(OverflowMode::BlockWithTimeout, 1, 64, 64);
    let logger = Logger::builder("TEST")
        .config(config)
        .sink(dlt_logger::Sink::Streams(vec![ours.into()]))
        .build()
        .unwrap();
    let context = logger.context("TINY").unwrap();
    for number in 0..5_000u64 {
        let bytes = [number as u8; 300];
        context.log(Level::Info, &(number, &bytes[..number as usize % 300]));
    }
    let report = logger.shutdown(CLOSE);
    let received = receiver.join().unwrap();
    assert!(report.stats.workers[0].sink_full > 0, "the sink was full at times");
    assert_gaps(received.of("TINY"), 5_000, 0);
}

#[allow(unsafe_code, reason = "a socket option that std does not offer")]
fn set_send_buffer(stream: &impl AsFd, bytes: libc::c_int) {
    use std::os::fd::AsRawFd;
    let fd = stream.as_fd().as_raw_fd();
    // SAFETY: the option takes a c_int, whose address and size are passed.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const bytes).cast(),
            size_of::<libc::c_int>() as u32,
        )
    };
    assert_eq!(result, 0);
}
