//! ID tokens of OpenID Connect providers, for Auth: whose they are, by the issuers' keys.
//!
//! Invariant: each provider has a task and a queue of its own, so an issuer that is slow or down
//! holds up nobody else; what comes to a full queue is refused.
//!
//! | module | |
//! |---|---|
//! | [`token`] | what a token has to be |
//! | [`keys`] | the keys of an issuer |
//! | [`cache`] | when they are fetched |
//! | [`source`] | from where |
//! | [`provider`] | puts these together |

mod cache;
mod keys;
mod provider;
#[cfg(test)]
mod signer;
mod source;
mod token;

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use scenehost_core::Refusal;
use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::config;
use provider::{Job, Provider};
use source::Source;
pub use source::read_keys;
use token::Expected;

/// How many tokens of one provider may wait for their turn; it takes about 0.1 s to check so many.
const QUEUE_LEN_MAX: usize = 1_024;

/// The way to the providers' tasks.
pub struct IdTokens(BTreeMap<String, mpsc::Sender<Job>>);

impl IdTokens {
    /// Starts a task for each provider; they end when this is dropped.
    pub fn spawn(providers: &BTreeMap<String, config::Provider>, clock: Clock, bus: &Bus) -> anyhow::Result<Self> {
        let mut queues = BTreeMap::new();
        for (name, provider) in providers {
            let place = || format!("[auth.providers.{name}]");
            let keys_from = provider.keys_from().map_err(|what| anyhow!(what)).with_context(place)?;
            let source = Source::new(keys_from).with_context(place)?;
            let expected = Expected { issuer: provider.issuer.clone(), audience: provider.audience.clone() };
            let (queue, jobs) = mpsc::channel(QUEUE_LEN_MAX);
            tokio::spawn(Provider::new(name.clone(), expected, source, clock, bus.clone()).run(jobs));
            queues.insert(name.clone(), queue);
        }
        Ok(Self(queues))
    }

    /// Has a token checked, or refuses at once; the answer goes to Auth.
    pub fn check(&self, number: u64, provider: &str, token: String) -> Result<(), Refusal> {
        let Some(queue) = self.0.get(provider) else {
            return Err(Refusal::NotFound(format!("sign-in provider named {provider:?} on this server")));
        };
        queue.try_send(Job { number, token }).map_err(|_| Refusal::Overloaded("ID tokens being checked".into()))
    }
}
