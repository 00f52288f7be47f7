//! The default backend: epochs, by `crossbeam-epoch`.

use crate::engine::sync::Ordering;
use crossbeam_epoch::Shared;
use std::marker::PhantomData;

pub(crate) struct Reclaimer {
    /// loom forgets all between two executions: each model has its own.
    #[cfg(loom)]
    collector: crossbeam_epoch::Collector,
}

/// A pin.
pub(crate) struct Guard<'a> {
    guard: crossbeam_epoch::Guard,
    of: PhantomData<&'a Reclaimer>,
}

#[cfg(not(loom))]
mod local {
    use crossbeam_epoch::{Collector, Guard, LocalHandle};
    use std::sync::OnceLock;

    static COLLECTOR: OnceLock<Collector> = OnceLock::new();

    thread_local! {
        static HANDLE: LocalHandle = COLLECTOR.get_or_init(Collector::new).register();
    }

    /// Pins; on a thread whose locals are gone, with a handle for this one guard.
    pub(super) fn pin() -> Guard {
        HANDLE
            .try_with(LocalHandle::pin)
            .unwrap_or_else(|_| COLLECTOR.get_or_init(Collector::new).register().pin())
    }
}

impl Reclaimer {
    pub(crate) const LOAD: Ordering = Ordering::Acquire;

    pub(crate) fn new() -> Self {
        Self {
            #[cfg(loom)]
            collector: crossbeam_epoch::Collector::new(),
        }
    }

    pub(crate) fn pin(&self) -> Guard<'_> {
        #[cfg(not(loom))]
        let guard = local::pin();
        #[cfg(loom)]
        let guard = self.collector.register().pin();
        Guard { guard, of: PhantomData }
    }
}

impl Guard<'_> {
    /// # Safety
    /// `pointer` came from `Box::into_raw`, can be reached by no new reader, and is retired once.
    pub(crate) unsafe fn retire<T: Send + 'static>(&self, pointer: *mut T) {
        let shared = Shared::from(pointer.cast_const());
        // SAFETY: the caller's promise.
        unsafe { self.guard.defer_destroy(shared) };
        // In a model, frees must happen inside it.
        #[cfg(loom)]
        self.guard.flush();
    }
}
