//! A table of rows that grows without moving those that are there, so that no step pays for a larger one at once.
//!
//! Invariant: rows are in chunks of [`CHUNK`], all of the same length; a row that was added stays where it is.

/// How many rows are allocated at once.
pub(super) const CHUNK: usize = 1_024;

/// Rows of the same width, which may be 0.
#[derive(Debug, Clone)]
pub(super) struct Rows<T> {
    chunks: Vec<Box<[T]>>,
    width: usize,
    len: usize,
}

impl<T: Clone> Rows<T> {
    pub fn new(width: usize) -> Self {
        Self { chunks: Vec::new(), width, len: 0 }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a row, with this in all of its places.
    pub fn push(&mut self, all: T) {
        if self.len == self.chunks.len() * CHUNK {
            self.chunks.push(vec![all.clone(); CHUNK * self.width].into());
        }
        self.len += 1;
        self.row_mut(self.len as u32 - 1).fill(all);
    }

    /// The row of a number below [`Self::len`].
    pub fn row(&self, at: u32) -> &[T] {
        let (chunk, row) = (at as usize / CHUNK, at as usize % CHUNK);
        &self.chunks[chunk][row * self.width..][..self.width]
    }

    pub fn row_mut(&mut self, at: u32) -> &mut [T] {
        let (chunk, row) = (at as usize / CHUNK, at as usize % CHUNK);
        &mut self.chunks[chunk][row * self.width..][..self.width]
    }

    /// Takes the last chunk out, with what is in its rows.
    pub fn pop_chunk(&mut self) -> Option<Vec<T>> {
        let mut chunk = self.chunks.pop()?.into_vec();
        let before = self.chunks.len() * CHUNK;
        chunk.truncate((self.len - before) * self.width);
        self.len = before;
        Some(chunk)
    }

    /// How many bytes it takes, by what is allocated.
    pub fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * self.width * size_of::<T>() + self.chunks.capacity() * size_of::<Box<[T]>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_what_they_are_while_the_table_grows_and_come_out_by_chunks() {
        let count = 2 * CHUNK as u32 + 7;
        let mut rows = Rows::new(3);
        for at in 0..count {
            rows.push(0);
            rows.row_mut(at).copy_from_slice(&[at, at + 1, at + 2]);
        }
        assert_eq!(rows.len(), count as usize);
        assert!((0..count).all(|at| *rows.row(at) == [at, at + 1, at + 2]));
        let sizes: Vec<usize> = std::iter::from_fn(|| rows.pop_chunk()).map(|chunk| chunk.len() / 3).collect();
        assert_eq!((sizes, rows.len()), (vec![7, CHUNK, CHUNK], 0));
    }

    #[test]
    fn rows_of_no_width_take_no_memory_but_are_there() {
        let mut rows = Rows::<u64>::new(0);
        (0..10).for_each(|_| rows.push(1));
        assert_eq!((rows.len(), rows.row(9), rows.bytes() < 100), (10, [].as_slice(), true));
        assert_eq!((rows.pop_chunk(), rows.pop_chunk(), rows.len()), (Some(Vec::new()), None, 0));
    }
}
