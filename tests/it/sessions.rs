//! Who a user is: by a device or by a session's token, also after the host was killed.

use scenehost_client::{Credential, Encoding, Error, Lobby, v1};

use crate::host::Host;
use crate::player::{device, free_to_play, gather, options, refusal, sign_in, sign_in_as};

const GOMOKU: &str = r#"
[server]
scenes_max = 64
scene_threads = 1

[fleets.gomoku]
plugin = "gomoku"

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
"#;

async fn by_session(host: &Host, token: &str) -> Result<Lobby, Error> {
    Lobby::connect(&host.url(), Credential::Session(token.to_owned()), options(Encoding::Proto)).await
}

async fn by_device(host: &Host, device_id: &str, name: &str) -> Result<Lobby, Error> {
    let credential = Credential::Guest { device_id: device_id.to_owned(), name: name.to_owned() };
    Lobby::connect(&host.url(), credential, options(Encoding::Proto)).await
}

#[tokio::test]
async fn a_device_is_always_the_same_user_and_another_one_is_not() {
    let host = Host::start(GOMOKU);
    let device_id = device();
    let first = sign_in_as(&host, &device_id, "Ada", Encoding::Proto).await;
    let user = first.session().user_id;
    assert_eq!(user.len(), 16);
    first.close().await;
    let again = sign_in_as(&host, &device_id, "", Encoding::Json).await;
    assert_eq!((&again.session().user_id, again.session().name.as_str()), (&user, "Ada"));
    let renamed = sign_in_as(&host, &device_id, " Grace ", Encoding::Proto).await;
    assert_eq!((&renamed.session().user_id, renamed.session().name.as_str()), (&user, "Grace"));
    let other = sign_in(&host, "").await;
    assert_ne!(other.session().user_id, user);
    assert!(other.session().name.starts_with("Guest "), "{}", other.session().name);
}

#[tokio::test]
async fn two_first_sign_ins_of_one_device_at_the_same_time_make_one_user() {
    let host = Host::start(GOMOKU);
    let device_id = device();
    let [one, two] = [by_device(&host, &device_id, "Ada"), by_device(&host, &device_id, "Ada")];
    // The one that was first may be taken over before it has its answer.
    let users: Vec<String> = <[_; 2]>::from(tokio::join!(one, two))
        .into_iter()
        .filter_map(|result| match result {
            Ok(lobby) => Some(lobby.session().user_id),
            Err(Error::Closing(closing)) if closing.code() == v1::Code::TakenOver => None,
            Err(other) => panic!("{other}"),
        })
        .collect();
    let now = by_device(&host, &device_id, "").await.expect("the device is known");
    assert!(!users.is_empty());
    for user in users {
        assert_eq!(user, now.session().user_id);
    }
}

#[tokio::test]
async fn a_session_token_signs_in_and_a_wrong_one_does_not() {
    let host = Host::start(GOMOKU);
    let ada = sign_in(&host, "Ada").await;
    let session = ada.session();
    let again = by_session(&host, &session.session_token).await.expect("the session lives");
    assert_eq!((&again.session().user_id, &again.session().name), (&session.user_id, &session.name));
    assert_eq!(again.session().session_token, session.session_token);
    assert_eq!(again.session().session_expires_ms, session.session_expires_ms);
    for wrong in [&"0".repeat(64), "", "no token at all", &session.session_token.to_uppercase(), &"x".repeat(10_000)] {
        assert_eq!(refusal(by_session(&host, wrong).await).code(), v1::Code::BadToken, "{wrong}");
    }
}

#[tokio::test]
async fn a_device_id_that_can_be_guessed_and_a_bad_name_are_refused() {
    let host = Host::start(GOMOKU);
    for short_or_long in ["", "0123456789abcde", &"x".repeat(129)] {
        let refused = refusal(by_device(&host, short_or_long, "Ada").await);
        assert_eq!(refused.code(), v1::Code::Invalid);
        assert!(refused.text.contains("16 to 128"), "{}", refused.text);
    }
    for name in ["x".repeat(33), "two\nlines".to_owned()] {
        let refused = refusal(by_device(&host, &device(), &name).await);
        assert_eq!(refused.code(), v1::Code::Invalid, "{name:?}");
    }
    let longest = by_device(&host, &"y".repeat(128), &"ß".repeat(32)).await.expect("just within the limits");
    assert_eq!(longest.session().name.chars().count(), 32);
}

#[tokio::test]
async fn after_kill_9_a_session_still_signs_in_and_what_was_playing_is_over() {
    let mut host = Host::start(GOMOKU);
    let players = gather(&host, "gomoku", 2).await;
    let sessions: Vec<v1::ResSignIn> = players.iter().map(|player| player.lobby.session()).collect();
    host.kill9();
    drop(players);

    // Once more, since what is found after a crash is to be cleaned up: else there would be two then.
    for _ in 0..2 {
        host.restart();
        let left_behind = host.logged("there are scenes of the run before, which has not ended them");
        assert_eq!(left_behind.len(), 1, "the record of the scene is found");
        assert_eq!(left_behind[0]["fields"]["scenes"], 1);
        let mut lobbies = Vec::new();
        for session in &sessions {
            let lobby = by_session(&host, &session.session_token).await.expect("an acknowledged session is kept");
            assert_eq!((&lobby.session().user_id, &lobby.session().name), (&session.user_id, &session.name));
            assert_eq!(lobby.session().scene_id, "", "the scene ended with the host");
            assert_eq!(refusal(lobby.rejoin().await).code(), v1::Code::NoSeat);
            lobbies.push(lobby);
        }
        free_to_play(lobbies, "gomoku").await;
        host.kill9();
    }
}
