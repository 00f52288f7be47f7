//! Which slot a new entry gets: a free one; else the oldest that has expired; else the fresh one
//! that has gone longest without a touch, where those that have repeated age four times slower.
//!
//! *How long without a touch* is counted in emissions, not in time: in a flood a
//! millisecond has hundreds of them. The table's clock is one for all slots, so that their
//! ages can be compared; it goes on by one whenever a thread has emitted as often as a
//! sixteenth to an eighth of the buckets.

use super::Engine;
use super::fault::broken;
use super::slot::{At, Homes, W};
use super::words::{Count, State, oldest_fresh};
use crate::Tick;

/// While the first home has at most so many entries that stay, it is taken.
const FEW: usize = 1;

/// A slot to take, and its state as it was ranked.
pub(super) type Victim = (At, State);

impl<X: Send + Sync + 'static> Engine<X> {
    /// Chooses a slot of a neighbourhood at `now`. `None` if all are TAKEN or CLAIMED.
    #[inline]
    pub(super) fn choose(&self, homes: Homes, now: Tick, window: u64) -> Option<Victim> {
        let states = self.table.states(homes);
        let oldest = oldest_fresh(now, window);
        if broken!(self.faults, BusyIsFull)
            && states.as_flattened().iter().any(|state| state.is_busy())
        {
            return None;
        }
        // No branches: what becomes of a slot cannot be predicted.
        let least = states.as_flattened().iter().fold(u64::MAX, |least, state| least.min(state.0));
        let vacant = if State(least).is_before(oldest) {
            self.vacant(homes, states, now, window)
        } else {
            None
        };
        vacant.or_else(|| self.choose_fresh(homes, states))
    }

    /// Chooses what is free or has expired: in the emptier home, the oldest.
    fn vacant(
        &self,
        homes: Homes,
        states: [[State; W]; 2],
        now: Tick,
        window: u64,
    ) -> Option<Victim> {
        let is_vacant = |state: &State| !state.is_busy() && self.has_expired(*state, now, window);
        let staying = states.map(|states| states.iter().filter(|state| !is_vacant(state)).count());
        let emptier = usize::from(staying[0] > FEW && staying[1] < staying[0]);
        [emptier, 1 - emptier].into_iter().find_map(|home| {
            let vacant = states[home].iter().enumerate().filter(|(_, state)| is_vacant(state));
            vacant.min_by_key(|(_, state)| state.0).map(|(i, &state)| (homes[home].slot(i), state))
        })
    }

    /// Whether what is LIVE is out of its window, as far as the state tells (the window of
    /// a rule is not kept, but how often it was doubled is); or the slot is free.
    #[inline(always)]
    pub(super) fn has_expired(&self, state: State, now: Tick, window: u64) -> bool {
        state.is_before(oldest_fresh(now, window))
            && (state.level() == 0
                || state.is_before(oldest_fresh(now, window.saturating_mul(1 << state.level()))))
    }

    /// Everything is in its window, or busy.
    fn choose_fresh(&self, homes: Homes, mut states: [[State; W]; 2]) -> Option<Victim> {
        // One that has repeated is asked for near its threads, and then looked at anew: so often at
        // the most.
        let mut chances = W;
        loop {
            let (at, state, count) = self.longest_untouched(homes, states)?;
            let may_be_near = state.is_protected() && state.is_counted() && chances != 0;
            // Another thread that is about to evict may have moved its counts.
            let is_touched = || self.table.count_hint(at) != count;
            if !may_be_near || !self.touch_near(at, state) && !is_touched() {
                return Some((at, state));
            }
            states = self.table.states(homes);
            chances -= 1;
        }
    }

    #[inline(always)]
    fn longest_untouched(
        &self,
        homes: Homes,
        states: [[State; W]; 2],
    ) -> Option<(At, State, Count)> {
        let counts = self.table.counts(homes);
        let (states, counts) = (states.as_flattened(), counts.as_flattened());
        // After the counts, so that it is not behind their stamps.
        let now = self.table.clock();
        // No branches here, either. Of equals the first.
        let mut best = 0;
        for (i, (state, count)) in states.iter().zip(counts).enumerate() {
            let age = count.age(now);
            let rank = if state.is_protected() { age } else { 4 * age + 1 };
            let rank = if state.is_live() { 8 * (rank + 1) + (2 * W - 1 - i) as u64 } else { 0 };
            best = rank.max(best);
        }
        let i = 2 * W - 1 - (best as usize & 7);
        (best != 0).then(|| (homes[i / W].slot(i % W), states[i], counts[i]))
    }
}
