//! How large the tables of a cache are.

use super::count::Counts;
use super::slot::{GROUP, Group};
use super::sync::AtomicU64;
use super::zeroed::Zeroed;

/// The largest `max_entries`.
pub(crate) const MAX_ENTRIES: usize = 1 << 28;

/// The tables of a cache: current, previous, and two that wait for their grace
/// period, are being cleared or are clean. Sealing needs the fourth.
pub(crate) const TABLES: usize = 4;

/// Fewer claims than this a generation never takes: small caches would rotate all
/// the time.
const MIN_CLAIMS: usize = 2048;
/// Up to this much memory a cache has four stripes of counters, above it two.
const SMALL: usize = 512 << 10;

/// Sizes and paces, fixed for a cache's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Slots of a table, a multiple of [`GROUP`].
    pub(crate) slots: usize,
    /// Claims of new keys after which a generation is used up.
    pub(crate) claims: usize,
    /// Claims of any kind after which a table takes no more: 7/8 of its slots.
    pub(crate) limit: usize,
    /// The most entries that a generation takes over unasked.
    pub(crate) hand_over: usize,
    /// Stripes of counters, a power of two.
    pub(crate) stripes: usize,
    /// Groups of a probe sequence.
    pub(crate) probe_groups: u32,
    /// Every so many claims one does some upkeep. A power of two.
    pub(crate) stride: u32,
    /// Slots of one step of clearing or sealing.
    pub(crate) chunk: usize,
    /// Slots of the previous table that an upkeep looks at for entries to hand over.
    pub(crate) look: usize,
    /// Records for the counts of what was forgotten.
    pub(crate) orphans: usize,
}

impl Shape {
    /// The shape for a valid `max_entries`.
    ///
    /// Three slots for two claims: a quarter of `claims` more may be handed over,
    /// and claims go on to 7/8 when a rotation is refused.
    pub(crate) fn of(max_entries: usize) -> Self {
        let claims = max_entries.max(MIN_CLAIMS);
        let slots = (claims + claims / 2).next_multiple_of(16 * GROUP);
        let mut shape = Self {
            slots,
            claims,
            limit: slots / 8 * 7,
            hand_over: claims / 4,
            stripes: 4,
            probe_groups: 16,
            stride: 8,
            chunk: 32,
            look: 16,
            orphans: claims / 8,
        };
        if shape.bytes().is_none_or(|bytes| bytes > SMALL) {
            shape.stripes = 2;
        }
        shape
    }

    /// A table of a few slots, whose rotations fall inside the races of a test.
    /// Every claim does all the upkeep there is.
    pub(crate) fn tiny(groups: usize, claims: usize, hand_over: usize) -> Self {
        let groups = groups.clamp(1, 1024);
        let slots = groups * GROUP;
        Self {
            slots,
            claims: claims.max(1),
            limit: slots,
            hand_over,
            stripes: 2,
            probe_groups: groups.min(16) as u32,
            stride: 1,
            // Models need tables that take two steps.
            chunk: if cfg!(loom) { GROUP } else { slots },
            look: slots,
            orphans: 4,
        }
    }

    /// Steps in which a table is cleared or sealed.
    pub(crate) fn chunks(&self) -> u32 {
        u32::try_from(self.slots.div_ceil(self.chunk)).expect("at most 2^28 entries")
    }

    /// Bytes of everything in an engine that grows with its entries.
    pub(crate) fn bytes(&self) -> Option<usize> {
        let all = self.slots.checked_mul(TABLES)?;
        Zeroed::<Group>::bytes(all / GROUP)?
            .checked_add(Zeroed::<AtomicU64>::bytes(all)?)?
            .checked_add(Counts::bytes(all, self.stripes)?)?
            .checked_add(super::orphans::bytes(self.orphans)?)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn shapes_hold_what_they_promise() {
        for max in [1, 2, 1000, 1024, 2047, 2048, 2049, 5000, 16_384, 65_536, 1 << 20, 3_000_001, MAX_ENTRIES] {
            let shape = Shape::of(max);
            assert!(shape.claims >= max);
            assert_eq!(shape.slots % (16 * GROUP), 0, "stripes begin on a line of their own");
            let upkeep = shape.stride as usize;
            assert!(shape.look * shape.claims / upkeep >= shape.slots, "a hand-over sees the whole table");
            assert!(shape.chunk * shape.claims / upkeep >= 2 * shape.slots, "clearing is faster than filling");
            assert!(shape.claims + shape.hand_over < shape.limit, "both fit in before the limit");
            assert!((shape.chunks() as usize) < (1 << 24) - 1);
        }
    }

    #[test]
    fn memory_targets() {
        assert!(Shape::of(1024).bytes().unwrap() <= 512 << 10);
        assert_eq!(Shape::of(1024).stripes, 4);
        for bits in 11..=20 {
            let max = 1usize << bits;
            let bound = (200 * max + 4096).max(512 << 10);
            assert!(Shape::of(max).bytes().unwrap() <= bound, "2^{bits}");
        }
    }
}
