//! What the other benches have measured, read from their files; what is not there is named with the bench that makes it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// What a player of the arena bench sends and is sent in a second; see `generator.rs` and the bench's README.
const ARENA_FRAMES_PER_ROOM: f64 = 4.0 * 10.0 + 4.0 * 20.0;
const ARENA_TICKS_PER_S: f64 = 20.0;
/// Users of a match of the cluster bench.
const USERS_PER_MATCH: f64 = 2.0;

/// A figure and where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    pub value: f64,
    pub from: &'static str,
}

/// What one of each thing costs: microseconds of one core, bytes or KiB, as the name says. `None`: nobody has measured it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Costs {
    /// A new account: edge, Auth, store.
    pub guest_us: Option<Measured>,
    /// A session that is taken up again: edge, Auth.
    pub resume_us: Option<Measured>,
    /// A purchase: edge, Lobby, Db and store.
    pub purchase_us: Option<Measured>,
    /// Something that a user is told of another: Lobby and edge.
    pub told_us: Option<Measured>,
    /// A result on a leaderboard.
    pub leaderboard_us: Option<Measured>,
    /// A search that becomes part of a match.
    pub ticket_us: Option<Measured>,
    pub ticket_bytes: Option<Measured>,
    /// A search that becomes part of a match, at the edge and the Lobby; and at Match, messages included. Both with few who
    /// wait, in processes of their own.
    pub lobby_search_us: Option<Measured>,
    pub match_search_us: Option<Measured>,
    /// A match's scene, at SceneMaster in a process of its own.
    pub scene_master_us: Option<Measured>,
    /// A scene, from the wish for it to its being there: SceneMaster, SceneService, store, the component's start.
    pub scene_us: Option<Measured>,
    pub scene_kib: Option<Measured>,
    /// A step of a game with four players, with its journal.
    pub step_us: Option<Measured>,
    /// A message of a game from or to a socket.
    pub frame_us: Option<Measured>,
    /// A payload that a NATS server takes and gives away.
    pub nats_payload_us: Option<Measured>,
    /// Commits that PostgreSQL takes in a second, of a few owners with many at once.
    pub postgres_commits_per_s: Option<Measured>,
}

/// A cost that is not known, and the command that measures it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub what: &'static str,
    pub command: &'static str,
}

/// The files of the other benches, by their names without `.json`.
pub type Files = BTreeMap<&'static str, Value>;

/// Those that are read.
pub const FILES: [&str; 7] = ["arena", "cluster", "lobby", "match", "plugin", "scenes", "sign-in"];

impl Costs {
    /// What the files say. A figure that is no number above 0 counts as not measured.
    pub fn read(files: &Files) -> Self {
        let figure = |file: &'static str, name: &str| above_0(files.get(file)?.get("figures")?.get(name)?.as_f64()?);
        let per_s = |file: &'static str, names: &[&str], from: &'static str| {
            let per_s = names.iter().find_map(|name| figure(file, name))?;
            Some(Measured { value: 1e6 / per_s, from })
        };
        let plain = |file: &'static str, names: &[&str], from: &'static str| {
            names.iter().find_map(|name| figure(file, name)).map(|value| Measured { value, from })
        };
        let of_cluster = |name: &'static str, parts: f64, from: &'static str| {
            plain("cluster", &[name], from).map(|measured| Measured { value: measured.value / parts, ..measured })
        };
        let sizes = ["tickets_per_s_1m", "tickets_per_s_100k", "tickets_per_s_10k", "tickets_per_s_1k"];
        let held = plain("scenes", &["kb_per_scene"], "scenes.json kb_per_scene");
        let idle = plain("arena", &["kb_per_idle_room"], "arena.json kb_per_idle_room");
        let step_us = step_us(files);
        Self {
            guest_us: sign_in_us(files, "new guests"),
            resume_us: sign_in_us(files, "resumes"),
            purchase_us: plain("lobby", &["purchase_host_us"], "lobby.json purchase_host_us"),
            told_us: plain("lobby", &["chat_host_us_per_receipt"], "lobby.json chat_host_us_per_receipt"),
            leaderboard_us: plain("lobby", &["leaderboard_update_p50_us"], "lobby.json leaderboard_update_p50_us"),
            ticket_us: per_s("match", &sizes, "match.json tickets_per_s"),
            ticket_bytes: plain("match", &["bytes_per_ticket"], "match.json bytes_per_ticket"),
            lobby_search_us: of_cluster("lobby_us_per_match", USERS_PER_MATCH, "cluster.json lobby_us_per_match"),
            match_search_us: of_cluster("match_us_per_match", USERS_PER_MATCH, "cluster.json match_us_per_match"),
            scene_master_us: of_cluster("scene_master_us_per_match", 1.0, "cluster.json scene_master_us_per_match"),
            scene_us: per_s("scenes", &["created_on_one_core_per_s"], "scenes.json created_on_one_core_per_s"),
            scene_kib: held.or(idle),
            step_us,
            frame_us: step_us.and_then(|step| frame_us(files, step.value)),
            // A call is a request and its answer.
            nats_payload_us: of_cluster("nats_server_us_per_call", 2.0, "cluster.json nats_server_us_per_call"),
            postgres_commits_per_s: plain(
                "cluster",
                &["postgres_commits_per_s"],
                "cluster.json postgres_commits_per_s",
            ),
        }
    }

    /// What is not known.
    pub fn missing(&self) -> Vec<Missing> {
        const SIGN_IN: &str = "cargo xtask bench sign-in";
        const LOBBY: &str = "cargo xtask bench lobby";
        const MATCH: &str = "cargo xtask bench match";
        const SCENES: &str = "cargo xtask bench scenes";
        const CLUSTER: &str = "cargo xtask bench cluster";
        const ARENA: &str = "cargo xtask bench arena --only scenehost (and bench plugin)";
        [
            (self.guest_us, "guest_us", SIGN_IN),
            (self.resume_us, "resume_us", SIGN_IN),
            (self.purchase_us, "purchase_us", LOBBY),
            (self.told_us, "told_us", LOBBY),
            (self.leaderboard_us, "leaderboard_us", LOBBY),
            (self.ticket_us, "ticket_us", MATCH),
            (self.ticket_bytes, "ticket_bytes", MATCH),
            (self.scene_us, "scene_us", SCENES),
            (self.scene_kib, "scene_kib", SCENES),
            (self.step_us, "step_us", "cargo xtask bench plugin"),
            (self.frame_us, "frame_us", ARENA),
            (self.lobby_search_us, "lobby_search_us", CLUSTER),
            (self.match_search_us, "match_search_us", CLUSTER),
            (self.scene_master_us, "scene_master_us", CLUSTER),
            (self.nats_payload_us, "nats_payload_us", CLUSTER),
            (self.postgres_commits_per_s, "postgres_commits_per_s", CLUSTER),
        ]
        .into_iter()
        .filter(|(measured, ..)| measured.is_none())
        .map(|(_, what, command)| Missing { what, command })
        .collect()
    }
}

fn above_0(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}

fn rows<'a>(files: &'a Files, file: &'static str) -> impl Iterator<Item = &'a Value> {
    files.get(file).and_then(|file| file.get("rows")?.as_array()).into_iter().flatten()
}

/// The processor time of one, by what the server used while it did so many a second.
fn sign_in_us(files: &Files, what: &str) -> Option<Measured> {
    let row = rows(files, "sign-in").find(|row| row["what"] == what)?;
    let cpu_us_per_s = above_0(row["server_cpu_percent"].as_f64()?)? * 1e4;
    Some(Measured { value: cpu_us_per_s / above_0(row["per_s"].as_f64()?)?, from: "sign-in.json server_cpu_percent" })
}

/// The arena's step with a journal, among the most scenes that were measured.
fn step_us(files: &Files) -> Option<Measured> {
    let of_arena = rows(files, "plugin").filter(|row| row["game"] == "arena");
    let most = of_arena.max_by_key(|row| row["scenes"].as_u64())?;
    Some(Measured { value: above_0(most["journal_us"].as_f64()?)?, from: "plugin.json journal_us of arena" })
}

/// What the arena bench's server used for each message beside the steps of its rooms.
fn frame_us(files: &Files, step_us: f64) -> Option<Measured> {
    let ours = rows(files, "arena").find(|row| row["contender"] == "scenehost")?;
    let last = || ours["steps"].as_array().and_then(|steps| steps.last());
    let step = Some(&ours["at_limit"]).filter(|step| step.is_object()).or_else(last)?;
    let (rooms, cpu) = (above_0(step["rooms"].as_f64()?)?, above_0(step["server_cpu_percent"].as_f64()?)?);
    let us_per_room = cpu * 1e4 / rooms - ARENA_TICKS_PER_S * step_us;
    let value = above_0(us_per_room)? / ARENA_FRAMES_PER_ROOM;
    Some(Measured { value, from: "arena.json server_cpu_percent, less steps" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cost_is_what_was_used_divided_by_what_was_done() {
        let files = Files::from([
            ("sign-in", json!({"rows": [{"what": "resumes", "per_s": 50_000.0, "server_cpu_percent": 100.0}]})),
            (
                "plugin",
                json!({"rows": [
                    {"game": "arena", "scenes": 1, "journal_us": 3.0},
                    {"game": "arena", "scenes": 1000, "journal_us": 5.0},
                    {"game": "gomoku", "scenes": 5000, "journal_us": 1.0},
                ]}),
            ),
            (
                "arena",
                json!({"rows": [{
                "contender": "scenehost",
                "at_limit": {"rooms": 1000, "server_cpu_percent": 82.0},
            }], "figures": {"kb_per_idle_room": 30.0}}),
            ),
            ("lobby", json!({"figures": {"purchase_host_us": 50.0, "chat_host_us_per_receipt": 2.0}})),
            ("match", json!({"figures": {"tickets_per_s_1k": 400_000.0, "tickets_per_s_100k": 100_000.0}})),
            ("cluster", json!({"figures": {"lobby_us_per_match": 300.0, "scene_master_us_per_match": 200.0}})),
        ]);
        let costs = Costs::read(&files);
        let value = |measured: Option<Measured>| measured.map(|measured| (measured.value * 1e6).round() / 1e6);
        assert_eq!(value(costs.resume_us), Some(20.0));
        assert_eq!(value(costs.step_us), Some(5.0), "of the most scenes");
        // 820 us in a second for a room, of which 100 are steps, for 120 messages.
        assert_eq!(value(costs.frame_us), Some(6.0));
        assert_eq!((value(costs.purchase_us), value(costs.told_us)), (Some(50.0), Some(2.0)));
        assert_eq!(value(costs.ticket_us), Some(10.0), "of the most who wait");
        assert_eq!(value(costs.lobby_search_us), Some(150.0), "of one of two");
        assert_eq!((value(costs.match_search_us), value(costs.scene_master_us)), (None, Some(200.0)));
        assert_eq!(costs.scene_kib.map(|kib| kib.from), Some("arena.json kb_per_idle_room"));
    }

    #[test]
    fn what_was_not_measured_is_named_with_its_command_and_nonsense_counts_as_that() {
        let nothing = Costs::read(&Files::new());
        assert_eq!(nothing, Costs::default());
        assert_eq!(nothing.missing().len(), 16);
        let files = Files::from([
            ("lobby", json!({"figures": {"purchase_host_us": 0.0, "leaderboard_update_p50_us": "3"}})),
            ("sign-in", json!({"rows": [{"what": "resumes", "per_s": 0.0, "server_cpu_percent": 100.0}]})),
            ("match", json!([])),
        ]);
        assert_eq!(Costs::read(&files), Costs::default());
        let of_nats = |missing: &Missing| missing.what == "nats_payload_us";
        let command = nothing.missing().into_iter().find(of_nats).map(|missing| missing.command);
        assert_eq!(command, Some("cargo xtask bench cluster"));
    }
}
