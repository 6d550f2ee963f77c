//! Keeps a line up: serves its connection, and makes a new one when it is lost.
//!
//! Invariant: a line ends once: closed by its owner, over by the server's word, or gone with the reason. Until
//! then either a connection stands or the time of the next attempt is known.
//!
//! Main type: [`Keeper`], the same for the lobby and for scenes; a [`Side`] says what is different.

use std::sync::Arc;
use std::time::Duration;

use scenehost_protocol::v1::{self, ClientFrame, client_frame, server_frame};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::http::Uri;

use crate::Error;
use crate::door::Door;
use crate::error::Verdict;
use crate::line::{Backoff, Due, Inbound, Lost, Next};
use crate::socket::Socket;

/// A connection that has stood so long was a good one: after it, the first attempt is made at once.
const STOOD_MIN: Duration = Duration::from_secs(1);

/// What the lobby and scenes do each in their own way.
pub(crate) trait Side: Send + Sync + 'static {
    /// The first request of a connection. `resume_seq`: the line is to go on after this number.
    fn hello(&self, resume_seq: Option<u32>) -> client_frame::Body;

    /// Takes the answer to it.
    fn welcomed(&mut self, answer: server_frame::Body, now: Instant) -> Result<Welcome, Error>;

    /// Does something about a refusal of it; whether it is worth asking again at once.
    fn mend(&mut self, refused: &v1::Refused, door: &Door) -> impl Future<Output = Result<bool, Error>> + Send;

    /// What leaves next over the connection that stands: a request's number, or 0, and the body.
    fn next(&mut self, now: Instant) -> Next<(u32, client_frame::Body)>;

    /// Takes a frame; `request` is 0, or the number of what it answers.
    fn frame(&mut self, request: u32, body: server_frame::Body) -> Result<Flow, Error>;

    /// Hears how the line stands.
    fn news(&mut self, news: News);

    /// The owner has closed the line.
    fn closed(&mut self);

    /// Whether another frame may be read.
    fn has_room(&self) -> bool;

    /// Waits until there may be something to send, or room.
    fn woken(&self) -> impl Future<Output = ()> + Send;
}

/// What the server says at the beginning of a connection.
pub(crate) struct Welcome {
    /// The line goes on where it was.
    pub resumed: bool,
    /// The next frame of the line has the number after this one.
    pub after_seq: u32,
    /// How long everything is kept after a drop.
    pub grace: Duration,
}

/// Whether there is more to come.
pub(crate) enum Flow {
    On,
    /// That was the last frame.
    Over,
}

/// How a line stands.
pub(crate) enum News {
    Dropped { why: Arc<Error>, next_attempt: Duration },
    Resumed { complete: bool },
    Gone(Arc<Error>),
}

pub(crate) struct Keeper<S> {
    side: S,
    url: Uri,
    door: Door,
    inbound: Inbound,
    backoff: Backoff,
    grace: Duration,
    /// Resolves when the owner is dropped.
    owner: oneshot::Receiver<Owner>,
}

/// Whoever holds this owns the line; dropping it closes the line.
pub(crate) type Owned = oneshot::Sender<Owner>;

/// Nothing is ever sent to the keeper this way.
pub(crate) enum Owner {}

/// How the service of a connection ended.
enum End {
    /// The owner is gone.
    Closed,
    /// The server has said the last word.
    Over,
    Lost(Error),
}

/// Connects for the first time, which is tried once, and leaves the line to a task.
pub(crate) async fn begin<S: Side>(mut side: S, url: Uri, door: Door) -> Result<Owned, Error> {
    let (socket, welcome) = attempt(&mut side, &url, &door, None).await?;
    let options = &door.options;
    let mut inbound = Inbound::new(Instant::now(), options.ping_after, options.pong_timeout);
    inbound.returned(welcome.after_seq, Instant::now());
    let backoff = Backoff::new(options.backoff_first, options.backoff_max);
    let (owned, owner) = oneshot::channel();
    let keeper = Keeper { side, url, door, inbound, backoff, grace: welcome.grace, owner };
    tokio::spawn(keeper.run(socket));
    Ok(owned)
}

/// One attempt to connect and to be welcomed.
async fn attempt<S: Side>(
    side: &mut S,
    url: &Uri,
    door: &Door,
    resume_seq: Option<u32>,
) -> Result<(Socket, Welcome), Error> {
    let mut connected = Socket::connect(url, side.hello(resume_seq), door).await;
    if let Err(Error::Refused(refused)) = &connected
        && side.mend(refused, door).await?
    {
        connected = Socket::connect(url, side.hello(resume_seq), door).await;
    }
    let (socket, answer) = connected?;
    let welcome = side.welcomed(answer, Instant::now())?;
    Ok((socket, welcome))
}

impl<S: Side> Keeper<S> {
    async fn run(mut self, mut socket: Socket) {
        loop {
            let began = Instant::now();
            let end = self.serve(&mut socket).await;
            if began.elapsed() >= STOOD_MIN {
                self.backoff.reset();
            }
            let why = match end {
                End::Closed => {
                    self.flush(&mut socket).await;
                    self.side.closed();
                    return socket.close().await;
                }
                End::Over => return socket.close().await,
                End::Lost(why) => why,
            };
            if !self.may_return(&why) {
                self.side.news(News::Gone(Arc::new(why)));
                return socket.close().await;
            }
            // Not closed with a word: that would say that the user leaves.
            drop(socket);
            match self.come_back(Arc::new(why)).await {
                Some(new) => socket = new,
                None => return,
            }
        }
    }

    fn may_return(&self, why: &Error) -> bool {
        self.door.options.reconnect && why.verdict() != Verdict::Never
    }

    /// Serves a connection until it ends.
    async fn serve(&mut self, socket: &mut Socket) -> End {
        loop {
            let until = match self.send_due(socket).await {
                Ok(until) => until,
                Err(error) => return End::Lost(error),
            };
            let may_read = self.side.has_room();
            let frame = tokio::select! {
                _ = &mut self.owner => return End::Closed,
                frame = socket.next(), if may_read => frame,
                () = self.side.woken() => continue,
                () = sleep_until(until) => continue,
            };
            match frame.and_then(|frame| self.received(frame)) {
                Ok(Flow::On) => {}
                Ok(Flow::Over) => return End::Over,
                Err(error) => return End::Lost(error),
            }
        }
    }

    /// Sends all that can leave now, and tells when to look again.
    async fn send_due(&mut self, socket: &mut Socket) -> Result<Instant, Error> {
        loop {
            let now = Instant::now();
            if !self.side.has_room() {
                self.inbound.not_listening(now);
            }
            let paced = match self.side.next(now) {
                Next::Message((request, body)) => {
                    self.send(socket, request, body).await?;
                    continue;
                }
                Next::At(at) => Some(at),
                Next::Nothing => None,
            };
            match self.inbound.due(now) {
                Due::Ping => self.send(socket, 0, ping()).await?,
                Due::GiveUp { silent } => return Err(Error::Silent { silent_ms: silent.as_millis() as u64 }),
                Due::Nothing { until } => return Ok(paced.map_or(until, |at| at.min(until))),
            }
        }
    }

    async fn send(&mut self, socket: &mut Socket, request: u32, body: client_frame::Body) -> Result<(), Error> {
        socket.send(ClientFrame { request, seen: self.inbound.seen(), body: Some(body) }).await?;
        self.inbound.said();
        Ok(())
    }

    fn received(&mut self, frame: v1::ServerFrame) -> Result<Flow, Error> {
        let counted = self.inbound.came(frame.seq, Instant::now());
        counted.map_err(|Lost { expected, got }| Error::FrameLost { expected, got })?;
        match frame.body {
            Some(server_frame::Body::SynClosing(closing)) => Err(Error::Closing(closing)),
            Some(body) => self.side.frame(frame.request, body),
            // A newer server's event, which this client does not know.
            None => Ok(Flow::On),
        }
    }

    /// What was sent before the owner went is still to leave.
    async fn flush(&mut self, socket: &mut Socket) {
        let limit = self.door.options.request_timeout;
        let all = async {
            loop {
                match self.side.next(Instant::now()) {
                    Next::Message((request, body)) => self.send(socket, request, body).await?,
                    Next::At(at) => sleep_until(at).await,
                    Next::Nothing => return Ok::<(), Error>(()),
                }
            }
        };
        // Nobody is there any more to be told that it did not work.
        let _ = timeout(limit, all).await;
    }

    /// Tries to connect until the line is up again; `None` if it is gone, or not wanted any more.
    async fn come_back(&mut self, mut why: Arc<Error>) -> Option<Socket> {
        let dropped = Instant::now();
        let give_up_at = dropped + self.grace.saturating_add(self.door.options.grace_margin);
        loop {
            let wait = match why.verdict() {
                Verdict::Again { after } => self.backoff.next(rand::random(), after),
                Verdict::Never => return self.gone(why),
            };
            let attempt_at = Instant::now() + wait;
            if attempt_at > give_up_at {
                let away_ms = dropped.elapsed().as_millis() as u64;
                return self.gone(Arc::new(Error::TooLong { away_ms, last: why }));
            }
            self.side.news(News::Dropped { why: Arc::clone(&why), next_attempt: wait });
            let Self { side, url, door, inbound, owner, .. } = self;
            let returned = async {
                sleep(wait).await;
                // Whoever does not listen to what came before is not connected for more.
                let room = async {
                    while !side.has_room() {
                        side.woken().await
                    }
                };
                // At the end of the time the attempt is made all the same, as the last one.
                let _ = timeout_at(give_up_at, room).await;
                attempt(side, url, door, Some(inbound.seen())).await
            };
            let returned = tokio::select! {
                _ = owner => {
                    self.side.closed();
                    return None;
                }
                returned = returned => returned,
            };
            match returned {
                Ok((socket, welcome)) => match self.returned(socket, welcome).await {
                    Ok(socket) => return Some(socket),
                    Err(error) => why = Arc::new(error),
                },
                Err(error) => why = Arc::new(error),
            }
        }
    }

    async fn returned(&mut self, mut socket: Socket, welcome: Welcome) -> Result<Socket, Error> {
        self.grace = welcome.grace;
        self.inbound.returned(welcome.after_seq, Instant::now());
        self.side.news(News::Resumed { complete: welcome.resumed });
        // A client that comes back and says nothing does not win time.
        self.send(&mut socket, 0, ping()).await?;
        Ok(socket)
    }

    fn gone(&mut self, why: Arc<Error>) -> Option<Socket> {
        self.side.news(News::Gone(why));
        None
    }
}

fn ping() -> client_frame::Body {
    client_frame::Body::Ping(v1::Ping { payload: 0 })
}
