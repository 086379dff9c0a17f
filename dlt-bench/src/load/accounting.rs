//! Every account of a run against every other: the callers', the logger's, the receiver's.

use super::producer::Tally;
use super::terms::Terms;
use crate::collector::Received;

/// The accounts of one run.
#[derive(Debug, Clone, Copy)]
pub struct Accounts<'a> {
    /// What each producer's calls returned.
    pub tallies: &'a [Tally],
    /// The logger's own account, final.
    pub terms: &'a Terms,
    /// What arrived; `None` if there is no receiver that could tell.
    pub received: Option<&'a Received>,
    /// The stream of each buffer of the logger; `None` if all share one.
    pub one_stream_per_buffer: bool,
    /// The logger says its losses in the log.
    pub says_losses: bool,
    /// The sink failed in this run, so that notes may be lost as well.
    pub sink_failed: bool,
}

/// What does not agree, in words that name both figures; empty if everything does.
pub fn check(accounts: &Accounts<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |what: &str, left: u64, right_name: &str, right: u64| {
        if left != right {
            let (more, less) = (left.max(right), left.min(right));
            problems.push(format!("{what} {left} != {right_name} {right} (off by {})", more - less));
        }
    };
    let total = accounts.terms.total();
    let sum = |of: fn(&Tally) -> u64| accounts.tallies.iter().map(of).sum::<u64>();

    // The callers' account against the logger's.
    expect("accepted calls", sum(|t| t.accepted), "accepted by the logger", total.accepted);
    expect("calls refused as full", sum(|t| t.full), "dropped (full)", total.dropped.full);
    expect(
        "calls refused as too large",
        sum(|t| t.too_large),
        "dropped (too_large)",
        total.dropped.too_large,
    );
    expect("calls refused without a lane", sum(|t| t.no_lane), "dropped (no_lane)", total.dropped.no_lane);
    expect("calls that timed out", sum(|t| t.timed_out), "timed out by the logger", total.timed_out);
    expect("calls that were filtered", sum(|t| t.filtered), "none", 0);

    // The identity.
    let attempted = sum(Tally::attempted);
    let delivered = accounts.received.map_or(total.sent, |received| received.messages);
    expect("attempted", attempted, "delivered + overwritten + dropped + timed out", delivered + total.lost());

    let Some(received) = accounts.received else { return problems };
    expect("received", received.messages, "sent by the logger", total.sent);

    // Per producer: what it logged and what is missing of it.
    let mut unheard = 0;
    let mut gaps_of_stream = vec![0; accounts.terms.buffers.len().max(1)];
    for (index, tally) in accounts.tallies.iter().enumerate() {
        let seen = received.producers.get(index).copied().unwrap_or_default();
        let attempted = tally.attempted();
        let name = format!("P{index:03}: sequence numbers used");
        let gaps = seen.gaps + attempted.saturating_sub(seen.next);
        expect(&name, attempted, "received + missing", seen.received + gaps);
        if seen.received == 0 && attempted > 0 {
            unheard += 1;
        } else if let Some(stream) = gaps_of_stream.get_mut(seen.stream) {
            *stream += gaps;
        }
    }
    // Per buffer: the gaps of its producers against its own terms. A producer of whom nothing arrived has no stream.
    if unheard == 0 && accounts.one_stream_per_buffer {
        for (index, (gaps, buffer)) in gaps_of_stream.iter().zip(&accounts.terms.buffers).enumerate() {
            expect(
                &format!("buffer {index}: gaps at the receiver"),
                *gaps,
                "the buffer's losses",
                buffer.lost(),
            );
        }
    }
    if accounts.says_losses && !accounts.sink_failed {
        let said = total.overwritten
            + total.timed_out
            + total.dropped.full
            + total.dropped.too_large
            + total.dropped.no_lane;
        expect("losses said in the log", received.noted_losses, "losses counted", said);
        expect("loss notes received", received.notes, "loss notes sent", accounts.terms.notes);
    }
    if received.violation_count > 0 {
        problems.push(format!("{} violations at the receiver", received.violation_count));
        problems.extend(received.violations.iter().cloned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::Seen;
    use crate::load::terms::{Buffer, Dropped};

    /// Two producers in two buffers: 10 attempted each; the first loses 3 to overwriting, the second 4 to a full lane.
    fn sound() -> (Vec<Tally>, Terms, Received) {
        let tallies = vec![
            Tally { accepted: 10, ..Tally::default() },
            Tally { accepted: 6, full: 4, ..Tally::default() },
        ];
        let buffers = vec![
            Buffer { accepted: 10, sent: 7, overwritten: 3, ..Buffer::default() },
            Buffer {
                accepted: 6,
                sent: 6,
                dropped: Dropped { full: 4, ..Dropped::default() },
                ..Buffer::default()
            },
        ];
        let producers = vec![
            Seen { received: 7, gaps: 3, next: 10, stream: 0 },
            // Its last message is among those that are missing.
            Seen { received: 6, gaps: 3, next: 9, stream: 1 },
        ];
        let received = Received { producers, messages: 13, notes: 2, noted_losses: 7, ..Received::default() };
        (tallies, Terms { buffers, notes: 2, ..Terms::default() }, received)
    }

    fn problems(tallies: &[Tally], terms: &Terms, received: &Received) -> Vec<String> {
        check(&Accounts {
            tallies,
            terms,
            received: Some(received),
            one_stream_per_buffer: true,
            says_losses: true,
            sink_failed: false,
        })
    }

    #[test]
    fn a_sound_account_has_no_problems() {
        let (tallies, terms, received) = sound();
        assert_eq!(problems(&tallies, &terms, &received), Vec::<String>::new());
    }

    #[test]
    fn every_falsified_figure_is_found() {
        type Falsify = fn(&mut Vec<Tally>, &mut Terms, &mut Received);
        let cases: [(&str, Falsify); 9] = [
            ("accepted calls", |tallies, _, _| tallies[0].accepted += 1),
            ("refused as full", |_, terms, _| terms.buffers[1].dropped.full -= 1),
            ("attempted", |_, terms, _| terms.buffers[0].overwritten += 1),
            ("buffer 0", |_, terms, _| terms.buffers[0].overwritten -= 1),
            ("received", |_, terms, _| terms.buffers[0].sent += 1),
            ("P001", |_, _, received| received.producers[1].received -= 1),
            ("losses said in the log", |_, _, received| received.noted_losses -= 1),
            ("loss notes", |_, terms, _| terms.notes += 1),
            ("1 violations", |_, _, received| received.violation_count += 1),
        ];
        for (word, falsify) in cases {
            let (mut tallies, mut terms, mut received) = sound();
            falsify(&mut tallies, &mut terms, &mut received);
            let problems = problems(&tallies, &terms, &received);
            assert!(problems.iter().any(|problem| problem.contains(word)), "{word}: {problems:?}");
        }
    }

    /// The total is right, but a loss is counted in the other buffer: only the comparison per buffer sees it.
    #[test]
    fn a_loss_in_the_wrong_buffer_is_found() {
        let (tallies, mut terms, received) = sound();
        terms.buffers[0].overwritten -= 1;
        terms.buffers[1].overwritten += 1;
        let problems = problems(&tallies, &terms, &received);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.starts_with("buffer ")), "{problems:?}");
    }

    #[test]
    fn without_a_receiver_the_identity_is_checked_with_what_was_sent() {
        let (tallies, mut terms, _) = sound();
        let accounts = |terms: &Terms| {
            check(&Accounts {
                tallies: &tallies,
                terms,
                received: None,
                one_stream_per_buffer: false,
                says_losses: false,
                sink_failed: false,
            })
        };
        assert_eq!(accounts(&terms), Vec::<String>::new());
        terms.buffers[0].sent += 1;
        assert_eq!(accounts(&terms).len(), 1);
    }
}
