//! Between the rules of a scene (`scenehost_core::scene`) and its component
//! (`scenehost_engine`): the same things in the words of each.

use scenehost_core::config::Keep;
use scenehost_core::matching::backfill::Opening;
use scenehost_core::message::EndReason;
use scenehost_core::scene::GameEvent;
use scenehost_core::scene_service::Start;
use scenehost_core::{Player, PlayerResult, SceneId, Time};
use scenehost_engine as engine;
use scenehost_engine::journal::{About, JournalSpec};

use super::FleetRun;

/// What a component begins with.
pub fn spec(id: SceneId, start: &Start, fleet: &FleetRun, group: engine::Group, now: Time) -> engine::SceneSpec {
    let init = engine::Init {
        seed: start.seed,
        tick_rate_hz: start.limits.tick_rate_hz,
        configuration: fleet.configuration.clone(),
        players: start.seats.iter().map(|grant| player(&grant.player)).collect(),
        region: start.arranged.region.clone(),
        chosen: start.arranged.choices.clone(),
        bots: start.arranged.bots,
    };
    let mut spec = engine::SceneSpec::new(init);
    spec.limits = fleet.limits;
    spec.tick_when_empty = fleet.tick_when_empty;
    spec.group = group;
    let rules = start.limits.journal;
    spec.journal = (rules.keep != Keep::Off).then(|| JournalSpec {
        about: About {
            scene: id.0,
            epoch: start.epoch.0,
            fleet: start.fleet.as_str().to_owned(),
            plugin: fleet.game.as_str().to_owned(),
            started_ms: now.0,
        },
        snapshot_steps: rules.snapshot_steps,
    });
    spec
}

pub fn player(player: &Player) -> engine::Player {
    let Player { seat, user, name, rating, team, role, party } = player;
    let (name, role) = (name.clone(), role.clone());
    engine::Player { seat: *seat, user: user.0, name, rating: *rating, team: *team, role, party: *party }
}

pub fn openings(openings: Vec<engine::Opening>) -> Vec<Opening> {
    let opening = |it: engine::Opening| Opening { count: it.count, team: it.team, role: it.role };
    openings.into_iter().map(opening).collect()
}

pub fn event(event: GameEvent) -> engine::Event {
    match event {
        GameEvent::Joined(it) => engine::Event::Joined(player(&it)),
        GameEvent::Dropped(seat) => engine::Event::Dropped(seat),
        GameEvent::Resumed { seat, missed } => engine::Event::Resumed(engine::Comeback { seat, missed }),
        GameEvent::Left(seat, reason) => engine::Event::Left(engine::Departure { seat, reason: leave_reason(&reason) }),
        GameEvent::Watched => engine::Event::Watched,
        GameEvent::Stopping { reason, grace_ms } => {
            engine::Event::Stopping(engine::StopNotice { reason: stop_reason(&reason), grace_ms })
        }
    }
}

fn leave_reason(reason: &EndReason) -> engine::LeaveReason {
    match reason {
        EndReason::Left => engine::LeaveReason::Left,
        EndReason::Kicked(_) | EndReason::AccountClosed => engine::LeaveReason::Kicked,
        EndReason::NeverJoined => engine::LeaveReason::NeverJoined,
        EndReason::Expired => engine::LeaveReason::Dropped,
        EndReason::NextMatch => engine::LeaveReason::NextMatch,
        EndReason::Finished
        | EndReason::Crashed(_)
        | EndReason::Misbehaved(_)
        | EndReason::Stopped
        | EndReason::TimeLimit
        | EndReason::Empty
        | EndReason::Drained
        | EndReason::Idle
        | EndReason::Replaced => engine::LeaveReason::Removed,
    }
}

fn stop_reason(reason: &EndReason) -> engine::StopReason {
    match reason {
        EndReason::TimeLimit => engine::StopReason::TimeLimit,
        EndReason::Empty => engine::StopReason::Empty,
        EndReason::Drained => engine::StopReason::Drain,
        _ => engine::StopReason::Operator,
    }
}

pub fn results(ending: engine::Ending) -> Vec<PlayerResult> {
    let result = |it: engine::PlayerResult| PlayerResult { seat: it.seat, place: it.place, score: it.score };
    ending.results.into_iter().map(result).collect()
}
