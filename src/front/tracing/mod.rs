//! A layer around the layers of [`tracing-subscriber`](tracing_subscriber): each sees the first of
//! each message at once, and a summary of its repeats.
//!
//! ```
//! use tracing_subscriber::{fmt, prelude::*, registry};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dedup = quell::front::tracing::Dedup::new(std::sync::Arc::new(quell::Cache::builder().build()?));
//! registry().with(dedup.wrap(fmt::layer())).init(); // was `.with(fmt::layer())`
//! let _guard = dedup.guard()?;
//! # Ok(())
//! # }
//! ```
//!
//! `init` (feature `tracing-init`) sets up a subscriber that logs to standard error, in one line.
//!
//! A thousand times `error!(peer = "db1", "connection refused")` then is
//!
//! ```text
//! ERROR store::net: connection refused peer="db1"
//! ERROR store::net: connection refused peer="db1" quell.suppressed=999 quell.since_ms=1304 quell.last_ms=42
//! ```
//!
//! # Where it goes in the stack
//!
//! Wrap each layer that is to see no repeats, in any order. Each wrapped layer has a namespace of
//! its own: it sees each message once, and summaries of its own repeats. One decision holds for
//! all layers of `a.and_then(b)`.
//!
//! | | |
//! |---|---|
//! | `layer` | `dedup.wrap(layer)` |
//! | `layer.with_filter(filter)`: a level, an `EnvFilter`, `Targets`, a `reload::Layer` | `dedup.wrap_filtered(filter, layer)`. Events that the filter rejects are neither decided on nor counted |
//! | an `EnvFilter` or another layer that filters for all (`registry().with(EnvFilter::from_default_env())`), one that vetoes events | stays as it is, above or below |
//! | `dedup.wrap(layer.with_filter(filter))` | is not deduplicated, and reported on standard error: the filter would be asked too late |
//! | `Box<dyn Layer>` | works |
//! | `Vec` or `Option` of wrapped layers | works in the global subscriber. In a scoped one a guard reaches them only if a layer of the same `Dedup` stands outside: they are not told their subscriber (tracing-subscriber 0.3.23) |
//! | a layer that is not wrapped | sees every event and no summary |
//! | scoped subscribers | work; flush or drop the guard while the subscriber is there |
//! | several subscribers | a `Dedup` for each, over one cache if you like |
//!
//! Lines that a layer writes on its own, such as `fmt`'s span events, are not events and not
//! limited.
//!
//! # Summaries
//!
//! [Summaries](super#summaries) are events with the message and the fields of the original, its
//! chosen [span fields](Builder::span_fields) and those of quell. A layer prints them like any
//! other event; where it prints JSON, a query by message or field finds them with their lines.
//!
//! A summary is in no span. (`fmt`'s JSON may show the current one all the same:
//! tracing-subscriber 0.3.23 falls back to it.) It goes straight to the layer: filters have let
//! its lines pass, and are not asked again. If the subscriber is gone, or a `reload` has replaced
//! the wrapped layer, the counts stay in the cache, for [`Cache::drain`](crate::Cache::drain).
//!
//! With span fields a suppressed event takes a reader's lock for each span around it, under which
//! no user code runs.
//!
//! Reading the text and the fields is most of the cost of a suppressed event;
//! [`Key::Callsite`](crate::Key::Callsite) reads neither.

mod key;
mod layer;
mod probe;
mod spans;
mod state;
mod summary_event;

pub use key::Options;
#[doc(no_inline)]
pub use tracing_core::LevelFilter;

#[cfg(feature = "tracing-init")]
use crate::install_panic_hook;
use crate::{Cache, Clock, Coarse, ConfigError, FingerprintHasher, Guard, InitError};
use key::FieldNames;
use layer::{DedupLayer, PassProbe};
use state::Shared;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
#[cfg(feature = "tracing-init")]
use tracing_core::dispatcher::set_global_default;
use tracing_core::{Event, Subscriber};
#[cfg(feature = "tracing-init")]
use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Filter;
#[cfg(feature = "tracing-init")]
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// Installs a subscriber that logs events up to the level `max` to standard error, each message
/// once a minute, with a summary of the others. Takes in the records of `log`, unless the program
/// has a logger of `log` already, and installs the [panic hook](crate::install_panic_hook). Use
/// [`Dedup`] for other settings.
///
/// ```
/// use quell::front::tracing::{LevelFilter, init};
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let _guard = init(LevelFilter::INFO)?;
///     // ...
///     Ok(())
/// }
/// ```
///
/// # Errors
/// [`InitError::Taken`] if there is a global subscriber already, [`InitError::Thread`] if the
/// thread for summaries cannot be started. Nothing is installed then.
#[cfg(feature = "tracing-init")]
pub fn init(max: LevelFilter) -> Result<Guard, InitError> {
    let dedup = Dedup::new(Arc::new(Cache::builder().build()?));
    // First, since it can be undone.
    let guard = dedup.guard()?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let subscriber = tracing_subscriber::registry().with(dedup.wrap_filtered(max, layer));
    set_global_default(subscriber.into()).map_err(|error| InitError::Taken(Box::new(error)))?;
    // Last, since it cannot be undone. Fails if there is a logger.
    let _ = LogTracer::builder().with_max_level(LevelFilter::current().as_log()).init();
    install_panic_hook();
    Ok(guard)
}

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
