//! Replays recorded searches through the handler of their domain, with any configuration and rule, and reports how long users
//! waited and how good their games were.
//!
//! Invariant: the handler is the real one, and hears what it would hear in production: the recorded searches at their
//! times, its own ticks at its own deadlines, and for each group, which all accept, a scene that is there at once. Time is the stream's
//! and the randomness the caller's, so the same arguments give the same report.
//!
//! What a replay cannot know: who would have accepted a match that was not made then, so all accept at once; what
//! running scenes ask for, so they ask for nothing; who was matched when the stream was recorded did not say how much longer they would have
//! waited, so with a configuration that makes users wait longer there are fewer cancels than there would be; and users
//! come back when they came back then, however long their games were here.
//!
//! - `stream.rs`: what is recorded, as lines of text.
//! - `report.rs`: what is measured, [`Report`]. `quality.rs`: how good a game is. `compare.rs`: reports side by side.

mod compare;
mod quality;
mod report;
mod stream;

pub use compare::compare;
pub use quality::{Game, Member, REMATCH_MS};
pub use report::{End, Group, Measures, Quantiles, Report, Sample};
pub use stream::{
    Cancel, Enter, Error, Happened, Here, LINE_BYTES_MAX, LINES_MAX, Line, Seek, Someone, Stream, VERSION,
};

use rand_core::CryptoRng;

use super::domain::Domain;
use super::rule::Rule;
use super::{Event, Match, PLACE_MS_MAX};
use crate::ids::{MatchId, SceneId, Time, UserId};
use crate::message::{Entry, MatchState, Message};
use crate::token::Secret;
use crate::{Context, Effects, Service, lobby, scene_master};
use report::Watch;

/// How many steps a handler may take at one moment of its own accord. One that wants more would never let time pass.
const STEPS_AT_ONCE_MAX: u32 = 100_000;

/// How far a replay has come, after each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many lines are replayed.
    pub lines: usize,
    /// Of so many.
    pub of: usize,
}

/// Replays a stream with this configuration. It ends when all searches of the stream have ended, which takes the
/// domain's longest wait after the last line at most.
///
/// # Errors
/// [`Error::Domain`] if the configuration cannot work.
pub fn replay(
    stream: &Stream,
    domain: &Domain,
    rule: Option<Rule>,
    rng: &mut dyn CryptoRng,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    domain.check().map_err(Error::Domain)?;
    let began = stream.lines.first().map_or(Time(0), |line| Time(line.at_ms));
    let service = Match::new(stream.domain.clone(), domain.clone(), rule);
    let mut replay = Replay { service, now: began, rng, watch: Watch::default() };
    for (index, line) in stream.lines.iter().enumerate() {
        replay.pass_until(Time(line.at_ms));
        if let Happened::Enter(enter) = &line.happened {
            replay.watch.entered(enter, replay.now);
        }
        replay.tell(line.happened.event());
        progress(Progress { lines: index + 1, of: stream.lines.len() });
    }
    let last = replay.now.plus_ms(domain.wait_ms_max).plus_ms(PLACE_MS_MAX);
    replay.pass_until(last);
    Ok(replay.watch.report(stream.domain.clone(), began))
}

struct Replay<'a> {
    service: Match,
    now: Time,
    rng: &'a mut dyn CryptoRng,
    watch: Watch,
}

impl Replay<'_> {
    /// Lets time pass, waking the handler at its deadlines as the host's loop does.
    fn pass_until(&mut self, end: Time) {
        let mut steps = 0;
        while let Some(deadline) = self.service.deadline().filter(|deadline| *deadline <= end) {
            steps = if deadline > self.now { 0 } else { steps + 1 };
            if steps > STEPS_AT_ONCE_MAX {
                break;
            }
            self.now = self.now.max(deadline);
            self.tell(Match::tick());
        }
        self.now = self.now.max(end);
    }

    /// Tells the handler something, and what follows of it at once: each group that asks for a scene gets one.
    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut out = Effects::default();
            self.service.step(event, &mut Context { now: self.now, rng: self.rng, out: &mut out });
            events.extend(out.messages.iter().filter_map(|message| self.hear(message)));
        }
    }

    /// What the handler says, and what it is answered.
    fn hear(&mut self, message: &Message) -> Option<Event> {
        match message {
            Message::SceneMaster(scene_master::Event::ReqCreateScene { match_id, players, region, .. }) => {
                let members = players.iter().map(|it| Member { user: it.user, rating: it.rating, team: it.team });
                self.watch.made(&Game { members: members.collect() }, region.as_deref(), self.now);
                let ways_in = players.iter().map(|player| (player.user, self.way_in(*match_id)));
                Some(Event::ResCreateScene { match_id: *match_id, result: Ok(ways_in.collect()) })
            }
            Message::Lobby(lobby::Event::SynMatchState { user, ticket, state: MatchState::Found(found) })
                if !found.you_accepted =>
            {
                Some(Event::ReqAcceptMatch { user: *user, ticket: *ticket, accepts: true })
            }
            Message::Lobby(lobby::Event::ResMatch { ticket, result: Err(refusal), .. }) => {
                self.watch.refused(*ticket, refusal, self.now);
                None
            }
            Message::Lobby(lobby::Event::ResCancelMatch { ticket, result: Ok(()), .. }) => {
                self.watch.cancelled(*ticket, self.now);
                None
            }
            _ => None,
        }
    }

    fn way_in(&self, match_id: MatchId) -> Entry {
        Entry {
            scene: SceneId(match_id.0),
            allocation: None,
            domain: "replay".into(),
            url: String::new(),
            secret: Secret::from_holder("nobody comes in"),
            expires_in_ms: 0,
        }
    }
}

/// The pseudonym of a user in a recorded stream: who has the same key gets the same one, and without the key nobody
/// finds out whose it is. HMAC-SHA256 (RFC 2104) of the user's number, of which the first 64 bits are taken.
pub fn pseudonym(key: &[u8; 32], user: UserId) -> UserId {
    use sha2::{Digest, Sha256};
    // A key of 32 bytes fills half a block of SHA-256; the rest are zeros.
    let padded = |pad: u8| -> [u8; 64] { std::array::from_fn(|at| key.get(at).copied().unwrap_or(0) ^ pad) };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(user.0.to_be_bytes()).finalize();
    let outer: [u8; 32] = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = outer;
    UserId(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}
