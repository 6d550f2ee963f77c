//! The part of a journal that is needed to go on.

use std::borrow::Cow;

use super::{Entry, Header, Reader, Unreadable};

/// A journal that goes on from the last whole state that this one has, for who does not want to replay all of it; and how
/// many bytes of this one count, up to its last whole record. Without a state it is the whole journal.
///
/// # Errors
///
/// When the journal cannot be read to its end.
pub fn tail(journal: &[u8]) -> Result<(Cow<'_, [u8]>, usize), Unreadable> {
    let (mut header, mut reader) = Reader::new(journal)?;
    // The version before the one that has not made a step yet.
    let mut before: Option<Header> = None;
    let mut last: Option<(Header, usize)> = None;
    loop {
        let begins = reader.offset();
        let Some(entry) = reader.next().transpose()? else { break };
        match entry {
            Entry::Swapped { digest, limits } => {
                before.get_or_insert_with(|| header.clone());
                (header.digest, header.limits) = (digest, limits);
            }
            Entry::SwappedBack { .. } => {
                if let Some(older) = before.take() {
                    header = older;
                }
            }
            Entry::Step { .. } | Entry::Quiet { .. } => before = None,
            Entry::Snapshot { .. } => last = Some((header.clone(), begins)),
            _ => {}
        }
    }
    let bytes = reader.offset();
    let Some((header, begins)) = last else { return Ok((Cow::Borrowed(&journal[..bytes]), bytes)) };
    let mut tail = super::entry::MAGIC.to_vec();
    Entry::Begin(Cow::Owned(header)).write(&mut tail);
    tail.extend(&journal[begins..bytes]);
    Ok((Cow::Owned(tail), bytes))
}
