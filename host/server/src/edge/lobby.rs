//! Lobby connections: one task each, which turns frames into the lobby's events and what the lobby
//! says into frames.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use scenehost_core::address::Client;
use scenehost_core::lobby::{Event, MatchingAsk};
use scenehost_core::message::{Notice, ToUser};
use scenehost_core::party;
use scenehost_core::{ConnectionId, DomainName, Refusal};
use scenehost_protocol::v1::{self, client_frame, server_frame::Body};
use scenehost_protocol::{Encoding, FRAME_BYTES_MAX, Payload, PayloadRef};
use tokio::sync::{mpsc, watch};

use super::{Edge, Place};
use crate::bus::Frame;
use crate::wire;

/// How many frames a client may send in a second; one that sends more is cut off.
const FRAMES_PER_SECOND_MAX: u32 = 50;
/// A client that was silent for a whole such span is asked for a sign of life, and given up after
/// another one.
const PING_AFTER: Duration = Duration::from_secs(8);
/// How long a client has to agree to a close.
const CLOSE_MAX: Duration = Duration::from_secs(3);
/// What is said to a frame that is none of the lobby's.
const OF_A_SCENE: Refusal =
    Refusal::OutOfOrder(Cow::Borrowed("this frame belongs on the scene's connection, at scene_url of res_match"));
/// How long a frame may take to leave.
const SEND_MAX: Duration = Duration::from_secs(10);

pub async fn upgrade(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let encoding = match edge.check(&headers) {
        Ok(encoding) => encoding,
        Err(refused) => return refused,
    };
    match upgrade {
        Ok(upgrade) => upgrade
            .protocols([encoding.subprotocol()])
            .max_message_size(FRAME_BYTES_MAX)
            .max_frame_size(FRAME_BYTES_MAX)
            .read_buffer_size(4 * 1_024)
            .write_buffer_size(0)
            .max_write_buffer_size(256 * 1_024)
            .on_upgrade(move |socket| async move {
                run(edge, place.client(), socket, encoding).await;
                drop(place);
            }),
        Err(rejection) => rejection.into_response(),
    }
}

/// Why a connection ends.
enum End {
    /// The client closed it on purpose.
    Left,
    /// The client went, or its socket broke.
    Gone,
    /// The server ends it, and says why.
    CutOff(Refusal),
}

struct Connection {
    edge: Edge,
    client: Client,
    id: ConnectionId,
    socket: WebSocket,
    encoding: Encoding,
}

async fn run(edge: Edge, client: Client, socket: WebSocket, encoding: Encoding) {
    let id = ConnectionId(edge.0.connections.fetch_add(1, Ordering::Relaxed));
    let frames = edge.0.bus.open_user(id);
    let mut connection = Connection { edge: edge.clone(), client, id, socket, encoding };
    let end = if edge.0.bus.to_lobby(Event::Opened { connection: id }) {
        connection.serve(frames).await
    } else {
        End::CutOff(Refusal::Overloaded("connections".into()))
    };
    edge.0.bus.close_user(id);
    // Waits for room if it must: a lobby that does not hear of it would keep the user for ever.
    edge.0.bus.tell_lobby(Event::Closed { connection: id, left: matches!(end, End::Left) }).await;
    if let End::CutOff(refusal) = end {
        connection.cut_off(&refusal).await;
    }
}

impl Connection {
    async fn serve(&mut self, mut frames: mpsc::Receiver<Frame>) -> End {
        let mut stopping = self.edge.0.stopping.clone();
        let clock = self.edge.0.clock;
        let mut silence = 0;
        let mut beat = tokio::time::interval(PING_AFTER);
        let mut window = (0, 0);
        loop {
            let ended = tokio::select! {
                frame = frames.recv() => match frame {
                    Some(Frame::One(to_user)) => self.tell(to_user).await,
                    Some(Frame::Shared(shared)) => self.send(shared.message(self.encoding)).await,
                    // The bus has closed the queue: this client does not read fast enough.
                    None => Err(End::CutOff(Refusal::Overloaded("frames waiting for you".into()))),
                },
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => {
                        silence = 0;
                        let second = clock.elapsed().as_secs();
                        window = if window.0 == second { (second, window.1 + 1) } else { (second, 1) };
                        match window.1 > FRAMES_PER_SECOND_MAX {
                            true => Err(End::CutOff(Refusal::RateLimited { per_second: FRAMES_PER_SECOND_MAX })),
                            false => self.received(message).await,
                        }
                    }
                    Some(Err(error)) => Err(why(&error)),
                    None => Err(End::Gone),
                },
                _ = beat.tick() => {
                    silence += 1;
                    match silence {
                        1 => Ok(()),
                        2 => self.send(Message::Ping(bytes::Bytes::new())).await,
                        _ => Err(End::Gone),
                    }
                }
                () = stopped(&mut stopping) => Err(End::CutOff(Refusal::Stopping)),
            };
            if let Err(end) = ended {
                return end;
            }
        }
    }

    async fn received(&mut self, message: Message) -> Result<(), End> {
        let payload = match &message {
            Message::Binary(bytes) => PayloadRef::Binary(bytes),
            Message::Text(text) => PayloadRef::Text(text),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            // Browsers say "going away" (1001) for pages that are left or loaded again.
            Message::Close(Some(frame)) if frame.code == close_code::NORMAL => return Err(End::Left),
            Message::Close(_) => return Err(End::Gone),
        };
        let frame = match self.encoding.decode_client(payload) {
            Ok(frame) => frame,
            Err(error) => return Err(End::CutOff(Refusal::Malformed(error.to_string()))),
        };
        let (connection, request) = (self.id, frame.request);
        if frame.seen != 0 || matches!(frame.body, Some(client_frame::Body::Ping(_))) {
            // Only for the backlog's sake; it may be left out when the lobby has much to do.
            self.edge.0.bus.to_lobby(Event::Heard { connection, seen: frame.seen });
        }
        let matching = |ask| Event::ReqMatching { connection, request, ask };
        let event = match frame.body {
            Some(client_frame::Body::ReqSignIn(sign_in)) => {
                let resume = sign_in.resume_seq;
                let allowed = self.edge.count_sign_in(self.client);
                match allowed.and_then(|()| wire::sign_in(sign_in)) {
                    Ok(sign_in) => Event::ReqSignIn { connection, request, sign_in: Box::new(sign_in), resume },
                    Err(refusal) => return self.refuse(request, &refusal).await,
                }
            }
            Some(client_frame::Body::ReqSignOut(_)) => Event::ReqSignOut { connection, request },
            Some(client_frame::Body::ReqMatch(asked)) => {
                let domain = DomainName::from(asked.domain.as_str());
                match asked.wish.map(wire::matching::wish).transpose() {
                    Ok(wish) => Event::ReqMatch { connection, request, domain, wish },
                    Err(refusal) => return self.refuse(request, &refusal).await,
                }
            }
            Some(client_frame::Body::ReqWish(asked)) => match wire::matching::wish(asked.wish.unwrap_or_default()) {
                Ok(wish) => matching(MatchingAsk::Wish(wish)),
                Err(refusal) => return self.refuse(request, &refusal).await,
            },
            Some(client_frame::Body::ReqAcceptMatch(asked)) => matching(MatchingAsk::Accept(asked.accept)),
            Some(client_frame::Body::ReqDomains(asked)) => matching(MatchingAsk::Domains(asked.after.as_str().into())),
            Some(client_frame::Body::ReqCancelMatch(_)) => Event::ReqCancelMatch { connection, request },
            Some(client_frame::Body::ReqRejoin(_)) => Event::ReqRejoin { connection, request },
            Some(client_frame::Body::Ping(ping)) => {
                return self.answer(request, Body::Pong(v1::Pong { payload: ping.payload, received: 0 })).await;
            }
            Some(client_frame::Body::ReqChat(asked)) => match wire::chat::ask(asked) {
                Ok(ask) => Event::ReqChat { connection, request, ask },
                Err(refusal) => return self.refuse(request, &refusal).await,
            },
            Some(client_frame::Body::ReqScenes(asked)) => match wire::scenes::ask(asked) {
                Ok(ask) => Event::ReqScenes { connection, request, ask },
                Err(refusal) => return self.refuse(request, &refusal).await,
            },
            Some(client_frame::Body::ReqParty(asked)) => match self.party_ask(asked) {
                Ok(ask) => Event::ReqParty { connection, request, ask },
                Err(refusal) => return self.refuse(request, &refusal).await,
            },
            Some(body) => match wire::db::request(body) {
                Some(Ok(what)) => Event::ReqDb { connection, request, what: Box::new(what) },
                Some(Err(refusal)) => return self.refuse(request, &refusal).await,
                None => return self.refuse(request, &OF_A_SCENE).await,
            },
            None => return self.refuse(request, &OF_A_SCENE).await,
        };
        if !self.edge.0.bus.to_lobby(event) {
            return self.refuse(request, &Refusal::Overloaded("requests to the lobby".into())).await;
        }
        Ok(())
    }

    /// Codes of parties are secrets that may be guessed, so tries of them are counted by address as those of
    /// credentials are.
    fn party_ask(&self, asked: v1::ReqParty) -> Result<party::Ask, Refusal> {
        let ask = wire::party::ask(asked)?;
        if matches!(ask, party::Ask::Change(party::Request::Join(_))) {
            self.edge.count_sign_in(self.client)?;
        }
        Ok(ask)
    }

    async fn tell(&mut self, to_user: ToUser) -> Result<(), End> {
        if let Notice::SynClosing(refusal) = to_user.notice {
            return Err(End::CutOff(refusal));
        }
        self.put(to_user.seq, to_user.request, wire::lobby_notice(&to_user.notice)).await
    }

    async fn refuse(&mut self, request: u32, refusal: &Refusal) -> Result<(), End> {
        self.answer(request, Body::Refused(wire::refused(refusal))).await
    }

    /// Answers without the lobby, so outside of the user's line.
    async fn answer(&mut self, request: u32, body: Body) -> Result<(), End> {
        self.put(0, request, body).await
    }

    async fn put(&mut self, seq: u32, request: u32, body: Body) -> Result<(), End> {
        let frame = v1::ServerFrame { seq, request, body: Some(body) };
        let message = match self.encoding.encode_server(&frame) {
            Payload::Binary(bytes) => Message::Binary(bytes),
            Payload::Text(text) => Message::Text(text.into()),
        };
        self.send(message).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match tokio::time::timeout(SEND_MAX, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    async fn cut_off(mut self, refusal: &Refusal) {
        let told = self.answer(0, wire::closing(refusal)).await;
        if told.is_ok() {
            let frame = CloseFrame { code: wire::close_code(refusal), reason: "".into() };
            let _ = self.send(Message::Close(Some(frame))).await; // The client may be gone by now.
            let _ = tokio::time::timeout(CLOSE_MAX, self.agreed()).await;
        }
    }

    /// Waits until the client has agreed to the close, or is gone. Else its system might discard what it has
    /// been told and has not read. Of a client whose frames cannot be read no agreement can be read either:
    /// it has all the time there is.
    async fn agreed(&mut self) {
        while let Some(message) = self.socket.recv().await {
            match message.as_ref().map_err(why) {
                Ok(_) => {}
                Err(End::CutOff(_)) => std::future::pending().await,
                Err(End::Left | End::Gone) => return,
            }
        }
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await; // Its sender gone means the same.
}

/// A frame against the rules of WebSocket or of its limits is told; a broken socket cannot be.
fn why(error: &axum::Error) -> End {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return End::Gone;
        }
        cause = error.source();
    }
    End::CutOff(Refusal::Malformed(error.to_string()))
}
