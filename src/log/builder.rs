//! Configuration of a wrapped logger.

use super::{Dedup, InitError, Key};
use crate::front::Front;
use crate::{Cache, Clock, Coarse, Fields, Guard, SharedRules, install_panic_hook};
use log::{LevelFilter, Log};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`Dedup`]; start with [`Dedup::builder`].
#[must_use]
pub struct Builder<L: Log, C: Clock = Coarse> {
    front: Front<C>,
    inner: L,
    fields: Fields,
    key: Key,
    interval: Duration,
}

impl<L: Log, C: Clock> Builder<L, C> {
    pub(super) fn new(cache: Arc<Cache<C>>, inner: L) -> Self {
        Self {
            front: Front::new(cache),
            inner,
            fields: Fields::all(),
            key: Key::default(),
            interval: Duration::from_secs(1),
        }
    }

    /// What to do with which records, by level and target; one per window unless set. A clone
    /// of the [`SharedRules`] that are given can change them later.
    pub fn rules(mut self, rules: impl Into<SharedRules>) -> Self {
        self.front.rules = rules.into();
        self
    }

    /// Which key-values tell records apart; all unless set.
    pub fn fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// What else tells records apart; [`Key::Event`] unless set.
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Whether to log a notice when suppression of a message starts; not unless set.
    pub fn notices(mut self, on: bool) -> Self {
        self.front.notices = on;
        self
    }

    /// Counts with the [`metrics`](https://docs.rs/metrics) facade, with the recorder that
    /// is installed by now and the label `front_end` = `log`.
    ///
    /// | name | kind | labels |
    /// |---|---|---|
    /// | `quell_events_total` | counter | `outcome`: `emitted`, `suppressed`, `failed_open`, `exempt`; `level`; `front_end` |
    /// | `quell_entries`, `quell_capacity`, `quell_forgotten` | gauges of the whole cache, set by each report | `front_end` |
    #[cfg(feature = "metrics")]
    pub fn metrics(mut self) -> Self {
        self.front.meters = Some(crate::metrics::Meters::register("log"));
        self
    }

    /// How often the guard's thread looks for messages whose window has ended; one second unless
    /// set. Zero is an error of [`init`](Self::init) and of [`Dedup::guard`].
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The wrapped logger, for a place of your own; see [`Dedup::guard`].
    pub fn build(self) -> Dedup<L, C> {
        Dedup::from_parts(self.front, self.inner, self.fields, self.key, self.interval)
    }

    /// Makes it the program's logger, sets the maximum level, and installs the
    /// [panic hook](crate::install_panic_hook).
    ///
    /// # Errors
    /// [`InitError::Logger`] if the program has a logger already; [`InitError::Reporter`] if the
    /// interval is zero or the reporter's thread cannot be started. Nothing is installed then.
    pub fn init(self, max: LevelFilter) -> Result<Guard, InitError>
    where
        L: 'static,
    {
        let dedup = self.build();
        // Before the logger, which cannot be taken back.
        let guard = dedup.guard()?;
        log::set_boxed_logger(Box::new(dedup))?;
        log::set_max_level(max);
        install_panic_hook();
        Ok(guard)
    }
}

impl<L: Log, C: Clock> fmt::Debug for Builder<L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("rules", &self.front.rules)
            .field("fields", &self.fields)
            .field("key", &self.key)
            .field("notices", &self.front.notices)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
