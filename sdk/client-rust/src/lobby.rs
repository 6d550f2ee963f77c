//! The lobby's connection: sign-in, matches, news.
//!
//! Invariant: a task owns the socket and serves it until the [`Lobby`] is dropped or the connection
//! ends, so that the user stays in the lobby while playing. Handle and task exchange messages over
//! bounded queues only.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use scenehost_protocol::v1::{self, client_frame, req_sign_in, server_frame, syn_match_state};
use tokio::sync::{Mutex, broadcast, mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::uri::{Authority, Scheme};

use crate::socket::{Socket, answer, within};
use crate::{Error, Options};

const LOBBY_PATH: &str = "/v1/lobby";
/// How many requests may wait for their answers; the next is refused.
const REQUESTS_LEN_MAX: usize = 32;

/// With what a user signs in.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A guest, known by a secret of the device.
    Guest {
        /// 16 to 128 characters from a secure random source; keep it, whoever has it is the user.
        device_id: String,
        /// The display name; empty keeps the known one or chooses one.
        name: String,
    },
    /// The session token of an earlier sign-in.
    Session(String),
    /// An account with a name and a password.
    Password {
        /// 3 to 32 letters, digits, or - _ .
        name: String,
        /// 8 to 128 characters.
        password: String,
        /// Make the account; else it must be there.
        create: bool,
    },
    /// A user of an OpenID Connect provider that the server is configured for.
    Oidc {
        /// The provider's name in the server's configuration.
        provider: String,
        /// The ID token, a JWT.
        id_token: String,
    },
}

impl From<Credential> for req_sign_in::Credential {
    fn from(credential: Credential) -> Self {
        match credential {
            Credential::Guest { device_id, name } => Self::Guest(req_sign_in::Guest { device_id, name }),
            Credential::Session(token) => Self::SessionToken(token),
            Credential::Password { name, password, create } => {
                Self::Password(req_sign_in::Password { name, password, create })
            }
            Credential::Oidc { provider, id_token } => Self::Oidc(req_sign_in::Oidc { provider, id_token }),
        }
    }
}

/// What the lobby tells without being asked.
#[derive(Clone, Debug, PartialEq)]
pub enum LobbyEvent {
    /// How the search for a match stands.
    MatchState(v1::SynMatchState),
    /// The match is made, and no [`Lobby::find_match`] waits for it.
    Match(Match),
    /// A service is available again, or no longer.
    Service(v1::SynService),
    /// The scene that the user was in has ended, or the user has left it.
    SceneEnded(v1::SynSceneEnded),
    /// The server is about to close the connection; it is the last event.
    Closing(v1::SynClosing),
    /// So many events were let go, because they were not fetched in time.
    Missed(u64),
}

/// A seat in a scene, ready to be taken with [`Scene::join`](crate::Scene::join).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub scene_id: String,
    pub domain: String,
    /// The WebSocket URL of the scene.
    pub scene_url: String,
    /// Enters the seat once; keep it secret.
    pub scene_token: String,
    /// Until when the token must have been used, from the match on.
    pub token_expires_in: Duration,
}

/// A signed-in user's connection to the lobby. Dropping it, as closing it, leaves the lobby: a search
/// ends, and the session stays.
pub struct Lobby {
    session: v1::ResSignIn,
    server: ServerAddress,
    commands: mpsc::Sender<Command>,
    events: Mutex<broadcast::Receiver<LobbyEvent>>,
    end: Arc<OnceLock<Error>>,
    options: Options,
}

struct Command {
    body: client_frame::Body,
    answer: oneshot::Sender<Result<server_frame::Body, Error>>,
    found: Option<oneshot::Sender<Result<Match, Error>>>,
}

impl Lobby {
    /// Connects to a server, for example `ws://127.0.0.1:7350`, and signs in.
    ///
    /// # Errors
    /// [`Error::Refused`] if the credential is wrong or the server takes no sign-ins now.
    pub async fn connect(url: &str, credential: Credential, options: Options) -> Result<Self, Error> {
        let server = ServerAddress::parse(url)?;
        let device = options.device.clone();
        let sign_in = v1::ReqSignIn { credential: Some(credential.into()), device, resume_seq: None };
        let sign_in = client_frame::Body::ReqSignIn(sign_in);
        let url = server.url(LOBBY_PATH)?;
        let (socket, body) = Socket::connect(&url, sign_in, &options).await?;
        let server_frame::Body::ResSignIn(session) = body else {
            return Err(Error::Unexpected);
        };

        let (command_sender, commands) = mpsc::channel(REQUESTS_LEN_MAX);
        let (event_sender, events) = broadcast::channel(options.events_len_max.max(1));
        let end = Arc::new(OnceLock::new());
        let task = Task {
            socket,
            server: server.clone(),
            commands,
            events: event_sender,
            waiting: HashMap::new(),
            found: None,
        };
        tokio::spawn(task.run(Arc::clone(&end)));
        Ok(Self { session, server, commands: command_sender, events: Mutex::new(events), end, options })
    }

    /// Who signed in, and the token for the next time.
    pub fn session(&self) -> &v1::ResSignIn {
        &self.session
    }

    /// Searches a match in a domain and waits until it is made. Dropping the future does not end
    /// the search: [`Self::cancel_match`] does.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such domain, the user is busy or the search failed;
    /// [`Error::Cancelled`] if it was taken back; [`Error::TimedOut`] after
    /// [`Options::match_timeout`], while the search goes on.
    pub async fn find_match(&self, domain: &str) -> Result<Match, Error> {
        let body = client_frame::Body::ReqMatch(v1::ReqMatch { domain: domain.to_owned() });
        let (found, match_found) = oneshot::channel();
        match self.request(body, Some(found)).await? {
            server_frame::Body::SynMatchState(_) => {}
            server_frame::Body::ResMatch(made) => return self.server.resolve(&made),
            _ => return Err(Error::Unexpected),
        }
        within(self.options.match_timeout, async { match_found.await.unwrap_or(Err(Error::Closed)) }).await
    }

    /// Takes the search for a match back.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no search, or the match is made already.
    pub async fn cancel_match(&self) -> Result<(), Error> {
        let body = client_frame::Body::ReqCancelMatch(v1::ReqCancelMatch {});
        match self.request(body, None).await? {
            server_frame::Body::SynMatchState(_) => Ok(()),
            _ => Err(Error::Unexpected),
        }
    }

    /// Asks for a new token for the seat that the user still holds.
    ///
    /// # Errors
    /// [`Error::Refused`] if the user holds none.
    pub async fn rejoin(&self) -> Result<Match, Error> {
        let body = client_frame::Body::ReqRejoin(v1::ReqRejoin {});
        match self.request(body, None).await? {
            server_frame::Body::ResMatch(made) => self.server.resolve(&made),
            _ => Err(Error::Unexpected),
        }
    }

    /// Ends the session: its tokens are void, and the connection is closed.
    ///
    /// # Errors
    /// If the connection ends without the server's word; whether the session has ended is unknown then.
    pub async fn sign_out(self) -> Result<(), Error> {
        let answered = self.request(client_frame::Body::ReqSignOut(v1::ReqSignOut {}), None).await;
        match (answered, self.end()) {
            (_, Some(Error::Closing(closing))) if closing.code() == v1::Code::SessionEnded => Ok(()),
            (Err(error), _) => Err(error),
            (Ok(_), _) => Err(Error::Unexpected),
        }
    }

    /// Measures the round trip to the lobby.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let sent = Instant::now();
        let body = client_frame::Body::Ping(v1::Ping { payload: 0 });
        match self.request(body, None).await? {
            server_frame::Body::Pong(_) => Ok(sent.elapsed()),
            _ => Err(Error::Unexpected),
        }
    }

    /// The next event, or `None` after the connection has ended; [`Self::end`] tells why.
    /// Dropping the future loses nothing.
    pub async fn next(&self) -> Option<LobbyEvent> {
        match self.events.lock().await.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(events)) => Some(LobbyEvent::Missed(events)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Why the connection ended, if it has.
    pub fn end(&self) -> Option<&Error> {
        self.end.get()
    }

    /// Ends the connection.
    pub async fn close(self) {
        let Self { commands, events, .. } = self;
        drop(commands);
        // The task answers by closing its end of the events.
        let mut events = events.into_inner();
        while !matches!(events.recv().await, Err(broadcast::error::RecvError::Closed)) {}
    }

    async fn request(
        &self,
        body: client_frame::Body,
        found: Option<oneshot::Sender<Result<Match, Error>>>,
    ) -> Result<server_frame::Body, Error> {
        within(self.options.request_timeout, async {
            let (answer, answered) = oneshot::channel();
            let command = Command { body, answer, found };
            self.commands.send(command).await.map_err(|_| Error::Closed)?;
            answered.await.unwrap_or(Err(Error::Closed))
        })
        .await
    }
}

/// The owner of the lobby's socket.
struct Task {
    socket: Socket,
    server: ServerAddress,
    commands: mpsc::Receiver<Command>,
    events: broadcast::Sender<LobbyEvent>,
    waiting: HashMap<u32, oneshot::Sender<Result<server_frame::Body, Error>>>,
    /// Who waits for the match that is being made.
    found: Option<oneshot::Sender<Result<Match, Error>>>,
}

impl Task {
    async fn run(mut self, end: Arc<OnceLock<Error>>) {
        let error = loop {
            let result = tokio::select! {
                frame = self.socket.next() => match frame {
                    Ok(frame) => self.on_frame(frame.request, frame.body),
                    Err(error) => Err(error),
                },
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => Err(Error::Closed),
                },
            };
            if let Err(error) = result {
                break error;
            }
        };
        end.set(error).expect("only the task sets it");
        self.socket.close().await;
    }

    async fn on_command(&mut self, command: Command) -> Result<(), Error> {
        self.waiting.retain(|_, answer| !answer.is_closed());
        if self.waiting.len() == REQUESTS_LEN_MAX {
            let _ = command.answer.send(Err(Error::TooManyRequests { requests_max: REQUESTS_LEN_MAX }));
            return Ok(());
        }
        match self.socket.request(command.body).await {
            Ok(request) => {
                self.waiting.insert(request, command.answer);
                // A second search is refused, and must not take the first one's match.
                if command.found.is_some() && self.found.as_ref().is_none_or(oneshot::Sender::is_closed) {
                    self.found = command.found;
                }
                Ok(())
            }
            Err(error @ Error::TooLarge(_)) => {
                let _ = command.answer.send(Err(error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn on_frame(&mut self, request: u32, body: Option<server_frame::Body>) -> Result<(), Error> {
        let body = body.ok_or(Error::Unexpected)?;
        let waiting = self.waiting.remove(&request);
        let event = match &body {
            server_frame::Body::SynMatchState(state) => {
                self.on_match_state(state);
                Some(LobbyEvent::MatchState(state.clone()))
            }
            server_frame::Body::ResMatch(_) if waiting.is_some() => None,
            server_frame::Body::ResMatch(made) => {
                let made = self.server.resolve(made)?;
                self.on_match(made)
            }
            server_frame::Body::SynService(service) => Some(LobbyEvent::Service(*service)),
            server_frame::Body::SynSceneEnded(ended) => Some(LobbyEvent::SceneEnded(ended.clone())),
            server_frame::Body::SynClosing(closing) => {
                let _ = self.events.send(LobbyEvent::Closing(closing.clone()));
                return Err(Error::Closing(closing.clone()));
            }
            server_frame::Body::Refused(_) | server_frame::Body::Pong(_) => None,
            server_frame::Body::ResSignIn(_)
            | server_frame::Body::ResJoinScene(_)
            | server_frame::Body::SceneMessage(_) => return Err(Error::Unexpected),
        };
        if let Some(event) = event {
            // Nobody may be listening; then the event is of no use.
            let _ = self.events.send(event);
        }
        if let Some(waiting) = waiting {
            // Who asked may have given up.
            let _ = waiting.send(answer(body));
        }
        Ok(())
    }

    /// A search that ends without a match ends the wait for it.
    fn on_match_state(&mut self, state: &v1::SynMatchState) {
        if state.state() != syn_match_state::State::Idle {
            return;
        }
        if let Some(found) = self.found.take() {
            let error = match &state.refused {
                Some(refused) => Error::Refused(refused.clone()),
                None => Error::Cancelled,
            };
            let _ = found.send(Err(error));
        }
    }

    /// A match goes to who waits for it, else to the events.
    fn on_match(&mut self, made: Match) -> Option<LobbyEvent> {
        let Some(found) = self.found.take() else {
            return Some(LobbyEvent::Match(made));
        };
        match found.send(Ok(made)) {
            Ok(()) => None,
            Err(made) => made.ok().map(LobbyEvent::Match),
        }
    }
}

/// Where the server is: scheme and host of its URLs.
#[derive(Clone)]
struct ServerAddress {
    scheme: Scheme,
    authority: Authority,
}

impl ServerAddress {
    fn parse(url: &str) -> Result<Self, Error> {
        let uri: Uri = url.parse().map_err(|_| Error::Url(url.to_owned()))?;
        match (uri.scheme(), uri.authority(), uri.path()) {
            (Some(scheme), Some(authority), "" | "/") => {
                Ok(Self { scheme: scheme.clone(), authority: authority.clone() })
            }
            _ => Err(Error::Url(url.to_owned())),
        }
    }

    fn url(&self, path: &str) -> Result<Uri, Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| Error::Url(format!("{}://{}{path}", self.scheme, self.authority)))
    }

    /// A match with the scene's whole URL, which may be given as a path on this host.
    fn resolve(&self, made: &v1::ResMatch) -> Result<Match, Error> {
        let scene_url = if made.scene_url.starts_with('/') {
            self.url(&made.scene_url)?.to_string()
        } else {
            made.scene_url.clone()
        };
        Ok(Match {
            scene_id: made.scene_id.clone(),
            domain: made.domain.clone(),
            scene_url,
            scene_token: made.scene_token.clone(),
            token_expires_in: Duration::from_millis(made.token_expires_in_ms.into()),
        })
    }
}
