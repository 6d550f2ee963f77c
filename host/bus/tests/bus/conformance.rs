//! What every driver does, the same for all: each behaviour is one test for each driver.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use scenehost_bus::driver::local::LocalBus;
use scenehost_bus::driver::nats::{Nats, Settings};
use scenehost_bus::driver::sim::Sim;
use scenehost_bus::driver::{
    Delivery, Driver, Error, PAYLOAD_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_LEN_MAX, SUBJECT_LEN_MAX, Subscription,
};
use tokio::task::JoinHandle;

use passing_nats::NatsServer;

/// What must happen, happens within this.
const SOON: Duration = Duration::from_secs(30);
/// The limit of requests that nobody answers.
const SHORT: Duration = Duration::from_millis(200);

/// Something that gives drivers which can reach each other.
enum Bench {
    Local(LocalBus),
    Nats(NatsServer),
    Sim(Sim, JoinHandle<()>),
}

impl Bench {
    fn local() -> Bench {
        Bench::Local(LocalBus::default())
    }

    fn nats() -> Bench {
        Bench::Nats(NatsServer::start())
    }

    /// A simulated network whose time goes by itself.
    fn sim() -> Bench {
        let sim = Sim::new(1);
        let stepped = sim.clone();
        let steps = tokio::spawn(async move {
            loop {
                stepped.step(1);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Bench::Sim(sim, steps)
    }

    async fn driver(&self, name: &str) -> Arc<dyn Driver> {
        match self {
            Bench::Local(bus) => Arc::new(bus.node()),
            Bench::Nats(server) => {
                let settings = Settings { servers: vec![server.url()], name: name.to_owned(), ..Settings::default() };
                Arc::new(Nats::connect(settings).await.expect("the server runs"))
            }
            Bench::Sim(sim, _) => Arc::new(sim.driver(name)),
        }
    }

    async fn two(&self) -> (Arc<dyn Driver>, Arc<dyn Driver>) {
        (self.driver("a").await, self.driver("b").await)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Bench::Sim(_, steps) = self {
            steps.abort();
        }
    }
}

macro_rules! conformance {
    ($($behaviour:ident),* $(,)?) => {
        mod local { $(#[tokio::test] async fn $behaviour() { super::$behaviour(super::Bench::local()).await; })* }
        mod nats { $(#[tokio::test] async fn $behaviour() { super::$behaviour(super::Bench::nats()).await; })* }
        mod sim { $(#[tokio::test] async fn $behaviour() { super::$behaviour(super::Bench::sim()).await; })* }
    };
}

conformance!(
    a_payload_reaches_all_who_have_subscribed,
    payloads_of_one_sender_keep_their_order,
    a_request_is_answered,
    the_first_answer_counts,
    without_a_subscriber_there_is_no_responder,
    without_an_answer_a_request_times_out,
    a_dropped_subscription_answers_no_more,
    the_limit_of_a_payload_is_exact,
    bad_subjects_are_refused,
    a_queue_full_of_payloads_drops_and_counts,
    a_queue_full_of_bytes_drops_and_counts,
    a_request_that_meets_a_full_queue_is_told,
    a_closed_driver_refuses_everything,
    closing_ends_subscriptions_and_requests_that_wait,
    a_closed_driver_is_no_responder,
);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it happens soon")
}

async fn next(subscription: &mut Subscription) -> Delivery {
    soon(subscription.recv()).await.expect("the driver is open")
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Publishes, and waits for a place where a driver's own queue is full.
async fn publish(driver: &Arc<dyn Driver>, subject: &str, bytes: Bytes) {
    let published = async {
        while let Err(error) = driver.publish(subject, bytes.clone()) {
            assert_eq!(error, Error::Overloaded);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(published).await;
}

/// Waits until all that `driver` has published before has come to `subscription`'s queue or been dropped.
async fn settle(driver: &Arc<dyn Driver>, subscription: &Subscription, dropped: u64) {
    let last = async {
        while subscription.dropped() < dropped {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(last).await;
    let mut echo = soon(driver.subscribe("settle")).await.expect("subscribed");
    publish(driver, "settle", Bytes::new()).await;
    next(&mut echo).await;
}

/// Answers every request by what it was.
fn echo(mut subscription: Subscription) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(delivery) = subscription.recv().await {
            delivery.reply.expect("it is a request").send(delivery.bytes).expect("it can be sent");
        }
    })
}

async fn a_payload_reaches_all_who_have_subscribed(bench: Bench) {
    let (a, b) = bench.two().await;
    let mut at_a = a.subscribe("all.news").await.expect("subscribed");
    let mut at_b = b.subscribe("all.news").await.expect("subscribed");
    let mut other = b.subscribe("all").await.expect("subscribed");
    publish(&a, "all.news", text("one")).await;
    publish(&a, "all", text("two")).await;
    for subscription in [&mut at_a, &mut at_b] {
        let delivery = next(subscription).await;
        assert_eq!(delivery.bytes, "one");
        assert!(delivery.reply.is_none());
    }
    assert_eq!(next(&mut other).await.bytes, "two");
    assert!(at_b.try_recv().is_none());
}

async fn payloads_of_one_sender_keep_their_order(bench: Bench) {
    let (a, b) = bench.two().await;
    let mut subscription = b.subscribe("order").await.expect("subscribed");
    for number in 0..1_000_u32 {
        publish(&a, "order", Bytes::copy_from_slice(&number.to_be_bytes())).await;
    }
    for number in 0..1_000_u32 {
        assert_eq!(next(&mut subscription).await.bytes, number.to_be_bytes().as_slice());
    }
    assert_eq!(subscription.dropped(), 0);
}

async fn a_request_is_answered(bench: Bench) {
    let (a, b) = bench.two().await;
    let responder = echo(b.subscribe("echo").await.expect("subscribed"));
    let (one, two) = tokio::join!(a.request("echo", text("one"), SOON), a.request("echo", text("two"), SOON));
    assert_eq!((one.expect("answered"), two.expect("answered")), (text("one"), text("two")));
    responder.abort();
}

async fn the_first_answer_counts(bench: Bench) {
    let (a, b) = bench.two().await;
    let (mut one, mut two) = (b.subscribe("twice").await.expect("ok"), b.subscribe("twice").await.expect("ok"));
    let responder = tokio::spawn(async move {
        let first = next(&mut one).await.reply.expect("it is a request");
        first.send(text("first")).expect("sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
        next(&mut two).await.reply.expect("it is a request").send(text("second")).expect("sent");
    });
    assert_eq!(a.request("twice", Bytes::new(), SOON).await, Ok(text("first")));
    responder.await.expect("both have answered");
}

async fn without_a_subscriber_there_is_no_responder(bench: Bench) {
    let (a, _b) = bench.two().await;
    assert_eq!(soon(a.request("nobody", Bytes::new(), SOON)).await, Err(Error::NoResponder));
}

async fn without_an_answer_a_request_times_out(bench: Bench) {
    let (a, b) = bench.two().await;
    let mut subscription = b.subscribe("silent").await.expect("subscribed");
    let (answer, delivery) = tokio::join!(soon(a.request("silent", Bytes::new(), SHORT)), next(&mut subscription));
    assert_eq!(answer, Err(Error::TimedOut));
    delivery.reply.expect("it is a request").send(text("late")).expect("nobody minds");
    let (answer, delivery) = tokio::join!(soon(a.request("silent", Bytes::new(), SHORT)), next(&mut subscription));
    drop(delivery);
    assert_eq!(answer, Err(Error::TimedOut));
}

async fn a_dropped_subscription_answers_no_more(bench: Bench) {
    let (a, b) = bench.two().await;
    drop(b.subscribe("gone").await.expect("subscribed"));
    let gone = async { while a.request("gone", Bytes::new(), SHORT).await != Err(Error::NoResponder) {} };
    soon(gone).await;
}

async fn the_limit_of_a_payload_is_exact(bench: Bench) {
    let (a, b) = bench.two().await;
    let most = Bytes::from(vec![7; PAYLOAD_BYTES_MAX]);
    let more = Bytes::from(vec![7; PAYLOAD_BYTES_MAX + 1]);
    let too_large = Error::TooLarge { bytes: PAYLOAD_BYTES_MAX + 1, max: PAYLOAD_BYTES_MAX };
    let mut subscription = b.subscribe("large").await.expect("subscribed");
    assert_eq!(a.publish("large", more.clone()), Err(too_large.clone()));
    assert_eq!(a.request("large", more.clone(), SOON).await, Err(too_large.clone()));
    publish(&a, "large", most.clone()).await;
    assert_eq!(next(&mut subscription).await.bytes, most);
    let (answer, ()) = tokio::join!(soon(a.request("large", most.clone(), SOON)), async {
        let delivery = next(&mut subscription).await;
        delivery.reply.expect("it is a request").send(delivery.bytes).expect("it can be sent");
    });
    assert_eq!(answer, Ok(most));
    let (answer, sent) = tokio::join!(soon(a.request("large", Bytes::new(), SHORT)), async {
        next(&mut subscription).await.reply.expect("it is a request").send(more)
    });
    assert_eq!((answer, sent), (Err(Error::TimedOut), Err(too_large)));
}

async fn bad_subjects_are_refused(bench: Bench) {
    let (a, _b) = bench.two().await;
    let longest = "x".repeat(SUBJECT_LEN_MAX);
    let longer = "x".repeat(SUBJECT_LEN_MAX + 1);
    for subject in ["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "a.>", "ä", "a\r\nPUB b 0", &longer] {
        assert_eq!(a.publish(subject, Bytes::new()), Err(Error::BadSubject), "{subject}");
        assert_eq!(a.request(subject, Bytes::new(), SHORT).await, Err(Error::BadSubject), "{subject}");
        assert_eq!(a.subscribe(subject).await.err(), Some(Error::BadSubject), "{subject}");
    }
    for subject in ["A-z_09.b", &longest] {
        assert_eq!(a.publish(subject, Bytes::new()), Ok(()), "{subject}");
        assert!(a.subscribe(subject).await.is_ok(), "{subject}");
    }
}

async fn a_queue_full_of_payloads_drops_and_counts(bench: Bench) {
    let (a, b) = bench.two().await;
    let mut subscription = b.subscribe("full").await.expect("subscribed");
    for number in 0..QUEUE_LEN_MAX as u32 + 10 {
        publish(&a, "full", Bytes::copy_from_slice(&number.to_be_bytes())).await;
    }
    settle(&a, &subscription, 10).await;
    assert_eq!(subscription.dropped(), 10);
    for number in 0..QUEUE_LEN_MAX as u32 {
        assert_eq!(next(&mut subscription).await.bytes, number.to_be_bytes().as_slice());
    }
    assert!(subscription.try_recv().is_none());
    publish(&a, "full", text("there is a place again")).await;
    assert_eq!(next(&mut subscription).await.bytes, "there is a place again");
}

async fn a_queue_full_of_bytes_drops_and_counts(bench: Bench) {
    let (a, b) = bench.two().await;
    let mut subscription = b.subscribe("full").await.expect("subscribed");
    let most = Bytes::from(vec![7; PAYLOAD_BYTES_MAX]);
    let fit = QUEUE_BYTES_MAX / PAYLOAD_BYTES_MAX;
    for _ in 0..fit + 3 {
        publish(&a, "full", most.clone()).await;
    }
    settle(&a, &subscription, 3).await;
    assert_eq!(subscription.dropped(), 3);
    for _ in 0..fit {
        assert_eq!(next(&mut subscription).await.bytes.len(), PAYLOAD_BYTES_MAX);
    }
    // Neither what was dropped nor what was taken counts any more.
    for _ in 0..fit {
        publish(&a, "full", most.clone()).await;
    }
    for _ in 0..fit {
        next(&mut subscription).await;
    }
    assert_eq!(subscription.dropped(), 3);
}

async fn a_request_that_meets_a_full_queue_is_told(bench: Bench) {
    let (a, b) = bench.two().await;
    let subscription = b.subscribe("full").await.expect("subscribed");
    for _ in 0..=QUEUE_LEN_MAX {
        publish(&a, "full", Bytes::new()).await;
    }
    settle(&a, &subscription, 1).await;
    assert_eq!(soon(a.request("full", Bytes::new(), SOON)).await, Err(Error::Overloaded));
    assert_eq!(subscription.dropped(), 2);
}

async fn a_closed_driver_refuses_everything(bench: Bench) {
    let (a, b) = bench.two().await;
    let _subscription = b.subscribe("open").await.expect("subscribed");
    soon(a.close()).await;
    soon(a.close()).await;
    assert_eq!(a.publish("open", Bytes::new()), Err(Error::Closed));
    assert_eq!(a.request("open", Bytes::new(), SHORT).await, Err(Error::Closed));
    assert_eq!(a.subscribe("open").await.err(), Some(Error::Closed));
    assert_eq!(b.publish("open", Bytes::new()), Ok(()));
}

async fn closing_ends_subscriptions_and_requests_that_wait(bench: Bench) {
    let (a, b) = bench.two().await;
    let mut theirs = b.subscribe("slow").await.expect("subscribed");
    let mut own = a.subscribe("own").await.expect("subscribed");
    let asking = a.clone();
    let asked = tokio::spawn(async move { asking.request("slow", Bytes::new(), SOON).await });
    let delivery = next(&mut theirs).await;
    soon(a.close()).await;
    assert_eq!(soon(asked).await.expect("it ends"), Err(Error::Closed));
    assert!(soon(own.recv()).await.is_none());
    drop(delivery);
}

async fn a_closed_driver_is_no_responder(bench: Bench) {
    let (a, b) = bench.two().await;
    let _subscription = b.subscribe("theirs").await.expect("subscribed");
    soon(b.close()).await;
    assert_eq!(soon(a.request("theirs", Bytes::new(), SOON)).await, Err(Error::NoResponder));
}
