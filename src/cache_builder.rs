//! Configuration of a cache, checked when it is built.

use crate::clock::window_millis;
use crate::engine::{Engine, Faults, Shape};
use crate::{Cache, Clock, Coarse, ConfigError, Secret};
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
#[derive(Debug, Clone)]
#[must_use]
pub struct CacheBuilder<C = Coarse> {
    window: Duration,
    max_entries: usize,
    clock: C,
    secret: Option<Secret>,
    last_repeat: bool,
    tiny: Option<Shape>,
    faults: Faults,
}

impl Cache {
    /// Returns a builder with the defaults: 60 seconds, 1024 entries, [`Coarse`], a random
    /// secret.
    pub fn builder() -> CacheBuilder {
        CacheBuilder {
            window: Duration::from_secs(60),
            max_entries: 1024,
            clock: Coarse::new(),
            secret: None,
            last_repeat: false,
            tiny: None,
            faults: Faults::default(),
        }
    }
}

impl<C: Clock> CacheBuilder<C> {
    /// Sets how long a message stays suppressed after an emission; 60 seconds unless
    /// set. Rounded up to a millisecond.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how many different messages are remembered at least; 1024 unless set.
    ///
    /// A message in its window is forgotten only to make room, after about this many *other*
    /// messages have been seen since it last occurred, and is then counted in
    /// [`Stats::forgotten`](crate::Stats::forgotten). [`Cache::memory_bound`] returns the cost.
    pub fn max_entries(mut self, max_entries: usize) -> Self {
        self.max_entries = max_entries;
        self
    }

    /// Sets the clock that [`Cache::check`] reads; [`Coarse`] unless set. See [`Clock`].
    pub fn clock<D: Clock>(self, clock: D) -> CacheBuilder<D> {
        let Self { window, max_entries, clock: _, secret, last_repeat, tiny, faults } = self;
        CacheBuilder { window, max_entries, clock, secret, last_repeat, tiny, faults }
    }

    /// Sets the key of the hash; [`Secret::random`] unless set.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Sets whether to keep when the last suppressed call of each message was, for
    /// [`Summary::last`](crate::Summary::last) and [`Decision::Emit`](crate::Decision::Emit); off
    /// unless set, or a front end is built over the cache. It takes 20 bytes for each of
    /// [`max_entries`](Self::max_entries).
    ///
    /// ```
    /// use quell::{Cache, Fingerprint, Tick};
    /// let cache = Cache::builder().last_repeat(true).build()?;
    /// for millis in [0, 10, 2000] {
    ///     let _ = cache.check_at(Fingerprint::from_u128(7), Tick::from_millis(millis));
    /// }
    /// cache.drain(|summary| assert_eq!(summary.last, Some(Tick::from_millis(2000))));
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    pub fn last_repeat(mut self, on: bool) -> Self {
        self.last_repeat = on;
        self
    }

    /// Makes the table `buckets` buckets of four slots, two at least, in place of `max_entries`.
    /// For tests and models only, whose evictions must fall inside their races: it forgets at
    /// once.
    #[doc(hidden)]
    pub fn tiny(mut self, buckets: usize) -> Self {
        self.tiny = Some(Shape::tiny(buckets));
        self
    }

    /// Leaves a step of the protocol out, for a negative control.
    #[cfg(any(loom, quell_faults))]
    #[doc(hidden)]
    pub fn fault(mut self, fault: crate::engine::Fault) -> Self {
        self.faults = Faults::only(fault);
        self
    }

    /// Builds the cache. Allocates its table, as zeroed pages that the system provides as they are
    /// touched.
    ///
    /// # Errors
    /// [`ConfigError`] says which value cannot be used.
    pub fn build(self) -> Result<Cache<C>, ConfigError> {
        let window = window_millis(self.window)?;
        let shape = match self.max_entries {
            0 => return Err(ConfigError::ZeroEntries),
            1..=ConfigError::MAX_ENTRIES => {
                self.tiny.unwrap_or_else(|| Shape::of(self.max_entries))
            }
            asked => return Err(ConfigError::TooManyEntries { asked }),
        };
        let engine = Engine::new(shape, window, self.faults)?;
        if self.last_repeat {
            engine.keep_last()?;
        }
        Ok(Cache::from_parts(engine, self.clock, self.secret.unwrap_or_else(Secret::random)))
    }
}
