//! Quarantine: when a version of a game has failed so often that it gets no more new scenes.
//!
//! Invariants: a failure counts for as long as the fleet says, and of one scene once, so a single match that fails again
//! and again is no reason; no more scenes are remembered than are one.

use crate::config::Quarantine;
use crate::ids::{SceneId, Time};

/// Which scenes of a fleet's version have failed lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// With the time of each one's last failure.
    scenes: Vec<(Time, SceneId)>,
}

impl Failures {
    /// A scene has failed. Whether that is one too many by these rules; then the count begins anew.
    pub fn failed(&mut self, scene: SceneId, now: Time, rules: &Quarantine) -> bool {
        if rules.scenes == 0 {
            return false;
        }
        self.scenes.retain(|(at, of)| *of != scene && now.ms_since(*at) < rules.within_ms);
        self.scenes.push((now, scene));
        let is_too_often = self.scenes.len() >= rules.scenes as usize;
        if is_too_often {
            self.scenes.clear();
        }
        is_too_often
    }

    /// What was before does not count any more.
    pub fn forget(&mut self) {
        self.scenes.clear();
    }
}
