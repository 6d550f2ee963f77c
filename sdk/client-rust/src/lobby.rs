//! The lobby's connection: sign-in, matches, news.
//!
//! Invariant: a task serves the connection, and makes a new one when it is lost, until the [`Lobby`] is dropped or
//! the line is gone, so that the user stays in the lobby while playing. What handle and task share has limits.

mod chat;
mod friends;
mod guild;
mod inbox;
mod matching;
mod party;
mod profile;
mod records;
mod scenes;
mod shop;
mod side;
mod standing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use scenehost_protocol::v1::{self, client_frame, req_sign_in, server_frame};
use tokio::sync::{Mutex, broadcast, oneshot};
use tokio::time::Instant;

use crate::address::ServerAddress;
use crate::door::Door;
use crate::keeper::{self, Owned};
use crate::socket::{fits, within};
use crate::tokens::Tokens;
use crate::{Error, Options};
use side::{Answer, LobbySide, Shared};

pub use chat::Channel;
pub use records::Owner;

const LOBBY_PATH: &str = "/v1/lobby";

/// With what a user signs in. What is printed for debugging does not show the secrets.
#[derive(Clone)]
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
    /// The tokens of an earlier sign-in: if the session token is not good any more they are refreshed, and
    /// [`Options::on_tokens`] gets the new ones, also if the sign-in then fails.
    Tokens { session_token: String, refresh_token: String },
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

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest { name, .. } => f.debug_struct("Guest").field("name", name).finish_non_exhaustive(),
            Self::Session(_) => f.write_str("Session(..)"),
            Self::Tokens { .. } => f.debug_struct("Tokens").finish_non_exhaustive(),
            Self::Password { name, create, .. } => {
                f.debug_struct("Password").field("name", name).field("create", create).finish_non_exhaustive()
            }
            Self::Oidc { provider, .. } => f.debug_struct("Oidc").field("provider", provider).finish_non_exhaustive(),
        }
    }
}

impl From<Credential> for req_sign_in::Credential {
    fn from(credential: Credential) -> Self {
        match credential {
            Credential::Guest { device_id, name } => Self::Guest(req_sign_in::Guest { device_id, name }),
            Credential::Session(session_token) | Credential::Tokens { session_token, .. } => {
                Self::SessionToken(session_token)
            }
            Credential::Password { name, password, create } => {
                Self::Password(req_sign_in::Password { name, password, create })
            }
            Credential::Oidc { provider, id_token } => Self::Oidc(req_sign_in::Oidc { provider, id_token }),
        }
    }
}

/// What the lobby tells without being asked.
#[derive(Clone, Debug)]
pub enum LobbyEvent {
    /// How the search for a match stands.
    MatchState(v1::SynMatchState),
    /// The match is made, and no [`Lobby::find_match`] waits for it.
    Match(Match),
    /// A service is available again, or no longer; of matching only in some domains, if it names them.
    Service(v1::SynService),
    /// The scene that the user was in has ended, or the user has left it.
    SceneEnded(v1::SynSceneEnded),
    /// The game has changed stored records of the user's.
    Records(v1::SynRecords),
    /// Somebody has said something, or how far the rooms are after a return, or the user is muted.
    Chat(v1::SynChat),
    /// Something has happened in a guild.
    Guild(v1::SynGuild),
    /// What has become of the user's party, or of an invitation.
    Party(v1::SynParty),
    /// Something has changed between the user and another.
    Friends(v1::SynFriends),
    /// A notification has come.
    Notification(v1::SynNotification),
    /// What friends are doing now, of whom it has changed.
    Presence(v1::SynPresence),
    /// The user's rating has changed: by a game, or an operator has set it (`place` is 0 then).
    Standing(v1::SynStanding),
    /// Somebody else has changed the user's wallet.
    Wallet(v1::SynWallet),
    /// The connection is lost, or could not be made again; the next attempt comes after this time. Requests made now
    /// are kept and sent after the return, unless they have timed out by then or their futures are dropped.
    Dropped { why: Arc<Error>, next_attempt: Duration },
    /// The connection is back. `complete`: nothing was missed, and what was asked for is still answered. Else
    /// [`Lobby::session`] has the whole state, and requests without an answer have ended with
    /// [`Error::OutcomeUnknown`].
    Resumed { complete: bool },
    /// The session has new tokens, and the old ones will soon be void. To keep them for a later sign-in set
    /// [`Options::on_tokens`], which has them before they are used.
    Refreshed(Tokens),
    /// The connection is gone for good; it is the last event.
    Gone(Arc<Error>),
    /// So many events were let go, because they were not fetched in time.
    Missed(u64),
}

/// A seat in a scene, ready to be taken with [`Scene::join`](crate::Scene::join). What is printed for debugging
/// does not show the token.
#[derive(Clone, PartialEq, Eq)]
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

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scene_id, domain, scene_url, scene_token: _, token_expires_in } = self;
        f.debug_struct("Match")
            .field("scene_id", scene_id)
            .field("domain", domain)
            .field("scene_url", scene_url)
            .field("token_expires_in", token_expires_in)
            .finish_non_exhaustive()
    }
}

/// A signed-in user's connection to the lobby, which is made again when it is lost. Dropping it, as closing it,
/// leaves the lobby: a search ends, and the session stays.
pub struct Lobby {
    shared: Arc<Shared>,
    server: ServerAddress,
    events: Mutex<broadcast::Receiver<LobbyEvent>>,
    options: Options,
    owned: Owned,
}

impl Lobby {
    /// Connects to a server, for example `ws://127.0.0.1:7350` or `wss://example.org`, and signs in. This is tried
    /// once; only a connection that has stood is made again by itself.
    ///
    /// # Errors
    /// [`Error::Refused`] if the credential is wrong or the server takes no sign-ins now.
    pub async fn connect(url: &str, credential: Credential, options: Options) -> Result<Self, Error> {
        let server = ServerAddress::parse(url)?;
        let url = server.url(LOBBY_PATH)?;
        let door = Door::new(Some(server.scheme()), options.clone())?;
        let (event_sender, events) = broadcast::channel(options.events_len_max.max(1));
        let (side, shared) = LobbySide::new(credential, options.device.clone(), server.clone(), event_sender);
        let owned = keeper::begin(side, url, door).await?;
        Ok(Self { shared, server, events: Mutex::new(events), options, owned })
    }

    /// Who signed in, how things stood at the last sign-in, which may have been a return, and the newest tokens.
    pub fn session(&self) -> v1::ResSignIn {
        self.shared.session()
    }

    /// Searches a match in a domain and waits until it is made. Dropping the future does not end
    /// the search: [`Self::cancel_match`] does. A search that has not been asked for yet, because the connection is
    /// lost, does not begin after that.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such domain, the user is busy or the search failed;
    /// [`Error::Cancelled`] if it was taken back; [`Error::TimedOut`] after
    /// [`Options::match_timeout`], while the search goes on.
    pub async fn find_match(&self, domain: &str) -> Result<Match, Error> {
        self.find_match_with(domain, None).await
    }

    /// As [`Self::find_match`], with what the user brings and wants from now on; `None`: what was said last.
    ///
    /// # Errors
    /// As there, and [`Error::Refused`] for what the domain does not allow.
    pub async fn find_match_with(&self, domain: &str, wish: Option<v1::Wish>) -> Result<Match, Error> {
        let body = client_frame::Body::ReqMatch(v1::ReqMatch { domain: domain.to_owned(), wish });
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

    /// The next event, or `None` after the line has ended; [`Self::end`] tells why.
    /// Dropping the future loses nothing.
    pub async fn next(&self) -> Option<LobbyEvent> {
        match self.events.lock().await.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(events)) => Some(LobbyEvent::Missed(events)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Why the line ended, if it has.
    pub fn end(&self) -> Option<&Error> {
        self.shared.end()
    }

    /// Leaves the lobby, and waits until the server has been told.
    pub async fn close(self) {
        let Self { owned, events, .. } = self;
        drop(owned);
        // The task answers by closing its end of the events.
        let mut events = events.into_inner();
        while !matches!(events.recv().await, Err(broadcast::error::RecvError::Closed)) {}
    }

    /// Asks the lobby; a refusal is an error.
    async fn ask(&self, body: client_frame::Body) -> Result<server_frame::Body, Error> {
        self.request(body, None).await
    }

    async fn request(
        &self,
        body: client_frame::Body,
        found: Option<oneshot::Sender<Result<Match, Error>>>,
    ) -> Result<server_frame::Body, Error> {
        fits(self.options.encoding, &body)?;
        within(self.options.request_timeout, async {
            let (answer, answered) = oneshot::channel();
            self.shared.ask(body, Answer::Asker(answer), found)?;
            answered.await.unwrap_or(Err(Error::Closed))
        })
        .await
    }
}
