//! What a run tells whoever watches it from outside: which thread plays which role, and when measured work happens.
//!
//! The load engine calls these; the audit implements them. Without a probe [`Unwatched`] does nothing but hand out
//! in-call words in ordinary memory, so that both legs of the overhead measurement execute the same stores.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dlt_probe_ebpf::{Role, SlotPtr, SlotTable};

/// Told of the threads of a run and of the edges of their measured work.
pub trait Watcher: Send + Sync + std::fmt::Debug {
    /// The calling thread plays `role`; returns its in-call word. Called before the start barrier.
    fn register(&self, role: Role, name: &str) -> SlotPtr;
    /// The same for a thread of the logger (a worker), known by its thread id as this process sees it.
    fn register_tid(&self, role: Role, tid: u32, name: &str);
    /// The driver opens the window: every thread is registered and waits at the barrier.
    fn open(&self) {}
    /// The calling thread's measured work begins (read the edges: probe and getrusage).
    fn begin(&self) {}
    /// The calling thread's measured work has ended.
    fn end(&self) {}
    /// The driver closes the window: no measured work is under way any more.
    fn close(&self) {}
}

/// No probe: in-call words in ordinary memory, nothing else.
#[derive(Debug)]
pub struct Unwatched {
    slots: SlotTable,
    next: AtomicUsize,
}

impl Default for Unwatched {
    fn default() -> Self {
        Self { slots: SlotTable::private(), next: AtomicUsize::new(0) }
    }
}

impl Watcher for Unwatched {
    fn register(&self, _role: Role, _name: &str) -> SlotPtr {
        // Beyond the table's end slots are shared, which is harmless: nobody reads them.
        self.slots.slot(self.next.fetch_add(1, Relaxed))
    }

    fn register_tid(&self, _role: Role, _tid: u32, _name: &str) {}
}
