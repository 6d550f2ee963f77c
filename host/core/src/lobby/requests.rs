//! What users ask of Db: passed on with a number of the lobby's, so that an answer that comes late is never told to
//! a client that has asked something else. And what the lobby itself has to know of who comes in.

use std::sync::Arc;

use super::chat::without_blocked;
use super::{Connection, Due, Lobby, User, refuse_user};
use crate::auth::Identity;
use crate::db::{self, Answer, Asker, Caller, Entered, News, Request};
use crate::ids::{ConnectionId, UserId};
use crate::message::{Notice, ServiceName};
use crate::rate::Buckets;
use crate::refusal::Refusal;
use crate::results::rating::Level;
use crate::{Context, chat, friends, guild, line::State};

/// How long Db may take in any case; its own deadline is shorter.
const DB_MS_MAX: u64 = db::REQUEST_MS_MAX + 2_000;
/// How often Db is asked at most for a user of whom it has told nothing.
const ASK_AGAIN_MS: u64 = 3_000;
/// How many requests to Db a user may have under way.
pub const REQUESTS_PER_USER_MAX: usize = 16;
/// How many changes of friends and guilds, and invitations to parties, of which others are told, a user may ask for in a minute; also all at once.
/// So nobody fills the lines and inboxes of others by asking and taking back again and again.
pub const CHANGES_PER_MINUTE: u32 = 30;
/// How many users' buckets of changes are kept; those who have changed the least are forgotten first.
const BUCKETS_MAX: usize = 65_536;

/// The buckets of what users change.
pub(super) fn changes() -> Buckets<UserId> {
    Buckets::new(CHANGES_PER_MINUTE, BUCKETS_MAX)
}

impl Lobby {
    pub(super) fn req_db(&mut self, connection: ConnectionId, request: u32, what: Box<Request>, cx: &mut Context<'_>) {
        let Some((id, _)) = self.signed_in(connection, request, cx) else { return };
        if is_told_to_others(&what)
            && let Err(refusal) = self.take_social_change(id, cx)
        {
            return self.tell(id, request, Notice::Refused(refusal), cx);
        }
        self.ask_db(id, request, what, cx);
    }

    /// Counts a change of which others are told who have not asked for it.
    pub(super) fn take_social_change(&mut self, id: UserId, cx: &Context<'_>) -> Result<(), Refusal> {
        let too_often = |ms| Refusal::TooOften { what: "requests and invitations from you".into(), ms };
        self.changes.take(id, cx.now).map_err(too_often)
    }

    /// Asks Db for a user.
    pub(super) fn ask_db(&mut self, id: UserId, request: u32, what: Box<Request>, cx: &mut Context<'_>) {
        let down = self.services_down.contains(&ServiceName::Db);
        let number = self.requests + 1;
        let Some(user) = self.users.get_mut(&id) else { return };
        // Who has not come in with Db's word yet is nobody to it.
        if down || user.entered.is_none() {
            return refuse_user(user, request, Refusal::ServiceDown(ServiceName::Db), cx);
        }
        if user.asked.len() >= REQUESTS_PER_USER_MAX {
            return refuse_user(user, request, Refusal::Overloaded("requests of yours that are under way".into()), cx);
        }
        user.asked.insert(number, request);
        self.requests = number;
        self.deadlines.set(Due::Asked(id, number), cx.now.plus_ms(DB_MS_MAX));
        let asker = Asker::User { user: id, number };
        cx.send(db::Event::Req { caller: Caller::User(id), asker, request: what });
    }

    pub(super) fn res_db(
        &mut self,
        id: UserId,
        number: u64,
        result: Result<Box<Answer>, Refusal>,
        cx: &mut Context<'_>,
    ) {
        self.deadlines.clear(&Due::Asked(id, number));
        let Some(request) = self.users.get_mut(&id).and_then(|user| user.asked.remove(&number)) else { return };
        let notice = match result {
            Ok(answer) => {
                let entered = self.users.get(&id).and_then(|user| user.entered.as_ref());
                let mut answer = without_blocked(entered, answer);
                self.add_presence(id, &mut answer);
                Notice::Answer(Arc::from(answer))
            }
            Err(refusal) => Notice::Refused(refusal),
        };
        self.tell(id, request, notice, cx);
    }

    pub(super) fn syn_news(&mut self, id: UserId, news: Box<News>, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        if user.entered.is_none() && matches!(*news, News::Chat(chat::News::Said(..))) {
            return; // Its sender may be blocked. What is said is kept, and there to be asked for.
        }
        if let Some(entered) = &mut user.entered {
            match &*news {
                News::Guild(news) => news.apply(&mut entered.guild),
                News::Chat(chat::News::Muted(until)) => entered.muted_until = *until,
                News::Chat(chat::News::Said(_, message)) if entered.blocked.contains(&message.from) => return,
                News::Results(news) => {
                    let level = Level { rating: news.rating, games: news.games };
                    entered.levels.insert(news.domain.clone(), level);
                }
                News::Chat(_)
                | News::Storage(_)
                | News::Friends(_)
                | News::Inbox(_)
                | News::Economy(_)
                | News::Party(_) => {}
            }
        }
        self.take_news(id, &news);
        self.tell(id, 0, Notice::News(Arc::from(news)), cx);
    }

    /// Asks what the lobby has to know of a user who comes in over this connection, unless it is known already.
    /// Whether the connection has to wait for that.
    pub(super) fn ask_to_enter(&mut self, connection: ConnectionId, identity: &Identity, cx: &mut Context<'_>) -> bool {
        let known = self.users.get(&identity.user).and_then(|user| user.entered.as_ref());
        let is_known = known.is_some_and(|entered| entered.profile.name == identity.record.name);
        if is_known || self.services_down.contains(&ServiceName::Db) {
            return false;
        }
        ask(identity.user, Some(connection), identity.record.name.clone(), cx);
        true
    }

    pub(super) fn res_enter(
        &mut self,
        id: UserId,
        connection: Option<ConnectionId>,
        result: Result<Box<Entered>, Refusal>,
        cx: &mut Context<'_>,
    ) {
        // Without an answer the user comes in all the same: what needs Db says so.
        let entered = result.ok();
        if let Some(connection) = connection {
            self.entered(connection, entered, cx);
        } else if let (Some(user), Some(entered)) = (self.users.get_mut(&id), entered) {
            user.entered = Some(*entered);
            self.touch(id);
            self.tell_own_invitations(id, cx);
        }
    }

    /// A user of whom Db has told nothing: with each sign of life it is asked again, for without its word nobody knows
    /// whom the user has blocked.
    pub(super) fn ask_again(&mut self, id: UserId, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let is_here = !matches!(user.line.state(), State::Closed(_));
        // While Db is down there is no answer; when it is up, all who are not known are asked for.
        let may = is_here && user.ask_again_at <= cx.now && !self.services_down.contains(&ServiceName::Db);
        if user.entered.is_none() && may {
            user.ask_again_at = cx.now.plus_ms(ASK_AGAIN_MS);
            ask(id, None, user.record.name.clone(), cx);
        }
    }

    /// Db is down: who waits for it hears that, and who is on the way in comes in.
    pub(super) fn db_down(&mut self, cx: &mut Context<'_>) {
        for id in self.users_where(|user| !user.asked.is_empty()) {
            let Some(user) = self.users.get_mut(&id) else { continue };
            for (number, request) in std::mem::take(&mut user.asked) {
                self.deadlines.clear(&Due::Asked(id, number));
                refuse_user(user, request, Refusal::ServiceDown(ServiceName::Db), cx);
            }
        }
        let entering = |state: &Connection| matches!(state, Connection::Entering { .. });
        let mut waiting: Vec<ConnectionId> =
            self.connections.iter().filter(|(_, state)| entering(state)).map(|(id, _)| *id).collect();
        waiting.sort();
        for connection in waiting {
            self.entered(connection, None, cx);
        }
    }

    /// Db is up: what is not known of those who came in meanwhile is asked for.
    pub(super) fn db_up(&mut self, cx: &mut Context<'_>) {
        for id in self.users_where(|user| user.entered.is_none()) {
            // What was asked before Db was down is answered already.
            self.users.entry(id).and_modify(|user| user.ask_again_at = cx.now);
            self.ask_again(id, cx);
        }
    }

    /// A request of which Db has said nothing.
    pub(super) fn db_silent(&mut self, id: UserId, number: u64, cx: &mut Context<'_>) {
        self.res_db(id, number, Err(Refusal::TimedOut("your request".into())), cx);
    }
}

/// Whether others hear of what this changes.
fn is_told_to_others(what: &Request) -> bool {
    match what {
        Request::Friends(what) => !matches!(what, friends::Request::List(_)),
        Request::Guild(what) => {
            !matches!(what, guild::Request::Show(_) | guild::Request::Mine | guild::Request::ReadData)
        }
        _ => false,
    }
}

fn ask(user: UserId, connection: Option<ConnectionId>, name: String, cx: &mut Context<'_>) {
    let asker = Asker::Lobby { user, connection };
    cx.send(db::Event::Req { caller: Caller::Host, asker, request: Box::new(Request::Enter(user, name)) });
}

impl User {
    /// Forgets what an older client has asked; its answers are for nobody. Tells what was under way.
    pub(super) fn forget_asked(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.asked).into_keys().collect()
    }
}
