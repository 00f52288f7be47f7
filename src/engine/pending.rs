//! What is pending: taking it, or looking at it, while calls go on.
//!
//! It may be at a slot and near threads, near threads only, or among the orphans. Takes are
//! CASes, so each count is taken once; a message has one summary, wherever its counts were.

use super::Engine;
use super::repeats::Repeats;
use super::slot::At;
use super::words::{Count, State};
use crate::{Fingerprint, Namespace, Tick};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A count on its way out: a summary as the engine knows it.
pub(crate) struct Pending<X> {
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) namespace: Namespace,
    pub(crate) repeats: Repeats,
    pub(crate) since: Tick,
    pub(crate) exemplar: Option<Arc<X>>,
}

impl<X> Pending<X> {
    pub(super) fn of(
        fingerprint: Fingerprint,
        repeats: Repeats,
        since: Tick,
        exemplar: Option<Arc<X>>,
    ) -> Self {
        Self {
            fingerprint: Some(fingerprint),
            namespace: fingerprint.namespace(),
            repeats,
            since,
            exemplar,
        }
    }

    /// Of messages that cannot be told apart.
    pub(super) fn sum(namespace: Namespace, repeats: Repeats, since: Tick) -> Self {
        Self { fingerprint: None, namespace, repeats, since, exemplar: None }
    }

    /// Adds what else is known of the same message.
    pub(super) fn merge(&mut self, other: Self) {
        self.repeats = self.repeats.plus(other.repeats);
        self.since = self.since.max(other.since);
        self.exemplar = self.exemplar.take().or(other.exemplar);
    }

    pub(super) fn merged(mut self, other: Self) -> Self {
        self.merge(other);
        self
    }
}

/// Whether a count is due: from the last emission of its entry, the level of its back-off, and
/// its exemplar.
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

    pub(super) fn has(&self, namespace: Namespace) -> bool {
        self.namespace.is_none_or(|own| own == namespace || namespace == Namespace::MIXED)
    }
}

/// A slot that may have counts.
struct Counted {
    at: At,
    state: State,
    fingerprint: Fingerprint,
}

impl<X: Send + Sync + 'static> Engine<X> {
    /// Takes all that `select` has and hands it to `report`, which runs while nothing is held: it
    /// may use the engine, and may panic. What it was not handed stays pending.
    pub(crate) fn drain(&self, select: Select<'_, X>, report: &mut dyn FnMut(Pending<X>)) {
        let mut report = |pending: Pending<X>| {
            self.near.tally(|totals| &totals.reported, pending.repeats.count);
            report(self.as_told(pending));
        };
        for counted in self.counted().filter(|counted| select.has(counted.fingerprint.namespace()))
        {
            if let Some(due) = select.due {
                let exemplar = || self.exemplars.show(counted.at, counted.fingerprint);
                let (since, level) = (counted.state.tick(), counted.state.level());
                if self.pending_at(&counted).count == 0 || !due(since, level, exemplar().as_deref())
                {
                    continue;
                }
            }
            if let Some(pending) = self.take_at(&counted) {
                report(pending);
            }
        }
        self.drain_near(&select, &mut report);
        for pending in self.orphans.take(&select) {
            report(self.with_orphan(pending));
        }
    }

    /// Takes all that is pending of one message.
    #[cfg(feature = "fleet")]
    pub(crate) fn take(&self, fingerprint: Fingerprint) -> Option<Pending<X>> {
        let counted = self.find(fingerprint).filter(|(_, x)| x.is_live() && x.is_counted());
        let pending = match counted {
            Some((at, state)) => self.take_at(&Counted { at, state, fingerprint }),
            None => {
                let since = self.near.labels().find(|label| label.0 == fingerprint);
                let repeats = since.map(|_| self.near.take(fingerprint)).unwrap_or_default();
                let near = since
                    .filter(|_| repeats.count != 0)
                    .map(|(_, since)| Pending::of(fingerprint, repeats, since, None));
                near.map(|near| self.with_orphan(near))
            }
        };
        let pending = pending.or_else(|| self.orphans.take_of(fingerprint))?;
        self.near.tally(|totals| &totals.reported, pending.repeats.count);
        Some(self.as_told(pending))
    }

    /// How it is told, no matter when.
    fn as_told(&self, pending: Pending<X>) -> Pending<X> {
        Pending { repeats: self.told(pending.repeats, pending.since, Tick::MAX), ..pending }
    }

    /// What late calls have counted near a thread of entries that are gone.
    fn drain_near(&self, select: &Select<'_, X>, report: &mut dyn FnMut(Pending<X>)) {
        for (fingerprint, since) in self.near.labels() {
            let is_wanted = select.has(fingerprint.namespace()) && !self.is_counted(fingerprint);
            let repeats = if is_wanted { self.near.take(fingerprint) } else { Repeats::default() };
            if repeats.count != 0 {
                report(self.with_orphan(Pending::of(fingerprint, repeats, since, None)));
            }
        }
    }

    /// Whether a slot is marked, so that who looks at the slots finds all counts of a message.
    fn is_counted(&self, fingerprint: Fingerprint) -> bool {
        self.find(fingerprint).is_some_and(|(_, state)| state.is_live() && state.is_counted())
    }

    fn counted(&self) -> impl Iterator<Item = Counted> {
        self.table.all().filter_map(|at| {
            let state = self.table.load(at);
            if !state.is_live() || !state.is_counted() {
                return None;
            }
            let fingerprint = self.table.identify(at, state)?.fingerprint();
            Some(Counted { at, state, fingerprint })
        })
    }

    fn pending_at(&self, counted: &Counted) -> Repeats {
        // Acquire (O-4): of the state's turn, or newer. What moves here from near meanwhile
        // is missed.
        let word = Count(self.table.count(counted.at).load(Ordering::Acquire));
        let turn = counted.state.turn();
        let own = if word.turn() == turn && word.count() != 0 {
            Repeats { count: word.count(), last: self.table.lasts.read(counted.at, turn) }
        } else {
            Repeats::default()
        };
        own.plus(self.near.pending(counted.fingerprint))
    }

    fn take_at(&self, counted: &Counted) -> Option<Pending<X>> {
        let &Counted { at, state, fingerprint } = counted;
        if self.pending_at(counted).count == 0 {
            return None;
        }
        // Before and after: an evictor that finds nothing near finds that the entry was touched.
        self.table.touch(at, state.turn());
        let exemplar = self.exemplars.show(at, fingerprint);
        let repeats = self.take_counts(at, state, fingerprint);
        self.table.touch(at, state.turn());
        (repeats.count != 0)
            .then(|| self.with_orphan(Pending::of(fingerprint, repeats, state.tick(), exemplar)))
    }

    /// With what the same message has among the orphans.
    fn with_orphan(&self, pending: Pending<X>) -> Pending<X> {
        let orphan = pending.fingerprint.and_then(|fingerprint| self.orphans.take_of(fingerprint));
        orphan.into_iter().fold(pending, Pending::merged)
    }

    /// At most `most` of the messages with the most suppressed calls pending, the most first.
    pub(crate) fn top(&self, most: usize) -> Vec<Pending<X>> {
        let mut best = Best { most, found: Vec::new() };
        for counted in self.counted() {
            let repeats = self.pending_at(&counted);
            if repeats.count != 0 {
                let Counted { at, state, fingerprint } = counted;
                let exemplar = self.exemplars.show(at, fingerprint);
                best.offer(Pending::of(fingerprint, repeats, state.tick(), exemplar));
            }
        }
        let mut gone: Vec<_> =
            self.near.labels().filter(|label| !self.is_counted(label.0)).collect();
        gone.sort_unstable();
        gone.dedup_by_key(|label| label.0);
        for (fingerprint, since) in gone {
            best.offer(Pending::of(fingerprint, self.near.pending(fingerprint), since, None));
        }
        self.orphans.copies().for_each(|orphan| best.offer(orphan));
        best.prune();
        best.found.into_iter().map(|pending| self.as_told(pending)).collect()
    }
}

/// The most of those offered. Parts of one message are merged if they are offered while the first
/// of them is among the most, or not much below.
struct Best<X> {
    most: usize,
    found: Vec<Pending<X>>,
}

impl<X> Best<X> {
    const STEP: usize = 64;

    fn offer(&mut self, pending: Pending<X>) {
        self.found.push(pending);
        if self.found.len() >= self.most.saturating_mul(4).max(Self::STEP) {
            self.prune_to(self.most.saturating_mul(2));
        }
    }

    fn prune(&mut self) {
        self.prune_to(self.most);
    }

    fn prune_to(&mut self, most: usize) {
        self.found.sort_unstable_by_key(|pending| pending.fingerprint);
        let mut merged: Vec<Pending<X>> = Vec::with_capacity(self.found.len());
        for pending in self.found.drain(..) {
            match merged.last_mut() {
                Some(last) if last.fingerprint == pending.fingerprint => last.merge(pending),
                _ => merged.push(pending),
            }
        }
        // Those of equal counts in an order that does not depend on where they are.
        merged.sort_by_key(|pending| std::cmp::Reverse(pending.repeats.count));
        merged.truncate(most);
        self.found = merged;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn offer(best: &mut Best<u8>, n: u128, count: u64) {
        let since = Tick::from_millis(count);
        let repeats = Repeats { count, last: Some(since) };
        best.offer(Pending::of(Fingerprint::from_u128(n), repeats, since, None));
    }

    #[test]
    fn the_most_of_many_stay() {
        let mut best = Best { most: 3, found: Vec::new() };
        for n in 0..10_000u128 {
            offer(&mut best, n, (n * 7919 % 10_007) as u64);
            assert!(best.found.len() < 2 * Best::<u8>::STEP);
        }
        best.prune();
        let counts: Vec<u64> = best.found.iter().map(|pending| pending.repeats.count).collect();
        let mut all: Vec<u64> = (0..10_000u64).map(|n| n * 7919 % 10_007).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(counts, all[..3]);
    }

    #[test]
    fn parts_of_one_message_are_merged() {
        let mut best = Best { most: 2, found: Vec::new() };
        offer(&mut best, 1, 5);
        offer(&mut best, 2, 7);
        offer(&mut best, 1, 3);
        best.prune();
        let found: Vec<_> = best.found.iter().map(|p| (p.repeats, p.since.as_millis())).collect();
        let repeats = |count, last| Repeats { count, last: Some(Tick::from_millis(last)) };
        assert_eq!(found, [(repeats(8, 5), 5), (repeats(7, 7), 7)]);
    }
}
