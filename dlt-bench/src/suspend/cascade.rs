//! `suspend-cascade`: threads are stopped one after the other until one is left, and resumed in another order.

use std::collections::HashMap;
use std::time::Duration;

use super::observe::{confirm, judge, rates, warm_up};
use super::row::{Row, StopRecord};
use super::stage::{Snapshot, Stage, Standing, Victim, ms};
use super::{Scene, Section};
use crate::error::Error;

pub(super) const SECTION: Section = Section {
    case: "suspend-cascade",
    title: "suspend-cascade: threads are stopped one after the other until one is left, and resumed in another order",
    default_threads: 8,
    least_threads: 3,
    takes_logger: true,
    run,
};

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Stop(usize),
    Resume(usize),
}

/// All but the last are stopped in their order; one in the middle goes on and the last is stopped; then the others go on,
/// from both ends. So one runs at any time, and each is stopped once.
fn schedule(threads: usize) -> Vec<Event> {
    let (middle, last) = ((threads - 1) / 2, threads - 1);
    let mut events: Vec<Event> = (0..last).map(Event::Stop).collect();
    events.extend([Event::Resume(middle), Event::Stop(last)]);
    let mut left: std::collections::VecDeque<usize> = (0..threads).filter(|&index| index != middle).collect();
    while let Some(index) = left.pop_back() {
        events.push(Event::Resume(index));
        events.extend(left.pop_front().map(Event::Resume));
    }
    events
}

/// A time in which a thread was not stopped.
#[derive(Debug)]
struct Window {
    thread: usize,
    begin_ns: u64,
    end_ns: u64,
    call_gap_ns: u64,
    delivery_gap_ns: u64,
}

/// One thread's stop and the counts at its ends.
#[derive(Debug)]
struct Stopped {
    thread: usize,
    record: StopRecord,
    begin: Snapshot,
    end: Snapshot,
}

/// What was seen of the threads.
#[derive(Debug, Default)]
struct Seen {
    standing: HashMap<usize, (Standing, Snapshot)>,
    /// When each thread that runs began to.
    running: HashMap<usize, u64>,
    windows: Vec<Window>,
    stopped: Vec<Stopped>,
}

impl Seen {
    fn begin(&mut self, stage: &Stage<'_>, thread: usize) {
        let words = &stage.words.producers[thread];
        words.call_gaps.open();
        words.delivery_gaps.open();
        self.running.insert(thread, stage.snapshot().at_ns);
    }

    fn end(&mut self, stage: &Stage<'_>, thread: usize) {
        let Some(begin_ns) = self.running.remove(&thread) else { return };
        let words = &stage.words.producers[thread];
        self.windows.push(Window {
            thread,
            begin_ns,
            end_ns: stage.snapshot().at_ns,
            call_gap_ns: words.call_gaps.longest_ns(),
            delivery_gap_ns: words.delivery_gaps.longest_ns(),
        });
    }

    fn take_place(&mut self, stage: &mut Stage<'_>, event: Event) -> Result<(), Error> {
        match event {
            Event::Stop(thread) => {
                self.end(stage, thread);
                let standing = stage.stop(Victim::Producer(thread))?;
                self.standing.insert(thread, (standing, stage.snapshot()));
            }
            Event::Resume(thread) => {
                let Some((standing, begin)) = self.standing.remove(&thread) else { return Ok(()) };
                let end = stage.snapshot();
                let record = stage.resume(standing)?;
                self.begin(stage, thread);
                self.stopped.push(Stopped { thread, record, begin, end });
            }
        }
        Ok(())
    }
}

fn run(scene: &mut Scene<'_>) -> Result<Vec<Row>, Error> {
    let threads = scene.threads(&SECTION);
    let workload = scene.workload(threads)?;
    let template = SECTION.row("", &workload);
    let step = scene.stop_time(250);
    let mut stage = scene.stage(workload)?;
    warm_up(&mut stage)?;
    let mut seen = Seen::default();
    (0..threads).for_each(|thread| seen.begin(&stage, thread));
    let begin = stage.snapshot();
    stage.pass(step.max(Duration::from_millis(500)))?;
    let before = stage.snapshot();
    for event in schedule(threads) {
        seen.take_place(&mut stage, event)?;
        stage.pass(step)?;
    }
    let resumed = stage.snapshot();
    stage.pass(step.max(Duration::from_millis(500)))?;
    let end = stage.snapshot();
    (0..threads).for_each(|thread| seen.end(&stage, thread));

    let mut rows = Vec::new();
    for stop in &seen.stopped {
        let mut row = template.clone();
        fill(&mut row, stop, &seen.windows, [(&begin, &before), (&resumed, &end)]);
        confirm(&stop.record, &mut row);
        judge(&stage, &mut row);
        rows.push(row);
    }
    let (account, problems) = stage.finish()?;
    for (index, row) in rows.iter_mut().enumerate() {
        row.account = Some(account);
        if index == 0 {
            for problem in &problems {
                row.violated(problem.clone());
            }
        }
        row.explain_nulls(stage.kernel.blind_because());
    }
    Ok(rows)
}

/// What the others did while one thread stood.
fn fill(row: &mut Row, stop: &Stopped, windows: &[Window], sides: [(&Snapshot, &Snapshot); 2]) {
    let Stopped { thread, record, begin, end } = stop;
    let others: Vec<usize> = (0..row.threads).filter(|index| index != thread).collect();
    row.name.clone_from(&record.thread);
    row.stopped = 1;
    row.others = others.len();
    row.others_delivered = others.len();
    let [before, after] = sides;
    row.calls_per_s = rates([before, (begin, end), after], &others, |snapshot| &snapshot.calls);
    row.deliveries_per_s = rates([before, (begin, end), after], &others, |snapshot| &snapshot.delivered);
    row.throughput_msgs_per_s = row.deliveries_per_s.during.unwrap_or_default();
    // Times in which they stood themselves are in no window.
    let meanwhile: Vec<&Window> = windows
        .iter()
        .filter(|window| {
            window.thread != *thread && window.begin_ns < end.at_ns && window.end_ns > begin.at_ns
        })
        .collect();
    row.longest_call_gap_ms = meanwhile.iter().map(|window| window.call_gap_ns).max().map(ms);
    row.longest_delivery_gap_ms = meanwhile.iter().map(|window| window.delivery_gap_ns).max().map(ms);
    for field in ["least_calls_of_another", "least_deliveries_of_another"] {
        row.null_because
            .insert(field, "the others were stopped for a part of the time themselves".to_owned());
    }
    row.stops.push(record.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_stopped_once_and_one_always_runs() {
        for threads in 3..20 {
            let events = schedule(threads);
            let mut stopped: Vec<usize> = Vec::new();
            let (mut stops, mut resumes, mut most) = (Vec::new(), Vec::new(), 0);
            for event in events {
                match event {
                    Event::Stop(index) => {
                        stopped.push(index);
                        stops.push(index);
                    }
                    Event::Resume(index) => {
                        assert!(
                            stopped.contains(&index),
                            "{threads}: {index} is resumed before it is stopped"
                        );
                        stopped.retain(|&other| other != index);
                        resumes.push(index);
                    }
                }
                assert!(stopped.len() < threads);
                most = most.max(stopped.len());
            }
            assert_eq!((stopped.len(), most), (0, threads - 1));
            assert_ne!(stops, resumes, "{threads}: another order");
            stops.sort_unstable();
            resumes.sort_unstable();
            assert_eq!(stops, (0..threads).collect::<Vec<_>>());
            assert_eq!(resumes, stops);
        }
    }
}
