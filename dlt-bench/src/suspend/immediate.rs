//! `suspend-immediate`: a thread is stopped inside its first log call, which makes its lane.

use super::observe::{Others, around, finish, judge, warm_up};
use super::row::Row;
use super::stage::Victim;
use super::{Scene, Section, step};
use crate::error::Error;

/// Instructions of the call before the stop: in a first call of some thousands this is in the registration.
const STEPS: usize = 300;
const VICTIM: usize = 0;

pub(super) const SECTION: Section = Section {
    case: "suspend-immediate",
    title: "suspend-immediate: a thread is stopped inside its first log call, the others go on",
    default_threads: 5,
    least_threads: 2,
    takes_logger: false,
    run,
};

fn run(scene: &mut Scene<'_>) -> Result<Vec<Row>, Error> {
    let threads = scene.threads(&SECTION);
    let mut workload = scene.workload(threads)?;
    workload.held_back.push(VICTIM);
    let mut row = SECTION.row(format!("1 of {threads} in its first call"), &workload);
    let hold = scene.stop_time(3_000);
    let mut stage = scene.stage(workload)?;
    warm_up(&mut stage)?;
    let mut address = 0;
    around(
        &mut stage,
        &mut row,
        &Others::new((0..threads).filter(|&index| index != VICTIM)),
        |stage| {
            let call = step::to_call(stage, VICTIM)?;
            let steps = step::into_call(stage, VICTIM, call, STEPS)?;
            let calls = stage.snapshot().calls[VICTIM];
            if steps < STEPS || !stage.is_in_call(VICTIM) || calls != 0 {
                return Err(Error::inconclusive(format!(
                    "the first call returned after {steps} instructions, before it could be stopped"
                )));
            }
            address = step::position(stage, VICTIM)?;
            let place = format!("inside its first call, {STEPS} instructions after its entry");
            Ok(vec![stage.hold(Victim::Producer(VICTIM), &place)?])
        },
        |stage, _| stage.pass(hold),
    )?;
    judge(&stage, &mut row);
    finish(&mut stage, &mut row)?;
    if let Some(stop) = row.stops.first_mut() {
        stop.place = format!("{}, in {}", stop.place, step::place(address));
        row.remarks.push(format!("producer {VICTIM} stood {}", stop.place));
    }
    Ok(vec![row])
}
