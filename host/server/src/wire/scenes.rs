//! Games that are going on, in the frames of the client protocol.

use scenehost_core::message::Entry;
use scenehost_core::scene_list::{Ask, Condition, Found, Is, Number, Page, Query, Scalar};
use scenehost_core::{DomainName, Refusal, SceneId, token};
use scenehost_protocol::v1::{self, label_value, req_scenes};

/// How many scenes are told if it is not said how many are wanted.
const LIMIT: usize = 20;

pub fn ask(asked: v1::ReqScenes) -> Result<Ask, Refusal> {
    match asked.ask {
        Some(req_scenes::Ask::Find(find)) => Ok(Ask::Find(Box::new(query(find)?))),
        Some(req_scenes::Ask::Join(scene)) => Ok(Ask::Join(scene_id(&scene)?)),
        Some(req_scenes::Ask::Watch(scene)) => Ok(Ask::Watch(scene_id(&scene)?)),
        None => Err(Refusal::Invalid("req_scenes needs what is asked for: find, join or watch".to_owned())),
    }
}

fn scene_id(text: &str) -> Result<SceneId, Refusal> {
    text.parse().map_err(|error| Refusal::Invalid(format!("no game's id: {error}")))
}

fn query(find: req_scenes::Find) -> Result<Query, Refusal> {
    let v1::req_scenes::Find { domain, conditions, joinable, watchable, limit, after } = find;
    Ok(Query {
        domain: Some(domain).filter(|domain| !domain.is_empty()).map(|domain| DomainName::from(domain.as_str())),
        conditions: conditions.into_iter().map(condition).collect::<Result<_, _>>()?,
        joinable,
        watchable,
        after: Some(after).filter(|after| !after.is_empty()).map(|after| after.parse()).transpose()?,
        limit: if limit == 0 { LIMIT } else { limit as usize },
        ..Query::default()
    })
}

fn condition(condition: v1::LabelCondition) -> Result<Condition, Refusal> {
    let v1::LabelCondition { field, values, at_least, at_most } = condition;
    let values: Vec<Scalar> = values.into_iter().map(scalar).collect::<Result<_, _>>()?;
    if !values.is_empty() && (at_least.is_some() || at_most.is_some()) {
        return Err(Refusal::Invalid(format!("the field {field:?} has values or bounds, not both")));
    }
    let is = match values.is_empty() {
        false => Is::OneOf(values),
        true => Is::Within { min: at_least.map(Number), max: at_most.map(Number) },
    };
    Ok(Condition { field, is })
}

fn scalar(value: v1::LabelValue) -> Result<Scalar, Refusal> {
    match value.value {
        Some(label_value::Value::Text(text)) => Ok(Scalar::Text(text)),
        Some(label_value::Value::Number(number)) => Ok(Scalar::Number(Number(number))),
        Some(label_value::Value::Flag(flag)) => Ok(Scalar::Flag(flag)),
        None => Err(Refusal::Invalid("a value of a label is a text, a number or a flag".to_owned())),
    }
}

pub fn found(page: &Page) -> v1::ResScenes {
    let scene = |found: &Found| v1::FoundScene {
        scene_id: found.scene.to_string(),
        domain: found.domain.as_ref().map(ToString::to_string).unwrap_or_default(),
        players: found.players,
        players_max: found.players_max,
        spectators: found.spectators,
        label: found.label.as_ref().map(|label| label.text().to_owned()).unwrap_or_default(),
        started_ms: found.started.0,
        can_join: found.can_join,
        can_watch: found.can_watch,
    };
    let next = page.next.map(|next| next.to_string()).unwrap_or_default();
    v1::ResScenes { scenes: page.scenes.iter().map(scene).collect(), next }
}

pub fn watch(entry: &Entry, delay_ms: u64) -> v1::ResWatch {
    v1::ResWatch {
        scene_id: entry.scene.to_string(),
        domain: entry.domain.to_string(),
        scene_url: entry.url.clone(),
        watch_token: token::scene_token(entry.scene, &entry.secret),
        token_expires_in_ms: u32::try_from(entry.expires_in_ms).unwrap_or(u32::MAX),
        delay_ms: u32::try_from(delay_ms).unwrap_or(u32::MAX),
    }
}
