//! What Db does for the leaderboards besides requests: loads them when it begins, and removes the entries of old
//! seasons.
//!
//! Invariant: a question for a page leaves after everything that was written before it is synced, also by the Db
//! before this one; and nobody changes a leaderboard until all pages are there. So what is loaded is complete.

use std::collections::{BTreeMap, BTreeSet};

use super::Db;
use crate::Context;
use crate::ids::Time;
use crate::message::Message;
use crate::read::{ScanRecords, Scanned};
use crate::results::boards::{Boards, Change, END, PAGE_LEN, SWEEP_LEN, SWEEP_MS};

/// How long the store has for a page until it is asked for again.
const PAGE_MS_MAX: u64 = 10_000;
/// How long until a page is asked for again that the store could not give.
const PAGE_AGAIN_MS: u64 = 1_000;

/// What is done next, and when.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    /// When; `None`: there is nothing to do, or nothing as long as the store is down.
    pub at: Option<Time>,
    /// The requests that wait for the leaderboards.
    pub waiting: BTreeSet<u64>,
    /// The number of the last question for a page.
    question: u64,
}

impl Turn {
    /// To be done at once.
    pub fn first(boards: &Boards) -> Self {
        Self { at: boards.to_load().map(|_| Time(0)), waiting: BTreeSet::new(), question: 0 }
    }
}

impl Db {
    /// Does what is due.
    pub(super) fn keep_boards(&mut self, cx: &mut Context<'_>) {
        if self.turn.at.is_none_or(|at| at > cx.now) {
            return;
        }
        match self.boards.to_load().map(str::to_owned) {
            // Nothing is written now, and what is asked now does not wait for what was written before.
            _ if !self.up => self.turn.at = None,
            Some(from) => self.ask_for_page(from, cx),
            None => self.sweep(cx),
        }
    }

    fn ask_for_page(&mut self, from: String, cx: &mut Context<'_>) {
        self.last_number += 1;
        self.turn.question = self.last_number;
        self.turn.at = Some(cx.now.plus_ms(PAGE_MS_MAX));
        let question = ScanRecords { job: self.last_number, from, to: END.to_owned(), limit: PAGE_LEN };
        cx.send(Message::ScanForDb(question));
    }

    pub(super) fn scanned(&mut self, job: u64, records: Scanned, cx: &mut Context<'_>) {
        if job != self.turn.question || self.boards.to_load().is_none() {
            return;
        }
        let Ok(records) = records else {
            self.turn.at = Some(cx.now.plus_ms(PAGE_AGAIN_MS));
            return;
        };
        cx.out.faults.extend(self.boards.load(records));
        self.turn.at = Some(cx.now);
        if self.boards.to_load().is_none() {
            self.ready.extend(std::mem::take(&mut self.turn.waiting));
        }
    }

    /// Removes entries of seasons that are not kept any more, so many at once that others do not wait for it.
    fn sweep(&mut self, cx: &mut Context<'_>) {
        let old = self.boards.old(cx.now);
        let next = cx.now.plus_ms(SWEEP_MS);
        self.turn.at = if old.len() == SWEEP_LEN { Some(next) } else { self.boards.next_season(cx.now) };
        let changes: BTreeMap<_, _> = old.iter().map(|place| (place.key(), None)).collect();
        let ranks = old.into_iter().map(|place| Change { place, entry: None }).collect();
        self.commit(changes, ranks, cx);
    }
}
