//! The engine of rules. It is apart from that of scenes because counting fuel is compiled into the code, and scenes
//! would pay for it.
//!
//! Invariant: a [`Component`] can be instantiated, and what a call of it answers does not depend on this machine.

use std::{fmt, sync::Arc};

use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, component::Linker};

use crate::{
    bindings::CONTRACT_VERSION,
    engine::{self, Error},
    upload::{Checked, DIAGNOSTICS, Digest, Exports, LOGIC, RULE, Rejected, Upload},
};

use super::{
    Class, Description, Player, Proposal, RULE_VERSION, Ticket, Verdict,
    bindings::WorldPre,
    state::{self, State},
};

/// The stack of a call.
const STACK_BYTES_MAX: usize = 256 << 10;
const TABLE_ELEMENTS_MAX: usize = 10_000;
/// So much of a memory is cleared after a call by writing over it, which is cheaper than giving its pages back: most
/// calls touch no more.
const MEMORY_BYTES_KEPT: usize = 256 << 10;
const TABLE_BYTES_KEPT: usize = 64 << 10;

/// What the pool offers to every call. [`super::Limits`] are per rule and never exceed these.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many calls there can be at once, each on a thread of its own.
    pub instances_max: u32,
    /// The ceiling of one call's linear memory, in bytes.
    pub memory_bytes_max: usize,
    /// The size of an upload, in bytes.
    pub component_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { instances_max: 64, memory_bytes_max: 16 << 20, component_bytes_max: 8 << 20 }
    }
}

/// Compiles rules and holds what their calls share. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub wasm: wasmtime::Engine,
    pub linker: Linker<State>,
    pub options: Options,
}

impl Engine {
    /// Reserves the pool. It starts no thread.
    ///
    /// # Errors
    ///
    /// When an option is out of range or the system grants no pool.
    pub fn new(options: Options) -> Result<Engine, Error> {
        if options.instances_max == 0 {
            return Err(Error::Option { option: "instances_max", problem: "must be at least 1" });
        }
        engine::check_sizes(options.memory_bytes_max, options.component_bytes_max)?;
        let mut config = engine::deterministic();
        config
            .consume_fuel(true)
            .max_wasm_stack(STACK_BYTES_MAX)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&options)));
        let wasm = wasmtime::Engine::new(&config)
            .map_err(|error| Error::Pool { scenes: options.instances_max, reason: format!("{error:#}") })?;
        let mut linker = Linker::new(&wasm);
        linker
            .instance(&format!("{DIAGNOSTICS}@{CONTRACT_VERSION}"))
            .and_then(|mut diagnostics| diagnostics.func_wrap("log", state::log))
            .expect("one interface is added to an empty linker");
        Ok(Engine { shared: Arc::new(Shared { wasm, linker, options }) })
    }

    /// Checks a component and compiles it. This takes milliseconds to seconds and several cores: call it where
    /// blocking is allowed, and a bounded number at once.
    ///
    /// # Errors
    ///
    /// What is wrong with the component and what its designer can do.
    pub fn compile(&self, bytes: &[u8]) -> Result<Component, Rejected> {
        let (shared, options) = (&self.shared, &self.shared.options);
        let upload =
            Upload { bytes, size_bytes_max: options.component_bytes_max, memory_bytes_max: options.memory_bytes_max };
        let checked = upload.check(&shared.linker, check_rule, WorldPre::new)?;
        Ok(Component { inner: Arc::new(Inner { shared: Arc::clone(shared), checked }) })
    }
}

fn pool(options: &Options) -> PoolingAllocationConfig {
    let mut pool = engine::pool(options.instances_max, options.memory_bytes_max, TABLE_ELEMENTS_MAX);
    pool.linear_memory_keep_resident(MEMORY_BYTES_KEPT)
        .table_keep_resident(TABLE_BYTES_KEPT)
        .pagemap_scan(Enabled::Auto);
    pool
}

fn check_rule(exports: &Exports<'_>) -> Result<(), Rejected> {
    if exports.has(LOGIC) {
        return Err(Rejected::IsScene);
    }
    let rule = exports.functions(RULE, RULE_VERSION)?.ok_or(Rejected::NoRule)?;
    rule.check::<(&str,), (Result<Description, String>,)>("describe")?;
    rule.check::<(&str, &[String], &Ticket), (Result<Class, String>,)>("classify")?;
    rule.check::<(&str, &[String], &[Ticket], &[Proposal]), (Vec<Verdict>,)>("judge")?;
    rule.check::<(&str, &[String], &[Vec<Player>]), (Vec<i32>,)>("score-teams")
}

/// A checked and compiled rule. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    checked: Checked<WorldPre<State>>,
}

impl Component {
    pub fn digest(&self) -> Digest {
        self.inner.checked.digest
    }

    /// The size of the uploaded component.
    pub fn size_bytes(&self) -> usize {
        self.inner.checked.size_bytes
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(super) fn pre(&self) -> &WorldPre<State> {
        &self.inner.checked.pre
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("digest", &self.inner.checked.digest)
            .field("size_bytes", &self.inner.checked.size_bytes)
            .finish()
    }
}
