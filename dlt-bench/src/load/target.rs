//! What is called: dlt-logger, or one of the negative controls. Static dispatch: the call is inlined into the loop.

use std::sync::Arc;
use std::time::Duration;

use dlt_logger::{Config, Context, Logger, Outcome, Sink, dlt_info};

use super::message::{APPLICATION, TEXT};
use super::producer::Producer;
use super::sink::Endpoint;
use super::terms::Terms;
use crate::error::{Error, chain};
use crate::measure::latency::Shared;

/// What a logger is built with.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    /// Buffers, sizes, batch, mode.
    pub(crate) config: &'a Config,
    /// Where frames go.
    pub(crate) endpoint: Endpoint,
    /// Told of delivery times.
    pub(crate) delivery: Arc<Shared>,
    /// Every how many messages one is timed; 0 for none.
    pub(crate) sampling: u32,
}

/// A logger under test.
pub(crate) trait Target: Sync + Sized {
    /// One thread's view of it.
    type Producer: Producer + Send;

    /// Streams that it writes to: one for each worker.
    fn streams(config: &Config) -> usize;
    /// Starts it.
    fn start(build: Build<'_>) -> Result<Self, Error>;
    /// Makes what the producer with this name calls.
    fn producer(&self, name: &str) -> Result<Self::Producer, Error>;
    /// Makes the calling thread's first call as cheap as the others. False if it will not be.
    fn prepare_thread(&self) -> bool;
    /// Thread ids of its workers.
    fn worker_tids(&self) -> Vec<u32>;
    /// Its account.
    fn terms(&self) -> Terms;
    /// Waits until everything is delivered. The number of messages that were not in time.
    fn flush(&self, timeout: Duration) -> Result<(), u64>;
    /// What the sink last failed with.
    fn sink_error(&self) -> Option<String>;
    /// Ends it. True if its account is final.
    fn shutdown(self, timeout: Duration) -> (Terms, bool);
}

impl Target for Logger {
    type Producer = DltProducer;

    fn streams(config: &Config) -> usize {
        config.num_buffers
    }

    fn start(build: Build<'_>) -> Result<Self, Error> {
        let sink = match build.endpoint {
            Endpoint::Null => Sink::Null,
            Endpoint::File(path) => Sink::File(path),
            Endpoint::Unix(path) => Sink::Unix(path),
            Endpoint::Tcp(address) => Sink::Tcp(address),
            Endpoint::Streams(streams) => Sink::Streams(streams),
        };
        let builder = Self::builder(APPLICATION).config(build.config.clone()).sink(sink);
        let builder = if build.sampling > 0 {
            builder.observer(build.delivery).delivery_sampling(build.sampling)
        } else {
            builder
        };
        builder
            .build()
            .map_err(|error| Error::failed(format!("failed to start the logger: {}", chain(&error))))
    }

    fn producer(&self, name: &str) -> Result<DltProducer, Error> {
        let context = self.context(name);
        let context = context.map_err(|error| Error::failed(format!("failed to make a context: {error}")))?;
        Ok(DltProducer { context })
    }

    fn prepare_thread(&self) -> bool {
        Self::prepare_thread(self)
    }

    fn worker_tids(&self) -> Vec<u32> {
        Self::worker_tids(self)
    }

    fn terms(&self) -> Terms {
        Terms::from(&self.stats())
    }

    fn flush(&self, timeout: Duration) -> Result<(), u64> {
        Self::flush(self, timeout).map_err(|error| error.undelivered)
    }

    fn sink_error(&self) -> Option<String> {
        Self::sink_error(self).map(|error| error.to_string())
    }

    fn shutdown(self, timeout: Duration) -> (Terms, bool) {
        let report = Self::shutdown(self, timeout);
        (Terms::from(&report.stats), report.is_complete)
    }
}

/// A thread that logs with dlt-logger.
#[derive(Debug)]
pub(crate) struct DltProducer {
    context: Context,
}

impl Producer for DltProducer {
    #[inline(always)]
    fn log(&mut self, sequence: u32) -> Outcome {
        dlt_info!(self.context, sequence, TEXT)
    }
}
