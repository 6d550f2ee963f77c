//! The label of a scene on its way to SceneMaster.
//!
//! Invariant: of what a game says in [`LABEL_MS_MIN`] only the newest is looked at and told, and only if it is new.

use crate::ids::Time;
use crate::scene_list::{Label, LabelError};

/// How long it is at least from one label to the next.
pub const LABEL_MS_MIN: u64 = 1_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labelling {
    /// What the game has said last, until it is told.
    wanted: Option<String>,
    told: Option<Label>,
    /// Before this nothing is told.
    next: Time,
}

impl Labelling {
    pub fn set(&mut self, text: String) {
        self.wanted = Some(text);
    }

    /// What was told last.
    pub fn told(&self) -> Option<Label> {
        self.told.clone()
    }

    /// When there is something to tell.
    pub fn deadline(&self) -> Option<Time> {
        self.wanted.as_ref().map(|_| self.next)
    }

    /// What is to be told now, if anything.
    pub fn take(&mut self, now: Time) -> Option<Result<Label, LabelError>> {
        let text = self.wanted.take_if(|_| self.next <= now)?;
        self.next = now.plus_ms(LABEL_MS_MIN);
        match Label::parse(&text) {
            Ok(label) if self.told.as_ref() == Some(&label) => None,
            Ok(label) => {
                self.told = Some(label.clone());
                Some(Ok(label))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
