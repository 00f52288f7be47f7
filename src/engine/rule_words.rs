//! Rules that count the calls of a window: the word beside a slot by which they decide.
//!
//! The state alone says when a window is over. Inside a window the rule word decides; it names the
//! turn and the emission that it is of, and so goes stale by itself.

use super::Engine;
use super::check::Call;
use super::fault::{Faults, broken, linger};
use super::on_demand::OnDemand;
use super::page::Mark;
use super::repeats::Repeats;
use super::slot::At;
use super::sync::{AtomicU64, Ordering};
use super::words::{State, TURNS, oldest_fresh};
use crate::rules::{Rule, RuleState};
use crate::{Decision, Fingerprint, Tick};

/// From the top: turn 12, the last 30 bits of the state's tick, calls 20, two bits to spare.
///
/// Zero says that the emission of tick 0 is all that happened: nothing that is not true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RuleWord(u64);

impl RuleWord {
    const TURN_SHIFT: u32 = 52;
    const TICK_SHIFT: u32 = 22;
    const TICK: u64 = (1 << 30) - 1;
    const CALLS_SHIFT: u32 = 2;

    fn of(turn: u64, state: RuleState) -> Self {
        let tick = (state.since.as_millis() & Self::TICK) << Self::TICK_SHIFT;
        RuleWord(turn << Self::TURN_SHIFT | tick | u64::from(state.calls) << Self::CALLS_SHIFT)
    }

    /// What an entry's two words say together.
    fn with(self, state: State, faults: Faults) -> RuleState {
        let own = RuleState::of(state);
        let differs = self.0 ^ Self::of(state.turn(), own).0;
        let is_turn = differs >> Self::TURN_SHIFT & TURNS == 0 || broken!(faults, RuleAnyTurn);
        let is_tick = differs >> Self::TICK_SHIFT & Self::TICK == 0 || broken!(faults, RuleAnyTick);
        if !is_turn || !is_tick {
            return own;
        }
        let calls = (self.0 >> Self::CALLS_SHIFT) as u32 & (RuleState::CALLS - 1);
        RuleState { calls, ..own }
    }
}

/// A word for each slot, once a rule needs them.
pub(super) type RuleWords = OnDemand<AtomicU64>;

/// Forgets a slot's word. The caller has TAKEN the slot, for `turn`.
pub(super) fn reset(words: &RuleWords, at: At, turn: u64) {
    if let Some(words) = words.get() {
        // Relaxed: published with the state.
        words[at.0].store(turn << RuleWord::TURN_SHIFT, Ordering::Relaxed);
    }
}

impl<X: Send + Sync + 'static> Engine<X> {
    /// Decides by a rule. Wait-free while the calling thread has the entry near and the rule
    /// suppresses without anything to write.
    ///
    /// An emission inside a window reports what was suppressed before it, or leaves it to the
    /// window's end: `reports_within`.
    #[inline]
    pub(crate) fn check_rule(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        rule: &Rule,
        reports_within: bool,
    ) -> Decision {
        if *rule == Rule::once() {
            return self.check(fingerprint, now);
        }
        let window = self.window();
        let base = rule.base(window);
        // With the thread's first call, so that no later one allocates.
        if let Some(mine) = self.near.mine_or_new() {
            let known =
                mine.find(fingerprint).and_then(|seat| Some((seat, mine.mark(seat).rule_state()?)));
            if let Some((seat, _)) = known.filter(|&(_, state)| rule.holds(state, now, base)) {
                mine.bump(seat, now);
                return Decision::Suppress { first: false };
            }
        }
        let words = if rule.counts_calls() {
            self.rule_words.get().or_else(|| self.rule_words.get_or_new())
        } else {
            None
        };
        if rule.counts_calls() && words.is_none() {
            return self.emit_untracked();
        }
        let call = Call::new(self, fingerprint, now, window, rule, words);
        Call { reports_within, ..call }.decide()
    }
}

impl<X: Send + Sync + 'static> Call<'_, X> {
    /// Decides at an entry by a rule that counts calls; `None` if it has changed.
    ///
    /// Linearization point: the exchange of the state at a window's end, and of the first
    /// call that is suppressed; otherwise inside a window the exchange of the rule word, if
    /// the state still stands then, or else just before that changed; with nothing to
    /// write, the second look at the state.
    ///
    /// That something was suppressed is in the state alone, for plain calls too: who sets
    /// it there is the first.
    pub(super) fn decide_by_calls(
        &self,
        at: At,
        state: State,
        words: &[AtomicU64],
    ) -> Option<Decision> {
        let engine = self.engine;
        let cell = &words[at.0];
        // Acquire (O-12): the look at the state that follows is not older.
        let word = RuleWord(cell.load(Ordering::Acquire));
        if engine.table.load(at) != state && !broken!(engine.faults, RuleUnread) {
            return None;
        }
        let before = word.with(state, engine.faults);
        let base = self.rule.base(self.window);
        let (emit, next) = self.rule.decide(before, self.now, base);
        if next.since != before.since {
            return engine.renew(at, state, self.fingerprint, self.now, next.level);
        }
        let counts = next.calls != before.calls;
        if counts {
            linger!();
            let to = RuleWord::of(state.turn(), next).0;
            // AcqRel (O-12): as the load.
            cell.compare_exchange(word.0, to, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        }
        if emit {
            let mut repeats = Repeats::default();
            if state.is_counted() && self.reports_within {
                let taken = engine.take_counts(at, state, self.fingerprint);
                repeats = engine.told(taken, before.since, self.now);
            }
            engine.table.touch(at, state.turn());
            return Some(engine.emit(repeats, Some(before.since), false));
        }
        let (marked, first) = if counts {
            match self.notice(at, state) {
                Some(noticed) => noticed,
                None => {
                    engine.orphan(self.fingerprint, Repeats::one(self.now), state.tick());
                    return Some(Decision::Suppress { first: false });
                }
            }
        } else if state.is_noticed() {
            (state, false)
        } else {
            engine.table.exchange(at, state, state.noticed()).ok()?;
            (state.noticed(), true)
        };
        if marked.is_same_emission(state) && self.rule.holds(next, self.now, base) {
            let mark = Mark::of_calls(before.since, next.calls);
            let oldest = oldest_fresh(self.now, base);
            engine.count(at, self.fingerprint, marked, self.now, oldest, mark);
        } else {
            engine.count_in_table(at, self.fingerprint, marked, self.now);
        }
        Some(Decision::Suppress { first })
    }

    /// Tells the state that something was suppressed, and returns it, and whether that was
    /// news. If the entry was emitted again meanwhile, only that there is something to
    /// count. `None` if the entry is gone.
    fn notice(&self, at: At, state: State) -> Option<(State, bool)> {
        let mut seen = state;
        while seen.is_live() && seen.turn() == state.turn() {
            let same = seen.is_same_emission(state);
            let to = if same { seen.noticed() } else { seen.counted() };
            if to == seen {
                return Some((seen, false));
            }
            match self.engine.table.exchange(at, seen, to) {
                Ok(()) => return Some((to, same)),
                Err(now) => seen = now,
            }
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn live(millis: u64) -> State {
        State(7 << 10).decided(Tick::from_millis(millis))
    }

    proptest! {
        #[test]
        fn a_word_says_what_it_was_told(millis in 0..Tick::MAX.as_millis(), calls in 0..RuleState::CALLS) {
            let state = live(millis);
            let rule_state = RuleState { calls, ..RuleState::of(state) };
            let word = RuleWord::of(state.turn(), rule_state);
            prop_assert_eq!(word.with(state, Faults::default()), rule_state);
            let noticed = RuleState { noticed: true, ..rule_state };
            prop_assert_eq!(word.with(state.noticed(), Faults::default()), noticed);
        }
    }

    #[test]
    fn a_word_of_another_emission_says_nothing() {
        let state = live(10);
        let told = RuleState { calls: 9, noticed: true, ..RuleState::of(state) };
        let word = RuleWord::of(state.turn(), told);
        for other in [live(11), State(8 << 10).decided(Tick::from_millis(10))] {
            assert_eq!(word.with(other, Faults::default()), RuleState::of(other));
        }
    }
}
