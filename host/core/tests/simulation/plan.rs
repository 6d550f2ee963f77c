//! What is done to a simulated host, and when: all of it follows from the seed, so a seed replays, and the list of
//! what is done can be made shorter.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How many messages of each link, and how many of Match, may come once more.
pub const LETTERS_KEPT: usize = 32;
pub const ASKED_KEPT: usize = 8;
/// How long users and faults are at work; after that the simulation runs on in peace.
pub const BUSY_MS: u64 = 15 * 60_000;
/// The domains: a game for two whose scenes begin anew after a failure, and one for two to four whose scenes end.
pub const DOMAINS: [&str; 2] = ["duel", "arena"];
/// How many players a game of each domain takes, at least and at most.
pub const PLAYERS: [(u32, u32); 2] = [(2, 2), (2, 4)];
/// The fleets: those of the domains, one that only operators use, and one that is not known.
pub const FLEETS: [&str; 4] = ["duel", "arena", "manual", "unknown"];
/// The one of which scenes are kept ready.
pub const PROVISIONED: usize = 1;
/// The nodes; the first is the host's own, the others are reached over links that may fail.
pub const NODES: usize = 3;

/// What a user sets out to do; what cannot be done now is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Will {
    Online,
    Search(usize),
    Cancel,
    Answer(bool),
    CreateParty,
    JoinParty(usize),
    Invite(usize),
    LeaveParty,
    CheckReady(usize),
    Ready(bool),
    Enter,
    Play,
    LeaveScene,
    DropScene,
    JoinGame,
    WatchGame,
    EnterToWatch,
    WatchNoMore,
    DropLobby,
    Quit,
    SignOut,
    Rejoin,
}

/// What goes wrong, or is done by operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A node's links lose, double and delay messages; the chances in percent.
    Link {
        node: usize,
        for_ms: u64,
        lost: u64,
        doubled: u64,
        late: u64,
    },
    Pause {
        node: usize,
        for_ms: u64,
    },
    Crash {
        node: usize,
        for_ms: u64,
    },
    Skew {
        node: usize,
        ms: i64,
    },
    StoreDown {
        for_ms: u64,
    },
    FreshMatch(usize),
    /// A domain goes to the handler of another machine, as planned: the others hear that the one before is gone, and
    /// then of the next one.
    HandsOver {
        domain: usize,
        heard_ms: u64,
        next_ms: u64,
    },
    FreshDb,
    /// Of the partition with this number, modulo how many there are.
    FreshMaster(usize),
    /// The machine of one service is gone, with all that was on the way to it and from it; after a while it runs on
    /// another one.
    Dies(Unit),
    /// The process of the host is gone with everything that was not synced, and starts again.
    HostCrash,
    /// The host is told to stop, ends its scenes and starts again.
    HostStop,
    /// One of the last messages between the host and a node comes once more, long after the first time.
    Again {
        node: usize,
        letter: usize,
    },
    /// Match asks for one of the last scenes once more.
    AskedAgain(usize),
    Operator(Deed),
    Ban(usize),
}

/// What runs on a machine of its own where there are many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    Auth,
    Db,
    Lobby,
    Master(usize),
    Match(usize),
}

/// Which scene an operator means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// One that is reserved, if there is one.
    Reserved,
    /// The one with this number among those that live, those first that are seldom as they are; else one that has
    /// ended, or that never was.
    Any(usize),
}

/// What operators do; a fleet is one of [`FLEETS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    ByHand {
        fleet: usize,
        count: u32,
    },
    Reserve {
        fleet: usize,
        for_ms: u64,
    },
    /// A reservation is given back.
    Release(Pick),
    /// Users who do nothing else are put together, or nobody is, in this scene or in any.
    Allocate {
        fleet: usize,
        nobody: bool,
        scene: Option<Pick>,
    },
    Stop(Pick),
    /// A scene goes on elsewhere: on this node, or on any.
    Move(Pick, Option<usize>),
    Drain {
        node: usize,
        for_ms: u64,
    },
    /// A new version of every plugin.
    NewBuild,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    User(usize, Will),
    Fault(Fault),
}

#[derive(Debug, Clone, Copy)]
pub struct Planned {
    pub at_ms: u64,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub users: usize,
    pub actions: Vec<Planned>,
}

/// A generator of its own for each purpose, so that leaving an action out changes as little else as possible.
pub fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}

/// A number below `end`, which is not 0.
pub fn below(rng: &mut ChaCha8Rng, end: u64) -> u64 {
    rng.next_u64() % end
}

/// A number from `from` to below `to`.
pub fn between(rng: &mut ChaCha8Rng, from: u64, to: u64) -> u64 {
    from + below(rng, to - from)
}

pub fn chance(rng: &mut ChaCha8Rng, percent: u64) -> bool {
    below(rng, 100) < percent
}

impl Plan {
    pub fn of_seed(seed: u64) -> Self {
        let rng = &mut stream(seed, 1);
        let users = between(rng, 3, 17) as usize;
        let mut actions: Vec<Planned> =
            (0..users).map(|user| at(below(rng, 5_000), Action::User(user, Will::Online))).collect();
        for user in 0..users {
            let pause_ms = between(rng, 1_500, 30_000);
            let mut at_ms = below(rng, pause_ms);
            while at_ms < BUSY_MS {
                actions.push(at(at_ms, Action::User(user, will(rng, users))));
                at_ms += between(rng, 200, 2 * pause_ms);
            }
        }
        // Each kind of fault is left out, rare or frequent.
        let mut rates: Vec<u64> = (0..KINDS).map(|_| [0, 0, 1, 4][below(rng, 4) as usize]).collect();
        let mut pause_ms = [600_000, 60_000, 12_000, 3_000][below(rng, 4) as usize];
        if seed.is_multiple_of(EAGER) {
            (rates, pause_ms) = (EAGER_RATES.into(), EAGER_PAUSE_MS);
        }
        let sum: u64 = rates.iter().sum();
        let mut at_ms = between(rng, 5_000, 20_000 + pause_ms);
        while sum > 0 && at_ms < BUSY_MS {
            let mut pick = below(rng, sum);
            let kind = rates.iter().position(|rate| pick.checked_sub(*rate).map(|rest| pick = rest).is_none());
            actions.push(at(at_ms, Action::Fault(fault(rng, kind.unwrap_or_default(), users))));
            at_ms += between(rng, 100, 2 * pause_ms);
        }
        actions.extend(hand_overs(seed));
        actions.sort_by_key(|planned| planned.at_ms);
        Self { seed, users, actions }
    }
}

/// How long it is from one handing over to the next, about.
const HAND_OVERS_MS: [u64; 4] = [BUSY_MS, 120_000, 30_000, 8_000];

/// Domains that are handed over, by a generator of their own: the rest of a plan is as it is without.
fn hand_overs(seed: u64) -> Vec<Planned> {
    let rng = &mut stream(seed, 3);
    let pause_ms = HAND_OVERS_MS[below(rng, HAND_OVERS_MS.len() as u64) as usize];
    let mut planned = Vec::new();
    let mut at_ms = between(rng, 5_000, 5_000 + pause_ms);
    while at_ms < BUSY_MS {
        let domain = below(rng, DOMAINS.len() as u64) as usize;
        let heard_ms = between(rng, 1, 200);
        // Now and then there is none for longer than the lobby waits.
        let next_ms = if chance(rng, 5) { 12_000 } else { between(rng, 1, 1_500) };
        planned.push(at(at_ms, Action::Fault(Fault::HandsOver { domain, heard_ms, next_ms })));
        at_ms += between(rng, 100, 2 * pause_ms);
    }
    planned
}

fn at(at_ms: u64, action: Action) -> Planned {
    Planned { at_ms, action }
}

fn will(rng: &mut ChaCha8Rng, users: usize) -> Will {
    let other = below(rng, users as u64) as usize;
    let domain = below(rng, DOMAINS.len() as u64) as usize;
    match below(rng, 100) {
        0..34 => Will::Search(domain),
        34..40 => Will::Cancel,
        40..44 => Will::CreateParty,
        44..51 => Will::JoinParty(other),
        51..54 => Will::Invite(other),
        54..56 => Will::LeaveParty,
        56..62 => Will::CheckReady(domain),
        62..63 => Will::Ready(false),
        63..67 => Will::Play,
        67..70 => Will::JoinGame,
        70..71 => Will::WatchGame,
        71..75 => Will::LeaveScene,
        75..76 => Will::Enter,
        76..81 => Will::DropScene,
        81..87 => Will::DropLobby,
        87..90 => Will::Quit,
        90..92 => Will::SignOut,
        92..97 => Will::Rejoin,
        _ => Will::Online,
    }
}

/// A few more than live at a time.
const SCENES_PICKED: u64 = 9;

fn pick(rng: &mut ChaCha8Rng) -> Pick {
    match chance(rng, 40) {
        true => Pick::Reserved,
        false => Pick::Any(below(rng, SCENES_PICKED) as usize),
    }
}

const KINDS: usize = 20;
/// In one of so many simulations operators are eager and links are bad, so that orders meet scenes in states that pass
/// quickly: how frequent each kind of fault is then, and how long they pause.
const EAGER: u64 = 8;
const EAGER_RATES: [u64; KINDS] = [2, 1, 0, 0, 1, 0, 0, 0, 0, 2, 3, 1, 0, 0, 3, 2, 2, 2, 2, 2];
const EAGER_PAUSE_MS: u64 = 1_500;

fn fault(rng: &mut ChaCha8Rng, kind: usize, users: usize) -> Fault {
    let remote = between(rng, 1, NODES as u64) as usize;
    match kind {
        0 => Fault::Link {
            node: remote,
            for_ms: between(rng, 1_000, 60_000),
            lost: [0, 5, 30][below(rng, 3) as usize],
            doubled: [0, 5, 50][below(rng, 3) as usize],
            late: [0, 10, 50][below(rng, 3) as usize],
        },
        1 => Fault::Pause { node: remote, for_ms: between(rng, 50, 8_000) },
        2 => Fault::Crash { node: remote, for_ms: between(rng, 500, 30_000) },
        3 => Fault::Skew { node: remote, ms: between(rng, 0, 4_000) as i64 - 2_000 },
        4 => Fault::StoreDown { for_ms: between(rng, 50, 40_000) },
        5 => Fault::FreshMatch(below(rng, DOMAINS.len() as u64) as usize),
        6 => Fault::FreshDb,
        7 => Fault::HostCrash,
        8 => Fault::HostStop,
        9 => Fault::Ban(below(rng, users as u64) as usize),
        10 => Fault::Again { node: remote, letter: below(rng, LETTERS_KEPT as u64) as usize },
        11 => Fault::AskedAgain(below(rng, ASKED_KEPT as u64) as usize),
        12 => Fault::FreshMaster(below(rng, 3) as usize),
        13 => Fault::Dies(unit(rng)),
        14 => {
            let to = if chance(rng, 30) { Some(below(rng, NODES as u64 + 1) as usize) } else { None };
            Fault::Operator(Deed::Move(Pick::Any(below(rng, SCENES_PICKED) as usize), to))
        }
        _ => Fault::Operator(deed(rng)),
    }
}

fn unit(rng: &mut ChaCha8Rng) -> Unit {
    match below(rng, 6) {
        0 => Unit::Auth,
        1 => Unit::Db,
        2..4 => Unit::Lobby,
        4 => Unit::Master(below(rng, 3) as usize),
        _ => Unit::Match(below(rng, DOMAINS.len() as u64) as usize),
    }
}

fn deed(rng: &mut ChaCha8Rng) -> Deed {
    let fleet = below(rng, FLEETS.len() as u64) as usize;
    match below(rng, 14) {
        0..1 => Deed::ByHand { fleet, count: between(rng, 1, 4) as u32 },
        1..4 => Deed::Reserve { fleet, for_ms: [0, 2_000, 30_000][below(rng, 3) as usize] },
        4..6 => Deed::Release(pick(rng)),
        6..9 => {
            let scene = if chance(rng, 50) { Some(pick(rng)) } else { None };
            Deed::Allocate { fleet, nobody: chance(rng, 50), scene }
        }
        9..11 => Deed::Stop(Pick::Any(below(rng, SCENES_PICKED) as usize)),
        11..13 => Deed::Drain { node: below(rng, NODES as u64 + 1) as usize, for_ms: between(rng, 1_000, 60_000) },
        _ => Deed::NewBuild,
    }
}
