//! Stored records: what games keep for a user, or for themselves, from one scene to the next.
//!
//! A record belongs to a game and, in it, to a user or to the game itself. It says who may read it, and whether its
//! user may write it; scenes of the game and operators may do both always. A write can depend on the version that its
//! writer has seen, so two writers never undo each other's work without knowing.
//!
//! Invariant: the writes of one request are made together or not at all.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::db::account::PART_LEN;
use crate::db::{Answer as DbAnswer, Caller, News as DbNews, Stop, Transaction};
use crate::ids::{GameName, Time, UserId};
use crate::profile;
use crate::refusal::Refusal;

/// The longest key, in bytes, as the contract says.
pub const KEY_BYTES_MAX: usize = 128;
/// The most keys that are read, or writes that are made, at once.
pub const AT_ONCE_MAX: usize = 32;
/// The most bytes that one answer has, values and keys together; who wants more asks again.
pub const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// Limits, from the operators' configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The largest value, in bytes.
    pub value_bytes: usize,
    /// How many records a user may have in one game.
    pub per_user: usize,
    /// How many records a game may have of its own.
    pub per_game: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { value_bytes: 16 * 1_024, per_user: 100, per_game: 1_000 }
    }
}

impl Limits {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        if self.value_bytes == 0 || self.value_bytes > 32 * 1_024 {
            return Err("value_bytes needs 1 to 32768: a record has to fit into one frame".to_owned());
        }
        if self.per_user > 1_000 || self.per_game > 10_000 {
            return Err("per_user may be at most 1000, per_game at most 10000".to_owned());
        }
        Ok(())
    }
}

/// To whom a record belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Owner {
    /// A user, in this game.
    User(UserId),
    /// The game.
    Game,
}

/// The same, as it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// The user who asks.
    Own,
    /// This one.
    Of(Owner),
}

impl Whose {
    fn owner(self, caller: &Caller) -> Result<Owner, Refusal> {
        match (self, caller) {
            (Self::Of(owner), _) => Ok(owner),
            (Self::Own, Caller::User(user)) => Ok(Owner::User(*user)),
            (Self::Own, _) => Err(Refusal::Invalid("say whose records are meant".to_owned())),
        }
    }
}

/// Who may read a record, besides its game and operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readers {
    /// Its user.
    #[default]
    Owner,
    /// Everybody.
    All,
    /// Nobody else.
    Game,
}

/// Who may write a record, besides its game and operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Writers {
    /// Its user.
    #[default]
    Owner,
    /// Nobody else.
    Game,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The value, in a format of the game's own.
    #[serde(with = "crate::record::base64")]
    pub value: Vec<u8>,
    /// Grows with every write, also over a deletion; never 0.
    pub version: u64,
    /// Who may read it.
    pub readers: Readers,
    /// Who may write it.
    pub writers: Writers,
    /// When it was written.
    pub written: Time,
}

/// One change of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose.
    pub whose: Whose,
    /// Which.
    pub key: String,
    /// The new value; `None`: the record is removed.
    pub value: Option<Vec<u8>>,
    /// Who may read it; `None`: as before.
    pub readers: Option<Readers>,
    /// Who may write it; `None`: as before.
    pub writers: Option<Writers>,
    /// Only if the record has this version; 0: only if there is none.
    pub if_version: Option<u64>,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The records with these keys.
    Read {
        /// Of which game.
        game: GameName,
        /// Whose.
        whose: Whose,
        /// Which.
        keys: Vec<String>,
    },
    /// The keys there are, in their order.
    List {
        /// Of which game.
        game: GameName,
        /// Whose.
        whose: Whose,
        /// After this one; empty: from the first.
        after: String,
    },
    /// Changes, made together or not at all.
    Write {
        /// Of which game.
        game: GameName,
        /// What changes.
        changes: Vec<Change>,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The records that there are and that may be read.
    Records(Vec<(String, Record)>),
    /// Keys, and whether there are more.
    Keys(Vec<String>, bool),
    /// The versions after the changes, in their order; 0 for what was removed.
    Written(Vec<u64>),
}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Records(records) => {
                records.iter().map(|(key, record)| size_of::<Record>() + key.len() + record.value.len()).sum()
            }
            Self::Keys(keys, _) => keys.iter().map(|key| size_of::<String>() + key.len()).sum(),
            Self::Written(versions) => size_of_val(&versions[..]),
        }
    }
}

/// The game, or an operator, has changed records of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Of which game.
    pub game: GameName,
    /// Which.
    pub keys: Vec<String>,
}

/// The keys of one owner's records in a game.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Shelf {
    pub keys: BTreeSet<String>,
    /// The highest version of what was removed.
    #[serde(default)]
    pub last_removed: u64,
}

/// The games in which a user has records.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Shelves {
    pub games: BTreeSet<GameName>,
}

fn shelves_key(user: UserId) -> String {
    format!("shelves/{user}")
}

fn place(game: &GameName, owner: Owner) -> String {
    match owner {
        Owner::User(user) => format!("{game}/{user}"),
        Owner::Game => format!("{game}/game"),
    }
}

fn shelf_key(game: &GameName, owner: Owner) -> String {
    format!("shelf/{}", place(game, owner))
}

fn record_key(game: &GameName, owner: Owner, key: &str) -> String {
    format!("storage/{}/{key}", place(game, owner))
}

/// Reads, lists or writes records.
///
/// # Errors
/// Names, values and numbers that are beyond the limits; what the caller may not do; a record whose version is not
/// the one that the change depends on ([`Refusal::Conflict`]).
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let answer = match request {
        Request::Read { game, whose, keys } => read(caller, game, whose.owner(caller)?, keys, tx)?,
        Request::List { game, whose, after } => list(caller, game, whose.owner(caller)?, after, tx)?,
        Request::Write { game, changes } => write(caller, game, changes, tx)?,
    };
    Ok(DbAnswer::Storage(answer))
}

/// A user's records by game and key, for the user's export.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let shelves = shelves(user, tx)?;
    let of = |(game, shelf): &(GameName, Shelf)| {
        shelf.keys.iter().map(|key| record_key(game, Owner::User(user), key)).collect::<Vec<_>>()
    };
    tx.want(shelves.iter().flat_map(of))?;
    let mut games = Map::new();
    for (game, shelf) in shelves {
        let mut records = Map::new();
        for key in shelf.keys {
            let record: Option<Record> = tx.get(&record_key(&game, Owner::User(user), &key))?;
            records.insert(key, json!(record));
        }
        games.insert(game.to_string(), Value::Object(records));
    }
    Ok(Value::Object(games))
}

/// Removes some records of a user whose account is deleted. False if there was nothing left.
pub(crate) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<bool, Stop> {
    let Some(mut shelves) = tx.get::<Shelves>(&shelves_key(user))? else { return Ok(false) };
    let Some(game) = shelves.games.first().cloned() else {
        tx.delete(shelves_key(user));
        return Ok(true);
    };
    let shelf_key = shelf_key(&game, Owner::User(user));
    let mut shelf: Shelf = tx.get_or_default(&shelf_key)?;
    for _ in 0..PART_LEN {
        let Some(key) = shelf.keys.pop_first() else { break };
        tx.delete(record_key(&game, Owner::User(user), &key));
    }
    if !shelf.keys.is_empty() {
        tx.put(shelf_key, &shelf);
        return Ok(true);
    }
    tx.delete(shelf_key);
    shelves.games.remove(&game);
    tx.put(shelves_key(user), &shelves);
    Ok(true)
}

/// All shelves of a user, also of games that are configured no more.
fn shelves(user: UserId, tx: &mut Transaction<'_>) -> Result<Vec<(GameName, Shelf)>, Stop> {
    let shelves: Shelves = tx.get_or_default(&shelves_key(user))?;
    tx.want(shelves.games.iter().map(|game| shelf_key(game, Owner::User(user))))?;
    let mut all = Vec::new();
    for game in shelves.games {
        let shelf = tx.get_or_default(&shelf_key(&game, Owner::User(user)))?;
        all.push((game, shelf));
    }
    Ok(all)
}

fn check_game(game: &GameName, tx: &Transaction<'_>) -> Result<(), Refusal> {
    match tx.rules.games.contains(game) {
        true => Ok(()),
        false => Err(Refusal::NotFound(format!("game named {:?}", shortened(game.as_str())))),
    }
}

fn check_key(key: &str) -> Result<(), Refusal> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        let text = format!("a key has 1 to {KEY_BYTES_MAX} bytes and no control characters");
        return Err(Refusal::Invalid(text));
    }
    Ok(())
}

/// A name as it may be repeated to whoever said it.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

fn read(
    caller: &Caller,
    game: &GameName,
    owner: Owner,
    keys: &[String],
    tx: &mut Transaction<'_>,
) -> Result<Answer, Stop> {
    check_game(game, tx)?;
    if keys.is_empty() || keys.len() > AT_ONCE_MAX {
        return Err(Refusal::Invalid(format!("read 1 to {AT_ONCE_MAX} keys at once")).into());
    }
    keys.iter().try_for_each(|key| check_key(key))?;
    tx.want(keys.iter().map(|key| record_key(game, owner, key)))?;
    if let (Caller::User(reader), Owner::User(user)) = (caller, owner)
        && *reader != user
        && !tx.has(&profile::key(user))?
    {
        return Ok(Answer::Records(Vec::new())); // Of who is gone nothing is shown, even if it is still there.
    }
    let mut found = Vec::new();
    let mut bytes = 0;
    for key in keys {
        let Some(record) = tx.get::<Record>(&record_key(game, owner, key))? else { continue };
        if !may_read(caller, owner, record.readers) {
            continue; // As if it was not there: its being there is not told either.
        }
        bytes += key.len() + record.value.len();
        if bytes > ANSWER_BYTES_MAX && !found.is_empty() {
            return Err(Refusal::Invalid("these records are too large for one answer: ask for fewer".to_owned()).into());
        }
        found.push((key.clone(), record));
    }
    Ok(Answer::Records(found))
}

fn list(caller: &Caller, game: &GameName, owner: Owner, after: &str, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    check_game(game, tx)?;
    match (caller, owner) {
        (Caller::User(user), Owner::User(owner)) if *user == owner => {}
        (Caller::User(_), _) => return Err(Refusal::Forbidden("you can list your own records only".into()).into()),
        _ => {}
    }
    let shelf: Shelf = tx.get_or_default(&shelf_key(game, owner))?;
    let mut rest = shelf.keys.range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
    let keys = rest.by_ref().take(AT_ONCE_MAX).cloned().collect();
    Ok(Answer::Keys(keys, rest.next().is_some()))
}

fn may_read(caller: &Caller, owner: Owner, readers: Readers) -> bool {
    match (caller, readers) {
        (Caller::User(_), Readers::All) => true,
        (Caller::User(user), Readers::Owner) => owner == Owner::User(*user),
        (Caller::User(_), Readers::Game) => false,
        _ => true,
    }
}

fn may_write(caller: &Caller, owner: Owner, writers: Writers) -> bool {
    match caller {
        Caller::User(user) => writers == Writers::Owner && owner == Owner::User(*user),
        _ => true,
    }
}

fn write(caller: &Caller, game: &GameName, changes: &[Change], tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    check_game(game, tx)?;
    if changes.is_empty() || changes.len() > AT_ONCE_MAX {
        return Err(Refusal::Invalid(format!("make 1 to {AT_ONCE_MAX} changes at once")).into());
    }
    let limits = &tx.rules.storage;
    for change in changes {
        check_key(&change.key)?;
        if change.value.as_ref().is_some_and(|value| value.len() > limits.value_bytes) {
            return Err(Refusal::Invalid(format!("a value has at most {} bytes", limits.value_bytes)).into());
        }
    }
    let owners = changes.iter().map(|change| change.whose.owner(caller)).collect::<Result<Vec<_>, _>>()?;
    let changes: Vec<(Owner, &Change)> = owners.into_iter().zip(changes).collect();
    tx.want(
        changes.iter().flat_map(|(owner, change)| [record_key(game, *owner, &change.key), shelf_key(game, *owner)]),
    )?;
    let mut versions = Vec::new();
    for (owner, change) in &changes {
        versions.push(apply(caller, game, *owner, change, tx)?);
    }
    tell_owners(caller, game, &changes, tx);
    Ok(Answer::Written(versions))
}

/// Makes one change, and tells the record's version after it.
fn apply(
    caller: &Caller,
    game: &GameName,
    owner: Owner,
    change: &Change,
    tx: &mut Transaction<'_>,
) -> Result<u64, Stop> {
    if let Owner::User(user) = owner
        && !tx.has(&profile::key(user))?
    {
        return Err(Refusal::NotFound(format!("user {user} who has been in the lobby")).into());
    }
    let key = record_key(game, owner, &change.key);
    let known: Option<Record> = tx.get(&key)?;
    let writers = known.as_ref().map_or_else(Writers::default, |known| known.writers);
    if !may_write(caller, owner, writers) {
        return Err(Refusal::Forbidden("this record is not yours to write".into()).into());
    }
    let version = known.as_ref().map_or(0, |known| known.version);
    if change.if_version.is_some_and(|expected| expected != version) {
        return Err(Refusal::Conflict("the record has changed since you read it: read it again".into()).into());
    }
    let Some(value) = &change.value else {
        if known.is_some() {
            tx.delete(key);
            take_off(game, owner, &change.key, version, tx)?;
        }
        return Ok(0);
    };
    // A record that was removed and is made again never has an old version, whatever the clock says.
    let last = if known.is_some() { version } else { shelve(game, owner, &change.key, tx)? };
    let version = tx.now.0.max(last + 1);
    let record = Record {
        value: value.clone(),
        version,
        readers: change.readers.or(known.as_ref().map(|known| known.readers)).unwrap_or_default(),
        writers: change.writers.unwrap_or(writers),
        written: tx.now,
    };
    tx.put(key, &record);
    Ok(version)
}

/// Puts a key on its owner's shelf. Tells the highest version that anything removed from it had.
fn shelve(game: &GameName, owner: Owner, key: &str, tx: &mut Transaction<'_>) -> Result<u64, Stop> {
    let max = match owner {
        Owner::User(_) => tx.rules.storage.per_user,
        Owner::Game => tx.rules.storage.per_game,
    };
    let shelf_key = shelf_key(game, owner);
    let known: Option<Shelf> = tx.get(&shelf_key)?;
    if let (None, Owner::User(user)) = (&known, owner) {
        let mut shelves: Shelves = tx.get_or_default(&shelves_key(user))?;
        shelves.games.insert(game.clone());
        tx.put(shelves_key(user), &shelves);
    }
    let mut shelf = known.unwrap_or_default();
    if shelf.keys.len() >= max {
        return Err(Refusal::Invalid(format!("there may be at most {max} records: remove one first")).into());
    }
    shelf.keys.insert(key.to_owned());
    tx.put(shelf_key, &shelf);
    Ok(shelf.last_removed)
}

/// Takes a key, whose record had this version, off its owner's shelf. The shelf stays, for the versions to come.
fn take_off(game: &GameName, owner: Owner, key: &str, version: u64, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let shelf_key = shelf_key(game, owner);
    let mut shelf: Shelf = tx.get_or_default(&shelf_key)?;
    shelf.keys.remove(key);
    shelf.last_removed = shelf.last_removed.max(version);
    tx.put(shelf_key, &shelf);
    Ok(())
}

fn tell_owners(caller: &Caller, game: &GameName, changes: &[(Owner, &Change)], tx: &mut Transaction<'_>) {
    let owners: BTreeSet<Owner> = changes.iter().map(|(owner, _)| *owner).collect();
    for owner in owners {
        let Owner::User(user) = owner else { continue };
        if *caller == Caller::User(user) {
            continue;
        }
        let of_user = changes.iter().filter(|(of, change)| *of == owner && change.readers != Some(Readers::Game));
        let keys: Vec<String> = of_user.map(|(_, change)| change.key.clone()).collect();
        if !keys.is_empty() {
            tx.tell(user, DbNews::Storage(News { game: game.clone(), keys }));
        }
    }
}
