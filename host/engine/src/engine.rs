//! The engine: one configuration of wasmtime for all scenes of this process, its pool of slots and its epoch ticker.
//!
//! Invariant: the settings that decide what a component computes (canonical NaNs, no relaxed SIMD, no threads, no
//! clocks) are fixed here and not options, so that a scene computes the same on every host.

use std::sync::Arc;

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{HasSelf, Linker},
};

use crate::{
    bindings::diagnostics,
    instance::HostState,
    plugin::{self, Plugin},
    ticker::Ticker,
    upload::Rejected,
};

/// Below this an engine is of no use, so the search for a pool that the system grants ends here.
const SCENES_MIN: u32 = 16;
/// A component that imports `diagnostics` is three core instances with two tables: its own and the encoder's shims.
/// The rest is room for components that were composed of several.
const CORE_INSTANCES_MAX: u32 = 8;
const TABLES_MAX: u32 = 4;
/// Measured: below the stack, the initial image, the rest of the memory, and the guard.
const MAPPINGS_PER_SCENE: u32 = 4;
/// The pool's tables, threads' stacks, libraries, the store.
const MAPPINGS_OF_HOST: u32 = 4_096;
/// The runtime's own data for one instance, 16 bytes for each of a component's functions that may be called indirectly: the
/// JavaScript engine in a scene in TypeScript has 12,500 of them. A component that declares tens of thousands of globals
/// would pass it.
const INSTANCE_BYTES_MAX: usize = 256 << 10;
/// How much of what a scene has changed stays in its slot of the pool when it is gone, put back to what it was by a copy:
/// most games change less. Giving pages back interrupts the other cores, and each costs a fault when it is used again:
/// measured, both together are half of what it takes a thread to make a small scene and to end it. What stays is the
/// memory of a slot that is free, so a host keeps for the next scenes what it once had for so many at once.
const MEMORY_KEPT_BYTES: usize = 64 << 10;
/// The same for one function table.
const TABLE_KEPT_BYTES: usize = 16 << 10;
/// What the host itself needs of a thread's stack, below and above the component's frames.
const HOST_STACK_BYTES: usize = 768 << 10;

/// What the pool offers to every scene. [`crate::Limits`] are per scene and never exceed these.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many scenes can live at once. Each takes 4 GiB of address space and no memory until it lives. Where the
    /// system refuses so much, the engine starts with fewer and says so in the log.
    pub scenes_max: u32,
    /// The ceiling of one scene's linear memory, in bytes.
    pub memory_bytes_max: usize,
    /// The stack of a component's calls, in bytes.
    pub stack_bytes_max: usize,
    /// The size of an upload, in bytes. Scenes in TypeScript bring a JavaScript engine along, of 12 MB.
    pub component_bytes_max: usize,
    /// The elements of one function table, about the functions that a game calls indirectly.
    pub table_elements_max: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            scenes_max: 10_000,
            memory_bytes_max: 64 << 20,
            stack_bytes_max: 256 << 10,
            component_bytes_max: 16 << 20,
            table_elements_max: 10_000,
        }
    }
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option makes no sense.
    #[error("engine option {option}: {problem}")]
    Option { option: &'static str, problem: &'static str },
    /// The system did not grant even the smallest pool.
    #[error(
        "no room for a pool of {scenes} instances: {reason}; raise the limit of address space \
         (`ulimit -v unlimited`, or the container's setting)"
    )]
    Pool { scenes: u32, reason: String },
    /// The ticker's thread could not be started.
    #[error("cannot start the epoch ticker's thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Compiles plugins and holds what their scenes share. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub wasm: wasmtime::Engine,
    pub linker: Linker<HostState>,
    pub ticker: Ticker,
    pub options: Options,
}

impl Engine {
    /// Reserves the pool and starts the epoch ticker, which ends with the last engine, plugin and instance.
    ///
    /// # Errors
    ///
    /// When an option is out of range or the system grants no pool at all.
    pub fn new(options: Options) -> Result<Engine, Error> {
        check(&options)?;
        let (wasm, scenes_max) = probe(&options)?;
        let mut linker = Linker::new(&wasm);
        diagnostics::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)
            .expect("one interface is added to an empty linker");
        let ticker = Ticker::spawn(wasm.clone())?;
        Ok(Engine { shared: Arc::new(Shared { wasm, linker, ticker, options: Options { scenes_max, ..options } }) })
    }

    /// Checks a component and compiles it. This takes milliseconds to seconds and several cores: call it where
    /// blocking is allowed, and a bounded number at once.
    ///
    /// # Errors
    ///
    /// What is wrong with the component and what its designer can do.
    pub fn compile(&self, bytes: &[u8]) -> Result<Plugin, Rejected> {
        plugin::compile(&self.shared, bytes)
    }

    /// How many scenes can live at once; at most [`Options::scenes_max`].
    pub fn scenes_max(&self) -> u32 {
        self.shared.options.scenes_max
    }

    /// The least stack of a thread that steps scenes, in bytes. With less, a scene's deep recursion could end the
    /// process and not only the scene.
    pub fn thread_stack_bytes_min(&self) -> usize {
        self.shared.options.stack_bytes_max + HOST_STACK_BYTES
    }
}

fn check(options: &Options) -> Result<(), Error> {
    let refuse = |option, problem| Err(Error::Option { option, problem });
    if options.scenes_max == 0 {
        return refuse("scenes_max", "must be at least 1");
    }
    check_sizes(options.memory_bytes_max, options.component_bytes_max)?;
    if !(64 << 10..=16 << 20).contains(&options.stack_bytes_max) {
        return refuse("stack_bytes_max", "must be 64 KiB to 16 MiB");
    }
    if !(1..=1 << 20).contains(&options.table_elements_max) {
        return refuse("table_elements_max", "must be 1 to 1,048,576");
    }
    Ok(())
}

/// The options that all components' engines have.
pub(crate) fn check_sizes(memory_bytes_max: usize, component_bytes_max: usize) -> Result<(), Error> {
    if !(64 << 10..=4 << 30).contains(&memory_bytes_max) {
        return Err(Error::Option { option: "memory_bytes_max", problem: "must be 64 KiB to 4 GiB" });
    }
    if component_bytes_max == 0 {
        return Err(Error::Option { option: "component_bytes_max", problem: "must be at least 1" });
    }
    Ok(())
}

/// The largest pool that the system grants: halves the number of scenes until it does.
fn probe(options: &Options) -> Result<(wasmtime::Engine, u32), Error> {
    let mut scenes = options.scenes_max.min(scenes_mapped_max());
    loop {
        match wasmtime::Engine::new(&config(options, scenes)) {
            Ok(wasm) => {
                if scenes < options.scenes_max {
                    tracing::warn!(
                        wanted = options.scenes_max,
                        granted = scenes,
                        "the system has room for fewer scenes; address space and vm.max_map_count limit them"
                    );
                }
                return Ok((wasm, scenes));
            }
            Err(error) if scenes <= SCENES_MIN => {
                return Err(Error::Pool { scenes, reason: format!("{error:#}") });
            }
            Err(_) => scenes = (scenes / 2).max(SCENES_MIN),
        }
    }
}

/// How many live scenes the kernel's limit of mappings allows. Past it, memory could not even be given back.
fn scenes_mapped_max() -> u32 {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let mappings = limit.ok().and_then(|text| text.trim().parse::<u32>().ok());
    mappings.map_or(u32::MAX, |all| all.saturating_sub(MAPPINGS_OF_HOST) / MAPPINGS_PER_SCENE).max(SCENES_MIN)
}

fn config(options: &Options, scenes: u32) -> Config {
    let mut config = deterministic();
    config.epoch_interruption(true).max_wasm_stack(options.stack_bytes_max);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(scene_pool(options, scenes)));
    config
}

/// What all components have in common: the same inputs give the same outputs on any host.
pub(crate) fn deterministic() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .memory_init_cow(true)
        .generate_address_map(false)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .concurrency_support(false);
    config
}

fn scene_pool(options: &Options, scenes: u32) -> PoolingAllocationConfig {
    let mut pool = pool(scenes, options.memory_bytes_max, options.table_elements_max as usize);
    // Without it the pages that have changed cannot be told from those that all scenes share, and which would be copied.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.linear_memory_keep_resident(MEMORY_KEPT_BYTES)
            .table_keep_resident(TABLE_KEPT_BYTES)
            .pagemap_scan(Enabled::Yes);
    }
    pool
}

/// What the pools of all components have in common: room for so many instances, each within these sizes.
pub(crate) fn pool(instances: u32, memory_bytes_max: usize, table_elements_max: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_MAX))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES_MAX))
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(1)
        .max_tables_per_component(TABLES_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_memory_size(memory_bytes_max)
        .table_elements(table_elements_max);
    pool
}
