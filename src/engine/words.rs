//! The words of a slot, how bits are laid out in them, and what may become of a state.
//! Pure functions: nothing here touches memory.
//!
//! | word | from the top |
//! |---|---|
//! | key | 52 bits of the fingerprint, turn 12 |
//! | state | tick + 1 in 42, turn 12, level 5, PROTECTED, NOTICED, COUNTED, kind 2 |
//! | count | count 40, stamp 12, turn 12 |
//! | rest | 64 bits of the fingerprint |
//! | low | its last 12 bits |
//!
//! A *turn* is the number of the entry that a slot holds. Words of one turn are of one entry.

use super::id::Id;
use crate::Tick;

/// Twelve bits: turns and stamps are modulo 4,096.
pub(super) const TURNS: u64 = 0xfff;

/// What a slot is: FREE, nobody's; TAKEN, one thread's own, invisible to all others; CLAIMED,
/// published and undecided; LIVE, emitted.
#[cfg(all(test, not(loom)))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Free,
    Live,
    Taken,
    Claimed,
}

/// The state word. With the tick at the top, whole words compare as ticks do; that of FREE and
/// TAKEN is before all ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(pub(super) u64);

impl State {
    const KIND: u64 = 3;
    const FREE: u64 = 0;
    const LIVE: u64 = 1;
    /// Nobody else may take the slot.
    const BUSY: u64 = 2;
    const TAKEN: u64 = 2;
    const CLAIMED: u64 = 3;
    /// Its count word, or a near table, may hold something. Stays for the turn.
    const COUNTED: u64 = 1 << 2;
    /// Something was suppressed since the last emission. Implies COUNTED.
    const NOTICED: u64 = 1 << 3;
    /// It has repeated, in this window or in the last: it ages slower.
    const PROTECTED: u64 = 1 << 4;
    const LEVEL_SHIFT: u32 = 5;
    pub(super) const LEVEL: u64 = 31 << Self::LEVEL_SHIFT;
    const TURN_SHIFT: u32 = 10;
    const TURN: u64 = TURNS << Self::TURN_SHIFT;
    pub(super) const TICK_SHIFT: u32 = 22;
    /// The highest level of a back-off.
    pub(super) const MAX_LEVEL: u32 = 31;

    #[cfg(all(test, not(loom)))]
    fn kind(self) -> Kind {
        match self.0 & Self::KIND {
            Self::FREE => Kind::Free,
            Self::LIVE => Kind::Live,
            Self::TAKEN => Kind::Taken,
            _ => Kind::Claimed,
        }
    }

    #[inline(always)]
    pub(super) fn is_live(self) -> bool {
        self.0 & Self::KIND == Self::LIVE
    }

    /// Whether it is a claim of `id`, as far as the word tells.
    #[inline]
    pub(super) fn is_claim_of(self, id: Id) -> bool {
        self.0 & !Self::TURN == id.claim_bits() | Self::CLAIMED
    }

    /// Whether a key word is of the same turn.
    #[inline(always)]
    pub(super) fn has_turn_of(self, key: u64) -> bool {
        (self.0 >> Self::TURN_SHIFT ^ key) & TURNS == 0
    }

    /// Zero if it is LIVE, NOTICED, and of the turn of a key word.
    #[inline(always)]
    pub(super) fn differs_from_noticed(self, key: u64) -> u64 {
        (self.0 ^ key << Self::TURN_SHIFT ^ Self::LIVE ^ Self::NOTICED)
            & (Self::TURN | Self::KIND | Self::NOTICED)
    }

    #[inline]
    pub(super) fn turn(self) -> u64 {
        self.0 >> Self::TURN_SHIFT & TURNS
    }

    /// The last emission of what is LIVE; zero if FREE or TAKEN.
    #[inline]
    pub(super) fn tick(self) -> Tick {
        Tick::from_millis((self.0 >> Self::TICK_SHIFT).saturating_sub(1))
    }

    #[inline]
    pub(super) fn level(self) -> u32 {
        ((self.0 & Self::LEVEL) >> Self::LEVEL_SHIFT) as u32
    }

    #[inline]
    pub(super) fn is_counted(self) -> bool {
        self.0 & Self::COUNTED != 0
    }

    #[inline]
    pub(super) fn is_noticed(self) -> bool {
        self.0 & Self::NOTICED != 0
    }

    #[inline]
    pub(super) fn is_protected(self) -> bool {
        self.0 & Self::PROTECTED != 0
    }

    /// Whether the tick of what is LIVE is before `oldest`; of what is FREE, always.
    #[inline(always)]
    pub(super) fn is_before(self, oldest: u64) -> bool {
        self.0 < (oldest + 1) << Self::TICK_SHIFT
    }

    #[inline(always)]
    pub(super) fn is_busy(self) -> bool {
        self.0 & Self::BUSY != 0
    }

    /// Whether both are of one entry and of one emission of it.
    #[inline]
    pub(super) fn is_same_emission(self, other: Self) -> bool {
        self.is_live()
            && other.is_live()
            && (self.0 ^ other.0) & (Self::TURN | u64::MAX << Self::TICK_SHIFT) == 0
    }

    /// As a thread takes the slot: the next turn.
    #[inline]
    pub(super) fn taken(self) -> Self {
        State((self.0 & Self::TURN).wrapping_add(1 << Self::TURN_SHIFT) & Self::TURN | Self::TAKEN)
    }

    /// As the slot that was taken is published for `id`.
    #[inline]
    pub(super) fn claimed(self, id: Id) -> Self {
        State(self.0 & Self::TURN | id.claim_bits() | Self::CLAIMED)
    }

    /// As a claim is killed.
    #[inline]
    pub(super) fn freed(self) -> Self {
        State(self.0 & Self::TURN | Self::FREE)
    }

    /// As a claim is decided.
    #[inline]
    pub(super) fn decided(self, now: Tick) -> Self {
        State((now.as_millis() + 1) << Self::TICK_SHIFT | self.0 & Self::TURN | Self::LIVE)
    }

    /// As what is LIVE is emitted again, at a level of its back-off.
    #[inline]
    pub(super) fn renewed(self, now: Tick, level: u32) -> Self {
        let protected = if self.is_noticed() { Self::PROTECTED } else { 0 };
        let level = u64::from(level.min(Self::MAX_LEVEL)) << Self::LEVEL_SHIFT;
        State(self.decided(now).0 | protected | level | self.0 & Self::COUNTED)
    }

    /// As the first call since an emission is suppressed.
    #[inline]
    pub(super) fn noticed(self) -> Self {
        State(self.0 | Self::NOTICED | Self::COUNTED | Self::PROTECTED)
    }

    /// As something is counted that was suppressed before the last emission.
    #[inline]
    pub(super) fn counted(self) -> Self {
        State(self.0 | Self::COUNTED)
    }
}

/// The tick from which on an emission is in a window that `now` is in, too: `now - tick < window`.
/// Ticks newer than `now` are: threads read their clocks at different moments.
#[inline(always)]
pub(super) fn oldest_fresh(now: Tick, window: u64) -> u64 {
    (now.as_millis() + 1).saturating_sub(window)
}

/// The count word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl Count {
    const STAMP_SHIFT: u32 = 12;
    const COUNT_SHIFT: u32 = 24;
    const MAX: u64 = (1 << 40) - 1;

    /// Of an entry's beginning.
    #[inline]
    pub(super) fn new(turn: u64, stamp: u64) -> Self {
        Count((stamp & TURNS) << Self::STAMP_SHIFT | turn)
    }

    #[inline]
    pub(super) fn turn(self) -> u64 {
        self.0 & TURNS
    }

    /// How long ago it was touched, by the table's clock. A stamp that is newer than `now`
    /// is of now.
    #[inline(always)]
    pub(super) fn age(self, now: u64) -> u64 {
        let age = now.wrapping_sub(self.0 >> Self::STAMP_SHIFT) & TURNS;
        if age > TURNS / 2 { 0 } else { age }
    }

    #[inline]
    pub(super) fn count(self) -> u64 {
        self.0 >> Self::COUNT_SHIFT
    }

    /// With `n` more, touched at `stamp`; `None` if the word cannot hold that.
    #[inline(always)]
    pub(super) fn plus(self, n: u64, stamp: u64) -> Option<Self> {
        let room = Self::MAX - self.count();
        let touched = self.0 & !(TURNS << Self::STAMP_SHIFT) | (stamp & TURNS) << Self::STAMP_SHIFT;
        (n <= room).then(|| Count(touched + (n << Self::COUNT_SHIFT)))
    }

    /// With one more, touched at `stamp`; there must be room.
    #[inline(always)]
    pub(super) fn plus_one(self, stamp: u64) -> Self {
        let stamp = stamp << Self::STAMP_SHIFT & TURNS << Self::STAMP_SHIFT;
        Count((self.0 & !(TURNS << Self::STAMP_SHIFT)) + (stamp | 1 << Self::COUNT_SHIFT))
    }

    /// With nothing, touched at `stamp`.
    #[inline]
    pub(super) fn emptied(self, stamp: u64) -> Self {
        Self::new(self.turn(), stamp)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Fingerprint;
    use proptest::prelude::*;

    fn id(bits: u128) -> Id {
        Id::of(Fingerprint::from_u128(bits))
    }

    proptest! {
        #[test]
        fn freshness_is_the_specification(
            last in 0..=Tick::MAX.as_millis(), now in 0..=Tick::MAX.as_millis(), window in 1u64.., turn in 0..=TURNS
        ) {
            let fresh = now.saturating_sub(last) < window;
            let oldest = oldest_fresh(Tick::from_millis(now), window);
            let state = State(turn << 10).claimed(id(7)).decided(Tick::from_millis(last));
            prop_assert_eq!(!state.is_before(oldest), fresh);
            let (own, other) = (id(9).key(turn), id(9).key(turn ^ 1));
            prop_assert!(state.has_turn_of(own) && !state.has_turn_of(other));
            let noticed = state.noticed();
            prop_assert_eq!(noticed.differs_from_noticed(own), 0);
            for (state, key) in [(state, own), (noticed, other), (noticed.freed(), own)] {
                prop_assert_ne!(state.differs_from_noticed(key), 0);
            }
        }
    }

    #[test]
    fn states_follow_one_another() {
        let (one, now) = (id(1), Tick::from_millis(10));
        let taken = State(TURNS << 10).taken();
        assert_eq!((taken.kind(), taken.turn()), (Kind::Taken, 0), "turns come round");
        let claimed = taken.claimed(one);
        assert!(claimed.is_claim_of(one) && !claimed.is_claim_of(id(2)) && !claimed.is_live());
        assert_eq!((claimed.freed(), claimed.freed().kind()), (State(0), Kind::Free));
        assert!(claimed.is_busy() && taken.is_busy());
        assert!(claimed.freed().is_before(0));

        let live = claimed.decided(now);
        assert_eq!((live.kind(), live.tick(), live.turn(), live.level()), (Kind::Live, now, 0, 0));
        assert!(!live.is_counted() && !live.is_noticed() && !live.is_protected());
        let noticed = live.noticed();
        assert!(noticed.is_counted() && noticed.is_noticed() && noticed.is_protected());
        assert!(noticed.is_same_emission(live) && !noticed.is_same_emission(claimed));

        let again = noticed.renewed(Tick::from_millis(20), 40);
        assert!(
            again.is_counted()
                && again.is_protected()
                && !again.is_noticed()
                && !again.is_same_emission(live)
        );
        assert_eq!((again.tick().as_millis(), again.level()), (20, State::MAX_LEVEL));
        let third = again.renewed(Tick::from_millis(30), 0);
        assert!(!third.is_protected() && third.is_counted() && third.level() == 0);
        assert_eq!(live.taken().turn(), 1);
    }

    #[test]
    fn counts_are_bounded() {
        let word = Count::new(5, 77);
        let full = word.plus(Count::MAX, 78).unwrap();
        assert_eq!((full.count(), full.turn(), full.age(80)), (Count::MAX, 5, 2));
        assert_eq!(
            (full.age(77), full.age(78 + TURNS), full.age(79 + TURNS / 2)),
            (0, 0, 0),
            "as if touched now"
        );
        assert_eq!(full.plus(1, 78), None);
        assert_eq!(full.emptied(79), Count::new(5, 79));
    }
}
