//! The operator's moderation: a service of theirs that looks at what users say before anybody else sees it.
//!
//! Invariant: a message is asked about once, in its turn, and not when the answer would come too late: so a service
//! that is slow still looks at as many as it can in time. At most [`AT_ONCE_MAX`] questions are under way, each for the
//! configured time, and of an answer at most [`BYTES_MAX`] are read. Whatever goes wrong, the lobby hears that nothing
//! was said.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use scenehost_core::chat::{Channel, Moderate, Moderation, Verdict};
use scenehost_core::lobby;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};

use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::is_loopback;

/// How many messages are asked about at once.
const AT_ONCE_MAX: usize = 32;
/// The longest answer.
const BYTES_MAX: usize = 16 * 1_024;

/// What is asked.
#[derive(Serialize)]
struct Question<'a> {
    channel: Place,
    user_id: String,
    name: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct Place {
    kind: &'static str,
    of: String,
}

/// What is answered; more is passed over.
#[derive(Deserialize)]
struct Said {
    allow: bool,
    text: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// Whether a URL can be asked.
pub fn check_url(url: &str) -> Result<Url, String> {
    let url: Url = url.parse().map_err(|error| format!("url is no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err("url has to begin with http:// or https://".to_owned()),
    }
}

/// Asks about what comes, until every sender is gone.
pub fn spawn(
    mut messages: mpsc::Receiver<Moderate>,
    moderation: Option<&Moderation>,
    bus: Bus,
    clock: Clock,
) -> anyhow::Result<()> {
    let Some(moderation) = moderation else { return Ok(()) };
    let url = check_url(&moderation.url).map_err(anyhow::Error::msg)?;
    let limit = Duration::from_millis(moderation.timeout_ms);
    let client = client(&url, limit)?;
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            if message.ask_until <= clock.now() {
                failed(&anyhow!("others were before it for too long, so it was not asked about"));
                bus.tell_lobby(lobby::Event::Moderated { number: message.number, verdict: None }).await;
                continue;
            }
            let (client, url, bus) = (client.clone(), url.clone(), bus.clone());
            tokio::spawn(async move {
                let verdict = match ask(&client, url, &message).await {
                    Ok(verdict) => Some(verdict),
                    Err(error) => {
                        failed(&error);
                        None
                    }
                };
                bus.tell_lobby(lobby::Event::Moderated { number: message.number, verdict }).await;
                drop(place);
            });
        }
    });
    Ok(())
}

/// A message of which nothing is said.
fn failed(error: &anyhow::Error) {
    metrics::counter!("scenehost_moderation_failures_total").increment(1);
    tracing::warn!("the moderation has said nothing of a message: {error:#}");
}

fn client(url: &Url, limit: Duration) -> anyhow::Result<Client> {
    let client = Client::builder()
        .user_agent(concat!("scenehost/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .timeout(limit)
        .pool_max_idle_per_host(AT_ONCE_MAX);
    let client = if is_loopback(url) { client.no_proxy() } else { client };
    let client = match url.scheme() {
        "https" => client.https_only(true),
        _ => client.tls_certs_only([]),
    };
    client.build().context(
        "no TLS for chat.moderation.url; are the system's certificates of authorities installed (ca-certificates)?",
    )
}

async fn ask(client: &Client, url: Url, message: &Moderate) -> anyhow::Result<Verdict> {
    let (kind, of) = match &message.channel {
        Channel::Room(room) => ("room", room.to_string()),
        Channel::Direct(user) => ("direct", user.to_string()),
        Channel::Guild(guild) => ("guild", guild.to_string()),
        Channel::Party(party) => ("party", party.to_string()),
    };
    let (user_id, name, text) = (message.user.to_string(), &message.name, &message.text);
    let question = serde_json::to_vec(&Question { channel: Place { kind, of }, user_id, name, text })?;
    let request = client.post(url).header("content-type", "application/json").body(question);
    let mut response = request.send().await?;
    ensure!(response.status() == StatusCode::OK, "the answer is {}", response.status());
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        ensure!(answer.len() + chunk.len() <= BYTES_MAX, "the answer has more than {BYTES_MAX} bytes");
        answer.extend_from_slice(&chunk);
    }
    let Said { allow, text, reason } = serde_json::from_slice(&answer).context("the answer cannot be read")?;
    Ok(Verdict { allow, text, reason: reason.unwrap_or_default() })
}
