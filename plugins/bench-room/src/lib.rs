//! The room of the load benchmark: takes 24-byte messages, keeps a small state per player, and in
//! each tick sends to all what came since the last one, in one message. Nothing when nothing came.
//!
//! It teaches raw bytes: no JSON is read or written but for snapshots.

use scenehost_sdk::prelude::*;

/// A message: the sender's clock (`u64`), player (`u32`), sequence number (`u32`), all little
/// endian, and 8 bytes that are only carried.
pub const MESSAGE_BYTES: usize = 24;

/// What the room knows of a player.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Track {
    /// The sequence number of the last message.
    pub sequence: u32,
    /// How many messages came.
    pub count: u32,
    /// A position, moved by each message.
    pub position: [f32; 2],
}

/// The room.
#[derive(Default, Serialize, Deserialize)]
pub struct BenchRoom {
    tracks: Vec<Track>,
    /// The messages since the last broadcast; always empty between steps.
    #[serde(skip)]
    pending: Vec<u8>,
}

impl BenchRoom {
    /// What is known of the players, by seat.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }
}

impl Scene for BenchRoom {
    type Message = ();

    fn start(init: &Init, _: &mut Random) -> Result<Self, Fault> {
        let tracks = vec![Track::default(); init.players.len()];
        let pending = Vec::new();
        Ok(BenchRoom { tracks, pending })
    }

    fn joined(&mut self, _: &mut Context, player: &Player) {
        let seats = player.seat as usize + 1;
        if self.tracks.len() < seats {
            self.tracks.resize(seats, Track::default());
        }
    }

    fn received(&mut self, ctx: &mut Context, from: Seat, body: Vec<u8>) {
        let Ok(message) = <&[u8; MESSAGE_BYTES]>::try_from(&body[..]) else {
            return ctx.count_unreadable(from, &"a message has 24 bytes");
        };
        let track = &mut self.tracks[from as usize];
        track.sequence = u32::from_le_bytes([message[12], message[13], message[14], message[15]]);
        track.count = track.count.wrapping_add(1);
        let turn = track.sequence as f32 * 0.1;
        track.position[0] += 1.0 - (turn % 2.0);
        track.position[1] += turn % 2.0;
        self.pending.extend_from_slice(message);
    }

    fn tick(&mut self, ctx: &mut Context) {
        if !self.pending.is_empty() {
            ctx.send_bytes(Target::All, std::mem::take(&mut self.pending));
        }
    }
}

export_scene!(BenchRoom);
