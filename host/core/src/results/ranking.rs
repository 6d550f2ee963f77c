//! The order of a leaderboard, in memory: who stands where, in O(log n).
//!
//! A weight-balanced tree whose nodes count what is below them (J. Nievergelt and E. Reingold, "Binary
//! Search Trees of Bounded Balance", 1973; the balance with the parameters 3 and 2 is that of Y. Hirai
//! and K. Yamamoto, "Balancing Weight-Balanced Trees", JFP 21, 2011). The counts both keep it balanced
//! and give the ranks. The crate `indexset` is as fast, but never merges its nodes: where a crowd rises
//! together and some stop on the way, it was seen to grow to 50 times the memory.
//!
//! Invariant: a user has at most one entry, `slots` says where it is, and for each node the weights of
//! its two branches (their counts plus 1) differ by at most a factor of `DELTA`. So 16 million entries
//! are at most 58 nodes deep, and recursion is safe. An entry takes about 80 bytes.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::ids::UserId;

/// Which scores are better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// High ones: points.
    #[default]
    Highest,
    /// Low ones: the time of a lap.
    Lowest,
}

impl Order {
    /// Whether `score` is better than `other`; equal ones are not.
    pub fn is_better(self, score: i64, other: i64) -> bool {
        self.compare(score, other) == Ordering::Less
    }

    /// Better scores are less, for they come first.
    fn compare(self, score: i64, other: i64) -> Ordering {
        match self {
            Self::Highest => other.cmp(&score),
            Self::Lowest => score.cmp(&other),
        }
    }
}

/// A user's score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub user: UserId,
    /// The points, or whatever the board counts.
    pub score: i64,
    /// Since when, as a time or a number that grows: of equal scores the earlier comes first.
    pub since: u64,
}

/// Entries that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The rank of the first of them.
    pub first_rank: u32,
    /// The entries, best first.
    pub entries: Vec<Entry>,
}

/// The ranking has as many entries as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this leaderboard is full ({0} users): remove some, or allow it more")]
pub struct Full(pub u32);

/// The most that a ranking can be allowed to hold.
pub const ENTRIES_MAX: u32 = 16_000_000;

/// No node. Its place in `nodes` is taken by an empty one, so that it can be asked for its count.
const NIL: u32 = 0;
/// How many times as heavy as its neighbour a branch may be.
const DELTA: u64 = 3;
/// From which ratio of a branch's own branches on it takes two rotations.
const GAMMA: u64 = 2;

#[derive(Debug, Clone)]
struct Node {
    entry: Entry,
    left: u32,
    right: u32,
    /// How many entries: this one and those of both branches. 0 for NIL and for free nodes.
    count: u32,
}

/// Users by their scores.
#[derive(Debug, Clone)]
pub struct Ranking {
    order: Order,
    entries_max: u32,
    root: u32,
    /// The first of the free nodes; the next one is at its left.
    free: u32,
    nodes: Vec<Node>,
    slots: HashMap<UserId, u32>,
}

impl Ranking {
    /// An empty ranking for at most `entries_max` users, at most [`ENTRIES_MAX`].
    pub fn new(order: Order, entries_max: u32) -> Self {
        let entries_max = entries_max.min(ENTRIES_MAX);
        let nothing = Entry { user: UserId(0), score: 0, since: 0 };
        let nil = Node { entry: nothing, left: NIL, right: NIL, count: 0 };
        Self { order, entries_max, root: NIL, free: NIL, nodes: vec![nil], slots: HashMap::new() }
    }

    /// A ranking of many at once, faster than one by one. Of a user who is named twice the better
    /// entry is kept.
    ///
    /// # Errors
    /// There are more users than `entries_max`.
    pub fn build(order: Order, entries_max: u32, entries: impl IntoIterator<Item = Entry>) -> Result<Self, Full> {
        let mut ranking = Self::new(order, entries_max);
        let mut sorted: Vec<Entry> = entries.into_iter().collect();
        sorted.sort_unstable_by(|one, other| compare(order, one, other));
        ranking.slots.reserve(sorted.len().min(ranking.entries_max as usize));
        for entry in sorted {
            if !ranking.slots.contains_key(&entry.user) {
                ranking.allocate(entry)?;
            }
        }
        ranking.root = ranking.join_range(1, ranking.nodes.len() as u32);
        Ok(ranking)
    }

    /// How many users there are.
    pub fn len(&self) -> u32 {
        self.count(self.root)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.root == NIL
    }

    /// Sets a user's score, in the place of the one before. Who had this score already keeps the time
    /// since when.
    ///
    /// # Errors
    /// The user is new and there is no place for one more; nothing has changed.
    pub fn set(&mut self, mut entry: Entry) -> Result<(), Full> {
        if let Some(before) = self.remove(entry.user)
            && before.score == entry.score
        {
            entry.since = entry.since.min(before.since);
        }
        let slot = self.allocate(entry)?;
        self.root = self.insert(self.root, slot);
        Ok(())
    }

    /// Removes a user; what was removed, if there was something.
    pub fn remove(&mut self, user: UserId) -> Option<Entry> {
        let slot = self.slots.remove(&user)?;
        let entry = self.node(slot).entry;
        self.root = self.take(self.root, &entry);
        *self.node_mut(slot) = Node { entry, left: self.free, right: NIL, count: 0 };
        self.free = slot;
        Some(entry)
    }

    /// A user's entry.
    pub fn get(&self, user: UserId) -> Option<Entry> {
        self.slots.get(&user).map(|&slot| self.node(slot).entry)
    }

    /// A user's rank; 1 is the best.
    pub fn rank(&self, user: UserId) -> Option<u32> {
        let entry = self.get(user)?;
        let (mut at, mut rank) = (self.root, 1);
        loop {
            let node = self.node(at);
            match compare(self.order, &entry, &node.entry) {
                Ordering::Less => at = node.left,
                Ordering::Equal => return Some(rank + self.count(node.left)),
                Ordering::Greater => {
                    rank += self.count(node.left) + 1;
                    at = node.right;
                }
            }
        }
    }

    /// Who is at a rank.
    pub fn at(&self, rank: u32) -> Option<Entry> {
        self.page(rank, 1).entries.first().copied()
    }

    /// At most `limit` entries from a rank on; a rank of 0 is taken for 1. There are none beyond the end.
    pub fn page(&self, first_rank: u32, limit: u32) -> Page {
        let first_rank = first_rank.max(1);
        let there = self.len().saturating_sub(first_rank - 1);
        let length = limit.min(there) as usize;
        let mut entries = Vec::with_capacity(length);
        self.collect(self.root, first_rank - 1, length, &mut entries);
        Page { first_rank, entries }
    }

    /// A user with at most `around` neighbours on each side.
    pub fn neighbours(&self, user: UserId, around: u32) -> Option<Page> {
        let rank = self.rank(user)?;
        let first_rank = rank.saturating_sub(around).max(1);
        Some(self.page(first_rank, (rank - first_rank).saturating_add(around).saturating_add(1)))
    }

    /// Puts the entries of a branch without its first `skip` behind those in `into`, up to `length`.
    fn collect(&self, at: u32, skip: u32, length: usize, into: &mut Vec<Entry>) {
        if self.count(at) <= skip || into.len() == length {
            return;
        }
        let node = self.node(at);
        let left_count = self.count(node.left);
        self.collect(node.left, skip, length, into);
        if skip <= left_count && into.len() < length {
            into.push(node.entry);
        }
        self.collect(node.right, skip.saturating_sub(left_count + 1), length, into);
    }

    fn node(&self, slot: u32) -> &Node {
        &self.nodes[slot as usize]
    }

    fn node_mut(&mut self, slot: u32) -> &mut Node {
        &mut self.nodes[slot as usize]
    }

    fn count(&self, slot: u32) -> u32 {
        self.node(slot).count
    }

    fn weight(&self, slot: u32) -> u64 {
        u64::from(self.count(slot)) + 1
    }

    /// A node for an entry of a user who has none, not yet in the tree.
    fn allocate(&mut self, entry: Entry) -> Result<u32, Full> {
        if self.slots.len() >= self.entries_max as usize {
            return Err(Full(self.entries_max));
        }
        let node = Node { entry, left: NIL, right: NIL, count: 1 };
        let slot = if self.free == NIL {
            self.nodes.push(node);
            self.nodes.len() as u32 - 1
        } else {
            let slot = self.free;
            self.free = self.node(slot).left;
            *self.node_mut(slot) = node;
            slot
        };
        self.slots.insert(entry.user, slot);
        Ok(slot)
    }

    /// A balanced tree of nodes that lie in their order; its root.
    fn join_range(&mut self, first: u32, end: u32) -> u32 {
        if first == end {
            return NIL;
        }
        let middle = first + (end - first) / 2;
        let left = self.join_range(first, middle);
        let right = self.join_range(middle + 1, end);
        self.join(left, middle, right)
    }

    /// Makes two branches those of a node.
    fn join(&mut self, left: u32, slot: u32, right: u32) -> u32 {
        let count = self.count(left) + self.count(right) + 1;
        let node = self.node_mut(slot);
        (node.left, node.right, node.count) = (left, right, count);
        slot
    }

    fn insert(&mut self, at: u32, slot: u32) -> u32 {
        if at == NIL {
            return slot;
        }
        let Node { entry, left, right, .. } = *self.node(at);
        if compare(self.order, &self.node(slot).entry, &entry) == Ordering::Less {
            let left = self.insert(left, slot);
            self.balance(left, at, right)
        } else {
            let right = self.insert(right, slot);
            self.balance(left, at, right)
        }
    }

    /// Takes the node of an entry, which is there, out of a branch.
    fn take(&mut self, at: u32, out: &Entry) -> u32 {
        let Node { entry, left, right, .. } = *self.node(at);
        match compare(self.order, out, &entry) {
            Ordering::Less => {
                let left = self.take(left, out);
                self.balance(left, at, right)
            }
            Ordering::Greater => {
                let right = self.take(right, out);
                self.balance(left, at, right)
            }
            Ordering::Equal if right == NIL => left,
            Ordering::Equal => {
                let (first, right) = self.take_first(right);
                self.balance(left, first, right)
            }
        }
    }

    /// Takes the first node out of a branch that has one: that node, and what is left.
    fn take_first(&mut self, at: u32) -> (u32, u32) {
        let Node { left, right, .. } = *self.node(at);
        if left == NIL {
            return (at, right);
        }
        let (first, left) = self.take_first(left);
        (first, self.balance(left, at, right))
    }

    /// As `join`, for branches that were balanced until one of them changed by one node.
    fn balance(&mut self, left: u32, slot: u32, right: u32) -> u32 {
        if self.weight(right) > DELTA * self.weight(left) {
            let Node { left: inner, right: outer, .. } = *self.node(right);
            if self.weight(inner) < GAMMA * self.weight(outer) {
                let low = self.join(left, slot, inner);
                return self.join(low, right, outer);
            }
            let Node { left: inner_left, right: inner_right, .. } = *self.node(inner);
            let (low, high) = (self.join(left, slot, inner_left), self.join(inner_right, right, outer));
            return self.join(low, inner, high);
        }
        if self.weight(left) > DELTA * self.weight(right) {
            let Node { left: outer, right: inner, .. } = *self.node(left);
            if self.weight(inner) < GAMMA * self.weight(outer) {
                let high = self.join(inner, slot, right);
                return self.join(outer, left, high);
            }
            let Node { left: inner_left, right: inner_right, .. } = *self.node(inner);
            let (low, high) = (self.join(outer, left, inner_left), self.join(inner_right, slot, right));
            return self.join(low, inner, high);
        }
        self.join(left, slot, right)
    }
}

/// Better scores first, of equal ones the earlier, and then by the user, so that no two are equal.
fn compare(order: Order, one: &Entry, other: &Entry) -> Ordering {
    let scores = order.compare(one.score, other.score);
    scores.then(one.since.cmp(&other.since)).then(one.user.cmp(&other.user))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The balance of each node, which nobody sees from outside before the tree is deep.
    fn check(ranking: &Ranking, at: u32) {
        let Node { left, right, count, .. } = *ranking.node(at);
        if at != NIL {
            assert_eq!(count, ranking.count(left) + ranking.count(right) + 1);
            let (one, other) = (ranking.weight(left), ranking.weight(right));
            assert!(one <= DELTA * other && other <= DELTA * one, "{one} and {other}");
            check(ranking, left);
            check(ranking, right);
        }
    }

    proptest! {
        #[test]
        fn every_change_leaves_every_node_balanced(
            first in 0..200_u64,
            changes in prop::collection::vec((0..200_u64, -50..50_i64, any::<bool>()), 0..400),
        ) {
            let entry = |user, score| Entry { user: UserId(user), score, since: 0 };
            let mut ranking = Ranking::build(Order::Lowest, 200, (0..first).map(|user| entry(user, 0))).expect("200");
            check(&ranking, ranking.root);
            for (user, score, stays) in changes {
                if stays {
                    ranking.set(entry(user, score)).expect("there are no more users");
                } else {
                    ranking.remove(UserId(user));
                }
                check(&ranking, ranking.root);
            }
            prop_assert!(ranking.nodes.len() <= 201, "free nodes are used again");
        }
    }
}
