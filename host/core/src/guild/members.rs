//! A guild's life: founding, roles, leaving, its end.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::admission::put_place;
use super::data::data_key;
use super::view::View;
use super::{ABOUT_CHARS_MAX, Answer, Entry, Guild, Member, NameRecord, Place, Role, TAG_CHARS_MAX, What};
use super::{key, load, name, name_key, own, own_as, place_key, save, tell};
use crate::chat;
use crate::db::{Stop, Transaction};
use crate::ids::{GuildId, UserId};
use crate::refusal::Refusal;
use crate::text;

pub(super) fn create(
    user: UserId,
    wanted: &str,
    tag: &str,
    about: &str,
    entry: Entry,
    tx: &mut Transaction<'_>,
) -> Result<Answer, Stop> {
    let (shown, compared) = name(wanted)?;
    let tag = text::line(tag, 0..=TAG_CHARS_MAX, "the tag of a guild")?;
    if !tag.chars().all(char::is_alphanumeric) {
        return Err(Refusal::Invalid("the tag of a guild has letters and digits".to_owned()).into());
    }
    let about = text::lines(about, 0..=ABOUT_CHARS_MAX, "the text about a guild")?;
    tx.want([place_key(user), name_key(&compared)])?;
    let mut place: Place = tx.get_or_default(&place_key(user))?;
    if place.guild.is_some() {
        return Err(Refusal::Busy("you are in a guild already: leave it first".into()).into());
    }
    if !place.requests.is_empty() {
        return Err(Refusal::Busy("you have asked to be let into guilds: withdraw that first".into()).into());
    }
    if tx.get::<NameRecord>(&name_key(&compared))?.is_some() {
        return Err(Refusal::Taken("there is a guild with this name: choose another".into()).into());
    }
    // One of so many that it is nobody's.
    let id = GuildId(tx.rng.next_u64());
    let mut guild = Guild {
        name: shown,
        tag,
        about,
        entry,
        limit: tx.rules.guilds.members_max,
        since: tx.now,
        version: 0,
        members: BTreeMap::from([(user, Member { role: Role::Leader, since: tx.now })]),
        requests: BTreeMap::new(),
        invites: BTreeMap::new(),
    };
    // Before anything is written, since names may have to be loaded.
    let mut view = View::of(id, &guild, Some(Role::Leader), tx)?;
    place.guild = Some(id);
    tx.put(place_key(user), &place);
    tx.put(name_key(&compared), &NameRecord { guild: id });
    save(id, &mut guild, What::Joined, user, tx);
    view.version = guild.version;
    Ok(Answer::Guild(Box::new(view)))
}

pub(super) fn change(
    user: UserId,
    about: Option<&str>,
    entry: Option<Entry>,
    limit: Option<usize>,
    tx: &mut Transaction<'_>,
) -> Result<Answer, Stop> {
    let (id, before, role) = own_as(user, Role::Officer, tx)?;
    let mut guild = before.clone();
    if let Some(about) = about {
        guild.about = text::lines(about, 0..=ABOUT_CHARS_MAX, "the text about a guild")?;
    }
    guild.entry = entry.unwrap_or(guild.entry);
    if let Some(limit) = limit {
        let members_max = tx.rules.guilds.members_max;
        if !(1..=members_max).contains(&limit) {
            return Err(Refusal::Invalid(format!("the limit of members is 1 to {members_max}")).into());
        }
        if limit < guild.members.len() {
            return Err(Refusal::Busy("the guild has more members than that".into()).into());
        }
        guild.limit = limit;
    }
    if guild != before {
        save(id, &mut guild, What::Changed, user, tx);
    }
    Ok(Answer::Guild(Box::new(View::of(id, &guild, Some(role), tx)?)))
}

pub(super) fn leave(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut guild, role) = own(user, tx)?;
    if guild.members.len() == 1 {
        return end(user, id, guild, tx);
    }
    guild.members.remove(&user);
    let next = if role == Role::Leader { successor(&guild) } else { None };
    if let Some(leader) = next.and_then(|next| guild.members.get_mut(&next)) {
        leader.role = Role::Leader;
    }
    go(user, tx)?;
    save(id, &mut guild, What::Left, user, tx);
    if let Some(next) = next {
        let recipients = guild.members.keys().copied().collect();
        tell(id, &guild, What::Role, next, recipients, tx);
    }
    Ok(())
}

/// Who leads after the leader: officers first, then those who have been there for the longest time.
fn successor(guild: &Guild) -> Option<UserId> {
    let order = |(user, member): &(&UserId, &Member)| (member.role, Reverse(member.since), Reverse(**user));
    guild.members.iter().max_by_key(order).map(|(user, _)| *user)
}

/// A user is in no guild any more.
fn go(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let mut place: Place = tx.get_or_default(&place_key(user))?;
    place.guild = None;
    put_place(user, &place, tx);
    Ok(())
}

pub(super) fn kick(user: UserId, whom: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut guild, role) = own_as(user, Role::Officer, tx)?;
    if member(&guild, whom)?.role >= role {
        return Err(Refusal::Forbidden("you can remove members of a lower role than yours only".into()).into());
    }
    guild.members.remove(&whom);
    go(whom, tx)?;
    save(id, &mut guild, What::Kicked, whom, tx);
    Ok(())
}

pub(super) fn set_role(user: UserId, whom: UserId, role: Role, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut guild, _) = own_as(user, Role::Leader, tx)?;
    if role == Role::Leader {
        return Err(Refusal::Invalid("a guild has one leader: use hand_over".to_owned()).into());
    }
    if whom == user {
        return Err(Refusal::OutOfOrder("the leader leads: hand over first".into()).into());
    }
    let before = member(&guild, whom)?;
    if before.role == role {
        return Ok(());
    }
    guild.members.insert(whom, Member { role, ..before });
    save(id, &mut guild, What::Role, whom, tx);
    Ok(())
}

pub(super) fn hand_over(user: UserId, whom: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut guild, _) = own_as(user, Role::Leader, tx)?;
    let next = member(&guild, whom)?;
    if whom == user {
        return Err(Refusal::OutOfOrder("you lead the guild already".into()).into());
    }
    let own = member(&guild, user)?;
    guild.members.insert(user, Member { role: Role::Officer, ..own });
    guild.members.insert(whom, Member { role: Role::Leader, ..next });
    save(id, &mut guild, What::Role, whom, tx);
    Ok(())
}

fn member(guild: &Guild, user: UserId) -> Result<Member, Refusal> {
    let member = guild.members.get(&user).copied();
    member.ok_or_else(|| Refusal::NotFound("member with this id in the guild".to_owned()))
}

pub(super) fn dissolve(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, guild, _) = own_as(user, Role::Leader, tx)?;
    end(user, id, guild, tx)
}

/// Ends a guild whose name or conduct cannot stay, or whose leader does not come back; its members read that the
/// leader has dissolved it.
pub(super) fn end_by_operator(id: GuildId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let guild = load(id, tx)?;
    let is_leader = |member: &Member| member.role == Role::Leader;
    let leader = guild.members.iter().find(|(_, member)| is_leader(member)).map(|(user, _)| *user);
    let leader = leader.ok_or(Refusal::Internal("a guild without a leader".into()))?;
    end(leader, id, guild, tx)
}

/// Ends a guild: nothing of it is left, and whoever had to do with it is told.
fn end(user: UserId, id: GuildId, mut guild: Guild, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (_, compared) = name(&guild.name)?;
    let members = std::mem::take(&mut guild.members);
    let concerned: Vec<UserId> =
        members.keys().chain(guild.requests.keys()).chain(guild.invites.keys()).copied().collect();
    tx.want(concerned.iter().map(|user| place_key(*user)))?;
    let mut told = Vec::new();
    for user in &concerned {
        let mut place: Place = tx.get_or_default(&place_key(*user))?;
        if place.unheard.remove(&id).is_none() {
            told.push(*user);
        }
        place.guild = place.guild.filter(|guild| *guild != id);
        place.requests.remove(&id);
        place.invites.remove(&id);
        put_place(*user, &place, tx);
    }
    tx.delete(key(id));
    tx.delete(name_key(&compared));
    tx.delete(data_key(id));
    chat::forget_guild(id, tx);
    guild.version += 1;
    tell(id, &guild, What::Dissolved, user, told, tx);
    Ok(())
}
