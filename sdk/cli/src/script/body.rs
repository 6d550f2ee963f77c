//! Bodies of messages, as scripts write them and recordings show them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// A message's body in a script.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    Json(Value),
    Text(String),
    Base64(String),
}

impl Body {
    /// Its bytes.
    ///
    /// # Errors
    /// When it is not base64.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Body::Json(value) => Ok(value.to_string().into_bytes()),
            Body::Text(text) => Ok(text.clone().into_bytes()),
            Body::Base64(text) => STANDARD.decode(text).map_err(|error| format!("`{text}` is not base64: {error}")),
        }
    }
}

/// A body for people: as JSON or text if it is that, else in base64.
pub fn show(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        // As it came: the order of fields and the writing of numbers are the game's.
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("base64:{}", STANDARD.encode(body)),
    }
}

/// Whether a value has all that is expected: an object may have more fields than the expected one.
pub fn has(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => {
            expected.iter().all(|(name, expected)| value.get(name).is_some_and(|value| has(value, expected)))
        }
        (Value::Array(values), Value::Array(expected)) => {
            values.len() == expected.len() && values.iter().zip(expected).all(|(value, expected)| has(value, expected))
        }
        (Value::Number(value), Value::Number(expected)) => value.as_f64() == expected.as_f64(),
        (value, expected) => value == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_are_shown_as_they_can_be_read() {
        assert_eq!(show(br#"{"b":1,"a":2}"#), r#"{"b":1,"a":2}"#);
        assert_eq!(show("hé".as_bytes()), "hé");
        assert_eq!(show(&[0, 255]), "base64:AP8=");
    }

    #[test]
    fn more_fields_than_expected_are_fine() {
        let value = json!({ "type": "board", "cells": [1, null], "turn": { "seat": 1, "ms": 5.0 } });
        assert!(has(&value, &json!({ "type": "board", "turn": { "ms": 5 } })));
        assert!(!has(&value, &json!({ "type": "board", "turn": { "ms": 6 } })));
        assert!(!has(&value, &json!({ "cells": [1] })));
        assert!(!has(&value, &json!({ "seat": 1 })));
    }
}
