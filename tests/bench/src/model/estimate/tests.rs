use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    assumptions: Assumptions,
}

fn assumptions(flags: &[&str]) -> Assumptions {
    let of = Flags::parse_from(std::iter::once(&"model").chain(flags)).assumptions;
    of.check().expect("they can be computed with");
    of
}

fn costs() -> Costs {
    let us = |value| Some(Measured { value, from: "here" });
    Costs {
        guest_us: us(30.0),
        resume_us: us(20.0),
        purchase_us: us(30.0),
        told_us: us(30.0),
        leaderboard_us: us(4.0),
        ticket_us: us(5.0),
        ticket_bytes: us(300.0),
        scene_us: us(200.0),
        scene_kib: us(40.0),
        step_us: us(7.0),
        frame_us: us(3.0),
        lobby_search_us: us(80.0),
        match_search_us: us(40.0),
        scene_master_us: us(150.0),
        nats_payload_us: us(6.0),
        postgres_commits_per_s: us(20_000.0),
    }
}

fn service<'a>(model: &'a Model, name: &str) -> &'a Service {
    model.services.iter().find(|service| service.name == name).expect("it is there")
}

fn limit<'a>(model: &'a Model, what: &str) -> &'a Limit {
    model.limits.iter().find(|limit| limit.what == what).expect("it is there")
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6 * other.abs().max(1.0)
}

#[test]
fn games_steps_and_messages_follow_from_what_users_do() {
    let model = model(
        &assumptions(&["--users", "1200", "--in-games", "0.5", "--players-per-game", "6", "--game-minutes", "10"]),
        &costs(),
    );
    let scenes = service(&model, "SceneService");
    let per_s: Vec<f64> = scenes.work.iter().map(|work| work.per_s).collect();
    // 600 users in 100 games of 600 s, 20 steps a second, 10 messages a second from each, and one to each in each step.
    assert!(per_s.iter().zip([2_000.0, 6_000.0, 12_000.0, 1.0 / 6.0]).all(|(is, be)| is_near(*is, be)), "{per_s:?}");
    assert!(is_near(scenes.cores, (2_000.0 * 7.0 + 18_000.0 * 3.0 + 200.0 / 6.0) / 1e6));
    assert!(is_near(service(&model, "Match").work[0].per_s, 1.0), "600 users search every 600 s");
}

#[test]
fn what_is_a_unit_has_a_core_and_no_more_and_domains_have_one_each() {
    let told = model(&assumptions(&["--domains", "4"]), &costs());
    assert!(is_near(limit(&told, "Lobby").most, 1.0) && is_near(limit(&told, "Match").most, 4.0));
    assert!(is_near(limit(&told, "Lobby").load, service(&told, "Lobby").cores));
    assert!(told.limits.iter().all(|limit| limit.what != "SceneService"), "it grows with its nodes");
    assert!(told.limits.is_sorted_by(|a, b| a.share >= b.share), "the fullest first");
}

#[test]
fn with_so_many_users_as_fill_a_limit_it_is_full_and_with_a_few_less_it_is_not() {
    let told = model(&assumptions(&[]), &costs());
    for limit in told.limits.iter().filter(|limit| limit.what != "nodes of one bus") {
        let share = |users: f64| {
            let others = model(&Assumptions { users, ..assumptions(&[]) }, &costs());
            others.limits.iter().find(|it| it.what == limit.what).expect("it is there").share
        };
        assert!(share(limit.users * 1.02) > 1.0 && share(limit.users * 0.98) < 1.0, "{limit:?}");
    }
}

#[test]
fn signs_of_life_grow_with_the_square_of_the_nodes_and_their_number_has_a_limit() {
    let signs = |nodes: f64| {
        let it = assumptions(&[]);
        nats(&it, &Rates::of(&it), nodes, 10.0).last().expect("they are the last").per_s
    };
    assert!(is_near(signs(2.0), 8.0), "each hears one, four times a second");
    assert!(is_near(signs(101.0), 4.0 * 101.0 * 100.0));
    assert!(limit(&model(&assumptions(&["--users", "1e9"]), &costs()), "nodes of one bus").share > 1.0);
}

#[test]
fn what_was_not_measured_is_not_counted_and_what_hangs_on_it_is_said_to_be_rough() {
    let whole = model(&assumptions(&[]), &costs());
    let part = model(&assumptions(&[]), &Costs { purchase_us: None, nats_payload_us: None, ..costs() });
    assert!(service(&whole, "Db").is_whole && !service(&part, "Db").is_whole);
    assert!(service(&part, "Db").cores < service(&whole, "Db").cores);
    assert!(limit(&part, "Lobby").is_rough && !limit(&whole, "Lobby").is_rough);
    // Six cores, and a payload passes five servers in three.
    assert!(is_near(limit(&part, "NATS").most, 500_000.0) && is_near(limit(&whole, "NATS").most, 600_000.0));
    assert!(is_near(limit(&whole, "PostgreSQL").most, 20_000.0));
    // Where the nearer cost is not known, the one for a longer way is taken.
    let rough = model(&assumptions(&[]), &Costs { lobby_search_us: None, scene_master_us: None, ..costs() });
    let cost = |model: &Model, name: &str, what: &str| {
        let work = service(model, name).work.iter().find(|work| work.what == what).and_then(|work| work.cost);
        work.map(|cost| cost.value)
    };
    let search = "searches and their matches";
    assert_eq!((cost(&whole, "Lobby", search), cost(&rough, "Lobby", search)), (Some(80.0), Some(60.0)));
    let scenes = |model| cost(model, "SceneMaster", "scenes");
    assert_eq!((scenes(&whole), scenes(&rough)), (Some(150.0), Some(200.0)));
    let nothing = model(&assumptions(&[]), &Costs::default());
    assert!(limit(&nothing, "Lobby").users.is_infinite(), "nobody knows");
}

#[test]
fn what_nothing_can_be_computed_from_is_refused_with_its_flag() {
    for (flag, value) in [("users", "0"), ("in-games", "1.5"), ("domains", "NaN"), ("search-s", "-1"), ("used", "inf")]
    {
        let of = Flags::parse_from(["model", &format!("--{flag}={value}")]).assumptions;
        let told = of.check().expect_err(flag);
        assert!(told.contains(&format!("--{flag} ")), "{told}");
    }
}
