//! The exact minimum-weight matching of a general graph: which pairs of tickets are best, whatever the weights say.
//!
//! Edmonds' blossom algorithm with dual variables (J. Edmonds, "Maximum matching and a polyhedron with 0,1-vertices",
//! 1965) in O(n³) (Z. Galil, "Efficient Algorithms for Finding Maximum Matching in Graphs", ACM Computing Surveys 18,
//! 1986), on a dense graph. It maximises; a large number minus the weight makes that the minimum of the most pairs.
//!
//! Invariant: after each stage every dual variable is feasible and matched edges are tight, so that the last matching
//! is the best one. Vertices are numbered from 1, 0 is none, and blossoms have the numbers above the vertices'.

use std::collections::VecDeque;

/// The pairs of a matching with as many pairs as possible and, among those, the least sum of weights. `weight` says
/// what a pair costs, `None` if the two may not be paired; each pair is asked for once, the lower index first.
/// Weights are at most [`WEIGHT_MAX`].
pub fn min_weight_pairs(count: usize, weight: impl Fn(usize, usize) -> Option<u64>) -> Vec<(usize, usize)> {
    let above = (count as i64 + 1) * (WEIGHT_MAX as i64);
    let mut search = Search::new(count);
    for one in 0..count {
        for other in one + 1..count {
            if let Some(weight) = weight(one, other) {
                search.set_edge(one + 1, other + 1, above - weight.min(WEIGHT_MAX) as i64);
            }
        }
    }
    search.run();
    let mate = |one: usize| search.mate[one + 1];
    (0..count).filter(|one| mate(*one) > one + 1).map(|one| (one, mate(one) - 1)).collect()
}

/// The highest weight; with at most some thousand vertices the sums of all fit.
pub const WEIGHT_MAX: u64 = 1 << 40;

/// What a vertex or blossom is in the search of a stage.
#[derive(Clone, Copy, PartialEq)]
enum Label {
    Free,
    Even,
    Odd,
}

/// An edge: its ends among the vertices, even where it is that of a blossom; no weight is no edge.
#[derive(Clone, Copy)]
struct Edge {
    from: usize,
    to: usize,
    weight: i64,
}

struct Search {
    vertices: usize,
    /// Numbers up to this are or were in use.
    nodes: usize,
    width: usize,
    edges: Vec<Edge>,
    dual: Vec<i64>,
    mate: Vec<usize>,
    /// The even vertex whose edge to this node is the nearest to tight.
    slack: Vec<usize>,
    /// The outermost blossom that a node is in; 0 if the node is not in use.
    outer: Vec<usize>,
    parent: Vec<usize>,
    /// By blossom and vertex: which of the blossom's own parts the vertex is in.
    part_of: Vec<usize>,
    parts: Vec<Vec<usize>>,
    label: Vec<Label>,
    seen: Vec<u64>,
    seen_now: u64,
    queue: VecDeque<usize>,
}

impl Search {
    fn new(vertices: usize) -> Self {
        let width = 2 * vertices + 1;
        let mut edges = Vec::with_capacity(width * width);
        for from in 0..width {
            edges.extend((0..width).map(|to| Edge { from, to, weight: 0 }));
        }
        let mut search = Self {
            vertices,
            nodes: vertices,
            width,
            edges,
            dual: vec![0; width],
            mate: vec![0; width],
            slack: vec![0; width],
            outer: (0..width).map(|node| if node <= vertices { node } else { 0 }).collect(),
            parent: vec![0; width],
            part_of: vec![0; width * (vertices + 1)],
            parts: vec![Vec::new(); width],
            label: vec![Label::Free; width],
            seen: vec![0; width],
            seen_now: 0,
            queue: VecDeque::new(),
        };
        for vertex in 1..=vertices {
            search.part_of[vertex * (vertices + 1) + vertex] = vertex;
        }
        search
    }

    fn set_edge(&mut self, one: usize, other: usize, weight: i64) {
        self.edges[one * self.width + other].weight = weight;
        self.edges[other * self.width + one].weight = weight;
    }

    fn edge(&self, from: usize, to: usize) -> Edge {
        self.edges[from * self.width + to]
    }

    fn part_of(&self, node: usize, vertex: usize) -> usize {
        self.part_of[node * (self.vertices + 1) + vertex]
    }

    /// How far an edge is from tight.
    fn distance(&self, edge: Edge) -> i64 {
        self.dual[edge.from] + self.dual[edge.to] - 2 * self.edge(edge.from, edge.to).weight
    }

    /// Augments until no augmenting path is worth its weight.
    fn run(&mut self) {
        let heaviest = self.edges.iter().map(|edge| edge.weight).max().unwrap_or_default();
        self.dual[1..=self.vertices].fill(heaviest);
        while self.stage() {}
    }

    /// Finds one augmenting path; false if there is none.
    fn stage(&mut self) -> bool {
        self.label.fill(Label::Free);
        self.slack.fill(0);
        self.queue.clear();
        for node in 1..=self.nodes {
            if self.outer[node] == node && self.mate[node] == 0 {
                self.parent[node] = 0;
                self.label[node] = Label::Even;
                self.push(node);
            }
        }
        if self.queue.is_empty() {
            return false;
        }
        loop {
            if self.grow() {
                return true;
            }
            if !self.shift_duals() {
                return false;
            }
            if self.take_tight() {
                return true;
            }
            self.expand_empty();
        }
    }

    /// Follows tight edges from even vertices; true if an augmenting path was found.
    fn grow(&mut self) -> bool {
        while let Some(vertex) = self.queue.pop_front() {
            if self.label[self.outer[vertex]] == Label::Odd {
                continue;
            }
            for other in 1..=self.vertices {
                let edge = self.edge(vertex, other);
                if edge.weight > 0 && self.outer[vertex] != self.outer[other] {
                    if self.distance(edge) > 0 {
                        self.offer_slack(vertex, self.outer[other]);
                    } else if self.found(edge) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Changes the dual variables by as much as keeps them feasible; false if the matching is the best one.
    fn shift_duals(&mut self) -> bool {
        let mut by = i64::MAX;
        for node in 1..=self.nodes {
            if self.outer[node] != node {
                continue;
            }
            if node > self.vertices && self.label[node] == Label::Odd {
                by = by.min(self.dual[node] / 2);
            }
            if self.slack[node] != 0 {
                let distance = self.distance(self.edge(self.slack[node], node));
                match self.label[node] {
                    Label::Free => by = by.min(distance),
                    Label::Even => by = by.min(distance / 2),
                    Label::Odd => {}
                }
            }
        }
        let is_even = |vertex: &usize| self.label[self.outer[*vertex]] == Label::Even;
        if (1..=self.vertices).filter(is_even).any(|vertex| self.dual[vertex] <= by) {
            return false;
        }
        for vertex in 1..=self.vertices {
            match self.label[self.outer[vertex]] {
                Label::Even => self.dual[vertex] -= by,
                Label::Odd => self.dual[vertex] += by,
                Label::Free => {}
            }
        }
        for blossom in self.vertices + 1..=self.nodes {
            if self.outer[blossom] == blossom {
                match self.label[blossom] {
                    Label::Even => self.dual[blossom] += 2 * by,
                    Label::Odd => self.dual[blossom] -= 2 * by,
                    Label::Free => {}
                }
            }
        }
        true
    }

    /// Takes the edges that have become tight; true if an augmenting path was found.
    fn take_tight(&mut self) -> bool {
        self.queue.clear();
        for node in 1..=self.nodes {
            let slack = self.slack[node];
            if self.outer[node] == node && slack != 0 && self.outer[slack] != node {
                let edge = self.edge(slack, node);
                if self.distance(edge) == 0 && self.found(edge) {
                    return true;
                }
            }
        }
        false
    }

    /// Odd blossoms whose dual variable is used up fall apart.
    fn expand_empty(&mut self) {
        for blossom in self.vertices + 1..=self.nodes {
            if self.outer[blossom] == blossom && self.label[blossom] == Label::Odd && self.dual[blossom] == 0 {
                self.expand(blossom);
            }
        }
    }

    fn offer_slack(&mut self, vertex: usize, node: usize) {
        let now = self.slack[node];
        if now == 0 || self.distance(self.edge(vertex, node)) < self.distance(self.edge(now, node)) {
            self.slack[node] = vertex;
        }
    }

    fn reset_slack(&mut self, node: usize) {
        self.slack[node] = 0;
        for vertex in 1..=self.vertices {
            let is_even = self.label[self.outer[vertex]] == Label::Even;
            if self.edge(vertex, node).weight > 0 && self.outer[vertex] != node && is_even {
                self.offer_slack(vertex, node);
            }
        }
    }

    fn push(&mut self, node: usize) {
        if node <= self.vertices {
            return self.queue.push_back(node);
        }
        for part in self.parts[node].clone() {
            self.push(part);
        }
    }

    fn set_outer(&mut self, node: usize, outer: usize) {
        self.outer[node] = outer;
        if node > self.vertices {
            for part in self.parts[node].clone() {
                self.set_outer(part, outer);
            }
        }
    }

    /// Turns a blossom's cycle so that the way from its base to this part has even length; the length.
    fn even_way(&mut self, blossom: usize, part: usize) -> usize {
        let parts = &mut self.parts[blossom];
        let at = parts.iter().position(|it| *it == part).unwrap_or_default();
        if at % 2 == 1 {
            parts[1..].reverse();
            return parts.len() - at;
        }
        at
    }

    fn set_mate(&mut self, node: usize, other: usize) {
        let edge = self.edge(node, other);
        self.mate[node] = edge.to;
        if node <= self.vertices {
            return;
        }
        let part = self.part_of(node, edge.from);
        let way = self.even_way(node, part);
        for at in 0..way {
            self.set_mate(self.parts[node][at], self.parts[node][at ^ 1]);
        }
        self.set_mate(part, other);
        self.parts[node].rotate_left(way);
    }

    fn augment(&mut self, mut node: usize, mut other: usize) {
        loop {
            let next = self.outer[self.mate[node]];
            self.set_mate(node, other);
            if next == 0 {
                return;
            }
            let above = self.outer[self.parent[next]];
            self.set_mate(next, above);
            (node, other) = (above, next);
        }
    }

    /// Where the ways of two even nodes to their roots meet; 0 if their roots differ.
    fn meeting(&mut self, one: usize, other: usize) -> usize {
        self.seen_now += 1;
        let (mut here, mut there) = (one, other);
        while here != 0 || there != 0 {
            if here != 0 {
                if self.seen[here] == self.seen_now {
                    return here;
                }
                self.seen[here] = self.seen_now;
                here = self.outer[self.mate[here]];
                if here != 0 {
                    here = self.outer[self.parent[here]];
                }
            }
            std::mem::swap(&mut here, &mut there);
        }
        0
    }

    /// A tight edge from an even node: the tree grows, or a blossom is made, or (true) the matching was augmented.
    fn found(&mut self, edge: Edge) -> bool {
        let (node, other) = (self.outer[edge.from], self.outer[edge.to]);
        match self.label[other] {
            Label::Free => {
                self.parent[other] = edge.from;
                self.label[other] = Label::Odd;
                let next = self.outer[self.mate[other]];
                self.slack[other] = 0;
                self.slack[next] = 0;
                self.label[next] = Label::Even;
                self.push(next);
            }
            Label::Even => {
                let meeting = self.meeting(node, other);
                if meeting == 0 {
                    self.augment(node, other);
                    self.augment(other, node);
                    return true;
                }
                self.shrink(node, meeting, other);
            }
            Label::Odd => {}
        }
        false
    }

    /// Makes a blossom of the cycle of two even nodes and where their ways meet.
    fn shrink(&mut self, node: usize, meeting: usize, other: usize) {
        let unused = (self.vertices + 1..=self.nodes).find(|blossom| self.outer[*blossom] == 0);
        let blossom = unused.unwrap_or(self.nodes + 1);
        self.nodes = self.nodes.max(blossom);
        self.dual[blossom] = 0;
        self.label[blossom] = Label::Even;
        self.mate[blossom] = self.mate[meeting];
        let mut parts = vec![meeting];
        self.climb(node, meeting, &mut parts);
        parts[1..].reverse();
        self.climb(other, meeting, &mut parts);
        self.parts[blossom] = parts;
        self.set_outer(blossom, blossom);
        self.inherit_edges(blossom);
        self.reset_slack(blossom);
    }

    /// Adds the nodes on the way from one to the meeting; the odd ones become even.
    fn climb(&mut self, from: usize, meeting: usize, parts: &mut Vec<usize>) {
        let mut at = from;
        while at != meeting {
            let odd = self.outer[self.mate[at]];
            parts.extend([at, odd]);
            self.push(odd);
            at = self.outer[self.parent[odd]];
        }
    }

    /// A blossom's edge to each node is the one of its parts' that is nearest to tight.
    fn inherit_edges(&mut self, blossom: usize) {
        for node in 1..=self.nodes {
            self.edges[blossom * self.width + node].weight = 0;
            self.edges[node * self.width + blossom].weight = 0;
        }
        let row = blossom * (self.vertices + 1);
        self.part_of[row..row + self.vertices + 1].fill(0);
        for part in self.parts[blossom].clone() {
            for node in 1..=self.nodes {
                let (own, parts) = (self.edge(blossom, node), self.edge(part, node));
                if own.weight == 0 || self.distance(parts) < self.distance(own) {
                    self.edges[blossom * self.width + node] = parts;
                    self.edges[node * self.width + blossom] = self.edge(node, part);
                }
            }
            for vertex in 1..=self.vertices {
                if self.part_of(part, vertex) != 0 {
                    self.part_of[row + vertex] = part;
                }
            }
        }
    }

    /// An odd blossom falls apart: the even way from its base to where the tree enters stays in the tree.
    fn expand(&mut self, blossom: usize) {
        for part in self.parts[blossom].clone() {
            self.set_outer(part, part);
        }
        let entered = self.part_of(blossom, self.edge(blossom, self.parent[blossom]).from);
        let way = self.even_way(blossom, entered);
        let parts = self.parts[blossom].clone();
        for pair in parts[..way].chunks(2) {
            let (odd, even) = (pair[0], pair[1]);
            self.parent[odd] = self.edge(even, odd).from;
            self.label[odd] = Label::Odd;
            self.label[even] = Label::Even;
            self.slack[odd] = 0;
            self.reset_slack(even);
            self.push(even);
        }
        self.label[entered] = Label::Odd;
        self.parent[entered] = self.parent[blossom];
        for part in &parts[way + 1..] {
            self.label[*part] = Label::Free;
            self.reset_slack(*part);
        }
        self.outer[blossom] = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    /// The most pairs and, of those, the least weight, of all matchings there are; the weight is negative.
    fn best(weights: &[Vec<Option<u64>>], used: u32) -> (usize, i64) {
        let Some(one) = (0..weights.len()).find(|at| used & (1 << at) == 0) else { return (0, 0) };
        let alone = best(weights, used | 1 << one);
        let free = (one + 1..weights.len()).filter(|at| used & (1 << at) == 0);
        let paired = free.filter_map(|other| {
            let weight = weights[one][other]? as i64;
            let (pairs, sum) = best(weights, used | 1 << one | 1 << other);
            Some((pairs + 1, sum - weight))
        });
        paired.fold(alone, Ord::max)
    }

    /// Blossoms that are made, entered and fall apart need graphs of many shapes, so there are thousands.
    #[test]
    fn no_matching_of_small_graphs_is_better() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for round in 0..3_000 {
            let (count, dense) = (rng.random_range(0..11), rng.random_range(1..=3));
            let most = [5, 30, 1_000][round % 3];
            let mut weights = vec![vec![None; count]; count];
            for (one, row) in weights.iter_mut().enumerate() {
                for weight in row.iter_mut().skip(one + 1) {
                    *weight = (rng.random_range(0..3) < dense).then(|| rng.random_range(0..most));
                }
            }
            let pairs = min_weight_pairs(count, |one, other| weights[one][other]);
            let sum: i64 = pairs.iter().map(|(one, other)| weights[*one][*other].expect("an edge") as i64).sum();
            assert_eq!((pairs.len(), -sum), best(&weights, 0), "{weights:?}");
            let mut used: Vec<usize> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
            used.sort_unstable();
            assert!(used.is_sorted_by(|one, other| one < other), "nobody is in two pairs: {pairs:?}");
        }
    }

    /// On a line the best is known, of any size.
    #[test]
    fn on_a_line_it_is_as_good_as_the_pairs_of_neighbours() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for count in [2, 3, 30, 61, 120] {
            let ratings: Vec<i32> = (0..count).map(|_| rng.random_range(1_000..2_000)).collect();
            let gap = |one: usize, other: usize| u64::from(ratings[one].abs_diff(ratings[other]));
            let pairs = min_weight_pairs(ratings.len(), |one, other| Some(gap(one, other)));
            let sum: u64 = pairs.iter().map(|(one, other)| gap(*one, *other)).sum();
            let (expected, neighbours) = super::super::line::min_gap_pairs(&ratings);
            assert_eq!((sum, pairs.len()), (expected, neighbours.len()));
        }
    }
}
