//! Parties against the real binary: how users come in, play and talk together, and that a party outlives the host.

use futures_util::FutureExt;
use scenehost_client::{Channel, Encoding, Lobby, LobbyEvent, Match, Scene, v1};
use v1::presence::State;
use v1::req_party::{Ask, CheckReady, Create, Leave};
use v1::syn_party::What;
use v1::{Party, PartyChange, PartyInvite};

use crate::host::{Host, within};
use crate::player::{device, options, refusal, sign_in, sign_in_as};

const CONFIG: &str = "
[lobby]
grace_ms = 2000

[fleets.arena]
plugin = \"arena\"
scene = { tick_rate_hz = 20 }

[domains.trio]
fleet = \"arena\"
players_min = 3
players_max = 3
";

/// What the user is told next of parties.
async fn told(lobby: &Lobby) -> What {
    within("word of the party", async {
        loop {
            match lobby.next().await.expect("the lobby goes on") {
                LobbyEvent::Party(party) => return party.what.expect("a server that this client knows"),
                LobbyEvent::Gone(why) => panic!("gone: {why}"),
                _ => {}
            }
        }
    })
    .await
}

/// The party once it has changed so.
async fn after(lobby: &Lobby, change: PartyChange) -> Party {
    loop {
        if let What::Party(party) = told(lobby).await
            && party.change() == change
        {
            return party;
        }
    }
}

async fn invited(lobby: &Lobby) -> PartyInvite {
    match told(lobby).await {
        What::Invited(invite) => invite,
        other => panic!("{other:?}"),
    }
}

fn id(lobby: &Lobby) -> String {
    lobby.session().user_id
}

fn names(party: &Party) -> Vec<&str> {
    party.members.iter().map(|member| member.name.as_str()).collect()
}

fn trio() -> Ask {
    Ask::CheckReady(CheckReady { domain: "trio".to_owned() })
}

/// The match that the party's leader has looked for.
async fn made(lobby: &Lobby) -> Match {
    within("the match", async {
        loop {
            if let LobbyEvent::Match(made) = lobby.next().await.expect("the lobby goes on") {
                return made;
            }
        }
    })
    .await
}

#[tokio::test]
async fn three_come_together_are_ready_play_and_are_still_a_party() {
    let host = Host::start(CONFIG);
    let ada = sign_in_as(&host, &device(), "Ada", Encoding::Proto).await;
    let grace = sign_in_as(&host, &device(), "Grace", Encoding::Json).await;
    let alan = sign_in_as(&host, &device(), "Alan", Encoding::Proto).await;

    ada.party(Ask::Create(Create {})).await.expect("she is in none");
    let party = after(&ada, PartyChange::Created).await;
    assert_eq!((party.members_max, &party.leader_id), (8, &id(&ada)));
    grace.party(Ask::Join(party.code.to_lowercase())).await.expect("the code is right");
    grace.party(Ask::Invite(id(&alan))).await.expect("a member may");
    let invite = invited(&alan).await;
    assert_eq!((invite.name.as_str(), invite.members), ("Grace", 2));
    alan.party(Ask::Accept(invite.party_id)).await.expect("invited");
    let party = after(&alan, PartyChange::Joined).await;
    assert_eq!(names(&party), ["Ada", "Grace", "Alan"]);
    assert!(party.members.iter().all(|it| it.presence.as_ref().is_some_and(|it| it.state() == State::Online)));

    grace.say(Channel::Party, "arena?").await.expect("a member may");
    assert_eq!(ada.chat_history(Channel::Party, 0, 0).await.expect("a member may")[0].text, "arena?");

    ada.party(trio()).await.expect("all are here");
    for lobby in [&grace, &alan] {
        let check = after(lobby, PartyChange::Check).await.check.expect("all are asked");
        assert_eq!(check.domain, "trio");
        lobby.party(Ask::Ready(true)).await.expect("they are asked");
    }
    let mut scenes = Vec::new();
    for lobby in [&ada, &grace, &alan] {
        scenes.push(Scene::join(&made(lobby).await, &options(Encoding::Proto)).await.expect("a seat for each"));
    }
    assert!(scenes.iter().all(|scene| scene.info().scene_id == scenes[0].info().scene_id), "one game for all");
    let party = after(&ada, PartyChange::Presence).await;
    assert!(party.members.iter().any(|it| it.presence.as_ref().is_some_and(|it| it.state() == State::InGame)));
    assert_eq!(refusal(ada.find_match("trio").await).code(), v1::Code::Busy);
    for scene in scenes {
        scene.leave().await.expect("one may");
    }
    ada.party(Ask::SetData("next: chess".to_owned())).await.expect("she leads");
    assert_eq!(names(&after(&alan, PartyChange::Data).await).len(), 3);
}

#[tokio::test]
async fn the_search_of_a_party_ends_with_any_of_its_members() {
    let host = Host::start(CONFIG);
    let ada = sign_in(&host, "Ada").await;
    let grace = sign_in(&host, "Grace").await;
    ada.party(Ask::Create(Create {})).await.expect("she is in none");
    let code = after(&ada, PartyChange::Created).await.code;
    grace.party(Ask::Join(code)).await.expect("the code is right");
    assert_eq!(refusal(grace.find_match("trio").await).code(), v1::Code::Forbidden);

    let (found, ()) = tokio::join!(ada.find_match("trio"), async {
        within("the search", async {
            while !matches!(grace.next().await, Some(LobbyEvent::MatchState(state)) if state.domain == "trio") {}
        })
        .await;
        grace.cancel_match().await.expect("any member may");
    });
    assert_eq!(refusal(found).text, "Grace has stopped the search");

    let (found, ()) = tokio::join!(ada.find_match("trio"), async {
        within("the search", async {
            while !matches!(grace.next().await, Some(LobbyEvent::MatchState(state)) if state.domain == "trio") {}
        })
        .await;
        drop(grace);
    });
    assert_eq!(refusal(found).text, "Grace is gone: look for a match again");
    assert_eq!(names(&after(&ada, PartyChange::Left).await), ["Ada"]);
}

#[tokio::test]
async fn a_party_outlives_the_host_and_who_does_not_come_back_is_taken_out() {
    let mut host = Host::start(CONFIG);
    let devices = [device(), device(), device()];
    let [ada, grace, alan] = sign_in_all(&host, &devices).await;
    ada.party(Ask::Create(Create {})).await.expect("she is in none");
    let before = after(&ada, PartyChange::Created).await;
    for lobby in [&grace, &alan] {
        lobby.party(Ask::Join(before.code.clone())).await.expect("the code is right");
    }
    grace.party(Ask::SetOwnData("a witch".to_owned())).await.expect("a member may");
    host.kill9();
    drop((ada, grace, alan));
    let (is_right, report) = host.store(&["check"]);
    assert!(is_right, "{report}");
    host.restart();

    let grace = sign_in_as(&host, &devices[1], "Grace", Encoding::Json).await;
    let party = after(&grace, PartyChange::Unspecified).await;
    assert_eq!((names(&party), &party.code), (vec!["Ada", "Grace", "Alan"], &before.code));
    assert_eq!(party.members[1].data, "a witch");
    let alan = sign_in_as(&host, &devices[2], "Alan", Encoding::Proto).await;
    let party = after(&alan, PartyChange::Left).await;
    assert_eq!((names(&party), &party.leader_id), (vec!["Grace", "Alan"], &id(&grace)));
    let ada = sign_in_as(&host, &devices[0], "Ada", Encoding::Proto).await;
    assert_eq!(refusal(ada.party(Ask::Leave(Leave {})).await).code(), v1::Code::NotFound);

    grace.party(Ask::Leave(Leave {})).await.expect("a member may");
    assert!(matches!(told_gone(&grace).await, PartyChange::Left));
    alan.party(Ask::Leave(Leave {})).await.expect("a member may");
    let unknown = refusal(ada.party(Ask::Join(before.code)).await);
    assert_eq!(unknown.code(), v1::Code::NotFound, "{}", unknown.text);
}

async fn sign_in_all(host: &Host, devices: &[String; 3]) -> [Lobby; 3] {
    [
        sign_in_as(host, &devices[0], "Ada", Encoding::Proto).await,
        sign_in_as(host, &devices[1], "Grace", Encoding::Json).await,
        sign_in_as(host, &devices[2], "Alan", Encoding::Proto).await,
    ]
}

async fn told_gone(lobby: &Lobby) -> PartyChange {
    loop {
        if let What::Gone(gone) = told(lobby).await {
            return gone.change();
        }
    }
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let host = Host::start("[parties]\nmembers_max = 2\n");
    let [ada, grace, alan] = sign_in_all(&host, &[device(), device(), device()]).await;
    ada.party(Ask::Create(Create {})).await.expect("she is in none");
    let party = after(&ada, PartyChange::Created).await;
    grace.party(Ask::Join(party.code.clone())).await.expect("the code is right");
    for (lobby, ask, code) in [
        (&ada, Ask::Create(Create {}), v1::Code::Busy),
        (&ada, Ask::Kick(String::new()), v1::Code::Invalid),
        (&ada, Ask::Invite("x".to_owned()), v1::Code::Invalid),
        (&ada, Ask::Invite("00000000000000ff".to_owned()), v1::Code::NotFound),
        (&ada, Ask::SetData("x".repeat(2_049)), v1::Code::Invalid),
        (&ada, Ask::CheckReady(CheckReady { domain: "nowhere".to_owned() }), v1::Code::NotFound),
        (&ada, Ask::Ready(true), v1::Code::OutOfOrder),
        (&grace, Ask::SetData(String::new()), v1::Code::Forbidden),
        (&alan, Ask::Join(party.code.clone()), v1::Code::Busy),
        (&alan, Ask::Join("?".to_owned()), v1::Code::Invalid),
        (&alan, Ask::Accept("x".to_owned()), v1::Code::Invalid),
        (&alan, Ask::Accept(party.party_id.clone()), v1::Code::NotFound),
        (&alan, Ask::Leave(Leave {}), v1::Code::NotFound),
    ] {
        assert_eq!(refusal(lobby.party(ask.clone()).await).code(), code, "{ask:?}");
    }
    assert_eq!(refusal(alan.say(Channel::Party, "hello").await).code(), v1::Code::NotFound);
    assert!(alan.next().now_or_never().is_none(), "who is in no party hears nothing");
}
