//! What one client may take of the host: places for connections, sign-ins, calls.
//!
//! Invariant: every table here is bounded. Places are held by connections, of which there are
//! `connections_max`; rates are counted in tables of [`CLIENTS_MAX`] and [`CALLERS_MAX`], which forget
//! those who have done the least.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scenehost_core::address::Client;
use scenehost_core::rate::Buckets;
use scenehost_core::token::SecretHash;
use scenehost_core::{Refusal, Time};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::PerAddress;

/// Of how many clients sign-ins are counted at once.
const CLIENTS_MAX: usize = 65_536;
/// Of how many sessions calls are counted at once.
const CALLERS_MAX: usize = 65_536;
/// How many calls about the own account one session may make in a minute.
const CALLS_PER_MINUTE: u32 = 60;

pub struct Limits {
    places: Arc<Semaphore>,
    connections_per_address: u32,
    held: Arc<Held>,
    sign_ins: Mutex<Buckets<Client>>,
    calls: Mutex<Buckets<SecretHash>>,
}

/// How many places each client holds.
#[derive(Default)]
struct Held(Mutex<HashMap<Client, u32>>);

/// One of all clients' places, free again when it is dropped.
pub struct HostPlace(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// One of a client's own places, free again when it is dropped.
pub struct OwnPlace {
    client: Client,
    held: Arc<Held>,
}

/// The place of a connection, free again when its last clone is gone: with the HTTP connection, or
/// with the WebSocket that came of it.
#[derive(Clone)]
pub struct Place {
    #[expect(dead_code, reason = "held, not read")]
    of_host: Arc<HostPlace>,
    own: Arc<OwnPlace>,
}

impl Place {
    pub fn new(of_host: Arc<HostPlace>, own: Arc<OwnPlace>) -> Self {
        Self { of_host, own }
    }

    pub fn client(&self) -> Client {
        self.own.client
    }
}

impl Limits {
    pub fn new(connections_max: usize, per_address: &PerAddress) -> Self {
        Self {
            places: Arc::new(Semaphore::new(connections_max)),
            connections_per_address: per_address.connections,
            held: Arc::default(),
            sign_ins: Mutex::new(Buckets::new(per_address.sign_ins_per_minute, CLIENTS_MAX)),
            calls: Mutex::new(Buckets::new(CALLS_PER_MINUTE, CALLERS_MAX)),
        }
    }

    /// A place for one more connection, if there is one.
    pub fn host_place(&self) -> Option<HostPlace> {
        Arc::clone(&self.places).try_acquire_owned().ok().map(HostPlace)
    }

    /// A place for one more connection of this client, if it may have one.
    pub fn own_place(&self, client: Client) -> Option<OwnPlace> {
        let mut held = lock(&self.held.0);
        let count = held.entry(client).or_default();
        if *count >= self.connections_per_address {
            return None;
        }
        *count += 1;
        Some(OwnPlace { client, held: Arc::clone(&self.held) })
    }

    /// Counts a try to sign in.
    pub fn sign_in(&self, client: Client, now: Time) -> Result<(), Refusal> {
        lock(&self.sign_ins).take(client, now).map_err(too_many_sign_ins)
    }

    /// Whether this client may try at all; nothing is counted.
    pub fn may_sign_in(&self, client: Client, now: Time) -> Result<(), Refusal> {
        lock(&self.sign_ins).look(&client, now).map_err(too_many_sign_ins)
    }

    /// Counts a call with this session token.
    pub fn call(&self, token: &str, now: Time) -> Result<(), Refusal> {
        let taken = lock(&self.calls).take(SecretHash::of(token), now);
        taken.map_err(|ms| Refusal::TooOften { what: "calls about your account".into(), ms })
    }
}

fn too_many_sign_ins(ms: u64) -> Refusal {
    Refusal::TooOften { what: "sign-ins from your address".into(), ms }
}

impl Drop for OwnPlace {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = lock(&self.held.0).entry(self.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// A lock whose holder panicked still guards whole data here: nothing is changed in two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
