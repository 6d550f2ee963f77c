//! What the load benchmark relies on.

use bench_room::{BenchRoom, MESSAGE_BYTES};
use scenehost_sdk::Init;
use scenehost_sdk::testing::{SceneTest, players};

fn message(player: u32, sequence: u32) -> [u8; MESSAGE_BYTES] {
    let mut message = [7; MESSAGE_BYTES];
    message[8..12].copy_from_slice(&player.to_le_bytes());
    message[12..16].copy_from_slice(&sequence.to_le_bytes());
    message
}

fn room() -> SceneTest<BenchRoom> {
    let mut room = SceneTest::start(Init { tick_rate_hz: 20, ..players(4) });
    (0..4).for_each(|seat| room.join(seat));
    room.ticks(1);
    room
}

#[test]
fn a_tick_sends_what_came_since_the_last_one_to_all() {
    let mut room = room();
    room.send_bytes(2, message(2, 41));
    room.send_bytes(0, message(0, 9));
    room.ticks(1);
    let expected = [message(2, 41), message(0, 9)].concat();
    for seat in 0..4 {
        assert_eq!(room.received_bytes(seat), std::slice::from_ref(&expected));
    }
    assert_eq!(room.scene().tracks()[2].sequence, 41);
    room.ticks(5);
    assert!(room.received_bytes(0).is_empty(), "nothing came, nothing is sent");
    room.assert_replays();
}

#[test]
fn a_message_of_another_length_is_passed_over() {
    let mut room = room();
    room.send_bytes(1, [1; 23]);
    room.send_bytes(1, []);
    room.ticks(1);
    assert!(room.received_bytes(1).is_empty());
    assert_eq!(room.scene().tracks()[1].count, 0);
}
