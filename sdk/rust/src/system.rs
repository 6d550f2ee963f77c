//! `System`, a part of a scene's logic, and `systems!`, which makes a scene of its systems.

use crate::{Context, LeaveReason, Player, SaveError, Seat, StopNotice, Timer};

/// A part of a scene's logic, such as movement, combat or score. It has its own state, hears its own
/// share of the events, and works on the world `W`, the state that all systems of the scene share.
/// `M` is the scene's message type.
///
/// A system may name the few handlers it cares about; they mean what they mean in
/// [`Scene`](crate::Scene), and are called in the order in which [`systems!`](crate::systems) names
/// the systems.
///
/// ```
/// use scenehost_sdk::prelude::*;
/// use scenehost_sdk::testing::{SceneTest, players};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct World { fuel: u32, distance: u32 }
///
/// #[derive(Deserialize)]
/// struct Refuel(u32);
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Tank;
/// impl System<World, Refuel> for Tank {
///     fn message(&mut self, world: &mut World, _: &mut Context, _: Seat, Refuel(more): &Refuel) {
///         world.fuel += more;
///     }
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Engine { running: bool }
/// impl System<World, Refuel> for Engine {
///     fn tick(&mut self, world: &mut World, _: &mut Context) {
///         self.running = world.fuel > 0;
///         if self.running {
///             world.fuel -= 1;
///             world.distance += 1;
///         }
///     }
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Drive { world: World, tank: Tank, engine: Engine }
/// impl Scene for Drive {
///     type Message = Refuel;
///     fn start(_: &Init, _: &mut Random) -> Result<Self, Fault> {
///         Ok(Drive::default())
///     }
///     systems!(world => tank, engine);
/// }
///
/// let mut drive = SceneTest::<Drive>::start(Init { tick_rate_hz: 10, ..players(1) });
/// drive.join(0);
/// drive.send(0, &5);
/// drive.ticks(8);
/// assert_eq!(drive.scene().world.distance, 5);
/// assert!(!drive.scene().engine.running);
/// ```
pub trait System<W, M> {
    /// A player is inside and connected.
    fn joined(&mut self, world: &mut W, ctx: &mut Context, player: &Player) {
        let _ = (world, ctx, player);
    }

    /// A player's connection was lost.
    fn dropped(&mut self, world: &mut W, ctx: &mut Context, seat: Seat) {
        let _ = (world, ctx, seat);
    }

    /// A dropped player is back, and needs the whole state if messages were `missed`.
    fn resumed(&mut self, world: &mut W, ctx: &mut Context, seat: Seat, missed: bool) {
        let _ = (world, ctx, seat, missed);
    }

    /// A player is gone for good, or never came.
    fn left(&mut self, world: &mut W, ctx: &mut Context, seat: Seat, reason: LeaveReason) {
        let _ = (world, ctx, seat, reason);
    }

    /// A player has sent a message of the game.
    fn message(&mut self, world: &mut W, ctx: &mut Context, from: Seat, message: &M) {
        let _ = (world, ctx, from, message);
    }

    /// A timer is due. All systems are told of all timers.
    fn timer(&mut self, world: &mut W, ctx: &mut Context, timer: Timer) {
        let _ = (world, ctx, timer);
    }

    /// A message from outside the game.
    fn signal(&mut self, world: &mut W, ctx: &mut Context, name: &str, body: &[u8]) {
        let _ = (world, ctx, name, body);
    }

    /// The answer to a save.
    fn saved(&mut self, world: &mut W, ctx: &mut Context, id: u64, outcome: &Result<(), SaveError>) {
        let _ = (world, ctx, id, outcome);
    }

    /// The host is about to end the scene.
    fn stopping(&mut self, world: &mut W, ctx: &mut Context, notice: StopNotice) {
        let _ = (world, ctx, notice);
    }

    /// The host wants the whole view of users who watch.
    fn watched(&mut self, world: &mut W, ctx: &mut Context) {
        let _ = (world, ctx);
    }

    /// Once in each step, after its events.
    fn tick(&mut self, world: &mut W, ctx: &mut Context) {
        let _ = (world, ctx);
    }
}

/// Inside `impl Scene`: gives every event to the scene's systems. `systems!(world => movement,
/// combat)` names fields of the scene: the one that all systems share, and the systems in their
/// order. What else the scene has to do with an event is one more system.
#[macro_export]
macro_rules! systems {
    ($world:ident => $($system:ident),+ $(,)?) => {
        fn joined(&mut self, ctx: &mut $crate::Context, player: &$crate::Player) {
            $($crate::System::<_, Self::Message>::joined(
                &mut self.$system, &mut self.$world, ctx, player,
            );)+
        }

        fn dropped(&mut self, ctx: &mut $crate::Context, seat: $crate::Seat) {
            $($crate::System::<_, Self::Message>::dropped(
                &mut self.$system, &mut self.$world, ctx, seat,
            );)+
        }

        fn resumed(&mut self, ctx: &mut $crate::Context, seat: $crate::Seat, missed: bool) {
            $($crate::System::<_, Self::Message>::resumed(
                &mut self.$system, &mut self.$world, ctx, seat, missed,
            );)+
        }

        fn left(
            &mut self,
            ctx: &mut $crate::Context,
            seat: $crate::Seat,
            reason: $crate::LeaveReason,
        ) {
            $($crate::System::<_, Self::Message>::left(
                &mut self.$system, &mut self.$world, ctx, seat, reason,
            );)+
        }

        fn message(
            &mut self,
            ctx: &mut $crate::Context,
            from: $crate::Seat,
            message: Self::Message,
        ) {
            $($crate::System::<_, Self::Message>::message(
                &mut self.$system, &mut self.$world, ctx, from, &message,
            );)+
        }

        fn timer(&mut self, ctx: &mut $crate::Context, timer: $crate::Timer) {
            $($crate::System::<_, Self::Message>::timer(
                &mut self.$system, &mut self.$world, ctx, timer,
            );)+
        }

        fn signal(&mut self, ctx: &mut $crate::Context, name: &str, body: &[u8]) {
            $($crate::System::<_, Self::Message>::signal(
                &mut self.$system, &mut self.$world, ctx, name, body,
            );)+
        }

        fn saved(
            &mut self,
            ctx: &mut $crate::Context,
            id: u64,
            outcome: ::std::result::Result<(), $crate::SaveError>,
        ) {
            $($crate::System::<_, Self::Message>::saved(
                &mut self.$system, &mut self.$world, ctx, id, &outcome,
            );)+
        }

        fn stopping(&mut self, ctx: &mut $crate::Context, notice: $crate::StopNotice) {
            $($crate::System::<_, Self::Message>::stopping(
                &mut self.$system, &mut self.$world, ctx, notice,
            );)+
        }

        fn watched(&mut self, ctx: &mut $crate::Context) {
            $($crate::System::<_, Self::Message>::watched(
                &mut self.$system, &mut self.$world, ctx,
            );)+
        }

        fn tick(&mut self, ctx: &mut $crate::Context) {
            $($crate::System::<_, Self::Message>::tick(
                &mut self.$system, &mut self.$world, ctx,
            );)+
        }
    };
}
