//! Friends, what they see of each other, and notifications that wait.

use scenehost_client::{Encoding, Lobby, LobbyEvent, Options, v1};
use scenehost_protocol::v1::presence::State;
use scenehost_protocol::v1::syn_friends::Change;
use scenehost_protocol::v1::{Code, FriendList, NotificationKind};
use serde_json::{Value, json};

use crate::host::{Host, OPS_TOKEN, http, until, within};
use crate::player::{device, matched, refusal, sign_in, sign_in_as};

const PAIR: &str = r#"
[fleets.echo]
plugin = "hostile"
scene = { empty_ms = 500 }

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2
"#;

fn id(lobby: &Lobby) -> String {
    lobby.session().user_id.clone()
}

/// Waits for word of a change between the user and another.
async fn change(lobby: &Lobby, expected: Change) -> v1::SynFriends {
    within(expected.as_str_name(), async {
        loop {
            match lobby.next().await.expect("the lobby goes on") {
                LobbyEvent::Friends(friends) if friends.change() == expected => return friends,
                LobbyEvent::Gone(why) => panic!("gone: {why}"),
                _ => {}
            }
        }
    })
    .await
}

/// Waits until this friend is told to do this; tells the domain.
async fn presence(lobby: &Lobby, friend: &str, expected: State) -> String {
    within(expected.as_str_name(), async {
        loop {
            let LobbyEvent::Presence(told) = lobby.next().await.expect("the lobby goes on") else { continue };
            let of_friend = told.friends.into_iter().find(|it| it.user_id == friend).and_then(|it| it.presence);
            if let Some(presence) = of_friend.filter(|presence| presence.state() == expected) {
                return presence.domain;
            }
        }
    })
    .await
}

/// Two who are friends.
async fn befriended(host: &Host) -> (Lobby, Lobby) {
    let ada = sign_in_as(host, &device(), "Ada", Encoding::Json).await;
    let bob = sign_in(host, "Bob").await;
    ada.ask_friend(&id(&bob)).await.expect("he is here");
    assert_eq!(change(&bob, Change::Received).await.name, "Ada");
    bob.accept_friend(&id(&ada)).await.expect("she has asked");
    assert_eq!(change(&ada, Change::Friends).await.name, "Bob");
    (ada, bob)
}

async fn listed(lobby: &Lobby, list: FriendList) -> Vec<v1::Friend> {
    lobby.friends(list).await.expect("there is such a list").friends
}

#[tokio::test]
async fn friends_see_each_other_search_play_drop_and_leave() {
    let host = Host::start(PAIR);
    let (ada, bob) = befriended(&host).await;
    let friends = listed(&ada, FriendList::Friends).await;
    assert_eq!((friends.len(), &friends[0].user_id, friends[0].name.as_str()), (1, &id(&bob), "Bob"));
    assert_eq!(friends[0].presence.as_ref().map(v1::Presence::state), Some(State::Online));

    let bob_id = id(&bob);
    let search = tokio::spawn(async move {
        let found = bob.find_match("pair").await.expect("somebody comes");
        (bob, found)
    });
    presence(&ada, &bob_id, State::Searching).await;
    let cy = sign_in(&host, "Cy").await;
    matched(std::slice::from_ref(&cy), "pair").await;
    let (bob, found) = search.await.expect("it does not panic");
    assert_eq!(presence(&ada, &bob_id, State::InGame).await, "pair");
    // He never enters; his seat is given up, and then he leaves.
    let scene = scenehost_client::Scene::join(&found, &Options::default()).await.expect("the token lets him in");
    scene.leave().await.expect("the scene lets him go");
    presence(&ada, &bob_id, State::Online).await;
    drop(bob);
    // Dropping the handle closes the connection on purpose.
    presence(&ada, &bob_id, State::Offline).await;
}

#[tokio::test]
async fn a_block_ends_a_friendship_without_a_word_and_nothing_is_seen_any_more() {
    let host = Host::start(PAIR);
    let (ada, bob) = befriended(&host).await;
    bob.block(&id(&ada)).await.expect("anybody can be blocked");
    assert_eq!(change(&ada, Change::Removed).await.user_id, id(&bob));
    ada.ask_friend(&id(&bob)).await.expect("it looks sent");
    assert_eq!(listed(&ada, FriendList::Sent).await.len(), 1);
    assert_eq!(listed(&bob, FriendList::Received).await, []);
    assert_eq!(listed(&bob, FriendList::Blocked).await[0].name, "Ada");
    assert_eq!(refusal(bob.ask_friend(&id(&ada)).await).code(), Code::Conflict);
    assert_eq!(refusal(ada.ask_friend("0000000000000000").await).code(), Code::NotFound);
    assert_eq!(refusal(ada.ask_friend("nobody").await).code(), Code::Invalid);
    assert_eq!(refusal(ada.friends(FriendList::Unspecified).await).code(), Code::Invalid);
    bob.unblock(&id(&ada)).await.expect("he has blocked her");
    assert_eq!(change(&ada, Change::RequestGone).await.user_id, id(&bob));
}

#[tokio::test]
async fn who_appears_offline_is_not_seen() {
    let host = Host::start(PAIR);
    let (ada, bob) = befriended(&host).await;
    listed(&ada, FriendList::Friends).await;
    bob.appear_offline(true).await.expect("anybody can");
    presence(&ada, &id(&bob), State::Offline).await;
    assert!(bob.friends(FriendList::Friends).await.expect("there is such a list").appears_offline);
    bob.appear_offline(false).await.expect("anybody can");
    presence(&ada, &id(&bob), State::Online).await;
}

async fn post(host: &Host, body: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = host.ops("POST", "/v1/notifications", &headers, &body.to_string()).await;
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

#[tokio::test]
async fn notifications_wait_for_who_is_not_here_also_over_a_crash_of_the_host() {
    let mut host = Host::start(PAIR);
    let device = device();
    let ada = sign_in_as(&host, &device, "Ada", Encoding::Proto).await;
    let (ada_id, nobody) = (id(&ada), "0000000000000000".to_owned());
    let to_all = |request_id: &str, title: &str| json!({"request_id": request_id, "users": [ada_id, nobody], "title": title, "data": {"gold": 5}});
    let (status, answer) = post(&host, &to_all("first", "Hello")).await;
    assert_eq!((status, answer), (200, json!({"unknown": [nobody]})));
    let told = within("the notification", async {
        loop {
            if let LobbyEvent::Notification(told) = ada.next().await.expect("the lobby goes on") {
                return told;
            }
        }
    })
    .await;
    let notification = told.notification.expect("it is told");
    assert_eq!((notification.title.as_str(), notification.data.as_str(), told.unread), ("Hello", r#"{"gold":5}"#, 1));
    drop(ada);

    assert_eq!(post(&host, &to_all("second", "Are you there?")).await.0, 200);
    assert_eq!(post(&host, &to_all("second", "Are you there?")).await.0, 200, "made again, posted once");
    let bob = sign_in(&host, "Bob").await;
    bob.ask_friend(&ada_id).await.expect("she has been here");
    host.kill9();
    host.restart();
    let ada = sign_in_as(&host, &device, "Ada", Encoding::Json).await;
    let inbox = ada.notifications(0, 0).await.expect("her inbox");
    let kinds: Vec<NotificationKind> = inbox.notifications.iter().map(v1::Notification::kind).collect();
    assert_eq!(kinds, [NotificationKind::Operator, NotificationKind::Operator, NotificationKind::FriendRequest]);
    assert_eq!((inbox.unread, inbox.more, inbox.notifications[2].name.as_str()), (3, false, "Bob"));
    let first = inbox.notifications[0].id;
    assert_eq!(ada.read_notifications(vec![first]).await.expect("it is there"), 2);
    assert_eq!(ada.remove_notifications(vec![first]).await.expect("it is there"), 2);
    assert_eq!(ada.notifications(first, 1).await.expect("her inbox").notifications[0].title, "Are you there?");
    assert_eq!(refusal(ada.remove_notifications(Vec::new()).await).code(), Code::Invalid);
    let (fits, said) = host.store(&["check"]);
    assert!(fits, "{said}");
}

#[tokio::test]
async fn operators_notifications_need_the_token_and_have_to_make_sense() {
    let host = Host::start(PAIR);
    let good = json!({"request_id": "a", "users": ["0000000000000000"], "title": "x"});
    let (json, body) = (("content-type", "application/json"), good.to_string());
    assert_eq!(host.ops("POST", "/v1/notifications", &[json], &body).await.status, 401);
    let at_the_edge = http(host.address(), "POST", "/v1/notifications", &[], "").await;
    assert_eq!(at_the_edge.status, 404);
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (body, word) in [
        (with("users", json!([])), "1 to 1000"),
        (with("users", json!(vec!["0000000000000000"; 1_001])), "1 to 1000"),
        (with("users", json!(["ada"])), "16 hexadecimal digits"),
        (with("title", json!(" ")), "title"),
        (with("request_id", json!("")), "request_id"),
        (with("expires_ms", json!(1)), "expiry"),
        (with("data", json!("x".repeat(3_000))), "2048"),
        (with("more", json!(1)), "more"),
    ] {
        let (status, answer) = post(&host, &body).await;
        let error = answer["error"].as_str().expect("a reason");
        assert!((400..=422).contains(&status) && error.contains(word), "{status} {error}");
    }
    until("the audit", async || host.logged("operators' notification").len() == 7).await;
}
