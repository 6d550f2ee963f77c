//! Parties, in the frames of the client protocol.

use scenehost_core::party::{Ask, Change, Gone, Invitation, InvitedView, MemberView, News, Request, View};
use scenehost_core::{DomainName, PartyId, Refusal};
use scenehost_protocol::v1::{self, PartyChange, req_party, server_frame::Body, syn_party};

use super::friends::one_presence;
use super::user_id;

pub fn ask(asked: v1::ReqParty) -> Result<Ask, Refusal> {
    let Some(ask) = asked.ask else {
        return Err(Refusal::Invalid("req_party needs what is asked for, such as create or join".to_owned()));
    };
    Ok(Ask::Change(match ask {
        req_party::Ask::Create(_) => return Ok(Ask::Create),
        req_party::Ask::CheckReady(check) => {
            let domain = Some(check.domain).filter(|domain| !domain.is_empty());
            return Ok(Ask::CheckReady(domain.map(|domain| DomainName::from(domain.as_str()))));
        }
        req_party::Ask::Ready(ready) => return Ok(Ask::Ready(ready)),
        req_party::Ask::Invite(user) => Request::Invite(user_id(&user)?),
        req_party::Ask::Uninvite(user) => Request::Uninvite(user_id(&user)?),
        req_party::Ask::Accept(party) => Request::Accept(party_id(&party)?),
        req_party::Ask::Decline(party) => Request::Decline(party_id(&party)?),
        req_party::Ask::Join(code) => Request::Join(code),
        req_party::Ask::Leave(_) => Request::Leave,
        req_party::Ask::Kick(user) => return Ok(Ask::Kick(user_id(&user)?)),
        req_party::Ask::HandOver(user) => Request::HandOver(user_id(&user)?),
        req_party::Ask::SetData(data) => Request::SetData(data),
        req_party::Ask::SetOwnData(data) => Request::SetOwnData(data),
    }))
}

fn party_id(text: &str) -> Result<PartyId, Refusal> {
    text.parse().map_err(|error| Refusal::Invalid(format!("no party's id: {error}")))
}

pub fn news(news: &News) -> Body {
    let what = match news {
        News::Party(view) => syn_party::What::Party(party(view)),
        News::Gone(Gone { party, change }) => {
            syn_party::What::Gone(syn_party::Gone { party_id: party.to_string(), change: self::change(*change).into() })
        }
        News::Invited(invitation) => syn_party::What::Invited(invite(invitation)),
        News::Uninvited(party) => syn_party::What::Uninvited(party.to_string()),
    };
    Body::SynParty(v1::SynParty { what: Some(what) })
}

fn party(view: &View) -> v1::Party {
    let member = |member: &MemberView| v1::PartyMember {
        user_id: member.user.to_string(),
        name: member.name.clone(),
        presence: Some(one_presence(&member.presence)),
        ready: member.ready,
        data: member.data.clone(),
    };
    let invited = |invited: &InvitedView| v1::PartyInvited {
        user_id: invited.user.to_string(),
        name: invited.name.clone(),
        until_ms: invited.until.0,
        by_id: invited.by.to_string(),
    };
    v1::Party {
        party_id: view.id.to_string(),
        code: view.code.clone(),
        leader_id: view.leader.to_string(),
        members: view.members.iter().map(member).collect(),
        members_max: u32::try_from(view.members_max).unwrap_or(u32::MAX),
        invited: view.invited.iter().map(invited).collect(),
        data: view.data.clone(),
        check: view.check.as_ref().map(|check| v1::PartyCheck {
            until_ms: check.until.0,
            domain: check.domain.as_ref().map(ToString::to_string).unwrap_or_default(),
        }),
        last_message_id: view.last_message,
        change: change(view.change).into(),
        user_id: view.about.map(|user| user.to_string()).unwrap_or_default(),
    }
}

fn invite(invitation: &Invitation) -> v1::PartyInvite {
    v1::PartyInvite {
        party_id: invitation.party.to_string(),
        user_id: invitation.by.to_string(),
        name: invitation.name.clone(),
        members: u32::try_from(invitation.members).unwrap_or(u32::MAX),
        until_ms: invitation.until.0,
    }
}

fn change(change: Change) -> PartyChange {
    match change {
        Change::None => PartyChange::Unspecified,
        Change::Created => PartyChange::Created,
        Change::Joined => PartyChange::Joined,
        Change::Left => PartyChange::Left,
        Change::Kicked => PartyChange::Kicked,
        Change::Leader => PartyChange::Leader,
        Change::Data => PartyChange::Data,
        Change::Invited => PartyChange::Invited,
        Change::Uninvited => PartyChange::Uninvited,
        Change::Check => PartyChange::Check,
        Change::Ready => PartyChange::Ready,
        Change::NotReady => PartyChange::NotReady,
        Change::AllReady => PartyChange::AllReady,
        Change::CheckOver => PartyChange::CheckOver,
        Change::Presence => PartyChange::Presence,
    }
}
