//! Whether what is stored fits together: every record can be read, and what names another finds it.
//!
//! Invariant: nothing is changed here, and no record, however damaged, ends the check.

mod economy;
mod guild;
mod party;
mod results;

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use crate::auth::account::Account;
use crate::auth::identity::IdentityRecord;
use crate::chat;
use crate::economy::wallet::Sold;
use crate::friends::{self, Friends};
use crate::ids::{AllocationId, NodeId, SceneId, UserId};
use crate::inbox::{self, Inbox};
use crate::profile::Profile;
use crate::record::{
    self, DRAIN_PREFIX, DrainRecord, EXPIRY_PREFIX, FINISHED_PREFIX, SCENE_PREFIX, SceneRecord, UserRecord,
    live_journal_of,
};
use crate::results::Finished;
use crate::save::{self, Saved};
use crate::storage::{self, Shelf, Shelves};

/// How many problems are told one by one; more are counted.
pub const PROBLEMS_TOLD_MAX: usize = 100;

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many records there are of each kind.
    pub records: BTreeMap<String, u64>,
    /// The first problems, each with its key and what to do.
    pub problems: Vec<String>,
    /// How many there are in all.
    pub problems_count: u64,
}

/// Looks at all records; `get` reads one.
///
/// # Errors
/// What reading says, if the store itself cannot be read.
pub fn check<E>(
    records: impl Iterator<Item = Result<(String, Vec<u8>), E>>,
    get: impl Fn(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Report, E> {
    let mut check = Check { get, report: Report::default() };
    for record in records {
        let (key, value) = record?;
        check.record(&key, &value)?;
    }
    Ok(check.report)
}

struct Check<G> {
    get: G,
    report: Report,
}

impl<E, G: Fn(&str) -> Result<Option<Vec<u8>>, E>> Check<G> {
    fn record(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let kind = key.split('/').next().unwrap_or_default();
        *self.report.records.entry(kind.to_owned()).or_default() += 1;
        match kind {
            "account" => self.account(key, value),
            "user" => self.user(key, value),
            "identity" => self.identity(key, value),
            "expiry" => {
                // One whose account is gone is taken away by the next sweep.
                if record::expiry_user(key).is_none() || !key.starts_with(EXPIRY_PREFIX) {
                    self.problem(key, "names no account: delete it");
                }
                Ok(())
            }
            "scene" => {
                self.readable::<SceneRecord>(key, value);
                if id_of::<SceneId>(key, SCENE_PREFIX).is_none() {
                    self.problem(key, "is no scene's: delete it");
                }
                Ok(())
            }
            "drain" => {
                self.readable::<DrainRecord>(key, value);
                if id_of::<NodeId>(key, DRAIN_PREFIX).is_none() {
                    self.problem(key, "is no node's: delete it");
                }
                Ok(())
            }
            "fleet" | "domain" | "plugin" => {
                self.readable::<serde_json::Map<String, serde_json::Value>>(key, value);
                Ok(())
            }
            "finished" => {
                self.readable::<Finished>(key, value);
                if id_of::<AllocationId>(key, FINISHED_PREFIX).is_none() {
                    self.problem(key, "is no game's: delete it");
                }
                Ok(())
            }
            "forget" | "forgotten" => Ok(()), // Db does it, at the latest after the next start.
            "shelves" => self.shelves(key, value),
            "profile" => {
                self.readable::<Profile>(key, value);
                if id_of::<UserId>(key, "profile/").is_none() {
                    self.problem(key, "is no user's: delete it");
                }
                Ok(())
            }
            "shelf" => self.shelf(key, value),
            "storage" => self.stored(key, value),
            "chat" => self.chat(key, value),
            "talks" => self.talks(key, value),
            "reports" => {
                let Some(open) = self.readable::<chat::Open>(key, value) else { return Ok(()) };
                for report_key in open.reports.into_keys().map(chat::report_key) {
                    if (self.get)(&report_key)?.is_none() {
                        self.problem(key, &format!("lists {report_key}, which is not there: restore a backup"));
                    }
                }
                Ok(())
            }
            "report" => {
                self.readable::<chat::Report>(key, value);
                let open: Option<chat::Open> = self.other(chat::OPEN_KEY)?;
                let open = open.unwrap_or_default();
                if !open.reports.into_keys().any(|number| chat::report_key(number) == key) {
                    self.problem(key, "is not listed in reports: delete it");
                }
                Ok(())
            }
            "muted" => {
                self.readable::<chat::Muted>(key, value);
                if id_of::<UserId>(key, "muted/").is_none() {
                    self.problem(key, "is no user's: delete it");
                }
                Ok(())
            }
            "friends" => self.friends(key, value),
            "inbox" => {
                self.inbox(key, value);
                Ok(())
            }
            "guild" => self.guild(key, value),
            "guild-of" => self.guild_of(key, value),
            "guild-name" => self.guild_name(key, value),
            "guild-data" => self.guild_data(key, value),
            "party" => self.party(key, value),
            "party-of" => self.party_of(key, value),
            "party-code" => self.party_code(key, value),
            "rating" => self.rating(key, value),
            "history" => self.history(key, value),
            "result" => self.result(key, value),
            "board" => self.board(key, value),
            "wallet" => self.wallet(key, value),
            "ledger" => self.entry(key, value),
            "request" => self.request(key, value),
            "saved" => {
                self.readable::<Saved>(key, value);
                if save::saved_scene(key).is_none() {
                    self.problem(key, "is no scene's: delete it");
                }
                Ok(())
            }
            // Its bytes are the host's matter; one that is not needed any more is removed with the game's end.
            "live-journal" => {
                if live_journal_of(key).is_none() {
                    self.problem(key, "is no game's: delete it");
                }
                Ok(())
            }
            "offer" => {
                self.readable::<Sold>(key, value);
                Ok(())
            }
            _ => {
                self.problem(
                    key,
                    "is of a kind that this version does not know: a newer one wrote it, or it is damaged",
                );
                Ok(())
            }
        }
    }

    fn account(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(account) = self.readable::<Account>(key, value) else { return Ok(()) };
        let Some(user) = id_of::<UserId>(key, "account/") else {
            self.problem(key, "is no account's: delete it");
            return Ok(());
        };
        if (self.get)(&record::user_key(user))?.is_none() {
            self.problem(key, "has no user record: restore a backup, or delete the account");
        }
        if account.identities.is_empty() {
            self.problem(key, "has no identity, so nobody can sign in to it: restore a backup, or delete the account");
        }
        for linked in &account.identities {
            let identity_key = linked.key.record_key();
            let leads_here = (self.get)(&identity_key)?
                .and_then(|value| record::decode::<IdentityRecord>(&identity_key, &value).ok())
                .is_some_and(|identity| identity.user == user);
            if !leads_here {
                self.problem(key, &format!("lists {identity_key}, which does not lead to it: restore a backup"));
            }
        }
        if let Some(hour) = account.sweep_hour
            && (self.get)(&record::expiry_key(hour, user))?.is_none()
        {
            self.problem(
                key,
                "is not in the index of expiry: its sessions end in time, but stay stored until its next use",
            );
        }
        Ok(())
    }

    fn user(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        self.readable::<UserRecord>(key, value);
        let Some(user) = id_of::<UserId>(key, "user/") else {
            self.problem(key, "is no user's: delete it");
            return Ok(());
        };
        if (self.get)(&record::account_key(user))?.is_none() {
            self.problem(key, "has no account: restore a backup, or delete it");
        }
        Ok(())
    }

    fn identity(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(identity) = self.readable::<IdentityRecord>(key, value) else { return Ok(()) };
        let account_key = record::account_key(identity.user);
        let account = (self.get)(&account_key)?.and_then(|value| record::decode::<Account>(&account_key, &value).ok());
        if !account.is_some_and(|account| account.identities.iter().any(|linked| linked.key.record_key() == key)) {
            self.problem(
                key,
                &format!("leads to {account_key}, which does not list it: restore a backup, or delete it"),
            );
        }
        Ok(())
    }

    fn shelves(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(shelves) = self.readable::<Shelves>(key, value) else { return Ok(()) };
        let user = key.trim_start_matches("shelves/");
        for game in shelves.games {
            let shelf_key = format!("shelf/{game}/{user}");
            if (self.get)(&shelf_key)?.is_none() {
                self.problem(key, &format!("names {shelf_key}, which is not there: restore a backup"));
            }
        }
        Ok(())
    }

    fn shelf(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(shelf) = self.readable::<Shelf>(key, value) else { return Ok(()) };
        let place = key.trim_start_matches("shelf/");
        if let Some((game, user)) = place.rsplit_once('/').filter(|(_, owner)| *owner != "game") {
            let list_key = format!("shelves/{user}");
            let list = (self.get)(&list_key)?.and_then(|value| record::decode::<Shelves>(&list_key, &value).ok());
            if !list.is_some_and(|list| list.games.contains(&game.into())) {
                self.problem(key, &format!("is not named in {list_key}: restore a backup"));
            }
        }
        for name in shelf.keys {
            let record_key = format!("storage/{place}/{name}");
            if (self.get)(&record_key)?.is_none() {
                self.problem(key, &format!("lists {record_key}, which is not there: restore a backup"));
            }
        }
        Ok(())
    }

    fn stored(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        self.readable::<storage::Record>(key, value);
        let mut parts = key.splitn(4, '/').skip(1);
        let (Some(game), Some(owner), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            self.problem(key, "is no record's: delete it");
            return Ok(());
        };
        let shelf_key = format!("shelf/{game}/{owner}");
        let shelf = (self.get)(&shelf_key)?.and_then(|value| record::decode::<Shelf>(&shelf_key, &value).ok());
        if !shelf.is_some_and(|shelf| shelf.keys.contains(name)) {
            self.problem(key, &format!("is not listed in {shelf_key}: restore a backup"));
        }
        Ok(())
    }

    fn chat(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let mut parts = key.splitn(4, '/').skip(1);
        let (Some(kind), Some(channel), slot) = (parts.next(), parts.next(), parts.next()) else {
            self.problem(key, "is no channel's: delete it");
            return Ok(());
        };
        if slot.is_none() {
            self.readable::<chat::Head>(key, value);
            return Ok(());
        }
        let Some(message) = self.readable::<chat::ChatMessage>(key, value) else { return Ok(()) };
        let head_key = format!("chat/{kind}/{channel}");
        let head: Option<chat::Head> = self.other(&head_key)?;
        if head.is_none_or(|head| head.count < message.id) {
            self.problem(key, &format!("is beyond what {head_key} counts: restore a backup"));
        }
        Ok(())
    }

    fn talks(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(talks) = self.readable::<chat::Talks>(key, value) else { return Ok(()) };
        let Some(user) = id_of::<UserId>(key, "talks/") else {
            self.problem(key, "is no user's: delete it");
            return Ok(());
        };
        for other in talks.with.into_keys() {
            let (other_key, head_key) = (chat::talks_key(other), chat::direct_key(user, other));
            let back: Option<chat::Talks> = self.other(&other_key)?;
            let head: Option<chat::Head> = self.other(&head_key)?;
            if head.is_none() || back.is_none_or(|back| !back.with.contains_key(&user)) {
                self.problem(
                    key,
                    &format!("names {other}, but {head_key} or {other_key} does not fit: restore a backup"),
                );
            }
        }
        Ok(())
    }

    fn friends(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(own) = self.readable::<Friends>(key, value) else { return Ok(()) };
        let Some(user) = id_of::<UserId>(key, "friends/") else {
            self.problem(key, "is no user's: delete it");
            return Ok(());
        };
        let others: BTreeSet<UserId> =
            [&own.friends, &own.requests_in, &own.requests_out].into_iter().flat_map(BTreeMap::keys).copied().collect();
        for other in others {
            let other_key = friends::key(other);
            let theirs = (self.get)(&other_key)?.and_then(|value| record::decode::<Friends>(&other_key, &value).ok());
            let theirs = theirs.unwrap_or_default();
            if own.friends.contains_key(&other) != theirs.friends.contains_key(&user) {
                self.problem(key, &format!("and {other_key} disagree about a friendship: restore a backup"));
            }
            let asked_without_trace = own.requests_out.contains_key(&other)
                && !theirs.requests_in.contains_key(&user)
                && !theirs.blocked.contains_key(&user);
            if asked_without_trace || own.requests_in.contains_key(&other) && !theirs.requests_out.contains_key(&user) {
                self.problem(key, &format!("and {other_key} disagree about a request: restore a backup"));
            }
            let counts = own.friends.contains_key(&other) || own.requests_in.contains_key(&other);
            if counts && own.blocked.contains_key(&other) {
                self.problem(key, &format!("has {other} blocked and not blocked: restore a backup"));
            }
        }
        Ok(())
    }

    fn inbox(&mut self, key: &str, value: &[u8]) {
        let Some(inbox) = self.readable::<Inbox>(key, value) else { return };
        if id_of::<UserId>(key, "inbox/").is_none() {
            self.problem(key, "is no user's: delete it");
        }
        let newest = inbox.posted.keys().next_back().copied().unwrap_or_default();
        if newest > inbox.last_id || inbox.posted.len() > inbox::NOTIFICATIONS_MAX {
            self.problem(key, "has notifications that cannot be: restore a backup, or delete it");
        }
    }

    /// Another record, if it is there and can be read.
    fn other<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, E> {
        Ok((self.get)(key)?.and_then(|value| record::decode(key, &value).ok()))
    }

    fn readable<T: DeserializeOwned>(&mut self, key: &str, value: &[u8]) -> Option<T> {
        match record::decode(key, value) {
            Ok(record) => Some(record),
            Err(unreadable) => {
                self.problem(key, &format!("cannot be read ({}): restore a backup, or delete it", unreadable.cause));
                None
            }
        }
    }

    fn problem(&mut self, key: &str, what: &str) {
        self.report.problems_count += 1;
        if self.report.problems.len() < PROBLEMS_TOLD_MAX {
            self.report.problems.push(format!("{key} {what}"));
        }
    }
}

fn id_of<T: std::str::FromStr>(key: &str, prefix: &str) -> Option<T> {
    key.strip_prefix(prefix)?.parse().ok()
}
