//! A cell for what stands beside the engine's protocol: a clock's hand, a sink's state.
//! crossbeam has none under loom, and no model uses these.

#[cfg(not(loom))]
pub(crate) use crossbeam_utils::atomic::AtomicCell;

#[cfg(loom)]
#[derive(Debug)]
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
}

#[cfg(loom)]
impl<T: Default> Default for AtomicCell<T> {
    fn default() -> Self {
        Self(std::sync::Mutex::new(T::default()))
    }
}
