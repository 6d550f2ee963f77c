//! Chat in the lobby: who is in which room, what was said there last, who may say something, and who does not want
//! to hear it.
//!
//! What is said in a room goes to those who are connected, outside of their lines: it is not kept for who has
//! dropped, so it never pushes out what must not be missed. Who comes back is told how far each room is, and asks for
//! the rest. What is said directly or in a guild is Db's, and part of the line as every answer and all news.
//!
//! Invariant: only users with a line are in rooms. Messages that wait for the moderation are limited, and each ends
//! by its verdict or its deadline.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::{Due, Lobby, REQUESTS_PER_USER_MAX, User, refuse_user, tell};
use crate::chat::{
    self, Answer, Ask, Channel, ChatMessage, Limits, Moderate, News, OnFailure, ROOM_KEPT_MAX, ROOMS_PER_USER_MAX,
    TEXT_CHARS_MAX, To, Verdict,
};
use crate::ids::{ConnectionId, RoomName, Time, UserId};
use crate::message::{Message, Notice, ServiceName, ToUsers};
use crate::rate::Buckets;
use crate::refusal::Refusal;
use crate::{Context, db, text};

/// How many messages may wait for the moderation at once.
pub const MODERATED_AT_ONCE_MAX: usize = 256;
/// How much longer than its own limit the moderation may take before the lobby gives it up.
const MODERATION_MARGIN_MS: u64 = 500;
/// The longest reason of a verdict that is told, in characters.
const REASON_CHARS_MAX: usize = 200;
/// How many users' buckets are kept; those who have said the least are forgotten first.
const BUCKETS_MAX: usize = 65_536;

/// What the lobby keeps of chat.
#[derive(Debug, Clone)]
pub(super) struct Chat {
    limits: Limits,
    rooms: BTreeMap<RoomName, Room>,
    buckets: Buckets<UserId>,
    /// The messages that wait for the moderation, by the lobby's number.
    moderated: BTreeMap<u64, Waiting>,
}

#[derive(Debug, Clone, Default)]
struct Room {
    members: BTreeSet<UserId>,
    kept: VecDeque<Arc<ChatMessage>>,
    /// How many messages there were.
    count: u64,
}

#[derive(Debug, Clone)]
struct Waiting {
    user: UserId,
    to: To,
    /// Where that was when it was said.
    channel: Channel,
    text: String,
}

impl Chat {
    pub fn new(limits: Limits) -> Self {
        let rooms = limits.rooms.iter().map(|name| (name.clone(), Room::default())).collect();
        let buckets = Buckets::over(limits.messages, limits.per_ms, BUCKETS_MAX);
        Self { limits, rooms, buckets, moderated: BTreeMap::new() }
    }

    /// A user who logs out, or whose client begins anew, is in no room.
    pub fn leave_all(&mut self, user: UserId) {
        for room in self.rooms.values_mut() {
            room.members.remove(&user);
        }
    }

    /// How far the rooms are that a user is in.
    pub fn rooms_of(&self, user: UserId) -> Vec<(RoomName, u64)> {
        let rooms = self.rooms.iter().filter(|(_, room)| room.members.contains(&user));
        rooms.map(|(name, room)| (name.clone(), room.count)).collect()
    }

    fn room(&mut self, name: &RoomName) -> Result<&mut Room, Refusal> {
        let shortened: String = name.as_str().chars().take(32).collect();
        self.rooms.get_mut(name).ok_or_else(|| Refusal::NotFound(format!("room named {shortened:?}")))
    }

    fn join(&mut self, user: UserId, name: &RoomName) -> Result<Answer, Refusal> {
        let others = self.rooms.values().filter(|room| room.members.contains(&user)).count();
        let members_max = self.limits.room_members;
        let room = self.room(name)?;
        if !room.members.contains(&user) {
            if others >= ROOMS_PER_USER_MAX {
                return Err(Refusal::Busy("you are in as many rooms as you may be in: leave one first"));
            }
            if room.members.len() >= members_max {
                return Err(Refusal::Overloaded("users in this room"));
            }
            room.members.insert(user);
        }
        Ok(Answer::Joined { room: name.clone(), last_id: room.count, members: room.members.len() })
    }

    /// The room, for a user who has to be in it.
    fn of_member(&mut self, user: UserId, name: &RoomName) -> Result<&mut Room, Refusal> {
        let room = self.room(name)?;
        match room.members.contains(&user) {
            true => Ok(room),
            false => Err(Refusal::OutOfOrder("join the room first")),
        }
    }

    fn history(&mut self, user: UserId, name: &RoomName, before: u64, limit: usize) -> Result<Answer, Refusal> {
        let limit = chat::shown(limit)?;
        let room = self.of_member(user, name)?;
        let earlier = room.kept.iter().rev().filter(|message| before == 0 || message.id < before);
        let mut messages: Vec<Arc<ChatMessage>> = earlier.take(limit).cloned().collect();
        messages.reverse();
        Ok(Answer::Messages(Channel::Room(name.clone()), messages))
    }
}

impl Room {
    fn say(&mut self, from: UserId, name: String, text: String, now: Time) -> Arc<ChatMessage> {
        self.count += 1;
        let message = Arc::new(ChatMessage { id: self.count, from, name, text, sent: now });
        self.kept.push_back(Arc::clone(&message));
        if self.kept.len() > ROOM_KEPT_MAX {
            self.kept.pop_front();
        }
        message
    }
}

impl Lobby {
    /// The same lobby, by these rules of chat.
    pub fn with_chat(mut self, limits: Limits) -> Self {
        self.chat = Chat::new(limits);
        self
    }

    pub(super) fn req_chat(&mut self, connection: ConnectionId, request: u32, ask: Ask, cx: &mut Context<'_>) {
        let Some((id, _)) = self.signed_in(connection, request, cx) else { return };
        let result = match ask {
            Ask::Join(room) => self.chat.join(id, &room),
            Ask::Leave(room) => match self.chat.room(&room) {
                Ok(room) => {
                    room.members.remove(&id);
                    return self.tell(id, request, Notice::Answer(Arc::new(db::Answer::Done)), cx);
                }
                Err(refusal) => Err(refusal),
            },
            Ask::History(To::Room(room), before, limit) => self.chat.history(id, &room, before, limit),
            Ask::History(of, before, limit) => {
                let history = chat::Request::History { of, before, limit };
                return self.ask_db(id, request, Box::new(db::Request::Chat(history)), cx);
            }
            Ask::Report(of, message, reason) => match self.report(id, of, message, reason, cx) {
                Ok(report) => return self.ask_db(id, request, Box::new(db::Request::Chat(report)), cx),
                Err(refusal) => Err(refusal),
            },
            Ask::Say(to, text) => match self.may_say(id, &to, &text, cx) {
                Ok(text) => return self.say(id, request, to, text, cx),
                Err(refusal) => Err(refusal),
            },
        };
        let result = result.map(|answer| Box::new(db::Answer::Chat(answer)));
        self.tell_result(id, request, result, cx);
    }

    /// A user's report of a message, which counts as one of the user's own.
    fn report(
        &mut self,
        id: UserId,
        of: To,
        number: u64,
        reason: String,
        cx: &Context<'_>,
    ) -> Result<chat::Request, Refusal> {
        let message = match &of {
            To::Room(room) => {
                let mut kept = self.chat.of_member(id, room)?.kept.iter();
                let found = kept.find(|message| message.id == number).cloned();
                Some(found.ok_or_else(|| Refusal::NotFound("such message any more".to_owned()))?)
            }
            To::Direct(_) | To::Guild => None,
        };
        let too_often = |ms| Refusal::TooOften { what: "messages from you", ms };
        self.chat.buckets.take(id, cx.now).map_err(too_often)?;
        Ok(chat::Request::Report { of, id: number, message, reason })
    }

    /// Whether a user may say this here and now; what is said then.
    fn may_say(&mut self, id: UserId, to: &To, text: &str, cx: &Context<'_>) -> Result<String, Refusal> {
        let text = text::line(text, 1..=TEXT_CHARS_MAX, "a message")?;
        self.may_speak(id, to, cx)?;
        let too_often = |ms| Refusal::TooOften { what: "messages from you", ms };
        self.chat.buckets.take(id, cx.now).map_err(too_often)?;
        Ok(text)
    }

    /// Whether a user may speak there now.
    fn may_speak(&mut self, id: UserId, to: &To, cx: &Context<'_>) -> Result<(), Refusal> {
        let entered = self.users.get(&id).and_then(|user| user.entered.as_ref());
        // Without Db it is not known who is muted.
        let entered = entered.ok_or(Refusal::ServiceDown(ServiceName::Db))?;
        if entered.muted_until.is_some_and(|until| until > cx.now) {
            return Err(Refusal::Forbidden("you are muted: you can read, and write again later"));
        }
        match to {
            To::Room(room) => _ = self.chat.of_member(id, room)?,
            To::Direct(other) if *other == id => return Err(Refusal::Invalid("this is your own id".to_owned())),
            To::Direct(other) if entered.blocked.contains(other) => {
                return Err(Refusal::Forbidden("you have blocked this user: unblock them first"));
            }
            To::Direct(_) => {}
            To::Guild if entered.guild.is_none() => return Err(no_guild()),
            To::Guild => {}
        }
        Ok(())
    }

    /// Says something, after the moderation if there is one.
    fn say(&mut self, id: UserId, request: u32, to: To, text: String, cx: &mut Context<'_>) {
        let Some(moderation) = &self.chat.limits.moderation else { return self.pass_on(id, request, to, text, cx) };
        let Some(user) = self.users.get_mut(&id) else { return };
        if user.asked.len() >= REQUESTS_PER_USER_MAX {
            return refuse_user(user, request, Refusal::Overloaded("requests of yours that are under way"), cx);
        }
        if self.chat.moderated.len() >= MODERATED_AT_ONCE_MAX {
            return match moderation.on_failure {
                OnFailure::Allow => self.pass_on(id, request, to, text, cx),
                OnFailure::Refuse => refuse_user(user, request, Refusal::Overloaded("messages being checked"), cx),
            };
        }
        let channel = match (&to, user.entered.as_ref().and_then(|entered| entered.guild)) {
            (To::Room(room), _) => Channel::Room(room.clone()),
            (To::Direct(other), _) => Channel::Direct(*other),
            (To::Guild, Some(membership)) => Channel::Guild(membership.guild),
            (To::Guild, None) => return refuse_user(user, request, no_guild(), cx),
        };
        self.requests += 1;
        let number = self.requests;
        user.asked.insert(number, request);
        self.deadlines.set(Due::Moderated(number), cx.now.plus_ms(moderation.timeout_ms + MODERATION_MARGIN_MS));
        let name = user.record.name.clone();
        cx.send(Message::Moderate(Moderate { number, channel: channel.clone(), user: id, name, text: text.clone() }));
        self.chat.moderated.insert(number, Waiting { user: id, to, channel, text });
    }

    /// What the moderation says of a message; `None`: it has said nothing.
    pub(super) fn moderated(&mut self, number: u64, verdict: Option<Verdict>, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Moderated(number));
        let Some(Waiting { user: id, to, channel, text }) = self.chat.moderated.remove(&number) else { return };
        let on_failure = self.chat.limits.moderation.as_ref().map(|moderation| moderation.on_failure);
        let Some(user) = self.users.get_mut(&id) else { return };
        // Else the user's client has begun anew, and does not know of it any more.
        let Some(request) = user.asked.remove(&number) else { return };
        let said = match verdict {
            Some(Verdict { allow: false, reason, .. }) => Err(Refusal::Invalid(not_allowed(&reason))),
            Some(Verdict { text: Some(replaced), .. }) => text::line(&replaced, 1..=TEXT_CHARS_MAX, "a message")
                .map_err(|wrong| {
                    cx.fault(format!("what the moderation says in a message's place cannot be said: {wrong}"));
                    Refusal::Internal("the moderation's answer cannot be used")
                }),
            None if on_failure == Some(OnFailure::Refuse) => Err(Refusal::Overloaded("messages being checked")),
            Some(_) | None => Ok(text),
        };
        // Meanwhile the user may have been muted, or have gone elsewhere.
        let said = said.and_then(|text| {
            self.may_speak(id, &to, cx)?;
            let entered = self.users.get(&id).and_then(|user| user.entered.as_ref());
            let guild = entered.and_then(|entered| entered.guild).map(|membership| membership.guild);
            match channel {
                Channel::Guild(of) if guild != Some(of) => Err(no_guild()),
                _ => Ok(text),
            }
        });
        match said {
            Ok(text) => self.pass_on(id, request, to, text, cx),
            Err(refusal) => self.tell_result(id, request, Err(refusal), cx),
        }
    }

    /// Says something that may be said.
    fn pass_on(&mut self, id: UserId, request: u32, to: To, text: String, cx: &mut Context<'_>) {
        let Some(user) = self.users.get(&id) else { return };
        let name = user.record.name.clone();
        let To::Room(room_name) = to else {
            let say = chat::Request::Say { to, name, text };
            return self.ask_db(id, request, Box::new(db::Request::Chat(say)), cx);
        };
        // The user may have left it while the message was being checked.
        let room = match self.chat.of_member(id, &room_name) {
            Ok(room) => room,
            Err(refusal) => return self.tell_result(id, request, Err(refusal), cx),
        };
        let message = room.say(id, name, text, cx.now);
        let channel = Channel::Room(room_name);
        fan_out(&self.users, &room.members, &channel, &message, cx);
        let said = db::Answer::Chat(Answer::Said(channel, message));
        self.tell_result(id, request, Ok(Box::new(said)), cx);
    }

    fn tell_result(
        &mut self,
        id: UserId,
        request: u32,
        result: Result<Box<db::Answer>, Refusal>,
        cx: &mut Context<'_>,
    ) {
        let Some(user) = self.users.get_mut(&id) else { return };
        match result {
            Ok(answer) => {
                let notice = Notice::Answer(Arc::from(without_blocked(user.entered.as_ref(), answer)));
                tell(user, request, notice, cx);
            }
            Err(refusal) => refuse_user(user, request, refusal, cx),
        }
    }

    /// Tells a user who has come back how far the rooms are.
    pub(super) fn tell_rooms(&mut self, id: UserId, cx: &mut Context<'_>) {
        let rooms = self.chat.rooms_of(id);
        if !rooms.is_empty() {
            self.tell(id, 0, Notice::News(Arc::new(db::News::Chat(News::Rooms(rooms)))), cx);
        }
    }
}

/// Brings a message to those of a channel's members who are connected, but for who said it and who has blocked them.
fn fan_out(
    users: &HashMap<UserId, User>,
    members: &BTreeSet<UserId>,
    channel: &Channel,
    message: &Arc<ChatMessage>,
    cx: &mut Context<'_>,
) {
    let hears = |member: &UserId| {
        let user = users.get(member)?;
        // Of whom Db has told nothing it is not known whom they have blocked.
        let is_blocked = user.entered.as_ref().is_none_or(|entered| entered.blocked.contains(&message.from));
        user.line.connection().filter(|_| !is_blocked)
    };
    let others = members.iter().filter(|member| **member != message.from);
    let connections: Vec<ConnectionId> = others.filter_map(hears).collect();
    if !connections.is_empty() {
        let news = db::News::Chat(News::Said(channel.clone(), Arc::clone(message)));
        cx.send(Message::Users(ToUsers { connections, notice: Notice::News(Arc::new(news)) }));
    }
}

/// What somebody has said whom the reader has blocked is left out; all of it, while that is not known.
pub(super) fn without_blocked(entered: Option<&db::Entered>, mut answer: Box<db::Answer>) -> Box<db::Answer> {
    if let db::Answer::Chat(Answer::Messages(_, messages)) = &mut *answer {
        messages.retain(|message| entered.is_some_and(|entered| !entered.blocked.contains(&message.from)));
    }
    answer
}

fn no_guild() -> Refusal {
    Refusal::NotFound("guild that you are in: join one or found one".to_owned())
}

fn not_allowed(reason: &str) -> String {
    match text::line(reason, 1..=REASON_CHARS_MAX, "a reason") {
        Ok(reason) => format!("this message is not allowed: {reason}"),
        Err(_) => "this message is not allowed".to_owned(),
    }
}
