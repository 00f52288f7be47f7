//! The table: buckets of slots, and how a fingerprint finds its place in them.

use super::fault::{Faults, broken, linger};
use super::sync::{AtomicU16, AtomicU64, Ordering};
use super::words::{Count, Id, State, TURNS};
use super::zeroed::{Zeroable, Zeroed};

/// Slots of a bucket.
#[cfg(not(loom))]
pub(super) const W: usize = 4;
#[cfg(loom)]
pub(super) const W: usize = 2;

/// The words of an entry but for the last: half a cache line, so that a hit touches one line.
#[derive(Default)]
#[repr(C, align(32))]
struct Slot {
    key: AtomicU64,
    state: AtomicU64,
    count: AtomicU64,
    rest: AtomicU64,
}

/// Two cache lines. Slots are filled from the first on, so the second line is seldom read.
#[derive(Default)]
#[repr(C, align(128))]
struct Bucket {
    slots: [Slot; W],
}

/// What only a summary needs.
#[derive(Default)]
#[repr(C)]
struct Cold {
    lows: [AtomicU16; W],
}

// SAFETY: each is made of arrays of atomic integers.
unsafe impl Zeroable for Bucket {}
// SAFETY: as above.
unsafe impl Zeroable for Cold {}

/// A slot's place, made by the table whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    bucket: usize,
    /// Below [`W`].
    lane: usize,
}

impl At {
    /// Its place in an array with an element for each slot.
    #[inline(always)]
    pub(super) fn index(self) -> usize {
        self.bucket * W + self.lane
    }
}

/// One of a fingerprint's two buckets, made by the table whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home(usize);

impl Home {
    #[inline(always)]
    pub(super) fn slot(self, i: usize) -> At {
        debug_assert!(i < W);
        At { bucket: self.0, lane: i % W }
    }
}

/// A fingerprint's neighbourhood. The order of its slots, the first home's before the second's,
/// decides which of several claims stays.
pub(super) type Homes = [Home; 2];

/// What a quick look for a fingerprint found.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Live(At, State),
    /// Neither an entry nor a claim.
    Nothing,
    /// There may be one.
    Unsure,
}

pub(super) struct Table {
    buckets: Zeroed<Bucket>,
    cold: Zeroed<Cold>,
    faults: Faults,
}

impl Table {
    /// Of at least two buckets. `None` if there is no memory for it.
    pub(super) fn new(buckets: usize, faults: Faults) -> Option<Self> {
        debug_assert!(buckets >= 2, "a fingerprint has two homes");
        Some(Self { buckets: Zeroed::new(buckets)?, cold: Zeroed::new(buckets)?, faults })
    }

    pub(super) fn bytes(buckets: usize) -> Option<usize> {
        Zeroed::<Bucket>::bytes(buckets)?.checked_add(Zeroed::<Cold>::bytes(buckets)?)
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.len() * W
    }

    /// All slots.
    pub(super) fn slots(&self) -> impl Iterator<Item = At> + use<> {
        (0..self.len()).map(|i| At { bucket: i / W, lane: i % W })
    }

    #[inline(always)]
    pub(super) fn homes(&self, id: Id) -> Homes {
        id.homes(self.buckets.len()).map(Home)
    }

    #[inline(always)]
    fn bucket(&self, bucket: usize) -> &Bucket {
        debug_assert!(bucket < self.buckets.len());
        // SAFETY: `At` and `Home` are made by a table, and name its buckets; an engine has one.
        unsafe { self.buckets.get_unchecked(bucket) }
    }

    #[inline(always)]
    fn slot(&self, at: At) -> &Slot {
        &self.bucket(at.bucket).slots[at.lane % W]
    }

    #[inline(always)]
    pub(super) fn key(&self, at: At) -> &AtomicU64 {
        &self.slot(at).key
    }

    #[inline(always)]
    pub(super) fn state(&self, at: At) -> &AtomicU64 {
        &self.slot(at).state
    }

    #[inline(always)]
    pub(super) fn count(&self, at: At) -> &AtomicU64 {
        &self.slot(at).count
    }

    #[inline(always)]
    pub(super) fn rest(&self, at: At) -> &AtomicU64 {
        &self.slot(at).rest
    }

    pub(super) fn low(&self, at: At) -> &AtomicU16 {
        &self.cold[at.bucket].lows[at.lane]
    }

    /// Reads a state, with all that was written before it was published.
    #[inline]
    pub(super) fn load(&self, at: At) -> State {
        // Acquire (O-1): pairs with the exchanges and publications of states.
        State(self.state(at).load(Ordering::Acquire))
    }

    /// Replaces a state, if it is still `from`; otherwise returns what it is.
    #[inline]
    pub(super) fn exchange(&self, at: At, from: State, to: State) -> Result<(), State> {
        // Release (O-1): pairs with `load` and its like. Acquire: what others have published.
        let exchanged = self.state(at).compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire);
        exchanged.map(drop).map_err(State)
    }

    /// Finds what is LIVE or CLAIMED of a fingerprint.
    #[inline]
    pub(super) fn find(&self, id: Id, homes: Homes) -> Option<(At, State)> {
        homes.into_iter().flat_map(|home| (0..W).map(move |lane| home.slot(lane))).find_map(|at| {
            let state = self.read(id, at)?;
            (state.is_live() || state.is_claim_of(id)).then_some((at, state))
        })
    }

    /// Finds what is LIVE of a fingerprint, in fewer steps than [`find`](Self::find).
    #[inline(always)]
    pub(super) fn find_live(&self, id: Id, homes: Homes) -> Found {
        for home in homes {
            let slots = &self.bucket(home.0).slots;
            for line in (0..W).step_by(2) {
                // Acquire (O-3): as in `read`.
                let [first, second] = [line, line + 1].map(|lane| slots[lane].key.load(Ordering::Acquire));
                if !id.has_key(first) && !id.has_key(second) {
                    continue;
                }
                // Which of the two it is is chosen without a branch.
                let (lane, key) = if id.has_key(first) { (line, first) } else { (line + 1, second) };
                let at = home.slot(lane);
                let state = self.load(at);
                // Acquire (O-3): as in `read`.
                let is_whole = state.is_live_of(key)
                    && self.rest(at).load(Ordering::Acquire) == id.rest
                    && self.key(at).load(Ordering::Relaxed) == key;
                return if is_whole { Found::Live(at, state) } else { Found::Unsure };
            }
        }
        Found::Nothing
    }

    /// Reads a slot's state, if its words are of the fingerprint, and of one turn.
    ///
    /// Key, state, rest, and the key again. A turn that comes round between two loads shows in the
    /// second look at the key.
    #[inline(always)]
    fn read(&self, id: Id, at: At) -> Option<State> {
        // Acquire (O-3): pairs with the Release in `write`. What comes after is not older.
        let key = self.key(at).load(Ordering::Acquire);
        let state = self.load(at);
        (id.has_key(key)
            && (state.has_turn_of(key) || broken!(self.faults, NoTurn))
            // Acquire (O-3): a rest of a later turn brings that turn's key with it.
            && self.rest(at).load(Ordering::Acquire) == id.rest
            && (self.key(at).load(Ordering::Relaxed) == key || broken!(self.faults, NoTurn)))
        .then_some(state)
    }

    /// Looks at a neighbourhood in the order that claims need: each state before its key, so that what
    /// was published before is seen with its key. Returns a bit for each slot whose key is the
    /// fingerprint's; [`look_at`](Self::look_at) says what is there.
    #[inline(always)]
    pub(super) fn look(&self, id: Id, homes: Homes) -> u32 {
        let mut of_this = 0;
        for (home, first) in homes.into_iter().zip([0, W]) {
            for (lane, slot) in self.bucket(home.0).slots.iter().enumerate() {
                super::sync::look(&slot.state);
                // Acquire (O-3): pairs with the Release in `write`.
                of_this |= u32::from(id.has_key(slot.key.load(Ordering::Acquire))) << (first + lane);
            }
        }
        of_this
    }

    /// Reads a slot's state if it is LIVE or CLAIMED of a fingerprint, as [`look`](Self::look) does.
    ///
    /// One that changes meanwhile is looked at again: a claim that is just being decided must not
    /// pass for nothing. One that is taken meanwhile may: whoever takes it looks after that.
    #[inline(always)]
    pub(super) fn look_at(&self, id: Id, at: At) -> Option<State> {
        let mut state = State(super::sync::look(self.state(at)));
        loop {
            linger!();
            if !(state.is_live() || state.is_claim_of(id)) || !self.is_of(at, state, id) {
                return None;
            }
            // The state again: all of one turn.
            match State(super::sync::look(self.state(at))) {
                same if same == state => return Some(state),
                _ if broken!(self.faults, LookOnce) => return None,
                changed => state = changed,
            }
        }
    }

    /// Whether what is LIVE in a slot is of a fingerprint.
    #[inline]
    pub(super) fn is_of(&self, at: At, state: State, id: Id) -> bool {
        // Acquire, twice (O-3): as in `read`.
        let key = self.key(at).load(Ordering::Acquire);
        id.has_key(key) && state.has_turn_of(key) && self.rest(at).load(Ordering::Acquire) == id.rest
    }

    /// Reads the states of a bucket.
    #[inline(always)]
    pub(super) fn states(&self, Home(home): Home) -> [State; W] {
        // Acquire (O-4): after a count word that somebody has stamped, not older than that.
        std::array::from_fn(|i| State(self.bucket(home).slots[i].state.load(Ordering::Acquire)))
    }

    /// Reads the count words of a bucket.
    #[inline(always)]
    pub(super) fn counts(&self, Home(home): Home) -> [Count; W] {
        // Acquire (O-4): what is read after a stamp is not older than it.
        std::array::from_fn(|i| Count(self.bucket(home).slots[i].count.load(Ordering::Acquire)))
    }

    /// Writes what belongs to a fingerprint into a slot that the caller has TAKEN.
    #[inline]
    pub(super) fn write(&self, at: At, id: Id, turn: u64) {
        // Release, twice (O-3): pairs with the loads in `read` and `look`. The key first: who
        // sees a rest of this turn finds that its key has changed.
        self.key(at).store(id.key(turn), Ordering::Release);
        self.rest(at).store(id.rest, Ordering::Release);
        // Relaxed: published with the state.
        self.low(at).store(id.low(), Ordering::Relaxed);
    }

    /// Reads the whole fingerprint of a slot; only of the state's turn if the key still is.
    pub(super) fn stored(&self, at: At) -> (u64, Id) {
        // Acquire (O-3): as in `read`.
        let key = self.key(at).load(Ordering::Acquire);
        let rest = self.rest(at).load(Ordering::Acquire);
        (key, Id::stored(key, rest, self.low(at).load(Ordering::Acquire)))
    }

    /// Reads the fingerprint of what is LIVE in a slot, unless it has changed meanwhile.
    pub(super) fn identify(&self, at: At, state: State) -> Option<Id> {
        let (key, id) = self.stored(at);
        // Relaxed: ordered behind by the loads of `stored`.
        (state.has_turn_of(key) && self.load(at).turn() == state.turn() && self.key(at).load(Ordering::Relaxed) == key)
            .then_some(id)
    }

    /// How many entries a slot's bucket has taken, modulo 4,096.
    #[inline]
    pub(super) fn stamp(&self, at: At) -> u64 {
        // Relaxed: a measure of age, not a fact.
        let slots = &self.bucket(at.bucket).slots;
        stamp(std::array::from_fn(|i| State(slots[i].state.load(Ordering::Relaxed))))
    }

    /// Reads a count word, as a hint.
    #[inline(always)]
    pub(super) fn count_hint(&self, at: At) -> Count {
        Count(self.count(at).load(Ordering::Relaxed))
    }

    /// Adds `n` to the count of the entry of `turn`, and says that it was touched. Returns whether
    /// it could: the turn may be over, or the word full. `seen` is what the word was.
    #[inline(always)]
    pub(super) fn add(&self, at: At, turn: u64, n: u64, seen: Count) -> bool {
        let stamp = self.stamp(at);
        self.update(at, turn, seen, |count| count.plus(n, stamp)).is_some()
    }

    /// Says that the entry of `turn` was touched.
    pub(super) fn touch(&self, at: At, turn: u64) {
        let stamp = self.stamp(at);
        self.update(
            at,
            turn,
            self.count_hint(at),
            |count| {
                if count.stamp() == stamp { None } else { count.plus(0, stamp) }
            },
        );
    }

    /// Takes the count of the entry of `turn`.
    pub(super) fn take(&self, at: At, turn: u64) -> u64 {
        let stamp = self.stamp(at);
        let taken =
            self.update(at, turn, self.count_hint(at), |count| (count.count() != 0).then(|| count.emptied(stamp)));
        taken.map_or(0, Count::count)
    }

    /// Changes the count word of `turn`; returns what it was, or `None` if nothing was changed.
    #[inline(always)]
    fn update(&self, at: At, turn: u64, mut seen: Count, to: impl Fn(Count) -> Option<Count>) -> Option<Count> {
        let word = self.count(at);
        while seen.turn() == turn || broken!(self.faults, CountAnyTurn) {
            let next = to(seen)?;
            if broken!(self.faults, TakeBlindly) && next.count() == 0 {
                word.store(next.0, Ordering::Release);
                return Some(seen);
            }
            // AcqRel (O-4): who ranks by the stamp sees the states that it was formed from.
            match word.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(seen),
                Err(now) => seen = Count(now),
            }
        }
        None
    }
}

/// How many entries the bucket of these states has taken, modulo 4,096.
#[inline(always)]
pub(super) fn stamp(states: [State; W]) -> u64 {
    // The sum of the turns, from whole words: what is above them cannot carry into them.
    states.iter().fold(0u64, |sum, state| sum.wrapping_add(state.turn_and_above())) & TURNS
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Fingerprint, Tick};

    fn put(table: &Table, at: At, id: Id) -> State {
        let taken = table.load(at).taken();
        table.state(at).store(taken.0, Ordering::Relaxed);
        table.write(at, id, taken.turn());
        table.count(at).store(Count::new(taken.turn(), table.stamp(at)).0, Ordering::Relaxed);
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
        let seen = |at: At| {
            let bit = usize::from(at.bucket != homes[0].0) * W + at.lane;
            table.look_at(id, at).filter(|_| table.look(id, homes) >> bit & 1 != 0)
        };
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
        let at = table.slots().nth(1).unwrap();
        let turn = put(&table, at, Id::of(Fingerprint::from_u128(1))).turn();
        let add = |turn, n| table.add(at, turn, n, table.count_hint(at));
        assert!(add(turn, 3) && add(turn, 1) && !add(turn + 1, 1));
        assert_eq!((table.take(at, turn + 1), table.take(at, turn), table.take(at, turn)), (0, 4, 0));
        assert!(!add(turn, 1 << 40) && add(turn, (1 << 40) - 1) && !add(turn, 1));
    }
}
