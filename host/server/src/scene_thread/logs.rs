//! From the log of a thread's scenes to those who read it: the host's own log, and `/v1/logs`.

use std::collections::HashMap;
use std::sync::Arc;

use scenehost_core::{SceneId, Time};
use scenehost_engine::{Failure, Level, Log};

use super::FleetRun;
use crate::game_logs::{Entry, GameLogs, Source};

/// The scenes of a thread, as far as their logs go.
pub struct SceneLogs {
    logs: GameLogs,
    sources: HashMap<SceneId, Arc<Source>>,
}

impl SceneLogs {
    pub fn new(logs: GameLogs) -> Self {
        Self { logs, sources: HashMap::new() }
    }

    /// What a scene is of, from now on.
    pub fn begin(&mut self, id: SceneId, run: &FleetRun) {
        let source = Source { fleet: run.fleet.clone(), plugin: run.game.clone(), digest: run.plugin.digest() };
        self.sources.insert(id, Arc::new(source));
    }

    pub fn gone(&mut self, id: SceneId) {
        self.sources.remove(&id);
    }

    /// A scene has logged this, in the step of this tick if it was one.
    pub fn logged(&self, now: Time, id: SceneId, tick: Option<u64>, log: Log) {
        for line in log.lines {
            let text = line.text.as_str();
            match line.level {
                Level::Debug => tracing::debug!(target: "game", scene = %id, tick, "{text}"),
                Level::Info => tracing::info!(target: "game", scene = %id, tick, "{text}"),
                Level::Warn => tracing::warn!(target: "game", scene = %id, tick, "{text}"),
                Level::Error => tracing::error!(target: "game", scene = %id, tick, "{text}"),
            }
            self.put(now, id, tick, line.level, None, line.text);
        }
        if log.dropped > 0 {
            tracing::warn!(target: "game", scene = %id, tick, dropped = log.dropped, "log lines past the limit were dropped");
            let text = format!("{} lines past the limit of a step were dropped", log.dropped);
            self.put(now, id, tick, Level::Warn, None, text);
        }
    }

    /// Something that the host has to say of a scene.
    pub fn said(&self, now: Time, id: SceneId, level: Level, text: String) {
        self.put(now, id, None, level, None, text);
    }

    /// A scene has failed.
    pub fn failed(&self, now: Time, id: SceneId, tick: Option<u64>, failure: &Failure) {
        self.put(now, id, tick, Level::Error, Some(failure.kind()), failure.to_string());
    }

    fn put(&self, at: Time, scene: SceneId, tick: Option<u64>, level: Level, kind: Option<&'static str>, text: String) {
        if let Some(source) = self.sources.get(&scene) {
            self.logs.put(Entry { at, scene, source: Arc::clone(source), tick, level, kind, text });
        }
    }
}
