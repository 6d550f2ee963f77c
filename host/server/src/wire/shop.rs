//! The shop, wallets and their ledger, in the frames of the client protocol.

use scenehost_core::db::Request as DbRequest;
use scenehost_core::economy::offers::{View, Why};
use scenehost_core::economy::wallet::{Account, By, Entry, Kind, Posting};
use scenehost_core::economy::{Answer, News, Order, Request};
use scenehost_core::{Refusal, UserId};
use scenehost_protocol::v1::{self, ledger_entry, req_shop::Ask, server_frame::Body, shop_offer};

use super::user_id;

pub fn request(asked: v1::ReqShop) -> Result<DbRequest, Refusal> {
    let user = match asked.user_id.as_str() {
        "" => None,
        id => Some(user_id(id)?),
    };
    let request = match asked.ask {
        Some(Ask::Wallet(_)) => Request::Wallet(user),
        Some(Ask::Offers(offers)) => Request::Offers(own(user, offers.after)?),
        Some(Ask::Buy(v1::req_shop::Buy { offer, count, request_id })) => {
            Request::Buy { offer: own(user, offer)?, count, request: request_id }
        }
        Some(Ask::History(history)) => Request::History { user, before: history.before, limit: history.limit },
        Some(Ask::Grant(change)) => Request::Grant(order(user, change)?),
        Some(Ask::Spend(change)) => Request::Spend(order(user, change)?),
        Some(Ask::Refund(refund)) => {
            Request::Refund { user: said(user)?, entry: refund.entry, request: refund.request_id }
        }
        None => return Err(Refusal::Invalid("req_shop needs what is asked for, such as offers or buy".to_owned())),
    };
    Ok(DbRequest::Economy(request))
}

/// What is asked for oneself only.
fn own<T>(user: Option<UserId>, asked: T) -> Result<T, Refusal> {
    match user {
        None => Ok(asked),
        Some(_) => {
            Err(Refusal::Invalid("everybody looks at offers and buys for himself: leave user_id out".to_owned()))
        }
    }
}

fn said(user: Option<UserId>) -> Result<UserId, Refusal> {
    user.ok_or_else(|| Refusal::Invalid("say in user_id whose wallet is meant".to_owned()))
}

fn order(user: Option<UserId>, change: v1::req_shop::Change) -> Result<Order, Refusal> {
    let v1::req_shop::Change { amounts, note, request_id } = change;
    Ok(Order { user: said(user)?, amounts, note, request: request_id })
}

pub fn answer(answer: &Answer) -> Body {
    Body::ResShop(match answer {
        Answer::Wallet(balances) => v1::ResShop { balances: balances.clone(), ..Default::default() },
        Answer::Offers(views, more) => {
            v1::ResShop { offers: views.iter().map(offer).collect(), more: *more, ..Default::default() }
        }
        Answer::History(entries, more) => {
            let entries = entries.iter().map(|(number, it)| entry(*number, it)).collect();
            v1::ResShop { entries, more: *more, ..Default::default() }
        }
        Answer::Changed { number, entry: made, balances } => {
            v1::ResShop { balances: balances.clone(), entries: vec![entry(*number, made)], ..Default::default() }
        }
    })
}

fn offer(view: &View) -> v1::ShopOffer {
    let why = match view.why {
        None => shop_offer::Why::Unspecified,
        Some(Why::NotYet) => shop_offer::Why::NotYet,
        Some(Why::Over) => shop_offer::Why::Over,
        Some(Why::SoldOut) => shop_offer::Why::SoldOut,
        Some(Why::Limit) => shop_offer::Why::Limit,
        Some(Why::PeriodLimit) => shop_offer::Why::PeriodLimit,
        Some(Why::CannotPay) => shop_offer::Why::CannotPay,
        Some(Why::NoRoom) => shop_offer::Why::NoRoom,
    };
    v1::ShopOffer {
        name: view.name.clone(),
        title: view.offer.title.clone(),
        price: view.offer.price.clone(),
        gives: view.offer.gives.clone(),
        from_ms: view.offer.from.map_or(0, |time| time.0),
        until_ms: view.offer.until.map_or(0, |time| time.0),
        may_buy: view.may_buy,
        why: why.into(),
        resets_ms: view.resets.map_or(0, |time| time.0),
    }
}

fn entry(number: u64, entry: &Entry) -> v1::LedgerEntry {
    let request_id = match &entry.by {
        By::User(id) | By::Operator(id) => id.clone(),
        By::Scene { .. } => String::new(),
    };
    let mut shown = v1::LedgerEntry {
        number,
        time_ms: entry.time.0,
        refunded_by: entry.refunded_by.unwrap_or(0),
        request_id,
        postings: entry.postings.iter().map(posting).collect(),
        ..Default::default()
    };
    let kind = match &entry.kind {
        Kind::Purchase { offer, count } => {
            (shown.offer, shown.count) = (offer.clone(), *count);
            ledger_entry::Kind::Purchase
        }
        Kind::Grant { note, .. } => {
            shown.note.clone_from(note);
            ledger_entry::Kind::Grant
        }
        Kind::Spend { note, .. } => {
            shown.note.clone_from(note);
            ledger_entry::Kind::Spend
        }
        Kind::Refund { of } => {
            shown.refund_of = *of;
            ledger_entry::Kind::Refund
        }
    };
    shown.kind = kind.into();
    shown
}

fn posting(posting: &Posting) -> v1::LedgerPosting {
    let account = match &posting.account {
        Account::User => "user".to_owned(),
        Account::Issue => "issue".to_owned(),
        Account::Shop => "shop".to_owned(),
        Account::Game(game) => format!("game/{game}"),
    };
    v1::LedgerPosting { account, asset: posting.asset.clone(), amount: posting.amount }
}

pub fn news(news: &News) -> Body {
    let entry = entry(news.number, &news.entry);
    Body::SynWallet(v1::SynWallet { balances: news.balances.clone(), entry: Some(entry) })
}
