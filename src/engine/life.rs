//! The life of a table's place in memory: used by a generation, visited by
//! drains, cleared, clean for a later generation.

use super::sync::{AtomicU64, Ordering};

/// One word: the generation in 32 bits, visiting drains in 8, the next step of
/// clearing in 24 (or [`WHOLE`] while it is not being cleared).
///
/// A table whose generation is newer than the root's is clean.
pub(super) struct Life(AtomicU64);

const STEP_BITS: u32 = 24;
const WHOLE: u64 = (1 << STEP_BITS) - 1;
const VISITOR: u64 = 1 << STEP_BITS;
const VISITORS: u64 = 0xff << STEP_BITS;
const GENERATION_SHIFT: u32 = 32;

/// What a drain finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// It is visiting; the table will not be cleared until it leaves.
    Entered { generation: u32 },
    /// The table is being cleared.
    Clearing,
}

/// What a thread that would clear finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clear {
    /// This step is the caller's to do, and nobody else's.
    Step(u32),
    /// Nothing to be done, or nothing that may be done yet.
    Nothing,
}

impl Life {
    pub(super) fn new(generation: u64) -> Self {
        Self(AtomicU64::new(generation << GENERATION_SHIFT | WHOLE))
    }

    /// Whether the table is clean for `generation`.
    pub(super) fn is_clean_for(&self, generation: u64) -> bool {
        // Acquire (O-8): pairs with `cleared`; the slots are empty. The exchange of the root
        // passes it on.
        // A drain that is just looking in does not matter: it will find a newer root.
        self.0.load(Ordering::Acquire) & !VISITORS == generation << GENERATION_SHIFT | WHOLE
    }

    /// Keeps the table from being cleared, until [`leave`](Self::leave).
    pub(super) fn enter(&self) -> Visit {
        loop {
            let word = self.0.load(Ordering::Acquire);
            if word & WHOLE != WHOLE {
                return Visit::Clearing;
            }
            // 255 drains at a time, each for a few slots.
            if word & VISITORS == VISITORS {
                std::hint::spin_loop();
                #[cfg(loom)]
                loom::thread::yield_now();
                continue;
            }
            // Acquire (O-8): pairs with `cleared`.
            if self.0.compare_exchange_weak(word, word + VISITOR, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Visit::Entered { generation: (word >> GENERATION_SHIFT) as u32 };
            }
        }
    }

    pub(super) fn leave(&self) {
        // Release (O-12): pairs with the exchange in `clear_step`; what the visitor read and
        // took comes before the clearing.
        self.0.fetch_sub(VISITOR, Ordering::Release);
    }

    /// Takes the next of `steps` steps of clearing, if the grace period that `passed` tells
    /// of permits it: generation x is out of reach once that of x + 2 has passed.
    pub(super) fn clear_step(&self, passed: u64, steps: u32) -> Clear {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let generation = (word >> GENERATION_SHIFT) as u32;
            let step = word & WHOLE;
            let next = if step == WHOLE {
                let age = (passed as u32).wrapping_sub(generation) as i32;
                if age < 2 || word & VISITORS != 0 {
                    return Clear::Nothing;
                }
                word & !WHOLE | 1
            } else if step < u64::from(steps) {
                word + 1
            } else {
                return Clear::Nothing;
            };
            // Acquire (O-12): pairs with `leave`. AcqRel (O-13): pairs with itself; who takes a later
            // step may have read an older `passed`, and has what the first has seen from here.
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Clear::Step((next & WHOLE) as u32 - 1),
                Err(seen) => word = seen,
            }
        }
    }

    /// The last step is done: the table is clean for the generation `tables` on.
    pub(super) fn cleared(&self, tables: u64) {
        let word = self.0.load(Ordering::Relaxed);
        let generation = (word >> GENERATION_SHIFT).wrapping_add(tables) & u64::from(u32::MAX);
        // Release (O-8): pairs with `is_clean_for` and `enter`.
        self.0.store(generation << GENERATION_SHIFT | WHOLE, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_cleared_step_by_step_when_nobody_can_reach_it() {
        let life = Life::new(5);
        assert!(life.is_clean_for(5));
        assert_eq!(life.clear_step(6, 2), Clear::Nothing, "still the previous of 6");
        assert_eq!(life.clear_step(4, 2), Clear::Nothing, "clean");
        assert_eq!(life.clear_step(7, 2), Clear::Step(0));
        assert!(!life.is_clean_for(5));
        assert_eq!(life.enter(), Visit::Clearing);
        assert_eq!(life.clear_step(7, 2), Clear::Step(1));
        assert_eq!(life.clear_step(9, 2), Clear::Nothing);
        life.cleared(4);
        assert!(life.is_clean_for(9));
        assert_eq!(life.clear_step(9, 2), Clear::Nothing);
    }

    #[test]
    fn visitors_hold_clearing_up() {
        let life = Life::new(1);
        assert_eq!(life.enter(), Visit::Entered { generation: 1 });
        assert_eq!(life.enter(), Visit::Entered { generation: 1 });
        life.leave();
        assert_eq!(life.clear_step(100, 1), Clear::Nothing);
        life.leave();
        assert_eq!(life.clear_step(100, 1), Clear::Step(0));
    }

    #[test]
    fn generations_wrap() {
        let last = u64::from(u32::MAX);
        let life = Life::new(last - 1);
        assert_eq!(life.clear_step(last, 1), Clear::Nothing);
        assert_eq!(life.clear_step(last + 1, 1), Clear::Step(0));
        life.cleared(4);
        assert!(Life::new(2).is_clean_for(2) && !life.is_clean_for(last));
    }
}
