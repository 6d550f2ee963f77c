//! What components write for their designers.
//!
//! Invariant: what is kept is within the limit; lines past it are counted and dropped.

use crate::bindings::Level;

/// What a line costs beyond its text, so that empty lines are bounded too.
const LOG_LINE_OVERHEAD_BYTES: usize = 16;
/// The last error line is kept past the log's limit, cut to this.
const LAST_ERROR_BYTES_MAX: usize = 1_024;

/// What a component logged since it was last asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    pub lines: Vec<LogLine>,
    /// Lines that did not fit the limit.
    pub dropped: u32,
}

impl Log {
    /// The bytes of its lines' texts.
    pub fn text_bytes(&self) -> u64 {
        self.lines.iter().map(|line| line.text.len() as u64).sum()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    pub level: Level,
    pub text: String,
}

/// Takes lines until they are asked for.
pub struct Logbook {
    log: Log,
    bytes_max: usize,
    bytes_left: usize,
    last_error: Option<String>,
}

impl Logbook {
    pub fn new(bytes_max: usize) -> Logbook {
        Logbook { log: Log::default(), bytes_max, bytes_left: bytes_max, last_error: None }
    }

    /// A call begins: errors of the one before explain nothing any more.
    pub fn begin(&mut self) {
        self.last_error = None;
    }

    pub fn write(&mut self, level: Level, text: String) {
        if level == Level::Error {
            let end = text.floor_char_boundary(LAST_ERROR_BYTES_MAX);
            self.last_error = Some(text[..end].to_owned());
        }
        let cost = text.len() + LOG_LINE_OVERHEAD_BYTES;
        if let Some(left) = self.bytes_left.checked_sub(cost) {
            self.bytes_left = left;
            self.log.lines.push(LogLine { level, text });
        } else {
            self.log.dropped = self.log.dropped.saturating_add(1);
        }
    }

    /// What was written since the last time; `None` if nothing. Renews the limit.
    pub fn take(&mut self) -> Option<Log> {
        if self.log.lines.is_empty() && self.log.dropped == 0 {
            return None;
        }
        self.bytes_left = self.bytes_max;
        Some(std::mem::take(&mut self.log))
    }

    /// The last line of this call that was an error, such as a panic's message.
    pub fn take_last_error(&mut self) -> Option<String> {
        self.last_error.take()
    }
}
