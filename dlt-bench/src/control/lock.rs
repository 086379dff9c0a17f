//! The locks of the controls.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Mutex, PoisonError};

use super::queue::Queue;

/// Something that lets one thread at a time at the queue.
pub(crate) trait Lock: Send + Sync + 'static {
    /// Guards this queue.
    fn new(queue: Queue) -> Self;
    /// Waits until the queue is free, and does this to it.
    fn with<R>(&self, action: impl FnOnce(&mut Queue) -> R) -> R;
}

/// The standard library's mutex.
#[derive(Debug)]
pub(crate) struct MutexLock(Mutex<Queue>);

impl Lock for MutexLock {
    fn new(queue: Queue) -> Self {
        Self(Mutex::new(queue))
    }

    fn with<R>(&self, action: impl FnOnce(&mut Queue) -> R) -> R {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl MutexLock {
    /// The same if no thread is at the queue; otherwise nothing.
    pub(crate) fn try_with<R>(&self, action: impl FnOnce(&mut Queue) -> R) -> Option<R> {
        self.0.try_lock().ok().map(|mut queue| action(&mut queue))
    }
}

/// What a spinlock does between two looks at the lock.
pub(crate) trait Wait: Send + Sync + 'static {
    /// One turn.
    fn turn();
}

/// Nothing.
#[derive(Debug)]
pub(crate) struct Spin;

impl Wait for Spin {
    fn turn() {
        std::hint::spin_loop();
    }
}

/// Lets another thread run.
#[derive(Debug)]
pub(crate) struct Yield;

impl Wait for Yield {
    fn turn() {
        std::thread::yield_now();
    }
}

/// Test and test-and-set.
#[derive(Debug)]
pub(crate) struct SpinLock<W> {
    /// True while a thread is at the queue.
    is_locked: AtomicBool,
    queue: UnsafeCell<Queue>,
    wait: PhantomData<W>,
}

// SAFETY: `queue` is only reached through `with`, which lets one thread at a time pass; `Queue` is `Send`.
unsafe impl<W: Wait> Sync for SpinLock<W> {}

impl<W: Wait> Lock for SpinLock<W> {
    fn new(queue: Queue) -> Self {
        Self { is_locked: AtomicBool::new(false), queue: UnsafeCell::new(queue), wait: PhantomData }
    }

    #[expect(
        clippy::inline_always,
        reason = "the lock is part of the log call, as in the loggers it stands for"
    )]
    #[inline(always)]
    fn with<R>(&self, action: impl FnOnce(&mut Queue) -> R) -> R {
        // Acquire pairs with the Release in `Unlock`: what the last owner did to the queue is seen.
        while self.is_locked.compare_exchange_weak(false, true, Acquire, Relaxed).is_err() {
            while self.is_locked.load(Relaxed) {
                W::turn();
            }
        }
        let _unlock = Unlock(&self.is_locked);
        // SAFETY: the exchange above succeeded and the lock is released only by `_unlock`, after `action` has returned
        // or unwound, so this is the only reference.
        action(unsafe { &mut *self.queue.get() })
    }
}

/// Releases the lock, also when the action unwinds.
struct Unlock<'a>(&'a AtomicBool);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt_logger::OverflowMode;

    /// Lost updates would show in the count.
    fn excludes<L: Lock>() {
        const CALLS: u64 = 20_000;
        let lock = L::new(Queue::new(2, OverflowMode::DropNewest));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..CALLS).for_each(|_| lock.with(|queue| queue.terms.accepted += 1)));
            }
        });
        assert_eq!(lock.with(|queue| queue.terms.accepted), 4 * CALLS);
    }

    #[test]
    fn one_thread_at_a_time() {
        excludes::<MutexLock>();
        excludes::<SpinLock<Spin>>();
        excludes::<SpinLock<Yield>>();
    }
}
