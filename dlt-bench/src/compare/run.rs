//! All rounds: every measurement of every contender, interleaved, in an order that is shuffled each time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::answer::Answer;
use super::job::Job;
use super::plan::{Cell, SinkKind};
use super::process;

/// Besides the time of the measurement: what a logger that waits for its writer may still have to write.
const PATIENCE: Duration = Duration::from_secs(30);
/// A contender that has failed in so many measurements is not asked again: it may have hung each time.
const MOST_FAILURES: usize = 2;

/// How often something is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounds {
    /// As the measurement says, but not more often than this.
    AtMost(usize),
    /// So often.
    Fixed(usize),
}

/// What is to be measured, and how.
#[derive(Debug)]
pub struct Spec {
    /// The program that takes jobs: usually this one.
    pub program: PathBuf,
    /// Below this folder every measurement has its own.
    pub folder: PathBuf,
    /// The contenders.
    pub contenders: Vec<String>,
    /// The measurements.
    pub cells: Vec<Cell>,
    /// How often.
    pub rounds: Rounds,
    /// Messages instead of a time.
    pub messages: Option<u64>,
    /// Chooses the orders.
    pub seed: u64,
    /// Besides the time of the measurement.
    pub patience: Duration,
}

impl Spec {
    /// With all that is usual.
    pub fn new(folder: &Path, contenders: Vec<String>, cells: Vec<Cell>, seed: u64) -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            folder: folder.to_owned(),
            contenders,
            cells,
            rounds: Rounds::AtMost(usize::MAX),
            messages: None,
            seed,
            patience: PATIENCE,
        }
    }

    fn rounds(&self, cell: Cell) -> usize {
        match self.rounds {
            Rounds::AtMost(most) => cell.rounds().min(most),
            Rounds::Fixed(rounds) => rounds,
        }
    }

    /// With as many rounds as this time has room for, and one at least.
    #[must_use]
    pub fn within(mut self, budget: Duration) -> Self {
        let most = self.cells.iter().map(|cell| cell.rounds()).max().unwrap_or(1);
        for rounds in (1..=most).rev() {
            self.rounds = Rounds::AtMost(rounds);
            if self.planned() <= budget {
                break;
            }
        }
        self
    }

    /// How long it takes by plan.
    pub fn planned(&self) -> Duration {
        let one: Duration = self.cells.iter().map(|&cell| cell.planned() * self.rounds(cell) as u32).sum();
        one * self.contenders.len() as u32
    }
}

/// All answers: by contender and measurement, in the order of rounds.
pub type Answers = HashMap<(String, Cell), Vec<Answer>>;

/// Measures. `progress` is told what begins, and how long what has ended took by plan; it says whether to go on. Returns
/// what there is when it does not, or when Ctrl-C came.
pub fn run(spec: &Spec, progress: &mut dyn FnMut(&str, Duration) -> bool) -> Answers {
    let mut answers = Answers::new();
    let mut random = Random(spec.seed | 1);
    let most = spec.cells.iter().map(|&cell| spec.rounds(cell)).max().unwrap_or(0);
    for round in 0..most {
        for &cell in spec.cells.iter().filter(|&&cell| spec.rounds(cell) > round) {
            let mut order = spec.contenders.clone();
            random.shuffle(&mut order);
            for contender in order {
                let label = format!("round {} · {} · {contender}", round + 1, cell.name());
                if !progress(&label, Duration::ZERO) {
                    return answers;
                }
                let known = known(&answers, &contender, cell);
                let answer = match known {
                    Some(answer) => Some(answer),
                    None => measure(spec, &contender, cell),
                };
                let Some(answer) = answer else { return answers };
                progress(&label, cell.planned());
                answers.entry((contender, cell)).or_default().push(answer);
            }
        }
    }
    answers
}

/// The answer that needs no measurement, if there is one.
fn known(answers: &Answers, contender: &str, cell: Cell) -> Option<Answer> {
    let own = || answers.iter().filter(|((name, _), _)| name == contender);
    let absent = |answer: &&Answer| matches!(answer, Answer::NotInstalled { .. });
    if let Some(answer) = own().flat_map(|(_, answers)| answers).find(absent) {
        return Some(answer.clone());
    }
    let is_final = |answer: &&Answer| !matches!(answer, Answer::Measured(_));
    let here = answers.get(&(contender.to_owned(), cell));
    if let Some(answer) = here.and_then(|answers| answers.iter().find(is_final)) {
        return Some(answer.clone());
    }
    let has_failed =
        |answers: &Vec<Answer>| answers.iter().any(|answer| matches!(answer, Answer::Failed { .. }));
    let failures = own().filter(|(_, answers)| has_failed(answers)).count();
    (failures >= MOST_FAILURES).then(|| Answer::Failed {
        reason: format!("not asked any more: {MOST_FAILURES} measurements of it have failed"),
    })
}

fn measure(spec: &Spec, contender: &str, cell: Cell) -> Option<Answer> {
    let folder = spec.folder.join("sink");
    let failed = |error: std::io::Error| Answer::Failed {
        reason: format!("failed to make the folder of its sink: {error}"),
    };
    // What the one before left behind.
    let _ = std::fs::remove_dir_all(&folder);
    if let Err(error) = std::fs::create_dir_all(&folder) {
        return Some(failed(error));
    }
    let job = Job {
        contender: contender.to_owned(),
        measure: cell.measure,
        producers: cell.producers,
        sink: match cell.sink {
            SinkKind::File => folder.join("log"),
            SinkKind::Null => PathBuf::from("/dev/null"),
        },
        time_ms: cell.time().as_millis() as u64,
        messages: spec.messages,
    };
    let answer = process::ask(&spec.program, &job.arguments(), spec.patience + 2 * cell.time());
    let _ = std::fs::remove_dir_all(&folder);
    answer
}

/// Marsaglia's xorshift64: an order, not a secret.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Fisher and Yates.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_fit_the_time_that_there_is() {
        let of = |contenders: usize, budget_s: u64| {
            let names = (0..contenders).map(|n| n.to_string()).collect();
            let cells = super::super::plan::cells(super::super::plan::ALL);
            Spec::new(Path::new("/x"), names, cells, 1).within(Duration::from_secs(budget_s))
        };
        let rounds = |contenders: usize, budget_s: u64| match of(contenders, budget_s) {
            Spec { rounds: Rounds::AtMost(rounds), .. } => rounds,
            spec @ Spec { .. } => panic!("{spec:?}"),
        };
        // What is stated: under 10 minutes, all rounds of a dozen contenders.
        assert_eq!(rounds(12, 530), 7);
        assert!(of(12, 530).planned() <= Duration::from_secs(530));
        assert!((2..7).contains(&rounds(18, 530)), "{}", rounds(18, 530));
        assert!(of(18, 530).planned() <= Duration::from_secs(530));
        assert_eq!(rounds(100, 1), 1);
    }

    #[test]
    fn orders_differ_and_lose_nothing() {
        let mut random = Random(43);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [0, 1, 2, 3];
            random.shuffle(&mut items);
            let mut sorted = items;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 24, "all orders of four come up");
    }
}
