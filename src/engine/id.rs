//! A fingerprint, cut up as a slot keeps it, and the buckets that it may be in.

use super::words::{State, TURNS};
use crate::Fingerprint;

/// The golden ratio in 64 bits. Odd, so that a product with it can be undone.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const UNSPREAD: u64 = inverse(SPREAD);

/// Finds the inverse of an odd number modulo 2^64 by Newton's method: each step doubles the
/// bits that are right, of which a first guess has three.
const fn inverse(odd: u64) -> u64 {
    let mut x = odd;
    let mut step = 0;
    while step < 5 {
        x = x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x)));
        step += 1;
    }
    x
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    /// The lower half, spread: its upper 52 bits are in the key word, its lower 12 in `low`.
    spread: u64,
    pub(super) rest: u64,
}

impl Id {
    #[inline(always)]
    pub(super) fn of(fingerprint: Fingerprint) -> Self {
        let bits = fingerprint.as_u128();
        // Spread, so that numbers that somebody counted up differ in the bits that decide.
        Self { spread: (bits as u64).wrapping_mul(SPREAD), rest: (bits >> 64) as u64 }
    }

    /// Reverses [`Id::of`].
    pub(super) fn fingerprint(self) -> Fingerprint {
        let lower = self.spread.wrapping_mul(UNSPREAD);
        Fingerprint::from_u128(u128::from(self.rest) << 64 | u128::from(lower))
    }

    /// What the words of a slot hold together.
    pub(super) fn stored(key: u64, rest: u64, low: u16) -> Self {
        Self { spread: key & !TURNS | u64::from(low), rest }
    }

    #[inline]
    pub(super) fn key(self, turn: u64) -> u64 {
        self.spread & !TURNS | turn
    }

    #[inline]
    pub(super) fn low(self) -> u16 {
        (self.spread & TURNS) as u16
    }

    /// Whether a key word is of this fingerprint, whatever its turn.
    #[inline(always)]
    pub(super) fn has_key(self, key: u64) -> bool {
        (key ^ self.spread) <= TURNS
    }

    /// Zero if a key word is of this fingerprint.
    #[inline(always)]
    pub(super) fn differs_from(self, key: u64) -> u64 {
        (key ^ self.spread) & !TURNS
    }

    /// The two buckets of a table of `buckets` that it may be in. Never the same, if there
    /// are two. Not the key's bits: what has one key word seldom has the same homes.
    #[inline(always)]
    pub(super) fn homes(self, buckets: usize) -> [usize; 2] {
        let first = self.first_home(buckets);
        // Another part of the same product: as far behind the first as there are buckets.
        let second = first + 1 + scale(self.scattered().rotate_left(21), buckets - 1);
        [first, if second < buckets { second } else { second - buckets }]
    }

    #[inline(always)]
    pub(super) fn first_home(self, buckets: usize) -> usize {
        scale(self.scattered(), buckets)
    }

    #[inline(always)]
    fn scattered(self) -> u64 {
        (self.spread ^ self.rest.rotate_left(23)).wrapping_mul(SPREAD)
    }

    /// Forty-seven bits that a claim carries in its state word, in the places of tick and level.
    pub(super) fn claim_bits(self) -> u64 {
        let bits = self.rest ^ self.spread >> 17;
        bits << State::TICK_SHIFT | bits >> 37 & State::LEVEL
    }
}

/// A number below `n`, as evenly as `x` is spread over 64 bits.
#[inline(always)]
fn scale(x: u64, n: usize) -> usize {
    ((u128::from(x) * n as u128) >> 64) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(bits: u128) -> Id {
        Id::of(Fingerprint::from_u128(bits))
    }

    proptest! {
        #[test]
        fn a_stored_fingerprint_comes_back(bits: u128, turn in 0..=TURNS) {
            let id = id(bits);
            for (key, same) in [(id.key(turn), true), (id.key(turn) ^ 1 << 12, false)] {
                prop_assert_eq!((id.has_key(key), id.differs_from(key) == 0), (same, same));
            }
            prop_assert_eq!(id.key(turn) & TURNS, turn);
            let stored = Id::stored(id.key(turn), id.rest, id.low());
            prop_assert_eq!((stored, stored.fingerprint().as_u128()), (id, bits));
        }

        #[test]
        fn homes_are_two_buckets(bits: u128, buckets in 2..1000usize) {
            let [first, second] = id(bits).homes(buckets);
            prop_assert!(first != second && first < buckets && second < buckets);
        }
    }

    #[test]
    fn consecutive_fingerprints_are_told_apart() {
        for shift in [0, 16, 32, 48, 64, 80, 96, 112] {
            let mut seen = std::collections::HashSet::new();
            let top = if shift == 112 { 1 << 16 } else { 10_000 };
            for i in 0..top {
                let id = id(i << shift);
                assert!(seen.insert((id.key(0), id.rest)), "{i} << {shift}");
            }
        }
    }
}
