//! The errors of configuration and set-up, and the name that a misspelt one was meant to be.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

/// The largest number that a rule takes.
pub(crate) const MAX_RULE: u32 = 500_000;

/// The reason why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The window is zero: nothing would ever be suppressed.
    ZeroWindow,
    /// `max_entries` is zero.
    ZeroEntries,
    /// `max_entries` is above [`ConfigError::MAX_ENTRIES`].
    TooManyEntries {
        /// The number that was asked for.
        asked: usize,
    },
    /// The memory for the tables could not be allocated.
    OutOfMemory {
        /// The number of bytes that were asked for.
        bytes: usize,
    },
    /// The interval of a [`Guard`](crate::Guard) is below
    /// [`Guard::MIN_INTERVAL`](crate::Guard::MIN_INTERVAL).
    IntervalTooShort {
        /// The interval that was asked for.
        asked: Duration,
    },
    /// The cache has 65,534 sinks, as many as it can have.
    OutOfNamespaces,
    /// A rule's number is zero or above [`Rule::MAX`](crate::Rule::MAX).
    RuleOutOfRange {
        /// The number that was asked for.
        asked: u32,
    },
    /// The ceiling of a rule that backs off is zero.
    ZeroCeiling,
    /// The ceiling of a rule that backs off is below the rule's own window.
    CeilingBelowWindow {
        /// The ceiling.
        ceiling: Duration,
        /// The window.
        window: Duration,
    },
}

impl ConfigError {
    /// The largest `max_entries`.
    pub const MAX_ENTRIES: usize = 1 << 28;
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroWindow => f.write_str("the window must be longer than zero"),
            Self::ZeroEntries => f.write_str("max_entries must be at least 1"),
            Self::TooManyEntries { asked } => {
                write!(f, "max_entries must be at most {}, got {asked}", Self::MAX_ENTRIES)
            }
            Self::OutOfMemory { bytes } => {
                write!(f, "cannot allocate {bytes} bytes for the tables")
            }
            Self::OutOfNamespaces => f.write_str("a cache can have 65534 sinks at a time"),
            Self::RuleOutOfRange { asked } => {
                write!(f, "a rule's number must be from 1 to {}, got {asked}", MAX_RULE)
            }
            Self::ZeroCeiling => f.write_str("the ceiling of a back-off must be longer than zero"),
            Self::CeilingBelowWindow { ceiling, window } => {
                write!(
                    f,
                    "the ceiling of a back-off, {ceiling:?}, is below its window of {window:?}"
                )
            }
            Self::IntervalTooShort { asked } => write!(
                f,
                "the interval of a guard must be at least {:?}, got {asked:?}",
                crate::Guard::MIN_INTERVAL
            ),
        }
    }
}

impl Error for ConfigError {}

/// The reason why a front end cannot be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// A setting cannot be used.
    Config(ConfigError),
    /// The thread that writes summaries cannot be started.
    Thread(io::Error),
    /// The program has a logger or a subscriber already.
    Taken(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "cannot start the thread for summaries: {error}"),
            Self::Taken(error) => write!(f, "cannot install the logger: {error}"),
        }
    }
}

impl Error for InitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Config(_) => None,
            Self::Thread(error) => Some(error),
            Self::Taken(error) => Some(&**error),
        }
    }
}

impl From<ConfigError> for InitError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// Returns the name of `known` that was probably meant by `name`.
pub(crate) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // A text this long is no misspelt name, and the search would take long.
    if name.len() > 64 {
        return None;
    }
    let begins = |known: &&str| {
        name.len() > 1 && !known.is_empty() && (known.starts_with(name) || name.starts_with(known))
    };
    let near = || {
        known.iter().copied().min_by_key(|known| edit_distance(name, known)).filter(|known| {
            let distance = edit_distance(name, known);
            distance <= 2 && distance < name.len().min(known.len())
        })
    };
    known.iter().copied().find(begins).or_else(near)
}

/// Returns how many bytes must be inserted, removed or changed to turn `a` into `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
