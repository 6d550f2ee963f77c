//! From an upload's bytes to a component that can be instantiated, for both kinds: games and rules. Every check that can
//! be made before a call is.
//!
//! Invariant: what [`Upload::check`] returns imports only what the host offers, exports its contract's functions with
//! their types, and fits its pool; only its own code can fail after that.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    str::FromStr,
};

use sha2::{Digest as _, Sha256};
use wasmtime::component::{
    Component, ComponentNamedList, InstancePre, Lift, Linker, Lower,
    types::{self, ComponentItem},
};

use crate::{bindings::CONTRACT_VERSION, cache::CodeCache, rule::RULE_VERSION};

pub(crate) const DIAGNOSTICS: &str = "scenehost:scene/diagnostics";
pub(crate) const LOGIC: &str = "scenehost:scene/logic";
pub(crate) const RULE: &str = "scenehost:match-rule/rule";
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
    #[error("the component is not valid, or uses what components may not: {reason}")]
    Invalid { reason: String },
    /// An import other than `diagnostics`.
    #[error(
        "the component imports `{name}`, which no component gets: the only import is `{DIAGNOSTICS}`. Build for \
         wasm32-unknown-unknown, so that nothing of WASI comes along, and use what the contract gives, such as the time \
         and the seed of a scene"
    )]
    UndeclaredImport { name: String },
    /// No export of the interface `logic`.
    #[error("the component does not export `{LOGIC}@{CONTRACT_VERSION}`: export your game with `export_scene!`")]
    NoLogic,
    /// No export of the interface `rule`, where a rule is wanted.
    #[error("the component does not export `{RULE}@{RULE_VERSION}`: export your rule with `export_rule!`")]
    NoRule,
    /// A rule of matching, where a scene is wanted.
    #[error(
        "the component is a rule of matching and no game: name it as a domain's `rule`, and not as a fleet's `plugin`"
    )]
    IsRule,
    /// A scene, where a rule of matching is wanted.
    #[error(
        "the component is a game and no rule of matching: name it as a fleet's `plugin`, and not as a domain's `rule`"
    )]
    IsScene,
    /// The interface of a version that this host does not serve.
    #[error(
        "the component was built for `{name}` and this host serves {served}: build it with the SDK of this host's version"
    )]
    WrongVersion { name: String, served: &'static str },
    /// A function of the contract that is not there.
    #[error("`{interface}` has no function `{function}`: build the component with the SDK of this host's version")]
    MissingFunction { interface: &'static str, function: &'static str },
    /// A function with other types than the contract's.
    #[error("`{interface}` has a function `{function}` of another type than the contract's: {reason}")]
    WrongType { interface: &'static str, function: &'static str, reason: String },
    /// Needs more from the start than the pool can give.
    #[error("the component needs more than it can have: {reason}")]
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
            Rejected::NoRule => "no_rule",
            Rejected::IsRule => "is_rule",
            Rejected::IsScene => "is_scene",
            Rejected::WrongVersion { .. } => "wrong_version",
            Rejected::MissingFunction { .. } => "missing_function",
            Rejected::WrongType { .. } => "wrong_type",
            Rejected::Resources { .. } => "resources",
        }
    }
}

/// The SHA-256 of a component's bytes; shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Digest, NoDigest> {
        let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        if text.len() != 64 || digits.len() != 64 {
            return Err(NoDigest);
        }
        Ok(Digest(std::array::from_fn(|at| digits[2 * at] << 4 | digits[2 * at + 1])))
    }
}

/// A text that is no [`Digest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 64 hexadecimal digits")]
pub struct NoDigest;

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

/// An upload that is a component, by its size and its first bytes.
pub(crate) struct Upload<'a> {
    bytes: &'a [u8],
    digest: Digest,
}

/// A component that passed, ready to be instantiated in the world `W`.
pub(crate) struct Checked<W> {
    pub pre: W,
    pub digest: Digest,
    pub size_bytes: usize,
    /// The names of the interfaces that it imports.
    pub imports: Vec<String>,
}

impl<'a> Upload<'a> {
    /// What can be told without compiling it.
    pub fn new(bytes: &'a [u8], size_bytes_max: usize) -> Result<Upload<'a>, Rejected> {
        check_kind(bytes, size_bytes_max)?;
        Ok(Upload { bytes, digest: Digest::of(bytes) })
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Compiles it, or loads what is kept of it, and checks everything else. `exports` checks those of the contract, and
    /// `world` is the generated constructor of the contract's world. Code is kept only of what has passed.
    pub fn check<T: 'static, W>(
        &self,
        linker: &Linker<T>,
        memory_bytes_max: usize,
        exports: fn(&Exports<'_>) -> Result<(), Rejected>,
        world: fn(InstancePre<T>) -> wasmtime::Result<W>,
        cache: Option<&CodeCache>,
    ) -> Result<Checked<W>, Rejected> {
        let wasm = linker.engine();
        let (component, is_kept) = match cache.and_then(|cache| cache.load(wasm, self.digest)) {
            Some(component) => (component, true),
            None => (compiled(wasm, self.bytes)?, false),
        };
        let imports = check_imports(wasm, &component)?;
        exports(&Exports { wasm, ty: &component.component_type() })?;
        check_resources(&component, memory_bytes_max)?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(world)
            .map_err(|error| Rejected::Invalid { reason: format!("{error:#}") })?;
        if let Some(cache) = cache.filter(|_| !is_kept) {
            cache.keep(wasm, self.digest, &component);
        }
        Ok(Checked { pre, digest: self.digest, size_bytes: self.bytes.len(), imports })
    }
}

/// Compiles what may be anything. For some components that are valid and use what is not supported here (several that
/// call each other, composed into one) the runtime has no error and panics; that is a refusal, too.
fn compiled(wasm: &wasmtime::Engine, bytes: &[u8]) -> Result<Component, Rejected> {
    // The runtime keeps nothing of a compilation that did not come to its end.
    let compile = AssertUnwindSafe(|| Component::from_binary(wasm, bytes));
    match panic::catch_unwind(compile) {
        Ok(result) => result.map_err(|error| not_compiled(&error)),
        Err(_) => {
            let reason = "it uses what is not supported here, such as components that were composed into one";
            Err(Rejected::Invalid { reason: reason.to_owned() })
        }
    }
}

/// What can be told from the first bytes.
fn check_kind(bytes: &[u8], size_bytes_max: usize) -> Result<(), Rejected> {
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

fn check_imports(wasm: &wasmtime::Engine, component: &Component) -> Result<Vec<String>, Rejected> {
    let ty = component.component_type();
    let mut imports = Vec::new();
    for (name, _) in ty.imports(wasm) {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        if interface != DIAGNOSTICS {
            return Err(Rejected::UndeclaredImport { name: name.to_owned() });
        }
        if !is_served(version, CONTRACT_VERSION) {
            return Err(Rejected::WrongVersion { name: name.to_owned(), served: CONTRACT_VERSION });
        }
        imports.push(name.to_owned());
    }
    Ok(imports)
}

/// A host of `0.y.z` serves components of the same `0.y` up to its own `z`.
fn is_served(version: &str, served: &str) -> bool {
    let parts = |text: &str| -> Option<[u32; 3]> {
        let mut numbers = text.split('.').map(str::parse);
        let version = [numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?];
        numbers.next().is_none().then_some(version)
    };
    match (parts(version), parts(served)) {
        (Some(theirs), Some(ours)) => theirs[..2] == ours[..2] && theirs[2] <= ours[2],
        _ => false,
    }
}

/// What a component exports.
pub(crate) struct Exports<'a> {
    wasm: &'a wasmtime::Engine,
    ty: &'a types::Component,
}

impl<'a> Exports<'a> {
    /// Whether there is the interface, of whatever version.
    pub fn has(&self, interface: &str) -> bool {
        self.find(interface).is_some()
    }

    /// The functions of the interface; `None` if there is no such interface.
    pub fn functions(&self, interface: &'static str, served: &'static str) -> Result<Option<Functions<'a>>, Rejected> {
        let Some((name, item)) = self.find(interface) else {
            return Ok(None);
        };
        if !is_served(name.split_once('@').map_or("", |(_, version)| version), served) {
            return Err(Rejected::WrongVersion { name: name.to_owned(), served });
        }
        let ComponentItem::ComponentInstance(instance) = item else {
            return Ok(None);
        };
        Ok(Some(Functions { wasm: self.wasm, ty: self.ty, interface, instance }))
    }

    /// The export of an interface, and its name with the version.
    fn find(&self, interface: &str) -> Option<(&'a str, ComponentItem)> {
        let mut exports = self.ty.exports(self.wasm);
        let (name, item) = exports.find(|(name, _)| name.split_once('@').unwrap_or((name, "")).0 == interface)?;
        Some((name, item.ty))
    }
}

/// The functions of an interface that a component exports.
pub(crate) struct Functions<'a> {
    wasm: &'a wasmtime::Engine,
    ty: &'a types::Component,
    interface: &'static str,
    instance: types::ComponentInstance,
}

impl Functions<'_> {
    pub fn check<Params, Return>(&self, function: &'static str) -> Result<(), Rejected>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let interface = self.interface;
        let export = self.instance.get_export(self.wasm, function);
        let Some(ComponentItem::ComponentFunc(found)) = export.map(|export| export.ty) else {
            return Err(Rejected::MissingFunction { interface, function });
        };
        found.typecheck::<Params, Return>(&self.ty.instance_type()).map_err(|error| Rejected::WrongType {
            interface,
            function,
            reason: format!("{error:#}"),
        })
    }
}

/// The pool has checked tables and instances when it compiled; a component that needs more memory to start than the
/// ceiling could never be instantiated either.
fn check_resources(component: &Component, memory_bytes_max: usize) -> Result<(), Rejected> {
    let Some(needs) = component.resources_required() else {
        return Err(Rejected::Resources { reason: "it instantiates modules that it does not contain".to_owned() });
    };
    let memory_bytes = needs.max_initial_memory_size.unwrap_or(0).saturating_mul(WASM_PAGE_BYTES);
    if memory_bytes > memory_bytes_max as u64 {
        return Err(Rejected::Resources {
            reason: format!(
                "it starts with {memory_bytes} bytes of memory and the limit is {memory_bytes_max}: \
                 make its stack and its static data smaller"
            ),
        });
    }
    Ok(())
}
