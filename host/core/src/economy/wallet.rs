//! Wallets and their ledger. A wallet's balances change only together with an entry of the ledger.
//!
//! An entry is double entry: what it takes from one account it gives to another, so that its postings are zero for
//! each currency and item. The accounts are the user's own and three kinds of counter accounts: of the operator, who
//! issues and takes back, of the shop, and of each game.
//!
//! Invariant: a wallet's balances are what its ledger's postings to its user and what was carried forward give; none
//! is below 0.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::catalogue::{Amounts, COUNT_MAX};
use crate::db::{Stop, Transaction};
use crate::ids::{Epoch, GameName, SceneId, Time, UserId};
use crate::record;
use crate::refusal::Refusal;

/// What a user has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// How much of each currency and item; what there is nothing of is not in it.
    pub balances: Amounts,
    /// How often each offer was bought.
    pub bought: BTreeMap<String, Bought>,
    /// The number of the newest entry of the ledger; they are numbered from 1.
    pub entries: u64,
    /// The sums of the oldest entries, which are not kept one by one any more.
    #[serde(default, skip_serializing_if = "Carried::is_nothing")]
    pub carried: Carried,
}

/// The sums of entries that were let go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The number of the newest of them; 0: none.
    pub through: u64,
    /// Their postings, added up.
    pub postings: Vec<Posting>,
}

/// How often an offer was bought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    /// Ever, without what was refunded.
    pub total: u64,
    /// In which period the last time was.
    pub period: u64,
    /// In that period.
    pub in_period: u64,
}

/// Where something goes to or comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Account {
    /// The wallet.
    User,
    /// The operator.
    Issue,
    /// The shop.
    Shop,
    /// A game.
    Game(GameName),
}

/// What an entry does to one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// Whose.
    pub account: Account,
    /// Which currency or item.
    pub asset: String,
    /// How much more of it.
    pub amount: i64,
}

/// What an entry is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Something was bought.
    Purchase {
        /// The offer.
        offer: String,
        /// How often.
        count: u64,
    },
    /// Something was given.
    Grant {
        /// What.
        amounts: Amounts,
        /// Why, for people.
        note: String,
    },
    /// Something was taken.
    Spend {
        /// What.
        amounts: Amounts,
        /// Why, for people.
        note: String,
    },
    /// An entry was undone.
    Refund {
        /// Which.
        of: u64,
    },
}

/// Who made an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// The user, with a request of this id.
    User(String),
    /// The operator, with a request of this id.
    Operator(String),
    /// A scene, with a save of this id.
    Scene {
        /// Of which game.
        game: GameName,
        /// Which.
        scene: SceneId,
        /// Which life of it.
        epoch: Epoch,
        /// The save.
        id: u64,
    },
}

impl By {
    /// The account on the other side of what is given and taken.
    fn counter_account(&self) -> Account {
        match self {
            Self::User(_) => Account::Shop,
            Self::Operator(_) => Account::Issue,
            Self::Scene { game, .. } => Account::Game(game.clone()),
        }
    }

    /// Where it is kept which entry a request made. Users, operators and scenes never disturb each other's ids; what
    /// scenes have saved is kept by scene.
    pub(crate) fn request_key(&self, user: UserId) -> Option<String> {
        match self {
            Self::User(id) => Some(record::key(format_args!("request/{user}/user/{id}"))),
            Self::Operator(id) => Some(record::key(format_args!("request/{user}/operator/{id}"))),
            Self::Scene { .. } => None,
        }
    }
}

/// One change of a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub time: Time,
    /// What for.
    pub kind: Kind,
    /// Whose doing.
    pub by: By,
    /// What it did; zero in sum for each currency and item.
    pub postings: Vec<Posting>,
    /// The entry that has undone it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded_by: Option<u64>,
}

/// How often an offer was sold, in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sold {
    pub count: u64,
}

/// The entry that a request made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestRecord {
    pub entry: u64,
}

pub(crate) fn wallet_key(user: UserId) -> String {
    record::key(format_args!("wallet/{user}"))
}

/// Sixteen digits, so that the order of keys is that of numbers.
pub(crate) fn entry_key(user: UserId, number: u64) -> String {
    record::key(format_args!("ledger/{user}/{number:016x}"))
}

pub(crate) fn sold_key(offer: &str) -> String {
    format!("offer/{offer}")
}

impl Carried {
    fn is_nothing(&self) -> bool {
        self.through == 0
    }
}

impl Wallet {
    /// The numbers of the entries that are kept.
    pub(crate) fn kept(&self) -> std::ops::RangeInclusive<u64> {
        self.carried.through + 1..=self.entries
    }
}

/// What giving `gained` and taking `lost` so many times does to the user and to the account on the other side.
pub(super) fn postings(
    counter: &Account,
    gained: &Amounts,
    lost: &Amounts,
    times: u64,
) -> Result<Vec<Posting>, Refusal> {
    let mut postings = Vec::new();
    for (amounts, sign) in [(lost, -1), (gained, 1)] {
        for (asset, amount) in amounts {
            let amount = amount.checked_mul(times).filter(|amount| *amount <= COUNT_MAX).ok_or_else(too_many)?;
            let amount = i64::try_from(amount).map_err(|_| too_many())? * sign;
            postings.push(Posting { account: Account::User, asset: asset.clone(), amount });
            postings.push(Posting { account: counter.clone(), asset: asset.clone(), amount: -amount });
        }
    }
    Ok(postings)
}

/// The refusal of a number that nobody can have.
fn too_many() -> Refusal {
    Refusal::Invalid(format!("that is more than anybody can have ({COUNT_MAX}): ask for less"))
}

/// What a user gives up or gets by this request, as postings.
pub(super) fn given_or_taken(by: &By, kind: &Kind) -> Result<Vec<Posting>, Refusal> {
    let none = Amounts::new();
    match kind {
        Kind::Grant { amounts, .. } => postings(&by.counter_account(), amounts, &none, 1),
        Kind::Spend { amounts, .. } => postings(&by.counter_account(), &none, amounts, 1),
        Kind::Purchase { .. } | Kind::Refund { .. } => Err(Refusal::Internal("an entry of another kind".into())),
    }
}

/// Writes an entry and what it does to the wallet. The number of the entry.
pub(super) fn enter(user: UserId, wallet: &mut Wallet, entry: &Entry, tx: &mut Transaction<'_>) -> Result<u64, Stop> {
    for posting in entry.postings.iter().filter(|posting| posting.account == Account::User) {
        let balance = wallet.balances.get(&posting.asset).copied().unwrap_or(0);
        let Some(after) = balance.checked_add_signed(posting.amount) else {
            return Err(Refusal::Conflict("there is not enough in the wallet".into()).into());
        };
        // What left the catalogue may still come back by a refund.
        let max = tx.rules.economy.catalogue.max(&posting.asset).unwrap_or(COUNT_MAX);
        if posting.amount > 0 && after > max {
            return Err(Refusal::Conflict("the wallet has no room for that much: use some of it first".into()).into());
        }
        match wallet.balances.get_mut(&posting.asset) {
            _ if after == 0 => _ = wallet.balances.remove(&posting.asset),
            Some(balance) => *balance = after,
            None => _ = wallet.balances.insert(posting.asset.clone(), after),
        }
    }
    wallet.entries += 1;
    let number = wallet.entries;
    if let Some(key) = entry.by.request_key(user) {
        tx.put(key, &RequestRecord { entry: number });
    }
    tx.put(entry_key(user, number), entry);
    carry(user, wallet, tx)?;
    tx.put(wallet_key(user), wallet);
    Ok(number)
}

/// Lets the oldest entries go that are more than the operator wants to keep, and keeps their sums.
fn carry(user: UserId, wallet: &mut Wallet, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let excess = (wallet.entries - wallet.carried.through).saturating_sub(tx.rules.economy.limits.entries_per_user);
    // More than one only if the limit has been lowered; then a few at a time.
    let_go(user, wallet, wallet.carried.through + excess.min(4), tx)
}

/// Lets the entries through this one go, and keeps their sums. The wallet is still to be written.
///
/// # Errors
/// As [`Transaction::get`].
pub(super) fn let_go(user: UserId, wallet: &mut Wallet, through: u64, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let oldest: Vec<String> = (wallet.carried.through + 1..=through).map(|number| entry_key(user, number)).collect();
    tx.want(&oldest)?;
    for key in oldest {
        if let Some(entry) = tx.get::<Entry>(&key)? {
            if let Some(request) = entry.by.request_key(user) {
                tx.delete(request);
            }
            for posting in entry.postings {
                add(&mut wallet.carried.postings, posting);
            }
        }
        tx.delete(key);
    }
    wallet.carried.through = through;
    Ok(())
}

fn add(sums: &mut Vec<Posting>, posting: Posting) {
    let same = |sum: &&mut Posting| sum.account == posting.account && sum.asset == posting.asset;
    match sums.iter_mut().find(same) {
        Some(sum) => sum.amount = sum.amount.saturating_add(posting.amount),
        None => sums.push(posting),
    }
    sums.retain(|sum| sum.amount != 0);
}

/// What these postings add up to, by currency or item: for the user, and for all accounts together.
pub(crate) fn sums<'a>(postings: impl IntoIterator<Item = &'a Posting>) -> BTreeMap<String, (i128, i128)> {
    let mut sums: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    for posting in postings {
        let (user, all) = sums.entry(posting.asset.clone()).or_default();
        *all += i128::from(posting.amount);
        if posting.account == Account::User {
            *user += i128::from(posting.amount);
        }
    }
    sums
}

/// Whether the balances are what these sums say.
pub(crate) fn agrees(balances: &Amounts, sums: &BTreeMap<String, (i128, i128)>) -> bool {
    let names: BTreeSet<&String> = balances.keys().chain(sums.keys()).collect();
    names.into_iter().all(|name| {
        let balance = balances.get(name).copied().unwrap_or(0);
        sums.get(name).map_or(0, |sum| sum.0) == i128::from(balance)
    })
}
