//! `/v1/nodes`: the machines that run scenes; operators take them out of service and back.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use scenehost_core::scene_master::{Answer, Capacity, Event, NodeView, Order};
use scenehost_core::{NodeId, Refusal};
use serde::{Deserialize, Serialize};

use super::{Ops, problem, scenes};
use crate::edge::status;

#[derive(Serialize)]
struct Shown {
    node: String,
    /// Where it stands, if that is configured.
    region: Option<String>,
    capacity: Part,
    used: Part,
    /// How many of its scenes are used.
    allocated: u32,
    /// Since when none is, in milliseconds since 1970.
    idle_since_ms: Option<u64>,
    draining: bool,
}

#[derive(Serialize)]
struct Part {
    scenes: u32,
    cpu_us_per_s: u64,
    memory_kib: u64,
}

impl From<Capacity> for Part {
    fn from(Capacity { scenes, cpu_us_per_s, memory_kib }: Capacity) -> Self {
        Self { scenes, cpu_us_per_s, memory_kib }
    }
}

impl From<NodeView> for Shown {
    fn from(view: NodeView) -> Self {
        Self {
            node: view.node.to_string(),
            region: view.region,
            capacity: view.capacity.into(),
            used: view.used.into(),
            allocated: view.allocated,
            idle_since_ms: view.idle_since.map(|since| since.0),
            draining: view.is_draining,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// The process ends when nothing is left on the node.
    #[serde(default)]
    exit: bool,
}

/// All nodes.
pub async fn list(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    match ops.0.bus.ask_scene_master(|number| Event::ReqOperator { number, order: Order::Nodes }).await {
        Ok(Answer::Nodes(nodes)) => Json(nodes.into_iter().map(Shown::from).collect::<Vec<_>>()).into_response(),
        Ok(_) => {
            let refusal = Refusal::Internal("an answer to another question".into());
            problem(status(&refusal), &refusal.to_string())
        }
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}

/// A node gets no more scenes; games on it have their fleet's time.
pub async fn drain(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(node): Path<String>,
    Query(Drain { exit }): Query<Drain>,
) -> Response {
    order(&ops, &headers, node, |node| Order::DrainNode { node, exits: exit }).await
}

/// A node gets scenes again.
pub async fn undrain(State(ops): State<Ops>, headers: HeaderMap, Path(node): Path<String>) -> Response {
    order(&ops, &headers, node, |node| Order::UndrainNode { node }).await
}

async fn order(ops: &Ops, headers: &HeaderMap, node: String, order: impl FnOnce(NodeId) -> Order) -> Response {
    let by = ops.by(headers);
    scenes::answer(ops, headers, Ok(Json(node)), |node| {
        let id = node.parse().map_err(|_| Refusal::Invalid("a node's id has 16 hexadecimal digits".to_owned()))?;
        let order = order(id);
        tracing::info!(target: "audit", by = by.as_deref(), node, ?order, "an operator's order about a node");
        Ok(Box::new(move |number| Event::ReqOperator { number, order }))
    })
    .await
}
