//! How a call of a rule fails. The texts are for the rule's designer.

use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::failure::{cut, frames, in_frames, is_out_of_hostcall_fuel, is_recursion};

use super::{Limits, state::State};

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The code did what WebAssembly forbids, or panicked.
    #[error("the rule's code trapped: {}{}", panic.as_ref().unwrap_or(reason), in_frames(frames))]
    Trap {
        /// The kind of trap.
        reason: String,
        /// The last line logged as an error in this call: a panic's message.
        panic: Option<String>,
        /// Names of functions, innermost first.
        frames: Vec<String>,
    },
    /// The call did more than its fuel allows.
    #[error("a call used up its {fuel} of fuel: look for an endless loop, do less, or raise the rule's limit")]
    OutOfFuel { fuel: u64 },
    /// The code stopped after the host had refused it more memory.
    #[error("a call needs more than its {limit_bytes} bytes of memory: keep less, or raise the rule's limit")]
    OutOfMemory { limit_bytes: usize },
    /// Calls were nested too deep.
    #[error("the stack overflowed{}: look for endless recursion", in_frames(frames))]
    StackOverflow {
        /// Names of functions, innermost first.
        frames: Vec<String>,
    },
    /// The answer, or a line of the log, has too many bytes.
    #[error("a call gave more than {limit_bytes} bytes: answer in fewer and shorter texts")]
    AnswerTooLarge { limit_bytes: usize },
    /// Values that are not of the contract's types: text that is not UTF-8, lists outside of memory.
    #[error("a call answered something malformed: {reason}")]
    BadAnswer { reason: String },
    /// All instances are in use.
    #[error("all {instances_max} instances for rules are in use")]
    Busy { instances_max: u32 },
    /// The system refused something that the host needs for a call.
    #[error("the host could not call the rule: {reason}")]
    Host { reason: String },
}

impl Fault {
    /// What an error of wasmtime in a call means.
    pub(super) fn of_call(error: &wasmtime::Error, state: &mut State, limits: &Limits) -> Fault {
        let frames = || frames(error);
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Fault::OutOfFuel { fuel: limits.fuel },
            // An allocator that is refused memory aborts, which is a trap like any other.
            Some(_) if state.memory_refused() => Fault::OutOfMemory { limit_bytes: limits.memory_bytes_max },
            Some(Trap::StackOverflow) => Fault::StackOverflow { frames: frames() },
            // A language's own stack lies in linear memory, and ends where that does.
            Some(Trap::MemoryOutOfBounds) if is_recursion(&frames()) => Fault::StackOverflow { frames: frames() },
            Some(trap) => {
                Fault::Trap { reason: trap.to_string(), panic: state.log.take_last_error(), frames: frames() }
            }
            None if is_out_of_hostcall_fuel(error) => Fault::AnswerTooLarge { limit_bytes: limits.answer_bytes_max },
            None => Fault::BadAnswer { reason: cut(error.root_cause().to_string()) },
        }
    }

    /// The same for the instantiation before it.
    pub(super) fn of_instantiation(
        error: &wasmtime::Error,
        state: &mut State,
        limits: &Limits,
        instances_max: u32,
    ) -> Fault {
        if error.is::<PoolConcurrencyLimitError>() {
            return Fault::Busy { instances_max };
        }
        if error.is::<Trap>() {
            return Fault::of_call(error, state, limits);
        }
        if state.memory_refused() {
            return Fault::OutOfMemory { limit_bytes: limits.memory_bytes_max };
        }
        Fault::Host { reason: cut(format!("{error:#}")) }
    }
}
