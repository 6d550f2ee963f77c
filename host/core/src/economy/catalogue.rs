//! The catalogue: which currencies and items there are, and what the shop offers, as the operator's file says.
//!
//! Invariant: a catalogue that was checked names in its offers only what it has, and none of its sums can overflow.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::Time;

/// The most that anybody has of anything. All clients can count so far.
pub const COUNT_MAX: u64 = (1 << 53) - 1;
/// The most that an offer costs or gives of one thing, and that one request grants or spends of it.
pub const AMOUNT_MAX: u64 = 1_000_000_000;
/// The most different things in one price, gift, grant or spend.
pub const AMOUNTS_MAX: usize = 8;
/// How many currencies and items there may be, together.
pub const ASSETS_MAX: usize = 1_000;
/// How many offers there may be.
pub const OFFERS_MAX: usize = 1_000;
/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 48;
/// The longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 80;

const DAY_MS: u64 = 86_400_000;

/// So much of each; never 0 of one.
pub type Amounts = BTreeMap<String, u64>;

/// What there is and what it costs. The default has nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// What is paid with.
    pub currencies: BTreeMap<String, Asset>,
    /// What is owned.
    pub items: BTreeMap<String, Asset>,
    /// What the shop sells.
    pub offers: BTreeMap<String, Offer>,
}

/// A currency or an item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// The most that a user has of it; 1 for what one has or has not.
    #[serde(default = "count_max")]
    pub max: u64,
}

fn count_max() -> u64 {
    COUNT_MAX
}

/// Something that the shop sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What users read.
    pub title: String,
    /// What it costs; nothing: it is free.
    #[serde(default)]
    pub price: Amounts,
    /// What one gets.
    pub gives: Amounts,
    /// How often a user may buy it, ever.
    pub per_user: Option<u64>,
    /// How often a user may buy it in a day or a week.
    pub per_period: Option<PerPeriod>,
    /// How often it is sold, to all users together.
    pub stock: Option<u64>,
    /// From when on it is sold.
    #[serde(default, with = "moment")]
    pub from: Option<Time>,
    /// Until when it is sold.
    #[serde(default, with = "moment")]
    pub until: Option<Time>,
}

/// A limit that begins anew with each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerPeriod {
    /// How often in one period.
    pub count: u64,
    /// The period.
    pub period: Period,
}

/// A period of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
}

impl Period {
    /// The number of the period in which this moment is.
    pub fn number(self, now: Time) -> u64 {
        let day = now.0 / DAY_MS;
        match self {
            Self::Day => day,
            // 1970 began on a Thursday.
            Self::Week => (day + 3) / 7,
        }
    }

    /// When the next one begins.
    pub fn end(self, now: Time) -> Time {
        let next = self.number(now) + 1;
        Time(DAY_MS.saturating_mul(match self {
            Self::Day => next,
            Self::Week => next * 7 - 3,
        }))
    }
}

/// A moment as operators write it, such as `2026-12-24T18:00:00Z`; it is said so to other nodes, too.
mod moment {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::ids::Time;

    pub fn serialize<S: Serializer>(moment: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |time: &Time| {
            let ms = i64::try_from(time.0).ok();
            let timestamp = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
            timestamp.map(|it| it.to_string()).ok_or_else(|| S::Error::custom("a moment after the year 9999"))
        };
        moment.as_ref().map(text).transpose()?.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let wrong = || D::Error::custom("a moment is written as \"2026-12-24T18:00:00Z\", and is after 1970");
        let timestamp: Timestamp = text.parse().map_err(|_| wrong())?;
        u64::try_from(timestamp.as_millisecond()).map(|ms| Some(Time(ms))).map_err(|_| wrong())
    }
}

/// A place in the catalogue and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[{place}]: {what}")]
pub struct Wrong {
    place: String,
    what: String,
}

impl Catalogue {
    /// The most that a user may have of this currency or item; `None` if there is no such thing.
    pub fn max(&self, name: &str) -> Option<u64> {
        self.currencies.get(name).or_else(|| self.items.get(name)).map(|asset| asset.max)
    }

    /// Finds what cannot work.
    ///
    /// # Errors
    /// The first such place, and what to change there.
    pub fn check(&self) -> Result<(), Wrong> {
        let wrong = |place: String, what: String| Err(Wrong { place, what });
        if self.currencies.len() + self.items.len() > ASSETS_MAX {
            return wrong("items".to_owned(), format!("there may be {ASSETS_MAX} currencies and items"));
        }
        if self.offers.len() > OFFERS_MAX {
            return wrong("offers".to_owned(), format!("there may be {OFFERS_MAX} offers"));
        }
        let names: BTreeSet<&String> = self.currencies.keys().collect();
        let kinds = [("currencies", &self.currencies), ("items", &self.items)];
        for (kind, (name, asset)) in kinds.iter().flat_map(|(kind, assets)| assets.iter().map(move |it| (kind, it))) {
            let place = format!("{kind}.{name}");
            if !is_name(name) {
                return wrong(place, name_rule());
            }
            if *kind == "items" && names.contains(name) {
                return wrong(place, "a currency has this name already: choose another".to_owned());
            }
            if asset.max == 0 || asset.max > COUNT_MAX {
                return wrong(place, format!("max needs 1 to {COUNT_MAX}"));
            }
        }
        for (name, offer) in &self.offers {
            if let Err(what) = self.check_offer(name, offer) {
                return wrong(format!("offers.{name}"), what);
            }
        }
        Ok(())
    }

    fn check_offer(&self, name: &str, offer: &Offer) -> Result<(), String> {
        if !is_name(name) {
            return Err(name_rule());
        }
        let title = offer.title.chars().take(TITLE_CHARS_MAX + 1);
        if offer.title.trim().is_empty() || title.count() > TITLE_CHARS_MAX || offer.title.chars().any(char::is_control)
        {
            return Err(format!("title needs 1 to {TITLE_CHARS_MAX} characters, none of them a control character"));
        }
        if offer.gives.is_empty() {
            return Err("gives needs at least one currency or item".to_owned());
        }
        for (field, amounts) in [("price", &offer.price), ("gives", &offer.gives)] {
            self.check_amounts(amounts).map_err(|what| format!("{field}: {what}"))?;
        }
        if let Some(name) = offer.price.keys().find(|name| offer.gives.contains_key(*name)) {
            return Err(format!("{name} is in the price and in what it gives: take the smaller from the larger"));
        }
        if let Some(name) = offer.gives.iter().find(|(name, count)| self.max(name).is_some_and(|max| max < **count)) {
            return Err(format!("gives more of {} than a user may have", name.0));
        }
        let limits = [offer.per_user, offer.stock, offer.per_period.map(|it| it.count)];
        if limits.into_iter().flatten().any(|limit| limit == 0 || limit > COUNT_MAX) {
            return Err(format!(
                "per_user, per_period.count and stock need 1 to {COUNT_MAX}; leave out what has no limit"
            ));
        }
        match (offer.from, offer.until) {
            (Some(from), Some(until)) if until <= from => Err("until is not after from".to_owned()),
            _ => Ok(()),
        }
    }

    /// Whether these can be paid, given, granted and spent.
    ///
    /// # Errors
    /// Amounts that are none or too large, and names that are not in the catalogue.
    pub fn check_amounts(&self, amounts: &Amounts) -> Result<(), String> {
        if amounts.len() > AMOUNTS_MAX {
            return Err(format!("there may be {AMOUNTS_MAX} currencies and items at once"));
        }
        for (name, count) in amounts {
            if self.max(name).is_none() {
                let name: String = name.chars().take(NAME_BYTES_MAX).collect();
                return Err(format!("there is no currency or item {name:?} in the catalogue"));
            }
            if *count == 0 || *count > AMOUNT_MAX {
                return Err(format!("an amount needs 1 to {AMOUNT_MAX}"));
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(plain)
}

fn name_rule() -> String {
    format!("a name has 1 to {NAME_BYTES_MAX} letters, digits, - and _")
}
