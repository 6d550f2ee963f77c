//! Chat against the real binary: rooms, what drops out of them, direct messages, moderation, muting.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use scenehost_client::{Channel, Credential, Encoding, Lobby, LobbyEvent, Options, v1};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::host::{Host, OPS_TOKEN, until, within};
use crate::player::{device, options, refusal, sign_in, sign_in_as};
use v1::syn_chat::What;

const CONFIG: &str = "
[lobby]
grace_ms = 20000

[chat]
rooms = [\"lobby\", \"trade\"]
messages = 50
per_ms = 5000
";

/// The next word about chat.
async fn chat(lobby: &Lobby) -> What {
    within("a word about chat", async {
        loop {
            match lobby.next().await.expect("the lobby goes on") {
                LobbyEvent::Chat(chat) => return chat.what.expect("a server that this client knows"),
                LobbyEvent::Gone(why) => panic!("gone: {why}"),
                _ => {}
            }
        }
    })
    .await
}

async fn message(lobby: &Lobby) -> v1::ChatMessage {
    match chat(lobby).await {
        What::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn texts(messages: &[v1::ChatMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

#[tokio::test]
async fn what_is_said_in_a_room_comes_to_all_in_both_encodings() {
    let host = Host::start(CONFIG);
    let ada = sign_in_as(&host, &device(), "Ada", Encoding::Proto).await;
    let grace = sign_in_as(&host, &device(), "Grace", Encoding::Json).await;
    let alan = sign_in_as(&host, &device(), "Alan", Encoding::Proto).await;
    for lobby in [&ada, &grace, &alan] {
        lobby.join_room("lobby").await.expect("there is the room");
    }
    let said = ada.say(Channel::Room("lobby"), "good evening ☾").await.expect("Ada may speak");
    assert_eq!((said.id, said.name.as_str(), said.user_id.clone()), (1, "Ada", ada.session().user_id));
    for lobby in [&grace, &alan] {
        assert_eq!(message(lobby).await, said);
    }
    alan.leave_room("lobby").await.expect("it is left");
    assert_eq!(refusal(alan.say(Channel::Room("lobby"), "hello").await).code(), v1::Code::OutOfOrder);
    assert_eq!(refusal(ada.join_room("nowhere").await).code(), v1::Code::NotFound);
    assert_eq!(refusal(ada.say(Channel::Room("lobby"), "").await).code(), v1::Code::Invalid);
    let answer = grace.say(Channel::Room("lobby"), "hello").await.expect("Grace may speak");
    assert_eq!(answer.channel, said.channel);
    let history = alan.join_room("lobby").await.expect("again");
    assert_eq!((history.last_id, history.members), (2, 3));
    let history = alan.chat_history(Channel::Room("lobby"), 0, 0).await.expect("it is in the room");
    assert_eq!(texts(&history), ["good evening ☾", "hello"]);
}

#[tokio::test]
async fn direct_messages_wait_for_who_is_away_and_survive_a_crash() {
    let mut host = Host::start(CONFIG);
    let device = device();
    let grace = sign_in_as(&host, &device, "Grace", Encoding::Proto).await;
    let grace_id = grace.session().user_id;
    grace.close().await;
    let ada = sign_in(&host, "Ada").await;
    let (ada_id, to_grace) = (ada.session().user_id, Channel::Direct(&grace_id));
    ada.say(to_grace, "one").await.expect("Grace is known");
    assert_eq!(refusal(ada.say(Channel::Direct("00000000000000ff"), "hello").await).code(), v1::Code::NotFound);
    assert_eq!(refusal(ada.say(Channel::Direct("nobody"), "hello").await).code(), v1::Code::Invalid);
    host.kill9();
    host.restart();

    let grace = sign_in_as(&host, &device, "Grace", Encoding::Json).await;
    let history = grace.chat_history(Channel::Direct(&ada_id), 0, 0).await.expect("her own");
    assert_eq!(texts(&history), ["one"]);
    let other = sign_in(&host, "Alan").await;
    assert_eq!(other.chat_history(Channel::Direct(&ada_id), 0, 0).await.expect("it is empty"), []);
    let said = other.say(to_grace, "two").await.expect("Grace is here");
    let heard = message(&grace).await;
    let with = heard.channel.clone().expect("a channel");
    assert_eq!((with.kind(), with.of), (v1::ChatKind::Direct, other.session().user_id));
    assert_eq!((heard.text, heard.id), (said.text, said.id));
    let (is_right, report) = {
        drop((grace, other, ada));
        host.kill9();
        host.store(&["check"])
    };
    assert!(is_right, "{report}");
}

/// Stands between a client and the host; nothing comes through while it is pulled.
struct Cable {
    address: SocketAddr,
    is_in: watch::Sender<bool>,
}

impl Cable {
    async fn to(host: &Host) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let (is_in, seen) = watch::channel(true);
        let host = host.address();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, host, seen.clone()));
            }
        });
        Self { address, is_in }
    }
}

async fn carry(mut client: TcpStream, host: SocketAddr, mut is_in: watch::Receiver<bool>) {
    let mut host = TcpStream::connect(host).await.expect("the host listens");
    tokio::select! {
        biased;
        _ = is_in.wait_for(|is_in| !is_in) => {}
        // Whichever side ends it.
        _ = tokio::io::copy_bidirectional(&mut client, &mut host) => {}
    }
}

#[tokio::test]
async fn a_drop_loses_no_direct_message_and_tells_how_far_the_rooms_are() {
    let host = Host::start(CONFIG);
    let cable = Cable::to(&host).await;
    let credential = Credential::Guest { device_id: device(), name: "Ada".to_owned() };
    let quick = Options { backoff_max: Duration::from_millis(500), ..options(Encoding::Proto) };
    let ada = Lobby::connect(&format!("ws://{}", cable.address), credential, quick).await.expect("a guest may");
    let grace = sign_in(&host, "Grace").await;
    for lobby in [&ada, &grace] {
        lobby.join_room("lobby").await.expect("there is the room");
    }
    let ada_id = ada.session().user_id;
    for number in 0..10 {
        if number == 5 {
            cable.is_in.send_replace(false);
            until("the drop", async || matches!(ada.next().await, Some(LobbyEvent::Dropped { .. }))).await;
        }
        for (channel, kind) in [(Channel::Direct(&ada_id), "direct"), (Channel::Room("lobby"), "room")] {
            let said = grace.say(channel, &format!("{kind} {number}")).await.expect("Grace may");
            assert!(number >= 5 || message(&ada).await.text == said.text, "it comes at once");
        }
    }
    cable.is_in.send_replace(true);
    let (mut direct, mut rooms) = (Vec::new(), None);
    while direct.len() < 5 || rooms.is_none() {
        match chat(&ada).await {
            What::Message(message) => {
                let kind = message.channel.as_ref().map(v1::ChatChannel::kind);
                assert_eq!(kind, Some(v1::ChatKind::Direct), "what was said in the room is not kept");
                direct.push(message.text);
            }
            What::Rooms(told) => rooms = Some(told.rooms),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(direct, (5..10).map(|number| format!("direct {number}")).collect::<Vec<_>>());
    assert_eq!(rooms.map(|rooms| (rooms[0].name.clone(), rooms[0].last_id)), Some(("lobby".to_owned(), 10)));
    let missed = ada.chat_history(Channel::Room("lobby"), 0, 5).await.expect("still in it");
    assert_eq!(texts(&missed), ["room 5", "room 6", "room 7", "room 8", "room 9"]);
}

#[tokio::test]
async fn who_says_too_much_is_told_when_to_go_on() {
    let host = Host::start("");
    let ada = sign_in(&host, "Ada").await;
    ada.join_room("lobby").await.expect("there is the room");
    for _ in 0..5 {
        ada.say(Channel::Room("lobby"), "hello").await.expect("five at once");
    }
    let refused = refusal(ada.say(Channel::Room("lobby"), "hello").await);
    assert_eq!(refused.code(), v1::Code::RateLimited);
    assert!((1..=1_000).contains(&refused.retry_after_ms), "{refused:?}");
}

#[tokio::test]
async fn operators_mute_and_unmute() {
    let host = Host::start(CONFIG);
    let ada = sign_in(&host, "Ada").await;
    ada.join_room("lobby").await.expect("there is the room");
    let path = format!("/v1/users/{}/mute", ada.session().user_id);
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let order = async |method: &str, path: &str, body: &str| host.ops(method, path, &headers, body).await.status;

    assert_eq!(host.ops("POST", &path, &headers[1..], r#"{"minutes":5}"#).await.status, 401);
    for wrong in ["", "{}", r#"{"minutes":0}"#, r#"{"minutes":-1}"#, r#"{"minutes":99999999999}"#] {
        assert_eq!(order("POST", &path, wrong).await, 400, "{wrong}");
    }
    assert_eq!(order("POST", "/v1/users/x/mute", r#"{"minutes":5}"#).await, 400);
    assert_eq!(order("POST", "/v1/users/00000000000000ff/mute", r#"{"minutes":5}"#).await, 404);

    assert_eq!(order("POST", &path, r#"{"minutes":5}"#).await, 204);
    assert!(matches!(chat(&ada).await, What::MutedUntilMs(until) if until > 0));
    assert_eq!(refusal(ada.say(Channel::Room("lobby"), "hello").await).code(), v1::Code::Forbidden);
    assert_eq!(order("DELETE", &path, "").await, 204);
    assert!(matches!(chat(&ada).await, What::MutedUntilMs(0)));
    ada.say(Channel::Room("lobby"), "hello").await.expect("Ada may speak again");
    assert_eq!(host.logged("an operator's order about chat").len(), 3, "also of who is unknown");
}

#[tokio::test]
async fn what_users_report_is_shown_to_operators_until_it_is_put_away() {
    let host = Host::start(CONFIG);
    let (ada, grace) = (sign_in(&host, "Ada").await, sign_in(&host, "Grace").await);
    let room = Channel::Room("lobby");
    for lobby in [&ada, &grace] {
        lobby.join_room("lobby").await.expect("there is the room");
    }
    let said = ada.say(room, "rude").await.expect("Ada may speak");
    grace.report_message(room, said.id, "so rude").await.expect("it is there");
    assert_eq!(refusal(grace.report_message(room, 99, "").await).code(), v1::Code::NotFound);
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(host.ops("GET", "/v1/reports", &[], "").await.status, 401);
    assert_eq!(host.ops("GET", "/v1/reports?after=x", &headers, "").await.status, 400);
    let shown = host.ops("GET", "/v1/reports", &headers, "").await;
    let shown: Value = serde_json::from_str(&shown.body).expect("JSON");
    let report = &shown["reports"][0];
    assert_eq!((&report["reason"], &report["by"]), (&json!("so rude"), &json!(grace.session().user_id)), "{shown}");
    assert_eq!(report["channel"], json!({"kind": "room", "of": "lobby"}));
    assert_eq!((&report["message"]["text"], &report["message"]["name"]), (&json!("rude"), &json!("Ada")));
    let path = format!("/v1/reports/{}", report["number"]);
    for (path, status) in [("/v1/reports/x", 400), (path.as_str(), 204), (path.as_str(), 404)] {
        assert_eq!(host.ops("DELETE", path, &headers, "").await.status, status, "{path}");
    }
    assert_eq!(host.ops("GET", "/v1/reports", &headers, "").await.body, r#"{"reports":[]}"#);
}

/// How long the moderation thinks about some messages.
const SLOW: Duration = Duration::from_millis(600);

/// An operator's moderation, which answers by the text of the message; and what it was asked.
async fn moderation() -> (SocketAddr, std::sync::Arc<std::sync::Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    let asked = std::sync::Arc::<std::sync::Mutex<Vec<Value>>>::default();
    let questions = std::sync::Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(moderate(stream, std::sync::Arc::clone(&questions)));
        }
    });
    (address, asked)
}

async fn moderate(stream: TcpStream, asked: std::sync::Arc<std::sync::Mutex<Vec<Value>>>) -> Option<()> {
    let mut stream = BufStream::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if let Some(said) = line.to_lowercase().strip_prefix("content-length:") {
                length = said.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let question: Value = serde_json::from_slice(&body).ok()?;
        let text = question["text"].as_str().unwrap_or_default().to_owned();
        asked.lock().expect("no holder panics").push(question);
        let (status, answer) = match text.as_str() {
            "silence" => std::future::pending().await,
            "slow" => {
                tokio::time::sleep(SLOW).await;
                (200, json!({"allow": true}).to_string())
            }
            "broken" => (500, String::new()),
            "nonsense" => (200, "<html>".to_owned()),
            "long" => (200, " ".repeat(20_000)),
            "rude" => (200, json!({"allow": false, "reason": "be kind"}).to_string()),
            "damn" => (200, json!({"allow": true, "text": "d**n"}).to_string()),
            _ => (200, json!({"allow": true, "more": 1}).to_string()),
        };
        let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all((head + &answer).as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
}

#[tokio::test]
async fn nothing_is_said_before_the_moderation_has_seen_it() {
    let (address, asked) = moderation().await;
    for (on_failure, is_said) in [("refuse", false), ("allow", true)] {
        let moderation = format!("[chat.moderation]\nurl = \"http://{address}/look\"\ntimeout_ms = 500\n");
        let host = Host::start(&format!("{CONFIG}{moderation}on_failure = \"{on_failure}\"\n"));
        let (ada, grace) = (sign_in(&host, "Ada").await, sign_in(&host, "Grace").await);
        for lobby in [&ada, &grace] {
            lobby.join_room("lobby").await.expect("there is the room");
        }
        let room = Channel::Room("lobby");
        assert_eq!(ada.say(room, "hello").await.expect("it is allowed").text, "hello");
        assert_eq!(ada.say(room, "damn").await.expect("it is replaced").text, "d**n");
        let refused = refusal(ada.say(room, "rude").await);
        assert_eq!(
            (refused.code(), refused.text.as_str()),
            (v1::Code::Invalid, "this message is not allowed: be kind")
        );
        for failing in ["silence", "broken", "nonsense", "long"] {
            let answer = ada.say(room, failing).await;
            match is_said {
                true => assert_eq!(answer.expect("it is said").text, failing),
                false => assert_eq!(refusal(answer).code(), v1::Code::Overloaded, "{failing}"),
            }
        }
        let grace_id = grace.session().user_id;
        ada.say(Channel::Direct(&grace_id), "goodbye").await.expect("it is allowed");
        let mut heard = BTreeSet::new();
        while !heard.contains("goodbye") {
            heard.insert(message(&grace).await.text);
        }
        let failing = if is_said { &["silence", "broken", "nonsense", "long"][..] } else { &[] };
        let expected = ["hello", "d**n", "goodbye"].iter().chain(failing).map(ToString::to_string).collect();
        assert_eq!(heard, expected);
        assert_eq!(host.metrics().await.sum("scenehost_moderation_failures_total"), 4.0);

        let questions = std::mem::take(&mut *asked.lock().expect("no holder panics"));
        let of_room = json!({"channel": {"kind": "room", "of": "lobby"}, "user_id": ada.session().user_id,
            "name": "Ada", "text": "hello"});
        assert_eq!(questions[0], of_room);
        assert_eq!(questions[7]["channel"], json!({"kind": "direct", "of": grace_id}));
    }
}

#[tokio::test]
async fn a_slow_moderation_is_asked_about_as_many_messages_as_it_can_answer_for_in_time() {
    let (address, asked) = moderation().await;
    let moderation = format!("[chat.moderation]\nurl = \"http://{address}/look\"\ntimeout_ms = 1500\n");
    let host = Host::start(&format!("{CONFIG}{moderation}"));
    let users = join_all((0..10).map(|number| sign_in(&host, ["Ada", "Grace"][number % 2]))).await;
    for lobby in &users {
        lobby.join_room("lobby").await.expect("there is the room");
    }
    // 32 are under way at once, so for the last of these it takes five times as long as for the first.
    let all = users.iter().flat_map(|lobby| (0..16).map(async |_| lobby.say(Channel::Room("lobby"), "slow").await));
    let answers = within("all of them to be answered", join_all(all)).await;
    let said = answers.iter().filter(|answer| answer.is_ok()).count();
    let mut too_late = answers.into_iter().filter_map(Result::err).map(|error| refusal::<()>(Err(error)).code());
    assert!(too_late.all(|code| code == v1::Code::Overloaded));
    let questions = asked.lock().expect("no holder panics").len();
    assert!(said >= 32 && (said..160).contains(&questions), "{said} were said, {questions} were asked about");
    // It has nothing to catch up with.
    users[0].say(Channel::Room("lobby"), "slow").await.expect("in time");
}

#[tokio::test]
async fn a_configuration_of_chat_that_cannot_work_is_refused() {
    for (wrong, word) in [
        ("[chat]\nrooms = [\"a b\"]\n", "room's name"),
        ("[chat]\nmessages = 0\n", "messages"),
        ("[chat]\nroom_members = 0\n", "room_members"),
        ("[chat.moderation]\nurl = \"ftp://example.org\"\n", "http://"),
        ("[chat.moderation]\nurl = \"http://127.0.0.1:1\"\ntimeout_ms = 1\n", "timeout_ms"),
        ("[chat.moderation]\nurl = \"http://127.0.0.1:1\"\non_failure = \"perhaps\"\n", "on_failure"),
        ("[guilds]\nmembers_max = 0\n", "members_max"),
    ] {
        let failed = Host::fails(wrong, &[]);
        assert!(failed.code == Some(1) && failed.text.contains(word), "{wrong}: {}", failed.text);
    }
}
