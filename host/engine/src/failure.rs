//! How a scene fails. The texts of `Display` are for the game's designer, [`Failure::public_text`] is for its players.

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::instance::HostState;

/// Frames of a trap that are worth a designer's reading.
const FRAMES_MAX: usize = 12;
/// Where Rust's panics pass through; their frames say nothing of the game.
const PANIC_PATHS: [&str; 3] = ["__rustc", "std::", "core::panicking"];
/// A game's own text, in bytes; a longer one is cut.
const TEXT_BYTES_MAX: usize = 1_024;

/// Why a scene ended unintended. After any failure its instance is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The code did what WebAssembly forbids, or panicked.
    #[error("the game's code trapped: {}{}", panic.as_ref().unwrap_or(reason), in_frames(frames))]
    Trap {
        /// The kind of trap.
        reason: String,
        /// The last line logged as an error in this call: a panic's message.
        panic: Option<String>,
        /// Names of functions, innermost first.
        frames: Vec<String>,
    },
    /// A call took too long, and had the processor for at least half of that.
    #[error("a call took more than its {limit_ms} ms: look for an endless loop, or spread the work over several steps")]
    Deadline { limit_ms: u32 },
    /// The code stopped after the host had refused it more memory.
    #[error(
        "the scene needs more than its {limit_bytes} bytes of memory: free what is no longer used, or raise the fleet's \
         limit"
    )]
    OutOfMemory { limit_bytes: usize },
    /// Calls were nested too deep.
    #[error("the stack overflowed{}: look for endless recursion", in_frames(frames))]
    StackOverflow {
        /// Names of functions, innermost first.
        frames: Vec<String>,
    },
    /// All that one call returned.
    #[error("a call returned more than {limit_bytes} bytes: send less in one step")]
    OutputTooLarge { limit_bytes: usize },
    /// The body of one message.
    #[error("a message of {size_bytes} bytes was sent and the limit is {limit_bytes}")]
    MessageTooLarge { size_bytes: usize, limit_bytes: usize },
    #[error("{count} messages were sent in one step and the limit is {limit}")]
    TooManyMessages { count: usize, limit: u32 },
    #[error("{count} commands were returned by one step and the limit is {limit}")]
    TooManyCommands { count: usize, limit: u32 },
    #[error("more than {limit} timers were set at the same time")]
    TooManyTimers { limit: u32 },
    /// A command that the contract does not allow.
    #[error("command {index} of a step is not allowed: {problem}")]
    BadCommand {
        /// Its place in the step's list, from 0.
        index: usize,
        problem: &'static str,
    },
    /// Values that are not of the contract's types: text that is not UTF-8, lists outside of memory.
    #[error("a call returned something malformed: {reason}")]
    BadOutput { reason: String },
    #[error("the snapshot is larger than {limit_bytes} bytes: keep less state")]
    SnapshotTooLarge { limit_bytes: usize },
    /// The game itself said that it cannot go on.
    #[error("the game ended with an error: {0}")]
    GameError(String),
    /// All slots of the engine are taken.
    #[error("all {scenes_max} slots for scenes are taken")]
    PoolFull { scenes_max: u32 },
    /// The system refused something that the host needs for a new scene.
    #[error("the host could not make the scene: {reason}")]
    Host { reason: String },
}

impl Failure {
    /// A short name for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Trap { .. } => "trap",
            Failure::Deadline { .. } => "deadline",
            Failure::OutOfMemory { .. } => "out_of_memory",
            Failure::StackOverflow { .. } => "stack_overflow",
            Failure::OutputTooLarge { .. } => "output_too_large",
            Failure::MessageTooLarge { .. } => "message_too_large",
            Failure::TooManyMessages { .. } => "too_many_messages",
            Failure::TooManyCommands { .. } => "too_many_commands",
            Failure::TooManyTimers { .. } => "too_many_timers",
            Failure::BadCommand { .. } => "bad_command",
            Failure::BadOutput { .. } => "bad_output",
            Failure::SnapshotTooLarge { .. } => "snapshot_too_large",
            Failure::GameError(_) => "game_error",
            Failure::PoolFull { .. } => "pool_full",
            Failure::Host { .. } => "host",
        }
    }

    /// Whether the game is to blame, and not the host or the room on it.
    pub fn is_the_games(&self) -> bool {
        !matches!(self, Failure::PoolFull { .. } | Failure::Host { .. })
    }

    /// What players are told: nothing of the game's inside.
    pub fn public_text(&self) -> &'static str {
        match self {
            Failure::Deadline { .. } => "The game stopped responding and was ended.",
            Failure::OutOfMemory { .. } => "The game ran out of memory and was ended.",
            Failure::PoolFull { .. } | Failure::Host { .. } => "The server has no room for this game right now.",
            Failure::Trap { .. }
            | Failure::StackOverflow { .. }
            | Failure::OutputTooLarge { .. }
            | Failure::MessageTooLarge { .. }
            | Failure::TooManyMessages { .. }
            | Failure::TooManyCommands { .. }
            | Failure::TooManyTimers { .. }
            | Failure::BadCommand { .. }
            | Failure::BadOutput { .. }
            | Failure::SnapshotTooLarge { .. }
            | Failure::GameError(_) => "The game met an error and was ended.",
        }
    }

    pub(crate) fn game_error(text: String) -> Failure {
        Failure::GameError(cut(text))
    }

    /// What an error of wasmtime means, for a call that could return `output_bytes_max`.
    pub(crate) fn of_call(error: &wasmtime::Error, state: &mut HostState, output_bytes_max: usize) -> Failure {
        let frames = || frames(error);
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Failure::Deadline { limit_ms: state.limit_ms() },
            // An allocator that is refused memory aborts, which is a trap like any other.
            Some(_) if state.memory_refused() => Failure::OutOfMemory { limit_bytes: state.memory_bytes_max() },
            Some(Trap::StackOverflow) => Failure::StackOverflow { frames: frames() },
            // A language's own stack lies in linear memory, and ends where that does.
            Some(Trap::MemoryOutOfBounds) if is_recursion(&frames()) => Failure::StackOverflow { frames: frames() },
            Some(trap) => Failure::Trap { reason: trap.to_string(), panic: state.take_last_error(), frames: frames() },
            None if is_out_of_hostcall_fuel(error) => Failure::OutputTooLarge { limit_bytes: output_bytes_max },
            None => Failure::BadOutput { reason: cut(error.root_cause().to_string()) },
        }
    }

    /// The same for an instantiation.
    pub(crate) fn of_instantiation(error: &wasmtime::Error, state: &mut HostState) -> Failure {
        if error.is::<PoolConcurrencyLimitError>() {
            return Failure::PoolFull { scenes_max: state.scenes_max() };
        }
        if error.is::<Trap>() {
            return Failure::of_call(error, state, 0);
        }
        if state.memory_refused() {
            return Failure::OutOfMemory { limit_bytes: state.memory_bytes_max() };
        }
        Failure::Host { reason: cut(format!("{error:#}")) }
    }
}

/// The runtime gives this error no public type, only its text.
pub(crate) fn is_out_of_hostcall_fuel(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls")
}

pub(crate) fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let names = backtrace.frames().iter().filter_map(|frame| frame.func_name());
    names
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        .skip_while(|name| PANIC_PATHS.iter().any(|path| name.contains(path)))
        .take(FRAMES_MAX)
        .map(cut)
        .collect()
}

/// Whether the innermost calls are those of a few functions, again and again.
pub(crate) fn is_recursion(frames: &[String]) -> bool {
    let repeated = frames.iter().enumerate().filter(|(index, name)| frames[..*index].contains(name)).count();
    frames.len() == FRAMES_MAX && repeated >= FRAMES_MAX / 2
}

pub(crate) fn in_frames(frames: &[String]) -> String {
    if frames.is_empty() { String::new() } else { format!(" (in {})", frames.join(" < ")) }
}

pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
