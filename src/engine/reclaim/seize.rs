//! The second backend: `seize`.

use super::backend::Backend;
use super::{Grace, Reclaim};
use crate::engine::sync::Ordering;
use seize::{Collector, LocalGuard, OwnedGuard};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

/// Batch reclamation with reference-counted batches (hyaline), by `seize`, on a
/// collector of the crate's own.
#[derive(Debug)]
pub struct Seize(());

/// Entries of a batch beyond which each further one is an attempt to retire it.
const BATCH: usize = 64;
/// Threads that may become active while a batch is being padded.
const SLACK: usize = 8;

/// Threads that have a guard, or had one and live.
static THREADS: AtomicUsize = AtomicUsize::new(0);

fn collector() -> &'static Collector {
    static COLLECTOR: OnceLock<Collector> = OnceLock::new();
    COLLECTOR.get_or_init(|| Collector::new().batch_size(BATCH))
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
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pin.
#[allow(missing_debug_implementations)] // seize's owned guard has none
pub enum Guard {
    /// Of a thread.
    Local(LocalGuard<'static>),
    /// Of one call only.
    Owned(OwnedGuard<'static>),
}

impl Guard {
    /// Puts `ticket` and `pad` entries of nothing in this thread's batch, then
    /// offers the batch to all active threads. It needs an entry for each of them.
    fn retire(&self, ticket: *mut Ticket, pad: usize) {
        fn retire_with(guard: &impl seize::Guard, ticket: *mut Ticket, pad: usize) {
            // SAFETY: the ticket is a fresh box that nobody else knows.
            unsafe { guard.defer_retire(ticket, redeem) };
            for _ in 0..pad {
                // SAFETY: `nothing` does not look at the pointer.
                unsafe { guard.defer_retire(NonNull::<()>::dangling().as_ptr(), nothing) };
            }
            guard.flush();
        }
        match self {
            Guard::Local(guard) => retire_with(guard, ticket, pad),
            Guard::Owned(guard) => retire_with(guard, ticket, pad),
        }
    }
}

struct Ticket {
    grace: Arc<Grace>,
    generation: u64,
}

/// # Safety
/// `ticket` came from `Box::into_raw` and is not used again.
unsafe fn redeem(ticket: *mut Ticket, _: &Collector) {
    // SAFETY: the caller's promise.
    let ticket = unsafe { Box::from_raw(ticket) };
    ticket.grace.pass(ticket.generation);
}

/// # Safety
/// None needed.
unsafe fn nothing(_: *mut (), _: &Collector) {}

#[cold]
fn register() -> Guard {
    // Panics if seize's locals are gone already, which only somebody else's use of seize on a
    // thread that is ending can bring about.
    let Ok(guard) = std::panic::catch_unwind(|| collector().enter()) else {
        PHASE.set(Phase::Ending);
        return Guard::Owned(collector().enter_owned());
    };
    // After seize's own locals, so that this one is destroyed first.
    if SENTINEL.try_with(|_| ()).is_ok() {
        PHASE.set(Phase::Registered);
        THREADS.fetch_add(1, Ordering::Relaxed);
    } else {
        PHASE.set(Phase::Ending);
    }
    Guard::Local(guard)
}

impl Backend for Seize {
    type Guard<'a> = Guard;

    // SeqCst (O-1): what `seize::Guard::protect` uses, to take part in the total order of its
    // barriers where the system has no asymmetric one. Acquire on x86 and on Linux.
    const LOAD: Ordering = Ordering::SeqCst;

    fn new() -> Self {
        Self(())
    }

    #[inline]
    fn pin_known(&self) -> Option<Guard> {
        (PHASE.get() == Phase::Registered).then(|| Guard::Local(collector().enter()))
    }

    fn pin(&self) -> Guard {
        match PHASE.get() {
            Phase::Registered => Guard::Local(collector().enter()),
            Phase::Unknown => register(),
            Phase::Ending => Guard::Owned(collector().enter_owned()),
        }
    }

    fn after_grace(&self, guard: &Guard, grace: &Arc<Grace>, generation: u64) {
        let ticket = Box::into_raw(Box::new(Ticket { grace: Arc::clone(grace), generation }));
        // Relaxed: an estimate. Should it be too low, a later request of another call
        // succeeds.
        guard.retire(ticket, THREADS.load(Ordering::Relaxed) + SLACK);
    }

    /// Nothing to do: the last guard to go redeems the ticket.
    fn help(&self, _: &Guard) {}
}

impl Reclaim for Seize {}
