//! Asking the processor for memory ahead of its use.
//!
//! With thousands of scenes each one's data has left the caches when its next step is due, and a step is mostly waiting
//! for it, line after line. Asked for ahead, the lines come while another scene is stepped.

const LINE_BYTES: usize = 64;

/// Asks for the cache lines of a value, and of `before` bytes in front of it and `after` behind it. Those need not
/// belong to anything: asking reads nothing and cannot fail.
#[inline]
pub fn prefetch<T>(value: &T, before: usize, after: usize) {
    let value: *const u8 = std::ptr::from_ref(value).cast();
    let start = value.wrapping_sub(before);
    for line in 0..(before + size_of::<T>() + after).div_ceil(LINE_BYTES) {
        prefetch_line(start.wrapping_add(line * LINE_BYTES));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint; the processor ignores it for an address that is not mapped. SSE is part of x86_64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_line(_address: *const u8) {}
