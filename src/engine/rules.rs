//! Rule words beside the slots, in an array that exists once a rule needs it.

use super::fault::{Faults, broken};
use super::slot::State;
use super::sync::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use super::zeroed::Zeroed;
use crate::Tick;
use crate::rule::Entry;
use std::ptr;

/// A rule word: `tick + 1` in 42 bits, two marks, 20 bits of [`Entry::aux`]. A stamp of zero
/// means that no rule has written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    const NONE: Word = Word(0);
    const STAMP: u64 = (1 << 42) - 1;
    /// It is final: a newer table speaks for this entry.
    const FROZEN: u64 = 1 << 42;
    const NOTICED: u64 = 1 << 43;
    const AUX_SHIFT: u32 = 44;

    pub(super) fn of(entry: Entry) -> Self {
        let noticed = if entry.noticed { Self::NOTICED } else { 0 };
        Word(u64::from(entry.aux) << Self::AUX_SHIFT | noticed | (entry.since.as_millis() + 1))
    }

    #[inline]
    pub(super) fn entry(self) -> Option<Entry> {
        let stamp = self.0 & Self::STAMP;
        (stamp != 0).then(|| Entry {
            since: Tick::from_millis(stamp - 1),
            aux: (self.0 >> Self::AUX_SHIFT) as u32,
            noticed: self.0 & Self::NOTICED != 0,
        })
    }

    pub(super) fn is_frozen(self) -> bool {
        self.0 & Self::FROZEN != 0
    }

    fn thawed(self) -> Self {
        Word(self.0 & !Self::FROZEN)
    }

    /// What a decided state and the word beside it say together: the later emission counts. So
    /// a plain call need not write the word, and a word left behind does no harm.
    pub(super) fn with(self, state: State) -> Entry {
        let plain = Entry { since: state.tick(), aux: 0, noticed: state.is_noticed() };
        match self.entry() {
            Some(own) if own.since > plain.since => own,
            Some(own) if own.since == plain.since => Entry { noticed: own.noticed || plain.noticed, ..own },
            _ => plain,
        }
    }
}

/// For each slot of each table a rule word.
pub(super) struct Rules {
    slots: usize,
    words: AtomicPtr<Zeroed<AtomicU64>>,
    /// Taken by the one call that may allocate: two would exceed the bound.
    allocating: AtomicBool,
}

/// How often a call yields to the one that allocates before it does without.
#[cfg(not(loom))]
const PATIENCE: u32 = 1000;
#[cfg(loom)]
const PATIENCE: u32 = 2;

impl Rules {
    /// For `slots` slots in all tables together. Allocates nothing yet.
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, words: AtomicPtr::new(ptr::null_mut()), allocating: AtomicBool::new(false) }
    }

    #[inline]
    pub(super) fn words(&self) -> Option<&[AtomicU64]> {
        // Acquire (O-14): pairs with the exchange in `words_or_new`; the array is initialised, and
        // whoever froze a state before there was one is known.
        self.deref(self.words.load(Ordering::Acquire))
    }

    fn deref(&self, words: *mut Zeroed<AtomicU64>) -> Option<&[AtomicU64]> {
        // SAFETY: null or from `Box::into_raw`, freed only by `drop`; the caller has read it with
        // Acquire.
        unsafe { words.as_ref() }.map(|words| &**words)
    }

    /// For a call that has not read any state yet. `None` if there is no memory, or the
    /// thread that allocates does not come to an end.
    #[cold]
    pub(super) fn words_or_new(&self) -> Option<&[AtomicU64]> {
        let mut patience = PATIENCE;
        // Relaxed: only who wins this goes on to allocate.
        while self.words().is_none() && self.allocating.swap(true, Ordering::Relaxed) {
            if patience == 0 {
                return None;
            }
            patience -= 1;
            #[cfg(not(loom))]
            std::thread::yield_now();
            #[cfg(loom)]
            loom::thread::yield_now();
        }
        if self.words().is_none() {
            let Some(words) = Zeroed::new(self.slots) else {
                // Another call may have better luck.
                self.allocating.store(false, Ordering::Relaxed);
                return None;
            };
            let words = Box::into_raw(Box::new(words));
            // AcqRel (O-14): pairs with `words`, and with the exchange in `freeze`: who gets the array
            // sees the states that were frozen without it. Nobody else stores here.
            let _ = self.words.compare_exchange(ptr::null_mut(), words, Ordering::AcqRel, Ordering::Relaxed);
        }
        self.words()
    }

    /// Makes the word of a slot final whose state is frozen, and returns it.
    pub(super) fn freeze(&self, slot: usize, faults: Faults) -> Word {
        // AcqRel (O-14): that there is no array is *written*: whoever makes it comes after this and
        // finds the state frozen. Acquire, as in `words`.
        let null = ptr::null_mut();
        if broken!(faults, FreezeUnsaid) && self.words().is_none() {
            return Word::NONE;
        }
        let words = match self.words.compare_exchange(null, null, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => None,
            Err(words) => self.deref(words),
        };
        let Some(words) = words else { return Word::NONE };
        if broken!(faults, NoFreezeRule) {
            return Word(words[slot].load(Ordering::Acquire));
        }
        // Release (O-15): pairs with the loads of words; the root that this thread has read is
        // visible. Acquire (O-15): nothing comes after this read.
        Word(words[slot].fetch_or(Word::FROZEN, Ordering::AcqRel)).thawed()
    }

    /// Writes the word of an entry that is taken over, unless it has one.
    pub(super) fn carry(&self, slot: usize, word: Word) {
        if word == Word::NONE {
            return;
        }
        if let Some(words) = self.words() {
            // Release, and Acquire where another call was faster: the exchange of the state that
            // follows publishes either (O-3).
            let _ = words[slot].compare_exchange(0, word.0, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Bytes of the array, if there is one.
    pub(super) fn bytes(&self) -> usize {
        self.words().map_or(0, |_| {
            size_of::<Zeroed<AtomicU64>>() + Zeroed::<AtomicU64>::bytes(self.slots).unwrap_or(usize::MAX)
        })
    }
}

/// What state and rule word of an entry say together.
pub(super) fn entry_at(words: Option<&[AtomicU64]>, slot: usize, state: State) -> Entry {
    // Acquire (O-15): as wherever a word is read.
    words.map_or(Word::NONE, |words| Word(words[slot].load(Ordering::Acquire))).with(state)
}

/// Forgets a slot's word. The caller clears the slot's table, alone.
pub(super) fn clear_at(words: Option<&[AtomicU64]>, slot: usize) {
    if let Some(words) = words {
        // Relaxed: the clearing is published as a whole (O-8).
        words[slot].store(0, Ordering::Relaxed);
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        let words = self.words.load(Ordering::Relaxed);
        if !words.is_null() {
            // SAFETY: from `Box::into_raw`, and nobody else has `self`.
            drop(unsafe { Box::from_raw(words) });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Fingerprint;
    use crate::engine::slot::Id;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_is_its_entry(millis in 0..Tick::MAX.as_millis(), aux in 0..Entry::MAX_AUX, noticed: bool) {
            let entry = Entry { since: Tick::from_millis(millis), aux, noticed };
            prop_assert_eq!(Word::of(entry).entry(), Some(entry));
            let frozen = Word(Word::of(entry).0 | Word::FROZEN);
            prop_assert!(frozen.is_frozen() && !Word::of(entry).is_frozen());
            prop_assert_eq!(frozen.entry(), Some(entry));
            prop_assert_eq!(frozen.thawed(), Word::of(entry));
        }
    }

    #[test]
    fn the_later_emission_counts() {
        let state = State::emitted(&Id::of(Fingerprint::from_u128(1)), Tick::from_millis(10));
        let entry = |since, aux, noticed| Entry { since: Tick::from_millis(since), aux, noticed };
        assert_eq!(Word::NONE.with(state), entry(10, 0, false));
        assert_eq!(Word(Word::FROZEN).with(state.noticed()), entry(10, 0, true));
        assert_eq!(Word::of(entry(9, 5, true)).with(state), entry(10, 0, false));
        assert_eq!(Word::of(entry(11, 5, false)).with(state.noticed()), entry(11, 5, false));
        assert_eq!(Word::of(entry(10, 5, false)).with(state), entry(10, 5, false));
        assert_eq!(Word::of(entry(10, 5, false)).with(state.noticed()), entry(10, 5, true));
        assert_eq!(Word::of(entry(10, 5, true)).with(state), entry(10, 5, true));
    }

    #[test]
    fn the_array_is_made_once() {
        let rules = Rules::new(8);
        assert_eq!((rules.bytes(), rules.freeze(1, Faults::default())), (0, Word::NONE));
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| rules.words_or_new().map(|words| words.as_ptr() as usize))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(made.iter().all(|&words| words == made[0] && words.is_some()), "{made:?}");
        assert!(rules.bytes() >= 64);
        let word = Word::of(Entry { since: Tick::from_millis(3), aux: 1, noticed: false });
        rules.carry(2, word);
        rules.carry(2, Word(word.0 + 1));
        assert_eq!(rules.freeze(2, Faults::default()), word, "the first stays");
        assert!(Word(rules.words().unwrap()[2].load(Ordering::Relaxed)).is_frozen());
        clear_at(rules.words(), 2);
        assert_eq!(rules.freeze(2, Faults::default()), Word::NONE);
        assert!(Rules::new(usize::MAX).words_or_new().is_none());
    }
}
