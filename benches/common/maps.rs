//! Maps that stop tracking when they are full. None of them counts what it suppresses.

use super::Contender;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};

/// The keys are hashes already: none of the maps need pay for another one.
#[derive(Default, Clone)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    /// Hashes what moka adds to a key that it inserts.
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    #[inline(always)]
    fn write_u128(&mut self, key: u128) {
        self.0 ^= key as u64;
    }

    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) type State = BuildHasherDefault<AsItIs>;

/// A map under a mutex: what most programs do first.
pub(crate) struct MutexMap {
    map: Mutex<HashMap<u128, u64, State>>,
    max_entries: usize,
    window: u64,
}

impl MutexMap {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        Self {
            map: Mutex::new(HashMap::with_capacity_and_hasher(max_entries, State::default())),
            max_entries,
            window,
        }
    }
}

impl Contender for MutexMap {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        let mut map = self.map.lock().unwrap();
        if let Some(last) = map.get_mut(&key) {
            if now.saturating_sub(*last) < self.window {
                return false;
            }
            *last = now;
        } else if map.len() < self.max_entries {
            map.insert(key, now);
        }
        true
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.map.lock().unwrap().len())
    }
}

/// The way of Prometheus's Deduper: looks under a read lock and writes under another,
/// without a second look. So of two that race both are emitted, and once it is full it does
/// not even refresh what it tracks.
pub(crate) struct Prometheus {
    map: RwLock<HashMap<u128, u64, State>>,
    max_entries: usize,
    window: u64,
}

impl Prometheus {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        Self {
            map: RwLock::new(HashMap::with_capacity_and_hasher(max_entries, State::default())),
            max_entries,
            window,
        }
    }
}

impl Contender for Prometheus {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        let last = self.map.read().unwrap().get(&key).copied();
        if last.is_some_and(|last| now.saturating_sub(last) < self.window) {
            return false;
        }
        let mut map = self.map.write().unwrap();
        if map.len() < self.max_entries {
            map.insert(key, now);
        }
        true
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.map.read().unwrap().len())
    }
}

/// A map in shards, each behind a lock.
pub(crate) struct DashMap {
    map: dashmap::DashMap<u128, u64, State>,
    /// `DashMap::len` locks all shards.
    len: AtomicUsize,
    max_entries: usize,
    window: u64,
}

impl DashMap {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        let map = dashmap::DashMap::with_capacity_and_hasher(max_entries, State::default());
        Self { map, len: AtomicUsize::new(0), max_entries, window }
    }
}

impl Contender for DashMap {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        use dashmap::Entry;
        // Suppressed calls share the lock.
        if let Some(last) = self.map.get(&key) {
            if now.saturating_sub(*last) < self.window {
                return false;
            }
        } else if self.len.load(Ordering::Relaxed) >= self.max_entries {
            return true;
        }
        match self.map.entry(key) {
            Entry::Occupied(mut entry) => {
                let emit = now.saturating_sub(*entry.get()) >= self.window;
                if emit {
                    entry.insert(now);
                }
                emit
            }
            Entry::Vacant(entry) => {
                entry.insert(now);
                self.len.fetch_add(1, Ordering::Relaxed);
                true
            }
        }
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.map.len())
    }
}

/// A map that is lock-free for readers.
pub(crate) struct Papaya {
    map: papaya::HashMap<u128, AtomicU64, State>,
    max_entries: usize,
    window: u64,
}

impl Papaya {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        Self {
            map: papaya::HashMap::with_capacity_and_hasher(max_entries, State::default()),
            max_entries,
            window,
        }
    }
}

impl Contender for Papaya {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        let map = self.map.pin();
        let renew = |last: &AtomicU64| {
            let seen = last.load(Ordering::Acquire);
            now.saturating_sub(seen) >= self.window
                && last.compare_exchange(seen, now, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        if let Some(last) = map.get(&key) {
            return renew(last);
        }
        if map.len() >= self.max_entries {
            return true;
        }
        match map.try_insert(key, AtomicU64::new(now)) {
            Ok(_) => true,
            // Another thread was first, perhaps a window ago.
            Err(occupied) => renew(occupied.current),
        }
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.map.len())
    }
}
