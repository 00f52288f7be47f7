//! Configuration of a wrapped drain.

use super::{Dedup, Key};
use crate::front::Front;
use crate::{Cache, Clock, Coarse, Fields, SharedRules};
use slog::{Drain, OwnedKV, OwnedKVList, SendSyncRefUnwindSafeKV, o};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`Dedup`]; start with [`Dedup::builder`].
#[must_use]
pub struct Builder<D, C: Clock = Coarse> {
    front: Front<C>,
    inner: D,
    fields: Fields,
    key: Key,
    values: OwnedKVList,
    interval: Duration,
}

impl<D: Drain<Ok = ()> + Send + Sync, C: Clock> Builder<D, C> {
    pub(super) fn new(cache: Arc<Cache<C>>, inner: D) -> Self {
        Self {
            front: Front::new(cache),
            inner,
            fields: Fields::all(),
            key: Key::default(),
            values: o!().into(),
            interval: Duration::from_secs(1),
        }
    }

    /// What to do with which records, by level and tag or module; one per window unless set. A
    /// clone of the [`SharedRules`] that are given can change them later.
    pub fn rules(mut self, rules: impl Into<SharedRules>) -> Self {
        self.front.rules = rules.into();
        self
    }

    /// Which key-values, of records and of their loggers, tell records apart; all unless set.
    ///
    /// Leave out what changes from record to record, timestamps first of all:
    /// `.fields(Fields::except(["ts"]))`.
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

    /// The key-values of quell's own records, in the place where a logger's are: what the
    /// root logger is given, most often. None unless set.
    pub fn values<T: SendSyncRefUnwindSafeKV + 'static>(mut self, values: OwnedKV<T>) -> Self {
        self.values = values.into();
        self
    }

    /// Counts with the [`metrics`](https://docs.rs/metrics) facade, with the recorder that
    /// is installed by now and the label `front_end` = `slog`. `Critical` counts as
    /// `error`.
    ///
    /// | name | kind | labels |
    /// |---|---|---|
    /// | `quell_events_total` | counter | `outcome`: `emitted`, `suppressed`, `failed_open`, `exempt`; `level`; `front_end` |
    /// | `quell_entries`, `quell_capacity`, `quell_forgotten` | gauges of the whole cache, set by each report | `front_end` |
    #[cfg(feature = "metrics")]
    pub fn metrics(mut self) -> Self {
        self.front.meters = Some(crate::metrics::Meters::register("slog"));
        self
    }

    /// How often the guard's thread looks for messages whose window has ended; one second unless
    /// set. Zero is an error of [`Dedup::guard`].
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The wrapped drain.
    pub fn build(self) -> Dedup<D, C> {
        Dedup::from_parts(self.front, self.inner, self.fields, self.key, self.values, self.interval)
    }
}

impl<D, C: Clock> fmt::Debug for Builder<D, C> {
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
