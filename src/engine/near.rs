//! Counts near the thread: what each thread suppresses most often, in memory that it alone writes.
//!
//! A *page* belongs to a thread's number ([`thread_index`](super::thread_index)). Of an entry its
//! owner alone writes label and count, with plain loads and stores. Others take counts and
//! void marks, by CAS. Nothing here knows the table: what keeps a mark true is the engine's part
//! of the protocol (`check.rs`).

use super::fault::Faults;
use super::page::{Entry, Mark, Page, Totals, WAYS, new_page};
use super::repeats::Repeats;
use super::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
use super::thread_index::{self, INDEXES};
use crate::{Fingerprint, Tick};
use crossbeam_utils::CachePadded;
use std::marker::PhantomData;
use std::ptr;

/// The pages of a cache.
pub(super) struct Near {
    /// Each made by the thread of its number, and kept. The last is never made: it is of the
    /// threads that have no number.
    pages: [AtomicPtr<Page>; INDEXES + 1],
    /// Above the highest number that has made a page.
    high: AtomicUsize,
    /// Of those without a page.
    totals: CachePadded<Totals>,
    faults: Faults,
}

/// What an owner gave away with an entry.
pub(super) struct Left {
    pub(super) fingerprint: Fingerprint,
    pub(super) repeats: Repeats,
    pub(super) since: Tick,
}

/// The calling thread's own page. Not to be sent to another.
#[derive(Clone, Copy)]
pub(super) struct Mine<'a> {
    page: &'a Page,
    own: PhantomData<*mut ()>,
}

/// An entry of [`Mine`].
#[derive(Clone, Copy)]
pub(super) struct Seat(usize);

impl Near {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            pages: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            high: AtomicUsize::new(0),
            totals: CachePadded::default(),
            faults,
        }
    }

    /// The most bytes of all pages.
    pub(super) fn bytes() -> usize {
        // An allocator may need as much again for the border of a line.
        INDEXES * (size_of::<Page>() + align_of::<Page>())
    }

    /// The calling thread's page, if it has made one.
    #[inline(always)]
    pub(super) fn mine(&self) -> Option<Mine<'_>> {
        // SAFETY: a thread's number is at most INDEXES.
        let page = unsafe { self.pages.get_unchecked(thread_index::peek()) };
        // Relaxed: made by this thread or by one whose number it took over (O-8).
        // SAFETY: null or made by `make`; freed by `drop` only.
        let page = unsafe { page.load(Ordering::Relaxed).as_ref() };
        page.map(|page| Mine { page, own: PhantomData })
    }

    /// The calling thread's page. `None` if it has no number, or there is no memory.
    #[inline]
    pub(super) fn mine_or_new(&self) -> Option<Mine<'_>> {
        self.mine().or_else(|| self.make())
    }

    #[cold]
    fn make(&self) -> Option<Mine<'_>> {
        let index = thread_index::get();
        if index < INDEXES && self.pages[index].load(Ordering::Relaxed).is_null() {
            let page = new_page();
            if page.is_null() {
                return None;
            }
            // Release (O-6): pairs with `all`; the page is initialised.
            self.pages[index].store(page, Ordering::Release);
            self.high.fetch_max(index + 1, Ordering::Release);
        }
        self.mine()
    }

    fn all(&self) -> impl Iterator<Item = &Page> {
        // Acquire, twice (O-6): pairs with `make`. In the total order of the fences of
        // `set_mark` and `void`, a page that has been marked is here.
        let pages = &self.pages[..self.high.load(Ordering::Acquire)];
        // SAFETY: as in `mine`.
        pages.iter().filter_map(|page| unsafe { page.load(Ordering::Acquire).as_ref() })
    }

    /// Voids the marks of a fingerprint up to a tick, in all pages.
    ///
    /// The caller has changed the entry's state before; see `check.rs`.
    pub(super) fn void(&self, fingerprint: Fingerprint, newest: Tick) {
        // SeqCst (O-7): pairs with the fence in `set_mark`.
        fence(Ordering::SeqCst);
        for entry in self.all().flat_map(|page| page.of(fingerprint)) {
            let mut mark = Mark(entry.mark.load(Ordering::Relaxed));
            while entry.label() == fingerprint && mark.is_valid() && mark.tick() <= newest {
                // Relaxed: whoever must not find it valid is ordered by the fences, or by
                // the caller.
                let void = mark.0 & !Mark::VALID;
                match entry.mark.compare_exchange(
                    mark.0,
                    void,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => break,
                    Err(seen) => mark = Mark(seen),
                }
            }
        }
    }

    /// Takes what all pages hold of a fingerprint.
    pub(super) fn take(&self, fingerprint: Fingerprint) -> Repeats {
        let entries = self.all().flat_map(|page| page.of(fingerprint));
        let taken = entries.map(|entry| entry.take(fingerprint, self.faults));
        taken.fold(Repeats::default(), Repeats::plus)
    }

    /// What all pages hold of a fingerprint, and keep.
    pub(super) fn pending(&self, fingerprint: Fingerprint) -> Repeats {
        let entries = self.all().flat_map(|page| page.of(fingerprint));
        let own = entries.filter(|entry| entry.label() == fingerprint);
        own.map(Entry::pending).fold(Repeats::default(), Repeats::plus)
    }

    /// The labels of entries with something pending, and when these were emitted.
    pub(super) fn labels(&self) -> impl Iterator<Item = (Fingerprint, Tick)> {
        let entries = self.all().flat_map(|page| &page.entries);
        entries.filter(|entry| entry.pending().count != 0).map(|entry| {
            let mark = Mark(entry.mark.load(Ordering::Relaxed));
            (entry.label(), mark.tick())
        })
    }

    /// All that is pending here.
    pub(super) fn sum(&self) -> u64 {
        self.all().flat_map(|page| &page.entries).map(|entry| entry.pending().count).sum()
    }

    /// Adds to a total: the calling thread's own, if it has a page.
    #[inline]
    pub(super) fn tally(&self, of: impl Fn(&Totals) -> &AtomicU64, n: u64) {
        self.tally_by(self.mine_or_new(), of, n);
    }

    /// As [`tally`](Self::tally), for who has looked for the page. Returns the sum in this place.
    #[inline(always)]
    pub(super) fn tally_by(
        &self,
        mine: Option<Mine<'_>>,
        of: impl Fn(&Totals) -> &AtomicU64,
        n: u64,
    ) -> u64 {
        // Relaxed: statistics, exact when no call is in flight.
        let Some(mine) = mine else {
            return of(&self.totals).fetch_add(n, Ordering::Relaxed).wrapping_add(n);
        };
        let total = of(&mine.page.totals);
        let sum = total.load(Ordering::Relaxed).wrapping_add(n);
        total.store(sum, Ordering::Relaxed);
        sum
    }

    pub(super) fn total(&self, of: impl Fn(&Totals) -> &AtomicU64) -> u64 {
        // A count that was put back may be taken off another thread's than it was added to.
        let own = self.all().map(|page| of(&page.totals).load(Ordering::Relaxed));
        own.fold(of(&self.totals).load(Ordering::Relaxed), u64::wrapping_add)
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        for page in &self.pages {
            let page = page.load(Ordering::Relaxed);
            if !page.is_null() {
                // SAFETY: allocated with this layout (as a box is), and nobody else has `self`.
                drop(unsafe { Box::from_raw(page) });
            }
        }
    }
}

impl Mine<'_> {
    /// Counts a call suppressed at `now` if there is a mark from `bound` on. Returns whether there
    /// was; `None` if the fingerprint has no entry here. Wait-free; the usual call.
    #[inline(always)]
    pub(super) fn hit(self, fingerprint: Fingerprint, bound: u64, now: Tick) -> Option<bool> {
        let (low, high) = (fingerprint.as_u128() as u64, (fingerprint.as_u128() >> 64) as u64);
        let entry = self.page.ways(low).iter().find(|entry| entry.is_of(low, high))?;
        // Relaxed: what voids it and happened before this call is seen; another is concurrent.
        let hit = entry.mark.load(Ordering::Relaxed) >= bound;
        if hit {
            entry.bump(now);
        }
        Some(hit)
    }

    #[inline(always)]
    pub(super) fn find(self, fingerprint: Fingerprint) -> Option<Seat> {
        let (low, high) = (fingerprint.as_u128() as u64, (fingerprint.as_u128() >> 64) as u64);
        let set = Page::set(low);
        (set..set + WAYS).find(|&i| self.page.entries[i].is_of(low, high)).map(Seat)
    }

    #[inline]
    pub(super) fn mark(self, seat: Seat) -> Mark {
        Mark(self.page.entries[seat.0].mark.load(Ordering::Relaxed))
    }

    /// Counts a call at `now`.
    #[inline(always)]
    pub(super) fn bump(self, seat: Seat, now: Tick) {
        self.page.entries[seat.0].bump(now);
    }

    /// Says what is known of an entry. The caller reads the table again afterwards, and
    /// [`void`](Self::void)s the mark if that says otherwise.
    pub(super) fn set_mark(self, seat: Seat, mark: Mark) {
        self.page.entries[seat.0].mark.store(mark.0, Ordering::Relaxed);
        // SeqCst (O-7): pairs with the fence in `Near::void`. Either the caller sees there what the
        // other has changed, or the other sees this mark.
        fence(Ordering::SeqCst);
    }

    pub(super) fn void(self, seat: Seat) {
        let entry = &self.page.entries[seat.0];
        entry.mark.store(entry.mark.load(Ordering::Relaxed) & !Mark::VALID, Ordering::Relaxed);
    }

    /// Finds a place for a fingerprint: its own; if it is `worth` something, one that has
    /// nothing to say from `bound` on; if more, one that has counted less than that since
    /// it was last asked.
    pub(super) fn seat(self, fingerprint: Fingerprint, bound: u64, worth: u64) -> Option<Seat> {
        let set = Page::set(fingerprint.as_u128() as u64);
        let is_idle = |&i: &usize| self.page.entries[i].mark.load(Ordering::Relaxed) < bound;
        let has_counted = |i: usize| {
            let asked = self.page.asked[i].load(Ordering::Relaxed);
            let counted = self.counts(i).wrapping_sub(asked);
            // Half of it counts for the next who asks, too.
            self.page.asked[i].store(asked.wrapping_add(counted / 2), Ordering::Relaxed);
            counted
        };
        let least = || {
            let (least, i) = (set..set + WAYS).map(|i| (has_counted(i), i)).min()?;
            (u64::from(least) < worth).then_some(i)
        };
        self.find(fingerprint).or_else(|| match worth {
            0 => None,
            1 => (set..set + WAYS).find(is_idle).map(Seat),
            _ => (set..set + WAYS).find(is_idle).or_else(least).map(Seat),
        })
    }

    /// All that an entry has counted, modulo 2^32.
    fn counts(self, i: usize) -> u32 {
        self.page.entries[i].count.load(Ordering::Relaxed) as u32
    }

    /// Gives an entry to a fingerprint; if that is news, without a mark. What another had counted
    /// there is the caller's to keep.
    pub(super) fn label(self, seat: Seat, fingerprint: Fingerprint) -> Option<Left> {
        let entry = &self.page.entries[seat.0];
        let before = entry.label();
        if before == fingerprint {
            return None;
        }
        let since = Mark(entry.mark.load(Ordering::Relaxed)).tick();
        let repeats = entry.take(before, Faults::default());
        self.page.asked[seat.0].store(self.counts(seat.0), Ordering::Relaxed);
        // Nothing is pending while the label is neither the old one nor the new one.
        entry.mark.store(0, Ordering::Relaxed);
        // Relaxed, twice: published by the next `bump`.
        entry.low.store(fingerprint.as_u128() as u64, Ordering::Relaxed);
        entry.high.store((fingerprint.as_u128() >> 64) as u64, Ordering::Relaxed);
        (repeats.count != 0).then_some(Left { fingerprint: before, repeats, since })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn fp(set: u128, way: u128) -> Fingerprint {
        Fingerprint::from_u128(way << 64 | set << 21 | 1)
    }

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn admit(
        mine: Mine<'_>,
        fingerprint: Fingerprint,
        mark: Mark,
        bound: u64,
        worth: u64,
    ) -> Option<Option<Left>> {
        let seat = mine.seat(fingerprint, bound, worth)?;
        let left = mine.label(seat, fingerprint);
        mine.set_mark(seat, mark);
        mine.bump(seat, mark.tick());
        Some(left)
    }

    #[test]
    fn what_is_marked_is_counted_until_voided() {
        let near = Near::new(Faults::default());
        assert!(near.mine().is_none());
        let mine = near.mine_or_new().unwrap();
        let one = fp(3, 1);
        assert_eq!(mine.hit(one, Mark::from(0), at(9)), None);
        assert!(admit(mine, one, Mark::of_level(at(10), 0), Mark::from(0), 1).is_some());
        let hits = [(one, 10), (one, 11), (fp(3, 2), 0)]
            .map(|(of, from)| mine.hit(of, Mark::from(from), at(12)));
        assert_eq!(hits, [Some(true), Some(false), None]);
        let two = Repeats { count: 2, last: Some(at(12)) };
        assert_eq!((near.pending(one), near.sum(), near.take(one)), (two, 2, two));
        assert_eq!((near.pending(one), near.take(one)), Default::default(), "nothing is left");
        near.void(one, at(9));
        assert_eq!(mine.hit(one, Mark::from(10), at(13)), Some(true));
        near.void(one, at(10));
        assert_eq!(mine.hit(one, Mark::from(0), at(14)), Some(false));
        assert_eq!(near.pending(one).last, Some(at(13)), "not when a call found it void");
        assert_eq!(
            near.labels().collect::<Vec<_>>(),
            [(one, at(10))],
            "the tick of what is void is kept"
        );
    }

    #[test]
    fn a_live_entry_gives_way_to_who_counts_more() {
        let near = Near::new(Faults::default());
        let mine = near.mine_or_new().unwrap();
        let mark = Mark::of_level(at(10), 0);
        let live = Mark::from(1);
        assert!(admit(mine, fp(5, 1), mark, live, 0).is_none(), "no place of its own yet");
        assert!(admit(mine, fp(5, 1), mark, live, 1).unwrap().is_none());
        assert!(admit(mine, fp(5, 2), mark, live, 1).unwrap().is_none());
        (0..9).for_each(|_| {
            assert_eq!(
                (mine.hit(fp(5, 1), live, at(20)), mine.hit(fp(5, 2), live, at(21))),
                (Some(true), Some(true))
            )
        });
        assert!(
            mine.hit(fp(5, 1), live, at(22)) == Some(true)
                && admit(mine, fp(5, 1), mark, live, 0).unwrap().is_none()
        );
        assert!(admit(mine, fp(5, 3), mark, live, 1).is_none());
        assert!(admit(mine, fp(5, 3), mark, live, 10).is_none(), "10 counted since");
        let left = admit(mine, fp(5, 3), mark, live, 10).unwrap().unwrap();
        assert_eq!(
            (left.fingerprint, left.repeats.count, left.repeats.last, left.since),
            (fp(5, 2), 10, Some(at(21)), at(10)),
            "half of them counts twice"
        );
        assert!(mine.find(fp(5, 2)).is_none() && mine.find(fp(5, 1)).is_some());
        let idle = admit(mine, fp(5, 4), mark, Mark::from(11), 1).unwrap();
        assert_eq!(idle.unwrap().repeats.count + near.sum(), 12 + 1 + 1);
    }

    #[test]
    fn totals_add_up_over_threads() {
        let near = Near::new(Faults::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| near.tally(|t| &t.emitted, 2)));
            }
        });
        near.tally(|t| &t.emitted, 1u64.wrapping_neg());
        assert_eq!(near.total(|t| &t.emitted), 7999);
    }
}
