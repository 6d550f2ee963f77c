//! The list of scenes: how games label theirs, what is asked of the list, and what it answers.
//!
//! Invariant: a label and a query are bounded before anybody keeps or carries them out: a label by [`Label::parse`], a
//! query by [`Query::check`].

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use serde::{Deserialize, Serialize};

use crate::ids::{DomainName, FleetName, SceneId, Time};
use crate::partition::{Partition, Shard};
use crate::refusal::Refusal;

/// The longest label, in bytes of its JSON; from the contract.
pub const LABEL_BYTES_MAX: usize = 2_048;
/// How many fields a label may have.
pub const LABEL_FIELDS_MAX: usize = 32;
/// The most scenes of one answer.
pub const PAGE_MAX: usize = 50;
/// About how many bytes of scenes one answer has; with them there are fewer scenes.
pub const PAGE_BYTES_MAX: usize = 32 * 1_024;
/// How many fields a query may filter by.
pub const CONDITIONS_MAX: usize = 8;
/// How many values a field may be looked for among.
pub const VALUES_MAX: usize = 16;
/// The longest name of a field, and the longest text that one is compared with, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;

/// How a game describes a scene: a JSON object. Its fields that are texts, numbers, true or false can be asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Label {
    text: Arc<str>,
    fields: BTreeMap<String, Scalar>,
}

/// Labels are the same if their texts are.
impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Label {}

/// Why a text is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Longer than [`LABEL_BYTES_MAX`].
    #[error("it has {0} bytes, and {LABEL_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// No JSON.
    #[error("it is no JSON: {0}")]
    NoJson(String),
    /// JSON, but no object.
    #[error("it is no JSON object")]
    NoObject,
    /// More than [`LABEL_FIELDS_MAX`].
    #[error("it has {0} fields, and {LABEL_FIELDS_MAX} are allowed")]
    TooManyFields(usize),
}

impl Label {
    /// The label that a game has set.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        if text.len() > LABEL_BYTES_MAX {
            return Err(LabelError::TooLong(text.len()));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| LabelError::NoJson(error.to_string()))?;
        let Value::Object(object) = value else { return Err(LabelError::NoObject) };
        if object.len() > LABEL_FIELDS_MAX {
            return Err(LabelError::TooManyFields(object.len()));
        }
        let scalar = |(name, value)| Some((name, Scalar::of(value)?));
        Ok(Self { text: text.into(), fields: object.into_iter().filter_map(scalar).collect() })
    }

    /// The JSON, as the game has written it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A value that fields are compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
    /// True or false.
    Flag(bool),
}

impl Scalar {
    /// A value of JSON, if it is one of these.
    pub fn of(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text)),
            Value::Number(number) => number.as_f64().map(|number| Self::Number(Number(number))),
            Value::Bool(flag) => Some(Self::Flag(flag)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// A number, which is the same as itself and as nothing else.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0) == Ordering::Equal
    }
}

impl Eq for Number {}

/// What a field of a label has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The field's name.
    pub field: String,
    /// What it has to be.
    pub is: Is,
}

/// What a value has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Is {
    /// One of these.
    OneOf(Vec<Scalar>),
    /// A number within these.
    Within {
        /// At least this.
        min: Option<Number>,
        /// At most this.
        max: Option<Number>,
    },
}

impl Condition {
    fn fits(&self, label: Option<&Label>) -> bool {
        let value = label.and_then(|label| label.fields.get(&self.field));
        match (&self.is, value) {
            (Is::OneOf(values), Some(value)) => values.contains(value),
            (Is::Within { min, max }, Some(Scalar::Number(Number(number)))) => {
                min.is_none_or(|min| *number >= min.0) && max.is_none_or(|max| *number <= max.0)
            }
            _ => false,
        }
    }
}

/// What is asked of the list. Without any of these it is asked for all that there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Only of this domain.
    pub domain: Option<DomainName>,
    /// Only of this fleet.
    pub fleet: Option<FleetName>,
    /// Only those whose labels fit all of these.
    pub conditions: Vec<Condition>,
    /// Only those that can be joined.
    pub joinable: bool,
    /// Only those that can be watched.
    pub watchable: bool,
    /// Only those in this state; for operators.
    pub state: Option<String>,
    /// Only those after this place in the list.
    pub after: Option<Cursor>,
    /// How many at most, 1 to [`PAGE_MAX`].
    pub limit: usize,
}

impl Query {
    /// Whether it is within the limits.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], with what to change.
    pub fn check(&self) -> Result<(), Refusal> {
        let invalid = |text: String| Err(Refusal::Invalid(text));
        if self.limit == 0 || self.limit > PAGE_MAX {
            return invalid(format!("the limit of a list of scenes is 1 to {PAGE_MAX}"));
        }
        if self.conditions.len() > CONDITIONS_MAX {
            return invalid(format!("a list of scenes is filtered by at most {CONDITIONS_MAX} fields"));
        }
        for Condition { field, is } in &self.conditions {
            if field.is_empty() || field.len() > TEXT_BYTES_MAX {
                return invalid(format!("the name of a field has 1 to {TEXT_BYTES_MAX} bytes"));
            }
            match is {
                Is::OneOf(values) if values.is_empty() || values.len() > VALUES_MAX => {
                    return invalid(format!("a field is looked for among 1 to {VALUES_MAX} values"));
                }
                Is::OneOf(values) if values.iter().any(Scalar::is_too_long) => {
                    return invalid(format!("a text that a field is compared with has at most {TEXT_BYTES_MAX} bytes"));
                }
                Is::Within { min: None, max: None } => {
                    return invalid(format!("what should the field {field:?} be? Give values, at_least or at_most"));
                }
                Is::Within { min, max } if [min, max].into_iter().flatten().any(|it| !it.0.is_finite()) => {
                    return invalid(format!("the bounds of the field {field:?} need to be finite numbers"));
                }
                Is::OneOf(_) | Is::Within { .. } => {}
            }
        }
        Ok(())
    }

    /// Whose scenes can be found with it: of those that have one of these shards.
    pub fn to(&self) -> Partition {
        self.fleet.as_ref().map_or(Partition::WHOLE, |fleet| Shard::of_fleet(fleet).into())
    }

    /// Whether a scene is among those that are asked for.
    pub fn fits(&self, found: &Found) -> bool {
        self.domain.as_ref().is_none_or(|domain| found.domain.as_ref() == Some(domain))
            && self.fleet.as_ref().is_none_or(|fleet| found.fleet == *fleet)
            && self.state.as_ref().is_none_or(|state| found.state == *state)
            && (!self.joinable || found.can_join)
            && (!self.watchable || found.can_watch)
            && self.conditions.iter().all(|condition| condition.fits(found.label.as_ref()))
    }
}

impl Scalar {
    fn is_too_long(&self) -> bool {
        matches!(self, Self::Text(text) if text.len() > TEXT_BYTES_MAX)
    }
}

/// A place in the list, which begins with the newest scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// When the scene there was begun.
    pub started: Time,
    /// Which it is.
    pub scene: SceneId,
}

/// 32 hexadecimal digits, which mean nothing to whoever has asked.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.started.0, self.scene)
    }
}

impl FromStr for Cursor {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let parts = text.split_at_checked(16);
        // The time is written as ids are.
        let parsed = parts.and_then(|(time, scene)| Some((time.parse::<SceneId>().ok()?, scene.parse().ok()?)));
        let (time, scene) = parsed.ok_or_else(|| {
            Refusal::Invalid("no cursor of a list of scenes: use the one of the answer before, or none".to_owned())
        })?;
        Ok(Self { started: Time(time.0), scene })
    }
}

/// A scene of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Which.
    pub scene: SceneId,
    /// The domain that it was matched in.
    pub domain: Option<DomainName>,
    /// How it runs.
    pub fleet: FleetName,
    /// Its state, for operators.
    pub state: Cow<'static, str>,
    /// How many hold a seat.
    pub players: u32,
    /// How many can.
    pub players_max: u32,
    /// How many watch it.
    pub spectators: u32,
    /// How its game describes it.
    pub label: Option<Label>,
    /// When it was begun.
    pub started: Time,
    /// Whether somebody who has no seat can get one.
    pub can_join: bool,
    /// Whether it can be watched.
    pub can_watch: bool,
}

impl Found {
    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.label.as_ref().map_or(0, |label| label.text.len())
    }
}

/// A part of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The newest first.
    pub scenes: Vec<Found>,
    /// Where to go on; `None`: that was the end. With one, a page may have less than was asked for, even nothing.
    pub next: Option<Cursor>,
}

impl Page {
    /// One part of the list out of parts of the lists of several partitions, for the same query.
    pub fn merge(pages: Vec<Self>, limit: usize) -> Self {
        let place = |found: &Found| Cursor { started: found.started, scene: found.scene };
        let order = |cursor: &Cursor| (Reverse(cursor.started), cursor.scene);
        // What is behind the place to which the first of them has looked is not known of all.
        let looked_to = pages.iter().filter_map(|page| page.next).min_by_key(order);
        let mut scenes: Vec<Found> = pages.into_iter().flat_map(|page| page.scenes).collect();
        scenes.sort_by_key(|found| order(&place(found)));
        let is_known = |found: &Found| looked_to.is_none_or(|to| order(&place(found)) <= order(&to));
        scenes.truncate(scenes.partition_point(is_known));
        let (mut bytes, mut next) = (0, looked_to);
        for at in 0..scenes.len() {
            if at == limit || bytes >= PAGE_BYTES_MAX {
                next = Some(place(&scenes[at - 1]));
                scenes.truncate(at);
                break;
            }
            bytes += scenes[at].bytes();
        }
        Self { scenes, next }
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.scenes.iter().map(Found::bytes).sum()
    }
}

/// What a user wants of scenes that are there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// To find some.
    Find(Box<Query>),
    /// A seat in one.
    Join(SceneId),
    /// To watch one.
    Watch(SceneId),
}
