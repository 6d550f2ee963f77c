//! The shop: what a user may buy, and why not.

use std::ops::Bound;

use super::catalogue::Offer;
use super::wallet::{self, Account, Bought, By, Entry, Kind, Sold, Wallet};
use super::{Answer, COUNT_AT_ONCE_MAX, changed, check_request_id, repeated};
use serde::{Deserialize, Serialize};

use crate::db::{Stop, Transaction};
use crate::ids::{Time, UserId};
use crate::refusal::Refusal;

/// How many offers one answer has.
pub const SHOWN_MAX: usize = 32;

/// Why a user may not buy an offer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// It is not sold yet.
    NotYet,
    /// It is not sold any more.
    Over,
    /// Nothing is left.
    SoldOut,
    /// The user has bought it as often as one may.
    Limit,
    /// The user has bought it as often as one may today, or this week.
    PeriodLimit,
    /// The user has too little.
    CannotPay,
    /// The user has as much as one may have.
    NoRoom,
}

impl Why {
    fn refusal(self) -> Refusal {
        Refusal::Conflict(match self {
            Self::NotYet => "this offer has not begun: its from_ms says when it does".into(),
            Self::Over => "this offer is over: ask for the offers again".into(),
            Self::SoldOut => "this offer is sold out, or fewer are left: ask for the offers again".into(),
            Self::Limit => "you have bought this as often as one may, or would with so many".into(),
            Self::PeriodLimit => {
                "you have bought this as often as one may for now: its resets_ms says when you may again".into()
            }
            Self::CannotPay => "there is not enough in your wallet to pay for this".into(),
            Self::NoRoom => "your wallet has no room for that much: use some of it first".into(),
        })
    }
}

/// An offer as one user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its name.
    pub name: String,
    /// What it is.
    pub offer: Offer,
    /// How many the user may buy now.
    pub may_buy: u64,
    /// Why not more than 0.
    pub why: Option<Why>,
    /// When a limit of a day or week begins anew.
    pub resets: Option<Time>,
}

/// The offers after this one.
pub(super) fn list(user: UserId, after: &str, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    let catalogue = tx.rules.economy.catalogue.clone();
    let mut rest = catalogue.offers.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
    let shown: Vec<(&String, &Offer)> = rest.by_ref().take(SHOWN_MAX).collect();
    let keys = shown.iter().map(|(name, _)| wallet::sold_key(name)).chain([wallet::wallet_key(user)]);
    tx.want(keys)?;
    let wallet: Wallet = tx.get_or_default(&wallet::wallet_key(user))?;
    let mut views = Vec::new();
    for (name, offer) in shown {
        let sold: Sold = tx.get_or_default(&wallet::sold_key(name))?;
        let (may_buy, why) = match allowance(name, offer, &wallet, &sold, tx) {
            Ok(count) => (count, None),
            Err(why) => (0, Some(why)),
        };
        let resets = offer.per_period.map(|limit| limit.period.end(tx.now));
        views.push(View { name: name.clone(), offer: offer.clone(), may_buy, why, resets });
    }
    Ok(Answer::Offers(views, rest.next().is_some()))
}

/// How many the user may buy now, at least 1.
fn allowance(name: &str, offer: &Offer, wallet: &Wallet, sold: &Sold, tx: &Transaction<'_>) -> Result<u64, Why> {
    if offer.from.is_some_and(|from| tx.now < from) {
        return Err(Why::NotYet);
    }
    if offer.until.is_some_and(|until| tx.now >= until) {
        return Err(Why::Over);
    }
    let bought = wallet.bought.get(name).copied().unwrap_or_default();
    let in_period = offer.per_period.map(|limit| (limit.count, in_period(bought, offer, tx.now)));
    let catalogue = &tx.rules.economy.catalogue;
    let have = |asset: &String| wallet.balances.get(asset).copied().unwrap_or(0);
    let room = |asset: &String| catalogue.max(asset).unwrap_or(0).saturating_sub(have(asset));
    let limits = [
        (Why::SoldOut, offer.stock.map(|stock| stock.saturating_sub(sold.count))),
        (Why::Limit, offer.per_user.map(|limit| limit.saturating_sub(bought.total))),
        (Why::PeriodLimit, in_period.map(|(limit, bought)| limit.saturating_sub(bought))),
        (Why::CannotPay, offer.price.iter().map(|(asset, price)| have(asset) / (*price).max(1)).min()),
        (Why::NoRoom, offer.gives.iter().map(|(asset, count)| room(asset) / (*count).max(1)).min()),
    ];
    let mut least = COUNT_AT_ONCE_MAX;
    for (why, limit) in limits {
        match limit {
            Some(0) => return Err(why),
            Some(limit) => least = least.min(limit),
            None => {}
        }
    }
    Ok(least)
}

fn in_period(bought: Bought, offer: &Offer, now: Time) -> u64 {
    match offer.per_period {
        Some(limit) if limit.period.number(now) == bought.period => bought.in_period,
        _ => 0,
    }
}

/// Buys.
pub(super) fn buy(
    user: UserId,
    name: &str,
    request: &str,
    count: u64,
    tx: &mut Transaction<'_>,
) -> Result<Answer, Stop> {
    check_request_id(request)?;
    if !(1..=COUNT_AT_ONCE_MAX).contains(&count) {
        return Err(Refusal::Invalid(format!("count needs 1 to {COUNT_AT_ONCE_MAX}")).into());
    }
    let by = By::User(request.to_owned());
    let kind = Kind::Purchase { offer: name.to_owned(), count };
    if let Some(answer) = repeated(user, &by, &kind, tx)? {
        return Ok(answer);
    }
    let catalogue = tx.rules.economy.catalogue.clone();
    let Some(offer) = catalogue.offers.get(name) else {
        let name: String = name.chars().take(64).collect();
        return Err(Refusal::NotFound(format!("offer named {name:?}: ask for the offers again")).into());
    };
    let (wallet_key, sold_key) = (wallet::wallet_key(user), wallet::sold_key(name));
    tx.want([&wallet_key, &sold_key])?;
    let mut wallet: Wallet = tx.get_or_default(&wallet_key)?;
    let mut sold: Sold = tx.get_or_default(&sold_key)?;
    // With the least that may be bought it is also told why it is not more.
    let allowed = allowance(name, offer, &wallet, &sold, tx).map_err(Why::refusal)?;
    if count > allowed {
        return Err(
            Refusal::Conflict("fewer than that may be bought now: may_buy of the offer says how many".into()).into()
        );
    }
    let postings = wallet::postings(&Account::Shop, &offer.gives, &offer.price, count)?;
    sold.count = sold.count.saturating_add(count);
    let bought = wallet.bought.entry(name.to_owned()).or_default();
    bought.in_period = in_period(*bought, offer, tx.now).saturating_add(count);
    bought.period = offer.per_period.map_or(0, |limit| limit.period.number(tx.now));
    bought.total = bought.total.saturating_add(count);
    tx.put(sold_key, &sold);
    let entry = Entry { time: tx.now, kind, by, postings, refunded_by: None };
    let number = wallet::enter(user, &mut wallet, &entry, tx)?;
    Ok(changed(number, entry, wallet))
}

/// What was bought is for sale again, also for this user.
pub(super) fn take_back(
    name: &str,
    count: u64,
    when: Time,
    wallet: &mut Wallet,
    tx: &mut Transaction<'_>,
) -> Result<(), Stop> {
    let mut sold: Sold = tx.get_or_default(&wallet::sold_key(name))?;
    sold.count = sold.count.saturating_sub(count);
    tx.put(wallet::sold_key(name), &sold);
    let period = tx.rules.economy.catalogue.offers.get(name).and_then(|offer| offer.per_period);
    if let Some(bought) = wallet.bought.get_mut(name) {
        bought.total = bought.total.saturating_sub(count);
        if period.is_some_and(|limit| limit.period.number(when) == bought.period) {
            bought.in_period = bought.in_period.saturating_sub(count);
        }
    }
    Ok(())
}
