//! Exemplars beside the slots, in an array that exists once one is kept.

use super::fault::{Faults, broken};
use super::sync::{AtomicBool, AtomicPtr, Ordering};
use super::zeroed::Zeroed;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

/// For each slot of each table at most one exemplar, written once a generation.
pub(super) struct Exemplars<X> {
    slots: usize,
    cells: AtomicPtr<Zeroed<AtomicPtr<X>>>,
    /// Taken by the one call that may allocate: two would exceed the bound.
    allocating: AtomicBool,
    owns: PhantomData<Arc<X>>,
}

impl<X> Exemplars<X> {
    /// For `slots` slots in all tables together. Allocates nothing yet.
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, cells: AtomicPtr::new(ptr::null_mut()), allocating: AtomicBool::new(false), owns: PhantomData }
    }

    fn cells(&self) -> Option<&[AtomicPtr<X>]> {
        // Acquire (O-10): pairs with the store in `cells_or_new`; the array is initialised.
        let cells = self.cells.load(Ordering::Acquire);
        // SAFETY: null or from `Box::into_raw`, freed only by `drop`.
        unsafe { cells.as_ref() }.map(|cells| &**cells)
    }

    /// `None` if another thread is just allocating the array, or could not.
    fn cells_or_new(&self) -> Option<&[AtomicPtr<X>]> {
        if self.cells().is_none() {
            // Relaxed: only who wins this goes on.
            if self.allocating.swap(true, Ordering::Relaxed) {
                return None;
            }
            let Some(cells) = Zeroed::new(self.slots) else {
                // Another call may have better luck.
                self.allocating.store(false, Ordering::Relaxed);
                return None;
            };
            // Release (O-10): pairs with the load in `cells`.
            self.cells.store(Box::into_raw(Box::new(cells)), Ordering::Release);
        }
        self.cells()
    }

    pub(super) fn is_empty(&self, slot: usize) -> bool {
        self.cells().is_none_or(|cells| cells[slot].load(Ordering::Relaxed).is_null())
    }

    /// Keeps `exemplar` for a slot that has none.
    pub(super) fn put(&self, slot: usize, exemplar: Arc<X>) {
        let Some(cells) = self.cells_or_new() else { return };
        let raw = Arc::into_raw(exemplar).cast_mut();
        // Release (O-11): pairs with the loads in `get` and `share`; the exemplar's contents are
        // visible.
        let put = cells[slot].compare_exchange(ptr::null_mut(), raw, Ordering::Release, Ordering::Relaxed);
        if put.is_err() {
            // SAFETY: from `into_raw` above, and nobody else has seen it.
            drop(unsafe { Arc::from_raw(raw) });
        }
    }

    /// A share of a slot's exemplar. The slot's table must not be cleared
    /// meanwhile: the caller is pinned or visits it.
    pub(super) fn get(&self, slot: usize, faults: Faults) -> Option<Arc<X>> {
        // Acquire (O-11): pairs with `put`.
        let raw = self.cells()?[slot].load(Ordering::Acquire);
        if raw.is_null() {
            return None;
        }
        if !broken!(faults, ShareExemplarUncounted) {
            // SAFETY: the slot owns a share, which nobody takes while its table is not cleared.
            unsafe { Arc::increment_strong_count(raw) };
        }
        // SAFETY: the share just added is the caller's.
        Some(unsafe { Arc::from_raw(raw) })
    }

    /// Takes a slot's exemplar out. The caller clears the slot's table, alone.
    pub(super) fn take(&self, slot: usize) -> Option<Arc<X>> {
        let cell = &self.cells()?[slot];
        // Acquire (O-11): pairs with `put`. (The grace period has passed, which would do.)
        let raw = cell.load(Ordering::Acquire);
        if raw.is_null() {
            return None;
        }
        cell.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the slot owned this share, and no longer does.
        Some(unsafe { Arc::from_raw(raw) })
    }

    /// Bytes of the array, if there is one.
    pub(super) fn bytes(&self) -> usize {
        self.cells().map_or(0, |_| {
            size_of::<Zeroed<AtomicPtr<X>>>() + Zeroed::<AtomicPtr<X>>::bytes(self.slots).unwrap_or(usize::MAX)
        })
    }
}

impl<X> Drop for Exemplars<X> {
    fn drop(&mut self) {
        if self.cells().is_some() {
            for slot in 0..self.slots {
                drop(self.take(slot));
            }
            let cells = self.cells.load(Ordering::Relaxed);
            // SAFETY: from `Box::into_raw`, and nobody else has `self`.
            drop(unsafe { Box::from_raw(cells) });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_dropped_once() {
        let one = Arc::new(1);
        let exemplars = Exemplars::new(4);
        assert_eq!(exemplars.bytes(), 0);
        assert!(exemplars.is_empty(2) && exemplars.get(2, Faults::default()).is_none());
        exemplars.put(2, Arc::clone(&one));
        exemplars.put(2, Arc::new(2));
        assert!(!exemplars.is_empty(2) && exemplars.bytes() >= 32);
        let share = exemplars.get(2, Faults::default()).unwrap();
        assert!(Arc::ptr_eq(&share, &one), "the first stays");
        exemplars.put(3, share);
        assert_eq!(Arc::strong_count(&one), 3);
        assert_eq!(exemplars.take(2).as_deref(), Some(&1));
        assert!(exemplars.is_empty(2) && exemplars.take(2).is_none());
        assert_eq!(Arc::strong_count(&one), 2);
        drop(exemplars);
        assert_eq!(Arc::strong_count(&one), 1);
    }
}
