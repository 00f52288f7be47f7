//! Which namespaces are in use.
//!
//! New numbers first; once all have been handed out, those given back, in turn.

use super::Engine;
use super::on_demand::OnDemand;
use super::pending::{Pending, Select};
use super::sync::{AtomicU64, Ordering};
use crate::Namespace;

/// All but 0, the default, and [`Namespace::MIXED`].
const NUMBERS: u64 = u16::MAX as u64 - 1;
const WORDS: usize = 1 << 10;

pub(super) struct Namespaces {
    /// How many have been handed out for the first time.
    handed_out: AtomicU64,
    /// A bit for each that was given back.
    given_back: OnDemand<AtomicU64>,
    /// The word to look at first: one that was just given back rests for a while.
    next: AtomicU64,
}

impl Namespaces {
    pub(super) fn new() -> Self {
        Self {
            handed_out: AtomicU64::new(0),
            given_back: OnDemand::new(WORDS),
            next: AtomicU64::new(0),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.given_back.bytes()
    }

    fn first(&self) -> Option<Namespace> {
        // Relaxed, all here: a number, not a fact about other memory.
        let mut handed_out = self.handed_out.load(Ordering::Relaxed);
        while handed_out < NUMBERS {
            match self.handed_out.compare_exchange(
                handed_out,
                handed_out + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Namespace(handed_out as u16 + 1)),
                Err(now) => handed_out = now,
            }
        }
        None
    }

    fn again(&self) -> Option<Namespace> {
        let words = self.given_back.get()?;
        let next = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        (next..next + WORDS).map(|i| i % WORDS).find_map(|i| {
            let mut free = words[i].load(Ordering::Relaxed);
            while free != 0 {
                let bit = free & free.wrapping_neg();
                // Acquire (O-13): pairs with `give_back`; what was counted under it is seen.
                free = words[i].fetch_and(!bit, Ordering::Acquire);
                if free & bit != 0 {
                    return Some(Namespace((64 * i) as u16 + bit.trailing_zeros() as u16));
                }
            }
            None
        })
    }

    fn give_back(&self, namespace: Namespace) {
        let number = u64::from(namespace.0);
        if number == 0 || number > self.handed_out.load(Ordering::Relaxed) {
            return;
        }
        // Without memory it is not handed out again.
        if let Some(words) = self.given_back.get().or_else(|| self.given_back.get_or_new()) {
            // Release (O-13): pairs with `again`.
            words[usize::from(namespace.0) / 64].fetch_or(1 << (number % 64), Ordering::Release);
        }
    }
}

impl<X: Send + Sync + 'static> Engine<X> {
    /// Hands out a namespace that nobody has. `None` if all are in use.
    pub(crate) fn new_namespace(&self) -> Option<Namespace> {
        self.namespaces.first().or_else(|| {
            let again = self.namespaces.again()?;
            self.clear_namespace(again);
            Some(again)
        })
    }

    /// Takes back a namespace in which no call comes any more.
    pub(crate) fn give_back_namespace(&self, namespace: Namespace) {
        self.namespaces.give_back(namespace);
    }

    /// Forgets what was emitted in a namespace, so that its next owner sees the first of each
    /// message; and leaves what is pending to the sum of all, since it is not his.
    fn clear_namespace(&self, namespace: Namespace) {
        self.forget_where(|fingerprint, _| fingerprint.namespace() == namespace);
        self.drain(Select::all().of(namespace), &mut |pending| {
            self.put_back(Pending::sum(Namespace::MIXED, pending.repeats, pending.since));
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_handed_out_once_and_again() {
        let namespaces = Namespaces::new();
        let first: Vec<_> = std::iter::from_fn(|| namespaces.first()).collect();
        assert_eq!((first.len() as u64, first[0]), (NUMBERS, Namespace(1)));
        assert!(!first.contains(&Namespace::MIXED));
        assert_eq!((namespaces.again(), namespaces.bytes()), (None, 0));
        for given in [Namespace(0), Namespace::MIXED, Namespace(7), first[65_533], Namespace(7)] {
            namespaces.give_back(given);
        }
        let mut again: Vec<_> = std::iter::from_fn(|| namespaces.again()).collect();
        again.sort_unstable();
        assert_eq!(again, [Namespace(7), first[65_533]]);
        assert_ne!(namespaces.bytes(), 0);
    }

    #[test]
    fn what_was_never_handed_out_is_not_taken_back() {
        let namespaces = Namespaces::new();
        assert_eq!(namespaces.first(), Some(Namespace(1)));
        namespaces.give_back(Namespace(2));
        assert_eq!(namespaces.again(), None);
    }

    #[test]
    fn no_two_threads_have_one_number() {
        let namespaces = Namespaces::new();
        while namespaces.first().is_some() {}
        (1..100).for_each(|n| namespaces.give_back(Namespace(n)));
        let owned = [const { AtomicU64::new(0) }; 100];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let Some(mine) = namespaces.again() else { continue };
                        let owner = &owned[usize::from(mine.0)];
                        assert_eq!(owner.fetch_add(1, Ordering::Relaxed), 0);
                        owner.fetch_sub(1, Ordering::Relaxed);
                        namespaces.give_back(mine);
                    }
                });
            }
        });
    }
}
