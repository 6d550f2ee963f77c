//! What an operator decides about a domain: who is matched with whom, and how that is relaxed with waiting. Checked
//! once, by [`Domain::check`], before any service sees it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::hours::Hours;
use super::pool::Marks;
use super::rule::Setting;
use super::teams::{Balance, Layout};
use crate::config::PLAYERS_MAX;
use crate::ids::{DomainName, FleetName};

/// The most properties of a domain.
pub const PROPERTIES_MAX: usize = 8;
/// The most values of a property.
pub const VALUES_MAX: usize = 64;
/// The most regions of a domain.
pub const REGIONS_MAX: usize = 64;
/// The most points of a widening.
pub const POINTS_MAX: usize = 16;
/// The longest name of a region, a property, a value or a role, in bytes.
pub const NAME_BYTES_MAX: usize = 32;
/// The most recent opponents that are avoided.
pub const RECENT_MAX: usize = 16;
/// The longest round trip that counts; a longer one counts as this.
pub const ROUND_TRIP_MS_MAX: u16 = 10_000;

/// How users of one domain are matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// The fleet that runs this domain's scenes.
    pub fleet: FleetName,
    /// The fewest players that make a match, 1 or more.
    pub players_min: u32,
    /// The most; a match of this size is made at once.
    pub players_max: u32,
    /// The teams of a match; without any all play in one, or each alone, as the game has it. `players_max` is the sum
    /// of their sizes.
    #[serde(default)]
    pub teams: Layout,
    /// By how many members the largest parties of two teams may differ at first; without it by any.
    #[serde(default)]
    pub party_gap: Option<u32>,
    /// After so much waiting that counts no longer.
    #[serde(default = "default_party_gap_ms")]
    pub party_gap_ms: u64,
    /// By how many the free places of teams may differ, in matches that are not full.
    #[serde(default)]
    pub size_gap: u32,
    /// How long the oldest ticket waits for more than the fewest players.
    #[serde(default = "default_fill_ms")]
    pub fill_ms: u64,
    /// The last step of a ticket that has too few players around: the game fills the empty places itself.
    #[serde(default)]
    pub bots: Option<Bots>,
    /// Whose ratings count; without it the domain's own.
    #[serde(default)]
    pub rating_of: Option<DomainName>,
    /// How far apart ratings may be at first.
    #[serde(default = "default_rating_range")]
    pub rating_range: u32,
    /// By how much the range grows with each second of waiting.
    #[serde(default = "default_rating_range_per_s")]
    pub rating_range_per_s: u32,
    /// Where the range stops growing.
    #[serde(default = "default_rating_range_max")]
    pub rating_range_max: u32,
    /// Other than evenly: how far apart ratings may be after so long, in straight lines from point to point. The first
    /// point holds before it, too, and the last one after it. With it the three above do not count.
    #[serde(default)]
    pub widening: Vec<Point>,
    /// What counts as the rating of a party.
    #[serde(default)]
    pub party_rating: PartyRating,
    /// What each further member adds to that: who play together often play better than they would alone.
    #[serde(default)]
    pub party_bonus: u32,
    /// Where its scenes can run, and how far that may be for its users.
    #[serde(default)]
    pub ping: Option<Ping>,
    /// What users may have and want of the others.
    #[serde(default)]
    pub properties: Vec<Property>,
    /// Whether users may name their opponents.
    #[serde(default)]
    pub opponents: bool,
    /// The game's own conditions: a component that says who may enter and which match is the best.
    #[serde(default)]
    pub rule: Option<Setting>,
    /// How long users have to accept a match that was found; 0: they are not asked.
    #[serde(default)]
    pub accept_ms: u64,
    /// How long who did not accept cannot search; twice as long with each time more.
    #[serde(default)]
    pub decline: Decline,
    /// Whom users do not meet again at once.
    #[serde(default)]
    pub recent: Recent,
    /// When searches are taken; without any: always.
    #[serde(default)]
    pub open: Vec<Hours>,
    /// How long a ticket waits before it is given back without a match.
    #[serde(default = "default_wait_ms_max")]
    pub wait_ms_max: u64,
    /// How many tickets may wait at once.
    #[serde(default = "default_tickets_max")]
    pub tickets_max: usize,
    /// Whether its games change ratings.
    #[serde(default = "default_rated")]
    pub rated: bool,
    /// Whether its searches are recorded, to be replayed with another configuration.
    #[serde(default)]
    pub record: Record,
}

/// Whether searches are recorded: no, into the host's own folder, or into another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Record {
    /// `true` or `false`.
    Is(bool),
    /// The path of a folder.
    In(String),
}

impl Default for Record {
    fn default() -> Self {
        Self::Is(false)
    }
}

/// A point of a widening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// After so much waiting.
    pub after_ms: u64,
    /// Ratings may be so far apart.
    pub range: u32,
}

/// The last step of a ticket that has too few players around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bots {
    /// After so much waiting.
    pub after_ms: u64,
    /// So few players are enough, 1 or more.
    pub players_min: u32,
}

/// What counts as the rating of a party.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartyRating {
    /// The mean of its members'.
    #[default]
    Mean,
    /// The best member's.
    Max,
}

/// Where scenes of a domain can run, and how far that may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// The regions, 1 to [`REGIONS_MAX`].
    pub regions: Vec<String>,
    /// How long a round trip may be at first, in milliseconds. One who has not said how far a region is may play there.
    pub ms: u16,
    /// After so much waiting longer ones are taken, too; without it when the range of ratings has grown to its end, so
    /// that skill is relaxed before distance.
    #[serde(default)]
    pub after_ms: Option<u64>,
    /// By how much the limit grows with each second from then on.
    #[serde(default)]
    pub ms_per_s: u16,
    /// Where it stops growing; then who is far from all regions may play in the nearest.
    pub ms_max: u16,
}

/// Something that users may have and want of the others: a language, a map, whether they speak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// What it may be, 1 to [`VALUES_MAX`].
    pub values: Vec<String>,
    /// It is one for the whole match, as the map: users want some of the values, and the game is told one that all of
    /// them want. Else each user has some and may want some of the others.
    #[serde(default)]
    pub common: bool,
    /// After so much waiting what a user wants of the others counts no longer; without it it always does.
    #[serde(default)]
    pub relax_ms: Option<u64>,
}

/// What becomes of users who do not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decline {
    /// For so long they cannot search the first time.
    pub ms: u64,
    /// And so long at most.
    pub ms_max: u64,
    /// After so long it is forgotten.
    pub forget_ms: u64,
}

impl Default for Decline {
    fn default() -> Self {
        Self { ms: 10_000, ms_max: 600_000, forget_ms: 3_600_000 }
    }
}

/// Whom users do not meet again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recent {
    /// How many of the last opponents, 0 to [`RECENT_MAX`]; 0: they are not avoided.
    pub opponents: usize,
    /// For so long after they met.
    pub ms: u64,
    /// Unless one of the two has waited for so long.
    pub relax_ms: u64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { opponents: 3, ms: 300_000, relax_ms: 5_000 }
    }
}

fn default_rated() -> bool {
    true
}
fn default_fill_ms() -> u64 {
    10_000
}
fn default_rating_range() -> u32 {
    50
}
fn default_rating_range_per_s() -> u32 {
    10
}
fn default_rating_range_max() -> u32 {
    1_000
}
fn default_party_gap_ms() -> u64 {
    60_000
}
fn default_wait_ms_max() -> u64 {
    300_000
}
fn default_tickets_max() -> usize {
    100_000
}

impl Domain {
    /// A domain whose matches have so many players, and else the settings of one that does not say more.
    pub fn new(fleet: FleetName, players_min: u32, players_max: u32) -> Self {
        Self {
            fleet,
            players_min,
            players_max,
            teams: Layout::default(),
            party_gap: None,
            party_gap_ms: default_party_gap_ms(),
            size_gap: 0,
            fill_ms: default_fill_ms(),
            bots: None,
            rating_of: None,
            rating_range: default_rating_range(),
            rating_range_per_s: default_rating_range_per_s(),
            rating_range_max: default_rating_range_max(),
            widening: Vec::new(),
            party_rating: PartyRating::default(),
            party_bonus: 0,
            ping: None,
            properties: Vec::new(),
            opponents: false,
            rule: None,
            accept_ms: 0,
            decline: Decline::default(),
            recent: Recent::default(),
            open: Vec::new(),
            wait_ms_max: default_wait_ms_max(),
            tickets_max: default_tickets_max(),
            rated: default_rated(),
            record: Record::default(),
        }
    }

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        self.check_sizes()?;
        self.check_ranges()?;
        self.ping.as_ref().map_or(Ok(()), Ping::check)?;
        self.check_properties()?;
        self.check_care()?;
        self.rule.as_ref().map_or(Ok(()), Setting::check)?;
        if self.wait_ms_max < 1_000 || self.tickets_max == 0 {
            return Err("wait_ms_max needs at least 1000 and tickets_max at least 1".to_owned());
        }
        self.open.iter().try_for_each(Hours::check)
    }

    fn check_sizes(&self) -> Result<(), String> {
        if self.players_min == 0 || self.players_min > self.players_max {
            return Err(format!(
                "players_min is {}: set it to 1 or more, and to at most players_max ({})",
                self.players_min, self.players_max
            ));
        }
        if self.players_max > PLAYERS_MAX {
            return Err(format!("players_max is {}: at most {PLAYERS_MAX} are possible", self.players_max));
        }
        if !self.teams.teams.is_empty() {
            self.teams.check()?;
            let (fewest, most) = (self.teams.players_min(), self.teams.players_max());
            if self.players_max != most || self.players_min < fewest {
                return Err(format!(
                    "the teams have {fewest} to {most} players: set players_max to {most}, and players_min to at least \
                     {fewest}"
                ));
            }
        }
        match self.bots {
            Some(bots) if bots.players_min == 0 || bots.players_min > self.players_min => {
                Err(format!("bots.players_min is {}: use 1 to players_min ({})", bots.players_min, self.players_min))
            }
            _ => Ok(()),
        }
    }

    fn check_ranges(&self) -> Result<(), String> {
        if self.rating_range > self.rating_range_max {
            return Err("rating_range is above rating_range_max: lower it or raise the maximum".to_owned());
        }
        if self.widening.len() > POINTS_MAX {
            return Err(format!("widening has {} points: use at most {POINTS_MAX}", self.widening.len()));
        }
        let grows = |two: &[Point]| two[0].after_ms < two[1].after_ms && two[0].range <= two[1].range;
        if !self.widening.windows(2).all(grows) {
            return Err("widening goes on in time from point to point, and its ranges do not shrink".to_owned());
        }
        Ok(())
    }

    fn check_properties(&self) -> Result<(), String> {
        if self.properties.len() > PROPERTIES_MAX {
            return Err(format!("there are {} properties: use at most {PROPERTIES_MAX}", self.properties.len()));
        }
        for (i, property) in self.properties.iter().enumerate() {
            let Property { name, values, .. } = property;
            check_name("a property", name)?;
            if self.properties[..i].iter().any(|other| other.name == *name) {
                return Err(format!("there are two properties named {name:?}"));
            }
            check_names(&format!("values of the property {name:?}"), values, VALUES_MAX)?;
            if property.common && property.relax_ms.is_some() {
                return Err(format!("the property {name:?} is common to a match, so it has no relax_ms"));
            }
        }
        Ok(())
    }

    fn check_care(&self) -> Result<(), String> {
        if self.accept_ms != 0 && !(1_000..=120_000).contains(&self.accept_ms) {
            return Err(format!("accept_ms is {}: use 0, or 1000 to 120000", self.accept_ms));
        }
        if self.decline.ms > self.decline.ms_max || self.decline.ms_max > 86_400_000 {
            return Err("decline.ms is at most decline.ms_max, and that at most 86400000, a day".to_owned());
        }
        if self.decline.forget_ms > 7 * 86_400_000 {
            return Err("decline.forget_ms is at most 604800000, a week".to_owned());
        }
        if self.recent.opponents > RECENT_MAX || self.recent.ms > 86_400_000 {
            return Err(format!("recent.opponents is at most {RECENT_MAX}, and recent.ms at most 86400000, a day"));
        }
        Ok(())
    }

    /// How many users a match may have that is made around a ticket which has waited so long: at least, and at most.
    pub fn users_after(&self, waited_ms: u64) -> Range<u32> {
        let fewest = match self.bots {
            Some(bots) if waited_ms >= bots.after_ms => bots.players_min,
            _ if waited_ms >= self.fill_ms => self.players_min,
            _ => self.players_max,
        };
        fewest..self.players_max
    }

    /// The most users of one ticket.
    pub fn party_max(&self) -> u32 {
        if self.teams.teams.is_empty() { self.players_max } else { self.teams.largest_party() }
    }

    /// How even teams are to be in a match around a ticket that has waited so long.
    pub(super) fn balance_after(&self, waited_ms: u64) -> Balance {
        let bots = self.bots.is_some_and(|bots| waited_ms >= bots.after_ms);
        Balance {
            party_bonus: i32::try_from(self.party_bonus).unwrap_or(i32::MAX),
            party_gap_max: self.party_gap.filter(|_| waited_ms < self.party_gap_ms),
            // Bots fill what is free.
            size_gap_max: (!bots).then_some(self.size_gap),
            free_max: None,
        }
    }

    /// How far apart ratings may be after `waited_ms`.
    pub fn range_after(&self, waited_ms: u64) -> u32 {
        if let Some(first) = self.widening.first() {
            return widened(*first, &self.widening, waited_ms);
        }
        let widened =
            u64::from(self.rating_range) + u64::from(self.rating_range_per_s).saturating_mul(waited_ms) / 1_000;
        widened.min(u64::from(self.rating_range_max)) as u32
    }

    /// After how much waiting the range grows no longer.
    pub fn widened_ms(&self) -> u64 {
        if let Some(last) = self.widening.last() {
            return last.after_ms;
        }
        let grows = u64::from(self.rating_range_max - self.rating_range.min(self.rating_range_max));
        match u64::from(self.rating_range_per_s) {
            0 => 0,
            per_s => (grows * 1_000).div_ceil(per_s),
        }
    }

    /// The lowest and the highest rating that one of this rating plays with after `waited_ms`.
    pub fn accepted(&self, rating: i32, waited_ms: u64) -> (i32, i32) {
        let range = self.range_after(waited_ms);
        (rating.saturating_sub_unsigned(range), rating.saturating_add_unsigned(range))
    }

    /// Where its scenes can run; none: everywhere.
    pub fn regions(&self) -> &[String] {
        self.ping.as_ref().map_or(&[], |ping| &ping.regions)
    }

    /// How long a round trip may take after `waited_ms`, in milliseconds, where that counts.
    pub fn ping_after(&self, waited_ms: u64) -> Option<u16> {
        self.ping.as_ref().map(|ping| ping.limit_after(waited_ms, self.widened_ms()))
    }

    /// The regions, a bit each, that are near enough after `waited_ms` for one with these round trips.
    pub fn near(&self, round_trips: &[u16], waited_ms: u64) -> u64 {
        let Some(ping) = &self.ping else { return u64::MAX };
        let limit = ping.limit_after(waited_ms, self.widened_ms());
        let within = |limit: u16| {
            let near = round_trips.iter().enumerate().filter(|(_, ms)| **ms <= limit);
            near.fold(0, |mask, (region, _)| mask | 1 << region)
        };
        match within(limit) {
            0 if limit >= ping.ms_max => within(round_trips.iter().copied().min().unwrap_or(u16::MAX)),
            mask => mask,
        }
    }
}

/// The range of a widening after `waited_ms`, on the line between the points around it.
fn widened(first: Point, points: &[Point], waited_ms: u64) -> u32 {
    let mut before = first;
    for point in points {
        if waited_ms < point.after_ms {
            let (span, passed) = (point.after_ms - before.after_ms, waited_ms.saturating_sub(before.after_ms));
            let grows = u64::from(point.range - before.range);
            return before.range + (grows * passed).checked_div(span).unwrap_or(0) as u32;
        }
        before = *point;
    }
    before.range
}

impl Ping {
    fn check(&self) -> Result<(), String> {
        check_names("ping.regions", &self.regions, REGIONS_MAX)?;
        if self.ms > self.ms_max || self.ms_max > ROUND_TRIP_MS_MAX {
            return Err(format!("ping.ms is at most ping.ms_max, and that at most {ROUND_TRIP_MS_MAX}"));
        }
        Ok(())
    }

    fn limit_after(&self, waited_ms: u64, widened_ms: u64) -> u16 {
        let waited = waited_ms.saturating_sub(self.after_ms.unwrap_or(widened_ms));
        let grown = u64::from(self.ms).saturating_add(u64::from(self.ms_per_s).saturating_mul(waited) / 1_000);
        grown.min(u64::from(self.ms_max)) as u16
    }
}

impl Property {
    /// What one with these marks wants of the others after so much waiting.
    pub(super) fn wanted(&self, marks: Marks, waited_ms: u64) -> u64 {
        match self.relax_ms {
            Some(relax_ms) if waited_ms >= relax_ms => u64::MAX,
            _ => marks.wants,
        }
    }

    /// The values as bits.
    ///
    /// # Errors
    /// One that it cannot have.
    pub fn mask(&self, values: &[String]) -> Result<u64, String> {
        values.iter().try_fold(0, |mask, value| match self.values.iter().position(|it| it == value) {
            Some(bit) => Ok(mask | 1 << bit),
            None => Err(format!("{} cannot be {value:?}: it is one of {}", self.name, self.values.join(", "))),
        })
    }
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    match name.is_empty() || name.len() > NAME_BYTES_MAX {
        true => Err(format!("{what} is named {name:?}: a name has 1 to {NAME_BYTES_MAX} bytes")),
        false => Ok(()),
    }
}

/// That there are 1 to `max`, all with a name and no two with the same.
fn check_names(what: &str, names: &[String], max: usize) -> Result<(), String> {
    if names.is_empty() || names.len() > max {
        return Err(format!("there are {} {what}: use 1 to {max}", names.len()));
    }
    for (i, name) in names.iter().enumerate() {
        check_name(&format!("one of the {what}"), name)?;
        if names[..i].contains(name) {
            return Err(format!("{name:?} is twice among the {what}"));
        }
    }
    Ok(())
}
