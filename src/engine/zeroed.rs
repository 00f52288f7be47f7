//! Arrays that begin as zeroed pages.

#[cfg(not(loom))]
pub(super) use real::Zeroed;

#[cfg(loom)]
pub(super) use model::Zeroed;

use super::sync::{AtomicPtr, AtomicU16, AtomicU64};

/// Types for which all-zero bytes are a valid value and that need no drop.
///
/// # Safety
/// Both must be true of the implementing type.
pub(super) unsafe trait Zeroable: Default {}
// SAFETY: an atomic has the layout of its integer or pointer, for which zero is valid.
unsafe impl Zeroable for AtomicU16 {}
// SAFETY: as above.
unsafe impl Zeroable for AtomicU64 {}
// SAFETY: as above; zero is the null pointer, and dropping an `AtomicPtr` does nothing.
unsafe impl<T> Zeroable for AtomicPtr<T> {}

#[cfg(not(loom))]
mod real {
    use super::Zeroable;
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ops::Deref;
    use std::ptr::NonNull;

    /// A slice on a cache line's border, from the allocator's zeroed memory.
    ///
    /// The line's border is found by hand: an aligned `alloc_zeroed` would fall
    /// back to writing zeros, and so touch every page.
    pub(crate) struct Zeroed<T> {
        /// Invariant: allocated with `layout`; `first` and `len` elements after
        /// it lie inside and stay initialised.
        base: NonNull<u8>,
        layout: Layout,
        first: NonNull<T>,
        len: usize,
    }

    // SAFETY: owns its elements, like a boxed slice.
    unsafe impl<T: Send> Send for Zeroed<T> {}
    // SAFETY: shares its elements only as `&[T]`.
    unsafe impl<T: Sync> Sync for Zeroed<T> {}

    /// Two cache lines, which some processors fetch together.
    const LINE: usize = 128;

    impl<T: Zeroable> Zeroed<T> {
        /// `None` if the allocator refuses or the size overflows.
        pub(crate) fn new(len: usize) -> Option<Self> {
            const { assert!(align_of::<T>() <= LINE && size_of::<T>() != 0) };
            let layout = Layout::from_size_align(Self::bytes(len)?, 16).ok()?;
            // SAFETY: the size is not zero, it includes the slack of a line.
            let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
            let pad = base.as_ptr().align_offset(LINE);
            // SAFETY: `pad` is less than a line, and the allocation has a line of slack.
            let first = unsafe { base.add(pad) }.cast::<T>();
            Some(Self { base, layout, first, len })
        }

        /// Bytes that `len` elements take from the allocator.
        pub(crate) fn bytes(len: usize) -> Option<usize> {
            len.checked_mul(size_of::<T>())?.checked_add(LINE)
        }
    }

    impl<T> Deref for Zeroed<T> {
        type Target = [T];

        #[inline]
        fn deref(&self) -> &[T] {
            // SAFETY: the invariant of the fields; zeroed bytes are valid (`Zeroable`).
            unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
        }
    }

    impl<T> Drop for Zeroed<T> {
        fn drop(&mut self) {
            // SAFETY: allocated with this layout; `Zeroable` types need no drop.
            unsafe { dealloc(self.base.as_ptr(), self.layout) };
        }
    }

    #[cfg(test)]
    mod tests {
        use super::super::super::sync::{AtomicU64, Ordering};
        use super::*;

        #[test]
        fn is_aligned_zeroed_and_whole() {
            for len in [1, 3, 64, 1000] {
                let words = Zeroed::<AtomicU64>::new(len).unwrap();
                assert_eq!(words.len(), len);
                assert_eq!(words.as_ptr() as usize % LINE, 0);
                for word in &*words {
                    assert_eq!(word.swap(u64::MAX, Ordering::Relaxed), 0);
                }
            }
        }

        #[test]
        fn absurd_sizes_are_refused() {
            assert!(Zeroed::<AtomicU64>::new(usize::MAX).is_none());
            assert!(Zeroed::<AtomicU64>::new(usize::MAX / 8 - 1).is_none());
            assert!(Zeroed::<AtomicU64>::new(isize::MAX as usize / 8).is_none());
        }
    }
}

#[cfg(loom)]
mod model {
    use super::Zeroable;
    use std::ops::Deref;

    /// loom's atomics are no plain memory: made one by one.
    pub(crate) struct Zeroed<T>(Box<[T]>);

    impl<T: Zeroable> Zeroed<T> {
        pub(crate) fn new(len: usize) -> Option<Self> {
            Some(Self((0..len).map(|_| T::default()).collect()))
        }

        pub(crate) fn bytes(len: usize) -> Option<usize> {
            len.checked_mul(size_of::<T>())
        }
    }

    impl<T> Deref for Zeroed<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.0
        }
    }
}
