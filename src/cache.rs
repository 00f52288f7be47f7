//! The cache: what a fingerprint and a moment are decided to be.

use crate::caught::caught;
use crate::engine::{Engine, Epoch, Reclaim, Select};
use crate::{
    Builder, Clock, ConfigError, Exemplar, Fingerprint, FingerprintHasher, Monotonic, Namespace, Rule, Secret, Summary,
    Tick, builder,
};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// Whether to log this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an `Emit` that is not logged is a lost message"]
pub enum Decision {
    /// Log it.
    Emit {
        /// How many calls were suppressed since this message was last reported.
        suppressed: u64,
    },
    /// Do not log it; it has been counted.
    Suppress {
        /// Whether this is the first one suppressed since the last emission: the
        /// moment to say that suppression starts.
        first: bool,
    },
}

impl Decision {
    /// Whether it is [`Decision::Emit`].
    #[inline]
    pub const fn is_emit(self) -> bool {
        matches!(self, Decision::Emit { .. })
    }
}

/// Counts of a cache's life. Exact when no call is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls decided as [`Decision::Emit`].
    pub emitted: u64,
    /// Calls decided as [`Decision::Suppress`].
    pub suppressed: u64,
    /// Calls among `emitted` that were not tracked: for lack of room, or because the
    /// text of the message could not be read (its `Display` failed).
    pub failed_open: u64,
    /// Calls among `emitted` that were let through without being asked for
    /// ([`Cache::count_exempt`]).
    pub exempt: u64,
    /// Entries that left the cache with their generation, because they were not
    /// seen again while the next one filled; in their window or not.
    pub forgotten: u64,
    /// How often a new generation was begun.
    pub rotations: u64,
    /// Entries present, expired ones included.
    pub entries: usize,
    /// The most entries that can be present.
    pub capacity: usize,
}

/// A lock-free cache that decides which messages are repeats.
///
/// Shared by reference or through an [`Arc`]; every method takes `&self`.
///
/// ```
/// use quell::{Cache, Decision};
/// use std::fmt::Write;
/// let cache = Cache::builder().build()?;
/// let mut hasher = cache.hasher();
/// write!(hasher, "connection refused")?;
/// let fp = hasher.finish();
/// assert_eq!(cache.check(fp), Decision::Emit { suppressed: 0 });
/// assert_eq!(cache.check(fp), Decision::Suppress { first: true });
/// assert_eq!(cache.check(fp), Decision::Suppress { first: false });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Guarantees
/// * Of all calls with one fingerprint that race within a window, exactly one is
///   told to emit, unless it was forgotten or could not be tracked in between,
///   both of which err on the side of emitting and are counted in [`Stats`].
/// * A message that was not emitted within its window is never suppressed. (Two
///   messages are told apart by 82 of the fingerprint's bits and by their place
///   in the table: see `docs/DESIGN.md` for the odds.)
/// * `emitted + suppressed` is the number of calls, and each suppressed call is
///   reported exactly once.
/// * Memory stays within [`memory_bound`](Self::memory_bound).
///
/// # Progress
/// A call is lock-free, and takes no lock; one that suppresses a message seen
/// before in this generation is wait-free once that suppression has begun.
///
/// A suppressed call allocates nothing, and neither does one that emits; what may
/// are a thread's first call, which registers it with the reclaimer, and
/// the one call in a thousand that begins a generation, for the reclaimer's
/// books. A call that finds no room and fails open may yield its time slice,
/// once in a while, to the threads that hold the room back.
///
/// # Panics
/// Never.
///
/// # Limits
/// * Not for use in a signal handler or inside a global allocator.
/// * A thread that is stopped *inside* a call (by a debugger, say) keeps tables from
///   being reused, in all caches of the process: after two generations new
///   messages fail open until it goes on. Known ones stay suppressed. The same
///   is true in a child process that was forked while another thread was inside a
///   call: there for good.
pub struct Cache<C = Monotonic, R = Epoch> {
    engine: Engine<R, Exemplar>,
    clock: C,
    secret: Secret,
}

// No user code runs while the engine is between two states: clocks, exemplars,
// callbacks and sinks are called before or after, and `tests/panics.rs` panics in
// each of them.
impl<C: UnwindSafe, R> UnwindSafe for Cache<C, R> {}
impl<C: RefUnwindSafe, R> RefUnwindSafe for Cache<C, R> {}

impl Cache {
    /// A builder with the defaults: 60 seconds, 1024 entries, [`Monotonic`],
    /// [`Epoch`], a random secret.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl<C: Clock, R: Reclaim> Cache<C, R> {
    pub(crate) fn from_parts(engine: Engine<R, Exemplar>, clock: C, secret: Secret) -> Self {
        Self { engine, clock, secret }
    }

    /// Decides at the present moment of the cache's clock.
    #[inline]
    pub fn check(&self, fingerprint: Fingerprint) -> Decision {
        self.check_at(fingerprint, self.clock.now())
    }

    /// Decides at `now`. Specification, linearizable:
    ///
    /// ```text
    /// if last[fp] is defined and now.saturating_sub(last[fp]) < window: Suppress
    /// else: last[fp] = now; Emit
    /// ```
    ///
    /// A tick older than the last emission counts as within its window. A call at
    /// [`Tick::MAX`] is never tracked: unless it is suppressed, it fails open.
    #[inline]
    pub fn check_at(&self, fingerprint: Fingerprint, now: Tick) -> Decision {
        self.engine.check(fingerprint, now)
    }

    /// Decides at `now` by a rule. For [`Rule::once`] the same as
    /// [`check_at`](Self::check_at), with the rule's window if it has one.
    ///
    /// # Guarantees
    /// * Calls with one fingerprint and one rule are linearizable: of those that race, just as
    ///   many are told to emit as the rule says, on the same conditions as for one per
    ///   window.
    /// * `first` is true once in a window, at its first suppressed call.
    /// * Calls with various rules, and with none, may be mixed: what is suppressed was
    ///   emitted within the window of the rule that suppresses it, and every count is
    ///   reported once. (Where they race, `first` may be said twice and one message too
    ///   many emitted.)
    ///
    /// # Progress
    /// Lock-free; wait-free where a suppressed call changes nothing: after the first `n` of a
    /// window, and while backing off. Every call of a
    /// [`first_then_every`](Rule::first_then_every) writes a word that all threads share.
    ///
    /// # Errors
    /// The first call with a rule other than once allocates one word for each slot,
    /// 48 bytes an entry; see [`memory_bound`](Self::memory_bound). If there is no memory it
    /// fails open, and so does a call that meanwhile waits for it in vain: it gives
    /// its time slice away a thousand times.
    #[inline]
    pub fn check_rule(&self, fingerprint: Fingerprint, now: Tick, rule: &Rule) -> Decision {
        if *rule == Rule::once() {
            return self.check_at(fingerprint, now);
        }
        self.engine.check_rule_since(fingerprint, now, rule, rule.base(self.engine.window())).0
    }

    /// As [`check_rule`](Self::check_rule), with an exemplar as in
    /// [`check_with`](Self::check_with).
    #[inline]
    pub fn check_rule_with(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        rule: &Rule,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> Decision {
        let decision = self.check_rule(fingerprint, now, rule);
        if decision.is_emit() {
            self.keep_exemplar(fingerprint, exemplar);
        }
        decision
    }

    /// As [`check`](Self::check); on an emission of an entry that has no exemplar
    /// yet, `exemplar` is called, after the decision, and what it returns is kept
    /// for the summaries of this message.
    ///
    /// If `exemplar` panics the panic is swallowed: the decision stands.
    #[inline]
    pub fn check_with(&self, fingerprint: Fingerprint, exemplar: impl FnOnce() -> Exemplar) -> Decision {
        self.check_with_at(fingerprint, self.clock.now(), exemplar)
    }

    /// As [`check_at`](Self::check_at), with an exemplar as in
    /// [`check_with`](Self::check_with).
    #[inline]
    pub fn check_with_at(&self, fingerprint: Fingerprint, now: Tick, exemplar: impl FnOnce() -> Exemplar) -> Decision {
        let decision = self.check_at(fingerprint, now);
        if decision.is_emit() {
            self.keep_exemplar(fingerprint, exemplar);
        }
        decision
    }

    /// As [`check_rule_with`](Self::check_rule_with). Also says, of a call that is emitted, when
    /// the message was emitted before: `now` if that is not known.
    #[inline]
    #[cfg(any(feature = "_front", test))]
    pub(crate) fn check_rule_since(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        rule: &Rule,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> (Decision, Tick) {
        let window = rule.base(self.engine.window());
        let (decision, since) = self.engine.check_rule_since(fingerprint, now, rule, window);
        if decision.is_emit() {
            self.keep_exemplar(fingerprint, exemplar);
        }
        (decision, since)
    }

    /// As [`check_rule_since`](Self::check_rule_since) by [`Rule::once`].
    #[inline(always)]
    #[cfg(feature = "_front")]
    pub(crate) fn check_once_since(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> (Decision, Tick) {
        let (decision, since) = self.engine.check_once_since(fingerprint, now);
        if decision.is_emit() {
            self.keep_exemplar(fingerprint, exemplar);
        }
        (decision, since)
    }

    #[cold]
    fn keep_exemplar(&self, fingerprint: Fingerprint, exemplar: impl FnOnce() -> Exemplar) {
        if self.engine.wants_exemplar(fingerprint) {
            if let Some(exemplar) = caught(exemplar) {
                self.engine.attach(fingerprint, Arc::new(exemplar));
            }
        }
    }

    /// A hasher keyed by this cache's secret.
    #[must_use]
    #[inline]
    pub fn hasher(&self) -> FingerprintHasher {
        FingerprintHasher::new(&self.secret)
    }

    /// The clock's present moment.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Tick {
        self.clock.now()
    }

    /// The window in force, in whole milliseconds.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_millis(self.engine.window())
    }

    /// Changes the window for the calls that start from now on. A wider one
    /// revives entries that are still present, never forgotten ones.
    ///
    /// # Errors
    /// [`ConfigError::ZeroWindow`]; the window stays as it was.
    pub fn set_window(&self, window: Duration) -> Result<(), ConfigError> {
        self.engine.set_window(builder::window_millis(window)?);
        Ok(())
    }

    /// A namespace that this cache has not handed out yet, for one more sink. The
    /// default namespace, 0, is never handed out. After 65,534 calls they
    /// come round again.
    #[must_use]
    pub fn new_namespace(&self) -> Namespace {
        self.engine.new_namespace()
    }

    /// Takes all pending counts and hands each to `report`. With no call in
    /// flight nothing stays behind.
    ///
    /// A count is out of the cache once `report` is called with it. If `report`
    /// panics, the panic goes on, and the counts not yet handed over stay
    /// pending. `report` may use the cache.
    ///
    /// # Progress
    /// Looks at every slot, in small steps, and never holds up a `check`.
    /// Allocates a buffer of fixed size.
    pub fn drain(&self, mut report: impl FnMut(Summary)) {
        self.engine.drain(Select::all(), &mut |pending| report(pending.into()));
    }

    /// As [`drain`](Self::drain), for one namespace. Also hands over what is
    /// pending under [`Namespace::MIXED`].
    pub fn drain_namespace(&self, namespace: Namespace, mut report: impl FnMut(Summary)) {
        self.engine.drain(Select::all().of(namespace), &mut |pending| report(pending.into()));
    }

    /// As [`drain`](Self::drain) or, given one, as
    /// [`drain_namespace`](Self::drain_namespace), but leaves alone what is still in its
    /// window at `now` and may yet be reported by an emission.
    pub fn drain_expired_at(&self, namespace: Option<Namespace>, now: Tick, mut report: impl FnMut(Summary)) {
        let window = self.engine.window();
        let due = |since: Tick, _aux, _exemplar: Option<&Exemplar>| !is_fresh(since, now, window);
        self.drain_due(namespace, &due, &mut report);
    }

    /// As [`drain`](Self::drain) or, given one, as
    /// [`drain_namespace`](Self::drain_namespace), of what is due and what was forgotten.
    ///
    /// `due` is asked with an entry's last emission, what [`Rule::window_at`] wants to
    /// know of it, and its exemplar. It must not use the cache. If it panics, the panic goes
    /// on, and what was not handed over stays pending.
    pub(crate) fn drain_due(
        &self,
        namespace: Option<Namespace>,
        due: &dyn Fn(Tick, u32, Option<&Exemplar>) -> bool,
        mut report: impl FnMut(Summary),
    ) {
        let mut select = Select::all().due(due);
        if let Some(namespace) = namespace {
            select = select.of(namespace);
        }
        self.engine.drain(select, &mut |pending| report(pending.into()));
    }

    /// Makes a count pending again that was handed out, by an
    /// [`Emit`](Decision::Emit) or a summary, and could not be delivered.
    #[cfg(any(feature = "tracing", test))]
    pub(crate) fn put_back(&self, summary: Summary) {
        self.engine.put_back(summary.into());
    }

    /// The `k` messages with the most suppressed calls pending, the most first. The counts
    /// stay pending.
    ///
    /// Exact when no call is in flight, but for calls that were counted just while their
    /// entry was taken over by a new generation. Sums over messages that cannot be told
    /// apart are no message, and left out.
    ///
    /// ```
    /// # use quell::{Cache, Fingerprint};
    /// let cache = Cache::builder().build()?;
    /// for call in 0..100 {
    ///     let _ = cache.check(Fingerprint::from_u128(if call % 10 == 0 { 1 } else { 2 }));
    /// }
    /// let top = cache.top(1);
    /// assert_eq!((top[0].fingerprint, top[0].suppressed), (Some(Fingerprint::from_u128(2)), 89));
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    ///
    /// # Progress
    /// Looks at every slot, in small steps, and never holds up a `check`. Allocates for
    /// at most twice `k` summaries, or a few.
    #[must_use]
    pub fn top(&self, k: usize) -> Vec<Summary> {
        self.engine.top(k).into_iter().map(Summary::from).collect()
    }

    /// Counts `calls` calls of `namespace` as suppressed without a fingerprint:
    /// they are in the next summary of the namespace's sum.
    pub(crate) fn count_unattributed(&self, namespace: Namespace, calls: u64, now: Tick) {
        self.engine.count_unattributed(namespace, calls, now);
    }

    /// Counts a call that is let through without being asked for, because it is exempt
    /// from suppression (by its level, say): so that `emitted + suppressed` in
    /// [`Stats`] stays the number of all calls. Part of `emitted`; also in `exempt`.
    ///
    /// # Progress
    /// Wait-free.
    pub fn count_exempt(&self) {
        self.engine.count_exempt();
    }

    /// Counts a call that is let through because no decision could be asked for (its
    /// fingerprint could not be made, say). Part of `emitted`; also in
    /// `failed_open`.
    ///
    /// # Progress
    /// Wait-free.
    pub fn count_failed_open(&self) {
        self.engine.count_failed_open();
    }

    /// Counts of the cache's life so far.
    ///
    /// # Progress
    /// Looks at every slot; never holds up a `check`.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// The most heap this cache holds at any moment, in bytes, under any number
    /// of threads and any flood. Rises once, when the first exemplar is kept, by the
    /// most that exemplars can take, not counting their text (each of their four
    /// texts is at most [`Exemplar::MAX_TEXT`] bytes long); and once, by 48 bytes an entry,
    /// when the first [`Rule`] is used that needs more than the time of an emission.
    ///
    /// The books of the reclaimer, which belong to the process, come on top: a few
    /// kilobytes for each thread that has ever called.
    #[must_use]
    pub fn memory_bound(&self) -> usize {
        self.engine.memory_bound()
    }
}

/// Whether what was last emitted at `since` is in its window.
fn is_fresh(since: Tick, now: Tick, window: u64) -> bool {
    now.as_millis().saturating_sub(since.as_millis()) < window
}

impl<C, R> fmt::Debug for Cache<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Level;

    fn fp(n: u16) -> Fingerprint {
        Fingerprint::from_u128(u128::from(n) + 1).with_namespace(Namespace(n))
    }

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    /// What a drain of what is due reports: whose, how many.
    fn due(
        cache: &Cache,
        namespace: Option<u16>,
        due: impl Fn(Tick, u32, Option<&Exemplar>) -> bool,
    ) -> Vec<(Option<Fingerprint>, u64)> {
        let mut all = Vec::new();
        cache.drain_due(namespace.map(Namespace), &due, |summary| all.push((summary.fingerprint, summary.suppressed)));
        all.sort();
        all
    }

    #[test]
    fn what_is_due_is_asked_of_each_entry_with_a_count() {
        let cache = Cache::builder().window(Duration::from_millis(10)).build().unwrap();
        for n in 0..4 {
            let exemplar = || Exemplar::new("x").level(if n < 2 { Level::Info } else { Level::Error });
            assert!(cache.check_with_at(fp(n), at(u64::from(n)), exemplar).is_emit());
            if n != 1 {
                assert!(!cache.check_at(fp(n), at(5)).is_emit());
            }
        }
        let asked = std::cell::RefCell::new(Vec::new());
        let none = due(&cache, None, |since, aux, exemplar| {
            asked.borrow_mut().push((since, aux, exemplar.unwrap().level.unwrap()));
            false
        });
        assert_eq!(none, []);
        asked.borrow_mut().sort_by_key(|ask| ask.0);
        assert_eq!(*asked.borrow(), [(at(0), 0, Level::Info), (at(2), 0, Level::Error), (at(3), 0, Level::Error)]);
        let errors = |_, _, exemplar: Option<&Exemplar>| exemplar.unwrap().level == Some(Level::Error);
        assert_eq!(due(&cache, Some(3), errors), [(Some(fp(3)), 1)]);
        assert_eq!(due(&cache, None, errors), [(Some(fp(2)), 1)]);
        assert_eq!(due(&cache, None, |_, _, _| true), [(Some(fp(0)), 1)]);
    }

    #[test]
    fn a_panic_of_what_is_due_loses_nothing() {
        let cache = Cache::builder().window(Duration::from_millis(10)).tiny(1, 2, 0).build().unwrap();
        assert!(cache.check_at(fp(0), at(0)).is_emit());
        assert!(!cache.check_at(fp(0), at(0)).is_emit());
        let asked = crate::caught::caught(|| due(&cache, None, |_, _, _| panic!("due")));
        assert_eq!(asked, None);
        assert_eq!(due(&cache, None, |_, _, _| true), [(Some(fp(0)), 1)]);
        // The table is not visited any more.
        for n in 1..20 {
            assert!(cache.check_at(fp(n), at(0)).is_emit());
        }
        assert!(cache.stats().rotations > 4, "{:?}", cache.stats());
    }

    #[test]
    fn a_count_put_back_is_reported_again_and_once() {
        let cache = Cache::builder().window(Duration::from_millis(10)).build().unwrap();
        for _ in 0..4 {
            let _ = cache.check_at(fp(7), at(0));
        }
        assert_eq!(cache.check_at(fp(7), at(10)), Decision::Emit { suppressed: 3 });
        let summary =
            Summary { fingerprint: Some(fp(7)), namespace: Namespace(7), suppressed: 3, since: at(0), exemplar: None };
        // From many threads: what one stripe of the totals lacks another has.
        std::thread::scope(|scope| {
            scope.spawn(|| cache.put_back(summary));
        });
        assert_eq!(cache.stats().suppressed, 3);
        assert_eq!(due(&cache, None, |_, _, _| false), [(Some(fp(7)), 3)], "what is forgotten is always due");
        assert_eq!(due(&cache, None, |_, _, _| true), []);
        assert_eq!((cache.stats().emitted, cache.stats().suppressed), (2, 3));
        let sum =
            Summary { fingerprint: None, namespace: Namespace::MIXED, suppressed: 2, since: at(0), exemplar: None };
        cache.put_back(sum);
        assert_eq!(due(&cache, Some(5), |_, _, _| true), [(None, 2)]);
    }

    #[test]
    fn an_emission_knows_the_one_before() {
        for rule in [Rule::once(), Rule::first(2).unwrap()] {
            let cache = Cache::builder().window(Duration::from_millis(10)).tiny(4, 8, 0).build().unwrap();
            let ask = |now| cache.check_rule_since(fp(1), at(now), &rule, || Exemplar::new("x"));
            assert_eq!(ask(5), (Decision::Emit { suppressed: 0 }, at(5)));
            if rule != Rule::once() {
                assert_eq!(ask(6), (Decision::Emit { suppressed: 0 }, at(5)));
            }
            assert_eq!(ask(7).0, Decision::Suppress { first: true });
            assert_eq!(ask(8).0, Decision::Suppress { first: false });
            assert_eq!(ask(15), (Decision::Emit { suppressed: 2 }, at(5)));
            // In a new generation too.
            let mut n = 100;
            while cache.stats().rotations == 0 {
                n += 1;
                let _ = cache.check_at(fp(n), at(20));
            }
            assert_eq!(ask(30), (Decision::Emit { suppressed: 0 }, at(15)));
        }
    }

    #[test]
    fn exempt_calls_are_emissions() {
        let cache = Cache::builder().build().unwrap();
        cache.count_exempt();
        cache.count_exempt();
        cache.count_failed_open();
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.exempt, stats.failed_open, stats.suppressed), (3, 2, 1, 0));
    }
}
