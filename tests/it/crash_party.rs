//! Parties after the host was killed, or the power failed, at any moment: every change that was acknowledged is there,
//! and one that has no answer is there or not, but never half.
//!
//! Pairs of users change their party, one thing after the other, and know from the answers what it has to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scenehost_client::v1::req_party::{Ask, Create, Leave};
use scenehost_client::v1::syn_party::What;
use scenehost_client::{Credential, Encoding, Error, Lobby, LobbyEvent};

use crate::host::{Host, within};
use crate::player::{device, without_return};

/// How often the host is killed in each test; `SCENEHOST_CRASHES` says otherwise, for a longer run.
const CRASHES: u64 = 40;
const PAIRS: usize = 4;
/// The load lasts at most so long before the host is killed.
const LOAD_MS_MAX: u64 = 100;
const ACT_MS: Duration = Duration::from_millis(4);
/// Nobody is taken out while the host starts again.
const CONFIG: &str = "[lobby]\ngrace_ms = 60000\n";
/// A party that there never is: what asks for it changes nothing.
const NOWHERE: &str = "0000000000000000";

fn crashes() -> u64 {
    std::env::var("SCENEHOST_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(CRASHES)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_parties_are_as_was_acknowledged() {
    let mut host = Host::start(CONFIG);
    let mut pairs: Vec<Pair> = (0..PAIRS).map(Pair::new).collect();
    check(&host, &mut pairs, 0).await;
    for round in 0..crashes() {
        pairs = load(&host, pairs, round).await;
        host.kill9();
        host.restart();
        check(&host, &mut pairs, round).await;
    }
    assert_enough(&host, &pairs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_failure_parties_are_as_was_acknowledged() {
    let mut host = Host::start_on_noted_disk(CONFIG);
    let mut pairs: Vec<Pair> = (0..PAIRS).map(Pair::new).collect();
    check(&host, &mut pairs, 0).await;
    for round in 0..crashes() {
        pairs = load(&host, pairs, round).await;
        host.power_failure();
        host.restart_on_noted_disk();
        check(&host, &mut pairs, round).await;
    }
    assert_enough(&host, &pairs);
}

/// A party as its two users know it. Users are 0 and 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// In the order in which they came in; nobody: there is no party.
    members: Vec<usize>,
    leader: usize,
    data: String,
}

/// Something that changes it, by one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    Create(usize),
    Join(usize),
    Leave(usize),
    Kick,
    HandOver,
    SetData(String),
}

impl Known {
    fn after(&self, act: &Act) -> Self {
        let mut known = self.clone();
        match act {
            Act::Create(user) => known = Self { members: vec![*user], leader: *user, data: String::new() },
            Act::Join(user) => known.members.push(*user),
            Act::Leave(user) => known.members.retain(|it| it != user),
            Act::Kick => known.members.retain(|it| *it == self.leader),
            Act::HandOver => known.leader = 1 - self.leader,
            Act::SetData(data) => known.data.clone_from(data),
        }
        match known.members.first() {
            Some(first) if !known.members.contains(&known.leader) => known.leader = *first,
            Some(_) => {}
            None => known = Self::default(),
        }
        known
    }
}

struct Pair {
    devices: [String; 2],
    rng: StdRng,
    known: Known,
    code: String,
    /// Their connections. Who lets go of one logs out, and leaves the party.
    lobbies: Option<[Lobby; 2]>,
    /// What was asked for, and has no answer.
    open: Option<Act>,
    done: u64,
    /// How often something without an answer was done, and was not.
    open_done: [u64; 2],
}

impl Pair {
    fn new(number: usize) -> Self {
        Self {
            devices: [device(), device()],
            rng: StdRng::seed_from_u64(number as u64),
            known: Known::default(),
            code: String::new(),
            lobbies: None,
            open: None,
            done: 0,
            open_done: [0; 2],
        }
    }

    async fn lobbies(&self, host: &str) -> Result<[Lobby; 2], Error> {
        let lobby = async |device: &str| {
            let credential = Credential::Guest { device_id: device.to_owned(), name: String::new() };
            Lobby::connect(host, credential, without_return(Encoding::Proto)).await
        };
        Ok([lobby(&self.devices[0]).await?, lobby(&self.devices[1]).await?])
    }

    /// What may be done next.
    fn choose(&mut self) -> Act {
        let leader = self.known.leader;
        let data = || format!("after {}", self.done);
        match (&self.known.members[..], self.rng.random_range(0..4)) {
            ([], one) => Act::Create(one % 2),
            ([_], 0) => Act::SetData(data()),
            ([alone], 1) => Act::Leave(*alone),
            ([alone], _) => Act::Join(1 - alone),
            (_, 0) => Act::SetData(data()),
            (_, 1) => Act::HandOver,
            (_, 2) if self.done.is_multiple_of(5) => Act::Kick,
            (_, 2) => Act::Leave(leader),
            (_, _) => Act::Leave(1 - leader),
        }
    }

    /// Asks for what is open, and takes note of the answer; `None`: there was none.
    async fn ask(&mut self, lobbies: &[Lobby; 2]) -> Option<()> {
        let act = self.open.clone()?;
        let leader = self.known.leader;
        let id = |user: usize| lobbies[user].session().user_id;
        let (user, ask) = match &act {
            Act::Create(user) => (*user, Ask::Create(Create {})),
            Act::Join(user) => (*user, Ask::Join(self.code.clone())),
            Act::Leave(user) => (*user, Ask::Leave(Leave {})),
            Act::Kick => (leader, Ask::Kick(id(1 - leader))),
            Act::HandOver => (leader, Ask::HandOver(id(1 - leader))),
            Act::SetData(data) => (leader, Ask::SetData(data.clone())),
        };
        match lobbies[user].party(ask).await {
            Ok(()) => {}
            // A code may be tried so often, and a party be changed; and who was removed stays away.
            Err(Error::Refused(_)) => {
                self.open = None;
                return Some(());
            }
            Err(_) => return None,
        }
        // What has come of it is told before the answer; who is removed makes the code another one.
        if let Some(party) = last_party(&lobbies[user]) {
            self.code = party.code;
        }
        self.open = None;
        self.done += 1;
        self.known = self.known.after(&act);
        Some(())
    }

    async fn work(mut self, over: Arc<AtomicBool>) -> Self {
        let Some(lobbies) = self.lobbies.take() else { return self };
        while !over.load(Ordering::Relaxed) {
            self.open = Some(self.choose());
            if self.ask(&lobbies).await.is_none() {
                break;
            }
            // Slowly enough for everybody's rate.
            tokio::time::sleep(ACT_MS).await;
        }
        self.lobbies = Some(lobbies);
        self
    }

    /// The party as the host has it now.
    async fn stored(&mut self, lobbies: &[Lobby; 2]) -> Known {
        let mut found = None;
        for lobby in lobbies {
            // All that was told on the way in has come before this answer.
            let nothing = lobby.party(Ask::Decline(NOWHERE.to_owned()));
            within("an answer", nothing).await.expect("it changes nothing");
            found = found.or_else(|| last_party(lobby));
        }
        let Some(party) = found else { return Known::default() };
        let ids = [lobbies[0].session().user_id, lobbies[1].session().user_id];
        let number = |id: &str| ids.iter().position(|it| it == id).expect("it is one of the two");
        self.code = party.code;
        Known {
            members: party.members.iter().map(|member| number(&member.user_id)).collect(),
            leader: number(&party.leader_id),
            data: party.data,
        }
    }
}

/// The party as it was told last, if nothing came after it.
fn last_party(lobby: &Lobby) -> Option<scenehost_client::v1::Party> {
    let mut last = None;
    while let Some(Some(event)) = lobby.next().now_or_never() {
        if let LobbyEvent::Party(told) = event {
            last = match told.what {
                Some(What::Party(party)) => Some(party),
                Some(What::Gone(_)) => None,
                _ => last,
            };
        }
    }
    last
}

/// Lets all pairs work, and kills the host in the middle of it.
async fn load(host: &Host, pairs: Vec<Pair>, round: u64) -> Vec<Pair> {
    let over = Arc::new(AtomicBool::new(false));
    let lasts = Duration::from_millis(StdRng::seed_from_u64(round).random_range(20..LOAD_MS_MAX));
    let tasks: Vec<_> = pairs.into_iter().map(|pair| tokio::spawn(pair.work(Arc::clone(&over)))).collect();
    tokio::time::sleep(lasts).await;
    host.kill_now();
    over.store(true, Ordering::Relaxed);
    join_all(tasks).await.into_iter().map(|pair| pair.expect("no pair panics")).collect()
}

/// Every party is as its users know it, with or without what has no answer.
async fn check(host: &Host, pairs: &mut [Pair], round: u64) {
    for pair in pairs {
        let lobbies = pair.lobbies(&host.url()).await.expect("the host runs");
        let stored = pair.stored(&lobbies).await;
        pair.lobbies = Some(lobbies);
        match pair.open.take().map(|act| (pair.known.after(&act), act)) {
            Some((then, _)) if then == stored && then != pair.known => {
                pair.open_done[0] += 1;
                pair.known = then;
            }
            Some((_, act)) => {
                assert_eq!(stored, pair.known, "round {round}, before {act:?}");
                pair.open_done[1] += 1;
            }
            None => assert_eq!(stored, pair.known, "round {round}"),
        }
    }
}

/// A test that did nothing would prove nothing.
fn assert_enough(host: &Host, pairs: &[Pair]) {
    let done: u64 = pairs.iter().map(|pair| pair.done).sum();
    let open: u64 = pairs.iter().flat_map(|pair| pair.open_done).sum();
    assert!(done > 2 * crashes() && open > crashes() / 4, "{done} done, {open} without an answer");
    let (right, said) = host.store(&["check"]);
    assert!(right, "{said}");
}
