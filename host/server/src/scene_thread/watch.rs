//! Tells operators of scene threads that stand: a turn takes milliseconds, and all games of a thread wait for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::gauge;

use super::SceneThreads;
use crate::clock::Clock;

/// How often the threads are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A turn that takes longer is reported. Longer than a thread without work waits for its next turn, and than most calls of
/// games may take.
const TURN_MAX: Duration = Duration::from_secs(3);

impl SceneThreads {
    /// Looks after the threads for as long as the host runs.
    pub async fn watch(self, clock: Clock) {
        let mut standing = vec![false; self.0.len()];
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            for ((index, handle), stood) in self.0.iter().enumerate().zip(&mut standing) {
                let turned = Duration::from_millis(handle.turned_ms.load(Ordering::Relaxed));
                let age = clock.elapsed().saturating_sub(turned);
                if !handle.running.load(Ordering::Relaxed) {
                    continue; // `/health` says so.
                }
                gauge!("scenehost_scene_thread_turn_seconds", "thread" => index.to_string()).set(age.as_secs_f64());
                let stands = age > TURN_MAX;
                match (*stood, stands) {
                    (false, true) => tracing::error!(
                        thread = index,
                        turn_ms = age.as_millis() as u64,
                        waits_for_lease = handle.waits_for_lease.load(Ordering::Relaxed),
                        "a scene thread stands: none of its games goes on"
                    ),
                    (true, false) => tracing::info!(thread = index, "a scene thread turns again"),
                    _ => {}
                }
                *stood = stands;
            }
        }
    }
}
