//! Batches on their way to a driver, and what becomes of a group of them that is written together.
//!
//! Invariant: a group does what its batches would do one after the other, each on what those before it have left.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenehost_core::Write;
use tokio::sync::oneshot;

use crate::lease::Fence;
use crate::{BATCH_BYTES_MAX, Error, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// How a record has to be for a batch to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its key.
    pub key: String,
    /// Its bytes; `None`: there must be none.
    pub value: Option<Vec<u8>>,
}

/// What has become of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It was made, and is durable.
    Committed,
    /// A record was not as expected, so nothing of it was made.
    Conflict,
}

/// What is made together, and who waits for it.
pub struct Batch {
    pub writes: Vec<Write>,
    /// Empty: it is made in any case.
    pub expected: Vec<Expected>,
    /// What has to be so for anything of this handle; PostgreSQL's driver looks at that by itself.
    pub guard: Option<Arc<Guard>>,
    pub done: oneshot::Sender<Result<Outcome, Error>>,
}

/// A fence, and the record that shows whether it holds.
pub struct Guard {
    pub fence: Fence,
    pub record: Expected,
}

/// What a driver has decided about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Made,
    Conflict,
    Fenced,
}

impl Batch {
    /// Tells who waits for it.
    pub fn answer(self, decision: Decision) {
        let outcome = match (decision, self.guard) {
            (Decision::Made, _) => Ok(Outcome::Committed),
            (Decision::Fenced, Some(guard)) => Err(guard.fence.error()),
            (Decision::Conflict | Decision::Fenced, _) => Ok(Outcome::Conflict),
        };
        let _ = self.done.send(outcome); // Nobody waits for it any more: fine.
    }

    /// Refuses what not every driver takes.
    pub fn check(&self) -> Result<(), Error> {
        let mut all = 0;
        for write in &self.writes {
            let (Write::Put { key, .. } | Write::Delete { key }) = write;
            check_key(key)?;
            all += key.len();
            if let Write::Put { value, .. } = write {
                check_size(key, value.len(), VALUE_BYTES_MAX)?;
                all += value.len();
            }
        }
        for Expected { key, value } in &self.expected {
            check_key(key)?;
            all += key.len() + value.as_ref().map_or(0, Vec::len);
        }
        check_size("a batch", all, BATCH_BYTES_MAX)
    }

    /// How many bytes its writes have.
    pub fn bytes(&self) -> usize {
        let bytes = self.writes.iter().map(|write| match write {
            Write::Put { key, value } => key.len() + value.len(),
            Write::Delete { key } => key.len(),
        });
        bytes.sum()
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    match key.len() {
        1..=KEY_BYTES_MAX if !key.contains('\0') => Ok(()),
        1..=KEY_BYTES_MAX => Err(Error::KeyNul { key: key.to_owned() }),
        bytes => Err(Error::KeyLength { bytes }),
    }
}

fn check_size(what: &str, bytes: usize, bytes_max: usize) -> Result<(), Error> {
    match bytes <= bytes_max {
        true => Ok(()),
        false => Err(Error::TooLarge { what: what.to_owned(), bytes, bytes_max }),
    }
}

/// What records are changed to, `None` where they are removed, in the order of keys. What many batches change, like
/// the count of an offer's sales, is written once.
pub type Changes<'a> = BTreeMap<&'a str, Option<&'a [u8]>>;

/// Decides which batches of a group are made, and what that changes. `stored` reads what was there before the group.
pub fn decide<'a, E>(
    group: &'a [Batch],
    mut stored: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<(Vec<Decision>, Changes<'a>), E> {
    let mut changes = Changes::new();
    let mut decisions = Vec::with_capacity(group.len());
    for batch in group {
        let mut is_so = |Expected { key, value }: &Expected| match changes.get(key.as_str()) {
            Some(changed) => Ok(*changed == value.as_deref()),
            None => Ok(stored(key)? == *value),
        };
        let mut decision = Decision::Made;
        if let Some(guard) = &batch.guard
            && !is_so(&guard.record)?
        {
            decision = Decision::Fenced;
        }
        for expected in &batch.expected {
            if decision == Decision::Made && !is_so(expected)? {
                decision = Decision::Conflict;
            }
        }
        if decision == Decision::Made {
            add(&mut changes, &batch.writes);
        }
        decisions.push(decision);
    }
    Ok((decisions, changes))
}

/// The changes of the batches of a group about which it was decided.
pub fn changes<'a>(group: &'a [Batch], decisions: &[Decision]) -> Changes<'a> {
    let mut changes = Changes::new();
    let made = group.iter().zip(decisions).filter(|(_, decision)| **decision == Decision::Made);
    made.for_each(|(batch, _)| add(&mut changes, &batch.writes));
    changes
}

fn add<'a>(changes: &mut Changes<'a>, writes: &'a [Write]) {
    changes.extend(writes.iter().map(|write| match write {
        Write::Put { key, value } => (key.as_str(), Some(value.as_slice())),
        Write::Delete { key } => (key.as_str(), None),
    }));
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn put(key: &str, value: u8) -> Write {
        Write::Put { key: key.to_owned(), value: vec![value] }
    }

    fn delete(key: &str) -> Write {
        Write::Delete { key: key.to_owned() }
    }

    fn batch(expected: &[(&str, Option<u8>)], writes: Vec<Write>) -> Batch {
        let expected =
            expected.iter().map(|(key, value)| Expected { key: (*key).to_owned(), value: value.map(|it| vec![it]) });
        Batch { writes, expected: expected.collect(), guard: None, done: oneshot::channel().0 }
    }

    fn decided(group: &[Batch]) -> (Vec<Decision>, Changes<'_>) {
        // Before the group there is one record.
        let stored = |key: &str| Ok::<_, Infallible>((key == "there").then(|| vec![9]));
        let decided = decide(group, stored).expect("nothing fails");
        assert_eq!(changes(group, &decided.0), decided.1, "whenever it is asked");
        decided
    }

    #[test]
    fn the_last_change_of_a_record_counts() {
        let first = vec![put("b", 1), put("c", 1), delete("d")];
        let group = [batch(&[], first), batch(&[], vec![put("b", 2), delete("c"), put("d", 2), put("a", 2)])];
        let changes: Vec<(&str, Option<&[u8]>)> = decided(&group).1.into_iter().collect();
        assert_eq!(changes, [("a", Some(&[2][..])), ("b", Some(&[2])), ("c", None), ("d", Some(&[2]))]);
    }

    #[test]
    fn a_condition_sees_what_those_before_it_have_made_and_nothing_of_those_that_were_not() {
        use Decision::{Conflict, Made};
        let mut group = [
            batch(&[("there", Some(8))], vec![put("a", 1)]),
            batch(&[("there", Some(9)), ("a", None)], vec![delete("there"), put("a", 2)]),
            batch(&[("there", Some(9))], vec![put("a", 3)]),
            batch(&[("there", None), ("a", Some(2))], vec![put("a", 4)]),
        ];
        let (decisions, changes) = decided(&group);
        assert_eq!(decisions, [Conflict, Made, Conflict, Made]);
        assert_eq!(changes.into_iter().collect::<Vec<_>>(), [("a", Some(&[4][..])), ("there", None)]);

        let record = Expected { key: "there".to_owned(), value: Some(vec![9]) };
        let fence = Fence { unit: "lobby".to_owned(), epoch: 1 };
        group[3].guard = Some(Arc::new(Guard { fence, record }));
        assert_eq!(decided(&group).0, [Conflict, Made, Conflict, Decision::Fenced]);
    }
}
