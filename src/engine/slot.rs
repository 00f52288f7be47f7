//! A slot of the table, and how it is addressed.

use super::sync::AtomicU64;
use super::zeroed::Zeroable;

/// Slots of a bucket: two cache lines. They are filled from the first on, so the second line is
/// seldom read.
#[cfg(not(loom))]
pub(super) const W: usize = 4;
#[cfg(loom)]
pub(super) const W: usize = 2;

/// The words of an entry that every call needs: half a cache line, so that a hit touches one line.
#[derive(Default)]
#[repr(C, align(32))]
pub(super) struct Slot {
    pub(super) key: AtomicU64,
    pub(super) state: AtomicU64,
    pub(super) count: AtomicU64,
    pub(super) rest: AtomicU64,
}

// SAFETY: made of atomic integers.
unsafe impl Zeroable for Slot {}

/// A slot's place, from the table whose it is: its number in an array with an element for
/// each slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(pub(super) usize);

/// The first slot of one of a fingerprint's two buckets, made by the table whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home(pub(super) usize);

impl Home {
    #[inline(always)]
    pub(super) fn slot(self, i: usize) -> At {
        debug_assert!(i < W);
        At(self.0 + i)
    }
}

/// A fingerprint's neighbourhood. The order of its slots, the first home's before the second's,
/// decides which of several claims stays.
pub(super) type Homes = [Home; 2];
