//! dlt-logger.

use std::time::Duration;

use dlt_logger::{Config, Context, Logger, OverflowMode, Sink, dlt_info};

use crate::{Contender, Finished, Format, Setup, Unavailable};

/// Messages per `writev`.
const BATCH: usize = 64;
/// A call waits for room at most this long when nothing may be lost: the longest that is accepted.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same otherwise: dlt-logger's default.
const TIMEOUT: Duration = Duration::from_millis(100);

/// dlt-logger in the overflow mode with this number.
#[derive(Debug)]
pub struct Dlt<const MODE: u8> {
    logger: Logger,
    contexts: Vec<Context>,
    configuration: String,
}

/// The oldest message gives way.
pub type Overwrite = Dlt<{ OverflowMode::Overwrite as u8 }>;
/// The new message is given up.
pub type DropNewest = Dlt<{ OverflowMode::DropNewest as u8 }>;
/// The call waits.
pub type Block = Dlt<{ OverflowMode::BlockWithTimeout as u8 }>;

impl<const MODE: u8> Contender for Dlt<MODE> {
    type Producer = Context;

    const NAME: &'static str = match MODE {
        0 => "dlt-logger-overwrite",
        1 => "dlt-logger-drop",
        _ => "dlt-logger-block",
    };
    const FORMAT: Format = Format::Dlt;

    fn start(setup: &Setup<'_>) -> Result<Self, Unavailable> {
        let mode = OverflowMode::try_from(MODE).map_err(Unavailable::failed)?;
        let timeout = if setup.lossless { PATIENCE } else { TIMEOUT };
        let config = Config::default()
            .with_num_buffers(1)
            .with_all_buffer_sizes(setup.capacity)
            .with_batch_size(BATCH)
            .with_overflow_mode(mode)
            .with_timeout(timeout);
        let waits = match mode {
            OverflowMode::BlockWithTimeout => format!(", at most {} ms", timeout.as_millis()),
            _ => String::new(),
        };
        let configuration = format!(
            "dlt-logger {}: one buffer, a lane of {} messages a thread; {mode}{waits}; DLT frames with storage headers, up to {BATCH} \
             a writev",
            env!("CARGO_PKG_VERSION"),
            setup.capacity
        );
        let sink = Sink::File(setup.sink.to_owned());
        let logger =
            Logger::builder("PEER").config(config).sink(sink).build().map_err(Unavailable::failed)?;
        let context = |index| logger.context(&format!("P{index:03}")).map_err(Unavailable::failed);
        let contexts = (0..setup.producers).map(context).collect::<Result<_, _>>()?;
        Ok(Self { logger, contexts, configuration })
    }

    fn configuration(&self) -> String {
        self.configuration.clone()
    }

    fn producer(&self, index: usize) -> Context {
        self.logger.prepare_thread();
        self.contexts[index].clone()
    }

    #[inline(always)]
    fn log(producer: &mut Context, number: u32, text: &str) {
        dlt_info!(producer, number, text);
    }

    fn finish(self) -> Finished {
        let report = self.logger.shutdown(PATIENCE);
        Finished::exactly(report.stats.total().lost())
    }
}
