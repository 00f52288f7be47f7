//! The messages with the most suppressed calls pending, without taking any.

use super::life::Visit;
use super::rules::entry_at;
use super::{Engine, Pending, Reclaim, TABLES};
use crate::{Fingerprint, Tick};
use std::sync::Arc;

/// Slots looked at in one visit.
const STEP: usize = 64;

impl<R: Reclaim, X> Engine<R, X> {
    /// At most `most` of them, the most first.
    pub(crate) fn top(&self, most: usize) -> Vec<Pending<X>> {
        let mut best = Best { most, found: Vec::new() };
        if most == 0 {
            return Vec::new();
        }
        for place in 0..TABLES as u64 {
            self.look_at_place(place, &mut best);
        }
        // After the tables: what was cleared meanwhile is here.
        let mut at = 0;
        while let Some((fingerprint, since, exemplar)) = self.orphans.look_next(&mut at) {
            let orphaned = self.orphans.pending(fingerprint);
            best.offer(Candidate { fingerprint, own: 0, orphaned, since, exemplar });
        }
        best.prune();
        best.found.into_iter().map(Candidate::into_pending).collect()
    }

    /// As a drain visits a table; see `drain.rs`.
    fn look_at_place(&self, place: u64, best: &mut Best<X>) {
        let table = self.arena.table(place);
        let life = &table.control().life;
        let rules = self.rules.words();
        let mut visited = None;
        let mut first = 0;
        while first < self.shape.slots {
            match life.enter() {
                Visit::Entered { generation } => {
                    let ahead = generation.wrapping_sub(self.root() as u32) as i32;
                    if *visited.get_or_insert(generation) != generation || ahead > 0 {
                        life.leave();
                        return;
                    }
                    for slot in table.range(first, STEP) {
                        let state = table.state(slot);
                        if !state.is_decided() || !state.is_counted() {
                            continue;
                        }
                        let own = self.arena.counts().pending(slot);
                        if own != 0 {
                            let fingerprint = table.fingerprint(slot, state);
                            best.offer(Candidate {
                                fingerprint,
                                own,
                                orphaned: self.orphans.pending(fingerprint),
                                since: entry_at(rules, slot, state).since,
                                exemplar: self.exemplars.get(slot, self.faults),
                            });
                        }
                    }
                    life.leave();
                    first += STEP;
                }
                Visit::Clearing => {
                    if !self.clear_step(place, &mut |pending| self.orphans.add(pending)) {
                        return;
                    }
                }
            }
        }
    }
}

struct Candidate<X> {
    fingerprint: Fingerprint,
    /// In its slot, and in those of older tables as far as calls were late.
    own: u64,
    /// From when it was forgotten.
    orphaned: u64,
    since: Tick,
    exemplar: Option<Arc<X>>,
}

impl<X> Candidate<X> {
    fn total(&self) -> u64 {
        self.own.saturating_add(self.orphaned)
    }

    fn merge(&mut self, other: &mut Self) {
        self.own = self.own.saturating_add(other.own);
        // Each has asked for all of it.
        self.orphaned = self.orphaned.max(other.orphaned);
        self.since = self.since.max(other.since);
        self.exemplar = self.exemplar.take().or_else(|| other.exemplar.take());
    }

    fn into_pending(self) -> Pending<X> {
        Pending {
            fingerprint: Some(self.fingerprint),
            namespace: self.fingerprint.namespace(),
            count: self.total(),
            since: self.since,
            exemplar: self.exemplar,
        }
    }
}

/// Up to twice as many as asked for, before the lesser half goes.
struct Best<X> {
    most: usize,
    found: Vec<Candidate<X>>,
}

impl<X> Best<X> {
    fn offer(&mut self, candidate: Candidate<X>) {
        self.found.push(candidate);
        if self.found.len() >= self.most.saturating_mul(2).max(STEP) {
            self.prune();
        }
    }

    fn prune(&mut self) {
        self.found.sort_unstable_by_key(|candidate| candidate.fingerprint);
        self.found.dedup_by(|later, earlier| {
            let same = later.fingerprint == earlier.fingerprint;
            if same {
                earlier.merge(later);
            }
            same
        });
        // Those of equal counts in an order that does not depend on where they are.
        self.found.sort_by_key(|candidate| std::cmp::Reverse(candidate.total()));
        self.found.truncate(self.most);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn offer(best: &mut Best<u8>, n: u128, own: u64, orphaned: u64) {
        let fingerprint = Fingerprint::from_u128(n);
        best.offer(Candidate { fingerprint, own, orphaned, since: Tick::from_millis(own), exemplar: None });
    }

    #[test]
    fn the_most_of_many_stay() {
        let mut best = Best { most: 3, found: Vec::new() };
        for n in 0..10_000u128 {
            offer(&mut best, n, (n * 7919 % 10_007) as u64, 0);
            assert!(best.found.len() < 2 * STEP);
        }
        best.prune();
        let totals: Vec<u64> = best.found.iter().map(Candidate::total).collect();
        let mut all: Vec<u64> = (0..10_000u64).map(|n| n * 7919 % 10_007).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(totals, all[..3]);
    }

    #[test]
    fn parts_of_one_message_are_merged() {
        let mut best = Best { most: 2, found: Vec::new() };
        offer(&mut best, 1, 5, 3);
        offer(&mut best, 2, 7, 0);
        offer(&mut best, 1, 2, 3);
        offer(&mut best, 1, 0, 3);
        best.prune();
        let found: Vec<_> = best.found.into_iter().map(Candidate::into_pending).collect();
        assert_eq!(found.iter().map(|p| (p.count, p.since.as_millis())).collect::<Vec<_>>(), [(10, 5), (7, 7)]);
    }
}
