//! Waiting for the threads that may still use a table: the trait and its backends.

mod epoch;
mod grace;
#[cfg(loom)]
pub(crate) mod model;
#[cfg(feature = "seize")]
mod seize;

pub use epoch::Epoch;
pub(crate) use grace::Grace;
#[cfg(feature = "seize")]
pub use seize::Seize;

/// How the cache learns that no thread uses a table any more.
///
/// Sealed: [`Epoch`] (the default) and, with the feature `seize`, `Seize`.
/// Both keep one collector of the crate's own for the whole process, so that a
/// guard which some other code holds on a collector for long cannot stall a
/// cache.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a reclamation backend", label = "use `Epoch` or `Seize`")]
pub trait Reclaim: backend::Backend {}

pub(crate) mod backend {
    use super::Grace;
    use crate::engine::sync::Ordering;
    use std::sync::Arc;

    /// What a backend provides. A *pin* lasts from [`pin`](Self::pin) to the drop
    /// of its guard.
    ///
    /// # Contract
    /// If a thread calls `after_grace(_, grace, generation)`, then
    /// `grace.passed()` becomes at least `generation` only after every pin is
    /// over whose loads of the root, with ordering [`LOAD`](Self::LOAD), could have
    /// returned a value older than what the caller last stored there or loaded
    /// from there. What happened under those pins happens before what a thread
    /// does that reads so.
    pub trait Backend: Sized + Send + Sync + 'static {
        /// Proof of a pin.
        type Guard<'a>;

        /// The ordering of loads of the root. At least Acquire.
        const LOAD: Ordering;

        /// A handle on the collector.
        fn new() -> Self;

        /// Pins the calling thread. Wait-free after a thread's first call; pins nest.
        fn pin(&self) -> Self::Guard<'_>;

        /// [`pin`](Self::pin), unless the thread has yet to be registered, or its locals are gone:
        /// what the hot path has inlined.
        #[inline]
        fn pin_known(&self) -> Option<Self::Guard<'_>> {
            Some(self.pin())
        }

        /// See the contract. May be asked again for the same generation, by any thread.
        #[doc(hidden)]
        fn after_grace(&self, guard: &Self::Guard<'_>, grace: &Arc<Grace>, generation: u64);

        /// Moves grace periods on, if it can be done from here.
        fn help(&self, guard: &Self::Guard<'_>);
    }
}
