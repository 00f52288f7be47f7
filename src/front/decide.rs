//! One decision for an event, the same for all front ends.

use super::Outcome;
use super::builder::Settings;
use crate::exemplar::Draft;
#[cfg(feature = "fleet")]
use crate::fleet::{self, Admission, Question};
use crate::key::{self, KeyWriter};
use crate::panics::catch_panic;
use crate::report::{RecursionGuard, revive_after_fork};
use crate::{
    Cache, Clock, Coarse, Decision, Exemplar, Fingerprint, Level, Namespace, Rule, Summary, Tick,
};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// What was decided on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
// In the methods of a sealed trait, `Inner`.
#[allow(unreachable_pub)]
pub struct Emission {
    /// `None` if no decision was asked for.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// How many were suppressed since the last report.
    pub(crate) suppressed: u64,
    /// When the message was last emitted.
    pub(crate) since: Tick,
    /// When the last of them was, if it is known.
    pub(crate) last: Option<Tick>,
    /// When it was decided on.
    pub(crate) now: Option<Tick>,
    /// The message's exemplar until then, if its key makes one message of various records.
    pub(crate) before: Option<Arc<Exemplar>>,
}

impl Emission {
    /// Returns the summary of what was suppressed before, with `exemplar` unless there is one.
    pub(crate) fn summary(
        &self,
        namespace: Namespace,
        exemplar: impl FnOnce() -> Exemplar,
    ) -> Summary {
        let before = self.before.clone();
        Summary {
            fingerprint: self.fingerprint,
            namespace,
            suppressed: self.suppressed,
            since: self.since,
            last: self.last,
            exemplar: Some(before.map_or_else(|| Arc::new(exemplar()), Exemplar::shown)),
            fleet: None,
        }
    }

    pub(crate) fn of(fingerprint: Fingerprint, now: Tick) -> Self {
        Self { fingerprint: Some(fingerprint), since: now, now: Some(now), ..Self::default() }
    }
}

/// What to do with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Log it.
    Pass(Emission),
    /// Log it; its text could not be read, so format it through `Guarded`.
    PassUnread,
    /// It has been counted.
    Drop,
    /// As `Drop`, and say that suppression starts.
    Notice(Emission),
}

/// Decides for one sink of a cache.
pub(crate) struct Decider<C: Clock = Coarse> {
    pub(crate) cache: Arc<Cache<C>>,
    /// [`Namespace::MIXED`] if there was none for it: then everything passes.
    pub(crate) namespace: Namespace,
    pub(crate) settings: Arc<Settings>,
    /// Whether a line can tell what was suppressed before it. Else summaries do, one a window.
    pub(crate) lines_tell: bool,
    #[cfg(feature = "fleet")]
    sink: Option<Arc<fleet::Sink>>,
    #[cfg(feature = "metrics")]
    meters: Option<super::metrics::Meters>,
}

// As the cache: no user code runs while it is between two states.
impl<C: Clock> UnwindSafe for Decider<C> {}
impl<C: Clock> RefUnwindSafe for Decider<C> {}

impl<C: Clock> Decider<C> {
    /// Takes a new namespace.
    pub(crate) fn new(
        cache: Arc<Cache<C>>,
        settings: Arc<Settings>,
        _front_end: &'static str,
        lines_tell: bool,
    ) -> Self {
        cache.keep_last();
        #[cfg(feature = "fleet")]
        let sink = settings.fleet.as_ref().map(|fleet| fleet.sink(&cache));
        #[cfg(feature = "fleet")]
        let namespace = match &sink {
            Some(sink) => sink.namespace,
            None => cache.new_namespace().unwrap_or(Namespace::MIXED),
        };
        #[cfg(not(feature = "fleet"))]
        let namespace = cache.new_namespace().unwrap_or(Namespace::MIXED);
        Self {
            lines_tell,
            namespace,
            #[cfg(feature = "fleet")]
            sink,
            #[cfg(feature = "metrics")]
            meters: settings
                .metrics
                .then(|| super::metrics::Meters::register(_front_end, cache.number())),
            cache,
            settings,
        }
    }

    /// Decides on an event.
    ///
    /// `write_key` writes what tells it from others, most often those of other `call_site`s. If it
    /// panics or fails, the event passes, and is counted as failed open. So it does if the clock
    /// panics. `draw` is called on an emission, to note what the message looks like. If the key
    /// `merges` records that differ, it is called on the first that is suppressed after the one
    /// that began a window, too, and summaries show that, and the highest level.
    #[inline]
    pub(crate) fn decide(
        &self,
        level: Level,
        target: &str,
        merges: bool,
        call_site: usize,
        write_key: impl FnOnce(&mut KeyWriter<'_>) -> fmt::Result,
        draw: impl Fn(&mut Draft) + Copy,
    ) -> Action {
        // Copied out at once: `write_key` runs user code.
        let rule = if self.settings.rules.is_once() {
            // Not a rule like any other: what every event pays for is as little as can be.
            None
        } else if let Some(rule) = self.settings.rules.find(level, target) {
            Some(rule)
        } else {
            self.cache.count_exempt();
            revive_after_fork();
            return self.metered(level, Outcome::Exempt, Action::Pass(Emission::default()));
        };
        let asked = catch_panic(|| {
            if self.namespace == Namespace::MIXED {
                return None;
            }
            let fingerprint =
                key::fingerprint(self.cache.secret(), self.namespace, call_site, write_key)?;
            Some((fingerprint, self.cache.now()))
        });
        let Some((fingerprint, now)) = asked.flatten() else {
            self.cache.count_failed_open();
            revive_after_fork();
            return self.metered(level, Outcome::FailedOpen, Action::PassUnread);
        };
        let kept = || if merges { None } else { Some(self.exemplar(draw)) };
        let decided = match &rule {
            None => self.cache.check_with_at(fingerprint, now, &Rule::once(), kept),
            Some(rule) => self.cache.decide(fingerprint, now, rule, self.lines_tell, kept),
        };
        match decided {
            Decision::Emit { suppressed, since, last, untracked } => {
                // Else what is pending is of the same window, and so is the exemplar.
                let begins_window = since.is_none_or(|since| {
                    rule.is_none_or(|rule| !rule.is_within(since, now, self.cache_window()))
                });
                // A line costs more than the system call.
                revive_after_fork();
                let since = since.unwrap_or(now);
                let before = match merges {
                    true if begins_window => self.replace_exemplar(fingerprint, draw),
                    true => {
                        self.cache.raise_level(fingerprint, level);
                        None
                    }
                    false => None,
                };
                #[cfg(feature = "fleet")]
                let (suppressed, last) = match self.sink.as_ref().filter(|_| !untracked) {
                    None => (suppressed, last),
                    Some(sink) => {
                        let (counts, before) = ((suppressed, last), before.clone());
                        match self.admit(sink, fingerprint, counts, since, rule, before) {
                            // Other processes' repeats are among them.
                            Some(told) => (told, None),
                            None => return self.metered(level, Outcome::Suppressed, Action::Drop),
                        }
                    }
                };
                let how =
                    Emission { suppressed, since, last, before, ..Emission::of(fingerprint, now) };
                let outcome = if untracked { Outcome::FailedOpen } else { Outcome::Emitted };
                self.metered(level, outcome, Action::Pass(how))
            }
            Decision::Suppress { first } if merges => {
                self.note(fingerprint, level, draw);
                let how = Emission::of(fingerprint, now);
                let notice = first && self.settings.notices;
                let action = if notice { Action::Notice(how) } else { Action::Drop };
                self.metered(level, Outcome::Suppressed, action)
            }
            Decision::Suppress { first: true } if self.settings.notices => {
                let how = Emission::of(fingerprint, now);
                self.metered(level, Outcome::Suppressed, Action::Notice(how))
            }
            Decision::Suppress { .. } => self.metered(level, Outcome::Suppressed, Action::Drop),
        }
    }

    /// Returns an exemplar of what `draw` draws.
    // Not inlined, nor are the next two: each suppressed event would pay for their frames.
    #[cold]
    #[inline(never)]
    pub(crate) fn exemplar(&self, draw: impl Fn(&mut Draft)) -> Exemplar {
        Draft::exemplar(draw).namespace(self.namespace)
    }

    /// Keeps an exemplar for a message of records that differ, with room for one that is
    /// suppressed. Returns the one before.
    #[cold]
    #[inline(never)]
    fn replace_exemplar(
        &self,
        fingerprint: Fingerprint,
        draw: impl Fn(&mut Draft),
    ) -> Option<Arc<Exemplar>> {
        self.cache.keep_repeats();
        let exemplar = || Draft::exemplar_with_room(draw).namespace(self.namespace);
        self.cache.replace_exemplar(fingerprint, exemplar)
    }

    /// Has the summary of such a message know of one that is suppressed.
    #[inline(never)]
    fn note(&self, fingerprint: Fingerprint, level: Level, draw: impl Fn(&mut Draft)) {
        if let Some(room) = self.cache.count_in(fingerprint, level) {
            room.fill(draw);
        }
    }

    #[inline]
    fn metered(&self, _level: Level, _outcome: Outcome, action: Action) -> Action {
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            // A recorder that panics loses no event.
            catch_panic(|| meters.count(_outcome, _level));
        }
        action
    }

    /// Asks the fleet about an event that passes. Returns how many suppressed ones are to be
    /// reported with it; `None` if it does not pass.
    #[cfg(feature = "fleet")]
    #[cold]
    #[inline(never)]
    fn admit(
        &self,
        sink: &fleet::Sink,
        fingerprint: Fingerprint,
        (suppressed, last): (u64, Option<Tick>),
        since: Tick,
        rule: Option<Rule>,
        before: Option<Arc<Exemplar>>,
    ) -> Option<u64> {
        let attached = self.settings.fleet.as_ref()?;
        let (progress, exemplar) = self.cache.look(fingerprint).unwrap_or_default();
        // Of those that it counts, if there are any.
        let exemplar = before.or(exemplar);
        let window = rule.unwrap_or(Rule::once()).window_at(progress, self.cache_window());
        let question =
            Question { fingerprint, suppressed, since, window, exemplar: exemplar.clone() };
        match attached.fleet().admit(sink, question) {
            Admission::Pass { suppressed } => Some(suppressed),
            Admission::Withhold { suppressed } => {
                self.cache.count_withheld();
                if suppressed != 0 {
                    let (fingerprint, namespace) = (Some(fingerprint), self.namespace);
                    self.cache.put_back(Summary {
                        fingerprint,
                        namespace,
                        suppressed,
                        since,
                        last,
                        exemplar,
                        fleet: None,
                    });
                }
                None
            }
        }
    }

    fn cache_window(&self) -> u64 {
        u64::try_from(self.cache.window().as_millis()).unwrap_or(u64::MAX)
    }

    /// Counts an event that is nested too deep in others to be logged: it is in the summary of
    /// the namespace's sum.
    #[cold]
    pub(crate) fn count_only(&self, level: Level, recursion: &RecursionGuard) {
        // A clock that logs would bring us here again from `now`, without end.
        let now = recursion.is_one_too_deep().then(|| catch_panic(|| self.cache.now())).flatten();
        self.cache.count_unattributed(self.namespace, 1, now.unwrap_or(Tick::MAX));
        self.metered(level, Outcome::Suppressed, Action::Drop);
    }

    /// Takes the counts of messages whose window has ended, or of all.
    pub(crate) fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        #[cfg(feature = "metrics")]
        if let Some(meters) = &self.meters {
            catch_panic(|| meters.report(&self.cache.stats()));
        }
        #[cfg(feature = "fleet")]
        let each = &mut |summary: Summary| {
            if let Some(own) = self.hand_over(summary) {
                each(own);
            }
        };
        if all {
            return self.cache.drain_namespace(self.namespace, each);
        }
        let now = self.cache.now();
        let rules = self.settings.rules.get();
        let window = self.cache_window();
        let due = |since: Tick, progress: u32, exemplar: Option<&Exemplar>| {
            let rule = exemplar
                .and_then(|x| rules.find(x.level?, &x.target))
                .unwrap_or(rules.default_rule());
            now.millis_since(since) >= rule.window_at(progress, window)
        };
        self.cache.drain_due(Some(self.namespace), &due, each);
    }

    /// Has `write` write what the fleet has for this process to report; of `all`, what is handed
    /// over and not reported is settled first. Each is acknowledged when `write` returns.
    pub(crate) fn take_from_fleet(&self, _all: bool, _write: &mut dyn FnMut(Summary)) {
        #[cfg(feature = "fleet")]
        if let (Some(attached), Some(sink)) = (&self.settings.fleet, &self.sink) {
            if !_all {
                return attached.fleet().write_sums(sink, _write);
            }
            attached.fleet().settle(sink, _write);
            // What came back meanwhile.
            self.cache.drain_namespace(self.namespace, _write);
        }
    }

    /// Leaves a count to the fleet, if it can.
    #[cfg(feature = "fleet")]
    fn hand_over(&self, summary: Summary) -> Option<Summary> {
        let (Some(attached), Some(sink)) = (&self.settings.fleet, &self.sink) else {
            return Some(summary);
        };
        let rules = self.settings.rules.get();
        let about = summary.exemplar.as_deref();
        let rule = about.and_then(|x| rules.find(x.level?, &x.target));
        let rule = rule.unwrap_or(rules.default_rule());
        attached.fleet().hand_over(sink, summary, rule.window_at(0, self.cache_window()))
    }

    /// Reads the clock for a summary: `None` if it panics, which loses neither the summary nor the
    /// event that brings it.
    pub(crate) fn now(&self) -> Option<Tick> {
        catch_panic(|| self.cache.now())
    }
}

impl<C: Clock> Drop for Decider<C> {
    /// Nobody asks any more. What is pending was taken before, or waits for a drain.
    fn drop(&mut self) {
        self.cache.give_back_namespace(self.namespace);
    }
}
