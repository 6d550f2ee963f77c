//! What the scenes of one thread save: their `save` commands, brought to Db, and its answers.
//!
//! Invariants: every save is answered; those of a scene are forgotten when it is gone and all of them are answered,
//! not earlier, so that none is done twice.

use std::collections::HashMap;
use std::time::Duration;

use scenehost_core::db::{Caller, Request as DbRequest};
use scenehost_core::save::{Amount, Operation, Request};
use scenehost_core::storage::Owner;
use scenehost_core::{GameName, Refusal, SceneId, Seat, UserId};
use scenehost_engine::{SaveError, SaveOperation, SaveRequest};
use tokio::runtime::Handle;

use super::{Order, SceneThreads};
use crate::bus::Bus;

/// How many saves of a scene may be under way at once; more are refused.
const UNDER_WAY_MAX: usize = 16;
/// How often a save is asked for of which Db has not told whether it was done. Each try has a deadline.
const TRIES: u32 = 3;
/// How long, and how often, a thread's full inbox is waited for.
const INBOX_WAIT: Duration = Duration::from_millis(20);
const INBOX_WAITS: u32 = 500;

/// The saves that are under way.
pub struct Saves {
    scenes: HashMap<SceneId, Saving>,
    runtime: Handle,
    bus: Bus,
    threads: SceneThreads,
}

struct Saving {
    under_way: usize,
    has_saved: bool,
    gone: bool,
}

impl Saves {
    pub fn new(runtime: Handle, bus: Bus, threads: SceneThreads) -> Self {
        Self { scenes: HashMap::new(), runtime, bus, threads }
    }

    /// Begins a save, whose answer comes as [`Order::Saved`]; an error is the answer at once.
    pub fn begin(
        &mut self,
        scene: SceneId,
        game: GameName,
        save: SaveRequest,
        user_of: impl Fn(Seat) -> Option<UserId>,
    ) -> Result<(), SaveError> {
        let operations = save.operations.into_iter().map(|it| operation(it, &user_of)).collect::<Result<_, _>>()?;
        let saving = self.scenes.entry(scene).or_insert(Saving { under_way: 0, has_saved: false, gone: false });
        if saving.under_way >= UNDER_WAY_MAX {
            return Err(SaveError::Invalid(format!(
                "{UNDER_WAY_MAX} saves are under way: wait for the answer of one, or put more into each"
            )));
        }
        saving.under_way += 1;
        saving.has_saved = true;
        let id = save.id;
        let request = DbRequest::Save(Request::Save { scene, id, game, operations });
        let (bus, threads) = (self.bus.clone(), self.threads.clone());
        self.runtime.spawn(async move {
            let outcome = make(&bus, request).await;
            tell(&threads, scene, id, outcome).await;
        });
        Ok(())
    }

    /// A save was answered.
    pub fn answered(&mut self, scene: SceneId) {
        if let Some(saving) = self.scenes.get_mut(&scene) {
            saving.under_way = saving.under_way.saturating_sub(1);
        }
        self.forget_if_done(scene);
    }

    /// The scene is gone.
    pub fn gone(&mut self, scene: SceneId) {
        if let Some(saving) = self.scenes.get_mut(&scene) {
            saving.gone = true;
        }
        self.forget_if_done(scene);
    }

    fn forget_if_done(&mut self, scene: SceneId) {
        let Some(saving) = self.scenes.get(&scene) else { return };
        if !saving.gone || saving.under_way > 0 {
            return;
        }
        if saving.has_saved {
            let bus = self.bus.clone();
            self.runtime.spawn(async move {
                // What is not forgotten now is at the host's next start.
                let _ = bus.ask_db(Caller::Host, DbRequest::Save(Request::Ended(scene))).await;
            });
        }
        self.scenes.remove(&scene);
    }
}

fn operation(operation: SaveOperation, user_of: impl Fn(Seat) -> Option<UserId>) -> Result<Operation, SaveError> {
    let user =
        |seat: Seat| user_of(seat).ok_or_else(|| SaveError::Invalid(format!("there is no seat {seat} in this scene")));
    let amount = |amount: scenehost_engine::Amount| {
        Ok(Amount { user: user(amount.seat)?, name: amount.name, count: amount.count })
    };
    Ok(match operation {
        SaveOperation::Put(record) => Operation::Put {
            owner: record.owner.map_or(Ok(Owner::Game), |seat| user(seat).map(Owner::User))?,
            key: record.key,
            value: record.value,
            if_version: record.if_version,
        },
        SaveOperation::Grant(it) => Operation::Grant(amount(it)?),
        SaveOperation::Spend(it) => Operation::Spend(amount(it)?),
    })
}

async fn make(bus: &Bus, request: DbRequest) -> Result<(), SaveError> {
    let mut tries = 1;
    loop {
        match bus.ask_db(Caller::Host, request.clone()).await {
            Ok(_) => return Ok(()),
            // Whether it was done is unknown; if it was, asking again only tells so.
            Err(Refusal::TimedOut(_)) if tries < TRIES => tries += 1,
            Err(refusal) => return Err(save_error(&refusal)),
        }
    }
}

fn save_error(refusal: &Refusal) -> SaveError {
    match refusal {
        Refusal::ServiceDown(_) | Refusal::Overloaded(_) | Refusal::TimedOut(_) | Refusal::Internal(_) => {
            SaveError::Unavailable
        }
        Refusal::Conflict(_) => SaveError::Conflict(refusal.to_string()),
        _ => SaveError::Invalid(refusal.to_string()),
    }
}

async fn tell(threads: &SceneThreads, scene: SceneId, id: u64, outcome: Result<(), SaveError>) {
    for _ in 0..INBOX_WAITS {
        if threads.handle(scene).put(Order::Saved(scene, id, outcome.clone())) {
            return;
        }
        tokio::time::sleep(INBOX_WAIT).await;
    }
    tracing::error!(%scene, "the answer to a save could not be told: the scene's thread takes no orders");
}
