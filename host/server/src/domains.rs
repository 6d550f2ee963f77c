//! The domains of this host: from the configuration, and from operators, who change them while the host runs.
//!
//! Invariants: only a domain that is right is used, with a rule that loads, and what is not right changes nothing. What
//! operators have set stands above the file and is in the store before it is used. Whoever waits in a domain keeps the
//! place through a change, or is told why not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use scenehost_core::config::Domain;
use scenehost_core::matching::rule::{Rule, Setting};
use scenehost_core::matching::{self, Match};
use scenehost_core::record::{DOMAIN_PREFIX, decode, domain_key, encode};
use scenehost_core::results::board::Board;
use scenehost_core::{DomainName, FleetName, Message, Write, db, lobby};
use tokio::signal::unix::Signal;
use tokio::sync::{Mutex, mpsc};

use crate::bus::Bus;
use crate::cluster::wire::Changed;
use crate::config::{self, Config};
use crate::fleets::{self, Fleets, is_plain};
use crate::match_streams::{Recorded, Streams};
use crate::registry::{self, Chosen, PluginRecord, Registry};
use crate::rules::{self, Rules};
use crate::store::Store;

/// How many domains there may be.
const DOMAINS_MAX: usize = 256;
/// After how long the store is asked again for what was changed on another node.
const READ_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Wrong(String),
    #[error(transparent)]
    Rule(#[from] rules::Error),
    #[error("there is no domain named {0:?} that was set here; those of the configuration file are changed there")]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    #[error("the work was given up: the host is stopping")]
    Stopping,
}

/// What a domain is.
#[derive(Clone)]
pub struct Used {
    pub domain: Domain,
    pub rule: Option<Rule>,
    /// Whether operators have set it here.
    pub of_operators: bool,
}

/// A domain that was not there before, and the way to the handler that it needs.
pub type New = (DomainName, mpsc::Receiver<matching::Event>);

/// Whether what went wrong is that the store cannot be read.
fn is_of_store(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Store(_)))
        || matches!(error.downcast_ref(), Some(fleets::Error::Store(_)))
        || matches!(error.downcast_ref(), Some(registry::Error::Store(_)))
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Domains(Arc<Parts>);

struct Parts {
    registry: Registry,
    rules: Rules,
    streams: Streams,
    fleets: Fleets,
    boards: BTreeMap<String, Board>,
    bus: Bus,
    store: Store,
    /// What is used now.
    current: RwLock<BTreeMap<DomainName, Used>>,
    /// The host, which runs handlers.
    new: mpsc::Sender<New>,
    state: Mutex<State>,
}

/// What domains are, by where that comes from.
#[derive(Clone, Default)]
struct State {
    of_file: BTreeMap<DomainName, Domain>,
    of_operators: BTreeMap<DomainName, Domain>,
}

impl State {
    fn all(&self) -> BTreeMap<DomainName, Domain> {
        let mut all = self.of_file.clone();
        all.extend(self.of_operators.clone());
        all
    }
}

impl Domains {
    /// Reads the store's domains and loads all rules. The handlers of all of them are `new` then.
    ///
    /// # Errors
    /// A rule of the file that cannot be used. A domain of the store that is not right is left out and reported: an
    /// operator can mend it only while the host runs.
    pub async fn open(
        config: &Config,
        (registry, rules, streams): (Registry, Rules, Streams),
        fleets: Fleets,
        bus: Bus,
        store: Store,
    ) -> Result<(Self, mpsc::Receiver<New>), Error> {
        let (new, news) = mpsc::channel(DOMAINS_MAX);
        let state = State { of_file: config.domains.clone(), of_operators: BTreeMap::new() };
        let domains = Self(Arc::new(Parts {
            registry,
            rules,
            streams,
            fleets,
            boards: config.leaderboards.clone(),
            bus,
            store,
            current: RwLock::default(),
            new,
            state: Mutex::default(),
        }));
        let mut used = domains.load(&state, &|_| false, None)?;
        let mut state = state;
        for (name, domain) in domains.stored().await? {
            let mut next = state.clone();
            next.of_operators.insert(name.clone(), domain);
            let only = |other: &DomainName| *other != name;
            let of_fleets = |fleet: &FleetName| domains.0.fleets.has(fleet);
            match domains.check(&next, of_fleets).and_then(|()| domains.load(&next, &only, None)) {
                Ok(mut all) => {
                    used.extend(all.remove_entry(&name));
                    state = next;
                }
                Err(error) => tracing::error!(domain = %name, %error, "a domain that operators have set is left out"),
            }
        }
        domains.use_all(used)?;
        *domains.0.state.try_lock().map_err(|_| Error::Stopping)? = state;
        Ok((domains, news))
    }

    async fn stored(&self) -> Result<Vec<(DomainName, Domain)>, Error> {
        let mut stored = Vec::new();
        for (key, value) in self.0.store.scan(DOMAIN_PREFIX).await? {
            let name = DomainName::from(key.trim_start_matches(DOMAIN_PREFIX));
            match decode(&key, &value) {
                Ok(domain) => stored.push((name, domain)),
                Err(error) => tracing::error!("{error}"),
            }
        }
        Ok(stored)
    }

    /// All domains.
    pub fn all(&self) -> BTreeMap<DomainName, Used> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What their scenes are made of.
    pub fn fleets(&self) -> &Fleets {
        &self.0.fleets
    }

    /// What the lobby has to know of them.
    pub fn settings(&self) -> BTreeMap<DomainName, Domain> {
        self.all().into_iter().map(|(name, used)| (name, used.domain)).collect()
    }

    /// Whose games change ratings.
    pub fn rated(&self) -> BTreeMap<DomainName, bool> {
        self.all().into_iter().map(|(name, used)| (name, used.domain.rated)).collect()
    }

    /// What makes the handler of a domain, each time with the settings of then; with those of now if it is no more.
    pub fn handlers(&self, name: DomainName) -> Option<impl Fn() -> Recorded + use<>> {
        let (own, of_now) = (self.clone(), self.all().remove(&name)?);
        Some(move || {
            let Used { domain, rule, .. } = own.all().remove(&name).unwrap_or_else(|| of_now.clone());
            let record = domain.record.clone();
            Recorded::new(Match::new(name.clone(), domain, rule), name.clone(), record, own.0.streams.clone())
        })
    }

    /// What operators say that a domain is.
    ///
    /// # Errors
    /// Settings that are not right, a rule that cannot be used, a store that cannot be written.
    pub async fn put(&self, name: DomainName, domain: Domain) -> Result<(), Error> {
        if !is_plain(name.as_str()) {
            return Err(Error::Wrong("a domain's name has 1 to 64 letters, digits, - and _".to_owned()));
        }
        let mut state = self.0.state.lock().await;
        let mut next = state.clone();
        next.of_operators.insert(name.clone(), domain.clone());
        let changed = name.clone();
        let used = self.load_aside(&next, move |other| *other != changed).await?;
        self.write(Write::Put { key: domain_key(&name), value: encode(&domain) }).await?;
        *state = next;
        self.tell_others(Changed::Domains);
        self.use_all(used)
    }

    /// What operators have said of a domain does not count any more: it is as in the file, or is no more.
    ///
    /// # Errors
    /// A domain that operators have not set, or that something else needs.
    pub async fn remove(&self, name: &DomainName) -> Result<(), Error> {
        let mut state = self.0.state.lock().await;
        let mut next = state.clone();
        if next.of_operators.remove(name).is_none() {
            return Err(Error::Unknown(name.as_str().to_owned()));
        }
        let changed = name.clone();
        let used = self.load_aside(&next, move |other| *other != changed).await?;
        self.write(Write::Delete { key: domain_key(name) }).await?;
        *state = next;
        self.tell_others(Changed::Domains);
        self.use_all(used)
    }

    /// A rule of matching is this from now on: its domains judge by what is chosen then, and whoever waits keeps waiting.
    ///
    /// # Errors
    /// A version that does not take a domain's configuration; then nothing is changed.
    pub async fn use_plugin(&self, name: &str, plugin: PluginRecord) -> Result<(), registry::Error> {
        let state = self.0.state.lock().await;
        let of_plugin = self.of_rule(name);
        let instead = Some((name.to_owned(), plugin.chosen()));
        let used = self.load_checked(&state, move |domain| !of_plugin.contains_key(domain), instead).await?;
        self.0.registry.keep(name, plugin).await?;
        self.tell_others(Changed::Plugins);
        self.use_all(used)?;
        drop(state);
        Ok(())
    }

    /// The domains whose rule is of this plugin, with its settings there.
    pub fn of_rule(&self, plugin: &str) -> BTreeMap<DomainName, Setting> {
        let of_plugin = |(name, used): (DomainName, Used)| {
            let rule = used.domain.rule.filter(|rule| rule.plugin == plugin)?;
            Some((name, rule))
        };
        self.all().into_iter().filter_map(of_plugin).collect()
    }

    /// Reads the fleets and the domains of the configuration file again at each of `hang_ups`, for as long as the host
    /// runs.
    pub async fn keep_current(self, path: PathBuf, mut hang_ups: Signal) {
        while hang_ups.recv().await.is_some() {
            match self.read_again(path.clone()).await {
                Ok((fleets, domains)) => tracing::info!(fleets, domains, "the configuration was read again"),
                Err(error) => tracing::error!("fleets and domains stay as they were: {error}"),
            }
        }
    }

    async fn read_again(&self, path: PathBuf) -> Result<(usize, usize), Error> {
        let wrong = |error: config::Error| Error::Wrong(error.to_string());
        let read = move || Config::read(&path).and_then(|config| config.check().map(|()| config));
        let config = tokio::task::spawn_blocking(read).await.map_err(|_| Error::Stopping)?.map_err(wrong)?;
        let (fleets, domains) = (config.fleets.len(), config.domains.len());
        let mut state = self.0.state.lock().await;
        let mut next = state.clone();
        next.of_file = config.domains;
        // All that can be wrong is found before anything is changed.
        let names = self.0.fleets.names_with(&config.fleets).await;
        self.check(&next, |fleet| names.contains(fleet))?;
        let used = self.load_checked(&next, |_| false, None).await?;
        let of_domains = used.values().map(|used| used.domain.fleet.clone()).collect();
        let of_fleets = |error: fleets::Error| Error::Wrong(error.to_string());
        self.0.fleets.replace_file(config.fleets, of_domains).await.map_err(of_fleets)?;
        *state = next;
        self.use_all(used)?;
        Ok((fleets, domains))
    }

    /// Operators have changed something on another node: what is in the store is read again, until that can be read. What
    /// cannot be used is reported, and changes nothing here.
    pub async fn read_changed(&self, what: Changed) {
        while let Err(error) = self.read_of(&what).await {
            tracing::error!(?what, %error, "what operators have changed on another node is not used here");
            if !is_of_store(&error) {
                return;
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
        if let Changed::Swap(plugin) = what {
            self.0.fleets.swap(&plugin);
        }
    }

    async fn read_of(&self, what: &Changed) -> anyhow::Result<()> {
        match what {
            Changed::Fleets => Ok(self.0.fleets.read_stored().await?),
            Changed::Domains => Ok(self.read_stored().await?),
            Changed::Plugins | Changed::Swap(_) => self.read_plugins().await,
        }
    }

    async fn read_stored(&self) -> Result<(), Error> {
        let mut state = self.0.state.lock().await;
        let of_operators: BTreeMap<DomainName, Domain> = self.stored().await?.into_iter().collect();
        if of_operators == state.of_operators {
            return Ok(());
        }
        let next = State { of_operators, ..state.clone() };
        let changed = |name: &DomainName| state.of_operators.get(name) != next.of_operators.get(name);
        let all = state.of_operators.keys().chain(next.of_operators.keys());
        let changed: BTreeSet<DomainName> = all.filter(|name| changed(name)).cloned().collect();
        let used = self.load_aside(&next, move |name| !changed.contains(name)).await?;
        *state = next;
        self.use_all(used)
    }

    /// Games and rules are made of what the registry says now.
    async fn read_plugins(&self) -> anyhow::Result<()> {
        if !self.0.registry.read_again().await? {
            return Ok(());
        }
        self.0.fleets.make_anew().await?;
        let state = self.0.state.lock().await;
        let used = self.load_checked(&state, |_| false, None).await?;
        self.use_all(used)?;
        Ok(())
    }

    /// Other nodes of the cluster hear that something was changed here.
    fn tell_others(&self, what: Changed) {
        if let Some(router) = self.0.bus.router() {
            router.changed(what);
        }
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        let mut commit = self.0.store.begin(vec![write]).await?;
        Ok(commit.synced().await?)
    }

    /// That all of these can work together.
    fn check(&self, state: &State, has_fleet: impl Fn(&FleetName) -> bool) -> Result<(), Error> {
        let all = state.all();
        if all.len() > DOMAINS_MAX {
            return Err(Error::Wrong(format!("there are {DOMAINS_MAX} domains already: remove one first")));
        }
        let wrong = |error: config::Error| Error::Wrong(error.to_string());
        config::check_domains(&all, has_fleet).map_err(wrong)?;
        let of_board = |(name, what)| Error::Wrong(format!("[leaderboards.{name}]: {what}"));
        Board::check_all(&self.0.boards, &all).map_err(of_board)
    }

    async fn load_aside(
        &self,
        state: &State,
        keeps: impl Fn(&DomainName) -> bool + Send + 'static,
    ) -> Result<BTreeMap<DomainName, Used>, Error> {
        self.check(state, |fleet| self.0.fleets.has(fleet))?;
        self.load_checked(state, keeps, None).await
    }

    async fn load_checked(
        &self,
        state: &State,
        keeps: impl Fn(&DomainName) -> bool + Send + 'static,
        instead: Option<(String, Chosen)>,
    ) -> Result<BTreeMap<DomainName, Used>, Error> {
        let (own, state) = (self.clone(), state.clone());
        let load = move || own.load(&state, &keeps, instead.as_ref());
        tokio::task::spawn_blocking(load).await.map_err(|_| Error::Stopping)?
    }

    /// All domains with their rules. Those that `keeps` names keep the rule that they have, if its setting is the same;
    /// those of the others are loaded anew, for a designer may have built a component again.
    fn load(
        &self,
        state: &State,
        keeps: &dyn Fn(&DomainName) -> bool,
        instead: Option<&(String, Chosen)>,
    ) -> Result<BTreeMap<DomainName, Used>, Error> {
        let before = self.all();
        let kept = |name: &DomainName, domain: &Domain| {
            let used = before.get(name).filter(|used| keeps(name) && used.domain.rule == domain.rule);
            used.map(|used| used.rule.clone())
        };
        let all = state.all();
        let anew: BTreeMap<DomainName, Domain> = all
            .iter()
            .filter(|(name, domain)| kept(name, domain).is_none())
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect();
        let mut rules = self.0.rules.load(&anew, instead)?;
        let used = all.into_iter().map(|(name, domain)| {
            let rule = kept(&name, &domain).unwrap_or_else(|| rules.remove(&name));
            let of_operators = state.of_operators.contains_key(&name);
            (name, Used { domain, rule, of_operators })
        });
        Ok(used.collect())
    }

    /// Tells everyone here what domains are now. Other nodes read them themselves.
    fn use_all(&self, used: BTreeMap<DomainName, Used>) -> Result<(), Error> {
        let before = {
            let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, used.clone())
        };
        self.0.fleets.use_by_domains(used.values().map(|used| used.domain.fleet.clone()).collect());
        let bus = &self.0.bus;
        bus.deliver(db::Event::Rated(self.rated()).into());
        for (name, Used { domain, rule, .. }) in &used {
            // In a cluster a handler begins where its unit is claimed.
            let is_new = bus.router().is_none().then(|| bus.open_match(name)).flatten();
            match is_new {
                Some(inbox) => self.0.new.try_send((name.clone(), inbox)).map_err(|_| Error::Stopping)?,
                None => {
                    let event = matching::Event::Domain { domain: Box::new(domain.clone()), rule: rule.clone() };
                    bus.deliver(Message::Match(name.clone(), event));
                }
            }
        }
        bus.deliver(lobby::Event::Domains(self.settings()).into());
        for name in before.keys().filter(|name| !used.contains_key(name)) {
            bus.deliver(Message::Match(name.clone(), matching::Event::Removed));
        }
        if let Some(router) = bus.router() {
            router.view().set_domains(used.into_keys());
        }
        Ok(())
    }
}
