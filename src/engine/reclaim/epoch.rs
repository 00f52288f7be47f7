//! The default backend: epochs, by `crossbeam-epoch`.

use super::backend::Backend;
use super::{Grace, Reclaim};
use crate::engine::sync::Ordering;
#[cfg(loom)]
use crossbeam_epoch::Collector;
use crossbeam_epoch::Guard;
use std::fmt;
use std::sync::Arc;

/// Epoch-based reclamation, by `crossbeam-epoch`, on a collector of the crate's own.
pub struct Epoch {
    /// loom forgets all between two executions: each model has its own.
    #[cfg(loom)]
    collector: Collector,
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Epoch")
    }
}

#[cfg(not(loom))]
mod local {
    use crossbeam_epoch::{Collector, Guard, LocalHandle};
    use std::cell::UnsafeCell;
    use std::mem::ManuallyDrop;
    use std::sync::OnceLock;

    pub(super) fn collector() -> &'static Collector {
        static COLLECTOR: OnceLock<Collector> = OnceLock::new();
        COLLECTOR.get_or_init(Collector::new)
    }

    thread_local! {
        // Without a destructor, and so without the check of it that every access would make.
        static HANDLE: UnsafeCell<Option<ManuallyDrop<LocalHandle>>> = const { UnsafeCell::new(None) };
        static RETURN: Return = const { Return };
    }

    /// Gives the handle back when the thread ends.
    struct Return;

    impl Drop for Return {
        fn drop(&mut self) {
            // SAFETY: nothing of `pin_known` or `register` is on this thread's stack: they run no
            // code but the collector's and closures of `after_grace`.
            let handle = HANDLE.with(|handle| unsafe { (*handle.get()).take() });
            drop(handle.map(ManuallyDrop::into_inner));
        }
    }

    #[inline]
    pub(super) fn pin_known() -> Option<Guard> {
        HANDLE.with(|handle| {
            // SAFETY: this thread's alone; `register` and `Return`, who write, do not run while it
            // pins: a pin runs no code but the collector's and closures of `after_grace`.
            let handle = unsafe { &*handle.get() };
            handle.as_ref().map(|handle| handle.pin())
        })
    }

    #[cold]
    pub(super) fn register() -> Guard {
        let handle = collector().register();
        let guard = handle.pin();
        // While a thread's locals are being destroyed, a handle for this one call.
        if RETURN.try_with(|_| ()).is_ok() {
            // SAFETY: as in `pin_known`, whose reference is gone. What is overwritten is `None`.
            HANDLE.with(|cell| unsafe { *cell.get() = Some(ManuallyDrop::new(handle)) });
        }
        guard
    }
}

impl Backend for Epoch {
    type Guard<'a> = Guard;

    // Acquire (O-1): pairs with the Release of the exchange in `rotate`.
    const LOAD: Ordering = Ordering::Acquire;

    fn new() -> Self {
        Self {
            #[cfg(loom)]
            collector: Collector::new(),
        }
    }

    #[cfg(not(loom))]
    #[inline]
    fn pin_known(&self) -> Option<Guard> {
        local::pin_known()
    }

    fn pin(&self) -> Guard {
        #[cfg(not(loom))]
        return local::pin_known().unwrap_or_else(local::register);
        #[cfg(loom)]
        return self.collector.register().pin();
    }

    fn after_grace(&self, guard: &Guard, grace: &Arc<Grace>, generation: u64) {
        let grace = Arc::clone(grace);
        guard.defer(move || grace.pass(generation));
        // Out of this thread's own bag, lest the thread pauses with it.
        guard.flush();
    }

    fn help(&self, guard: &Guard) {
        guard.flush();
    }
}

impl Reclaim for Epoch {}
