//! Profiles, in the frames of the client protocol.

use scenehost_core::db::Request;
use scenehost_core::profile::{self, Answer};
use scenehost_core::{Refusal, UserId};
use scenehost_protocol::v1::{self, req_profile::Ask, server_frame::Body};

use super::user_id;

pub fn request(asked: v1::ReqProfile) -> Result<Request, Refusal> {
    let request = match asked.ask {
        Some(Ask::Show(show)) => {
            let users: Result<Vec<UserId>, Refusal> = show.user_ids.iter().map(|id| user_id(id)).collect();
            profile::Request::Show(users?)
        }
        Some(Ask::Change(change)) => {
            profile::Request::Change { status: change.status, avatar: change.avatar, about: change.about }
        }
        None => return Err(Refusal::Invalid("req_profile needs show or change".to_owned())),
    };
    Ok(Request::Profile(request))
}

pub fn answer(Answer(profiles): &Answer) -> Body {
    let profile = |(user, profile): &(UserId, profile::Profile)| v1::Profile {
        user_id: user.to_string(),
        name: profile.name.clone(),
        since_ms: profile.since.0,
        status: profile.status.clone(),
        avatar: profile.avatar.clone(),
        about: profile.about.clone(),
    };
    Body::ResProfile(v1::ResProfile { profiles: profiles.iter().map(profile).collect() })
}
