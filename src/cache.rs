//! The cache: decides whether a message is emitted or suppressed.

use crate::atomic_cell::AtomicCell;
use crate::clock::window_millis;
use crate::engine::{Engine, Select};
use crate::exemplar::Room;
use crate::panics::catch_panic;
use crate::{
    Clock, Coarse, ConfigError, Exemplar, Fingerprint, FingerprintHasher, Level, Namespace, Rule,
    Secret, Summary, Tick,
};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// Tells whether to log a message.
///
/// ```
/// use quell::{Cache, Decision, Fingerprint};
/// let cache = Cache::builder().build()?;
/// match cache.check(Fingerprint::from_u128(7)) {
///     Decision::Emit { suppressed, .. } => println!("disk full ({suppressed} before)"),
///     Decision::Suppress { .. } => {}
/// }
/// # Ok::<(), quell::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an `Emit` that is not logged is a lost message"]
pub enum Decision {
    /// Log it.
    #[non_exhaustive]
    Emit {
        /// The number of calls suppressed since this message was last reported.
        suppressed: u64,
        /// The time of the emission before, if that is known. Under a rule that counts,
        /// the time at which its window began.
        since: Option<Tick>,
        /// When the last of the suppressed calls was, as [`Summary::last`] says it; not after this
        /// call.
        last: Option<Tick>,
        /// True if the call leaves no trace in the cache: it failed open.
        untracked: bool,
    },
    /// Do not log it; it has been counted.
    Suppress {
        /// True for the first call suppressed since the last emission: the
        /// moment to say that suppression starts.
        first: bool,
    },
}

impl Decision {
    /// Returns whether it is [`Decision::Emit`].
    #[must_use]
    #[inline]
    pub const fn is_emit(self) -> bool {
        matches!(self, Decision::Emit { .. })
    }

    /// Returns how many suppressed calls an emission reports; `None` of a suppressed call.
    ///
    /// ```
    /// use quell::{Cache, Fingerprint, Tick};
    /// use std::time::Duration;
    /// let cache = Cache::builder().window(Duration::from_millis(10)).build()?;
    /// let reports = |millis| cache.check_at(Fingerprint::from_u128(7), Tick::from_millis(millis)).reports();
    /// assert_eq!([reports(0), reports(5), reports(10)], [Some(0), None, Some(1)]);
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn reports(self) -> Option<u64> {
        match self {
            Decision::Emit { suppressed, .. } => Some(suppressed),
            Decision::Suppress { .. } => None,
        }
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
    /// Entries evicted while in their window.
    pub forgotten: u64,
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
/// assert_eq!(cache.check(fp).reports(), Some(0)); // an emission, nothing suppressed before it
/// assert_eq!(cache.check(fp), Decision::Suppress { first: true });
/// assert_eq!(cache.check(fp), Decision::Suppress { first: false });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Guarantees
/// * Of all calls with one fingerprint that race within a window, exactly one is
///   told to emit, unless it was forgotten or could not be tracked in between,
///   both of which err on the side of emitting and are counted in [`Stats`].
/// * A message that was not emitted within its window is never suppressed. (Two messages are told
///   apart by 116 of the fingerprint's 128 bits.)
/// * `emitted + suppressed` is the number of calls, and each suppressed call is
///   reported exactly once.
/// * Memory stays within [`memory_bound`](Self::memory_bound).
///
/// # Progress
/// A call is lock-free. It is wait-free if it suppresses a message that the thread
/// suppresses often: then it writes nothing that other threads write. Clocks, exemplars and
/// callbacks run outside of it.
///
/// A suppressed call allocates nothing, and neither does one that emits, exemplars aside. A
/// thread's first call in a cache allocates thirteen kilobytes to count in, for up to 64
/// threads at a time; further ones count in the table.
///
/// # Panics
/// Never.
///
/// # Limits
/// * Not for use in a signal handler, which may find its own thread in the midst of a call: the
///   books of the reclaimer abort or hang. Nor inside a global allocator.
/// * A thread that is stopped *inside* a call (by a debugger, say) may occupy one slot of the table
///   until it goes on. The same is true in a child process that was forked while another
///   thread was inside a call: there for good. New messages fail open only if all slots that
///   they could take are occupied in this way.
/// * After a `fork` both processes report what was pending at that moment; see
///   [`Guard`](crate::Guard#forks).
pub struct Cache<C = Coarse> {
    engine: Engine<Exemplar>,
    clock: C,
    secret: Secret,
    /// Whether exemplars have room for a repeat.
    keeps_repeats: AtomicCell<bool>,
    /// Tells it from others in metrics.
    #[cfg(feature = "metrics")]
    number: u64,
}

// No user code runs while the engine is between two states: clocks, exemplars,
// callbacks and sinks are called before or after, and `tests/panics.rs` panics in
// each of them.
impl<C: UnwindSafe> UnwindSafe for Cache<C> {}
impl<C: RefUnwindSafe> RefUnwindSafe for Cache<C> {}

impl<C: Clock> Cache<C> {
    pub(crate) fn from_parts(engine: Engine<Exemplar>, clock: C, secret: Secret) -> Self {
        #[cfg(feature = "metrics")]
        static NUMBERS: AtomicCell<u64> = AtomicCell::new(0);
        Self {
            engine,
            clock,
            secret,
            keeps_repeats: AtomicCell::new(false),
            #[cfg(feature = "metrics")]
            number: NUMBERS.fetch_add(1) + 1,
        }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Decides at the present moment of the cache's clock: once per window.
    #[inline]
    pub fn check(&self, fingerprint: Fingerprint) -> Decision {
        self.check_at(fingerprint, self.clock.now())
    }

    /// Decides at `now`: once per window. Specification, linearizable:
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

    /// Decides at the present moment of the cache's clock, by a rule and with an exemplar.
    /// See
    /// [`check_with_at`](Self::check_with_at).
    ///
    /// ```
    /// use quell::{Cache, Exemplar, Fingerprint, Rule};
    /// let cache = Cache::builder().build()?;
    /// let first_ten = Rule::first(10)?;
    /// for attempt in 0..100 {
    ///     let exemplar = || Some(Exemplar::new("connection refused"));
    ///     if cache.check_with(Fingerprint::from_u128(7), &first_ten, exemplar).is_emit() {
    ///         println!("connection refused, attempt {attempt}"); // ten times
    ///     }
    /// }
    /// cache.drain(|summary| assert_eq!(&*summary.exemplar.unwrap().message, "connection refused"));
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    #[inline]
    pub fn check_with(
        &self,
        fingerprint: Fingerprint,
        rule: &Rule,
        exemplar: impl FnOnce() -> Option<Exemplar>,
    ) -> Decision {
        self.check_with_at(fingerprint, self.clock.now(), rule, exemplar)
    }

    /// Decides at `now`, by a rule and with an exemplar.
    ///
    /// For [`Rule::once`] it decides as [`check_at`](Self::check_at) does, with the rule's
    /// window if it has one.
    ///
    /// `exemplar` says what the message looks like. It is called after the decision to emit
    /// a call that is tracked, if the message's entry has no exemplar yet. What it returns
    /// is kept for the summaries of this message; `|| None` keeps nothing. If it panics,
    /// the panic is caught and the decision stands.
    ///
    /// # Guarantees
    /// * Calls with one fingerprint and one rule are linearizable: of those that race, just as
    ///   many are told to emit as the rule says, on the same conditions as for one per
    ///   window.
    /// * `first` is true once in a window, at its first suppressed call.
    /// * Calls with various rules, and with none, may be mixed: what is suppressed was
    ///   emitted within the window of the rule that suppresses it, and every count is
    ///   reported once. (Where they race, one message too many may be emitted.)
    ///
    /// # Progress
    /// Lock-free. Every call of a [`first_then_every`](Rule::first_then_every) writes a
    /// word that all threads share.
    ///
    /// # Memory
    /// The first call with a rule that counts allocates one word for each slot; see
    /// [`memory_bound`](Self::memory_bound). If there is no memory the call fails open.
    // Always inlined, so that a rule which the caller knows costs no comparison.
    #[inline(always)]
    pub fn check_with_at(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        rule: &Rule,
        exemplar: impl FnOnce() -> Option<Exemplar>,
    ) -> Decision {
        self.decide(fingerprint, now, rule, true, exemplar)
    }

    /// Decides. Where a rule lets several calls of a window pass, each of them but the first
    /// reports what was suppressed before it, or leaves it to the window's end:
    /// `reports_within`.
    #[inline(always)]
    pub(crate) fn decide(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        rule: &Rule,
        reports_within: bool,
        exemplar: impl FnOnce() -> Option<Exemplar>,
    ) -> Decision {
        let decision = if *rule == Rule::once() {
            self.engine.check(fingerprint, now)
        } else {
            self.engine.check_rule(fingerprint, now, rule, reports_within)
        };
        if let Decision::Emit { untracked: false, .. } = decision {
            self.keep_exemplar(fingerprint, exemplar);
        }
        decision
    }

    /// Replaces what the summaries of a message show, and returns what they showed.
    ///
    /// So that a summary shows one of the calls that it counts, say, where one key stands for
    /// different texts:
    ///
    /// ```
    /// use quell::{Cache, Decision, Exemplar, Fingerprint};
    /// let cache = Cache::builder().build()?;
    /// let failed = Fingerprint::from_u128(7);
    /// for attempt in 1..=3 {
    ///     if let Decision::Suppress { first: true } = cache.check(failed) {
    ///         cache.replace_exemplar(failed, || Exemplar::new(&format!("attempt {attempt}")));
    ///     }
    /// }
    /// cache.drain(|summary| assert_eq!(&*summary.exemplar.unwrap().message, "attempt 2"));
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    ///
    /// Keeps nothing of a message that is not in the cache, or if `exemplar` panics: the panic
    /// is caught.
    ///
    /// # Progress
    /// Lock-free. Allocates, so it is not for every suppressed call.
    #[cold]
    pub fn replace_exemplar(
        &self,
        fingerprint: Fingerprint,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> Option<Arc<Exemplar>> {
        let exemplar = catch_panic(exemplar)?;
        self.engine.replace_exemplar(fingerprint, Arc::new(exemplar))
    }

    /// Has the summary of a message say that one of `level` was among its events.
    pub(crate) fn raise_level(&self, fingerprint: Fingerprint, level: Level) {
        self.engine.look_at_exemplar(fingerprint, |exemplar| exemplar.raise_level(level));
    }

    /// Counts room for repeats among the memory. Before room is kept: the bound holds at any
    /// moment.
    pub(crate) fn keep_repeats(&self) {
        // A look first, lest all write.
        if !self.keeps_repeats.load() {
            self.keeps_repeats.store(true);
        }
    }

    /// The same of an event that is suppressed. If it is the first, returns room to note it in.
    pub(crate) fn count_in(&self, fingerprint: Fingerprint, level: Level) -> Option<Room> {
        let look = |exemplar: &Arc<Exemplar>| {
            exemplar.raise_level(level);
            exemplar.take_room()
        };
        self.engine.look_at_exemplar(fingerprint, look).flatten()
    }

    // Inlined, so that a suppressed call does not pay for the closure.
    #[inline(always)]
    fn keep_exemplar(&self, fingerprint: Fingerprint, exemplar: impl FnOnce() -> Option<Exemplar>) {
        if self.engine.wants_exemplar(fingerprint) {
            if let Some(exemplar) = catch_panic(exemplar).flatten() {
                self.engine.attach(fingerprint, Arc::new(exemplar));
            }
        }
    }

    /// Returns a hasher keyed by this cache's secret.
    #[must_use]
    #[inline]
    pub fn hasher(&self) -> FingerprintHasher {
        FingerprintHasher::new(&self.secret)
    }

    /// Reads the clock.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Tick {
        self.clock.now()
    }

    /// Returns the window in force, in whole milliseconds.
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
        self.engine.set_window(window_millis(window)?);
        Ok(())
    }

    /// Returns a namespace for one more sink, which no other has. The default namespace, 0, is
    /// never handed out.
    ///
    /// What the front ends build takes one by itself and gives it back when it is dropped. If
    /// there is none for it, its events all pass, and are counted as
    /// [`failed_open`](Stats::failed_open).
    ///
    /// # Errors
    /// [`ConfigError::OutOfNamespaces`] if 65,534 are in use.
    pub fn new_namespace(&self) -> Result<Namespace, ConfigError> {
        self.engine.new_namespace().ok_or(ConfigError::OutOfNamespaces)
    }

    /// Takes back a namespace from [`new_namespace`](Self::new_namespace), to be handed out
    /// again once no number is new. From here on its sink must not use it.
    ///
    /// Its next owner sees the first of each message. What is still pending then becomes part of
    /// a summary without a text, under [`Namespace::MIXED`]: drain it before.
    pub fn give_back_namespace(&self, namespace: Namespace) {
        self.engine.give_back_namespace(namespace);
    }

    /// Forgets a message: its next call is told to emit, whatever its window. Returns whether it
    /// was known.
    ///
    /// So that the first failure after each success is logged, say: `forget` the failure's
    /// fingerprint when it works again. What was suppressed of it until then is in a summary, of
    /// the next drain or report.
    ///
    /// ```
    /// use quell::{Cache, Decision, Fingerprint};
    /// let cache = Cache::builder().build()?;
    /// let failed = Fingerprint::from_u128(7);
    /// let succeeded = || cache.forget(failed);
    /// assert!(cache.check(failed).is_emit());
    /// assert!(!cache.check(failed).is_emit());
    /// assert!(succeeded());
    /// assert!(cache.check(failed).is_emit()); // at once
    /// cache.drain(|summary| assert_eq!(summary.suppressed, 1));
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    ///
    /// # Guarantees
    /// Linearizable, with the calls of the same fingerprint. No count is lost. Not counted in
    /// [`Stats::forgotten`].
    ///
    /// # Progress
    /// Lock-free; allocates nothing.
    pub fn forget(&self, fingerprint: Fingerprint) -> bool {
        self.engine.forget(fingerprint)
    }

    /// Forgets the messages whose exemplar `is_wanted`, as [`forget`](Self::forget) does it.
    /// Returns how many these were.
    ///
    /// For messages that came through a front end, whose fingerprints nobody knows: all front
    /// ends keep exemplars, with level, target and text.
    ///
    /// ```
    /// use quell::{Cache, Logger, WriteSink};
    /// use std::sync::Arc;
    /// let cache = Arc::new(Cache::builder().build()?);
    /// let log = Logger::new(Arc::clone(&cache), WriteSink::new(std::io::sink())).with_group("db");
    /// log.error(format_args!("connection refused"));
    /// // ... when there is a connection again:
    /// assert_eq!(cache.forget_where(|exemplar| &*exemplar.target == "db"), 1);
    /// log.error(format_args!("connection refused")); // a line
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    ///
    /// # Panics
    /// Only if `is_wanted` does: the panic goes on, and what was not asked about stays. It may
    /// use the cache.
    ///
    /// # Progress
    /// Looks at every slot and never holds up a `check`.
    pub fn forget_where(&self, mut is_wanted: impl FnMut(&Exemplar) -> bool) -> usize {
        self.engine.forget_where(|_, exemplar| exemplar.is_some_and(&mut is_wanted))
    }

    /// Takes all pending counts and hands each to `report`. With no call in
    /// flight nothing stays behind.
    ///
    /// A count is out of the cache once `report` is called with it. If `report`
    /// panics, the panic goes on, and the counts not yet handed over stay
    /// pending. `report` may use the cache.
    ///
    /// # Progress
    /// Looks at every slot and never holds up a `check`. Allocates nothing but, where a key makes
    /// one message of events that differ, the example of those counted.
    pub fn drain(&self, mut report: impl FnMut(Summary)) {
        self.engine.drain(Select::all(), &mut |pending| report(pending.into()));
    }

    /// Drains one namespace, as [`drain`](Self::drain) does all. Also hands over what is
    /// pending under [`Namespace::MIXED`].
    pub fn drain_namespace(&self, namespace: Namespace, mut report: impl FnMut(Summary)) {
        self.engine.drain(Select::all().of(namespace), &mut |pending| report(pending.into()));
    }

    /// Drains all, or the namespace that is given, except counts still in their window at
    /// `now`, which an emission may yet report.
    pub fn drain_expired_at(
        &self,
        namespace: Option<Namespace>,
        now: Tick,
        mut report: impl FnMut(Summary),
    ) {
        let window = self.engine.window();
        let due = |since: Tick, _aux, _exemplar: Option<&Exemplar>| !is_fresh(since, now, window);
        self.drain_due(namespace, &due, &mut report);
    }

    /// Drains, of all or of the namespace that is given, what is due and what was
    /// forgotten.
    ///
    /// `due` is asked with an entry's last emission, its progress for [`Rule::window_at`],
    /// and its exemplar. It must not use the cache. If it panics, the panic goes on, and
    /// what was not handed over stays pending.
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

    /// Takes what is pending of one message.
    #[cfg(feature = "fleet")]
    pub(crate) fn take(&self, fingerprint: Fingerprint) -> Option<Summary> {
        self.engine.take(fingerprint).map(Summary::from)
    }

    /// Returns what [`Rule::window_at`] wants to know of a message, and its exemplar.
    #[cfg(feature = "fleet")]
    pub(crate) fn look(&self, fingerprint: Fingerprint) -> Option<(u32, Option<Arc<Exemplar>>)> {
        self.engine.show(fingerprint)
    }

    /// Counts an emission as suppressed, and as reported: another process logs it.
    #[cfg(feature = "fleet")]
    pub(crate) fn count_withheld(&self) {
        self.engine.count_withheld();
    }

    #[inline]
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Keeps from here on when the last suppressed calls were; without memory for it, as before.
    pub(crate) fn keep_last(&self) {
        let _ = self.engine.keep_last();
    }

    /// Makes a count pending again that was handed out, by an
    /// [`Emit`](Decision::Emit) or a summary, and could not be delivered.
    #[cfg(any(feature = "tracing", feature = "fleet", test))]
    pub(crate) fn put_back(&self, summary: Summary) {
        self.engine.put_back(summary.into());
    }

    /// Returns the `k` messages with the most suppressed calls pending, the most first. The
    /// counts stay pending.
    ///
    /// Exact when no call is in flight. Sums over messages that cannot be told apart are no
    /// message, and left out.
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
    /// Looks at every slot and never holds up a `check`. Allocates for at most four times
    /// `k` summaries, or a few.
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

    /// Notes a call as front ends do whose key makes one message of events that differ, for a
    /// model.
    #[cfg(loom)]
    #[doc(hidden)]
    pub fn note(&self, fingerprint: Fingerprint, decision: Decision, text: &str) {
        use crate::exemplar::Draft;
        let draw = |draft: &mut Draft| draft.set_message(format_args!("{text}"));
        if decision.is_emit() {
            self.replace_exemplar(fingerprint, || Draft::exemplar_with_room(draw));
        } else if let Some(room) = self.count_in(fingerprint, Level::Info) {
            room.fill(draw);
        }
    }

    /// Occupies slots for good, for a model of what happens without room.
    #[cfg(loom)]
    #[doc(hidden)]
    pub fn occupy(&self, slots: usize) {
        self.engine.occupy(slots);
    }

    /// Returns counts of the cache's life so far.
    ///
    /// # Progress
    /// Looks at every slot; never holds up a `check`.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Returns the most heap this cache holds at any moment, in bytes, under any number
    /// of threads and any flood.
    ///
    /// It rises when the first exemplar is kept, by the most that exemplars can take, not
    /// counting what they say: each of their four texts, and all their fields together, have at
    /// most [`Exemplar::MAX_TEXT`] bytes, besides 40 for each of at most
    /// [`Exemplar::MAX_FIELDS`] fields. It rises again when a front end whose key makes one
    /// message of events that differ keeps the first, by 1.6 KiB for each exemplar that there can
    /// be: room for one of those suppressed (with slog, 0.5 KiB more, which is not in it).
    ///
    /// It rises by one word for each slot when the first [`Rule`] is used that counts, and by
    /// another when the times of the last repeats are kept
    /// ([`CacheBuilder::last_repeat`](crate::CacheBuilder::last_repeat), or a front end).
    ///
    /// What each of up to 64 threads counts in is in it, thirteen kilobytes for each; a cache
    /// that fewer threads use holds less. The books of the reclaimer, which belong to the
    /// process, come on top: a few kilobytes for each thread that has kept or replaced an
    /// exemplar, or has had an event suppressed whose key makes one message of events that
    /// differ. So do five kilobytes of thread-local storage, for what a thread's front ends have
    /// last hashed.
    #[must_use]
    pub fn memory_bound(&self) -> usize {
        let repeats =
            if self.keeps_repeats.load() { self.engine.most_exemplars() * Room::BYTES } else { 0 };
        self.engine.memory_bound().saturating_add(repeats)
    }
}

/// Returns whether what was last emitted at `since` is in its window.
fn is_fresh(since: Tick, now: Tick, window: u64) -> bool {
    now.millis_since(since) < window
}

impl<C> fmt::Debug for Cache<C> {
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

    /// Drains what is due, and returns the fingerprint and the count of each summary.
    fn due(
        cache: &Cache,
        namespace: Option<u16>,
        due: impl Fn(Tick, u32, Option<&Exemplar>) -> bool,
    ) -> Vec<(Option<Fingerprint>, u64)> {
        let mut all = Vec::new();
        cache.drain_due(namespace.map(Namespace), &due, |summary| {
            all.push((summary.fingerprint, summary.suppressed))
        });
        all.sort();
        all
    }

    #[test]
    fn each_entry_with_a_count_is_asked_if_due() {
        let cache = Cache::builder().window(Duration::from_millis(10)).build().unwrap();
        for n in 0..4 {
            let exemplar =
                || Some(Exemplar::new("x").level(if n < 2 { Level::Info } else { Level::Error }));
            assert!(
                cache.check_with_at(fp(n), at(u64::from(n)), &Rule::once(), exemplar).is_emit()
            );
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
        assert_eq!(
            *asked.borrow(),
            [(at(0), 0, Level::Info), (at(2), 0, Level::Error), (at(3), 0, Level::Error)]
        );
        let errors =
            |_, _, exemplar: Option<&Exemplar>| exemplar.unwrap().level == Some(Level::Error);
        assert_eq!(due(&cache, Some(3), errors), [(Some(fp(3)), 1)]);
        assert_eq!(due(&cache, None, errors), [(Some(fp(2)), 1)]);
        assert_eq!(due(&cache, None, |_, _, _| true), [(Some(fp(0)), 1)]);
    }

    #[test]
    fn a_panic_of_what_is_due_loses_nothing() {
        let cache = Cache::builder().window(Duration::from_millis(10)).tiny(2).build().unwrap();
        assert!(cache.check_at(fp(0), at(0)).is_emit());
        assert!(!cache.check_at(fp(0), at(0)).is_emit());
        let asked = catch_panic(|| due(&cache, None, |_, _, _| panic!("due")));
        assert_eq!(asked, None);
        assert_eq!(due(&cache, None, |_, _, _| true), [(Some(fp(0)), 1)]);
        // The table is not visited any more.
        for n in 1..20 {
            assert!(cache.check_at(fp(n), at(0)).is_emit());
        }
    }

    #[test]
    fn a_count_put_back_is_reported_again_and_once() {
        let cache = Cache::builder().window(Duration::from_millis(10)).build().unwrap();
        for _ in 0..4 {
            let _ = cache.check_at(fp(7), at(0));
        }
        assert_eq!(cache.check_at(fp(7), at(10)).reports(), Some(3));
        let summary = Summary {
            fingerprint: Some(fp(7)),
            namespace: Namespace(7),
            suppressed: 3,
            since: at(0),
            last: None,
            exemplar: None,
            fleet: None,
        };
        // From many threads: what one stripe of the totals lacks another has.
        std::thread::scope(|scope| {
            scope.spawn(|| cache.put_back(summary));
        });
        assert_eq!(cache.stats().suppressed, 3);
        assert_eq!(
            due(&cache, None, |_, _, _| false),
            [(Some(fp(7)), 3)],
            "what is forgotten is always due"
        );
        assert_eq!(due(&cache, None, |_, _, _| true), []);
        assert_eq!((cache.stats().emitted, cache.stats().suppressed), (2, 3));
        let sum = Summary {
            fingerprint: None,
            namespace: Namespace::MIXED,
            suppressed: 2,
            since: at(0),
            last: None,
            exemplar: None,
            fleet: None,
        };
        cache.put_back(sum);
        assert_eq!(due(&cache, Some(5), |_, _, _| true), [(None, 2)]);
    }

    #[test]
    fn an_emission_knows_the_one_before() {
        for rule in [Rule::once(), Rule::first(2).unwrap()] {
            let cache = Cache::builder().window(Duration::from_millis(10)).tiny(4).build().unwrap();
            let ask = |now| cache.check_with_at(fp(1), at(now), &rule, || Some(Exemplar::new("x")));
            let emit = |suppressed, since: Option<u64>| Decision::Emit {
                suppressed,
                since: since.map(at),
                last: None,
                untracked: false,
            };
            assert_eq!(ask(5), emit(0, None));
            if rule != Rule::once() {
                assert_eq!(ask(6), emit(0, Some(5)));
            }
            assert_eq!(ask(7), Decision::Suppress { first: true });
            assert_eq!(ask(8), Decision::Suppress { first: false });
            assert_eq!(ask(15), emit(2, Some(5)));
            assert_eq!(ask(30), emit(0, Some(15)));
            let ended = ask(u64::MAX);
            assert_eq!(
                ended,
                Decision::Emit { suppressed: 0, since: Some(at(30)), last: None, untracked: true }
            );
        }
    }

    #[test]
    fn exemplars_of_a_user_have_no_room() {
        let [one, two] = std::array::from_fn(|_| Cache::builder().build().unwrap());
        let fingerprint = Fingerprint::from_u128(7);
        let _ = one.check_with(fingerprint, &Rule::once(), || Some(Exemplar::new("a")));
        let _ = two.check(fingerprint);
        two.replace_exemplar(fingerprint, || Exemplar::new("a"));
        assert_eq!(one.memory_bound(), two.memory_bound());
    }

    #[test]
    fn exempt_calls_are_emissions() {
        let cache = Cache::builder().build().unwrap();
        cache.count_exempt();
        cache.count_exempt();
        cache.count_failed_open();
        let stats = cache.stats();
        assert_eq!(
            (stats.emitted, stats.exempt, stats.failed_open, stats.suppressed),
            (3, 2, 1, 0)
        );
    }
}
