//! Exemplars beside the slots: what the summary of a message can show.
//!
//! What a slot points to is replaced and evicted while drains read it, so it is reclaimed by
//! grace periods ([`reclaim`](super::reclaim)). A node says itself whose it is: one left behind at
//! another's slot is never shown as his.

use super::fault::{Faults, broken};
use super::on_demand::OnDemand;
use super::reclaim::{Guard, Reclaimer};
use super::slot::At;
use super::sync::{AtomicPtr, AtomicUsize, Ordering, Watched};
use crate::Fingerprint;
use std::ptr;
use std::sync::Arc;

/// Immutable.
pub(super) struct Node<X> {
    fingerprint: Fingerprint,
    exemplar: Arc<X>,
    /// Counts the nodes of its cache, also those that wait for their grace period.
    alive: Arc<AtomicUsize>,
    watched: Watched,
}

impl<X> Node<X> {
    /// Whose it is; to be asked before all else.
    fn is_of(&self, fingerprint: Fingerprint) -> bool {
        self.watched.read();
        self.fingerprint == fingerprint
    }
}

impl<X> Drop for Node<X> {
    fn drop(&mut self) {
        self.watched.write();
        // Relaxed: a bound, not a fact about other memory.
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A node that has been taken out of its slot: to be put away once no claim is under way.
pub(super) struct Evicted<X>(*mut Node<X>);

pub(super) struct Exemplars<X: Send + Sync + 'static> {
    cells: OnDemand<AtomicPtr<Node<X>>>,
    slots: usize,
    alive: Arc<AtomicUsize>,
    reclaimer: Reclaimer,
    faults: Faults,
}

impl<X: Send + Sync + 'static> Exemplars<X> {
    pub(super) fn new(slots: usize, faults: Faults) -> Self {
        Self {
            cells: OnDemand::new(slots),
            slots,
            alive: Arc::new(AtomicUsize::new(0)),
            reclaimer: Reclaimer::new(),
            faults,
        }
    }

    /// The most nodes that there are, with those that wait for their grace period: should these
    /// be many, because a thread stands still, no further exemplars are kept.
    pub(super) fn limit(&self) -> usize {
        self.slots + self.slots / 2 + 256
    }

    /// A share of a fingerprint's exemplar, if a slot has it.
    pub(super) fn show(&self, at: At, fingerprint: Fingerprint) -> Option<Arc<X>> {
        let cell = &self.cells.get()?[at.0];
        let guard = self.reclaimer.pin();
        let node = self.load(cell, &guard)?;
        (node.is_of(fingerprint) || broken!(self.faults, ExemplarUnnamed))
            .then(|| Arc::clone(&node.exemplar))
    }

    fn load<'g>(&self, cell: &AtomicPtr<Node<X>>, _guard: &'g Guard<'_>) -> Option<&'g Node<X>> {
        // At least Acquire (O-10): pairs with the exchange in `keep`; the node is initialised.
        let node = cell.load(Reclaimer::LOAD);
        // SAFETY: null or from `Box::into_raw`; retired only after it left its cell, hence
        // not freed before this guard is dropped.
        unsafe { node.as_ref() }
    }

    pub(super) fn has(&self, at: At, fingerprint: Fingerprint) -> bool {
        self.show(at, fingerprint).is_some()
    }

    /// Hands `look` a fingerprint's exemplar, if a slot has it.
    pub(super) fn look<T>(
        &self,
        at: At,
        fingerprint: Fingerprint,
        look: impl FnOnce(&Arc<X>) -> T,
    ) -> Option<T> {
        let cell = &self.cells.get()?[at.0];
        let guard = self.reclaimer.pin();
        let node = self.load(cell, &guard)?;
        node.is_of(fingerprint).then(|| look(&node.exemplar))
    }

    /// Keeps an exemplar at a slot that `is_still` the fingerprint's: in place of one that it has,
    /// or only if it has none.
    pub(super) fn keep(
        &self,
        at: At,
        fingerprint: Fingerprint,
        exemplar: Arc<X>,
        replace: bool,
        is_still: impl Fn() -> bool,
    ) {
        let Some(cells) = self.cells.get().or_else(|| self.cells.get_or_new()) else { return };
        let guard = self.reclaimer.pin();
        // Relaxed: as in `Node::drop`.
        if self.alive.fetch_add(1, Ordering::Relaxed) >= self.limit() {
            self.alive.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let node = Box::into_raw(Box::new(Node {
            fingerprint,
            exemplar,
            alive: Arc::clone(&self.alive),
            watched: Watched::default(),
        }));
        let cell = &cells[at.0];
        loop {
            let seen = cell.load(Reclaimer::LOAD);
            // SAFETY: as in `load`; the guard is still here.
            let has_one = unsafe { seen.as_ref() }.is_some_and(|seen| seen.is_of(fingerprint));
            if (has_one && !replace) || !is_still() {
                // SAFETY: from `into_raw` above, and nobody else has seen it.
                return drop(unsafe { Box::from_raw(node) });
            }
            // AcqRel (O-10): pairs with the loads; what is replaced was initialised.
            if cell.compare_exchange(seen, node, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return self.retire(&guard, seen);
            }
        }
    }

    /// Takes out whatever a slot points to. The caller has TAKEN the slot.
    pub(super) fn evict(&self, at: At) -> Option<Evicted<X>> {
        let cell = &self.cells.get()?[at.0];
        // Acquire (O-10): as in `load`.
        let node = cell.swap(ptr::null_mut(), Ordering::AcqRel);
        (!node.is_null()).then_some(Evicted(node))
    }

    /// Puts away what was evicted; returns a share of its exemplar if it is the fingerprint's.
    pub(super) fn put_away(&self, evicted: Evicted<X>, of: Option<Fingerprint>) -> Option<Arc<X>> {
        let node = evicted.0;
        // SAFETY: who took it out of its cell is the one to retire it, and has not done so yet.
        let own = unsafe { &*node };
        let exemplar = of.is_some_and(|of| own.is_of(of)).then(|| Arc::clone(&own.exemplar));
        self.retire(&self.reclaimer.pin(), node);
        exemplar
    }

    fn retire(&self, guard: &Guard<'_>, node: *mut Node<X>) {
        if node.is_null() {
            return;
        }
        if broken!(self.faults, FreeEarly) {
            // In a model it is said to be freed, and leaked: reading it is to be a failure,
            // not a crash. SAFETY: it was not freed before.
            #[cfg(loom)]
            return unsafe { &*node }.watched.write();
            // SAFETY: none; the control shows that it is not.
            #[cfg(not(loom))]
            return drop(unsafe { Box::from_raw(node) });
        }
        // SAFETY: from `Box::into_raw`, out of its cell, and retired by the one who took it out.
        unsafe { guard.retire(node) };
    }

    /// The most bytes that nodes and `most` exemplars take, without their text; 0 before the first
    /// is kept.
    pub(super) fn bytes(&self, most: usize) -> usize {
        let counters = 2 * size_of::<usize>();
        match self.cells.bytes() {
            0 => 0,
            cells => {
                cells + self.limit() * size_of::<Node<X>>() + most * (size_of::<X>() + counters)
            }
        }
    }
}

impl<X: Send + Sync + 'static> Drop for Exemplars<X> {
    fn drop(&mut self) {
        for cell in self.cells.get().unwrap_or_default() {
            let node = cell.load(Ordering::Relaxed);
            if !node.is_null() {
                // SAFETY: in its cell, hence not retired, and nobody else has `self`.
                drop(unsafe { Box::from_raw(node) });
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Tick;
    use crate::engine::table::Table;
    use crate::engine::{Engine, Pending, Repeats, Shape};

    fn fp(n: u128) -> Fingerprint {
        Fingerprint::from_u128(n)
    }

    #[test]
    fn a_node_is_shown_to_its_own_only() {
        let table = Table::new(2, Faults::default()).unwrap();
        let at = table.all().nth(1).unwrap();
        let exemplars = Exemplars::new(table.len(), Faults::default());
        assert_eq!((exemplars.bytes(9), exemplars.show(at, fp(1))), (0, None));
        exemplars.keep(at, fp(1), Arc::new(10), false, || false);
        assert_eq!(exemplars.show(at, fp(1)), None);
        exemplars.keep(at, fp(1), Arc::new(11), false, || true);
        exemplars.keep(at, fp(1), Arc::new(12), false, || true);
        assert_eq!(
            (exemplars.show(at, fp(1)).as_deref(), exemplars.show(at, fp(2))),
            (Some(&11), None)
        );
        exemplars.keep(at, fp(2), Arc::new(13), false, || true);
        assert_eq!(
            (exemplars.show(at, fp(1)), exemplars.show(at, fp(2)).as_deref()),
            (None, Some(&13))
        );
        let evicted = exemplars.evict(at).unwrap();
        assert!(exemplars.evict(at).is_none());
        assert_eq!(exemplars.put_away(evicted, Some(fp(2))).as_deref(), Some(&13));
        assert_eq!(exemplars.show(at, fp(2)), None);
    }

    #[test]
    fn the_bound_counts_those_of_orphans() {
        let one = Arc::new(());
        let engine = Engine::<Arc<()>>::new(Shape::of(64), 1, Faults::default()).unwrap();
        let (at, now) = (engine.table.all().next().unwrap(), Tick::default());
        for n in 0..1000u128 {
            let exemplar = Some(Arc::new(Arc::clone(&one)));
            engine.put_back(Pending::of(fp(n << 64 | n), Repeats::one(now), now, exemplar));
        }
        let _held_back = engine.exemplars.reclaimer.pin();
        for n in 0..2 * engine.exemplars.limit() as u128 {
            engine.exemplars.keep(at, fp(n), Arc::new(Arc::clone(&one)), false, || true);
        }
        let (all, most) = (Arc::strong_count(&one) - 1, engine.most_exemplars());
        assert!(all > engine.exemplars.limit() && all <= most, "{all} of {most}");
    }

    #[test]
    fn nodes_are_bounded_and_all_freed() {
        let one = Arc::new(1);
        let table = Table::new(2, Faults::default()).unwrap();
        let exemplars = Exemplars::new(table.len(), Faults::default());
        let at = table.all().next().unwrap();
        // Held back, as by a thread that stands still.
        let guard = exemplars.reclaimer.pin();
        for n in 0..2 * exemplars.limit() as u128 {
            exemplars.keep(at, fp(n), Arc::clone(&one), false, || true);
        }
        assert_eq!(Arc::strong_count(&one), exemplars.limit() + 1);
        drop(guard);
        drop(exemplars);
        // The last grace periods end with the calls of others.
        let table = Table::new(2, Faults::default()).unwrap();
        while Arc::strong_count(&one) != 1 {
            let others = Exemplars::new(table.len(), Faults::default());
            (0..200).for_each(|n| others.keep(at, fp(n), Arc::new(2), false, || true));
        }
    }
}
