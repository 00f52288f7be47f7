//! Which grace periods have passed.

use crate::engine::sync::{AtomicU64, Ordering};

/// The newest generation that every pin which could know an older root only has
/// outlived. Shared by a cache and the deferred calls it has asked for, so either
/// may go first.
///
/// Grace periods are counted, not run: the deferred call does nothing but raise a
/// number, and the work which it permits is done in small steps by the calls that
/// need room.
#[doc(hidden)]
#[derive(Debug)]
pub struct Grace {
    passed: AtomicU64,
}

impl Grace {
    pub(crate) fn new(passed: u64) -> Self {
        Self { passed: AtomicU64::new(passed) }
    }

    /// Says that the grace period of `generation`, and hence those of all before
    /// it, has passed.
    pub(crate) fn pass(&self, generation: u64) {
        // Release (O-7): pairs with the load in `passed`; the accesses of the pins that are
        // over come with it.
        self.passed.fetch_max(generation, Ordering::AcqRel);
    }

    #[inline]
    pub(crate) fn passed(&self) -> u64 {
        // Acquire (O-7): pairs with `pass`.
        self.passed.load(Ordering::Acquire)
    }
}
