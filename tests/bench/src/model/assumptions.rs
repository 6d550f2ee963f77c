//! What the model is told: what users do, how games are, and what a node is. Everything else is measured.

use clap::Args;
use serde::Serialize;

/// How many users there are, what they do, and what they do it on.
#[derive(Debug, Clone, Args, Serialize)]
pub struct Assumptions {
    /// Connected users.
    #[arg(long, default_value_t = 1_000_000.0)]
    pub users: f64,
    /// The share of them that is in a game.
    #[arg(long, default_value_t = 0.5)]
    pub in_games: f64,
    /// Users in a game.
    #[arg(long, default_value_t = 10.0)]
    pub players_per_game: f64,
    /// How long a game takes, in minutes.
    #[arg(long, default_value_t = 20.0)]
    pub game_minutes: f64,
    /// Steps of a game in a second; each tells every player something.
    #[arg(long, default_value_t = 20.0)]
    pub tick_rate_hz: f64,
    /// What a player sends in a game, in messages a second.
    #[arg(long, default_value_t = 10.0)]
    pub game_messages_per_s: f64,
    /// What a game saves while it runs, in times.
    #[arg(long, default_value_t = 2.0)]
    pub saves_per_game: f64,
    /// How long a search for a match takes, in seconds.
    #[arg(long, default_value_t = 10.0)]
    pub search_s: f64,
    /// Domains among which the searches are even.
    #[arg(long, default_value_t = 8.0)]
    pub domains: f64,
    /// How long a user stays, in minutes.
    #[arg(long, default_value_t = 60.0)]
    pub session_minutes: f64,
    /// The share of those who come that is new.
    #[arg(long, default_value_t = 0.02)]
    pub new_users: f64,
    /// What a user asks the Lobby for besides matches, chat and purchases, in times a minute.
    #[arg(long, default_value_t = 0.5)]
    pub requests_per_minute: f64,
    /// What a user says, in messages an hour.
    #[arg(long, default_value_t = 4.0)]
    pub chat_per_hour: f64,
    /// How many users read it.
    #[arg(long, default_value_t = 100.0)]
    pub chat_readers: f64,
    /// How many friends of a user are there, who are told when that one comes, goes, and begins or ends a game.
    #[arg(long, default_value_t = 10.0)]
    pub friends: f64,
    /// What a user buys, in times an hour.
    #[arg(long, default_value_t = 0.5)]
    pub purchases_per_hour: f64,
    /// Within how many seconds all users shall be back when the Lobby has moved to another node.
    #[arg(long, default_value_t = 60.0)]
    pub back_within_s: f64,
    /// Cores of a node.
    #[arg(long, default_value_t = 8.0)]
    pub node_cores: f64,
    /// Memory of a node, in GiB.
    #[arg(long, default_value_t = 32.0)]
    pub node_gib: f64,
    /// How much of a node's cores and memory is planned with; the rest is for peaks and for nodes that are gone.
    #[arg(long, default_value_t = 0.6)]
    pub used: f64,
    /// Connections that a node may have: server.connections_max.
    #[arg(long, default_value_t = 100_000.0)]
    pub node_connections: f64,
    /// Memory of a connection, the kernel's included, in KiB. Not measured by a bench.
    #[arg(long, default_value_t = 40.0)]
    pub connection_kib: f64,
    /// Memory of a user in the Lobby, in KiB. Not measured by a bench.
    #[arg(long, default_value_t = 4.0)]
    pub lobby_kib: f64,
    /// Cores that the NATS servers have together.
    #[arg(long, default_value_t = 6.0)]
    pub nats_cores: f64,
    /// Payloads that a NATS server takes and gives away in a second, if `cluster.json` does not say it.
    #[arg(long, default_value_t = 500_000.0)]
    pub nats_per_s: f64,
    /// Commits that the database takes in a second, of which many are in one transaction, if `cluster.json` does not say it.
    #[arg(long, default_value_t = 10_000.0)]
    pub postgres_per_s: f64,
}

impl Assumptions {
    /// Refuses what nothing can be computed from.
    ///
    /// # Errors
    /// Which flag, and what it needs.
    pub fn check(&self) -> Result<(), String> {
        let above_0 = [
            ("users", self.users),
            ("players-per-game", self.players_per_game),
            ("game-minutes", self.game_minutes),
            ("domains", self.domains),
            ("session-minutes", self.session_minutes),
            ("back-within-s", self.back_within_s),
            ("node-cores", self.node_cores),
            ("node-gib", self.node_gib),
            ("used", self.used),
            ("node-connections", self.node_connections),
            ("nats-cores", self.nats_cores),
            ("nats-per-s", self.nats_per_s),
            ("postgres-per-s", self.postgres_per_s),
        ];
        let not_below_0 = [
            ("in-games", self.in_games),
            ("tick-rate-hz", self.tick_rate_hz),
            ("game-messages-per-s", self.game_messages_per_s),
            ("saves-per-game", self.saves_per_game),
            ("search-s", self.search_s),
            ("new-users", self.new_users),
            ("requests-per-minute", self.requests_per_minute),
            ("chat-per-hour", self.chat_per_hour),
            ("chat-readers", self.chat_readers),
            ("friends", self.friends),
            ("purchases-per-hour", self.purchases_per_hour),
            ("connection-kib", self.connection_kib),
            ("lobby-kib", self.lobby_kib),
        ];
        if let Some((flag, _)) = above_0.iter().find(|(_, value)| !value.is_finite() || *value <= 0.0) {
            return Err(format!("--{flag} needs a number above 0"));
        }
        if let Some((flag, _)) = not_below_0.iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
            return Err(format!("--{flag} needs a number that is not below 0"));
        }
        match [("in-games", self.in_games), ("new-users", self.new_users), ("used", self.used)]
            .iter()
            .find(|(_, share)| *share > 1.0)
        {
            Some((flag, _)) => Err(format!("--{flag} is a share: it needs a number up to 1")),
            None => Ok(()),
        }
    }
}
