//! Who owns which message, as far as this process knows: what a logging thread looks at.
//!
//! Of fixed size, and lossy: what has no room, or is being written, is not known, which costs a
//! line and nothing else. One thread writes, any number read.

use crate::atomic_cell::AtomicCell;

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This process, until then.
    Mine {
        until: u64,
    },
    /// Another one.
    Other,
    Unknown,
}

/// An entry: `data` has the end, whose it is, and 20 bits of the message; `check` has 64 more, xor
/// `data`, so that a half-written entry is nobody's. With the place that makes 95 bits of the
/// message: another one is taken for it once in 10^28.
#[derive(Default)]
struct Slot {
    data: AtomicCell<u64>,
    check: AtomicCell<u64>,
}

const SETS: usize = 2048;
const WAYS: usize = 4;
const TAG: u64 = (1 << 20) - 1;

pub(super) struct Known(Box<[[Slot; WAYS]]>);

/// Returns the set, the tag, and what `check` has.
fn parts(message: u128) -> (usize, u64, u64) {
    ((message >> 84) as usize % SETS, (message >> 64) as u64 & TAG, message as u64)
}

fn until(data: u64) -> u64 {
    data >> 21
}

fn is_mine(data: u64) -> bool {
    data >> 20 & 1 != 0
}

impl Known {
    pub(super) fn new() -> Self {
        Self((0..SETS).map(|_| Default::default()).collect())
    }

    /// Returns what is known at `now`, in milliseconds.
    pub(super) fn get(&self, message: u128, now: u64) -> Owner {
        let (set, tag, low) = parts(message);
        for slot in &self.0[set] {
            // Again if it seems to be written just now.
            for _ in 0..16 {
                let data = slot.data.load();
                if data & TAG != tag || until(data) <= now {
                    break;
                }
                if slot.check.load() ^ data == low {
                    let until = until(data);
                    return if is_mine(data) { Owner::Mine { until } } else { Owner::Other };
                }
            }
        }
        Owner::Unknown
    }

    /// Notes the owner. By the worker alone.
    pub(super) fn set(&self, message: u128, mine: bool, until: u64) {
        let (set, tag, low) = parts(message);
        let set = &self.0[set];
        let own = |slot: &&Slot| {
            let data = slot.data.load();
            data & TAG == tag && slot.check.load() ^ data == low
        };
        let first_to_end = || set.iter().min_by_key(|slot| self::until(slot.data.load()));
        if let Some(slot) = set.iter().find(own).or_else(first_to_end) {
            let data = until.min(u64::MAX >> 21) << 21 | u64::from(mine) << 20 | tag;
            slot.data.store(data);
            slot.check.store(low ^ data);
        }
    }

    /// Forgets the owner. By the worker alone.
    pub(super) fn clear(&self, message: u128) {
        if self.get(message, 0) != Owner::Unknown {
            self.set(message, false, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_known_until_its_end() {
        let known = Known::new();
        assert_eq!(known.get(7, 0), Owner::Unknown);
        known.set(7, true, 10);
        assert_eq!(known.get(7, 9), Owner::Mine { until: 10 });
        assert_eq!(known.get(7, 10), Owner::Unknown);
        known.set(7, false, 20);
        assert_eq!(known.get(7, 19), Owner::Other);
        known.clear(7);
        assert_eq!(known.get(7, 0), Owner::Unknown);
    }

    #[test]
    fn each_part_of_a_message_tells_it_from_others() {
        let known = Known::new();
        known.set(0, true, 10);
        for bit in (0..95).chain([64, 83, 84]) {
            assert_eq!(known.get(1 << bit, 0), Owner::Unknown, "bit {bit}");
        }
    }

    #[test]
    fn a_full_set_forgets_what_ends_first() {
        let known = Known::new();
        for n in 0..5 {
            known.set(n, false, 10 + n as u64);
        }
        assert_eq!(known.get(0, 0), Owner::Unknown);
        assert!((1..5).all(|n| known.get(n, 0) == Owner::Other));
    }
}
