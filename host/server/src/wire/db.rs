//! What users ask of Db and are answered: one pair of functions for each feature.

use scenehost_core::Refusal;
use scenehost_core::db::{Answer, News, Request};
use scenehost_protocol::v1::{self, client_frame, server_frame::Body};

use super::{chat, friends, guild, inbox, party, profile, records, shop, standing};

/// A request to Db; `None` for a frame that is for somebody else.
pub fn request(body: client_frame::Body) -> Option<Result<Request, Refusal>> {
    match body {
        client_frame::Body::ReqProfile(asked) => Some(profile::request(asked)),
        client_frame::Body::ReqRecords(asked) => Some(records::request(asked)),
        client_frame::Body::ReqGuild(asked) => Some(guild::request(asked)),
        client_frame::Body::ReqFriends(asked) => Some(friends::request(asked)),
        client_frame::Body::ReqInbox(asked) => Some(inbox::request(asked)),
        client_frame::Body::ReqStanding(asked) => Some(standing::request(asked)),
        client_frame::Body::ReqShop(asked) => Some(shop::request(asked)),
        _ => None,
    }
}

pub fn answer(answer: &Answer) -> Body {
    match answer {
        Answer::Done | Answer::Entered(_) | Answer::Export(_) => Body::Done(v1::Done {}),
        Answer::Profile(answer) => profile::answer(answer),
        Answer::Storage(answer) => records::answer(answer),
        Answer::Chat(answer) => chat::answer(answer),
        Answer::Guild(answer) => guild::answer(answer),
        Answer::Friends(answer) => friends::answer(answer),
        Answer::Inbox(answer) => inbox::answer(answer),
        Answer::Results(answer) => standing::answer(answer),
        Answer::Economy(answer) => shop::answer(answer),
    }
}

pub fn news(news: &News) -> Body {
    match news {
        News::Storage(news) => records::news(news),
        News::Chat(news) => chat::news(news),
        News::Guild(news) => guild::news(news),
        News::Friends(news) => friends::news(news),
        News::Inbox(news) => inbox::news(news),
        News::Results(news) => standing::news(news),
        News::Economy(news) => shop::news(news),
        News::Party(news) => party::news(news),
    }
}
