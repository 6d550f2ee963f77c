//! Frames survive both encodings, shared events equal plain frames, and bad input is refused with
//! a reason.

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use scenehost_protocol::v1::{self, client_frame, req_sign_in, server_frame};
use scenehost_protocol::{DecodeError, Encoding, FRAME_BYTES_MAX, PayloadRef, SharedEvent};

const ENCODINGS: [Encoding; 2] = [Encoding::Proto, Encoding::Json];

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..64).prop_map(Bytes::from)
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..16).prop_map(String::from_iter)
}

fn scene_message() -> impl Strategy<Value = v1::SceneMessage> {
    bytes().prop_map(|body| v1::SceneMessage { body })
}

fn credential() -> impl Strategy<Value = req_sign_in::Credential> {
    prop_oneof![
        (text(), text())
            .prop_map(|(device_id, name)| { req_sign_in::Credential::Guest(req_sign_in::Guest { device_id, name }) }),
        text().prop_map(req_sign_in::Credential::SessionToken),
        (text(), text(), any::<bool>()).prop_map(|(name, password, create)| {
            req_sign_in::Credential::Password(req_sign_in::Password { name, password, create })
        }),
        (text(), text())
            .prop_map(|(provider, id_token)| req_sign_in::Credential::Oidc(req_sign_in::Oidc { provider, id_token })),
    ]
}

fn wish() -> impl Strategy<Value = v1::Wish> {
    let values = || vec(text(), 0..3).prop_map(|values| v1::WishValues { values });
    let lists = move || btree_map(text(), values(), 0..3);
    let round_trips = btree_map(text(), any::<u32>(), 0..3);
    (lists(), lists(), round_trips, vec(text(), 0..3), vec(text(), 0..3))
        .prop_map(|(has, wants, round_trips, opponents, roles)| v1::Wish { has, wants, round_trips, opponents, roles })
}

fn client_frame() -> impl Strategy<Value = v1::ClientFrame> {
    use client_frame::Body;
    let body = prop_oneof![
        (option::of(credential()), text(), option::of(any::<u32>())).prop_map(|(credential, device, resume_seq)| {
            Body::ReqSignIn(v1::ReqSignIn { credential, device, resume_seq })
        }),
        Just(Body::ReqSignOut(v1::ReqSignOut {})),
        (text(), option::of(wish())).prop_map(|(domain, wish)| Body::ReqMatch(v1::ReqMatch { domain, wish })),
        option::of(wish()).prop_map(|wish| Body::ReqWish(v1::ReqWish { wish })),
        any::<bool>().prop_map(|accept| Body::ReqAcceptMatch(v1::ReqAcceptMatch { accept })),
        Just(Body::ReqCancelMatch(v1::ReqCancelMatch {})),
        Just(Body::ReqRejoin(v1::ReqRejoin {})),
        (text(), option::of(any::<u32>()))
            .prop_map(|(scene_token, resume_seq)| { Body::ReqJoinScene(v1::ReqJoinScene { scene_token, resume_seq }) }),
        scene_message().prop_map(Body::SceneMessage),
        Just(Body::ReqLeaveScene(v1::ReqLeaveScene {})),
        any::<u64>().prop_map(|payload| Body::Ping(v1::Ping { payload })),
    ];
    (any::<[u32; 2]>(), body).prop_map(|([request, seen], body)| v1::ClientFrame { request, seen, body: Some(body) })
}

fn refused() -> impl Strategy<Value = v1::Refused> {
    (0..=18, text(), any::<u32>()).prop_map(|(code, text, retry_after_ms)| v1::Refused { code, text, retry_after_ms })
}

fn player() -> impl Strategy<Value = v1::Player> {
    (any::<u32>(), text(), text(), any::<i32>(), any::<u32>())
        .prop_map(|(seat, user_id, name, rating, team)| v1::Player { seat, user_id, name, rating, team })
}

fn match_state() -> impl Strategy<Value = v1::SynMatchState> {
    let found =
        (any::<[u32; 2]>(), any::<bool>(), any::<u64>()).prop_map(|([players, accepted], you_accepted, left_ms)| {
            v1::syn_match_state::Found { players, accepted, you_accepted, left_ms }
        });
    let texts = (text(), vec(text(), 0..3));
    (0..=3, texts, any::<[u64; 2]>(), any::<[u32; 5]>(), option::of(refused()), option::of(found)).prop_map(
        |(state, (domain, relaxed), [waited_ms, usual_wait_ms], numbers, refused, found)| {
            let [rating_range, waiting, players_min, players_max, ping_ms] = numbers;
            v1::SynMatchState {
                state,
                domain,
                waited_ms,
                rating_range,
                waiting,
                players_min,
                players_max,
                refused,
                ping_ms,
                relaxed,
                usual_wait_ms,
                found,
            }
        },
    )
}

fn domain() -> impl Strategy<Value = v1::DomainInfo> {
    let property = (text(), vec(text(), 0..3), any::<bool>(), any::<u64>())
        .prop_map(|(name, values, common, relax_ms)| v1::DomainProperty { name, values, common, relax_ms });
    let team = (any::<[u32; 3]>(), btree_map(text(), any::<u32>(), 0..3))
        .prop_map(|([count, size, size_min], roles)| v1::DomainTeam { count, size, size_min, roles });
    let lists = (vec(property, 0..3), vec(text(), 0..3), vec(team, 0..3));
    (text(), any::<[u32; 2]>(), any::<[u64; 3]>(), any::<[bool; 2]>(), lists).prop_map(
        |(name, [players_min, players_max], [accept_ms, wait_ms_max, opens_ms], [rated, opponents], lists)| {
            let (properties, regions, teams) = lists;
            v1::DomainInfo {
                name,
                players_min,
                players_max,
                properties,
                regions,
                accept_ms,
                wait_ms_max,
                rated,
                opponents,
                opens_ms,
                teams,
            }
        },
    )
}

fn lobby_body() -> impl Strategy<Value = server_frame::Body> {
    use server_frame::Body;
    prop_oneof![
        ([text(), text(), text(), text()], any::<u64>(), vec(0..=6, 0..4)).prop_map(
            |([user_id, name, session_token, scene_id], expires_ms, services_down)| {
                let domains_down = services_down.iter().map(i32::to_string).collect();
                Body::ResSignIn(v1::ResSignIn {
                    user_id,
                    name,
                    session_token,
                    session_expires_ms: expires_ms,
                    scene_id,
                    services_down,
                    domains_down,
                    created: true,
                    resumed: false,
                    last_request: 7,
                    match_state: None,
                    refresh_token: "r".repeat(3),
                    refresh_expires_ms: expires_ms / 2,
                    session_id: "0".repeat(16),
                    grace_ms: 30_000,
                    after_seq: 8,
                })
            }
        ),
        refused().prop_map(Body::Refused),
        match_state().prop_map(Body::SynMatchState),
        (vec(domain(), 0..3), any::<bool>())
            .prop_map(|(domains, more)| Body::ResDomains(v1::ResDomains { domains, more })),
        ([text(), text(), text(), text()], any::<u32>()).prop_map(
            |([scene_id, domain, scene_url, scene_token], token_expires_in_ms)| {
                Body::ResMatch(v1::ResMatch { scene_id, domain, scene_url, scene_token, token_expires_in_ms })
            }
        ),
        (0..=6, any::<bool>(), vec(text(), 0..3)).prop_map(|(service, up, domains)| Body::SynService(v1::SynService {
            service,
            up,
            domains
        })),
    ]
}

fn scene_body() -> impl Strategy<Value = server_frame::Body> {
    use server_frame::Body;
    let result = (any::<u32>(), any::<u32>(), any::<i64>()).prop_map(|(seat, place, score)| v1::PlayerResult {
        seat,
        place,
        score,
    });
    prop_oneof![
        (text(), 0..=7, text(), vec(result, 0..4)).prop_map(|(scene_id, reason, text, results)| {
            Body::SynSceneEnded(v1::SynSceneEnded { scene_id, reason, text, results })
        }),
        ((text(), text()), any::<[u32; 5]>(), vec(player(), 0..4), any::<bool>()).prop_map(
            |((scene_id, domain), [seat, tick_rate_hz, received, grace_ms, after_seq], players, resumed)| {
                Body::ResJoinScene(v1::ResJoinScene {
                    scene_id,
                    domain,
                    seat,
                    players,
                    tick_rate_hz,
                    resumed,
                    received,
                    grace_ms,
                    after_seq,
                })
            }
        ),
        scene_message().prop_map(Body::SceneMessage),
        (any::<u64>(), any::<u32>()).prop_map(|(payload, received)| Body::Pong(v1::Pong { payload, received })),
        (0..=18, text()).prop_map(|(code, text)| Body::SynClosing(v1::SynClosing { code, text })),
    ]
}

fn server_body() -> impl Strategy<Value = server_frame::Body> {
    prop_oneof![lobby_body(), scene_body()]
}

proptest! {
    #[test]
    fn client_frames_survive(frame in client_frame()) {
        for encoding in ENCODINGS {
            let payload = encoding.encode_client(&frame);
            prop_assert_eq!(&encoding.decode_client(&payload).unwrap(), &frame);
        }
    }

    #[test]
    fn server_frames_survive(seq: u32, request: u32, body in server_body()) {
        let frame = v1::ServerFrame { seq, request, body: Some(body) };
        for encoding in ENCODINGS {
            let payload = encoding.encode_server(&frame);
            prop_assert_eq!(&encoding.decode_server(&payload).unwrap(), &frame);
        }
    }

    #[test]
    fn shared_events_are_plain_frames(seqs in vec(any::<u32>(), 1..4), body in server_body()) {
        let event = SharedEvent::new(body.clone());
        for seq in seqs {
            let frame = v1::ServerFrame { seq, request: 0, body: Some(body.clone()) };
            for encoding in ENCODINGS {
                let payload = event.payload(encoding, seq);
                prop_assert_eq!(payload.as_bytes().len(), event.frame_bytes(encoding, seq));
                prop_assert_eq!(&encoding.decode_server(&payload).unwrap(), &frame);
            }
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..256)) {
        let text = String::from_utf8_lossy(&bytes);
        for encoding in ENCODINGS {
            for payload in [PayloadRef::Binary(&bytes), PayloadRef::Text(&text)] {
                let _ = encoding.decode_client(payload);
                let _ = encoding.decode_server(payload);
            }
        }
    }

    #[test]
    fn damaged_frames_do_not_panic(
        frame in client_frame(),
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        for encoding in ENCODINGS {
            let mut bytes = encoding.encode_client(&frame).as_bytes().to_vec();
            if bytes.is_empty() {
                continue;
            }
            let index = at.index(bytes.len());
            bytes[index] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            let text = String::from_utf8_lossy(&bytes);
            let _ = encoding.decode_client(PayloadRef::Binary(&bytes));
            let _ = encoding.decode_client(PayloadRef::Text(&text));
        }
    }
}

#[test]
fn shared_event_in_json_differs_in_nothing() {
    let body = server_frame::Body::Pong(v1::Pong { payload: 7, received: 0 });
    let event = SharedEvent::new(body.clone());
    for seq in [1, 9, 10, u32::MAX] {
        let frame = v1::ServerFrame { seq, request: 0, body: Some(body.clone()) };
        assert_eq!(event.payload(Encoding::Json, seq), Encoding::Json.encode_server(&frame));
    }
}

#[test]
fn json_is_protobufs_mapping() {
    let frame =
        Encoding::Json.decode_client(r#"{"request":1,"reqSignIn":{"guest":{"deviceId":"0123456789abcdef"}}}"#).unwrap();
    let body = client_frame::Body::ReqSignIn(v1::ReqSignIn {
        credential: Some(req_sign_in::Credential::Guest(req_sign_in::Guest {
            device_id: "0123456789abcdef".into(),
            name: String::new(),
        })),
        device: String::new(),
        resume_seq: None,
    });
    assert_eq!(frame.request, 1);
    assert_eq!(frame.body, Some(body));

    let frame = v1::ServerFrame {
        seq: 3,
        request: 0,
        body: Some(server_frame::Body::SynService(v1::SynService {
            service: v1::Service::SceneMaster.into(),
            up: true,
            domains: Vec::new(),
        })),
    };
    let payload = Encoding::Json.encode_server(&frame);
    assert_eq!(payload.as_bytes(), br#"{"seq":3,"synService":{"service":"SCENE_MASTER","up":true}}"#);
}

#[test]
fn a_newer_peer_is_understood() {
    let text = r#"{"seq":1,"mood":"new","synService":{"service":"WEATHER","up":true,"x":[1]}}"#;
    let frame = Encoding::Json.decode_server(text).unwrap();
    let (service, domains) = (v1::Service::Unspecified.into(), Vec::new());
    let body = server_frame::Body::SynService(v1::SynService { service, up: true, domains });
    assert_eq!(frame.body, Some(body));
}

#[test]
fn subprotocols_name_the_encodings() {
    for encoding in ENCODINGS {
        let name = encoding.subprotocol();
        assert_eq!(Encoding::from_subprotocol(name), Some(encoding));
    }
    assert_eq!(Encoding::from_subprotocol("chat"), None);
}

#[test]
fn bad_frames_are_refused_with_a_reason() {
    fn check(encoding: Encoding, payload: PayloadRef<'_>, expected: &str) {
        let error = encoding.decode_client(payload).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(expected), "{text}");
    }
    let proto = Encoding::Proto;
    let json = Encoding::Json;

    check(proto, "{}".into(), "the subprotocol scenehost.v1.proto takes binary messages only");
    check(json, b"".as_slice().into(), "the subprotocol scenehost.v1.json takes text messages only");
    let large = vec![0; FRAME_BYTES_MAX + 1];
    check(proto, large.as_slice().into(), "a frame has at most 65536 bytes, this one has 65537");
    check(proto, b"\x4a\x7f".as_slice().into(), "the message is not a frame in protobuf: ");
    check(json, "{".into(), "the message is not a frame in JSON: ");
    check(json, r#"{"ping":{"payload":-1}}"#.into(), "the message is not a frame in JSON: ");
    check(proto, b"\x08\x01".as_slice().into(), "the frame has no body");
    check(json, r#"{"request":1,"reqDance":{}}"#.into(), "the frame has no body");
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!(r#"{{"x":{}"#, "[".repeat(60_000));
    let error = Encoding::Json.decode_client(text.as_str()).unwrap_err();
    assert!(matches!(error, DecodeError::Json(_)), "{error}");
}
