//! Configuration of a cache, checked when it is built.

use crate::engine::{self, Engine, Faults, Shape};
use crate::{Cache, Clock, Coarse, Rule, Secret};
use std::fmt;
use std::time::Duration;

/// Builds a [`Cache`]; start with [`Cache::builder`].
///
/// ```
/// use quell::{Cache, Monotonic};
/// use std::time::Duration;
/// let cache = Cache::builder()
///     .window(Duration::from_secs(10))
///     .max_entries(4096)
///     .clock(Monotonic::new())
///     .build()?;
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// The collector that frees what other threads may still read is chosen at compile time:
/// crossbeam-epoch or, with the feature `seize`, seize.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder<C = Coarse> {
    window: Duration,
    max_entries: usize,
    clock: C,
    secret: Option<Secret>,
    tiny: Option<Shape>,
    faults: Faults,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            window: Duration::from_secs(60),
            max_entries: 1024,
            clock: Coarse::new(),
            secret: None,
            tiny: None,
            faults: Faults::default(),
        }
    }
}

impl<C: Clock> Builder<C> {
    /// Sets how long a message stays suppressed after an emission; 60 seconds unless
    /// set. Rounded up to a millisecond.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how many different messages are remembered at least; 1024 unless set.
    ///
    /// A message in its window is forgotten only to make room, after about this many *other*
    /// messages were seen without a sight of it. [`Stats::forgotten`](crate::Stats::forgotten)
    /// counts these. [`Cache::memory_bound`] says what it costs.
    pub fn max_entries(mut self, max_entries: usize) -> Self {
        self.max_entries = max_entries;
        self
    }

    /// Sets where [`Cache::check`] takes its time from; [`Coarse`] unless set.
    ///
    /// Take [`Monotonic`](crate::Monotonic) if the few milliseconds that `Coarse` is late matter.
    pub fn clock<D: Clock>(self, clock: D) -> Builder<D> {
        Builder {
            window: self.window,
            max_entries: self.max_entries,
            clock,
            secret: self.secret,
            tiny: self.tiny,
            faults: self.faults,
        }
    }

    /// Sets the key of the hash; [`Secret::random`] unless set.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Makes the table `buckets` buckets of four slots, two at least, in place of
    /// `max_entries`: for tests and models, whose evictions must fall inside their races.
    /// Not for use: it forgets at once.
    #[doc(hidden)]
    pub fn tiny(mut self, buckets: usize) -> Self {
        self.tiny = Some(Shape::tiny(buckets));
        self
    }

    /// Leaves a step of the protocol out, for a negative control.
    #[cfg(any(loom, quell_faults))]
    #[doc(hidden)]
    pub fn fault(mut self, fault: engine::Fault) -> Self {
        self.faults = Faults::only(fault);
        self
    }

    /// Builds the cache. The memory of its table is allocated here, as zeroed pages that the
    /// system provides as they are touched.
    ///
    /// # Errors
    /// [`ConfigError`] says which value cannot be used.
    pub fn build(self) -> Result<Cache<C>, ConfigError> {
        let window = window_millis(self.window)?;
        let shape = match self.max_entries {
            0 => return Err(ConfigError::ZeroEntries),
            1..=engine::MAX_ENTRIES => self.tiny.unwrap_or_else(|| Shape::of(self.max_entries)),
            asked => return Err(ConfigError::TooManyEntries { asked }),
        };
        let engine = Engine::new(shape, window, self.faults)?;
        Ok(Cache::from_parts(engine, self.clock, self.secret.unwrap_or_else(Secret::random)))
    }
}

/// A window in ticks, rounded up. At most `u64::MAX`, which never ends.
pub(crate) fn window_millis(window: Duration) -> Result<u64, ConfigError> {
    if window.is_zero() {
        return Err(ConfigError::ZeroWindow);
    }
    let rounded_up = window.as_nanos().div_ceil(1_000_000);
    Ok(u64::try_from(rounded_up).unwrap_or(u64::MAX))
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The window is zero: nothing would ever be suppressed.
    ZeroWindow,
    /// `max_entries` is zero.
    ZeroEntries,
    /// `max_entries` is above [`ConfigError::MAX_ENTRIES`].
    TooManyEntries {
        /// What was asked for.
        asked: usize,
    },
    /// The memory for the tables could not be allocated.
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: usize,
    },
    /// The interval of a reporter is zero.
    ZeroInterval,
    /// A rule's number is zero or above [`Rule::MAX`].
    RuleOutOfRange {
        /// What was asked for.
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
    pub const MAX_ENTRIES: usize = engine::MAX_ENTRIES;
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroWindow => f.write_str("the window must be longer than zero"),
            Self::ZeroEntries => f.write_str("max_entries must be at least 1"),
            Self::TooManyEntries { asked } => {
                write!(f, "max_entries is {asked}, above the limit of {}", Self::MAX_ENTRIES)
            }
            Self::OutOfMemory { bytes } => {
                write!(f, "cannot allocate {bytes} bytes for the tables")
            }
            Self::RuleOutOfRange { asked } => {
                write!(f, "a rule's number is {asked}, not from 1 to {}", Rule::MAX)
            }
            Self::ZeroCeiling => f.write_str("the ceiling of a back-off must be longer than zero"),
            Self::CeilingBelowWindow { ceiling, window } => {
                write!(
                    f,
                    "the ceiling of a back-off, {ceiling:?}, is below its window of {window:?}"
                )
            }
            Self::ZeroInterval => f.write_str("the reporting interval must be longer than zero"),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_rounded_up_and_never_zero() {
        assert_eq!(window_millis(Duration::ZERO), Err(ConfigError::ZeroWindow));
        assert_eq!(window_millis(Duration::from_nanos(1)), Ok(1));
        assert_eq!(window_millis(Duration::from_micros(1001)), Ok(2));
        assert_eq!(window_millis(Duration::from_secs(60)), Ok(60_000));
        assert_eq!(window_millis(Duration::MAX), Ok(u64::MAX));
    }
}
