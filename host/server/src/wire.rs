//! What the services say, in the frames of the client protocol.

use scenehost_core::message::{EndReason, Entry, MatchState, Notice, SceneEnded};
use scenehost_core::{DomainName, Player, PlayerResult, Refusal, SceneId, Seat, ServiceName};
use scenehost_core::{scene, token};
use scenehost_protocol::v1::{self, server_frame::Body};

/// The close code of the WebSocket that fits a refusal; sdk/protocol/README.md lists them.
pub fn close_code(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::Malformed(_) => 4400,
        Refusal::Unauthenticated => 4401,
        Refusal::TimedOut(_) => 4408,
        Refusal::TakenOver => 4409,
        Refusal::RateLimited { .. } | Refusal::Overloaded(_) => 4429,
        Refusal::Stopping => 4503,
        _ => 4500,
    }
}

pub fn refused(refusal: &Refusal) -> v1::Refused {
    let code = match refusal {
        Refusal::Malformed(_) => v1::Code::Malformed,
        Refusal::OutOfOrder(_) => v1::Code::OutOfOrder,
        Refusal::Unauthenticated => v1::Code::Unauthenticated,
        Refusal::Invalid(_) => v1::Code::Invalid,
        Refusal::NotFound(_) => v1::Code::NotFound,
        Refusal::BadToken(_) => v1::Code::BadToken,
        Refusal::TokenExpired => v1::Code::TokenExpired,
        Refusal::NoSeat => v1::Code::NoSeat,
        Refusal::NotAdmitted(_) => v1::Code::NotAdmitted,
        Refusal::SceneEnded => v1::Code::SceneEnded,
        Refusal::Overloaded(_) => v1::Code::Overloaded,
        Refusal::RateLimited { .. } => v1::Code::RateLimited,
        Refusal::ServiceDown(_) => v1::Code::ServiceDown,
        Refusal::TimedOut(_) | Refusal::NoMatch => v1::Code::TimedOut,
        Refusal::Busy(_) => v1::Code::Busy,
        Refusal::Stopping => v1::Code::Stopping,
        Refusal::Internal(_) => v1::Code::Internal,
        Refusal::TakenOver => v1::Code::TakenOver,
    };
    v1::Refused { code: code.into(), text: refusal.to_string(), retry_after_ms: refusal.retry_after_ms() }
}

pub fn closing(refusal: &Refusal) -> Body {
    let v1::Refused { code, text, .. } = refused(refusal);
    Body::SynClosing(v1::SynClosing { code, text })
}

/// What a lobby connection is told.
pub fn lobby_notice(notice: &Notice) -> Body {
    match notice {
        Notice::ResSignIn(signed_in) => Body::ResSignIn(v1::ResSignIn {
            user_id: signed_in.user.to_string(),
            name: signed_in.name.clone(),
            session_token: signed_in.session_token.clone(),
            session_expires_ms: signed_in.session_expires.0,
            scene_id: signed_in.scene.map(|scene| scene.to_string()).unwrap_or_default(),
            services_down: signed_in.services_down.iter().map(|it| service(*it).into()).collect(),
        }),
        Notice::Refused(refusal) => Body::Refused(refused(refusal)),
        Notice::SynMatchState(state) => Body::SynMatchState(match_state(state)),
        Notice::ResMatch(entry) => Body::ResMatch(res_match(entry)),
        Notice::SynService(name, up) => Body::SynService(v1::SynService { service: service(*name).into(), up: *up }),
        Notice::SynSceneEnded(ended) => Body::SynSceneEnded(scene_ended(ended)),
        Notice::SynClosing(refusal) => closing(refusal),
    }
}

fn match_state(state: &MatchState) -> v1::SynMatchState {
    use v1::syn_match_state::State;
    match state {
        MatchState::Idle(refusal) => v1::SynMatchState {
            state: State::Idle.into(),
            refused: refusal.as_ref().map(refused),
            ..Default::default()
        },
        MatchState::Searching(searching) => v1::SynMatchState {
            state: State::Searching.into(),
            domain: searching.domain.to_string(),
            waited_ms: searching.waited_ms,
            rating_range: searching.rating_range,
            waiting: searching.waiting,
            players_min: searching.players_min,
            players_max: searching.players_max,
            refused: None,
        },
        MatchState::Placing { domain } => {
            v1::SynMatchState { state: State::Placing.into(), domain: domain.to_string(), ..Default::default() }
        }
    }
}

fn res_match(entry: &Entry) -> v1::ResMatch {
    v1::ResMatch {
        scene_id: entry.scene.to_string(),
        domain: entry.domain.to_string(),
        scene_url: entry.url.clone(),
        scene_token: token::scene_token(entry.scene, &entry.secret),
        token_expires_in_ms: u32::try_from(entry.expires_in_ms).unwrap_or(u32::MAX),
    }
}

/// What a scene connection is told.
pub fn scene_notice(notice: scene::Notice, id: SceneId, domain: Option<&DomainName>, tick_rate_hz: u32) -> Body {
    match notice {
        scene::Notice::Joined { seat, players } => Body::ResJoinScene(v1::ResJoinScene {
            scene_id: id.to_string(),
            domain: domain.map(ToString::to_string).unwrap_or_default(),
            seat,
            players: players.iter().map(player).collect(),
            tick_rate_hz,
        }),
        scene::Notice::Refused(refusal) => Body::Refused(refused(&refusal)),
        scene::Notice::Ended(ended) => Body::SynSceneEnded(scene_ended(&ended)),
        scene::Notice::Closing(refusal) => closing(&refusal),
    }
}

fn player(player: &Player) -> v1::Player {
    let Player { seat, user, name, rating, team } = player;
    v1::Player { seat: *seat, user_id: user.to_string(), name: name.clone(), rating: *rating, team: *team }
}

fn scene_ended(ended: &SceneEnded) -> v1::SynSceneEnded {
    use v1::syn_scene_ended::Reason;
    let reason = match &ended.reason {
        EndReason::Finished => Reason::Finished,
        EndReason::Crashed(_) => Reason::Crashed,
        EndReason::Left => Reason::Left,
        EndReason::Kicked(_) => Reason::Kicked,
        EndReason::Stopped | EndReason::Empty => Reason::Stopped,
        EndReason::Expired | EndReason::NeverJoined => Reason::Expired,
        EndReason::TimeLimit => Reason::TimeLimit,
    };
    let result =
        |result: &PlayerResult| v1::PlayerResult { seat: result.seat, place: result.place, score: result.score };
    v1::SynSceneEnded {
        scene_id: ended.scene.to_string(),
        reason: reason.into(),
        text: ended.reason.text(),
        results: ended.results.iter().map(result).collect(),
    }
}

fn service(name: ServiceName) -> v1::Service {
    match name {
        ServiceName::Auth => v1::Service::Auth,
        ServiceName::Lobby => v1::Service::Lobby,
        ServiceName::Match => v1::Service::Match,
        ServiceName::SceneMaster => v1::Service::SceneMaster,
        ServiceName::SceneService => v1::Service::SceneService,
        ServiceName::Db => v1::Service::Db,
    }
}

/// Whether a seat is among those that a message is for.
pub fn is_target(target: &scenehost_engine::Target, seat: Seat) -> bool {
    use scenehost_engine::Target;
    match target {
        Target::One(one) => *one == seat,
        Target::Many(many) => many.contains(&seat),
        Target::All => true,
        Target::AllBut(but) => *but != seat,
    }
}
