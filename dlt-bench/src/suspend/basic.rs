//! `suspend-basic`: two of eight threads are stopped while they log.

use super::observe::{Others, around, finish, judge, warm_up};
use super::row::Row;
use super::stage::Victim;
use super::{Scene, Section};
use crate::error::Error;

/// Messages that each of the others has to log while the two stand.
const LEAST: u64 = 1_000;

pub(super) const SECTION: Section = Section {
    case: "suspend-basic",
    title: "suspend-basic: 2 threads are stopped while they log, the others go on",
    default_threads: 8,
    least_threads: 3,
    takes_logger: true,
    run,
};

fn run(scene: &mut Scene<'_>) -> Result<Vec<Row>, Error> {
    let threads = scene.threads(&SECTION);
    let victims = [1, threads - 1];
    let workload = scene.workload(threads)?;
    let mut row = SECTION.row(format!("2 of {threads} stopped"), &workload);
    let hold = scene.stop_time(2_000);
    let mut stage = scene.stage(workload)?;
    warm_up(&mut stage)?;
    let others = Others::new((0..threads).filter(|index| !victims.contains(index)));
    around(
        &mut stage,
        &mut row,
        &others,
        |stage| victims.iter().map(|&index| stage.stop(Victim::Producer(index))).collect(),
        |stage, _| stage.pass(hold),
    )?;
    judge(&stage, &mut row);
    let least = row.least_calls_of_another.unwrap_or_default();
    let least_delivered = row.least_deliveries_of_another.unwrap_or_default();
    if least < LEAST {
        row.violated(format!(
            "one of the others finished {least} calls while the two stood, {LEAST} are the least"
        ));
    }
    row.remarks.push(format!(
        "each of the others finished at least {least} calls and had at least {least_delivered} messages delivered \
         while the two stood"
    ));
    finish(&mut stage, &mut row)?;
    Ok(vec![row])
}
