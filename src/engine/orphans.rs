//! Counts whose entry is gone: kept until a drain, in a fixed number of records, and in sums by
//! namespace for what finds none.
//!
//! Not a queue of a crate: those bounded ones that allocate nothing make a thread wait for another
//! that stopped in the middle of a push. Here it goes on to the next record.

use super::pending::{Pending, Select};
use super::repeats::Repeats;
use super::sums::Sums;
use super::sync::{AtomicU64, Ordering, Watched, yield_now};
use super::zeroed::{Zeroable, Zeroed};
use crate::{Fingerprint, Tick};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// A count of a message: what is [`Pending`], in as little room.
struct Orphan<X> {
    fingerprint: Fingerprint,
    repeats: Repeats,
    since: Tick,
    exemplar: Option<Arc<X>>,
}

impl<X> Orphan<X> {
    /// Adds what else is known of the same message; returns it if it is of another.
    fn merge(&mut self, other: Self) -> Option<Self> {
        if self.fingerprint != other.fingerprint {
            return Some(other);
        }
        self.repeats = self.repeats.plus(other.repeats);
        self.since = self.since.max(other.since);
        self.exemplar = self.exemplar.take().or(other.exemplar);
        None
    }

    fn copy(&self) -> Self {
        Self { exemplar: self.exemplar.clone(), ..*self }
    }
}

impl<X> From<Orphan<X>> for Pending<X> {
    fn from(orphan: Orphan<X>) -> Self {
        Self::of(orphan.fingerprint, orphan.repeats, orphan.since, orphan.exemplar)
    }
}

/// Records that a fingerprint may be in.
const PROBES: usize = 8;

/// Free, held by one thread for a few instructions, or full. Who keeps a count goes on to the next
/// if it meets one that is held: no call waits. Who looks for counts waits a little.
struct Record<X> {
    /// [`FREE`], [`HELD`], or a full record's hash with [`FULL`] set.
    state: AtomicU64,
    /// The holder's. Initialised if the record is full.
    orphan: UnsafeCell<MaybeUninit<Orphan<X>>>,
    watched: Watched,
}

/// How often who looks for full records gives its time slice away while another holds one.
#[cfg(not(loom))]
const PATIENCE: usize = 1000;
#[cfg(loom)]
const PATIENCE: usize = 2;

const FREE: u64 = 0;
const HELD: u64 = 1;
const FULL: u64 = 2;

impl<X> Default for Record<X> {
    fn default() -> Self {
        Self {
            state: AtomicU64::new(FREE),
            orphan: UnsafeCell::new(MaybeUninit::uninit()),
            watched: Watched::default(),
        }
    }
}

// SAFETY: zero is FREE, and then nothing is said of the rest. `Orphans` drops what is full.
unsafe impl<X> Zeroable for Record<X> {}
// SAFETY: only the holder touches what is not atomic, and there is one: see `hold`.
unsafe impl<X: Send + Sync> Sync for Record<X> {}

/// A record that this thread holds, and what it was before.
struct Held<'a, X> {
    record: &'a Record<X>,
    seen: u64,
}

impl<X> Record<X> {
    fn hold(&self, seen: u64) -> Option<Held<'_, X>> {
        // Acquire (O-11): pairs with `release`; what the last holder wrote is visible.
        let held = self.state.compare_exchange(seen, HELD, Ordering::Acquire, Ordering::Relaxed);
        held.is_ok().then_some(Held { record: self, seen })
    }

    /// Holds the record if it is full. Waits a little for who holds it: what a look passes
    /// by would not be in the last report.
    fn hold_full(&self) -> Option<Held<'_, X>> {
        for _ in 0..PATIENCE {
            match self.state.load(Ordering::Relaxed) {
                FREE => return None,
                HELD => yield_now(),
                full => {
                    if let held @ Some(_) = self.hold(full) {
                        return held;
                    }
                }
            }
        }
        None
    }
}

impl<X> Held<'_, X> {
    fn release(self, state: u64) {
        // Release (O-11): pairs with `hold`.
        self.record.state.store(state, Ordering::Release);
    }

    fn memory(&mut self) -> &mut MaybeUninit<Orphan<X>> {
        self.record.watched.write();
        // SAFETY: nobody else touches what this thread holds.
        unsafe { &mut *self.record.orphan.get() }
    }

    fn fill(mut self, orphan: Orphan<X>, full: u64) {
        debug_assert!(self.seen == FREE, "nothing is overwritten");
        self.memory().write(orphan);
        self.release(full);
    }

    /// Looks at a record that is full, and gives it back.
    fn with<T>(mut self, look: impl FnOnce(&mut Orphan<X>) -> T) -> T {
        debug_assert!(self.seen & FULL != 0);
        // SAFETY: full.
        let result = look(unsafe { self.memory().assume_init_mut() });
        let seen = self.seen;
        self.release(seen);
        result
    }

    /// Takes what a full record holds if it `is_wanted`.
    fn take(mut self, is_wanted: impl FnOnce(&Orphan<X>) -> bool) -> Option<Orphan<X>> {
        debug_assert!(self.seen & FULL != 0);
        // SAFETY: full.
        if !is_wanted(unsafe { self.memory().assume_init_ref() }) {
            let seen = self.seen;
            self.release(seen);
            return None;
        }
        // SAFETY: full, and free from here on.
        let orphan = unsafe { self.memory().assume_init_read() };
        self.release(FREE);
        Some(orphan)
    }
}

pub(super) struct Orphans<X> {
    records: Zeroed<Record<X>>,
    /// What finds no record.
    sums: Sums,
    /// Of all that is pending here.
    total: AtomicU64,
}

impl<X> Orphans<X> {
    /// With `records` records, one at least. `None` if there is no memory for them.
    pub(super) fn new(records: usize) -> Option<Self> {
        Some(Self { records: Zeroed::new(records)?, sums: Sums::new(), total: AtomicU64::new(0) })
    }

    pub(super) fn bytes(records: usize) -> Option<usize> {
        Zeroed::<Record<X>>::bytes(records)
    }

    /// The state of a full record of a fingerprint, and the records that it may be in.
    fn records_of(&self, fingerprint: Fingerprint) -> (u64, impl Iterator<Item = &Record<X>>) {
        let bits = fingerprint.as_u128();
        let hash = (bits as u64 ^ (bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let home = ((u128::from(hash) * self.records.len() as u128) >> 64) as usize;
        let probes = PROBES.min(self.records.len());
        (hash | FULL, (home..home + probes).map(|i| &self.records[i % self.records.len()]))
    }

    /// Keeps a count until a drain. Lock-free.
    pub(super) fn add(&self, pending: Pending<X>) {
        let Pending { fingerprint, namespace, repeats, since, exemplar } = pending;
        self.total.fetch_add(repeats.count, Ordering::Relaxed);
        if let Some(fingerprint) = fingerprint {
            let mut orphan = Orphan { fingerprint, repeats, since, exemplar };
            let (full, records) = self.records_of(fingerprint);
            for record in records {
                let seen = record.state.load(Ordering::Relaxed);
                if seen != FREE && seen != full {
                    continue;
                }
                let Some(held) = record.hold(seen) else { continue };
                if seen == FREE {
                    return held.fill(orphan, full);
                }
                let Some(left) = held.with(|kept| kept.merge(orphan)) else { return };
                orphan = left;
            }
        }
        self.sums.add(namespace, repeats, since);
    }

    /// Takes what the records hold of a fingerprint.
    pub(super) fn take_of(&self, fingerprint: Fingerprint) -> Option<Pending<X>> {
        let (full, records) = self.records_of(fingerprint);
        let own = |kept: &Orphan<X>| kept.fingerprint == fingerprint;
        let full =
            records.filter(|record| [full, HELD].contains(&record.state.load(Ordering::Relaxed)));
        full.filter_map(|record| record.hold_full()?.take(own).map(Pending::from))
            .inspect(|taken| self.note(taken))
            .reduce(Pending::merged)
    }

    fn note(&self, taken: &Pending<X>) {
        self.total.fetch_sub(taken.repeats.count, Ordering::Relaxed);
    }

    /// Copies of all records, for a look at them.
    pub(super) fn copies(&self) -> impl Iterator<Item = Pending<X>> {
        let full = self.records.iter().filter_map(Record::hold_full);
        full.map(|held| held.with(|kept| kept.copy().into()))
    }

    /// Takes what `select` has, one after the other.
    pub(super) fn take<'a>(
        &'a self,
        select: &'a Select<'_, X>,
    ) -> impl Iterator<Item = Pending<X>> + 'a {
        let full = self.records.iter().filter_map(Record::hold_full);
        let records =
            full.filter_map(|held| held.take(|kept| select.has(kept.fingerprint.namespace())));
        records.map(Pending::from).chain(self.sums.take(select)).inspect(|taken| self.note(taken))
    }

    /// All that is pending here.
    pub(super) fn sum(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

impl<X> Drop for Orphans<X> {
    fn drop(&mut self) {
        self.take(&Select::all()).for_each(drop);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::engine::sums::COUNT_MASK;
    use crate::{Namespace, Tick};
    use std::sync::Arc;

    fn pending(bits: u128, count: u64, since: u64) -> Pending<String> {
        let fingerprint = Fingerprint::from_u128(bits);
        Pending {
            fingerprint: Some(fingerprint),
            namespace: fingerprint.namespace(),
            repeats: Repeats { count, last: Some(Tick::from_millis(since + count)) },
            since: Tick::from_millis(since),
            exemplar: Some(Arc::new(format!("{bits}"))),
        }
    }

    fn take_all(orphans: &Orphans<String>, select: Select<'_, String>) -> Vec<Pending<String>> {
        orphans.take(&select).collect()
    }

    #[test]
    fn counts_of_one_fingerprint_are_merged() {
        let orphans = Orphans::new(16).unwrap();
        orphans.add(pending(5, 2, 30));
        orphans.add(pending(5, 3, 20));
        orphans.add(pending(6, 1, 10));
        assert_eq!(orphans.sum(), 6);
        let mut all = take_all(&orphans, Select::all());
        all.sort_by_key(|p| p.repeats.count);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[1].repeats, all[1].since.as_millis()),
            (Repeats { count: 5, last: Some(Tick::from_millis(32)) }, 30),
            "the last emission of the two, and the last repeat"
        );
        assert_eq!(all[1].exemplar.as_deref().unwrap(), "5");
        assert_eq!(orphans.sum(), 0);
        assert!(take_all(&orphans, Select::all()).is_empty());
    }

    #[test]
    fn one_fingerprint_can_be_taken_or_looked_at() {
        let orphans = Orphans::new(16).unwrap();
        orphans.add(pending(5, 2, 30));
        orphans.add(pending(6, 1, 10));
        assert_eq!(orphans.copies().map(|p| p.repeats.count).sum::<u64>(), 3);
        let taken = orphans.take_of(Fingerprint::from_u128(5)).unwrap();
        assert_eq!(
            (taken.repeats.count, taken.exemplar.as_deref().map(String::as_str)),
            (2, Some("5"))
        );
        assert!(orphans.take_of(Fingerprint::from_u128(5)).is_none());
        assert_eq!(orphans.sum(), 1);
    }

    #[test]
    fn what_finds_no_record_is_summed_by_namespace() {
        let orphans = Orphans::new(4).unwrap();
        for i in 0..100u128 {
            let ns = Namespace((i % 2) as u16);
            let fp = Fingerprint::from_u128(i).with_namespace(ns);
            orphans.add(pending(fp.as_u128(), 1, 50 + i as u64));
        }
        assert_eq!(orphans.sum(), 100);
        let ones = take_all(&orphans, Select::all().of(Namespace(1)));
        assert_eq!(ones.iter().map(|p| p.repeats.count).sum::<u64>(), 50);
        assert!(ones.iter().all(|p| p.namespace == Namespace(1)));
        let sum = ones.iter().find(|p| p.fingerprint.is_none()).expect("4 records cannot hold 50");
        assert!(sum.since.as_millis() >= 50);
        let last = ones.iter().filter_map(|p| p.repeats.last).max();
        assert_eq!(last, Some(Tick::from_millis(150)), "of the last that was added");
        let rest = take_all(&orphans, Select::all());
        assert_eq!(rest.iter().map(|p| p.repeats.count).sum::<u64>(), 50);
    }

    #[test]
    fn namespaces_beyond_the_sums_are_mixed_not_lost() {
        let orphans = Orphans::<String>::new(4).unwrap();
        for ns in 0..1000 {
            let since = Tick::default();
            orphans.add(Pending {
                fingerprint: None,
                namespace: Namespace(ns),
                repeats: Repeats::one(since),
                since,
                exemplar: None,
            });
        }
        let own = take_all(&orphans, Select::all().of(Namespace(3)));
        assert!(own.iter().any(|p| p.namespace == Namespace(3)));
        assert!(
            own.iter().any(|p| p.namespace == Namespace::MIXED),
            "a namespace's drain takes the mixed sum along"
        );
        let rest = take_all(&orphans, Select::all());
        let all = own.iter().chain(&rest).map(|p| p.repeats.count).sum::<u64>();
        assert_eq!(all, 1000);
    }

    #[test]
    fn a_sum_that_would_overflow_goes_elsewhere() {
        let orphans = Orphans::<String>::new(4).unwrap();
        let huge = || Pending {
            fingerprint: None,
            namespace: Namespace(0),
            repeats: Repeats { count: COUNT_MASK, last: None },
            since: Tick::default(),
            exemplar: None,
        };
        orphans.add(huge());
        orphans.add(huge());
        let all = take_all(&orphans, Select::all());
        assert_eq!(all.iter().map(|p| p.repeats.count).sum::<u64>(), 2 * COUNT_MASK);
    }

    #[test]
    fn who_only_looks_keeps_nothing_from_a_drain() {
        let orphans = Orphans::new(4).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let (mut sum, mut short) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(take_all(&orphans, Select::all().of(Namespace(9))).is_empty());
                    assert!(
                        orphans.copies().all(|copy| copy.repeats.count <= 400)
                            && orphans.sum() <= 400
                    );
                }
            });
            for _ in 0..20_000 {
                orphans.add(pending(5, 1, 0));
                orphans.add(pending(5, 1, 0));
                let taken = take_all(&orphans, Select::all());
                let taken = taken.iter().map(|pending| pending.repeats.count).sum::<u64>();
                sum += taken;
                short += u32::from(taken < 2);
            }
            done.store(true, Ordering::Relaxed);
        });
        sum += take_all(&orphans, Select::all())
            .iter()
            .map(|pending| pending.repeats.count)
            .sum::<u64>();
        assert_eq!(sum, 40_000);
        // A look that is interrupted for a thousand yields may keep a count until the next drain.
        assert!(short < 200, "{short} drains of 20,000 came back short");
        assert_eq!(orphans.sum(), 0);
    }

    #[test]
    fn many_threads_add_and_take_and_lose_no_count() {
        let orphans = Orphans::new(8).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let taken = std::thread::scope(|scope| {
            let adders: Vec<_> = (0..3u128)
                .map(|thread| {
                    let orphans = &orphans;
                    scope.spawn(move || {
                        for i in 0..20_000 {
                            orphans.add(pending((thread + i) % 40, 1, 0));
                        }
                    })
                })
                .collect();
            let taker = scope.spawn(|| {
                let mut taken = 0;
                while !done.load(Ordering::Acquire) {
                    taken += take_all(&orphans, Select::all())
                        .iter()
                        .map(|p| p.repeats.count)
                        .sum::<u64>();
                }
                taken
            });
            for adder in adders {
                adder.join().unwrap();
            }
            done.store(true, Ordering::Release);
            taker.join().unwrap()
        });
        let rest: u64 = take_all(&orphans, Select::all()).iter().map(|p| p.repeats.count).sum();
        assert_eq!(taken + rest, 60_000);
    }
}
