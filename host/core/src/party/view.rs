//! What members of a party, and those who are invited, are told.

use super::Change;
use serde::{Deserialize, Serialize};

use crate::ids::{DomainName, PartyId, Time, UserId};
use crate::lobby::Presence;

/// A party as its members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Which.
    pub id: PartyId,
    /// Whoever knows it can come in.
    pub code: String,
    /// Who leads.
    pub leader: UserId,
    /// In the order in which they came in.
    pub members: Vec<MemberView>,
    /// The most members.
    pub members_max: usize,
    /// Who is invited.
    pub invited: Vec<InvitedView>,
    /// What the leader keeps for the game.
    pub data: String,
    /// While members are asked whether they are ready.
    pub check: Option<CheckView>,
    /// The number of the last message in the party's chat.
    pub last_message: u64,
    /// What was the last change.
    pub change: Change,
    /// Who did it, or whom it was about.
    pub about: Option<UserId>,
}

/// A member as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Who.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// What the member is doing. Also of who looks offline to friends: one is in a party of one's own will.
    pub presence: Presence,
    /// Has said so in the check that goes on.
    pub ready: bool,
    /// What the member keeps for the game.
    pub data: String,
}

/// Somebody who is invited, as the members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedView {
    /// Who.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// Until when that can be accepted.
    pub until: Time,
    /// Who has invited the user.
    pub by: UserId,
}

/// Members are asked whether they are ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckView {
    /// Until when all have to be.
    pub until: Time,
    /// Where the party looks for a match then.
    pub domain: Option<DomainName>,
}

/// That a user may come into a party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Which.
    pub party: PartyId,
    /// Who has invited the user.
    pub by: UserId,
    /// The name of that user.
    pub name: String,
    /// How many are in the party.
    pub members: usize,
    /// Until when it can be accepted.
    pub until: Time,
}

/// That a user is in a party no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Which.
    pub party: PartyId,
    /// How that came.
    pub change: Change,
}

/// What a user is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// The user's party is like this now.
    Party(View),
    /// The user is in it no more.
    Gone(Gone),
    /// The user may come into a party.
    Invited(Invitation),
    /// The user may not come into this party any more.
    Uninvited(PartyId),
}

impl News {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        let Self::Party(view) = self else { return 0 };
        let members = view.members.iter().map(|member| size_of::<MemberView>() + member.name.len() + member.data.len());
        size_of::<View>() + view.data.len() + view.invited.len() * 64 + members.sum::<usize>()
    }
}
