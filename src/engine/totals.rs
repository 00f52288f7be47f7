//! Counts of a cache's life, striped by thread: they are written once a call that
//! emits, never by one that suppresses.

use super::sync::{AtomicU64, Ordering};
use super::thread_index::thread_index;
use crossbeam_utils::CachePadded;

#[cfg(not(loom))]
const STRIPES: usize = 8;
#[cfg(loom)]
const STRIPES: usize = super::thread_index::MODEL_THREADS;

#[derive(Default)]
pub(super) struct Total {
    pub(super) emitted: AtomicU64,
    pub(super) failed_open: AtomicU64,
    pub(super) exempt: AtomicU64,
    /// Suppressed calls handed out, in an emission or a summary.
    pub(super) reported: AtomicU64,
    pub(super) forgotten: AtomicU64,
}

#[derive(Default)]
pub(super) struct Totals([CachePadded<Total>; STRIPES]);

impl Totals {
    /// The calling thread's stripe.
    #[inline]
    pub(super) fn mine(&self) -> &Total {
        &self.0[thread_index() as usize % STRIPES]
    }

    pub(super) fn sum(&self, of: impl Fn(&Total) -> &AtomicU64) -> u64 {
        // A count that is put back may be taken off another stripe than it was added to.
        self.0.iter().fold(0, |sum, total| sum.wrapping_add(of(total).load(Ordering::Relaxed)))
    }
}

/// Relaxed: a statistic, exact when no call is in flight.
#[inline]
pub(super) fn bump(count: &AtomicU64, by: u64) -> u64 {
    count.fetch_add(by, Ordering::Relaxed)
}
