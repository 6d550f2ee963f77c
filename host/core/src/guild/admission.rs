//! How users come into a guild: by joining, by asking, by an invitation.

use std::borrow::Cow;

use super::view::View;
use super::{Answer, Entry, Guild, Member, Place, Role, What};
use super::{INVITES_MAX, INVITES_PER_USER_MAX, REQUESTS_MAX, REQUESTS_PER_USER_MAX};
use super::{key, load, own_as, place_key, save, save_quietly, save_unheard, tell};
use crate::db::{Stop, Transaction};
use crate::friends;
use crate::ids::{GuildId, UserId};
use crate::profile::{self, Profile};
use crate::refusal::Refusal;

const IN_ONE: Refusal = Refusal::Busy(Cow::Borrowed("you are in a guild already: leave it first"));

pub(super) fn join(user: UserId, id: GuildId, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    tx.want([place_key(user), key(id)])?;
    let place: Place = tx.get_or_default(&place_key(user))?;
    let guild = load(id, tx)?;
    if place.guild.is_some() {
        return Err(IN_ONE.into());
    }
    if guild.entry != Entry::Open {
        return Err(Refusal::Forbidden("this guild lets in whom it accepts: ask it".into()).into());
    }
    let guild = enter(user, place, id, guild, tx)?;
    Ok(Answer::Guild(Box::new(View::of(id, &guild, Some(Role::Member), tx)?)))
}

pub(super) fn accept_invite(user: UserId, id: GuildId, tx: &mut Transaction<'_>) -> Result<Answer, Stop> {
    let place: Place = tx.get_or_default(&place_key(user))?;
    if !place.invites.contains(&id) {
        return Err(Refusal::NotFound("invitation of this guild for you".to_owned()).into());
    }
    if place.guild.is_some() {
        return Err(IN_ONE.into());
    }
    let guild = load(id, tx)?;
    let guild = enter(user, place, id, guild, tx)?;
    Ok(Answer::Guild(Box::new(View::of(id, &guild, Some(Role::Member), tx)?)))
}

pub(super) fn accept(user: UserId, whom: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, guild, _) = own_as(user, Role::Officer, tx)?;
    if !guild.requests.contains_key(&whom) {
        return Err(Refusal::NotFound("request of this user: it may have been taken back".to_owned()).into());
    }
    let place: Place = tx.get_or_default(&place_key(whom))?;
    enter(whom, place, id, guild, tx).map(|_| ())
}

/// Lets a user in who is in no guild; what was asked of others is taken back.
fn enter(
    user: UserId,
    mut place: Place,
    id: GuildId,
    mut guild: Guild,
    tx: &mut Transaction<'_>,
) -> Result<Guild, Stop> {
    // The operators may have lowered theirs since.
    if guild.members.len() >= guild.limit.min(tx.rules.guilds.members_max) {
        return Err(Refusal::Busy("the guild is full: somebody has to leave it first".into()).into());
    }
    let others: Vec<GuildId> = std::mem::take(&mut place.requests).into_iter().filter(|other| *other != id).collect();
    tx.want(others.iter().map(|other| key(*other)))?;
    for other in others {
        let mut asked = load(other, tx)?;
        asked.requests.remove(&user);
        save_quietly(other, &mut asked, What::Declined, user, tx);
    }
    guild.requests.remove(&user);
    guild.invites.remove(&user);
    guild.members.insert(user, Member { role: Role::Member, since: tx.now });
    place.guild = Some(id);
    place.invites.remove(&id);
    place.unheard.remove(&id);
    tx.put(place_key(user), &place);
    save(id, &mut guild, What::Joined, user, tx);
    Ok(guild)
}

pub(super) fn ask(user: UserId, id: GuildId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    tx.want([place_key(user), key(id)])?;
    let mut place: Place = tx.get_or_default(&place_key(user))?;
    let mut guild = load(id, tx)?;
    if place.guild.is_some() {
        return Err(IN_ONE.into());
    }
    if guild.entry == Entry::Open {
        return Err(Refusal::OutOfOrder("this guild is open: join it".into()).into());
    }
    if place.invites.contains(&id) {
        return Err(Refusal::OutOfOrder("this guild has invited you: accept the invitation".into()).into());
    }
    if place.requests.contains(&id) {
        return Ok(());
    }
    if place.requests.len() >= REQUESTS_PER_USER_MAX {
        let text = format!("at most {REQUESTS_PER_USER_MAX} guilds can be asked at once: withdraw a request first");
        return Err(Refusal::Invalid(text).into());
    }
    if guild.requests.len() >= REQUESTS_MAX {
        return Err(Refusal::Busy("too many users wait to be let into this guild: ask later".into()).into());
    }
    // Who asks is not invited any more, as far as the guild sees.
    if place.unheard.remove(&id).is_some() {
        guild.invites.remove(&user);
    }
    place.requests.insert(id);
    tx.put(place_key(user), &place);
    guild.requests.insert(user, tx.now);
    save_quietly(id, &mut guild, What::Asked, user, tx);
    Ok(())
}

pub(super) fn withdraw(user: UserId, id: GuildId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let mut place: Place = tx.get_or_default(&place_key(user))?;
    if !place.requests.remove(&id) {
        return Err(Refusal::NotFound("request of yours to this guild".to_owned()).into());
    }
    let mut guild = load(id, tx)?;
    guild.requests.remove(&user);
    put_place(user, &place, tx);
    save_quietly(id, &mut guild, What::Declined, user, tx);
    Ok(())
}

/// Ends a request or an invitation, from the guild's side.
pub(super) fn decline(user: UserId, whom: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut guild, _) = own_as(user, Role::Officer, tx)?;
    let asked = guild.requests.remove(&whom).is_some();
    let invited = guild.invites.remove(&whom).is_some();
    let what = match (asked, invited) {
        (true, _) => What::Declined,
        (false, true) => What::Uninvited,
        (false, false) => {
            return Err(Refusal::NotFound("request of this user, nor an invitation: look again".to_owned()).into());
        }
    };
    let mut place: Place = tx.get_or_default(&place_key(whom))?;
    place.requests.remove(&id);
    place.invites.remove(&id);
    let is_unheard = place.unheard.remove(&id).is_some();
    put_place(whom, &place, tx);
    match is_unheard {
        true => save_unheard(id, &mut guild, what, whom, tx),
        false => save_quietly(id, &mut guild, what, whom, tx),
    }
    Ok(())
}

pub(super) fn invite(user: UserId, whom: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut guild, _) = own_as(user, Role::Officer, tx)?;
    tx.want([place_key(whom), profile::key(whom), friends::key(whom)])?;
    let known: Option<Profile> = tx.get(&profile::key(whom))?;
    if known.is_none() {
        return Err(Refusal::NotFound("such user".to_owned()).into());
    }
    if guild.members.contains_key(&whom) {
        return Err(Refusal::OutOfOrder("this user is in the guild already".into()).into());
    }
    if guild.requests.contains_key(&whom) {
        return Err(Refusal::OutOfOrder("this user has asked to be let in: accept that".into()).into());
    }
    let mut place: Place = tx.get_or_default(&place_key(whom))?;
    let is_blocked = friends::has_blocked(whom, user, tx)?;
    if guild.invites.contains_key(&whom) {
        let has_room = place.invites.len() < INVITES_PER_USER_MAX;
        // The one before was by somebody whom the user has blocked; of this one the user hears.
        if !is_blocked && has_room && place.unheard.remove(&id).is_some() {
            place.invites.insert(id);
            tx.put(place_key(whom), &place);
            tell(id, &guild, What::Invited, whom, vec![whom], tx);
        }
        return Ok(());
    }
    if guild.invites.len() >= INVITES_MAX {
        let text = format!("a guild has at most {INVITES_MAX} open invitations: take one back first");
        return Err(Refusal::Invalid(text).into());
    }
    // Also for who is blocked: a difference would tell of the block.
    if place.invites.len() >= INVITES_PER_USER_MAX || is_blocked && place.unheard.len() >= INVITES_PER_USER_MAX {
        return Err(Refusal::Busy("this user has too many invitations: try again later".into()).into());
    }
    match is_blocked {
        true => _ = place.unheard.insert(id, user),
        false => _ = place.invites.insert(id),
    }
    tx.put(place_key(whom), &place);
    guild.invites.insert(whom, tx.now);
    match is_blocked {
        true => save_unheard(id, &mut guild, What::Invited, whom, tx),
        false => save_quietly(id, &mut guild, What::Invited, whom, tx),
    }
    Ok(())
}

pub(super) fn decline_invite(user: UserId, id: GuildId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let mut place: Place = tx.get_or_default(&place_key(user))?;
    if !place.invites.remove(&id) {
        return Err(Refusal::NotFound("invitation of this guild for you".to_owned()).into());
    }
    let mut guild = load(id, tx)?;
    guild.invites.remove(&user);
    put_place(user, &place, tx);
    save_quietly(id, &mut guild, What::Uninvited, user, tx);
    Ok(())
}

/// Ends invitations of which a user has not heard, by those of whom this is said. To the guild they are declined.
pub(super) fn end_unheard(user: UserId, is_by: impl Fn(UserId) -> bool, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let mut place: Place = tx.get_or_default(&place_key(user))?;
    let ended: Vec<GuildId> = place.unheard.iter().filter(|(_, by)| is_by(**by)).map(|(id, _)| *id).collect();
    if ended.is_empty() {
        return Ok(());
    }
    tx.want(ended.iter().map(|id| key(*id)))?;
    for id in ended {
        place.unheard.remove(&id);
        let mut guild = load(id, tx)?;
        guild.invites.remove(&user);
        save_unheard(id, &mut guild, What::Uninvited, user, tx);
    }
    put_place(user, &place, tx);
    Ok(())
}

/// Keeps no record of a user who has nothing to do with guilds.
pub(super) fn put_place(user: UserId, place: &Place, tx: &mut Transaction<'_>) {
    match *place == Place::default() {
        true => tx.delete(place_key(user)),
        false => tx.put(place_key(user), place),
    }
}
