//! What calls of a rule cost on this machine: `rule_cost component.wasm [configuration]`. Without an argument: of the
//! tests' rule, which does nothing, so that the rest is the host's.
//!
//! Rows: each function, with its fuel; judging 1, 8 and 32 proposals of two tickets out of a pool of 64; a call that
//! runs out of fuel.

// The tests' way to components, of which this needs only some.
#[path = "../tests/engine/support.rs"]
#[allow(dead_code)]
mod support;

use std::hint::black_box;
use std::time::Instant;

use scenehost_engine::rule::{Called, Engine, Limits, Options, Player, Property, Proposal, Region, Rule, Ticket};

const RULE: &str = include_str!("../tests/engine/rule.wat");
const CALLS: u32 = 2_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (bytes, harmless) = match arguments.next() {
        Some(path) => (std::fs::read(path).unwrap(), "{}"),
        None => (support::rule_component(RULE), "e"),
    };
    let configuration = arguments.next().unwrap_or_else(|| harmless.to_owned());
    let engine = Engine::new(Options::default()).unwrap();
    let begun = Instant::now();
    let component = engine.compile(&bytes).unwrap();
    println!("compile {} bytes: {:?}", bytes.len(), begun.elapsed());
    let rule = Rule::new(&component, &configuration, Limits::default());
    let words: Vec<String> = ["tank", "healer", "damage", "eu", "us", "language", "de"].map(str::to_owned).to_vec();
    let tickets: Vec<Ticket> = (0..64).map(ticket).collect();

    measure("describe", || rule.describe());
    measure("classify", || rule.classify(&words, &tickets[0]));
    for count in [1, 8, 32] {
        let proposals: Vec<Proposal> = (0..count).map(proposal).collect();
        let used = &tickets[..2 * count as usize];
        measure(&format!("judge {count} of 2 tickets"), || rule.judge(&words, used, &proposals));
    }
    let shared: Vec<Proposal> = (0..32).map(|other| Proposal { tickets: vec![0, other + 1], ..proposal(0) }).collect();
    measure("judge 32 of a ticket and another", || rule.judge(&words, &tickets[..33], &shared));
    let teams: Vec<Vec<Player>> =
        tickets.chunks(5).map(|five| five.iter().flat_map(|it| it.players.clone()).collect()).collect();
    measure(&format!("strength of {} teams", teams.len()), || rule.score_teams(&words, &teams));
    if harmless == "e" {
        let endless = Rule::new(&component, "l", Limits::default());
        measure("out of fuel", || endless.describe());
    }
}

fn ticket(number: u64) -> Ticket {
    let player = Player {
        user: number,
        rating: 1_500,
        games: 50,
        roles: vec![number as u32 % 3, (number as u32 + 1) % 3],
        properties: vec![Property { name: 5, value: 6 }],
    };
    let regions = vec![Region { name: 3, rtt_ms: 20 }, Region { name: 4, rtt_ms: 110 }];
    Ticket { number, waited_ms: 2_000, players: vec![player], regions }
}

fn proposal(place: u32) -> Proposal {
    Proposal { tickets: vec![2 * place, 2 * place + 1], teams: vec![0, 1], region: Some(3) }
}

fn measure<T>(label: &str, mut call: impl FnMut() -> Called<T>) {
    for _ in 0..100 {
        black_box(call());
    }
    let begun = Instant::now();
    let mut fuel = 0;
    for _ in 0..CALLS {
        fuel = black_box(call()).fuel;
    }
    let us = begun.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
    println!("{label}: {us:.1} us, {fuel} fuel");
}
