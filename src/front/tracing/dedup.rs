//! Deduplication of a subscriber: wraps its layers.

use super::layer::{DedupLayer, PassProbe};
use super::options::{FieldNames, Options};
use super::own_filter;
use super::state::Shared;
use crate::{Cache, Clock, Coarse, ConfigError, FingerprintHasher, Guard, InitError};
use std::fmt;
use std::io::{self, Write};
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
    /// An inner span's field shadows an outer one's, and one of the event itself, if it belongs
    /// to the key, shadows both. Spans that the layer does not see, since a filter keeps them
    /// from it, do not count. Values are hashed when they are recorded, and kept for summaries.
    pub fn span_fields<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.inner.span_fields = FieldNames::new(names);
        self
    }

    /// Sets a key of your own, in place of [`Key`](crate::Key): two events are the same message
    /// if `write` writes the same.
    ///
    /// `write` must not call tracing's macros. If it panics, the event passes.
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

/// Deduplication for the layers of one subscriber. Make one for each subscriber; several may
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
/// Each layer has its own first lines, and summaries of what *it* did not see. The layers, the guard
/// and this value may be dropped in any order.
pub struct Dedup<C: Clock = Coarse> {
    shared: Arc<Shared<C>>,
}

// Keys of users are called while nothing of ours is half done.
impl<C: Clock> UnwindSafe for Dedup<C> {}
impl<C: Clock> RefUnwindSafe for Dedup<C> {}

impl<C: Clock> Dedup<C> {
    /// Makes one with the defaults.
    #[must_use]
    pub fn new(cache: Arc<Cache<C>>) -> Self {
        Self::builder(cache).build()
    }

    /// Returns a builder, to choose otherwise.
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

    /// Wraps a layer: it sees no repeats, and the summaries of what it did not see. One decision
    /// holds for all layers of `a.and_then(b)`; layers that are wrapped on their own are decided
    /// for on their own.
    ///
    /// A layer that has a filter of its own (`layer.with_filter(filter)`) belongs in
    /// [`wrap_filtered`](Self::wrap_filtered): here the filter would be asked too late. Such a
    /// layer is told of on standard error, and sees every event.
    pub fn wrap<S, L>(&self, layer: L) -> impl Layer<S> + use<S, L, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
    {
        self.layer(layer)
    }

    /// Wraps a layer that has a filter: a level, an `EnvFilter`, ... That is asked first, so no
    /// message is counted that it keeps out. It is not asked about summaries: it has let the
    /// lines pass that they count.
    pub fn wrap_filtered<S, L, F>(&self, filter: F, layer: L) -> impl Layer<S> + use<S, L, F, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
        F: Filter<S> + 'static,
    {
        self.layer(layer).with_filter(PassProbe(filter))
    }

    fn layer<S, L>(&self, layer: L) -> DedupLayer<L, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
    {
        let has_filter = own_filter::has_one(&layer);
        if has_filter {
            // Standard error may be closed.
            let _ = writeln!(
                io::stderr(),
                "quell: a wrapped layer has a filter of its own and is not deduplicated; \
                 use wrap_filtered(filter, layer) in place of wrap(layer.with_filter(filter))"
            );
        }
        DedupLayer::new(layer, has_filter, &self.shared)
    }

    /// Starts the thread that writes summaries. Without a guard what is suppressed stays
    /// in the cache, for [`Cache::drain`].
    ///
    /// So it does when the subscriber is gone: drop the guard first, where the subscriber
    /// is not the global one.
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
