//! What the lobby's task does: requests and their answers, the search, the session's tokens.
//!
//! Invariant: whoever asks gets an answer, or an error that says whether the request may have had an effect.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use scenehost_protocol::v1::{self, Code, client_frame, req_sign_in, server_frame, syn_match_state};
use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::Instant;

use super::{Credential, LobbyEvent, Match};
use crate::address::ServerAddress;
use crate::door::Door;
use crate::keeper::{Flow, News, Side, Welcome};
use crate::line::{Next, Requests};
use crate::refresh::refresh;
use crate::socket::answer;
use crate::{Error, Tokens};

/// How many requests may wait for their answers; the next is refused.
const REQUESTS_LEN_MAX: usize = 32;

/// What the handle and the task share.
pub(crate) struct Shared {
    book: Mutex<Book>,
    /// Wakes the task.
    wake: Notify,
    end: OnceLock<Arc<Error>>,
}

struct Book {
    requests: Requests<Asked>,
    /// Who waits for the match that is being made.
    found: Option<oneshot::Sender<Result<Match, Error>>>,
    session: v1::ResSignIn,
}

struct Asked {
    body: client_frame::Body,
    answer: Answer,
}

/// Where an answer goes.
pub(crate) enum Answer {
    Asker(oneshot::Sender<Result<server_frame::Body, Error>>),
    /// To who waits for the match: it was made during a drop, and this asks for a way in.
    Search,
}

impl Shared {
    /// Hands a request to the task. `found`: who waits for the match that it may lead to.
    pub fn ask(
        &self,
        body: client_frame::Body,
        answer: Answer,
        found: Option<oneshot::Sender<Result<Match, Error>>>,
    ) -> Result<(), Error> {
        let mut book = self.book();
        // Looked at under the lock: after the end nobody takes requests out any more.
        if self.end.get().is_some() {
            return Err(Error::Closed);
        }
        book.ask(body, answer)?;
        // A second search is refused, and must not take the first one's match.
        if found.is_some() && book.found.as_ref().is_none_or(oneshot::Sender::is_closed) {
            book.found = found;
        }
        drop(book);
        self.wake.notify_one();
        Ok(())
    }

    pub fn session(&self) -> v1::ResSignIn {
        self.book().session.clone()
    }

    pub fn end(&self) -> Option<&Error> {
        self.end.get().map(Arc::as_ref)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no holder panics")
    }
}

impl Book {
    fn ask(&mut self, body: client_frame::Body, answer: Answer) -> Result<(), Error> {
        self.forget_unwanted();
        // The answer to a ping is about its connection.
        let of_connection = matches!(body, client_frame::Body::Ping(_));
        let full = |_| Error::TooManyRequests { requests_max: REQUESTS_LEN_MAX };
        self.requests.push(Asked { body, answer }, of_connection).map_err(full)
    }

    /// Lets go of the requests whose askers have given up. Those that have not left yet never will.
    fn forget_unwanted(&mut self) {
        self.requests.retain(|asked| !matches!(&asked.answer, Answer::Asker(asker) if asker.is_closed()));
    }

    /// Takes what a sign-in says; a sign-in with a session token says nothing of its tokens.
    fn signed_in(&mut self, mut session: v1::ResSignIn) {
        let known = &self.session;
        if session.session_token.is_empty() {
            session.session_token.clone_from(&known.session_token);
            session.session_expires_ms = known.session_expires_ms;
        }
        if session.refresh_token.is_empty() {
            session.refresh_token.clone_from(&known.refresh_token);
            session.refresh_expires_ms = known.refresh_expires_ms;
        }
        self.session = session;
    }

    /// Takes the new tokens; all else stays as the lobby has told it.
    fn refreshed(&mut self, new: v1::ResSignIn) -> v1::ResSignIn {
        let v1::ResSignIn { session_token, session_expires_ms, refresh_token, refresh_expires_ms, .. } = new;
        let old = std::mem::take(&mut self.session);
        self.session = v1::ResSignIn { session_token, session_expires_ms, refresh_token, refresh_expires_ms, ..old };
        self.session.clone()
    }

    /// The line does not go on: what was asked for may have happened or not. A search goes on if the server says
    /// that there is one.
    fn begin_anew(&mut self) {
        self.forget_unwanted();
        let search = self.session.match_state.clone();
        let search = search.filter(|state| state.state() != syn_match_state::State::Idle);
        for asked in self.requests.begin_anew() {
            let Answer::Asker(asker) = asked.answer else { continue };
            let result = match (&asked.body, &search) {
                (client_frame::Body::ReqMatch(wanted), Some(state)) if wanted.domain == state.domain => {
                    Ok(server_frame::Body::SynMatchState(state.clone()))
                }
                _ => Err(Error::OutcomeUnknown),
            };
            // Who asked may have given up.
            let _ = asker.send(result);
        }
        let begins = self.requests.any_unsent(|asked| matches!(asked.body, client_frame::Body::ReqMatch(_)));
        let waits = self.found.as_ref().is_some_and(|found| !found.is_closed());
        if !waits || search.is_some() || begins {
            return;
        }
        // The match was made meanwhile, and the way in was among what was missed.
        let in_scene = !self.session.scene_id.is_empty();
        let rejoin = client_frame::Body::ReqRejoin(v1::ReqRejoin {});
        if !in_scene || self.ask(rejoin, Answer::Search).is_err() {
            self.search_failed(Error::OutcomeUnknown);
        }
    }

    fn search_failed(&mut self, error: Error) {
        if let Some(found) = self.found.take() {
            let _ = found.send(Err(error)); // Who searched may have given up.
        }
    }
}

/// The task's part of the lobby.
pub(crate) struct LobbySide {
    shared: Arc<Shared>,
    server: ServerAddress,
    events: broadcast::Sender<LobbyEvent>,
    device: String,
    /// For the first sign-in; later ones are by the session's token.
    credential: Option<req_sign_in::Credential>,
}

impl LobbySide {
    pub fn new(
        credential: Credential,
        device: String,
        server: ServerAddress,
        events: broadcast::Sender<LobbyEvent>,
    ) -> (Self, Arc<Shared>) {
        let mut session = v1::ResSignIn::default();
        if let Credential::Tokens { session_token, refresh_token } = &credential {
            session.session_token.clone_from(session_token);
            session.refresh_token.clone_from(refresh_token);
        }
        if let Credential::Session(session_token) = &credential {
            session.session_token.clone_from(session_token);
        }
        let book = Book { requests: Requests::new(REQUESTS_LEN_MAX), found: None, session };
        let shared = Arc::new(Shared { book: Mutex::new(book), wake: Notify::new(), end: OnceLock::new() });
        let credential = Some(credential.into());
        (Self { shared: Arc::clone(&shared), server, events, device, credential }, shared)
    }

    fn event(&self, event: LobbyEvent) {
        // Nobody may be listening; then the event is of no use.
        let _ = self.events.send(event);
    }

    fn end(&mut self, why: Arc<Error>) {
        // A line ends once.
        let _ = self.shared.end.set(why);
        // Who waits for an answer hears of the end, since nobody can give one.
        let mut book = self.shared.book();
        book.requests.take_all();
        book.found = None;
    }

    /// A search that ends without a match ends the wait for it.
    fn on_match_state(&self, state: &v1::SynMatchState) {
        if state.state() == syn_match_state::State::Idle {
            let error = state.refused.clone().map_or(Error::Cancelled, Error::Refused);
            self.shared.book().search_failed(error);
        }
    }

    /// A match goes to who waits for it, else to the events.
    fn on_match(&self, made: Match) -> Option<LobbyEvent> {
        let Some(found) = self.shared.book().found.take() else {
            return Some(LobbyEvent::Match(made));
        };
        match found.send(Ok(made)) {
            Ok(()) => None,
            Err(made) => made.ok().map(LobbyEvent::Match),
        }
    }
}

impl Side for LobbySide {
    fn hello(&self, resume_seq: Option<u32>) -> client_frame::Body {
        let by_token = || req_sign_in::Credential::SessionToken(self.shared.session().session_token);
        let credential = Some(self.credential.clone().unwrap_or_else(by_token));
        client_frame::Body::ReqSignIn(v1::ReqSignIn { credential, device: self.device.clone(), resume_seq })
    }

    fn welcomed(&mut self, answer: server_frame::Body, _now: Instant) -> Result<Welcome, Error> {
        let server_frame::Body::ResSignIn(session) = answer else {
            return Err(Error::Unexpected);
        };
        self.credential = None;
        let grace = Duration::from_millis(session.grace_ms.into());
        let welcome = Welcome { resumed: session.resumed, after_seq: session.after_seq, grace };
        let last_request = session.last_request;
        let mut book = self.shared.book();
        book.signed_in(session);
        match welcome.resumed {
            true => book.requests.go_on(last_request),
            false => book.begin_anew(),
        }
        Ok(welcome)
    }

    /// A session token that is not good any more may be refreshed.
    async fn mend(&mut self, refused: &v1::Refused, door: &Door) -> Result<bool, Error> {
        let refresh_token = self.shared.session().refresh_token;
        if refused.code() != Code::BadToken || refresh_token.is_empty() {
            return Ok(false);
        }
        let session = refresh(&self.server, &refresh_token, door).await?;
        self.credential = None;
        let tokens = Tokens::from(&self.shared.book().refreshed(session));
        // Now, since with the next attempt the old tokens may become void, whatever comes of it.
        if let Some(on_tokens) = &door.options.on_tokens {
            on_tokens.call(&tokens);
        }
        self.event(LobbyEvent::Refreshed(tokens));
        Ok(true)
    }

    fn next(&mut self, _now: Instant) -> Next<(u32, client_frame::Body)> {
        let mut book = self.shared.book();
        book.forget_unwanted();
        match book.requests.next_unsent() {
            Some((number, asked)) => Next::Message((number, asked.body.clone())),
            None => Next::Nothing,
        }
    }

    fn frame(&mut self, request: u32, body: server_frame::Body) -> Result<Flow, Error> {
        let asked = self.shared.book().requests.answered(request);
        let event = match &body {
            server_frame::Body::SynMatchState(state) => {
                self.on_match_state(state);
                Some(LobbyEvent::MatchState(state.clone()))
            }
            server_frame::Body::ResMatch(made) => match asked {
                Some(Asked { answer: Answer::Asker(_), .. }) => None,
                Some(Asked { answer: Answer::Search, .. }) | None => self.on_match(self.server.resolve(made)?),
            },
            server_frame::Body::SynService(service) => Some(LobbyEvent::Service(service.clone())),
            server_frame::Body::SynSceneEnded(ended) => Some(LobbyEvent::SceneEnded(ended.clone())),
            server_frame::Body::Refused(refused) => {
                if let Some(Asked { answer: Answer::Search, .. }) = asked {
                    self.shared.book().search_failed(Error::Refused(refused.clone()));
                }
                None
            }
            server_frame::Body::SynRecords(records) => Some(LobbyEvent::Records(records.clone())),
            server_frame::Body::SynChat(chat) => Some(LobbyEvent::Chat(chat.clone())),
            server_frame::Body::SynGuild(guild) => Some(LobbyEvent::Guild(guild.clone())),
            server_frame::Body::SynParty(party) => Some(LobbyEvent::Party(party.clone())),
            server_frame::Body::SynFriends(friends) => Some(LobbyEvent::Friends(friends.clone())),
            server_frame::Body::SynNotification(it) => Some(LobbyEvent::Notification(it.clone())),
            server_frame::Body::SynPresence(presence) => Some(LobbyEvent::Presence(presence.clone())),
            server_frame::Body::SynStanding(standing) => Some(LobbyEvent::Standing(standing.clone())),
            server_frame::Body::SynWallet(wallet) => Some(LobbyEvent::Wallet(wallet.clone())),
            server_frame::Body::Pong(_)
            | server_frame::Body::Done(_)
            | server_frame::Body::ResProfile(_)
            | server_frame::Body::ResRecords(_)
            | server_frame::Body::ResChat(_)
            | server_frame::Body::ResGuild(_)
            | server_frame::Body::ResFriends(_)
            | server_frame::Body::ResInbox(_)
            | server_frame::Body::ResStanding(_)
            | server_frame::Body::ResShop(_)
            | server_frame::Body::ResDomains(_)
            | server_frame::Body::ResScenes(_)
            | server_frame::Body::ResWatch(_) => None,
            server_frame::Body::SynClosing(_)
            | server_frame::Body::ResSignIn(_)
            | server_frame::Body::ResJoinScene(_)
            | server_frame::Body::ResWatchScene(_)
            | server_frame::Body::SceneMessage(_) => return Err(Error::Unexpected),
        };
        event.into_iter().for_each(|event| self.event(event));
        if let Some(Asked { answer: Answer::Asker(asker), .. }) = asked {
            // Who asked may have given up.
            let _ = asker.send(answer(body));
        }
        Ok(Flow::On)
    }

    fn news(&mut self, news: News) {
        match news {
            News::Dropped { why, next_attempt } => self.event(LobbyEvent::Dropped { why, next_attempt }),
            News::Resumed { complete } => self.event(LobbyEvent::Resumed { complete }),
            News::Gone(why) => {
                self.end(Arc::clone(&why));
                self.event(LobbyEvent::Gone(why));
            }
        }
    }

    fn closed(&mut self) {
        self.end(Arc::new(Error::Closed));
    }

    /// Events that nobody fetches are let go, so there is always room.
    fn has_room(&self) -> bool {
        true
    }

    async fn woken(&self) {
        self.shared.wake.notified().await;
    }
}
