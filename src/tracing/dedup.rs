//! Deduplication of a subscriber: makes filters, and sees to their summaries.

use super::Builder;
use super::companion::Companion;
use super::filter::DedupFilter;
use super::shared::Shared;
use crate::{Cache, Clock, Coarse, Guard, ReporterError};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing_core::{LevelFilter, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

/// Deduplication for the layers of one subscriber. Make one for each subscriber; several may
/// share a cache.
///
/// ```
/// use quell::{Cache, tracing::Dedup};
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
/// Each layer has its own first lines, and summaries of what *it* did not see. The filters,
/// the guard and this value may be dropped in any order.
pub struct Dedup<C: Clock = Coarse> {
    pub(super) shared: Arc<Shared<C>>,
    pub(super) interval: Duration,
}

impl<C: Clock> Dedup<C> {
    /// With the defaults.
    #[must_use]
    pub fn new(cache: Arc<Cache<C>>) -> Self {
        Self::builder(cache).build()
    }

    /// To choose otherwise.
    pub fn builder(cache: Arc<Cache<C>>) -> Builder<C> {
        Builder::new(cache)
    }

    /// Wraps a layer: it sees no repeats, and writes its own summaries.
    pub fn wrap<S, L>(&self, layer: L) -> impl Layer<S> + use<S, L, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
    {
        let filter = self.filter();
        let companion = self.companion(Some(&filter));
        layer.and_then(companion).with_filter(filter)
    }

    /// Wraps a layer that has another filter: a level, an `EnvFilter`, ... That is asked first, so
    /// no message is counted that it keeps out anyway.
    pub fn wrap_filtered<S, L, F>(&self, filter: F, layer: L) -> impl Layer<S> + use<S, L, F, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
        F: Filter<S> + 'static,
    {
        let own = self.filter();
        let companion = self.companion(Some(&own));
        layer.and_then(companion).with_filter(filter.and(own))
    }

    /// A filter for one layer, with a namespace of its own (unless the `Dedup` is
    /// [global](Builder::global)). Its summaries need a way into the stack: add
    /// [`layer`](Self::layer) to it, once.
    #[must_use]
    pub fn filter(&self) -> DedupFilter<C> {
        DedupFilter::new(&self.shared)
    }

    /// Makes a layer through which summaries get to filters made by [`filter`](Self::filter);
    /// anywhere in the stack. It sees no event, and raises no layer's level.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.companion(None).with_filter(LevelFilter::OFF)
    }

    fn companion(&self, of: Option<&DedupFilter<C>>) -> Companion {
        Companion::new(
            of.map(|filter| Arc::clone(&filter.channel().dispatch)),
            Arc::clone(&self.shared.dispatch),
        )
    }

    /// Starts the thread that writes summaries. Without a guard what is suppressed stays
    /// in the cache, for [`Cache::drain`].
    ///
    /// So it does when the subscriber is gone: drop the guard first, where the subscriber
    /// is not the global one.
    ///
    /// # Errors
    /// [`ReporterError`] if the [interval](Builder::interval) is zero or the thread cannot
    /// be started.
    pub fn guard(&self) -> Result<Guard, ReporterError> {
        let guard = Guard::of(&self.shared, self.interval)?;
        self.shared.set_waker(guard.reporter().waker());
        Ok(guard)
    }

    /// The cache that is asked.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache<C>> {
        &self.shared.cache
    }
}

impl<C: Clock> fmt::Debug for Dedup<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedup").field("key", &self.shared.key).finish_non_exhaustive()
    }
}
