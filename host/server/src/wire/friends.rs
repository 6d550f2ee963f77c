//! Friends and presence, in the frames of the client protocol.

use scenehost_core::db::Request;
use scenehost_core::friends::{self, Act, Answer, Change, News, Person, Which};
use scenehost_core::lobby::Presence;
use scenehost_core::{Refusal, UserId};
use scenehost_protocol::v1::{self, FriendList, presence::State, req_friends::Ask, server_frame::Body, syn_friends};

use super::user_id;

pub fn request(asked: v1::ReqFriends) -> Result<Request, Refusal> {
    let about = |act, id: &str| Ok::<_, Refusal>(friends::Request::Do(act, user_id(id)?));
    let request = match asked.ask {
        Some(Ask::List(list)) => friends::Request::List(which(list)?),
        Some(Ask::Request(id)) => about(Act::Ask, &id)?,
        Some(Ask::Accept(id)) => about(Act::Accept, &id)?,
        Some(Ask::Decline(id)) => about(Act::Decline, &id)?,
        Some(Ask::Withdraw(id)) => about(Act::Withdraw, &id)?,
        Some(Ask::Remove(id)) => about(Act::Remove, &id)?,
        Some(Ask::Block(id)) => about(Act::Block, &id)?,
        Some(Ask::Unblock(id)) => about(Act::Unblock, &id)?,
        Some(Ask::AppearOffline(appears_offline)) => friends::Request::AppearOffline(appears_offline),
        None => return Err(Refusal::Invalid("req_friends needs what is asked for, for example list".to_owned())),
    };
    Ok(Request::Friends(request))
}

fn which(list: i32) -> Result<Which, Refusal> {
    match FriendList::try_from(list) {
        Ok(FriendList::Friends) => Ok(Which::Friends),
        Ok(FriendList::Received) => Ok(Which::RequestsIn),
        Ok(FriendList::Sent) => Ok(Which::RequestsOut),
        Ok(FriendList::Blocked) => Ok(Which::Blocked),
        Ok(FriendList::Unspecified) | Err(_) => {
            Err(Refusal::Invalid("there is no such list: ask for FRIEND_LIST_FRIENDS, for example".to_owned()))
        }
    }
}

pub fn answer(answer: &Answer) -> Body {
    let list = match answer.which {
        Which::Friends => FriendList::Friends,
        Which::RequestsIn => FriendList::Received,
        Which::RequestsOut => FriendList::Sent,
        Which::Blocked => FriendList::Blocked,
    };
    let friend = |person: &Person| v1::Friend {
        user_id: person.user.to_string(),
        name: person.name.clone(),
        since_ms: person.since.0,
        presence: person.presence.as_ref().map(one_presence),
    };
    Body::ResFriends(v1::ResFriends {
        list: list.into(),
        friends: answer.people.iter().map(friend).collect(),
        appears_offline: answer.appears_offline,
    })
}

pub fn news(news: &News) -> Body {
    use syn_friends::Change as Told;
    let told = match news {
        News::AppearsOffline(true) => v1::SynFriends { change: Told::Hidden.into(), ..Default::default() },
        News::AppearsOffline(false) => v1::SynFriends { change: Told::Shown.into(), ..Default::default() },
        News::Changed { user, name, change } => {
            let change = match change {
                Change::Asked => Told::Received,
                Change::Sent => Told::Sent,
                Change::RequestGone => Told::RequestGone,
                Change::Friends => Told::Friends,
                Change::Removed => Told::Removed,
                Change::Blocked => Told::Blocked,
                Change::Unblocked => Told::Unblocked,
            };
            v1::SynFriends { change: change.into(), user_id: user.to_string(), name: name.clone() }
        }
    };
    Body::SynFriends(told)
}

pub fn presence(told: &[(UserId, Presence)]) -> Body {
    let friend = |(user, presence): &(UserId, Presence)| v1::FriendPresence {
        user_id: user.to_string(),
        presence: Some(one_presence(presence)),
    };
    Body::SynPresence(v1::SynPresence { friends: told.iter().map(friend).collect() })
}

pub fn one_presence(presence: &Presence) -> v1::Presence {
    let (state, domain) = match presence {
        Presence::Offline => (State::Offline, String::new()),
        Presence::Online => (State::Online, String::new()),
        Presence::Searching => (State::Searching, String::new()),
        Presence::InGame(domain) => (State::InGame, domain.to_string()),
        Presence::Away => (State::Away, String::new()),
    };
    v1::Presence { state: state.into(), domain }
}
