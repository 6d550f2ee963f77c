//! A host's operators' listener, as a client sees it: plugins, their versions, and the logs of their scenes.
//!
//! Invariant: every call ends, by its answer or by its deadline; what a host refuses comes back with its own text and
//! what to do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::{Done, Failure};
use crate::project::Project;

/// Where a host's operators' listener is by default.
const DEFAULT_URL: &str = "http://127.0.0.1:7351";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take. An upload is compiled and tried out before it is answered.
const ANSWER: Duration = Duration::from_secs(30);
const UPLOAD: Duration = Duration::from_secs(180);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Which host, and the right to change something there.
#[derive(clap::Args, Clone, Debug)]
pub struct Way {
    /// The host's operators' listener (`ops.listen`); by default the host that this project's `scenectl dev` runs, else
    /// http://127.0.0.1:7351.
    #[arg(long, env = "SCENEHOST_HOST", value_name = "URL")]
    host: Option<String>,
    /// A file with the operators' token (`ops.token`); without it the variable SCENEHOST_OPS_TOKEN counts.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What `dev` leaves for the other commands while its host runs.
#[derive(Serialize, Deserialize)]
pub struct Running {
    /// The operators' listener.
    pub ops: String,
    /// Where players connect.
    pub players: String,
    pub token: String,
}

impl Running {
    /// Where it lies.
    pub fn path(project: &Project) -> PathBuf {
        project.out_dir().join("dev/running.json")
    }

    /// The host that the project's `dev` runs, if it does.
    pub fn read(project: &Project) -> Option<Running> {
        serde_json::from_slice(&std::fs::read(Running::path(project)).ok()?).ok()
    }
}

/// A host.
#[derive(Clone)]
pub struct Host {
    client: Client,
    url: String,
    token: Option<String>,
}

/// One version of a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    pub version: u64,
    pub digest: String,
    #[serde(default)]
    pub label: Option<String>,
    pub kind: String,
    pub size_bytes: u64,
    #[serde(default)]
    pub imports: Vec<String>,
    #[serde(default)]
    pub uploaded_ms: u64,
    #[serde(default)]
    pub by: Option<String>,
    #[serde(default)]
    pub publisher: Option<String>,
    /// What the host measured while it tried it out.
    #[serde(default)]
    pub scratch: Option<serde_json::Value>,
    /// Running scenes of this version.
    #[serde(default)]
    pub scenes: u64,
    /// Why new scenes do not run it, if it has failed too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
}

/// Since when and why a version is in quarantine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Quarantine {
    pub since_ms: u64,
    pub reason: String,
}

/// A plugin with its versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plugin {
    pub plugin: String,
    pub active: Option<u64>,
    #[serde(default)]
    pub canary: Option<Canary>,
    #[serde(default)]
    pub versions: Vec<Version>,
    #[serde(default)]
    pub fleets: Vec<String>,
    /// How many running scenes were asked to change to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<serde_json::Value>,
}

/// A version that gets a part of the new scenes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Canary {
    pub version: u64,
    pub percent: u64,
}

/// What a plugin's scenes use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginUse {
    pub plugin: String,
    pub usage: Vec<VersionUse>,
}

/// What the scenes of a version have used in a fleet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionUse {
    pub fleet: String,
    /// Nothing of a component that was not uploaded.
    pub version: Option<u64>,
    pub digest: String,
    pub scenes: u64,
    #[serde(flatten)]
    pub used: Used,
    pub step_us_p50: f64,
    pub step_us_p99: f64,
    /// How many steps took up to 1 us, 2 us, 4 us and so on, and longer.
    pub step_times: Vec<u64>,
}

/// What a scene has used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SceneUse {
    pub scene: String,
    pub fleet: String,
    pub plugin: String,
    pub version: Option<u64>,
    pub digest: String,
    #[serde(flatten)]
    pub used: Used,
}

/// What was used, by one scene or by many.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Used {
    pub steps: u64,
    pub step_ms: f64,
    pub step_us_mean: f64,
    pub step_us_max: f64,
    pub memory_bytes: u64,
    pub memory_bytes_max: u64,
    pub messages_in: u64,
    pub bytes_in: u64,
    pub messages_out: u64,
    pub bytes_out: u64,
    pub log_bytes: u64,
    pub snapshots: u64,
    pub snapshot_bytes: u64,
    pub snapshot_bytes_max: u64,
}

/// What goes with an upload.
#[derive(Default)]
pub struct Upload<'a> {
    pub label: Option<&'a str>,
    /// The publisher's name, and the signature in base64.
    pub signed: Option<(&'a str, &'a str)>,
}

impl Way {
    /// The host that is meant; of a project it may be the one that its `dev` runs.
    ///
    /// # Errors
    /// When the address or the file is not right.
    pub fn host(&self, project: Option<&Project>) -> Done<Host> {
        let running = match &self.host {
            Some(_) => None,
            None => project.and_then(Running::read),
        };
        let token = match &self.token_file {
            Some(path) => Some(read_token(path)?),
            None => std::env::var("SCENEHOST_OPS_TOKEN").ok().filter(|token| !token.is_empty()),
        };
        match running {
            Some(running) => Host::new(&running.ops, Some(token.unwrap_or(running.token))),
            None => Host::new(self.host.as_deref().unwrap_or(DEFAULT_URL), token),
        }
    }
}

fn read_token(path: &Path) -> Done<String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let failure = Failure::usage(format_args!("{}: {error}", path.display()));
        failure.hint("name a file that has the host's `ops.token` in it, and nothing else")
    })?;
    Ok(text.trim().to_owned())
}

impl Host {
    /// # Errors
    /// When the address is none.
    pub fn new(url: &str, token: Option<String>) -> Done<Host> {
        let url = url.trim_end_matches('/').to_owned();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Failure::usage(format_args!("`{url}` is no address of a host"))
                .hint("write it as http://127.0.0.1:7351, the host's `ops.listen`"));
        }
        let client = Client::builder().connect_timeout(CONNECT).build().map_err(Failure::failed)?;
        Ok(Host { client, url, token })
    }

    /// What a plugin's versions are.
    ///
    /// # Errors
    /// When the host is not there, refuses, or has no such plugin.
    pub async fn plugin(&self, name: &str) -> Done<Plugin> {
        self.ask(self.request(Method::GET, &format!("/v1/plugins/{name}"))).await
    }

    /// Uploads a component; the version that it is.
    ///
    /// # Errors
    /// When the host is not there or refuses it.
    pub async fn upload(&self, name: &str, component: Vec<u8>, upload: Upload<'_>) -> Done<Version> {
        let label = upload.label.map_or(String::new(), |label| format!("&label={}", in_query(label)));
        let path = format!("/v1/plugins/{name}/versions?activate=false{label}");
        let mut request = self.request(Method::POST, &path);
        if let Some((publisher, signature)) = upload.signed {
            request = request.header("x-scenehost-publisher", publisher).header("x-scenehost-signature", signature);
        }
        self.ask(request.timeout(UPLOAD).header("content-type", "application/wasm").body(component)).await
    }

    /// Makes a version the active one, or with a percentage below 100 the canary of new scenes. `swap`: running scenes
    /// change to it, too.
    ///
    /// # Errors
    /// When the host is not there or refuses.
    pub async fn activate(&self, name: &str, version: u64, percent: u8, swap: bool) -> Done<Plugin> {
        let body = serde_json::json!({ "version": version, "percent": percent, "swap": swap });
        self.ask(self.json(Method::POST, &format!("/v1/plugins/{name}/active"), &body)).await
    }

    /// The version that was active before is active again.
    ///
    /// # Errors
    /// When the host is not there or refuses.
    pub async fn rollback(&self, name: &str, swap: bool) -> Done<Plugin> {
        let body = serde_json::json!({ "swap": swap });
        self.ask(self.json(Method::POST, &format!("/v1/plugins/{name}/rollback"), &body)).await
    }

    /// A version is out of quarantine.
    ///
    /// # Errors
    /// When the host is not there or refuses, as where the version is in none.
    pub async fn release(&self, name: &str, version: u64) -> Done<Plugin> {
        self.ask(self.request(Method::POST, &format!("/v1/plugins/{name}/versions/{version}/release"))).await
    }

    /// What the scenes of a plugin have used.
    ///
    /// # Errors
    /// When the host is not there, refuses, or has no such plugin.
    pub async fn usage(&self, name: &str) -> Done<PluginUse> {
        self.ask(self.request(Method::GET, &format!("/v1/plugins/{name}/usage"))).await
    }

    /// What a scene has used.
    ///
    /// # Errors
    /// When the host is not there, refuses, or runs no such scene.
    pub async fn scene(&self, scene: &str) -> Done<SceneUse> {
        self.ask(self.request(Method::GET, &format!("/v1/scenes/{scene}"))).await
    }

    /// The component of a version.
    ///
    /// # Errors
    /// When the host is not there, refuses, or has none of this number.
    pub async fn component(&self, name: &str, version: u64) -> Done<Vec<u8>> {
        let path = format!("/v1/plugins/{name}/versions/{version}/component");
        let mut answer = self.send(self.request(Method::GET, &path)).await?;
        read(&mut answer, &self.url).await
    }

    /// What was recorded of a scene.
    ///
    /// # Errors
    /// When the host is not there, refuses, or has no journal of it.
    pub async fn journal(&self, scene: &str) -> Done<Vec<u8>> {
        let mut answer = self.send(self.request(Method::GET, &format!("/v1/journals/{scene}"))).await?;
        read(&mut answer, &self.url).await
    }

    /// Lines of scenes' logs. With `follow` in the query the answer stays open, without a deadline.
    ///
    /// # Errors
    /// When the host is not there or refuses.
    pub async fn logs(&self, query: &[(&str, String)], follow: bool) -> Done<Response> {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", in_query(value))).collect();
        let mut request = self.client.get(format!("{}/v1/logs?{}", self.url, query.join("&")));
        if !follow {
            request = request.timeout(ANSWER);
        }
        self.send(self.authorised(request)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url)).timeout(ANSWER);
        self.authorised(request)
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn json(&self, method: Method, path: &str, body: &serde_json::Value) -> RequestBuilder {
        self.request(method, path).header("content-type", "application/json").body(body.to_string())
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Done<T> {
        let mut answer = self.send(request).await?;
        let body = read(&mut answer, &self.url).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::host(format_args!("{} has answered something else than expected: {error}", self.url))
                .hint("is it a host of this scenectl's version, and its operators' listener?")
        })
    }

    async fn send(&self, request: RequestBuilder) -> Done<Response> {
        let mut answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = read(&mut answer, &self.url).await.unwrap_or_default();
        Err(refused(&self.url, status, &body))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_timeout() { "it did not answer in time".to_owned() } else { innermost(error) };
        Failure::host(format_args!("the host at {} cannot be reached: {why}", self.url))
            .hint("is it running, and is this its `ops.listen`? `scenectl dev` starts one; --host names another")
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

async fn read(answer: &mut Response, url: &str) -> Done<Vec<u8>> {
    let broken = |error: reqwest::Error| Failure::host(format_args!("the answer of {url} broke off: {error}"));
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::host(format_args!("the answer of {url} is larger than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a host says no, and what to do.
fn refused(url: &str, status: StatusCode, body: &[u8]) -> Failure {
    #[derive(Deserialize)]
    struct Problem {
        error: String,
        #[serde(default)]
        kind: String,
    }
    let (said, kind) = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => (problem.error, problem.kind),
        Err(_) => (String::from_utf8_lossy(body).trim().chars().take(500).collect(), String::new()),
    };
    let said = if said.is_empty() { status.to_string() } else { said };
    let failure = Failure::host(format_args!("the host at {url} refuses: {said}"));
    match status {
        _ if ["unsigned", "unknown_publisher", "bad_signature"].contains(&&*kind) => failure.hint(
            "sign it: --sign FILE --publisher NAME; `scenectl keygen` makes a key, of which the host has to know",
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            failure.hint("give the host's `ops.token` by --token-file or in SCENEHOST_OPS_TOKEN")
        }
        StatusCode::NOT_FOUND => {
            failure.hint("is the name right, and is this the host that has it? `scenectl publish` uploads a plugin")
        }
        StatusCode::TOO_MANY_REQUESTS => failure.hint("others are uploading: try again in a few seconds"),
        _ => failure,
    }
}

/// A text as a part of a query.
fn in_query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_in_queries() {
        assert_eq!(in_query("v1.2 ü&x=1"), "v1.2%20%C3%BC%26x%3D1");
    }

    #[test]
    fn a_hosts_own_text_is_told() {
        let failure = refused("http://h", StatusCode::UNAUTHORIZED, br#"{"error":"send the header","kind":"x"}"#);
        assert_eq!(failure.text, "the host at http://h refuses: send the header");
        assert!(failure.hint.unwrap().contains("--token-file"));
        let failure = refused("http://h", StatusCode::FORBIDDEN, br#"{"error":"not signed","kind":"unsigned"}"#);
        assert!(failure.hint.unwrap().contains("--sign"));
        let failure = refused("http://h", StatusCode::BAD_GATEWAY, b"");
        assert_eq!(failure.text, "the host at http://h refuses: 502 Bad Gateway");
    }
}
