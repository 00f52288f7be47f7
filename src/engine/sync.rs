//! The atomics of the engine: the standard library's, or loom's in a model.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

#[cfg(loom)]
pub(crate) use loom::thread::yield_now;
#[cfg(not(loom))]
pub(crate) use std::thread::yield_now;

/// Publishes a claim: all publications and all [`look`]s of the neighbourhood have one order, so
/// that of two that publish at least one sees the other (O-2).
///
/// loom takes SeqCst accesses for AcqRel ones: there the fence of [`begin_looks`] does it.
#[inline]
pub(crate) fn publish(word: &AtomicU64, value: u64) {
    word.swap(value, Ordering::SeqCst);
}

/// Comes before a round of [`look`]s: what an earlier round has seen comes before them all.
#[inline]
pub(crate) fn begin_looks() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// Reads a state that others may be publishing; see [`publish`].
#[inline]
pub(crate) fn look(word: &AtomicU64) -> u64 {
    word.load(Ordering::SeqCst)
}

/// Stands for memory that is no atomic: in a model, who writes or frees it must be ordered with all
/// others who use it.
#[derive(Default)]
pub(crate) struct Watched {
    #[cfg(loom)]
    cell: loom::cell::UnsafeCell<()>,
}

impl Watched {
    /// The memory is read.
    #[inline(always)]
    pub(crate) fn read(&self) {
        #[cfg(loom)]
        self.cell.with(|_| ());
    }

    /// The memory is written, or freed.
    #[inline(always)]
    pub(crate) fn write(&self) {
        #[cfg(loom)]
        self.cell.with_mut(|_| ());
    }
}
