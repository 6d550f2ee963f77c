//! A guild as somebody may see it: all see who is in it, its officers also who wants in.

use super::{Answer, Entry, Guild, Member, NameRecord, Place, Role, Which, key, load, membership, name, name_key};
use serde::{Deserialize, Serialize};

use crate::db::{Caller, Stop, Transaction};
use crate::ids::{GuildId, Time, UserId};
use crate::profile::{self, Profile};
use crate::refusal::Refusal;

/// A guild as somebody may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Which.
    pub id: GuildId,
    /// Its name.
    pub name: String,
    /// A short form of it.
    pub tag: String,
    /// Its words about itself.
    pub about: String,
    /// How one gets in.
    pub entry: Entry,
    /// The most members.
    pub limit: usize,
    /// When it was founded.
    pub since: Time,
    /// Grows by one with every change.
    pub version: u64,
    /// Who is in it, with their names.
    pub members: Vec<(UserId, String, Member)>,
    /// Who has asked; for officers.
    pub requests: Vec<(UserId, String)>,
    /// Who is invited; for officers.
    pub invites: Vec<(UserId, String)>,
}

/// A guild in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Which.
    pub id: GuildId,
    /// Its name.
    pub name: String,
    /// A short form of it.
    pub tag: String,
    /// How many members it has.
    pub members: usize,
}

impl Summary {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.tag.len()
    }
}

impl View {
    /// A guild as it is shown to somebody of this role in it.
    ///
    /// # Errors
    /// [`Stop::Missing`] if names have to be loaded.
    pub(super) fn of(id: GuildId, guild: &Guild, role: Option<Role>, tx: &mut Transaction<'_>) -> Result<Self, Stop> {
        let is_officer = role.is_some_and(|role| role >= Role::Officer);
        let waiting = guild.requests.keys().chain(guild.invites.keys()).filter(|_| is_officer);
        tx.want(guild.members.keys().chain(waiting).map(|user| profile::key(*user)))?;
        let mut members = Vec::new();
        for (user, member) in &guild.members {
            members.push((*user, name_of(*user, tx)?, *member));
        }
        let mut named = |users: Vec<UserId>| -> Result<Vec<(UserId, String)>, Stop> {
            users.into_iter().filter(|_| is_officer).map(|user| Ok((user, name_of(user, tx)?))).collect()
        };
        let requests = named(guild.requests.keys().copied().collect())?;
        let invites = named(guild.invites.keys().copied().collect())?;
        let Guild { name, tag, about, entry, limit, since, version, .. } = guild.clone();
        Ok(Self { id, name, tag, about, entry, limit, since, version, members, requests, invites })
    }

    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        let people = self.members.iter().map(|(_, name, _)| name).chain(self.requests.iter().map(|(_, name)| name));
        let people = people.chain(self.invites.iter().map(|(_, name)| name));
        size_of::<Self>() + self.about.len() + people.map(|name| 64 + name.len()).sum::<usize>()
    }
}

fn name_of(user: UserId, tx: &mut Transaction<'_>) -> Result<String, Stop> {
    let profile: Profile = tx.get_or_default(&profile::key(user))?;
    Ok(profile.name)
}

pub(super) fn show(caller: &Caller, which: &Which, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    let own = match caller {
        Caller::User(user) => membership(*user, tx)?,
        Caller::Operator | Caller::Host => None,
    };
    let id = match which {
        Which::Id(id) => *id,
        Which::Own => match own {
            Some(own) => own.guild,
            None => return Err(Refusal::NotFound("guild that you are in: join one or found one".to_owned()).into()),
        },
        Which::Name(wanted) => {
            let (_, compared) = name(wanted)?;
            let found: Option<NameRecord> = tx.get(&name_key(&compared))?;
            found.ok_or_else(|| Refusal::NotFound("guild with this name".to_owned()))?.guild
        }
    };
    let role = match caller {
        Caller::User(_) => own.filter(|own| own.guild == id).map(|own| own.role),
        Caller::Operator | Caller::Host => Some(Role::Leader),
    };
    let guild = load(id, tx)?;
    Ok(Answer::Guild(Box::new(View::of(id, &guild, role, tx)?)))
}

pub(super) fn mine(user: UserId, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    let place: Place = tx.get_or_default(&super::place_key(user))?;
    let all = place.guild.iter().chain(&place.requests).chain(&place.invites);
    tx.want(all.map(|id| key(*id)))?;
    let guild = match place.guild {
        Some(id) => {
            let guild = load(id, tx)?;
            let role = guild.members.get(&user).map(|member| member.role);
            Some(Box::new(View::of(id, &guild, role, tx)?))
        }
        None => None,
    };
    let mut summaries = |ids: &std::collections::BTreeSet<GuildId>| -> Result<Vec<Summary>, Stop> {
        ids.iter().map(|id| summary(*id, tx)).collect()
    };
    let (requests, invites) = (summaries(&place.requests)?, summaries(&place.invites)?);
    Ok(Answer::Mine { guild, requests, invites })
}

fn summary(id: GuildId, tx: &mut Transaction<'_>) -> Result<Summary, Stop> {
    let guild = load(id, tx)?;
    Ok(Summary { id, name: guild.name, tag: guild.tag, members: guild.members.len() })
}
