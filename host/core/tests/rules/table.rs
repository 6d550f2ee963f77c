//! Tables of every state and event, kept in `tables/`. A test makes each anew and compares; where
//! a change is meant, `UPDATE_TABLES=1 cargo test -p scenehost-core` writes them.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::path::Path;

use scenehost_core::message::Notice;
use scenehost_core::{Effects, Message, Write};

/// One row for each event, one column for each state; a cell has the next state and the effects.
pub fn check<State, Event>(
    name: &str,
    states: &[(&str, State)],
    events: &[(&str, Event)],
    outcome: impl Fn(&State, &Event) -> String,
) {
    let mut text = format!(
        "# {name}: every state and event\n\nMade by the tests. A cell: the next state, then what is done; – is nothing.\n\n| event |"
    );
    for (state, _) in states {
        let _ = write!(text, " {state} |");
    }
    text += "\n|---|";
    text += &"---|".repeat(states.len());
    let mut ways = BTreeMap::new();
    for (event_name, event) in events {
        let _ = write!(text, "\n| {event_name} |");
        for (state_name, state) in states {
            let cell = outcome(state, event);
            let next = cell.split(':').next().unwrap_or_default().to_owned();
            ways.entry(((*state_name).to_owned(), next)).or_insert_with(Vec::new).push(*event_name);
            let _ = write!(text, " {cell} |");
        }
    }
    text += "\n";
    if DRAWN.contains(&name) {
        text += &diagram(&ways);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables").join(format!("{name}.md"));
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{} differs from the rules; if that is meant, run with UPDATE_TABLES=1. Now:\n{text}",
        path.display()
    );
}

/// Which tables have so few states that a diagram helps.
const DRAWN: [&str; 3] = ["scene-master", "scene-service", "match"];

/// The ways from state to state as Mermaid draws them, each with the events that lead there. States that differ only in
/// what a table tells of them in its head are one.
fn diagram(ways: &BTreeMap<(String, String), Vec<&str>>) -> String {
    let state = |name: &str| name.split(", ").next().unwrap_or_default().trim_matches(['(', ')']).to_owned();
    let end = |name: &str| match name {
        "none" | "unknown" => "[*]".to_owned(),
        name => name.to_owned(),
    };
    let mut drawn: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for ((from, to), events) in ways {
        let way = (end(&state(from)), end(&state(to)));
        if way.0 != way.1 {
            let known = drawn.entry(way).or_default();
            known.extend(events.iter().filter(|event| !known.contains(event)).collect::<Vec<_>>());
        }
    }
    let mut text = "\n```mermaid\nstateDiagram-v2\n".to_owned();
    for ((from, to), events) in drawn {
        let _ = writeln!(text, "    {from} --> {to}: {}", events.join("<br/>").replace(':', ""));
    }
    text + "```\n"
}

/// A cell.
pub fn cell(state: &str, effects: &Effects) -> String {
    let writes = effects.writes.iter().map(|write| match write {
        Write::Put { key, .. } => format!("put {}", kind(key)),
        Write::Delete { key } => format!("delete {}", kind(key)),
    });
    let faults = effects.faults.iter().map(|_| "fault".to_owned());
    let done: Vec<String> = writes.chain(effects.messages.iter().map(short)).chain(faults).collect();
    match done.is_empty() {
        true => format!("{state}: –"),
        false => format!("{state}: {}", done.join(", ")),
    }
}

fn kind(key: &str) -> &str {
    key.split('/').next().unwrap_or(key)
}

/// A message in a word or two.
pub fn short(message: &Message) -> String {
    match message {
        Message::Auth(event) => format!("Auth {}", variant(event)),
        Message::Load(_) => "load".to_owned(),
        Message::Scan(_) => "scan".to_owned(),
        Message::Check(check) => format!("check {:?}", check.work),
        Message::Door(_, Ok(answer)) => format!("Door {}", variant(answer)),
        Message::Door(_, Err(refusal)) => format!("Door ✗{}", variant(refusal)),
        Message::Db(event) => format!("Db {}", variant(event)),
        Message::LoadForDb(_) => "load".to_owned(),
        Message::ScanForDb(_) | Message::ScanForMaster(_) => "scan".to_owned(),
        Message::DbDoor(_, Ok(answer)) => format!("Door {}", variant(answer)),
        Message::DbDoor(_, Err(refusal)) => format!("Door ✗{}", variant(refusal)),
        Message::Lobby(event) => format!("Lobby {}", variant(event)),
        Message::Match(_, event) => format!("Match {}", variant(event)),
        Message::SceneMaster(event) => format!("SceneMaster {}", variant(event)),
        Message::SceneService(_, event) | Message::OwnSceneService(event) | Message::EverySceneService(event) => {
            format!("SceneService {}", variant(event))
        }
        Message::Service(service, up) => format!("{service:?} {}", if *up { "up" } else { "down" }),
        Message::Scene(_, order) => format!("Scene {}", variant(order)),
        Message::User(to_user) => match &to_user.notice {
            Notice::Refused(refusal) | Notice::SynClosing(refusal) => {
                format!("User {} {}", variant(&to_user.notice), variant(refusal))
            }
            Notice::SynMatchState(state) => format!("User SynMatchState {}", variant(state)),
            notice => format!("User {}", variant(notice)),
        },
        Message::Users(to_users) => format!("Users {}", variant(&to_users.notice)),
        Message::Moderate(_) => "moderate".to_owned(),
        Message::Operator(..) => "Operator".to_owned(),
        Message::NodeIdle(_) => "NodeIdle".to_owned(),
        Message::NodeDrained(_) => "NodeDrained".to_owned(),
    }
}

/// The name of an enum's variant, and of the refusal in it if there is one.
pub fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    match text.split_once("Err(") {
        Some((_, refusal)) => {
            let refusal: String = refusal.chars().take_while(|c| c.is_alphanumeric()).collect();
            format!("{name} ✗{refusal}")
        }
        None => name,
    }
}
