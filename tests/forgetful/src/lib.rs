//! A disk that fails, without pulling a plug. Preloaded into a process (`LD_PRELOAD`), it does two things if it is told
//! to by a variable.
//!
//! A power failure ([`NOTES`]): it notes for each file how long it was when it was last synced; after the process was
//! killed, [`forget`] cuts the files back to that. What it cannot see: writes that change synced bytes in place
//! (RocksDB only appends), and syncs by other calls than `fsync` and `fdatasync`.
//!
//! A disk that fails for a while ([`DISK`]): as long as a file stands beside the folder, of the same name and with one
//! of these ends, what is done to the files in it fails. [`FULL`]: the first write is done by half, then every write
//! and sync fails. [`UNSYNCED`]: every sync fails. [`STUCK`]: every write and sync waits. What it cannot see: files that
//! are made, and writes by other calls than `write`.

use std::collections::HashMap;
use std::ffi::{CStr, c_int, c_void};
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

/// The variable that names the file of notes; without it nothing is noted.
pub const NOTES: &str = "FORGETFUL_NOTES";
/// The variable that names the folder whose disk can fail; without it there is none.
pub const DISK: &str = "FORGETFUL_DISK";
/// What the folder's name has after it in that of the file that says that there is no room.
pub const FULL: &str = ".full";
/// The same for syncs that fail.
pub const UNSYNCED: &str = ".unsynced";
/// The same for a disk that hangs.
pub const STUCK: &str = ".stuck";

/// # Safety
///
/// As the system's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(file: RawFd, bytes: *const c_void, count: usize) -> isize {
    static NEXT: OnceLock<usize> = OnceLock::new();
    let count = match disk_of(file).map_or(Room::Enough, |disk| disk.room()) {
        Room::Enough => count,
        Room::Last => count.div_ceil(2),
        Room::None => return fails(libc::ENOSPC) as isize,
    };
    let next = *NEXT.get_or_init(|| system(c"write"));
    // SAFETY: the system's function of this name.
    let next: unsafe extern "C" fn(RawFd, *const c_void, usize) -> isize = unsafe { std::mem::transmute(next) };
    // SAFETY: the caller's own arguments, or fewer of the bytes.
    unsafe { next(file, bytes, count) }
}

/// # Safety
///
/// As the system's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(file: RawFd) -> c_int {
    static NEXT: OnceLock<usize> = OnceLock::new();
    // SAFETY: the system's function of this name, with its argument.
    unsafe { sync(file, *NEXT.get_or_init(|| system(c"fdatasync"))) }
}

/// # Safety
///
/// As the system's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: RawFd) -> c_int {
    static NEXT: OnceLock<usize> = OnceLock::new();
    // SAFETY: the system's function of this name, with its argument.
    unsafe { sync(file, *NEXT.get_or_init(|| system(c"fsync"))) }
}

/// Where the function is that the one of this name here stands before.
fn system(name: &CStr) -> usize {
    // SAFETY: the name is a C string; the answer is an address or null.
    let address: *mut c_void = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!address.is_null(), "the system has no {name:?}");
    address as usize
}

/// # Safety
///
/// `next` is the address of the system's `fsync` or `fdatasync`.
unsafe fn sync(file: RawFd, next: usize) -> c_int {
    if let Some(disk) = disk_of(file) {
        if disk.full.exists() {
            return fails(libc::ENOSPC);
        }
        if disk.unsynced.exists() {
            return fails(libc::EIO);
        }
    }
    // What was written before the call is what it syncs.
    let seen = fs::metadata(format!("/proc/self/fd/{file}"));
    // SAFETY: the caller's promise.
    let next: unsafe extern "C" fn(RawFd) -> c_int = unsafe { std::mem::transmute(next) };
    // SAFETY: the caller's own argument.
    let done = unsafe { next(file) };
    if done == 0
        && let Ok(seen) = seen
    {
        note(&seen);
    }
    done
}

/// A folder whose disk fails while one of these files is there.
struct Disk {
    folder: PathBuf,
    full: PathBuf,
    unsynced: PathBuf,
    stuck: PathBuf,
    /// The last write that finds room is still to come.
    has_room: AtomicBool,
}

enum Room {
    Enough,
    /// For one write, and not the whole of it.
    Last,
    None,
}

impl Disk {
    fn room(&self) -> Room {
        let full = self.full.exists();
        match (full, self.has_room.swap(!full, Ordering::Relaxed)) {
            (false, _) => Room::Enough,
            (true, true) => Room::Last,
            (true, false) => Room::None,
        }
    }
}

/// The disk that can fail, if this file lies on it and it does; waits as long as it hangs.
fn disk_of(file: RawFd) -> Option<&'static Disk> {
    static DISK_FOLDER: OnceLock<Option<Disk>> = OnceLock::new();
    let find = || {
        let folder = PathBuf::from(std::env::var_os(DISK)?);
        let [full, unsynced, stuck] = [FULL, UNSYNCED, STUCK].map(|what| marker(&folder, what));
        Some(Disk { full, unsynced, stuck, folder, has_room: AtomicBool::new(true) })
    };
    let disk = DISK_FOLDER.get_or_init(find).as_ref()?;
    let path = fs::read_link(format!("/proc/self/fd/{file}")).ok()?;
    if !path.starts_with(&disk.folder) {
        return None;
    }
    while disk.stuck.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Some(disk)
}

/// What a call of the system answers that fails so.
fn fails(error: c_int) -> c_int {
    // SAFETY: the address is this thread's own.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// The file whose being there says how the disk of a folder is.
pub fn marker(folder: &Path, what: &str) -> PathBuf {
    let mut path = folder.as_os_str().to_owned();
    path.push(what);
    path.into()
}

fn note(file: &Metadata) {
    static NOTES_FILE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    let open = || {
        let path = std::env::var_os(NOTES)?;
        File::options().append(true).create(true).open(path).ok().map(Mutex::new)
    };
    if let Some(notes) = NOTES_FILE.get_or_init(open)
        && let Ok(mut notes) = notes.lock()
    {
        // One write, so that a kill leaves a whole line or none.
        let _ = notes.write_all(line(file).as_bytes());
    }
}

/// A file is told by its inode: it may be renamed after it was synced.
fn line(file: &Metadata) -> String {
    format!("{} {}\n", file.ino(), file.len())
}

/// Begins the notes of a run: what is below `folder` now has survived whatever was before.
///
/// # Errors
///
/// When the folder cannot be read or the notes cannot be written.
pub fn begin(folder: &Path, notes: &Path) -> io::Result<()> {
    let mut text = String::new();
    for file in files(folder)? {
        text += &line(&fs::metadata(file)?);
    }
    fs::write(notes, text)
}

/// Cuts every file below `folder` back to what the notes say was synced; one that never was is emptied. How many bytes
/// were forgotten.
///
/// # Errors
///
/// When the notes cannot be read or a file cannot be cut.
pub fn forget(folder: &Path, notes: &Path) -> io::Result<u64> {
    let notes = fs::read_to_string(notes)?;
    let number = |text: &str| text.parse::<u64>().ok();
    let synced: HashMap<u64, u64> = notes
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(inode, bytes)| Some((number(inode)?, number(bytes)?)))
        .collect();
    let mut forgotten = 0;
    for path in files(folder)? {
        let file = fs::metadata(&path)?;
        let kept = synced.get(&file.ino()).copied().unwrap_or(0);
        if kept < file.len() {
            File::options().write(true).open(&path)?.set_len(kept)?;
            forgotten += file.len() - kept;
        }
    }
    Ok(forgotten)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(self::files(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}
