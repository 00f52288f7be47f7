//! Rules by level and target.

mod parse;
mod parse_error;
mod rule;
#[cfg(feature = "serde")]
mod serde;
mod shared;

pub use parse_error::{ParseRulesError, ParseRulesErrorKind};
pub use rule::Rule;
pub(crate) use rule::RuleState;
pub use shared::SharedRules;

use crate::Level;

/// Which [`Rule`] holds for which events, by level and target.
///
/// A target stands for itself and for what is below it: `store` for `store`,
/// `store::wal` and `store.wal`, not for `storefront`. Of several entries that fit, the
/// most specific holds: the longest target, and with equal targets the one that names a
/// level. What fits none has the default rule.
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
/// They are read from a text and written as one, for a variable of the environment
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
/// # The text of rules
///
/// Directives with commas between them:
///
/// | directive | stands for | sets |
/// |---|---|---|
/// | `rule` | [`Rules::new`] | the rule for what no other fits |
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
/// `1m30s`. A rule without a window has that of the cache, also where the text begins with
/// `60s`: this is the window of the rule for what no other fits, and of no other rule. A later
/// directive replaces one for the same target and level. Capitals in the names of rules and
/// levels, and blanks around names and signs, do not matter. A target in a text has no comma,
/// no `=` and no parenthesis.
///
/// With the feature `serde`, rules are serialized and deserialized as this text, and a
/// [`Rule`] as its own. Rules with a target that no text can have are an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    default: Rule,
    /// The most specific ones first.
    entries: Vec<RuleEntry>,
}

#[derive(Clone, Debug, PartialEq)]
struct RuleEntry {
    target: Box<str>,
    level: Option<Level>,
    /// `None` exempts.
    rule: Option<Rule>,
}

impl Rules {
    /// `default` for everything.
    #[must_use]
    pub fn new(default: Rule) -> Self {
        Self { default, entries: Vec::new() }
    }

    /// `rule` for a target and what is below it.
    #[must_use]
    pub fn target(self, target: &str, rule: Rule) -> Self {
        self.with(target, None, Some(rule))
    }

    /// `rule` for one level.
    #[must_use]
    pub fn level(self, level: Level, rule: Rule) -> Self {
        self.with("", Some(level), Some(rule))
    }

    /// `rule` for one level of a target and what is below it.
    #[must_use]
    pub fn target_at(self, target: &str, level: Level, rule: Rule) -> Self {
        self.with(target, Some(level), Some(rule))
    }

    /// Never suppresses anything of a target, or below it. It is still counted:
    /// [`Stats::exempt`](crate::Stats::exempt).
    #[must_use]
    pub fn exempt_target(self, target: &str) -> Self {
        self.with(target, None, None)
    }

    /// Never suppresses anything of a level. (A rule or an exemption that names a target is
    /// more specific.)
    #[must_use]
    pub fn exempt_level(self, level: Level) -> Self {
        self.with("", Some(level), None)
    }

    /// The rule for what no other fits.
    #[must_use]
    pub fn default_rule(&self) -> Rule {
        self.default
    }

    /// Whether they are [`Rule::once`] for everything.
    pub(crate) fn is_once(&self) -> bool {
        self.entries.is_empty() && self.default == Rule::once()
    }

    /// Replaces an entry for the same target and level.
    fn with(mut self, target: &str, level: Option<Level>, rule: Option<Rule>) -> Self {
        self.entries.retain(|entry| (&*entry.target, entry.level) != (target, level));
        if let ("", None, Some(rule)) = (target, level, rule) {
            // For everything: there is one place for that.
            self.default = rule;
            return self;
        }
        let weight = |target: &str, level: Option<Level>| (target.len(), level.is_some());
        let at = self
            .entries
            .partition_point(|entry| weight(&entry.target, entry.level) > weight(target, level));
        self.entries.insert(at, RuleEntry { target: target.into(), level, rule });
        self
    }

    /// The rule for an event; `None` if it is exempt. Allocates nothing; looks at each
    /// entry.
    #[must_use]
    #[inline]
    pub fn find(&self, level: Level, target: &str) -> Option<Rule> {
        for entry in &self.entries {
            if entry.level.is_none_or(|own| own == level) && is_below(target, &entry.target) {
                return entry.rule;
            }
        }
        Some(self.default)
    }
}

impl From<Rule> for Rules {
    fn from(rule: Rule) -> Self {
        Self::new(rule)
    }
}

/// Whether `target` is `parent` or below it.
fn is_below(target: &str, parent: &str) -> bool {
    let Some(rest) = target.strip_prefix(parent) else { return false };
    parent.is_empty() || rest.is_empty() || rest.starts_with("::") || rest.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use Level::{Error, Info, Warn};

    #[test]
    fn targets_are_paths() {
        for (target, parent, below) in [
            ("a", "a", true),
            ("a::b", "a", true),
            ("a.b", "a", true),
            ("ab", "a", false),
            ("a", "a::b", false),
            ("", "a", false),
            ("a", "", true),
            ("", "", true),
        ] {
            assert_eq!(is_below(target, parent), below, "{target} below {parent}");
        }
    }

    #[test]
    fn the_most_specific_rule_holds_in_any_order() {
        let rule = |n| Rule::first(n).unwrap();
        let add: [fn(Rules, Rule) -> Rules; 4] = [
            |rules, rule| rules.level(Error, rule),
            |rules, rule| rules.target("a", rule),
            |rules, rule| rules.target_at("a", Error, rule),
            |rules, rule| rules.target("a::b", rule),
        ];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let rules =
                order.iter().fold(Rules::default(), |rules, &i| add[i](rules, rule(i as u32 + 2)));
            assert_eq!(rules.find(Info, "c"), Some(Rule::once()));
            assert_eq!(rules.find(Error, "c"), Some(rule(2)));
            assert_eq!(rules.find(Warn, "a::c"), Some(rule(3)));
            assert_eq!(rules.find(Error, "a"), Some(rule(4)));
            assert_eq!(
                rules.find(Error, "a::b::c"),
                Some(rule(5)),
                "a longer target beats a level"
            );
        }
    }

    #[test]
    fn a_later_entry_replaces_an_equal_one() {
        let rules = Rules::default().exempt_target("a").target("a", Rule::first(2).unwrap());
        assert_eq!(rules.find(Info, "a"), Some(Rule::first(2).unwrap()));
    }
}
