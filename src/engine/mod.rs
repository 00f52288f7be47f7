//! The engine: fingerprints and ticks in, decisions out. It knows no message, no
//! logger and no wall clock. All unsafe code and all atomics of the crate are in
//! here. `docs/DESIGN.md` has the protocol, its invariants and their proof.
//!
//! | file | concept |
//! |---|---|
//! | `check.rs` | the protocol of a call: find, claim, decide |
//! | `rotate.rs` | when a generation gives way to the next: settled, sealed |
//! | `upkeep.rs` | clearing and handing over, in small steps |
//! | `decide_rule.rs` | the same under a rule |
//! | `drain.rs` | taking what is pending |
//! | `top.rs` | looking at what is pending |
//! | `slot.rs` | the words of a slot: packing and transitions |
//! | `table.rs` | one generation: probe sequence, claim, close |
//! | `life.rs` | the life of a table's place |
//! | `count.rs` | counters of suppressed calls |
//! | `orphans.rs` | counts whose entry is gone |
//! | `exemplars.rs` | the array of exemplars |
//! | `rules.rs` | rule words, and their array |
//! | `totals.rs` | counts of the cache's life |
//! | `shape.rs` | sizes |
//! | `reclaim/` | grace periods, and the backends that find them |
//! | `fault.rs` | steps that negative controls leave out |
//! | `sync.rs`, `zeroed.rs`, `thread_index.rs` | atomics, memory, threads |

#![allow(unsafe_code)]

mod check;
mod count;
mod decide_rule;
mod drain;
mod exemplars;
mod fault;
mod life;
mod orphans;
mod reclaim;
mod rotate;
mod rules;
mod shape;
mod slot;
mod sync;
mod table;
mod thread_index;
mod top;
mod totals;
mod upkeep;
mod zeroed;

#[cfg(any(loom, quell_faults))]
pub use fault::Fault;
pub(crate) use fault::Faults;
#[cfg(feature = "seize")]
pub use reclaim::Seize;
#[cfg(loom)]
pub use reclaim::model::Model;
pub use reclaim::{Epoch, Reclaim};
pub(crate) use shape::{MAX_ENTRIES, Shape};
#[cfg(loom)]
pub use slot::twin;
pub(crate) use sync::AtomicCell;
#[cfg(loom)]
pub use thread_index::set_thread_index;

use crate::{ConfigError, Fingerprint, Namespace, Stats, Tick};
use crossbeam_utils::CachePadded;
use exemplars::Exemplars;
use orphans::Orphans;
use reclaim::Grace;
use rules::Rules;
use shape::TABLES;
use std::sync::Arc;
use sync::{AtomicU64, Ordering};
use table::Arena;
use totals::{Totals, bump};

/// A count on its way out: a summary as the engine knows it.
pub(crate) struct Pending<X> {
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) namespace: Namespace,
    pub(crate) count: u64,
    pub(crate) since: Tick,
    pub(crate) exemplar: Option<Arc<X>>,
}

/// Whether a count is due: from the last emission of its entry, what is known of its rule,
/// and its exemplar.
pub(crate) type Due<'a, X> = &'a dyn Fn(Tick, u32, Option<&X>) -> bool;

/// What a drain takes.
pub(crate) struct Select<'a, X> {
    namespace: Option<Namespace>,
    due: Option<Due<'a, X>>,
}

impl<'a, X> Select<'a, X> {
    pub(crate) fn all() -> Self {
        Self { namespace: None, due: None }
    }

    /// Of one namespace only, and of those that cannot be told apart.
    pub(crate) fn of(self, namespace: Namespace) -> Self {
        Self { namespace: Some(namespace), ..self }
    }

    /// Only what is due, or forgotten. `due` must not use the engine.
    pub(crate) fn due(self, due: Due<'a, X>) -> Self {
        Self { due: Some(due), ..self }
    }

    fn has(&self, namespace: Namespace) -> bool {
        self.namespace.is_none_or(|own| own == namespace || namespace == Namespace::MIXED)
    }
}

/// See the module. `X` is what an exemplar is.
pub(crate) struct Engine<R, X> {
    /// The generation that is current; first of all 1, with the empty table 0 as
    /// its previous one. Each is one more than the last.
    root: CachePadded<Root>,
    arena: Arena,
    shape: Shape,
    exemplars: Exemplars<X>,
    rules: Rules,
    reclaim: R,
    grace: Arc<Grace>,
    orphans: Orphans<X>,
    totals: Totals,
    namespaces: AtomicU64,
    faults: Faults,
    /// See [`watch`](Self::watch).
    #[cfg(loom)]
    watched: [AtomicU64; thread_index::MODEL_THREADS],
}

/// What each call reads first, and hardly any writes.
struct Root {
    generation: AtomicU64,
    /// In ticks.
    window: AtomicU64,
}

const FIRST_GENERATION: u64 = 1;

impl<R: Reclaim, X> Engine<R, X> {
    /// `window` is not zero.
    pub(crate) fn new(shape: Shape, window: u64, faults: Faults) -> Result<Self, ConfigError> {
        let out_of_memory = || ConfigError::OutOfMemory { bytes: shape.bytes().unwrap_or(usize::MAX) };
        Ok(Self {
            root: CachePadded::new(Root {
                generation: AtomicU64::new(FIRST_GENERATION),
                window: AtomicU64::new(window),
            }),
            arena: Arena::new(&shape).ok_or_else(out_of_memory)?,
            exemplars: Exemplars::new(shape.slots * TABLES),
            rules: Rules::new(shape.slots * TABLES),
            reclaim: R::new(),
            // The first generation is born settled.
            grace: Arc::new(Grace::new(FIRST_GENERATION)),
            orphans: Orphans::new(shape.orphans).ok_or_else(out_of_memory)?,
            totals: Totals::default(),
            namespaces: AtomicU64::new(0),
            shape,
            faults,
            #[cfg(loom)]
            watched: std::array::from_fn(|_| AtomicU64::new(FIRST_GENERATION)),
        })
    }

    /// The current generation. Who is to touch its tables is pinned.
    #[inline]
    fn root(&self) -> u64 {
        // Acquire or more (O-1): pairs with the exchange in `rotate`; the table is clean.
        self.root.generation.load(R::LOAD)
    }

    /// In models: the newest root that rotations have told the thread of, right before it
    /// emits.
    ///
    /// A word of loom's: a bare one would leave an emission and a rotation independent for
    /// loom, which then explores one order of the two only. Not `root` itself, lest more is
    /// ordered than in earnest. (An addition reads the newest.)
    #[inline]
    fn watch(&self) -> u64 {
        #[cfg(loom)]
        return self.watched[thread_index::thread_index() as usize].fetch_add(0, Ordering::Relaxed);
        #[cfg(not(loom))]
        0
    }

    /// In models: an emission is in one of the two newest tables. `watched` was read before it,
    /// and lags behind the root: it may be too old, and is never too new.
    #[inline]
    fn watch_emission(&self, _generation: u64, _watched: u64) {
        #[cfg(loom)]
        assert!(_generation + 1 >= _watched, "place: an emission in a table that is gone");
    }

    /// In models: the root has moved on.
    #[inline]
    fn watch_rotation(&self, _root: u64) {
        #[cfg(loom)]
        for watched in &self.watched {
            watched.fetch_max(_root, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn window(&self) -> u64 {
        // Relaxed: a call may use the old window or the new one.
        self.root.window.load(Ordering::Relaxed)
    }

    pub(crate) fn set_window(&self, window: u64) {
        self.root.window.store(window, Ordering::Relaxed);
    }

    pub(crate) fn new_namespace(&self) -> Namespace {
        // Neither 0 nor MIXED.
        let number = bump(&self.namespaces, 1) % u64::from(u16::MAX - 1) + 1;
        Namespace(number as u16)
    }

    pub(crate) fn count_failed_open(&self) {
        let mine = self.totals.mine();
        bump(&mine.failed_open, 1);
        bump(&mine.emitted, 1);
    }

    pub(crate) fn count_exempt(&self) {
        let mine = self.totals.mine();
        bump(&mine.exempt, 1);
        bump(&mine.emitted, 1);
    }

    /// Makes a count pending again that was handed out.
    #[cfg(any(feature = "tracing", test))]
    pub(crate) fn put_back(&self, pending: Pending<X>) {
        // Less than zero it may be in one stripe, not in their sum.
        self.totals.mine().reported.fetch_sub(pending.count, Ordering::Relaxed);
        self.orphans.add(pending);
    }

    pub(crate) fn count_unattributed(&self, namespace: Namespace, count: u64, since: Tick) {
        self.orphans.add(Pending { fingerprint: None, namespace, count, since, exemplar: None });
    }

    pub(crate) fn stats(&self) -> Stats {
        // Not pinned, for long as it takes: it only reads words, and it is exact only at rest.
        let root = self.root();
        let pending = self.arena.counts().sum() + self.orphans.sum();
        let decided = |generation: u64, frozen: bool| {
            let table = self.arena.table(generation);
            let states = table.range(0, self.shape.slots).map(|slot| table.state(slot));
            states.filter(|state| state.is_decided() && (frozen || !state.is_frozen())).count()
        };
        // The other two, unless they are clean: out of reach and not cleared yet.
        let forgotten = decided(root + 1, false) + decided(root + 2, false);
        Stats {
            emitted: self.totals.sum(|total| &total.emitted),
            suppressed: self.totals.sum(|total| &total.reported) + pending,
            failed_open: self.totals.sum(|total| &total.failed_open),
            exempt: self.totals.sum(|total| &total.exempt),
            forgotten: self.totals.sum(|total| &total.forgotten) + forgotten as u64,
            rotations: root - FIRST_GENERATION,
            entries: decided(root, true) + decided(root - 1, false),
            capacity: 2 * self.shape.slots,
        }
    }

    pub(crate) fn memory_bound(&self) -> usize {
        let shared = 2 * size_of::<usize>();
        let grace = size_of::<Grace>() + shared;
        let tables = self.shape.bytes().unwrap_or(usize::MAX);
        let exemplars = match self.exemplars.bytes() {
            0 => 0,
            array => array + (self.shape.slots * TABLES + self.shape.orphans) * (size_of::<X>() + shared),
        };
        tables.saturating_add(exemplars).saturating_add(self.rules.bytes()).saturating_add(grace)
    }
}
