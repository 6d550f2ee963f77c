//! Games: uploads that were checked and compiled, and of which scenes are made.
//!
//! Invariant: a [`Plugin`] can be instantiated; only its own code can fail after that.

use std::{fmt, sync::Arc};

use crate::{
    bindings::{CONTRACT_VERSION, Command, Event, Init, Moment, Player, WorldPre},
    engine::Shared,
    instance::HostState,
    upload::{Checked, Digest, Exports, LOGIC, RULE, Rejected, Upload},
};

/// A checked and compiled component. Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    checked: Checked<WorldPre<HostState>>,
}

impl Plugin {
    pub fn digest(&self) -> Digest {
        self.inner.checked.digest
    }

    /// The size of the uploaded component.
    pub fn size_bytes(&self) -> usize {
        self.inner.checked.size_bytes
    }

    /// The names of the interfaces that the component imports.
    pub fn imports(&self) -> &[String] {
        &self.inner.checked.imports
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn pre(&self) -> &WorldPre<HostState> {
        &self.inner.checked.pre
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("digest", &self.inner.checked.digest)
            .field("size_bytes", &self.inner.checked.size_bytes)
            .field("imports", &self.inner.checked.imports)
            .finish()
    }
}

pub(crate) fn compile(shared: &Arc<Shared>, bytes: &[u8]) -> Result<Plugin, Rejected> {
    let options = &shared.options;
    let upload =
        Upload { bytes, size_bytes_max: options.component_bytes_max, memory_bytes_max: options.memory_bytes_max };
    let checked = upload.check(&shared.linker, check_logic, WorldPre::new)?;
    Ok(Plugin { inner: Arc::new(Inner { shared: Arc::clone(shared), checked }) })
}

fn check_logic(exports: &Exports<'_>) -> Result<(), Rejected> {
    if exports.has(RULE) {
        return Err(Rejected::IsRule);
    }
    let logic = exports.functions(LOGIC, CONTRACT_VERSION)?.ok_or(Rejected::NoLogic)?;
    logic.check::<(&Init,), (Result<(), String>,)>("start")?;
    logic.check::<(&Player,), (Result<(), String>,)>("admit")?;
    logic.check::<(Moment, &[Event]), (Result<Vec<Command>, String>,)>("step")?;
    logic.check::<(), (Result<Vec<u8>, String>,)>("save")?;
    logic.check::<(&Init, &[u8]), (Result<(), String>,)>("load")
}
