//! From an upload's bytes to a plugin: every check that can be made before a scene is.
//!
//! Invariant: a [`Plugin`] can be instantiated. Its imports are what the host offers, its exports have the contract's
//! types, and its needs fit the pool; only its own code can fail after that.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use wasmtime::component::{
    Component, ComponentNamedList, Lift, Lower,
    types::{self, ComponentItem},
};

use crate::{
    bindings::{CONTRACT_VERSION, Command, Event, Init, Moment, Player, WorldPre},
    engine::Shared,
    instance::HostState,
};

const DIAGNOSTICS: &str = "scenehost:scene/diagnostics";
const LOGIC: &str = "scenehost:scene/logic";
const ELF_MAGIC: &[u8] = b"\x7fELF";
const WASM_MAGIC: &[u8] = b"\0asm";
const MODULE_LAYER: [u8; 2] = [0, 0];
const COMPONENT_LAYER: [u8; 2] = [1, 0];
const WASM_PAGE_BYTES: u64 = 64 << 10;

/// Why an upload was refused: what is wrong with it and what its designer can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// More bytes than [`crate::Options::component_bytes_max`].
    #[error(
        "the component is {size_bytes} bytes and the limit is {size_bytes_max}: build it in release mode, strip its \
         debug information, and keep assets out of it"
    )]
    TooLarge { size_bytes: usize, size_bytes_max: usize },
    /// Native code cannot be checked, so it is never loaded.
    #[error("this is compiled native code: upload the WebAssembly component that it was compiled from")]
    Precompiled,
    /// A core module, as compilers make it, and not yet a component.
    #[error(
        "this is a core WebAssembly module and not a component: build it with `scenectl build`, or encode it with \
         `wasm-tools component new`"
    )]
    CoreModule,
    /// Text, an archive, or anything else.
    #[error("this is not WebAssembly: upload the `.wasm` file that `scenectl build` wrote")]
    NotWebAssembly,
    /// A truncated or broken file, or one that uses what scenes may not.
    #[error("the component is not valid, or uses what scenes may not: {reason}")]
    Invalid { reason: String },
    /// An import other than `diagnostics`.
    #[error(
        "the component imports `{name}`, which scenes do not get: their only import is `{DIAGNOSTICS}`. Build for \
         wasm32-unknown-unknown, so that nothing of WASI comes along, and use the time and the seed that the contract \
         gives"
    )]
    UndeclaredImport { name: String },
    /// No export of the interface `logic`.
    #[error("the component does not export `{LOGIC}@{CONTRACT_VERSION}`: export your game with `export_scene!`")]
    NoLogic,
    /// The interface of a version that this host does not serve.
    #[error(
        "the component was built for `{name}` and this host serves {CONTRACT_VERSION}: build it with the SDK of this host's version"
    )]
    WrongVersion { name: String },
    /// A function of `logic` that is not there.
    #[error("`{LOGIC}` has no function `{function}`: build the component with the SDK of this host's version")]
    MissingFunction { function: &'static str },
    /// A function of `logic` with other types than the contract's.
    #[error("`{LOGIC}` has a function `{function}` of another type than the contract's: {reason}")]
    WrongType { function: &'static str, reason: String },
    /// Needs more from the start than the pool can give.
    #[error("the component needs more than a scene can have: {reason}")]
    Resources { reason: String },
}

impl Rejected {
    /// A short name for metrics and clients.
    pub fn kind(&self) -> &'static str {
        match self {
            Rejected::TooLarge { .. } => "too_large",
            Rejected::Precompiled => "precompiled",
            Rejected::CoreModule => "core_module",
            Rejected::NotWebAssembly => "not_webassembly",
            Rejected::Invalid { .. } => "invalid",
            Rejected::UndeclaredImport { .. } => "undeclared_import",
            Rejected::NoLogic => "no_logic",
            Rejected::WrongVersion { .. } => "wrong_version",
            Rejected::MissingFunction { .. } => "missing_function",
            Rejected::WrongType { .. } => "wrong_type",
            Rejected::Resources { .. } => "resources",
        }
    }
}

/// The SHA-256 of a component's bytes; shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A checked and compiled component. Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    pre: WorldPre<HostState>,
    digest: Digest,
    size_bytes: usize,
    imports: Vec<String>,
}

impl Plugin {
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// The size of the uploaded component.
    pub fn size_bytes(&self) -> usize {
        self.inner.size_bytes
    }

    /// The names of the interfaces that the component imports.
    pub fn imports(&self) -> &[String] {
        &self.inner.imports
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn pre(&self) -> &WorldPre<HostState> {
        &self.inner.pre
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("digest", &self.inner.digest)
            .field("size_bytes", &self.inner.size_bytes)
            .field("imports", &self.inner.imports)
            .finish()
    }
}

pub(crate) fn compile(shared: &Arc<Shared>, bytes: &[u8]) -> Result<Plugin, Rejected> {
    check_kind(shared, bytes)?;
    let component = Component::from_binary(&shared.wasm, bytes).map_err(|error| not_compiled(&error))?;
    let imports = check_imports(shared, &component)?;
    check_exports(shared, &component)?;
    check_resources(shared, &component)?;
    let pre = shared
        .linker
        .instantiate_pre(&component)
        .and_then(WorldPre::new)
        .map_err(|error| Rejected::Invalid { reason: format!("{error:#}") })?;
    Ok(Plugin {
        inner: Arc::new(Inner {
            shared: Arc::clone(shared),
            pre,
            digest: Digest(Sha256::digest(bytes).into()),
            size_bytes: bytes.len(),
            imports,
        }),
    })
}

/// What can be told from the first bytes.
fn check_kind(shared: &Shared, bytes: &[u8]) -> Result<(), Rejected> {
    let size_bytes_max = shared.options.component_bytes_max;
    if bytes.len() > size_bytes_max {
        return Err(Rejected::TooLarge { size_bytes: bytes.len(), size_bytes_max });
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() || bytes.starts_with(ELF_MAGIC) {
        return Err(Rejected::Precompiled);
    }
    if !bytes.starts_with(WASM_MAGIC) {
        return Err(Rejected::NotWebAssembly);
    }
    match bytes.get(6..8) {
        Some(layer) if layer == MODULE_LAYER => Err(Rejected::CoreModule),
        Some(layer) if layer == COMPONENT_LAYER => Ok(()),
        _ => Err(Rejected::NotWebAssembly),
    }
}

fn not_compiled(error: &wasmtime::Error) -> Rejected {
    let reason = format!("{error:#}");
    // The pool's own checks have no type. Their texts all say that a maximum is exceeded, and validation's do not.
    if reason.contains(" exceeds the ") { Rejected::Resources { reason } } else { Rejected::Invalid { reason } }
}

fn check_imports(shared: &Shared, component: &Component) -> Result<Vec<String>, Rejected> {
    let ty = component.component_type();
    let mut imports = Vec::new();
    for (name, _) in ty.imports(&shared.wasm) {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        if interface != DIAGNOSTICS {
            return Err(Rejected::UndeclaredImport { name: name.to_owned() });
        }
        if !is_served(version) {
            return Err(Rejected::WrongVersion { name: name.to_owned() });
        }
        imports.push(name.to_owned());
    }
    Ok(imports)
}

fn check_exports(shared: &Shared, component: &Component) -> Result<(), Rejected> {
    let ty = component.component_type();
    let logic = ty.exports(&shared.wasm).find(|(name, _)| name.split_once('@').unwrap_or((name, "")).0 == LOGIC);
    let Some((name, item)) = logic else {
        return Err(Rejected::NoLogic);
    };
    if !is_served(name.split_once('@').map_or("", |(_, version)| version)) {
        return Err(Rejected::WrongVersion { name: name.to_owned() });
    }
    let ComponentItem::ComponentInstance(logic) = item.ty else {
        return Err(Rejected::NoLogic);
    };
    let functions = Functions { shared, logic: &logic, ty: &ty };
    functions.check::<(&Init,), (Result<(), String>,)>("start")?;
    functions.check::<(&Player,), (Result<(), String>,)>("admit")?;
    functions.check::<(Moment, &[Event]), (Result<Vec<Command>, String>,)>("step")?;
    functions.check::<(), (Result<Vec<u8>, String>,)>("save")?;
    functions.check::<(&Init, &[u8]), (Result<(), String>,)>("load")
}

/// A host of `0.y.z` serves components of the same `0.y` up to its own `z`.
fn is_served(version: &str) -> bool {
    let parts = |text: &str| -> Option<[u32; 3]> {
        let mut numbers = text.split('.').map(str::parse);
        let version = [numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?];
        numbers.next().is_none().then_some(version)
    };
    match (parts(version), parts(CONTRACT_VERSION)) {
        (Some(theirs), Some(ours)) => theirs[..2] == ours[..2] && theirs[2] <= ours[2],
        _ => false,
    }
}

struct Functions<'a> {
    shared: &'a Shared,
    logic: &'a types::ComponentInstance,
    ty: &'a types::Component,
}

impl Functions<'_> {
    fn check<Params, Return>(&self, function: &'static str) -> Result<(), Rejected>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let export = self.logic.get_export(&self.shared.wasm, function);
        let Some(ComponentItem::ComponentFunc(found)) = export.map(|export| export.ty) else {
            return Err(Rejected::MissingFunction { function });
        };
        found
            .typecheck::<Params, Return>(&self.ty.instance_type())
            .map_err(|error| Rejected::WrongType { function, reason: format!("{error:#}") })
    }
}

/// The pool has checked tables and instances when it compiled; a component that needs more memory to start than the
/// ceiling could never be instantiated either.
fn check_resources(shared: &Shared, component: &Component) -> Result<(), Rejected> {
    let Some(needs) = component.resources_required() else {
        return Err(Rejected::Resources { reason: "it instantiates modules that it does not contain".to_owned() });
    };
    let memory_bytes = needs.max_initial_memory_size.unwrap_or(0).saturating_mul(WASM_PAGE_BYTES);
    let memory_bytes_max = shared.options.memory_bytes_max as u64;
    if memory_bytes > memory_bytes_max {
        return Err(Rejected::Resources {
            reason: format!(
                "it starts with {memory_bytes} bytes of memory and the limit is {memory_bytes_max}: \
                 make its stack and its static data smaller"
            ),
        });
    }
    Ok(())
}
