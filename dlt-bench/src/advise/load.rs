//! The load that settings are wanted for: as told, or as a row of a report shows it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::model;
use crate::error::Error;
use crate::load::message::PAYLOAD_BYTES;

/// What logs how much, and what the sink does meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// Messages per second of all threads together, evenly.
    pub rate_per_s: f64,
    /// Messages of all threads together that come at once, as fast as calls follow each other; 0: none do.
    pub burst_msgs: u64,
    /// From a burst to the next, and from a stall to the next.
    #[serde(rename = "every_s", serialize_with = "seconds")]
    pub every: Duration,
    /// How long the sink takes nothing; zero: it never stalls.
    #[serde(rename = "stall_s", serialize_with = "seconds")]
    pub stall: Duration,
    /// Threads that log.
    pub threads: usize,
    /// Bytes of a message's encoded arguments.
    pub payload_bytes: usize,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Default for Load {
    fn default() -> Self {
        Self {
            rate_per_s: 0.0,
            burst_msgs: 0,
            every: Duration::from_secs(1),
            stall: Duration::ZERO,
            threads: 1,
            payload_bytes: PAYLOAD_BYTES,
        }
    }
}

impl Load {
    /// Messages per second on average, bursts included.
    pub fn mean_per_s(&self) -> f64 {
        self.rate_per_s + self.burst_msgs as f64 / self.every.as_secs_f64()
    }

    /// Messages per second of one thread, without bursts.
    pub fn rate_of_thread(&self) -> f64 {
        self.rate_per_s / self.threads as f64
    }

    /// Messages of one thread in a burst.
    pub const fn burst_of_thread(&self) -> u64 {
        self.burst_msgs.div_ceil(self.threads as u64)
    }

    /// Whether anything comes again and again.
    pub const fn has_events(&self) -> bool {
        self.burst_msgs > 0 || !self.stall.is_zero()
    }

    /// # Errors
    /// A value that makes no sense beside the others.
    pub fn check(&self) -> Result<(), Error> {
        if self.rate_per_s <= 0.0 && self.burst_msgs == 0 {
            return Err(
                Error::usage("no load is given").with_hint("give --rate, --burst, or --from with a report")
            );
        }
        if self.stall >= self.every {
            return Err(Error::usage(format!(
                "--stall {:?} leaves the sink no time: it is not shorter than --every {:?}",
                self.stall, self.every
            )));
        }
        Ok(())
    }
}

/// Which row of which report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The report.
    pub path: PathBuf,
    /// Rows of this case only.
    pub case: Option<String>,
    /// The row with this name.
    pub row: Option<String>,
}

/// A row of a report, as far as it says something about its load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// Case and row.
    pub name: String,
    /// What it was configured with, in messages per lane.
    pub capacity_msgs: u64,
    /// Calls per second.
    pub calls_per_s: f64,
    /// Messages that were not delivered.
    pub lost: u64,
    /// Highest fill of a lane.
    pub high_mark_msgs: u64,
    /// Seconds of the run.
    pub duration_s: f64,
    /// Threads that logged.
    pub threads: usize,
}

impl Seen {
    /// The load that explains the row: its rate, and as a burst what a lane held or lost beyond what the rate explains. Of
    /// a rate above what a worker delivers all that is known is the rate.
    pub fn load(&self, drain_per_s: f64) -> Load {
        let load = Load { rate_per_s: self.calls_per_s, threads: self.threads, ..Load::default() };
        if self.calls_per_s > drain_per_s {
            return load;
        }
        let explained = load.rate_of_thread() * model::first_look(1).as_secs_f64();
        let lost_of_thread = self.lost as f64 / self.threads as f64 / self.duration_s.max(1.0);
        let held = self.high_mark_msgs as f64 + lost_of_thread;
        let burst = ((held - explained).max(0.0) * self.threads as f64).ceil() as u64;
        Load { burst_msgs: burst, ..load }
    }
}

/// Reads the row.
///
/// # Errors
/// The file cannot be read, is no report of load rows, or has no such row.
pub fn read(source: &Source) -> Result<Seen, Error> {
    let shown = source.path.display();
    let text = std::fs::read_to_string(&source.path)
        .map_err(|error| Error::usage(format!("failed to read `{shown}` of --from: {error}")))?;
    let report: Value = serde_json::from_str(&text)
        .map_err(|error| Error::usage(format!("`{shown}` of --from is no JSON report: {error}")))?;
    let is_of_load = report["schema_version"] == 1 && report["kind"].is_null();
    let rows = report["rows"].as_array().filter(|_| is_of_load).ok_or_else(|| {
        Error::usage(format!("`{shown}` of --from is no report of load rows"))
            .with_hint("make one with `dlt-bench -c concurrency-burst --json report.json`")
    })?;
    let seen: Vec<Seen> = rows.iter().filter(|row| row["logger"] == "dlt").filter_map(seen).collect();
    choose(seen, source)
}

fn seen(row: &Value) -> Option<Seen> {
    let number = |field: &str| row[field].as_u64();
    let sizes = row["buffer_sizes_msgs"].as_array()?;
    Some(Seen {
        name: format!("{} / {}", row["case"].as_str()?, row["name"].as_str()?),
        capacity_msgs: sizes.iter().filter_map(Value::as_u64).min()?,
        calls_per_s: row["calls_per_s"].as_f64()?,
        lost: number("dropped")? + number("overwritten")? + number("timed_out")?,
        high_mark_msgs: number("fill_high_mark_msgs")?,
        duration_s: row["duration_s"].as_f64()?,
        threads: number("threads").filter(|&threads| threads > 0)? as usize,
    })
}

/// The row that is named; of several the one that lost most, or else came nearest to losing.
fn choose(seen: Vec<Seen>, source: &Source) -> Result<Seen, Error> {
    let names: Vec<String> = seen.iter().map(|row| format!("`{}`", row.name)).collect();
    let is_meant = |row: &Seen| {
        let (case, name) = row.name.split_once(" / ").unwrap_or_default();
        source.case.as_deref().is_none_or(|wanted| wanted == case)
            && source.row.as_deref().is_none_or(|wanted| wanted == name)
    };
    let nearness = |row: &Seen| {
        let loss = row.lost as f64 / row.duration_s.max(1e-9);
        (loss, row.high_mark_msgs as f64 / row.capacity_msgs.max(1) as f64)
    };
    let meant = seen.into_iter().filter(is_meant);
    meant
        .max_by(|a, b| nearness(a).partial_cmp(&nearness(b)).unwrap_or(std::cmp::Ordering::Equal))
        .ok_or_else(|| {
            let wanted = [&source.case, &source.row].into_iter().flatten().map(|text| format!("`{text}`"));
            Error::usage(format!(
                "`{}` of --from has no row of dlt-logger for {}",
                source.path.display(),
                wanted.collect::<Vec<_>>().join(" and ")
            ))
            .with_hint(if names.is_empty() {
                "it has none at all".to_owned()
            } else {
                format!("it has {}", names.join(", "))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, lost: u64, high_mark_msgs: u64) -> Seen {
        let (capacity_msgs, calls_per_s, duration_s, threads) = (2048, 10_000.0, 2.0, 2);
        Seen { name: name.to_owned(), capacity_msgs, calls_per_s, lost, high_mark_msgs, duration_s, threads }
    }

    #[test]
    fn the_row_that_lost_most_is_taken_unless_one_is_named() {
        let rows = vec![row("a / x", 0, 2000), row("a / y", 5, 2048), row("b / x", 1, 2048)];
        let of = |case: Option<&str>, name: Option<&str>| {
            let source =
                Source { case: case.map(str::to_owned), row: name.map(str::to_owned), ..Source::default() };
            choose(rows.clone(), &source).map(|row| row.name)
        };
        assert_eq!(of(None, None).unwrap(), "a / y");
        assert_eq!(of(Some("b"), None).unwrap(), "b / x");
        assert_eq!(of(Some("a"), Some("x")).unwrap(), "a / x");
        let said = of(Some("c"), None).unwrap_err().to_string();
        assert!(said.contains("`c`") && said.contains("`b / x`"), "{said}");
    }

    /// 5000 messages per second and thread: what is in a lane beyond 18.75 ms of that came at once.
    #[test]
    fn what_the_rate_does_not_explain_is_a_burst() {
        assert_eq!(row("a / x", 0, 93).load(1e6).burst_msgs, 0);
        let burst = row("a / x", 0, 1093).load(1e6).burst_msgs;
        assert!((1998..=2000).contains(&burst), "{burst}");
        // Lost: 200 of each thread in 2 s, which are a burst a second.
        let burst = row("a / x", 400, 1093).load(1e6).burst_msgs;
        assert!((2198..=2200).contains(&burst), "{burst}");
        assert_eq!(row("a / x", 400, 1093).load(9_999.0).burst_msgs, 0);
    }

    #[test]
    fn a_load_that_makes_no_sense_is_refused() {
        assert!(Load::default().check().is_err());
        assert!(Load { rate_per_s: 1.0, ..Load::default() }.check().is_ok());
        let stalled = Load { rate_per_s: 1.0, stall: Duration::from_secs(1), ..Load::default() };
        assert!(stalled.check().unwrap_err().to_string().contains("--every"));
    }
}
