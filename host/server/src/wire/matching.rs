//! Matching, but for the state of a search, in the frames of the client protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenehost_core::lobby::Domains;
use scenehost_core::matching::domain::{Domain, Property, ROUND_TRIP_MS_MAX};
use scenehost_core::matching::teams::Team;
use scenehost_core::matching::{Wish, hours};
use scenehost_core::{DomainName, Refusal, Time};
use scenehost_protocol::v1;

use super::user_id;

/// What a user brings and wants. Its limits are the lobby's.
pub fn wish(wish: v1::Wish) -> Result<Box<Wish>, Refusal> {
    let v1::Wish { has, wants, round_trips, opponents, roles } = wish;
    let values = |lists: BTreeMap<String, v1::WishValues>| -> BTreeMap<String, Vec<String>> {
        lists.into_iter().map(|(name, values)| (name, values.values)).collect()
    };
    // A longer one counts as this.
    let trip = |(region, ms): (String, u32)| (region, ms.min(u32::from(ROUND_TRIP_MS_MAX)) as u16);
    Ok(Box::new(Wish {
        has: values(has),
        wants: values(wants),
        round_trips: round_trips.into_iter().map(trip).collect(),
        opponents: opponents.iter().map(|user| user_id(user)).collect::<Result<_, _>>()?,
        roles,
    }))
}

/// A part of the list of domains.
pub fn domains(told: &Domains) -> v1::ResDomains {
    let info = |(name, domain): &(DomainName, Arc<Domain>)| info(name, domain, told.now);
    v1::ResDomains { domains: told.domains.iter().map(info).collect(), more: told.more }
}

fn info(name: &DomainName, domain: &Domain, now: Time) -> v1::DomainInfo {
    v1::DomainInfo {
        name: name.to_string(),
        players_min: domain.players_min,
        players_max: domain.players_max,
        properties: domain.properties.iter().map(property).collect(),
        regions: domain.regions().to_vec(),
        accept_ms: domain.accept_ms,
        wait_ms_max: domain.wait_ms_max,
        rated: domain.rated,
        opponents: domain.opponents,
        opens_ms: hours::opens(&domain.open, now).map_or(0, |opens| opens.0),
        teams: domain.teams.teams.iter().map(team).collect(),
    }
}

fn team(team: &Team) -> v1::DomainTeam {
    let roles = team.roles.iter().map(|(role, count)| (role.to_string(), *count)).collect();
    v1::DomainTeam { count: team.count, size: team.size, size_min: team.fewest(), roles }
}

fn property(property: &Property) -> v1::DomainProperty {
    let Property { name, values, common, relax_ms } = property;
    let relax_ms = relax_ms.unwrap_or(0);
    v1::DomainProperty { name: name.clone(), values: values.clone(), common: *common, relax_ms }
}
