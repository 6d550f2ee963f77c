//! What a node of a cluster does when it gets a unit: reads what the unit has to know, and runs its service.
//!
//! Invariant: everything that a unit writes and says carries its epoch, and its numbers begin after those of all epochs
//! before, so that no answer to another is taken for its own.

use std::sync::Arc;

use scenehost_core::auth::{self, Auth};
use scenehost_core::db::{self, Db};
use scenehost_core::economy::catalogue::Catalogue;
use scenehost_core::lobby::{self, Lobby};
use scenehost_core::party::{self, Party};
use scenehost_core::scene_master;
use scenehost_core::{Message, PartyId, Service, ServiceName, matching};
use tokio::sync::{mpsc, watch};

use crate::cluster::node::{Start, Work};
use crate::cluster::unit::Unit;
use crate::config::Config;
use crate::domains::Domains;
use crate::host::{lobby_of, recover};
use crate::orphans;
use crate::service_loop::{self, Shell};

/// What units are made of.
pub struct Units {
    pub config: Config,
    /// Without an epoch.
    pub shell: Shell,
    pub domains: Domains,
    pub catalogue: watch::Receiver<Arc<Catalogue>>,
}

impl Units {
    /// What the node begins a unit with.
    pub fn start(self) -> Start {
        Box::new(move |unit, epoch| self.work(unit, epoch))
    }

    fn work(&self, unit: &Unit, epoch: u64) -> Work {
        let Shell { clock, bus, store } = &self.shell;
        let shell = Shell {
            clock: *clock,
            bus: bus.of_unit(unit.clone(), epoch),
            store: store.fenced(&unit.to_string(), epoch),
        };
        match unit {
            Unit::Auth => {
                let auth = Auth::new(self.config.auth.accounts.clone()).numbered_after(epoch << 32);
                let inbox = shell.bus.open_auth();
                hear_of_down(&shell, |unit| of_service(unit, |service| auth::Event::Service { service, up: false }));
                Box::pin(serve(auth, inbox, shell, ServiceName::Auth))
            }
            Unit::Db => {
                let mut rules = self.config.db_rules();
                rules.economy.catalogue = self.catalogue.borrow().clone();
                rules.results.rated = self.domains.rated();
                let inbox = shell.bus.open_db();
                hear_of_down(&shell, |unit| of_service(unit, |service| db::Event::Service { service, up: false }));
                let db = Db::new(rules).numbered_after(epoch << 32);
                // Where this unit is, so that one node does it.
                let tidy = orphans::tidy(store.fenced(&unit.to_string(), epoch), shell.bus.clone());
                let served = serve(db, inbox, shell, ServiceName::Db);
                Box::pin(async move {
                    tokio::select! {
                        ended = served => ended,
                        never = tidy => match never {},
                    }
                })
            }
            Unit::Lobby => Box::pin(lobby(lobby_of(&self.config, &self.domains).taking_over(epoch << 32), shell)),
            Unit::SceneMaster(partition) => {
                let nodes = shell.bus.router().map(|router| router.view().scene_nodes()).unwrap_or_default();
                let scene_master = self.domains.fleets().next_scene_master(*partition, nodes);
                let Some(inbox) = shell.bus.open_scene_master(*partition) else {
                    let partition = *partition;
                    return Box::pin(async move { anyhow::bail!("there is no partition {partition} here") });
                };
                let of_partition = Unit::SceneMaster(*partition);
                hear_of_down_as(&shell, &of_partition, |unit| match unit {
                    Unit::Match(domain) => Some(scene_master::Event::Handler { domain, up: false }.into()),
                    unit => of_service(unit, |service| scene_master::Event::Service { service, up: false }),
                });
                Box::pin(serve(scene_master, inbox, shell, ServiceName::SceneMaster))
            }
            Unit::Match(domain) => {
                let made = self.domains.handlers(domain.clone()).map(|handler| handler());
                let (Some(handler), Some(inbox)) = (made, shell.bus.open_match(domain)) else {
                    let domain = domain.clone();
                    return Box::pin(async move { anyhow::bail!("there is no domain {domain} here") });
                };
                hear_of_down(&shell, |unit| {
                    let event = match unit {
                        Unit::Match(_) => return None,
                        Unit::SceneMaster(partition) => matching::Event::SceneMaster { partition, up: false },
                        sole => matching::Event::Service { service: sole.service(), up: false },
                    };
                    Some(Message::Match(domain.clone(), event))
                });
                Box::pin(serve(handler, inbox, shell, ServiceName::Match))
            }
        }
    }
}

/// A lobby has to know all parties before anything else.
async fn lobby(lobby: Lobby, shell: Shell) -> anyhow::Result<()> {
    let parties: Vec<(PartyId, Party)> = recover(&shell.store, party::PREFIX).await?;
    let inbox = shell.bus.open_lobby();
    shell.bus.deliver(lobby::Event::Recovered { parties }.into());
    hear_of_down(&shell, |unit| match unit {
        Unit::Match(domain) => Some(lobby::Event::Handler { domain, up: false }.into()),
        Unit::SceneMaster(partition) => Some(lobby::Event::SceneMaster { partition, up: false }.into()),
        unit => of_service(unit, |service| lobby::Event::Service { service, up: false }),
    });
    serve(lobby, inbox, shell, ServiceName::Lobby).await
}

/// A fresh unit, whose inbox is open, hears of what is down, as it is to hear of it. The view is held meanwhile: what
/// changes after it is told after this.
fn hear_of_down(shell: &Shell, word: impl Fn(Unit) -> Option<Message>) {
    let Some(router) = shell.bus.router() else { return };
    let view = router.view();
    view.down().into_iter().filter_map(word).for_each(|message| shell.bus.deliver(message));
}

/// The same for one of several that hear the same.
fn hear_of_down_as(shell: &Shell, unit: &Unit, word: impl Fn(Unit) -> Option<Message>) {
    let Some(router) = shell.bus.router() else { return };
    let view = router.view();
    view.down().into_iter().filter_map(word).for_each(|message| shell.bus.deliver_to(unit, message));
}

/// That a service is down of which there is one.
fn of_service<Event: Into<Message>>(unit: Unit, event: impl Fn(ServiceName) -> Event) -> Option<Message> {
    match unit {
        Unit::Match(_) | Unit::SceneMaster(_) => None,
        sole => Some(event(sole.service()).into()),
    }
}

async fn serve<S: Service>(
    service: S,
    inbox: mpsc::Receiver<S::Event>,
    shell: Shell,
    name: ServiceName,
) -> anyhow::Result<()> {
    if service.is_up() {
        shell.bus.announce(name, true);
    }
    Ok(service_loop::run(name, service, None::<fn() -> S>, inbox, shell).await?)
}
