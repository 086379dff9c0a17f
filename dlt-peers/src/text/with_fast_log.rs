//! `fast_log`.

use fast_log::plugin::file::FileAppender;
use fast_log::{Config, FastLogFormat, TimeType};
use log::{LevelFilter, Log};

use super::path;
use crate::{Contender, Finished, Setup, Unavailable};

/// The process-wide logger.
#[derive(Debug)]
pub struct FastLog {
    configuration: String,
}

impl Contender for FastLog {
    type Producer = ();

    const NAME: &'static str = "fast_log";

    fn start(setup: &Setup<'_>) -> Result<Self, Unavailable> {
        let file = FileAppender::new(path(setup)?).map_err(Unavailable::failed)?;
        let config = Config::new()
            .level(LevelFilter::Info)
            .format(FastLogFormat::new().set_time_type(TimeType::Utc))
            .chan_len(Some(setup.shared_capacity()))
            .custom(file);
        fast_log::init(config).map_err(Unavailable::failed)?;
        let configuration = format!(
            "fast_log {}: chan_len({}), calls always wait when it is full; its FileAppender, UTC, lines without file and line",
            env!("VERSION_FAST_LOG"),
            setup.shared_capacity()
        );
        Ok(Self { configuration })
    }

    fn configuration(&self) -> String {
        self.configuration.clone()
    }

    fn producer(&self, _index: usize) {}

    #[inline(always)]
    fn log((): &mut (), number: u32, text: &str) {
        log::info!("{number} {text}");
    }

    fn finish(self) -> Finished {
        fast_log::logger().flush();
        Finished::exactly(0)
    }
}
