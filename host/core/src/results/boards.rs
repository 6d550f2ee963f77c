//! All leaderboards in memory, one ranking for each season that is kept.
//!
//! Invariant: what is here is what the records `board/<name>/<season>/<user>` say, those that are being written
//! included: both change in one step. So an entry is never read from its record again, except once, when Db begins:
//! the records are loaded page by page, and until all are there nobody can read or change a leaderboard. Of those that
//! are not configured any more only the names are here, so that who deletes the account is taken off them, too.
//!
//! Main type: [`Boards`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::board::Board;
use super::ranking::{ENTRIES_MAX, Entry, Ranking};
use crate::ids::{Time, UserId};
use crate::record;

/// Where the records begin.
pub const PREFIX: &str = "board/";
/// The first key that is beyond them.
pub const END: &str = "board0";
/// How many records are loaded at once.
pub const PAGE_LEN: usize = 4_096;
/// How many seasons of leaderboards that are not configured any more are known by name.
pub const RETIRED_MAX: usize = 1_024;
/// How many entries of old seasons are removed at once.
pub const SWEEP_LEN: usize = 500;
/// How long it takes until the next of them are.
pub const SWEEP_MS: u64 = 1_000;

/// An entry, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The points, or whatever the board counts.
    pub score: i64,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
}

/// The place of an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The leaderboard's name.
    pub board: String,
    /// The season's name.
    pub season: String,
    /// Whose.
    pub user: UserId,
}

impl Place {
    /// The key of the record.
    pub fn key(&self) -> String {
        format!("{PREFIX}{}/{}/{}", self.board, self.season, self.user)
    }

    /// The place of the entry with this key.
    pub fn of_key(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(PREFIX)?.split('/');
        let (board, season, user) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then(|| Self { board: board.to_owned(), season: season.to_owned(), user })
    }
}

/// One change, made when the record's is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub place: Place,
    /// `None`: the user is taken off.
    pub entry: Option<Stored>,
}

#[derive(Debug, Clone)]
struct Seasons {
    board: Board,
    rankings: BTreeMap<String, Ranking>,
}

/// The leaderboards.
#[derive(Debug, Clone)]
pub struct Boards {
    boards: BTreeMap<String, Seasons>,
    /// The seasons, with their leaderboards, that have entries in the store and are not configured any more.
    retired: BTreeSet<(String, String)>,
    /// Set until all records are there.
    loading: Option<Loading>,
}

#[derive(Debug, Clone, Default)]
struct Loading {
    /// The first key of the next page.
    from: String,
    entries: BTreeMap<(String, String), Vec<Entry>>,
    /// That there are more than [`RETIRED_MAX`] retired seasons was told.
    told_of_many: bool,
}

impl Boards {
    /// These leaderboards, whose entries are still to be loaded.
    pub fn new(boards: &BTreeMap<String, Board>) -> Self {
        let seasons = |board: &Board| Seasons { board: board.clone(), rankings: BTreeMap::new() };
        let loading = Loading { from: PREFIX.to_owned(), ..Loading::default() };
        Self {
            boards: boards.iter().map(|(name, board)| (name.clone(), seasons(board))).collect(),
            retired: BTreeSet::new(),
            loading: Some(loading),
        }
    }

    /// The key from which on records are still to be loaded; `None`: all are there.
    pub fn to_load(&self) -> Option<&str> {
        self.loading.as_ref().map(|loading| loading.from.as_str())
    }

    /// Takes the next records, in the order of their keys; fewer than [`PAGE_LEN`] are the last. What is not an
    /// entry is told, and left out.
    pub fn load(&mut self, records: Vec<(String, Vec<u8>)>) -> Vec<String> {
        let mut faults = Vec::new();
        let Some(loading) = &mut self.loading else { return faults };
        let is_last = records.len() < PAGE_LEN;
        if let Some((key, _)) = records.last() {
            // The next key there can be.
            loading.from = format!("{key}\0");
        }
        for (key, value) in records {
            let Some(Place { board, season, user }) = Place::of_key(&key) else {
                faults.push(format!("the key {key} is no leaderboard's"));
                continue;
            };
            // One that is not configured any more is kept for the time when it is again.
            if !self.boards.contains_key(&board) {
                let retired = (board, season);
                if self.retired.len() < RETIRED_MAX {
                    self.retired.insert(retired);
                } else if !self.retired.contains(&retired) && !std::mem::replace(&mut loading.told_of_many, true) {
                    faults.push(format!(
                        "more than {RETIRED_MAX} seasons of leaderboards that are not configured have entries, first \
                         {key}: such stay when their users delete their accounts"
                    ));
                }
                continue;
            }
            match record::decode::<Stored>(&key, &value) {
                Ok(Stored { score, since }) => {
                    loading.entries.entry((board, season)).or_default().push(Entry { user, score, since });
                }
                Err(unreadable) => faults.push(unreadable.to_string()),
            }
        }
        if is_last {
            let loaded = self.loading.take().unwrap_or_default();
            faults.extend(loaded.entries.into_iter().filter_map(|(place, entries)| self.build(place, entries).err()));
        }
        faults
    }

    fn build(&mut self, (board, season): (String, String), entries: Vec<Entry>) -> Result<(), String> {
        let Some(seasons) = self.boards.get_mut(&board) else { return Ok(()) };
        // More than the board may have now, if that was lowered, are kept.
        match Ranking::build(seasons.board.order, ENTRIES_MAX, entries) {
            Ok(ranking) => {
                seasons.rankings.insert(season, ranking);
                Ok(())
            }
            Err(full) => Err(format!("season {season} of leaderboard {board} is not shown: {full}")),
        }
    }

    /// A leaderboard's rules.
    pub fn board(&self, name: &str) -> Option<&Board> {
        self.boards.get(name).map(|seasons| &seasons.board)
    }

    /// All leaderboards, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Board)> {
        self.boards.iter().map(|(name, seasons)| (name.as_str(), &seasons.board))
    }

    /// The ranking of a season; `None`: it has no entries.
    pub fn ranking(&self, board: &str, season: &str) -> Option<&Ranking> {
        self.boards.get(board)?.rankings.get(season)
    }

    /// A user's entry.
    pub fn get(&self, place: &Place) -> Option<Stored> {
        let Entry { score, since, .. } = self.ranking(&place.board, &place.season)?.get(place.user)?;
        Some(Stored { score, since })
    }

    /// The seasons in which a user has an entry, old ones that are still to be removed included.
    pub fn places_of(&self, user: UserId) -> impl Iterator<Item = Place> {
        self.boards.iter().flat_map(move |(board, seasons)| {
            let with_user = seasons.rankings.iter().filter(move |(_, ranking)| ranking.get(user).is_some());
            with_user.map(move |(season, _)| Place { board: board.clone(), season: season.clone(), user })
        })
    }

    /// Where a user may have entries on leaderboards that are not configured any more.
    pub fn retired_places_of(&self, user: UserId) -> impl Iterator<Item = Place> {
        let place =
            move |(board, season): &(String, String)| Place { board: board.clone(), season: season.clone(), user };
        self.retired.iter().map(place)
    }

    /// Makes a change whose record is written in the same step. What tells of a fault is for the operators.
    pub(crate) fn apply(&mut self, Change { place, entry }: Change) -> Option<String> {
        let seasons = self.boards.get_mut(&place.board)?;
        let Some(Stored { score, since }) = entry else {
            let ranking = seasons.rankings.get_mut(&place.season)?;
            ranking.remove(place.user);
            if ranking.is_empty() {
                seasons.rankings.remove(&place.season);
            }
            return None;
        };
        let order = seasons.board.order;
        let new = || Ranking::new(order, ENTRIES_MAX);
        let ranking = seasons.rankings.entry(place.season).or_insert_with(new);
        ranking.set(Entry { user: place.user, score, since }).err().map(|full| full.to_string())
    }

    /// Entries of seasons that are not kept any more, at most [`SWEEP_LEN`].
    pub fn old(&self, now: Time) -> Vec<Place> {
        let mut old = Vec::new();
        for (name, seasons) in &self.boards {
            for (season, ranking) in &seasons.rankings {
                if seasons.board.is_old(season, now) {
                    let wanted = SWEEP_LEN - old.len();
                    let entries = ranking.page(1, wanted as u32).entries;
                    let place = |entry: Entry| Place { board: name.clone(), season: season.clone(), user: entry.user };
                    old.extend(entries.into_iter().map(place));
                }
            }
        }
        old
    }

    /// When the next season begins, after which another one is old.
    pub fn next_season(&self, now: Time) -> Option<Time> {
        self.boards.values().filter_map(|seasons| seasons.board.reset.season(now).ends).min()
    }
}
