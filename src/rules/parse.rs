//! Rules as a text, whose grammar [`Rules`] has. The reader goes by pieces, which know their
//! place in the text, so that an error can point at it.

use self::ParseRulesErrorKind as Kind;
use super::rule::UNITS;
use super::{Rule, Rules};
use crate::error::nearest;
use crate::{ConfigError, Level};
use std::error::Error;
use std::str::FromStr;
use std::time::Duration;
use std::{env, fmt};

type Result<T> = std::result::Result<T, ParseRulesError>;

/// The signs that a target in a text cannot have: these end it, or belong to rules.
const SIGNS: [char; 4] = [',', '=', '(', ')'];

impl Rules {
    /// Reads rules from a variable of the environment. Returns `None` if it is not set or empty.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use quell::{Rule, Rules};
    /// let rules = Rules::from_env("MY_PROGRAM_QUELL")?.unwrap_or(Rules::new(Rule::first(10)?));
    /// # assert_eq!(rules, Rules::new(Rule::first(10)?));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ParseRulesError`], with the variable's name, if its value is not a text of rules.
    pub fn from_env(name: &str) -> Result<Option<Self>> {
        let Some(value) = env::var_os(name) else { return Ok(None) };
        let rules = match std::str::from_utf8(value.as_encoded_bytes()) {
            Ok(text) if text.trim().is_empty() => return Ok(None),
            Ok(text) => text.parse(),
            Err(error) => {
                let (at, lossy) = (error.valid_up_to(), value.to_string_lossy());
                Err(Piece { at, text: &lossy[at..] }.error(Kind::NotUnicode))
            }
        };
        let named = |error| ParseRulesError { variable: Some(name.into()), ..error };
        rules.map(Some).map_err(named)
    }
}

impl FromStr for Rules {
    type Err = ParseRulesError;

    /// Reads [the text of rules](Rules#the-text-of-rules).
    ///
    /// # Errors
    /// [`ParseRulesError`], which points at the first piece that is wrong.
    fn from_str(text: &str) -> Result<Self> {
        let mut reader = Reader::default();
        let mut rest = Piece { at: 0, text };
        loop {
            let mut is_inside = false;
            let end = rest.text.find(|c| {
                match c {
                    '(' => is_inside = true,
                    ')' => is_inside = false,
                    _ => {}
                }
                c == ',' && !is_inside
            });
            reader.directive(rest.to(end.unwrap_or(rest.text.len())))?;
            match end {
                Some(end) => rest = rest.from(end + 1),
                None => return reader.finish(),
            }
        }
    }
}

impl fmt::Display for Rules {
    /// Writes [the text of rules](Rules#the-text-of-rules). Reading it gives equal rules, unless
    /// a target has a comma, `=`, a parenthesis, or a blank at an end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.default.fmt(f)?;
        for (target, level, rule) in self.entries() {
            f.write_str(",")?;
            if !target.is_empty() {
                write!(f, "{target}=")?;
            }
            if let Some(level) = level {
                write!(f, "{}:", level.lowercase())?;
            }
            match rule {
                Some(rule) => rule.fmt(f)?,
                None => f.write_str("exempt")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Rule {
    type Err = ParseRulesError;

    /// Reads a rule of [the text of rules](Rules#the-text-of-rules).
    ///
    /// # Errors
    /// [`ParseRulesError`]; also for `exempt`, which is not a [`Rule`].
    fn from_str(text: &str) -> Result<Self> {
        let piece = Piece { at: 0, text }.trim();
        piece.rule()?.ok_or_else(|| piece.error(Kind::Exempt))
    }
}

/// The directives read so far.
#[derive(Default)]
struct Reader<'a> {
    rules: Rules,
    /// The window of the default rule, unless it has one of its own.
    window: Option<(Piece<'a>, Duration)>,
}

impl<'a> Reader<'a> {
    fn directive(&mut self, piece: Piece<'a>) -> Result<()> {
        let piece = piece.trim();
        if piece.text.is_empty() {
            return Err(piece.error(Kind::MissingDirective));
        }
        let Some((target, value)) = piece.split_once('=') else {
            return self.without_target(piece);
        };
        if target.text.is_empty() {
            return Err(target.error(Kind::MissingTarget));
        }
        if target.text.contains(SIGNS) {
            return Err(target.error(Kind::BadTarget));
        }
        self.add(target.text, value)
    }

    fn without_target(&mut self, piece: Piece<'a>) -> Result<()> {
        if piece.is_duration() && !piece.text.contains('/') {
            self.window = Some((piece, piece.duration()?));
            return Ok(());
        }
        if piece.text.contains("::") {
            // A path, not a level.
            return Err(piece.error(Kind::MissingRule));
        }
        self.add("", piece)
    }

    /// Adds `level:rule` or `rule`.
    fn add(&mut self, target: &str, value: Piece<'a>) -> Result<()> {
        let (level, rule) = match value.split_once(':') {
            None => (None, value.rule()?),
            Some((level, rule)) => match level.text.parse() {
                Ok(level) => (Some(level), rule.rule()?),
                Err(_) => return Err(level.error(Kind::UnknownLevel)),
            },
        };
        self.rules = std::mem::take(&mut self.rules).with(target, level, rule);
        Ok(())
    }

    fn finish(mut self) -> Result<Rules> {
        let default = self.rules.default;
        if let (false, Some((piece, window))) = (default.has_window(), self.window) {
            self.rules.default = piece.made(default.window(window))?;
        }
        Ok(self.rules)
    }
}

/// A part of the text, and where it begins.
#[derive(Clone, Copy)]
struct Piece<'a> {
    at: usize,
    text: &'a str,
}

impl<'a> Piece<'a> {
    fn to(self, end: usize) -> Self {
        Self { text: &self.text[..end], ..self }
    }

    fn from(self, begin: usize) -> Self {
        Self { at: self.at + begin, text: &self.text[begin..] }
    }

    fn trim(self) -> Self {
        let begin = self.text.len() - self.text.trim_start().len();
        let piece = self.from(begin);
        piece.to(piece.text.trim_end().len())
    }

    /// Splits at the first `sign`, which is a byte long.
    fn split_once(self, sign: char) -> Option<(Self, Self)> {
        let at = self.text.find(sign)?;
        Some((self.to(at).trim(), self.from(at + sign.len_utf8()).trim()))
    }

    fn error(self, kind: Kind) -> ParseRulesError {
        ParseRulesError { position: self.at, text: self.text.into(), kind, variable: None }
    }

    fn made<T>(self, made: std::result::Result<T, ConfigError>) -> Result<T> {
        made.map_err(|error| self.error(Kind::Config(error)))
    }

    /// Reads a rule, with its window if it has one; `None` exempts.
    fn rule(self) -> Result<Option<Rule>> {
        let (policy, window) = match self.split_once('/') {
            Some((policy, window)) => (policy, Some(window)),
            None => (self, None),
        };
        let rule = if policy.is_duration() { None } else { policy.policy()? };
        match (rule, window) {
            (Some(rule), Some(window)) => window.made(rule.window(window.duration()?)).map(Some),
            (None, Some(window)) => Err(window.error(Kind::StrayWindow)),
            (None, None) if policy.is_duration() => {
                policy.made(Rule::once().window(policy.duration()?)).map(Some)
            }
            (rule, None) => Ok(rule),
        }
    }

    /// Reads a rule without a window; `None` exempts.
    fn policy(self) -> Result<Option<Rule>> {
        let open = self.text.find('(');
        let name = self.to(open.unwrap_or(self.text.len())).trim();
        let Some(name) = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name.text))
        else {
            let is_level = self.text.parse::<Level>().is_ok();
            let is_missing = self.text.is_empty() || is_level;
            return Err(self.error(if is_missing { Kind::MissingRule } else { Kind::UnknownRule }));
        };
        let malformed = |expected| Err(self.error(Kind::Malformed { expected }));
        // The text between the parentheses, and after them.
        let arguments = open.and_then(|open| self.from(open + 1).split_once(')'));
        match (name, open, arguments) {
            ("once", None, _) => Ok(Some(Rule::once())),
            ("exempt", None, _) => Ok(None),
            ("once", ..) => malformed("once"),
            ("exempt", ..) => malformed("exempt"),
            ("back_off", _, Some((ceiling, Piece { text: "", .. }))) => {
                Ok(Some(ceiling.made(Rule::back_off(ceiling.duration()?))?))
            }
            ("back_off", ..) => malformed("back_off(1h)"),
            (_, _, Some((numbers, after))) => {
                let sum = after.text.strip_prefix('+').map(|_| (numbers, after.from(1).trim()));
                match (numbers.split_once(','), sum) {
                    (None, None) if after.text.is_empty() => {
                        Ok(Some(numbers.made(Rule::first(numbers.number()?))?))
                    }
                    (Some((n, every)), None) if after.text.is_empty() => n.first(every),
                    (None, Some((n, every))) => n.first(every),
                    _ => malformed(FIRST),
                }
            }
            _ => malformed(FIRST),
        }
    }

    fn first(self, every: Self) -> Result<Option<Rule>> {
        let n = self.number()?;
        // Checked alone first, so that the error points at the wrong number.
        self.made(Rule::first(n))?;
        Ok(Some(every.made(Rule::first_then_every(n, every.number()?))?))
    }

    fn number(self) -> Result<u32> {
        let is_number = self.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_number { self.text.parse().ok() } else { None };
        number.ok_or_else(|| self.error(Kind::BadNumber))
    }

    /// Returns whether it must be a duration: nothing else begins with a digit.
    fn is_duration(self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }

    fn duration(self) -> Result<Duration> {
        let millis = millis(self.text).ok_or_else(|| self.error(Kind::BadDuration))?;
        Ok(Duration::from_millis(millis))
    }
}

const FIRST: &str = "first(10), first(5)+100 or first(5,100)";

/// Reads a sum of numbers with units.
fn millis(mut text: &str) -> Option<u64> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut sum = 0u64;
    loop {
        let (number, rest) = text.split_at(text.find(|c| !is_digit(c))?);
        let (unit, rest) = rest.split_at(rest.find(is_digit).unwrap_or(rest.len()));
        let (_, length) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
        if rest.is_empty() {
            return Some(sum);
        }
        text = rest;
    }
}

/// The names of rules.
const NAMES: [&str; 4] = ["once", "first", "back_off", "exempt"];

/// The error for a text that is not one of [`Rules`], or of a [`Rule`].
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
    /// Where the wrong piece begins, in bytes.
    pub position: usize,
    /// The wrong piece; empty if something is missing there.
    pub text: String,
    /// Says what is wrong with it.
    pub kind: ParseRulesErrorKind,
    /// The variable of the environment that the text comes from, if any.
    pub variable: Option<String>,
}

/// The kinds of [`ParseRulesError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseRulesErrorKind {
    /// Nothing stands before, between or after commas.
    MissingDirective,
    /// Nothing stands before `=`.
    MissingTarget,
    /// No rule stands after a sign, or after the level or target that is the piece.
    MissingRule,
    /// A target in a text has no comma and no parenthesis.
    BadTarget,
    /// No level has that name.
    UnknownLevel,
    /// No rule has that name.
    UnknownRule,
    /// The text after the name of a rule cannot be read.
    Malformed {
        /// The form of that rule.
        expected: &'static str,
    },
    /// The piece is not a number, or too large a one.
    BadNumber,
    /// The piece is not a duration, or too long a one.
    BadDuration,
    /// A window stands where none can be: of `exempt`, or a second one.
    StrayWindow,
    /// `exempt` stands where a [`Rule`] must.
    Exempt,
    /// The rule cannot be made.
    Config(ConfigError),
    /// The variable of the environment is not Unicode.
    NotUnicode,
}

impl fmt::Display for ParseRulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
                write!(f, "; known are {}", Level::ALL.map(Level::lowercase).join(", "))
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

/// Serializes and deserializes rules as texts.
#[cfg(feature = "serde")]
mod serde {
    use super::{Rule, Rules, SIGNS};
    use serde_core::de::{Deserialize, Deserializer, Error, Visitor};
    use serde_core::ser::{Error as _, Serialize, Serializer};
    use std::fmt::{self, Display};
    use std::marker::PhantomData;
    use std::str::FromStr;

    impl Serialize for Rules {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let is_bad = |target: &&str| target.trim() != *target || target.contains(SIGNS);
            match self.entries().map(|(target, ..)| target).find(is_bad) {
                // The text would be read as other rules.
                Some(target) => Err(S::Error::custom(format_args!(
                    "no text of rules can have the target {target:?}"
                ))),
                None => serializer.collect_str(self),
            }
        }
    }

    impl Serialize for Rule {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Rules {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Text("a text of rules", PhantomData))
        }
    }

    impl<'de> Deserialize<'de> for Rule {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Text("a rule", PhantomData))
        }
    }

    /// Parses a string; holds the description of what is expected.
    struct Text<T>(&'static str, PhantomData<T>);

    impl<T: FromStr<Err: Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
}
