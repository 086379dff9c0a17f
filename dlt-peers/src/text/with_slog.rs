//! `slog` with `slog-term`'s lines and `slog-async`'s worker.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use slog::{Drain, Logger, Never, OwnedKVList, Record, o};
use slog_async::{AsyncCore, AsyncGuard};
use slog_term::{FullFormat, PlainDecorator};

use super::open;
use crate::{Contender, Finished, Setup, Unavailable};

/// A root logger.
pub struct SlogAsync {
    logger: Logger,
    worker: AsyncGuard,
    dropped: Arc<AtomicU64>,
    configuration: String,
}

impl fmt::Debug for SlogAsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlogAsync").field("configuration", &self.configuration).finish_non_exhaustive()
    }
}

/// Counts what the queue has no room for. slog-async's own drain does so too, but keeps the count to itself.
struct Counting {
    core: AsyncCore,
    dropped: Arc<AtomicU64>,
}

impl Drain for Counting {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if self.core.log(record, values).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}

impl Contender for SlogAsync {
    type Producer = Logger;

    const NAME: &'static str = "slog-async";

    fn start(setup: &Setup<'_>) -> Result<Self, Unavailable> {
        let lines = FullFormat::new(PlainDecorator::new(open(setup)?))
            .use_utc_timestamp()
            .use_original_order()
            .build()
            .fuse();
        let (core, worker) = AsyncCore::custom(lines)
            .chan_size(setup.shared_capacity())
            .blocking(setup.lossless)
            .build_with_guard();
        let dropped = Arc::new(AtomicU64::new(0));
        let logger = Logger::root(Counting { core, dropped: Arc::clone(&dropped) }, o!());
        let configuration = format!(
            "slog-async {}, slog-term {}: chan_size({}), blocking({}); FullFormat, PlainDecorator, UTC; a BufWriter, which \
             slog-term flushes after each line",
            env!("VERSION_SLOG_ASYNC"),
            env!("VERSION_SLOG_TERM"),
            setup.shared_capacity(),
            setup.lossless
        );
        Ok(Self { logger, worker, dropped, configuration })
    }

    fn configuration(&self) -> String {
        self.configuration.clone()
    }

    fn producer(&self, _index: usize) -> Logger {
        self.logger.clone()
    }

    #[inline(always)]
    fn log(producer: &mut Logger, number: u32, text: &str) {
        slog::info!(producer, "{} {}", number, text);
    }

    fn finish(self) -> Finished {
        drop(self.worker);
        Finished::exactly(self.dropped.load(Relaxed))
    }
}
