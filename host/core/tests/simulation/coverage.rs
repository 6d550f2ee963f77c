//! Which rows of the tables of every state and event (`tables/`) the simulations have reached.

mod excused;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use scenehost_core::lobby::{Event, Lobby};
use scenehost_core::message::EndReason;
use scenehost_core::party::Ask;
use scenehost_core::scene::{self, Effect, Notice, Scene};
use scenehost_core::scene_list;
use scenehost_core::scene_service::ToScene;
use scenehost_core::{ConnectionId, Message, Refusal, Seat, ServiceName, UserId, scene_master};

use crate::watch::Watch;

/// Nobody has seen so many frames.
pub const SEEN_MAX: u32 = 1_000_000;

/// The tables of which everything is reached.
const COMPLETE: [&str; 3] = ["scene-master", "scene-service", "scene"];
/// The tables of the services that are simulated.
const TABLES: [&str; 5] = ["scene-master", "scene-service", "scene", "match", "lobby"];

/// How often each cell was reached, by table, row and column; and each refusal, by its number.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Coverage {
    cells: BTreeMap<(&'static str, String), BTreeMap<String, u64>>,
    refusals: BTreeMap<usize, u64>,
}

impl Coverage {
    pub fn reached(&mut self, table: &'static str, row: &str, column: &str) {
        // Looked up first without making texts: this is done with every step.
        let key = (table, row.to_owned());
        let columns = self.cells.entry(key).or_default();
        match columns.get_mut(column) {
            Some(count) => *count += 1,
            None => _ = columns.insert(column.to_owned(), 1),
        }
    }

    pub fn add(&mut self, other: &Self) {
        for ((table, row), columns) in &other.cells {
            for (column, count) in columns {
                let own = self.cells.entry((table, row.clone())).or_default();
                *own.entry(column.clone()).or_default() += count;
            }
        }
        for (number, count) in &other.refusals {
            *self.refusals.entry(*number).or_default() += count;
        }
    }

    fn cells_of(&self, table: &'static str, row: &str) -> BTreeSet<&str> {
        let columns = self.cells.get(&(table, row.to_owned()));
        columns.into_iter().flat_map(BTreeMap::keys).map(String::as_str).collect()
    }
}

/// What was reached of a table.
struct Reached {
    /// The cells that say more than that nothing happens.
    of: usize,
    cells: usize,
    missing: Vec<String>,
}

impl Coverage {
    /// A service has refused something.
    pub fn refused(&mut self, service: &str, refusal: &Refusal) {
        for number in refusals::of(service, refusal) {
            *self.refusals.entry(number).or_default() += 1;
        }
    }

    fn reached_of(&self, name: &'static str) -> Reached {
        let table = read(name);
        let mut reached = Reached { of: 0, cells: 0, missing: Vec::new() };
        for (row, cells) in &table.rows {
            let known = self.cells_of(name, row);
            for (column, cell) in table.columns.iter().zip(cells) {
                if !does_something(column, cell) {
                    continue;
                }
                // What is done in a state is often the same whatever else there is to say of it.
                let state = column.split(", ").next().unwrap_or_default();
                let same = table.columns.iter().zip(cells).any(|(other, it)| other == state && it == cell);
                reached.of += 1;
                if known.contains(column.as_str()) || (same && known.contains(state)) {
                    reached.cells += 1;
                } else if !excused::CELLS.iter().any(|it| it.is_about(name, row, column)) {
                    reached.missing.push(format!("{row} | {column} | {cell}"));
                }
            }
        }
        reached
    }

    /// What had to be reached and was not.
    pub fn missing(&self) -> Vec<String> {
        let cells = COMPLETE
            .iter()
            .flat_map(|table| self.reached_of(table).missing.into_iter().map(move |cell| format!("{table}: {cell}")));
        let refusals = refusals::all().iter().enumerate().filter(|(number, known)| {
            let excused =
                excused::REFUSALS.iter().any(|(of, text, _)| *of == known.service && *text == known.to_string());
            !excused && !self.refusals.contains_key(number)
        });
        cells.chain(refusals.map(|(_, known)| format!("{}: the refusal {known}", known.service))).collect()
    }
}

/// For people: how much was reached.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in TABLES {
            let Reached { of, cells, .. } = self.reached_of(table);
            writeln!(f, "  {table}: {cells} of the {of} cells that do something")?;
        }
        write!(f, "  refusals: {} of {}", self.refusals.len(), refusals::all().len())
    }
}

/// What is to be reached, for people: in `tables/coverage.md`, made by the test that looks whether it is so.
pub fn written() -> String {
    let mut text = "# What the simulations reach\n\nMade by the tests. Every cell of these tables in which something is done, \
                    and every refusal of the three services, is reached by the simulations that are run by default, \
                    apart from those that follow.\n\n| table | row | states | need not be reached, for |\n|---|---|---|---|\n"
        .to_owned();
    for it in excused::CELLS {
        let columns = if it.columns.is_empty() { "all".to_owned() } else { it.columns.join("; ") };
        let _ = writeln!(text, "| {} | {} | {columns} | {} |", it.table, it.row, it.why);
    }
    text += "\n| service | refusal | |\n|---|---|---|\n";
    for known in refusals::all() {
        let excused = excused::REFUSALS.iter().find(|(of, text, _)| *of == known.service && *text == known.to_string());
        let how = excused.map_or_else(|| "reached".to_owned(), |(.., why)| format!("not reached: {why}"));
        let _ = writeln!(text, "| {} | {known} | {how} |", known.service);
    }
    text
}

/// A table as it is written: its columns, and its rows with their cells.
struct Table {
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

fn read(table: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables").join(format!("{table}.md"));
    let text = std::fs::read_to_string(path).expect("the tables are made by the tests of the rules");
    let cells = |line: &str| -> Vec<String> {
        line.trim_start_matches("| ").trim_end_matches(" |").split(" | ").map(str::to_owned).collect()
    };
    let mut lines = text.lines().filter(|line| line.starts_with("| ")).map(cells);
    let columns = lines.next().into_iter().flatten().skip(1).collect();
    let rows = lines.filter_map(|mut cells| (!cells.is_empty()).then(|| (cells.remove(0), cells))).collect();
    Table { columns, rows }
}

/// Whether a cell is more than that nothing is done and the state stays.
fn does_something(column: &str, cell: &str) -> bool {
    let (state, done) = cell.split_once(": ").unwrap_or((cell, ""));
    let state = match state {
        "unknown" | "absent" => "(none)",
        state => state,
    };
    let stays = match column.split_once(", seat 0 ") {
        Some((phase, seat)) => state.to_lowercase() == format!("{phase}/{seat}").to_lowercase(),
        None => state.split('/').next() == column.split(", ").next(),
    };
    done != "–" || !stays
}

/// Counts what the lobby is told.
pub fn of_lobby(lobby: &Lobby, event: &Event, watch: &mut Watch) {
    let (row, column) = match event {
        Event::Opened { connection } => ("Opened", of_connection(lobby, *connection)),
        Event::Closed { connection, left: false } => ("Closed: lost", of_connection(lobby, *connection)),
        Event::Closed { connection, left: true } => ("Closed: left", of_connection(lobby, *connection)),
        Event::Heard { connection, .. } => ("Heard", of_connection(lobby, *connection)),
        Event::ReqSignIn { connection, .. } => ("ReqSignIn", of_connection(lobby, *connection)),
        Event::ReqSignOut { connection, .. } => ("ReqSignOut", of_connection(lobby, *connection)),
        Event::ResSignIn { connection, result: Ok(_) } => ("ResSignIn", of_connection(lobby, *connection)),
        Event::ResSignIn { connection, .. } => ("ResSignIn, refused", of_connection(lobby, *connection)),
        Event::ResEnter { connection, result, .. } => {
            let row = if result.is_ok() { "ResEnter" } else { "ResEnter, refused" };
            (row, connection.map_or_else(|| "Idle".to_owned(), |connection| of_connection(lobby, connection)))
        }
        Event::ReqDb { connection, .. } => ("ReqDb", of_connection(lobby, *connection)),
        Event::ReqParty { connection, ask: Ask::Create, .. } => ("ReqParty: create", of_connection(lobby, *connection)),
        Event::ReqParty { connection, .. } => ("ReqParty: ready", of_connection(lobby, *connection)),
        Event::ReqMatch { connection, .. } => ("ReqMatch", of_connection(lobby, *connection)),
        Event::ReqCancelMatch { connection, .. } => ("ReqCancelMatch", of_connection(lobby, *connection)),
        Event::ReqRejoin { connection, .. } => ("ReqRejoin", of_connection(lobby, *connection)),
        Event::SynSessionsEnded { user, .. } => ("SynSessionsEnded", of_user(lobby, *user)),
        Event::SynAccountClosed { user, .. } => ("SynAccountClosed", of_user(lobby, *user)),
        Event::SynMatchState { user, .. } => ("SynMatchState", of_user(lobby, *user)),
        Event::ResMatch { user, result: Ok(_), .. } => ("ResMatch", of_user(lobby, *user)),
        Event::ResMatch { user, .. } => ("ResMatch, refused", of_user(lobby, *user)),
        Event::ResCancelMatch { user, result: Ok(()), .. } => ("ResCancelMatch", of_user(lobby, *user)),
        Event::ResCancelMatch { user, .. } => ("ResCancelMatch, refused", of_user(lobby, *user)),
        Event::ResRejoin { user, result: Ok(_) } => ("ResRejoin", of_user(lobby, *user)),
        Event::ResRejoin { user, .. } => ("ResRejoin, refused", of_user(lobby, *user)),
        Event::SynSceneEnded { user, .. } => ("SynSceneEnded", of_user(lobby, *user)),
        Event::ResDb { user, result, .. } => {
            (if result.is_ok() { "ResDb" } else { "ResDb, refused" }, of_user(lobby, *user))
        }
        Event::SynNews { user, .. } => ("SynNews", of_user(lobby, *user)),
        Event::SynParty { about, .. } => ("SynParty", of_user(lobby, *about)),
        Event::Recovered { .. } => ("Recovered", "(no connection)".to_owned()),
        Event::ReqScenes { connection, ask: scene_list::Ask::Join(_), .. } => {
            ("ReqScenes: join", of_connection(lobby, *connection))
        }
        Event::ReqScenes { connection, ask: scene_list::Ask::Watch(_), .. } => {
            ("ReqScenes: watch", of_connection(lobby, *connection))
        }
        Event::ResJoinInProgress { user, result: Ok(_), .. } => ("ResJoinInProgress", of_user(lobby, *user)),
        Event::ResJoinInProgress { user, .. } => ("ResJoinInProgress, refused", of_user(lobby, *user)),
        Event::Handler { up: false, .. } => ("Handler down", "Idle".to_owned()),
        Event::ReqHandOver { .. } => ("ReqHandOver", "Idle".to_owned()),
        Event::Service { service: ServiceName::Db, up: false } => ("Db down", "Idle".to_owned()),
        Event::Service { up: true, .. } => ("up, was up", "Idle".to_owned()),
        Event::Stopping => ("Stopping", "Idle".to_owned()),
        Event::Tick => ("Tick at the deadline", "Idle".to_owned()),
        _ => return,
    };
    watch.coverage.reached("lobby", row, &column);
}

fn of_user(lobby: &Lobby, user: UserId) -> String {
    match lobby.phase_name(user) {
        phase if phase == "absent" => "(no connection)".to_owned(),
        phase => phase,
    }
}

fn of_connection(lobby: &Lobby, connection: ConnectionId) -> String {
    match lobby.connection_name(connection) {
        "unknown" => "(no connection)".to_owned(),
        "SignedIn" => "Idle".to_owned(),
        name => name.to_owned(),
    }
}

/// Counts what a scene is told. `seat`: whose it is who tells it, if that is a user.
pub fn of_scene<F: Clone>(scene: &Scene<F>, event: &scene::Event, seat: Option<Seat>, watch: &mut Watch) {
    use scene::Event;
    let seat = seat.unwrap_or_default();
    let mut of_seat = seat;
    let row = match event {
        Event::Started(Ok(())) => "Started",
        Event::Started(Err(_)) => "Started, refused",
        // The columns are about seat 0.
        Event::ReqJoinScene { .. } if seat != 0 => {
            of_seat = 0;
            "ReqJoinScene, seat 1"
        }
        Event::ReqJoinScene { resume: None, .. } => "ReqJoinScene, seat 0",
        Event::ReqJoinScene { resume: Some(seen), .. } if *seen > SEEN_MAX => {
            "ReqJoinScene, seat 0, after a frame that is not known"
        }
        Event::ReqJoinScene { .. } => "ReqJoinScene, seat 0, after a frame",
        Event::Admitted { result: Ok(()), .. } => "Admitted, seat 1",
        Event::Admitted { .. } => "Admitted, refused",
        Event::ReqLeaveScene { .. } => "ReqLeaveScene",
        Event::Closed { connection } if scene.seat_of(*connection).is_none() => "Closed, unknown",
        Event::Closed { .. } => "Closed",
        Event::Kick { seat, .. } => {
            of_seat = *seat;
            "Kick"
        }
        Event::Finish(_) => "Finish",
        Event::Failed(_) | Event::GivenUp(_) => "Failed",
        Event::Order(ToScene::RemoveUser { seat, epoch, .. }) => {
            of_seat = *seat;
            if *epoch == scene.incarnation().epoch { "RemoveUser" } else { "RemoveUser, other epoch" }
        }
        Event::Order(ToScene::AddToken { seat, .. }) => {
            of_seat = *seat;
            "AddToken"
        }
        Event::ReqWatchScene { .. } => "ReqWatchScene",
        Event::Label(_) => "Label",
        Event::SeekPlayers(_) | Event::MatchAgain { .. } => return,
        Event::Order(ToScene::AddSeats { .. }) => "AddSeats",
        Event::Order(ToScene::AddSpectator { .. }) => "AddSpectator",
        Event::Order(ToScene::RemoveSpectator { .. }) => "RemoveSpectator",
        Event::Order(ToScene::End { keep: true, .. }) => "End Finished, kept",
        Event::Order(ToScene::End {
            reason: EndReason::Stopped | EndReason::TimeLimit | EndReason::Drained, ..
        }) => "End Stopped",
        Event::Order(ToScene::End { .. }) => "End Finished",
        Event::Order(ToScene::Drain { .. }) => "Drain",
        Event::Order(ToScene::Release { .. }) => "Release",
        Event::Order(ToScene::Report { epoch, .. }) => {
            if *epoch == scene.incarnation().epoch {
                "Report"
            } else {
                "Report, other epoch"
            }
        }
        Event::Order(ToScene::Start(_)) => return,
        Event::Tick => "Tick, all deadlines passed",
    };
    if let Event::Admitted { seat, .. } = event {
        // Of the seat that is asked for, and of seat 0 if that is another one.
        of_seat = if *seat == 1 { 0 } else { *seat };
    }
    let column = match scene.phase_name() {
        "Running" => format!("Running, seat 0 {}", scene.seat_name(of_seat).to_lowercase()),
        phase => phase.to_owned(),
    };
    watch.coverage.reached("scene", row, &column);
}

/// Counts what a scene refuses.
pub fn of_effect<F>(effect: &Effect<F>, watch: &mut Watch) {
    let refusal = match effect {
        Effect::Tell { notice: Notice::Refused(refusal) | Notice::Closing(refusal), .. } => refusal,
        Effect::Send(message) => match &**message {
            Message::SceneMaster(scene_master::Event::ResAddToken { result: Err(refusal), .. }) => refusal,
            _ => return,
        },
        _ => return,
    };
    watch.coverage.refused("scene", refusal);
}
