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
    use std::sync::OnceLock;

    pub(super) fn collector() -> &'static Collector {
        static COLLECTOR: OnceLock<Collector> = OnceLock::new();
        COLLECTOR.get_or_init(Collector::new)
    }

    thread_local! {
        static HANDLE: LocalHandle = collector().register();
    }

    #[inline]
    pub(super) fn pin() -> Guard {
        // While a thread's locals are being destroyed, a handle for this one call.
        HANDLE.try_with(LocalHandle::pin).unwrap_or_else(|_| collector().register().pin())
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

    #[inline]
    fn pin(&self) -> Guard {
        #[cfg(not(loom))]
        return local::pin();
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
