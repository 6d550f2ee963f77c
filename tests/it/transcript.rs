//! The transcript in sdk/protocol/README.md, replayed against the host.
//!
//! Invariant: the page shows every frame of its connections, each in its order, and no other comes.
//! Main type: [`Replay`]. The page says how a line is written.

use std::collections::{BTreeMap, HashMap};

use futures_util::SinkExt;
use scenehost_protocol::Encoding;
use scenehost_protocol::v1::SceneMessage;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::host::{Host, within};
use crate::raw::{receive, upgrade};

const PAGE: &str = include_str!("../../sdk/protocol/README.md");
const CONFIG: &str = r#"
[fleets.gomoku]
plugin = "gomoku"

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
# News of ratings may come before or after the end of a game.
rated = false
"#;

#[tokio::test]
async fn the_transcript_is_what_happens() {
    let host = Host::start(CONFIG);
    if let Err(difference) = Replay::of(&host).run(PAGE).await {
        panic!("sdk/protocol/README.md: {difference}");
    }
}

#[tokio::test]
async fn a_page_that_is_wrong_is_noticed() {
    let host = Host::start(CONFIG);
    for (right, wrong) in [
        (r#""code":"NOT_FOUND""#, r#""code":"NO_SEAT""#),
        (r#""waiting":1,"#, ""),
        (r#""text":"there"#, r#""mood":"new","text":"there"#),
        ("\nA.lobby < {\"seq\":1,", "\nA.lobby < {\"seq\":2,"),
    ] {
        assert!(PAGE.contains(right), "the page has changed: choose another example than {right:?}");
        let page = PAGE.replace(right, wrong);
        assert!(Replay::of(&host).run(&page).await.is_err(), "{wrong:?} was not noticed");
    }
}

/// One line of the transcript, with its number on the page.
struct Line {
    number: usize,
    connection: String,
    action: Action,
}

enum Action {
    Opens(String),
    Sends(Value),
    Receives(Value),
    Closes(u16),
    Drops,
}

struct Connection {
    stream: WebSocketStream<TcpStream>,
    /// The seat of its user, once inside.
    seat: Option<u64>,
}

struct Replay<'a> {
    host: &'a Host,
    connections: HashMap<String, Connection>,
    /// What the placeholders stand for, each from its first sight on.
    bound: BTreeMap<String, Value>,
}

impl<'a> Replay<'a> {
    fn of(host: &'a Host) -> Self {
        Self { host, connections: HashMap::new(), bound: BTreeMap::new() }
    }

    /// Does what the page says; the error is the first difference.
    async fn run(mut self, page: &str) -> Result<(), String> {
        let lines = lines(page)?;
        if lines.is_empty() {
            return Err("there is no transcript".to_owned());
        }
        for line in lines {
            let done = self.line(&line.connection, line.action).await;
            done.map_err(|difference| format!("line {}, {}: {difference}", line.number, line.connection))?;
        }
        for (name, mut connection) in self.connections {
            let _ = connection.stream.close(None).await; // What was sent before is read all the same.
            match receive(&mut connection.stream).await {
                Some(Message::Close(_)) | None => {}
                Some(more) => return Err(format!("{name} got more than the page shows: {more}")),
            }
        }
        Ok(())
    }

    async fn line(&mut self, connection: &str, action: Action) -> Result<(), String> {
        match action {
            Action::Opens(path) => {
                let path = self.fill_text(&path)?;
                let path = path.as_str().ok_or("a path is text")?;
                let headers = [("sec-websocket-protocol", Encoding::Json.subprotocol())];
                let stream = upgrade(self.host.address(), path, &headers).await;
                let stream = stream.map_err(|refused| format!("not opened: {refused:?}"))?;
                self.connections.insert(connection.to_owned(), Connection { stream, seat: None });
            }
            Action::Sends(frame) => {
                let message = Message::text(self.fill(&frame)?.to_string());
                let sent = within("a frame to leave", self.connection(connection)?.stream.send(message)).await;
                sent.map_err(|error| format!("not sent: {error}"))?;
            }
            Action::Receives(expected) => {
                let frame = match receive(&mut self.connection(connection)?.stream).await {
                    Some(Message::Text(text)) => text,
                    other => return Err(format!("expected {expected}\n  got {other:?}")),
                };
                let frame: Value = serde_json::from_str(frame.as_str()).map_err(|error| error.to_string())?;
                if let Some(joined) = frame.get("resJoinScene") {
                    // Seat 0 is left out, as every zero is.
                    let seat = joined.get("seat").map_or(Some(0), Value::as_u64);
                    self.connection(connection)?.seat = seat;
                }
                if !self.matches(&expected, &frame) {
                    let bound = &self.bound;
                    return Err(format!("expected {expected}\n  got {frame}\n  where {bound:?}"));
                }
            }
            Action::Closes(expected) => {
                let end = receive(&mut self.connection(connection)?.stream).await;
                match end {
                    Some(Message::Close(Some(close))) if u16::from(close.code) == expected => {}
                    other => return Err(format!("expected to be closed with {expected}, got {other:?}")),
                }
                self.connections.remove(connection);
            }
            Action::Drops => {
                self.connection(connection)?;
                self.connections.remove(connection);
            }
        }
        Ok(())
    }

    /// A connection by its name, or by `seat <placeholder>`.
    fn connection(&mut self, name: &str) -> Result<&mut Connection, String> {
        let found = match name.strip_prefix("seat ") {
            Some(seat) => {
                let seat = self.fill_text(seat)?.as_u64();
                self.connections.values_mut().find(|it| it.seat.is_some() && it.seat == seat)
            }
            None => self.connections.get_mut(name),
        };
        found.ok_or_else(|| format!("{name} is not open"))
    }

    /// What is sent where the page has this.
    fn fill(&self, template: &Value) -> Result<Value, String> {
        Ok(match template {
            Value::String(text) => self.fill_text(text)?,
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?,
            Value::Object(fields) => match fields.get("base64") {
                Some(body) => {
                    let body = self.fill(body)?.to_string();
                    json!(SceneMessage { body: body.into() })["body"].take()
                }
                None => {
                    let filled = fields.iter().map(|(name, field)| Ok((name.clone(), self.fill(field)?)));
                    Value::Object(filled.collect::<Result<_, String>>()?)
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
        })
    }

    fn fill_text(&self, text: &str) -> Result<Value, String> {
        let Some((before, name, after)) = placeholder(text) else { return Ok(text.into()) };
        let value = self.bound.get(name).ok_or_else(|| format!("<{name}> was not seen before"))?;
        match value {
            Value::String(value) => Ok(format!("{before}{value}{after}").into()),
            _ => Ok(value.clone()),
        }
    }

    /// Whether this came where the page has that; binds what is seen for the first time.
    fn matches(&mut self, expected: &Value, actual: &Value) -> bool {
        match (expected, actual) {
            (Value::String(expected), _) => self.matches_text(expected, actual),
            (Value::Array(expected), Value::Array(actual)) => {
                expected.len() == actual.len() && expected.iter().zip(actual).all(|(it, that)| self.matches(it, that))
            }
            (Value::Object(expected), Value::String(_)) if expected.contains_key("base64") => {
                let message = serde_json::from_value::<SceneMessage>(json!({ "body": actual }));
                let body = message.ok().and_then(|message| serde_json::from_slice(&message.body).ok());
                body.is_some_and(|body: Value| self.matches(&expected["base64"], &body))
            }
            (Value::Object(expected), Value::Object(actual)) => {
                let same = |(name, it)| actual.get(name).is_some_and(|that| self.matches(it, that));
                expected.len() == actual.len() && expected.iter().all(same)
            }
            (Value::Number(expected), Value::Number(actual)) => expected.as_f64() == actual.as_f64(),
            _ => expected == actual,
        }
    }

    fn matches_text(&mut self, expected: &str, actual: &Value) -> bool {
        let seen = match placeholder(expected) {
            None => return actual == expected,
            Some(("", name, "")) => Some((name, actual.clone())),
            Some((before, name, after)) => {
                let text = actual.as_str().and_then(|text| text.strip_prefix(before)?.strip_suffix(after));
                text.map(|text| (name, text.into()))
            }
        };
        match seen {
            Some(("any", _)) => true,
            Some((name, value)) => *self.bound.entry(name.to_owned()).or_insert_with(|| value.clone()) == value,
            None => false,
        }
    }
}

/// The parts of a text around its `<placeholder>`.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('<')?;
    let (name, after) = rest.split_once('>')?;
    Some((before, name, after))
}

/// The lines of the page's transcript. A line that begins with a space continues the one above.
fn lines(page: &str) -> Result<Vec<Line>, String> {
    let mut whole: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, text) in (1..).zip(page.lines()) {
        match (inside, text) {
            (false, "```transcript") => inside = true,
            (true, "```") => inside = false,
            (true, text) if text.starts_with(' ') => match whole.last_mut() {
                Some((_, line)) => line.push_str(text.trim()),
                None => return Err(format!("line {number} continues nothing")),
            },
            (true, text) if !text.is_empty() => whole.push((number, text.to_owned())),
            _ => {}
        }
    }
    let parsed = |(number, text): (usize, String)| line(number, &text).map_err(|what| format!("line {number}: {what}"));
    whole.into_iter().map(parsed).collect()
}

fn line(number: usize, text: &str) -> Result<Line, String> {
    let verbs = [" opens ", " > ", " < ", " closes ", " drops"];
    let places = verbs.iter().filter_map(|verb| Some((text.find(verb)?, *verb)));
    let (place, verb) = places.min().ok_or("not a line of a transcript")?;
    let (connection, rest) = (&text[..place], &text[place + verb.len()..]);
    let frame = || {
        let json = rest.replace("base64(", r#"{"base64":"#).replace(')', "}");
        serde_json::from_str(&json).map_err(|error| format!("no JSON: {error}"))
    };
    let action = match verb {
        " opens " => Action::Opens(rest.to_owned()),
        " > " => Action::Sends(frame()?),
        " < " => Action::Receives(frame()?),
        " closes " => Action::Closes(rest.parse().map_err(|_| "no close code")?),
        _ => Action::Drops,
    };
    Ok(Line { number, connection: connection.to_owned(), action })
}
