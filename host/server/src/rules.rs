//! The rules of domains: components that say who may enter and which match is the best.
//!
//! Invariant: a rule is taken into use only when its component is one, and takes its configuration; whatever it does
//! after that, Match hears an answer within the limits or a fault.

mod component;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use scenehost_core::DomainName;
use scenehost_core::matching::domain::Domain;
use scenehost_core::matching::rule::{Fault, Rule, Setting};
use scenehost_engine::rule::{Component, Engine, Limits, Options};

use crate::clock::Clock;
use crate::registry::{self, Chosen, Registry, Uploaded};
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
    #[error("[domains.{domain}.rule]: the plugin {plugin:?} cannot be used: {cause}")]
    Plugin { domain: DomainName, plugin: String, cause: Box<registry::Error> },
}

/// Loads rules. Cheap to clone.
#[derive(Clone)]
pub struct Rules {
    source: Source,
    plugins_dir: PathBuf,
    clock: Clock,
}

/// Where components come from.
#[derive(Clone)]
enum Source {
    /// What was uploaded, and else files.
    Registry(Registry),
    /// The same beside a host, whose store there may be.
    Beside(Engine, Option<Arc<Uploaded>>),
}

impl Rules {
    /// `plugins_dir` is where `<plugin>.wasm` of each rule lies of which nothing was uploaded.
    pub fn new(registry: Registry, plugins_dir: PathBuf, clock: Clock) -> Self {
        Self { source: Source::Registry(registry), plugins_dir, clock }
    }

    /// Beside a host, of which this is what was uploaded; else all rules are files.
    ///
    /// # Errors
    /// When the system has no room for the engine.
    pub fn beside(
        uploaded: Option<Uploaded>,
        plugins_dir: PathBuf,
        clock: Clock,
    ) -> Result<Self, scenehost_engine::Error> {
        let source = Source::Beside(Engine::new(Options::default())?, uploaded.map(Arc::new));
        Ok(Self { source, plugins_dir, clock })
    }

    /// Reads the rules of these domains, checks them, and asks them what they are; a component that several of them name
    /// is compiled once. Of a plugin that is chosen `instead`, that is used. This takes up to seconds and several cores:
    /// call it where blocking is allowed.
    ///
    /// # Errors
    /// The first of them with a setting that is not right, a file that is not there, a component that is no rule, or one
    /// that fails or refuses its configuration.
    pub fn load(
        &self,
        domains: &BTreeMap<DomainName, Domain>,
        instead: Option<&(String, Chosen)>,
    ) -> Result<BTreeMap<DomainName, Rule>, Error> {
        let mut components: BTreeMap<&str, Component> = BTreeMap::new();
        let mut rules = BTreeMap::new();
        for (domain, setting) in domains.iter().filter_map(|(name, domain)| Some((name, domain.rule.as_ref()?))) {
            let component = match components.get(setting.plugin.as_str()) {
                Some(component) => component.clone(),
                None => self.component(domain, setting, instead)?,
            };
            components.insert(&setting.plugin, component.clone());
            rules.insert(domain.clone(), self.use_component(domain, setting, &component)?);
        }
        Ok(rules)
    }

    fn component(
        &self,
        domain: &DomainName,
        setting: &Setting,
        instead: Option<&(String, Chosen)>,
    ) -> Result<Component, Error> {
        // Before its name becomes a path.
        setting.check().map_err(|what| Error::Wrong { domain: domain.clone(), what })?;
        let unusable =
            |cause| Error::Plugin { domain: domain.clone(), plugin: setting.plugin.clone(), cause: Box::new(cause) };
        if let Source::Registry(registry) = &self.source {
            let chosen = match instead {
                Some((plugin, chosen)) if *plugin == setting.plugin => chosen.clone(),
                _ => registry.chosen(&setting.plugin),
            };
            if let Some(digest) = chosen.active {
                return registry.rule(digest).map_err(unusable);
            }
        }
        if let Source::Beside(engine, Some(uploaded)) = &self.source
            && let Some(bytes) = uploaded.active(&setting.plugin).map_err(unusable)?
        {
            return engine.compile(&bytes).map_err(|cause| unusable(cause.into()));
        }
        let path = self.plugins_dir.join(format!("{}.wasm", setting.plugin));
        let unread = |cause| Error::Read { domain: domain.clone(), path: path.clone(), cause };
        let bytes = std::fs::read(&path).map_err(unread)?;
        let rejected = |cause| Error::Rejected { domain: domain.clone(), path: path.clone(), cause };
        let compiled = match &self.source {
            Source::Registry(registry) => registry.compile_rule(&bytes),
            Source::Beside(engine, _) => engine.compile(&bytes),
        };
        compiled.map_err(rejected)
    }

    fn use_component(&self, domain: &DomainName, setting: &Setting, component: &Component) -> Result<Rule, Error> {
        setting.check().map_err(|what| Error::Wrong { domain: domain.clone(), what })?;
        let limits = Limits { fuel: setting.fuel, memory_bytes_max: setting.memory_kib * 1_024, ..Limits::default() };
        let rule = scenehost_engine::rule::Rule::new(component, &setting.configuration_json(), limits);
        let plugin = setting.plugin.clone();
        let rule = Rule::new(Arc::new(ComponentRule::new(domain.clone(), rule, self.clock)))
            .map_err(|cause| Error::Fault { domain: domain.clone(), plugin, cause })?;
        let (name, version) = (&rule.description().name, &rule.description().version);
        tracing::info!(%domain, name, version, digest = %component.digest(), "rule loaded");
        Ok(rule)
    }
}
