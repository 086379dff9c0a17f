//! A thread that outlives many loggers keeps none of their memory. In a process of its own, so that nobody else maps any.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use dlt_logger::{Logger, Outcome, dlt_info};

/// Bytes of mappings that a forked child would find zeroed (`wf` in VmFlags): lanes and thread blocks.
fn lane_bytes() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut size = 0;
    let mut sum = 0;
    for line in maps.lines() {
        if let Some(kb) = line.strip_prefix("Size:") {
            size = kb.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
        } else if line.starts_with("VmFlags:") && line.split_whitespace().any(|flag| flag == "wf") {
            sum += size;
        }
    }
    sum
}

#[test]
fn loggers_that_come_and_go() {
    let mut most = 0;
    for _ in 0..50 {
        let logger = Logger::builder("GONE").build().unwrap();
        let context = logger.context("GONE").unwrap();
        assert_eq!(dlt_info!(context, 1u64), Outcome::Accepted);
        most = most.max(lane_bytes());
        logger.shutdown(Duration::from_secs(5));
        assert_eq!(dlt_info!(context, 2u64), Outcome::Closed);
    }
    // The thread's block keeps one closed logger until the thread uses another one: two lanes of 260 KiB at most.
    assert!(most >= 260 << 10, "lanes are seen: {most} bytes");
    assert!(most < 3 * (300 << 10), "{most} bytes");
}
