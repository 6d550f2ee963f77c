//! Writes the journals of the scenes of one thread.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use metrics::counter;
use scenehost_core::config::{Journal, Keep};
use scenehost_core::{Incarnation, SceneId};
use scenehost_engine::journal::Journaled;

use super::{Journals, private};

/// The open journals of one thread's scenes.
pub struct Writer {
    journals: Journals,
    open: HashMap<SceneId, Open>,
}

struct Open {
    of: Incarnation,
    rules: Journal,
    file: Option<File>,
    bytes: u64,
    /// A whole state, which what follows belongs to: with `head` before it the file may begin anew.
    snapshot: Option<Snapshot>,
    /// The scene has failed: somebody will want to know why.
    failed: bool,
}

struct Snapshot {
    head: Vec<u8>,
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new(journals: Journals) -> Self {
        Self { journals, open: HashMap::new() }
    }

    pub fn journals(&self) -> &Journals {
        &self.journals
    }

    /// A scene is about to begin, with or without a journal.
    pub fn expect(&mut self, of: Incarnation, rules: Journal) {
        if rules.keep != Keep::Off {
            let open = Open { of, rules, file: None, bytes: 0, snapshot: None, failed: false };
            self.open.insert(of.scene, open);
        }
    }

    /// A scene goes on with the journal of its incarnation before, of which so many bytes count.
    ///
    /// # Errors
    /// When the file cannot be had; then it is as if there were none.
    pub fn go_on(&mut self, older: Incarnation, of: Incarnation, rules: Journal, bytes: u64) -> io::Result<()> {
        let folder = self.journals.folder();
        fs::rename(folder.live(older), folder.live(of))?;
        let file = fs::OpenOptions::new().append(true).open(folder.live(of))?;
        file.set_len(bytes)?;
        self.open.insert(of.scene, Open { of, rules, file: Some(file), bytes, snapshot: None, failed: false });
        Ok(())
    }

    /// Whether a scene has a journal that is being written.
    pub fn has(&self, scene: SceneId) -> bool {
        self.open.contains_key(&scene)
    }

    pub fn write(&mut self, scene: SceneId, part: Journaled<'_>) {
        let Some(open) = self.open.get_mut(&scene) else { return };
        let path = self.journals.folder().live(open.of);
        if let Err(error) = open.write(&path, part) {
            tracing::error!(%scene, %error, "a journal cannot be written: it ends here, and its game goes on");
            counter!("scenehost_journals_broken_total").increment(1);
            let of = open.of;
            self.open.remove(&scene);
            self.journals.folder().close(of);
        }
    }

    pub fn failed(&mut self, scene: SceneId) {
        if let Some(open) = self.open.get_mut(&scene) {
            open.failed = true;
        }
    }

    /// A scene goes on elsewhere: its journal stays as it is, for what copies it.
    pub fn let_go(&mut self, scene: SceneId) {
        self.open.remove(&scene);
    }

    /// A scene is over.
    pub fn close(&mut self, scene: SceneId) {
        let Some(open) = self.open.remove(&scene) else { return };
        if open.file.is_none() {
            return; // It has not begun.
        }
        if open.rules.keep == Keep::Full || open.failed {
            return self.journals.folder().close(open.of);
        }
        if let Err(error) = fs::remove_file(self.journals.folder().live(open.of)) {
            tracing::warn!(%scene, %error, "a journal cannot be removed");
        }
    }
}

impl Open {
    fn write(&mut self, path: &Path, part: Journaled<'_>) -> io::Result<()> {
        match part {
            Journaled::Begun(bytes) => {
                self.file = Some(private(&path.to_owned())?);
                self.bytes = 0;
                self.append(bytes)
            }
            Journaled::Snapshot { head, bytes } => {
                self.write_snapshot(path, &[])?;
                self.snapshot = Some(Snapshot { head: head.to_vec(), bytes: bytes.to_vec() });
                Ok(())
            }
            Journaled::Added(bytes) if self.snapshot.is_some() => self.write_snapshot(path, bytes),
            Journaled::Added(bytes) => self.append(bytes),
        }
    }

    /// A state, with what belongs to it, in one piece: in a new file where what was before is not needed.
    fn write_snapshot(&mut self, path: &Path, behind: &[u8]) -> io::Result<()> {
        let Some(Snapshot { head, mut bytes }) = self.snapshot.take() else { return Ok(()) };
        bytes.extend(behind);
        let next = self.bytes + bytes.len() as u64;
        if self.rules.keep == Keep::Full && next <= self.rules.kib_max * 1_024 {
            return self.append(&bytes);
        }
        let partial = path.with_extension("partial");
        let mut file = private(&partial)?;
        file.write_all(&[head.as_slice(), &bytes].concat())?;
        fs::rename(&partial, path)?;
        self.bytes = (head.len() + bytes.len()) as u64;
        self.file = Some(file);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        // A game that cannot be saved has no state to begin anew with.
        if self.bytes > 2 * self.rules.kib_max * 1_024 {
            return Err(io::Error::other(
                "it is longer than twice journal.kib_max, and the game does not save its state",
            ));
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }
}
