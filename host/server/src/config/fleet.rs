//! How scenes of one plugin run, and what their component may use.

use scenehost_core::config::Fleet;
use serde::{Deserialize, Serialize};

/// The longest message that a game may send; every client can take it, in either encoding.
const MESSAGE_BYTES_MAX: usize = 64 * 1_024;

/// How scenes of one plugin run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetConfig {
    /// The name of a plugin that was uploaded; else of the component's file, without `.wasm`.
    pub plugin: String,
    /// The game's own configuration, passed on as JSON.
    #[serde(default)]
    pub configuration: serde_json::Map<String, serde_json::Value>,
    /// Steps on with nobody inside.
    #[serde(default)]
    pub tick_when_empty: bool,
    #[serde(default)]
    pub scene: Fleet,
    #[serde(default)]
    pub limits: LimitsConfig,
}

impl FleetConfig {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        self.scene.check()?;
        if self.limits.message_bytes > MESSAGE_BYTES_MAX {
            return Err(format!("limits.message_bytes is above {MESSAGE_BYTES_MAX}"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.plugin.is_empty() || !self.plugin.chars().all(plain) {
            return Err("plugin needs a name of letters, digits, - and _".to_owned());
        }
        Ok(())
    }

    /// The game's own configuration, JSON text.
    pub fn configuration_json(&self) -> String {
        serde_json::Value::Object(self.configuration.clone()).to_string()
    }
}

/// What a component may use; see `scenehost_engine::Limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsConfig {
    pub memory_kib: usize,
    pub step_ms: u32,
    pub start_ms: u32,
    pub message_bytes: usize,
    pub messages_per_step: u32,
    pub output_bytes_per_step: usize,
    pub log_bytes_per_step: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = scenehost_engine::Limits::default();
        Self {
            memory_kib: limits.memory_bytes_max / 1_024,
            step_ms: limits.step_ms_max,
            start_ms: limits.start_ms_max,
            message_bytes: limits.message_bytes_max,
            messages_per_step: limits.messages_per_step_max,
            output_bytes_per_step: limits.output_bytes_per_step_max,
            log_bytes_per_step: limits.log_bytes_per_step_max,
        }
    }
}

impl LimitsConfig {
    pub fn limits(&self) -> scenehost_engine::Limits {
        scenehost_engine::Limits {
            memory_bytes_max: self.memory_kib * 1_024,
            step_ms_max: self.step_ms,
            start_ms_max: self.start_ms,
            message_bytes_max: self.message_bytes,
            messages_per_step_max: self.messages_per_step,
            output_bytes_per_step_max: self.output_bytes_per_step,
            log_bytes_per_step_max: self.log_bytes_per_step,
            ..scenehost_engine::Limits::default()
        }
    }
}
