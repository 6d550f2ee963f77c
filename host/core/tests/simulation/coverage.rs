//! Which rows of the tables of every state and event (`tables/`) the simulations have reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use scenehost_core::lobby::{Event, Lobby};
use scenehost_core::message::EndReason;
use scenehost_core::party::Ask;
use scenehost_core::scene::{self, Scene};
use scenehost_core::scene_service::ToScene;
use scenehost_core::{ConnectionId, ServiceName, UserId};

use crate::watch::Watch;

/// The tables of the services that are simulated.
const TABLES: [&str; 5] = ["scene-master", "scene-service", "scene", "match", "lobby"];

/// How often each cell was reached: by table, row and column.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(&'static str, String), BTreeMap<String, u64>>);

impl Coverage {
    pub fn reached(&mut self, table: &'static str, row: &str, column: &str) {
        // Looked up first without making texts: this is done with every step.
        let key = (table, row.to_owned());
        let columns = self.0.entry(key).or_default();
        match columns.get_mut(column) {
            Some(count) => *count += 1,
            None => _ = columns.insert(column.to_owned(), 1),
        }
    }

    pub fn add(&mut self, other: &Self) {
        for ((table, row), columns) in &other.0 {
            for (column, count) in columns {
                let own = self.0.entry((table, row.clone())).or_default();
                *own.entry(column.clone()).or_default() += count;
            }
        }
    }

    fn cells_of(&self, table: &'static str, row: &str) -> BTreeSet<&str> {
        let columns = self.0.get(&(table, row.to_owned()));
        columns.into_iter().flat_map(BTreeMap::keys).map(String::as_str).collect()
    }

    /// How many rows of a table were reached, and how many there are.
    pub fn rows(&self, table: &'static str) -> (usize, usize) {
        let (_, rows) = read(table);
        (rows.iter().filter(|row| !self.cells_of(table, row).is_empty()).count(), rows.len())
    }
}

/// For people: what was reached of each table, and what was not.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in TABLES {
            let (columns, rows) = read(table);
            let (mut reached, mut text) = (0, String::new());
            for row in &rows {
                let cells = self.cells_of(table, row);
                let known = columns.iter().filter(|column| cells.contains(column.as_str())).count();
                reached += known;
                if cells.is_empty() {
                    let _ = write!(text, "\n    not reached: {row}");
                }
            }
            let (rows_reached, rows_all) = self.rows(table);
            let cells = columns.len() * rows.len();
            writeln!(f, "  {table}: {rows_reached} of {rows_all} rows, {reached} of {cells} cells{text}")?;
        }
        Ok(())
    }
}

/// The columns and the rows of a table.
fn read(table: &str) -> (Vec<String>, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables").join(format!("{table}.md"));
    let text = std::fs::read_to_string(path).expect("the tables are made by the tests of the rules");
    let mut lines = text.lines().filter(|line| line.starts_with("| "));
    let columns = lines.next().into_iter().flat_map(|line| line.split(" | ").skip(1));
    let columns = columns.map(|column| column.trim_end_matches(" |").to_owned()).collect();
    let rows = lines.filter_map(|line| line.trim_start_matches("| ").split(" | ").next()).map(str::to_owned).collect();
    (columns, rows)
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
        Event::Service { service: ServiceName::Match, up: false } => ("Match down", "Idle".to_owned()),
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

/// Counts what a scene is told.
pub fn of_scene<F: Clone>(scene: &Scene<F>, event: &scene::Event, watch: &mut Watch) {
    use scene::Event;
    let mut of_seat = 0;
    let row = match event {
        Event::Started(Ok(())) => "Started",
        Event::Started(Err(_)) => "Started, refused",
        Event::ReqJoinScene { resume: None, .. } => "ReqJoinScene, seat 0",
        Event::ReqJoinScene { .. } => "ReqJoinScene, seat 0, after a frame",
        Event::Admitted { seat, result, .. } => {
            of_seat = *seat;
            if result.is_ok() { "Admitted, seat 1" } else { "Admitted, refused" }
        }
        Event::ReqLeaveScene { connection, .. } => {
            of_seat = scene.seat_of(*connection).unwrap_or_default();
            "ReqLeaveScene"
        }
        Event::Closed { connection } => match scene.seat_of(*connection) {
            Some(seat) => {
                of_seat = seat;
                "Closed"
            }
            None => "Closed, unknown",
        },
        Event::Kick { seat, .. } => {
            of_seat = *seat;
            "Kick"
        }
        Event::Finish(_) => "Finish",
        Event::Failed(_) | Event::GivenUp(_) => "Failed",
        Event::Order(ToScene::RemoveUser { seat, epoch }) => {
            of_seat = *seat;
            if *epoch == scene.incarnation().epoch { "RemoveUser" } else { "RemoveUser, other epoch" }
        }
        Event::Order(ToScene::AddToken { seat, .. }) => {
            of_seat = *seat;
            "AddToken"
        }
        Event::Order(ToScene::End { reason: EndReason::Stopped | EndReason::TimeLimit, .. }) => "End Stopped",
        Event::Order(ToScene::End { keep: true, .. }) => "End Finished, kept",
        Event::Order(ToScene::End { .. }) => "End Finished",
        Event::Order(ToScene::Drain { .. }) => "Drain",
        Event::Order(ToScene::Start(_)) => return,
        Event::Tick => "Tick, all deadlines passed",
    };
    let column = match scene.phase_name() {
        "Running" => format!("Running, seat 0 {}", scene.seat_name(of_seat).to_lowercase()),
        phase => phase.to_owned(),
    };
    watch.coverage.reached("scene", row, &column);
}
