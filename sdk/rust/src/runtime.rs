//! `Runtime`, a scene with its context: gives events to their handlers and owns the snapshot's form,
//! which is what the context keeps and after it the scene's own bytes.

use crate::context::{Context, Kept};
use crate::roster::Presence;
use crate::{Comeback, Command, Event, Fault, Init, Moment, Player, Scene, Timer};

/// A scene in a host: what the functions of the contract do.
pub struct Runtime<S> {
    scene: S,
    ctx: Context,
}

impl<S: Scene> Runtime<S> {
    /// Begins the scene.
    pub fn start(init: Init) -> Result<Self, String> {
        let mut kept = Kept::new(&init);
        let scene = S::start(&init, &mut kept.random).map_err(text)?;
        let ctx = Context::new(&init, kept);
        Ok(Runtime { scene, ctx })
    }

    /// Begins the next session in this scene.
    pub fn restart(&mut self, init: Init) -> Result<(), String> {
        let mut kept = Kept::new(&init);
        self.scene.restart(&init, &mut kept.random).map_err(text)?;
        self.ctx = Context::new(&init, kept);
        Ok(())
    }

    /// Begins the scene from a snapshot.
    pub fn load(init: Init, snapshot: &[u8]) -> Result<Self, String> {
        let mut rest = snapshot;
        let kept = Kept::load(&init, &mut rest).map_err(|error| format!("not a snapshot of this SDK: {error}"))?;
        let scene = S::load(&init, rest).map_err(text)?;
        let ctx = Context::new(&init, kept);
        Ok(Runtime { scene, ctx })
    }

    /// The snapshot of the scene and its context.
    pub fn save(&self) -> Result<Vec<u8>, String> {
        let mut snapshot = self.ctx.kept.save().map_err(text)?;
        snapshot.extend(self.scene.save().map_err(text)?);
        Ok(snapshot)
    }

    /// The game's own condition to enter.
    pub fn admit(&self, player: &Player) -> Result<(), String> {
        self.scene.admit(player)
    }

    /// One step: the events to their handlers, then the tick.
    pub fn step(&mut self, at: Moment, events: Vec<Event>) -> Result<Vec<Command>, String> {
        self.ctx.begin(at);
        for event in events {
            if self.ctx.is_over() {
                break;
            }
            self.handle(event);
        }
        if !self.ctx.is_over() {
            self.scene.tick(&mut self.ctx);
        }
        self.ctx.end()
    }

    /// Keeps the roster before the handler sees it; only a leaver stays known until after.
    fn handle(&mut self, event: Event) {
        let Runtime { scene, ctx } = self;
        match event {
            Event::Joined(player) => {
                ctx.kept.roster.put(&player, Presence::Inside);
                scene.joined(ctx, &player);
            }
            Event::Dropped(seat) => {
                ctx.kept.roster.mark(seat, Presence::Dropped);
                scene.dropped(ctx, seat);
            }
            Event::Resumed(Comeback { seat, missed }) => {
                ctx.kept.roster.mark(seat, Presence::Inside);
                scene.resumed(ctx, seat, missed);
            }
            Event::Left(departure) => {
                let seat = departure.seat;
                ctx.kept.roster.mark(seat, Presence::Dropped);
                scene.left(ctx, seat, departure.reason);
                ctx.kept.roster.remove(seat);
            }
            Event::Message(incoming) => scene.received(ctx, incoming.from, incoming.body),
            Event::Timer(id) => scene.timer(ctx, Timer::from_id(id)),
            Event::Signal(external) => scene.signal(ctx, &external.name, &external.body),
            Event::Saved(answer) => scene.saved(ctx, answer.id, answer.outcome),
            Event::Stopping(notice) => scene.stopping(ctx, notice),
            Event::Watched => scene.watched(ctx),
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn scene(&self) -> &S {
        &self.scene
    }
}

fn text(fault: Fault) -> String {
    fault.to_string()
}
