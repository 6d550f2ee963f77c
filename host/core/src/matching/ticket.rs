//! What users bring to a search: who they are, what they have, and what they want.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::domain::{Domain, NAME_BYTES_MAX, PartyRating, ROUND_TRIP_MS_MAX};
use super::pool::{ANY, Marks, OPEN, Slot};
use super::rule;
use super::teams::{ANY_ROLE, Member, Teams};
use serde::{Deserialize, Serialize};

use crate::ids::{MatchId, RoleName, Time, UserId};
use crate::refusal::Refusal;

/// The most opponents that can be named.
pub const OPPONENTS_MAX: usize = 16;
/// The most entries of each part of a wish.
const ENTRIES_MAX: usize = 64;

/// Who is to be matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeker {
    /// Who.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// The rating in this domain, or in the one whose ratings count here.
    pub rating: i32,
    /// How many games the user has played in it.
    pub games: u32,
    /// With whom the user will not play; but for those of the same ticket.
    pub blocked: BTreeSet<UserId>,
    /// What the user brings and wants.
    pub wish: Wish,
}

/// What a user brings to a search, and wants of it; within what the domain allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What the user has, by property. One that is not named: any of it.
    pub has: BTreeMap<String, Vec<String>>,
    /// What the others are to have, or, of a property that is common to the match, what the match is to have. One
    /// that is not named: any of it.
    pub wants: BTreeMap<String, Vec<String>>,
    /// The round trip to each region, in milliseconds. One to a region that is not named counts as long as allowed.
    pub round_trips: BTreeMap<String, u16>,
    /// The roles that the user will play, of those that the domain's teams have; empty: any.
    pub roles: Vec<String>,
    /// With whom the user wants to play, and with nobody else; empty: with anybody.
    pub opponents: BTreeSet<UserId>,
}

/// A search: of a user, or of a whole party, which comes into one scene or into none.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub seekers: Vec<Seeker>,
    /// By what it is compared with others.
    pub rating: i32,
    /// Its age; kept when it comes back from a match that was not made.
    pub since: Time,
    /// What it has and wants, one for each property.
    pub marks: Vec<Marks>,
    /// How far it is from each region.
    pub round_trips: Vec<u16>,
    /// Its users as teams see them, in domains with teams.
    pub members: Vec<Member>,
    /// What the game's rule has to know of it, in domains with one that asks.
    pub facts: Option<Arc<rule::Ticket>>,
    /// Only tickets of one bracket meet; and until when it is in this one.
    pub bracket: u16,
    pub bracket_until: Option<Time>,
    /// Whom it met lately and avoids.
    pub avoids: Vec<UserId>,
    /// When its users hear of the search again, and how long the next time takes.
    pub update_at: Time,
    pub update_ms: u64,
    /// Of what usual wait its users were told when they asked.
    pub told_ms: Option<u64>,
    pub state: State,
}

/// Where a ticket is. It is in exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// In the pool.
    Waiting(Slot),
    /// It waits, but is in no match while one of its users is not here.
    Away,
    /// In a group.
    Grouped(MatchId),
}

impl Ticket {
    /// A ticket of these, who ask now.
    ///
    /// # Errors
    /// What the domain does not allow, or what members of a party do not have in common; and its users again.
    pub fn new(
        seekers: Vec<Seeker>,
        domain: &Domain,
        teams: Option<&Teams>,
        now: Time,
    ) -> Result<Self, (Refusal, Vec<Seeker>)> {
        let wished = seekers.iter().try_for_each(|seeker| seeker.wish.check(domain));
        let of_numbers = wished.and_then(|()| Ok((marks(&seekers, domain)?, members(&seekers, teams)?)));
        let (marks, members) = match of_numbers {
            Ok(of_numbers) => of_numbers,
            Err(refusal) => return Err((refusal, seekers)),
        };
        Ok(Self {
            rating: rating(&seekers, domain),
            marks,
            round_trips: round_trips(&seekers, domain),
            members,
            facts: None,
            bracket: OPEN,
            bracket_until: None,
            seekers,
            since: now,
            avoids: Vec::new(),
            update_at: now,
            update_ms: 0,
            told_ms: None,
            state: State::Away,
        })
    }

    /// Whether names have to be looked at before it is matched.
    pub fn is_careful(&self) -> bool {
        !self.avoids.is_empty()
            || self.seekers.iter().any(|seeker| !seeker.blocked.is_empty() || !seeker.wish.opponents.is_empty())
    }

    /// Whether it has no match yet.
    pub fn waits(&self) -> bool {
        !matches!(self.state, State::Grouped(_))
    }

    pub fn has(&self, user: UserId) -> bool {
        self.seekers.iter().any(|seeker| seeker.user == user)
    }

    /// Whether this one will have nothing to do with another, whatever the other says.
    pub fn rejects(&self, other: &Self, now: Time, relax_ms: u64) -> bool {
        let blocks = |seeker: &Seeker| other.seekers.iter().any(|it| seeker.blocked.contains(&it.user));
        let is_named = |seeker: &Seeker| {
            seeker.wish.opponents.is_empty() || other.seekers.iter().all(|it| seeker.wish.opponents.contains(&it.user))
        };
        let has_waited = |ticket: &Self| now.ms_since(ticket.since) >= relax_ms;
        self.seekers.iter().any(|seeker| blocks(seeker) || !is_named(seeker))
            || (self.avoids.iter().any(|user| other.has(*user)) && !has_waited(self) && !has_waited(other))
    }

    /// Whom its users have named as opponents.
    pub fn opponents(&self) -> impl Iterator<Item = UserId> {
        self.seekers.iter().flat_map(|seeker| &seeker.wish.opponents).copied()
    }
}

impl Wish {
    /// That it is within what the domain allows.
    fn check(&self, domain: &Domain) -> Result<(), Refusal> {
        if [self.has.len(), self.wants.len(), self.round_trips.len(), self.roles.len()]
            .iter()
            .any(|len| *len > ENTRIES_MAX)
        {
            return Err(Refusal::Invalid(format!("a search has at most {ENTRIES_MAX} properties, regions and roles")));
        }
        if !self.opponents.is_empty() && !domain.opponents {
            return Err(Refusal::Invalid("opponents cannot be named here: ask without".to_owned()));
        }
        if self.opponents.len() > OPPONENTS_MAX {
            return Err(Refusal::Invalid(format!("name at most {OPPONENTS_MAX} opponents")));
        }
        for name in self.has.keys().chain(self.wants.keys()) {
            if !domain.properties.iter().any(|property| property.name == *name) {
                let known: Vec<&str> = domain.properties.iter().map(|property| property.name.as_str()).collect();
                return Err(Refusal::Invalid(format!(
                    "there is no property {:?} here: the domain has {}",
                    shown(name),
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                )));
            }
        }
        // Regions that the domain does not have are passed over: a client measures what it knows.
        Ok(())
    }
}

/// A name that came from a user, no longer than a name may be.
fn shown(name: &str) -> String {
    name.chars().take(NAME_BYTES_MAX).collect()
}

fn rating(seekers: &[Seeker], domain: &Domain) -> i32 {
    let ratings = seekers.iter().map(|seeker| i64::from(seeker.rating));
    let rating = match domain.party_rating {
        PartyRating::Mean => ratings.sum::<i64>() / seekers.len().max(1) as i64,
        PartyRating::Max => ratings.max().unwrap_or(0),
    };
    let bonus = i64::from(domain.party_bonus) * (seekers.len() as i64 - 1).max(0);
    (rating + bonus).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// A party has what all of its members have, and wants what all of them want.
fn marks(seekers: &[Seeker], domain: &Domain) -> Result<Vec<Marks>, Refusal> {
    let mask = |property: &super::domain::Property, values: Option<&Vec<String>>| match values {
        Some(values) if !values.is_empty() => property.mask(values).map_err(Refusal::Invalid),
        _ => Ok(u64::MAX),
    };
    domain
        .properties
        .iter()
        .map(|property| {
            let mut marks = ANY;
            for Seeker { wish, .. } in seekers {
                marks.wants &= mask(property, wish.wants.get(&property.name))?;
                if property.common && wish.has.contains_key(&property.name) {
                    let name = &property.name;
                    return Err(Refusal::Invalid(format!("{name} is one for the whole match: say what you want")));
                }
                marks.has &= mask(property, wish.has.get(&property.name))?;
            }
            // Only values that there are: two that have "any" have one of them in common all the same.
            if marks.has == 0 || marks.wants == 0 {
                let name = &property.name;
                return Err(Refusal::Invalid(format!("your party has no {name} in common: change what you chose")));
            }
            Ok(marks)
        })
        .collect()
}

/// A party's users as teams see them.
fn members(seekers: &[Seeker], teams: Option<&Teams>) -> Result<Vec<Member>, Refusal> {
    let Some(teams) = teams else {
        return match seekers.iter().all(|seeker| seeker.wish.roles.is_empty()) {
            true => Ok(Vec::new()),
            false => Err(Refusal::Invalid("there are no roles here: ask without".to_owned())),
        };
    };
    let member = |seeker: &Seeker| {
        let names: Vec<RoleName> = seeker.wish.roles.iter().map(|role| RoleName::from(role.as_str())).collect();
        let roles = if names.is_empty() { Some(ANY_ROLE) } else { teams.role_mask(&names) };
        let known = || teams.roles().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let unknown = || Refusal::Invalid(format!("that is no role here: the roles are {}", known()));
        Ok(Member { rating: seeker.rating, roles: roles.ok_or_else(unknown)? })
    };
    seekers.iter().map(member).collect()
}

/// Of a party the longest of its members to each region.
fn round_trips(seekers: &[Seeker], domain: &Domain) -> Vec<u16> {
    let Some(ping) = &domain.ping else { return Vec::new() };
    let of = |region: &String| {
        let ms = seekers.iter().map(|seeker| seeker.wish.round_trips.get(region).copied().unwrap_or(ping.ms));
        ms.max().unwrap_or(ping.ms).min(ROUND_TRIP_MS_MAX)
    };
    ping.regions.iter().map(of).collect()
}
