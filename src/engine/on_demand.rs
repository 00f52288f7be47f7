//! An array beside the slots that exists once it is needed.

use super::sync::{AtomicBool, AtomicPtr, Ordering, yield_now};
use super::zeroed::{Zeroable, Zeroed};
use std::ptr;

/// At most one array, made by whoever needs it first.
pub(super) struct OnDemand<T> {
    len: usize,
    array: AtomicPtr<Zeroed<T>>,
    /// Taken by the one call that may allocate: two would exceed the memory bound.
    allocating: AtomicBool,
}

/// How often a call gives its time slice away while another allocates.
const PATIENCE: usize = 1000;

impl<T: Zeroable> OnDemand<T> {
    /// For `len` elements. Allocates nothing yet.
    pub(super) fn new(len: usize) -> Self {
        Self { len, array: AtomicPtr::new(ptr::null_mut()), allocating: AtomicBool::new(false) }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&[T]> {
        // Acquire (O-9): pairs with the store in `get_or_new`; the array is initialised.
        let array = self.array.load(Ordering::Acquire);
        // SAFETY: null or from `Box::into_raw`, freed only by `drop`.
        unsafe { array.as_ref() }.map(|array| &**array)
    }

    /// Makes the array if there is none. `None` if there is no memory for it, or if another thread
    /// that is just allocating it takes too long.
    #[cold]
    pub(super) fn get_or_new(&self) -> Option<&[T]> {
        for _ in 0..PATIENCE {
            if let Some(array) = self.get() {
                return Some(array);
            }
            // Acquire (O-9): pairs with the stores below; an array that is there by now is seen.
            if self.allocating.swap(true, Ordering::Acquire) {
                yield_now();
                continue;
            }
            if self.get().is_none() {
                match Zeroed::new(self.len) {
                    // Release (O-9): pairs with the load in `get`.
                    Some(array) => {
                        self.array.store(Box::into_raw(Box::new(array)), Ordering::Release)
                    }
                    None => {
                        // Release (O-9). Another call may have better luck.
                        self.allocating.store(false, Ordering::Release);
                        return None;
                    }
                }
            }
            // Release (O-9): pairs with the swap.
            self.allocating.store(false, Ordering::Release);
        }
        None
    }

    /// Bytes of the array, if there is one.
    pub(super) fn bytes(&self) -> usize {
        if self.array.load(Ordering::Relaxed).is_null() {
            return 0;
        }
        size_of::<Zeroed<T>>() + Zeroed::<T>::bytes(self.len).unwrap_or(usize::MAX)
    }
}

impl<T> Drop for OnDemand<T> {
    fn drop(&mut self) {
        let array = self.array.load(Ordering::Relaxed);
        if !array.is_null() {
            // SAFETY: from `Box::into_raw`, and nobody else has `self`.
            drop(unsafe { Box::from_raw(array) });
        }
    }
}
