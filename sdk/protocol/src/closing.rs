//! How a connection that a server ends is closed.

use crate::v1::Code;

/// The close code of the WebSocket after a `syn_closing` with this code.
pub fn close_code(code: Code) -> u16 {
    match code {
        Code::Malformed => 4400,
        Code::Unauthenticated => 4401,
        Code::SessionEnded | Code::Banned => 4403,
        Code::TimedOut => 4408,
        Code::TakenOver => 4409,
        Code::RateLimited | Code::Overloaded => 4429,
        Code::Stopping => 4503,
        _ => 4500,
    }
}
