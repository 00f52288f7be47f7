//! What a call under a rule does differently: it decides by the exchange of the rule word.

use super::check::{Call, Step};
use super::fault::linger;
use super::rules::Word;
use super::slot::{Id, State};
use super::sync::{AtomicU64, Ordering};
use super::table::{Place, Table};
use super::{Engine, Reclaim, slot};
use crate::rule::{Entry, Rule};
use crate::{Decision, Fingerprint, Tick};

/// The rule of a call, and the words that it decides by.
#[derive(Clone, Copy)]
pub(super) struct Ruling<'e> {
    rule: Rule,
    /// From before any state was read (O-14).
    words: &'e [AtomicU64],
}

impl<R: Reclaim, X> Engine<R, X> {
    /// As [`check`](Self::check), by a rule and its base window. Wait-free where it
    /// suppresses at home and has nothing to write.
    ///
    /// Also says, of a call that is emitted, when the message was emitted before: `now` if that
    /// is not known.
    #[inline]
    pub(crate) fn check_rule_since(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        rule: &Rule,
        window: u64,
    ) -> (Decision, Tick) {
        let mut words = None;
        if !rule.is_once() {
            words = self.rules.words().or_else(|| self.rules.words_or_new());
            if words.is_none() {
                self.count_failed_open();
                return (Decision::Emit { suppressed: 0 }, now);
            }
        }
        let Some(guard) = self.reclaim.pin_known() else {
            return self.check_rule_slowly(fingerprint, now, window, rule, words, self.reclaim.pin());
        };
        let (slots, first) = self.arena.home(self.root(), slot::home(fingerprint));
        let key = slot::mixed(fingerprint);
        for (i, slot) in slots.iter().enumerate() {
            // Relaxed, thrice, and whatever the marks, as in `check`: all that the word says was
            // so while this table was current, which it was when the root was read.
            if slot.key.load(Ordering::Relaxed) == key {
                let state = State(slot.state.load(Ordering::Relaxed));
                let suffices = match words {
                    None => state.suffices(fingerprint, now, window),
                    Some(words) => {
                        let entry = Word(words[first + i].load(Ordering::Relaxed)).entry();
                        let entry =
                            entry.filter(|entry| state.is_counted_of(fingerprint) && entry.since >= state.tick());
                        entry.is_some_and(|entry| rule.holds(entry, now, window))
                    }
                };
                if suffices {
                    // SAFETY: `home` gives all slots of a group of the arena.
                    let spilled = unsafe { self.arena.counts().add_mine(first + i, 1) };
                    if let Some(spilled) = spilled {
                        self.spill(fingerprint, state, spilled);
                    }
                    return (Decision::Suppress { first: false }, now);
                }
                break;
            }
        }
        self.check_rule_slowly(fingerprint, now, window, rule, words, guard)
    }

    /// As [`check_rule_since`](Self::check_rule_since) by [`Rule::once`].
    #[inline(always)]
    #[cfg(feature = "_front")]
    pub(crate) fn check_once_since(&self, fingerprint: Fingerprint, now: Tick) -> (Decision, Tick) {
        let suppressed = (Decision::Suppress { first: false }, now);
        self.at_home(fingerprint, now, suppressed, |guard| self.check_once_slowly(fingerprint, now, guard))
    }

    #[cold]
    #[inline(never)]
    #[cfg(feature = "_front")]
    fn check_once_slowly<'e>(
        &'e self,
        fingerprint: Fingerprint,
        now: Tick,
        guard: Option<R::Guard<'e>>,
    ) -> (Decision, Tick) {
        let guard = guard.unwrap_or_else(|| self.reclaim.pin());
        self.check_slowly_since(fingerprint, now, self.window(), None, guard)
    }

    #[cold]
    #[inline(never)]
    fn check_rule_slowly<'e>(
        &'e self,
        fingerprint: Fingerprint,
        now: Tick,
        window: u64,
        rule: &Rule,
        words: Option<&'e [AtomicU64]>,
        guard: R::Guard<'e>,
    ) -> (Decision, Tick) {
        let ruling = words.map(|words| Ruling { rule: *rule, words });
        self.check_slowly_since(fingerprint, now, window, ruling, guard)
    }
}

impl<R: Reclaim, X> Call<'_, '_, R, X> {
    /// Decides at a decided slot of the current table.
    ///
    /// Linearization point: the exchange of the rule word or, where there is nothing to
    /// write, its load.
    pub(super) fn decide_by(
        &mut self,
        ruling: Ruling<'_>,
        fingerprint: Fingerprint,
        table: Table<'_>,
        slot: usize,
        state: State,
    ) -> Step<Decision> {
        // Acquire (O-15): pairs with `Rules::freeze`; a mark implies a newer root.
        let word = Word(ruling.words[slot].load(Ordering::Acquire));
        let entry = word.with(state);
        let (emit, next) = ruling.rule.decide(entry, self.now, self.window);
        self.before = entry.since;
        let is_final = word.is_frozen() || state.is_final();
        if emit && next.since != entry.since && self.now == Tick::MAX {
            self.take(slot, state);
            return Step::Done(self.emit_untracked());
        }
        if !emit && !state.is_counted() {
            // Before the word says that something was suppressed.
            if is_final {
                return Step::Outdated;
            }
            return match table.exchange(slot, state, state.counted()) {
                Ok(()) => Step::Changed(state.counted()),
                Err(seen) => Step::Changed(seen),
            };
        }
        if is_final {
            // What needs nothing written may be counted here; a newer table has the rest.
            if emit || next != entry {
                return Step::Outdated;
            }
        } else if !ruling.exchange(slot, word, next) {
            return Step::Changed(table.state(slot));
        }
        if next.since != entry.since || next.noticed != entry.noticed {
            self.lift(table, slot, state, next);
        }
        if emit {
            self.take(slot, state);
            return Step::Done(self.emit(0));
        }
        let count = std::mem::take(&mut self.carried) + 1;
        self.add(fingerprint, slot, state, count);
        Step::Done(Decision::Suppress { first: !entry.noticed })
    }

    /// Takes an entry's counts along.
    fn take(&mut self, slot: usize, state: State) {
        if state.is_counted() {
            self.carried += self.engine.arena.counts().take(slot);
        }
    }

    /// Tells the state what the rule word says, for plain calls, hand-over and drains. Rules do
    /// not depend on it.
    fn lift(&self, table: Table<'_>, slot: usize, mut state: State, entry: Entry) {
        while let Some(lifted) = state.lifted(entry).filter(|_| !state.is_final()) {
            match table.exchange(slot, state, lifted) {
                Ok(()) => return,
                Err(seen) => state = seen,
            }
        }
    }

    /// No room for an entry in the current table, where there is none: suppress if the rule
    /// says so of the one in the previous table, otherwise emit without a trace.
    pub(super) fn fail_open_by(
        &mut self,
        ruling: Ruling<'_>,
        fingerprint: Fingerprint,
        id: &Id,
        previous: Table<'_>,
    ) -> Step<Decision> {
        if let Place::Here(slot, state) = previous.locate(id, self.engine.faults) {
            if state.is_decided() {
                // Acquire (O-15): as in `decide_by`.
                let word = Word(ruling.words[slot].load(Ordering::Acquire));
                let entry = word.with(state);
                let (emit, next) = ruling.rule.decide(entry, self.now, self.window);
                self.before = entry.since;
                if !emit {
                    // Where it is frozen another call has just found room, or will not go on; that
                    // suppression begins is said where the entry goes.
                    let frozen = word.is_frozen() || state.is_frozen();
                    if !frozen && !ruling.exchange(slot, word, next) {
                        return Step::Outdated;
                    }
                    self.carried += 1;
                    self.put_back(fingerprint, id, previous, slot, state);
                    return Step::Done(Decision::Suppress { first: !frozen && !entry.noticed });
                }
                self.take(slot, state);
            }
        }
        Step::Done(self.emit_untracked())
    }
}

impl Ruling<'_> {
    /// Writes `next`, unless the word says so already. Returns whether it does now.
    fn exchange(self, slot: usize, word: Word, next: Entry) -> bool {
        linger!();
        let next = Word::of(next);
        // Release (O-15): pairs with the loads of words; that the state is counted is visible.
        // Relaxed: who fails loads it again.
        word == next || self.words[slot].compare_exchange(word.0, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
