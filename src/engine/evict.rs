//! Which slot a new entry gets: a free one; else the oldest that has expired; else the fresh one
//! that has gone longest without a touch, where those that have repeated age four times slower.
//!
//! *How long without a touch* is counted in entries that the bucket has taken since, not in time:
//! in a flood a millisecond has hundreds of them. The two homes age alike because the one that has
//! taken fewer gives way first: ages in two buckets cannot be compared.

use super::Engine;
use super::fault::broken;
use super::table::{At, Homes, W, stamp};
use super::words::{Count, State, TURNS, oldest_fresh};
use crate::Tick;

/// An entry that has repeated and was touched so few entries ago is spared, if the other home
/// has a better one.
const YOUNG: u64 = 128;
/// Ages from here on are of a touch that is newer than the look at the turns.
const NEGATIVE: u64 = TURNS.div_ceil(2);
/// While the first home has at most so many entries that stay, it is taken.
const FEW: usize = 1;

/// A slot to take, and its state as it was ranked.
pub(super) type Victim = (At, State);

#[derive(Clone, Copy)]
struct Rank {
    at: At,
    state: State,
    /// As it was when its stamp was looked at.
    count: Count,
    /// The higher, the sooner it goes.
    age: u64,
}

impl<X: Send + Sync + 'static> Engine<X> {
    /// Chooses a slot of a neighbourhood at `now`. `None` if all are TAKEN or CLAIMED.
    #[inline]
    pub(super) fn choose(&self, homes: Homes, now: Tick, window: u64) -> Option<Victim> {
        let states = homes.map(|home| self.table.states(home));
        let oldest = oldest_fresh(now, window);
        if broken!(self.faults, BusyIsFull) && states.as_flattened().iter().any(|state| state.is_busy()) {
            return None;
        }
        // No branches: what becomes of a slot cannot be predicted.
        let least = states.as_flattened().iter().fold(State(u64::MAX), |least, state| {
            let rank = state.rank();
            if rank.0 < least.0 { rank } else { least }
        });
        if least.is_before(oldest) {
            if let Some(vacant) = self.vacant(homes, states, now, window) {
                return Some(vacant);
            }
        }
        if least == State(u64::MAX) { None } else { self.choose_fresh(homes, states) }
    }

    /// Chooses what is free or has expired: in the emptier home, the oldest.
    fn vacant(&self, homes: Homes, states: [[State; W]; 2], now: Tick, window: u64) -> Option<Victim> {
        let is_vacant = |state: &State| !state.is_busy() && self.has_expired(*state, now, window);
        let staying = states.map(|states| states.iter().filter(|state| !is_vacant(state)).count());
        let emptier = usize::from(staying[0] > FEW && staying[1] < staying[0]);
        [emptier, 1 - emptier].into_iter().find_map(|home| {
            let vacant = states[home].iter().enumerate().filter(|(_, state)| is_vacant(state));
            vacant.min_by_key(|(_, state)| state.0).map(|(i, &state)| (homes[home].slot(i), state))
        })
    }

    /// Whether what is LIVE is out of its window, as far as the state tells (the window of a rule is
    /// not kept, but how often it was doubled is); or the slot is free.
    #[inline(always)]
    pub(super) fn has_expired(&self, state: State, now: Tick, window: u64) -> bool {
        state.is_before(oldest_fresh(now, window))
            && (state.level() == 0 || state.is_before(oldest_fresh(now, window.saturating_mul(1 << state.level()))))
    }

    /// Everything is in its window, or busy.
    fn choose_fresh(&self, homes: Homes, mut states: [[State; W]; 2]) -> Option<Victim> {
        // One that has repeated is asked for near its threads, and then looked at anew: so often at
        // the most.
        let mut chances = W;
        loop {
            let victim = self.longest_untouched(homes, states)?;
            let may_be_near = victim.state.is_protected() && victim.state.is_counted() && chances != 0;
            // Another thread that is about to evict may have moved its counts.
            let is_touched = || self.table.count_hint(victim.at) != victim.count;
            if !may_be_near || !self.touch_near(victim.at, victim.state) && !is_touched() {
                return Some((victim.at, victim.state));
            }
            states = homes.map(|home| self.table.states(home));
            chances -= 1;
        }
    }

    fn longest_untouched(&self, homes: Homes, states: [[State; W]; 2]) -> Option<Rank> {
        let ahead = stamp(states[0]).wrapping_sub(stamp(states[1])) & TURNS;
        let behind = usize::from(ahead != 0 && ahead < NEGATIVE);
        let one = self.longest_untouched_of(homes, behind);
        // A victim that has repeated and is young: the other home may have a better one. What that
        // has taken more counts, too: in a home that is always spared nothing would ever age.
        let lag = if behind == 1 { ahead } else { ahead.wrapping_neg() & TURNS };
        if one.is_some_and(|rank| !rank.state.is_protected() || rank.age >= Rank::of_protected(YOUNG) || lag >= YOUNG) {
            return one;
        }
        let two = self.longest_untouched_of(homes, 1 - behind);
        match (one, two) {
            (Some(one), Some(two)) if two.age <= one.age => Some(one),
            _ => two.or(one),
        }
    }

    #[inline]
    fn longest_untouched_of(&self, homes: Homes, home: usize) -> Option<Rank> {
        // The counts before the states that the stamp is formed from, lest a touch in between looks
        // like one of long ago.
        let counts = self.table.counts(homes[home]);
        let states = self.table.states(homes[home]);
        let now = stamp(states);
        let mut oldest = (0, 0);
        for (i, (state, count)) in states.iter().zip(counts).enumerate() {
            let age = now.wrapping_sub(count.stamp()) & TURNS;
            let age = if age >= NEGATIVE { 0 } else { age };
            let age = if state.is_protected() { Rank::of_protected(age) } else { Rank::of_others(age) };
            // One more, so that there is none at 0; of equals the first.
            let age = if state.is_live() { age + 1 } else { 0 };
            if age > oldest.0 {
                oldest = (age, i);
            }
        }
        let (age, i) = oldest;
        (age != 0).then(|| Rank { at: homes[home].slot(i), state: states[i], count: counts[i], age: age - 1 })
    }
}

impl Rank {
    fn of_protected(age: u64) -> u64 {
        2 * age
    }

    /// Four times as fast; and of equal ages, what has not repeated goes.
    fn of_others(age: u64) -> u64 {
        8 * age + 1
    }
}
