//! What the edge and operators ask of services: each waits for its answer, which finds it by a number.
//!
//! Invariant: every question is answered, refused at once, or ended by a limit of its own.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use scenehost_core::{Message, Refusal};
use scenehost_core::{auth, db, scene_master};
use tokio::sync::oneshot;

use super::{Bus, Senders, lock};
use crate::cluster::router::{self, Place, Router, Unsent};
use crate::cluster::unit::Unit;

/// With so many askers waiting, those who have hung up are looked for.
const WAITING_SWEPT: usize = 4_096;
/// How long Auth may take in any case; its own deadline is shorter.
const AUTH_MAX: Duration = Duration::from_millis(auth::REQUEST_MS_MAX + 1_000);

/// How long what an operator orders of SceneMaster may take; many scenes at once take that long.
const OPERATOR_MAX: Duration = Duration::from_secs(30);

/// How long Db may take in any case; its own deadline is shorter.
const DB_MAX: Duration = Duration::from_millis(db::REQUEST_MS_MAX + 1_000);

/// Those outside of the services who wait for an answer, by number.
pub(super) struct Waiting<T> {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<T, Refusal>>>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { last: 0, waiting: HashMap::new() }
    }
}

impl<T> Waiting<T> {
    /// The number begins with that of the node.
    fn add(&mut self, node: u16) -> (u64, oneshot::Receiver<Result<T, Refusal>>) {
        // Who has hung up is forgotten now and then, in case its answer was lost.
        if self.waiting.len() >= WAITING_SWEPT && self.last.is_multiple_of(1_024) {
            self.waiting.retain(|_, answer| !answer.is_closed());
        }
        let (answer, receiver) = oneshot::channel();
        self.last += 1;
        let number = router::numbered(node, self.last);
        self.waiting.insert(number, answer);
        (number, receiver)
    }

    fn forget(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    pub(super) fn answer(&mut self, number: u64, result: Result<T, Refusal>) {
        if let Some(asker) = self.waiting.remove(&number) {
            let _ = asker.send(result); // The asker has hung up: fine.
        }
    }
}

impl Bus {
    /// Asks the SceneMasters that it is for, for an operator: what, with the number of the question. Refused at once if
    /// the inbox of one is full.
    ///
    /// # Errors
    /// As they say, see [`scene_master::Answer::merge`]; [`Refusal::TimedOut`] after [`OPERATOR_MAX`].
    pub async fn ask_scene_master(
        &self,
        what: impl FnOnce(u64) -> scene_master::Event,
    ) -> Result<scene_master::Answer, Refusal> {
        let event = what(0);
        let limit = match &event {
            scene_master::Event::ReqOperator { order: scene_master::Order::Find { query }, .. } => query.limit,
            _ => usize::MAX,
        };
        let asked = self.partitions_of(event.to()).map(|partition| {
            let unit = Some(Unit::SceneMaster(partition));
            let question = |number| Message::from(event.numbered(number));
            self.ask(&self.senders.operators, OPERATOR_MAX, "making scenes", unit, question)
        });
        scene_master::Answer::merge(futures_util::future::join_all(asked).await, limit)
    }

    /// Asks Auth; refused at once if its inbox is full.
    ///
    /// # Errors
    /// As Auth says; [`Refusal::TimedOut`] after [`AUTH_MAX`], for Auth has its own deadline, so it has failed.
    pub async fn ask_auth(&self, request: auth::Request) -> Result<auth::Answer, Refusal> {
        let event = |number| auth::Event::Req { asker: auth::Asker::Door(number), request: Box::new(request) };
        self.ask(&self.senders.doors, AUTH_MAX, "signing in", None, |number| event(number).into()).await
    }

    /// Asks Db; refused at once if its inbox is full.
    ///
    /// # Errors
    /// As Db says; [`Refusal::TimedOut`] after [`DB_MAX`].
    pub async fn ask_db(&self, caller: db::Caller, request: db::Request) -> Result<db::Answer, Refusal> {
        let event = |number| db::Event::Req { caller, asker: db::Asker::Door(number), request: Box::new(request) };
        self.ask(&self.senders.db_doors, DB_MAX, "the store", None, |number| event(number).into()).await
    }

    async fn ask<T>(
        &self,
        waiting: &Mutex<Waiting<T>>,
        limit: Duration,
        what: &'static str,
        unit: Option<Unit>,
        question: impl FnOnce(u64) -> Message,
    ) -> Result<T, Refusal> {
        let (number, answer) = lock(waiting).add(self.senders.router.as_ref().map_or(0, Router::me));
        if let Err(refusal) = self.say(question(number), unit, what) {
            lock(waiting).forget(number);
            return Err(refusal);
        }
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => {
                lock(waiting).forget(number);
                Err(Refusal::TimedOut(what.into()))
            }
        }
    }

    /// Says something to a unit for somebody who waits: to this one, or to that which the message is for.
    fn say(&self, message: Message, unit: Option<Unit>, what: &'static str) -> Result<(), Refusal> {
        let full = || Refusal::Overloaded(format!("requests: {what}").into());
        let of_message = || match router::place(&message) {
            Place::Unit(unit) => Some(unit),
            _ => None,
        };
        let unit = unit.or_else(of_message);
        match (&self.senders.router, unit) {
            (Some(router), Some(unit)) if !router.is_here(&unit) => {
                router.to_unit(&unit, None, message).map_err(|why| match why {
                    Unsent::Down => Refusal::ServiceDown(unit.service()),
                    Unsent::Full => full(),
                })
            }
            (_, unit) => {
                let Senders { auth, db, scene_masters, .. } = &*self.senders;
                let is_said = match (message, unit) {
                    (Message::Auth(event), _) => auth.offer(event),
                    (Message::Db(event), _) => db.offer(event),
                    (Message::SceneMaster(event), Some(Unit::SceneMaster(partition))) => {
                        scene_masters.get(&partition).is_some_and(|inbox| inbox.offer(event))
                    }
                    (other, _) => {
                        self.deliver(other);
                        true
                    }
                };
                is_said.then_some(()).ok_or_else(full)
            }
        }
    }
}
