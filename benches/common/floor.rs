//! The floor: what the memory system allows.

use super::Contender;
use std::sync::atomic::{AtomicU64, Ordering};

/// A direct-mapped array of keys and stamps. It resolves no collision, evicts by
/// overwriting and is not exact. `COUNTED` adds one `fetch_add` to a suppressed call.
pub(crate) struct Floor<const COUNTED: bool> {
    slots: Box<[(AtomicU64, AtomicU64)]>,
    counts: Box<[AtomicU64]>,
    window: u64,
}

impl<const COUNTED: bool> Floor<COUNTED> {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        let len = (2 * max_entries).next_power_of_two();
        let counts = if COUNTED { len } else { 0 };
        Self {
            slots: (0..len).map(|_| Default::default()).collect(),
            counts: (0..counts).map(|_| Default::default()).collect(),
            window,
        }
    }
}

impl<const COUNTED: bool> Contender for Floor<COUNTED> {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        let index = (key >> 64) as usize & (self.slots.len() - 1);
        let key = key as u64 | 1;
        let (slot_key, stamp) = &self.slots[index];
        let now = now + 1;
        if slot_key.load(Ordering::Acquire) == key {
            let seen = stamp.load(Ordering::Acquire);
            if now.saturating_sub(seen) < self.window {
                if COUNTED {
                    self.counts[index].fetch_add(1, Ordering::Relaxed);
                }
                return false;
            }
            return stamp.compare_exchange(seen, now, Ordering::AcqRel, Ordering::Acquire).is_ok();
        }
        slot_key.store(key, Ordering::Release);
        stamp.store(now, Ordering::Release);
        true
    }

    fn tracked(&self) -> Option<usize> {
        Some(self.slots.iter().filter(|(key, _)| key.load(Ordering::Relaxed) != 0).count())
    }
}
