//! What an operator decides about domains and fleets, as the rules need it. Checked once, by
//! [`Domain::check`] and [`Fleet::check`], before any service sees it.

use serde::{Deserialize, Serialize};

use crate::auth::account::SESSIONS_MAX;

pub use crate::matching::domain::Domain;

/// Who may sign in, and how long that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// How long a session token is good for; then it is refreshed.
    pub session_ms: u64,
    /// How long a session lives without being refreshed.
    pub refresh_ms: u64,
    /// How many sessions a user may have.
    pub sessions: Sessions,
    /// Whether devices may sign in as guests without an account of another kind.
    pub guests: bool,
    /// Whether users may make accounts with a name and a password.
    pub passwords: bool,
}

/// How many sessions a user may have, and what happens to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SessionsSetting")]
pub enum Sessions {
    /// One: a new sign-in ends the session before it.
    Newest,
    /// One at a time: while it is connected, other sign-ins of the user are refused.
    Refuse,
    /// So many; a new one more ends the one that was not used for the longest time.
    Most(usize),
}

/// As it is written in the configuration.
#[derive(Deserialize)]
#[serde(untagged, expecting = "sessions is \"newest\", \"refuse\", or a number")]
enum SessionsSetting {
    Name(String),
    Most(usize),
}

impl TryFrom<SessionsSetting> for Sessions {
    type Error = &'static str;

    fn try_from(setting: SessionsSetting) -> Result<Self, Self::Error> {
        match setting {
            SessionsSetting::Most(most) => Ok(Self::Most(most)),
            SessionsSetting::Name(name) if name == "newest" => Ok(Self::Newest),
            SessionsSetting::Name(name) if name == "refuse" => Ok(Self::Refuse),
            SessionsSetting::Name(_) => Err("sessions is \"newest\", \"refuse\", or a number"),
        }
    }
}

impl Sessions {
    /// The most that may live.
    pub fn max(self) -> usize {
        match self {
            Self::Newest | Self::Refuse => 1,
            Self::Most(max) => max,
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            session_ms: 24 * 3_600_000,
            refresh_ms: 60 * 24 * 3_600_000,
            sessions: Sessions::Most(8),
            guests: true,
            passwords: true,
        }
    }
}

impl Auth {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        if self.session_ms < 60_000 || self.refresh_ms < self.session_ms {
            return Err("session_ms needs at least 60000, and refresh_ms at least session_ms".to_owned());
        }
        if self.sessions.max() == 0 || self.sessions.max() > SESSIONS_MAX {
            return Err(format!("sessions is \"newest\", \"refuse\", or a number from 1 to {SESSIONS_MAX}"));
        }
        Ok(())
    }
}

/// What the lobby grants its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lobby {
    /// How long everything is kept for a user whose connection was lost.
    pub grace_ms: u64,
}

impl Default for Lobby {
    fn default() -> Self {
        Self { grace_ms: 30_000 }
    }
}

/// The most players in one scene.
pub const PLAYERS_MAX: u32 = 200;

/// The time limits of a fleet's scenes that SceneMaster and Scene keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fleet {
    /// Steps per second; 0: only when something happened.
    pub tick_rate_hz: u32,
    /// How long a scene token lets its user in.
    pub token_ms: u64,
    /// How long the seat of a dropped user is kept.
    pub grace_ms: u64,
    /// How long a scene without anyone lives on.
    pub empty_ms: u64,
    /// The most that a scene lives.
    pub life_ms_max: u64,
    /// How long a scene has to end by itself when it is told to stop.
    pub stop_grace_ms: u32,
    /// How many scenes of this fleet may live on one node.
    pub scenes_max: u32,
    /// What a scene takes of its node; how many fit on one follows from it.
    pub usage: Usage,
    /// Which of the nodes with room gets the next scene.
    pub placement: Placement,
    /// When scenes of this fleet begin.
    pub start: StartOn,
    /// With [`StartOn::Provision`], how many scenes are kept ready for allocation.
    pub standby_min: u32,
    /// How many scenes may be ready or reserved at most; more that become so are ended.
    pub standby_max: u32,
    /// How long a scene is kept ready that is not needed for `standby_min`.
    pub standby_ms: u64,
    /// How long a reservation of a ready scene holds, if who reserves it does not say.
    pub reserve_ms: u64,
    /// What a scene is after its session.
    pub after_session: AfterSession,
    /// After so many sessions a scene that is used again ends all the same.
    pub sessions_max: u32,
    /// How long running games have to end when their node is drained.
    pub drain_ms: u64,
    /// What becomes of running games when their node is drained.
    pub on_drain: OnDrain,
    /// How many messages a user may send to a scene in a second.
    pub messages_per_s_max: u32,
    /// What becomes of a scene that has to save while Db is down.
    pub on_db_down: OnDbDown,
    /// What becomes of a scene whose game fails, or whose machine is gone.
    pub on_crash: OnCrash,
    /// How often a scene may fail within [`CRASHES_WITHIN_MS`] and begin anew; with one more it ends.
    pub crashes_max: u32,
    /// Whether users may join a running game of their own accord.
    pub join_in_progress: bool,
    /// How many may hold a seat at once where users join in progress, 1 to [`PLAYERS_MAX`].
    pub seats_max: u32,
    /// How many may watch a game; 0: nobody.
    pub spectators_max: u32,
    /// How much later than the players those who watch see the game.
    pub spectator_delay_ms: u64,
    /// When a scene misbehaves, and how often it may.
    pub strikes: Strikes,
    /// How many of its scenes may fail before a version gets no more new ones.
    pub quarantine: Quarantine,
    /// What is written down of its games.
    pub journal: Journal,
}

/// What is written down of a game: everything that it was given, from which it can be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// For what.
    pub keep: Keep,
    /// After so many steps the game's whole state is put in, 1 to [`SNAPSHOT_STEPS_MAX`]. The fewer, the sooner a game
    /// goes on after a crash of its host, and the more is written.
    pub snapshot_steps: u32,
    /// The largest journal, 64 to 1,048,576 KiB. A longer one begins anew with the game's whole state.
    pub kib_max: u64,
}

/// For what a journal is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// There is none.
    #[default]
    Off,
    /// To go on where the game was when its host has died, for fleets whose games begin anew after a crash. It is kept as
    /// long as the game runs; of a game that failed longer.
    Recovery,
    /// The same, and to replay the game from its beginning.
    Full,
}

/// The most steps from one whole state in a journal to the next.
pub const SNAPSHOT_STEPS_MAX: u32 = 1_000_000;

impl Default for Journal {
    fn default() -> Self {
        Self { keep: Keep::Off, snapshot_steps: 300, kib_max: 64 * 1_024 }
    }
}

impl Journal {
    /// What is wrong with it, if anything.
    fn check(&self) -> Result<(), String> {
        if !(1..=SNAPSHOT_STEPS_MAX).contains(&self.snapshot_steps) {
            return Err(format!("journal.snapshot_steps is {}: use 1 to {SNAPSHOT_STEPS_MAX}", self.snapshot_steps));
        }
        if !(64..=1_048_576).contains(&self.kib_max) {
            return Err(format!("journal.kib_max is {}: use 64 to 1048576", self.kib_max));
        }
        Ok(())
    }
}

/// When a scene misbehaves, and how often it may before it is stopped from outside. These limits are soft: one that
/// passes a hard one fails at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Strikes {
    /// With so many strikes within the window it is stopped; 0: never, they are only counted.
    pub max: u32,
    /// For how long a strike counts.
    pub within_ms: u64,
    /// A step that takes longer is a strike; 0: none is. It is time on the clock, so a machine that is too busy
    /// makes steps longer, too.
    pub step_ms: u64,
    /// More memory than this in use after a step is a strike; 0: none is.
    pub memory_kib: u64,
    /// A scene that does not answer its node for so long, as when its thread hangs, has a strike, and one more after
    /// each time as long; 0: it has none.
    pub silence_ms: u64,
}

impl Default for Strikes {
    fn default() -> Self {
        Self { max: 3, within_ms: 30_000, step_ms: 0, memory_kib: 0, silence_ms: 5_000 }
    }
}

/// The most strikes that may be set: so many are kept of a scene.
pub const STRIKES_MAX: u32 = 100;

impl Strikes {
    /// What is wrong with them, if anything.
    fn check(&self) -> Result<(), String> {
        if self.max > STRIKES_MAX {
            return Err(format!("strikes.max is {}: use 0 to {STRIKES_MAX}", self.max));
        }
        if !(1_000..=3_600_000).contains(&self.within_ms) {
            return Err(format!("strikes.within_ms is {}: use 1000 to 3600000", self.within_ms));
        }
        if (1..100).contains(&self.silence_ms) {
            return Err(format!("strikes.silence_ms is {}: use 0, or 100 or more", self.silence_ms));
        }
        Ok(())
    }
}

/// When a version of a game has failed so often that it gets no more new scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quarantine {
    /// So many of the fleet's scenes that fail within the window are one too many, 1 to [`QUARANTINE_SCENES_MAX`]; 0: it
    /// is never put into quarantine.
    pub scenes: u32,
    /// For how long a failure counts, 1,000 to 86,400,000 ms.
    pub within_ms: u64,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self { scenes: 5, within_ms: 600_000 }
    }
}

/// The most scenes of which it is remembered that they have failed.
pub const QUARANTINE_SCENES_MAX: u32 = 1_000;

impl Quarantine {
    /// What is wrong with it, if anything.
    fn check(&self) -> Result<(), String> {
        if self.scenes > QUARANTINE_SCENES_MAX {
            return Err(format!("quarantine.scenes is {}: use 0 to {QUARANTINE_SCENES_MAX}", self.scenes));
        }
        if !(1_000..=86_400_000).contains(&self.within_ms) {
            return Err(format!("quarantine.within_ms is {}: use 1000 to 86400000", self.within_ms));
        }
        Ok(())
    }
}

/// The most that may watch one game.
pub const SPECTATORS_MAX: u32 = 10_000;
/// The longest delay of those who watch.
pub const SPECTATOR_DELAY_MS_MAX: u64 = 600_000;
/// What a scene takes of its node, on average. A part that is 0 is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Microseconds of one core in each second.
    pub cpu_us_per_s: u32,
    /// KiB of memory.
    pub memory_kib: u32,
}

/// A core is given to about 10,000 small scenes, and a GiB of memory to 16,000.
impl Default for Usage {
    fn default() -> Self {
        Self { cpu_us_per_s: 100, memory_kib: 64 }
    }
}

/// Which node gets the next scene.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The one with the most room, so that one machine that fails hurts few.
    #[default]
    Spread,
    /// The fullest one with room, so that the others fall idle and can be taken away.
    Packed,
}

/// When scenes of a fleet begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartOn {
    /// When they are allocated, if none is ready.
    #[default]
    Allocation,
    /// Before: `standby_min` are always ready. Where these do not suffice, at allocation, too.
    Provision,
    /// Only when an operator starts them; an allocation gets one that is ready, or is refused.
    Hand,
}

/// What a scene is after its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterSession {
    /// Over. Each session gets a fresh instance of the game.
    #[default]
    End,
    /// Ready again: the game's instance is kept, and begins its next session by itself.
    Reuse,
}

/// For how long a failure of a scene counts.
pub const CRASHES_WITHIN_MS: u64 = 600_000;

/// What becomes of a scene whose game fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnCrash {
    /// It begins anew, with the same users in the same seats.
    #[default]
    Restart,
    /// It ends, and its users are told why.
    End,
}

/// What becomes of running games when their node is drained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDrain {
    /// They are told, and have `drain_ms` to end.
    #[default]
    End,
    /// They go on from their journals on other nodes, a few at a time. Where no other node has room they end.
    Move,
}

/// What becomes of a scene that has to save while nothing can be saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDbDown {
    /// It goes on: what it saves waits, and is made and answered as soon as that is possible.
    #[default]
    Wait,
    /// It ends, and its users are told why.
    End,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            tick_rate_hz: 0,
            token_ms: 30_000,
            grace_ms: 20_000,
            empty_ms: 5_000,
            life_ms_max: 4 * 3_600_000,
            stop_grace_ms: 2_000,
            scenes_max: 10_000,
            usage: Usage::default(),
            placement: Placement::Spread,
            start: StartOn::Allocation,
            standby_min: 0,
            standby_max: 10_000,
            standby_ms: 600_000,
            reserve_ms: 15_000,
            after_session: AfterSession::End,
            sessions_max: 100,
            drain_ms: 300_000,
            on_drain: OnDrain::End,
            messages_per_s_max: 60,
            on_db_down: OnDbDown::Wait,
            on_crash: OnCrash::Restart,
            crashes_max: 3,
            join_in_progress: false,
            seats_max: 0,
            spectators_max: 0,
            spectator_delay_ms: 0,
            strikes: Strikes::default(),
            quarantine: Quarantine::default(),
            journal: Journal::default(),
        }
    }
}

/// The longest time for which a ready scene may be reserved: a day.
pub const RESERVE_MS_MAX: u64 = 86_400_000;

/// The highest tick rate, from the contract.
pub const TICK_RATE_HZ_MAX: u32 = 120;

impl Fleet {
    /// Whether its games go on from their journals where the machine that ran them is gone, or lets them go.
    pub fn goes_on(&self) -> bool {
        self.journal.keep != Keep::Off && self.on_crash == OnCrash::Restart
    }

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        if self.tick_rate_hz > TICK_RATE_HZ_MAX {
            return Err(format!("tick_rate_hz is {}: use 0 to {TICK_RATE_HZ_MAX}", self.tick_rate_hz));
        }
        if self.token_ms < 1_000 {
            return Err("token_ms is below 1000: users need the time to connect".to_owned());
        }
        if self.life_ms_max < 1_000 {
            return Err("life_ms_max is below 1000".to_owned());
        }
        if self.scenes_max == 0 || self.messages_per_s_max == 0 {
            return Err("scenes_max and messages_per_s_max need at least 1".to_owned());
        }
        if self.join_in_progress && !(1..=PLAYERS_MAX).contains(&self.seats_max) {
            return Err(format!("join_in_progress needs seats_max, 1 to {PLAYERS_MAX}: it is {}", self.seats_max));
        }
        if !self.join_in_progress && self.seats_max != 0 {
            return Err("seats_max is for users who join in progress: set join_in_progress, too".to_owned());
        }
        if self.spectators_max > SPECTATORS_MAX || self.spectator_delay_ms > SPECTATOR_DELAY_MS_MAX {
            return Err(format!(
                "spectators_max is at most {SPECTATORS_MAX}, and spectator_delay_ms at most {SPECTATOR_DELAY_MS_MAX}"
            ));
        }
        if self.standby_min > 0 && self.start != StartOn::Provision {
            return Err("standby_min needs start = \"provision\": only then are scenes kept ready".to_owned());
        }
        if self.start == StartOn::Provision && self.standby_min == 0 {
            return Err("start = \"provision\" needs standby_min of at least 1".to_owned());
        }
        if self.standby_min > self.standby_max {
            return Err(format!("standby_min is {}, above standby_max ({})", self.standby_min, self.standby_max));
        }
        if self.standby_ms < 1_000 || self.reserve_ms < 1_000 || self.reserve_ms > RESERVE_MS_MAX {
            return Err(format!(
                "standby_ms and reserve_ms need at least 1000, and reserve_ms at most {RESERVE_MS_MAX}"
            ));
        }
        if self.sessions_max == 0 {
            return Err("sessions_max needs at least 1".to_owned());
        }
        if self.on_drain == OnDrain::Move && !self.goes_on() {
            return Err(
                "on_drain = \"move\" needs journal.keep and on_crash = \"restart\": a game goes on elsewhere from \
                        its journal"
                    .to_owned(),
            );
        }
        self.journal.check()?;
        self.quarantine.check()?;
        self.strikes.check()
    }
}
