//! Frames: what a peer sends over a WebSocket.
//!
//! What can be read can be written in both encodings and is then read as the same, and an event that
//! many connections share is the frame that each of them would get by itself.

use scenehost_protocol::v1::{ClientFrame, ServerFrame};
use scenehost_protocol::{
    DecodeError, Encoding, FRAME_BYTES_MAX, Payload, PayloadRef, SERVER_FRAME_BYTES_MAX, SharedEvent,
};

const ENCODINGS: [Encoding; 2] = [Encoding::Proto, Encoding::Json];

/// One WebSocket message, of either kind, from a client and from a server.
pub fn run(data: &[u8]) {
    let text = std::str::from_utf8(data).ok().map(PayloadRef::Text);
    for payload in [Some(PayloadRef::Binary(data)), text].into_iter().flatten() {
        for encoding in ENCODINGS {
            if let Ok(frame) = encoding.decode_client(payload) {
                client_survives(&frame);
            }
            if let Ok(frame) = encoding.decode_server(payload) {
                server_survives(&frame);
            }
        }
    }
}

fn client_survives(frame: &ClientFrame) {
    assert!(frame.body.is_some(), "a client's frame without a body is refused");
    for encoding in ENCODINGS {
        let payload = encoding.encode_client(frame);
        check_same(encoding.decode_client(&payload), frame, &payload, FRAME_BYTES_MAX);
    }
}

fn server_survives(frame: &ServerFrame) {
    for encoding in ENCODINGS.into_iter().filter(|encoding| can_be_written(frame, *encoding)) {
        let payload = encoding.encode_server(frame);
        check_same(encoding.decode_server(&payload), frame, &payload, SERVER_FRAME_BYTES_MAX);
        let Some(body) = frame.body.clone() else { continue };
        let event = SharedEvent::new(body);
        let payload = event.payload(encoding, frame.seq);
        assert_eq!(payload.as_bytes().len(), event.frame_bytes(encoding, frame.seq));
        let shared = ServerFrame { request: 0, ..frame.clone() };
        check_same(encoding.decode_server(&payload), &shared, &payload, SERVER_FRAME_BYTES_MAX);
    }
}

/// In JSON a number that the schema does not name, from a newer server, cannot be written; anything else can.
fn can_be_written(frame: &ServerFrame, encoding: Encoding) -> bool {
    match (encoding, serde_json::to_string(frame)) {
        (Encoding::Proto, _) | (Encoding::Json, Ok(_)) => true,
        (Encoding::Json, Err(error)) => {
            assert!(error.to_string().contains("Invalid variant"), "{error}");
            false
        }
    }
}

fn check_same<F: PartialEq + std::fmt::Debug>(
    read: Result<F, DecodeError>,
    written: &F,
    payload: &Payload,
    bytes_max: usize,
) {
    match read {
        Ok(read) => assert_eq!(&read, written),
        // The other encoding may need more room than the one in which it came.
        Err(DecodeError::TooLarge { bytes, .. }) => assert!(bytes > bytes_max && bytes == payload.as_bytes().len()),
        Err(error) => panic!("what was written cannot be read: {error}"),
    }
}
