//! One slot: the key word, the state word, and what may become of them. Pure
//! functions, but for the loads and exchanges that callers make.

use super::sync::AtomicU64;
use crate::rule::Entry;
use crate::{Fingerprint, Tick};

/// A key word that nobody has claimed.
pub(crate) const EMPTY: u64 = 0;
/// A key word that nobody can claim any more.
pub(crate) const CLOSED: u64 = u64::MAX;

/// What keys equal to [`EMPTY`] and [`CLOSED`] become. Bit 63 or 62 of the rest
/// word remembers it.
const INSTEAD_OF_EMPTY: u64 = 0x5be7_31b4_a2f9_0d6c;
const INSTEAD_OF_CLOSED: u64 = 0xa38d_0c52_7e46_b913;
const WAS_EMPTY: u64 = 1 << 63;
const WAS_CLOSED: u64 = 1 << 62;

/// Slots that share a cache line.
pub(crate) const GROUP: usize = 4;

/// A claim and its decision.
#[derive(Default)]
pub(crate) struct Slot {
    /// [`EMPTY`], then a key or [`CLOSED`], for the rest of the generation.
    pub(crate) key: AtomicU64,
    /// A [`State`]; its tick only grows within a generation.
    pub(crate) state: AtomicU64,
}

/// A cache line of slots.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Group(pub(crate) [Slot; GROUP]);

/// A fingerprint, cut up as the table keeps it: 64 bits in the key word, 18 in
/// the state word (namespace and 2 more), 46 in the rest word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) key: u64,
    /// In its place in the state word.
    pub(crate) tag: u64,
    pub(crate) rest: u64,
    pub(crate) home: u64,
}

const REST_BITS: u32 = 46;
const REST_MASK: u64 = (1 << REST_BITS) - 1;

/// A bijection, so that fingerprints that differ in the high half alone have
/// different keys. (The multiplier is the golden ratio in 64 bits.)
#[inline]
fn spread(high: u64) -> u64 {
    high.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The key word, but for the two that are marks. (An empty or closed slot's state is never
/// noticed, so the hot path need not know.)
#[inline]
pub(crate) fn mixed(fingerprint: Fingerprint) -> u64 {
    let bits = fingerprint.as_u128();
    bits as u64 ^ spread((bits >> 64) as u64)
}

#[inline]
fn tag(fingerprint: Fingerprint) -> u64 {
    (fingerprint.as_u128() >> 64 >> REST_BITS) as u64
}

/// Where the probe sequence of a fingerprint starts, as a fraction of 2^64 of the
/// table. Another mixture than the key's: equal keys seldom have equal homes.
#[inline]
pub(crate) fn home(fingerprint: Fingerprint) -> u64 {
    let bits = fingerprint.as_u128();
    (bits as u64).wrapping_add((bits >> 64) as u64).wrapping_mul(0xd1b5_4a32_d192_ed03)
}

impl Id {
    #[inline]
    pub(crate) fn of(fingerprint: Fingerprint) -> Self {
        let bits = fingerprint.as_u128();
        let high = (bits >> 64) as u64;
        let mixed = mixed(fingerprint);
        let mut rest = high & REST_MASK;
        let mut key = mixed;
        if mixed == EMPTY {
            key = INSTEAD_OF_EMPTY;
            rest |= WAS_EMPTY;
        } else if mixed == CLOSED {
            key = INSTEAD_OF_CLOSED;
            rest |= WAS_CLOSED;
        }
        Self { key, tag: tag(fingerprint), rest, home: home(fingerprint) }
    }

    /// The inverse of [`Id::of`], from what a slot of a decided entry holds.
    pub(crate) fn stored(key: u64, state: State, rest: u64) -> Fingerprint {
        let high = (state.0 & State::TAG) << REST_BITS | rest & REST_MASK;
        let mixed = if rest & WAS_EMPTY != 0 {
            EMPTY
        } else if rest & WAS_CLOSED != 0 {
            CLOSED
        } else {
            key
        };
        Fingerprint::from_u128(u128::from(high) << 64 | u128::from(mixed ^ spread(high)))
    }
}

/// A fingerprint with the same key word as `fingerprint` and other bits in the tag.
#[cfg(loom)]
pub fn twin(fingerprint: Fingerprint) -> Fingerprint {
    let bits = fingerprint.as_u128();
    let (low, high) = (bits as u64, (bits >> 64) as u64);
    let other = high ^ 1 << REST_BITS;
    Fingerprint::from_u128(u128::from(other) << 64 | u128::from(low ^ spread(high) ^ spread(other)))
}

/// The state word: from the top, `tick + 1` in 42 bits, four marks, 18 bits of tag.
/// In this order a comparison of whole words is one of ticks.
///
/// A stamp of zero means claimed but undecided; it is never fresh, and its tag
/// is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

impl State {
    pub(crate) const UNDECIDED: State = State(0);
    const TAG: u64 = (1 << 18) - 1;
    /// Its tick is final: a newer table speaks for this entry.
    const FROZEN: u64 = 1 << 18;
    /// No tick may be written here any more, but a fresh one still counts.
    const SEALED: u64 = 1 << 19;
    /// Its counters may be other than zero. Sticky within a generation.
    const COUNTED: u64 = 1 << 20;
    /// Suppression has begun since the last emission. Implies `COUNTED`.
    const NOTICED: u64 = 1 << 21;
    const STAMP_SHIFT: u32 = 22;

    #[inline]
    fn stamp_at(now: Tick) -> u64 {
        (now.as_millis() + 1) << Self::STAMP_SHIFT
    }

    #[inline]
    fn stamp(self) -> u64 {
        self.0 >> Self::STAMP_SHIFT
    }

    /// A new emission.
    #[inline]
    pub(crate) fn emitted(id: &Id, now: Tick) -> Self {
        State(id.tag | Self::stamp_at(now))
    }

    /// An emission after this one: the tick moves on, a new suppression has not begun.
    #[inline]
    pub(crate) fn emitted_again(self, now: Tick) -> Self {
        State(self.0 & (Self::TAG | Self::COUNTED) | Self::stamp_at(now))
    }

    /// As the next table takes it over.
    #[inline]
    pub(crate) fn carried(self) -> Self {
        State(self.0 & !(Self::FROZEN | Self::SEALED))
    }

    #[inline]
    pub(crate) fn noticed(self) -> Self {
        State(self.0 | Self::NOTICED | Self::COUNTED)
    }

    /// With what a rule word says of a later emission, or of this one; `None` if that is
    /// nothing new.
    pub(crate) fn lifted(self, entry: Entry) -> Option<Self> {
        let marks = self.0 & (Self::FROZEN | Self::SEALED);
        let mut lifted = self;
        if entry.since > self.tick() {
            lifted = State(self.emitted_again(entry.since).0 | marks);
        }
        if entry.noticed && entry.since >= self.tick() {
            lifted = lifted.noticed();
        }
        (lifted != self).then_some(lifted)
    }

    #[inline]
    pub(crate) fn counted(self) -> Self {
        State(self.0 | Self::COUNTED)
    }

    #[inline]
    pub(crate) fn frozen(self) -> Self {
        State(self.0 | Self::FROZEN)
    }

    #[inline]
    pub(crate) fn sealed(self) -> Self {
        State(self.0 | Self::SEALED)
    }

    #[inline]
    pub(crate) fn is_decided(self) -> bool {
        self.stamp() != 0
    }

    #[inline]
    pub(crate) fn is_frozen(self) -> bool {
        self.0 & Self::FROZEN != 0
    }

    /// Frozen or sealed: whoever reads this will read a newer root.
    #[inline]
    pub(crate) fn is_final(self) -> bool {
        self.0 & (Self::FROZEN | Self::SEALED) != 0
    }

    #[inline]
    pub(crate) fn is_counted(self) -> bool {
        self.0 & Self::COUNTED != 0
    }

    #[inline]
    pub(crate) fn is_noticed(self) -> bool {
        self.0 & Self::NOTICED != 0
    }

    /// Whether a decided entry is of this fingerprint, as far as the tag tells.
    #[inline]
    pub(crate) fn has_tag_of(self, id: &Id) -> bool {
        self.0 & Self::TAG == id.tag
    }

    /// Whether this is of an entry of `fingerprint`, as far as the tag tells, was emitted
    /// within the window, and its suppression noticed, and so is counted.
    #[inline]
    pub(crate) fn suffices(self, fingerprint: Fingerprint, now: Tick, window: u64) -> bool {
        // The stamp's place is the top, so whole words compare as stamps do.
        let oldest = (now.as_millis() + 2).saturating_sub(window) << Self::STAMP_SHIFT;
        self.0 >= oldest && (self.0 ^ tag(fingerprint)) & (Self::TAG | Self::NOTICED) == Self::NOTICED
    }

    /// Whether it is of an entry of `fingerprint`, as far as the tag tells, that may be
    /// counted at.
    #[inline]
    pub(crate) fn is_counted_of(self, fingerprint: Fingerprint) -> bool {
        (self.0 ^ tag(fingerprint)) & (Self::TAG | Self::COUNTED) == Self::COUNTED
    }

    /// The last emission; meaningless in an undecided state.
    #[inline]
    pub(crate) fn tick(self) -> Tick {
        Tick::from_millis(self.stamp().saturating_sub(1))
    }

    /// Whether a decided entry is within its window. A stamp newer than `now`
    /// is: threads read their clocks at different moments.
    #[inline]
    pub(crate) fn is_fresh(self, now: Tick, window: u64) -> bool {
        let stamp = self.stamp();
        stamp != 0 && (now.as_millis() + 1).saturating_sub(stamp) < window
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Namespace;
    use proptest::prelude::*;

    fn id(bits: u128) -> Id {
        Id::of(Fingerprint::from_u128(bits))
    }

    proptest! {
        #[test]
        fn a_stored_fingerprint_comes_back(bits: u128, millis in 0..=Tick::MAX.as_millis(), marks in 0u64..16) {
            let id = id(bits);
            let state = State::emitted(&id, Tick::from_millis(millis));
            let marked = State(state.0 | marks << 18);
            prop_assert_eq!(Id::stored(id.key, marked, id.rest).as_u128(), bits);
            prop_assert_eq!(marked.tick().as_millis(), millis);
            prop_assert!(marked.is_decided() && marked.has_tag_of(&id));
        }

        #[test]
        fn freshness_is_the_specification(last in 0..=Tick::MAX.as_millis(), now in 0..=Tick::MAX.as_millis(), window: u64) {
            let state = State::emitted(&id(1), Tick::from_millis(last));
            let fresh = now.saturating_sub(last) < window;
            let now = Tick::from_millis(now);
            prop_assert_eq!(state.is_fresh(now, window), fresh);
            if window != 0 {
                let one = Fingerprint::from_u128(1);
                prop_assert_eq!(state.noticed().suffices(one, now, window), fresh);
                prop_assert!(!state.suffices(one, now, window));
            }
        }
    }

    #[test]
    fn keys_are_never_the_two_marks() {
        // The fingerprints whose mixed key is EMPTY or CLOSED, with various high halves.
        for high in [0u64, 1, 7 << 40, u64::MAX] {
            for mark in [EMPTY, CLOSED] {
                let bits = u128::from(high) << 64 | u128::from(mark ^ spread(high));
                let id = id(bits);
                assert!(id.key != EMPTY && id.key != CLOSED);
                let state = State::emitted(&id, Tick::default());
                assert_eq!(Id::stored(id.key, state, id.rest).as_u128(), bits);
            }
        }
    }

    #[test]
    fn structured_fingerprints_differ_in_key_or_tag() {
        for shift in [0, 16, 32, 48, 64, 80, 96, 112] {
            let mut seen = std::collections::HashSet::new();
            let top = if shift == 112 { 1 << 16 } else { 10_000 };
            for i in 0..top {
                let id = id(i << shift);
                assert!(seen.insert((id.key, id.tag)), "{i} << {shift}");
            }
        }
    }

    #[test]
    fn the_namespace_is_in_the_tag() {
        let fp = Fingerprint::from_u128(9).with_namespace(Namespace(0xabc));
        let state = State::emitted(&Id::of(fp), Tick::default());
        assert!(!state.has_tag_of(&id(9)));
    }

    #[test]
    fn transitions() {
        let id = id(77);
        let now = Tick::from_millis(10);
        let new = State::emitted(&id, now);
        assert!(new.is_decided() && !new.is_final() && !new.is_counted() && !new.is_noticed());
        assert!(!State::UNDECIDED.is_decided() && !State::UNDECIDED.is_fresh(now, u64::MAX));
        assert!(!State::UNDECIDED.frozen().is_decided() && State::UNDECIDED.sealed().is_final());

        let noticed = new.noticed();
        assert!(noticed.is_noticed() && noticed.is_counted());
        let suffices = |state: State| state.suffices(Fingerprint::from_u128(77), now, 1);
        assert!(suffices(noticed) && suffices(noticed.frozen()));
        assert!(!suffices(new) && !suffices(new.counted()) && !suffices(State::UNDECIDED));
        assert!(!noticed.suffices(Fingerprint::from_u128(77 | 1 << 127), now, 1), "another tag");

        let again = noticed.emitted_again(Tick::from_millis(20));
        assert!(again.is_counted() && !again.is_noticed() && again.has_tag_of(&id));
        assert_eq!(again.tick().as_millis(), 20);

        let fp = Fingerprint::from_u128(77);
        assert!(noticed.frozen().is_counted_of(fp) && new.counted().is_counted_of(fp) && !new.is_counted_of(fp));
        assert!(!noticed.is_counted_of(Fingerprint::from_u128(77 | 1 << 127)), "another tag");
        let entry = |since, noticed| Entry { since: Tick::from_millis(since), aux: 3, noticed };
        assert_eq!(noticed.lifted(entry(9, true)), None);
        assert_eq!(noticed.lifted(entry(10, true)), None);
        assert_eq!(new.lifted(entry(10, false)), None);
        assert_eq!(new.lifted(entry(10, true)), Some(noticed));
        assert_eq!(noticed.lifted(entry(20, false)), Some(again));
        assert_eq!(new.frozen().lifted(entry(20, true)), Some(again.noticed().frozen()), "marks stay");

        let old = noticed.sealed().frozen();
        assert!(old.is_frozen() && old.is_final() && noticed.sealed().is_final() && !noticed.sealed().is_frozen());
        assert_eq!(old.carried(), noticed);
        assert!(State::emitted(&id, Tick::MAX).is_fresh(now, 1), "a stamp from the future is fresh");
    }
}
