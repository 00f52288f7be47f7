//! The cache: what a fingerprint and a moment are decided to be.

use crate::caught::caught;
use crate::engine::{Engine, Epoch, Reclaim, Select};
use crate::{
    Builder, Clock, ConfigError, Exemplar, Fingerprint, FingerprintHasher, Monotonic, Namespace, Secret, Summary, Tick,
    builder,
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
        let decision = self.engine.check(fingerprint, now);
        if decision.is_emit() {
            self.keep_exemplar(fingerprint, exemplar);
        }
        decision
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
    pub fn hasher(&self) -> FingerprintHasher {
        FingerprintHasher::new(&self.secret)
    }

    /// The clock's present moment.
    #[must_use]
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
        let mut select = Select::all().expired_at(now);
        if let Some(namespace) = namespace {
            select = select.of(namespace);
        }
        self.engine.drain(select, &mut |pending| report(pending.into()));
    }

    /// Counts `calls` calls of `namespace` as suppressed without a fingerprint:
    /// they are in the next summary of the namespace's sum.
    pub(crate) fn count_unattributed(&self, namespace: Namespace, calls: u64, now: Tick) {
        self.engine.count_unattributed(namespace, calls, now);
    }

    /// STUB
    #[cfg(feature = "front")]
    pub(crate) fn check_rule_since(
        &self,
        fingerprint: Fingerprint,
        now: Tick,
        _rule: &crate::Rule,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> (Decision, Tick) {
        (self.check_with_at(fingerprint, now, exemplar), Tick::default())
    }

    /// STUB
    #[cfg(feature = "front")]
    pub(crate) fn drain_due(
        &self,
        namespace: Option<Namespace>,
        _due: &dyn Fn(Tick, u32, Option<&Exemplar>) -> bool,
        report: impl FnMut(Summary),
    ) {
        self.drain_expired_at(namespace, self.now(), report);
    }

    /// STUB
    #[cfg(feature = "tracing")]
    pub(crate) fn put_back(&self, summary: Summary) {
        self.engine.put_back_stub(summary);
    }

    /// STUB
    pub fn count_exempt(&self) {
        self.engine.count_failed_open();
    }

    /// Counts one call that was emitted without having been offered a decision.
    pub(crate) fn count_failed_open(&self) {
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
    /// texts is at most [`Exemplar::MAX_TEXT`] bytes long).
    ///
    /// The books of the reclaimer, which belong to the process, come on top: a few
    /// kilobytes for each thread that has ever called.
    #[must_use]
    pub fn memory_bound(&self) -> usize {
        self.engine.memory_bound()
    }
}

impl<C, R> fmt::Debug for Cache<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}
