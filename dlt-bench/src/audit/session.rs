//! The probe, following the threads of each row.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dlt_probe_ebpf::records::MAX_OTHERS;
use dlt_probe_ebpf::{Edge, Error, Ledger, Options, Probe, Role, SlotPtr, Thread};

use super::choir::{Choir, sing};
use super::evidence::{CanaryEvidence, Companion, Evidence, LedgerEvidence, ThreadEvidence};
use crate::measure::clock::monotonic_ns;
use crate::measure::perf::{Counters, Counts};
use crate::stacks::Gathered;
use crate::watch::Watcher;

/// Samples per second and processor.
const SAMPLE_HZ: u32 = 199;
/// Between two looks into the ring buffer: it holds several seconds of samples.
const DRAIN: Duration = Duration::from_millis(100);
/// What a watched producer knows of itself.
#[derive(Debug)]
struct Own {
    name: String,
    tid: u32,
    slot: SlotPtr,
    before: Option<(Edge, u64, u64)>,
}

thread_local! {
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
}

/// The window of a row; of several runs one after the other if the row is repeated.
#[derive(Debug, Default)]
struct Window {
    producers: Vec<ThreadEvidence>,
    /// Begin and end of each producer of the run that is under way.
    times: Vec<(u64, u64)>,
    overlap_ns: u64,
    /// Producers of the run that is under way.
    registered: u64,
    lost_producers: u64,
    /// Names its stacks.
    label: String,
    /// Stolen until the run began.
    stolen_before_ns: u64,
    stolen_ns: u64,
    companions: Vec<(Role, u32, String, Option<Thread>)>,
    seen: Vec<Companion>,
    unwatched: u64,
    ledger: Ledger,
    canary: CanaryEvidence,
    /// The canary that was asked to sing in this run.
    asked: Option<u64>,
    counters: Option<Counters>,
    counts: Option<Counts>,
}

/// A loaded probe, and what it has seen of the row that runs.
#[derive(Debug)]
pub struct Session {
    probe: Arc<Probe>,
    next_slot: AtomicUsize,
    window: Mutex<Window>,
    sings: AtomicBool,
    gathered: Arc<Mutex<Gathered>>,
    label: Arc<Mutex<String>>,
    ends: Arc<AtomicBool>,
    drainer: Option<JoinHandle<()>>,
    choir: Choir,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the probe is loaded with in an audit.
pub const OPTIONS: Options =
    Options { stacks: true, sample_hz: SAMPLE_HZ, statistics: true, shift_offsets: 0 };

impl Session {
    /// Loads the probe and begins to gather stacks.
    ///
    /// # Errors
    /// The probe cannot run here, with what is missing.
    pub fn start(options: Options) -> Result<Self, Error> {
        let probe = Arc::new(Probe::load(options)?);
        let (gathered, label) =
            (Arc::new(Mutex::new(Gathered::default())), Arc::new(Mutex::new(String::new())));
        let ends = Arc::new(AtomicBool::new(false));
        let drain = {
            let (probe, gathered, label, ends) =
                (Arc::clone(&probe), Arc::clone(&gathered), Arc::clone(&label), Arc::clone(&ends));
            move || {
                while !ends.load(Relaxed) {
                    std::thread::sleep(DRAIN);
                    take_stacks(&probe, &gathered, &label);
                }
            }
        };
        let drainer = std::thread::Builder::new().name("stacks".into()).spawn(drain);
        let drainer =
            drainer.map_err(|source| Error::Io { action: "start a thread that gathers stacks", source })?;
        Ok(Self {
            choir: Choir::new(Arc::clone(&probe))?,
            probe,
            next_slot: AtomicUsize::new(0),
            window: Mutex::default(),
            sings: AtomicBool::new(false),
            gathered,
            label,
            ends,
            drainer: Some(drainer),
        })
    }

    /// The probe.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Stacks so far.
    pub fn gathered(&self) -> MutexGuard<'_, Gathered> {
        lock(&self.gathered)
    }

    /// A row is about to begin. `label` names its stacks; with `sings` a canary sings in its window.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn begin(&self, label: &str, sings: bool) -> Result<(), Error> {
        self.next_slot.store(0, Relaxed);
        self.sings.store(sings, Relaxed);
        let ledger = self.probe.ledger()?;
        *lock(&self.window) =
            Window { ledger, label: label.to_owned(), counters: Some(Counters::new()), ..Window::default() };
        Ok(())
    }

    /// The row has ended: what was seen.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn finish(&self) -> Result<(Evidence, Option<Counts>), Error> {
        let ledger = self.probe.ledger()?;
        let window = std::mem::take(&mut *lock(&self.window));
        let before = window.ledger;
        let evidence = Evidence {
            producers: window.producers,
            companions: window.seen,
            overlap_ns: window.overlap_ns,
            lost_producers: window.lost_producers,
            stolen_ns: window.stolen_ns,
            ledger: LedgerEvidence {
                ring_full: ledger.ring_full - before.ring_full,
                map_full: ledger.map_full - before.map_full,
                kernel_reads: ledger.kernel_reads - before.kernel_reads,
                unread_stacks: ledger.user_stacks + ledger.kernel_stacks
                    - before.user_stacks
                    - before.kernel_stacks,
                recursion_misses: match (ledger.recursion_misses, before.recursion_misses) {
                    (Some(now), Some(then)) => Some(now - then),
                    _ => None,
                },
                unwatched_producers: window.unwatched,
            },
            canary: window.canary,
            waits: Vec::new(),
        };
        Ok((evidence, window.counts))
    }

    /// The thread's window is over. Its room in the probe's map is needed: a whole run watches thousands of threads.
    fn forget(&self, tid: u32) {
        // A producer beyond the slots was never watched.
        let _ = self.probe.unwatch(tid);
    }

    /// A canary on each processor.
    pub fn sing(&self) -> CanaryEvidence {
        sing(&self.probe)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        if let Some(drainer) = self.drainer.take() {
            // It has nothing to panic about.
            let _ = drainer.join();
        }
    }
}

fn take_stacks(probe: &Probe, gathered: &Mutex<Gathered>, label: &Mutex<String>) {
    let label = lock(label).clone();
    if let Ok(stacks) = probe.take_stacks()
        && !label.is_empty()
    {
        lock(gathered).add(&label, stacks);
    }
}

impl Watcher for Session {
    fn register(&self, role: Role, name: &str) -> SlotPtr {
        let index = self.next_slot.fetch_add(1, Relaxed);
        let slot = self.probe.slots().slot(index);
        let tid = nix::unistd::gettid().as_raw().cast_unsigned();
        // Beyond the slots whose progress is compared a producer is not judged; nobody is.
        if index >= MAX_OTHERS as usize || self.probe.watch(tid, role, Some(index)).is_err() {
            lock(&self.window).unwatched += 1;
        }
        if role == Role::Producer {
            lock(&self.window).registered += 1;
        }
        let own = Own { name: name.to_owned(), tid, slot: slot.clone(), before: None };
        OWN.with_borrow_mut(|mine| *mine = Some(own));
        slot
    }

    fn register_tid(&self, role: Role, tid: u32, name: &str) {
        if self.probe.watch(tid, role, None).is_ok() {
            lock(&self.window).companions.push((role, tid, name.to_owned(), None));
        }
    }

    fn open(&self) {
        // What came in since the last window, in passes that are not watched, belongs to none.
        take_stacks(&self.probe, &self.gathered, &self.label);
        let mut window = lock(&self.window);
        lock(&self.label).clone_from(&window.label);
        for (_, tid, _, before) in &mut window.companions {
            *before = self.probe.read(*tid).ok();
        }
        window.asked = self.sings.load(Relaxed).then(|| self.choir.ask());
        window.stolen_before_ns = stolen_ns();
        if let Some(counters) = &mut window.counters {
            counters.start();
        }
    }

    fn begin(&self) {
        OWN.with_borrow_mut(|own| {
            let Some(own) = own else { return };
            own.slot.begin_epoch();
            let (calls, now) = (own.slot.calls(), monotonic_ns());
            own.before = self.probe.edge().ok().map(|edge| (edge, calls, now));
        });
    }

    fn end(&self) {
        let Some(Own { name, tid, slot, before }) = OWN.take() else { return };
        let edges = before.and_then(|before| Some((before, self.probe.edge().ok()?)));
        if let Some(((before, calls, begin), after)) = edges {
            let end = monotonic_ns();
            let calls = slot.calls() - calls;
            let evidence = ThreadEvidence::between(name, tid, &before, &after, calls, end - begin);
            let mut window = lock(&self.window);
            window.producers.push(evidence);
            window.times.push((begin, end));
        }
        self.forget(tid);
        slot.retire();
    }

    fn close(&self) {
        take_stacks(&self.probe, &self.gathered, &self.label);
        lock(&self.label).clear();
        let mut window = lock(&self.window);
        if let Some(counters) = &mut window.counters {
            counters.stop();
            let counts = counters.read();
            window.counts = Some(counts);
        }
        window.stolen_ns += stolen_ns().saturating_sub(window.stolen_before_ns);
        let times = std::mem::take(&mut window.times);
        window.overlap_ns += overlap_ns(&times);
        window.lost_producers += std::mem::take(&mut window.registered).saturating_sub(times.len() as u64);
        // A repetition's producers take the same slots.
        self.next_slot.store(0, Relaxed);
        let companions = std::mem::take(&mut window.companions);
        for (role, tid, name, before) in companions {
            if let (Some(before), Ok(after)) = (before, self.probe.read(tid)) {
                let seen = ThreadEvidence { name, tid, ..ThreadEvidence::of_counters(&before, &after) };
                window.seen.push(Companion { role, seen });
            }
            self.forget(tid);
        }
        if let Some(asked) = window.asked.take() {
            let heard = self.choir.answer(asked);
            window.canary.add(heard);
        }
    }
}

/// Processors that this process may use, by number.
pub fn processors() -> Vec<usize> {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap_or_default();
    (0..nix::sched::CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect()
}

/// How long all of these lasted at the same time.
fn overlap_ns(times: &[(u64, u64)]) -> u64 {
    let begin = times.iter().map(|(begin, _)| *begin).max().unwrap_or(0);
    let end = times.iter().map(|(_, end)| *end).min().unwrap_or(0);
    end.saturating_sub(begin)
}

/// What the hypervisor has stolen from all processors since the boot; 0 where the kernel does not say.
fn stolen_ns() -> u64 {
    // `cpu user nice system idle iowait irq softirq steal …` in ticks of USER_HZ, which is 100 everywhere.
    const TICK_NS: u64 = 10_000_000;
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let steal = stat.lines().next().and_then(|line| line.split_ascii_whitespace().nth(8));
    steal.and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0) * TICK_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_overlap_while_all_of_them_work() {
        assert_eq!(overlap_ns(&[(10, 100), (30, 120), (20, 90)]), 60);
        assert_eq!(overlap_ns(&[(10, 20), (30, 40)]), 0);
        assert_eq!(overlap_ns(&[]), 0);
    }
}
