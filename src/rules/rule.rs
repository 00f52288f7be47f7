//! Rules: how often a message may pass. Pure functions; the engine keeps the state.

use crate::clock::window_millis;
use crate::error::MAX_RULE;
use crate::{ConfigError, Tick};
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// Says how often a message may pass.
///
/// A rule is a value of a few bytes that comes with each call
/// ([`Cache::check_with`](crate::Cache::check_with)); nothing has to be registered. The next call
/// may bring another rule: it goes on from the message's last emission and, if both rules count,
/// from its count.
///
/// ```
/// use quell::{Cache, Decision, Fingerprint, Rule, Tick};
/// use std::time::Duration;
/// let cache = Cache::builder().build()?;
/// let rule = Rule::first(2)?.window(Duration::from_millis(10))?;
/// let decide = |now| cache.check_with_at(Fingerprint::from_u128(7), Tick::from_millis(now), &rule, || None);
/// assert_eq!(decide(0).reports(), Some(0));
/// assert_eq!(decide(5).reports(), Some(0));
/// assert_eq!(decide(9), Decision::Suppress { first: true });
/// assert_eq!(decide(10).reports(), Some(1));
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// A window begins with the emission that finds the last one ended. Repeats do not prolong it.
///
/// [`Rules`](crate::Rules#the-text-of-rules) has the form of a rule as a text: `first(10)/5s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    policy: Policy,
    /// In milliseconds; `None` is the cache's.
    window: Option<NonZeroU64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Policy {
    #[default]
    Once,
    /// The first `n` of a window and, unless it is zero, then every `every`-th.
    First { n: u32, every: u32 },
    /// Milliseconds.
    BackOff { ceiling: NonZeroU64 },
}

impl Rule {
    /// The largest number that a rule takes.
    pub const MAX: u32 = MAX_RULE;

    /// Lets one pass in each window, as [`Cache::check`](crate::Cache::check) does; the default.
    #[must_use]
    pub const fn once() -> Self {
        Self { policy: Policy::Once, window: None }
    }

    /// Lets the first `n` of each window pass.
    ///
    /// # Errors
    /// [`ConfigError::RuleOutOfRange`] unless `n` is from 1 to [`Rule::MAX`].
    pub const fn first(n: u32) -> Result<Self, ConfigError> {
        match in_range(n) {
            Ok(n) => Ok(Self { policy: Policy::First { n, every: 0 }, window: None }),
            Err(error) => Err(error),
        }
    }

    /// Lets the first `n` of each window pass, and every `every`-th after these: with 2 and 3 the
    /// calls 1, 2, 5, 8, ... of a window. A [`Logger`](crate::Logger)'s lines say how many were
    /// suppressed before them; other front ends write one summary for each window.
    ///
    /// # Errors
    /// [`ConfigError::RuleOutOfRange`] unless both are from 1 to [`Rule::MAX`].
    pub const fn first_then_every(n: u32, every: u32) -> Result<Self, ConfigError> {
        match (in_range(n), in_range(every)) {
            (Ok(n), Ok(every)) => Ok(Self { policy: Policy::First { n, every }, window: None }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Lets one pass in each window, which doubles whenever something was suppressed in it: 1, 2,
    /// 4, 8, ... times the window, at most `ceiling` and 2^31 times the window. `ceiling` is
    /// rounded up to a millisecond; below the cache's window it counts as that window.
    ///
    /// The window starts over at 1 after one without a repeat, or when the time of one more
    /// window passes silently after its end.
    ///
    /// # Errors
    /// [`ConfigError::ZeroCeiling`] if `ceiling` is zero.
    pub fn back_off(ceiling: Duration) -> Result<Self, ConfigError> {
        let millis = window_millis(ceiling).ok().and_then(NonZeroU64::new);
        let ceiling = millis.ok_or(ConfigError::ZeroCeiling)?;
        Ok(Self { policy: Policy::BackOff { ceiling }, window: None })
    }

    /// Sets a window of this rule's own, in place of the cache's. Rounded up to a millisecond.
    ///
    /// # Errors
    /// [`ConfigError::ZeroWindow`] if it is zero, [`ConfigError::CeilingBelowWindow`] if it is
    /// longer than this rule's ceiling.
    pub fn window(self, window: Duration) -> Result<Self, ConfigError> {
        let millis = window_millis(window)?;
        match self.policy {
            Policy::BackOff { ceiling } if ceiling.get() < millis => {
                Err(ConfigError::CeilingBelowWindow {
                    ceiling: Duration::from_millis(ceiling.get()),
                    window,
                })
            }
            _ => Ok(Self { window: NonZeroU64::new(millis), ..self }),
        }
    }

    /// Returns the rule's window in milliseconds, or the cache's.
    #[inline]
    pub(crate) fn base(&self, cache_window: u64) -> u64 {
        self.window.map_or(cache_window, NonZeroU64::get)
    }

    /// Returns the length of an entry's window in milliseconds, at a level of its back-off.
    pub(crate) fn window_at(&self, level: u32, cache_window: u64) -> u64 {
        self.length(level, self.base(cache_window))
    }

    /// Returns whether it may let a call at `now` pass in the window that began at `since`.
    pub(crate) fn is_within(&self, since: Tick, now: Tick, cache_window: u64) -> bool {
        self.counts_calls() && now.millis_since(since) < self.base(cache_window)
    }

    pub(super) fn has_window(&self) -> bool {
        self.window.is_some()
    }

    /// Returns whether it counts the calls in a window.
    #[inline]
    pub(crate) fn counts_calls(&self) -> bool {
        matches!(self.policy, Policy::First { .. })
    }

    #[inline]
    fn length(&self, level: u32, base: u64) -> u64 {
        match self.policy {
            Policy::BackOff { ceiling } => {
                let doubled =
                    1u64.checked_shl(level).map_or(u64::MAX, |times| base.saturating_mul(times));
                doubled.min(ceiling.get()).max(base)
            }
            _ => base,
        }
    }

    /// Returns whether a call at `now` is suppressed and leaves the entry as it is: the usual
    /// result of [`decide`](Self::decide), in fewer steps.
    #[inline]
    pub(crate) fn holds(&self, state: RuleState, now: Tick, base: u64) -> bool {
        let enough = match self.policy {
            Policy::First { n, every } => every == 0 && state.calls + 1 >= n,
            _ => true,
        };
        let elapsed = now.millis_since(state.since);
        state.noticed && enough && (elapsed < base || elapsed < self.length(state.level, base))
    }

    /// Decides on a call at `now` by the rule's `base` window. Returns whether it is emitted, and
    /// the entry's new state, which is not written if it is the old one.
    #[inline]
    pub(crate) fn decide(&self, state: RuleState, now: Tick, base: u64) -> (bool, RuleState) {
        let elapsed = now.millis_since(state.since);
        let length = self.length(state.level, base);
        if elapsed >= length {
            let level = match self.policy {
                // In time, and something was suppressed in the window.
                Policy::BackOff { ceiling }
                    if state.noticed && elapsed < length.saturating_mul(2) =>
                {
                    (state.level + u32::from(length < ceiling.get())).min(RuleState::MAX_LEVEL)
                }
                _ => 0,
            };
            return (true, RuleState { since: now, level, calls: 0, noticed: false });
        }
        let suppressed = RuleState { noticed: true, ..state };
        let Policy::First { n, every } = self.policy else { return (false, suppressed) };
        if state.calls + 1 < n {
            return (true, RuleState { calls: state.calls + 1, ..state });
        }
        if every == 0 {
            return (false, suppressed);
        }
        let nth = (state.calls - (n - 1)) % every + 1;
        if nth == every {
            return (true, RuleState { calls: n - 1, ..state });
        }
        (false, RuleState { calls: n - 1 + nth, ..suppressed })
    }
}

impl fmt::Display for Rule {
    /// Writes what [`FromStr`](std::str::FromStr) reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.policy, self.window) {
            (Policy::Once, None) => f.write_str("once")?,
            (Policy::Once, Some(window)) => return write_millis(f, window.get()),
            (Policy::First { n, every: 0 }, _) => write!(f, "first({n})")?,
            (Policy::First { n, every }, _) => write!(f, "first({n})+{every}")?,
            (Policy::BackOff { ceiling }, _) => {
                f.write_str("back_off(")?;
                write_millis(f, ceiling.get())?;
                f.write_str(")")?;
            }
        }
        let Some(window) = self.window else { return Ok(()) };
        f.write_str("/")?;
        write_millis(f, window.get())
    }
}

/// Writes a duration that is not zero: `1m30s`.
fn write_millis(f: &mut fmt::Formatter<'_>, mut millis: u64) -> fmt::Result {
    for (unit, length) in UNITS {
        let number = millis / length;
        millis %= length;
        if number != 0 {
            write!(f, "{number}{unit}")?;
        }
    }
    Ok(())
}

/// The units of durations in texts, and their milliseconds; the longest first.
pub(super) const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

const fn in_range(n: u32) -> Result<u32, ConfigError> {
    if n == 0 || n > Rule::MAX { Err(ConfigError::RuleOutOfRange { asked: n }) } else { Ok(n) }
}

/// The state of an entry that rules read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleState {
    /// When its window began: the last emission that found the one before ended.
    pub(crate) since: Tick,
    /// How often a back-off has doubled its window; at most [`RuleState::MAX_LEVEL`].
    pub(crate) level: u32,
    /// How many calls a counting rule has seen after the one that began the window; below
    /// [`RuleState::CALLS`].
    pub(crate) calls: u32,
    /// Whether something was suppressed in the window.
    pub(crate) noticed: bool,
}

impl RuleState {
    pub(crate) const CALLS: u32 = 1 << 20;
    pub(crate) const MAX_LEVEL: u32 = 31;
}

const _: () = assert!(2 * Rule::MAX <= RuleState::CALLS);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Returns the outcomes of calls at these moments, of a new entry.
    fn outcomes(rule: Rule, base: u64, moments: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let mut entry: Option<RuleState> = None;
        let outcome = |now| {
            let new = (true, RuleState { since: at(now), level: 0, calls: 0, noticed: false });
            let (emit, next) = entry.map_or(new, |entry| rule.decide(entry, at(now), base));
            assert!(next.calls < RuleState::CALLS);
            entry = Some(next);
            emit
        };
        moments.into_iter().map(outcome).collect()
    }

    fn emitted(outcomes: &[bool]) -> Vec<usize> {
        (0..outcomes.len()).filter(|&i| outcomes[i]).collect()
    }

    #[test]
    fn an_own_window_takes_the_caches_place() {
        assert_eq!(Rule::default(), Rule::once());
        assert_eq!(Rule::once().window_at(0, 70), 70);
        let own = Rule::once().window(Duration::from_micros(1001)).unwrap();
        assert_eq!(own.window_at(0, 70), 2);
        assert!(!own.counts_calls());
    }

    #[test]
    fn numbers_that_make_no_sense_are_errors() {
        let out = |asked| Err(ConfigError::RuleOutOfRange { asked });
        assert_eq!(Rule::first(0), out(0));
        assert_eq!(Rule::first(Rule::MAX + 1), out(Rule::MAX + 1));
        assert!(Rule::first(Rule::MAX).is_ok());
        assert_eq!(Rule::first_then_every(0, 1), out(0));
        assert_eq!(Rule::first_then_every(1, 0), out(0));
        assert_eq!(Rule::first_then_every(1, u32::MAX), out(u32::MAX));
        assert_eq!(Rule::back_off(Duration::ZERO), Err(ConfigError::ZeroCeiling));
        assert_eq!(Rule::once().window(Duration::ZERO), Err(ConfigError::ZeroWindow));
        let rule = Rule::back_off(millis(10)).unwrap();
        assert!(rule.window(millis(10)).is_ok());
        let below = ConfigError::CeilingBelowWindow { ceiling: millis(10), window: millis(11) };
        assert_eq!(rule.window(millis(11)), Err(below));
    }

    #[test]
    fn a_sampler_emits_the_first_and_then_some() {
        let rule = Rule::first_then_every(2, 3).unwrap();
        assert_eq!(emitted(&outcomes(rule, 10, [0; 12])), [0, 1, 4, 7, 10]);
        let largest = Rule::first_then_every(Rule::MAX, Rule::MAX).unwrap();
        let many = outcomes(largest, 10, (0..3 * Rule::MAX).map(|_| 0));
        assert_eq!(emitted(&many).len() as u32, Rule::MAX + 2);
    }

    #[test]
    fn windows_back_off_and_start_over() {
        let rule = Rule::back_off(millis(50)).unwrap();
        // Without a pause: 1, 2, 4 times the window, then the ceiling.
        assert_eq!(emitted(&outcomes(rule, 10, 0..300)), [0, 10, 30, 70, 120, 170, 220, 270]);
        // A window without a repeat, and one that nothing follows in time.
        assert_eq!(emitted(&outcomes(rule, 10, [0, 1, 10, 30, 31, 40])), [0, 2, 3, 5]);
        assert_eq!(
            emitted(&outcomes(rule, 10, [0, 1, 10, 11, 49, 50, 88, 89])),
            [0, 2, 4, 7],
            "just in time"
        );
        assert_eq!(
            emitted(&outcomes(rule, 10, [0, 1, 10, 11, 50, 51, 60])),
            [0, 2, 4, 6],
            "started over"
        );
        assert_eq!(rule.window_at(0, 70), 70, "a ceiling below the window");
    }

    #[test]
    fn a_count_does_not_outlive_its_window() {
        let noticed = RuleState { since: at(0), level: 0, calls: 5, noticed: true };
        let at_ceiling = Rule::back_off(millis(1)).unwrap();
        let (emit, next) = at_ceiling.decide(noticed, at(10), 10);
        assert!(emit && next.calls == 0, "{next:?}");
        assert!(Rule::first(2).unwrap().decide(next, at(11), 10).0, "the second of its window");
    }

    #[test]
    fn levels_do_not_overflow() {
        let rule = Rule::back_off(Duration::MAX).unwrap();
        let mut entry = RuleState { since: at(0), level: 0, calls: 0, noticed: true };
        let mut length = 1;
        while entry.since.as_millis() + length < Tick::MAX.as_millis() {
            let (emit, next) = rule.decide(entry, at(entry.since.as_millis() + length), 1);
            assert!(emit && next.level <= RuleState::MAX_LEVEL);
            (entry, length) =
                (RuleState { noticed: true, ..next }, (2 * length).min(1 << RuleState::MAX_LEVEL));
            assert_eq!(rule.window_at(entry.level, 1), length);
        }
        assert_eq!(entry.level, RuleState::MAX_LEVEL);
        assert_eq!(rule.window_at(RuleState::MAX_LEVEL, u64::MAX), u64::MAX);
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        prop_oneof![
            Just(Rule::once()),
            (1..6u32).prop_map(|n| Rule::first(n).unwrap()),
            (1..6u32, 1..6u32).prop_map(|(n, every)| Rule::first_then_every(n, every).unwrap()),
            (1..100u64).prop_map(|ceiling| Rule::back_off(millis(ceiling)).unwrap()),
        ]
    }

    proptest! {
        /// Of any rule, on what any rule has left behind.
        #[test]
        fn nothing_is_suppressed_out_of_its_window(
            rule in any_rule(), since in 0..1000u64, level in 0..=RuleState::MAX_LEVEL, calls in 0..RuleState::CALLS,
            noticed: bool, now in 0..1000u64, base in 1..50u64
        ) {
            let entry = RuleState { since: at(since), level, calls, noticed };
            let (emit, next) = rule.decide(entry, at(now), base);
            let length = rule.length(level, base);
            let fresh = now.saturating_sub(since) < length;
            prop_assert!(fresh || emit);
            prop_assert_eq!(next.since, if fresh { entry.since } else { at(now) });
            prop_assert!(next.calls < RuleState::CALLS && length >= base);
            prop_assert_eq!(rule.holds(entry, at(now), base), (emit, next) == (false, entry));
            prop_assert_eq!(next.noticed, if emit { noticed && fresh } else { true });
            // A suppression by a rule that does not sample has nothing to write twice.
            if !emit && !matches!(rule.policy, Policy::First { every: 1.., .. }) {
                prop_assert_eq!(rule.decide(next, at(now), base), (false, next));
            }
        }

        /// Windows of their own, told by the calls alone.
        #[test]
        fn samplers_count_calls_in_windows(
            n in 1..5u32, every in 0..5u32, base in 1..20u64, steps in proptest::collection::vec(0..6u64, 1..100)
        ) {
            let rule = Rule { policy: Policy::First { n, every }, window: None };
            let moments: Vec<u64> = steps.iter().scan(0, |now, step| { *now += step; Some(*now) }).collect();
            let (mut began, mut nth) = (None, 0);
            let expected: Vec<bool> = moments.iter().map(|&now| {
                if began.is_none_or(|began| now - began >= base) {
                    (began, nth) = (Some(now), 0);
                }
                nth += 1;
                nth <= n || every != 0 && (nth - n) % every == 0
            }).collect();
            prop_assert_eq!(outcomes(rule, base, moments), expected);
        }
    }
}
