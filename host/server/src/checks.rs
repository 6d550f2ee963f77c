//! Work for Auth that takes long: passwords by Argon2id, on threads of their own. ID tokens are passed
//! on to [`IdTokens`].
//!
//! Invariant: at most [`threads`] passwords are hashed at once, each in [`MEMORY_KIB`], and at most
//! [`WAITING_MAX`] wait; more are refused. Whether a name exists does not change how long a check
//! takes: without a hash the password is compared with one that nobody has.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use scenehost_core::auth::{self, Check, Checked, Work};
use scenehost_core::{Refusal, token::Secret};
use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::id_tokens::IdTokens;

/// OWASP's Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many passwords may wait; at 20 to 40 ms each they are done well within a sign-in's deadline.
const WAITING_MAX: usize = 64;

/// How many passwords are hashed at once: half of the cores, so that sign-ins never starve the games.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)).min(8)
}

/// Starts the threads, which end when every sender of checks is gone.
pub fn spawn(
    mut checks: mpsc::Receiver<Check>,
    id_tokens: IdTokens,
    bus: Bus,
    rng: impl rand::CryptoRng,
) -> anyhow::Result<()> {
    let (waiting, jobs) = std::sync::mpsc::sync_channel::<Check>(WAITING_MAX);
    let jobs = Arc::new(Mutex::new(jobs));
    let passwords = Arc::new(Passwords::new(rng)?);
    for index in 0..threads() {
        let (jobs, passwords, bus) = (Arc::clone(&jobs), Arc::clone(&passwords), bus.clone());
        std::thread::Builder::new().name(format!("passwords-{index}")).spawn(move || {
            loop {
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(Check { job, work }) = job else { return };
                bus.send(auth::Event::Checked { job, result: passwords.work(work) }.into());
            }
        })?;
    }
    tokio::spawn(async move {
        while let Some(Check { job, work }) = checks.recv().await {
            let begun = match work {
                Work::CheckIdToken { provider, token } => id_tokens.check(job, &provider, token),
                work => {
                    let refused = |_| Refusal::Overloaded("passwords being checked".into());
                    waiting.try_send(Check { job, work }).map_err(refused)
                }
            };
            if let Err(refusal) = begun {
                bus.send(auth::Event::Checked { job, result: Err(refusal) }.into());
            }
        }
    });
    Ok(())
}

struct Passwords {
    argon2: Argon2<'static>,
    /// The hash of a password that nobody knows.
    nobodys: String,
}

impl Passwords {
    fn new(mut rng: impl rand::CryptoRng) -> anyhow::Result<Self> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| anyhow::anyhow!("{error}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobodys = hash(&argon2, Secret::draw(&mut rng).expose()).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(Self { argon2, nobodys })
    }

    fn work(&self, work: Work) -> Result<Checked, Refusal> {
        match work {
            Work::HashPassword(password) => hash(&self.argon2, &password).map(Checked::Hashed),
            Work::VerifyPassword { password, hash } => {
                let known = hash.is_some();
                let hash = hash.as_deref().unwrap_or(&self.nobodys);
                let hash = PasswordHash::new(hash).map_err(|error| {
                    tracing::error!(%error, "a stored password's hash cannot be read");
                    Refusal::Internal("a stored record cannot be read".into())
                })?;
                let right = self.argon2.verify_password(password.as_bytes(), &hash).is_ok();
                Ok(Checked::Verified(right && known))
            }
            Work::CheckIdToken { .. } => Err(Refusal::Internal("an ID token is no password".into())),
        }
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, Refusal> {
    let hash = argon2.hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| {
        tracing::error!(%error, "a password cannot be hashed");
        Refusal::Internal("a password could not be hashed".into())
    })
}
