//! The engine: fingerprints and ticks in, decisions out. It knows no message, no logger and
//! no wall clock. All unsafe code of the crate, but for a system call in
//! `clock.rs`, and all atomics but `AtomicCell` are in here. `docs/DESIGN.md` has the protocol and its proofs, `docs/ORDERINGS.md` the pairs of
//! orderings.
//!
//! | file | concept |
//! |---|---|
//! | `quick.rs` | the usual call, once per window: suppress near the thread, or at the entry |
//! | `check.rs` | any call: suppress at the entry, or emit again |
//! | `claim.rs` | how a new entry is made, once |
//! | `evict.rs` | whose slot it gets |
//! | `forget.rs` | an entry that goes on purpose |
//! | `rule_words.rs` | calls under a rule that counts them |
//! | `pending.rs` | taking and looking at what is pending |
//! | `words.rs`, `id.rs` | the words of a slot: layout and transitions; what they hold of a fingerprint |
//! | `table.rs`, `slot.rs` | buckets, look-up, the count word |
//! | `near.rs`, `page.rs` | counts near the thread |
//! | `repeats.rs` | when the last of them was |
//! | `orphans.rs`, `sums.rs` | counts whose entry is gone |
//! | `namespaces.rs` | which namespaces are in use |
//! | `exemplars.rs`, `spare.rs` | what a summary shows |
//! | `reclaim/` | grace periods, for exemplars only |
//! | `on_demand.rs`, `zeroed.rs`, `sync.rs`, `thread_index.rs` | memory, atomics, threads |
//! | `fault.rs` | steps that negative controls leave out |

#![allow(unsafe_code)]

mod check;
mod claim;
mod evict;
mod exemplars;
mod fault;
mod forget;
mod id;
mod namespaces;
mod near;
mod on_demand;
mod orphans;
mod page;
mod pending;
mod quick;
mod reclaim;
mod repeats;
mod rule_words;
mod slot;
mod spare;
mod sums;
mod sync;
mod table;
mod thread_index;
mod words;
mod zeroed;

#[cfg(any(loom, quell_faults))]
pub use fault::Fault;
pub(crate) use fault::Faults;
pub(crate) use pending::{Pending, Select};
pub(crate) use repeats::Repeats;
pub(crate) use spare::{Spare, Taken};
#[cfg(loom)]
pub use thread_index::set_thread_index;

use crate::rules::RuleState;
use crate::{ConfigError, Namespace, Stats, Tick};
use crossbeam_utils::CachePadded;
use exemplars::Exemplars;
use namespaces::Namespaces;
use near::Near;
use orphans::Orphans;
use rule_words::RuleWords;
use slot::W;
use sync::{AtomicU64, Ordering};
use table::Table;
use words::{Count, State};

/// How large a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    buckets: usize,
    orphans: usize,
}

impl Shape {
    /// For a valid `max_entries`: 2.5 slots an entry. `docs/BENCHMARKS.md` has the figures.
    pub(crate) fn of(max_entries: usize) -> Self {
        let slots = 2 * max_entries + max_entries / 2;
        Self { buckets: slots.div_ceil(W).max(8), orphans: (max_entries / 8).max(32) }
    }

    /// A table so small that evictions fall inside the races of a test.
    pub(crate) fn tiny(buckets: usize) -> Self {
        Self { buckets: buckets.clamp(2, 4096), orphans: 4 }
    }

    fn bytes(self) -> Option<usize> {
        Table::bytes(self.buckets)?.checked_add(Orphans::<()>::bytes(self.orphans)?)
    }
}

/// See the module. `X` is what an exemplar is.
pub(crate) struct Engine<X: Send + Sync + 'static> {
    /// What each call reads, and hardly any writes.
    near: Near,
    table: Table,
    /// In ticks.
    window: AtomicU64,
    /// The time of the last call that made an entry: written now and then, and so in a line of
    /// its own.
    last_claim: CachePadded<AtomicU64>,
    rule_words: RuleWords,
    exemplars: Exemplars<X>,
    orphans: Orphans<X>,
    namespaces: Namespaces,
    shape: Shape,
    /// The table's clock goes on when a thread has emitted this often, and once more. A
    /// power of two less one.
    pace: u64,
    faults: Faults,
}

impl<X: Send + Sync + 'static> Engine<X> {
    /// `window` is not zero.
    pub(crate) fn new(shape: Shape, window: u64, faults: Faults) -> Result<Self, ConfigError> {
        let out_of_memory =
            || ConfigError::OutOfMemory { bytes: shape.bytes().unwrap_or(usize::MAX) };
        let table = Table::new(shape.buckets, faults).ok_or_else(out_of_memory)?;
        Ok(Self {
            near: Near::new(faults),
            window: AtomicU64::new(window),
            last_claim: CachePadded::new(AtomicU64::new(0)),
            rule_words: RuleWords::new(table.len()),
            exemplars: Exemplars::new(table.len(), faults),
            orphans: Orphans::new(shape.orphans).ok_or_else(out_of_memory)?,
            namespaces: Namespaces::new(),
            table,
            shape,
            pace: (shape.buckets / 16).max(1).next_power_of_two() as u64 - 1,
            faults,
        })
    }

    #[inline(always)]
    pub(crate) fn window(&self) -> u64 {
        // Relaxed: a call may use the old window or the new one.
        self.window.load(Ordering::Relaxed)
    }

    pub(crate) fn set_window(&self, window: u64) {
        self.window.store(window, Ordering::Relaxed);
    }

    pub(crate) fn count_failed_open(&self) {
        let _ = self.emit_untracked();
    }

    /// Keeps from here on when the last suppressed calls were.
    pub(crate) fn keep_last(&self) -> Result<(), ConfigError> {
        let bytes = || self.table.len().saturating_mul(size_of::<AtomicU64>());
        let is_kept = self.table.lasts.keep();
        is_kept.then_some(()).ok_or_else(|| ConfigError::OutOfMemory { bytes: bytes() })
    }

    pub(crate) fn count_exempt(&self) {
        self.near.tally(|totals| &totals.exempt, 1);
    }

    /// Makes a count pending again that was handed out.
    pub(crate) fn put_back(&self, pending: Pending<X>) {
        // Less than zero it may be in one thread's total, not in their sum.
        self.near.tally(|totals| &totals.reported, pending.repeats.count.wrapping_neg());
        self.orphans.add(pending);
    }

    /// Counts an emission as suppressed and reported.
    #[cfg(feature = "fleet")]
    pub(crate) fn count_withheld(&self) {
        // Less than zero it may be in one thread's total, not in their sum.
        self.near.tally(|totals| &totals.emitted, 1u64.wrapping_neg());
        self.near.tally(|totals| &totals.reported, 1);
    }

    pub(crate) fn count_unattributed(&self, namespace: Namespace, count: u64, since: Tick) {
        let last = (since != Tick::MAX).then_some(since);
        self.orphans.add(Pending::sum(namespace, Repeats { count, last }, since));
    }

    /// Whether an entry of the fingerprint is here that has no exemplar.
    pub(crate) fn wants_exemplar(&self, fingerprint: crate::Fingerprint) -> bool {
        self.find(fingerprint)
            .is_some_and(|(at, state)| state.is_live() && !self.exemplars.has(at, fingerprint))
    }

    /// Returns the level of an entry's back-off, and its exemplar.
    #[cfg(feature = "fleet")]
    pub(crate) fn show(
        &self,
        fingerprint: crate::Fingerprint,
    ) -> Option<(u32, Option<std::sync::Arc<X>>)> {
        let (at, state) = self.find(fingerprint).filter(|(_, state)| state.is_live())?;
        Some((state.level(), self.exemplars.show(at, fingerprint)))
    }

    /// Keeps an exemplar for an entry that has none.
    pub(crate) fn attach(&self, fingerprint: crate::Fingerprint, exemplar: std::sync::Arc<X>) {
        if let Some((at, state)) = self.find(fingerprint).filter(|(_, state)| state.is_live()) {
            let is_still = || self.table.load(at).turn() == state.turn();
            self.exemplars.keep(at, fingerprint, exemplar, false, is_still);
        }
    }

    /// Keeps an exemplar for an entry, and returns the one that it had.
    pub(crate) fn replace_exemplar(
        &self,
        fingerprint: crate::Fingerprint,
        exemplar: std::sync::Arc<X>,
    ) -> Option<std::sync::Arc<X>> {
        let (at, state) = self.find(fingerprint).filter(|(_, state)| state.is_live())?;
        let before = self.exemplars.show(at, fingerprint);
        let is_still = || self.table.load(at).turn() == state.turn();
        self.exemplars.keep(at, fingerprint, exemplar, true, is_still);
        before
    }

    /// Hands `look` the exemplar of an entry, if it has one. It must be brief.
    pub(crate) fn look_at_exemplar<T>(
        &self,
        fingerprint: crate::Fingerprint,
        look: impl FnOnce(&std::sync::Arc<X>) -> T,
    ) -> Option<T> {
        let (at, _) = self.find(fingerprint)?;
        self.exemplars.look(at, fingerprint, look)
    }

    /// The most exemplars that there are: those of nodes, and of orphans, whose nodes are gone.
    pub(crate) fn most_exemplars(&self) -> usize {
        self.exemplars.limit() + self.shape.orphans
    }

    pub(crate) fn stats(&self) -> Stats {
        let exempt = self.near.total(|totals| &totals.exempt);
        let states = || self.table.all().map(|at| self.table.load(at));
        let counts =
            self.table.all().map(|at| Count(self.table.count(at).load(Ordering::Relaxed)).count());
        let pending = counts.sum::<u64>() + self.near.sum() + self.orphans.sum();
        Stats {
            emitted: self.near.total(|totals| &totals.emitted) + exempt,
            suppressed: self.near.total(|totals| &totals.reported).wrapping_add(pending),
            failed_open: self.near.total(|totals| &totals.failed_open),
            exempt,
            forgotten: self.near.total(|totals| &totals.forgotten),
            entries: states().filter(|state: &State| state.is_live()).count(),
            capacity: self.table.len(),
        }
    }

    pub(crate) fn memory_bound(&self) -> usize {
        let fixed = self.shape.bytes().unwrap_or(usize::MAX).saturating_add(Near::bytes());
        fixed
            .saturating_add(self.exemplars.bytes(self.most_exemplars()))
            .saturating_add(self.rule_words.bytes())
            .saturating_add(self.table.lasts.bytes())
            .saturating_add(self.namespaces.bytes())
    }
}

impl RuleState {
    /// What the state word says.
    fn of(state: State) -> Self {
        Self { since: state.tick(), level: state.level(), calls: 0, noticed: state.is_noticed() }
    }
}
