//! The page of a thread's near counts: its entries, in sets of two, and the thread's totals.

use super::fault::{Faults, broken};
use super::repeats::Repeats;
use super::sync::{AtomicU32, AtomicU64, Ordering};
use crate::rules::RuleState;
use crate::{Fingerprint, Tick};

#[cfg(not(loom))]
pub(super) const ENTRIES: usize = 256;
#[cfg(loom)]
pub(super) const ENTRIES: usize = 2;
pub(super) const WAYS: usize = 2;

/// What a near entry knows of the table's: that it is NOTICED since the emission of a tick, and
/// what a rule needs besides. VALID, tick 42, 20 bits of a rule, whether these are a level.
///
/// With VALID and the tick at the top, whole words compare as ticks do, and what is void is
/// before all that is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) u64);

impl Mark {
    pub(super) const VALID: u64 = 1 << 63;
    pub(super) const TICK_SHIFT: u32 = 21;
    const IS_LEVEL: u64 = 1;

    /// Of an entry whose window has `level` doublings.
    pub(super) fn of_level(tick: Tick, level: u32) -> Self {
        Mark(Self::from(tick.as_millis()) | u64::from(level) << 1 | Self::IS_LEVEL)
    }

    /// Of an entry that a rule has counted calls of.
    pub(super) fn of_calls(tick: Tick, calls: u32) -> Self {
        debug_assert!(calls < RuleState::CALLS);
        Mark(Self::from(tick.as_millis()) | u64::from(calls) << 1)
    }

    /// The least that is valid from a tick on.
    #[inline(always)]
    pub(super) fn from(tick: u64) -> u64 {
        Self::VALID | tick << Self::TICK_SHIFT
    }

    pub(super) fn tick(self) -> Tick {
        Tick::from_millis((self.0 & !Self::VALID) >> Self::TICK_SHIFT)
    }

    pub(super) fn is_valid(self) -> bool {
        self.0 & Self::VALID != 0
    }

    /// What a rule may rely on; `None` if it is void.
    #[inline]
    pub(super) fn rule_state(self) -> Option<RuleState> {
        let known = (self.0 >> 1) as u32 & (RuleState::CALLS - 1);
        let (level, calls) = if self.0 & Self::IS_LEVEL != 0 { (known, 0) } else { (0, known) };
        self.is_valid().then(|| RuleState { since: self.tick(), level, calls, noticed: true })
    }
}

#[derive(Default)]
#[repr(C)]
pub(super) struct Entry {
    pub(super) low: AtomicU64,
    pub(super) high: AtomicU64,
    pub(super) mark: AtomicU64,
    /// Only grows. What is pending is the count less what was taken.
    pub(super) count: AtomicU64,
    /// When the last call was.
    last: AtomicU64,
    taken: AtomicU64,
}

impl Entry {
    /// Whose counts these are.
    pub(super) fn label(&self) -> Fingerprint {
        // Acquire, twice (O-5): a second look at a label comes after the first.
        let (low, high) = (self.low.load(Ordering::Acquire), self.high.load(Ordering::Acquire));
        Fingerprint::from_u128(u128::from(high) << 64 | u128::from(low))
    }

    #[inline(always)]
    pub(super) fn is_of(&self, low: u64, high: u64) -> bool {
        self.low.load(Ordering::Relaxed) == low && self.high.load(Ordering::Relaxed) == high
    }

    /// Counts a call at `now`.
    #[inline(always)]
    pub(super) fn bump(&self, now: Tick) {
        // Relaxed: published with the count.
        self.last.store(now.as_millis(), Ordering::Relaxed);
        // Release (O-5): pairs with the Acquire in `take`; the label is seen with it.
        self.count.store(self.count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Takes what is pending of a fingerprint. `taken` only grows, so somebody else's take makes
    /// this one fail; and so does a label that changes.
    pub(super) fn take(&self, fingerprint: Fingerprint, faults: Faults) -> Repeats {
        loop {
            // Acquire (O-5): before the label.
            let before = self.taken.load(Ordering::Acquire);
            if self.label() != fingerprint {
                return Repeats::default();
            }
            // Acquire (O-5): pairs with the Release in `bump`; a label that was written
            // before is seen.
            let count = self.count.load(Ordering::Acquire);
            if count == before || self.label() != fingerprint && !broken!(faults, TakeUnread) {
                return Repeats::default();
            }
            let last = self.last();
            // AcqRel (O-5): the owner's own take comes before its next label.
            let taken =
                self.taken.compare_exchange(before, count, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_ok() {
                return Repeats { count: count.wrapping_sub(before), last: Some(last) };
            }
        }
    }

    /// What is pending of whatever fingerprint.
    pub(super) fn pending(&self) -> Repeats {
        // Acquire, twice (O-5). Taken first: it is never ahead of the count that is read after it.
        let taken = self.taken.load(Ordering::Acquire);
        let count = self.count.load(Ordering::Acquire).wrapping_sub(taken);
        Repeats { count, last: (count != 0).then(|| self.last()) }
    }

    /// When the last call was that has been counted. After a look at the count.
    fn last(&self) -> Tick {
        Tick::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// Counts of a cache's life, of the calls of one thread or of all that have no page.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) emitted: AtomicU64,
    pub(super) failed_open: AtomicU64,
    pub(super) exempt: AtomicU64,
    /// Suppressed calls handed out, in an emission or a summary.
    pub(super) reported: AtomicU64,
    pub(super) forgotten: AtomicU64,
}

#[repr(C, align(64))]
pub(super) struct Page {
    pub(super) entries: [Entry; ENTRIES],
    /// What the counts were when somebody last asked for their entries' places. The owner's own.
    pub(super) asked: [AtomicU32; ENTRIES],
    pub(super) totals: Totals,
}

impl Page {
    /// Where the set of a fingerprint begins.
    #[inline(always)]
    pub(super) fn set(low: u64) -> usize {
        (low >> 20) as usize & (ENTRIES - WAYS)
    }

    #[inline(always)]
    pub(super) fn ways(&self, low: u64) -> &[Entry; WAYS] {
        let set = Self::set(low);
        self.entries[set..set + WAYS].try_into().expect("a set")
    }

    /// The entries that a fingerprint may have.
    pub(super) fn of(&self, fingerprint: Fingerprint) -> &[Entry; WAYS] {
        self.ways(fingerprint.as_u128() as u64)
    }
}

#[cfg(not(loom))]
pub(super) fn new_page() -> *mut Page {
    // SAFETY: a page has a size, and zero is valid for atomic integers.
    unsafe { std::alloc::alloc_zeroed(std::alloc::Layout::new::<Page>()) }.cast()
}

#[cfg(loom)]
pub(super) fn new_page() -> *mut Page {
    Box::into_raw(Box::new(Page {
        entries: std::array::from_fn(|_| Entry::default()),
        asked: std::array::from_fn(|_| AtomicU32::new(0)),
        totals: Totals::default(),
    }))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    #[test]
    fn marks_say_what_they_were_given() {
        let state = |mark: Mark| {
            mark.rule_state().map(|s| (s.since.as_millis(), s.level, s.calls, s.noticed))
        };
        assert_eq!(state(Mark::of_level(at(77), 31)), Some((77, 31, 0, true)));
        assert_eq!(
            state(Mark::of_calls(Tick::MAX, RuleState::CALLS - 1)),
            Some((Tick::MAX.as_millis(), 0, RuleState::CALLS - 1, true))
        );
        assert_eq!(state(Mark(0)), None);
        assert!(
            Mark::of_calls(at(5), 9).0 >= Mark::from(5)
                && Mark::of_calls(at(5), 9).0 < Mark::from(6)
        );
    }
}
