//! The results of games, on their way to Db.
//!
//! Invariant: from the moment at which a game is decided until Db has recorded it, or has refused it for good, the
//! results are in a record of their own and Db is asked again and again, after a restart as well. Nobody else waits for
//! that. There are no more of them than there were allocations: without the store there is none. At most
//! [`RECORDING_MAX`] requests to Db are under way, so that after an outage it has room for what users ask.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Due, SceneMaster, SeatRow};
use crate::Context;
use crate::db::{self, Asker, Caller};
use crate::ids::{AllocationId, SceneId};
use crate::message::PlayerResult;
use crate::record;
use crate::refusal::Refusal;
use crate::results::{self, Finished};

/// How long Db has to record results before it is asked again; each time twice as long.
pub const RECORD_AGAIN_MS: u64 = 8_000;
/// The longest time between two tries.
pub const RECORD_AGAIN_MS_MAX: u64 = 512_000;

/// How many games' results Db may be recording at once; others wait until one of these is answered or overdue.
pub const RECORDING_MAX: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Unrecorded {
    finished: Finished,
    again_ms: u64,
}

/// The results that are not recorded yet. Each is under way, in the queue, or has a deadline at which it will be.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording {
    /// Of allocations of this run and of runs before.
    unrecorded: BTreeMap<AllocationId, Unrecorded>,
    /// Those that Db was asked to record, until it answers or their deadline comes.
    under_way: BTreeSet<AllocationId>,
    /// Those that are to be asked for next, while there is no room or no Db.
    queue: VecDeque<AllocationId>,
}

impl SceneMaster {
    /// How many games have results that Db has not recorded yet.
    pub fn unrecorded(&self) -> usize {
        self.recording.unrecorded.len()
    }

    /// The game of a scene has come to these results. A game that was not decided has none, and one without seats has
    /// nobody to record it for.
    pub(super) fn decided(&mut self, id: SceneId, mut results: Vec<PlayerResult>, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let (Some(domain), Some(allocation)) = (scene.domain.clone(), scene.allocation) else { return };
        // One who was sent to the game and never heard of it may have been sent again: only the last seat counts.
        results.retain(|result| {
            let user = scene.seats.get(result.seat as usize).map(|row| row.player.user);
            let is_later = |row: &SeatRow| Some(row.player.user) == user && row.player.seat > result.seat;
            !scene.seats.iter().any(is_later)
        });
        if !results.is_empty() {
            let players = scene.seats.iter().map(|row| row.player.clone()).collect();
            let finished = Finished { scene: id, domain, ended: cx.now, players, results };
            cx.put(record::finished_key(allocation), record::encode(&finished));
            self.owe(allocation, finished, cx);
        }
    }

    /// These results are to be recorded; they are in the store.
    pub(super) fn owe(&mut self, id: AllocationId, finished: Finished, cx: &mut Context<'_>) {
        self.recording.unrecorded.insert(id, Unrecorded { finished, again_ms: RECORD_AGAIN_MS });
        self.record(id, cx);
    }

    /// Results are to be recorded next; if Db was asked before, it has not answered in time.
    pub(super) fn record(&mut self, id: AllocationId, cx: &mut Context<'_>) {
        self.recording.under_way.remove(&id);
        self.recording.queue.push_back(id);
        self.record_next(cx);
    }

    /// Db is up: what waits is asked as soon as there is room, and what was asked before is asked again.
    pub(super) fn record_all(&mut self, cx: &mut Context<'_>) {
        self.recording.under_way.clear();
        self.recording.queue = self.recording.unrecorded.keys().copied().collect();
        for id in &self.recording.queue {
            self.deadlines.clear(&Due::Record(*id));
        }
        self.record_next(cx);
    }

    /// Asks Db for those in the queue, as many as there is room for, and sets the time at which each is asked again.
    fn record_next(&mut self, cx: &mut Context<'_>) {
        let recording = &mut self.recording;
        while self.db_up && recording.under_way.len() < RECORDING_MAX {
            let Some(id) = recording.queue.pop_front() else { return };
            // An answer that came late may have settled it.
            let Some(unrecorded) = recording.unrecorded.get_mut(&id) else { continue };
            self.deadlines.set(Due::Record(id), cx.now.plus_ms(unrecorded.again_ms));
            unrecorded.again_ms = (unrecorded.again_ms * 2).min(RECORD_AGAIN_MS_MAX);
            recording.under_way.insert(id);
            let request = results::Request::Record { allocation: id, finished: unrecorded.finished.clone() };
            let request = Box::new(db::Request::Results(request));
            cx.send(db::Event::Req { caller: Caller::Host, asker: Asker::SceneMaster { allocation: id }, request });
        }
    }

    pub(super) fn res_record(&mut self, id: AllocationId, result: Result<(), Refusal>, cx: &mut Context<'_>) {
        let Some(unrecorded) = self.recording.unrecorded.get(&id) else { return };
        let scene = unrecorded.finished.scene;
        self.recording.under_way.remove(&id);
        match result {
            Ok(()) => self.settled(id, cx),
            Err(Refusal::Invalid(why)) => {
                cx.fault(format!("the results of scene {scene} are not recorded: {why}"));
                self.settled(id, cx);
            }
            // It is asked again at its deadline.
            Err(_) => {}
        }
        self.record_next(cx);
    }

    /// Nothing is left to record of a game.
    fn settled(&mut self, id: AllocationId, cx: &mut Context<'_>) {
        self.recording.unrecorded.remove(&id);
        self.deadlines.clear(&Due::Record(id));
        cx.delete(record::finished_key(id));
    }
}
