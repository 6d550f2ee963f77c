//! The games that bots play: what they say, and what they may hear.
//!
//! | domain | the game | what becomes of it when its node falls |
//! |---|---|---|
//! | `keeper` | keeps what its players say, each a number after the other, and counts it | goes on from its journal |
//! | `gomoku` | the demo's, with a journal | goes on from its journal |
//! | `arena` | the demo's, with ticks and without a journal | begins anew |

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

pub const DOMAINS: [&str; 3] = ["keeper", "gomoku", "arena"];
/// Those whose games go on.
pub const JOURNALLED: [&str; 2] = ["keeper", "gomoku"];

/// How many messages a game may take, which is drawn for each.
const GOAL: std::ops::Range<u64> = 6..30;

/// A game as one of its players sees it.
pub struct Game {
    rules: Rules,
    /// After so many messages the player has enough.
    goal: u64,
}

enum Rules {
    Keeper(Keeper),
    Gomoku(Gomoku),
    Arena { inputs: u64 },
}

/// Numbers are said one after the other; each is answered with how many were kept.
#[derive(Default)]
struct Keeper {
    said: u64,
    /// When the last one was.
    said_at: Option<Instant>,
    heard: u64,
    /// What was kept has to be told before more is said.
    asked: bool,
}

#[derive(Default)]
struct Gomoku {
    seat: u32,
    turn: Option<u64>,
    stones: Vec<(i64, i64)>,
    own: u64,
    is_over: bool,
}

/// What a message of the game means.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Nothing,
    /// It answers what was said at this time.
    Answer(Instant),
    /// So many of the player's messages were not kept when the game went on elsewhere.
    Lost(u64),
    /// It is over, and may be left.
    Over,
    /// It cannot be.
    Wrong(String),
}

impl Game {
    pub fn new(domain: &str, rng: &mut StdRng) -> Self {
        let rules = match domain {
            "keeper" => Rules::Keeper(Keeper::default()),
            "gomoku" => Rules::Gomoku(Gomoku::default()),
            _ => Rules::Arena { inputs: 0 },
        };
        Self { rules, goal: rng.random_range(GOAL) }
    }

    /// The player comes in, for the first time or into a game that goes on.
    pub fn entered(&mut self, seat: u32) {
        match &mut self.rules {
            Rules::Keeper(keeper) => keeper.asked = false,
            Rules::Gomoku(gomoku) => (gomoku.seat, gomoku.turn) = (seat, None),
            Rules::Arena { .. } => {}
        }
    }

    /// What the player says now, if anything. `entered`: nothing was said since the player came in.
    pub fn says(&mut self, entered: bool, rng: &mut StdRng) -> Option<String> {
        match &mut self.rules {
            Rules::Keeper(keeper) if entered && keeper.said > 0 => {
                keeper.asked = true;
                Some("list".to_owned())
            }
            Rules::Keeper(keeper) if !keeper.asked && keeper.said == keeper.heard => {
                keeper.said += 1;
                keeper.said_at = Some(Instant::now());
                Some(keeper.said.to_string())
            }
            Rules::Keeper(_) => None,
            Rules::Gomoku(gomoku) => gomoku.says(self.goal / 2, rng).map(|value| value.to_string()),
            Rules::Arena { inputs } => {
                *inputs += 1;
                let turn = *inputs as f64 * 0.3;
                let direction = [turn.cos(), turn.sin()];
                let input = json!({"type": "input", "n": *inputs, "move": direction, "aim": turn, "fire": true});
                Some(input.to_string())
            }
        }
    }

    /// Whether the player has enough of it.
    pub fn is_enough(&self) -> bool {
        match &self.rules {
            Rules::Keeper(keeper) => keeper.heard >= self.goal,
            Rules::Gomoku(gomoku) => gomoku.is_over,
            Rules::Arena { .. } => false, // It ends by itself.
        }
    }

    pub fn hears(&mut self, body: &[u8]) -> Heard {
        let text = String::from_utf8_lossy(body);
        match &mut self.rules {
            Rules::Keeper(keeper) => keeper.hears(&text),
            Rules::Gomoku(gomoku) => match serde_json::from_str(&text) {
                Ok(message) => gomoku.hears(&message),
                Err(_) => Heard::Wrong(format!("gomoku says {text}")),
            },
            Rules::Arena { .. } => Heard::Nothing,
        }
    }
}

impl Keeper {
    fn hears(&mut self, text: &str) -> Heard {
        if let Ok(count) = text.parse::<u64>() {
            // What was sent again after a return is counted once.
            if count != self.heard + 1 || count > self.said {
                return Heard::Wrong(format!("{count} are kept of {} that were said, after {}", self.said, self.heard));
            }
            self.heard = count;
            return self.said_at.map_or(Heard::Nothing, Heard::Answer);
        }
        let Some((why, list)) = text.split_once(' ') else { return Heard::Wrong(format!("it says {text}")) };
        let kept: Vec<u64> = list.split(',').filter_map(|number| number.parse().ok()).collect();
        let count = kept.len() as u64;
        if !kept.iter().copied().eq(1..=count) || count > self.said {
            return Heard::Wrong(format!("of {} that were said it has kept {kept:?}", self.said));
        }
        if why == "missed" {
            // The line goes on, so what was said is still on its way.
            self.heard = count;
            return Heard::Nothing;
        }
        let lost = self.heard.saturating_sub(count);
        (self.said, self.heard, self.asked, self.said_at) = (count, count, false, None);
        if lost > 0 { Heard::Lost(lost) } else { Heard::Nothing }
    }
}

impl Gomoku {
    fn says(&mut self, stones_max: u64, rng: &mut StdRng) -> Option<Value> {
        if self.is_over || self.turn != Some(self.seat.into()) {
            return None;
        }
        if self.own >= stones_max {
            return Some(json!({"type": "resign"}));
        }
        let (x, y) = loop {
            let point = (rng.random_range(0..15), rng.random_range(0..15));
            if !self.stones.contains(&point) {
                break point;
            }
        };
        // Until it is told what has become of it.
        self.turn = None;
        Some(json!({"type": "place", "x": x, "y": y}))
    }

    fn hears(&mut self, message: &Value) -> Heard {
        match message["type"].as_str() {
            Some("state") => {
                let stones: Vec<(i64, i64)> = serde_json::from_value(message["moves"].clone()).unwrap_or_default();
                // A few may not have been copied when the game went on elsewhere, and others been placed since.
                let common = self.stones.iter().zip(&stones).take_while(|(known, told)| known == told).count();
                let lost = (self.stones.len() - common) as u64;
                self.stones = stones;
                self.turn = message["turn"].as_u64();
                self.is_over = message["phase"] == "over";
                if lost > 0 { Heard::Lost(lost) } else { Heard::Nothing }
            }
            Some("placed") => {
                self.stones.push((message["x"].as_i64().unwrap_or(-1), message["y"].as_i64().unwrap_or(-1)));
                self.own += u64::from(message["seat"] == self.seat);
                self.turn = message["turn"].as_u64();
                Heard::Nothing
            }
            Some("over") => {
                self.is_over = true;
                Heard::Over
            }
            // Such as a stone that was kept on its way and that the game has already.
            Some("refused") => {
                self.turn = None;
                Heard::Nothing
            }
            _ => Heard::Nothing,
        }
    }
}

/// How long a player thinks before the next message.
pub fn thinks(rng: &mut StdRng) -> Duration {
    Duration::from_millis(rng.random_range(200..1_200))
}
