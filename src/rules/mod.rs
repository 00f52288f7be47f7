//! Rules by level and target, which can be swapped while they are in use.

mod parse;
mod rule;

pub use parse::{ParseRulesError, ParseRulesErrorKind};
pub use rule::Rule;
pub(crate) use rule::RuleState;

use crate::Level;
use crate::atomic_cell::AtomicCell;
use crate::panics::lock;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Maps events to [`Rule`]s, by level and target.
///
/// A target stands for itself and for what is below it: `store` for `store`, `store::wal` and
/// `store.wal`, not for `storefront`. Of several entries that fit an event, the most specific
/// holds: the longest target, and of equal targets the entry with a level. An event that no
/// entry fits has the default rule.
///
/// ```
/// use quell::{Level, Rule, Rules};
/// use std::time::Duration;
/// let rules = Rules::new(Rule::once())
///     .exempt_level(Level::Error)
///     .target("store", Rule::first(10)?)
///     .target_at("store::wal", Level::Error, Rule::back_off(Duration::from_secs(3600))?)
///     .exempt_target("audit");
///
/// assert_eq!(rules.find(Level::Info, "store::wal"), Some(Rule::first(10)?));
/// assert_eq!(rules.find(Level::Info, "net"), Some(Rule::once()));
/// assert_eq!(rules.find(Level::Error, "net"), None, "exempt");
/// assert_eq!(rules.find(Level::Info, "audit"), None);
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// # The text of rules
///
/// Rules are read from a text and written as one, for a variable of the environment
/// ([`from_env`](Rules::from_env)) or a file of settings:
///
/// ```
/// # use quell::{Level, Rule, Rules};
/// # use std::time::Duration;
/// let rules: Rules = "60s,http=first(10),http::client=error:5s,audit=exempt".parse()?;
/// let seconds = |n| Rule::once().window(Duration::from_secs(n));
/// let built = Rules::new(seconds(60)?)
///     .target("http", Rule::first(10)?)
///     .target_at("http::client", Level::Error, seconds(5)?)
///     .exempt_target("audit");
/// assert_eq!(rules, built);
/// assert_eq!(rules.to_string().parse(), Ok(rules));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A text has directives with commas between them:
///
/// | directive | stands for | sets |
/// |---|---|---|
/// | `rule` | [`Rules::new`] | the rule for events that no other fits |
/// | `60s` | [`Rule::window`] of that rule | its window, whichever of the two comes first |
/// | `level:rule` | [`Rules::level`] | the rule for a level |
/// | `target=rule` | [`Rules::target`] | the rule for a target and what is below it |
/// | `target=level:rule` | [`Rules::target_at`] | the rule for a level of that |
///
/// | rule | stands for |
/// |---|---|
/// | `once` | [`Rule::once`] |
/// | `first(10)` | [`Rule::first`] |
/// | `first(5)+100`, `first(5,100)` | [`Rule::first_then_every`] |
/// | `back_off(1h)` | [`Rule::back_off`] |
/// | any of these and `/5s` | the same with [`Rule::window`] |
/// | `5s` | `once/5s` |
/// | `exempt` | nothing is ever suppressed |
///
/// A duration is a whole number and a unit, `ms`, `s`, `m`, `h` or `d`, or a sum of them:
/// `1m30s`. A rule without a window has that of the cache: a leading `60s` is the window of the
/// default rule alone. A later directive replaces one for the same target and level. Capitals in
/// the names of rules and levels, and blanks around names and signs, do not matter. A target in a
/// text has no comma, no `=` and no parenthesis.
///
/// With the feature `serde`, rules are serialized and deserialized as this text, and a [`Rule`]
/// as its own. Serializing a target that no text can have is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    default: Rule,
    /// The entries without a target, except `default`.
    root: TargetRules,
    /// By the length of the target in bytes, the longest first: a look-up asks each length once.
    targets: Vec<(usize, BTreeMap<Box<str>, TargetRules>)>,
}

/// The rules for one target. An inner `None` exempts.
#[derive(Clone, Debug, Default, PartialEq)]
struct TargetRules {
    by_level: [Option<Option<Rule>>; Level::ALL.len()],
    others: Option<Option<Rule>>,
}

impl TargetRules {
    #[inline]
    fn find(&self, level: Level) -> Option<Option<Rule>> {
        self.by_level[level as usize - 1].or(self.others)
    }

    /// Returns the entries, the less specific first.
    fn entries(&self) -> impl Iterator<Item = (Option<Level>, Option<Rule>)> {
        let by_level = Level::ALL.into_iter().zip(self.by_level);
        let by_level = by_level.filter_map(|(level, rule)| Some((Some(level), rule?)));
        self.others.map(|rule| (None, rule)).into_iter().chain(by_level)
    }
}

impl Rules {
    /// Makes rules that have `default` for everything.
    #[must_use]
    pub fn new(default: Rule) -> Self {
        Self { default, ..Self::default() }
    }

    /// Sets the rule for a target and what is below it.
    #[must_use]
    pub fn target(self, target: &str, rule: Rule) -> Self {
        self.with(target, None, Some(rule))
    }

    /// Sets the rule for one level.
    #[must_use]
    pub fn level(self, level: Level, rule: Rule) -> Self {
        self.with("", Some(level), Some(rule))
    }

    /// Sets the rule for one level of a target and what is below it.
    #[must_use]
    pub fn target_at(self, target: &str, level: Level, rule: Rule) -> Self {
        self.with(target, Some(level), Some(rule))
    }

    /// Exempts a target and what is below it from suppression. Its events are counted in
    /// [`Stats::exempt`](crate::Stats::exempt).
    #[must_use]
    pub fn exempt_target(self, target: &str) -> Self {
        self.with(target, None, None)
    }

    /// Exempts a level from suppression. A rule that names a target is more specific.
    #[must_use]
    pub fn exempt_level(self, level: Level) -> Self {
        self.with("", Some(level), None)
    }

    /// Returns the rule for events that no entry fits.
    #[must_use]
    pub fn default_rule(&self) -> Rule {
        self.default
    }

    /// Returns whether everything has [`Rule::once`].
    pub(crate) fn is_once(&self) -> bool {
        self.default == Rule::once()
            && self.targets.is_empty()
            && self.root == TargetRules::default()
    }

    /// Replaces an entry for the same target and level.
    fn with(mut self, target: &str, level: Option<Level>, rule: Option<Rule>) -> Self {
        if let ("", None, Some(rule)) = (target, level, rule) {
            // The rule for everything has one place.
            self.default = rule;
            self.root.others = None;
            return self;
        }
        let own = if target.is_empty() {
            &mut self.root
        } else {
            let is_longer = |(length, _): &(usize, _)| *length > target.len();
            let at = self.targets.partition_point(is_longer);
            if self.targets.get(at).is_none_or(|(length, _)| *length != target.len()) {
                self.targets.insert(at, (target.len(), BTreeMap::new()));
            }
            self.targets[at].1.entry(target.into()).or_default()
        };
        match level {
            Some(level) => own.by_level[level as usize - 1] = Some(rule),
            None => own.others = Some(rule),
        }
        self
    }

    /// Returns the rule for an event; `None` if it is exempt. Allocates nothing. Looks up each
    /// part of the target that is as long as some entry's target.
    #[must_use]
    #[inline]
    pub fn find(&self, level: Level, target: &str) -> Option<Rule> {
        for (length, targets) in &self.targets {
            let own = parent(target, *length).and_then(|part| targets.get(part));
            if let Some(rule) = own.and_then(|own| own.find(level)) {
                return rule;
            }
        }
        self.root.find(level).unwrap_or(Some(self.default))
    }

    /// Returns all entries but the default, the least specific first.
    fn entries(&self) -> impl Iterator<Item = (&str, Option<Level>, Option<Rule>)> {
        let targets = self.targets.iter().rev().flat_map(|(_, targets)| targets);
        let targets = targets.map(|(target, own)| (&**target, own));
        [("", &self.root)]
            .into_iter()
            .chain(targets)
            .flat_map(|(target, own)| own.entries().map(move |(level, rule)| (target, level, rule)))
    }
}

impl From<Rule> for Rules {
    fn from(rule: Rule) -> Self {
        Self::new(rule)
    }
}

/// Returns the first `length` bytes of `target` if it is that path or below it.
#[inline]
fn parent(target: &str, length: usize) -> Option<&str> {
    let (parent, rest) = target.split_at_checked(length)?;
    let is_below = rest.is_empty() || rest.starts_with("::") || rest.starts_with('.');
    is_below.then_some(parent)
}

/// Shares rules that can be swapped while they are in use. Clones share the same rules: keep one,
/// give others to front ends.
///
/// ```
/// use quell::{Rule, Rules, SharedRules};
/// let rules = SharedRules::from(Rule::once());
/// // ... a front end gets `rules.clone()` ... and later, when somebody asks for more detail:
/// rules.set(Rule::first(100)?);
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// A swap loses no state: counts stay, and the new rule goes on from the window that an entry is
/// in.
#[derive(Clone, Debug)]
pub struct SharedRules(Arc<Swapped>);

#[derive(Debug)]
struct Swapped {
    rules: ArcSwap<Rules>,
    /// Is true only if everything has [`Rule::once`]; spares events the load of `rules`, two
    /// locked instructions.
    once: AtomicCell<bool>,
    /// Orders calls of `set`, so that the two agree in the end.
    setting: Mutex<()>,
}

impl SharedRules {
    /// Replaces the rules for the events from now on.
    pub fn set(&self, rules: impl Into<Rules>) {
        let rules = rules.into();
        let once = rules.is_once();
        let _setting = lock(&self.0.setting);
        self.0.once.store(false);
        self.0.rules.store(Arc::new(rules));
        self.0.once.store(once);
    }

    /// Returns the rules in force.
    #[must_use]
    pub fn get(&self) -> Arc<Rules> {
        self.0.rules.load_full()
    }

    /// Returns whether everything has [`Rule::once`]. May return `false` during a swap.
    #[inline]
    pub(crate) fn is_once(&self) -> bool {
        self.0.once.load()
    }

    /// Calls [`Rules::find`] of the rules in force.
    #[inline(never)]
    pub(crate) fn find(&self, level: Level, target: &str) -> Option<Rule> {
        self.0.rules.load().find(level, target)
    }
}

impl Default for SharedRules {
    fn default() -> Self {
        Rules::default().into()
    }
}

impl<T: Into<Rules>> From<T> for SharedRules {
    fn from(rules: T) -> Self {
        let rules = rules.into();
        Self(Arc::new(Swapped {
            once: AtomicCell::new(rules.is_once()),
            rules: ArcSwap::from_pointee(rules),
            setting: Mutex::default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Level::{Error, Info, Warn};

    /// Finds a rule as the documentation says it, entry by entry.
    fn specified(
        entries: &[(&str, Option<Level>, u32)],
        level: Level,
        target: &str,
    ) -> Option<Rule> {
        let is_end =
            |rest: &str| rest.is_empty() || rest.starts_with("::") || rest.starts_with('.');
        let fits =
            |parent: &str| parent.is_empty() || target.strip_prefix(parent).is_some_and(is_end);
        let fitting = entries
            .iter()
            .filter(|(parent, own, _)| fits(parent) && own.is_none_or(|own| own == level));
        let best = fitting.max_by_key(|(parent, own, _)| (parent.len(), own.is_some()));
        best.map_or(Some(Rule::once()), |(.., n)| Rule::first(*n).ok())
    }

    #[test]
    fn what_is_found_is_what_is_specified() {
        let long = "segment::".repeat(20);
        let targets = [
            "",
            "a",
            "a::b",
            "a.b",
            "ab",
            "a:",
            "a::",
            "b",
            "é",
            "é.a",
            &long[..61],
            &long[..63],
            &long[..72],
            &long,
        ];
        let levels = [None, Some(Error), Some(Info)];
        let all: Vec<_> = targets.iter().flat_map(|t| levels.map(|l| (*t, l))).collect();
        // Zero is out of range, and exempts.
        let entry = |n: usize| (all[n * 5 % all.len()].0, all[n * 5 % all.len()].1, n as u32 % 9);
        for from in 0..all.len() {
            for number in [1, 3, 8, 20] {
                let mut entries: Vec<_> = (from..from + number).map(entry).collect();
                entries.retain(|entry| (entry.0, entry.1) != ("", None));
                let rules = entries.iter().fold(Rules::default(), |rules, &(target, level, n)| {
                    rules.with(target, level, Rule::first(n).ok())
                });
                for target in targets.iter().flat_map(|t| [t.to_string(), format!("{t}::x")]) {
                    for level in [Error, Info, Warn] {
                        let expected = specified(&entries, level, &target);
                        assert_eq!(rules.find(level, &target), expected, "{target} {entries:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_later_entry_replaces_an_equal_one() {
        for target in ["", "a"] {
            let exempt = Rules::default().exempt_target(target);
            assert_eq!(exempt.find(Info, "a"), None);
            assert_eq!(exempt.target(target, Rule::once()).find(Info, "a"), Some(Rule::once()));
        }
        let exempt = Rules::default().exempt_target("");
        assert_eq!(exempt.target("", Rule::once()), Rules::default());
    }

    #[test]
    fn many_targets_are_no_burden() {
        // Minutes and days, were it quadratic and linear.
        let targets = (0..200_000).map(|n| format!("tenant{n}::store"));
        let rules = targets
            .clone()
            .fold(Rules::default(), |rules, target| rules.target(&target, Rule::first(2).unwrap()));
        for target in targets {
            assert_eq!(rules.find(Info, &format!("{target}::wal")), Rule::first(2).ok());
        }
    }
}
