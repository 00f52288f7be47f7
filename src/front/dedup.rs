//! The wrapper for loggers of `log` and `slog`.

use super::Builder;
use super::core::{Core, Inner};
use crate::{Cache, Clock, Coarse, Guard, InitError, Namespace, SharedRules};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// Lets the first of each message through to the logger that it wraps. Its drop writes what is
/// pending.
pub struct Dedup<I: Inner, C: Clock = Coarse> {
    core: Arc<Core<I, C>>,
}

// User code never runs while our state is inconsistent.
impl<I: Inner, C: Clock> UnwindSafe for Dedup<I, C> {}
impl<I: Inner, C: Clock> RefUnwindSafe for Dedup<I, C> {}

impl<I: Inner, C: Clock> Dedup<I, C> {
    pub(crate) fn new(builder: Builder<I, C>) -> Self {
        Self { core: Arc::new(Core::new(builder)) }
    }

    /// Starts the thread that writes summaries. The guard does not keep the logger alive.
    ///
    /// # Errors
    /// [`InitError::Config`] if the [interval](Builder::interval) is too short or there are
    /// [too many sinks](crate::ConfigError::OutOfNamespaces), [`InitError::Thread`] if the thread
    /// cannot be started.
    pub fn guard(&self) -> Result<Guard, InitError>
    where
        I: 'static,
    {
        self.core.guard()
    }

    /// Returns the wrapped logger.
    #[must_use]
    pub fn inner(&self) -> &I::Wrapped {
        self.core.inner.wrapped()
    }

    /// Returns the cache that decides.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache<C>> {
        &self.core.decider.cache
    }

    /// Returns the namespace of its counts.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.core.decider.namespace
    }

    /// Returns its rules, to be changed while it is in use.
    #[must_use]
    pub fn rules(&self) -> &SharedRules {
        &self.core.decider.settings.rules
    }

    /// Forwards a record, or counts it.
    #[inline]
    pub(crate) fn log_record(&self, record: &I::Record<'_>) -> Result<(), I::Error> {
        self.core.log(record)
    }

    /// Writes summaries of all that is pending, then calls `flush`. Does neither if nested too
    /// deep.
    pub(crate) fn flush_with<T>(&self, flush: impl FnOnce(&I::Wrapped) -> T) -> Option<T> {
        self.core.flush_with(flush)
    }
}

impl<I: Inner, C: Clock> fmt::Debug for Dedup<I, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
