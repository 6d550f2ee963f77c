//! Notifications, in the frames of the client protocol.

use scenehost_core::Refusal;
use scenehost_core::db::Request;
use scenehost_core::inbox::{self, Answer, Kind, News, Posted};
use scenehost_protocol::v1::{self, NotificationKind, req_inbox::Ask, server_frame::Body};

pub fn request(asked: v1::ReqInbox) -> Result<Request, Refusal> {
    let request = match asked.ask {
        Some(Ask::List(list)) => inbox::Request::List { after: list.after, limit: list.limit },
        Some(Ask::Read(read)) => inbox::Request::Read(read.ids),
        Some(Ask::Remove(remove)) => inbox::Request::Remove(remove.ids),
        None => return Err(Refusal::Invalid("req_inbox needs list, read or remove".to_owned())),
    };
    Ok(Request::Inbox(request))
}

pub fn answer(answer: &Answer) -> Body {
    match answer {
        Answer::Inbox { posted, more, unread } => Body::ResInbox(v1::ResInbox {
            notifications: posted.iter().map(|(id, posted)| notification(*id, posted)).collect(),
            more: *more,
            unread: *unread,
        }),
        // Operators' posts have a call and an answer of their own.
        Answer::Unknown(_) => Body::Done(v1::Done {}),
    }
}

pub fn news(news: &News) -> Body {
    let notification = Some(notification(news.id, &news.posted));
    Body::SynNotification(v1::SynNotification { notification, unread: news.unread })
}

fn notification(id: u64, Posted { notification, at, read }: &Posted) -> v1::Notification {
    let kind = match notification.kind {
        Kind::Operator => NotificationKind::Operator,
        Kind::FriendRequest => NotificationKind::FriendRequest,
        Kind::FriendAccepted => NotificationKind::FriendAccepted,
    };
    let (user_id, name) = match &notification.from {
        Some((user, name)) => (user.to_string(), name.clone()),
        None => (String::new(), String::new()),
    };
    v1::Notification {
        id,
        kind: kind.into(),
        user_id,
        name,
        title: notification.title.clone(),
        body: notification.body.clone(),
        data: notification.data.clone(),
        created_ms: at.0,
        expires_ms: notification.expires.map_or(0, |expires| expires.0),
        read: *read,
    }
}
