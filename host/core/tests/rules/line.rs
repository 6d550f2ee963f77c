//! Lines: drops, returns, grace periods, take-overs; and what a user has missed.

use proptest::prelude::*;
use scenehost_core::backlog::Backlog;
use scenehost_core::line::{Event, Line, Outcome, Reason, State};
use scenehost_core::{ConnectionId, Time};

use crate::table;

const GRACE_MS: u64 = 20_000;
const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);
const START: Time = Time(1_000_000);

fn later(ms: u64) -> Time {
    START.plus_ms(ms)
}

fn connected() -> Line {
    Line::connected(FIRST, GRACE_MS)
}

fn dropped() -> Line {
    let mut line = connected();
    assert_eq!(line.step(START, Event::Lost(FIRST)), Outcome::Away);
    line
}

fn resumed() -> Line {
    let mut line = dropped();
    assert_eq!(line.step(later(5_000), Event::Returned(SECOND)), Outcome::Back { taken_over: None });
    line
}

fn closed() -> Line {
    let mut line = connected();
    line.step(START, Event::Left(FIRST));
    line
}

#[test]
fn a_user_who_comes_back_in_time_has_the_same_line() {
    let mut line = resumed();
    assert_eq!(line.connection(), Some(SECOND));
    assert_eq!(line.step(later(6_000), Event::Lost(FIRST)), Outcome::Nothing, "the old connection is not the line's");
    line.step(later(6_000), Event::Heard(SECOND));
    assert_eq!(line.state(), State::Connected { connection: SECOND });
}

#[test]
fn the_end_of_the_grace_period_is_told_once() {
    let mut line = dropped();
    assert_eq!(line.deadline(), Some(later(GRACE_MS)));
    assert_eq!(line.step(later(GRACE_MS - 1), Event::Tick), Outcome::Nothing);
    let over = Outcome::Closed { reason: Reason::GraceOver, connection: None };
    assert_eq!(line.step(later(GRACE_MS), Event::Tick), over);
    assert_eq!(line.step(later(GRACE_MS), Event::Tick), Outcome::Nothing);
    assert_eq!(line.step(later(GRACE_MS), Event::Returned(SECOND)), Outcome::TooLate);
    // Also when the return comes before the tick does.
    assert_eq!(dropped().step(later(GRACE_MS), Event::Returned(SECOND)), over);
}

#[test]
fn a_client_that_only_connects_does_not_win_time() {
    let mut line = resumed();
    line.step(later(19_000), Event::Lost(SECOND));
    assert_eq!(line.deadline(), Some(later(GRACE_MS)), "the end of the first drop");
    let mut line = resumed();
    line.step(later(18_000), Event::Heard(SECOND));
    line.step(later(19_000), Event::Lost(SECOND));
    assert_eq!(line.deadline(), Some(later(19_000 + GRACE_MS)), "it was really back");
}

#[test]
fn a_second_connection_takes_over_a_stale_one() {
    let mut line = connected();
    assert_eq!(line.step(START, Event::Returned(SECOND)), Outcome::Back { taken_over: Some(FIRST) });
    assert_eq!(line.step(START, Event::Lost(FIRST)), Outcome::Nothing);
    assert_eq!(line.connection(), Some(SECOND));
}

#[test]
fn every_state_and_event() {
    let connecting = Line::connecting(FIRST, later(10_000), GRACE_MS);
    let (early, late) = (later(6_000), later(60_000));
    table::check(
        "line",
        &[
            ("Connecting", connecting),
            ("Connected", connected()),
            ("Dropped", dropped()),
            ("Resumed", resumed()),
            ("Closed", closed()),
        ],
        &[
            ("Accepted", (Event::Accepted, early)),
            ("Returned, another connection", (Event::Returned(ConnectionId(3)), early)),
            ("Returned after the deadline", (Event::Returned(ConnectionId(3)), late)),
            ("Heard, its connection", (Event::Heard(FIRST), early)),
            ("Heard, another connection", (Event::Heard(ConnectionId(9)), early)),
            ("Lost, its connection", (Event::Lost(FIRST), early)),
            ("Lost, another connection", (Event::Lost(ConnectionId(9)), early)),
            ("Left, its connection", (Event::Left(FIRST), early)),
            ("Left, another connection", (Event::Left(ConnectionId(9)), early)),
            ("End", (Event::End, early)),
            ("Tick before the deadline", (Event::Tick, early)),
            ("Tick after the deadline", (Event::Tick, late)),
        ],
        |state, (event, now)| {
            let mut line = state.clone();
            // "Its connection" is the second one after a return.
            let event = match (*event, line.connection()) {
                (Event::Heard(FIRST), Some(own)) => Event::Heard(own),
                (Event::Lost(FIRST), Some(own)) => Event::Lost(own),
                (Event::Left(FIRST), Some(own)) => Event::Left(own),
                (event, _) => event,
            };
            let outcome = line.step(*now, event);
            format!("{}: {}", line.name(), told(outcome))
        },
    );
}

fn told(outcome: Outcome) -> String {
    match outcome {
        Outcome::Nothing => "–".to_owned(),
        Outcome::Away => "away".to_owned(),
        Outcome::Back { taken_over: None } => "back".to_owned(),
        Outcome::Back { taken_over: Some(_) } => "back, the older is taken over".to_owned(),
        Outcome::Closed { reason, connection: None } => format!("closed, {reason:?}"),
        Outcome::Closed { reason, connection: Some(_) } => format!("closed, {reason:?}, its connection too"),
        Outcome::TooLate => "too late".to_owned(),
    }
}

proptest! {
    /// Whatever happens, a drop that is not followed by a return ends once and in time.
    #[test]
    fn every_drop_ends(events in prop::collection::vec((0..7u8, 1..5u64, 0..15_000u64), 0..60)) {
        let mut line = connected();
        let mut now = START;
        let mut ends = 0;
        for (event, connection, ms) in events {
            now = now.plus_ms(ms);
            let connection = ConnectionId(connection);
            let event = match event {
                0 => Event::Accepted,
                1 => Event::Returned(connection),
                2 => Event::Heard(connection),
                3 | 4 => Event::Lost(connection),
                5 => Event::Tick,
                _ => Event::Left(connection),
            };
            ends += u32::from(matches!(line.step(now, event), Outcome::Closed { .. }));
        }
        if let Some(own) = line.connection() {
            line.step(now, Event::Lost(own));
        }
        prop_assert!(line.deadline().is_none_or(|deadline| deadline <= now.plus_ms(GRACE_MS)));
        ends += u32::from(matches!(line.step(now.plus_ms(GRACE_MS), Event::Tick), Outcome::Closed { .. }));
        prop_assert_eq!(ends, 1);
        prop_assert_eq!(line.name(), "Closed");
    }

    /// A backlog against the plain list of everything that was ever sent.
    #[test]
    fn a_backlog_gives_exactly_what_was_missed_or_nothing(
        sizes in prop::collection::vec(0..30usize, 0..60),
        seen in 0..70u32,
        acknowledged in 0..70u32,
    ) {
        let (frames_max, bytes_max) = (20, 200);
        let mut backlog = Backlog::new(frames_max, bytes_max);
        let mut all = Vec::new();
        for (number, size) in (1u32..).zip(&sizes) {
            prop_assert_eq!(backlog.push(number * 10, *size), number);
            all.push((number, number * 10));
        }
        let mut held = 0;
        let mut bytes = 0;
        while held < sizes.len() && held < frames_max && bytes + sizes[sizes.len() - 1 - held] <= bytes_max {
            bytes += sizes[sizes.len() - 1 - held];
            held += 1;
        }
        let last = all.len() as u32;
        let since = |backlog: &Backlog<u32>, seen| -> Option<Vec<(u32, u32)>> {
            backlog.since(seen).map(|frames| frames.map(|(number, frame)| (number, *frame)).collect())
        };
        let expected = (seen <= last && (last - seen) as usize <= held).then(|| all[seen as usize..].to_vec());
        prop_assert_eq!(since(&backlog, seen), expected);
        backlog.acknowledge(acknowledged);
        prop_assert_eq!(since(&backlog, last), Some(Vec::new()));
        if acknowledged < last {
            let missed = (last - acknowledged) as usize;
            prop_assert_eq!(since(&backlog, acknowledged).is_some(), missed <= held);
            if acknowledged > 0 && missed <= held {
                prop_assert_eq!(since(&backlog, acknowledged - 1), None, "what has arrived is let go");
            }
        }
    }
}

#[test]
fn frames_at_the_end_of_the_numbers_are_told_like_others() {
    let mut backlog = Backlog::new(8, 100);
    let after = backlog.begin_after(u32::MAX - 3);
    assert_eq!(after, u32::MAX - 2);
    assert_eq!([backlog.push('a', 1), backlog.push('b', 1)], [u32::MAX - 1, u32::MAX]);
    let since =
        |backlog: &Backlog<char>, seen| backlog.since(seen).map(|it| it.map(|(seq, _)| seq).collect::<Vec<_>>());
    assert_eq!(since(&backlog, after), Some(vec![u32::MAX - 1, u32::MAX]));
    assert_eq!(since(&backlog, u32::MAX), Some(vec![]));
    assert_eq!(backlog.push('c', 1), 1);
    assert_eq!(since(&backlog, u32::MAX), None, "nobody goes on across the end");
    let mut at_the_end = Backlog::<char>::new(8, 100);
    assert_eq!(at_the_end.begin_after(u32::MAX), 0);
}
