//! Reads a journal's bytes, and says where they are damaged.

use super::entry::{FRAME_BYTES_MAX, FRAME_HEAD_BYTES, checksum};
use super::{During, Entry, Header, MAGIC};
use crate::bindings::CONTRACT_VERSION;

/// Why bytes cannot be read as a journal at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("this is not a journal: it does not begin as one does")]
    NotAJournal,
    #[error("the journal is of format {found} and this host reads format {served}: use the host that has written it")]
    Format { found: u8, served: u8 },
    #[error(
        "the journal is of a scene of contract {found} and this host serves {CONTRACT_VERSION}: use the host that has \
         written it"
    )]
    Contract { found: String },
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// Where a journal is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal is damaged: its record {record}, at byte {offset}{}, {problem}", after(.after_tick))]
pub struct Damage {
    /// Its number, from 0.
    pub record: u64,
    /// Where it begins.
    pub offset: usize,
    /// The step before it.
    pub after_tick: Option<u64>,
    pub problem: &'static str,
}

fn after(tick: &Option<u64>) -> String {
    tick.map(|tick| format!(", after the step of tick {tick}")).unwrap_or_default()
}

/// Reads entry by entry. After an `Err` there are no more.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    record: u64,
    last_tick: Option<u64>,
    torn: bool,
    over: bool,
}

impl<'a> Reader<'a> {
    /// Reads what the scene has begun with.
    ///
    /// # Errors
    ///
    /// When this is not a journal that can be read.
    pub fn new(bytes: &'a [u8]) -> Result<(Header, Reader<'a>), Unreadable> {
        let (name, served) = (&MAGIC[..7], MAGIC[7]);
        match bytes.get(..MAGIC.len()) {
            Some(magic) if magic == MAGIC => {}
            Some(magic) if &magic[..7] == name => return Err(Unreadable::Format { found: magic[7], served }),
            _ => return Err(Unreadable::NotAJournal),
        }
        let mut reader = Reader { bytes, offset: MAGIC.len(), record: 0, last_tick: None, torn: false, over: false };
        let first = reader.next().ok_or_else(|| reader.damage(MAGIC.len(), "is not there"))??;
        let Entry::Begin(header) = first else {
            return Err(reader.damage(MAGIC.len(), "is not a beginning").into());
        };
        if header.contract != CONTRACT_VERSION {
            return Err(Unreadable::Contract { found: header.contract.clone() });
        }
        Ok((header.into_owned(), reader))
    }

    /// How many bytes were read, up to the end of the last whole record.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the bytes end in the middle of a record, as they do when a host has died while it wrote. Known at the end.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    fn damage(&self, offset: usize, problem: &'static str) -> Damage {
        Damage { record: self.record, offset, after_tick: self.last_tick, problem }
    }

    fn take(&mut self) -> Result<Option<Entry<'static>>, Damage> {
        let offset = self.offset;
        let rest = &self.bytes[offset..];
        let Some((head, rest)) = rest.split_at_checked(FRAME_HEAD_BYTES) else {
            self.torn = !rest.is_empty();
            return Ok(None);
        };
        let [len, inverted, crc]: [[u8; 4]; 3] =
            std::array::from_fn(|part| std::array::from_fn(|byte| head[part * 4 + byte]));
        if inverted != len.map(|byte| !byte) {
            return Err(self.damage(offset, "has a length that it was not written with"));
        }
        let len_bytes = u32::from_le_bytes(len) as usize;
        if len_bytes > FRAME_BYTES_MAX {
            return Err(self.damage(offset, "says that it is longer than any can be"));
        }
        let Some(payload) = rest.get(..len_bytes) else {
            self.torn = true;
            return Ok(None);
        };
        if checksum(len, payload).to_le_bytes() != crc {
            return Err(self.damage(offset, "does not have the checksum that it was written with"));
        }
        let entry: Entry<'static> =
            postcard::from_bytes(payload).map_err(|_| self.damage(offset, "is of no kind that this host knows"))?;
        self.offset += FRAME_HEAD_BYTES + len_bytes;
        self.record += 1;
        self.count(&entry);
        Ok(Some(entry))
    }

    fn count(&mut self, entry: &Entry<'_>) {
        match entry {
            Entry::Step { step, .. } | Entry::Failed { during: During::Step(step), .. } => {
                self.last_tick = Some(step.tick)
            }
            Entry::Quiet { steps } => {
                let first = self.last_tick.map_or(0, |tick| tick.saturating_add(1));
                self.last_tick = Some(first.saturating_add(u64::from(*steps)).saturating_sub(1));
            }
            Entry::Snapshot { kept, .. } => self.last_tick = kept.next_tick.checked_sub(1),
            _ => {}
        }
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Entry<'static>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let taken = self.take().transpose();
        self.over = !matches!(taken, Some(Ok(_)));
        taken
    }
}
