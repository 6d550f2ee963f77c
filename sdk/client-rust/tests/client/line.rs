//! The pure parts of a line.

use std::time::Duration;

use scenehost_client::line::{Backoff, Due, Inbound, Lost, Next, Outbox, OutboxLimits, Overflow, Requests, WrongCount};
use tokio::time::Instant;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn attempts_come_at_once_then_at_random_in_times_that_double() {
    let mut backoff = Backoff::new(ms(100), ms(5_000));
    let longest: Vec<u128> = (0..9).map(|_| backoff.next(1.0, Duration::ZERO).as_millis()).collect();
    assert_eq!(longest, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert_eq!(backoff.next(0.0, Duration::ZERO), Duration::ZERO);
    assert_eq!(backoff.next(0.5, Duration::ZERO), ms(2_500));
    assert_eq!(backoff.next(0.5, ms(60_000)), ms(62_500), "not before the server wants");
    for _ in 0..100 {
        assert!(backoff.next(1.0, Duration::ZERO) <= ms(5_000));
    }
    backoff.reset();
    assert_eq!(backoff.next(1.0, Duration::ZERO), Duration::ZERO);
    assert_eq!(backoff.next(1.0, Duration::ZERO), ms(100));
}

#[test]
fn clients_that_were_told_the_same_time_do_not_come_back_in_step() {
    let next = |backoff: &Backoff, random, told| backoff.clone().next(random, told);
    let first = Backoff::new(ms(100), ms(5_000));
    assert_eq!(next(&first, 0.0, ms(8_000)), ms(8_000), "not before the server wants");
    assert_eq!(next(&first, 1.0, ms(8_000)), ms(10_000), "a first attempt waits at random, too");
    assert_eq!(next(&first, 1.0, ms(60_000)), ms(65_000));
    assert_eq!(next(&first, 1.0, ms(1)), ms(101));
    assert_eq!(next(&Backoff::new(ms(0), ms(0)), 1.0, ms(8_000)), ms(8_100), "without times of its own, too");
    let mut later = first;
    for _ in 0..9 {
        later.next(1.0, Duration::ZERO);
    }
    assert_eq!(next(&later, 1.0, ms(8_000)), ms(13_000), "the longer one counts");
}

#[test]
fn frames_are_counted_without_gaps() {
    let now = Instant::now();
    let mut inbound = Inbound::new(now, ms(20), ms(10));
    for seq in [1, 0, 2, 0, 3] {
        assert_eq!(inbound.came(seq, now), Ok(()));
    }
    assert_eq!(inbound.came(5, now), Err(Lost { expected: 4, got: 5 }));
    assert_eq!(inbound.came(3, now), Err(Lost { expected: 4, got: 3 }));
    assert_eq!(inbound.seen(), 3);
    inbound.returned(3, now);
    assert_eq!(inbound.came(4, now), Ok(()));
    inbound.returned(1_000, now);
    assert_eq!((inbound.seen(), inbound.came(1_001, now)), (1_000, Ok(())));
    inbound.returned(u32::MAX, now);
    assert_eq!(inbound.came(1, now), Ok(()), "0 is no number of a frame");
}

#[test]
fn the_server_is_told_in_time_what_came() {
    let now = Instant::now();
    let mut inbound = Inbound::new(now, ms(20), ms(10));
    for seq in 1..64 {
        inbound.came(seq, now).unwrap();
        assert_eq!(inbound.due(now), Due::Nothing { until: now + ms(20) });
    }
    inbound.came(64, now).unwrap();
    assert_eq!(inbound.due(now), Due::Ping);
    inbound.said();
    assert_eq!(inbound.due(now), Due::Nothing { until: now + ms(20) });
}

#[test]
fn silence_is_asked_about_and_then_given_up() {
    let began = Instant::now();
    let mut inbound = Inbound::new(began, ms(20), ms(10));
    assert_eq!(inbound.due(began + ms(19)), Due::Nothing { until: began + ms(20) });
    assert_eq!(inbound.due(began + ms(20)), Due::Ping);
    inbound.came(0, began + ms(25)).unwrap();
    assert_eq!(inbound.due(began + ms(30)), Due::Nothing { until: began + ms(45) });
    assert_eq!(inbound.due(began + ms(46)), Due::Ping);
    assert_eq!(inbound.due(began + ms(47)), Due::Nothing { until: began + ms(56) });
    assert_eq!(inbound.due(began + ms(56)), Due::GiveUp { silent: ms(31) });
    inbound.not_listening(began + ms(56));
    assert_eq!(inbound.due(began + ms(56)), Due::Nothing { until: began + ms(76) });
}

fn outbox(messages_max: usize, bytes_max: usize) -> Outbox<u32> {
    Outbox::new(OutboxLimits { messages_max, bytes_max, pace: ms(20) })
}

/// All that leaves at this moment.
fn leaving(outbox: &mut Outbox<u32>, now: Instant) -> Vec<u32> {
    let next = || match outbox.next(now) {
        Next::Message(message) => Some(message),
        Next::At(_) | Next::Nothing => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn messages_leave_again_after_a_drop_unless_the_server_has_them() {
    let now = Instant::now();
    let mut outbox = outbox(10, 100);
    (1..=4).for_each(|message| outbox.push(message, 1).unwrap());
    assert_eq!(leaving(&mut outbox, now), [1, 2, 3, 4]);
    assert!(outbox.all_sent());
    outbox.acknowledge(1).unwrap();
    outbox.push(5, 1).unwrap();
    // Of 2 to 4, the server has 2; and 5 was never sent.
    outbox.returned(2, now).unwrap();
    assert!(!outbox.all_sent());
    assert_eq!(outbox.next(now), Next::Message(3));
    assert_eq!(outbox.next(now), Next::At(now + ms(20)), "one by one");
    assert_eq!(leaving(&mut outbox, now + ms(20)), [4]);
    assert_eq!(leaving(&mut outbox, now + ms(40)), [5]);
    assert_eq!(leaving(&mut outbox, now + ms(60)), [0; 0]);
    outbox.push(6, 1).unwrap();
    outbox.push(7, 1).unwrap();
    assert_eq!(leaving(&mut outbox, now + ms(60)), [6, 7], "at their own pace when all was made up for");
    outbox.returned(7, now).unwrap();
    outbox.push(8, 1).unwrap();
    outbox.push(9, 1).unwrap();
    assert_eq!(leaving(&mut outbox, now), [8, 9], "there was nothing to make up for");
}

#[test]
fn the_server_cannot_have_what_was_not_sent() {
    let now = Instant::now();
    let mut outbox = outbox(10, 100);
    (1..=3).for_each(|message| outbox.push(message, 1).unwrap());
    assert_eq!(outbox.acknowledge(1), Err(WrongCount));
    leaving(&mut outbox, now);
    assert_eq!(outbox.acknowledge(2), Ok(()));
    assert_eq!(outbox.acknowledge(1), Err(WrongCount));
    assert_eq!(outbox.acknowledge(4), Err(WrongCount));
    assert_eq!(outbox.returned(3, now), Ok(()));
    assert_eq!(leaving(&mut outbox, now), [0; 0]);
}

#[test]
fn what_is_kept_has_limits_and_the_server_is_asked_before() {
    let now = Instant::now();
    let mut few = outbox(4, 1_000);
    few.push(1, 1).unwrap();
    leaving(&mut few, now);
    assert!(!few.ask());
    few.push(2, 1).unwrap();
    leaving(&mut few, now);
    assert!(few.ask());
    assert!(!few.ask(), "once");
    few.push(3, 1).unwrap();
    few.push(4, 1).unwrap();
    assert_eq!(few.push(5, 1), Err(Overflow));
    leaving(&mut few, now);
    few.acknowledge(1).unwrap();
    assert!(few.ask());
    assert_eq!(few.push(5, 1), Ok(()));

    let mut small = outbox(100, 10);
    small.push(1, 50).unwrap();
    assert_eq!(small.push(2, 1), Err(Overflow), "a large one is taken, but by itself");
    leaving(&mut small, now);
    assert!(small.ask());
    small.acknowledge(1).unwrap();
    small.push(2, 6).unwrap();
    assert_eq!(small.push(3, 5), Err(Overflow));
    assert_eq!(small.push(3, 4), Ok(()));
}

/// The numbers of what leaves now.
fn numbers(requests: &mut Requests<&'static str>) -> Vec<(u32, &'static str)> {
    std::iter::from_fn(|| requests.next_unsent().map(|(number, request)| (number, *request))).collect()
}

#[test]
fn requests_leave_again_unless_the_server_has_them() {
    let mut requests = Requests::new(8);
    for (request, of_connection) in [("answered", false), ("came", false), ("ping", true), ("lost", false)] {
        requests.push(request, of_connection).unwrap();
    }
    assert_eq!(numbers(&mut requests), [(2, "answered"), (3, "came"), (4, "ping"), (5, "lost")]);
    assert_eq!(requests.answered(2), Some("answered"));
    assert_eq!(requests.answered(2), None);
    requests.push("new", false).unwrap();
    requests.go_on(4);
    assert_eq!(numbers(&mut requests), [(4, "ping"), (5, "lost"), (6, "new")]);
}

#[test]
fn without_the_line_the_outcome_of_what_was_sent_is_unknown() {
    let mut requests = Requests::new(3);
    requests.push("sent", false).unwrap();
    requests.push("ping", true).unwrap();
    numbers(&mut requests);
    requests.push("new", false).unwrap();
    assert_eq!(requests.push("more", false), Err("more"), "at the limit");
    assert!(requests.any_unsent(|request| *request == "new"));
    assert!(!requests.any_unsent(|request| *request == "sent"));
    assert_eq!(requests.begin_anew(), ["sent"]);
    assert_eq!(numbers(&mut requests), [(3, "ping"), (4, "new")]);
    requests.retain(|request| *request == "new");
    assert_eq!(requests.take_all(), ["new"]);
}
