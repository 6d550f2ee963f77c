//! Scenes that go on where their journals end, after their host has died.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use scenehost_core::scene::{self, Scene, Whereabouts};
use scenehost_core::scene_service::Start;
use scenehost_core::{Incarnation, Player, SceneId, Seat};
use scenehost_engine::journal::{self, Header, JournalSpec, Kept};
use scenehost_engine::{Event, Player as GamePlayer, Presence, RecoverError, Recovered, SceneKey, SceneSpec};

use super::super::game;
use super::super::ledger::{Ledger, Left};
use super::super::runs::FleetRun;
use super::SceneThread;

impl SceneThread {
    /// If there is a journal of the scene's life before it goes on from its end. Whether it does; else it begins anew.
    pub(super) fn goes_on(&mut self, id: SceneId, start: &Start) -> bool {
        let life = Incarnation { scene: id, epoch: start.epoch };
        let Some((older, bytes)) = self.outcomes.journals.journals().take(life) else { return false };
        let result = bytes.and_then(|bytes| self.go_on(start, older, life, &bytes));
        if let Err(error) = &result {
            tracing::error!(scene = %id, %error, "a scene does not go on from its journal: it begins anew");
            self.worker.remove(SceneKey(id.0));
            self.outcomes.journals.journals().folder().close(older);
        }
        result.is_ok()
    }

    fn go_on(&mut self, start: &Start, older: Incarnation, life: Incarnation, bytes: &[u8]) -> io::Result<()> {
        let id = life.scene;
        let (tail, journal_bytes) = journal::tail(bytes).map_err(io::Error::other)?;
        let mut left = Left { life: Some(older), ..Left::default() };
        let (journals, rules) = (self.outcomes.journals.journals().clone(), start.limits.journal);
        let mut begun = None;
        let spec_of = |header: &Header| {
            begun = Some(header.clone());
            let journal = JournalSpec { about: header.about.clone(), snapshot_steps: rules.snapshot_steps };
            let tick_when_empty = header.tick_when_empty;
            SceneSpec { tick_when_empty, journal: Some(journal), ..SceneSpec::new(header.init.clone()) }
        };
        let now = self.clock.elapsed();
        let plugin_of = |digest: &_| journals.plugin(digest);
        let kept = match self.worker.recover(SceneKey(id.0), &tail, plugin_of, spec_of, now, &mut left) {
            Ok(Recovered { report, kept, .. }) => {
                tracing::info!(scene = %life, steps = report.steps, tick = kept.next_tick, "a scene goes on");
                kept
            }
            // Its last word may not have been heard.
            Err(RecoverError::Over(kept)) if left.ending.is_some() => *kept,
            Err(error) => return Err(io::Error::other(error)),
        };
        self.outcomes.journals.go_on(older, life, rules, journal_bytes as u64)?;
        let whereabouts = |seat: Seat| whereabouts(&kept, seat);
        let known = begun.as_ref().map_or(0, |header: &Header| header.init.players.len());
        let scene = Scene::going_on(id, start.clone(), self.clock.now(), known, whereabouts, &left.lines);
        self.scenes.insert(id, scene);
        let run = self.run_of(id, start, begun.as_ref());
        run.iter().for_each(|run| self.logs.begin(id, run));
        run.iter().for_each(|run| self.uses(id, run));
        self.ledgers.insert(id, Ledger::of(&left));
        self.scene_event(id, scene::Event::Started(Ok(())));
        if let Some(run) = run.filter(|run| run.build != start.build) {
            self.is_made_of(id, &run);
        }
        // Who had come in, and the game has not heard of it.
        let is_unheard = |player: &&Player| {
            let has_line = left.lines.iter().any(|line| line.seat == player.seat);
            has_line && !kept.seats.iter().any(|(seat, _)| *seat == player.seat)
        };
        let players = start.seats.iter().map(|grant| &grant.player);
        let unheard: Vec<_> = players.filter(is_unheard).map(game::player).collect();
        self.catch_up(id, &kept, unheard, left);
        Ok(())
    }

    /// What it is made of: the version that its journal says, which need not be one of its fleet any more. Of a game that
    /// is over nothing more is made.
    fn run_of(&self, id: SceneId, start: &Start, header: Option<&Header>) -> Option<Arc<FleetRun>> {
        let (Some(plugin), Some(header)) = (self.worker.plugin(SceneKey(id.0)), header) else {
            return self.fleets.get(&start.fleet, start.build);
        };
        Some(self.fleets.going_on(FleetRun {
            fleet: start.fleet.clone(),
            build: start.build,
            game: header.about.plugin.as_str().into(),
            plugin: plugin.clone(),
            configuration: header.init.configuration.clone(),
            limits: header.limits,
            tick_when_empty: header.tick_when_empty,
            quarantine: start.limits.quarantine,
            scenes: AtomicUsize::new(0),
            failures: Mutex::default(),
            used: Mutex::default(),
        }))
    }

    /// What was under way when the host died.
    fn catch_up(&mut self, id: SceneId, kept: &Kept, unheard: Vec<GamePlayer>, left: Left) {
        if let Some(ending) = left.ending {
            return self.scene_event(id, scene::Event::Finish(game::results(ending)));
        }
        let now = self.clock.elapsed();
        let inside = kept.seats.iter().filter(|(_, presence)| *presence == Presence::Inside);
        let dropped = inside.map(|(seat, _)| Event::Dropped(*seat));
        let joined = unheard.into_iter().flat_map(|player| {
            let dropped = Event::Dropped(player.seat);
            [Event::Joined(player), dropped]
        });
        for event in dropped.chain(joined) {
            // A fresh inbox has room for every seat.
            let _ = self.worker.deliver(SceneKey(id.0), event, now);
        }
        for message in left.waiting {
            let _ = self.worker.deliver(SceneKey(id.0), Event::Message(message), now); // It has waited in such an inbox.
        }
        if let Some(label) = left.label {
            self.scene_event(id, scene::Event::Label(label));
        }
        if !left.openings.is_empty() {
            self.scene_event(id, scene::Event::SeekPlayers(game::openings(left.openings)));
        }
        for (as_of, save) in left.saves {
            self.save_as_of(id, as_of, save);
        }
        left.last.into_iter().for_each(|command| self.command(id, command));
        self.note(id);
    }

    /// Writes down what the host holds of a scene with a journal.
    pub(super) fn note(&mut self, id: SceneId) {
        if let (Some(ledger), Some(scene)) = (self.ledgers.get(&id), self.scenes.get_mut(&id)) {
            let note = ledger.note(&scene.to_hold(), self.worker.waiting(SceneKey(id.0)).collect());
            self.worker.note(SceneKey(id.0), &note, &mut self.outcomes);
            scene.noted();
        }
    }
}

fn whereabouts(kept: &Kept, seat: Seat) -> Whereabouts {
    match kept.seats.iter().find(|(it, _)| *it == seat) {
        None => Whereabouts::Expected,
        Some((_, Presence::Inside | Presence::Away)) => Whereabouts::Held,
        Some((_, Presence::Gone)) => Whereabouts::Gone,
    }
}
