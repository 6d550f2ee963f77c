use super::super::cut_off::{CutOff, HOLD_MS, OTHERS_MS};
use super::*;

const NOBODY: [u16; 0] = [];

impl Node {
    /// Which nodes each one hears, from 1; of one that has not said, or does not live, nothing.
    fn hear<const N: usize>(&mut self, hears: [Option<&[u16]>; N]) {
        let row = |(node, hears): (u16, Option<&[u16]>)| NodeRow {
            hears: hears.map(|hears| hears.iter().copied().collect()),
            ..alive(node)
        };
        self.nodes = (1..).zip(hears).map(row).collect();
    }

    /// As it is after so long, in which the store was read every second and said what it says now.
    fn cut_off_after(&mut self, ms: u64) -> Option<CutOff> {
        let until_ms = self.now_ms + ms;
        while self.now_ms < until_ms {
            self.acts_after(1_000.min(until_ms - self.now_ms));
        }
        self.view.cut_off(0, self.now_ms)
    }
}

/// Node `me`, of nodes that hear what is said here, and whether it ends.
fn ends<const N: usize>(me: u16, hears: [Option<&[u16]>; N]) -> bool {
    let mut node = Node::new(me, &[Role::Db]);
    node.hear(hears);
    node.cut_off_after(2 * OTHERS_MS) == Some(CutOff::Nodes)
}

/// Who ends.
fn who_ends<const N: usize>(hears: [Option<&[u16]>; N]) -> Vec<u16> {
    (1..).take(N).filter(|me| ends(*me, hears)).collect()
}

#[test]
fn the_smaller_part_of_the_nodes_that_hear_each_other_ends_and_nobody_while_the_bus_is_away() {
    let all: Option<&[u16]> = Some(&[1, 2, 3]);
    assert_eq!(who_ends([all, all, all]), NOBODY, "all is well");
    assert_eq!(who_ends([Some(&[]), Some(&[2, 3]), Some(&[2, 3])]), [1], "it is cut off");
    assert_eq!(who_ends([Some(&[]), Some(&[]), Some(&[])]), NOBODY, "the bus is away");
    assert_eq!(who_ends([Some(&[1]), Some(&[2, 3]), Some(&[2, 3])]), [1], "it reaches another part of the bus");
    assert_eq!(who_ends([Some(&[]), Some(&[2])]), [1], "of two, the one that reaches no bus");
    assert_eq!(who_ends([Some(&[1]), Some(&[2])]), [2], "of two that reach two buses, the higher number");
    assert_eq!(who_ends([Some(&[]), Some(&[])]), NOBODY);
    let (low, high): (Option<&[u16]>, Option<&[u16]>) = (Some(&[1, 2]), Some(&[3, 4, 5]));
    assert_eq!(who_ends([low, low, high, high, high]), [1, 2]);
    assert_eq!(who_ends([low, low, high, high]), [3, 4]);
    assert_eq!(
        who_ends([Some(&[1, 2]), Some(&[2, 1, 3]), Some(&[2, 3])]),
        NOBODY,
        "each is linked by one that hears it"
    );
}

#[test]
fn who_has_not_said_whom_it_hears_neither_ends_nor_has_others_end() {
    assert_eq!(who_ends([None, Some(&[2, 3]), Some(&[2, 3])]), NOBODY, "it is starting");
    assert_eq!(who_ends([None, None, Some(&[])]), NOBODY, "they are of an earlier version");
    assert_eq!(who_ends([None, Some(&[2]), Some(&[])]), [3]);
}

#[test]
fn a_node_ends_only_when_others_went_on_without_it_for_long_enough_by_all_that_was_read() {
    let cut: [Option<&[u16]>; 3] = [Some(&[]), Some(&[2, 3]), Some(&[2, 3])];
    let well: [Option<&[u16]>; 3] = [Some(&[1, 2, 3]); 3];
    let mut node = Node::new(1, &[Role::Db]);
    node.hear(cut);
    assert_eq!(node.cut_off_after(OTHERS_MS), None, "it was seen a second after that");
    node.hear(well);
    assert_eq!(node.cut_off_after(1_000), None);
    node.hear(cut);
    assert_eq!(node.cut_off_after(OTHERS_MS), None);
    // What was while the store was not read is not known.
    node.now_ms += READ_MS_MAX + OTHERS_MS;
    assert_eq!(node.view.cut_off(0, node.now_ms), None);
    assert_eq!(node.cut_off_after(OTHERS_MS), None);
    assert_eq!(node.cut_off_after(1_000), Some(CutOff::Nodes));
    // It hears them again, and they have not said yet that they hear it.
    let mut node = Node::new(1, &[Role::Db]);
    node.hear(cut);
    node.cut_off_after(OTHERS_MS);
    [2, 3].into_iter().for_each(|other| node.up_as(other, (1, LINK), &[], &[]));
    assert_eq!(node.cut_off_after(1_000), None);
    node.view.peer_down(3, node.now_ms);
    assert_eq!(node.cut_off_after(1_000), Some(CutOff::Nodes));
    // Others that die have gone on for as long as their leases last.
    let mut node = Node::new(1, &[Role::Db]);
    node.hear(cut);
    node.cut_off_after(OTHERS_MS - 1_000);
    node.dies(2);
    node.dies(3);
    assert_eq!(node.cut_off_after(60_000), None);
}

#[test]
fn a_node_knows_whether_it_hears_all_that_were_there_when_it_read_the_store_last() {
    let mut node = Node::new(1, &[Role::Auth]);
    node.up(2, &[Role::Auth], &[]);
    node.acts_after(0);
    assert!(node.view.hears_all());
    node.view.peer_down(2, node.now_ms);
    assert!(!node.view.hears_all());
    node.up_as(2, (2, LINK), &[Role::Auth], &[]);
    assert!(!node.view.hears_all(), "that is another");
    node.up_as(2, (1, LINK), &[Role::Auth], &[]);
    assert!(node.view.hears_all());
}

/// Node 1, which hears node 2, and how long ago it has reached the store.
fn without_store(node: &Node, without_ms: u64) -> Option<CutOff> {
    node.view.cut_off(without_ms, node.now_ms)
}

#[test]
fn a_node_that_reaches_neither_the_store_nor_all_others_ends() {
    let mut node = Node::new(1, &[Role::Auth]);
    node.up(2, &[Role::Auth], &[]);
    node.acts_after(0);
    assert_eq!(without_store(&node, HOLD_MS + 1), None, "the store is away");
    node.view.peer_down(2, node.now_ms);
    assert_eq!(without_store(&node, HOLD_MS), None);
    assert_eq!(without_store(&node, HOLD_MS + 1), Some(CutOff::Both));
}

#[test]
fn a_node_without_the_store_ends_when_one_that_it_hears_has_it_for_long_enough_and_never_when_it_is_away_for_all() {
    let says = |node: &mut Node, reaches_store| {
        let hello = Hello { reaches_store, ..node.view.peers[&2].hello.clone() };
        node.view.peer_hello(2, hello, node.now_ms);
    };
    let mut node = Node::new(1, &[Role::Auth]);
    node.up(2, &[Role::Auth], &[]);
    node.acts_after(0);
    // It is this node that is cut off.
    node.now_ms += HOLD_MS + OTHERS_MS;
    assert_eq!(without_store(&node, HOLD_MS + OTHERS_MS), None, "the other may only not have noticed");
    node.now_ms += 1;
    let cut_off = Some(CutOff::Store { reached_by: 2 });
    assert_eq!(without_store(&node, HOLD_MS + OTHERS_MS + 1), cut_off);
    // It is away for all, and the other is the first to reach it again.
    says(&mut node, false);
    assert_eq!(without_store(&node, 60_000), None);
    says(&mut node, true);
    node.now_ms += OTHERS_MS - 1;
    says(&mut node, true);
    assert_eq!(without_store(&node, 60_000), None, "this one is still trying");
    node.now_ms += 1;
    assert_eq!(without_store(&node, 60_000), cut_off);
    assert_eq!(without_store(&node, 0), None, "it has reached it");
}

#[test]
fn a_node_says_whether_it_reaches_the_store() {
    let mut node = Node::new(1, &[Role::Auth]);
    assert!(node.view.hello().reaches_store && !node.view.set_reaches_store(true));
    assert!(node.view.set_reaches_store(false) && !node.view.hello().reaches_store);
    assert!(!node.view.set_reaches_store(false) && node.view.set_reaches_store(true));
}
