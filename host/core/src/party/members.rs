//! A party's life: how users come in and go, and what it keeps.

use std::collections::BTreeMap;

use super::{
    CODE_ALPHABET, CODE_CHARS, CODES_TRIED, Change, DATA_BYTES_MAX, INVITE_MS, INVITES_MAX, Invite,
    MEMBER_DATA_BYTES_MAX, Member, Party, PartyRef, code, code_key, found, key, led, of_key, own, save,
};
use crate::db::{Stop, Transaction};
use crate::friends::{self, Friends};
use crate::ids::{PartyId, UserId};
use crate::lobby;
use crate::profile::{self, Profile};
use crate::refusal::Refusal;

pub(super) fn create(user: UserId, id: PartyId, salt: u64, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    tx.want([of_key(user), profile::key(user)])?;
    not_in_one(user, tx)?;
    let name = name(user, tx)?;
    let code = free_code(salt, tx)?;
    tx.put(code_key(&code), &PartyRef { party: id });
    tx.put(of_key(user), &PartyRef { party: id });
    let members = vec![Member { user, name, data: String::new() }];
    let party = Party { code, leader: user, members, invites: BTreeMap::new(), data: String::new(), version: 0 };
    save(id, party, Change::Created, user, tx);
    Ok(())
}

/// A code that is nobody's.
fn free_code(salt: u64, tx: &mut Transaction<'_>) -> Result<String, Stop> {
    let codes: Vec<String> = (0..CODES_TRIED).map(|tried| code_of(salt, tried)).collect();
    tx.want(codes.iter().map(|code| code_key(code)))?;
    for code in codes {
        if !tx.has(&code_key(&code))? {
            return Ok(code);
        }
    }
    Err(Refusal::Overloaded("codes of parties".into()).into())
}

/// One of the codes of a salt. The constants are those of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, 2014).
fn code_of(salt: u64, tried: u64) -> String {
    let mut mixed = salt.wrapping_add((tried + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let signs = CODE_ALPHABET.len() as u64;
    (0..CODE_CHARS as u32).map(|place| char::from(CODE_ALPHABET[(mixed / signs.pow(place) % signs) as usize])).collect()
}

pub(super) fn invite(user: UserId, whom: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    tx.want([of_key(user), profile::key(whom), friends::key(user)])?;
    let (id, mut party) = own(user, tx)?;
    let known: Option<Profile> = tx.get(&profile::key(whom))?;
    let Some(Profile { name, .. }) = known else {
        return Err(Refusal::NotFound("user with this id".to_owned()).into());
    };
    let Friends { blocked, .. } = tx.get_or_default(&friends::key(user))?;
    if blocked.contains_key(&whom) {
        return Err(Refusal::Forbidden("you have blocked this user: unblock them first".into()).into());
    }
    if party.has(whom) {
        return Err(Refusal::Busy("this user is in your party already".into()).into());
    }
    let now = tx.now;
    party.invites.retain(|invited, invite| invite.until > now && *invited != whom);
    if party.invites.len() >= INVITES_MAX {
        let text = "your party has as many open invitations as it may have: take one back, or wait";
        return Err(Refusal::Busy(text.into()).into());
    }
    party.invites.insert(whom, Invite { name, by: user, until: now.plus_ms(INVITE_MS) });
    save(id, party, Change::Invited, whom, tx);
    Ok(())
}

pub(super) fn uninvite(user: UserId, whom: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, party) = own(user, tx)?;
    let may = party.leader == user || party.invites.get(&whom).is_none_or(|invite| invite.by == user);
    if !may {
        let text = "only the leader of the party and who has invited this user may take that back";
        return Err(Refusal::Forbidden(text.into()).into());
    }
    take_back(id, party, whom, tx);
    Ok(())
}

pub(super) fn decline(user: UserId, id: PartyId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let party: Option<Party> = tx.get(&key(id))?;
    if let Some(party) = party {
        take_back(id, party, user, tx);
    }
    Ok(())
}

/// An invitation is no more; one that there is not is no error.
fn take_back(id: PartyId, mut party: Party, whom: UserId, tx: &mut Transaction<'_>) {
    if party.invites.remove(&whom).is_some() {
        save(id, party, Change::Uninvited, whom, tx);
    }
}

pub(super) fn accept(user: UserId, id: PartyId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let party: Option<Party> = tx.get(&key(id))?;
    let now = tx.now;
    let invited = |party: &Party| party.invites.get(&user).is_some_and(|invite| invite.until > now);
    match party {
        Some(party) if party.has(user) => Ok(()),
        Some(party) if invited(&party) => enter(user, id, party, tx),
        Some(_) | None => Err(Refusal::NotFound("such invitation any more: ask to be invited again".to_owned()).into()),
    }
}

pub(super) fn join(user: UserId, typed: &str, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let unknown = || Stop::Refused(Refusal::NotFound("party with this code: it may be over".to_owned()));
    let PartyRef { party: id } = tx.get(&code_key(&code(typed)?))?.ok_or_else(unknown)?;
    let party: Party = tx.get(&key(id))?.ok_or_else(unknown)?;
    match party.has(user) {
        true => Ok(()),
        false => enter(user, id, party, tx),
    }
}

fn enter(user: UserId, id: PartyId, mut party: Party, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let all = party.members.iter().map(|member| member.user).chain([user]);
    tx.want(all.map(friends::key).chain([of_key(user), profile::key(user)]))?;
    not_in_one(user, tx)?;
    if party.members.len() >= tx.rules.parties.members_max {
        return Err(Refusal::Busy("this party is full".into()).into());
    }
    let own: Friends = tx.get_or_default(&friends::key(user))?;
    for member in &party.members {
        let theirs: Friends = tx.get_or_default(&friends::key(member.user))?;
        if own.blocked.contains_key(&member.user) || theirs.blocked.contains_key(&user) {
            return Err(Refusal::Forbidden("you cannot be in a party with one of its members".into()).into());
        }
    }
    let name = name(user, tx)?;
    party.members.push(Member { user, name, data: String::new() });
    party.invites.remove(&user);
    tx.put(of_key(user), &PartyRef { party: id });
    save(id, party, Change::Joined, user, tx);
    Ok(())
}

pub(super) fn leave(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, party) = own(user, tx)?;
    go(user, id, party, Change::Left, tx);
    Ok(())
}

/// Takes a user out of this party. Who takes the user for a member of it who is not hears how it is.
pub(super) fn remove(user: UserId, of: PartyId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    tx.want([of_key(user), key(of)])?;
    match found(user, tx)? {
        Some((id, party)) if id == of => go(user, id, party, Change::Left, tx),
        _ => {
            let now: Option<Party> = tx.get(&key(of))?;
            let change = Change::Left;
            tx.send(lobby::Event::SynParty { party: of, now: now.map(Box::new), change, about: user });
        }
    }
    Ok(())
}

/// Takes a user out who may be in a party.
pub(super) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    if let Some((id, party)) = found(user, tx)? {
        go(user, id, party, Change::Left, tx);
    }
    Ok(())
}

pub(super) fn kick(user: UserId, whom: UserId, salt: u64, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut party) = led(user, tx)?;
    if whom == user {
        return Err(Refusal::Invalid("this is you: leave the party instead".to_owned()).into());
    }
    if !party.has(whom) {
        return Err(no_member());
    }
    // Who was removed knows the code, also as somebody else.
    let code = free_code(salt, tx)?;
    tx.delete(code_key(&party.code));
    tx.put(code_key(&code), &PartyRef { party: id });
    party.code = code;
    go(whom, id, party, Change::Kicked, tx);
    Ok(())
}

/// A member is in the party no more, and invitations by the member with it; with the last one it is gone.
fn go(user: UserId, id: PartyId, mut party: Party, change: Change, tx: &mut Transaction<'_>) {
    tx.delete(of_key(user));
    party.members.retain(|member| member.user != user);
    party.invites.retain(|_, invite| invite.by != user);
    let Some(first) = party.members.first() else {
        tx.delete(code_key(&party.code));
        tx.delete(key(id));
        return tx.send(lobby::Event::SynParty { party: id, now: None, change, about: user });
    };
    if party.leader == user {
        party.leader = first.user;
    }
    save(id, party, change, user, tx);
}

pub(super) fn hand_over(user: UserId, whom: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut party) = led(user, tx)?;
    if !party.has(whom) {
        return Err(no_member());
    }
    if whom != user {
        party.leader = whom;
        save(id, party, Change::Leader, whom, tx);
    }
    Ok(())
}

pub(super) fn set_data(user: UserId, data: &str, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut party) = led(user, tx)?;
    keep(&mut party.data, data, DATA_BYTES_MAX, "the data of a party")?;
    save(id, party, Change::Data, user, tx);
    Ok(())
}

pub(super) fn set_own_data(user: UserId, data: &str, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let (id, mut party) = own(user, tx)?;
    for member in party.members.iter_mut().filter(|member| member.user == user) {
        keep(&mut member.data, data, MEMBER_DATA_BYTES_MAX, "the data of a party's member")?;
    }
    save(id, party, Change::Data, user, tx);
    Ok(())
}

fn keep(kept: &mut String, data: &str, bytes_max: usize, what: &str) -> Result<(), Refusal> {
    if data.len() > bytes_max {
        return Err(Refusal::Invalid(format!("{what} has at most {bytes_max} bytes")));
    }
    data.clone_into(kept);
    Ok(())
}

fn not_in_one(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    match found(user, tx)? {
        Some(_) => Err(Refusal::Busy("you are in a party already: leave it first".into()).into()),
        None => Ok(()),
    }
}

fn name(user: UserId, tx: &mut Transaction<'_>) -> Result<String, Stop> {
    let profile: Profile = tx.get_or_default(&profile::key(user))?;
    Ok(profile.name)
}

fn no_member() -> Stop {
    Refusal::NotFound("such member in your party".to_owned()).into()
}
