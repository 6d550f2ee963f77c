//! Versions whose scenes keep failing get no more new ones, until operators release them.
//!
//! Invariant: a quarantine is in the store before new scenes are made of another version. Scenes that run are left alone;
//! a scene that begins anew after a failure keeps its version, as often as its fleet lets it.

use metrics::counter;
use tokio::sync::mpsc;

use super::record::{Consequence, Quarantined};
use super::{Error, Plugins, Shown};
use crate::scene_thread::Failing;

/// How often it is tried while others change the same plugin on other nodes.
const TRIES: u32 = 3;
/// The longest reason.
const REASON_BYTES_MAX: usize = 1_024;

impl Plugins {
    /// Puts versions into quarantine as they come, for as long as scene threads tell of any.
    pub async fn keep_away(self, mut failing: mpsc::Receiver<Failing>) {
        while let Some(failing) = failing.recv().await {
            let mut done = self.put_into_quarantine(&failing).await;
            for _ in 1..TRIES {
                if !matches!(done, Err(Error::Outdated { .. })) {
                    break;
                }
                done = match self.registry().read_again().await {
                    Ok(_) => self.put_into_quarantine(&failing).await,
                    Err(error) => Err(error),
                };
            }
            if let Err(error) = done {
                let Failing { plugin, digest, .. } = failing;
                tracing::error!(%plugin, %digest, %error, "a version keeps failing and could not be put into quarantine");
            }
        }
    }

    /// A component of a file is no version: it stays what its operators have put there.
    async fn put_into_quarantine(&self, failing: &Failing) -> Result<(), Error> {
        let name = failing.plugin.as_str();
        let _turn = self.registry().turn().await;
        let Ok(plugin) = self.registry().plugin(name) else { return Ok(()) };
        let Some(found) = plugin.of_digest(failing.digest).filter(|it| it.quarantine.is_none()) else { return Ok(()) };
        let (version, reason) = (found.version, reason(failing));
        let why = Quarantined { since: self.registry().now(), reason: reason.clone() };
        let registry = self.registry().clone();
        let choose = move || plugin.quarantine(version, why, |digest| registry.game(digest).is_ok());
        let (next, consequence) = tokio::task::spawn_blocking(choose).await.map_err(|_| Error::Stopping)?;
        self.change(name, next, false).await?;
        let outcome = consequence.text();
        counter!("scenehost_quarantines_total", "plugin" => name.to_owned()).increment(1);
        tracing::error!(plugin = name, version, reason, outcome, "a version keeps failing: it is in quarantine");
        tracing::info!(
            target: "audit", by = "scenehost", plugin = name, version, reason, outcome, "a version is put into quarantine"
        );
        if let Consequence::RolledBack(to) = consequence {
            tracing::info!(target: "audit", by = "scenehost", plugin = name, from = version, to, "a plugin is rolled back");
        }
        Ok(())
    }

    /// Takes a version out of quarantine; what has failed of it does not count any more.
    ///
    /// # Errors
    /// A version that there is not, or that is not in quarantine; or one that a fleet cannot use any more.
    pub async fn release(&self, name: &str, version: u32) -> Result<Shown, Error> {
        let _turn = self.registry().turn().await;
        let next = self.registry().plugin(name)?.release(name, version)?;
        if let Some(released) = next.version(version) {
            self.fleets().forget_failures(released.digest);
        }
        self.change(name, next, false).await
    }
}

fn reason(failing: &Failing) -> String {
    let Failing { fleet, rules, last, .. } = failing;
    let s = rules.within_ms.div_ceil(1_000);
    let scenes = if rules.scenes == 1 { "a scene".to_owned() } else { format!("{} scenes", rules.scenes) };
    let mut text = format!("{scenes} of the fleet {:?} failed within {s} s, the last so: {last}", fleet.as_str());
    text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
    text
}
