//! One live scene: a store with one instance of a plugin, and the contract's functions under the scene's limits.
//!
//! Invariant: every call into the component has a deadline, a memory cap and a cap on what the host allocates for its
//! result. After an `Err` the component is never entered again (wasmtime sees to that after a trap; the owner drops the
//! instance after any other failure).

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::{
    bindings::{Command, Event, Guest, Init, Level, Moment, Player, diagnostics},
    commands,
    deadline::Deadline,
    failure::{self, Failure},
    limits::Limits,
    log::{Log, Logbook},
    plugin::Plugin,
    prefetch::prefetch,
};

/// What wasmtime keeps in a store in front of its user's data and needs in every call: about 1 kB.
const STORE_HEAD_BYTES: usize = 1_024;
/// The runtime's data of the instance, which an allocator usually puts right behind the store, as it is made next.
/// Where it does not, asking for this much was in vain and costs little.
const STORE_NEIGHBOURS_BYTES: usize = 3 << 10;

/// One live scene without a schedule. Drop it after any `Err(Failure)`.
pub struct Instance {
    store: Store<HostState>,
    logic: Guest,
    limits: Limits,
}

impl Instance {
    /// Takes a slot of the pool and instantiates the plugin in it.
    ///
    /// # Errors
    ///
    /// When no slot is free, or the plugin fails while it starts.
    pub fn new(plugin: &Plugin, limits: Limits) -> Result<Instance, Failure> {
        let shared = plugin.shared();
        let limits =
            Limits { memory_bytes_max: limits.memory_bytes_max.min(shared.options.memory_bytes_max), ..limits };
        let mut store = Store::new(&shared.wasm, HostState::new(plugin, &limits));
        store.limiter(|state| state);
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().at_deadline()));
        store.set_hostcall_fuel(commands::hostcall_fuel(&limits));
        begin(&mut store, limits.start_deadline_ms());
        match plugin.pre().instantiate(&mut store) {
            Ok(world) => Ok(Instance { logic: world.scenehost_scene_logic().clone(), store, limits }),
            Err(error) => Err(Failure::of_instantiation(&error, store.data_mut())),
        }
    }

    /// Whether it is of this plugin and was made with these limits.
    pub fn is_of(&self, plugin: &Plugin, limits: &Limits) -> bool {
        let memory_bytes_max = limits.memory_bytes_max.min(plugin.shared().options.memory_bytes_max);
        self.store.data().plugin.digest() == plugin.digest() && self.limits == Limits { memory_bytes_max, ..*limits }
    }

    /// Begins the scene, or the next session in it. Called first, unless [`Instance::load`] is.
    ///
    /// # Errors
    ///
    /// When the game refuses, traps or passes a limit.
    pub fn start(&mut self, init: &Init) -> Result<(), Failure> {
        begin(&mut self.store, self.limits.start_deadline_ms());
        let result = self.logic.call_start(&mut self.store, init);
        self.end(result)?.map_err(Failure::game_error)
    }

    /// Begins the scene from a snapshot.
    ///
    /// # Errors
    ///
    /// When the game refuses, traps or passes a limit.
    pub fn load(&mut self, init: &Init, snapshot: &[u8]) -> Result<(), Failure> {
        begin(&mut self.store, self.limits.start_deadline_ms());
        let result = self.logic.call_load(&mut self.store, init, snapshot);
        self.end(result)?.map_err(Failure::game_error)
    }

    /// Asks the game whether a player may enter. The inner `Err` is its refusal, for the player to read.
    ///
    /// # Errors
    ///
    /// When the game traps or passes a limit.
    pub fn admit(&mut self, player: &Player) -> Result<Result<(), String>, Failure> {
        begin(&mut self.store, self.limits.step_deadline_ms());
        let result = self.logic.call_admit(&mut self.store, player);
        self.end(result)
    }

    /// One step. The commands are within the limits and as the contract allows.
    ///
    /// # Errors
    ///
    /// When the game says that it cannot go on, traps or passes a limit.
    pub fn step(&mut self, at: Moment, events: &[Event]) -> Result<Vec<Command>, Failure> {
        begin(&mut self.store, self.limits.step_deadline_ms());
        let result = self.logic.call_step(&mut self.store, at, events);
        let commands = self.end(result)?.map_err(Failure::game_error)?;
        commands::check(&commands, &self.limits)?;
        Ok(commands)
    }

    /// The whole state as bytes. The inner `Err` is the game's own text: it cannot be saved, and goes on.
    ///
    /// # Errors
    ///
    /// When the game traps or passes a limit.
    pub fn save(&mut self) -> Result<Result<Vec<u8>, String>, Failure> {
        let limit_bytes = self.limits.snapshot_bytes_max;
        begin(&mut self.store, self.limits.start_deadline_ms());
        self.store.set_hostcall_fuel(limit_bytes);
        let result = self.logic.call_save(&mut self.store);
        self.store.set_hostcall_fuel(commands::hostcall_fuel(&self.limits));
        match self.end(result) {
            Err(Failure::OutputTooLarge { .. }) => Err(Failure::SnapshotTooLarge { limit_bytes }),
            Err(failure) => Err(failure),
            Ok(snapshot) => Ok(snapshot.map_err(failure::cut)),
        }
    }

    /// What it is an instance of.
    pub fn plugin(&self) -> &Plugin {
        &self.store.data().plugin
    }

    /// What it may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// It has this much time for a call from now on.
    pub(crate) fn hurry(&mut self, limits: &Limits) {
        (self.limits.step_ms_max, self.limits.start_ms_max) = (limits.step_ms_max, limits.start_ms_max);
    }

    /// What was logged since the last time; `None` if nothing. To be taken after each call: until then the log's limit
    /// is not renewed.
    #[inline]
    pub fn take_log(&mut self) -> Option<Log> {
        self.store.data_mut().log.take()
    }

    /// The linear memory that it has.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes
    }

    /// Asks for the store's memory ahead of a call.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(self.store.data(), STORE_HEAD_BYTES, STORE_NEIGHBOURS_BYTES);
    }

    #[inline]
    fn end<T>(&mut self, result: wasmtime::Result<T>) -> Result<T, Failure> {
        let output_bytes_max = self.limits.output_bytes_per_step_max;
        result.map_err(|error| Failure::of_call(&error, self.store.data_mut(), output_bytes_max))
    }
}

/// Before each call into the component.
#[inline]
fn begin(store: &mut Store<HostState>, limit_ms: u32) {
    let epochs = store.data_mut().begin(limit_ms);
    store.set_epoch_deadline(epochs);
}

/// The host's side of a store: the log, the deadline and the account of memory.
pub struct HostState {
    plugin: Plugin,
    deadline: Deadline,
    memory_bytes_max: usize,
    /// How much it has.
    memory_bytes: usize,
    memory_refused: bool,
    log: Logbook,
}

impl HostState {
    fn new(plugin: &Plugin, limits: &Limits) -> HostState {
        HostState {
            plugin: plugin.clone(),
            deadline: Deadline::default(),
            memory_bytes_max: limits.memory_bytes_max,
            memory_bytes: 0,
            memory_refused: false,
            log: Logbook::new(limits.log_bytes_per_step_max),
        }
    }

    fn begin(&mut self, limit_ms: u32) -> u64 {
        self.plugin.shared().ticker.touch();
        self.memory_refused = false;
        self.log.begin();
        let (deadline, epochs) = Deadline::begin(limit_ms);
        self.deadline = deadline;
        epochs
    }

    fn at_deadline(&mut self) -> UpdateDeadline {
        // A call that goes on needs the ticker to do so too.
        self.plugin.shared().ticker.touch();
        self.deadline.check().map_or(UpdateDeadline::Interrupt, UpdateDeadline::Continue)
    }

    pub fn limit_ms(&self) -> u32 {
        self.deadline.limit_ms()
    }

    pub fn scenes_max(&self) -> u32 {
        self.plugin.shared().options.scenes_max
    }

    pub fn memory_refused(&self) -> bool {
        self.memory_refused
    }

    pub fn memory_bytes_max(&self) -> usize {
        self.memory_bytes_max
    }

    pub fn take_last_error(&mut self) -> Option<String> {
        self.log.take_last_error()
    }
}

impl diagnostics::Host for HostState {
    fn log(&mut self, level: Level, text: String) {
        self.log.write(level, text);
    }
}

impl ResourceLimiter for HostState {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory_bytes_max && maximum.is_none_or(|max| desired <= max);
        self.memory_refused |= !granted;
        if granted {
            // The pool has the pages reserved, so a growth that is granted happens.
            self.memory_bytes += desired - current;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The pool bounds tables; see `Options::table_elements_max`.
        Ok(maximum.is_none_or(|max| desired <= max))
    }
}
