use super::*;

mod cut_off;

const LINK: u64 = 7;

/// A node that hears of the others what it is told.
struct Node {
    view: View,
    now_ms: u64,
    rows: Vec<Row>,
    nodes: Vec<NodeRow>,
}

impl Node {
    fn new(me: u16, roles: &[Role]) -> Self {
        let view = View::new(me, 1, roles.iter().copied().collect(), None, [Partition::WHOLE]);
        Self { view, now_ms: 10_000, rows: Vec::new(), nodes: vec![alive(me)] }
    }

    fn up(&mut self, node: u16, roles: &[Role], holds: &[(Unit, u64)]) {
        self.up_as(node, (1, LINK), roles, holds);
        self.nodes.push(alive(node));
    }

    fn up_as(&mut self, node: u16, of: (u64, u64), roles: &[Role], holds: &[(Unit, u64)]) {
        let held = |(unit, epoch): &(Unit, u64)| Held { unit: unit.clone(), epoch: *epoch, serves: true };
        let hello = Hello {
            version: 1,
            oldest: 1,
            release: "1".to_owned(),
            roles: roles.to_vec(),
            holds: holds.iter().map(held).collect(),
            offer: None,
            reaches_store: true,
        };
        self.view.peer_up(node, of, hello, self.now_ms);
    }

    fn has(&mut self, unit: Unit, node: u16, epoch: u64) {
        self.rows.retain(|row| row.unit != unit);
        self.rows.push(Row { unit, epoch, holder: Some((node, 1)) });
    }

    fn dies(&mut self, node: u16) {
        self.nodes.iter_mut().filter(|row| row.node == node).for_each(|row| row.is_alive = false);
    }

    fn acts_after(&mut self, ms: u64) -> Vec<Act> {
        self.now_ms += ms;
        self.view.read(self.rows.clone(), self.nodes.clone(), self.now_ms);
        self.view.acts(self.now_ms)
    }

    /// The units that are handed over.
    fn handed_over_after(&mut self, ms: u64) -> Vec<Unit> {
        let handed = |act| match act {
            Act::HandOver(unit) => Some(unit),
            _ => None,
        };
        self.acts_after(ms).into_iter().filter_map(handed).collect()
    }

    fn owns(&mut self, units: &[Unit]) {
        for unit in units {
            self.view.claimed(unit.clone(), 1);
            self.view.serves(unit, true);
            self.has(unit.clone(), self.view.me, 1);
        }
    }

    fn claims_after(&mut self, ms: u64) -> Vec<Unit> {
        let claims = |act| match act {
            Act::Claim(unit) => Some(unit),
            _ => None,
        };
        self.acts_after(ms).into_iter().filter_map(claims).collect()
    }
}

fn alive(node: u16) -> NodeRow {
    NodeRow { node, incarnation: 1, is_alive: true, hears: None }
}

#[test]
fn a_node_that_is_alone_claims_what_its_roles_allow_once_it_has_read_the_store() {
    let mut node = Node::new(1, &[Role::Auth, Role::Lobby]);
    assert_eq!(node.view.acts(0), [], "nothing was read yet");
    assert_eq!(node.claims_after(0), [Unit::Auth, Unit::Lobby]);
    node.view.claimed(Unit::Auth, 4);
    assert_eq!(node.claims_after(0), [Unit::Lobby]);
    assert_eq!(node.view.holder(&Unit::Auth), Some(Holder::Here { epoch: 4 }));
}

#[test]
fn a_node_that_is_going_to_end_claims_nothing_and_still_has_its_scenes() {
    let mut node = Node::new(1, &[Role::Auth, Role::SceneService]);
    node.view.claim_nothing();
    assert_eq!(node.claims_after(LEAVE_MS), []);
    assert_eq!(node.view.hello().roles, [Role::SceneService], "a SceneMaster that takes over asks for them");
}

#[test]
fn each_free_unit_falls_to_one_node_and_to_any_if_that_one_does_not_take_it() {
    let domains = (0..40).map(|number| DomainName::from(format!("d{number}").as_str()));
    let units: Vec<Unit> = domains.clone().map(Unit::Match).collect();
    let claims_of = |me: u16, ms: u64| {
        let mut node = Node::new(me, &[Role::Match]);
        node.view.set_domains(domains.clone());
        (1..=4).filter(|other| *other != me).for_each(|other| node.up(other, &[Role::Match], &[]));
        let first = node.claims_after(0);
        match ms {
            0 => first,
            ms => node.claims_after(ms),
        }
    };
    let mut all: Vec<Unit> = (1..=4).flat_map(|me| claims_of(me, 0)).collect();
    assert!((1..=4).all(|me| claims_of(me, 0).len() > 3), "all have some");
    all.sort();
    let mut each = units.clone();
    each.sort();
    assert_eq!(all, each, "each falls to one");
    assert_eq!(claims_of(1, LEAVE_MS).len(), units.len());
}

#[test]
fn what_a_dead_node_had_is_claimed_when_its_lease_is_over_and_it_was_silent_for_long_enough() {
    let mut node = Node::new(1, &[Role::Db]);
    node.up(2, &[Role::Db], &[(Unit::Db, 3)]);
    node.has(Unit::Db, 2, 3);
    assert_eq!(node.claims_after(0), []);
    assert_eq!(node.view.holder(&Unit::Db), Some(Holder::There { node: 2, link: LINK, epoch: 3 }));
    node.view.peer_down(2, node.now_ms);
    assert_eq!(node.view.holder(&Unit::Db), None);
    assert_eq!(node.claims_after(CLAIM_AFTER_MS + LEAVE_MS), [], "its lease holds");
    node.dies(2);
    assert_eq!(node.claims_after(0), [Unit::Db]);
}

#[test]
fn a_node_that_is_heard_keeps_what_it_has_though_its_lease_is_over_as_when_the_store_is_away() {
    let mut node = Node::new(1, &[Role::Db]);
    node.up(2, &[Role::Db], &[(Unit::Db, 3)]);
    node.has(Unit::Db, 2, 3);
    assert!(node.claims_after(0).is_empty() && node.view.hears_all());
    node.dies(2);
    assert_eq!(node.claims_after(60_000), []);
    node.view.peer_down(2, node.now_ms);
    assert_eq!(node.claims_after(CLAIM_AFTER_MS - 1), [], "it may not have noticed");
    assert_eq!(node.claims_after(1), [Unit::Db]);
}

#[test]
fn a_node_that_has_just_begun_to_listen_takes_nobody_for_silent() {
    let mut node = Node::new(1, &[Role::Db]);
    node.now_ms = 0;
    node.nodes.push(NodeRow { is_alive: false, ..alive(2) });
    node.has(Unit::Db, 2, 3);
    assert_eq!(node.claims_after(CLAIM_AFTER_MS - 1), []);
    assert_eq!(node.claims_after(1), [Unit::Db]);
}

#[test]
fn what_was_given_back_is_claimed_at_once_and_a_node_that_began_anew_has_nothing_of_before() {
    let mut node = Node::new(1, &[Role::Db, Role::Auth]);
    node.up(2, &[Role::SceneService], &[]);
    node.rows.push(Row { unit: Unit::Db, epoch: 3, holder: None });
    node.has(Unit::Auth, 2, 5);
    assert_eq!(node.claims_after(0), [Unit::Db]);
    node.nodes = vec![alive(1), NodeRow { incarnation: 2, ..alive(2) }];
    assert_eq!(node.claims_after(0), [Unit::Auth, Unit::Db]);
}

#[test]
fn what_the_store_says_is_this_nodes_and_does_not_run_here_is_claimed_again() {
    let mut node = Node::new(1, &[Role::Db]);
    // The answer to a claim was lost, or what the node has ended was not given back.
    node.has(Unit::Db, 1, 3);
    assert_eq!(node.claims_after(0), [Unit::Db]);
    node.view.claimed(Unit::Db, 4);
    assert_eq!(node.claims_after(0), []);
}

#[test]
fn a_unit_that_the_store_gave_to_another_is_stopped_and_its_earlier_owner_counts_no_more() {
    let mut node = Node::new(1, &[Role::Db]);
    node.view.claimed(Unit::Db, 3);
    node.has(Unit::Db, 1, 3);
    assert_eq!(node.acts_after(0), []);
    node.has(Unit::Db, 2, 4);
    assert!(node.acts_after(0).contains(&Act::Stop(Unit::Db)));
    node.view.stopped(&Unit::Db);
    assert!(!node.view.counts(&Unit::Db, 3), "of before");
    assert!(node.view.counts(&Unit::Db, 4));
    node.up(3, &[Role::Db], &[(Unit::Db, 3)]);
    assert_eq!(node.view.holder(&Unit::Db), None, "it does not know yet that it has lost it");
}

/// What is told of units.
fn told(acts: Vec<Act>) -> Vec<(Unit, bool)> {
    let of = |act| match act {
        Act::Tell(unit, up) => Some((unit, up)),
        _ => None,
    };
    acts.into_iter().filter_map(of).collect()
}

#[test]
fn each_unit_is_up_when_it_serves_and_down_for_a_moment_when_it_is_another_whatever_the_others_are() {
    let mut node = Node::new(1, &[]);
    let all: Vec<Unit> = Unit::SOLE.into_iter().chain([Unit::SceneMaster(Partition::WHOLE)]).collect();
    assert_eq!(node.view.down(), all, "that is what units that begin here are told");
    node.view.set_domains([DomainName::from("a"), DomainName::from("b")]);
    let (a, b) = (Unit::Match("a".into()), Unit::Match("b".into()));
    node.up(2, &[Role::Match], &[(a.clone(), 1)]);
    assert_eq!(told(node.acts_after(0)), [(b.clone(), false)], "nobody has the other one");
    assert!(node.view.down().contains(&b) && !node.view.down().contains(&a));
    node.up(3, &[Role::Match], &[(b.clone(), 1)]);
    assert_eq!(told(node.acts_after(0)), [(b.clone(), true)]);
    // It was away for a moment: what was said to it may be lost.
    node.up_as(3, (1, LINK + 1), &[Role::Match], &[(b.clone(), 1)]);
    assert_eq!(told(node.acts_after(0)), [(b.clone(), false), (b.clone(), true)]);
    node.view.peer_down(3, node.now_ms);
    assert_eq!(told(node.acts_after(0)), [(b.clone(), false)]);
    node.view.claimed(b.clone(), 2);
    assert_eq!(told(node.acts_after(0)), [], "it does not serve yet");
    node.view.serves(&b, true);
    assert_eq!(told(node.acts_after(0)), [(b.clone(), true)]);
    // A domain that is no more is told of by its handler.
    node.view.set_domains([DomainName::from("a")]);
    assert_eq!(told(node.acts_after(0)), []);
    node.view.stopped(&b);
    node.view.set_domains([DomainName::from("a"), DomainName::from("b")]);
    assert_eq!(told(node.acts_after(0)), [(b, false)], "a new one that nobody has yet");
}

#[test]
fn that_a_unit_is_another_is_told_before_it_is_heard() {
    let mut node = Node::new(1, &[]);
    node.view.set_domains([DomainName::from("a")]);
    let a = Unit::Match("a".into());
    node.up(2, &[Role::Match], &[(a.clone(), 1)]);
    node.acts_after(0);
    assert!(node.view.counts(&a, 1) && !node.view.has_heard_higher());
    // Its next owner speaks before it has said that it has it.
    assert!(node.view.counts(&a, 2) && node.view.has_heard_higher());
    assert_eq!(told(node.acts_after(0)), [(a.clone(), false)]);
    assert!(!node.view.has_heard_higher() && !node.view.counts(&a, 1));
}

#[test]
fn a_node_that_comes_is_given_the_domains_that_fall_to_it_one_at_a_time_once_it_has_stayed() {
    let domains: Vec<DomainName> = (0..12).map(|number| DomainName::from(format!("d{number}").as_str())).collect();
    let mut node = Node::new(1, &[Role::Match]);
    node.view.set_domains(domains.clone());
    let units: Vec<Unit> = domains.into_iter().map(Unit::Match).collect();
    node.owns(&units);
    assert_eq!(node.handed_over_after(60_000), [], "nobody else is there");
    node.up(2, &[Role::Match], &[]);
    node.up(3, &[Role::Lobby], &[]);
    assert_eq!(node.handed_over_after(STAYS_MS - 1), []);
    let mut moved = Vec::new();
    let mut next = node.handed_over_after(1);
    while let [unit] = &next[..] {
        assert_eq!(node.handed_over_after(HANDED_MS_MAX - 1), [], "one at a time");
        moved.push(unit.clone());
        // It serves there.
        node.view.stopped(unit);
        node.has(unit.clone(), 2, 2);
        let holds: Vec<(Unit, u64)> = moved.iter().map(|unit| (unit.clone(), 2)).collect();
        node.view.peers.get_mut(&2).expect("it is up").hello.holds =
            holds.iter().map(|(unit, epoch)| Held { unit: unit.clone(), epoch: *epoch, serves: true }).collect();
        holds.iter().for_each(|(unit, epoch)| _ = node.view.counts(unit, *epoch));
        next = node.handed_over_after(0);
    }
    assert!((3..=9).contains(&moved.len()), "{} of 12 fall to one of two", moved.len());
    let mine: Vec<Unit> = units.iter().filter(|unit| !moved.contains(unit)).cloned().collect();
    assert!(mine.iter().all(|unit| node.view.falls_to(unit) == Some(1)));
    assert!(moved.iter().all(|unit| node.view.falls_to(unit) == Some(2)));
}

#[test]
fn while_the_store_is_away_no_domain_moves_for_nobody_could_take_it() {
    let (mut node, unit) = owner_of_what_falls_to_another();
    node.now_ms += READ_MS_MAX + STAYS_MS;
    assert_eq!(node.view.acts(node.now_ms), []);
    assert_eq!(node.handed_over_after(0), [unit]);
}

/// Node 1, with a domain that falls to node 2, which has just come.
fn owner_of_what_falls_to_another() -> (Node, Unit) {
    let mut node = Node::new(1, &[Role::Match]);
    let to_other = (0..).map(|number| DomainName::from(format!("d{number}").as_str())).find(|domain| {
        let unit = Unit::Match(domain.clone());
        heaviest(&unit, [1, 2].into_iter()) == Some(2)
    });
    let domain = to_other.expect("every other one does");
    let unit = Unit::Match(domain.clone());
    node.view.set_domains([domain]);
    node.owns(std::slice::from_ref(&unit));
    node.up(2, &[Role::Match], &[]);
    node.acts_after(0);
    (node, unit)
}

#[test]
fn what_a_node_has_not_taken_is_given_it_again_only_when_it_has_begun_anew() {
    let (mut node, unit) = owner_of_what_falls_to_another();
    assert_eq!(node.handed_over_after(STAYS_MS), std::slice::from_ref(&unit));
    // Nobody has taken it, and it is back here.
    node.owns(std::slice::from_ref(&unit));
    assert_eq!(node.handed_over_after(10 * HANDED_MS_MAX), []);
    node.up_as(2, (2, LINK + 1), &[Role::Match], &[]);
    assert_eq!(node.handed_over_after(STAYS_MS), [unit]);
}

#[test]
fn users_are_cut_off_when_the_lobby_is_another_and_the_lobby_hears_of_edges_that_are_lost() {
    let mut node = Node::new(1, &[Role::Lobby]);
    node.up(2, &[Role::Lobby], &[(Unit::Lobby, 1)]);
    node.has(Unit::Lobby, 2, 1);
    assert_eq!(node.acts_after(0), [Act::Tell(Unit::Lobby, true)]);
    node.view.peer_down(2, node.now_ms);
    assert_eq!(node.acts_after(0), [Act::Tell(Unit::Lobby, false), Act::LobbyLost]);
    node.view.claimed(Unit::Lobby, 2);
    assert_eq!(node.acts_after(0), [], "nobody of here was with another lobby");
    node.up(3, &[Role::Lobby], &[]);
    node.view.peer_down(3, node.now_ms);
    assert!(node.acts_after(0).contains(&Act::EdgeLost(3)));
}

#[test]
fn scene_master_hears_of_nodes_with_scenes_and_that_one_is_gone_only_when_its_lease_was_ended() {
    let offer = |url: &str| Offer {
        url: url.to_owned(),
        capacity: scenehost_core::scene_master::Capacity::scenes(4),
        idle: None,
        region: None,
    };
    let mut node = Node::new(1, &[Role::SceneMaster]);
    node.view.offer = Some(offer("one"));
    node.view.claimed(Unit::SceneMaster(Partition::WHOLE), 1);
    node.has(Unit::SceneMaster(Partition::WHOLE), 1, 1);
    node.up(2, &[Role::SceneService], &[]);
    node.view.peers.get_mut(&2).expect("it is up").hello.offer = Some(offer("two"));
    assert_eq!(node.acts_after(0), [Act::NodeUp(1, offer("one")), Act::NodeUp(2, offer("two"))]);
    node.view.peer_down(2, node.now_ms);
    assert_eq!(node.acts_after(60_000), [], "its lease holds: it may be back");
    node.dies(2);
    assert_eq!(node.acts_after(0), [Act::End(2, 1)]);
    assert_eq!(node.acts_after(0), [Act::End(2, 1)], "until it is done");
    node.view.ended(2);
    assert_eq!(node.acts_after(0), []);
    // It is back with nothing.
    node.nodes = vec![alive(1), NodeRow { incarnation: 2, ..alive(2) }];
    node.up_as(2, (2, LINK + 1), &[Role::SceneService], &[]);
    node.view.peers.get_mut(&2).expect("it is up").hello.offer = Some(offer("two"));
    assert_eq!(node.acts_after(0), [Act::NodeUp(2, offer("two"))]);
    // It is cut off, and whoever starts it again and again does not get it as far as being heard.
    node.view.peer_down(2, node.now_ms);
    node.nodes[1].incarnation = 3;
    assert_eq!(node.acts_after(CLAIM_AFTER_MS - 1), []);
    assert_eq!(node.acts_after(1), [Act::NodeDown(2)]);
    node.nodes[1].incarnation = 4;
    assert_eq!(node.acts_after(60_000), []);
    node.up_as(2, (4, LINK + 2), &[Role::SceneService], &[]);
    node.view.peers.get_mut(&2).expect("it is up").hello.offer = Some(offer("two"));
    assert_eq!(node.acts_after(0), [Act::NodeUp(2, offer("two"))]);
    // And again, so fast that nobody has missed it.
    node.nodes[1].incarnation = 5;
    node.up_as(2, (5, LINK + 3), &[Role::SceneService], &[]);
    node.view.peers.get_mut(&2).expect("it is up").hello.offer = Some(offer("two"));
    assert_eq!(node.acts_after(0), [Act::NodeDown(2), Act::NodeUp(2, offer("two"))]);
}
