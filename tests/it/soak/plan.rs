//! What is done to the cluster, and when: a function of the seed.
//!
//! Invariant: faults come in rounds, in each of which every kind of the round comes once, so that none is left out.

use std::time::Duration;

use passing_postgres::Stop;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::NODES;

/// The shortest fault that lasts, in milliseconds.
const LASTS_MS_MIN: u64 = 300;
/// How long all is well between two episodes, in milliseconds.
const QUIET_MS: std::ops::Range<u64> = 200..2_000;

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    pub fault: Fault,
    /// To which node it is done, if to one.
    pub node: usize,
    /// How long a fault lasts that does.
    pub lasts: Duration,
    /// How long all is left alone before it.
    pub quiet: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// kill -9. It is started again, as systemd does.
    Kill,
    /// SIGTERM, as for an upgrade.
    Restart,
    /// SIGSTOP, and SIGCONT.
    Pause,
    /// A node is cut off.
    Cut(From, How),
    /// The NATS server dies and comes back.
    Nats,
    /// The database server dies, or is restarted in order.
    Store(Stop),
}

/// From what a node is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Nats,
    Store,
    /// From both, which is from all other nodes.
    Cluster,
    /// From its users.
    Users,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Connections are reset, and new ones refused.
    Closed,
    /// Nothing gets through, and nobody is told.
    Silent,
}

/// The kinds of faults, by which they are drawn and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Kill,
    Pause,
    CutFromNats,
    CutFromStore,
    Nats,
    Store,
    Restart,
    CutFromCluster,
    CutFromUsers,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Kill,
        Self::Pause,
        Self::CutFromNats,
        Self::CutFromStore,
        Self::Nats,
        Self::Store,
        Self::Restart,
        Self::CutFromCluster,
        Self::CutFromUsers,
    ];
}

impl Fault {
    pub fn kind(self) -> Kind {
        match self {
            Self::Kill => Kind::Kill,
            Self::Restart => Kind::Restart,
            Self::Pause => Kind::Pause,
            Self::Cut(From::Nats, _) => Kind::CutFromNats,
            Self::Cut(From::Store, _) => Kind::CutFromStore,
            Self::Cut(From::Cluster, _) => Kind::CutFromCluster,
            Self::Cut(From::Users, _) => Kind::CutFromUsers,
            Self::Nats => Kind::Nats,
            Self::Store(_) => Kind::Store,
        }
    }
}

/// So many episodes, of faults of these kinds that last at most so long.
pub fn episodes(seed: u64, count: usize, kinds: &[Kind], lasts_ms_max: u64) -> Vec<Episode> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut episodes = Vec::new();
    while episodes.len() < count {
        let mut round = kinds.to_vec();
        round.shuffle(&mut rng);
        episodes.extend(round.into_iter().map(|kind| Episode {
            fault: fault(kind, &mut rng),
            node: rng.random_range(0..NODES),
            lasts: Duration::from_millis(rng.random_range(LASTS_MS_MIN..=lasts_ms_max)),
            quiet: Duration::from_millis(rng.random_range(QUIET_MS)),
        }));
    }
    episodes.truncate(count);
    episodes
}

fn fault(kind: Kind, rng: &mut StdRng) -> Fault {
    let how = if rng.random() { How::Closed } else { How::Silent };
    match kind {
        Kind::Kill => Fault::Kill,
        Kind::Restart => Fault::Restart,
        Kind::Pause => Fault::Pause,
        Kind::CutFromNats => Fault::Cut(From::Nats, how),
        Kind::CutFromStore => Fault::Cut(From::Store, how),
        Kind::CutFromCluster => Fault::Cut(From::Cluster, how),
        Kind::CutFromUsers => Fault::Cut(From::Users, how),
        Kind::Nats => Fault::Nats,
        Kind::Store => Fault::Store(if rng.random() { Stop::Immediate } else { Stop::Fast }),
    }
}

#[test]
fn a_plan_follows_from_its_seed_and_leaves_no_kind_out() {
    let plan = |seed| episodes(seed, 20, &Kind::ALL, 9_000);
    assert_eq!(plan(7), plan(7));
    assert_ne!(plan(7), plan(8));
    for round in plan(7).chunks_exact(Kind::ALL.len()) {
        let mut kinds: Vec<Kind> = round.iter().map(|episode| episode.fault.kind()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds.len(), Kind::ALL.len());
        kinds.dedup();
        assert_eq!(kinds.len(), Kind::ALL.len());
    }
}
