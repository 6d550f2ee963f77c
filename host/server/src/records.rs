//! Reads for Auth, Db and SceneMaster: one thread that answers what they ask of the store and memory does not hold.
//!
//! Invariant: questions that wait together are read together and answered in their order.

use std::thread::JoinHandle;

use futures_util::StreamExt as _;
use futures_util::stream;
use scenehost_core::read::{Load, Loaded, Scan, ScanRecords};
use scenehost_core::{Message, auth, db, scene_master};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::bus::{Bus, Question};
use crate::store::{self, Store};

/// How many questions are read at once.
const GROUP_MAX: usize = 256;

/// Starts the thread, which ends when every sender of questions is gone. Has to be called in a runtime.
pub fn spawn(mut questions: mpsc::Receiver<Question>, store: Store, bus: Bus) -> std::io::Result<JoinHandle<()>> {
    let runtime = Handle::current();
    std::thread::Builder::new().name("records".to_owned()).spawn(move || {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while questions.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            // A store on this machine answers each as soon as it is polled, one after the other; one that has to be
            // asked over a network hears all of them at once.
            let answers = stream::iter(group.drain(..)).map(|question| answer(question, &store)).buffered(GROUP_MAX);
            runtime.block_on(answers.for_each(async |answer| bus.deliver(answer)));
        }
    })
}

async fn answer(question: Question, store: &Store) -> Message {
    match question {
        Question::Load(Load { job, keys }) => auth::Event::Loaded { job, values: load(&keys, store).await }.into(),
        Question::LoadForDb(Load { job, keys }) => db::Event::Loaded { job, values: load(&keys, store).await }.into(),
        Question::ScanForDb(ScanRecords { job, from, to, limit }) => {
            db::Event::Scanned { job, records: store.records(&from, &to, limit).await.map_err(report) }.into()
        }
        Question::ScanForMaster(ScanRecords { job, from, to, limit }) => {
            scene_master::Event::Scanned { job, records: store.records(&from, &to, limit).await.map_err(report) }.into()
        }
        Question::Scan(Scan { from, to, limit }) => {
            auth::Event::Scanned { keys: store.keys(&from, &to, limit).await.map_err(report) }.into()
        }
    }
}

async fn load(keys: &[String], store: &Store) -> Loaded {
    store.get_all(keys).await.map_err(report)
}

fn report(error: store::Error) {
    match error {
        // That it is down has been said; this can be every question.
        store::Error::Down => tracing::debug!(%error, "the store does not answer"),
        error => tracing::error!(%error, "the store does not answer"),
    }
}
