//! Suppressed calls: how many, and when the last of them was.
//!
//! A call says when it was before it is counted, by a plain store: near the thread beside the
//! count, in the table in a word beside the slot, which is there once somebody wants to know.
//! So who takes a count finds, by the orderings of the count, the time of the last call that
//! is in it, or that of a later one. Of calls that overlap any may have the last word.

use super::on_demand::OnDemand;
use super::slot::At;
use super::sync::{AtomicU64, Ordering};
use crate::Tick;

/// Suppressed calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeats {
    pub(crate) count: u64,
    /// When the last of them was, as far as it is known.
    pub(crate) last: Option<Tick>,
}

impl Repeats {
    pub(super) fn one(now: Tick) -> Self {
        Self { count: 1, last: Some(now) }
    }

    /// Adds others of the same message.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), last: self.last.max(other.last) }
    }
}

/// From the top: turn 12, nine bits to spare, whether there is a tick, tick 42.
#[derive(Clone, Copy)]
struct LastWord(u64);

impl LastWord {
    const TURN_SHIFT: u32 = 52;
    const IS_KNOWN: u64 = 1 << 42;

    #[inline(always)]
    fn of(turn: u64, tick: Tick) -> Self {
        LastWord(turn << Self::TURN_SHIFT | Self::IS_KNOWN | tick.as_millis())
    }

    /// Returns the tick of the entry of `turn`.
    fn tick(self, turn: u64) -> Option<Tick> {
        let differs = self.0 ^ Self::of(turn, Tick::default()).0;
        (differs < Self::IS_KNOWN).then(|| Tick::from_millis(differs))
    }
}

/// When a call was last counted in each slot, once somebody wants to know.
pub(super) struct Lasts {
    words: OnDemand<AtomicU64>,
}

impl Lasts {
    pub(super) fn new(slots: usize) -> Self {
        Self { words: OnDemand::new(slots) }
    }

    /// Keeps them from here on. Returns whether there is memory for them.
    pub(super) fn keep(&self) -> bool {
        self.words.get().or_else(|| self.words.get_or_new()).is_some()
    }

    #[inline(always)]
    pub(super) fn are_kept(&self) -> bool {
        self.words.get().is_some()
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.bytes()
    }

    #[inline(always)]
    fn word(&self, at: At) -> Option<&AtomicU64> {
        self.words.get()?.get(at.0)
    }

    /// Says when a call is that will be counted at the entry of `turn`.
    #[inline(always)]
    pub(super) fn note(&self, at: At, turn: u64, now: Tick) {
        if let Some(word) = self.word(at) {
            // Relaxed: published with the count (O-4).
            word.store(LastWord::of(turn, now).0, Ordering::Relaxed);
        }
    }

    /// Says when calls were that are about to be counted at the entry of `turn`, and are past.
    pub(super) fn raise(&self, at: At, turn: u64, last: Option<Tick>) {
        let Some((word, last)) = self.word(at).zip(last) else { return };
        let later = |seen: u64| {
            let is_later = LastWord(seen).tick(turn) < Some(last);
            is_later.then(|| LastWord::of(turn, last).0)
        };
        // Relaxed: as in `note`.
        let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    /// Returns when the last call was that has been counted at the entry of `turn`. The caller has
    /// read its count before, by an Acquire.
    pub(super) fn read(&self, at: At, turn: u64) -> Option<Tick> {
        LastWord(self.word(at)?.load(Ordering::Relaxed)).tick(turn)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::engine::words::TURNS;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_is_of_its_turn(
            turn in 0..=TURNS, other in 0..=TURNS, millis in 0..=Tick::MAX.as_millis()
        ) {
            let tick = Tick::from_millis(millis);
            let word = LastWord::of(turn, tick);
            prop_assert_eq!(word.tick(turn), Some(tick));
            prop_assert_eq!(word.tick(other), (other == turn).then_some(tick));
            prop_assert_eq!(LastWord(0).tick(turn), None, "of nothing, nothing is known");
        }
    }

    #[test]
    fn what_is_past_takes_nothing_back() {
        let (lasts, at, tick) = (Lasts::new(4), At(2), Tick::from_millis);
        lasts.note(at, 1, tick(5));
        assert!(!lasts.are_kept() && lasts.read(at, 1).is_none() && lasts.bytes() == 0);
        assert!(lasts.keep() && lasts.are_kept() && lasts.bytes() != 0);
        lasts.raise(at, 1, Some(tick(5)));
        lasts.raise(at, 1, Some(tick(3)));
        lasts.raise(at, 1, None);
        assert_eq!((lasts.read(at, 1), lasts.read(at, 2)), (Some(tick(5)), None));
        lasts.raise(at, 2, Some(tick(4)));
        assert_eq!((lasts.read(at, 1), lasts.read(at, 2)), (None, Some(tick(4))));
        lasts.note(at, 2, tick(1));
        assert_eq!(lasts.read(at, 2), Some(tick(1)), "whoever is the last to call");
    }
}
