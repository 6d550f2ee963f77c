//! The results of games, on their way to Db.
//!
//! Invariant: from the moment at which a game is decided until Db has recorded it, or has refused it for good, the
//! results are in the scene's record and Db is asked again and again, after a restart as well. Nobody else waits for
//! that. There are no more of them than there were scenes: without the store none begins.

use super::{Due, SceneMaster, State};
use crate::Context;
use crate::db::{self, Asker, Caller};
use crate::ids::SceneId;
use crate::message::PlayerResult;
use crate::record;
use crate::refusal::Refusal;
use crate::results::{self, Finished};

/// How long Db has to record results before it is asked again; each time twice as long.
pub const RECORD_AGAIN_MS: u64 = 8_000;
/// The longest time between two tries.
pub const RECORD_AGAIN_MS_MAX: u64 = 512_000;

#[derive(Debug, Clone)]
pub(super) struct Unrecorded {
    pub finished: Finished,
    again_ms: u64,
}

impl SceneMaster {
    /// How many scenes have results that Db has not recorded yet.
    pub fn unrecorded(&self) -> usize {
        self.unrecorded.len()
    }

    /// The game of a scene has come to these results; its record is to be written in the same step. A game that was
    /// not decided has none, and one without seats has nobody to record it for.
    pub(super) fn decided(&mut self, id: SceneId, results: Vec<PlayerResult>, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let Some(domain) = scene.domain.clone() else { return };
        if !results.is_empty() {
            let players = scene.seats.iter().map(|row| row.player.clone()).collect();
            self.owe(id, Finished { domain, ended: cx.now, players, results }, cx);
        }
    }

    /// These results are to be recorded.
    pub(super) fn owe(&mut self, id: SceneId, finished: Finished, cx: &mut Context<'_>) {
        self.unrecorded.insert(id, Unrecorded { finished, again_ms: RECORD_AGAIN_MS });
        self.record(id, cx);
    }

    /// Asks Db to record a scene's results, and sets the time at which that is done again.
    pub(super) fn record(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(unrecorded) = self.unrecorded.get_mut(&id) else { return };
        self.deadlines.set(Due::Record(id), cx.now.plus_ms(unrecorded.again_ms));
        if !self.db_up {
            return;
        }
        unrecorded.again_ms = (unrecorded.again_ms * 2).min(RECORD_AGAIN_MS_MAX);
        let request = results::Request::Record { scene: id, finished: unrecorded.finished.clone() };
        let request = Box::new(db::Request::Results(request));
        cx.send(db::Event::Req { caller: Caller::Host, asker: Asker::SceneMaster { scene: id }, request });
    }

    /// Db is up: what waits is asked at once.
    pub(super) fn record_all(&mut self, cx: &mut Context<'_>) {
        for id in self.unrecorded.keys().copied().collect::<Vec<_>>() {
            self.record(id, cx);
        }
    }

    pub(super) fn res_record(&mut self, id: SceneId, result: Result<(), Refusal>, cx: &mut Context<'_>) {
        if !self.unrecorded.contains_key(&id) {
            return;
        }
        match result {
            Ok(()) => {}
            Err(Refusal::Invalid(why)) => cx.fault(format!("the results of scene {id} are not recorded: {why}")),
            // It is asked again at its deadline.
            Err(_) => return,
        }
        self.unrecorded.remove(&id);
        self.deadlines.clear(&Due::Record(id));
        // A scene that lives has its record still, which says nothing wrong: recording twice is recording once.
        if self.scenes.get(&id).is_none_or(|scene| scene.state == State::Stopped) {
            cx.delete(record::scene_key(id));
        }
    }
}
