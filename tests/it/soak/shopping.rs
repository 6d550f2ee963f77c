//! What a bot buys: each thing under an id of its own, asked for until there is a definite answer. In the end the ledger
//! has to have what was acknowledged, each once, and nothing else.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;
use scenehost_client::v1::ledger_entry::Kind;
use scenehost_client::v1::req_shop::{Ask, Buy, History, Wallet};
use scenehost_client::v1::{self, Code};
use scenehost_client::{Error, Lobby};

/// What a gift gives, as in the catalogue.
const GIFT_COINS: u64 = 5;
pub const CATALOGUE: &str = r#"
[currencies.coin]
[items.potion]
[offers.gift]
title = "Some coins"
gives = { coin = 5 }
[offers.potion]
title = "A potion"
price = { coin = 1 }
gives = { potion = 1 }
"#;
const PAGE_LEN: u64 = 32;

pub struct Basket {
    bot: usize,
    requests: u64,
    /// What was asked for and has no definite answer.
    open: Option<Buy>,
    /// What was acknowledged, by request.
    has: BTreeMap<String, Buy>,
}

impl Basket {
    pub fn new(bot: usize) -> Self {
        Self { bot, requests: 0, open: None, has: BTreeMap::new() }
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// What is asked for next: what has no answer yet, or something else.
    pub fn ask(&mut self, rng: &mut StdRng) -> Ask {
        let requests = &mut self.requests;
        let buy = self.open.get_or_insert_with(|| {
            *requests += 1;
            let offer = if rng.random_ratio(1, 3) { "gift" } else { "potion" }.to_owned();
            Buy { offer, count: 1, request_id: format!("b{}-{requests}", self.bot) }
        });
        Ask::Buy(buy.clone())
    }

    /// Takes an answer; what it was.
    pub fn answered(&mut self, answer: &Result<v1::ResShop, Error>) -> &'static str {
        match answer {
            Ok(_) => {
                if let Some(buy) = self.open.take() {
                    self.has.insert(buy.request_id.clone(), buy);
                }
                "bought"
            }
            Err(Error::Refused(refused))
                if matches!(refused.code(), Code::Conflict | Code::Invalid | Code::NotFound) =>
            {
                self.open = None;
                "not bought"
            }
            Err(_) => "buy again",
        }
    }

    /// What is wrong with the ledger or the wallet, if anything; how many purchases are right.
    pub async fn check(&mut self, lobby: &Lobby) -> Result<usize, String> {
        if let Some(buy) = self.open.clone() {
            let answer = lobby.shop(Ask::Buy(buy)).await;
            self.answered(&answer);
        }
        if let Some(buy) = &self.open {
            return Err(format!("bot {} has no answer to {buy:?} though all is well", self.bot));
        }
        let mut entries = BTreeMap::<String, Vec<v1::LedgerEntry>>::new();
        let mut before = 0;
        loop {
            let page = lobby.shop(Ask::History(History { before, limit: PAGE_LEN })).await;
            let page = page.map_err(|error| format!("bot {} does not see its ledger: {error}", self.bot))?;
            before = page.entries.last().map_or(0, |entry| entry.number);
            for entry in page.entries {
                entries.entry(entry.request_id.clone()).or_default().push(entry);
            }
            if !page.more || before == 0 {
                break;
            }
        }
        for (id, buy) in &self.has {
            let found = entries.get(id).map_or(&[][..], Vec::as_slice);
            let is_right = |entry: &v1::LedgerEntry| entry.kind() == Kind::Purchase && entry.offer == buy.offer;
            if found.len() != 1 || !found.iter().all(is_right) {
                return Err(format!("bot {} was told that {id} is bought: {found:?}", self.bot));
            }
        }
        if let Some(other) = entries.keys().find(|id| !self.has.contains_key(*id)) {
            return Err(format!("bot {} has {other} in its ledger, and was told nothing of it", self.bot));
        }
        let wallet = lobby.shop(Ask::Wallet(Wallet {})).await;
        let wallet = wallet.map_err(|error| format!("bot {} does not see its wallet: {error}", self.bot))?.balances;
        let count = |offer: &str| self.has.values().filter(|buy| buy.offer == offer).count() as u64;
        let of = |name: &str| wallet.get(name).copied().unwrap_or_default();
        let (gifts, potions) = (count("gift"), count("potion"));
        if (of("coin"), of("potion")) != (gifts * GIFT_COINS - potions, potions) {
            return Err(format!("bot {} has {wallet:?} after {gifts} gifts and {potions} potions", self.bot));
        }
        Ok(self.has.len())
    }
}
