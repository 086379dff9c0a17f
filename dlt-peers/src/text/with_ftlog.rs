//! `ftlog`.

use std::fmt::{self, Display};

use ftlog::appender::FileAppender;
use ftlog::{FtLogFormat, LogTimezone, LoggerGuard};
use log::{Level, Record};

use super::{open, path};
use crate::{Contender, Finished, Setup, Unavailable};

/// The process-wide logger.
pub struct Ftlog {
    worker: LoggerGuard,
    configuration: String,
}

impl fmt::Debug for Ftlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ftlog").field("configuration", &self.configuration).finish_non_exhaustive()
    }
}

/// Level and text: ftlog's own format looks up the thread's name in each call, and writes file and line as well.
struct Plain;

struct Line {
    level: Level,
    text: String,
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.level, self.text)
    }
}

impl FtLogFormat for Plain {
    fn msg(&self, record: &Record<'_>) -> Box<dyn Send + Sync + Display> {
        Box::new(Line { level: record.level(), text: record.args().to_string() })
    }
}

impl Contender for Ftlog {
    type Producer = ();

    const NAME: &'static str = "ftlog";

    fn start(setup: &Setup<'_>) -> Result<Self, Unavailable> {
        let builder = ftlog::builder();
        let (builder, file) = if setup.prompt {
            (builder.root(open(setup)?.into_inner().map_err(Unavailable::failed)?), "a file without a buffer")
        } else {
            let file = FileAppender::builder().path(path(setup)?).build();
            (
                builder.root(file),
                "its FileAppender, which keeps lines until its buffer is full or for a second",
            )
        };
        let logger = builder
            .format(Plain)
            .timezone(LogTimezone::Utc)
            .bounded(setup.shared_capacity(), setup.lossless)
            .build()
            .map_err(Unavailable::failed)?;
        let worker = logger.init().map_err(Unavailable::failed)?;
        let configuration = format!(
            "ftlog {}: bounded({}, {}); {file}; UTC, lines without thread, file and line",
            env!("VERSION_FTLOG"),
            setup.shared_capacity(),
            setup.lossless
        );
        Ok(Self { worker, configuration })
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
        drop(self.worker);
        // What its calls drop it tells nobody.
        Finished::at_least(0)
    }
}
