//! The settings of front ends.

use crate::key::KeyWriter;
use crate::{
    Cache, Clock, Coarse, Fields, Guard, Key, Normalizer, ParseRulesError, Rules, SharedRules,
};
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// Builds a front end; start with the `builder` of `log::Dedup`, `slog::Dedup`,
/// `tracing::Dedup` or [`Logger`](crate::Logger).
///
/// `T` is the front end's own part: the logger behind it, say.
#[must_use]
pub struct Builder<T, C: Clock = Coarse> {
    pub(crate) cache: Arc<Cache<C>>,
    pub(crate) settings: Settings,
    pub(crate) inner: T,
}

/// The settings that all front ends have.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) rules: SharedRules,
    pub(crate) key: Key,
    /// `None`: all for [`Key::Event`], none for the others.
    pub(crate) fields: Option<Fields>,
    pub(crate) normalizer: Option<Normalizer>,
    pub(crate) notices: bool,
    #[cfg(feature = "metrics")]
    pub(crate) metrics: bool,
    pub(crate) interval: Duration,
    #[cfg(feature = "fleet")]
    pub(crate) fleet: Option<crate::fleet::Attachment>,
}

impl Settings {
    /// Returns whether keys must be the same in other processes.
    #[cfg(feature = "tracing")]
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        #[cfg(feature = "fleet")]
        return self.fleet.is_some();
        #[cfg(not(feature = "fleet"))]
        false
    }

    /// Has `guard`'s thread write the fleet's summaries.
    pub(crate) fn add_writer(&self, _guard: &Guard) {
        #[cfg(feature = "fleet")]
        if let Some(fleet) = &self.fleet {
            fleet.add_writer(_guard.worker());
        }
    }

    /// Returns whether records of one key may differ in more than fields that are left out.
    pub(crate) fn merges(&self, has_custom_key: bool) -> bool {
        self.key != Key::Event || self.normalizer.is_some() || has_custom_key
    }

    /// Returns the fields that belong to `key`; `None` if there are none.
    #[inline]
    pub(crate) fn fields(&self, key: Key) -> Option<&Fields> {
        let all = const { &Fields::all() };
        self.fields.as_ref().or((key == Key::Event).then_some(all))
    }

    /// Adds the text of an event to a key.
    #[inline(always)]
    pub(crate) fn hash_text(
        &self,
        text: fmt::Arguments<'_>,
        writer: &mut KeyWriter<'_>,
    ) -> fmt::Result {
        match (self.normalizer, text.as_str()) {
            (Some(normalizer), _) => hash_normalized(normalizer, text, writer),
            // The same text is the same message, literal or formatted.
            (None, Some(text)) => writer.write_str(text),
            (None, None) => writer.write_fmt(text),
        }
    }
}

// Not inlined: every event would pay for its frame, and few programs use it.
#[inline(never)]
fn hash_normalized(
    normalizer: Normalizer,
    text: fmt::Arguments<'_>,
    writer: &mut KeyWriter<'_>,
) -> fmt::Result {
    let mut normalized = normalizer.writer(|bytes| writer.bytes(bytes));
    let result = normalized.write_fmt(text);
    normalized.finish();
    result
}

impl<T, C: Clock> Builder<T, C> {
    pub(crate) fn new(cache: Arc<Cache<C>>, inner: T) -> Self {
        let settings = Settings {
            rules: SharedRules::default(),
            key: Key::default(),
            fields: None,
            normalizer: None,
            notices: false,
            #[cfg(feature = "metrics")]
            metrics: false,
            interval: Duration::from_secs(1),
            #[cfg(feature = "fleet")]
            fleet: None,
        };
        Self { cache, settings, inner }
    }

    /// Sets the rules: a [`Rule`](crate::Rule), [`Rules`](crate::Rules), or [`SharedRules`], of
    /// which a clone can swap them later. Once per window unless set.
    pub fn rules(mut self, rules: impl Into<SharedRules>) -> Self {
        self.settings.rules = rules.into();
        self
    }

    /// Sets the rules to those in the variable `QUELL` of the environment, a
    /// [text of rules](crate::Rules#the-text-of-rules) such as `10s,http=first(10)`. Leaves the
    /// rules as they are if it is not set or empty, so set the program's own before.
    ///
    /// # Errors
    /// [`ParseRulesError`] if the value is not a text of rules.
    pub fn rules_from_env(mut self) -> Result<Self, ParseRulesError> {
        if let Some(rules) = Rules::from_env("QUELL")? {
            self.settings.rules = rules.into();
        }
        Ok(self)
    }

    /// Sets what makes two events the same message; [`Key::Event`] unless set.
    pub fn key(mut self, key: Key) -> Self {
        self.settings.key = key;
        self
    }

    /// Sets which fields (key-values, attributes) belong to the key; unless set, all with
    /// [`Key::Event`] and none with the others. Leave out those that change from event to event,
    /// such as timestamps and request ids: `.fields(Fields::except(["ts"]))`. [`Fields::unseen`]
    /// finds misspelt names.
    pub fn fields(mut self, fields: Fields) -> Self {
        self.settings.fields = Some(fields);
        self
    }

    /// Leaves numbers, times, addresses and the like in an event's text out of the key: with
    /// [`Classes::NUMBER`](crate::Classes), `request 17 failed` and `request 18 failed` are one
    /// message. Off unless set. Reads the text in one pass, without an allocation; that of the
    /// first suppressed event of a window once more, for the summary.
    pub fn normalize(mut self, normalizer: impl Into<Normalizer>) -> Self {
        self.settings.normalizer = Some(normalizer.into());
        self
    }

    /// Sets whether a notice is logged when suppression of a message starts; off unless set.
    pub fn notices(mut self, on: bool) -> Self {
        self.settings.notices = on;
        self
    }

    /// Counts with the [`metrics`](https://docs.rs/metrics) facade.
    ///
    /// | name | kind | labels |
    /// |---|---|---|
    /// | `quell_events_total` | counter | `outcome`: `emitted`, `suppressed`, `failed_open`, `exempt`; `level`; `front_end` |
    /// | `quell_forgotten_total` | counter: messages evicted while in their window | `cache` |
    /// | `quell_entries`, `quell_capacity` | gauges | `cache` |
    ///
    /// `failed_open` counts events that passed without a decision, for lack of room too. `cache` is
    /// the number of the cache: 1 is the first that the program built. Each report sets the values
    /// of its cache.
    ///
    /// Uses the recorder that is installed when the front end (of tracing: the layer) is made. No
    /// text of a message is ever a label.
    #[cfg(feature = "metrics")]
    pub fn metrics(mut self) -> Self {
        self.settings.metrics = true;
        self
    }

    /// Joins a fleet of processes, in which `sink` is the name of this sink;
    /// [`fleet`](crate::fleet) has an example.
    ///
    /// # Errors
    /// [`FleetError`](crate::fleet::FleetError) if the fleet has a sink of this name, if the name
    /// is empty or too long, or if this builder's cache has another secret than the fleet's.
    #[cfg(feature = "fleet")]
    pub fn fleet(
        mut self,
        fleet: &crate::fleet::Fleet,
        sink: &str,
    ) -> Result<Self, crate::fleet::FleetError> {
        // Frees the name, should it be the same again.
        self.settings.fleet = None;
        self.settings.fleet =
            Some(crate::fleet::Attachment::new(fleet, self.cache.secret(), sink)?);
        Ok(self)
    }

    /// Sets how often a [`Guard`] looks for messages whose window has ended; one second unless set.
    /// Less than [`Guard::MIN_INTERVAL`] is an error of `guard`.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
        self
    }
}

impl<T, C: Clock> fmt::Debug for Builder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
