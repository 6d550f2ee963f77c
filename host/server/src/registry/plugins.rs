//! What is done with plugins while the host runs: a version is taken into use by the fleets and domains that name its
//! plugin, and taken out again.
//!
//! Invariant: a choice is made only if every fleet and domain that it is for can live with it; it is in the store before
//! a scene is made of it.

use std::collections::BTreeMap;

use scenehost_engine::Digest;
use scenehost_engine::scratch::Setting;
use serde::Serialize;

use super::record::{CanaryRecord, Quarantined, Scratch, hex};
use super::{Error, Kind, Place, PluginRecord, Registry, Trials, Upload, VersionRecord};
use crate::cluster::wire::Changed;
use crate::domains::Domains;
use crate::fleets::Fleets;

/// How many settings of fleets and domains an upload is tried with, until one is not refused.
const TRIALS_MAX: usize = 8;

/// Cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    registry: Registry,
    fleets: Fleets,
    domains: Domains,
}

/// Which version new scenes are to be made of.
#[derive(Debug, Clone, Copy)]
pub struct Activation {
    pub version: u32,
    pub percent: u8,
    /// Scenes that run change to it, too.
    pub swap: bool,
}

/// A plugin, as operators see it.
#[derive(Serialize)]
pub struct Shown {
    plugin: String,
    kind: Kind,
    active: Option<u32>,
    canary: Option<CanaryRecord>,
    versions: Vec<ShownVersion>,
    /// Who names it.
    fleets: Vec<String>,
    domains: Vec<String>,
    /// How many running scenes are to change their version, if that was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    swap: Option<Swap>,
}

#[derive(Serialize)]
struct Swap {
    asked: usize,
}

/// A version, as operators see it.
#[derive(Serialize)]
pub struct ShownVersion {
    version: u32,
    #[serde(with = "hex")]
    digest: Digest,
    label: String,
    kind: Kind,
    size_bytes: u64,
    imports: Vec<String>,
    uploaded_ms: u64,
    by: String,
    publisher: Option<String>,
    scratch: Scratch,
    /// How many scenes run with it now.
    scenes: usize,
    /// Since when and why it is not used for new scenes.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<ShownQuarantine>,
}

#[derive(Serialize)]
struct ShownQuarantine {
    since_ms: u64,
    reason: String,
}

impl From<Quarantined> for ShownQuarantine {
    fn from(Quarantined { since, reason }: Quarantined) -> Self {
        Self { since_ms: since.0, reason }
    }
}

impl ShownVersion {
    /// Its number.
    pub fn version(&self) -> u32 {
        self.version
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl Plugins {
    pub fn new(registry: Registry, domains: Domains) -> Self {
        Self { registry, fleets: domains.fleets().clone(), domains }
    }

    /// What keeps them.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All plugins.
    pub fn all(&self) -> Vec<Shown> {
        let scenes = self.fleets.scenes_by_digest();
        let show = |(name, plugin): (String, PluginRecord)| self.shown(&name, plugin, &scenes);
        self.registry.all().into_iter().map(show).collect()
    }

    /// One plugin.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn one(&self, name: &str) -> Result<Shown, Error> {
        Ok(self.shown(name, self.registry.plugin(name)?, &self.fleets.scenes_by_digest()))
    }

    fn shown(&self, name: &str, plugin: PluginRecord, scenes: &BTreeMap<Digest, usize>) -> Shown {
        let versions = plugin.versions.into_iter().map(|version| show_version(plugin.kind, version, scenes)).collect();
        Shown {
            plugin: name.to_owned(),
            kind: plugin.kind,
            active: plugin.active,
            canary: plugin.canary,
            versions,
            fleets: self.fleets.of_plugin(name).into_keys().map(|fleet| fleet.as_str().to_owned()).collect(),
            domains: self.domains.of_rule(name).into_keys().map(|domain| domain.as_str().to_owned()).collect(),
            swap: None,
        }
    }

    /// Makes a version of an upload; and whether it is a new one.
    ///
    /// # Errors
    /// What is wrong with it, or why there is no room for it.
    pub async fn upload(&self, place: Place, upload: Upload) -> Result<(ShownVersion, bool), Error> {
        let (plugin, trials) = (upload.plugin.clone(), self.trials(&upload.plugin));
        let (version, is_new) = self.registry.upload(place, upload, trials).await?;
        self.fleets.tell_others(Changed::Plugins);
        let kind = self.registry.plugin(&plugin)?.kind;
        Ok((show_version(kind, version, &self.fleets.scenes_by_digest()), is_new))
    }

    /// First as if nothing were configured, then as those who name the plugin have it.
    fn trials(&self, plugin: &str) -> Trials {
        let fleets = self.fleets.of_plugin(plugin).into_values().map(|fleet| Setting {
            configuration: fleet.configuration_json(),
            tick_rate_hz: fleet.scene.tick_rate_hz,
            limits: fleet.limits.limits(),
        });
        let domains = self.domains.of_rule(plugin).into_values().map(|rule| rule.configuration_json());
        Trials {
            settings: [Setting::default()].into_iter().chain(fleets).take(TRIALS_MAX).collect(),
            configurations: ["{}".to_owned()].into_iter().chain(domains).take(TRIALS_MAX).collect(),
        }
    }

    /// Makes new scenes of a version, all of them or some.
    ///
    /// # Errors
    /// A version that there is not, or that a fleet or a domain cannot live with.
    pub async fn activate(&self, name: &str, activation: Activation) -> Result<Shown, Error> {
        let Activation { version, percent, swap } = activation;
        if swap && percent < 100 {
            return Err(Error::Wrong("swap is for 100 percent: a canary is for new scenes".to_owned()));
        }
        let _turn = self.registry.turn().await;
        let next = self.registry.plugin(name)?.activate(name, version, percent)?;
        self.change(name, next, swap).await
    }

    /// Makes new scenes of the version that was active before.
    ///
    /// # Errors
    /// When no other one was, or a fleet or a domain cannot live with it.
    pub async fn roll_back(&self, name: &str, swap: bool) -> Result<Shown, Error> {
        let _turn = self.registry.turn().await;
        let next = self.registry.plugin(name)?.roll_back(name)?;
        self.change(name, next, swap).await
    }

    /// The fleets that use them.
    pub fn fleets(&self) -> &Fleets {
        &self.fleets
    }

    /// The registry's turn is held.
    pub(super) async fn change(&self, name: &str, next: PluginRecord, swap: bool) -> Result<Shown, Error> {
        let mut asked = 0;
        match next.kind {
            Kind::Scene => {
                // The canary, too: a fleet that cannot have its own goes on without.
                let (registry, chosen) = (self.registry.clone(), next.chosen());
                let load = move || -> Result<(), Error> {
                    let mut digests = chosen.active.into_iter().chain(chosen.canary.map(|(digest, _)| digest));
                    digests.try_for_each(|digest| registry.game(digest).map(|_| ()))
                };
                tokio::task::spawn_blocking(load).await.map_err(|_| Error::Stopping)??;
                self.fleets.use_plugin(name, next).await?;
                if swap {
                    asked = self.fleets.swap(name);
                    self.fleets.tell_others(Changed::Swap(name.to_owned()));
                }
            }
            // Whoever waits in a domain is matched by the new rule; there is nothing to swap.
            Kind::MatchRule => self.domains.use_plugin(name, next).await?,
        }
        let mut shown = self.one(name)?;
        shown.swap = swap.then_some(Swap { asked });
        Ok(shown)
    }

    /// Removes a version and, with its last version, the plugin.
    ///
    /// # Errors
    /// A version that there is not, or that is used.
    pub async fn remove(&self, name: &str, version: u32) -> Result<(), Error> {
        let _turn = self.registry.turn().await;
        let plugin = self.registry.plugin(name)?;
        let digest = plugin.version(version).map(|it| it.digest);
        let next = plugin.without(name, version)?;
        let running = digest.and_then(|digest| self.fleets.scenes_by_digest().get(&digest).copied()).unwrap_or(0);
        if running > 0 {
            let why = format!("{running} scenes run with it: wait for their end, or activate another one with swap");
            return Err(Error::InUse { version, why });
        }
        let others: Vec<Digest> = next.versions.iter().map(|it| it.digest).collect();
        let elsewhere = match digest {
            Some(digest) => self.fleets.scenes_elsewhere(name, digest, &others).await?,
            None => 0,
        };
        if elsewhere > 0 {
            let why = format!("{elsewhere} scenes on other nodes may run with it: wait for their end");
            return Err(Error::InUse { version, why });
        }
        self.registry.keep(name, next).await?;
        self.fleets.tell_others(Changed::Plugins);
        match digest {
            Some(digest) => self.registry.forget_file(digest).await,
            None => Ok(()),
        }
    }
}

fn show_version(kind: Kind, version: VersionRecord, scenes: &BTreeMap<Digest, usize>) -> ShownVersion {
    ShownVersion {
        version: version.version,
        digest: version.digest,
        label: version.label,
        kind,
        size_bytes: version.size_bytes,
        imports: version.imports,
        uploaded_ms: version.uploaded.0,
        by: version.by,
        publisher: version.publisher,
        scratch: version.scratch,
        scenes: scenes.get(&version.digest).copied().unwrap_or(0),
        quarantine: version.quarantine.map(ShownQuarantine::from),
    }
}
