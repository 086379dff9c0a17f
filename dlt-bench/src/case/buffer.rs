//! Sweeps of the number of buffers, their size, and the messages per `writev`.

use dlt_logger::config::Overrides;

use super::spec::{RowSpec, Section};
use crate::config::Options;
use crate::report::Row;
use crate::report::human::{Extra, count};

const COUNTS: [usize; 4] = [1, 2, 4, 8];
const SIZES: [usize; 5] = [512, 1024, 2048, 4096, 8192];
const BATCHES: [usize; 6] = [1, 4, 8, 16, 32, 64];

/// `buffer-count`.
pub(super) fn buffer_count(options: &Options) -> Vec<Section> {
    let set = |n| Overrides { num_buffers: Some(n), ..Overrides::default() };
    vec![section(
        "buffer-count",
        "buffers, each with a worker of its own",
        "buffer(s)",
        &COUNTS,
        set,
        options,
    )]
}

/// `buffer-size`.
pub(super) fn buffer_size(options: &Options) -> Vec<Section> {
    let set = |n| Overrides { buffer_size: Some(n), ..Overrides::default() };
    vec![section("buffer-size", "messages that a lane holds", "messages", &SIZES, set, options)]
}

/// `batch-size`.
pub(super) fn batch_size(options: &Options) -> Vec<Section> {
    let set = |n| Overrides { batch_size: Some(n), ..Overrides::default() };
    vec![section("batch-size", "messages per writev at most", "per writev", &BATCHES, set, options)]
}

/// `buffer-all`.
pub(super) fn all(options: &Options) -> Vec<Section> {
    [buffer_count(options), buffer_size(options), batch_size(options)].concat()
}

fn section(
    case: &'static str,
    what: &str,
    unit: &str,
    values: &[usize],
    set: impl Fn(usize) -> Overrides,
    options: &Options,
) -> Section {
    let row = |&n: &usize| RowSpec { overrides: set(n), ..RowSpec::new(format!("{n} {unit}"), options) };
    let rows: Vec<_> = values.iter().map(row).collect();
    let threads = rows.first().map_or(0, |row| row.threads);
    Section {
        case,
        title: format!("{case}: {threads} producer(s) without a pause; {what}"),
        rows,
        extra: Extra::Buffers,
        conclude,
    }
}

fn conclude(rows: &[Row]) -> Vec<String> {
    let best = crate::report::document::best(rows);
    let line = |row: &Row| {
        format!(
            "✓ Best configuration: {} {} ({} msg/s)",
            row.case,
            row.name,
            count(row.throughput_msgs_per_s)
        )
    };
    best.map(line).into_iter().collect()
}
