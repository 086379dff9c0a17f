//! What a load needs, and what settings will lose: arrivals against service.
//!
//! A lane holds what its thread has logged and its worker has not copied. Nobody copies while the worker sleeps, is late,
//! or waits for a sink that takes nothing. In the worst order of events all of these follow each other and a burst comes
//! before they end, so a lane holds at most
//!
//! ```text
//! needed = burst + rate × (stall + first look + late)
//! ```
//!
//! provided that the sink takes more than what arrives; if not, a backlog grows without end and no capacity helps.
//! Looking at both clocks, which a worker does twice a second, takes less than a microsecond and is left out.

use std::time::Duration;

use dlt_logger::OverflowMode;
use serde::Serialize;

use super::load::Load;

/// Wake-ups per second of all idle workers together (`worker/pace.rs` of dlt-logger).
const IDLE_WAKEUPS_PER_S: u32 = 80;
/// Words of a record that stand before its arguments.
const HEADER_WORDS: usize = 2;
/// Words of a lane per message of its capacity: docs/BUFFER_CONFIG.md, "What a capacity means".
const WORDS_PER_MESSAGE: usize = 16;
/// Least words of a lane.
const LEAST_WORDS: usize = 512;
/// Bytes of a lane's mapping that are not words.
const CONTROL_BYTES: u64 = 1024;
/// Bytes of a page.
const PAGE: u64 = 4096;
/// What is advised beyond what is needed: this share of it …
const RESERVE_SHARE: f64 = 0.25;
/// … or what arrives in this time, if that is more: a worker that could run may have to wait for a processor.
const RESERVE_TIME: Duration = Duration::from_millis(50);
/// Capacities are multiples of this.
const STEP: usize = 64;
/// A worker is given half of what it can deliver.
const UTILISATION: f64 = 0.5;
/// How unevenly a load comes: it is logged once a millisecond, and a stall may begin or end in between.
const UNEVENNESS: Duration = Duration::from_millis(2);
/// Shortest timeout that is advised.
const LEAST_TIMEOUT: Duration = Duration::from_millis(100);

/// What was found out about this machine and a sink.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// From a call to the next in a burst, in nanoseconds.
    pub call_ns: f64,
    /// Messages per second that one worker delivers to a sink that takes them, by batch.
    pub drain_per_s: Vec<(usize, f64)>,
    /// How late a thread that sleeps runs, at most, in seconds.
    pub late_s: f64,
    /// Messages that the sink and the worker hold while the sink stalls.
    pub held_msgs: f64,
    /// Processors.
    pub cores: usize,
}

impl Machine {
    /// The smallest batch with which a worker delivers nearly as much as with the best, and how much that is.
    pub fn batch(&self) -> (usize, f64) {
        let best = self.drain_per_s.iter().map(|&(_, rate)| rate).fold(0.0, f64::max);
        let is_enough = |&(_, rate): &(usize, f64)| rate >= best * 0.9;
        self.drain_per_s.iter().copied().find(is_enough).unwrap_or((16, 0.0))
    }
}

/// Which messages may be lost if more comes than told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AllowLoss {
    /// None: calls may wait instead.
    None,
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// Settings, without their reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Buffers, and workers.
    pub buffers: usize,
    /// Messages per lane.
    pub capacity_msgs: usize,
    /// Messages per `writev`.
    pub batch_msgs: usize,
    /// What a full lane does.
    #[serde(serialize_with = "name")]
    pub mode: OverflowMode,
    /// How long a call waits at most; of BlockWithTimeout only.
    pub timeout_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn name<S: serde::Serializer>(mode: &OverflowMode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mode)
}

/// What the settings are taken from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// The settings.
    pub settings: Settings,
    /// What a lane must hold, in messages.
    pub needed_msgs: f64,
    /// Messages per second that all workers deliver.
    pub drain_per_s: f64,
    /// Bytes of the lanes of all threads, those for Error and Fatal included.
    pub memory_bytes: u64,
    /// The budget keeps the capacity from being what is needed, with the reserve.
    pub is_cut: bool,
}

/// From the first message after a pause until its worker looks, with this many workers: it may have been about to sleep
/// for one and a half of its periods.
pub fn first_look(workers: usize) -> Duration {
    let step = Duration::from_secs(1) / IDLE_WAKEUPS_PER_S;
    if workers == 1 { step * 3 / 2 } else { step * workers as u32 }
}

/// What a lane must hold, in messages.
pub fn needed(load: &Load, machine: &Machine, buffers: usize) -> f64 {
    let away_s = load.stall.as_secs_f64() + first_look(buffers).as_secs_f64() + machine.late_s;
    load.burst_of_thread() as f64 + load.rate_of_thread() * away_s
}

/// Messages per second that come in more than the sink takes, on average; 0 if it keeps up.
pub fn surplus_per_s(load: &Load, drain_per_s: f64) -> f64 {
    let open_share = 1.0 - load.stall.as_secs_f64() / load.every.as_secs_f64();
    (load.mean_per_s() - drain_per_s * open_share).max(0.0)
}

/// Words that a message takes in a lane.
pub const fn record_words(payload_bytes: usize) -> usize {
    HEADER_WORDS + payload_bytes.div_ceil(8)
}

fn words(capacity: usize) -> usize {
    (capacity * WORDS_PER_MESSAGE).next_power_of_two().max(LEAST_WORDS)
}

/// Messages of this size that a lane with this capacity really holds.
pub fn effective(capacity: usize, payload_bytes: usize) -> usize {
    capacity.min(words(capacity) / record_words(payload_bytes))
}

/// The least capacity with which a lane holds this many messages of this size.
pub fn capacity_for(messages: usize, payload_bytes: usize) -> usize {
    if effective(messages, payload_bytes) >= messages {
        return messages;
    }
    // The bytes bind: the least capacity whose words, rounded up, are enough.
    let words = (messages * record_words(payload_bytes)).next_power_of_two();
    words / 2 / WORDS_PER_MESSAGE + 1
}

/// Bytes that a lane maps.
pub fn lane_bytes(capacity: usize) -> u64 {
    (CONTROL_BYTES + words(capacity) as u64 * 8).next_multiple_of(PAGE)
}

/// Lanes at most: of each thread one for the buffer that it keeps, one for Fatal and one for Error.
pub fn lanes(threads: usize, buffers: usize) -> usize {
    threads * buffers.min(3)
}

/// The settings for a load. `memory_bytes`: the budget for all lanes.
pub fn advise(load: &Load, machine: &Machine, allow_loss: AllowLoss, memory_bytes: u64) -> Advice {
    let (batch_msgs, drain_per_s) = machine.batch();
    let most_buffers = load.threads.min(machine.cores).clamp(1, *dlt_logger::config::NUM_BUFFERS.end());
    let wanted = (load.mean_per_s() / (drain_per_s * UTILISATION).max(1.0)).ceil() as usize;
    let buffers = wanted.clamp(1, most_buffers);
    let needed_msgs = needed(load, machine, buffers);
    let reserve = (needed_msgs * RESERVE_SHARE).max(load.rate_of_thread() * RESERVE_TIME.as_secs_f64());
    let messages = ((needed_msgs + reserve).ceil() as usize).max(1).next_multiple_of(STEP);
    let wanted = capacity_for(messages, load.payload_bytes);
    let capacity_msgs = wanted.min(affordable(load.threads, buffers, memory_bytes));
    let waits = load.stall + first_look(buffers) + Duration::from_secs_f64(machine.late_s);
    let timeout =
        (waits * 2).clamp(LEAST_TIMEOUT, Duration::from_millis(*dlt_logger::config::TIMEOUT_MS.end()));
    Advice {
        settings: Settings {
            buffers,
            capacity_msgs,
            batch_msgs,
            mode: match allow_loss {
                AllowLoss::None => OverflowMode::BlockWithTimeout,
                AllowLoss::Oldest => OverflowMode::Overwrite,
                AllowLoss::Newest => OverflowMode::DropNewest,
            },
            timeout_ms: timeout.as_millis() as u64,
        },
        needed_msgs,
        drain_per_s: drain_per_s * buffers as f64,
        memory_bytes: lane_bytes(capacity_msgs) * lanes(load.threads, buffers) as u64,
        is_cut: capacity_msgs < wanted,
    }
}

/// The greatest capacity whose lanes fit into the budget; 0 if none does.
pub fn affordable(threads: usize, buffers: usize, memory_bytes: u64) -> usize {
    let share = memory_bytes / lanes(threads, buffers) as u64;
    let most = *dlt_logger::config::BUFFER_SIZE.end();
    if lane_bytes(most) <= share {
        return most;
    }
    // The greatest power of two of words that fits, all of it used.
    let powers = (0..)
        .map(|shift| LEAST_WORDS << shift)
        .take_while(|&words| lane_bytes(words / WORDS_PER_MESSAGE) <= share);
    powers.last().map_or(0, |words| words / WORDS_PER_MESSAGE)
}

/// Messages that will be lost in a while, at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Loss {
    /// In the best order of events.
    pub least: f64,
    /// In the worst.
    pub most: f64,
}

/// What settings lose while bursts and stalls come `events` times and `time` passes.
pub fn loss(
    load: &Load,
    machine: &Machine,
    advice: &Advice,
    settings: &Settings,
    events: usize,
    time: Duration,
) -> Loss {
    let growing = surplus_per_s(load, advice.drain_per_s) * time.as_secs_f64();
    let waits = Duration::from_millis(settings.timeout_ms) > load.stall;
    if settings.mode == OverflowMode::BlockWithTimeout && waits {
        // Calls wait instead.
        return Loss { least: 0.0, most: growing.round() };
    }
    let capacity = effective(settings.capacity_msgs, load.payload_bytes) as f64;
    let threads = load.threads as f64;
    let burst = load.burst_of_thread() as f64;
    let sharing = load.threads.div_ceil(settings.buffers) as f64;
    let least_held = if load.stall.is_zero() {
        // The worker looks all the time, and takes what it can while the burst is logged.
        let drained_share = advice.drain_per_s / settings.buffers as f64 / sharing * machine.call_ns / 1e9;
        burst * (1.0 - drained_share).max(0.0)
    } else {
        let stalled = load.stall.saturating_sub(UNEVENNESS);
        burst + load.rate_of_thread() * stalled.as_secs_f64() - machine.held_msgs / sharing
    };
    let most_held = needed(load, machine, settings.buffers);
    let least = (least_held - capacity).max(0.0);
    let over = (most_held - capacity).max(0.0);
    // A worker whose copy is overtaken goes on half a lane further on: what lies between is lost too.
    let skipped = if over > 0.0 && settings.mode == OverflowMode::Overwrite { capacity / 2.0 } else { 0.0 };
    // Without bursts and stalls there is one beginning, after which the worker looks often.
    let times = if load.has_events() { events.max(1) as f64 } else { 1.0 };
    let grown = (growing - capacity * threads).max(0.0);
    Loss {
        least: (least * threads * times).max(grown).round(),
        most: ((over + skipped) * threads * times + growing).round(),
    }
}

#[cfg(test)]
mod tests;
