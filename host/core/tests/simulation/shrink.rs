//! Makes a plan that violates an invariant shorter: leaves out what is not needed for that.

use crate::plan::{Action, Plan};
use crate::sabotage::Sabotage;
use crate::sim::{run, users_of};

/// How many shorter plans are tried.
const TRIES_MAX: usize = 3_000;

/// The shortest plan that was found to violate the same invariant.
pub fn shrink(plan: &Plan, invariant: &'static str, sabotage: Option<Sabotage>) -> Plan {
    let mut best = plan.clone();
    let mut tries = 0;
    let mut fails = |shorter: &Plan| {
        tries += 1;
        let violation = (tries <= TRIES_MAX).then(|| run(shorter, sabotage, false).violation).flatten();
        violation.is_some_and(|violation| violation.invariant == invariant)
    };
    for user in users_of(&best) {
        let without = |action: &Action| !matches!(action, Action::User(of, _) if *of == user);
        let shorter = retained(&best, |_, action| without(action));
        if fails(&shorter) {
            best = shorter;
        }
    }
    let mut part = best.actions.len().div_ceil(2);
    while part > 0 {
        let mut from = 0;
        while from < best.actions.len() {
            let shorter = retained(&best, |index, _| !(from..from + part).contains(&index));
            match fails(&shorter) {
                true => best = shorter,
                false => from += part,
            }
        }
        part /= 2;
    }
    best
}

fn retained(plan: &Plan, keep: impl Fn(usize, &Action) -> bool) -> Plan {
    let kept = plan.actions.iter().enumerate().filter(|(index, planned)| keep(*index, &planned.action));
    Plan { actions: kept.map(|(_, planned)| *planned).collect(), ..plan.clone() }
}
