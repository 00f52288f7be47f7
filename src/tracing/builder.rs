//! What a `Dedup` is to do.

use super::Dedup;
use super::key::Key;
use super::shared::Shared;
use super::visit::Names;
use crate::{Cache, Clock, Coarse, Fields, SharedRules};
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`Dedup`]; start with [`Dedup::builder`].
///
/// ```
/// use quell::tracing::{Dedup, Key};
/// use quell::{Cache, Fields, Level, Rule, Rules, SharedRules};
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
#[derive(Debug)]
#[must_use]
pub struct Builder<C: Clock = Coarse> {
    pub(super) cache: Arc<Cache<C>>,
    pub(super) rules: SharedRules,
    pub(super) key: Key,
    pub(super) fields: Option<Fields>,
    pub(super) span_fields: Names,
    pub(super) notices: bool,
    #[cfg(feature = "metrics")]
    pub(super) metrics: bool,
    pub(super) global: bool,
    pub(super) interval: Duration,
}

impl<C: Clock> Builder<C> {
    pub(super) fn new(cache: Arc<Cache<C>>) -> Self {
        Self {
            cache,
            rules: SharedRules::default(),
            key: Key::default(),
            fields: None,
            span_fields: Names::default(),
            notices: false,
            #[cfg(feature = "metrics")]
            metrics: false,
            global: false,
            interval: Duration::from_secs(1),
        }
    }

    /// Which rule holds for which events: a [`Rule`](crate::Rule), [`Rules`](crate::Rules), or
    /// [`SharedRules`] that can be swapped later. One per window unless set.
    pub fn rules(mut self, rules: impl Into<SharedRules>) -> Self {
        self.rules = rules.into();
        self
    }

    /// What makes two events the same message; [`Key::Event`] unless set.
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Which fields of an event belong to its key. Unless set: all with [`Key::Event`], none with
    /// the others. [`Key::Custom`] takes none.
    pub fn fields(mut self, fields: Fields) -> Self {
        self.fields = Some(fields);
        self
    }

    /// Which fields of the spans around an event belong to its key; none unless set.
    ///
    /// An inner span's field shadows an outer one's, and one of the event itself, if it
    /// belongs to the key, shadows both. Spans that the layer does not see, since a filter
    /// keeps them from it, do not count. Values are hashed when they are recorded.
    pub fn span_fields<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.span_fields = Names::new(names);
        self
    }

    /// Whether to say so when suppression of a message starts; off unless set.
    ///
    /// The notice is an event like a summary, with `quell.notice` set, and comes from the
    /// [`Guard`](crate::Guard)'s thread. It allocates, once for each message and window.
    pub fn notices(mut self, on: bool) -> Self {
        self.notices = on;
        self
    }

    /// Counts events through the [`metrics`](https://docs.rs/metrics) facade, with the
    /// recorder that is installed when a filter is made.
    #[cfg(feature = "metrics")]
    pub fn metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// How often to look for messages whose window has ended; 1 second unless set. Zero is an
    /// error that [`Dedup::guard`] returns.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// One decision for each event, whichever layer it is for: what one filter lets pass
    /// they all let pass.
    ///
    /// Otherwise each filter decides for its own layer, which sees each message once even
    /// if other layers have seen it. With this, a layer that starts to listen later, or
    /// that filters other events out, may see no line of a message that another layer got.
    /// Summaries go to all filters.
    pub fn global(mut self) -> Self {
        self.global = true;
        self
    }

    /// The `Dedup`. Its filters come from [`Dedup::filter`] or [`Dedup::wrap`].
    #[must_use]
    pub fn build(self) -> Dedup<C> {
        let interval = self.interval;
        Dedup { shared: Arc::new(Shared::new(self)), interval }
    }
}
