//! Caches that evict when they are full, so they go on tracking. None of them counts what
//! it suppresses.

use super::Contender;
use super::maps::State;
use quick_cache::sync::{EntryAction, EntryResult};
use scc::hash_cache::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of 32, each behind a lock and with its own order of eviction.
pub(crate) struct Scc {
    cache: scc::HashCache<u128, u64, State>,
    window: u64,
}

impl Scc {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        let cache =
            scc::HashCache::with_capacity_and_hasher(max_entries, max_entries, State::default());
        Self { cache, window }
    }
}

impl Contender for Scc {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        // By `entry_sync` at once: `read_sync` would take a lock too, and no note of the
        // use, which eviction goes by.
        match self.cache.entry_sync(key) {
            Entry::Occupied(mut entry) => {
                let last = entry.get_mut();
                let emit = now.saturating_sub(*last) >= self.window;
                if emit {
                    *last = now;
                }
                emit
            }
            Entry::Vacant(entry) => {
                entry.put_entry(now);
                true
            }
        }
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.cache.len())
    }
}

/// Shards behind locks, evicting by a variant of S3-FIFO.
pub(crate) struct QuickCache {
    cache: quick_cache::sync::Cache<u128, u64, quick_cache::UnitWeighter, State>,
    window: u64,
}

impl QuickCache {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        let cache = quick_cache::sync::Cache::with(
            max_entries,
            max_entries as u64,
            quick_cache::UnitWeighter,
            State::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        );
        Self { cache, window }
    }
}

impl Contender for QuickCache {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        // Suppressed calls share the lock.
        if self.cache.get(&key).is_some_and(|last| now.saturating_sub(last) < self.window) {
            return false;
        }
        let result = self.cache.entry(&key, None, |_, last| {
            let emit = now.saturating_sub(*last) >= self.window;
            if emit {
                *last = now;
            }
            EntryAction::Retain(emit)
        });
        match result {
            EntryResult::Retained(emit) => emit,
            EntryResult::Vacant(guard) => {
                let _ = guard.insert(now);
                true
            }
            _ => unreachable!("no other action is asked for, and no time limit"),
        }
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.cache.len())
    }
}

/// A concurrent cache with TinyLFU. Its own time to live needs its own clock, so the stamps
/// are values.
pub(crate) struct Moka {
    cache: moka::sync::Cache<u128, Arc<AtomicU64>, State>,
    window: u64,
}

impl Moka {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(max_entries as u64)
            .initial_capacity(max_entries)
            .build_with_hasher(State::default());
        Self { cache, window }
    }
}

impl Contender for Moka {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        let last = match self.cache.get(&key) {
            Some(last) => last,
            None => {
                let entry = self.cache.entry(key).or_insert_with(|| Arc::new(AtomicU64::new(now)));
                if entry.is_fresh() {
                    return true;
                }
                entry.into_value()
            }
        };
        let seen = last.load(Ordering::Acquire);
        now.saturating_sub(seen) >= self.window
            && last.compare_exchange(seen, now, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn tracked(&self) -> Option<usize> {
        self.cache.run_pending_tasks();
        Some(self.cache.entry_count() as usize)
    }
}
