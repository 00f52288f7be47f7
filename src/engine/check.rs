//! The protocol of a call: find the fingerprint's place, claim one, decide.

use super::count::MOST;
use super::decide_rule::Ruling;
use super::fault::{broken, linger};
use super::rules::Word;
use super::slot::{self, Id, State};
use super::sync::Ordering;
use super::table::{Place, Table};
use super::thread_index::thread_index;
use super::totals::bump;
use super::{Engine, Pending, Reclaim};
use crate::{Decision, Fingerprint, Tick};
use std::cell::Cell;
use std::sync::Arc;

/// The outcome of a step that others may have interfered with.
pub(super) enum Step<T> {
    Done(T),
    /// The state has changed: look again.
    Changed(State),
    /// The table is no longer the current one: load the root and start over.
    Outdated,
}

/// What the previous table says of a fingerprint, for good.
enum Past {
    /// Emitted within its window or, under a rule, whenever: to be taken over.
    Known { slot: usize, state: State, word: Word },
    /// Not within its window, or never. With the slot of an expired entry.
    Gone { slot: Option<usize> },
}

/// A [`Decision`] in two registers: whether to emit, and what goes with it.
struct Verdict(bool, u64);

impl From<Verdict> for Decision {
    #[inline]
    fn from(Verdict(emit, with): Verdict) -> Self {
        if emit { Decision::Emit { suppressed: with } } else { Decision::Suppress { first: with != 0 } }
    }
}

/// One call's view of the engine.
pub(super) struct Call<'e, 'g, R: Reclaim, X> {
    pub(super) engine: &'e Engine<R, X>,
    pub(super) guard: &'g R::Guard<'e>,
    pub(super) now: Tick,
    pub(super) window: u64,
    /// Decides in place of the window.
    pub(super) ruling: Option<Ruling<'e>>,
    /// Suppressed calls that this one has taken from an entry of an old table, and
    /// that it will report or put back. Dropped only when zero.
    pub(super) carried: u64,
    /// The emission before, if this call has seen one.
    pub(super) before: Tick,
    /// Whether threads that are pinned, and not running, hold rotation back.
    pub(super) held_back: Cell<bool>,
}

impl<R: Reclaim, X> Engine<R, X> {
    /// Decides. Wait-free while it suppresses what is noticed and at home; otherwise
    /// lock-free.
    #[inline(always)]
    pub(crate) fn check(&self, fingerprint: Fingerprint, now: Tick) -> Decision {
        self.at_home(fingerprint, now, Decision::Suppress { first: false }, |guard| match guard {
            Some(guard) => self.check_slowly(fingerprint, now, guard).into(),
            None => self.check_unknown(fingerprint, now).into(),
        })
    }

    /// The hot path: counts a call that is suppressed at home, by an entry that is noticed. What
    /// is `otherwise` gets the guard, unless the thread is not known to the reclaimer.
    ///
    /// Always part of the public method, whose own inlining is the compiler's choice. Each word
    /// is read where it is needed, and what others than the hot path need is left to them: what
    /// is live across the pin ends on the stack, and the counter's locked add waits for such
    /// stores.
    #[inline(always)]
    pub(super) fn at_home<'e, T>(
        &'e self,
        fingerprint: Fingerprint,
        now: Tick,
        suppressed: T,
        otherwise: impl FnOnce(Option<R::Guard<'e>>) -> T,
    ) -> T {
        let Some(guard) = self.reclaim.pin_known() else { return otherwise(None) };
        let (slots, first) = self.arena.home(self.root(), slot::home(fingerprint));
        let key = slot::mixed(fingerprint);
        for (i, slot) in slots.iter().enumerate() {
            // Relaxed, twice: a fresh tick justifies a suppression whatever else is known, and
            // nothing is read through it. A mark does not matter either: the emission was
            // within the window.
            if slot.key.load(Ordering::Relaxed) == key {
                let state = State(slot.state.load(Ordering::Relaxed));
                if state.suffices(fingerprint, now, self.window()) {
                    // SAFETY: `home` gives all slots of a group of the arena.
                    let spilled = unsafe { self.arena.counts().add_mine(first + i, 1) };
                    if let Some(spilled) = spilled {
                        self.spill(fingerprint, state, spilled);
                    }
                    return suppressed;
                }
                break;
            }
        }
        otherwise(Some(guard))
    }

    /// A thread's first call, or one of its last.
    #[cold]
    #[inline(never)]
    fn check_unknown(&self, fingerprint: Fingerprint, now: Tick) -> Verdict {
        self.check_slowly(fingerprint, now, self.reclaim.pin())
    }

    /// Not inlined, and without the identity, so that the hot path keeps to few registers.
    #[cold]
    #[inline(never)]
    fn check_slowly<'e>(&'e self, fingerprint: Fingerprint, now: Tick, guard: R::Guard<'e>) -> Verdict {
        match self.check_slowly_since(fingerprint, now, self.window(), None, guard).0 {
            Decision::Emit { suppressed } => Verdict(true, suppressed),
            Decision::Suppress { first } => Verdict(false, first.into()),
        }
    }

    /// Also says, of a call that is emitted, when the message was emitted before: `now` if that
    /// is not known.
    pub(super) fn check_slowly_since<'e>(
        &'e self,
        fingerprint: Fingerprint,
        now: Tick,
        window: u64,
        ruling: Option<Ruling<'e>>,
        guard: R::Guard<'e>,
    ) -> (Decision, Tick) {
        let id = Id::of(fingerprint);
        let mut call = Call {
            engine: self,
            guard: &guard,
            now,
            window,
            ruling,
            carried: 0,
            before: now,
            held_back: Cell::new(false),
        };
        let decision = call.decide(fingerprint, &id);
        let (held_back, before) = (call.held_back.get(), call.before);
        drop(guard);
        if held_back {
            // With more threads than cores, those that hold rotation back wait for a core: this
            // one, which found no room, has nothing better to do with it. A hint, nothing hangs
            // on it.
            #[cfg(not(loom))]
            std::thread::yield_now();
        }
        (decision, before)
    }

    /// Puts what a counter spilled among the orphans.
    #[cold]
    pub(super) fn spill(&self, fingerprint: Fingerprint, state: State, count: u32) {
        self.orphan(fingerprint, state.tick(), u64::from(count), None);
    }

    pub(super) fn orphan(&self, fingerprint: Fingerprint, since: Tick, count: u64, exemplar: Option<Arc<X>>) {
        let namespace = fingerprint.namespace();
        self.orphans.add(Pending { fingerprint: Some(fingerprint), namespace, count, since, exemplar });
    }

    /// Whether the entry of a fingerprint is there and has no exemplar.
    pub(crate) fn wants_exemplar(&self, fingerprint: Fingerprint) -> bool {
        let _guard = self.reclaim.pin();
        self.entry(fingerprint).is_some_and(|slot| self.exemplars.is_empty(slot))
    }

    /// Gives the entry of a fingerprint an exemplar, if it is there and has none.
    pub(crate) fn attach(&self, fingerprint: Fingerprint, exemplar: Arc<X>) {
        let _guard = self.reclaim.pin();
        if let Some(slot) = self.entry(fingerprint) {
            self.exemplars.put(slot, exemplar);
        }
    }

    fn entry(&self, fingerprint: Fingerprint) -> Option<usize> {
        match self.arena.table(self.root()).locate(&Id::of(fingerprint), self.faults) {
            Place::Here(slot, state) if state.is_decided() => Some(slot),
            _ => None,
        }
    }
}

impl<R: Reclaim, X> Call<'_, '_, R, X> {
    /// The whole of the protocol.
    fn decide(&mut self, fingerprint: Fingerprint, id: &Id) -> Decision {
        loop {
            let root = self.engine.root();
            let table = self.engine.arena.table(root);
            let (slot, state) = match table.locate(id, self.engine.faults) {
                Place::Here(slot, state) => (slot, state),
                // The closer had read a newer root, and so will this thread.
                Place::Closed => continue,
                found @ (Place::Empty(_) | Place::Full) => {
                    // A tick at the end of time could not be told from a later one.
                    let room = self.now != Tick::MAX && self.make_room(root, found);
                    match found {
                        Place::Empty(slot) if room => {
                            if !table.claim(slot, id, self.engine.faults) {
                                continue;
                            }
                            self.note_claim(root);
                            (slot, State::UNDECIDED)
                        }
                        _ if self.engine.root() != root => continue,
                        _ => match self.fail_open(fingerprint, id, root) {
                            Step::Done(decision) => return decision,
                            Step::Changed(_) | Step::Outdated => continue,
                        },
                    }
                }
            };
            if let Step::Done(decision) = self.decide_at(fingerprint, id, root, slot, state) {
                return decision;
            }
        }
    }

    /// Decides at the fingerprint's slot in the current table.
    fn decide_at(
        &mut self,
        fingerprint: Fingerprint,
        id: &Id,
        root: u64,
        slot: usize,
        mut state: State,
    ) -> Step<Decision> {
        let table = self.engine.arena.table(root);
        loop {
            let step = if !state.is_decided() {
                if state.is_final() {
                    return Step::Outdated;
                }
                self.decide_first(id, root, slot, state)
            } else if !state.has_tag_of(id) && !broken!(self.engine.faults, NoTag) {
                // A stranger with the same key word was faster: go on along the sequence.
                return Step::Outdated;
            } else if let Some(ruling) = self.ruling {
                self.decide_by(ruling, fingerprint, table, slot, state)
            } else if state.is_fresh(self.now, self.window) {
                self.suppress(fingerprint, table, slot, state)
            } else if state.is_final() {
                return Step::Outdated;
            } else {
                self.emit_again(root, slot, state)
            };
            match step {
                Step::Changed(seen) => state = seen,
                done => return done,
            }
        }
    }

    /// Linearization point of the first emission of an entry in this table: the
    /// exchange of an undecided state.
    fn decide_first(&mut self, id: &Id, root: u64, slot: usize, state: State) -> Step<Decision> {
        let engine = self.engine;
        let table = engine.arena.table(root);
        let past = self.ask_previous(id, root);
        // Whoever decides writes it first, so it is there with any decision.
        table.rest(slot).store(id.rest, Ordering::Relaxed);
        match past {
            Past::Known { slot: old, state: before, word } => {
                let taken_over = before.carried();
                // First, as the rest word: with the state it is there.
                engine.rules.carry(slot, word);
                let seen = match table.exchange(slot, state, taken_over) {
                    Ok(()) => {
                        self.share_exemplar(old, slot);
                        taken_over
                    }
                    Err(seen) => seen,
                };
                Step::Changed(seen)
            }
            // Undecided it stays.
            Past::Gone { .. } if self.now == Tick::MAX => Step::Done(self.emit_untracked()),
            Past::Gone { slot: old } => match self.emit_first(root, slot, state, State::emitted(id, self.now)) {
                Ok(()) => {
                    if let Some(old) = old {
                        self.share_exemplar(old, slot);
                    }
                    Step::Done(self.emit(0))
                }
                Err(seen) => Step::Changed(seen),
            },
        }
    }

    fn emit_first(&self, root: u64, slot: usize, from: State, to: State) -> Result<(), State> {
        let table = self.engine.arena.table(root);
        let watched = self.engine.watch();
        if broken!(self.engine.faults, DecideBlindly) {
            table.slot(slot).state.store(to.0, Ordering::Release);
        } else {
            table.exchange(slot, from, to)?;
        }
        self.engine.watch_emission(root, watched);
        Ok(())
    }

    /// Linearization point of a later emission: the exchange of an expired state.
    fn emit_again(&mut self, root: u64, slot: usize, state: State) -> Step<Decision> {
        let table = self.engine.arena.table(root);
        self.before = state.tick();
        if self.now == Tick::MAX {
            if state.is_counted() {
                self.carried += self.engine.arena.counts().take(slot);
            }
            return Step::Done(self.emit_untracked());
        }
        let watched = self.engine.watch();
        if broken!(self.engine.faults, EmitBlindly) {
            linger!();
            table.slot(slot).state.store(state.emitted_again(self.now).0, Ordering::Release);
        } else if let Err(seen) = table.exchange(slot, state, state.emitted_again(self.now)) {
            return Step::Changed(seen);
        }
        self.engine.watch_emission(root, watched);
        let taken = if state.is_counted() { self.engine.arena.counts().take(slot) } else { 0 };
        Step::Done(self.emit(taken))
    }

    /// An emission that leaves no trace, hence one of any number.
    pub(super) fn emit_untracked(&mut self) -> Decision {
        bump(&self.engine.totals.mine().failed_open, 1);
        self.emit(0)
    }

    pub(super) fn emit(&mut self, taken: u64) -> Decision {
        let suppressed = taken + std::mem::take(&mut self.carried);
        let mine = self.engine.totals.mine();
        bump(&mine.emitted, 1);
        if suppressed != 0 {
            bump(&mine.reported, suppressed);
        }
        Decision::Emit { suppressed }
    }

    /// Counts this call, and those it carries, at an entry within its window.
    fn suppress(&mut self, fingerprint: Fingerprint, table: Table<'_>, slot: usize, state: State) -> Step<Decision> {
        let first = !state.is_noticed();
        if first {
            if broken!(self.engine.faults, NoticeBlindly) {
                linger!();
                table.slot(slot).state.fetch_or(state.noticed().0, Ordering::AcqRel);
            } else if state.is_frozen() {
                // A newer table has taken over whether suppression has begun.
                return Step::Outdated;
            } else if let Err(seen) = table.exchange(slot, state, state.noticed()) {
                return Step::Changed(seen);
            }
        }
        let count = std::mem::take(&mut self.carried) + 1;
        self.add(fingerprint, slot, state, count);
        Step::Done(Decision::Suppress { first })
    }

    /// Adds to the counters of an entry that is marked as counted.
    pub(super) fn add(&self, fingerprint: Fingerprint, slot: usize, state: State, count: u64) {
        let spilled = match u32::try_from(count) {
            Ok(n) if n <= MOST => {
                let counts = self.engine.arena.counts();
                counts.add(counts.stripe(thread_index()), slot, n)
            }
            _ => return self.engine.orphan(fingerprint, state.tick(), count, None),
        };
        if let Some(spilled) = spilled {
            self.engine.spill(fingerprint, state, spilled);
        }
    }

    /// What the previous table says, made final there: an entry is frozen, the
    /// place of a missing one closed, unless nobody can change that table any more.
    fn ask_previous(&mut self, id: &Id, root: u64) -> Past {
        let faults = self.engine.faults;
        let previous = self.engine.arena.table(root - 1);
        // Before the table is read: what it says then is final.
        let settled = self.engine.is_settled(root);
        loop {
            match previous.locate(id, faults) {
                Place::Here(slot, state) => {
                    if let Some(past) = self.freeze(previous, id, slot, state) {
                        return past;
                    }
                }
                Place::Empty(slot) if !settled && !broken!(faults, NoClose) => {
                    if previous.close(slot) {
                        return Past::Gone { slot: None };
                    }
                }
                Place::Empty(_) | Place::Closed | Place::Full => return Past::Gone { slot: None },
            }
        }
    }

    /// Freezes an entry of the previous table and takes its counts. `None` if it
    /// turns out to be a stranger's.
    fn freeze(&mut self, previous: Table<'_>, id: &Id, slot: usize, mut state: State) -> Option<Past> {
        let faults = self.engine.faults;
        while !state.is_frozen() && !broken!(faults, NoFreeze) {
            match previous.exchange(slot, state, state.frozen()) {
                Ok(()) => state = state.frozen(),
                Err(seen) => state = seen,
            }
            if state.is_decided() && !state.has_tag_of(id) && !broken!(faults, NoTag) {
                return None;
            }
        }
        if !state.is_decided() {
            return Some(Past::Gone { slot: None });
        }
        if state.is_counted() {
            let taken = self.engine.arena.counts().take(slot);
            if !broken!(faults, LostCount) {
                self.carried += taken;
            }
        }
        let word = self.engine.rules.freeze(slot, faults);
        // An emission that the state has not been told of.
        let state = state.lifted(word.with(state)).unwrap_or(state);
        self.before = state.tick();
        Some(if self.ruling.is_some() || state.is_fresh(self.now, self.window) {
            Past::Known { slot, state, word }
        } else {
            Past::Gone { slot: Some(slot) }
        })
    }

    /// Both tables are out of reach of their reclamation: this thread is pinned.
    fn share_exemplar(&self, from: usize, to: usize) {
        let exemplars = &self.engine.exemplars;
        if let Some(exemplar) = exemplars.get(from, self.engine.faults) {
            exemplars.put(to, exemplar);
        }
    }

    /// No room for an entry in `root`'s table, where there is none: suppress if the
    /// previous table knows an emission within the window, otherwise emit without a trace.
    fn fail_open(&mut self, fingerprint: Fingerprint, id: &Id, root: u64) -> Step<Decision> {
        let previous = self.engine.arena.table(root - 1);
        if let Some(ruling) = self.ruling {
            return self.fail_open_by(ruling, fingerprint, id, previous);
        }
        match previous.locate(id, self.engine.faults) {
            Place::Here(slot, state) if state.is_decided() && !broken!(self.engine.faults, FailOpenBlindly) => {
                if state.is_fresh(self.now, self.window) {
                    if state.is_frozen() && !state.is_noticed() {
                        // Another call has just found room, or will not go on. Suppression is
                        // noticed where the entry goes.
                        self.carried += 1;
                        self.put_back(fingerprint, id, previous, slot, state);
                        return Step::Done(Decision::Suppress { first: false });
                    }
                    return self.suppress(fingerprint, previous, slot, state);
                }
                self.before = state.tick();
                if state.is_counted() {
                    self.carried += self.engine.arena.counts().take(slot);
                }
            }
            _ => {}
        }
        Step::Done(self.emit_untracked())
    }

    /// Takes a fresh entry of the previous table over into the current one, without
    /// an event of its own. Returns whether it claimed a slot.
    pub(super) fn hand_over(&self, root: u64, old: usize) -> bool {
        let engine = self.engine;
        let previous = engine.arena.table(root - 1);
        // The cache's: the entry need not be under this call's rule.
        let window = engine.window();
        let before = previous.state(old);
        if !before.is_counted() || before.is_frozen() || !before.is_fresh(self.now, window) {
            return false;
        }
        let fingerprint = previous.fingerprint(old, before);
        let id = Id::of(fingerprint);
        let table = engine.arena.table(root);
        let Place::Empty(slot) = table.locate(&id, engine.faults) else { return false };
        if !table.claim(slot, &id, engine.faults) {
            return false;
        }
        // From here on as a caller would, but for the emission: ticks only grow, so the entry
        // is still fresh, and if another call decided first, the counts go where it did.
        let mut own = Call {
            engine,
            guard: self.guard,
            now: self.now,
            window,
            ruling: None,
            carried: 0,
            before: self.now,
            held_back: Cell::new(false),
        };
        let past = own.ask_previous(&id, root);
        table.rest(slot).store(id.rest, Ordering::Relaxed);
        let mut state = State::UNDECIDED;
        if let Past::Known { slot: old, state: before, word } = past {
            engine.rules.carry(slot, word);
            state = match table.exchange(slot, state, before.carried()) {
                Ok(()) => {
                    self.share_exemplar(old, slot);
                    before.carried()
                }
                Err(seen) => seen,
            };
        }
        own.put_back(fingerprint, &id, table, slot, state);
        true
    }

    /// Adds what this call carries to an entry, or to the orphans if it cannot take it.
    pub(super) fn put_back(
        &mut self,
        fingerprint: Fingerprint,
        id: &Id,
        table: Table<'_>,
        slot: usize,
        mut state: State,
    ) {
        let count = std::mem::take(&mut self.carried);
        if count == 0 {
            return;
        }
        while state.is_decided() && state.has_tag_of(id) && !state.is_frozen() {
            if state.is_counted() {
                return self.add(fingerprint, slot, state, count);
            }
            match table.exchange(slot, state, state.counted()) {
                Ok(()) => state = state.counted(),
                Err(seen) => state = seen,
            }
        }
        self.engine.orphan(fingerprint, state.tick(), count, None);
    }
}
