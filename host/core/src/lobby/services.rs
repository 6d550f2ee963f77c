//! Services that go, and come back: who waited for one, and who is told.

use super::{Connection, Lobby};
use crate::Context;
use crate::auth;
use crate::ids::{ConnectionId, DomainName};
use crate::line::State;
use crate::message::{Notice, ServiceName};
use crate::refusal::Refusal;

impl Lobby {
    /// A service went up or down: all users are told, but of matching, which is told by domain. SceneMaster is not one of
    /// these.
    pub(super) fn service(&mut self, service: ServiceName, up: bool, cx: &mut Context<'_>) {
        if service == ServiceName::Match {
            let all: Vec<DomainName> = self.domains.keys().cloned().collect();
            return all.into_iter().for_each(|domain| self.handler(domain, up, cx));
        }
        let changed = if up { self.services_down.remove(&service) } else { self.services_down.insert(service) };
        if !changed {
            return;
        }
        self.tell_all(Notice::SynService(service, up), cx);
        if !up {
            self.service_down(service, cx);
        } else if service == ServiceName::Db {
            self.db_up(cx);
        } else if service == ServiceName::Auth {
            // A fresh Auth does not know who is here.
            for id in self.users_where(|user| !matches!(user.line.state(), State::Closed(_))) {
                cx.send(auth::Event::SynOnline { user: id, session: Some(self.users[&id].session) });
            }
        }
    }

    /// Tells all users the same.
    pub(super) fn tell_all(&mut self, notice: Notice, cx: &mut Context<'_>) {
        for id in self.users_where(|_| true) {
            self.tell(id, 0, notice.clone(), cx);
        }
    }

    /// The Down event drives everyone who waits for the service out of that wait.
    fn service_down(&mut self, service: ServiceName, cx: &mut Context<'_>) {
        let refusal = Refusal::ServiceDown(service);
        match service {
            ServiceName::Auth => {
                let mut waiting: Vec<ConnectionId> = self
                    .connections
                    .iter()
                    .filter(|(_, state)| matches!(state, Connection::SigningIn { .. }))
                    .map(|(id, _)| *id)
                    .collect();
                waiting.sort();
                for connection in waiting {
                    self.res_sign_in(connection, Err(refusal.clone()), cx);
                }
                for id in self.users_where(|user| user.sign_out.is_some()) {
                    self.sign_out_failed(id, refusal.clone(), cx);
                }
            }
            ServiceName::Db => {
                self.db_down(cx);
                self.scenes_not_told(&refusal, cx);
            }
            ServiceName::Match | ServiceName::SceneMaster | ServiceName::Lobby | ServiceName::SceneService => {}
        }
    }
}
