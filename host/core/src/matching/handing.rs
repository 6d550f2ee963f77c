//! The domain is given to the handler of another node, as planned: what is begun here comes to its end, and the lobby
//! puts the searches to the next one.
//!
//! Invariant: when the lobby hears that the domain is handed over, nobody is on the way into a scene by this handler:
//! each group has had its answer, which the lobby has heard before, or SceneMaster was told to make no scene for it. From
//! then on this handler says nothing about any search. So a search that is put to the next one is in no match of this.

use super::Event;
use super::Match;
use crate::ids::Time;
use crate::{Context, lobby};

/// How long groups that are made have for their scenes when the domain is handed over. Scenes begin within a fraction
/// of this, as a rule; those whose scenes take longer are matched anew by the next handler.
pub const HAND_OVER_MS_MAX: u64 = 3_000;
/// How long the lobby may take to say that it has heard of it. A lobby that says nothing is down.
pub const HEARD_MS_MAX: u64 = 2_000;

/// How far the handing over has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Handing {
    /// It has not begun.
    #[default]
    No,
    /// No more groups are made; those that are may get their scenes until then.
    Settling(Time),
    /// The lobby was told, and is to say until then that it has heard.
    Said(Time),
    /// There is nothing left to do.
    Over,
}

impl Handing {
    pub fn has_begun(self) -> bool {
        self != Self::No
    }

    /// Nothing is said about searches any more.
    pub fn is_silent(self) -> bool {
        matches!(self, Self::Said(_) | Self::Over)
    }

    pub fn until(self) -> Option<Time> {
        match self {
            Self::Settling(until) | Self::Said(until) => Some(until),
            Self::No | Self::Over => None,
        }
    }
}

impl Match {
    /// What comes after the lobby was told concerns the next handler.
    pub(super) fn unless_handed_over(&mut self, event: Event, cx: &Context<'_>) -> Option<Event> {
        if !self.handing.is_silent() {
            return Some(event);
        }
        let is_late = self.handing.until().is_some_and(|until| until <= cx.now);
        if is_late || event == Event::ResHandOver {
            self.handing = Handing::Over;
        }
        None
    }

    pub(super) fn begin_hand_over(&mut self, cx: &Context<'_>) {
        if self.handing == Handing::No {
            self.handing = Handing::Settling(cx.now.plus_ms(HAND_OVER_MS_MAX));
        }
    }

    /// Tells the lobby when no group waits for its scene any more, or has waited for too long. Groups that are not
    /// accepted yet are none: their tickets wait again.
    pub(super) fn hand_over_if_ready(&mut self, cx: &mut Context<'_>) {
        let Handing::Settling(until) = self.handing else { return };
        if until > cx.now && self.groups.iter().any(|(_, group)| !group.is_accepting()) {
            return;
        }
        self.cancel_all(cx);
        cx.send(lobby::Event::ReqHandOver { domain: self.name.clone() });
        self.handing = Handing::Said(cx.now.plus_ms(HEARD_MS_MAX));
    }
}
