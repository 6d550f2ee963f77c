//! The records of the economy: a wallet has what its ledger says, and each entry balances.

use super::{Check, id_of};
use crate::economy::wallet::{self, Entry, RequestRecord, Wallet};
use crate::ids::UserId;
use crate::record;

impl<E, G: Fn(&str) -> Result<Option<Vec<u8>>, E>> Check<G> {
    pub(super) fn wallet(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(wallet) = self.readable::<Wallet>(key, value) else { return Ok(()) };
        let Some(user) = id_of::<UserId>(key, "wallet/") else {
            self.problem(key, "is no user's: delete it");
            return Ok(());
        };
        let mut postings = wallet.carried.postings.clone();
        for number in wallet.kept() {
            let entry_key = wallet::entry_key(user, number);
            let Some(entry) = (self.get)(&entry_key)? else {
                self.problem(key, &format!("counts {entry_key}, which is not there: restore a backup"));
                return Ok(()); // One is enough: a damaged number may count without end.
            };
            postings
                .extend(record::decode::<Entry>(&entry_key, &entry).map(|entry| entry.postings).unwrap_or_default());
        }
        if !wallet::agrees(&wallet.balances, &wallet::sums(&postings)) {
            self.problem(key, "has not what its ledger says: restore a backup");
        }
        Ok(())
    }

    pub(super) fn entry(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(entry) = self.readable::<Entry>(key, value) else { return Ok(()) };
        if wallet::sums(&entry.postings).values().any(|(_, all)| *all != 0) {
            self.problem(key, "does not balance: restore a backup");
        }
        let Some((user, number)) = entry_of(key) else {
            self.problem(key, "is no ledger's: delete it");
            return Ok(());
        };
        let wallet_key = wallet::wallet_key(user);
        let wallet = (self.get)(&wallet_key)?.and_then(|value| record::decode::<Wallet>(&wallet_key, &value).ok());
        if !wallet.is_some_and(|wallet| wallet.kept().contains(&number)) {
            self.problem(key, &format!("is not counted in {wallet_key}: restore a backup"));
        }
        Ok(())
    }

    pub(super) fn request(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(request) = self.readable::<RequestRecord>(key, value) else { return Ok(()) };
        let user = key.strip_prefix("request/").and_then(|rest| rest.split('/').next()?.parse::<UserId>().ok());
        let Some(user) = user else {
            self.problem(key, "is no user's: delete it");
            return Ok(());
        };
        let entry_key = wallet::entry_key(user, request.entry);
        let entry = (self.get)(&entry_key)?.and_then(|value| record::decode::<Entry>(&entry_key, &value).ok());
        if entry.and_then(|entry| entry.by.request_key(user)).as_deref() != Some(key) {
            self.problem(key, &format!("leads to {entry_key}, which it did not make: restore a backup"));
        }
        Ok(())
    }
}

fn entry_of(key: &str) -> Option<(UserId, u64)> {
    let (user, number) = key.strip_prefix("ledger/")?.split_once('/')?;
    Some((user.parse().ok()?, u64::from_str_radix(number, 16).ok()?))
}
