//! Deduplication of a subscriber: makes filters, and sees to their summaries.

use super::filter::DedupFilter;
use super::key::FieldNames;
use super::summaries::{DispatchLayer, Shared};
use crate::{Cache, Clock, Coarse, FingerprintHasher, Guard, InitError};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use tracing_core::{Event, LevelFilter, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

type CustomKey = Arc<dyn Fn(&Event<'_>, &mut FingerprintHasher) + Send + Sync>;

/// What is set for tracing alone.
#[derive(Default)]
pub struct Options {
    pub(super) span_fields: FieldNames,
    pub(super) custom_key: Option<CustomKey>,
    pub(super) global: bool,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("span_fields", &self.span_fields).finish_non_exhaustive()
    }
}

/// Builds a [`Dedup`]; start with [`Dedup::builder`].
pub type Builder<C = Coarse> = crate::front::Builder<Options, C>;

impl<C: Clock> Builder<C> {
    /// Sets which fields of the spans around an event belong to its key; none unless set.
    ///
    /// An inner span's field shadows an outer one's, and one of the event itself, if it belongs
    /// to the key, shadows both. Spans that the layer does not see, since a filter keeps them
    /// from it, do not count. Values are hashed when they are recorded.
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

    /// Makes one decision for each event, whichever layer it is for: what one filter lets pass
    /// they all let pass.
    ///
    /// Otherwise each filter decides for its own layer, which sees each message once even if
    /// other layers have seen it. With this, a layer that starts to listen later, or that filters
    /// other events out, may see no line of a message that another layer got. Summaries go to
    /// all filters.
    pub fn global(mut self) -> Self {
        self.inner.global = true;
        self
    }

    /// Returns the `Dedup`. Its filters come from [`Dedup::filter`] or [`Dedup::wrap`].
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
/// Each layer has its own first lines, and summaries of what *it* did not see. The filters,
/// the guard and this value may be dropped in any order.
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

    /// Wraps a layer: it sees no repeats, and writes its own summaries.
    pub fn wrap<S, L>(&self, layer: L) -> impl Layer<S> + use<S, L, C>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
    {
        let filter = self.filter();
        let dispatch = self.dispatch_layer(Some(&filter));
        layer.and_then(dispatch).with_filter(filter)
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
        let dispatch = self.dispatch_layer(Some(&own));
        layer.and_then(dispatch).with_filter(filter.and(own))
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
        self.dispatch_layer(None).with_filter(LevelFilter::OFF)
    }

    fn dispatch_layer(&self, of: Option<&DedupFilter<C>>) -> DispatchLayer {
        let own = of.map(|filter| Arc::clone(&filter.state().subscriber));
        DispatchLayer { own, all: Arc::clone(&self.shared.subscriber) }
    }

    /// Starts the thread that writes summaries. Without a guard what is suppressed stays
    /// in the cache, for [`Cache::drain`].
    ///
    /// So it does when the subscriber is gone: drop the guard first, where the subscriber
    /// is not the global one.
    ///
    /// # Errors
    /// [`InitError::Config`] if the [interval](Builder::interval) is zero,
    /// [`InitError::Thread`] if the thread cannot be started.
    pub fn guard(&self) -> Result<Guard, InitError> {
        let guard = Guard::of(&self.shared, self.shared.settings.interval)?;
        self.shared.add_worker(guard.worker());
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
