//! What the host holds of a scene with a journal, besides the scene itself: written into its journal, so that the scene
//! can go on when the host has died.
//!
//! Invariant: a note and the steps behind it give the ledger of that moment, whether the steps are made or made again.

use scenehost_core::scene::HeldLine;
use scenehost_core::{Incarnation, record};
use scenehost_engine::{Command, Ending, Event, Incoming, Opening, SaveRequest, journal};
use serde::{Deserialize, Serialize};

/// What its game has said that holds on, and has not been answered.
#[derive(Debug, Default)]
pub struct Ledger {
    label: Option<String>,
    openings: Vec<Opening>,
    /// Saves that the game does not know to be made or refused, and which life of the scene has asked for each.
    saves: Vec<(Incarnation, SaveRequest)>,
    /// Those whose answer waits for the next step.
    answered: Vec<u64>,
    /// A message has come that the game does not get, which its steps do not tell.
    refused: bool,
}

/// What stands in the journal.
#[derive(Serialize)]
struct Note<'a> {
    lines: &'a [HeldLine],
    label: &'a Option<String>,
    openings: &'a [Opening],
    saves: &'a [(Incarnation, SaveRequest)],
    /// Messages that wait for the next step, in their order.
    waiting: Vec<&'a Incoming>,
}

/// What a scene has left.
#[derive(Debug, Default, Deserialize)]
pub struct Left {
    pub lines: Vec<HeldLine>,
    pub label: Option<String>,
    pub openings: Vec<Opening>,
    pub saves: Vec<(Incarnation, SaveRequest)>,
    /// Messages that the game has not got.
    pub waiting: Vec<Incoming>,
    /// Commands of the last step that may not have been carried out, and can be once more.
    #[serde(skip)]
    pub last: Vec<Command>,
    /// What it has said with its last word.
    #[serde(skip)]
    pub ending: Option<Ending>,
    /// Which life of it asks.
    #[serde(skip)]
    pub life: Option<Incarnation>,
}

impl Ledger {
    /// The ledger of a scene that goes on, whose saves are asked for again.
    pub fn of(left: &Left) -> Self {
        Self { label: left.label.clone(), openings: left.openings.clone(), ..Self::default() }
    }

    /// The game has asked for a save.
    pub fn asked(&mut self, as_of: Incarnation, save: &SaveRequest) {
        self.saves.push((as_of, save.clone()));
    }

    /// It will hear of it in its next step.
    pub fn answered(&mut self, save: u64) {
        self.answered.push(save);
    }

    /// A step was made, with everything that was waiting.
    pub fn stepped(&mut self, commands: &[Command]) {
        for answered in self.answered.drain(..) {
            forget(&mut self.saves, answered);
        }
        said(&mut self.label, &mut self.openings, commands);
    }

    /// A message has come, and is refused.
    pub fn refused(&mut self) {
        self.refused = true;
    }

    /// Whether that is to be written down before users are told that it came.
    pub fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// What is to be written down.
    pub fn note(&self, lines: &[HeldLine], waiting: Vec<&Incoming>) -> Vec<u8> {
        let Self { label, openings, saves, .. } = self;
        record::encode(&Note { lines, label, openings, saves, waiting })
    }
}

/// The same of a scene that is made again.
impl journal::Observer for Left {
    fn stepped(&mut self, stepped: &journal::Stepped<'_>) {
        for event in stepped.events {
            match event {
                Event::Saved(answer) => forget(&mut self.saves, answer.id),
                Event::Message(message) => self.received(message.from),
                _ => {}
            }
        }
        // Each step takes everything that waits.
        self.waiting.clear();
        said(&mut self.label, &mut self.openings, stepped.commands);
        self.last.clear();
        for command in stepped.commands {
            match command {
                Command::Save(save) => self.saves.extend(self.life.map(|life| (life, save.clone()))),
                Command::Kick(_) | Command::MatchAgain(_) => self.last.push(command.clone()),
                Command::Finish(ending) => self.ending = Some(ending.clone()),
                _ => {}
            }
        }
    }

    fn host(&mut self, bytes: &[u8]) {
        match record::decode::<Left>("a note of a journal", bytes) {
            Ok(left) => {
                let last = std::mem::take(&mut self.last);
                *self = Left { last, life: self.life, ..left };
            }
            // Then users come in as if they had a new client.
            Err(error) => tracing::error!(%error, "a note in a journal cannot be read"),
        }
    }
}

impl Left {
    fn received(&mut self, from: u32) {
        let Some(line) = self.lines.iter_mut().find(|line| line.seat == from) else { return };
        // Those that waited when it was written down are counted.
        match line.waiting.checked_sub(1) {
            Some(waiting) => line.waiting = waiting,
            None => line.received = line.received.wrapping_add(1),
        }
    }
}

fn forget(saves: &mut Vec<(Incarnation, SaveRequest)>, answered: u64) {
    if let Some(place) = saves.iter().position(|(_, save)| save.id == answered) {
        saves.remove(place);
    }
}

fn said(label: &mut Option<String>, openings: &mut Vec<Opening>, commands: &[Command]) {
    for command in commands {
        match command {
            Command::Label(text) => *label = Some(text.clone()),
            Command::SeekPlayers(wanted) => openings.clone_from(wanted),
            Command::StopSeeking => openings.clear(),
            _ => {}
        }
    }
}
