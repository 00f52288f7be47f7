//! A call that the quick look has left: suppress at the entry, emit again, or make an entry.

use super::Engine;
use super::fault::{broken, linger};
use super::id::Id;
use super::near::{Left, Mine, Seat};
use super::page::Mark;
use super::pending::Pending;
use super::repeats::Repeats;
use super::slot::{At, Homes};
use super::sync::{AtomicU64, Ordering};
use super::thread_index::{self, INDEXES};
use super::words::{State, oldest_fresh};
use crate::rules::{Rule, RuleState};
use crate::{Decision, Fingerprint, Tick};

/// So many counts in the table give one chance of an idle place near the thread: a power of two.
#[cfg(not(loom))]
pub(super) const REPEATS: u64 = 16;
#[cfg(loom)]
pub(super) const REPEATS: u64 = 2;
/// So many, one chance of the place of an entry that has counted less meanwhile: a power of two.
const INSISTENCE: u64 = 128;

/// One call that makes an entry, helps another to, or has a rule.
pub(super) struct Call<'e, X: Send + Sync + 'static> {
    pub(super) engine: &'e Engine<X>,
    pub(super) fingerprint: Fingerprint,
    pub(super) id: Id,
    pub(super) homes: Homes,
    pub(super) now: Tick,
    /// The cache's window, as it was when the call came here.
    pub(super) window: u64,
    pub(super) rule: &'e Rule,
    /// Of a rule that counts the calls of a window.
    pub(super) words: Option<&'e [AtomicU64]>,
    /// Whether an emission inside a window reports what was suppressed before it.
    pub(super) reports_within: bool,
}

impl<X: Send + Sync + 'static> Engine<X> {
    /// Finds the entry of a fingerprint, or a claim.
    pub(super) fn find(&self, fingerprint: Fingerprint) -> Option<(At, State)> {
        let id = Id::of(fingerprint);
        self.table.find(id, self.table.homes(id))
    }

    /// Counts a call suppressed at `now` at an entry that is COUNTED: near the thread if it repeats
    /// enough, where `mark` holds, else in the table. What near tables know before `oldest` is
    /// idle.
    pub(super) fn count(
        &self,
        at: At,
        fingerprint: Fingerprint,
        state: State,
        now: Tick,
        oldest: u64,
        mark: Mark,
    ) {
        // With its first call, so that no later one allocates.
        let mine = self.near.mine_or_new();
        let count = self.table.count_hint(at).count() + 1;
        let worth =
            if count % INSISTENCE == 0 { INSISTENCE } else { u64::from(count % REPEATS == 0) };
        match mine.and_then(|mine| Some((mine, mine.seat(fingerprint, Mark::from(oldest), worth)?)))
        {
            Some((mine, seat)) => self.count_near(mine, seat, fingerprint, (at, state), now, mark),
            None => self.count_in_table(at, fingerprint, state, now),
        }
    }

    /// Whatever near tables say must be so in the table, once no call is under way: this
    /// thread reads the state after its mark; who changes the state voids marks after.
    fn count_near(
        &self,
        mine: Mine<'_>,
        seat: Seat,
        of: Fingerprint,
        (at, state): (At, State),
        now: Tick,
        mark: Mark,
    ) {
        let left = mine.label(seat, of);
        linger!();
        mine.set_mark(seat, mark);
        linger!();
        if !self.table.load(at).is_same_emission(state) && !broken!(self.faults, MarkUnread) {
            mine.void(seat);
        }
        mine.bump(seat, now);
        if let Some(left) = left {
            self.take_back(left);
        }
    }

    /// Puts what a near entry held at its slot, or among the orphans.
    #[cold]
    fn take_back(&self, left: Left) {
        let Left { fingerprint, repeats, since } = left;
        match self.find(fingerprint).filter(|(_, state)| state.is_live() && state.is_counted()) {
            Some((at, state)) => self.move_to_table(at, fingerprint, state, repeats),
            None => self.orphan(fingerprint, repeats, since),
        }
    }

    /// Counts a call suppressed at `now` at an entry that is COUNTED.
    #[inline]
    pub(super) fn count_in_table(&self, at: At, fingerprint: Fingerprint, state: State, now: Tick) {
        let note = || self.table.lasts.note(at, state.turn(), now);
        if !broken!(self.faults, LastAfterCount) {
            note();
        }
        self.add_in_table(at, fingerprint, state, Repeats::one(now));
        if broken!(self.faults, LastAfterCount) {
            note();
        }
    }

    /// Adds what was counted elsewhere to an entry that is COUNTED.
    fn move_to_table(&self, at: At, fingerprint: Fingerprint, state: State, repeats: Repeats) {
        self.table.lasts.raise(at, state.turn(), repeats.last);
        self.add_in_table(at, fingerprint, state, repeats);
    }

    /// Adds to the count of an entry that is COUNTED, or to the orphans if its turn is over.
    #[inline]
    fn add_in_table(&self, at: At, fingerprint: Fingerprint, state: State, repeats: Repeats) {
        if !self.table.add(at, state.turn(), repeats.count) {
            self.orphan(fingerprint, repeats, state.tick());
        }
    }

    #[cold]
    pub(super) fn orphan(&self, fingerprint: Fingerprint, repeats: Repeats, since: Tick) {
        self.orphans.add(Pending::of(fingerprint, repeats, since, None));
    }

    /// Takes all that has been counted of an entry of `state`'s turn.
    pub(super) fn take_counts(&self, at: At, state: State, fingerprint: Fingerprint) -> Repeats {
        self.table.take(at, state.turn()).plus(self.near.take(fingerprint))
    }

    /// What is told of calls that were suppressed since the emission at `since`, until `now`.
    pub(super) fn told(&self, repeats: Repeats, since: Tick, now: Tick) -> Repeats {
        let is_known = repeats.count != 0 && self.table.lasts.are_kept();
        let last = repeats.last.filter(|_| is_known).map(|last| last.min(now).max(since));
        Repeats { last, ..repeats }
    }

    /// Moves what threads have counted near of an entry to its slot, which says that it was
    /// touched. Returns whether there was anything.
    pub(super) fn touch_near(&self, at: At, state: State) -> bool {
        let Some(id) = self.table.identify(at, state) else { return false };
        if self.near.pending(id.fingerprint()).count == 0 {
            return false;
        }
        // First: whoever finds that the counts are taken finds the stamp.
        self.table.touch(at, state.turn());
        let repeats = self.near.take(id.fingerprint());
        if repeats.count != 0 {
            self.move_to_table(at, id.fingerprint(), state, repeats);
        }
        true
    }

    /// Suppresses a call at a fresh entry; `None` if it has changed.
    ///
    /// Linearization point: the exchange that notices it, if it is the first since an emission;
    /// else the load of the state.
    #[inline]
    pub(super) fn suppress(
        &self,
        at: At,
        state: State,
        fingerprint: Fingerprint,
        now: Tick,
        window: u64,
    ) -> Option<Decision> {
        let first = !state.is_noticed();
        if first {
            linger!();
            if broken!(self.faults, NoticeBlindly) {
                self.table.state(at).store(state.noticed().0, Ordering::Release);
            } else {
                self.table.exchange(at, state, state.noticed()).ok()?;
            }
        }
        let mark = Mark::of_level(state.tick(), state.level());
        self.count(at, fingerprint, state, now, oldest_fresh(now, window), mark);
        Some(Decision::Suppress { first })
    }

    /// Emits again at an entry whose window is over; `None` if it has changed.
    ///
    /// Linearization point: the exchange of the state.
    #[inline]
    pub(super) fn renew(
        &self,
        at: At,
        state: State,
        fingerprint: Fingerprint,
        now: Tick,
        level: u32,
    ) -> Option<Decision> {
        let since = state.tick();
        if now == Tick::MAX {
            // It could not be told from a later one: no trace of it.
            let repeats = self.told(self.take_counts(at, state, fingerprint), since, now);
            return Some(self.emit(repeats, Some(since), true));
        }
        if broken!(self.faults, VoidEarly) {
            self.near.void(fingerprint, state.tick());
        }
        linger!();
        let next = state.renewed(now, level);
        if broken!(self.faults, RenewBlindly) {
            self.table.state(at).store(next.0, Ordering::Release);
        } else {
            self.table.exchange(at, state, next).ok()?;
        }
        let mut repeats = Repeats::default();
        if state.is_counted() {
            repeats = self.told(self.take_renewed(at, state, fingerprint, now), since, now);
        }
        self.table.touch(at, state.turn());
        Some(self.emit(repeats, Some(since), false))
    }

    /// Takes what was counted before an emission at `now`, and voids what near tables know of it.
    #[cold]
    fn take_renewed(&self, at: At, state: State, fingerprint: Fingerprint, now: Tick) -> Repeats {
        if broken!(self.faults, NoVoid) {
            return self.take_counts(at, state, fingerprint);
        }
        if !broken!(self.faults, VoidEarly) {
            // All marks from before. It is later than the emission before, so not 0.
            self.near.void(fingerprint, Tick::from_millis(now.as_millis() - 1));
        }
        self.take_counts(at, state, fingerprint)
    }

    /// Says that a call is emitted, and what it reports.
    #[inline(always)]
    pub(super) fn emit(&self, told: Repeats, since: Option<Tick>, untracked: bool) -> Decision {
        let Repeats { count: suppressed, last } = told;
        let mine = self.near.mine_or_new();
        let emitted = self.near.tally_by(mine, |totals| &totals.emitted, 1);
        // Threads that emit alike let the clock go on one after the other.
        let phase = thread_index::peek() as u64 * (self.pace + 1) / INDEXES as u64;
        if (emitted + phase) & self.pace == 0 {
            self.table.advance();
        }
        if suppressed != 0 {
            self.near.tally_by(mine, |totals| &totals.reported, suppressed);
        }
        if untracked {
            self.near.tally_by(mine, |totals| &totals.failed_open, 1);
        }
        Decision::Emit { suppressed, since, last, untracked }
    }

    /// Emits without a trace, hence one of any number.
    #[cold]
    pub(super) fn emit_untracked(&self) -> Decision {
        self.emit(Repeats::default(), None, true)
    }
}

impl<'e, X: Send + Sync + 'static> Call<'e, X> {
    pub(super) fn new(
        engine: &'e Engine<X>,
        fingerprint: Fingerprint,
        now: Tick,
        window: u64,
        rule: &'e Rule,
        words: Option<&'e [AtomicU64]>,
    ) -> Self {
        let id = Id::of(fingerprint);
        let homes = engine.table.homes(id);
        Self { engine, fingerprint, id, homes, now, window, rule, words, reports_within: true }
    }

    /// Decides, whatever it takes.
    #[inline(never)]
    pub(super) fn decide(&self) -> Decision {
        loop {
            let decision = match self.engine.table.find(self.id, self.homes) {
                Some((at, state)) if state.is_live() => self.decide_at(at, state),
                // A tick at the end of time could not be told from a later one: no trace of it.
                _ if self.now == Tick::MAX => Some(self.engine.emit_untracked()),
                // Of a thread that may stand still.
                Some(_) => self.finish(None),
                None => self.insert(),
            };
            if let Some(decision) = decision {
                return decision;
            }
        }
    }

    /// Decides at an entry; `None` if it has changed.
    fn decide_at(&self, at: At, state: State) -> Option<Decision> {
        if let Some(words) = self.words {
            return self.decide_by_calls(at, state, words);
        }
        let base = self.rule.base(self.window);
        let (emit, next) = self.rule.decide(RuleState::of(state), self.now, base);
        if emit {
            self.engine.renew(at, state, self.fingerprint, self.now, next.level)
        } else {
            self.engine.suppress(at, state, self.fingerprint, self.now, base)
        }
    }
}
