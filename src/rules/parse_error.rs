//! What is wrong with a text of rules, and where.

use crate::names::nearest;
use crate::{ConfigError, Level, Rule};
use std::error::Error;
use std::fmt;

/// The names of rules.
pub(super) const NAMES: [&str; 4] = ["once", "first", "back_off", "exempt"];

/// A text is not one of [`Rules`](crate::Rules), or of a [`Rule`].
///
/// ```
/// use quell::{ParseRulesErrorKind, Rules};
///
/// let error = "60s,http=frist(10)".parse::<Rules>().unwrap_err();
/// assert_eq!((error.position, &error.text[..]), (9, "frist(10)"));
/// assert_eq!(error.kind, ParseRulesErrorKind::UnknownRule);
/// assert_eq!(
///     error.to_string(),
///     "at 9: unknown rule \"frist(10)\", perhaps \"first\"; known are once, first(10), \
///      first(5)+100, back_off(1h), exempt, a duration; a target stands before =",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseRulesError {
    /// Where the piece that is wrong begins, in bytes.
    pub position: usize,
    /// The piece; empty if something is missing there.
    pub text: String,
    /// What is wrong with it.
    pub kind: ParseRulesErrorKind,
    /// The variable of the environment that the text comes from, if it does.
    pub variable: Option<String>,
}

/// What is wrong with a text of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseRulesErrorKind {
    /// There is nothing before, between or after commas.
    MissingDirective,
    /// There is nothing before `=`.
    MissingTarget,
    /// There is no rule: after a sign, or after the level or target that is the piece.
    MissingRule,
    /// A target in a text has no comma and no parenthesis.
    BadTarget,
    /// No level has that name.
    UnknownLevel,
    /// No rule has that name.
    UnknownRule,
    /// What comes after the name of a rule is not as it must be.
    Malformed {
        /// How that rule is written.
        expected: &'static str,
    },
    /// It is not a number, or one that is too large for any use.
    BadNumber,
    /// It is not a duration, or one that is too long for any use.
    BadDuration,
    /// There is a window where none can be: of `exempt`, or a second one.
    StrayWindow,
    /// `exempt` where there must be a [`Rule`].
    Exempt,
    /// The rule cannot be made.
    Config(ConfigError),
    /// The variable of the environment is not Unicode.
    NotUnicode,
}

impl fmt::Display for ParseRulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ParseRulesErrorKind as Kind;
        if let Some(variable) = &self.variable {
            write!(f, "{variable}: ")?;
        }
        write!(f, "at {}: ", self.position)?;
        let text = &self.text;
        match &self.kind {
            Kind::MissingDirective => f.write_str("a rule or target is missing"),
            Kind::MissingTarget => f.write_str("the target before = is missing"),
            Kind::MissingRule if text.is_empty() => f.write_str("a rule is missing"),
            Kind::MissingRule => write!(f, "there is no rule for {text:?}"),
            Kind::BadTarget => {
                write!(f, "a target cannot be {text:?}: it has a comma or parenthesis")
            }
            Kind::UnknownLevel => {
                write!(f, "unknown level {text:?}")?;
                perhaps(f, text, &Level::ALL.map(Level::lowercase))?;
                f.write_str("; known are ")?;
                for (i, level) in Level::ALL.into_iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, level.lowercase())?;
                }
                Ok(())
            }
            Kind::UnknownRule => {
                write!(f, "unknown rule {text:?}")?;
                perhaps(f, text.split(['(', '/']).next().unwrap_or(text), &NAMES)?;
                f.write_str(
                    "; known are once, first(10), first(5)+100, back_off(1h), exempt, a duration; \
                     a target stands before =",
                )
            }
            Kind::Malformed { expected } => {
                write!(f, "cannot read {text:?}, which is written {expected}")
            }
            Kind::BadNumber => write!(f, "not a number from 1 to {}: {text:?}", Rule::MAX),
            Kind::BadDuration => write!(
                f,
                "cannot read the duration {text:?}, which is a number and ms, s, m, h or d, or a \
                 sum such as 1m30s"
            ),
            Kind::StrayWindow => write!(f, "no window can be here: {text:?}"),
            Kind::Exempt => write!(f, "{text:?} is no rule: it is for Rules alone"),
            Kind::Config(error) => write!(f, "{error}: {text:?}"),
            Kind::NotUnicode => write!(f, "not Unicode: {text:?}"),
        }
    }
}

fn perhaps(f: &mut fmt::Formatter<'_>, name: &str, known: &[&'static str]) -> fmt::Result {
    match nearest(&name.trim().to_ascii_lowercase(), known) {
        Some(known) => write!(f, ", perhaps {known:?}"),
        None => Ok(()),
    }
}

// Without a source: Display says all of it.
impl Error for ParseRulesError {}
