//! Compiled code, kept in files between the runs of the host, and shared in memory while it is used.
//!
//! Invariants: code is loaded only from a folder that nobody but the host's own user can write, only for the engine
//! that it was compiled for, and only if its bytes are those that were written; anything else is compiled again, and
//! said. What does not pass the checks of an upload is never kept. The folder has a largest size; what was not used for
//! the longest time goes first.
//!
//! Main type: [`CodeCache`].

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, Permissions},
    hash::{Hash as _, Hasher},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::upload::Digest;

/// What a file begins with: its format. Then the component's digest, the engine's, and that of the code that follows.
const MAGIC: &[u8; 8] = b"SHCODE1\n";
const HEAD_BYTES: usize = MAGIC.len() + 3 * 32;
const ENDING: &str = "code";
/// Files that were not written to their end have this one.
const UNFINISHED: &str = "unfinished";
/// The folder is the host's own.
const FOLDER_MODE: u32 = 0o700;

/// Keeps compiled code in a folder of the host's own. Cheap to clone; engines may share one.
#[derive(Clone, Debug)]
pub struct CodeCache {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    folder: PathBuf,
    bytes_max: u64,
    /// Held while files are written and removed.
    writing: Mutex<()>,
    unfinished: AtomicU64,
    loaded: AtomicU64,
    compiled: AtomicU64,
    spoiled: AtomicU64,
}

/// What has come of the components that were wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Loaded from a file.
    pub loaded: u64,
    /// Compiled, for there was no file that could be used.
    pub compiled: u64,
    /// Files that could not be used, for they were not what had been written.
    pub spoiled: u64,
}

impl CodeCache {
    /// Opens the folder, or makes it, so that only this user can look into it. Files in it take `bytes_max` bytes
    /// altogether at most.
    ///
    /// # Errors
    ///
    /// When the folder is not there and cannot be made, is no folder, or belongs to somebody else.
    pub fn open(folder: &Path, bytes_max: u64) -> io::Result<CodeCache> {
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !fs::symlink_metadata(folder)?.is_dir() {
                    return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder of its own"));
                }
                fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
            }
            Err(error) => return Err(error),
        }
        for path in files(folder)? {
            if path.extension().is_some_and(|ending| ending == UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        let parts = Parts {
            folder: folder.to_owned(),
            bytes_max,
            writing: Mutex::new(()),
            unfinished: AtomicU64::new(0),
            loaded: AtomicU64::new(0),
            compiled: AtomicU64::new(0),
            spoiled: AtomicU64::new(0),
        };
        let cache = CodeCache { parts: Arc::new(parts) };
        cache.make_room(None)?;
        Ok(cache)
    }

    /// What has come of the components that were wanted since this was opened.
    pub fn counts(&self) -> CacheCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheCounts {
            loaded: of(&self.parts.loaded),
            compiled: of(&self.parts.compiled),
            spoiled: of(&self.parts.spoiled),
        }
    }

    /// The code of a component for this engine, if it is there and as it was written.
    pub(crate) fn load(&self, wasm: &wasmtime::Engine, digest: Digest) -> Option<Component> {
        let key = Key { component: digest.0, engine: compatibility(wasm) };
        let path = self.parts.folder.join(key.file());
        match self.read(&path, &key).and_then(|code| deserialize(wasm, &code)) {
            Ok(component) => {
                self.parts.loaded.fetch_add(1, Ordering::Relaxed);
                used_now(&path);
                Some(component)
            }
            Err(Unusable::Missing) => None,
            Err(Unusable::Spoiled(why)) => {
                self.parts.spoiled.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(path = %path.display(), why, "kept code cannot be used: the component is compiled again");
                None
            }
        }
    }

    /// Keeps the code of a component for the next time. That it cannot be kept is said, and is no error.
    pub(crate) fn keep(&self, wasm: &wasmtime::Engine, digest: Digest, component: &Component) {
        self.parts.compiled.fetch_add(1, Ordering::Relaxed);
        let key = Key { component: digest.0, engine: compatibility(wasm) };
        let kept = component.serialize().map_err(|error| format!("{error:#}")).and_then(|code| {
            if (HEAD_BYTES + code.len()) as u64 > self.parts.bytes_max {
                return Err(format!("its {} bytes of code are more than all that is kept", code.len()));
            }
            self.write(&key, &code).map_err(|error| error.to_string())
        });
        if let Err(why) = kept {
            tracing::warn!(%digest, why, "compiled code is not kept: the next start compiles it again");
        }
    }

    fn read(&self, path: &Path, key: &Key) -> Result<Vec<u8>, Unusable> {
        let spoiled = |why: String| Unusable::Spoiled(why);
        let size = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Unusable::Missing),
            Err(error) => return Err(spoiled(error.to_string())),
        };
        if size > self.parts.bytes_max {
            return Err(spoiled(format!("it has {size} bytes, more than all that is kept")));
        }
        let mut bytes = fs::read(path).map_err(|error| spoiled(error.to_string()))?;
        let head = bytes.get(..HEAD_BYTES).ok_or_else(|| spoiled("it is cut off".to_owned()))?;
        if head != key.head(&bytes[HEAD_BYTES..]) {
            return Err(spoiled("its bytes are not those that were written".to_owned()));
        }
        Ok(bytes.split_off(HEAD_BYTES))
    }

    /// Writes a file that is there whole or not at all, and removes others until all have room.
    fn write(&self, key: &Key, code: &[u8]) -> io::Result<()> {
        let _writing = self.turn();
        let number = self.parts.unfinished.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.parts.folder.join(format!("{number}.{UNFINISHED}"));
        let path = self.parts.folder.join(key.file());
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(&key.head(code))?;
            file.write_all(code)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        });
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished); // It goes at the next start, if not now.
            return Err(error);
        }
        self.make_room(Some(&path))
    }

    /// Removes files that were not used for the longest time until the rest has room.
    fn make_room(&self, newest: Option<&Path>) -> io::Result<()> {
        let mut kept = Vec::new();
        for path in files(&self.parts.folder)? {
            if path.extension().is_some_and(|ending| ending == ENDING) {
                let metadata = fs::metadata(&path)?;
                kept.push((metadata.modified()?, metadata.len(), path));
            }
        }
        kept.sort();
        let mut bytes: u64 = kept.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in kept {
            if bytes <= self.parts.bytes_max {
                break;
            }
            if newest != Some(path.as_path()) {
                fs::remove_file(&path)?;
                bytes -= size;
            }
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // A holder that panicked has left an unfinished file at most.
        self.parts.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Unusable {
    Missing,
    Spoiled(String),
}

/// What code is of and for.
struct Key {
    component: [u8; 32],
    engine: [u8; 32],
}

impl Key {
    fn file(&self) -> String {
        // Enough of the engine's to tell engines apart; all of it is in the file.
        format!("{}-{}.{ENDING}", Digest(self.component), &Digest(self.engine).to_string()[..16])
    }

    /// What stands in front of the code.
    fn head(&self, code: &[u8]) -> Vec<u8> {
        let of_code: [u8; 32] = Sha256::digest(code).into();
        [&MAGIC[..], &self.component, &self.engine, &of_code].concat()
    }
}

fn deserialize(wasm: &wasmtime::Engine, code: &[u8]) -> Result<Component, Unusable> {
    // SAFETY: the bytes must be what an engine has serialized. These were written by `CodeCache::write`, which is given
    // nothing else, into a folder that only this user can write; their SHA-256 is that of then, so no disk has changed
    // them, and the engine that wrote them had the same compatibility hash. Whoever can forge all of that is this user
    // and can as well change the host.
    let component = unsafe { Component::deserialize(wasm, code) };
    component.map_err(|error| Unusable::Spoiled(format!("{error:#}")))
}

/// A number for everything that decides whether code fits an engine: its version and its settings.
fn compatibility(wasm: &wasmtime::Engine) -> [u8; 32] {
    let mut hasher = Hash256(Sha256::new());
    wasm.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

/// SHA-256 as a hasher. The standard library's own may be another one in its next version, and has 64 bits.
struct Hash256(Sha256);

impl Hasher for Hash256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash: [u8; 32] = self.0.clone().finalize().into();
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// The time of a file says when it was used last. If that cannot be written, it goes a little early.
fn used_now(path: &Path) {
    let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// What is compiled and in use, so that the same bytes are compiled once and in memory once, however many use them.
pub(crate) struct Live<T>(Mutex<HashMap<Digest, Weak<T>>>);

impl<T> Live<T> {
    pub fn new() -> Live<T> {
        Live(Mutex::new(HashMap::new()))
    }

    pub fn get(&self, digest: Digest) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&digest)?.upgrade()
    }

    /// Knows one more, and forgets those that nobody uses.
    pub fn put(&self, digest: Digest, used: &Arc<T>) {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, one| one.strong_count() > 0);
        live.insert(digest, Arc::downgrade(used));
    }
}
