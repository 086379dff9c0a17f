//! A worker: copies records out of the lanes of its buffers, makes frames, and writes them in batches.
//!
//! Everything it does for a lane is bounded; nothing waits for a producer. While the sink is full or broken the
//! records stay in their lanes, where the overflow mode decides about them.

mod frames;
mod lanes;
mod notes;
mod pace;
mod pipe;
mod staging;

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use crate::clock::Converter;
use crate::core::{Core, WorkerShared};
use crate::lane::Lane;
use crate::observer::Delivery;
use crate::ring::park::Waiter;
use crate::sink::Output;
use crate::sys::{futex, gettid};

use lanes::{LaneState, add};
pub(crate) use notes::INTERVAL_NS as NOTE_INTERVAL_NS;
use notes::Notes;
use pace::{Fill, Pace, Rest};
use pipe::Pipe;
use staging::Staging;

/// Chunks of one lane before the next lane has its turn.
const CHUNKS_PER_TURN: usize = 4;
/// While held back by the test hook.
const PAUSED: Duration = Duration::from_micros(200);
/// Between two looks of a worker that has only to end.
const ENDING: Duration = Duration::from_millis(1);

/// For the sweep: where [`Worker::round`] begins.
pub(crate) fn round_address() -> usize {
    Worker::round as *const () as usize
}

/// One worker, owned by its thread.
#[derive(Debug)]
pub(crate) struct Worker {
    core: Arc<Core>,
    index: usize,
    /// Its buffers, each with its newest lane that is in `lanes`.
    buffers: Vec<(usize, Option<&'static Lane>)>,
    lanes: Vec<LaneState>,
    staging: Staging,
    pipe: Pipe,
    notes: Notes,
    clock: Converter,
    pace: Pace,
    copy: Vec<u64>,
    /// When the last round ended.
    rested_ns: u64,
}

impl Worker {
    pub(crate) fn new(core: Arc<Core>, index: usize, output: Output, delivery: Delivery) -> Self {
        let clock = Converter::new(core.clock());
        Self {
            index,
            buffers: (0..core.buffers.len())
                .filter(|&b| core.worker_of(b) == index)
                .map(|b| (b, None))
                .collect(),
            lanes: Vec::new(),
            staging: Staging::new(&core, output.framing(), delivery.sampling()),
            pipe: Pipe::new(Arc::clone(&core), index, output, delivery),
            notes: Notes::new(index, clock.ns(core.clock().ticks())),
            pace: Pace::new(index, core.workers.len()),
            copy: Vec::new(),
            rested_ns: clock.ns(core.clock().ticks()),
            clock,
            core,
        }
    }

    fn shared(&self) -> &WorkerShared {
        &self.core.workers[self.index]
    }

    /// The worker's thread, until the logger is closed and everything is delivered or given up.
    pub(crate) fn run(mut self) {
        futex::precise_sleeps();
        self.shared().tid.store(gettid(), Release);
        loop {
            if self.core.paused.load(Relaxed) != 0 && !self.core.is_closed() {
                self.shared().is_paused.store(1, Release);
                std::thread::sleep(PAUSED);
                continue;
            }
            self.shared().is_paused.store(0, Relaxed);
            let is_last = self.core.last_drain.load(Acquire) != 0;
            let fill = self.round();
            if self.core.is_past_close()
                || (is_last && fill.is_some_and(|fill| fill.found == 0) && self.finish())
            {
                break;
            }
            match fill {
                Some(fill) => self.rest(fill),
                // The sink takes nothing: the overflow mode decides what becomes of the messages.
                None => self.sleep(Pace::sink_down()),
            }
        }
        self.end();
    }

    /// One look at every lane. `None` if the sink takes nothing.
    #[inline(never)] // the sweep stops the worker in it, and needs its address
    fn round(&mut self) -> Option<Fill> {
        self.find_lanes();
        if !self.pipe.is_ready() {
            return None;
        }
        let now = self.clock.refresh(self.core.anchor_interval_ns.load(Relaxed));
        let mut fill = Fill::default();
        for index in 0..self.lanes.len() {
            for _ in 0..CHUNKS_PER_TURN {
                let lane = &mut self.lanes[index];
                let chunk = lane.drain(&self.core, &mut self.clock, now, &mut self.copy, &mut self.staging);
                fill = fill.max(chunk);
                if chunk.found == 0 {
                    break;
                }
                if !self.pipe.send(&mut self.staging, &self.lanes, &self.clock, false) {
                    return None;
                }
            }
        }
        self.say_losses(false);
        if !self.pipe.send(&mut self.staging, &self.lanes, &self.clock, true) {
            return None;
        }
        self.lanes.iter_mut().for_each(LaneState::settle);
        Some(fill)
    }

    /// Finds lanes that were made since the last round.
    fn find_lanes(&mut self) {
        for (buffer, newest) in &mut self.buffers {
            let mut new = self.core.buffers[*buffer].lanes.since(*newest).peekable();
            *newest = new.peek().copied().or(*newest);
            self.lanes.extend(new.map(|lane| LaneState::new(lane, *buffer)));
        }
    }

    fn say_losses(&mut self, is_last: bool) {
        let (core, clock, lanes, staging) = (&self.core, &mut self.clock, &mut self.lanes, &mut self.staging);
        if let Some(loss) = self.notes.stage(core, clock, lanes, staging, is_last) {
            self.pipe.delivery.lost(&loss);
        }
    }

    /// Everything is drained and no call is under way. True if the rest is out as well.
    fn finish(&mut self) -> bool {
        self.say_losses(true);
        self.pipe.send(&mut self.staging, &self.lanes, &self.clock, true)
    }

    /// Between two rounds: wakes producers that wait, and rests as long as the fill allows.
    fn rest(&mut self, fill: Fill) {
        Waiter::heads_published();
        let waiting = self.lanes.iter().filter(|lane| lane.wake_producer(false)).count();
        let now = self.clock.ns(self.core.clock().ticks());
        let elapsed = Duration::from_nanos(now.saturating_sub(self.rested_ns));
        self.rested_ns = now;
        match self.pace.after(fill, now, elapsed) {
            _ if waiting > 0 => {}
            Rest::None => {}
            Rest::Spin(time) => {
                let until = now + time.as_nanos() as u64;
                while self.clock.ns(self.core.clock().ticks()) < until {
                    std::hint::spin_loop();
                }
            }
            Rest::Sleep(time) | Rest::Idle(time) if self.core.is_closed() => self.sleep(time.min(ENDING)),
            Rest::Sleep(time) => self.sleep(time),
            Rest::Idle(time) => {
                self.wake_idle_workers();
                self.shared().is_idle.store(1, Relaxed);
                self.sleep(time);
                self.shared().is_idle.store(0, Relaxed);
            }
        }
    }

    /// Wakes other workers that sleep for long while there is something for them.
    fn wake_idle_workers(&self) {
        for (index, shared) in self.core.workers.iter().enumerate() {
            if index != self.index && shared.is_idle.load(Relaxed) != 0 && self.core.has_messages_for(index) {
                shared.wake();
            }
        }
    }

    fn sleep(&self, time: Duration) {
        let shared = self.shared();
        shared.sleeper.announce();
        if !self.lanes.iter().any(LaneState::has_waiter) || !self.pipe.is_open() {
            futex::wait_for(shared.sleeper.word(), Waiter::EXPECTED, time);
            add(&shared.wakeups, 1);
        }
        shared.sleeper.withdraw();
    }

    /// What is left is counted, and then the worker is gone.
    fn end(mut self) {
        self.find_lanes();
        for lane in &mut self.lanes {
            lane.abandon(&self.core.buffers[lane.buffer]);
        }
        self.pipe.abandon(&mut self.staging);
        let shared = self.shared();
        shared.done.store(1, Release);
        futex::wake(&shared.done);
    }
}
