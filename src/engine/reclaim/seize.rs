//! The second backend: batches with reference counts (hyaline), by `seize`.

use crate::engine::sync::Ordering;
use seize::{Collector, Guard as _, LocalGuard, OwnedGuard, reclaim};
use std::cell::Cell;
use std::sync::OnceLock;

pub(crate) struct Reclaimer(());

fn collector() -> &'static Collector {
    static COLLECTOR: OnceLock<Collector> = OnceLock::new();
    COLLECTOR.get_or_init(Collector::new)
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Unknown,
    Registered,
    /// The thread's locals are being destroyed: seize's own may be gone.
    Ending,
}

thread_local! {
    static PHASE: Cell<Phase> = const { Cell::new(Phase::Unknown) };
    static SENTINEL: Sentinel = const { Sentinel };
}

struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        PHASE.set(Phase::Ending);
    }
}

/// A pin: of a thread, or of one call only.
#[allow(missing_debug_implementations)] // seize's owned guard has none
pub(crate) enum Guard<'a> {
    Local(LocalGuard<'a>),
    Owned(OwnedGuard<'a>),
}

#[cold]
fn register() -> Guard<'static> {
    // Panics if seize's locals are gone already, which only somebody else's use of seize on a
    // thread that is ending can bring about.
    let Ok(guard) = std::panic::catch_unwind(|| collector().enter()) else {
        PHASE.set(Phase::Ending);
        return Guard::Owned(collector().enter_owned());
    };
    // After seize's own locals, so that this one is destroyed first.
    let registered = SENTINEL.try_with(|_| ()).is_ok();
    PHASE.set(if registered { Phase::Registered } else { Phase::Ending });
    Guard::Local(guard)
}

impl Reclaimer {
    // SeqCst: what `seize::Guard::protect` uses, to take part in the total order of its barriers
    // where the system has no asymmetric one. Acquire on x86 and on Linux.
    pub(crate) const LOAD: Ordering = Ordering::SeqCst;

    pub(crate) fn new() -> Self {
        Self(())
    }

    pub(crate) fn pin(&self) -> Guard<'_> {
        match PHASE.get() {
            Phase::Registered => Guard::Local(collector().enter()),
            Phase::Unknown => register(),
            Phase::Ending => Guard::Owned(collector().enter_owned()),
        }
    }
}

impl Guard<'_> {
    /// # Safety
    /// `pointer` came from `Box::into_raw`, can be reached by no new reader, and is retired once.
    pub(crate) unsafe fn retire<T: Send + 'static>(&self, pointer: *mut T) {
        match self {
            // SAFETY: the caller's promise.
            Guard::Local(guard) => unsafe { guard.defer_retire(pointer, reclaim::boxed) },
            // SAFETY: the caller's promise.
            Guard::Owned(guard) => unsafe { guard.defer_retire(pointer, reclaim::boxed) },
        }
    }
}
