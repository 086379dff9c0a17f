//! Canaries: threads that do exactly known numbers of everything, on each processor.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use dlt_probe_ebpf::{Error, Probe, canary};

use super::evidence::CanaryEvidence;
use super::session::{lock, processors};
use crate::load::plan::MAX_PRODUCERS;

/// After a window opens, before the canary sings in it.
const CANARY_DELAY: Duration = Duration::from_millis(300);

/// Longest wait for a canary, which takes 50 ms a processor where nothing else runs.
const CANARY_PATIENCE: Duration = Duration::from_secs(60);

/// Slots of canaries: behind those of producers.
const fn canary_slot(cpu: usize) -> usize {
    MAX_PRODUCERS + cpu % 28
}

/// Canaries that sing when they are asked. Their thread is older than any row's perf counters, which therefore do not
/// count what it does.
#[derive(Debug)]
pub(super) struct Choir {
    ask: Mutex<Option<Sender<u64>>>,
    heard: Mutex<Receiver<(u64, CanaryEvidence)>>,
    asked: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

impl Choir {
    pub(super) fn new(probe: Arc<Probe>) -> Result<Self, Error> {
        let (ask, asked) = mpsc::channel();
        let (sung, heard) = mpsc::channel();
        let wait = move || {
            while let Ok(number) = asked.recv() {
                std::thread::sleep(CANARY_DELAY);
                if sung.send((number, sing(&probe))).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("canaries".into())
            .spawn(wait)
            .map_err(|source| Error::Io { action: "start a thread for canaries", source })?;
        Ok(Self {
            ask: Mutex::new(Some(ask)),
            heard: Mutex::new(heard),
            asked: AtomicU64::new(0),
            thread: Some(thread),
        })
    }

    pub(super) fn ask(&self) -> u64 {
        let number = self.asked.fetch_add(1, Relaxed);
        // If it has ended, nobody answers, and that is what `answer` says.
        let _ = lock(&self.ask).as_ref().map(|ask| ask.send(number));
        number
    }

    pub(super) fn answer(&self, number: u64) -> CanaryEvidence {
        let heard = lock(&self.heard);
        loop {
            match heard.recv_timeout(CANARY_PATIENCE) {
                Ok((sung, evidence)) if sung == number => return evidence,
                // Of a run that failed before its window was closed.
                Ok(_) => {}
                Err(error) => {
                    let wrong = vec![format!("the canary of the window did not come back: {error}")];
                    return CanaryEvidence { wrong, ..CanaryEvidence::default() };
                }
            }
        }
    }
}

impl Drop for Choir {
    fn drop(&mut self) {
        // It holds the probe: whoever drops the session wants it unloaded.
        lock(&self.ask).take();
        if let Some(thread) = self.thread.take() {
            // A panic was answered as a canary that did not come back.
            let _ = thread.join();
        }
    }
}

/// A canary on each processor.
pub(super) fn sing(probe: &Probe) -> CanaryEvidence {
    let mut all = CanaryEvidence::default();
    for cpu in processors() {
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
