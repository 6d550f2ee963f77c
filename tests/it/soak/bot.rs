//! A user: signs in, buys, looks for a game, plays it, leaves it or sees its end, and begins again, whatever happens.
//!
//! Invariant: what a bot believes of itself (free, searching, or in which game) is what it was told last.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scenehost_client::v1::Code;
use scenehost_client::v1::syn_scene_ended::Reason;
use scenehost_client::{Credential, Encoding, Error, Lobby, LobbyEvent, Match, Options, Scene, SceneEvent, v1};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::game::{Game, Heard, thinks};
use super::shopping::Basket;
use super::watch::{Answer, Record, Watch};
use crate::player::device;

/// How often a bot looks at what there is to do.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After so long without a word the game is asked for one.
const QUIET_MAX: Duration = Duration::from_millis(900);
/// Before something that was refused for now is asked for again.
const AGAIN_AFTER: Duration = Duration::from_millis(400);
/// A search that takes longer is taken back.
const SEARCH_MAX: Duration = Duration::from_secs(20);
/// A game that takes longer is left.
const GAME_MAX: Duration = Duration::from_secs(90);
/// How long the lobby may take to say that a game is over that has said so itself, all being well.
const END_MAX: Duration = Duration::from_secs(15);
/// A bot buys something after so many looks, on average.
const LOOKS_PER_PURCHASE: u32 = 40;

/// What a client is set to that belongs to a game in which seconds count.
fn options(encoding: Encoding) -> Options {
    Options {
        encoding,
        connect_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(8),
        match_timeout: Duration::from_secs(60),
        ping_after: Duration::from_secs(3),
        pong_timeout: Duration::from_secs(2),
        backoff_max: Duration::from_secs(1),
        events_len_max: 256,
        ..Options::default()
    }
}

pub struct Bot {
    number: usize,
    device: String,
    /// The address of the load balancer.
    front: String,
    /// What it plays.
    domains: &'static [&'static str],
    rng: StdRng,
    options: Options,
    watch: Arc<Watch>,
    record: Record,
    stop: watch::Receiver<bool>,
    user: String,
    now: Now,
    /// The game that was over as far as the lobby knew when the bot came back, which may not have found it yet.
    before: Option<(String, Game)>,
    basket: Basket,
}

/// What a bot is in.
enum Now {
    Free,
    Searching { since: Instant },
    Seated(Box<Seat>),
}

struct Seat {
    way: Match,
    since: Instant,
    game: Game,
    scene: Option<Scene>,
    /// When the connection was made that stands.
    connected: Instant,
    /// Nothing was said since then.
    is_fresh: bool,
    speaks_at: Instant,
    /// When the game itself has said that it is over.
    over: Option<Instant>,
    /// The bot has had enough of it and has asked to leave: then it ends as the last one leaves.
    leaves: bool,
}

/// An answer to the one request that a bot has made.
enum Answered {
    Search(Result<Match, Error>),
    Rejoin(Result<Match, Error>),
    Enter(Box<Result<Scene, Error>>),
    Leave(Result<v1::SynSceneEnded, Error>),
}

type Asking<'a, T> = Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>;

/// Why a bot is not at its lobby any more.
enum End {
    Stop,
    Gone,
}

impl Bot {
    pub fn new(
        number: usize,
        (seed, domains): (u64, &'static [&'static str]),
        front: String,
        watch: Arc<Watch>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let encoding = if number.is_multiple_of(4) { Encoding::Json } else { Encoding::Proto };
        Self {
            number,
            device: device(),
            front,
            domains,
            rng: StdRng::seed_from_u64(seed ^ (number as u64) << 32),
            options: options(encoding),
            record: Record::new(&watch, number),
            watch,
            stop,
            user: String::new(),
            now: Now::Free,
            before: None,
            basket: Basket::new(number),
        }
    }

    /// Plays until the soak stops, and gives back what was bought.
    pub async fn live(mut self) -> (Options, String, Basket) {
        while let Some(lobby) = self.sign_in().await {
            match self.stay(&lobby).await {
                End::Stop => break,
                End::Gone => self.note("gone", json!(lobby.end().map(ToString::to_string))),
            }
        }
        let credential = self.device;
        (self.options, credential, self.basket)
    }

    fn note(&mut self, what: &str, more: Value) {
        self.watch.count(what);
        self.record.note(&self.watch, what, more);
    }

    fn sign(&self) {
        self.watch.sign(self.number);
    }

    /// `None`: the soak is over.
    async fn sign_in(&mut self) -> Option<Lobby> {
        while !*self.stop.borrow() {
            let name = format!("Bot {}", self.number);
            let credential = Credential::Guest { device_id: self.device.clone(), name };
            match Lobby::connect(&self.front, credential, self.options.clone()).await {
                Ok(lobby) => {
                    self.sign();
                    let session = lobby.session();
                    if !self.user.is_empty() && self.user != session.user_id {
                        self.watch.broken(format!("bot {} was {} and is {}", self.number, self.user, session.user_id));
                    }
                    self.note("signed-in", json!({ "user": session.user_id, "scene": session.scene_id }));
                    self.user = session.user_id;
                    return Some(lobby);
                }
                Err(error) => {
                    self.told(&error);
                    self.note("not-signed-in", json!(error.to_string()));
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
        None
    }

    /// What a server says is a sign of life, also if it is no.
    fn told(&self, error: &Error) {
        if matches!(error, Error::Refused(_) | Error::Closing(_)) {
            self.sign();
        }
    }

    /// From a sign-in to the end of the lobby's line.
    async fn stay(&mut self, lobby: &Lobby) -> End {
        let mut asking: Asking<'_, Answered> = None;
        let mut shopping: Asking<'_, Result<v1::ResShop, Error>> = None;
        let mut taking_back: Asking<'_, Result<(), Error>> = None;
        self.resync(lobby, &mut asking);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stop = self.stop.clone();
        loop {
            let scene = match &mut self.now {
                Now::Seated(seat) => seat.scene.as_mut(),
                _ => None,
            };
            tokio::select! {
                event = lobby.next() => match event {
                    None | Some(LobbyEvent::Gone(_)) => return End::Gone,
                    Some(event) => self.lobby_event(lobby, event, &mut asking),
                },
                event = next(scene) => self.scene_event(lobby, event, &mut asking),
                answered = poll(&mut asking) => {
                    asking = None;
                    self.answered(lobby, answered, &mut asking);
                }
                bought = poll(&mut shopping) => {
                    shopping = None;
                    self.bought(bought);
                }
                taken_back = poll(&mut taking_back) => {
                    taking_back = None;
                    self.note("search-taken-back", json!(taken_back.err().map(|error| error.to_string())));
                }
                _ = look.tick() => {
                    if shopping.is_none() && (self.basket.is_open() || self.rng.random_ratio(1, LOOKS_PER_PURCHASE)) {
                        let ask = self.basket.ask(&mut self.rng);
                        shopping = Some(Box::pin(lobby.shop(ask)));
                    }
                    if let Now::Searching { since } = self.now && since.elapsed() > SEARCH_MAX && taking_back.is_none() {
                        taking_back = Some(Box::pin(lobby.cancel_match()));
                    }
                    self.looks(lobby, &mut asking).await;
                }
                () = stopped(&mut stop) => return End::Stop,
            }
        }
    }

    /// What the lobby says of the user's state counts, after a sign-in and after a return where something was missed.
    fn resync<'a>(&mut self, lobby: &'a Lobby, asking: &mut Asking<'a, Answered>) {
        let session = lobby.session();
        // The client goes on with a search that the server knows of, and ends one that it does not.
        if matches!(self.now, Now::Searching { .. }) && asking.is_some() {
            return;
        }
        // A fresh lobby knows of no seats until SceneMaster has told it, and the way in comes then.
        if session.scene_id.is_empty() && session.services_down().any(|service| service == v1::Service::SceneMaster) {
            return;
        }
        let in_scene = match &self.now {
            Now::Seated(seat) => Some(seat.way.scene_id.clone()),
            _ => None,
        };
        if session.scene_id.is_empty() {
            if let Some(scene) = in_scene {
                self.note("ended-meanwhile", json!(scene));
            }
            self.has_no_seat();
            *asking = None;
        } else if in_scene.as_ref() != Some(&session.scene_id) {
            self.note("seat-found", json!({ "scene": session.scene_id, "before": in_scene }));
            self.now = Now::Free;
            self.rejoin(lobby, asking);
        }
    }

    /// As far as the lobby knows.
    fn has_no_seat(&mut self) {
        if let Now::Seated(seat) = std::mem::replace(&mut self.now, Now::Free) {
            self.before = Some((seat.way.scene_id, seat.game));
        }
    }

    fn rejoin<'a>(&mut self, lobby: &'a Lobby, asking: &mut Asking<'a, Answered>) {
        *asking = Some(Box::pin(async move {
            sleep(AGAIN_AFTER).await;
            Answered::Rejoin(lobby.rejoin().await)
        }));
    }

    fn lobby_event<'a>(&mut self, lobby: &'a Lobby, event: LobbyEvent, asking: &mut Asking<'a, Answered>) {
        match event {
            LobbyEvent::Dropped { why, .. } => {
                self.told(&why);
                return self.note("lobby-dropped", json!(why.to_string()));
            }
            LobbyEvent::Resumed { complete } => {
                self.note("lobby-resumed", json!(complete));
                if !complete {
                    self.resync(lobby, asking);
                }
            }
            LobbyEvent::Match(way) => self.has_way(way, asking),
            LobbyEvent::SceneEnded(ended) => self.ended(&ended, asking),
            LobbyEvent::Service(service) => {
                let text = format!("{} {}", service.service().as_str_name(), if service.up { "up" } else { "down" });
                self.note(&text, Value::Null);
            }
            _ => {}
        }
        self.sign();
    }

    /// A seat is the bot's: in a new game, or in one that goes on.
    fn has_way(&mut self, way: Match, asking: &mut Asking<'_, Answered>) {
        self.note("way-in", json!({ "scene": way.scene_id, "domain": way.domain, "at": way.scene_url }));
        match &mut self.now {
            Now::Seated(seat) if seat.way.scene_id == way.scene_id => {
                (seat.scene, seat.over) = (None, None);
                seat.way = way.clone();
            }
            now => {
                if let Now::Seated(seat) = now
                    && seat.over.is_none()
                {
                    let what = format!("bot {} is in {} and is given {}", self.number, seat.way.scene_id, way.scene_id);
                    self.watch.broken(what);
                }
                let before = self.before.take().filter(|(scene, _)| *scene == way.scene_id);
                let game = before.map_or_else(|| Game::new(&way.domain, &mut self.rng), |(_, game)| game);
                let since = Instant::now();
                *now = Now::Seated(Box::new(Seat {
                    way: way.clone(),
                    since,
                    game,
                    scene: None,
                    connected: since,
                    is_fresh: true,
                    speaks_at: since,
                    over: None,
                    leaves: false,
                }));
            }
        }
        let options = self.options.clone();
        *asking = Some(Box::pin(async move { Answered::Enter(Box::new(Scene::join(&way, &options).await)) }));
    }

    /// The lobby says that a game is over.
    fn ended(&mut self, ended: &v1::SynSceneEnded, asking: &mut Asking<'_, Answered>) {
        let reason = ended.reason().as_str_name();
        self.note(&format!("ended {reason}"), json!({ "scene": ended.scene_id, "text": ended.text }));
        if let Now::Seated(seat) = &self.now
            && seat.way.scene_id == ended.scene_id
        {
            let is_own = seat.leaves || matches!(ended.reason(), Reason::Finished | Reason::Left);
            if !is_own {
                self.watch.count(format!("cut short: {} {reason}: {}", seat.way.domain, ended.text));
            }
            self.now = Now::Free;
            *asking = None;
        }
    }

    fn scene_event<'a>(&mut self, lobby: &'a Lobby, event: Option<SceneEvent>, asking: &mut Asking<'a, Answered>) {
        let Now::Seated(seat) = &mut self.now else { return };
        match event {
            Some(SceneEvent::Message(body)) => {
                let heard = seat.game.hears(&body);
                let (scene, node) = (seat.way.scene_id.clone(), seat.way.scene_url.clone());
                match heard {
                    Heard::Nothing | Heard::Over => {}
                    Heard::Answer(said) => {
                        let answer = Answer { node, since: seat.connected, said, heard: Instant::now() };
                        self.watch.answered(&scene, answer);
                    }
                    Heard::Lost(lost) => {
                        self.watch.add("messages that a game which went on did not keep", lost);
                        self.note("lost", json!({ "scene": scene, "messages": lost }));
                    }
                    Heard::Wrong(what) => self.watch.broken(format!("bot {} in {scene}: {what}", self.number)),
                }
                self.sign();
            }
            Some(SceneEvent::Pong { .. } | SceneEvent::Refused(_)) => self.sign(),
            Some(SceneEvent::Ended(ended)) => {
                (seat.scene, seat.over) = (None, Some(Instant::now()));
                self.note("over", json!(ended.reason().as_str_name()));
                self.sign();
            }
            Some(SceneEvent::Dropped { why, .. }) => {
                self.told(&why);
                self.note("scene-dropped", json!(why.to_string()));
            }
            Some(SceneEvent::Resumed { complete }) => {
                seat.connected = Instant::now();
                seat.is_fresh |= !complete;
                self.note("scene-resumed", json!(complete));
                self.sign();
            }
            Some(SceneEvent::Gone(why)) => {
                seat.scene = None;
                self.told(&why);
                self.note("scene-gone", json!(why.to_string()));
                if asking.is_none() {
                    self.rejoin(lobby, asking);
                }
            }
            None => seat.scene = None,
        }
    }

    fn answered<'a>(&mut self, lobby: &'a Lobby, answered: Answered, asking: &mut Asking<'a, Answered>) {
        match answered {
            Answered::Search(Ok(way)) => {
                self.sign();
                self.has_way(way, asking);
            }
            Answered::Search(Err(error)) => {
                self.told(&error);
                self.note(&format!("no match: {}", short(&error)), json!(error.to_string()));
                self.now = Now::Free;
                // Busy: with a game that the bot does not know of, perhaps.
                let is_busy = matches!(&error, Error::Refused(refused) if refused.code() == Code::Busy);
                if is_busy || !lobby.session().scene_id.is_empty() {
                    self.rejoin(lobby, asking);
                }
            }
            Answered::Rejoin(Ok(way)) => {
                self.sign();
                self.has_way(way, asking);
            }
            Answered::Rejoin(Err(error)) => {
                self.told(&error);
                self.note(&format!("no way back: {}", short(&error)), json!(error.to_string()));
                let code = if let Error::Refused(refused) = &error { refused.code() } else { Code::Unspecified };
                match code {
                    Code::NoSeat => self.has_no_seat(),
                    // A way in, or the end, comes by itself.
                    Code::SceneEnded | Code::Restarting => {}
                    _ => self.rejoin(lobby, asking),
                }
            }
            Answered::Enter(entered) => self.entered(lobby, *entered, asking),
            Answered::Leave(Ok(_)) => {
                self.sign();
                if let Now::Seated(seat) = &mut self.now {
                    seat.over = Some(Instant::now());
                }
            }
            Answered::Leave(Err(error)) => {
                self.told(&error);
                self.note("not-left", json!(error.to_string()));
                self.rejoin(lobby, asking);
            }
        }
    }

    fn entered<'a>(&mut self, lobby: &'a Lobby, entered: Result<Scene, Error>, asking: &mut Asking<'a, Answered>) {
        let Now::Seated(seat) = &mut self.now else { return };
        match entered {
            Ok(scene) => {
                let info = scene.info().clone();
                seat.game.entered(info.seat);
                seat.connected = Instant::now();
                (seat.scene, seat.is_fresh, seat.speaks_at) = (Some(scene), true, seat.connected);
                self.watch.seated(&info.scene_id, info.seat, &self.user);
                self.note("entered", json!({ "scene": info.scene_id, "seat": info.seat }));
                self.sign();
            }
            Err(error) => {
                self.told(&error);
                self.note(&format!("not in: {}", short(&error)), json!(error.to_string()));
                self.rejoin(lobby, asking);
            }
        }
    }

    /// Time has passed.
    async fn looks<'a>(&mut self, lobby: &'a Lobby, asking: &mut Asking<'a, Answered>) {
        match &mut self.now {
            Now::Free if asking.is_none() => {
                self.now = Now::Searching { since: Instant::now() };
                let domain = self.domains[self.rng.random_range(0..self.domains.len())];
                self.note("search", json!(domain));
                *asking = Some(Box::pin(async move { Answered::Search(lobby.find_match(domain).await) }));
            }
            Now::Seated(seat) => {
                if let Some(over) = seat.over {
                    if over.elapsed() > END_MAX && asking.is_none() {
                        seat.over = Some(Instant::now());
                        self.note("end-not-told", Value::Null);
                        self.rejoin(lobby, asking);
                    }
                    return;
                }
                let has_enough = seat.game.is_enough() || seat.since.elapsed() > GAME_MAX;
                if has_enough
                    && asking.is_none()
                    && let Some(scene) = seat.scene.take()
                {
                    seat.leaves = true;
                    *asking = Some(Box::pin(async move { Answered::Leave(scene.leave().await) }));
                    return;
                }
                let Some(scene) = &seat.scene else {
                    // Nothing is under way, and nothing was told: the way back is asked for.
                    if asking.is_none() {
                        self.rejoin(lobby, asking);
                    }
                    return;
                };
                if self.watch.is_quiet(self.number, QUIET_MAX) {
                    scene.ping();
                }
                if seat.speaks_at.elapsed().is_zero() {
                    return;
                }
                if let Some(says) = seat.game.says(seat.is_fresh, &mut self.rng)
                    && let Err(error) = scene.send(says).await
                {
                    self.watch.count(format!("not said: {}", short(&error)));
                }
                seat.is_fresh = false;
                seat.speaks_at = Instant::now() + thinks(&mut self.rng);
            }
            _ => {}
        }
    }

    fn bought(&mut self, bought: Result<v1::ResShop, Error>) {
        if let Err(error) = &bought {
            self.told(error);
        }
        let what = self.basket.answered(&bought);
        self.note(what, json!(bought.err().map(|error| error.to_string())));
    }
}

/// An error's kind, to count it by.
fn short(error: &Error) -> String {
    match error {
        Error::Refused(refused) => refused.code().as_str_name().to_owned(),
        Error::Closing(closing) => format!("closed by {}", closing.code().as_str_name()),
        Error::Connect { .. } => "not connected".to_owned(),
        Error::TimedOut { .. } => "timed out".to_owned(),
        Error::OutcomeUnknown => "outcome unknown".to_owned(),
        Error::Cancelled => "cancelled".to_owned(),
        Error::Closed => "closed".to_owned(),
        other => other.to_string().chars().take(40).collect(),
    }
}

/// What was asked for, once it is answered.
async fn poll<T>(asking: &mut Asking<'_, T>) -> T {
    match asking {
        Some(asking) => asking.await,
        None => pending().await,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await; // Its sender gone means the same.
}

async fn next(scene: Option<&mut Scene>) -> Option<SceneEvent> {
    match scene {
        Some(scene) => scene.next().await,
        None => pending().await,
    }
}
