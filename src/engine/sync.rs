//! The atomics of the engine: the standard library's, or loom's in a model.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16, AtomicU64, AtomicUsize, Ordering, fence};

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

/// Stands for memory that is freed while others may read it: in a model, reads and the end must be
/// ordered.
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

    /// The memory is freed.
    #[inline(always)]
    pub(crate) fn end(&self) {
        #[cfg(loom)]
        self.cell.with_mut(|_| ());
    }
}

/// For what stands beside the protocol: a clock's hand, a sink's state. crossbeam has
/// no cell under loom, and no model uses these.
#[cfg(not(loom))]
pub(crate) use crossbeam_utils::atomic::AtomicCell;

#[cfg(loom)]
pub(crate) struct AtomicCell<T>(std::sync::Mutex<T>);

#[cfg(loom)]
impl<T: Copy + Eq> AtomicCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn load(&self) -> T {
        *self.0.lock().unwrap()
    }

    pub(crate) fn store(&self, value: T) {
        *self.0.lock().unwrap() = value;
    }

    pub(crate) fn compare_exchange(&self, from: T, to: T) -> Result<T, T> {
        let mut value = self.0.lock().unwrap();
        if *value != from {
            return Err(*value);
        }
        Ok(std::mem::replace(&mut value, to))
    }
}

#[cfg(loom)]
impl AtomicCell<u64> {
    pub(crate) fn fetch_add(&self, n: u64) -> u64 {
        let mut value = self.0.lock().unwrap();
        let sum = *value + n;
        std::mem::replace(&mut value, sum)
    }

    pub(crate) fn fetch_sub(&self, n: u64) -> u64 {
        let mut value = self.0.lock().unwrap();
        let rest = *value - n;
        std::mem::replace(&mut value, rest)
    }
}

#[cfg(loom)]
impl<T: Default> Default for AtomicCell<T> {
    fn default() -> Self {
        Self(std::sync::Mutex::new(T::default()))
    }
}
