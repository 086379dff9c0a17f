use dlt_logger::{Config, Logger, Outcome, Sink, dlt_info};
use proptest::prelude::*;

use super::*;
use crate::load::message::PAYLOAD_BYTES;

fn machine() -> Machine {
    let drain_per_s = vec![(16, 3e6), (64, 5.9e6), (256, 6e6)];
    Machine { call_ns: 20.0, drain_per_s, late_s: 0.001, held_msgs: 2000.0, cores: 4 }
}

fn steady(rate_per_s: f64) -> Load {
    Load { rate_per_s, ..Load::default() }
}

fn burst(burst_msgs: u64) -> Load {
    Load { burst_msgs, ..Load::default() }
}

const PLENTY: u64 = 1 << 40;

fn advised(load: &Load) -> Advice {
    advise(load, &machine(), AllowLoss::Newest, PLENTY)
}

fn lost(load: &Load, capacity_msgs: usize) -> Loss {
    let advice = advised(load);
    let settings = Settings { capacity_msgs, ..advice.settings.clone() };
    loss(load, &machine(), &advice, &settings, 3, Duration::from_secs(3))
}

/// The sums of the module's formula, by hand.
#[test]
fn what_three_loads_need() {
    let sum = |load: &Load| needed(load, &machine(), 1);
    // 18.75 ms until an idle worker looks, 1 ms late.
    assert!((sum(&steady(100_000.0)) - 1_975.0).abs() < 0.01);
    assert!((sum(&burst(50_000)) - 50_000.0).abs() < 0.01);
    let stalled = Load { stall: Duration::from_millis(200), ..steady(100_000.0) };
    assert!((sum(&stalled) - 21_975.0).abs() < 0.01);
    // 50 ms of the rate, a quarter of the burst, a quarter of what the stall brings; in steps of 64.
    assert_eq!(advised(&steady(100_000.0)).settings.capacity_msgs, 6_976);
    assert_eq!(advised(&burst(50_000)).settings.capacity_msgs, 62_528);
    assert_eq!(advised(&stalled).settings.capacity_msgs, 27_520);
    // Half of it is 13,760: of the 19,800 of a stall, less the 2,000 that are held, 4,040 find no room at least.
    let half = lost(&stalled, 13_760);
    assert_eq!((half.least, half.most), (4_040.0 * 3.0, 8_215.0 * 3.0));
    assert_eq!(lost(&stalled, 27_520), Loss { least: 0.0, most: 0.0 });
}

#[test]
fn the_batch_is_the_smallest_that_is_nearly_the_best() {
    assert_eq!(machine().batch(), (64, 5.9e6));
    let slow = Machine { drain_per_s: vec![(16, 1.0), (64, 1.0)], ..machine() };
    assert_eq!(slow.batch().0, 16);
}

#[test]
fn a_load_above_the_sink_is_known_as_such() {
    assert!(surplus_per_s(&steady(7e6), 5.9e6) > 1e6);
    assert!(surplus_per_s(&steady(5e6), 5.9e6) < 1e-9);
    // Open for half of the time only.
    let stalled = Load { stall: Duration::from_millis(500), ..steady(5e6) };
    assert!((surplus_per_s(&stalled, 5.9e6) - 2.05e6).abs() < 1.0);
    // Two workers.
    let two = Load { threads: 2, ..steady(4e6) };
    assert_eq!(advised(&two).settings.buffers, 2);
    assert_eq!(advised(&steady(4e6)).settings.buffers, 1, "one thread has one lane");
}

#[test]
fn waiting_calls_lose_nothing() {
    let load = Load { stall: Duration::from_millis(200), ..steady(100_000.0) };
    let advice = advise(&load, &machine(), AllowLoss::None, PLENTY);
    assert_eq!(advice.settings.mode, OverflowMode::BlockWithTimeout);
    // Twice 200 + 18.75 + 1 ms.
    assert_eq!(advice.settings.timeout_ms, 439);
    let half = Settings { capacity_msgs: advice.settings.capacity_msgs / 2, ..advice.settings.clone() };
    let lost = loss(&load, &machine(), &advice, &half, 3, Duration::from_secs(3));
    assert_eq!(lost, Loss { least: 0.0, most: 0.0 });
}

#[test]
fn a_budget_that_is_too_small_is_used_up() {
    let load = burst(200_000);
    let advice = advise(&load, &machine(), AllowLoss::Oldest, 4 << 20);
    assert!(advice.is_cut && advice.memory_bytes <= 4 << 20, "{advice:?}");
    // 2 MiB of words; with 4 MiB the control block would not fit.
    assert_eq!(advice.settings.capacity_msgs, 16_384);
    assert!(!advised(&load).is_cut);
    assert_eq!(affordable(1, 1, 8191), 0);
    assert_eq!(affordable(1, 1, 8192), 32);
}

/// The library's lanes hold and take what the model says.
#[test]
fn lanes_are_as_the_library_makes_them() {
    for (capacity, payload_bytes) in
        [(2, 31), (64, 31), (1000, 31), (1000, 112), (1000, 113), (1000, 500), (1025, 500)]
    {
        let config = Config::default()
            .with_num_buffers(1)
            .with_all_buffer_sizes(capacity)
            .with_overflow_mode(OverflowMode::DropNewest);
        let logger = Logger::builder("TEST").config(config).sink(Sink::Null).build().unwrap();
        let context = logger.context("CTX1").unwrap();
        logger.pause_workers();
        let text = super::super::measure::text(payload_bytes);
        let mut held = 0;
        while dlt_info!(context, 7_u32, text) == Outcome::Accepted {
            held += 1;
        }
        let of = format!("capacity {capacity}, {payload_bytes} bytes");
        assert_eq!(held, effective(capacity, payload_bytes), "{of}");
        assert_eq!(logger.stats().total().memory_bytes, lane_bytes(capacity), "{of}");
        logger.resume_workers();
    }
    assert_eq!(super::super::measure::text(PAYLOAD_BYTES), crate::load::message::TEXT);
}

prop_compose! {
    fn loads()(
        rate in 0_u32..500_000,
        burst_msgs in 0_u64..100_000,
        stall_ms in 0_u64..500,
        threads in 1_usize..16,
        payload_bytes in 16_usize..400,
    ) -> Load {
        let stall = Duration::from_millis(stall_ms);
        Load { rate_per_s: f64::from(rate) + 1.0, burst_msgs, stall, threads, payload_bytes, ..Load::default() }
    }
}

proptest! {
    #[test]
    fn more_of_anything_never_needs_less(load in loads(), more in 1_u64..1000) {
        let grown = [
            Load { stall: load.stall + Duration::from_millis(more) / 4, ..load.clone() },
            Load { burst_msgs: load.burst_msgs + more, ..load.clone() },
            Load { rate_per_s: load.rate_per_s + more as f64, ..load.clone() },
        ];
        let advice = advised(&load);
        for grown in &grown {
            let more = advised(grown);
            prop_assert!(more.needed_msgs >= advice.needed_msgs, "{load:?} {grown:?}");
            prop_assert!(more.settings.capacity_msgs >= advice.settings.capacity_msgs, "{load:?} {grown:?}");
        }
    }

    #[test]
    fn more_capacity_never_loses_more(load in loads(), capacity in 2_usize..100_000, more in 1_usize..100_000) {
        let (small, large) = (lost(&load, capacity), lost(&load, capacity + more));
        prop_assert!(large.least <= small.least && large.most <= small.most, "{load:?} {small:?} {large:?}");
        prop_assert!(small.least <= small.most, "{load:?} {small:?}");
    }

    #[test]
    fn what_is_advised_loses_nothing_and_is_not_roomy(load in loads()) {
        let advice = advised(&load);
        prop_assume!(!advice.is_cut && surplus_per_s(&load, advice.drain_per_s) <= 0.0);
        let held = effective(advice.settings.capacity_msgs, load.payload_bytes);
        prop_assert_eq!(lost(&load, advice.settings.capacity_msgs), Loss { least: 0.0, most: 0.0 });
        prop_assert!(held as f64 >= advice.needed_msgs * 1.25);
        // Where bytes bind, a lane's are a power of two.
        let roomy = advice.needed_msgs * 1.25 + load.rate_of_thread() * 0.05 + STEP as f64;
        let steps = if record_words(load.payload_bytes) > WORDS_PER_MESSAGE { 2.0 } else { 1.0 };
        prop_assert!(held as f64 <= roomy * steps, "{held} of {roomy} {load:?}");
    }

    #[test]
    fn half_of_it_loses_where_a_burst_or_a_stall_asks_for_it(load in loads()) {
        // As small as messages are for which the capacity counts, not the bytes.
        let load = Load { payload_bytes: load.payload_bytes % 113, ..load };
        let asked = load.burst_of_thread() as f64 + load.rate_of_thread() * load.stall.as_secs_f64();
        // The reserve for processors is no more than a fifth of what they ask for, and nor are steps.
        prop_assume!(asked > load.rate_of_thread() * 0.25 && asked > 1000.0);
        let capacity = advised(&load).settings.capacity_msgs;
        prop_assert!(capacity as f64 <= asked * 1.6, "{capacity} for {asked} {load:?}");
        prop_assert!(lost(&load, capacity / 2).most > 0.0, "{load:?}");
    }

    #[test]
    fn capacities_hold_what_they_are_for(messages in 1_usize..500_000, payload_bytes in 0_usize..5_000) {
        let capacity = capacity_for(messages, payload_bytes);
        prop_assert!(effective(capacity, payload_bytes) >= messages);
        prop_assert!(capacity <= 1 || effective(capacity - 1, payload_bytes) < messages);
    }
}
