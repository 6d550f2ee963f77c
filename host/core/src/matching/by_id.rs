//! Tables by ids that the host has drawn or counted itself.
//!
//! Invariant: no user chooses a key, so none can choose keys that collide, and a quick hash will do. It is the same in
//! every run, so a table is gone through in the same order wherever the same was done to it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by the lobby's numbers, users or matches.
pub(super) type ById<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// The finalizer of SplitMix64 (S. Vigna, 2015, after D. Stafford's "Better Bit Mixing", 2011).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        let mut mixed = self.0 ^ id;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
