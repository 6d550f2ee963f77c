//! Guilds against the real binary: how users come in, that all are told, and that it is all there after a crash.

use scenehost_client::{Channel, Encoding, Error, Lobby, LobbyEvent, v1};
use serde_json::{Value, json};
use v1::req_guild::{Ask, Change, Create, Leave, Mine, ReadData, SetRole, Show, WriteData};
use v1::syn_guild::What;
use v1::{GuildEntry, GuildRole};

use crate::host::{Host, OPS_TOKEN, within};
use crate::player::{device, refusal, sign_in, sign_in_as};

fn create(name: &str) -> Ask {
    Ask::Create(Create {
        name: name.to_owned(),
        tag: "OWL".to_owned(),
        entry: GuildEntry::ByRequest.into(),
        ..Default::default()
    })
}

/// What the user is told next of the guild.
async fn told(lobby: &Lobby) -> (What, String, GuildRole) {
    within("word of the guild", async {
        loop {
            match lobby.next().await.expect("the lobby goes on") {
                LobbyEvent::Guild(guild) => return (guild.what(), guild.user_id.clone(), guild.role()),
                LobbyEvent::Gone(why) => panic!("gone: {why}"),
                _ => {}
            }
        }
    })
    .await
}

fn id(lobby: &Lobby) -> String {
    lobby.session().user_id
}

async fn own(lobby: &Lobby) -> Result<v1::Guild, Error> {
    lobby.guild(Ask::Show(Show::default())).await.map(|shown| shown.guild.expect("there is one"))
}

#[tokio::test]
async fn a_guild_is_founded_grows_talks_and_outlives_a_crash() {
    let mut host = Host::start("");
    let devices = [device(), device(), device()];
    let ada = sign_in_as(&host, &devices[0], "Ada", Encoding::Proto).await;
    let grace = sign_in_as(&host, &devices[1], "Grace", Encoding::Json).await;
    let alan = sign_in_as(&host, &devices[2], "Alan", Encoding::Proto).await;

    let guild = ada.guild(create("Night Owls")).await.expect("the name is free").guild.expect("it is told");
    assert_eq!((guild.limit, guild.members[0].role()), (100, GuildRole::Leader));
    assert_eq!(told(&ada).await, (What::Joined, id(&ada), GuildRole::Leader));
    assert_eq!(refusal(grace.guild(create("NIGHT owls")).await).code(), v1::Code::Taken);

    grace.guild(Ask::AskToJoin(guild.guild_id.clone())).await.expect("it may ask");
    assert_eq!(told(&ada).await, (What::Asked, id(&grace), GuildRole::Leader));
    assert_eq!(told(&grace).await, (What::Asked, id(&grace), GuildRole::Unspecified));
    ada.guild(Ask::Accept(id(&grace))).await.expect("the leader may");
    assert_eq!(told(&grace).await, (What::Joined, id(&grace), GuildRole::Member));
    ada.guild(Ask::Invite(id(&alan))).await.expect("the leader may");
    let mine = alan.guild(Ask::Mine(Mine {})).await.expect("everybody may");
    assert_eq!((mine.guild, mine.invites[0].name.as_str()), (None, "Night Owls"));
    alan.guild(Ask::AcceptInvite(guild.guild_id.clone())).await.expect("invited");
    let set = SetRole { user_id: id(&alan), role: GuildRole::Officer.into() };
    assert_eq!(refusal(grace.guild(Ask::SetRole(set.clone())).await).code(), v1::Code::Forbidden);
    ada.guild(Ask::SetRole(set)).await.expect("the leader may");
    let write = WriteData { key: "motto".to_owned(), value: Some("hoot".into()), if_version: Some(0) };
    let version = alan.guild(Ask::WriteData(write.clone())).await.expect("an officer may").version;
    assert_eq!(refusal(ada.guild(Ask::WriteData(write)).await).code(), v1::Code::Conflict);

    assert_eq!(refusal(sign_in(&host, "Eve").await.say(Channel::Guild, "hello").await).code(), v1::Code::NotFound);
    let said = grace.say(Channel::Guild, "hoot hoot").await.expect("a member may");
    for lobby in [&ada, &alan] {
        let heard = within("the word", async {
            loop {
                if let Some(LobbyEvent::Chat(chat)) = lobby.next().await {
                    return chat.what;
                }
            }
        });
        assert_eq!(heard.await, Some(v1::syn_chat::What::Message(said.clone())));
    }
    let before = own(&ada).await.expect("a member");
    drop((ada, grace, alan));
    host.kill9();
    let (is_right, report) = host.store(&["check"]);
    assert!(is_right, "{report}");
    host.restart();

    let ada = sign_in_as(&host, &devices[0], "Ada", Encoding::Json).await;
    assert_eq!(own(&ada).await.expect("still a member"), before);
    let data = ada.guild(Ask::ReadData(ReadData {})).await.expect("a member").data;
    assert_eq!((data[0].key.as_str(), &data[0].value[..], data[0].version), ("motto", &b"hoot"[..], version));
    assert_eq!(ada.chat_history(Channel::Guild, 0, 0).await.expect("a member"), [said]);
    ada.guild(Ask::Leave(Leave {})).await.expect("a member may");
    assert_eq!(refusal(ada.chat_history(Channel::Guild, 0, 0).await).code(), v1::Code::NotFound);
    let alan = sign_in_as(&host, &devices[2], "Alan", Encoding::Proto).await;
    let led: Vec<_> =
        own(&alan).await.expect("it leads").members.iter().map(|it| (it.name.clone(), it.role())).collect();
    assert!(led.contains(&("Alan".to_owned(), GuildRole::Leader)) && led.len() == 2, "{led:?}");
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let host = Host::start("[guilds]\nmembers_max = 3\n");
    let ada = sign_in(&host, "Ada").await;
    ada.guild(create("Night Owls")).await.expect("the name is free");
    for (ask, code) in [
        (Ask::Join("x".to_owned()), v1::Code::Invalid),
        (Ask::Join("00000000000000ff".to_owned()), v1::Code::NotFound),
        (Ask::Kick(String::new()), v1::Code::Invalid),
        (Ask::Invite("00000000000000ff".to_owned()), v1::Code::NotFound),
        (Ask::SetRole(SetRole { user_id: id(&ada), role: 0 }), v1::Code::Invalid),
        (Ask::Change(Change { limit: Some(4), ..Default::default() }), v1::Code::Invalid),
        (create("Larks"), v1::Code::Busy),
    ] {
        assert_eq!(refusal(ada.guild(ask.clone()).await).code(), code, "{ask:?}");
    }
}

#[tokio::test]
async fn operators_see_all_of_a_guild() {
    let host = Host::start("");
    let (ada, grace) = (sign_in(&host, "Ada").await, sign_in(&host, "Grace").await);
    let guild = ada.guild(create("Night Owls")).await.expect("the name is free").guild.expect("it is told");
    grace.guild(Ask::AskToJoin(guild.guild_id)).await.expect("it may ask");
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = json!({"request": 1, "reqGuild": {"show": {"name": "night owls"}}}).to_string();
    let answer = host.ops("POST", "/v1/ask", &headers, &body).await;
    let shown: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(answer.status, 200, "{shown}");
    assert_eq!(shown["resGuild"]["guild"]["requests"][0]["name"], "Grace", "{shown}");
}
