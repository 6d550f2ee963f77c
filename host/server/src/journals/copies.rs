//! Copies of the journals of running scenes, in the store that nodes share: when a node dies, its scenes go on elsewhere.
//!
//! A task looks at the files of running scenes every [`COPY_EVERY`] and writes what is new into the store, so it costs
//! the scenes nothing. What a node has not copied when its machine is gone is lost: the last moment before it, after
//! which users are told everything anew.
//!
//! Invariant: the copy of a journal is a part of it from its beginning, or nothing; of one process, since a process does
//! not know how far the one before it has come, nor the node that a scene comes from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use scenehost_core::record::{LIVE_JOURNAL_PREFIX, live_journal_of};
use scenehost_core::{Incarnation, SceneId, Write};

use tokio::sync::{mpsc, oneshot};

use super::Folder;
use crate::store::{self, Store};

/// How often it is looked for something new.
const COPY_EVERY: Duration = Duration::from_millis(200);
/// How many scenes that are let go may wait.
const LET_GO_MAX: usize = 256;
/// How many bytes a record has at most.
const RECORD_BYTES_MAX: u64 = 1 << 20;
/// How many bytes are copied at once; the rest follows at once.
const ROUND_BYTES_MAX: u64 = 8 << 20;

/// What no file has.
const NO_INODE: u64 = 0;

/// How much of a file is in the store.
struct Copied {
    /// Which file: one that is written anew has another.
    inode: u64,
    bytes: u64,
    /// The numbers of its records.
    records: Range<u64>,
}

/// A scene that has been let go: its journal is to be in the store, whole, for where it goes on.
pub(super) struct LetGo {
    pub life: Incarnation,
    /// Whether it is.
    pub done: oneshot::Sender<bool>,
}

/// What copies the journals of one node.
pub struct Copies {
    folder: Folder,
    store: Store,
    let_go: mpsc::Receiver<LetGo>,
    copied: BTreeMap<Incarnation, Copied>,
}

/// What is new.
#[derive(Default)]
struct Round {
    writes: Vec<Write>,
    bytes: u64,
    is_whole: bool,
    /// Something cannot be read now: it makes no sense to go on at once.
    is_broken: bool,
    /// Journals that are new here: it has to be known first what the store has of them.
    unknown: Vec<Incarnation>,
}

fn prefix_of(scene: SceneId) -> String {
    format!("{LIVE_JOURNAL_PREFIX}{scene}-")
}

fn key(of: Incarnation, number: u64) -> String {
    format!("{LIVE_JOURNAL_PREFIX}{of}/{number:016x}")
}

impl Copies {
    pub(super) fn new(folder: Folder, store: Store) -> (Self, mpsc::Sender<LetGo>) {
        let (sender, let_go) = mpsc::channel(LET_GO_MAX);
        (Self { folder, store, let_go, copied: BTreeMap::new() }, sender)
    }

    /// Copies for as long as the host runs.
    pub async fn run(mut self) {
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(COPY_EVERY) => None,
                Some(asked) = self.let_go.recv() => Some(asked),
            };
            let is_copied;
            (self, is_copied) = match self.copy().await {
                Some(copied) => copied,
                None => return,
            };
            if let Some(LetGo { life, done }) = asked {
                if is_copied {
                    self.hand_over(life);
                }
                let _ = done.send(is_copied); // Who has asked may not wait any more.
            }
        }
    }

    /// From now on the copy is all there is of it.
    fn hand_over(&mut self, life: Incarnation) {
        self.copied.remove(&life);
        if let Err(error) = std::fs::remove_file(self.folder.live(life)) {
            tracing::warn!(scene = %life, %error, "the journal of a scene that went elsewhere stays here");
        }
    }

    /// Copies everything that is new; whether that is in the store now. `None`: the host ends.
    async fn copy(mut self) -> Option<(Self, bool)> {
        loop {
            let looked = tokio::task::spawn_blocking(move || {
                let round = self.look();
                (self, round)
            });
            let (own, round) = looked.await.ok()?;
            self = own;
            let round = match round {
                Ok(round) => round,
                Err(error) => {
                    tracing::error!(%error, "journals cannot be copied into the store");
                    return Some((self, false));
                }
            };
            if !round.writes.is_empty()
                && let Err(error) = write(&self.store, round.writes).await
            {
                tracing::error!(%error, "journals are not copied any more");
                return None;
            }
            if let Err(error) = self.meet(round.unknown).await {
                tracing::warn!(%error, "what the store has of journals is not known yet");
                return Some((self, false));
            }
            if round.is_whole || round.is_broken {
                return Some((self, round.is_whole));
            }
        }
    }

    /// Learns what the store has of these journals, which the next look replaces by the files that are here.
    async fn meet(&mut self, unknown: Vec<Incarnation>) -> Result<(), store::Error> {
        for of in unknown {
            let parts = self.store.scan(&format!("{LIVE_JOURNAL_PREFIX}{of}/")).await?;
            let number = |(key, _): &(String, Vec<u8>)| u64::from_str_radix(key.rsplit_once('/')?.1, 16).ok();
            let numbers: Vec<u64> = parts.iter().filter_map(number).collect();
            let records = match (numbers.first(), numbers.last()) {
                (Some(first), Some(last)) => *first..last + 1,
                _ => 0..0,
            };
            self.copied.insert(of, Copied { inode: NO_INODE, bytes: 0, records });
        }
        Ok(())
    }

    /// What is new in the files since the last time. Blocks.
    fn look(&mut self) -> io::Result<Round> {
        let mut round = Round { is_whole: true, ..Round::default() };
        let live: Vec<Incarnation> =
            self.folder.list()?.into_iter().filter(|filed| filed.is_live).map(|filed| filed.incarnation).collect();
        let over: Vec<Incarnation> = self.copied.keys().filter(|of| !live.contains(of)).copied().collect();
        for of in over {
            if let Some(copied) = self.copied.remove(&of) {
                round.writes.extend(deletes(of, copied.records));
            }
        }
        for of in live {
            if round.bytes >= ROUND_BYTES_MAX {
                round.is_whole = false;
                break;
            }
            match self.look_at(of, &mut round) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // It is over since.
                Err(error) => {
                    // What was found of the others is counted as copied already.
                    tracing::error!(scene = %of, %error, "a journal cannot be read to be copied: it is tried again");
                    (round.is_whole, round.is_broken) = (false, true);
                }
                Ok(()) => {}
            }
        }
        Ok(round)
    }

    fn look_at(&mut self, of: Incarnation, round: &mut Round) -> io::Result<()> {
        let mut file = File::open(self.folder.live(of))?;
        let (inode, length) = (file.metadata()?.ino(), file.metadata()?.len());
        let Some(copied) = self.copied.get_mut(&of) else {
            round.unknown.push(of);
            round.is_whole = false;
            return Ok(());
        };
        if copied.inode != inode || length < copied.bytes {
            round.writes.extend(deletes(of, copied.records.clone()));
            *copied = Copied { inode, bytes: 0, records: copied.records.end..copied.records.end };
        }
        file.seek(SeekFrom::Start(copied.bytes))?;
        while copied.bytes < length && round.bytes < ROUND_BYTES_MAX {
            let mut part = Vec::new();
            (&mut file).take(RECORD_BYTES_MAX.min(length - copied.bytes)).read_to_end(&mut part)?;
            if part.is_empty() {
                break;
            }
            copied.bytes += part.len() as u64;
            round.bytes += part.len() as u64;
            round.writes.push(Write::Put { key: key(of, copied.records.end), value: part });
            copied.records.end += 1;
        }
        round.is_whole &= copied.bytes >= length;
        Ok(())
    }
}

fn deletes(of: Incarnation, records: Range<u64>) -> impl Iterator<Item = Write> {
    records.map(move |number| Write::Delete { key: key(of, number) })
}

async fn write(store: &Store, writes: Vec<Write>) -> Result<(), store::Error> {
    store.begin(writes).await?.synced().await
}

/// The copy of the journal of a scene's latest life before this one, and whose it is.
pub async fn get(store: &Store, next: Incarnation) -> Result<Option<(Incarnation, Vec<u8>)>, store::Error> {
    let mut lives: BTreeMap<Incarnation, Vec<u8>> = BTreeMap::new();
    for (key, part) in store.scan(&prefix_of(next.scene)).await? {
        if let Some(life) = live_journal_of(&key) {
            lives.entry(life).or_default().extend(part);
        }
    }
    Ok(lives.into_iter().rev().find(|(life, _)| life.epoch < next.epoch))
}

/// A scene goes on with another copy: those of its lives before this one are not needed any more.
pub async fn forget(store: &Store, next: Incarnation) -> Result<(), store::Error> {
    let is_older = |key: &String| live_journal_of(key).is_some_and(|life| life.epoch < next.epoch);
    let keys = store.scan(&prefix_of(next.scene)).await?.into_iter().map(|(key, _)| key).filter(is_older);
    let writes: Vec<Write> = keys.map(|key| Write::Delete { key }).collect();
    if writes.is_empty() { Ok(()) } else { write(store, writes).await }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use scenehost_core::Epoch;

    use super::*;
    use crate::store::lock::DataLock;

    /// A folder with journals, and a store with their copies.
    struct Node {
        folder: tempfile::TempDir,
        copies: Copies,
    }

    impl Node {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let data = folder.path().to_owned();
            fs::create_dir(data.join("journals")).expect("it is writable");
            let store = Store::open(&data.join("store"), DataLock::take(&data).expect("it is free")).expect("it opens");
            Self { copies: Copies::new(Folder::of(&data), store).0, folder }
        }

        fn write(&self, life: Incarnation, bytes: &[u8]) {
            fs::write(self.path(life), bytes).expect("it is writable");
        }

        /// As a state takes the place of what was before.
        fn replace(&self, life: Incarnation, bytes: &[u8]) {
            let partial = self.folder.path().join("partial");
            fs::write(&partial, bytes).expect("it is writable");
            fs::rename(partial, self.path(life)).expect("it is writable");
        }

        fn path(&self, life: Incarnation) -> std::path::PathBuf {
            self.copies.folder.live(life)
        }

        async fn copy(&mut self) {
            loop {
                let round = self.copies.look().expect("it can be read");
                write(&self.copies.store, round.writes).await.expect("it can be written");
                self.copies.meet(round.unknown).await.expect("it can be read");
                if round.is_whole {
                    return;
                }
            }
        }

        async fn found(&self, next: Incarnation) -> Option<(Incarnation, Vec<u8>)> {
            get(&self.copies.store, next).await.expect("it can be read")
        }
    }

    fn life(epoch: u64) -> Incarnation {
        Incarnation { scene: SceneId(7), epoch: Epoch(epoch) }
    }

    #[tokio::test]
    async fn what_is_added_is_added_to_the_copy_and_what_begins_anew_takes_its_place() {
        let mut node = Node::new();
        node.copy().await;
        assert_eq!(node.found(life(9)).await, None);
        node.write(life(1), b"begin");
        node.copy().await;
        node.write(life(1), b"begin and go on");
        node.copy().await;
        assert_eq!(node.found(life(2)).await, Some((life(1), b"begin and go on".to_vec())));
        assert_eq!(node.found(life(1)).await, None, "that is the life itself");
        node.replace(life(1), b"a state");
        node.copy().await;
        assert_eq!(node.found(life(2)).await, Some((life(1), b"a state".to_vec())));
    }

    #[tokio::test]
    async fn a_journal_that_is_over_has_no_copy_and_the_latest_life_counts() {
        let mut node = Node::new();
        node.write(life(1), b"one");
        node.write(life(3), b"three");
        node.copy().await;
        assert_eq!(node.found(life(4)).await, Some((life(3), b"three".to_vec())));
        forget(&node.copies.store, life(3)).await.expect("it can be written");
        assert_eq!(node.found(life(3)).await, None);
        fs::remove_file(node.path(life(3))).expect("it is there");
        node.copy().await;
        assert_eq!(node.found(life(4)).await, None);
    }

    #[tokio::test]
    async fn a_journal_that_a_process_before_has_copied_is_copied_anew_in_its_place() {
        let mut node = Node::new();
        node.write(life(1), b"begin");
        node.copy().await;
        node.write(life(1), b"begin and go on");
        node.copy().await;
        // The process is killed and started again, with its files.
        node.copies.copied.clear();
        node.copy().await;
        assert_eq!(node.found(life(2)).await, Some((life(1), b"begin and go on".to_vec())));
        fs::remove_file(node.path(life(1))).expect("it is there");
        node.copy().await;
        assert_eq!(node.found(life(2)).await, None, "nothing of it is left");
    }

    #[tokio::test]
    async fn a_scene_that_is_let_go_leaves_its_copy_and_no_file() {
        let mut node = Node::new();
        node.write(life(1), b"one");
        node.copy().await;
        node.copies.hand_over(life(1));
        node.copy().await;
        assert!(!node.path(life(1)).exists());
        assert_eq!(node.found(life(2)).await, Some((life(1), b"one".to_vec())));
    }

    #[tokio::test]
    async fn a_journal_larger_than_a_record_is_copied_whole() {
        let mut node = Node::new();
        let bytes: Vec<u8> = (0..RECORD_BYTES_MAX * 2 + 5).map(|number| number as u8).collect();
        node.write(life(1), &bytes);
        node.copy().await;
        assert_eq!(node.found(life(2)).await, Some((life(1), bytes)));
    }
}
