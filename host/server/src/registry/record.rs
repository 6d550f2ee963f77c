//! What is kept of a plugin, and how its versions change places.
//!
//! Invariants: the active version, the canary and those that were active before are versions that are there. A number
//! of a version is never given twice. A version in quarantine is no canary and is not made active; it may be so from
//! before, if there was no other one, and then there are no new scenes.

use scenehost_core::Time;
use scenehost_engine::Digest;
use scenehost_engine::scratch::Report;
use serde::{Deserialize, Serialize};

use super::Error;

/// How many versions that were active before are remembered for going back; the oldest are forgotten.
const BEFORE_MAX: usize = 64;

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A game.
    Scene,
    /// A rule of matching.
    MatchRule,
}

impl Kind {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Scene => "a game",
            Self::MatchRule => "a rule of matching",
        }
    }
}

/// A plugin: its versions, and which of them are used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRecord {
    pub kind: Kind,
    /// In the order in which they were uploaded.
    pub versions: Vec<VersionRecord>,
    /// The number of the next version.
    pub next: u32,
    #[serde(default)]
    pub active: Option<u32>,
    #[serde(default)]
    pub canary: Option<CanaryRecord>,
    /// Those that were active before, the last one last.
    #[serde(default)]
    pub before: Vec<u32>,
}

/// A version that a part of the new scenes gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryRecord {
    pub version: u32,
    pub percent: u8,
}

/// A version of a plugin: what was uploaded, by whom, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    pub version: u32,
    #[serde(with = "hex")]
    pub digest: Digest,
    pub label: String,
    pub size_bytes: u64,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    pub uploaded: Time,
    /// The name of the operator's token.
    pub by: String,
    /// Who has signed it.
    #[serde(default)]
    pub publisher: Option<String>,
    pub scratch: Scratch,
    /// It has failed too often, and is not used for new scenes until operators release it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantined>,
}

/// Since when and why a version is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    pub since: Time,
    pub reason: String,
}

/// What a quarantine changes for new scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// The version was not used for them.
    Nothing,
    /// It was the canary, which there is not any more.
    CanaryEnded,
    /// It was active, and this one is again.
    RolledBack(u32),
    /// It was active, and no other one can be: there are none.
    Closed,
}

impl Consequence {
    /// For operators.
    pub fn text(self) -> String {
        match self {
            Self::Nothing => "it was not used for new scenes".to_owned(),
            Self::CanaryEnded => "the canary has ended".to_owned(),
            Self::RolledBack(version) => format!("rolled back to version {version}"),
            Self::Closed => "no other version was active before: there are no new scenes".to_owned(),
        }
    }
}

/// What the scratch run has shown; see [`Report`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scratch {
    pub steps: u32,
    pub snapshot_bytes: usize,
    pub memory_bytes: usize,
    pub step_us_mean: f64,
    #[serde(with = "hex")]
    pub output_hash: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Measured times are no reason to call two records different.
impl Eq for Scratch {}

impl From<Report> for Scratch {
    fn from(report: Report) -> Self {
        let Report { steps, snapshot_bytes, memory_bytes, step_mean, output_hash, refused } = report;
        let step_us_mean = (step_mean.as_secs_f64() * 1e7).round() / 10.0;
        Self { steps, snapshot_bytes, memory_bytes, step_us_mean, output_hash: Digest(output_hash), refused }
    }
}

/// The versions of a plugin that new scenes are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Without one the file of the plugin's name is used.
    pub active: Option<Digest>,
    /// The canary, and how many of a hundred it gets.
    pub canary: Option<(Digest, u8)>,
    /// What was active before, the newest first.
    pub before: Vec<Digest>,
    /// The active version is in quarantine: there are no new scenes.
    pub in_quarantine: bool,
}

impl PluginRecord {
    pub fn new(kind: Kind) -> Self {
        Self { kind, versions: Vec::new(), next: 1, active: None, canary: None, before: Vec::new() }
    }

    pub fn version(&self, version: u32) -> Option<&VersionRecord> {
        self.versions.iter().find(|it| it.version == version)
    }

    pub fn of_digest(&self, digest: Digest) -> Option<&VersionRecord> {
        self.versions.iter().find(|it| it.digest == digest)
    }

    pub fn chosen(&self) -> Chosen {
        let digest = |version: u32| self.version(version).map(|it| it.digest);
        let before = self.before.iter().rev().filter(|version| !self.is_in_quarantine(**version));
        Chosen {
            active: self.active.and_then(digest),
            canary: self.canary.and_then(|canary| Some((digest(canary.version)?, canary.percent))),
            before: before.filter_map(|version| digest(*version)).collect(),
            in_quarantine: self.active.is_some_and(|version| self.is_in_quarantine(version)),
        }
    }

    fn is_in_quarantine(&self, version: u32) -> bool {
        self.version(version).is_some_and(|it| it.quarantine.is_some())
    }

    /// With one version more.
    pub fn with(mut self, version: VersionRecord) -> Self {
        self.next = version.version + 1;
        self.versions.push(version);
        self
    }

    /// With this version for so many of a hundred new scenes; with all of them it is the active one.
    ///
    /// # Errors
    /// A version that there is not or that is in quarantine, or a share that means nothing.
    pub fn activate(mut self, plugin: &str, version: u32, percent: u8) -> Result<Self, Error> {
        let found = self.version(version).ok_or_else(|| Error::unknown_version(plugin, version))?;
        if let Some(Quarantined { reason, .. }) = &found.quarantine {
            return Err(Error::Quarantined { version, reason: reason.clone() });
        }
        match percent {
            100 => {
                let before = self.active.replace(version).filter(|before| *before != version);
                self.canary = None;
                self.before.extend(before);
                let forgotten = self.before.len().saturating_sub(BEFORE_MAX);
                self.before.drain(..forgotten);
            }
            1..100 if self.kind == Kind::MatchRule => {
                return Err(Error::Wrong(
                    "a rule of matching has no canary: a domain has one rule at a time".to_owned(),
                ));
            }
            1..100 if self.active == Some(version) => {
                return Err(Error::Wrong(format!("version {version} is the active one: a canary is another version")));
            }
            1..100 => self.canary = Some(CanaryRecord { version, percent }),
            _ => return Err(Error::Wrong("percent is 1 to 99 for a canary, or 100".to_owned())),
        }
        Ok(self)
    }

    /// With the version that was active before this one, and without a canary. Those in quarantine are passed over.
    ///
    /// # Errors
    /// When no other one was.
    pub fn roll_back(mut self, plugin: &str) -> Result<Self, Error> {
        let before = self.pop_before(|_| true).ok_or_else(|| Error::NoneBefore(plugin.to_owned()))?;
        self.active = Some(before);
        self.canary = None;
        Ok(self)
    }

    /// The last version that was active before, is not in quarantine and can be used.
    fn pop_before(&mut self, is_usable: impl Fn(Digest) -> bool) -> Option<u32> {
        while let Some(before) = self.before.pop() {
            let found = self.version(before).filter(|it| it.quarantine.is_none() && Some(before) != self.active);
            if found.is_some_and(|it| is_usable(it.digest)) {
                return Some(before);
            }
        }
        None
    }

    /// With this version in quarantine, and what that changes. If it was active, the one before that can be used is so
    /// again; if there is none, nothing is.
    pub fn quarantine(
        mut self,
        version: u32,
        why: Quarantined,
        is_usable: impl Fn(Digest) -> bool,
    ) -> (Self, Consequence) {
        self.versions.iter_mut().filter(|it| it.version == version).for_each(|it| it.quarantine = Some(why.clone()));
        if self.canary.is_some_and(|canary| canary.version == version) {
            self.canary = None;
            return (self, Consequence::CanaryEnded);
        }
        if self.active != Some(version) {
            return (self, Consequence::Nothing);
        }
        match self.pop_before(is_usable) {
            Some(before) => {
                self.active = Some(before);
                (self, Consequence::RolledBack(before))
            }
            None => (self, Consequence::Closed),
        }
    }

    /// With this version out of quarantine: it may be used for new scenes, and is so if it still is the active one.
    ///
    /// # Errors
    /// A version that there is not, or that is not in quarantine.
    pub fn release(mut self, plugin: &str, version: u32) -> Result<Self, Error> {
        let found = self.versions.iter_mut().find(|it| it.version == version);
        let found = found.ok_or_else(|| Error::unknown_version(plugin, version))?;
        found.quarantine.take().ok_or(Error::NotQuarantined { version })?;
        Ok(self)
    }

    /// Without this version.
    ///
    /// # Errors
    /// When it is not there, or is used for new scenes.
    pub fn without(mut self, plugin: &str, version: u32) -> Result<Self, Error> {
        self.version(version).ok_or_else(|| Error::unknown_version(plugin, version))?;
        if self.active == Some(version) {
            return Err(Error::InUse { version, why: "it is the active one: activate another one first".to_owned() });
        }
        if self.canary.is_some_and(|canary| canary.version == version) {
            let why = "it is the canary: end that first, by activating a version with 100 percent".to_owned();
            return Err(Error::InUse { version, why });
        }
        self.versions.retain(|it| it.version != version);
        self.before.retain(|it| *it != version);
        Ok(self)
    }
}

/// A digest as text.
pub mod hex {
    use scenehost_engine::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(digest)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(versions: u32) -> PluginRecord {
        (1..=versions).fold(PluginRecord::new(Kind::Scene), |plugin, version| {
            plugin.with(VersionRecord {
                version,
                digest: Digest([version as u8; 32]),
                label: String::new(),
                size_bytes: 1,
                imports: Vec::new(),
                uploaded: Time(1),
                by: "ops".to_owned(),
                publisher: None,
                scratch: Report {
                    steps: 1,
                    snapshot_bytes: 1,
                    memory_bytes: 1,
                    step_mean: std::time::Duration::from_nanos(1_234),
                    output_hash: [1; 32],
                    refused: None,
                }
                .into(),
                quarantine: None,
            })
        })
    }

    fn activated(plugin: PluginRecord, version: u32, percent: u8) -> PluginRecord {
        plugin.activate("arena", version, percent).expect("it is right")
    }

    fn kind(result: Result<PluginRecord, Error>) -> &'static str {
        result.expect_err("it is refused").kind()
    }

    #[test]
    fn rolling_back_goes_through_what_was_active_and_ends_the_canary() {
        let mut plugin = plugin(4);
        assert_eq!(kind(plugin.clone().roll_back("arena")), "none_before");
        for version in [1, 2, 2, 3] {
            plugin = activated(plugin, version, 100);
        }
        plugin = activated(plugin, 4, 10);
        assert_eq!((plugin.active, plugin.canary), (Some(3), Some(CanaryRecord { version: 4, percent: 10 })));
        assert_eq!(plugin.chosen().before, [Digest([2; 32]), Digest([1; 32])]);
        plugin = plugin.roll_back("arena").expect("2 was before");
        assert_eq!((plugin.active, plugin.canary), (Some(2), None));
        plugin = plugin.roll_back("arena").expect("1 was before");
        assert_eq!(plugin.active, Some(1));
        assert_eq!(kind(plugin.roll_back("arena")), "none_before");
    }

    #[test]
    fn what_is_used_for_new_scenes_is_not_removed() {
        let plugin = activated(activated(activated(plugin(4), 1, 100), 2, 100), 3, 5);
        assert_eq!(kind(plugin.clone().without("arena", 2)), "in_use");
        assert_eq!(kind(plugin.clone().without("arena", 3)), "in_use");
        assert_eq!(kind(plugin.clone().without("arena", 9)), "not_found");
        let plugin = plugin.without("arena", 1).expect("it was active before only");
        assert_eq!(kind(plugin.clone().roll_back("arena")), "none_before");
        let plugin = plugin.without("arena", 4).expect("it is not used");
        assert_eq!((plugin.versions.len(), plugin.next), (2, 5), "its number is not given again");
    }

    fn why() -> Quarantined {
        Quarantined { since: Time(7), reason: "it fails".to_owned() }
    }

    #[test]
    fn a_quarantine_goes_back_to_the_last_version_that_can_be_used() {
        let plugin = [1, 2, 3, 4].into_iter().fold(plugin(4), |plugin, version| activated(plugin, version, 100));
        let (plugin, consequence) = plugin.quarantine(3, why(), |_| true);
        assert_eq!((plugin.active, consequence), (Some(4), Consequence::Nothing));
        let damaged = Digest([2; 32]);
        let (plugin, consequence) = plugin.quarantine(4, why(), |digest| digest != damaged);
        assert_eq!((plugin.active, consequence), (Some(1), Consequence::RolledBack(1)), "3 failed, 2 is damaged");
        assert!(!plugin.chosen().in_quarantine);
        let (plugin, consequence) = plugin.quarantine(1, why(), |_| true);
        assert_eq!((plugin.active, consequence), (Some(1), Consequence::Closed));
        assert!(plugin.chosen().in_quarantine);
        assert_eq!(kind(plugin.clone().roll_back("arena")), "none_before");
        assert!(!activated(plugin, 2, 100).chosen().in_quarantine, "another one opens it again");
    }

    #[test]
    fn a_canary_in_quarantine_has_ended() {
        let plugin = activated(activated(plugin(2), 1, 100), 2, 10);
        let (plugin, consequence) = plugin.quarantine(2, why(), |_| true);
        assert_eq!((plugin.active, plugin.canary, consequence), (Some(1), None, Consequence::CanaryEnded));
    }

    #[test]
    fn what_is_in_quarantine_is_not_chosen_until_it_is_released() {
        let plugin = activated(activated(plugin(3), 1, 100), 2, 100);
        let (plugin, _) = plugin.quarantine(1, why(), |_| true);
        for percent in [10, 100] {
            assert_eq!(kind(plugin.clone().activate("arena", 1, percent)), "quarantined");
        }
        assert_eq!(kind(plugin.clone().roll_back("arena")), "none_before");
        assert_eq!(kind(plugin.clone().release("arena", 2)), "not_quarantined");
        assert_eq!(kind(plugin.clone().release("arena", 9)), "not_found");
        let plugin = plugin.release("arena", 1).expect("it is in quarantine");
        assert_eq!(plugin.roll_back("arena").expect("it was active before").active, Some(1));
    }

    #[test]
    fn a_share_that_means_nothing_is_refused() {
        let plugin = activated(plugin(2), 1, 100);
        for (version, percent) in [(2, 0), (2, 101), (1, 50)] {
            assert_eq!(kind(plugin.clone().activate("arena", version, percent)), "wrong");
        }
        assert_eq!(kind(plugin.clone().activate("arena", 3, 100)), "not_found");
        let rule = PluginRecord { kind: Kind::MatchRule, ..plugin };
        assert_eq!(kind(rule.activate("arena", 2, 50)), "wrong");
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let (plugin, _) = activated(activated(plugin(3), 1, 100), 2, 7).quarantine(1, why(), |_| true);
        let bytes = scenehost_core::record::encode(&plugin);
        assert_eq!(scenehost_core::record::decode::<PluginRecord>("plugin/arena", &bytes).expect("JSON"), plugin);
        assert!(String::from_utf8(bytes).expect("text").contains("\"step_us_mean\":1.2,"));
    }
}
