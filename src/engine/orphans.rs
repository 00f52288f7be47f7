//! Counts whose entry is gone: kept until a drain, in a fixed number of records.

use super::sync::{AtomicPtr, AtomicU64, Ordering};
use super::zeroed::Zeroed;
use super::{Pending, Select};
use crate::{Fingerprint, Namespace, Tick};
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

/// Records that a fingerprint may be in.
const PROBES: usize = 8;
/// Words of a record, its exemplar aside.
const RECORD_WORDS: usize = 5;
/// Sums by namespace, for what finds no record.
#[cfg(not(loom))]
const SUMS: usize = 64;
#[cfg(loom)]
const SUMS: usize = 1;

/// Bytes that `records` records take.
pub(super) fn bytes(records: usize) -> Option<usize> {
    Zeroed::<AtomicU64>::bytes(records.checked_mul(RECORD_WORDS)?)?
        .checked_add(Zeroed::<AtomicPtr<()>>::bytes(records)?)
}

/// A bag of records. Each is free, held by one thread for a few instructions,
/// or full; who meets one that is held goes on to the next. Nobody waits.
pub(super) struct Orphans<X> {
    words: Zeroed<AtomicU64>,
    exemplars: Zeroed<AtomicPtr<X>>,
    records: usize,
    sums: [Sum; SUMS],
    /// What is too much for `sums`.
    mixed: AtomicU64,
    owns: PhantomData<Arc<X>>,
}

struct Record<'a, X> {
    /// [`FREE`], [`HELD`] or a full record's fingerprint, shortened, with [`FULL`] set.
    state: &'a AtomicU64,
    low: &'a AtomicU64,
    high: &'a AtomicU64,
    count: &'a AtomicU64,
    since: &'a AtomicU64,
    exemplar: &'a AtomicPtr<X>,
}

const FREE: u64 = 0;
const HELD: u64 = 1;
const FULL: u64 = 2;

impl<X> Record<'_, X> {
    /// Takes hold of the record if its state is `seen`.
    fn hold(&self, seen: u64) -> bool {
        // Acquire (O-9): pairs with `release`; what the last holder wrote is visible.
        self.state.compare_exchange(seen, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn release(&self, state: u64) {
        // Release (O-9): pairs with `hold`.
        self.state.store(state, Ordering::Release);
    }

    // Relaxed, below: only the holder reads or writes these.

    fn fingerprint(&self) -> Fingerprint {
        let (low, high) = (self.low.load(Ordering::Relaxed), self.high.load(Ordering::Relaxed));
        Fingerprint::from_u128(u128::from(high) << 64 | u128::from(low))
    }

    fn since(&self) -> Tick {
        Tick::from_millis(self.since.load(Ordering::Relaxed))
    }

    fn fill(&self, fingerprint: Fingerprint, count: u64, since: Tick, exemplar: Option<Arc<X>>) {
        let bits = fingerprint.as_u128();
        self.low.store(bits as u64, Ordering::Relaxed);
        self.high.store((bits >> 64) as u64, Ordering::Relaxed);
        self.count.store(count, Ordering::Relaxed);
        self.since.store(since.as_millis(), Ordering::Relaxed);
        self.exemplar.store(exemplar.map_or(ptr::null_mut(), |x| Arc::into_raw(x).cast_mut()), Ordering::Relaxed);
    }

    fn merge(&self, count: u64, since: Tick, exemplar: Option<Arc<X>>) {
        if let (Some(exemplar), true) = (exemplar, self.exemplar.load(Ordering::Relaxed).is_null()) {
            self.exemplar.store(Arc::into_raw(exemplar).cast_mut(), Ordering::Relaxed);
        }
        self.count.store(self.count.load(Ordering::Relaxed) + count, Ordering::Relaxed);
        self.since.store(self.since().max(since).as_millis(), Ordering::Relaxed);
    }

    fn share_exemplar(&self) -> Option<Arc<X>> {
        let raw = self.exemplar.load(Ordering::Relaxed);
        if raw.is_null() {
            return None;
        }
        // SAFETY: from `Arc::into_raw` in `fill` or `merge`, and not taken while the record is held.
        unsafe { Arc::increment_strong_count(raw) };
        // SAFETY: the share just added is the caller's.
        Some(unsafe { Arc::from_raw(raw) })
    }

    fn take_exemplar(&self) -> Option<Arc<X>> {
        let raw = self.exemplar.load(Ordering::Relaxed);
        self.exemplar.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: a pointer that is not null came from `Arc::into_raw` in `fill`, and is
        // taken once: the record is held.
        (!raw.is_null()).then(|| unsafe { Arc::from_raw(raw) })
    }
}

/// A sum for a namespace: `namespace + 1` in 17 bits above a count of 47.
#[derive(Default)]
struct Sum {
    word: AtomicU64,
    /// The earliest `since`, plus one; 0 is none. It may be that of counts just
    /// taken, when a drain and an add race.
    since: AtomicU64,
}

const COUNT_BITS: u32 = 47;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl Sum {
    /// Adds, unless the sum is another namespace's or would overflow.
    fn add(&self, namespace: Namespace, count: u64, since: Tick) -> bool {
        let owner = (u64::from(namespace.0) + 1) << COUNT_BITS;
        // Relaxed: one word says all.
        let added = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let mine = word == 0 || word & !COUNT_MASK == owner;
            let sum = (word & COUNT_MASK).checked_add(count).filter(|&sum| sum <= COUNT_MASK);
            if mine { sum.map(|sum| owner | sum) } else { None }
        });
        if added.is_ok() {
            let since = since.as_millis() + 1;
            let _ = self
                .since
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| (old == 0 || old > since).then_some(since));
        }
        added.is_ok()
    }

    fn take<X>(&self, select: &Select<'_, X>) -> Option<Pending<X>> {
        let word = self.word.load(Ordering::Relaxed);
        let owner = |word: u64| Namespace((word >> COUNT_BITS).wrapping_sub(1) as u16);
        if word == 0 || !select.has(owner(word)) {
            return None;
        }
        let since = self.since.swap(0, Ordering::Relaxed);
        // Not a swap: the sum may have changed hands meanwhile.
        let taken = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            (word != 0 && select.has(owner(word))).then_some(0)
        });
        taken.ok().map(|word| Pending {
            fingerprint: None,
            namespace: owner(word),
            count: word & COUNT_MASK,
            since: Tick::from_millis(since.saturating_sub(1)),
            exemplar: None,
        })
    }
}

impl<X> Orphans<X> {
    pub(super) fn new(records: usize) -> Option<Self> {
        Some(Self {
            words: Zeroed::new(records.checked_mul(RECORD_WORDS)?)?,
            exemplars: Zeroed::new(records)?,
            records,
            sums: std::array::from_fn(|_| Sum::default()),
            mixed: AtomicU64::new(0),
            owns: PhantomData,
        })
    }

    fn record(&self, index: usize) -> Record<'_, X> {
        let words = &self.words[index * RECORD_WORDS..][..RECORD_WORDS];
        Record {
            state: &words[0],
            low: &words[1],
            high: &words[2],
            count: &words[3],
            since: &words[4],
            exemplar: &self.exemplars[index],
        }
    }

    /// The state of a full record of a fingerprint, and the records that it may be in.
    fn records_of(&self, fingerprint: Fingerprint) -> (u64, impl Iterator<Item = Record<'_, X>>) {
        let bits = fingerprint.as_u128();
        let hash = (bits as u64 ^ (bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let home = ((u128::from(hash) * self.records as u128) >> 64) as usize;
        let records = (0..PROBES.min(self.records)).map(move |i| self.record((home + i) % self.records));
        (hash | FULL, records)
    }

    /// What the records hold of a fingerprint, and keep.
    pub(super) fn pending(&self, fingerprint: Fingerprint) -> u64 {
        let (full, records) = self.records_of(fingerprint);
        let mut sum = 0;
        for record in records {
            if record.state.load(Ordering::Relaxed) == full && record.hold(full) {
                if record.fingerprint() == fingerprint {
                    sum += record.count.load(Ordering::Relaxed);
                }
                record.release(full);
            }
        }
        sum
    }

    /// Whose the next record is from place `at` on, since when, and a share of its exemplar; `None`
    /// at the end. `at` is moved on.
    pub(super) fn look_next(&self, at: &mut usize) -> Option<(Fingerprint, Tick, Option<Arc<X>>)> {
        while *at < self.records {
            let record = self.record(*at);
            *at += 1;
            let seen = record.state.load(Ordering::Relaxed);
            if seen & FULL != 0 && record.hold(seen) {
                let found = (record.fingerprint(), record.since(), record.share_exemplar());
                record.release(seen);
                return Some(found);
            }
        }
        None
    }

    /// Keeps a count until a drain. Lock-free; bounded.
    pub(super) fn add(&self, pending: Pending<X>) {
        let Pending { fingerprint, namespace, count, since, exemplar } = pending;
        let Some(fingerprint) = fingerprint else {
            return self.add_sum(namespace, count, since);
        };
        let (full, records) = self.records_of(fingerprint);
        for record in records {
            let seen = record.state.load(Ordering::Relaxed);
            if seen == FREE && record.hold(FREE) {
                record.fill(fingerprint, count, since, exemplar);
                return record.release(full);
            }
            if seen == full && record.hold(full) {
                if record.fingerprint() == fingerprint {
                    record.merge(count, since, exemplar);
                    return record.release(full);
                }
                record.release(full);
            }
        }
        self.add_sum(namespace, count, since);
    }

    fn add_sum(&self, namespace: Namespace, count: u64, since: Tick) {
        let home = namespace.0 as usize;
        let added = (0..SUMS).any(|i| self.sums[(home + i) % SUMS].add(namespace, count, since));
        if !added {
            self.mixed.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Takes what `select` has from place `at` on, until one is found; `None` at the
    /// end. `at` is moved on.
    pub(super) fn take_next(&self, select: &Select<'_, X>, at: &mut usize) -> Option<Pending<X>> {
        while *at < self.records {
            let record = self.record(*at);
            *at += 1;
            let seen = record.state.load(Ordering::Relaxed);
            if seen & FULL == 0 || !record.hold(seen) {
                continue;
            }
            let fingerprint = record.fingerprint();
            if !select.has(fingerprint.namespace()) {
                record.release(seen);
                continue;
            }
            let pending = Pending {
                fingerprint: Some(fingerprint),
                namespace: fingerprint.namespace(),
                count: record.count.load(Ordering::Relaxed),
                since: record.since(),
                exemplar: record.take_exemplar(),
            };
            record.release(FREE);
            return Some(pending);
        }
        while *at < self.records + SUMS {
            let sum = &self.sums[*at - self.records];
            *at += 1;
            if let Some(pending) = sum.take(select) {
                return Some(pending);
            }
        }
        if *at == self.records + SUMS {
            *at += 1;
            let count = self.mixed.swap(0, Ordering::Relaxed);
            if count != 0 {
                let (namespace, since) = (Namespace::MIXED, Tick::default());
                return Some(Pending { fingerprint: None, namespace, count, since, exemplar: None });
            }
        }
        None
    }

    /// All that is pending here.
    pub(super) fn sum(&self) -> u64 {
        let records: u64 = (0..self.records)
            .map(|index| self.record(index))
            .filter(|record| record.state.load(Ordering::Acquire) & FULL != 0)
            .map(|record| record.count.load(Ordering::Relaxed))
            .sum();
        let sums: u64 = self.sums.iter().map(|sum| sum.word.load(Ordering::Relaxed) & COUNT_MASK).sum();
        records + sums + self.mixed.load(Ordering::Relaxed)
    }
}

impl<X> Drop for Orphans<X> {
    fn drop(&mut self) {
        let mut at = 0;
        while self.take_next(&Select::all(), &mut at).is_some() {}
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn pending(bits: u128, count: u64, since: u64) -> Pending<String> {
        let fingerprint = Fingerprint::from_u128(bits);
        Pending {
            fingerprint: Some(fingerprint),
            namespace: fingerprint.namespace(),
            count,
            since: Tick::from_millis(since),
            exemplar: Some(Arc::new(format!("{bits}"))),
        }
    }

    fn take_all(orphans: &Orphans<String>, select: Select<'_, String>) -> Vec<Pending<String>> {
        let mut at = 0;
        std::iter::from_fn(|| orphans.take_next(&select, &mut at)).collect()
    }

    #[test]
    fn counts_of_one_fingerprint_are_merged() {
        let orphans = Orphans::new(16).unwrap();
        orphans.add(pending(5, 2, 30));
        orphans.add(pending(5, 3, 20));
        orphans.add(pending(6, 1, 10));
        assert_eq!(orphans.sum(), 6);
        let mut all = take_all(&orphans, Select::all());
        all.sort_by_key(|p| p.count);
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].count, all[1].since.as_millis()), (5, 30), "the last emission of the two");
        assert_eq!(all[1].exemplar.as_deref().unwrap(), "5");
        assert_eq!(orphans.sum(), 0);
        assert!(take_all(&orphans, Select::all()).is_empty());
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
        assert_eq!(ones.iter().map(|p| p.count).sum::<u64>(), 50);
        assert!(ones.iter().all(|p| p.namespace == Namespace(1)));
        let sum = ones.iter().find(|p| p.fingerprint.is_none()).expect("4 records cannot hold 50");
        assert!(sum.since.as_millis() >= 50);
        let rest = take_all(&orphans, Select::all());
        assert_eq!(rest.iter().map(|p| p.count).sum::<u64>(), 50);
    }

    #[test]
    fn more_namespaces_than_sums_are_mixed_and_still_counted() {
        let orphans = Orphans::<String>::new(4).unwrap();
        for ns in 0..1000 {
            let since = Tick::default();
            orphans.add(Pending { fingerprint: None, namespace: Namespace(ns), count: 1, since, exemplar: None });
        }
        let own = take_all(&orphans, Select::all().of(Namespace(3)));
        assert!(own.iter().any(|p| p.namespace == Namespace(3)));
        assert!(own.iter().any(|p| p.namespace == Namespace::MIXED), "a namespace's drain takes the mixed sum along");
        let rest = take_all(&orphans, Select::all());
        let all = own.iter().chain(&rest).map(|p| p.count).sum::<u64>();
        assert_eq!(all, 1000);
    }

    #[test]
    fn a_sum_that_would_overflow_goes_elsewhere() {
        let orphans = Orphans::<String>::new(4).unwrap();
        let huge = || Pending {
            fingerprint: None,
            namespace: Namespace(0),
            count: COUNT_MASK,
            since: Tick::default(),
            exemplar: None,
        };
        orphans.add(huge());
        orphans.add(huge());
        let all = take_all(&orphans, Select::all());
        assert_eq!(all.iter().map(|p| p.count).sum::<u64>(), 2 * COUNT_MASK);
    }

    #[test]
    fn adds_and_takes_by_many_threads_conserve_counts() {
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
                    taken += take_all(&orphans, Select::all()).iter().map(|p| p.count).sum::<u64>();
                }
                taken
            });
            for adder in adders {
                adder.join().unwrap();
            }
            done.store(true, Ordering::Release);
            taker.join().unwrap()
        });
        let rest: u64 = take_all(&orphans, Select::all()).iter().map(|p| p.count).sum();
        assert_eq!(taken + rest, 60_000);
    }
}
