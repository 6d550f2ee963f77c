//! Compiled code that is kept: it is used again, and only if it is what was written, by an engine like this one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use scenehost_engine::{CacheCounts, CodeCache, Engine, Instance, Limits, Options, rule};
use tempfile::TempDir;

use crate::support::{GUEST, component, init, rule_component};

const ROOM: u64 = 64 << 20;
const RULE: &str = include_str!("rule.wat");

fn engine(folder: &Path, stack_bytes_max: usize) -> (Engine, CodeCache) {
    let cache = CodeCache::open(folder, ROOM).unwrap();
    let options = Options { scenes_max: 16, stack_bytes_max, ..Options::default() };
    (Engine::with_cache(options, Some(cache.clone())).unwrap(), cache)
}

fn same_engine(folder: &Path) -> (Engine, CodeCache) {
    engine(folder, 256 << 10)
}

fn counts(loaded: u64, compiled: u64, spoiled: u64) -> CacheCounts {
    CacheCounts { loaded, compiled, spoiled }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn code(folder: &TempDir) -> PathBuf {
    folder.path().join("code")
}

/// It runs, whether it was compiled or loaded.
fn play(engine: &Engine, bytes: &[u8]) {
    let plugin = engine.compile(bytes).unwrap();
    Instance::new(&plugin, Limits::default()).unwrap().start(&init(20)).unwrap();
}

#[test]
fn a_second_start_compiles_nothing() {
    let folder = TempDir::new().unwrap();
    let bytes = component(GUEST);
    let (first, cache) = same_engine(&code(&folder));
    play(&first, &bytes);
    assert_eq!(cache.counts(), counts(0, 1, 0));
    play(&first, &bytes);
    let (second, cache) = same_engine(&code(&folder));
    play(&second, &bytes);
    assert_eq!(cache.counts(), counts(1, 0, 0));
    assert_eq!(files(&code(&folder)).len(), 1);
    // What is in use is not even loaded again.
    let kept = second.compile(&bytes).unwrap();
    let _again = second.compile(&bytes).unwrap();
    let loaded = cache.counts().loaded;
    let _once_more = second.compile(&bytes).unwrap();
    assert_eq!(cache.counts().loaded, loaded);
    drop(kept);
}

#[test]
fn what_is_refused_is_refused_each_time_and_never_kept() {
    let folder = TempDir::new().unwrap();
    let foreign = wat::parse_str(r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance)))"#).unwrap();
    for _ in 0..2 {
        let (engine, cache) = same_engine(&code(&folder));
        assert_eq!(engine.compile(&foreign).unwrap_err().kind(), "undeclared_import");
        assert_eq!(cache.counts(), counts(0, 0, 0));
    }
    assert!(files(&code(&folder)).is_empty());
    // Code that was compiled here is no upload either.
    let (engine, _) = same_engine(&code(&folder));
    play(&engine, &component(GUEST));
    let kept = fs::read(&files(&code(&folder))[0]).unwrap();
    let elf = kept.windows(4).position(|four| four == b"\x7fELF").expect("it is native code");
    assert_eq!(engine.compile(&kept[elf..]).unwrap_err().kind(), "precompiled");
}

#[test]
fn a_flipped_byte_anywhere_is_found_and_the_component_compiled_again() {
    let folder = TempDir::new().unwrap();
    let bytes = component(GUEST);
    play(&same_engine(&code(&folder)).0, &bytes);
    let path = files(&code(&folder)).remove(0);
    let right = fs::read(&path).unwrap();
    for at in [0, 7, 8, 40, 72, 103, 104, 500, right.len() / 2, right.len() - 1] {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        fs::write(&path, wrong).unwrap();
        let (engine, cache) = same_engine(&code(&folder));
        play(&engine, &bytes);
        assert_eq!(cache.counts(), counts(0, 1, 1), "byte {at}");
        let (engine, cache) = same_engine(&code(&folder));
        play(&engine, &bytes);
        assert_eq!(cache.counts(), counts(1, 0, 0), "it was written again after byte {at}");
    }
}

#[test]
fn a_truncated_file_is_found_and_the_component_compiled_again() {
    let folder = TempDir::new().unwrap();
    let bytes = component(GUEST);
    play(&same_engine(&code(&folder)).0, &bytes);
    let path = files(&code(&folder)).remove(0);
    let right = fs::read(&path).unwrap();
    for len in [0, 1, 50, 104, 105, right.len() / 2, right.len() - 1] {
        fs::write(&path, &right[..len]).unwrap();
        let (engine, cache) = same_engine(&code(&folder));
        play(&engine, &bytes);
        assert_eq!(cache.counts(), counts(0, 1, 1), "{len} bytes");
    }
}

#[test]
fn code_of_another_engine_or_another_component_is_not_taken() {
    let folder = TempDir::new().unwrap();
    let (bytes, other) = (component(GUEST), component(&GUEST.replace("nobody may sit", "nobody can sit")));
    play(&same_engine(&code(&folder)).0, &bytes);
    let of_first = files(&code(&folder)).remove(0);
    // Other settings of the engine that its code depends on.
    let rules =
        rule::Engine::with_cache(rule::Options::default(), Some(CodeCache::open(&code(&folder), ROOM).unwrap()));
    rules.unwrap().compile(&rule_component(RULE)).unwrap();
    let of_rules = files(&code(&folder)).into_iter().find(|path| *path != of_first).expect("a file of its own");
    fs::copy(&of_rules, &of_first).unwrap();
    let (engine, cache) = same_engine(&code(&folder));
    play(&engine, &bytes);
    assert_eq!(cache.counts(), counts(0, 1, 1), "code of rules under the name of a game's");

    play(&engine, &other);
    let of_other = files(&code(&folder)).into_iter().find(|path| *path != of_first && *path != of_rules).unwrap();
    fs::copy(&of_other, &of_first).unwrap();
    let (engine, cache) = same_engine(&code(&folder));
    play(&engine, &bytes);
    assert_eq!(cache.counts(), counts(0, 1, 1), "code of another component");
}

#[test]
fn what_was_not_used_for_the_longest_time_goes_first() {
    let folder = TempDir::new().unwrap();
    let variants: Vec<Vec<u8>> =
        ["may", "can", "kan"].map(|word| component(&GUEST.replace("nobody may", &format!("nobody {word}")))).to_vec();
    let (engine, _) = same_engine(&code(&folder));
    play(&engine, &variants[0]);
    let first = files(&code(&folder)).remove(0);
    let size = fs::metadata(&first).unwrap().len();
    // Room for two of three.
    let cache = CodeCache::open(&code(&folder), 2 * size + size / 2).unwrap();
    let options = || Options { scenes_max: 16, ..Options::default() };
    let engine = Engine::with_cache(options(), Some(cache.clone())).unwrap();
    play(&engine, &variants[1]);
    let second = files(&code(&folder)).into_iter().find(|path| *path != first).unwrap();
    // Used in this order: the second, then the first.
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
    for path in [&first, &second] {
        fs::File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    play(&engine, &variants[0]);
    play(&engine, &variants[2]);
    let left = files(&code(&folder));
    assert!(left.len() == 2 && left.contains(&first) && !left.contains(&second), "{left:?}");
    // A host that is given less room makes it at its start.
    CodeCache::open(&code(&folder), size + size / 2).unwrap();
    assert_eq!(files(&code(&folder)).len(), 1);
}

#[test]
fn the_folder_is_the_hosts_own() {
    let folder = TempDir::new().unwrap();
    let path = code(&folder);
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(path.join("7.unfinished"), "of a host that was killed").unwrap();
    CodeCache::open(&path, ROOM).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(files(&path).is_empty());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(CodeCache::open(&link, ROOM).is_err(), "it may lead anywhere");
}
