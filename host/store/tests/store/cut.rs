//! PostgreSQL that goes away in the middle: nothing that was acknowledged is lost, nothing is made twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use passing_postgres::{Server, Stop};
use scenehost_store::postgres::Settings;
use scenehost_store::{Error, Expected, Outcome, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};

use crate::place::{behind, commit, delete, put, settings, text, within};

/// How many connections are killed in a stream of commits.
const KILLS: u32 = 40;

/// Adds one, on the condition that nobody else has; a count that is made twice would be a conflict.
async fn count(store: &Store, number: u32) {
    let before = number.checked_sub(1).map(|before| before.to_string().into_bytes());
    let condition = vec![Expected { key: "count".to_owned(), value: before }];
    let outcome = store.commit_if(condition, vec![put("count", number.to_string())]).await.expect("it is made");
    assert_eq!(outcome, Outcome::Committed, "{number}");
}

/// Commits one thing after the other, each once, until it is told to stop; how many.
async fn stream(store: Store, over: Arc<AtomicBool>) -> u32 {
    for number in 0_u32.. {
        let mut writes = vec![put(&format!("stream/{number:06}"), "")];
        writes.extend(number.checked_sub(1).map(|before| delete(&format!("stream/{before:06}"))));
        let mut plain = store.begin(writes).await.expect("it waits as long as it takes");
        count(&store, number).await;
        plain.synced().await.expect("it is made");
        if over.load(Ordering::Relaxed) {
            return number;
        }
    }
    unreachable!("numbers do not end")
}

async fn check(store: &Store, last: u32) {
    assert_eq!(text(store, "count").await, Some(last.to_string()));
    let left = store.scan("stream/").await.expect("it can be read");
    assert_eq!(left.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [format!("stream/{last:06}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_again_and_again_cost_nothing_and_double_nothing() {
    let server = Server::start(&["fsync=off"]);
    let store = Store::connect(&settings(&server)).await.expect("it is there");
    let over = Arc::new(AtomicBool::new(false));
    let work = tokio::spawn(stream(store.clone(), Arc::clone(&over)));
    let killed = tokio::task::spawn_blocking(move || {
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'scenehost'";
        let mut killed = 0;
        while killed < KILLS {
            std::thread::sleep(Duration::from_millis(10));
            killed += server.sql(kill).parse::<u32>().expect("a number");
        }
        server
    });
    let _server = within("the kills", killed).await.expect("nobody panics");
    over.store(true, Ordering::Relaxed);
    let last = within("the stream", work).await.expect("nobody panics");
    assert!(last > KILLS, "only {last} were counted");
    check(&store, last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_commit_of_a_handle_is_made_too_when_its_connections_are_killed() {
    let server = Server::start(&["fsync=off"]);
    let settings = settings(&server);
    let behind = behind(&settings).await;
    for (plain, kills) in [(true, 1), (true, 3), (false, 1), (false, 3)] {
        // Each handle has a writer of its own, which is not known to the database before this.
        let store = Store::connect(&settings).await.expect("it is there");
        behind.batch_execute("BEGIN; LOCK TABLE writers").await.expect("it is there");
        let work = tokio::spawn({
            let store = store.clone();
            async move {
                let write = vec![put("first", kills.to_string())];
                match plain {
                    true => commit(&store, write).await,
                    false => {
                        let condition = Expected { key: "nothing".to_owned(), value: None };
                        store.commit_if(vec![condition], write).await.map(|_| ())
                    }
                }
            }
        });
        for _ in 0..kills {
            let kill = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted";
            let killed = async { while behind.query(kill, &[]).await.expect("it is there").is_empty() {} };
            within("a try", killed).await;
        }
        behind.batch_execute("COMMIT").await.expect("it is there");
        within("the commit", work).await.expect("nobody panics").expect("it is made in the end");
        assert_eq!(text(&store, "first").await, Some(kills.to_string()));
        store.finish(Duration::from_secs(5)).await.expect("nothing is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_and_comes_back_has_all_that_was_acknowledged_and_then_all_that_waited() {
    // With fsync: what it recovers is what it has synced.
    let server = Arc::new(Server::start(&[]));
    let store = Store::connect(&settings(&server)).await.expect("it is there");
    tokio::spawn(store.clone().watch());
    let mut up = store.up();
    let over = Arc::new(AtomicBool::new(false));
    let work = tokio::spawn(stream(store.clone(), Arc::clone(&over)));
    for how in [Stop::Immediate, Stop::Fast] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let stopped = Arc::clone(&server);
        tokio::task::spawn_blocking(move || stopped.stop(how)).await.expect("it stops");
        within("it to be down", up.wait_for(|up| !up)).await.expect("the store lives");
        assert!(matches!(store.get("count").await, Err(Error::Down)), "nobody can read it");
        let mut waits = store.clone().begin(vec![put("begun", "while it was away")]).await.expect("it waits");
        let early = tokio::time::timeout(Duration::from_millis(100), waits.synced()).await;
        assert!(early.is_err(), "nothing is acknowledged meanwhile");
        let started = Arc::clone(&server);
        tokio::task::spawn_blocking(move || started.restart()).await.expect("it starts");
        within("what was begun", waits.synced()).await.expect("it is made");
        within("it to be up", up.wait_for(|up| *up)).await.expect("the store lives");
        assert_eq!(text(&store, "begun").await.as_deref(), Some("while it was away"));
        commit(&store, vec![delete("begun")]).await.expect("it is up");
    }
    over.store(true, Ordering::Relaxed);
    let last = within("the stream", work).await.expect("nobody panics");
    assert!(last > 5, "{last}");
    check(&store, last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_while_the_database_is_away_says_how_much_was_never_written() {
    let server = Server::start(&["fsync=off"]);
    let store = Store::connect(&settings(&server)).await.expect("it is there");
    commit(&store, vec![put("a", "1")]).await.expect("it is up");
    server.stop(Stop::Immediate);
    let mut never = store.begin(vec![put("a", "2")]).await.expect("it waits");
    let _also = store.begin(vec![put("a", "3")]).await.expect("it waits");
    let unwritten = store.finish(Duration::from_millis(200)).await.expect_err("it is away");
    assert!(matches!(unwritten, Error::Unwritten { commits: 2, .. }), "{unwritten}");
    assert!(matches!(within("the end", never.synced()).await, Err(Error::Ended)));
}

/// A way to the server that can lose a client and keep what it has said for later.
struct Way {
    port: u16,
    /// While this is so, what clients say is kept, and who says something is cut off.
    holds: watch::Sender<bool>,
    /// What was kept, and the connection that it belongs to.
    kept: mpsc::Receiver<(UnixStream, Vec<u8>)>,
}

impl Way {
    async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let socket = server.folder().join(".s.PGSQL.5432");
        let (holds, seen) = watch::channel(false);
        let (keep, kept) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("it is there");
                tokio::spawn(pass(client, server, seen.clone(), keep.clone()));
            }
        });
        Self { port, holds, kept }
    }
}

async fn pass(
    mut client: TcpStream,
    mut server: UnixStream,
    holds: watch::Receiver<bool>,
    keep: mpsc::Sender<(UnixStream, Vec<u8>)>,
) {
    let (mut said, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            length = client.read(&mut said) => {
                let Ok(length @ 1..) = length else { return };
                if *holds.borrow() {
                    drop(client);
                    let _ = keep.send((server, said[..length].to_vec())).await; // Nobody wants it any more: fine.
                    return;
                }
                if server.write_all(&said[..length]).await.is_err() {
                    return;
                }
            }
            length = server.read(&mut answered) => {
                let Ok(length @ 1..) = length else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_connection_still_says_to_the_server_later_has_no_effect() {
    let server = Server::shared();
    let mut way = Way::to(server).await;
    let url = format!("postgres://{}@127.0.0.1:{}/postgres", passing_postgres::USER, way.port);
    let by_way = Settings { url: Some(url), ..settings(server) };
    let store = Store::connect(&by_way).await.expect("it is there");
    commit(&store, vec![put("a", "0"), put("gone", "")]).await.expect("it is up");

    way.holds.send_replace(true);
    let mut first = store.begin(vec![put("a", "1"), delete("gone")]).await.expect("it waits");
    let (mut connection, late) = within("the first try", way.kept.recv()).await.expect("it comes");
    way.holds.send_replace(false);
    within("the second try", first.synced()).await.expect("it is made");
    commit(&store, vec![put("a", "2"), put("gone", "is back")]).await.expect("it is up");
    count(&store, 0).await;

    // The server hears the first try now, on the connection that it still has, and says that it did it.
    connection.write_all(&late).await.expect("the server holds it");
    let mut answer = [0; 256];
    let length = within("its answer", connection.read(&mut answer)).await.expect("it answers");
    assert!(length > 0 && answer[0] == b'2', "it was bound and done: {:?}", &answer[..length]);
    tokio::time::sleep(Duration::from_millis(100)).await; // Its effect would be there.
    assert_eq!(text(&store, "a").await.as_deref(), Some("2"));
    assert_eq!(text(&store, "gone").await.as_deref(), Some("is back"));
    count(&store, 1).await;
}
