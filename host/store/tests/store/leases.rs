//! Leases, units and fences, and the races that they are there for.

use std::time::Duration;

use passing_postgres::Server;
use scenehost_store::lease::{Error as LeaseError, Leases, Node, Speaks, Terms, Unit};
use scenehost_store::postgres::Settings;
use scenehost_store::{Error, Store};

use crate::place::{Place, behind, commit, put, settings, text, within};

const LONG: Duration = Duration::from_secs(60);
const TERMS: Terms = Terms { speaks: Speaks { version: 7, oldest: 5 }, partitions: 16 };
/// What has to wait for something has not ended by then.
const A_WHILE: Duration = Duration::from_millis(300);

fn is_fenced<T: std::fmt::Debug>(done: Result<T, Error>, unit: &str, epoch: u64) {
    match done {
        Err(Error::Fenced { unit: found, epoch: of }) => assert_eq!((found.as_str(), of), (unit, epoch)),
        other => panic!("{unit} should be fenced: {other:?}"),
    }
}

/// What a driver promises to who is alone.
async fn one_after_the_other(place: Place) {
    let store = place.open().await.expect("it opens");
    let leases = store.leases();
    let first = leases.take_node(None, LONG).await.expect("it is free");
    assert_eq!(first, Node { number: 1, incarnation: 1 });
    assert!(matches!(leases.take_node(Some(1), LONG).await, Err(LeaseError::Held { number: 1, .. })));
    leases.renew(&first, LONG).await.expect("it lasts");
    let nodes = leases.nodes().await.expect("it can be read");
    assert!(nodes.len() == 1 && nodes[0].node == first && nodes[0].left > LONG / 2, "{nodes:?}");
    assert_eq!(nodes[0].terms, None, "it has not said");
    leases.note_terms(&first, TERMS).await.expect("it lasts");

    let epoch = leases.claim_unit("lobby", &first).await.expect("it is up").expect("it is free");
    let ours = store.fenced("lobby", epoch);
    commit(&ours, vec![put("a", "1")]).await.expect("it is ours");
    let outcome = ours.commit_if(Vec::new(), vec![put("a", "2")]).await.expect("it is ours");
    assert_eq!(outcome, scenehost_store::Outcome::Committed);

    // A second claim of the same node raises the epoch, which fences what is written with the one before.
    let next = leases.claim_unit("lobby", &first).await.expect("it is up").expect("it is ours");
    assert!(next > epoch);
    is_fenced(commit(&ours, vec![put("a", "3")]).await, "lobby", epoch);
    is_fenced(ours.commit_if(Vec::new(), vec![put("a", "4")]).await, "lobby", epoch);
    let again = store.fenced("lobby", next);
    commit(&again, vec![put("b", "1")]).await.expect("it is ours");
    commit(&store, vec![put("c", "1")]).await.expect("who has no fence is not fenced");
    is_fenced(commit(&store.fenced("lobby", next + 1), vec![put("b", "2")]).await, "lobby", next + 1);
    is_fenced(commit(&store.fenced("match", 1), vec![put("b", "2")]).await, "match", 1);
    assert_eq!((text(&store, "a").await.as_deref(), text(&store, "b").await.as_deref()), (Some("2"), Some("1")));

    let unit = |holder, is_alive| Unit { name: "lobby".to_owned(), epoch: next, holder, is_alive };
    assert_eq!(leases.units().await.expect("it can be read"), [unit(Some(first), true)]);
    leases.release_unit("lobby", &first, epoch).await.expect("an old epoch gives nothing back");
    assert_eq!(leases.units().await.expect("it can be read"), [unit(Some(first), true)]);
    leases.release_unit("lobby", &first, next).await.expect("it is up");
    assert_eq!(leases.units().await.expect("it can be read"), [unit(None, false)]);
    is_fenced(commit(&again, vec![put("b", "3")]).await, "lobby", next);

    leases.release_node(&first).await.expect("it is up");
    assert!(matches!(leases.renew(&first, LONG).await, Err(LeaseError::Lost(lost)) if lost == first));
    assert!(matches!(leases.claim_unit("lobby", &first).await, Err(LeaseError::Lost(_))));
    let second = leases.take_node(Some(1), LONG).await.expect("it is free again");
    assert_eq!(second, Node { number: 1, incarnation: 2 });
    assert_eq!(leases.claim_unit("lobby", &second).await.expect("it is up"), Some(next + 1));

    for wrong in ["", &"u".repeat(257), "a\0b"] {
        assert!(matches!(leases.claim_unit(wrong, &second).await, Err(LeaseError::Wrong(_))), "{wrong:?}");
    }
    assert!(matches!(leases.take_node(Some(0), LONG).await, Err(LeaseError::Wrong(_))));
    assert!(matches!(leases.take_node(None, Duration::ZERO).await, Err(LeaseError::Wrong(_))));
    assert!(matches!(leases.renew(&second, LONG * 61).await, Err(LeaseError::Wrong(_))));
    assert!(store.scan("").await.expect("it can be read").len() == 3, "leases are no records");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_after_the_other_in_rocksdb() {
    one_after_the_other(Place::rocks()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_after_the_other_in_postgres() {
    one_after_the_other(Place::postgres()).await;
}

#[tokio::test]
async fn in_rocksdb_every_start_is_a_new_incarnation_and_fences_the_one_before() {
    let place = Place::rocks();
    let mut before = (0, 0);
    for _ in 0..3 {
        let store = place.open().await.expect("it opens");
        let leases = store.leases();
        assert!(leases.nodes().await.expect("it can be read").is_empty(), "who held the lock has ended");
        let node = leases.take_node(Some(7), LONG).await.expect("the lock is held");
        let epoch = leases.claim_unit("db", &node).await.expect("it is up").expect("it is free");
        assert!(node.number == 7 && node.incarnation > before.0 && epoch > before.1, "{node:?} {epoch} {before:?}");
        if before.1 > 0 {
            is_fenced(commit(&store.fenced("db", before.1), vec![put("a", "")]).await, "db", before.1);
        }
        commit(&store.fenced("db", epoch), vec![put("a", "")]).await.expect("it is ours");
        before = (node.incarnation, epoch);
    }
}

/// Several stores on one schema, as processes would have them.
async fn stores(settings: &Settings, count: usize) -> Vec<Store> {
    let mut stores = Vec::new();
    for _ in 0..count {
        stores.push(Store::connect(settings).await.expect("it is there"));
    }
    stores
}

async fn run_out(behind: &tokio_postgres::Client, node: &Node) {
    let sql = format!("UPDATE nodes SET until = clock_timestamp() WHERE number = {}", node.number);
    behind.batch_execute(&sql).await.expect("it is there");
}

async fn claim(leases: &Leases, node: &Node) -> Option<u64> {
    within("a claim", leases.claim_unit("db", node)).await.expect("it is up")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_take_and_claim_at_once_each_has_a_number_and_one_has_the_unit() {
    let settings = settings(Server::shared());
    let stores = stores(&settings, 4).await;
    let behind = behind(&settings).await;
    let mut last = 0;
    for round in 0..12 {
        let tries = stores.iter().map(|store| {
            let leases = store.leases();
            tokio::spawn(async move {
                let node = leases.take_node(None, LONG).await.expect("there are enough");
                (node, leases.claim_unit("db", &node).await.expect("it is up"))
            })
        });
        let mut nodes = Vec::new();
        let mut epochs = Vec::new();
        for one in tries.collect::<Vec<_>>() {
            let (node, epoch) = within("a claim", one).await.expect("nobody panics");
            nodes.push(node);
            epochs.extend(epoch);
        }
        nodes.sort_unstable();
        assert_eq!(nodes.iter().map(|node| node.number).collect::<Vec<_>>(), [1, 2, 3, 4], "round {round}");
        assert!(nodes.iter().all(|node| node.incarnation == round + 1), "{nodes:?}");
        assert!(epochs.len() == 1 && epochs[0] == last + 1, "round {round}: {epochs:?}");
        last = epochs[0];
        for node in &nodes {
            run_out(&behind, node).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_has_run_out_is_renewed_until_it_is_ended_and_what_its_node_held_is_free_meanwhile() {
    let settings = settings(Server::shared());
    let stores = stores(&settings, 2).await;
    let (ours, others) = (stores[0].leases(), stores[1].leases());
    let short = Duration::from_millis(400);
    let slow = ours.take_node(Some(5), short).await.expect("it is free");
    let other = others.take_node(None, LONG).await.expect("there are enough");
    assert_eq!(other.number, 1, "the lowest");
    let epoch = claim(&ours, &slow).await.expect("it is free");
    assert_eq!(claim(&others, &other).await, None, "its lease lasts");
    match others.take_node(Some(5), LONG).await {
        Err(LeaseError::Held { number: 5, left }) => assert!(left <= short, "{left:?}"),
        other => panic!("{other:?}"),
    }
    tokio::time::sleep(short).await;
    assert!(matches!(ours.claim_unit("db", &slow).await, Err(LeaseError::Lost(_))));
    ours.renew(&slow, short).await.expect("nobody has ended it or taken its number");
    assert!(!others.end_node(&slow).await.expect("it can be asked"), "it lasts");
    tokio::time::sleep(short).await;
    assert!(others.end_node(&slow).await.expect("it can be ended"));
    assert!(matches!(ours.renew(&slow, LONG).await, Err(LeaseError::Lost(_))), "though nobody has taken its number");
    assert!(matches!(ours.claim_unit("db", &slow).await, Err(LeaseError::Lost(_))));
    let units = ours.units().await.expect("it can be read");
    assert!(units[0].holder == Some(slow) && !units[0].is_alive, "{units:?}");

    let fenced = stores[0].fenced("db", epoch);
    commit(&fenced, vec![put("a", "1")]).await.expect("nobody has claimed it yet");
    assert_eq!(claim(&others, &other).await, Some(epoch + 1));
    is_fenced(commit(&fenced, vec![put("a", "2")]).await, "db", epoch);
    let again = ours.take_node(Some(5), LONG).await.expect("it has run out");
    assert_eq!(again.incarnation, slow.incarnation + 1);
    assert_eq!(claim(&ours, &again).await, None);
    assert!(matches!(ours.renew(&slow, LONG).await, Err(LeaseError::Lost(_))), "the one before stays lost");
    ours.release_unit("db", &again, epoch + 1).await.expect("what is another's is not given back");
    assert_eq!(text(&stores[1], "a").await.as_deref(), Some("1"));
    commit(&stores[1].fenced("db", epoch + 1), vec![put("a", "3")]).await.expect("it is the other's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terms_of_a_node_are_known_to_others_as_long_as_it_has_its_lease() {
    let settings = settings(Server::shared());
    let stores = stores(&settings, 2).await;
    let (ours, others) = (stores[0].leases(), stores[1].leases());
    let node = ours.take_node(Some(3), LONG).await.expect("it is free");
    let terms = async || others.nodes().await.expect("it can be read")[0].terms;
    assert_eq!(terms().await, None);
    ours.note_terms(&node, TERMS).await.expect("it lasts");
    assert_eq!(terms().await, Some(TERMS));
    ours.release_node(&node).await.expect("it is up");
    assert!(matches!(ours.note_terms(&node, TERMS).await, Err(LeaseError::Lost(_))));
    ours.take_node(Some(3), LONG).await.expect("it is free");
    assert_eq!(terms().await, None, "another process may have others");
}

#[test]
fn nodes_work_together_that_know_each_other_s_versions() {
    let speaks = |oldest, version| Speaks { version, oldest };
    for (one, other, together) in [
        (speaks(1, 1), speaks(1, 1), true),
        (speaks(1, 1), speaks(1, 2), true),
        (speaks(1, 1), speaks(2, 2), false),
        (speaks(2, 3), speaks(3, 4), true),
        (speaks(2, 3), speaks(4, 5), false),
    ] {
        assert_eq!((one.works_with(other), other.works_with(one)), (together, together), "{one}; {other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_node_hears_is_known_to_others_from_its_last_renewal() {
    let settings = settings(Server::shared());
    let stores = stores(&settings, 2).await;
    let (ours, others) = (stores[0].leases(), stores[1].leases());
    let node = ours.take_node(Some(3), LONG).await.expect("it is free");
    let hears = async || others.nodes().await.expect("it can be read")[0].hears.clone();
    assert_eq!(hears().await, None, "it has not said");
    for heard in [vec![], vec![1, 3, 65_535]] {
        let heard = heard.into_iter().collect();
        ours.renew_saying(&node, LONG, Some(&heard)).await.expect("it lasts");
        assert_eq!(hears().await, Some(heard));
    }
    ours.release_node(&node).await.expect("it is up");
    ours.take_node(Some(3), LONG).await.expect("it is free");
    assert_eq!(hears().await, None, "another process has not said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_waits_for_what_is_being_written_and_its_owner_finds_all_of_that() {
    let settings = settings(Server::shared());
    let stores = stores(&settings, 2).await;
    let (ours, others) = (stores[0].leases(), stores[1].leases());
    let slow = ours.take_node(None, LONG).await.expect("it is free");
    let other = others.take_node(None, LONG).await.expect("there are enough");
    let epoch = claim(&ours, &slow).await.expect("it is free");
    let fenced = stores[0].fenced("db", epoch);
    commit(&fenced, vec![put("a", "1")]).await.expect("it is ours");

    // Somebody holds the record, so the commit hangs in the middle of its transaction.
    let behind = behind(&settings).await;
    behind.batch_execute("BEGIN; UPDATE records SET value = '?'").await.expect("it is there");
    let mut under_way = fenced.begin(vec![put("a", "2"), put("b", "2")]).await.expect("it is up");
    let after_it = fenced.begin(vec![put("c", "2")]).await.expect("it is up");
    assert!(tokio::time::timeout(A_WHILE, under_way.synced()).await.is_err(), "it waits");
    let from_behind = self::behind(&settings).await;
    run_out(&from_behind, &slow).await;
    let claims = tokio::spawn(async move { claim(&others, &other).await });
    tokio::time::sleep(A_WHILE).await;
    assert!(!claims.is_finished(), "the claim waits for the commit");
    behind.batch_execute("ROLLBACK").await.expect("it is there");
    within("the commit", under_way.synced()).await.expect("it was before the claim");
    assert_eq!(within("the claim", claims).await.expect("nobody panics"), Some(epoch + 1));
    assert_eq!(text(&stores[1], "b").await.as_deref(), Some("2"), "its owner finds it");
    // What was given after it came before the claim, or not at all.
    let mut after_it = after_it;
    match within("what was after it", after_it.synced()).await {
        Ok(()) => assert_eq!(text(&stores[1], "c").await.as_deref(), Some("2")),
        refused => {
            is_fenced(refused, "db", epoch);
            assert_eq!(text(&stores[1], "c").await, None);
        }
    }
    is_fenced(commit(&fenced, vec![put("d", "2")]).await, "db", epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_waits_for_a_renewal_that_is_under_way() {
    let settings = settings(Server::shared());
    let stores = stores(&settings, 2).await;
    let (ours, others) = (stores[0].leases(), stores[1].leases());
    let short = Duration::from_millis(600);
    let slow = ours.take_node(None, short).await.expect("it is free");
    let other = others.take_node(None, LONG).await.expect("there are enough");
    claim(&ours, &slow).await.expect("it is free");

    // A renewal in time whose commit takes long.
    let behind = behind(&settings).await;
    let renew = format!(
        "BEGIN; UPDATE nodes SET until = clock_timestamp() + interval '60 s' \
         WHERE number = {} AND until > clock_timestamp()",
        slow.number
    );
    behind.batch_execute(&renew).await.expect("it is there");
    tokio::time::sleep(short).await;
    let claims = tokio::spawn(async move { claim(&others, &other).await });
    tokio::time::sleep(A_WHILE).await;
    assert!(!claims.is_finished(), "who renews in time may not lose what it has");
    behind.batch_execute("COMMIT").await.expect("it is there");
    assert_eq!(within("the claim", claims).await.expect("nobody panics"), None);
    ours.renew(&slow, LONG).await.expect("it lasts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_commit_whose_connection_broke_is_acknowledged_if_it_was_made_before_the_claim() {
    let settings = settings(Server::shared());
    let stores = stores(&settings, 2).await;
    let (ours, others) = (stores[0].leases(), stores[1].leases());
    let node = ours.take_node(None, LONG).await.expect("it is free");
    let other = others.take_node(None, LONG).await.expect("there are enough");
    let epoch = claim(&ours, &node).await.expect("it is free");
    let fenced = stores[0].fenced("db", epoch);
    let behind = behind(&settings).await;
    for round in 0..30 {
        let mut commit = fenced.begin(vec![put("round", round.to_string())]).await.expect("it is up");
        let kill = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = '{}.writers'::regclass",
            settings.schema
        );
        behind.batch_execute(&kill).await.expect("it is there");
        within("a commit", commit.synced()).await.expect("it is ours all the while");
        assert_eq!(text(&stores[1], "round").await, Some(round.to_string()));
    }
    let mut last = fenced.begin(vec![put("round", "last")]).await.expect("it is up");
    run_out(&behind, &node).await;
    assert_eq!(claim(&others, &other).await, Some(epoch + 1));
    let at_claim = text(&stores[1], "round").await;
    match within("the last", last.synced()).await {
        Ok(()) => assert_eq!(at_claim.as_deref(), Some("last"), "acknowledged, so the next owner has it"),
        refused => {
            is_fenced(refused, "db", epoch);
            assert_eq!(at_claim.as_deref(), Some("29"));
        }
    }
    assert_eq!(text(&stores[1], "round").await, at_claim, "nothing comes after the claim");
}
