//! The search for the number of rooms that a server holds.
//!
//! Invariant: near the limit single runs differ, so what decides there is two equal verdicts out of
//! three; far below it, one suffices. The number of runs is limited.

use std::collections::BTreeMap;

const VOTES_TO_DECIDE: u32 = 2;

/// How to raise the rooms.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rising numbers of rooms, to find the limit's surroundings.
    pub coarse: Vec<u32>,
    /// How exact the limit is to be; 0: the coarse numbers only.
    pub fine: u32,
    pub runs_max: u32,
}

pub struct Ramp {
    plan: Plan,
    votes: BTreeMap<u32, Votes>,
    runs: u32,
}

#[derive(Clone, Copy, Default)]
struct Votes {
    held: u32,
    failed: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Held,
    /// Held once, and nothing speaks against it.
    Likely,
    Failed,
    Open,
}

impl Votes {
    fn verdict(self) -> Verdict {
        match self {
            Self { held, .. } if held >= VOTES_TO_DECIDE => Verdict::Held,
            Self { failed, .. } if failed >= VOTES_TO_DECIDE => Verdict::Failed,
            Self { held: 1, failed: 0 } => Verdict::Likely,
            Self { .. } => Verdict::Open,
        }
    }
}

impl Ramp {
    pub fn new(plan: Plan) -> Self {
        Self { plan, votes: BTreeMap::new(), runs: 0 }
    }

    /// The number of rooms to try next, or `None` at the end.
    pub fn next(&self) -> Option<u32> {
        if self.runs == self.plan.runs_max {
            return None;
        }
        let limit = self.failed();
        let open = self
            .votes
            .iter()
            .find(|(rooms, votes)| votes.verdict() == Verdict::Open && limit.is_none_or(|limit| **rooms < limit));
        if let Some((&rooms, _)) = open {
            return Some(rooms);
        }
        let held = self.held();
        let Some(limit) = limit else {
            return self.plan.coarse.iter().copied().find(|rooms| *rooms > held).or_else(|| self.unsure(held));
        };
        if self.plan.fine > 0 && limit - held > self.plan.fine {
            let middle = (held + limit) / 2;
            let rounded = middle / self.plan.fine * self.plan.fine;
            return Some(if rounded > held { rounded } else { held + self.plan.fine });
        }
        self.unsure(held)
    }

    /// A limit that was held only once is tried again.
    fn unsure(&self, held: u32) -> Option<u32> {
        let votes = self.votes.get(&held)?;
        (self.plan.fine > 0 && votes.verdict() == Verdict::Likely).then_some(held)
    }

    pub fn record(&mut self, rooms: u32, held: bool) {
        let votes = self.votes.entry(rooms).or_default();
        match held {
            true => votes.held += 1,
            false => votes.failed += 1,
        }
        self.runs += 1;
    }

    /// The most rooms held, below everything that failed.
    pub fn held(&self) -> u32 {
        let limit = self.failed().unwrap_or(u32::MAX);
        let held = self
            .votes
            .range(..limit)
            .rev()
            .find(|(_, votes)| matches!(votes.verdict(), Verdict::Held | Verdict::Likely));
        held.map_or(0, |(&rooms, _)| rooms)
    }

    fn failed(&self) -> Option<u32> {
        let mut failed = self.votes.iter().filter(|(_, votes)| votes.verdict() == Verdict::Failed);
        failed.next().map(|(&rooms, _)| rooms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the search against a server that holds what `holds` says, and gives the limit found and
    /// the numbers tried.
    fn check(holds: impl Fn(u32, usize) -> bool) -> (u32, Vec<u32>) {
        let plan = Plan { coarse: vec![200, 400, 600, 900], fine: 25, runs_max: 24 };
        let mut ramp = Ramp::new(plan);
        let mut tried = Vec::new();
        while let Some(rooms) = ramp.next() {
            ramp.record(rooms, holds(rooms, tried.len()));
            tried.push(rooms);
        }
        (ramp.held(), tried)
    }

    #[test]
    fn the_limit_is_found_and_repeated() {
        let (held, tried) = check(|rooms, _| rooms <= 560);
        assert_eq!(held, 550);
        assert_eq!(tried, [200, 400, 600, 600, 500, 550, 575, 575, 550]);
    }

    #[test]
    fn a_single_failure_does_not_decide() {
        let (held, tried) = check(|rooms, run| rooms <= 560 && run != 1);
        assert_eq!(held, 550);
        assert_eq!(&tried[..4], [200, 400, 400, 400]);
    }

    #[test]
    fn the_ends_are_ends() {
        assert_eq!(check(|_, _| true), (900, vec![200, 400, 600, 900, 900]));
        let (held, tried) = check(|_, _| false);
        assert_eq!((held, tried.len()), (0, 8));
    }

    #[test]
    fn the_search_ends_whatever_happens() {
        let (_, tried) = check(|rooms, run| (rooms as usize / 25 + run).is_multiple_of(2));
        assert!(tried.len() <= 24);
    }
}
