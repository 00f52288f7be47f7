//! The table: slots in buckets, and how a fingerprint finds its place in them.

use super::fault::{Faults, broken, linger};
use super::id::Id;
use super::repeats::{Lasts, Repeats};
use super::slot::{At, Home, Homes, Slot, W};
use super::sync::{self, AtomicU16, AtomicU64, Ordering};
use super::words::{Count, State};
use super::zeroed::Zeroed;
use crate::Tick;
use crossbeam_utils::CachePadded;

/// What [`Table::hit`] found.
pub(super) struct Hit<'t> {
    slot: &'t Slot,
    pub(super) at: At,
}

pub(super) struct Table {
    buckets: usize,
    slots: Zeroed<Slot>,
    /// What only a summary needs.
    lows: Zeroed<AtomicU16>,
    pub(super) lasts: Lasts,
    /// By which the ages of entries are measured. In a line of its own: written now and then.
    clock: CachePadded<AtomicU64>,
    faults: Faults,
}

impl Table {
    /// Of at least two buckets. `None` if there is no memory for it.
    pub(super) fn new(buckets: usize, faults: Faults) -> Option<Self> {
        debug_assert!(buckets >= 2, "a fingerprint has two homes");
        let slots = buckets.checked_mul(W)?;
        Some(Self {
            buckets,
            slots: Zeroed::new(slots)?,
            lows: Zeroed::new(slots)?,
            lasts: Lasts::new(slots),
            clock: CachePadded::default(),
            faults,
        })
    }

    pub(super) fn bytes(buckets: usize) -> Option<usize> {
        let slots = buckets.checked_mul(W)?;
        Zeroed::<Slot>::bytes(slots)?.checked_add(Zeroed::<AtomicU16>::bytes(slots)?)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All slots.
    pub(super) fn all(&self) -> impl Iterator<Item = At> + use<> {
        (0..self.len()).map(At)
    }

    #[inline(always)]
    pub(super) fn first_home(&self, id: Id) -> Home {
        Home(W * id.first_home(self.buckets))
    }

    #[inline(always)]
    pub(super) fn homes(&self, id: Id) -> Homes {
        id.homes(self.buckets).map(|bucket| Home(W * bucket))
    }

    #[inline(always)]
    fn bucket(&self, home: Home) -> &[Slot; W] {
        debug_assert!(home.0 + W <= self.len());
        // SAFETY: as in `slot`.
        let first = unsafe { self.slots.as_ptr().add(home.0) };
        // SAFETY: there are W slots from a home's first on.
        unsafe { &*first.cast() }
    }

    #[inline(always)]
    fn slot(&self, at: At) -> &Slot {
        debug_assert!(at.0 < self.len());
        // SAFETY: `At` and `Home` come from a table, the first by way of a number at times,
        // and name its slots; an engine has one.
        unsafe { self.slots.get_unchecked(at.0) }
    }

    #[inline(always)]
    pub(super) fn state(&self, at: At) -> &AtomicU64 {
        &self.slot(at).state
    }

    #[inline(always)]
    pub(super) fn count(&self, at: At) -> &AtomicU64 {
        &self.slot(at).count
    }

    /// Reads a state, with all that was written before it was published.
    #[inline(always)]
    pub(super) fn load(&self, at: At) -> State {
        // Acquire (O-1): pairs with the exchanges and publications of states.
        State(self.state(at).load(Ordering::Acquire))
    }

    /// Replaces a state, if it is still `from`; otherwise returns what it is.
    #[inline]
    pub(super) fn exchange(&self, at: At, from: State, to: State) -> Result<(), State> {
        // Release (O-1): pairs with `load` and its like. Acquire: what others have published.
        let exchanged =
            self.state(at).compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire);
        exchanged.map(drop).map_err(State)
    }

    /// Finds a fingerprint's key in one home, and the state if what is there is LIVE and
    /// NOTICED. Takes fewer steps than [`read`](Self::read).
    ///
    /// Key, state, rest, and the key again, all of one turn. A turn that comes round between two
    /// loads shows in the second look at the key.
    #[inline(always)]
    pub(super) fn hit(&self, id: Id, home: Home) -> Option<(Hit<'_>, Option<State>)> {
        // Acquire, all of these (O-3): pair with the Release in `write`. What comes after
        // is not older.
        let has_key = |slot: &Slot| id.has_key(slot.key.load(Ordering::Acquire));
        let (i, slot) = self.bucket(home).iter().enumerate().find(|(_, slot)| has_key(slot))?;
        let mut key = slot.key.load(Ordering::Acquire);
        let state = State(slot.state.load(Ordering::Acquire));
        let rest = slot.rest.load(Ordering::Acquire);
        let mut again = slot.key.load(Ordering::Relaxed);
        if broken!(self.faults, NoTurn) {
            (key, again) = (id.key(state.turn()), id.key(state.turn()));
        }
        // One branch for all.
        let differs =
            id.differs_from(key) | state.differs_from_noticed(key) | rest ^ id.rest | again ^ key;
        Some((Hit { slot, at: home.slot(i) }, (differs == 0).then_some(state)))
    }

    /// Counts a call at what was hit, unless somebody interferes, or the count's lowest bits are
    /// `full`: ones, as many as that has. With a `now`, says first when it is.
    #[inline(always)]
    pub(super) fn count_hit(
        &self,
        hit: &Hit<'_>,
        state: State,
        full: u64,
        now: Option<Tick>,
    ) -> bool {
        linger!();
        let word = &hit.slot.count;
        let seen = Count(word.load(Ordering::Relaxed));
        // Only where there is room. AcqRel (O-4): as in `update`.
        let next = || seen.plus_one(self.clock()).0;
        let exchange =
            || word.compare_exchange(seen.0, next(), Ordering::AcqRel, Ordering::Relaxed);
        let is_of_turn = seen.turn() == state.turn() || broken!(self.faults, CountAnyTurn);
        seen.count() & full != full && is_of_turn && {
            if let Some(now) = now {
                self.lasts.note(hit.at, state.turn(), now);
            }
            exchange().is_ok()
        }
    }

    /// Finds what is LIVE or CLAIMED of a fingerprint.
    pub(super) fn find(&self, id: Id, homes: Homes) -> Option<(At, State)> {
        self.look(id, homes).find_map(|at| Some((at, self.read(id, at)?)))
    }

    /// Looks at a neighbourhood in the order that claims need: each state before its key,
    /// so that what was published before is seen with its key. Finds the slots with the
    /// fingerprint's key; [`read`](Self::read) says what is there.
    #[inline(always)]
    pub(super) fn look(&self, id: Id, homes: Homes) -> impl Iterator<Item = At> {
        let mut has_key = 0u32;
        for (home, first) in homes.into_iter().zip([0, W]) {
            for (i, slot) in self.bucket(home).iter().enumerate() {
                sync::look(&slot.state);
                // Acquire (O-3): pairs with the Release in `write`.
                has_key |= u32::from(id.has_key(slot.key.load(Ordering::Acquire))) << (first + i);
            }
        }
        std::iter::from_fn(move || {
            let i = has_key.trailing_zeros() as usize;
            has_key &= has_key.wrapping_sub(1);
            (i < 2 * W).then(|| homes[i / W].slot(i % W))
        })
    }

    /// Reads a slot's state if it is LIVE or CLAIMED of a fingerprint: state, key, rest,
    /// and the state again. If that is the same, key and rest are of its turn.
    ///
    /// One that changes meanwhile is read again: a claim that is just being decided must not
    /// pass for nothing. One that is taken meanwhile may: whoever takes it looks after that.
    #[inline]
    pub(super) fn read(&self, id: Id, at: At) -> Option<State> {
        let mut state = State(sync::look(self.state(at)));
        loop {
            linger!();
            if !(state.is_live() || state.is_claim_of(id)) || !self.holds(at, state, id) {
                return None;
            }
            match State(sync::look(self.state(at))) {
                same if same == state => return Some(state),
                _ if broken!(self.faults, LookOnce) => return None,
                changed => state = changed,
            }
        }
    }

    /// Whether a slot's key and rest are of a fingerprint, and of the state's turn.
    #[inline(always)]
    fn holds(&self, at: At, state: State, id: Id) -> bool {
        // Acquire, twice (O-3): a rest of a later turn brings that turn's key with it.
        let key = self.slot(at).key.load(Ordering::Acquire);
        id.has_key(key)
            && state.has_turn_of(key)
            && self.slot(at).rest.load(Ordering::Acquire) == id.rest
    }

    /// Whether it is a fingerprint that is LIVE in a slot.
    #[inline(always)]
    pub(super) fn is_of(&self, at: At, state: State, id: Id) -> bool {
        state.is_live() && self.holds(at, state, id)
    }

    /// Reads the states of a neighbourhood.
    #[inline(always)]
    pub(super) fn states(&self, homes: Homes) -> [[State; W]; 2] {
        // Acquire (O-1): as in `load`.
        let state = |slot: &Slot| State(slot.state.load(Ordering::Acquire));
        homes.map(|home| self.bucket(home).each_ref().map(state))
    }

    /// Reads the count words of a neighbourhood.
    #[inline(always)]
    pub(super) fn counts(&self, homes: Homes) -> [[Count; W]; 2] {
        // Acquire (O-4): the clock, read after a stamp, is not behind it.
        let count = |slot: &Slot| Count(slot.count.load(Ordering::Acquire));
        homes.map(|home| self.bucket(home).each_ref().map(count))
    }

    /// Writes what belongs to a fingerprint into a slot that the caller has TAKEN.
    #[inline]
    pub(super) fn write(&self, at: At, id: Id, turn: u64) {
        // Release, three times (O-3): pairs with the loads in `hit`, `look`, `holds` and
        // `stored`. The key first: who sees another word of this turn finds that its key
        // has changed.
        self.slot(at).key.store(id.key(turn), Ordering::Release);
        self.slot(at).rest.store(id.rest, Ordering::Release);
        self.lows[at.0].store(id.low(), Ordering::Release);
    }

    /// Reads the whole fingerprint of a slot; only of the state's turn if the key still is.
    pub(super) fn stored(&self, at: At) -> (u64, Id) {
        // Acquire, three times (O-3): as in `read`.
        let key = self.slot(at).key.load(Ordering::Acquire);
        let rest = self.slot(at).rest.load(Ordering::Acquire);
        (key, Id::stored(key, rest, self.lows[at.0].load(Ordering::Acquire)))
    }

    /// Reads the fingerprint of what is LIVE in a slot, unless it has changed meanwhile.
    pub(super) fn identify(&self, at: At, state: State) -> Option<Id> {
        let (key, id) = self.stored(at);
        // Relaxed: ordered behind by the loads of `stored`.
        let is_still = self.load(at).turn() == state.turn()
            && self.slot(at).key.load(Ordering::Relaxed) == key;
        (state.has_turn_of(key) && is_still).then_some(id)
    }

    /// The clock, of which a stamp keeps twelve bits.
    #[inline(always)]
    pub(super) fn clock(&self) -> u64 {
        // Relaxed: a measure of age, not a fact.
        self.clock.load(Ordering::Relaxed)
    }

    /// Lets everything age.
    #[cold]
    pub(super) fn advance(&self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads a count word, as a hint.
    #[inline(always)]
    pub(super) fn count_hint(&self, at: At) -> Count {
        Count(self.count(at).load(Ordering::Relaxed))
    }

    /// Adds `n` to the count of the entry of `turn`, and says that it was touched. Returns whether
    /// it could: the turn may be over, or the word full.
    pub(super) fn add(&self, at: At, turn: u64, n: u64) -> bool {
        let now = self.clock();
        self.update(at, turn, |count| count.plus(n, now)).is_some()
    }

    /// Says that the entry of `turn` was touched.
    pub(super) fn touch(&self, at: At, turn: u64) {
        let now = self.clock();
        self.update(at, turn, |count| if count.age(now) == 0 { None } else { count.plus(0, now) });
    }

    /// Takes what was counted of the entry of `turn`.
    pub(super) fn take(&self, at: At, turn: u64) -> Repeats {
        let now = self.clock();
        let emptied = |count: Count| (count.count() != 0).then(|| count.emptied(now));
        self.update(at, turn, emptied).map_or(Repeats::default(), |taken| Repeats {
            count: taken.count(),
            last: self.lasts.read(at, turn),
        })
    }

    /// Changes the count word of `turn`; returns what it was, or `None` if nothing was changed.
    #[inline]
    fn update(&self, at: At, turn: u64, to: impl Fn(Count) -> Option<Count>) -> Option<Count> {
        let word = self.count(at);
        let mut seen = self.count_hint(at);
        while seen.turn() == turn || broken!(self.faults, CountAnyTurn) {
            let next = to(seen)?;
            if broken!(self.faults, TakeBlindly) && next.count() == 0 {
                word.store(next.0, Ordering::Release);
                return Some(seen);
            }
            // AcqRel (O-4): who reads this stamp reads a clock that is not behind it.
            match word.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(seen),
                Err(now) => seen = Count(now),
            }
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Fingerprint, Tick};

    fn put(table: &Table, at: At, id: Id) -> State {
        let taken = table.load(at).taken();
        table.state(at).store(taken.0, Ordering::Relaxed);
        table.write(at, id, taken.turn());
        table.count(at).store(Count::new(taken.turn(), table.clock()).0, Ordering::Relaxed);
        let claimed = taken.claimed(id);
        table.state(at).store(claimed.0, Ordering::Relaxed);
        claimed
    }

    #[test]
    fn an_entry_is_found_in_either_home() {
        let table = Table::new(10, Faults::default()).unwrap();
        let id = Id::of(Fingerprint::from_u128(0x1234_5678 << 70 | 99));
        let homes = table.homes(id);
        assert_eq!(table.find(id, homes), None);
        let seen =
            |at: At| table.look(id, homes).find(|&key| key == at).and_then(|at| table.read(id, at));
        for at in homes.iter().flat_map(|home| (0..W).map(|i| home.slot(i))) {
            let claimed = put(&table, at, id);
            assert_eq!(table.find(id, homes), Some((at, claimed)));
            assert_eq!(seen(at), Some(claimed));
            let live = claimed.decided(Tick::from_millis(5));
            table.exchange(at, claimed, live).unwrap();
            assert_eq!(table.exchange(at, claimed, live), Err(live));
            assert!(table.find(id, homes) == Some((at, live)) && seen(at) == Some(live));
            assert_eq!(table.identify(at, live), Some(id));
            table.state(at).store(live.freed().0, Ordering::Relaxed);
            assert!(table.find(id, homes).is_none() && seen(at).is_none());
        }
    }

    #[test]
    fn counts_are_of_one_turn() {
        let table = Table::new(2, Faults::default()).unwrap();
        let at = table.all().nth(1).unwrap();
        let turn = put(&table, at, Id::of(Fingerprint::from_u128(1))).turn();
        let add = |turn, n| table.add(at, turn, n);
        assert!(add(turn, 3) && add(turn, 1) && !add(turn + 1, 1));
        assert_eq!([turn + 1, turn, turn].map(|turn| table.take(at, turn).count), [0, 4, 0]);
        assert!(!add(turn, 1 << 40) && add(turn, (1 << 40) - 1) && !add(turn, 1));
    }

    #[test]
    fn a_full_count_is_no_hit_to_count() {
        let table = Table::new(2, Faults::default()).unwrap();
        let id = Id::of(Fingerprint::from_u128(1));
        let at = table.homes(id)[0].slot(1);
        let state = put(&table, at, id).decided(Tick::from_millis(5)).noticed();
        table.state(at).store(state.0, Ordering::Relaxed);
        assert!(table.add(at, state.turn(), (1 << 40) - 2));
        let count = |full| {
            let (hit, seen) = table.hit(id, table.first_home(id)).unwrap();
            assert_eq!((hit.at, seen), (at, Some(state)));
            table.count_hit(&hit, state, full, None)
        };
        assert!(!count(2) && count(1) && !count(1), "full of 10, room for one, no room");
        assert_eq!(table.take(at, state.turn()).count, (1 << 40) - 1);
    }
}
