//! Each hazard that a design like this one has, by name.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::{assert_books, assert_gaps, join, logger_on_sockets, one_buffer};
use dlt_logger::{Config, Level, Logger, Outcome, OverflowMode, Sink, dlt_info};

const NONE: Duration = Duration::ZERO;
const CLOSE: Duration = Duration::from_secs(20);

/// Logs numbers with the worker held back; returns how many were accepted.
fn fill(logger: &Logger, count: u64) -> u64 {
    let context = logger.context("FILL").unwrap();
    (0..count).filter(|&number| context.log(Level::Info, &(number,)) == Outcome::Accepted).count() as u64
}

#[test]
fn overwrite_keeps_the_last_capacity() {
    for capacity in [2, 16, 2048] {
        let (logger, receivers) = logger_on_sockets(one_buffer(OverflowMode::Overwrite, capacity), NONE);
        logger.pause_workers();
        assert_eq!(fill(&logger, 10_000), 10_000);
        logger.resume_workers();
        let total = logger.shutdown(CLOSE).stats.total();
        let received = join(receivers);
        let expected: Vec<u64> = (10_000 - capacity as u64..10_000).collect();
        assert_eq!(received.of("FILL"), expected);
        assert_eq!((total.overwritten, total.sent), (10_000 - capacity as u64, capacity as u64));
    }
}

#[test]
fn drop_newest_keeps_the_first_capacity() {
    for capacity in [2, 16, 2048] {
        let (logger, receivers) = logger_on_sockets(one_buffer(OverflowMode::DropNewest, capacity), NONE);
        logger.pause_workers();
        assert_eq!(fill(&logger, 10_000), capacity as u64);
        logger.resume_workers();
        let total = logger.shutdown(CLOSE).stats.total();
        let received = join(receivers);
        assert_eq!(received.of("FILL"), (0..capacity as u64).collect::<Vec<_>>());
        assert_eq!(total.dropped_full, 10_000 - capacity as u64);
        assert_eq!(received.noted, [0, total.dropped_full, 0]);
    }
}

/// A refused call took at least the timeout, and not much more; what was accepted before is delivered.
#[test]
fn block_with_timeout_waits_for_the_timeout() {
    let timeout = Duration::from_millis(60);
    let config = one_buffer(OverflowMode::BlockWithTimeout, 4).with_timeout(timeout);
    let (logger, receivers) = logger_on_sockets(config, NONE);
    logger.pause_workers();
    assert_eq!(fill(&logger, 4), 4);
    let context = logger.context("FILL").unwrap();
    for _ in 0..3 {
        let start = Instant::now();
        assert_eq!(context.log(Level::Info, &(99u64,)), Outcome::TimedOut);
        let took = start.elapsed();
        assert!(took >= timeout && took < timeout + Duration::from_secs(2), "{took:?}");
    }
    logger.resume_workers();
    let total = logger.shutdown(CLOSE).stats.total();
    assert_eq!((total.timed_out, total.sent), (3, 4));
    assert_eq!(join(receivers).of("FILL"), [0, 1, 2, 3]);
}

/// A lost wake-up would cost ten seconds each; a lane of two messages makes the producer wait all the time.
#[test]
fn no_wakeup_is_lost() {
    let config = one_buffer(OverflowMode::BlockWithTimeout, 2).with_timeout(Duration::from_secs(10));
    let (logger, receivers) = logger_on_sockets(config, NONE);
    let start = Instant::now();
    let messages = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    assert_eq!(fill(&logger, messages), messages);
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    logger.shutdown(CLOSE);
    assert_gaps(join(receivers).of("FILL"), messages, 0);
}

#[test]
fn a_mode_change_ends_a_wait() {
    let config = one_buffer(OverflowMode::BlockWithTimeout, 2).with_timeout(Duration::from_secs(30));
    let (logger, receivers) = logger_on_sockets(config, NONE);
    logger.pause_workers();
    fill(&logger, 2);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let start = Instant::now();
            let context = logger.context("WAIT").unwrap();
            // A lane of its own: fill it first.
            let outcomes: Vec<_> = (0..3u64).map(|number| context.log(Level::Info, &(number,))).collect();
            (outcomes, start.elapsed())
        });
        std::thread::sleep(Duration::from_millis(50));
        logger.set_overflow_mode(OverflowMode::DropNewest);
        let (outcomes, took) = waiting.join().unwrap();
        assert_eq!(outcomes, [Outcome::Accepted, Outcome::Accepted, Outcome::Full]);
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
    logger.resume_workers();
    logger.shutdown(CLOSE);
    join(receivers);
}

#[test]
fn a_message_larger_than_the_lane_is_too_large() {
    for mode in OverflowMode::ALL {
        let (logger, receivers) = logger_on_sockets(one_buffer(mode, 2), NONE);
        let context = logger.context("LARG").unwrap();
        let bytes = vec![3; 5_000];
        // A lane of two messages has 4 KiB.
        assert_eq!(context.log(Level::Info, &(3u64, &bytes[..4_000])), Outcome::Accepted);
        logger.flush(CLOSE).unwrap();
        assert_eq!(context.log(Level::Info, &(3u64, &bytes[..])), Outcome::TooLarge);
        let total = logger.shutdown(CLOSE).stats.total();
        assert_eq!((total.sent, total.dropped_too_large), (1, 1));
        assert_books(2, &join(receivers), &total);
    }
}

#[test]
fn a_message_larger_than_dlt_allows_is_too_large() {
    let (logger, receivers) = logger_on_sockets(one_buffer(OverflowMode::DropNewest, 4096), NONE);
    let context = logger.context("LARG").unwrap();
    let bytes = vec![5; 80_000];
    // 26 bytes of headers, 12 of the number, 6 of the bytes' type and length.
    let most = 65_535 - 26 - 12 - 6;
    assert_eq!(context.log(Level::Info, &(5u64, &bytes[..most])), Outcome::Accepted);
    assert_eq!(context.log(Level::Info, &(5u64, &bytes[..=most])), Outcome::TooLarge);
    assert_eq!(context.log(Level::Info, &(5u64, &bytes[..])), Outcome::TooLarge);
    assert_books(3, &join_after(logger, receivers, 1), &dlt_logger_total(1, 2));
}

/// Closes and receives; `sent` is what must have been sent.
fn join_after(
    logger: Logger,
    receivers: Vec<std::thread::JoinHandle<common::Received>>,
    sent: u64,
) -> common::Received {
    let total = logger.shutdown(CLOSE).stats.total();
    assert_eq!(total.sent, sent);
    join(receivers)
}

/// What the books should say.
fn dlt_logger_total(sent: u64, too_large: u64) -> dlt_logger::BufferStats {
    let mut total = dlt_logger::BufferStats::default();
    total.sent = sent;
    total.dropped_too_large = too_large;
    total
}

#[test]
fn threads_that_end_with_full_lanes_are_delivered() {
    let (logger, receivers) = logger_on_sockets(one_buffer(OverflowMode::DropNewest, 64), NONE);
    logger.pause_workers();
    for thread in 0..20u64 {
        let context = logger.context(&format!("E{thread:03}")).unwrap();
        std::thread::spawn(move || (0..64u64).for_each(|number| _ = dlt_info!(context, number)))
            .join()
            .unwrap();
    }
    logger.resume_workers();
    let total = logger.shutdown(CLOSE).stats.total();
    let received = join(receivers);
    assert_eq!(total.sent, 20 * 64);
    (0..20).for_each(|thread| assert_gaps(received.of(&format!("E{thread:03}")), 64, 0));
}

/// Thousands of short-lived threads, one after the other and two hundred at a time: lanes are used again, memory stays below
/// its limit, the books hold.
#[test]
fn short_lived_threads() {
    const LIMIT: u64 = 32 << 20;
    for at_a_time in [1, 200] {
        let config = one_buffer(OverflowMode::DropNewest, 2048).with_memory_limit_bytes(LIMIT);
        let (logger, receivers) = logger_on_sockets(config, NONE);
        let outcomes: [AtomicU64; 2] = Default::default();
        let context = logger.context("MANY").unwrap();
        for _ in 0..2_000 / at_a_time {
            std::thread::scope(|scope| {
                for _ in 0..at_a_time {
                    scope.spawn(|| {
                        for number in 0..10u64 {
                            let lost = dlt_info!(context, number) != Outcome::Accepted;
                            outcomes[usize::from(lost)].fetch_add(1, Relaxed);
                        }
                    });
                }
            });
        }
        drop(context);
        let total = logger.shutdown(CLOSE).stats.total();
        assert!(total.memory_bytes <= LIMIT, "{} bytes", total.memory_bytes);
        assert_eq!(total.sent, outcomes[0].load(Relaxed));
        assert_eq!(total.lost(), outcomes[1].load(Relaxed));
        assert_books(20_000, &join(receivers), &total);
        if at_a_time == 1 {
            assert_eq!(total.dropped_no_lane, 0, "one lane at a time is always to be had");
        }
    }
}

#[test]
fn past_the_memory_limit_messages_are_counted() {
    // Two lanes of 2,048 messages and their control blocks fit.
    let config = one_buffer(OverflowMode::DropNewest, 2048).with_memory_limit_bytes(600 << 10);
    let (logger, receivers) = logger_on_sockets(config, NONE);
    let barrier = std::sync::Barrier::new(5);
    let refused: usize = std::thread::scope(|scope| {
        let log = |_| {
            scope.spawn(|| {
                let context = logger.context("LIMT").unwrap();
                let outcome = dlt_info!(context, 1u64);
                // Nobody ends before all have asked for a lane.
                barrier.wait();
                usize::from(outcome == Outcome::NoLane)
            })
        };
        let threads: Vec<_> = (0..5).map(log).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(refused, 3);
    let total = logger.shutdown(CLOSE).stats.total();
    assert_eq!((total.sent, total.dropped_no_lane, total.lanes), (2, 3, 2));
    assert_books(5, &join(receivers), &total);
}

/// Destructors of thread locals run before the end of the thread is noticed: they find the thread's lane.
#[test]
fn logging_from_a_destructor_of_a_thread_local() {
    struct LogsAtTheEnd(std::cell::OnceCell<dlt_logger::Context>);
    impl Drop for LogsAtTheEnd {
        fn drop(&mut self) {
            assert_eq!(dlt_info!(self.0.get().unwrap(), 1u64), Outcome::Accepted);
        }
    }
    thread_local! {
        static AT_END: LogsAtTheEnd = const { LogsAtTheEnd(std::cell::OnceCell::new()) };
    }
    let (logger, receivers) = logger_on_sockets(one_buffer(OverflowMode::DropNewest, 64), NONE);
    for _ in 0..10 {
        let context = logger.context("DTOR").unwrap();
        std::thread::spawn(move || {
            AT_END.with(|at_end| at_end.0.set(context.clone()).unwrap());
            dlt_info!(context, 0u64);
        })
        .join()
        .unwrap();
        logger.flush(CLOSE).unwrap();
    }
    let total = logger.shutdown(CLOSE).stats.total();
    assert_eq!(total.sent, 20);
    assert_eq!(total.lanes, 1, "each thread took over the lane of the one before");
    assert_eq!(join(receivers).of("DTOR"), [0, 1].repeat(10));
}

#[test]
fn two_loggers_used_in_turn_by_the_same_threads() {
    let (one, of_one) = logger_on_sockets(one_buffer(OverflowMode::BlockWithTimeout, 64), NONE);
    let (two, of_two) = logger_on_sockets(one_buffer(OverflowMode::BlockWithTimeout, 64), NONE);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let contexts = [&one, &two].map(|logger| logger.context(&format!("B{thread:03}")).unwrap());
            scope.spawn(move || {
                for number in 0..2_000u64 {
                    assert_eq!(dlt_info!(contexts[number as usize % 2], number / 2), Outcome::Accepted);
                }
            });
        }
    });
    for (logger, receivers) in [(one, of_one), (two, of_two)] {
        logger.shutdown(CLOSE);
        let received = join(receivers);
        (0..3).for_each(|thread| assert_gaps(received.of(&format!("B{thread:03}")), 1_000, 0));
    }
}

/// An argument that panics does so before the lane is touched.
#[test]
fn a_panic_while_arguments_are_evaluated() {
    fn panics() -> u64 {
        std::panic::panic_any("argument")
    }
    let (logger, receivers) = logger_on_sockets(one_buffer(OverflowMode::DropNewest, 64), NONE);
    let context = logger.context("PANC").unwrap();
    dlt_info!(context, 0u64);
    let result =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dlt_info!(context, 9u64, panics())));
    assert!(result.is_err());
    dlt_info!(context, 1u64);
    let total = logger.shutdown(CLOSE).stats.total();
    assert_eq!(total.accepted, 2);
    assert_eq!(join(receivers).of("PANC"), [0, 1]);
}

/// The level is off: nothing happens, and the arguments are not evaluated.
#[test]
fn a_filtered_level_evaluates_nothing() {
    let logger = Logger::builder("FILT").threshold(Level::Warn).build().unwrap();
    let context = logger.context("FILT").unwrap();
    let evaluated = AtomicBool::new(false);
    let argument = || {
        evaluated.store(true, Relaxed);
        1u64
    };
    assert_eq!(dlt_info!(context, argument()), Outcome::Filtered);
    assert!(!evaluated.load(Relaxed));
    context.set_threshold(Some(Level::Info));
    assert_eq!(dlt_info!(context, argument()), Outcome::Accepted);
    assert!(evaluated.load(Relaxed));
    context.set_threshold(None);
    assert_eq!(dlt_logger::dlt_fatal!(context, 1u64), Outcome::Filtered);
}

/// Fatal to buffer 0, Error to buffer 1, the rest to one buffer per thread, spread over all; or where a call says.
#[test]
fn routing() {
    let (logger, receivers) = logger_on_sockets(Config::default(), NONE);
    let context = logger.context("ROUT").unwrap();
    for _ in 0..8 {
        std::thread::scope(|scope| {
            scope.spawn(|| (0..5u64).for_each(|number| _ = dlt_info!(context, number)));
        });
    }
    let accepted = |logger: &Logger| logger.stats().buffers.iter().map(|b| b.accepted).collect::<Vec<_>>();
    assert_eq!(accepted(&logger), [10, 10, 10, 10]);
    dlt_logger::dlt_fatal!(context, 1u64);
    dlt_logger::dlt_error!(context, 1u64);
    context.log_to(3, Level::Info, &(1u64,));
    assert_eq!(accepted(&logger), [11, 11, 10, 11]);
    logger.shutdown(CLOSE);
    join(receivers);
    let one = Logger::builder("ROUT")
        .config(Config::default().with_num_buffers(1))
        .sink(Sink::Null)
        .build()
        .unwrap();
    let context = one.context("ROUT").unwrap();
    assert_eq!(
        dlt_logger::dlt_error!(context, 1u64),
        Outcome::Accepted,
        "with one buffer everything goes there"
    );
}

/// Time does not run backwards within a lane, and is CLOCK_MONOTONIC in 0.1 ms.
#[test]
fn time_stamps() {
    use dlt_logger::format::decode::split;
    use std::io::Read;
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let logger = Logger::builder("TIME").sink(Sink::Streams(vec![ours.into()])).build().unwrap();
    let context = logger.context("TIME").unwrap();
    let now = || {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        (text.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1e4) as u64
    };
    let before = now();
    for number in 0..50u64 {
        dlt_info!(context, number);
        std::thread::sleep(Duration::from_millis(1));
    }
    let after = now();
    logger.shutdown(CLOSE);
    let mut bytes = Vec::new();
    theirs.read_to_end(&mut bytes).unwrap();
    let (mut at, mut last) = (0, 0);
    while let Some((frame, used)) = split(&bytes[at..]).unwrap() {
        let time = frame.timestamp.unwrap();
        assert!(time >= last, "{time} after {last}");
        // /proc/uptime has hundredths of a second; the low 32 bits count.
        assert!(
            time.wrapping_sub((before as u32).wrapping_sub(150)) <= (after - before) as u32 + 300,
            "{before} {time} {after}"
        );
        last = time;
        at += used;
    }
}

/// In a forked child the logger is not there; what the parent had logged is sent once; the child can make its own.
#[test]
#[allow(unsafe_code, reason = "fork")]
fn fork() {
    let (logger, receivers) = logger_on_sockets(one_buffer(OverflowMode::DropNewest, 64), NONE);
    let context = logger.context("FORK").unwrap();
    logger.pause_workers();
    (0..10u64).for_each(|number| _ = dlt_info!(context, number));
    // SAFETY: the child logs, makes a logger and ends without running destructors of what it inherited.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let lost = dlt_info!(context, 99u64) == Outcome::NoLane;
        let own = Logger::builder("OWN").sink(Sink::Null).build().ok().and_then(|own| {
            let own_context = own.context("OWN").ok()?;
            let accepted = dlt_info!(own_context, 1u64) == Outcome::Accepted;
            let sent = own.shutdown(CLOSE).stats.total().sent == 1;
            Some(accepted && sent)
        });
        let code = i32::from(!lost) + 2 * i32::from(own != Some(true));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for this test's own child.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(
        libc::WEXITSTATUS(status),
        0,
        "1: the child's call was accepted; 2: its own logger does not work"
    );
    logger.resume_workers();
    logger.shutdown(CLOSE);
    assert_gaps(join(receivers).of("FORK"), 10, 0);
}
