//! The probe, following the threads of each row.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dlt_probe_ebpf::records::MAX_OTHERS;
use dlt_probe_ebpf::{Edge, Error, Ledger, Options, Probe, Role, SlotPtr, Thread, canary};

use super::evidence::{CanaryEvidence, Companion, Evidence, LedgerEvidence, ThreadEvidence};
use crate::load::plan::MAX_PRODUCERS;
use crate::measure::clock::monotonic_ns;
use crate::measure::perf::{Counters, Counts};
use crate::stacks::Gathered;
use crate::watch::Watcher;

/// Samples per second and processor.
const SAMPLE_HZ: u32 = 499;
/// Between two looks into the ring buffer: it holds several seconds of samples.
const DRAIN: Duration = Duration::from_millis(100);
/// After a window opens, before the canary sings in it.
const CANARY_DELAY: Duration = Duration::from_millis(300);

/// Slots of canaries: behind those of producers.
const fn canary_slot(cpu: usize) -> usize {
    MAX_PRODUCERS + cpu % 28
}

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

/// One row's window.
#[derive(Debug, Default)]
struct Window {
    producers: Vec<(ThreadEvidence, u64, u64)>,
    companions: Vec<(Role, u32, String, Option<Thread>)>,
    seen: Vec<Companion>,
    unwatched: u64,
    ledger: Ledger,
    canary: CanaryEvidence,
    singing: Option<JoinHandle<CanaryEvidence>>,
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
        take_stacks(&self.probe, &self.gathered, &self.label);
        label.clone_into(&mut lock(&self.label));
        self.next_slot.store(0, Relaxed);
        self.sings.store(sings, Relaxed);
        let ledger = self.probe.ledger()?;
        *lock(&self.window) = Window { ledger, counters: Some(Counters::new()), ..Window::default() };
        Ok(())
    }

    /// The row has ended: what was seen.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn finish(&self) -> Result<(Evidence, Option<Counts>), Error> {
        take_stacks(&self.probe, &self.gathered, &self.label);
        label_between_rows(&self.label);
        let ledger = self.probe.ledger()?;
        let window = std::mem::take(&mut *lock(&self.window));
        let begin = window.producers.iter().map(|(_, begin, _)| *begin).max().unwrap_or(0);
        let end = window.producers.iter().map(|(_, _, end)| *end).min().unwrap_or(0);
        let before = window.ledger;
        let evidence = Evidence {
            producers: window.producers.into_iter().map(|(seen, _, _)| seen).collect(),
            companions: window.seen,
            overlap_ns: end.saturating_sub(begin),
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

/// Between rows the driver alone runs.
fn label_between_rows(label: &Mutex<String>) {
    lock(label).clear();
}

fn take_stacks(probe: &Probe, gathered: &Mutex<Gathered>, label: &Mutex<String>) {
    let label = lock(label).clone();
    if let Ok(stacks) = probe.take_stacks()
        && !label.is_empty()
    {
        lock(gathered).add(&label, stacks);
    }
}

fn sing(probe: &Probe) -> CanaryEvidence {
    let mut all = CanaryEvidence::default();
    for cpu in 0..crate::report::environment::cores() {
        let evidence = match canary::run(probe, cpu, canary_slot(cpu)) {
            Ok(report) => {
                let wrong = report.lines.iter().filter(|line| line.expected != line.seen);
                let wrong = wrong
                    .map(|line| format!("cpu {cpu}: {} {}, seen {}", line.what, line.expected, line.seen));
                CanaryEvidence {
                    runs: 1,
                    lines: report.lines.len(),
                    wrong: wrong.collect(),
                    no_stops: report.no_stops.map(str::to_owned),
                }
            }
            Err(error) => {
                CanaryEvidence { wrong: vec![format!("cpu {cpu}: {error}")], ..CanaryEvidence::default() }
            }
        };
        all.add(evidence);
    }
    all
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
        let mut window = lock(&self.window);
        for (_, tid, _, before) in &mut window.companions {
            *before = self.probe.read(*tid).ok();
        }
        if self.sings.load(Relaxed) {
            let probe = Arc::clone(&self.probe);
            window.singing = std::thread::Builder::new()
                .name("canaries".into())
                .spawn(move || {
                    std::thread::sleep(CANARY_DELAY);
                    sing(&probe)
                })
                .ok();
        }
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
        OWN.with_borrow_mut(|own| {
            let Some(Own { name, tid, slot, before: Some((before, calls, begin)) }) = own.take() else {
                return;
            };
            let Ok(after) = self.probe.edge() else { return };
            let end = monotonic_ns();
            let calls = slot.calls() - calls;
            let evidence = ThreadEvidence::between(name, tid, &before, &after, calls, end - begin);
            lock(&self.window).producers.push((evidence, begin, end));
        });
    }

    fn close(&self) {
        let mut window = lock(&self.window);
        if let Some(counters) = &mut window.counters {
            counters.stop();
            let counts = counters.read();
            window.counts = Some(counts);
        }
        let companions = std::mem::take(&mut window.companions);
        for (role, tid, name, before) in companions {
            if let (Some(before), Ok(after)) = (before, self.probe.read(tid)) {
                let seen = ThreadEvidence { name, tid, ..ThreadEvidence::of_counters(&before, &after) };
                window.seen.push(Companion { role, seen });
            }
        }
        if let Some(singing) = window.singing.take() {
            let panicked =
                || CanaryEvidence { wrong: vec!["a canary panicked".into()], ..CanaryEvidence::default() };
            let heard = singing.join().unwrap_or_else(|_| panicked());
            window.canary.add(heard);
        }
    }
}
