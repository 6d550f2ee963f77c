//! What bots say: messages from a file, with random parts, or random bytes.

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Done, Failure};
use crate::script::{self, body::Body};

/// The longest message of random bytes.
const RANDOM_BYTES_MAX: usize = 64;

/// What bots say, and how often. In `json`, `{ "$random" = [1, 6] }` is a whole number from 1 to 6, and
/// `{ "$choose" = ["a", "b"] }` one of a list.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repertoire {
    every_ms: u64,
    order: Order,
    messages: Vec<Body>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    #[default]
    Random,
    /// Each bot says them one after another, and begins again.
    InTurn,
}

impl Default for Repertoire {
    fn default() -> Self {
        Repertoire { every_ms: 200, order: Order::Random, messages: Vec::new() }
    }
}

impl Repertoire {
    /// Reads a file.
    ///
    /// # Errors
    /// What is not right in it.
    pub fn read(path: &Path) -> Done<Repertoire> {
        let repertoire: Repertoire = script::read(path)?;
        if repertoire.every_ms < 10 {
            return Err(Failure::usage(format_args!("{}: every_ms needs at least 10", path.display())));
        }
        for message in &repertoire.messages {
            message.bytes().map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))?;
        }
        Ok(repertoire)
    }

    pub fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms)
    }

    /// What a bot says that has said so many messages.
    pub fn next(&self, said: usize, random: &mut StdRng) -> Vec<u8> {
        if self.messages.is_empty() {
            let mut bytes = vec![0; random.random_range(1..=RANDOM_BYTES_MAX)];
            random.fill_bytes(&mut bytes);
            return bytes;
        }
        let place = match self.order {
            Order::Random => random.random_range(0..self.messages.len()),
            Order::InTurn => said % self.messages.len(),
        };
        match &self.messages[place] {
            Body::Json(value) => fill(value, random).to_string().into_bytes(),
            // It was looked at when the file was read.
            other => other.bytes().unwrap_or_default(),
        }
    }
}

/// A value with its random parts drawn.
fn fill(value: &Value, random: &mut StdRng) -> Value {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Array(choices)) = fields.get("$choose")
                && !choices.is_empty()
            {
                return fill(&choices[random.random_range(0..choices.len())], random);
            }
            if let Some(Value::Array(range)) = fields.get("$random")
                && let [Some(from), Some(to)] = [range.first(), range.get(1)].map(|end| end.and_then(Value::as_i64))
                && from <= to
            {
                return random.random_range(from..=to).into();
            }
            fields.iter().map(|(name, value)| (name.clone(), fill(value, random))).collect()
        }
        Value::Array(values) => values.iter().map(|value| fill(value, random)).collect(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use serde_json::json;

    #[test]
    fn random_parts_are_drawn() {
        let mut random = StdRng::seed_from_u64(1);
        let value = json!({ "cell": { "$random": [3, 5] }, "as": [{ "$choose": ["x"] }], "other": { "a": 1 } });
        for _ in 0..50 {
            let filled = fill(&value, &mut random);
            assert!((3..=5).contains(&filled["cell"].as_i64().unwrap()));
            assert_eq!((&filled["as"], &filled["other"]), (&json!(["x"]), &json!({ "a": 1 })));
        }
    }
}
