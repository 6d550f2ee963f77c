//! Chat in the lobby: who is in which room, what was said there and in parties last, who may say something, and who
//! does not want to hear it.
//!
//! What is said in a room or a party goes to those who are connected, outside of their lines: it is not kept for who has
//! dropped, so it never pushes out what must not be missed. Who comes back is told how far each of them is, and asks for
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
use crate::ids::{ConnectionId, PartyId, RoomName, Time, UserId};
use crate::message::{Message, Notice, ServiceName, ToUsers};
use crate::party::{Party, no_party};
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
    said: Said,
}

/// What was said last in a room or a party.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
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

    /// A user whose account is closed has said nothing in any room.
    pub fn forget(&mut self, user: UserId) {
        self.rooms.values_mut().for_each(|room| room.said.forget(user));
    }

    /// How far the rooms are that a user is in.
    pub fn rooms_of(&self, user: UserId) -> Vec<(RoomName, u64)> {
        let rooms = self.rooms.iter().filter(|(_, room)| room.members.contains(&user));
        rooms.map(|(name, room)| (name.clone(), room.said.count)).collect()
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
                return Err(Refusal::Busy("you are in as many rooms as you may be in: leave one first".into()));
            }
            if room.members.len() >= members_max {
                return Err(Refusal::Overloaded("users in this room".into()));
            }
            room.members.insert(user);
        }
        Ok(Answer::Joined { room: name.clone(), last_id: room.said.count, members: room.members.len() })
    }

    /// The room, for a user who has to be in it.
    fn of_member(&mut self, user: UserId, name: &RoomName) -> Result<&mut Room, Refusal> {
        let room = self.room(name)?;
        match room.members.contains(&user) {
            true => Ok(room),
            false => Err(Refusal::OutOfOrder("join the room first".into())),
        }
    }
}

impl Said {
    /// How many messages there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Lets go of what a user has said.
    pub fn forget(&mut self, user: UserId) {
        self.kept.retain(|message| message.from != user);
    }

    fn find(&self, after: u64, number: u64) -> Result<Arc<ChatMessage>, Refusal> {
        let found = self.kept.iter().find(|message| message.id == number && number > after).cloned();
        found.ok_or_else(|| Refusal::NotFound("such message any more".to_owned()))
    }

    fn history(&self, after: u64, before: u64, limit: usize) -> Result<Vec<Arc<ChatMessage>>, Refusal> {
        let limit = chat::shown(limit)?;
        let earlier =
            self.kept.iter().rev().filter(|message| message.id > after && (before == 0 || message.id < before));
        let mut messages: Vec<Arc<ChatMessage>> = earlier.take(limit).cloned().collect();
        messages.reverse();
        Ok(messages)
    }

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
            Ask::History(of @ (To::Room(_) | To::Party), before, limit) => self.history(id, &of, before, limit),
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

    /// What was said in a room or a party, and where that is.
    fn said(&mut self, id: UserId, of: &To) -> Result<Option<(Channel, &Said)>, Refusal> {
        match of {
            To::Room(name) => Ok(Some((Channel::Room(name.clone()), &self.chat.of_member(id, name)?.said))),
            To::Party => {
                let (party, _, said) = self.parties.said(id).ok_or_else(no_party)?;
                Ok(Some((Channel::Party(party), said)))
            }
            To::Direct(_) | To::Guild => Ok(None),
        }
    }

    fn history(&mut self, id: UserId, of: &To, before: u64, limit: usize) -> Result<Answer, Refusal> {
        // What was said in a party before one came in is not one's own to read.
        let after = if *of == To::Party { self.parties.heard_from(id) } else { 0 };
        let of_lobby = self.said(id, of)?.ok_or(Refusal::Internal("what was said there is kept by Db".into()))?;
        Ok(Answer::Messages(of_lobby.0, of_lobby.1.history(after, before, limit)?))
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
        let after = if of == To::Party { self.parties.heard_from(id) } else { 0 };
        let message = self.said(id, &of)?.map(|(_, said)| said.find(after, number)).transpose()?;
        let too_often = |ms| Refusal::TooOften { what: "messages from you".into(), ms };
        self.chat.buckets.take(id, cx.now).map_err(too_often)?;
        Ok(chat::Request::Report { of, id: number, message, reason })
    }

    /// Whether a user may say this here and now; what is said then.
    fn may_say(&mut self, id: UserId, to: &To, text: &str, cx: &Context<'_>) -> Result<String, Refusal> {
        let text = text::line(text, 1..=TEXT_CHARS_MAX, "a message")?;
        self.may_speak(id, to, cx)?;
        let too_often = |ms| Refusal::TooOften { what: "messages from you".into(), ms };
        self.chat.buckets.take(id, cx.now).map_err(too_often)?;
        Ok(text)
    }

    /// Whether a user may speak there now.
    fn may_speak(&mut self, id: UserId, to: &To, cx: &Context<'_>) -> Result<(), Refusal> {
        let entered = self.users.get(&id).and_then(|user| user.entered.as_ref());
        // Without Db it is not known who is muted.
        let entered = entered.ok_or(Refusal::ServiceDown(ServiceName::Db))?;
        if entered.muted_until.is_some_and(|until| until > cx.now) {
            return Err(Refusal::Forbidden("you are muted: you can read, and write again later".into()));
        }
        match to {
            To::Room(room) => _ = self.chat.of_member(id, room)?,
            To::Direct(other) if *other == id => return Err(Refusal::Invalid("this is your own id".to_owned())),
            To::Direct(other) if entered.blocked.contains(other) => {
                return Err(Refusal::Forbidden("you have blocked this user: unblock them first".into()));
            }
            To::Direct(_) => {}
            To::Guild if entered.guild.is_none() => return Err(no_guild()),
            To::Guild => {}
            To::Party => _ = self.parties.of(id).ok_or_else(no_party)?,
        }
        Ok(())
    }

    /// Says something, after the moderation if there is one.
    fn say(&mut self, id: UserId, request: u32, to: To, text: String, cx: &mut Context<'_>) {
        let Some(moderation) = &self.chat.limits.moderation else { return self.pass_on(id, request, to, text, cx) };
        let Some(user) = self.users.get_mut(&id) else { return };
        if user.asked.len() >= REQUESTS_PER_USER_MAX {
            return refuse_user(user, request, Refusal::Overloaded("requests of yours that are under way".into()), cx);
        }
        if self.chat.moderated.len() >= MODERATED_AT_ONCE_MAX {
            return match moderation.on_failure {
                OnFailure::Allow => self.pass_on(id, request, to, text, cx),
                OnFailure::Refuse => {
                    refuse_user(user, request, Refusal::Overloaded("messages being checked".into()), cx)
                }
            };
        }
        let channel = match channel_of(&to, user.entered.as_ref(), self.parties.of(id)) {
            Ok(channel) => channel,
            Err(refusal) => return refuse_user(user, request, refusal, cx),
        };
        self.requests += 1;
        let number = self.requests;
        user.asked.insert(number, request);
        // It waits for its turn at most as long as it may take then.
        let ask_until = cx.now.plus_ms(moderation.timeout_ms);
        self.deadlines.set(Due::Moderated(number), ask_until.plus_ms(moderation.timeout_ms + MODERATION_MARGIN_MS));
        let name = user.record.name.clone();
        let waiting = Waiting { user: id, to, channel: channel.clone(), text: text.clone() };
        cx.send(Message::Moderate(Moderate { number, ask_until, channel, user: id, name, text }));
        self.chat.moderated.insert(number, waiting);
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
                    Refusal::Internal("the moderation's answer cannot be used".into())
                }),
            None if on_failure == Some(OnFailure::Refuse) => Err(Refusal::Overloaded("messages being checked".into())),
            Some(_) | None => Ok(text),
        };
        // Meanwhile the user may have been muted, or have gone elsewhere.
        let said = said.and_then(|text| {
            self.may_speak(id, &to, cx)?;
            let entered = self.users.get(&id).and_then(|user| user.entered.as_ref());
            match channel_of(&to, entered, self.parties.of(id))? == channel {
                true => Ok(text),
                false => Err(Refusal::Conflict("you are not any more where you wanted to say this".into())),
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
        let said = match to {
            To::Room(room) => self.say_in_room(id, room, name, text, cx),
            To::Party => self.say_in_party(id, name, text, cx),
            To::Direct(_) | To::Guild => {
                let say = chat::Request::Say { to, name, text };
                return self.ask_db(id, request, Box::new(db::Request::Chat(say)), cx);
            }
        };
        self.tell_result(id, request, said.map(|said| Box::new(db::Answer::Chat(said))), cx);
    }

    fn say_in_room(
        &mut self,
        id: UserId,
        room_name: RoomName,
        name: String,
        text: String,
        cx: &mut Context<'_>,
    ) -> Result<Answer, Refusal> {
        // The user may have left it while the message was being checked.
        let room = self.chat.of_member(id, &room_name)?;
        let message = room.said.say(id, name, text, cx.now);
        let channel = Channel::Room(room_name);
        fan_out(&self.users, room.members.iter().copied(), &channel, &message, cx);
        Ok(Answer::Said(channel, message))
    }

    fn say_in_party(
        &mut self,
        id: UserId,
        name: String,
        text: String,
        cx: &mut Context<'_>,
    ) -> Result<Answer, Refusal> {
        let (party, members, said) = self.parties.said(id).ok_or_else(no_party)?;
        let message = said.say(id, name, text, cx.now);
        let channel = Channel::Party(party);
        fan_out(&self.users, members.iter().map(|member| member.user), &channel, &message, cx);
        Ok(Answer::Said(channel, message))
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
    members: impl Iterator<Item = UserId>,
    channel: &Channel,
    message: &Arc<ChatMessage>,
    cx: &mut Context<'_>,
) {
    let hears = |member: UserId| {
        let user = users.get(&member)?;
        // Of whom Db has told nothing it is not known whom they have blocked.
        let is_blocked = user.entered.as_ref().is_none_or(|entered| entered.blocked.contains(&message.from));
        user.line.connection().filter(|_| !is_blocked)
    };
    let others = members.filter(|member| *member != message.from);
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

/// Where that is, for this user and now.
fn channel_of(to: &To, entered: Option<&db::Entered>, party: Option<(PartyId, &Party)>) -> Result<Channel, Refusal> {
    Ok(match to {
        To::Room(room) => Channel::Room(room.clone()),
        To::Direct(other) => Channel::Direct(*other),
        To::Guild => Channel::Guild(entered.and_then(|entered| entered.guild).ok_or_else(no_guild)?.guild),
        To::Party => Channel::Party(party.ok_or_else(no_party)?.0),
    })
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
