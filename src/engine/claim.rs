//! How a new entry is made: take a slot, write, publish a claim, look, decide.
//!
//! Of all threads that race to insert one fingerprint exactly one decides. The rule that makes it
//! so: **a claim is decided only by a look at the neighbourhood that began after that very claim
//! was seen CLAIMED.** `docs/DESIGN.md` has the proof; `tests/protocol` explores it.

use super::check::Call;
use super::exemplars::Evicted;
use super::fault::{broken, linger};
use super::pending::Pending;
use super::repeats::Repeats;
use super::slot::At;
use super::words::{Count, State};
use super::{Engine, rule_words, sync};
use crate::{Decision, Fingerprint, Tick};
use std::sync::atomic::Ordering;

/// What the entry before left in a slot that was taken.
pub(super) struct Remains<X> {
    /// Whose slot it was, if it was counted.
    counted: Option<Fingerprint>,
    repeats: Repeats,
    since: Tick,
    exemplar: Option<Evicted<X>>,
}

impl<X: Send + Sync + 'static> Call<'_, X> {
    /// Makes an entry and decides; `None` if another thread has decided, or has to be helped.
    pub(super) fn insert(&self) -> Option<Decision> {
        let engine = self.engine;
        let Some((at, before)) = engine.choose(self.homes, self.now, self.window) else {
            return Some(engine.emit_untracked());
        };
        if engine.table.is_of(at, before, self.id) {
            // Somebody was faster.
            return None;
        }
        linger!();
        let taken = before.taken();
        engine.table.exchange(at, before, taken).ok()?;
        // From here to the publication the slot is lost to all if this thread stops: nothing that
        // others have written runs, not even an allocator.
        let remains = engine.bequeath(at, before, taken);
        engine.table.write(at, self.id, taken.turn());
        rule_words::reset(&engine.rule_words, at, taken.turn());
        let claim = taken.claimed(self.id);
        sync::publish(engine.table.state(at), claim.0);
        linger!();
        let decision = if broken!(engine.faults, NoLook) {
            self.decide_claim(at, claim)
        } else {
            self.finish(Some((at, claim)))
        };
        self.note_eviction(before);
        if let Some(remains) = remains {
            engine.bury(remains);
        }
        decision
    }

    /// Counts an entry that was evicted in its window: by this call's time, or by that of the
    /// last call that made an entry. A caller whose clock is far ahead takes away what is fresh for
    /// others.
    #[inline]
    fn note_eviction(&self, before: State) {
        let engine = self.engine;
        // Relaxed: a statistic.
        let last = Tick::from_millis(engine.last_claim.load(Ordering::Relaxed));
        if last != self.now {
            engine.last_claim.store(self.now.as_millis(), Ordering::Relaxed);
        }
        if before.is_live() && !engine.has_expired(before, self.now.min(last), self.window) {
            engine.near.tally(|totals| &totals.forgotten, 1);
        }
    }

    /// Decides among the claims of this call's fingerprint: emits if it decides one, `None`
    /// if there is an entry by now, or no claim.
    ///
    /// `known` is a claim that was seen CLAIMED before this look: its own, by who published it.
    pub(super) fn finish(&self, mut known: Option<(At, State)>) -> Option<Decision> {
        let engine = self.engine;
        'look: loop {
            sync::begin_looks();
            // An entry, or else the claim in the lowest slot: that one stays.
            let mut stays: Option<(At, State)> = None;
            for at in engine.table.look(self.id, self.homes) {
                linger!();
                let Some(state) = engine.table.read(self.id, at) else { continue };
                let seen = (at, state);
                let gives_way =
                    if state.is_live() { stays.replace(seen) } else { stays.map(|_| seen) };
                if gives_way.is_some_and(|(at, state)| !self.kill(at, state)) {
                    continue 'look;
                }
                stays = stays.or(Some(seen));
            }
            let (at, claim) = stays.filter(|(_, state)| !state.is_live())?;
            if known != stays && !broken!(engine.faults, SameLook) {
                known = stays;
                continue;
            }
            linger!();
            if let decision @ Some(_) = self.decide_claim(at, claim) {
                return decision;
            }
        }
    }

    /// Only a claim is killed, never an entry.
    fn kill(&self, at: At, claim: State) -> bool {
        claim.is_live()
            || broken!(self.engine.faults, NoKill)
            || self.engine.table.exchange(at, claim, claim.freed()).is_ok()
    }

    /// Linearization point of an entry's first emission.
    fn decide_claim(&self, at: At, claim: State) -> Option<Decision> {
        self.engine.table.exchange(at, claim, claim.decided(self.now)).ok()?;
        Some(self.engine.emit(Repeats::default(), None, false))
    }
}

impl<X: Send + Sync + 'static> Engine<X> {
    /// Empties a slot that the calling thread has TAKEN, but for key and rest.
    pub(super) fn bequeath(&self, at: At, before: State, taken: State) -> Option<Remains<X>> {
        let fresh = Count::new(taken.turn(), self.table.clock()).0;
        let mut repeats = Repeats::default();
        if before.is_counted() && !broken!(self.faults, LostCount) {
            // AcqRel (O-4): late counts of the turn before fail from here on.
            let count = Count(self.table.count(at).swap(fresh, Ordering::AcqRel)).count();
            repeats = Repeats { count, last: self.table.lasts.read(at, before.turn()) };
        } else {
            // Release (O-4): nobody counts at an entry that is not COUNTED.
            self.table.count(at).store(fresh, Ordering::Release);
        }
        // Nobody else writes key, rest and low of a slot that is TAKEN.
        let counted = before.is_counted().then(|| self.table.stored(at).1.fingerprint());
        let exemplar = self.exemplars.evict(at);
        let remains = Remains { counted, repeats, since: before.tick(), exemplar };
        (remains.counted.is_some() || remains.exemplar.is_some()).then_some(remains)
    }

    /// Puts what an entry has left where a drain finds it.
    pub(super) fn bury(&self, remains: Remains<X>) {
        let Remains { counted, repeats, since, exemplar } = remains;
        let exemplar = exemplar.and_then(|evicted| self.exemplars.put_away(evicted, counted));
        let Some(fingerprint) = counted else { return };
        if !broken!(self.faults, NoVoid) {
            self.near.void(fingerprint, since);
        }
        let repeats = repeats.plus(self.near.take(fingerprint));
        if repeats.count != 0 {
            self.orphans.add(Pending::of(fingerprint, repeats, since, exemplar));
        }
    }
}
