//! Counters of suppressed calls, striped so that a suppressed call writes no line
//! that another core writes, as far as there are stripes.

use super::sync::{AtomicU32, Ordering};
use super::thread_index::likely_thread_index;
use super::zeroed::Zeroed;

/// A counter that reaches this hands it over to the orphans. Half of the range:
/// the calls that add meanwhile do not wrap it.
const SPILL: u32 = 1 << 31;

/// The most that is added at once: many additions may come between one that fills a
/// counter and the emptying of it, and must not wrap it.
pub(super) const MOST: u32 = 1 << 16;

/// A power of two.
const MAX_STRIPES: usize = 4;

/// For each of `slots` slots one counter in each of `stripes` stripes.
pub(super) struct Counts {
    /// Stripe-major: what two stripes hold of one slot is on different lines.
    cells: Zeroed<AtomicU32>,
    slots: usize,
    /// Where each stripe begins. Over again, where there are fewer: a thread finds its own with a
    /// constant mask.
    starts: [usize; MAX_STRIPES],
}

impl Counts {
    pub(super) fn new(slots: usize, stripes: usize) -> Option<Self> {
        debug_assert!(stripes.is_power_of_two());
        debug_assert!(stripes <= MAX_STRIPES);
        let cells = Zeroed::new(slots.checked_mul(stripes)?)?;
        Some(Self { cells, slots, starts: std::array::from_fn(|i| i % stripes * slots) })
    }

    pub(super) fn bytes(slots: usize, stripes: usize) -> Option<usize> {
        Zeroed::<AtomicU32>::bytes(slots.checked_mul(stripes)?)
    }

    /// Where the counters begin that the thread of index `thread` adds to.
    #[inline]
    pub(super) fn stripe(&self, thread: u32) -> usize {
        self.starts[thread as usize % MAX_STRIPES]
    }

    /// Adds `n` in a [`stripe`](Self::stripe). Whoever gets `Some(n)` must put
    /// `n`, which the counter no longer holds, among the orphans.
    ///
    /// Relaxed throughout: a counter is only added to and swapped; conservation
    /// needs no order with other words. (That a mark in the state word precedes
    /// the count is seen, where it matters, through the grace period or because no
    /// call is in flight.)
    #[inline]
    #[must_use]
    pub(super) fn add(&self, stripe: usize, slot: usize, n: u32) -> Option<u32> {
        debug_assert!(n <= MOST);
        Self::add_to(&self.cells[stripe + slot], n)
    }

    /// As [`add`](Self::add), in the calling thread's stripe.
    ///
    /// # Safety
    /// There is such a slot.
    #[inline]
    #[must_use]
    pub(super) unsafe fn add_mine(&self, slot: usize, n: u32) -> Option<u32> {
        debug_assert!(slot < self.slots);
        let cell = self.stripe(likely_thread_index()) + slot;
        // SAFETY: each of the stripes, which `starts` has, has a counter for each slot.
        Self::add_to(unsafe { self.cells.get_unchecked(cell) }, n)
    }

    #[inline]
    fn add_to(cell: &AtomicU32, n: u32) -> Option<u32> {
        let sum = cell.fetch_add(n, Ordering::Relaxed).wrapping_add(n);
        if sum < SPILL { None } else { Self::spill(cell) }
    }

    #[cold]
    fn spill(cell: &AtomicU32) -> Option<u32> {
        // Not a subtraction: a take may have emptied the counter meanwhile.
        cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| sum.checked_sub(SPILL)).is_ok().then_some(SPILL)
    }

    /// Takes what all stripes hold of a slot.
    pub(super) fn take(&self, slot: usize) -> u64 {
        let mut sum = 0;
        for cell in self.cells[slot..].iter().step_by(self.slots) {
            if cell.load(Ordering::Relaxed) != 0 {
                sum += u64::from(cell.swap(0, Ordering::Relaxed));
            }
        }
        sum
    }

    /// What a slot holds.
    pub(super) fn pending(&self, slot: usize) -> u64 {
        self.cells[slot..].iter().step_by(self.slots).map(|cell| u64::from(cell.load(Ordering::Relaxed))).sum()
    }

    /// What a negative control does instead of [`take`](Self::take).
    #[cold]
    pub(super) fn take_blindly(&self, slot: usize) -> u64 {
        let cells = || self.cells[slot..].iter().step_by(self.slots);
        let sum = cells().map(|cell| u64::from(cell.load(Ordering::Relaxed))).sum();
        cells().for_each(|cell| cell.store(0, Ordering::Relaxed));
        sum
    }

    /// What is pending in all counters.
    pub(super) fn sum(&self) -> u64 {
        self.cells.iter().map(|cell| u64::from(cell.load(Ordering::Relaxed))).sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn stripes_add_up_and_slots_are_apart() {
        let counts = Counts::new(16, 2).unwrap();
        for thread in 0..5 {
            assert_eq!(counts.add(counts.stripe(thread), 3, 2), None);
        }
        assert_eq!(counts.add(counts.stripe(1), 4, 1), None);
        assert_eq!(counts.sum(), 11);
        assert_eq!(counts.take(3), 10);
        assert_eq!(counts.take(3), 0);
        assert_eq!(counts.take(4), 1);
        assert_eq!(counts.take(15), 0);
    }

    #[test]
    fn a_full_counter_hands_half_its_range_over() {
        let counts = Counts::new(1, 1).unwrap();
        for _ in 1..SPILL / MOST {
            assert_eq!(counts.add(0, 0, MOST), None);
        }
        assert_eq!(counts.add(0, 0, MOST - 1), None);
        assert_eq!(counts.add(0, 0, 3), Some(SPILL));
        assert_eq!(counts.take(0), 2);
    }
}
