//! `tracing` with `tracing-subscriber`'s lines and `tracing-appender`'s non-blocking writer.

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};

use super::{BUFFER_BYTES, open};
use crate::{Contender, Finished, Setup, Unavailable};

/// The process-wide subscriber.
#[derive(Debug)]
pub struct TracingAppender {
    worker: WorkerGuard,
    dropped: ErrorCounter,
    configuration: String,
}

impl Contender for TracingAppender {
    type Producer = ();

    const NAME: &'static str = "tracing-appender";

    fn start(setup: &Setup<'_>) -> Result<Self, Unavailable> {
        let (writer, worker) = NonBlockingBuilder::default()
            .buffered_lines_limit(setup.shared_capacity())
            .lossy(!setup.lossless)
            .finish(open(setup)?);
        let dropped = writer.error_counter();
        let subscriber =
            tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_target(false).finish();
        tracing::subscriber::set_global_default(subscriber).map_err(Unavailable::failed)?;
        let configuration = format!(
            "tracing-appender {}, tracing-subscriber {}: non_blocking, buffered_lines_limit({}), lossy({}); fmt, no ANSI, no target; \
             a BufWriter of {} KiB, which its worker flushes when the queue is empty",
            env!("VERSION_TRACING_APPENDER"),
            env!("VERSION_TRACING_SUBSCRIBER"),
            setup.shared_capacity(),
            !setup.lossless,
            BUFFER_BYTES >> 10
        );
        Ok(Self { worker, dropped, configuration })
    }

    fn configuration(&self) -> String {
        self.configuration.clone()
    }

    fn producer(&self, _index: usize) {}

    #[inline(always)]
    fn log((): &mut (), number: u32, text: &str) {
        tracing::info!("{number} {text}");
    }

    fn finish(self) -> Finished {
        drop(self.worker);
        Finished::exactly(self.dropped.dropped_lines() as u64)
    }
}
