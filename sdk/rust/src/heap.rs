//! The guest's allocator, made for many small scenes: a scene touches no page before it needs it,
//! and a step's few short-lived blocks cost a handful of instructions each.
//!
//! Blocks come from lists of free ones, one list for each size class, else from the untouched end of
//! memory. Invariant: a free block of a class is at least as long as the class says, aligned to
//! `ALIGN`, and on one list only. Blocks are never joined, so memory that one class has given back
//! serves that class only; classes are a quarter apart, which bounds what is lost to rounding.

use std::alloc::Layout;
use std::ptr::{self, NonNull};

/// Every block is aligned so; larger alignments are cut out of larger blocks.
const ALIGN: usize = 16;

/// Up to here each multiple of `ALIGN` is a class; above, four steps to each doubling.
const LINEAR_MAX: usize = 64;

/// Enough for 2 GiB, more than the largest block of 32 bits.
const CLASSES: usize = 4 + 4 * 25;

/// The lists of free blocks, and the memory that was never used.
pub struct Heap {
    free: [*mut Free; CLASSES],
    unused: *mut u8,
    unused_end: *mut u8,
}

/// A free block; what lies behind the link is not touched.
struct Free {
    next: *mut Free,
}

/// Where more memory comes from: given the bytes wanted and whether it is the first time, the start
/// and the end of memory that is zero. If it starts where the last one ended, the two are one.
pub type Grow = fn(usize, bool) -> Option<(*mut u8, *mut u8)>;

impl Heap {
    /// Knows no memory yet.
    pub const fn empty() -> Heap {
        Heap { free: [ptr::null_mut(); CLASSES], unused: ptr::null_mut(), unused_end: ptr::null_mut() }
    }

    /// A block for a layout. `true`: it was never used, so it is zero. Not inlined, or every place
    /// that allocates would carry a copy.
    #[inline(never)]
    pub fn allocate(&mut self, layout: Layout, grow: Grow) -> Option<(NonNull<u8>, bool)> {
        if layout.align() <= ALIGN {
            return self.allocate_class(class_of(layout.size())?, grow);
        }
        let (class, align) = (class_of(layout.size())?, layout.align());
        let roomy = class_of(class_bytes(class).checked_add(align)?)?;
        let (block, is_zero) = self.allocate_class(roomy, grow)?;
        let offset = block.align_offset(align);
        // SAFETY: the block has room for the class after any offset below `align`.
        Some((unsafe { block.add(offset) }, is_zero))
    }

    /// Takes back a block of this layout.
    ///
    /// # Safety
    ///
    /// The block came from `allocate` with this layout and is not used any more.
    #[inline(never)]
    pub unsafe fn free(&mut self, block: NonNull<u8>, layout: Layout) {
        let Some(class) = class_of(layout.size()) else {
            return;
        };
        let block = block.cast::<Free>().as_ptr();
        // SAFETY: the caller gives the block up, and every block has room for a link.
        unsafe { block.write(Free { next: self.free[class] }) };
        self.free[class] = block;
    }

    fn allocate_class(&mut self, class: usize, grow: Grow) -> Option<(NonNull<u8>, bool)> {
        if let Some(block) = NonNull::new(self.free[class]) {
            // SAFETY: blocks on the list are free and hold a link.
            self.free[class] = unsafe { block.read() }.next;
            return Some((block.cast(), false));
        }
        let bytes = class_bytes(class);
        if bytes > self.unused_end.addr() - self.unused.addr() {
            let (start, end) = grow(bytes + ALIGN, self.unused_end.is_null())?;
            if start != self.unused_end {
                let offset = start.align_offset(ALIGN);
                self.unused = start.wrapping_add(offset);
            }
            self.unused_end = end;
            if bytes > self.unused_end.addr().checked_sub(self.unused.addr())? {
                return None;
            }
        }
        let block = NonNull::new(self.unused)?;
        self.unused = self.unused.wrapping_add(bytes);
        Some((block, true))
    }
}

/// Whether a block of one size can stay where it is with another size.
pub fn fits_in_place(size: usize, new_size: usize) -> bool {
    class_of(size) == class_of(new_size)
}

/// The smallest class with room for so many bytes.
fn class_of(size: usize) -> Option<usize> {
    if size <= LINEAR_MAX {
        return Some(size.saturating_sub(1) / ALIGN);
    }
    // 65..=80 is the first of the quarters above 64.
    let doubling = (size - 1).ilog2() - LINEAR_MAX.ilog2();
    let quarter = (size - 1) >> (doubling + LINEAR_MAX.ilog2() - 2) & 3;
    let class = 4 + 4 * doubling as usize + quarter;
    (class < CLASSES).then_some(class)
}

/// How long the blocks of a class are.
fn class_bytes(class: usize) -> usize {
    match class {
        0..4 => (class + 1) * ALIGN,
        _ => (LINEAR_MAX / 4 * (class % 4 + 5)) << ((class - 4) / 4),
    }
}

#[cfg(target_arch = "wasm32")]
pub use wasm::SceneAllocator;

#[cfg(target_arch = "wasm32")]
mod wasm {
    use std::alloc::{GlobalAlloc, Layout};
    use std::arch::wasm32;
    use std::cell::UnsafeCell;
    use std::ptr::{self, NonNull};

    use super::{Heap, fits_in_place};

    const PAGE_BYTES: usize = 64 * 1024;

    /// The heap as the global allocator of a scene.
    pub struct SceneAllocator(UnsafeCell<Heap>);

    // SAFETY: a scene has one thread.
    unsafe impl Sync for SceneAllocator {}

    impl SceneAllocator {
        /// Knows no memory yet.
        #[allow(clippy::new_without_default)]
        pub const fn new() -> SceneAllocator {
            SceneAllocator(UnsafeCell::new(Heap::empty()))
        }

        #[allow(clippy::mut_from_ref)]
        fn heap(&self) -> &mut Heap {
            // SAFETY: one thread, and no method of the heap calls back.
            unsafe { &mut *self.0.get() }
        }
    }

    // SAFETY: blocks are as long and aligned as the layout says, and nobody else's until freed.
    unsafe impl GlobalAlloc for SceneAllocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            match self.heap().allocate(layout, grow) {
                Some((block, _)) => block.as_ptr(),
                None => ptr::null_mut(),
            }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            match self.heap().allocate(layout, grow) {
                Some((block, true)) => block.as_ptr(),
                Some((block, false)) => {
                    // SAFETY: the block is ours and has the layout's size.
                    unsafe { block.write_bytes(0, layout.size()) };
                    block.as_ptr()
                }
                None => ptr::null_mut(),
            }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            if let Some(block) = NonNull::new(block) {
                // SAFETY: the same promise.
                unsafe { self.heap().free(block, layout) };
            }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            if fits_in_place(layout.size(), new_size) {
                return block;
            }
            // SAFETY: the caller promises a size that does not overflow, and gives the block up.
            unsafe {
                let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
                if !new.is_null() {
                    ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
                    self.dealloc(block, layout);
                }
                new
            }
        }
    }

    /// First what is left of the memory that the module starts with, then more pages.
    fn grow(bytes: usize, is_first: bool) -> Option<(*mut u8, *mut u8)> {
        unsafe extern "C" {
            static mut __heap_base: u8;
        }

        let heap_base = &raw mut __heap_base;
        let end = ptr::without_provenance_mut::<u8>(wasm32::memory_size(0) * PAGE_BYTES);
        if is_first && end.addr() - heap_base.addr() >= bytes {
            return Some((heap_base, end));
        }
        let pages = bytes.div_ceil(PAGE_BYTES);
        let page = wasm32::memory_grow(0, pages);
        if page == usize::MAX {
            return None;
        }
        let start = if is_first { heap_base } else { end };
        let end = ptr::without_provenance_mut((page + pages) * PAGE_BYTES);
        Some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::HashMap;

    use rand::RngExt;
    use rand_chacha::rand_core::SeedableRng;

    use crate::Random;

    #[test]
    fn a_class_has_room_for_its_sizes_and_wastes_at_most_a_quarter() {
        let mut class_before = 0;
        for size in 1..100_000 {
            let class = class_of(size).unwrap();
            let bytes = class_bytes(class);
            assert!(bytes >= size && bytes.is_multiple_of(ALIGN), "{size} in {bytes}");
            assert!(size <= LINEAR_MAX || bytes - size < size / 4, "{size} in {bytes}");
            assert!(class == class_before || class == class_before + 1);
            assert_eq!(class_of(bytes), Some(class));
            class_before = class;
        }
        assert_eq!(class_of(1 << 31).map(class_bytes), Some(1 << 31));
        assert_eq!(class_of((1 << 31) + 1), None);
        assert!(fits_in_place(65, 80) && !fits_in_place(80, 81));
    }

    /// Pieces of memory as a growing module gives them: the first odd, the rest one after another.
    fn grow(bytes: usize, _: bool) -> Option<(*mut u8, *mut u8)> {
        let len = bytes.next_multiple_of(64 * 1024) + ALIGN;
        let memory = Box::leak(vec![0_u8; len].into_boxed_slice());
        let range = memory.as_mut_ptr_range();
        Some((range.start.wrapping_add(7), range.end))
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let mut heap = Heap::empty();
        let mut random = Random::seed_from_u64(7);
        let mut live: HashMap<usize, (Layout, u8)> = HashMap::new();
        for round in 0..20_000_u32 {
            if live.len() < 200 && random.random_bool(0.55) {
                let (size_log, align_log) = (random.random_range(0..13), random.random_range(0..9));
                let size = random.random_range(1..=1_usize << size_log);
                let layout = Layout::from_size_align(size, 1 << align_log).unwrap();
                let (block, is_zero) = heap.allocate(layout, grow).unwrap();
                assert_eq!(block.addr().get() % layout.align(), 0);
                let bytes = unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), size) };
                assert!(!is_zero || bytes.iter().all(|&byte| byte == 0));
                bytes.fill(round as u8);
                assert!(live.insert(block.as_ptr().expose_provenance(), (layout, round as u8)).is_none());
            } else if let Some(&address) = live.keys().min_by_key(|&&address| address.wrapping_mul(round as usize)) {
                let (layout, mark) = live.remove(&address).unwrap();
                let block = NonNull::new(std::ptr::with_exposed_provenance_mut::<u8>(address)).unwrap();
                let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), layout.size()) };
                assert!(bytes.iter().all(|&byte| byte == mark), "somebody else wrote here");
                unsafe { heap.free(block, layout) };
            }
        }
    }

    #[test]
    fn a_block_that_was_given_back_is_used_again() {
        let mut heap = Heap::empty();
        let layout = Layout::from_size_align(100, 8).unwrap();
        let (first, _) = heap.allocate(layout, grow).unwrap();
        unsafe { heap.free(first, layout) };
        let (second, is_zero) = heap.allocate(layout, |_, _| None).unwrap();
        assert_eq!((first, is_zero), (second, false));
    }

    #[test]
    fn no_memory_is_no_block() {
        let layout = Layout::from_size_align(100, 8).unwrap();
        assert!(Heap::empty().allocate(layout, |_, _| None).is_none());
    }
}
