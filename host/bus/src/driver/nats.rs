//! The driver of many machines: core NATS, without JetStream.
//!
//! Invariant: nothing waits for a connection. While there is none, sending fails with
//! [`Error::Down`] and the client connects anew, for ever; subscriptions live on and are told to the
//! server again. What is on its way when a connection breaks is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::client::{PublishErrorKind, RequestErrorKind};
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, HeaderMap, Request};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use super::queue::{Answer, Delivery, Feed, Reply, Subscription, queue};
use super::{Driver, Error, PAYLOAD_BYTES_MAX, QUEUE_LEN_MAX, Wait, check, check_subject};

/// How many payloads may wait to be written to the connection.
const WRITES_LEN_MAX: usize = 1_024;
/// How long the server may be silent before it is asked whether it is there; after three such
/// questions without an answer the connection counts as broken.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long a subscription may take to be known to the server.
const SUBSCRIBE_MAX: Duration = Duration::from_secs(2);
/// How long the end may take to be known to the server.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// The wait before another try to connect grows by this with each try.
const RECONNECT_STEP_MS: u64 = 50;
/// And is never longer than this.
const RECONNECT_WAIT_MS_MAX: u64 = 500;

/// The header that marks an answer as none: its value says why.
const REFUSED: &str = "Scenehost-Refused";
const OVERLOADED: &str = "overloaded";

/// How to reach the servers.
#[derive(Clone, Default)]
pub struct Settings {
    /// The servers of one NATS cluster, each `nats://host:port` or `tls://host:port`.
    pub servers: Vec<String>,
    /// The connection's name, which the server shows to its operators.
    pub name: String,
    /// Who this is.
    pub credentials: Credentials,
    /// How the connection is protected.
    pub tls: Tls,
}

/// Who connects.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    None,
    /// A user of the server's configuration.
    UserAndPassword {
        /// Its name.
        user: String,
        /// Its password.
        password: String,
    },
    /// Who knows the server's token.
    Token(String),
    /// A user with a JWT and an nkey, in a `.creds` file.
    File(PathBuf),
}

/// How a connection is protected.
#[derive(Clone, Default)]
pub struct Tls {
    /// Whether a server without TLS is refused.
    pub required: bool,
    /// The authorities to trust, as PEM; the system's if there are none here.
    pub ca_file: Option<PathBuf>,
    /// What shows the server who this is.
    pub client: Option<ClientCertificate>,
}

/// A certificate of this node and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate and its chain, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// A node's connection.
pub struct Nats {
    client: Client,
    servers: String,
    closed: Arc<watch::Sender<bool>>,
    /// Whether the client has ended after [`Driver::close`].
    ended: watch::Receiver<bool>,
}

impl Nats {
    /// Connects for the first time.
    ///
    /// # Errors
    /// [`Error::Down`] with the reason and what to check, if no server of the list lets this node
    /// in within 2 s each, or a file cannot be read.
    pub async fn connect(settings: Settings) -> Result<Nats, Error> {
        let servers = settings.servers.join(", ");
        let (ended, ended_receiver) = watch::channel(false);
        let ended = Arc::new(ended);
        let options = options(&settings, ended).await?;
        let client = options.connect(settings.servers).await.map_err(|error| {
            Error::Down(format!(
                "cannot connect to NATS at {servers}: {error}; check the addresses, the credentials, the \
                 certificates, and that the server runs"
            ))
        })?;
        Ok(Nats { client, servers, closed: Arc::new(watch::Sender::new(false)), ended: ended_receiver })
    }

    /// Whether there is a connection now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    fn check_usable(&self) -> Result<(), Error> {
        if *self.closed.borrow() {
            return Err(Error::Closed);
        }
        if !self.is_connected() {
            return Err(self.down("the connection is lost, it is being made anew"));
        }
        Ok(())
    }

    fn down(&self, why: impl std::fmt::Display) -> Error {
        Error::Down(format!("NATS at {}: {why}", self.servers))
    }

    async fn ask(&self, subject: String, bytes: Bytes, limit: Duration) -> Result<Bytes, Error> {
        let request = Request::new().payload(bytes).timeout(Some(limit));
        let message = self.client.send_request(subject, request).await.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => Error::TimedOut,
            RequestErrorKind::NoResponders => Error::NoResponder,
            RequestErrorKind::InvalidSubject => Error::BadSubject,
            RequestErrorKind::MaxPayloadExceeded => self.too_small_a_server(),
            RequestErrorKind::Other => self.down(error),
        })?;
        match message.headers.as_ref().and_then(|headers| headers.get(REFUSED)) {
            Some(_) => Err(Error::Overloaded),
            None => Ok(message.payload),
        }
    }

    fn too_small_a_server(&self) -> Error {
        self.down(format!(
            "the server takes payloads of at most {} bytes; set its max_payload to {PAYLOAD_BYTES_MAX} or more",
            self.client.max_payload()
        ))
    }

    /// Waits until the server knows all that was sent to it before: it answers in order.
    async fn round_trip(&self) -> Result<(), Error> {
        match self.ask(self.client.new_inbox(), Bytes::new(), SUBSCRIBE_MAX).await {
            Ok(_) | Err(Error::NoResponder) => Ok(()),
            Err(Error::TimedOut) => Err(self.down("the server does not answer; may this node publish to its inbox?")),
            Err(error) => Err(error),
        }
    }
}

impl Driver for Nats {
    fn publish(&self, subject: &str, bytes: Bytes) -> Result<(), Error> {
        check(subject, &bytes)?;
        self.check_usable()?;
        let sent = now_or_never(self.client.publish(subject.to_owned(), bytes)).ok_or(Error::Overloaded)?;
        sent.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => self.too_small_a_server(),
            PublishErrorKind::InvalidSubject => Error::BadSubject,
            PublishErrorKind::Send => self.down(error),
        })
    }

    fn request<'a>(&'a self, subject: &'a str, bytes: Bytes, limit: Duration) -> Wait<'a, Result<Bytes, Error>> {
        Box::pin(async move {
            check(subject, &bytes)?;
            self.check_usable()?;
            let mut closed = self.closed.subscribe();
            tokio::select! {
                answer = self.ask(subject.to_owned(), bytes, limit) => answer,
                // The limit holds for the way into the connection's queue, too.
                () = tokio::time::sleep(limit) => Err(Error::TimedOut),
                _ = closed.wait_for(|closed| *closed) => Err(Error::Closed),
            }
        })
    }

    fn subscribe<'a>(&'a self, subject: &'a str) -> Wait<'a, Result<Subscription, Error>> {
        Box::pin(async move {
            check_subject(subject)?;
            self.check_usable()?;
            let subscriber = self.client.subscribe(subject.to_owned()).await.map_err(|error| self.down(error))?;
            let (feed, subscription) = queue();
            tokio::spawn(forward(subscriber, feed, self.client.clone(), self.closed.subscribe()));
            self.round_trip().await?;
            Ok(subscription)
        })
    }

    fn close(&self) -> Wait<'_, ()> {
        Box::pin(async move {
            if self.closed.send_replace(true) || !self.is_connected() {
                return;
            }
            let mut ended = self.ended.clone();
            let drained = async {
                if self.client.drain().await.is_ok() {
                    ended.wait_for(|ended| *ended).await.ok();
                }
            };
            if tokio::time::timeout(CLOSE_MAX, drained).await.is_err() {
                tracing::debug!(servers = self.servers, "NATS did not hear the end in time");
            }
        })
    }
}

impl Drop for Nats {
    /// Ends the tasks of the subscriptions, and with them the connection.
    fn drop(&mut self) {
        self.closed.send_replace(true);
    }
}

/// The value of a future that is ready at once. The client's queue makes way or is full; nothing
/// is waited for.
fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::task::unconstrained(future).now_or_never()
}

/// Brings what arrives to a subscription's queue, until one of both ends.
async fn forward(
    mut subscriber: async_nats::Subscriber,
    feed: Feed,
    client: Client,
    mut closed: watch::Receiver<bool>,
) {
    loop {
        let message = tokio::select! {
            message = subscriber.next() => message,
            () = feed.over() => return,
            _ = closed.wait_for(|closed| *closed) => return,
        };
        let Some(message) = message else { return };
        let reply = message.reply.map(|subject| Reply::new(Inbox { client: client.clone(), subject }));
        feed.offer(Delivery { bytes: message.payload, reply });
    }
}

/// Where a question's answer goes.
struct Inbox {
    client: Client,
    subject: async_nats::Subject,
}

impl Answer for Inbox {
    fn answer(self: Box<Self>, answer: Result<Bytes, Error>) -> Result<(), Error> {
        let Inbox { client, subject } = *self;
        let sent = match answer {
            Ok(bytes) => now_or_never(client.publish(subject, bytes)),
            Err(_) => {
                let mut headers = HeaderMap::new();
                headers.insert(REFUSED, OVERLOADED);
                now_or_never(client.publish_with_headers(subject, headers, Bytes::new()))
            }
        };
        sent.ok_or(Error::Overloaded)?.map_err(|error| Error::Down(error.to_string()))
    }
}

async fn options(settings: &Settings, ended: Arc<watch::Sender<bool>>) -> Result<ConnectOptions, Error> {
    let mut options = ConnectOptions::new()
        .name(&settings.name)
        .require_tls(settings.tls.required)
        .subscription_capacity(QUEUE_LEN_MAX)
        .client_capacity(WRITES_LEN_MAX)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_MAX)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_wait)
        .event_callback(move |event| tell(event, ended.clone()));
    if let Some(file) = &settings.tls.ca_file {
        options = options.add_root_certificates(file.clone());
    }
    if let Some(ClientCertificate { certificate, key }) = &settings.tls.client {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(match &settings.credentials {
        Credentials::None => options,
        Credentials::UserAndPassword { user, password } => options.user_and_password(user.clone(), password.clone()),
        Credentials::Token(token) => options.token(token.clone()),
        Credentials::File(file) => options.credentials_file(file).await.map_err(|error| {
            Error::Down(format!("the NATS credentials file {} cannot be used: {error}", file.display()))
        })?,
    })
}

fn reconnect_wait(tries: usize) -> Duration {
    let wait_ms = RECONNECT_STEP_MS.saturating_mul(tries.saturating_sub(1) as u64);
    Duration::from_millis(wait_ms.min(RECONNECT_WAIT_MS_MAX))
}

async fn tell(event: async_nats::Event, ended: Arc<watch::Sender<bool>>) {
    match event {
        async_nats::Event::Connected => tracing::info!("connected to NATS"),
        async_nats::Event::Closed => {
            ended.send_replace(true);
        }
        event => tracing::warn!(%event, "NATS"),
    }
}
