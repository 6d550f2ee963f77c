//! WebSocket frames, as little of it as a load generator and a relay need: whole messages, both
//! directions, in buffers of the caller.
//!
//! Invariant: nothing is copied but by the caller.

use anyhow::{Result, bail};

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// No frame under this load comes near it.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// A frame's place in the buffer that it was found in.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    /// Where the payload begins and where the next frame does.
    pub payload_start: usize,
    pub end: usize,
}

/// Writes a frame as a client. The mask is zero: a valid one, and masking costs the client nothing.
pub fn put_client_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    put_header(out, opcode, payload.len(), MASKED);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// Writes a frame as a server.
pub fn put_server_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    put_header(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

fn put_header(out: &mut Vec<u8>, opcode: u8, payload_bytes: usize, masked: u8) {
    out.push(FIN | opcode);
    match payload_bytes {
        0..=125 => out.push(masked | payload_bytes as u8),
        126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
}

/// Finds the frame that begins at `start`, or `None` if more bytes must come first. A masked
/// payload is unmasked in place.
pub fn take_frame(bytes: &mut [u8], start: usize) -> Result<Option<Frame>> {
    let rest = &bytes[start..];
    let [first, second, ..] = *rest else { return Ok(None) };
    if first & 0xf0 != FIN {
        bail!("the frame begins with {first:#x}: part of a message, or no WebSocket");
    }
    let (payload_bytes, header_bytes) = match second & !MASKED {
        126 => match rest.get(2..4) {
            Some(length) => (u16::from_be_bytes(length.try_into()?) as usize, 4),
            None => return Ok(None),
        },
        127 => match rest.get(2..10) {
            Some(length) => (u64::from_be_bytes(length.try_into()?) as usize, 10),
            None => return Ok(None),
        },
        short => (short as usize, 2),
    };
    if payload_bytes > PAYLOAD_BYTES_MAX {
        bail!("a frame of {payload_bytes} bytes came, and {PAYLOAD_BYTES_MAX} are expected at most");
    }
    let masked = second & MASKED != 0;
    let mask_start = start + header_bytes;
    let payload_start = mask_start + if masked { 4 } else { 0 };
    let end = payload_start + payload_bytes;
    if bytes.len() < end {
        return Ok(None);
    }
    if masked {
        let (head, payload) = bytes[..end].split_at_mut(payload_start);
        unmask(payload, head[mask_start..].try_into()?);
    }
    Ok(Some(Frame { opcode: first & 0x0f, payload_start, end }))
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for chunk in payload.chunks_mut(4) {
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_whole() {
        for payload_bytes in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; payload_bytes];
            let mut bytes = vec![0xff];
            put_client_frame(&mut bytes, BINARY, &payload);
            let client_end = bytes.len();
            put_server_frame(&mut bytes, TEXT, &payload);

            let frame = take_frame(&mut bytes, 1).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.end), (BINARY, client_end));
            assert_eq!(&bytes[frame.payload_start..frame.end], payload);
            let frame = take_frame(&mut bytes, client_end).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.end), (TEXT, bytes.len()));

            for missing in 1..8.min(bytes.len() - client_end) {
                let len = bytes.len() - missing;
                assert_eq!(take_frame(&mut bytes[..len], client_end).unwrap(), None);
            }
        }
    }

    #[test]
    fn a_mask_is_taken_off() {
        let mut bytes = [0x82, 0x85, 1, 2, 3, 4, 1 ^ b'h', 2 ^ b'e', 3 ^ b'l', 4 ^ b'l', 1 ^ b'o'];
        let frame = take_frame(&mut bytes, 0).unwrap().unwrap();
        assert_eq!(&bytes[frame.payload_start..frame.end], b"hello");
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert!(take_frame(&mut b"HTTP/1.1".to_vec(), 0).is_err());
        assert!(take_frame(&mut [0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], 0).is_err());
    }
}
