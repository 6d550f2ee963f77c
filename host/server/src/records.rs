//! Reads for Auth, Db and SceneMaster: one thread that answers what they ask of the store and memory does not hold.
//!
//! Invariant: questions that wait together are read together and answered in their order.

use std::thread::JoinHandle;

use scenehost_core::read::{Load, Loaded, Scan, ScanRecords};
use scenehost_core::{Message, auth, db, scene_master};
use tokio::sync::mpsc;

use crate::bus::{Bus, Question};
use crate::store::{self, Store};

/// How many questions are read at once.
const GROUP_MAX: usize = 256;

/// Starts the thread, which ends when every sender of questions is gone.
pub fn spawn(mut questions: mpsc::Receiver<Question>, store: Store, bus: Bus) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("records".to_owned()).spawn(move || {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while questions.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            answer(group.drain(..), &store, &bus);
        }
    })
}

fn answer(questions: impl Iterator<Item = Question>, store: &Store, bus: &Bus) {
    for question in questions {
        let answer: Message = match question {
            Question::Load(Load { job, keys }) => auth::Event::Loaded { job, values: load(&keys, store) }.into(),
            Question::LoadForDb(Load { job, keys }) => db::Event::Loaded { job, values: load(&keys, store) }.into(),
            Question::ScanForDb(ScanRecords { job, from, to, limit }) => {
                db::Event::Scanned { job, records: store.records(&from, &to, limit).map_err(report) }.into()
            }
            Question::ScanForMaster(ScanRecords { job, from, to, limit }) => {
                scene_master::Event::Scanned { job, records: store.records(&from, &to, limit).map_err(report) }.into()
            }
            Question::Scan(Scan { from, to, limit }) => {
                auth::Event::Scanned { keys: store.keys(&from, &to, limit).map_err(report) }.into()
            }
        };
        bus.send(answer);
    }
}

fn load(keys: &[String], store: &Store) -> Loaded {
    keys.iter().map(|key| store.get(key)).collect::<Result<_, _>>().map_err(report)
}

fn report(error: store::Error) {
    match error {
        // That it is down has been said; this can be every question.
        store::Error::Down => tracing::debug!(%error, "the store does not answer"),
        error => tracing::error!(%error, "the store does not answer"),
    }
}
