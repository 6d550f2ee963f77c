//! What the services say, in the frames of the client protocol.

pub mod chat;
pub mod db;
mod friends;
mod guild;
mod inbox;
pub mod matching;
pub mod party;
mod profile;
mod records;
pub mod scenes;
mod shop;
mod standing;

use scenehost_core::auth::account::{SessionInfo, Tokens};
use scenehost_core::auth::{Credential, Identity, Request};
use scenehost_core::message::{EndReason, Entry, MatchState, Notice, SceneEnded};
use scenehost_core::scene::{self, Scene};
use scenehost_core::token;
use scenehost_core::{Player, PlayerResult, Refusal, Seat, ServiceName, SessionId, UserId};
use scenehost_protocol::v1::{self, req_sign_in, server_frame::Body};

/// The close code of the WebSocket that fits a refusal.
pub fn close_code(refusal: &Refusal) -> u16 {
    scenehost_protocol::close_code(code(refusal))
}

fn code(refusal: &Refusal) -> v1::Code {
    match refusal {
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
        Refusal::Restarting => v1::Code::Restarting,
        Refusal::Overloaded(_) => v1::Code::Overloaded,
        Refusal::SceneFull(_) => v1::Code::SceneFull,
        Refusal::RateLimited { .. } | Refusal::TriedTooOften { .. } | Refusal::TooOften { .. } => v1::Code::RateLimited,
        Refusal::ServiceDown(_) | Refusal::ProviderDown => v1::Code::ServiceDown,
        Refusal::TimedOut(_) | Refusal::NoMatch => v1::Code::TimedOut,
        Refusal::Busy(_) => v1::Code::Busy,
        Refusal::SearchStopped(_) => v1::Code::Cancelled,
        Refusal::Closed { .. } | Refusal::Quarantined => v1::Code::Closed,
        Refusal::Stopping => v1::Code::Stopping,
        Refusal::Internal(_) => v1::Code::Internal,
        Refusal::TakenOver => v1::Code::TakenOver,
        Refusal::WrongPassword | Refusal::BadCredential(_) => v1::Code::BadCredential,
        Refusal::Taken(_) => v1::Code::Taken,
        Refusal::Forbidden(_) => v1::Code::Forbidden,
        Refusal::Conflict(_) => v1::Code::Conflict,
        Refusal::Banned { .. } => v1::Code::Banned,
        Refusal::SessionEnded => v1::Code::SessionEnded,
    }
}

pub fn refused(refusal: &Refusal) -> v1::Refused {
    v1::Refused { code: code(refusal).into(), text: refusal.to_string(), retry_after_ms: refusal.retry_after_ms() }
}

pub fn closing(refusal: &Refusal) -> Body {
    let v1::Refused { code, text, .. } = refused(refusal);
    Body::SynClosing(v1::SynClosing { code, text })
}

fn syn_service(name: ServiceName, up: bool, domains: Vec<String>) -> Body {
    Body::SynService(v1::SynService { service: service(name).into(), up, domains })
}

/// What a lobby connection is told.
pub fn lobby_notice(notice: &Notice) -> Body {
    match notice {
        Notice::ResSignIn(signed_in) => Body::ResSignIn(v1::ResSignIn {
            user_id: signed_in.user.to_string(),
            name: signed_in.name.clone(),
            scene_id: signed_in.scene.map(|scene| scene.to_string()).unwrap_or_default(),
            services_down: signed_in.services_down.iter().map(|it| service(*it).into()).collect(),
            domains_down: signed_in.domains_down.iter().map(ToString::to_string).collect(),
            resumed: signed_in.resumed,
            after_seq: signed_in.after_seq,
            grace_ms: signed_in.grace_ms.try_into().unwrap_or(u32::MAX),
            last_request: signed_in.last_request,
            match_state: signed_in.match_state.as_ref().map(match_state),
            ..session(signed_in.session, &signed_in.tokens, signed_in.created)
        }),
        Notice::Refused(refusal) => Body::Refused(refused(refusal)),
        Notice::SynMatchState(state) => Body::SynMatchState(match_state(state)),
        Notice::ResMatch(entry) => Body::ResMatch(res_match(entry)),
        Notice::ResDomains(told) => Body::ResDomains(matching::domains(told)),
        Notice::ResFindScenes(page) => Body::ResScenes(scenes::found(page)),
        Notice::ResWatch(entry, delay_ms) => Body::ResWatch(scenes::watch(entry, *delay_ms)),
        Notice::SynService(name, up) => syn_service(*name, *up, Vec::new()),
        Notice::SynHandler { domain, up } => syn_service(ServiceName::Match, *up, vec![domain.to_string()]),
        Notice::SynScenes { domain, up } => syn_service(ServiceName::SceneMaster, *up, vec![domain.to_string()]),
        Notice::SynSceneEnded(ended) => Body::SynSceneEnded(scene_ended(ended)),
        Notice::Answer(answer) => db::answer(answer),
        Notice::News(news) => db::news(news),
        Notice::SynPresence(told) => friends::presence(told),
        Notice::SynClosing(refusal) => closing(refusal),
    }
}

/// A user's id, as it is said.
fn user_id(text: &str) -> Result<UserId, Refusal> {
    text.parse().map_err(|error| Refusal::Invalid(format!("no user's id: {error}")))
}

/// What is said of a session, wherever it was asked for.
fn session(id: SessionId, tokens: &Tokens, created: bool) -> v1::ResSignIn {
    v1::ResSignIn {
        session_id: id.to_string(),
        session_token: tokens.session.clone(),
        session_expires_ms: tokens.session_expires.0,
        refresh_token: tokens.refresh.clone(),
        refresh_expires_ms: tokens.refresh_expires.0,
        created,
        ..Default::default()
    }
}

/// A sign-in over HTTP.
pub fn identity(identity: &Identity) -> v1::ResSignIn {
    v1::ResSignIn {
        user_id: identity.user.to_string(),
        name: identity.record.name.clone(),
        ..session(identity.session, &identity.tokens, identity.created)
    }
}

pub fn account(sessions: &[SessionInfo], identities: Vec<String>) -> v1::ResAccount {
    let session = |session: &SessionInfo| v1::res_account::Session {
        session_id: session.id.to_string(),
        device: session.device.clone(),
        created_ms: session.created.0,
        used_ms: session.used.0,
        expires_ms: session.expires.0,
        own: session.own,
    };
    v1::ResAccount { sessions: sessions.iter().map(session).collect(), identities }
}

/// What a user presents, in the words of Auth.
pub fn sign_in(sign_in: v1::ReqSignIn) -> Result<Request, Refusal> {
    let v1::ReqSignIn { credential, device, resume_seq: _ } = sign_in;
    let (credential, name) = self::credential(credential)?;
    Ok(Request::SignIn { credential, name, device })
}

/// A credential, and the display name that came with it.
pub fn credential(credential: Option<req_sign_in::Credential>) -> Result<(Credential, String), Refusal> {
    let credential = match credential {
        Some(req_sign_in::Credential::Guest(guest)) => return Ok((Credential::Guest(guest.device_id), guest.name)),
        Some(req_sign_in::Credential::SessionToken(token)) => Credential::Session(token),
        Some(req_sign_in::Credential::Password(it)) => {
            Credential::Password { name: it.name, password: it.password, create: it.create }
        }
        Some(req_sign_in::Credential::Oidc(it)) => Credential::Oidc { provider: it.provider, token: it.id_token },
        None => {
            let text = "a sign-in needs a credential: guest, session_token, password or oidc";
            return Err(Refusal::Invalid(text.to_owned()));
        }
    };
    Ok((credential, String::new()))
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
            ping_ms: searching.ping_ms.unwrap_or(0).into(),
            relaxed: searching.relaxed.clone(),
            usual_wait_ms: searching.usual_wait_ms.unwrap_or(0),
            refused: None,
            found: None,
        },
        MatchState::Found(found) => v1::SynMatchState {
            state: State::Found.into(),
            domain: found.domain.to_string(),
            found: Some(v1::syn_match_state::Found {
                players: found.players,
                accepted: found.accepted,
                you_accepted: found.you_accepted,
                left_ms: found.left_ms,
            }),
            ..Default::default()
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
pub fn scene_notice<F: Clone>(notice: scene::Notice, scene: &Scene<F>) -> Body {
    match notice {
        scene::Notice::Joined { seat, players, resumed, after_seq, received } => Body::ResJoinScene(v1::ResJoinScene {
            scene_id: scene.id().to_string(),
            domain: scene.domain().map(ToString::to_string).unwrap_or_default(),
            seat,
            players: players.iter().map(player).collect(),
            tick_rate_hz: scene.limits().tick_rate_hz,
            resumed,
            received,
            grace_ms: scene.limits().grace_ms.try_into().unwrap_or(u32::MAX),
            after_seq,
        }),
        scene::Notice::Watching { players, delay_ms } => Body::ResWatchScene(v1::ResWatchScene {
            scene_id: scene.id().to_string(),
            domain: scene.domain().map(ToString::to_string).unwrap_or_default(),
            players: players.iter().map(player).collect(),
            delay_ms: u32::try_from(delay_ms).unwrap_or(u32::MAX),
        }),
        scene::Notice::Refused(refusal) => Body::Refused(refused(&refusal)),
        scene::Notice::Ended(ended) => Body::SynSceneEnded(scene_ended(&ended)),
        scene::Notice::Closing(refusal) => closing(&refusal),
    }
}

fn player(player: &Player) -> v1::Player {
    let Player { seat, user, name, rating, team, .. } = player;
    v1::Player { seat: *seat, user_id: user.to_string(), name: name.clone(), rating: *rating, team: *team }
}

fn scene_ended(ended: &SceneEnded) -> v1::SynSceneEnded {
    use v1::syn_scene_ended::Reason;
    let reason = match &ended.reason {
        EndReason::Finished => Reason::Finished,
        EndReason::Crashed(_) => Reason::Crashed,
        EndReason::Left => Reason::Left,
        EndReason::Kicked(_) | EndReason::AccountClosed => Reason::Kicked,
        EndReason::Stopped
        | EndReason::Misbehaved(_)
        | EndReason::Empty
        | EndReason::Drained
        | EndReason::Idle
        | EndReason::Replaced => Reason::Stopped,
        EndReason::NextMatch => Reason::NextMatch,
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
