//! Deduplication of a subscriber: wraps its layers.

use super::key::{FieldNames, Options};
use super::layer::{DedupLayer, PassProbe};
use super::state::Shared;
use crate::{Cache, Clock, Coarse, ConfigError, FingerprintHasher, Guard, InitError};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use tracing_core::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

/// Builds a [`Dedup`]; start with [`Dedup::builder`].
pub type Builder<C = Coarse> = crate::front::Builder<Options, C>;

impl<C: Clock> Builder<C> {
    /// Sets which fields of the spans around an event belong to its key; none unless set.
    ///
    /// An inner span's field shadows an outer one's. A field of the event itself shadows both, if
    /// it belongs to the key. Spans that a filter keeps from the layer do not count. Values are
    /// hashed when they are recorded, and kept for summaries.
    pub fn span_fields<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.inner.span_fields = FieldNames::new(names);
        self
    }

    /// Sets a key of your own, in place of [`Key`](crate::Key): two events are the same message
    /// if `write` writes the same. If it panics, the event passes. It must not call tracing's
    /// macros.
    ///
    /// ```
    /// # let cache = std::sync::Arc::new(quell::Cache::builder().build()?);
    /// let dedup = quell::front::tracing::Dedup::builder(cache)
    ///     .custom_key(|event, hasher| {
    ///         hasher.bytes(event.metadata().file().unwrap_or_default().as_bytes());
    ///     })
    ///     .build();
    /// # drop(dedup);
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    pub fn custom_key(
        mut self,
        write: impl Fn(&Event<'_>, &mut FingerprintHasher) + Send + Sync + 'static,
    ) -> Self {
        self.inner.custom_key = Some(Arc::new(write));
        self
    }

    /// Returns the `Dedup`.
    #[must_use]
    pub fn build(self) -> Dedup<C> {
        Dedup { shared: Arc::new(Shared::new(self)) }
    }
}

/// Deduplicates the events of the layers that it wraps. Make one for each subscriber; several may
/// share a cache.
///
/// ```
/// use quell::{Cache, front::tracing::Dedup};
/// use tracing_subscriber::{filter::LevelFilter, fmt, prelude::*, registry};
/// use std::sync::Arc;
///
/// let dedup = Dedup::new(Arc::new(Cache::builder().build()?));
/// registry()
///     .with(dedup.wrap(fmt::layer().with_writer(std::io::stderr)))
///     .with(dedup.wrap_filtered(LevelFilter::WARN, fmt::layer().with_writer(std::io::sink)))
///     .init();
/// let _guard = dedup.guard()?; // writes the summaries, the last of them when it is dropped
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The layers, the guard and this value may be dropped in any order.
pub struct Dedup<C: Clock = Coarse> {
    shared: Arc<Shared<C>>,
}

// User code never runs while our state is inconsistent.
impl<C: Clock> UnwindSafe for Dedup<C> {}
impl<C: Clock> RefUnwindSafe for Dedup<C> {}

impl<C: Clock> Dedup<C> {
    /// Makes a `Dedup` with the defaults.
    #[must_use]
    pub fn new(cache: Arc<Cache<C>>) -> Self {
        Self::builder(cache).build()
    }

    /// Returns a builder, for other settings.
    ///
    /// ```
    /// use quell::front::tracing::Dedup;
    /// use quell::{Cache, Fields, Rule, Rules, SharedRules};
    /// use std::sync::Arc;
    /// let cache = Arc::new(Cache::builder().max_entries(4096).build()?);
    /// let rules = SharedRules::from(Rules::new(Rule::once()).exempt_target("audit"));
    /// let dedup = Dedup::builder(cache)
    ///     .rules(rules.clone()) // keep one, to change them at run time
    ///     .fields(Fields::except(["request_id", "elapsed_ms"]))
    ///     .span_fields(["tenant"])
    ///     .notices(true)
    ///     .build();
    /// # drop(dedup);
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    pub fn builder(cache: Arc<Cache<C>>) -> Builder<C> {
        Builder::new(cache, Options::default())
    }

    /// Wraps a layer: it sees the first of each message, and summaries of the repeats. One decision
    /// holds for all layers of `a.and_then(b)`; layers that are wrapped apart are decided for
    /// apart.
    ///
    /// Wrap a layer that has a filter (`layer.with_filter(filter)`) by
    /// [`wrap_filtered`](Self::wrap_filtered): here the filter would be asked too late. Such a
    /// layer is reported on standard error, and sees every event.
    pub fn wrap<S, L>(&self, layer: L) -> impl Layer<S> + use<S, L, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
    {
        DedupLayer::new(layer, &self.shared)
    }

    /// Wraps a layer that has a filter: a level, an `EnvFilter`, ... The filter is asked first, so
    /// an event that it rejects is not counted. It is not asked about summaries: it has let the
    /// lines pass that they count.
    pub fn wrap_filtered<S, L, F>(&self, filter: F, layer: L) -> impl Layer<S> + use<S, L, F, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
        F: Filter<S> + 'static,
    {
        DedupLayer::new(layer, &self.shared).with_filter(PassProbe(filter))
    }

    /// Starts the thread that writes summaries. Without a guard, or once the subscriber is gone,
    /// counts stay in the cache, for [`Cache::drain`]: drop the guard before a subscriber that is
    /// not the global one.
    ///
    /// # Errors
    /// [`InitError::Config`] if the [interval](Builder::interval) is too short, or if a layer
    /// is [one too many](crate::ConfigError::OutOfNamespaces) for the cache;
    /// [`InitError::Thread`] if the thread cannot be started.
    pub fn guard(&self) -> Result<Guard, InitError> {
        if self.shared.lacks_namespaces() {
            return Err(ConfigError::OutOfNamespaces.into());
        }
        let guard = Guard::of(&self.shared, self.shared.settings.interval)?;
        self.shared.settings.add_writer(&guard);
        Ok(guard)
    }

    /// Returns the cache that decides.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache<C>> {
        &self.shared.cache
    }
}

impl<C: Clock> fmt::Debug for Dedup<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedup").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}
