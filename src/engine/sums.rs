//! Sums by namespace, of counts that find no place of their own.

use super::pending::{Pending, Select};
use super::repeats::Repeats;
use super::sync::{AtomicU64, Ordering};
use crate::{Namespace, Tick};

#[cfg(not(loom))]
const SUMS: usize = 64;
#[cfg(loom)]
const SUMS: usize = 1;

/// A sum for a namespace: `namespace + 1` in 17 bits above a count of 47.
#[derive(Default)]
struct Sum {
    word: AtomicU64,
    /// The earliest `since`, plus one; 0 is none. May be that of counts just taken, when a drain
    /// and an addition race.
    since: AtomicU64,
    /// The latest `last`, plus one, as `since`.
    last: AtomicU64,
}

const COUNT_BITS: u32 = 47;
pub(super) const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl Sum {
    /// Adds, unless the sum is another namespace's or would overflow.
    fn add(&self, namespace: Namespace, repeats: Repeats, since: Tick) -> bool {
        let owner = (u64::from(namespace.0) + 1) << COUNT_BITS;
        let since = since.as_millis() + 1;
        // Relaxed, here and in `take`: each word says all by itself.
        let add = |word: u64| {
            let mine = word == 0 || word & !COUNT_MASK == owner;
            let sum = (word & COUNT_MASK)
                .checked_add(repeats.count)
                .filter(|&sum| mine && sum <= COUNT_MASK);
            sum.map(|sum| owner | sum)
        };
        let added = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok();
        if added {
            let earlier = |old| (old == 0 || old > since).then_some(since);
            let _ = self.since.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earlier);
            let last = repeats.last.map_or(0, |last| last.as_millis() + 1);
            self.last.fetch_max(last, Ordering::Relaxed);
        }
        added
    }

    fn take<X>(&self, select: &Select<'_, X>) -> Option<Pending<X>> {
        let owner = |word: u64| Namespace((word >> COUNT_BITS).wrapping_sub(1) as u16);
        let wanted = |word: u64| word != 0 && select.has(owner(word));
        if !wanted(self.word.load(Ordering::Relaxed)) {
            return None;
        }
        let since = self.since.swap(0, Ordering::Relaxed);
        let last = self.last.swap(0, Ordering::Relaxed).checked_sub(1).map(Tick::from_millis);
        // Not a swap: the sum may have changed hands meanwhile.
        let empty = |word| wanted(word).then_some(0);
        let word = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, empty).ok()?;
        Some(Pending::sum(
            owner(word),
            Repeats { count: word & COUNT_MASK, last },
            Tick::from_millis(since.saturating_sub(1)),
        ))
    }
}

/// One for each of the first namespaces that need one.
pub(super) struct Sums {
    sums: [Sum; SUMS],
    /// What is too much for these.
    mixed: AtomicU64,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { sums: std::array::from_fn(|_| Sum::default()), mixed: AtomicU64::new(0) }
    }

    /// Lock-free.
    #[cfg_attr(loom, allow(clippy::modulo_one, reason = "a model has one sum"))]
    pub(super) fn add(&self, namespace: Namespace, repeats: Repeats, since: Tick) {
        let home = namespace.0 as usize;
        if !(0..SUMS).any(|i| self.sums[(home + i) % SUMS].add(namespace, repeats, since)) {
            self.mixed.fetch_add(repeats.count, Ordering::Relaxed);
        }
    }

    /// Takes what `select` has, one after the other.
    pub(super) fn take<'a, X>(
        &'a self,
        select: &'a Select<'_, X>,
    ) -> impl Iterator<Item = Pending<X>> + 'a {
        let mixed = std::iter::once_with(|| self.mixed.swap(0, Ordering::Relaxed))
            .filter(|&count| count != 0);
        let of_mixed =
            |count| Pending::sum(Namespace::MIXED, Repeats { count, last: None }, Tick::default());
        let mixed = mixed.map(of_mixed);
        self.sums.iter().filter_map(|sum| sum.take(select)).chain(mixed)
    }
}
