//! What scenes leave in the store that nodes share when they end with their node, which can tidy up after none of them:
//! copies of their journals, and which saves they have made.
//!
//! Invariant: nothing is removed of a scene that has a record, nor of one that had it a round ago: a scene's record is there
//! before anything else of it, and what is under way when it ends is over long before the next round.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use scenehost_core::record::{LIVE_JOURNAL_PREFIX, live_journal_of, scene_key};
use scenehost_core::save::{self, SAVED_PREFIX};
use scenehost_core::{Incarnation, Write, db};

use crate::bus::Bus;
use crate::store::{self, Store};

/// How often it is looked for something.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// How many keys are read at once.
const KEYS_MAX: usize = 1_000;
/// How many records are removed at once: they are large, and others write meanwhile.
const REMOVED_MAX: usize = 64;
/// Of how many lives something is removed in a round; the others follow in the next.
const LIVES_MAX: usize = 1_000;
/// Behind all keys that begin with a prefix and go on in ASCII.
const LAST: char = '\u{7f}';

/// Tidies up for as long as it is run; one node does. The store's handle is its own, so that nobody's commits wait for these.
pub async fn tidy(store: Store, bus: Bus) -> Infallible {
    let mut had_none = Orphans::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match round(&store, &had_none).await {
            Ok((without_record, removed)) => {
                for life in &removed.saves {
                    let request = Box::new(db::Request::Save(save::Request::Ended(*life)));
                    bus.send(db::Event::Req { caller: db::Caller::Host, asker: db::Asker::Nobody, request }.into());
                }
                if !removed.journals.is_empty() || !removed.saves.is_empty() {
                    let (journals, saves) = (removed.journals.len(), removed.saves.len());
                    tracing::info!(journals, saves, "what scenes have left that ended with their nodes goes");
                }
                had_none = without_record;
            }
            Err(error) => tracing::warn!(%error, "what scenes have left that ended with their nodes stays for now"),
        }
    }
}

/// Lives of scenes that have no record.
#[derive(Debug, Default, PartialEq, Eq)]
struct Orphans {
    /// Those with copies of journals.
    journals: BTreeSet<Incarnation>,
    /// Those with saves.
    saves: BTreeSet<Incarnation>,
}

/// Finds the orphans, and removes the journals of those that were so a round ago. Also gives those, whose saves Db is to
/// forget.
async fn round(store: &Store, before: &Orphans) -> Result<(Orphans, Orphans), store::Error> {
    let now = Orphans {
        journals: without_record(store, LIVE_JOURNAL_PREFIX, live_journal_of).await?,
        saves: without_record(store, SAVED_PREFIX, save::saved_scene).await?,
    };
    let both = |now: &BTreeSet<Incarnation>, before: &BTreeSet<Incarnation>| {
        now.intersection(before).copied().take(LIVES_MAX).collect()
    };
    let removed = Orphans { journals: both(&now.journals, &before.journals), saves: both(&now.saves, &before.saves) };
    for life in &removed.journals {
        remove(store, &format!("{LIVE_JOURNAL_PREFIX}{life}/")).await?;
    }
    Ok((now, removed))
}

/// The lives that keys of this prefix name whose scenes have no record.
async fn without_record(
    store: &Store,
    prefix: &str,
    life_of: impl Fn(&str) -> Option<Incarnation>,
) -> Result<BTreeSet<Incarnation>, store::Error> {
    let (mut from, to) = (prefix.to_owned(), format!("{prefix}{LAST}"));
    let mut found = BTreeSet::new();
    loop {
        let keys = store.keys(&from, &to, KEYS_MAX).await?;
        let Some(last) = keys.last() else { return Ok(found) };
        // The other parts of the last one are passed over.
        from = match life_of(last) {
            Some(life) => format!("{prefix}{life}{LAST}"),
            None => format!("{last}\0"),
        };
        let mut lives: Vec<Incarnation> = keys.iter().filter_map(|key| life_of(key)).collect();
        lives.dedup();
        let records: Vec<String> = lives.iter().map(|life| scene_key(life.scene)).collect();
        let records = store.get_all(&records).await?;
        found.extend(lives.into_iter().zip(records).filter(|(_, record)| record.is_none()).map(|(life, _)| life));
    }
}

async fn remove(store: &Store, prefix: &str) -> Result<(), store::Error> {
    loop {
        let keys = store.keys(prefix, &format!("{prefix}{LAST}"), REMOVED_MAX).await?;
        if keys.is_empty() {
            return Ok(());
        }
        let writes = keys.into_iter().map(|key| Write::Delete { key }).collect();
        store.begin(writes).await?.synced().await?;
    }
}

#[cfg(test)]
mod tests {
    use scenehost_core::{Epoch, SceneId};

    use super::*;
    use crate::store::lock::DataLock;

    fn life(scene: u64, epoch: u64) -> Incarnation {
        Incarnation { scene: SceneId(scene), epoch: Epoch(epoch) }
    }

    fn journal(life: Incarnation, part: u64) -> String {
        format!("{LIVE_JOURNAL_PREFIX}{life}/{part:016x}")
    }

    fn saved(life: Incarnation) -> String {
        format!("{SAVED_PREFIX}{life}")
    }

    async fn write(store: &Store, keys: impl IntoIterator<Item = String>) {
        let put = |key| Write::Put { key, value: b"any".to_vec() };
        let mut commit = store.begin(keys.into_iter().map(put).collect()).await.expect("it is open");
        commit.synced().await.expect("it can be written");
    }

    #[tokio::test]
    async fn what_has_had_no_record_for_a_round_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lock = DataLock::take(folder.path()).expect("it is free");
        let store = Store::open(&folder.path().join("store"), lock).expect("it opens");
        let (gone, lives, ending) = (life(1, 2), life(2, 1), life(3, 1));
        // More than is read at once.
        write(&store, (0..KEYS_MAX as u64 + 5).map(|part| journal(gone, part))).await;
        write(&store, [journal(lives, 0), journal(ending, 0), saved(gone), saved(lives), saved(ending)]).await;
        write(&store, [lives, ending].map(|life| scene_key(life.scene))).await;

        let (first, removed) = round(&store, &Orphans::default()).await.expect("it can be read");
        assert_eq!(removed, Orphans::default(), "one round is not enough");
        let ends = vec![Write::Delete { key: scene_key(ending.scene) }];
        store.begin(ends).await.expect("it is open").synced().await.expect("it can be written");

        let (second, removed) = round(&store, &first).await.expect("it can be read");
        assert_eq!(removed, Orphans { journals: [gone].into(), saves: [gone].into() });
        assert_eq!(second.journals, [gone, ending].into());
        let to = format!("{LIVE_JOURNAL_PREFIX}{LAST}");
        let left = store.keys(LIVE_JOURNAL_PREFIX, &to, 10).await.expect("it can be read");
        assert_eq!(left, [journal(lives, 0), journal(ending, 0)]);

        let (_, removed) = round(&store, &second).await.expect("it can be read");
        assert_eq!(removed.journals, [ending].into());
    }
}
