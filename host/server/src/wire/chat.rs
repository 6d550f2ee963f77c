//! Chat, in the frames of the client protocol.

use scenehost_core::chat::{Answer, Ask, Channel, ChatMessage, News, To};
use scenehost_core::{Refusal, RoomName};
use scenehost_protocol::v1::{self, ChatKind, req_chat, server_frame::Body, syn_chat};

use super::user_id;

pub fn ask(asked: v1::ReqChat) -> Result<Ask, Refusal> {
    Ok(match asked.ask {
        Some(req_chat::Ask::Join(join)) => Ask::Join(join.room.as_str().into()),
        Some(req_chat::Ask::Leave(leave)) => Ask::Leave(leave.room.as_str().into()),
        Some(req_chat::Ask::Say(say)) => Ask::Say(to(say.channel)?, say.text),
        Some(req_chat::Ask::History(history)) => {
            Ask::History(to(history.channel)?, history.before, history.limit.try_into().unwrap_or(usize::MAX))
        }
        Some(req_chat::Ask::Report(report)) => Ask::Report(to(report.channel)?, report.id, report.reason),
        None => return Err(Refusal::Invalid("req_chat needs join, leave, say, history or report".to_owned())),
    })
}

fn to(channel: Option<v1::ChatChannel>) -> Result<To, Refusal> {
    let channel = channel.unwrap_or_default();
    match channel.kind() {
        ChatKind::Room => Ok(To::Room(channel.of.as_str().into())),
        ChatKind::Direct => Ok(To::Direct(user_id(&channel.of)?)),
        ChatKind::Guild => Ok(To::Guild),
        ChatKind::Party => Ok(To::Party),
        ChatKind::Unspecified => {
            let text = "channel needs its kind: CHAT_KIND_ROOM, CHAT_KIND_DIRECT, CHAT_KIND_GUILD or CHAT_KIND_PARTY";
            Err(Refusal::Invalid(text.to_owned()))
        }
    }
}

pub fn answer(answer: &Answer) -> Body {
    Body::ResChat(match answer {
        // Users do not ask for them.
        Answer::Reports(_) => v1::ResChat::default(),
        Answer::Said(channel, said) => v1::ResChat { messages: vec![message(channel, said)], room: None },
        Answer::Messages(channel, messages) => {
            v1::ResChat { messages: messages.iter().map(|it| message(channel, it)).collect(), room: None }
        }
        Answer::Joined { room, last_id, members } => {
            let members = u32::try_from(*members).unwrap_or(u32::MAX);
            v1::ResChat { messages: Vec::new(), room: Some(v1::ChatRoom { members, ..self::room(room, *last_id) }) }
        }
    })
}

pub fn news(news: &News) -> Body {
    let what = match news {
        News::Said(channel, said) => syn_chat::What::Message(message(channel, said)),
        News::Rooms(rooms) => {
            let rooms = rooms.iter().map(|(name, last_id)| room(name, *last_id)).collect();
            syn_chat::What::Rooms(syn_chat::Rooms { rooms })
        }
        News::Muted(until) => syn_chat::What::MutedUntilMs(until.map_or(0, |until| until.0)),
    };
    Body::SynChat(v1::SynChat { what: Some(what) })
}

fn room(name: &RoomName, last_id: u64) -> v1::ChatRoom {
    v1::ChatRoom { name: name.to_string(), last_id, members: 0 }
}

fn message(channel: &Channel, message: &ChatMessage) -> v1::ChatMessage {
    let (kind, of) = match channel {
        Channel::Room(name) => (ChatKind::Room, name.to_string()),
        Channel::Direct(user) => (ChatKind::Direct, user.to_string()),
        Channel::Guild(guild) => (ChatKind::Guild, guild.to_string()),
        Channel::Party(party) => (ChatKind::Party, party.to_string()),
    };
    v1::ChatMessage {
        channel: Some(v1::ChatChannel { kind: kind.into(), of }),
        id: message.id,
        user_id: message.from.to_string(),
        name: message.name.clone(),
        text: message.text.clone(),
        sent_ms: message.sent.0,
    }
}
