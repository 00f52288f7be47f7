//! What the front ends have in common: one decision for an event, and where its
//! summaries come from.

use crate::atomic_cell::AtomicCell;
use crate::caught::caught;
use crate::nesting::Nesting;
#[cfg(feature = "tracing")]
use crate::reporter::Waker;
use crate::{
    Cache, Clock, Coarse, Decision, Exemplar, Fingerprint, FingerprintHasher, Level, Namespace,
    Rule, Rules, Summary, Tick,
};
use arc_swap::ArcSwap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
#[cfg(feature = "tracing")]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex, PoisonError};

/// Rules that can be swapped while they are in use. Clones share them: keep one, give
/// others to front ends.
///
/// ```
/// use quell::{Rule, Rules, SharedRules};
/// let rules = SharedRules::from(Rule::once());
/// // ... a front end gets `rules.clone()` ... and later, when somebody asks for more detail:
/// rules.set(Rule::first(100)?);
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// A swap loses no state: what was counted stays counted, and the new rule goes on from the
/// window that an entry is in.
#[derive(Clone, Debug)]
pub struct SharedRules(Arc<Swapped>);

#[derive(Debug)]
struct Swapped {
    rules: ArcSwap<Rules>,
    /// Only set while `rules` are once for everything: spares events the load, two locked
    /// instructions.
    once: AtomicCell<bool>,
    /// One `set` at a time, so that the two agree in the end.
    setting: Mutex<()>,
}

impl SharedRules {
    fn new(rules: Rules) -> Self {
        let once = AtomicCell::new(rules.is_once());
        Self(Arc::new(Swapped {
            rules: ArcSwap::from_pointee(rules),
            once,
            setting: Mutex::default(),
        }))
    }

    /// Replaces the rules for the events from now on.
    pub fn set(&self, rules: impl Into<Rules>) {
        let rules = rules.into();
        let once = rules.is_once();
        let _setting = self.0.setting.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.once.store(false);
        self.0.rules.store(Arc::new(rules));
        self.0.once.store(once);
    }

    /// The rules in force.
    #[must_use]
    pub fn get(&self) -> Arc<Rules> {
        self.0.rules.load_full()
    }

    /// Whether the rules in force are once for everything. May say no for a moment when they are.
    #[inline]
    fn is_once(&self) -> bool {
        self.0.once.load()
    }

    /// [`Rules::find`] of the rules in force.
    #[inline(never)]
    fn find(&self, level: Level, target: &str) -> Option<Rule> {
        self.0.rules.load().find(level, target)
    }
}

impl Default for SharedRules {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl<T: Into<Rules>> From<T> for SharedRules {
    fn from(rules: T) -> Self {
        Self::new(rules.into())
    }
}

/// What is to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Log it; so many were suppressed since the last report.
    Pass { suppressed: u64, since: Tick },
    /// It has been counted.
    Drop,
    /// As `Drop`, and somebody should be told that suppression starts.
    Notice,
}

/// One front end's share of a cache.
pub(crate) struct Front<C: Clock = Coarse> {
    pub(crate) cache: Arc<Cache<C>>,
    pub(crate) namespace: Namespace,
    pub(crate) rules: SharedRules,
    pub(crate) notices: bool,
    #[cfg(feature = "tracing")]
    waker: OnceLock<Waker>,
    #[cfg(feature = "metrics")]
    pub(crate) meters: Option<crate::metrics::Meters>,
}

// As the cache: nothing of ours is between two states while other people's code runs.
impl<C: Clock> UnwindSafe for Front<C> {}
impl<C: Clock> RefUnwindSafe for Front<C> {}

impl<C: Clock> Front<C> {
    /// With a namespace of its own.
    pub(crate) fn new(cache: Arc<Cache<C>>) -> Self {
        Self {
            namespace: cache.new_namespace(),
            cache,
            rules: SharedRules::default(),
            notices: false,
            #[cfg(feature = "tracing")]
            waker: OnceLock::new(),
            #[cfg(feature = "metrics")]
            meters: None,
        }
    }

    /// Decides on an event.
    ///
    /// `key` writes what tells it from others into a hasher that has the level and target
    /// already if `located`. If it panics or fails, the event passes, and is counted as failed
    /// open. So it does if the clock panics. `exemplar` is called on an emission.
    #[cfg(any(feature = "log", feature = "slog"))]
    #[inline]
    pub(crate) fn decide(
        &self,
        level: Level,
        target: &str,
        located: bool,
        key: impl FnOnce(&mut FingerprintHasher) -> fmt::Result,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> Verdict {
        self.decide_known(level, target, located, key, exemplar).0
    }

    /// As [`decide`](Self::decide), with the fingerprint, if there is one.
    #[inline]
    pub(crate) fn decide_known(
        &self,
        level: Level,
        target: &str,
        located: bool,
        key: impl FnOnce(&mut FingerprintHasher) -> fmt::Result,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> (Verdict, Option<Fingerprint>) {
        // Copied out at once: `key` runs other people's code.
        let rule = if self.rules.is_once() {
            // Not a rule like any other: what every event pays for is as little as can be.
            None
        } else if let Some(rule) = self.rules.find(level, target) {
            Some(rule)
        } else {
            self.cache.count_exempt();
            return (self.metered(level, Outcome::Exempt, Verdict::PASS), None);
        };
        let asked = caught(|| {
            let mut hasher = self.cache.hasher();
            hasher.namespace(self.namespace);
            if located {
                hasher.place(level as u8, target);
            }
            key(&mut hasher).ok()?;
            (!hasher.failed()).then(|| (hasher.finish(), self.cache.now()))
        });
        let Some((fingerprint, now)) = asked.flatten() else {
            self.cache.count_failed_open();
            return (self.metered(level, Outcome::FailedOpen, Verdict::PASS), None);
        };
        let exemplar = || Some(exemplar().namespace(self.namespace));
        let decided = match &rule {
            None => self.cache.check_with_at(fingerprint, now, &Rule::once(), exemplar),
            Some(rule) => self.cache.check_with_at(fingerprint, now, rule, exemplar),
        };
        let verdict = match decided {
            Decision::Emit { suppressed, since, .. } => {
                let since = since.unwrap_or(now);
                self.metered(level, Outcome::Emitted, Verdict::Pass { suppressed, since })
            }
            Decision::Suppress { first } => {
                let verdict = if first && self.notices { Verdict::Notice } else { Verdict::Drop };
                self.metered(level, Outcome::Suppressed, verdict)
            }
        };
        (verdict, Some(fingerprint))
    }

    #[inline]
    fn metered(&self, _level: Level, _outcome: Outcome, verdict: Verdict) -> Verdict {
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            // A recorder that panics is no reason to lose the event.
            caught(|| meters.count(_outcome, _level));
        }
        verdict
    }

    /// Counts an event that is nested too deep in others to be logged: it will be in the
    /// summary of the namespace's sum.
    #[cold]
    pub(crate) fn count_only(&self, level: Level, nesting: &Nesting) {
        // A clock that logs would bring us here again from `now`, without end.
        let now = nesting.is_one_too_deep().then(|| caught(|| self.cache.now())).flatten();
        self.cache.count_unattributed(self.namespace, 1, now.unwrap_or(Tick::MAX));
        self.metered(level, Outcome::Suppressed, Verdict::Drop);
    }

    /// Takes the counts of messages whose window has ended, or of all; see
    /// [`Outlet::take`](crate::outlet::Outlet::take).
    pub(crate) fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            caught(|| meters.gauge(&self.cache.stats()));
        }
        if all {
            return self.cache.drain_namespace(self.namespace, each);
        }
        let now = self.cache.now();
        let rules = self.rules.get();
        let window = u64::try_from(self.cache.window().as_millis()).unwrap_or(u64::MAX);
        let due = |since: Tick, aux: u32, exemplar: Option<&Exemplar>| {
            let rule = exemplar
                .and_then(|x| rules.find(x.level?, &x.target))
                .unwrap_or(rules.default_rule());
            now.as_millis().saturating_sub(since.as_millis()) >= rule.window_at(aux, window)
        };
        self.cache.drain_due(Some(self.namespace), &due, each);
    }

    /// How long ago `since` was, in milliseconds; 0 if the clock panics, which is no reason to
    /// lose a summary, nor the event that brings it.
    pub(crate) fn age(&self, since: Tick) -> u64 {
        caught(|| self.cache.now())
            .map_or(0, |now| now.as_millis().saturating_sub(since.as_millis()))
    }

    /// Has the reporter look before its interval is over.
    #[cfg(feature = "tracing")]
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// The first reporter's counts.
    #[cfg(feature = "tracing")]
    pub(crate) fn set_waker(&self, waker: Waker) {
        let _ = self.waker.set(waker);
    }
}

impl Verdict {
    const PASS: Self = Self::Pass { suppressed: 0, since: Tick::from_millis(0) };
}

/// What became of an event, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Emitted,
    Suppressed,
    FailedOpen,
    Exempt,
}

/// The text of a summary, one for all front ends.
pub(crate) struct SummaryText<'a> {
    /// What the message looked like.
    pub(crate) text: Option<&'a str>,
    pub(crate) suppressed: u64,
}

impl fmt::Display for SummaryText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text {
            Some(text) => write!(f, "{text}: {} more suppressed", self.suppressed),
            None => {
                write!(f, "{} more suppressed, of messages that are forgotten", self.suppressed)
            }
        }
    }
}

/// What follows the text of a message whose suppression starts.
pub(crate) const NOTICE: &str = ": repeats are suppressed from here on";
