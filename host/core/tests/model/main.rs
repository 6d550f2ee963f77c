//! A model of the life of one scene that is looked through completely: create, join, ask-destroy and destroy, with two
//! SceneMasters under a lease and a network that loses, doubles and reorders.
//!
//! **What is real.** Each node has the [`SceneService`](scenehost_core::scene_service::SceneService) and the
//! [`Scene`](scenehost_core::scene::Scene)s of `host/core` as they are: a step of the model is a step of theirs, and
//! the state of the model contains theirs; see [`node`].
//!
//! **What is abstract.** `host/core` has one SceneMaster a host so far, so the two of the model are its rules with
//! what an owner of a domain adds to them: a lease with an epoch, a store that takes no write of a lower epoch, nodes
//! that take no order of a lower epoch, and a takeover that begins with what the store has; see [`master`], where each
//! function names the one of `scene_master` that it is the rule of. A scene begins anew at once and not after a while.
//! A scene that does not end is not given up, but told again. It has one session: what fleets add is the simulator's
//! affair. Lobby and Match are no more than the letters that pass through them; a client is adversarial: it comes with
//! any way in that it was ever told, as often as it likes.
//!
//! **Time.** A lease may run out at any moment. Every other deadline comes when nothing is under way that it waits
//! for, since it is there for what was lost, and now and then too early. In what order deadlines come is open, so
//! no clock of the model is to be trusted.
//!
//! **Bounds.** One match of two users, two masters, two nodes, two incarnations; how many messages are lost and
//! doubled, and how often the rest happens, is in [`Bounds`]. Within them every state is visited.
//!
//! What has to hold is in [`life`]; that each of it can fail is shown by a model that is broken on purpose: [`Broken`].

mod letter;
mod life;
mod master;
mod node;
mod state;

use life::{Bounds, Life};
use state::Broken;
use stateright::{Checker, HasDiscoveries, Model};

/// Looks through the whole space, tells how large it is, and that what has to be in it is.
#[track_caller]
fn exhaust(name: &str, bounds: Bounds, reached: &[&'static str]) {
    let checker = Life { bounds, broken: None }.checker().spawn_bfs().join();
    println!(
        "{name}: {} states, {} of them unique, the longest way {} steps",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
    );
    life::HOLDS.iter().for_each(|property| checker.assert_no_discovery(property));
    reached.iter().for_each(|property| _ = checker.assert_any_discovery(property));
    assert!(checker.is_done(), "the space of {name} is looked through");
}

#[test]
fn two_owners_and_a_network_that_loses_and_doubles() {
    let bounds = Bounds { asks: 2, takeovers: 2, lost: 1, doubled: 1, enters: [1, 0], ..Bounds::default() };
    exhaust("two owners", bounds, &[life::INSIDE, life::STALE_OWNER, life::STALE_ORDER, life::OVER]);
}

#[test]
fn games_that_fail() {
    let bounds = Bounds { asks: 1, takeovers: 1, lost: 1, traps: 1, enters: [2, 0], leaves: 1, ..Bounds::default() };
    exhaust("games that fail", bounds, &[life::INSIDE, life::ANEW, life::STALE_OWNER, life::OVER]);
}

#[test]
fn nodes_that_are_gone() {
    let bounds = Bounds { asks: 1, takeovers: 1, crashes: 1, doubled: 1, enters: [2, 0], ..Bounds::default() };
    exhaust("nodes that are gone", bounds, &[life::INSIDE, life::ANEW, life::STALE_OWNER, life::OVER]);
}

#[test]
fn deadlines_that_come_too_early() {
    let bounds = Bounds { asks: 1, takeovers: 1, early: 1, drops: 1, finishes: 1, enters: [2, 0], ..Bounds::default() };
    exhaust("early deadlines", bounds, &[life::INSIDE, life::STALE_OWNER, life::OVER]);
}

#[test]
fn ways_back() {
    let bounds =
        Bounds { asks: 1, lost: 1, doubled: 1, drops: 1, rejoins: 1, enters: [2, 0], leaves: 1, ..Bounds::default() };
    exhaust("ways back", bounds, &[life::INSIDE, life::OVER]);
}

#[test]
fn both_users_come_and_leave() {
    let bounds = Bounds { asks: 1, takeovers: 1, lost: 1, enters: [1, 1], leaves: 2, ..Bounds::default() };
    exhaust("both users", bounds, &[life::INSIDE, life::FULL, life::STALE_OWNER, life::OVER]);
}

/// A model that is broken is found to be, by the property that says what is wrong; without that everything holds within
/// the same bounds.
#[track_caller]
fn check(broken: Broken, bounds: Bounds, property: &'static str) {
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = Life { bounds, broken: Some(broken) }.checker().finish_when(until).spawn_bfs().join();
    let way = checker.assert_any_discovery(property);
    println!(
        "{broken:?}: found in {} states, by {} steps: {property}",
        checker.unique_state_count(),
        way.into_actions().len(),
    );
    let sound = Life { bounds, broken: None }.checker().spawn_bfs().join();
    life::HOLDS.iter().for_each(|property| sound.assert_no_discovery(property));
}

#[test]
fn every_way_to_break_it_is_found() {
    let none = Bounds { asks: 1, ..Bounds::default() };
    let one = Bounds { enters: [1, 0], ..none };
    let taken_over = Bounds { asks: 2, takeovers: 1, ..none };
    let ways = [
        (Broken::StoreTakesStale, taken_over, life::ONCE),
        (Broken::NodesTakeStale, Bounds { takeovers: 1, ..none }, life::STALE),
        (Broken::EpochNotRaised, taken_over, life::ONE_OWNER),
        (Broken::NoLease, Bounds { asks: 2, ..none }, life::ONE_OWNER),
        (Broken::TakesOverBlind, taken_over, life::ONCE),
        (Broken::EffectBeforeWrite, taken_over, life::WRITTEN),
        (Broken::TokenOfTwoSeats, Bounds { drops: 1, enters: [2, 0], ..none }, life::ONCE),
        (Broken::EndsUnasked, Bounds { finishes: 1, ..none }, life::WRITTEN),
        (Broken::EndedForgotten, Bounds { doubled: 1, finishes: 1, ..none }, life::ONCE),
        (Broken::SameIncarnation, Bounds { traps: 1, ..none }, life::ONCE),
        (Broken::SilentIsDead, one, life::ONE_LIVE),
        (Broken::NothingRepeated, Bounds { lost: 1, finishes: 1, ..none }, life::NO_LEAK),
        (Broken::EndsUnconfirmed, Bounds { lost: 1, ..one }, life::ALIVE),
        (Broken::EndsUntold, Bounds { finishes: 1, ..one }, life::AGREE),
        (Broken::ScenesWaitForEver, Bounds { lost: 2, takeovers: 2, ..none }, life::NO_LEAK),
    ];
    ways.iter().for_each(|(broken, bounds, property)| check(*broken, *bounds, property));
    for property in life::HOLDS {
        assert!(ways.iter().any(|(_, _, of)| *of == property), "nothing shows that this can fail: {property}");
    }
}
