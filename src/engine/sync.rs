//! The atomics of the engine: the standard library's, or loom's in a model.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

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
