//! The rules of domains: components that say who may enter and which match is the best.
//!
//! Invariant: a rule is taken into use only when its component is one, and takes its configuration; whatever it does
//! after that, Match hears an answer within the limits or a fault.

mod component;

use std::path::PathBuf;
use std::sync::Arc;

use scenehost_core::DomainName;
use scenehost_core::matching::rule::{Fault, Rule, Setting};
use scenehost_engine::rule::{Engine, Limits, Options};

use crate::clock::Clock;
use component::ComponentRule;

/// Why a domain cannot have its rule.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("[domains.{domain}.rule]: {what}")]
    Wrong { domain: DomainName, what: String },
    #[error("[domains.{domain}.rule]: the component {path} cannot be read: {cause}")]
    Read { domain: DomainName, path: PathBuf, cause: std::io::Error },
    #[error("[domains.{domain}.rule]: the component {path} is refused: {cause}")]
    Rejected { domain: DomainName, path: PathBuf, cause: scenehost_engine::Rejected },
    #[error("[domains.{domain}.rule]: {plugin} cannot be used: {cause}")]
    Fault { domain: DomainName, plugin: String, cause: Fault },
}

/// Loads rules. Cheap to clone.
#[derive(Clone)]
pub struct Rules {
    engine: Engine,
    plugins_dir: PathBuf,
    clock: Clock,
}

impl Rules {
    /// `plugins_dir` is where `<plugin>.wasm` of each rule lies.
    ///
    /// # Errors
    /// When the system has no room for the engine.
    pub fn new(plugins_dir: PathBuf, clock: Clock) -> Result<Self, scenehost_engine::Error> {
        Ok(Self { engine: Engine::new(Options::default())?, plugins_dir, clock })
    }

    /// Reads a rule, checks it, and asks it what it is. This takes up to seconds and several cores: call it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// A setting that is not right, a file that is not there, a component that is no rule, or one that fails or refuses
    /// its configuration.
    pub fn load(&self, domain: &DomainName, setting: &Setting) -> Result<Rule, Error> {
        setting.check().map_err(|what| Error::Wrong { domain: domain.clone(), what })?;
        let path = self.plugins_dir.join(format!("{}.wasm", setting.plugin));
        let unread = |cause| Error::Read { domain: domain.clone(), path: path.clone(), cause };
        let bytes = std::fs::read(&path).map_err(unread)?;
        let rejected = |cause| Error::Rejected { domain: domain.clone(), path: path.clone(), cause };
        let component = self.engine.compile(&bytes).map_err(rejected)?;
        let limits = Limits { fuel: setting.fuel, memory_bytes_max: setting.memory_kib * 1_024, ..Limits::default() };
        let rule = scenehost_engine::rule::Rule::new(&component, &setting.configuration_json(), limits);
        let rule = Rule::new(Arc::new(ComponentRule::new(domain.clone(), rule, self.clock)));
        let rule =
            rule.map_err(|cause| Error::Fault { domain: domain.clone(), plugin: setting.plugin.clone(), cause })?;
        let (name, version) = (&rule.description().name, &rule.description().version);
        let digest = component.digest();
        tracing::info!(%domain, path = %path.display(), name, version, %digest, "rule loaded");
        Ok(rule)
    }
}
