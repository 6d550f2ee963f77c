//! The economy: what users have of currencies and items, what the shop sells, and the ledger of all of it.
//!
//! Users buy; operators grant, spend and refund; scenes grant and spend with what they save. Every such request has
//! an id, and one that is repeated is answered with what it did the first time.
//!
//! Invariants: money and items come from somewhere and go somewhere (see [`wallet`]); a request has its effect once;
//! no more of an offer is sold than there is.

pub mod catalogue;
pub mod offers;
pub mod wallet;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::db::account::PART_LEN;
use crate::db::{Answer as DbAnswer, Caller, News as DbNews, Stop, Transaction};
use crate::ids::UserId;
use crate::profile::{self, Profile};
use crate::refusal::Refusal;
use crate::text;
use catalogue::{Amounts, Catalogue};
use offers::View;
use wallet::{By, Entry, Kind, Posting, RequestRecord, Wallet};

/// The most that can be bought with one request.
pub const COUNT_AT_ONCE_MAX: u64 = 1_000;
/// The longest id of a request, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// The longest note, in characters.
pub const NOTE_CHARS_MAX: usize = 200;
/// The most entries that one answer has.
pub const HISTORY_MAX: u64 = 32;

/// Limits, from the operators' configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// How many entries of the ledger are kept of each user one by one; of those before them the sums are kept. A
    /// request is known as a repetition for as long as its entry is kept.
    pub entries_per_user: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries_per_user: 10_000 }
    }
}

impl Limits {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        match (100..=100_000).contains(&self.entries_per_user) {
            true => Ok(()),
            false => Err("entries_per_user needs 100 to 100000: repeated requests are known by them".to_owned()),
        }
    }
}

/// What operators have decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// What there is; it can be another while the host runs.
    pub catalogue: Arc<Catalogue>,
    /// Limits.
    pub limits: Limits,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// What the user has; operators say whose.
    Wallet(Option<UserId>),
    /// What the shop sells to the user, after this offer; empty: from the first.
    Offers(String),
    /// The user buys.
    Buy {
        /// What.
        offer: String,
        /// How often.
        count: u64,
        /// The request's id.
        request: String,
    },
    /// Entries of the ledger, the newest first.
    History {
        /// Whose; `None`: of the user who asks.
        user: Option<UserId>,
        /// Older than this one; 0: from the newest.
        before: u64,
        /// How many at most.
        limit: u64,
    },
    /// An operator gives.
    Grant(Order),
    /// An operator takes.
    Spend(Order),
    /// An operator undoes an entry.
    Refund {
        /// Whose.
        user: UserId,
        /// Which.
        entry: u64,
        /// The request's id.
        request: String,
    },
}

/// What an operator gives or takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whose wallet it is.
    pub user: UserId,
    /// How much of what.
    pub amounts: Amounts,
    /// Why, for people.
    pub note: String,
    /// The request's id.
    pub request: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// What the user has.
    Wallet(Amounts),
    /// What the shop sells, and whether there is more.
    Offers(Vec<View>, bool),
    /// Entries with their numbers, and whether there are older ones.
    History(Vec<(u64, Entry)>, bool),
    /// The entry that the request made, now or the first time, and what the user has now.
    Changed {
        /// The entry's number.
        number: u64,
        /// The entry.
        entry: Box<Entry>,
        /// What the user has.
        balances: Amounts,
    },
}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Wallet(balances) => amounts_bytes(balances),
            Self::Offers(views, _) => views
                .iter()
                .map(|view| {
                    let offer = &view.offer;
                    size_of::<View>() + amounts_bytes(&offer.price) + amounts_bytes(&offer.gives) + offer.title.len()
                })
                .sum(),
            Self::History(entries, _) => entries.iter().map(|(_, entry)| entry_bytes(entry)).sum(),
            Self::Changed { entry, balances, .. } => entry_bytes(entry) + amounts_bytes(balances),
        }
    }
}

fn amounts_bytes(amounts: &Amounts) -> usize {
    amounts.keys().map(|name| size_of::<(String, u64)>() + name.len()).sum()
}

fn entry_bytes(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.postings.iter().map(|it| size_of::<Posting>() + it.asset.len()).sum::<usize>()
}

/// Somebody else has changed the user's wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The entry's number.
    pub number: u64,
    /// The entry.
    pub entry: Entry,
    /// What the user has now.
    pub balances: Amounts,
}

/// Shows or changes wallets.
///
/// # Errors
/// What callers may not do; names and numbers that are not in the catalogue or beyond the limits; what the wallet or
/// the offer does not allow, and an id that was used for something else ([`Refusal::Conflict`]).
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let answer = match request {
        Request::Wallet(user) => {
            let wallet = shown(whose(caller, *user)?, tx)?;
            Answer::Wallet(wallet.balances)
        }
        Request::Offers(after) => offers::list(whose(caller, None)?, after, tx)?,
        Request::Buy { offer, count, request } => offers::buy(whose(caller, None)?, offer, request, *count, tx)?,
        Request::History { user, before, limit } => history(whose(caller, *user)?, *before, *limit, tx)?,
        Request::Grant(order) => carry_out(caller, order, true, tx)?,
        Request::Spend(order) => carry_out(caller, order, false, tx)?,
        Request::Refund { user, entry, request } => refund(caller, *user, *entry, request, tx)?,
    };
    Ok(DbAnswer::Economy(answer))
}

fn whose(caller: &Caller, said: Option<UserId>) -> Result<UserId, Refusal> {
    match (caller, said) {
        (Caller::User(user), None) => Ok(*user),
        (Caller::User(user), Some(said)) if *user == said => Ok(said),
        (Caller::User(_), Some(_)) => Err(Refusal::Forbidden("you can look into your own wallet only".into())),
        (_, Some(said)) => Ok(said),
        (_, None) => Err(Refusal::Invalid("say whose wallet is meant".to_owned())),
    }
}

fn check_operator(caller: &Caller) -> Result<(), Refusal> {
    match caller {
        Caller::User(_) => {
            Err(Refusal::Forbidden("only operators and games give and take: buy an offer instead".into()))
        }
        Caller::Operator | Caller::Host => Ok(()),
    }
}

fn check_request_id(id: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    match (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.chars().all(plain) {
        true => Ok(()),
        false => Err(Refusal::Invalid(format!(
            "a request needs an id of its own, of 1 to {REQUEST_ID_BYTES_MAX} letters, digits and - _ . :"
        ))),
    }
}

fn changed(number: u64, entry: Entry, wallet: Wallet) -> Answer {
    Answer::Changed { number, entry: Box::new(entry), balances: wallet.balances }
}

/// What the same request did before, if it was made before.
fn repeated(user: UserId, by: &By, kind: &Kind, tx: &mut Transaction<'_>) -> Result<Option<Answer>, Stop> {
    let Some(key) = by.request_key(user) else { return Ok(None) };
    tx.want([&key, &wallet::wallet_key(user)])?;
    let Some(RequestRecord { entry: number }) = tx.get(&key)? else { return Ok(None) };
    let Some(entry) = tx.get::<Entry>(&wallet::entry_key(user, number))? else {
        return Err(Refusal::Internal("a request whose entry is gone".into()).into());
    };
    if entry.kind != *kind {
        return Err(Refusal::Conflict("this request id was used for something else: take a new one".into()).into());
    }
    let wallet: Wallet = tx.get_or_default(&wallet::wallet_key(user))?;
    Ok(Some(changed(number, entry, wallet)))
}

fn history(user: UserId, before: u64, limit: u64, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    if limit > HISTORY_MAX {
        return Err(Refusal::Invalid(format!("ask for up to {HISTORY_MAX} entries at once")).into());
    }
    let limit = if limit == 0 { HISTORY_MAX } else { limit };
    let wallet = shown(user, tx)?;
    let newest = if before == 0 { wallet.entries } else { wallet.entries.min(before - 1) };
    let oldest = (*wallet.kept().start()).max((newest + 1).saturating_sub(limit));
    let numbers: Vec<u64> = (oldest..=newest).rev().collect();
    tx.want(numbers.iter().map(|number| wallet::entry_key(user, *number)))?;
    let mut entries = Vec::new();
    for number in numbers {
        entries.extend(tx.get(&wallet::entry_key(user, number))?.map(|entry| (number, entry)));
    }
    let more = !entries.is_empty() && oldest > *wallet.kept().start();
    Ok(Answer::History(entries, more))
}

fn carry_out(caller: &Caller, order: &Order, gives: bool, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    check_operator(caller)?;
    check_request_id(&order.request)?;
    let note = text::line(&order.note, 0..=NOTE_CHARS_MAX, "the note")?;
    let amounts = order.amounts.clone();
    let kind = if gives { Kind::Grant { amounts, note } } else { Kind::Spend { amounts, note } };
    let by = By::Operator(order.request.clone());
    match repeated(order.user, &by, &kind, tx)? {
        Some(answer) => Ok(answer),
        None => change(order.user, by, kind, tx),
    }
}

/// Gives or takes, and tells the user.
pub(crate) fn change(user: UserId, by: By, kind: Kind, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    if let Kind::Grant { amounts, .. } | Kind::Spend { amounts, .. } = &kind {
        if amounts.is_empty() {
            return Err(Refusal::Invalid("say at least one amount".to_owned()).into());
        }
        tx.rules.economy.catalogue.check_amounts(amounts).map_err(Refusal::Invalid)?;
    }
    tx.want([profile::key(user), wallet::wallet_key(user)])?;
    // Who is not known has no wallet: the id is wrong, or the account was deleted and nothing of it may come back.
    if tx.get::<Profile>(&profile::key(user))?.is_none() {
        return Err(Refusal::NotFound(format!("user {user} who has been in the lobby")).into());
    }
    let wallet: Wallet = tx.get_or_default(&wallet::wallet_key(user))?;
    let postings = wallet::given_or_taken(&by, &kind)?;
    let entry = Entry { time: tx.now, kind, by, postings, refunded_by: None };
    enter_and_tell(user, wallet, entry, tx)
}

fn enter_and_tell(user: UserId, mut wallet: Wallet, entry: Entry, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    let number = wallet::enter(user, &mut wallet, &entry, tx)?;
    let news = News { number, entry: entry.clone(), balances: wallet.balances.clone() };
    tx.tell(user, DbNews::Economy(Box::new(news)));
    Ok(changed(number, entry, wallet))
}

fn refund(caller: &Caller, user: UserId, of: u64, request: &str, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    check_operator(caller)?;
    check_request_id(request)?;
    let by = By::Operator(request.to_owned());
    let kind = Kind::Refund { of };
    if let Some(answer) = repeated(user, &by, &kind, tx)? {
        return Ok(answer);
    }
    let of_key = wallet::entry_key(user, of);
    tx.want([&of_key, &wallet::wallet_key(user)])?;
    let Some(mut undone) = tx.get::<Entry>(&of_key)? else {
        return Err(Refusal::NotFound(format!("entry {of} in this ledger any more, or yet")).into());
    };
    if undone.refunded_by.is_some() {
        return Err(Refusal::Conflict("this entry is refunded already".into()).into());
    }
    let mut wallet: Wallet = tx.get_or_default(&wallet::wallet_key(user))?;
    match &undone.kind {
        Kind::Purchase { offer, count } => offers::take_back(offer, *count, undone.time, &mut wallet, tx)?,
        Kind::Grant { .. } | Kind::Spend { .. } => {}
        Kind::Refund { .. } => {
            return Err(Refusal::Invalid("a refund is not refunded: grant or spend".to_owned()).into());
        }
    }
    // What is taken first makes room for what is given.
    let mut postings: Vec<Posting> =
        undone.postings.iter().map(|posting| Posting { amount: -posting.amount, ..posting.clone() }).collect();
    postings.sort_by_key(|posting| posting.amount);
    undone.refunded_by = Some(wallet.entries + 1);
    tx.put(of_key, &undone);
    let entry = Entry { time: tx.now, kind, by, postings, refunded_by: None };
    enter_and_tell(user, wallet, entry, tx)
}

/// A user's wallet and the newest part of the ledger, for the user's export.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let wallet: Option<Wallet> = tx.get(&wallet::wallet_key(user))?;
    let Some(wallet) = wallet else { return Ok(Value::Null) };
    let numbers: Vec<u64> = wallet.kept().rev().take(EXPORTED_MAX).collect();
    tx.want(numbers.iter().map(|number| wallet::entry_key(user, *number)))?;
    let mut entries = Vec::new();
    for number in numbers {
        entries.push(tx.get::<Entry>(&wallet::entry_key(user, number))?);
    }
    Ok(json!({ "wallet": wallet, "ledger": entries }))
}

/// How many entries an export has, the newest; operators can show the others.
const EXPORTED_MAX: usize = 1_000;

/// Removes some entries of the ledger of a user whose account is deleted, the oldest first, and with the last of them
/// the wallet. False if there was none left.
pub(crate) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<bool, Stop> {
    let key = wallet::wallet_key(user);
    let Some(mut wallet) = tx.get::<Wallet>(&key)? else { return Ok(false) };
    let through = wallet.entries.min(wallet.carried.through + PART_LEN as u64);
    wallet::let_go(user, &mut wallet, through, tx)?;
    match wallet.kept().is_empty() {
        true => tx.delete(key),
        false => tx.put(key, &wallet),
    }
    Ok(true)
}

/// A user's wallet, as it is shown: of who is gone there is none.
fn shown(user: UserId, tx: &mut Transaction<'_>) -> Result<Wallet, Stop> {
    tx.want([profile::key(user), wallet::wallet_key(user)])?;
    match tx.has(&profile::key(user))? {
        true => tx.get_or_default(&wallet::wallet_key(user)),
        false => Ok(Wallet::default()),
    }
}
