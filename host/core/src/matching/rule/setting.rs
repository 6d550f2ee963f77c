//! What an operator decides about the rule of a domain.

use serde::{Deserialize, Serialize};

/// How little and how much fuel a call may have. The most is worth about 50 ms, for which all of a domain's users wait.
const FUEL_MIN: u64 = 10_000;
const FUEL_MAX: u64 = 100_000_000;
/// How little and how much memory a call may have.
const MEMORY_KIB_MIN: usize = 256;
const MEMORY_KIB_MAX: usize = 16 * 1_024;
/// The longest configuration, as JSON: each call reads it.
const CONFIGURATION_BYTES_MAX: usize = 16 * 1_024;

/// Which component is the rule of a domain, and how it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The name of the component's file, without `.wasm`.
    pub plugin: String,
    /// The rule's own configuration, passed on as JSON.
    #[serde(default)]
    pub configuration: serde_json::Map<String, serde_json::Value>,
    /// What one call may do, about one for each instruction.
    #[serde(default = "default_fuel")]
    pub fuel: u64,
    /// The memory of one call.
    #[serde(default = "default_memory_kib")]
    pub memory_kib: usize,
}

fn default_fuel() -> u64 {
    2_000_000
}
fn default_memory_kib() -> usize {
    4_096
}

impl Setting {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.plugin.is_empty() || !self.plugin.chars().all(plain) {
            return Err("rule.plugin needs a name of letters, digits, - and _".to_owned());
        }
        if !(FUEL_MIN..=FUEL_MAX).contains(&self.fuel) {
            return Err(format!("rule.fuel is {}: use {FUEL_MIN} to {FUEL_MAX}", self.fuel));
        }
        if !(MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&self.memory_kib) {
            return Err(format!("rule.memory_kib is {}: use {MEMORY_KIB_MIN} to {MEMORY_KIB_MAX}", self.memory_kib));
        }
        if self.configuration_json().len() > CONFIGURATION_BYTES_MAX {
            return Err(format!("rule.configuration has more than {CONFIGURATION_BYTES_MAX} bytes as JSON"));
        }
        Ok(())
    }

    /// The configuration as the rule gets it.
    pub fn configuration_json(&self) -> String {
        serde_json::Value::Object(self.configuration.clone()).to_string()
    }
}
