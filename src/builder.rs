//! Configuration of a cache, checked when it is built.

use crate::engine::{self, Engine, Epoch, Faults, Reclaim, Shape};
use crate::{Cache, Clock, Monotonic, Rule, Secret};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Builds a [`Cache`]; start with [`Cache::builder`].
///
/// ```
/// use quell::{Cache, Coarse};
/// use std::time::Duration;
/// let cache = Cache::builder()
///     .window(Duration::from_secs(10))
///     .max_entries(4096)
///     .clock(Coarse::new())
///     .build()?;
/// # Ok::<(), quell::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder<C = Monotonic, R = Epoch> {
    window: Duration,
    max_entries: usize,
    clock: C,
    secret: Option<Secret>,
    tiny: Option<Shape>,
    faults: Faults,
    reclaim: PhantomData<fn() -> R>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            window: Duration::from_secs(60),
            max_entries: 1024,
            clock: Monotonic::new(),
            secret: None,
            tiny: None,
            faults: Faults::default(),
            reclaim: PhantomData,
        }
    }
}

impl<C: Clock, R: Reclaim> Builder<C, R> {
    /// How long a message stays suppressed after an emission; 60 seconds unless
    /// set. Rounded up to a millisecond.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many different messages are remembered at least; 1024 unless set.
    ///
    /// A message in its window is forgotten only after this many *other*
    /// messages were seen without a sight of it. (Or fewer, if 64 of them crowd the
    /// same places; the odds are below one in a million generations.) It costs
    /// about 200 bytes an entry, 500 kB at least: see [`Cache::memory_bound`].
    pub fn max_entries(mut self, max_entries: usize) -> Self {
        self.max_entries = max_entries;
        self
    }

    /// Where [`Cache::check`] takes its time from; [`Monotonic`] unless set.
    pub fn clock<D: Clock>(self, clock: D) -> Builder<D, R> {
        Builder {
            window: self.window,
            max_entries: self.max_entries,
            clock,
            secret: self.secret,
            tiny: self.tiny,
            faults: self.faults,
            reclaim: PhantomData,
        }
    }

    /// How a table waits for the threads that still read it; [`Epoch`] unless
    /// set.
    pub fn reclaim<Q: Reclaim>(self) -> Builder<C, Q> {
        Builder {
            window: self.window,
            max_entries: self.max_entries,
            clock: self.clock,
            secret: self.secret,
            tiny: self.tiny,
            faults: self.faults,
            reclaim: PhantomData,
        }
    }

    /// The key of the hash; [`Secret::random`] unless set.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Tables of `groups` groups of four slots, `claims` claims a generation and
    /// `hand_over` entries handed over at most, in place of `max_entries`: for tests
    /// and models, whose rotations must fall inside their races. Not for use: it
    /// forgets at once.
    #[doc(hidden)]
    pub fn tiny(mut self, groups: usize, claims: usize, hand_over: usize) -> Self {
        self.tiny = Some(Shape::tiny(groups, claims, hand_over));
        self
    }

    /// Leaves a step of the protocol out, for a negative control.
    #[cfg(any(loom, quell_faults))]
    #[doc(hidden)]
    pub fn fault(mut self, fault: engine::Fault) -> Self {
        self.faults = Faults::only(fault);
        self
    }

    /// Builds the cache. All memory that it will ever use, exemplars aside, is
    /// allocated here, as zeroed pages that the system provides as they are
    /// touched.
    ///
    /// # Errors
    /// [`ConfigError`] says which value cannot be used.
    pub fn build(self) -> Result<Cache<C, R>, ConfigError> {
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
            Self::OutOfMemory { bytes } => write!(f, "cannot allocate {bytes} bytes for the tables"),
            Self::RuleOutOfRange { asked } => {
                write!(f, "a rule's number is {asked}, not from 1 to {}", Rule::MAX)
            }
            Self::ZeroCeiling => f.write_str("the ceiling of a back-off must be longer than zero"),
            Self::CeilingBelowWindow { ceiling, window } => {
                write!(f, "the ceiling of a back-off, {ceiling:?}, is below its window of {window:?}")
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
