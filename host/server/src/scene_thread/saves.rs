//! What the scenes of one thread save: their `save` commands, brought to Db, and its answers.
//!
//! Invariants: every save is answered, unless its scene has ended because of it; one that waits for Db is asked for
//! again by the same number, so it is made once; the saves of a scene are forgotten when it is gone and all of them
//! are answered, not earlier, so that none is done twice.

mod room;

use std::collections::HashMap;
use std::time::Duration;

use scenehost_core::config::OnDbDown;
use scenehost_core::db::{Caller, Request as DbRequest};
use scenehost_core::save::{Amount, Operation, Request};
use scenehost_core::storage::Owner;
use scenehost_core::{GameName, Incarnation, Refusal, Seat, UserId};
use scenehost_engine::{SaveError, SaveOperation, SaveRequest};
use tokio::runtime::Handle;

use super::{Order, SceneThreads};
use crate::bus::Bus;
use room::Place;
pub use room::Room;

/// How many saves of a scene may be under way at once; more are refused.
const UNDER_WAY_MAX: usize = 16;
/// After so long a save is asked for again that could not be made, or of which Db has not told whether it was.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a scene's save is asked for that does not wait for Db, if Db is not said to be down. Each try has a
/// deadline.
const TRIES: u32 = 3;
/// How long, and how often, a thread's full inbox is waited for.
const INBOX_WAIT: Duration = Duration::from_millis(20);
const INBOX_WAITS: u32 = 500;
/// What an operation takes besides its texts and values.
const OPERATION_BYTES: usize = 64;

/// The saves that are under way.
pub struct Saves {
    scenes: HashMap<Incarnation, Saving>,
    room: Room,
    runtime: Handle,
    bus: Bus,
    threads: SceneThreads,
}

#[derive(Default)]
struct Saving {
    under_way: usize,
    gone: bool,
    /// It has ended because it could not save.
    given_up: bool,
    /// Its lives before, of hosts that have died, whose saves were asked for again.
    older: Vec<Incarnation>,
}

/// A save that Db is to make.
pub struct Save {
    scene: Incarnation,
    id: u64,
    request: DbRequest,
    _place: Place,
}

/// What has come of a save.
pub enum Made {
    /// It is to be told to the scene.
    Answered(Result<(), SaveError>),
    /// It cannot be made now, and its scene does not wait for that.
    NotNow(Box<Save>),
}

impl Saves {
    pub fn new(room: Room, runtime: Handle, bus: Bus, threads: SceneThreads) -> Self {
        Self { scenes: HashMap::new(), room, runtime, bus, threads }
    }

    /// Begins a save, of which [`Order::Saved`] tells what has come of it; an error is the answer at once.
    /// It is asked for in the name of `as_of`, the life of the scene that has asked for it first.
    pub fn begin(
        &mut self,
        scene: Incarnation,
        as_of: Incarnation,
        game: GameName,
        save: SaveRequest,
        on_db_down: OnDbDown,
        user_of: impl Fn(Seat) -> Option<UserId>,
    ) -> Result<(), SaveError> {
        let bytes = save.operations.iter().map(operation_bytes).sum();
        let operations = save.operations.into_iter().map(|it| operation(it, &user_of)).collect::<Result<_, _>>()?;
        let saving = self.scenes.entry(scene).or_default();
        if saving.under_way >= UNDER_WAY_MAX {
            return Err(SaveError::Invalid(format!(
                "{UNDER_WAY_MAX} saves are under way: wait for the answer of one, or put more into each"
            )));
        }
        let Some(place) = self.room.take(bytes) else {
            tracing::warn!(%scene, id = save.id, "a save is refused: too much waits to be saved already");
            return Err(SaveError::Unavailable);
        };
        saving.under_way += 1;
        if as_of != scene && !saving.older.contains(&as_of) {
            saving.older.push(as_of);
        }
        let id = save.id;
        let request = DbRequest::Save(Request::Save { scene: as_of, id, game, operations });
        self.make(Save { scene, id, request, _place: place }, on_db_down);
        Ok(())
    }

    fn make(&self, save: Save, on_db_down: OnDbDown) {
        let (bus, threads, scene, id) = (self.bus.clone(), self.threads.clone(), save.scene, save.id);
        self.runtime.spawn(async move {
            let made = make(&bus, save, on_db_down).await;
            tell(&threads, scene, id, made).await;
        });
    }

    /// A save was answered.
    pub fn answered(&mut self, scene: Incarnation) {
        if let Some(saving) = self.scenes.get_mut(&scene) {
            saving.under_way = saving.under_way.saturating_sub(1);
        }
        self.forget_if_done(scene);
    }

    /// A save cannot be made now. A scene that goes on is given up with all its saves; what a game has saved that is
    /// over already waits. Whether the scene has to end.
    pub fn not_now(&mut self, save: Save, goes_on: bool) -> bool {
        let saving = self.scenes.entry(save.scene).or_default();
        if !goes_on && !saving.given_up {
            self.make(save, OnDbDown::Wait);
            return false;
        }
        saving.given_up = true;
        let Save { scene, id, .. } = save;
        tracing::warn!(%scene, id, "a save was given up; if it was under way already, it may still be made");
        self.answered(scene);
        goes_on
    }

    /// The scene is gone.
    pub fn gone(&mut self, scene: Incarnation) {
        if let Some(saving) = self.scenes.get_mut(&scene) {
            saving.gone = true;
        }
        self.forget_if_done(scene);
    }

    fn forget_if_done(&mut self, scene: Incarnation) {
        if self.scenes.get(&scene).is_none_or(|saving| !saving.gone || saving.under_way > 0) {
            return;
        }
        let Some(saving) = self.scenes.remove(&scene) else { return };
        let bus = self.bus.clone();
        self.runtime.spawn(async move {
            for life in saving.older.into_iter().chain([scene]) {
                // What is not forgotten now is later: at the host's next start, or by `orphans`.
                let _ = bus.ask_db(Caller::Host, DbRequest::Save(Request::Ended(life))).await;
            }
        });
    }
}

/// About how many bytes it takes.
fn operation_bytes(operation: &SaveOperation) -> usize {
    OPERATION_BYTES
        + match operation {
            SaveOperation::Put(record) => record.key.len() + record.value.len(),
            SaveOperation::Grant(amount) | SaveOperation::Spend(amount) => amount.name.len(),
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

/// Asks Db until there is an answer. A save that was made and is asked for again is told to be made.
async fn make(bus: &Bus, save: Save, on_db_down: OnDbDown) -> Made {
    let mut tries = 0;
    loop {
        tries += 1;
        let refusal = match bus.ask_db(Caller::Host, save.request.clone()).await {
            Ok(_) => return Made::Answered(Ok(())),
            Err(refusal) => refusal,
        };
        if !refusal.is_passing() {
            return Made::Answered(Err(save_error(&refusal)));
        }
        let is_down = matches!(refusal, Refusal::ServiceDown(_)) || tries >= TRIES;
        if is_down && on_db_down == OnDbDown::End {
            return Made::NotNow(Box::new(save));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn save_error(refusal: &Refusal) -> SaveError {
    match refusal {
        Refusal::Internal(_) => SaveError::Unavailable,
        Refusal::Conflict(_) => SaveError::Conflict(refusal.to_string()),
        _ => SaveError::Invalid(refusal.to_string()),
    }
}

async fn tell(threads: &SceneThreads, scene: Incarnation, id: u64, made: Made) {
    let mut order = Order::Saved(scene, id, made);
    for _ in 0..INBOX_WAITS {
        match threads.handle(scene.scene).put(order) {
            Ok(()) => return,
            Err(refused) => order = refused,
        }
        tokio::time::sleep(INBOX_WAIT).await;
    }
    tracing::error!(%scene, id, "the answer to a save could not be told: the scene's thread takes no orders");
}
