//! Frames for the users who are connected here.
//!
//! Invariant: nobody waits for a connection. One that is too slow for what must not be missed is closed; what may be left
//! out is, where much waits already.

use std::sync::Arc;

use scenehost_core::message::{Notice, ToUser, ToUsers};
use scenehost_core::{ConnectionId, Refusal, ServiceName};
use tokio::sync::mpsc;

use super::{Bus, Frame, USER_FRAMES_MAX, lock};
use crate::edge::SharedFrame;

/// With so many frames waiting, what is for many is left out.
const USER_FRAMES_BUSY: usize = USER_FRAMES_MAX / 2;

impl Bus {
    /// Opens the way for frames to a lobby connection.
    pub fn open_user(&self, connection: ConnectionId) -> mpsc::Receiver<Frame> {
        let (sender, frames) = mpsc::channel(USER_FRAMES_MAX);
        lock(&self.senders.users).insert(connection, sender);
        frames
    }

    pub fn close_user(&self, connection: ConnectionId) {
        lock(&self.senders.users).remove(&connection);
    }

    /// Ends all users' connections at this node: the Lobby that knew them is no more.
    pub fn cut_users_off(&self) {
        for (connection, frames) in lock(&self.senders.users).drain() {
            let notice = Notice::SynClosing(Refusal::ServiceDown(ServiceName::Lobby));
            // One with no room hears nothing; its queue ends with this, and the connection with that.
            let _ = frames.try_send(Frame::One(ToUser { connection, seq: 0, request: 0, notice }));
        }
    }

    pub(super) fn to_user(&self, to_user: ToUser) {
        let mut users = lock(&self.senders.users);
        let connection = to_user.connection;
        let Some(sender) = users.get(&connection) else { return }; // Gone meanwhile.
        if sender.try_send(Frame::One(to_user)).is_err() {
            // Its end of the queue closes with this, and the connection with it.
            users.remove(&connection);
            metrics::counter!("scenehost_slow_connections_total", "kind" => "lobby").increment(1);
        }
    }

    /// The same frame to many; left out where much waits already, for it is nothing that must not be missed.
    pub(super) fn to_users(&self, ToUsers { connections, notice }: ToUsers) {
        let frame = Arc::new(SharedFrame::new(notice));
        let mut left_out = 0;
        let users = lock(&self.senders.users);
        for connection in connections {
            let Some(sender) = users.get(&connection) else { continue }; // Gone meanwhile.
            left_out += u64::from(!offer(sender, &frame));
        }
        drop(users);
        if left_out > 0 {
            metrics::counter!("scenehost_left_out_frames_total").increment(left_out);
        }
    }
}

/// Whether a connection takes a frame that may be left out: it has to leave room for what may not.
fn offer(sender: &mpsc::Sender<Frame>, frame: &Arc<SharedFrame>) -> bool {
    sender.capacity() > USER_FRAMES_BUSY && sender.try_send(Frame::Shared(Arc::clone(frame))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_left_out_leaves_room_for_what_may_not() {
        let (sender, mut frames) = mpsc::channel(USER_FRAMES_MAX);
        let shared = Arc::new(SharedFrame::new(Notice::SynService(ServiceName::Db, true)));
        let taken = (0..2 * USER_FRAMES_MAX).filter(|_| offer(&sender, &shared)).count();
        assert_eq!(taken, USER_FRAMES_MAX - USER_FRAMES_BUSY);
        let notice = Notice::SynService(ServiceName::Db, true);
        let own = ToUser { connection: ConnectionId(1), seq: 1, request: 0, notice };
        assert!((0..USER_FRAMES_BUSY).all(|_| sender.try_send(Frame::One(own.clone())).is_ok()));
        frames.try_recv().expect("it is read");
        assert!(!offer(&sender, &shared), "still busy");
    }
}
