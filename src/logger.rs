//! Handles: what a program logs through.

use crate::caught::caught;
use crate::nesting::Nesting;
use crate::outlet::Outlet;
use crate::scope::{AttrValue, Scope, hash_field};
use crate::shutdown::UnderWay;
use crate::{
    Cache, Clock, Coarse, Decision, Event, Fingerprint, Level, Namespace, Rule, Sink, Summary,
    Tick, Value,
};
use std::fmt::{self, Write};
use std::sync::Arc;

/// What makes two events of a logger the same message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyPolicy {
    /// Level, text, groups, attributes and fields: two events are the same if
    /// their lines would be, in whichever order the attributes were added.
    #[default]
    Scoped,
    /// The text alone, as Prometheus does it: loggers derived from one another
    /// hide each other's repeats, whatever their levels and attributes. The
    /// line that is let through is the first one's, with its attributes.
    Message,
}

/// A thin logger: logs through a shared [`Cache`] into a [`Sink`].
///
/// `Logger::new` makes the first of a family; the others are derived from it by
/// [`with_attr`](Self::with_attr), [`with_group`](Self::with_group),
/// [`key`](Self::key), [`notices`](Self::notices) or `clone`. A family
/// shares its cache, its sink, and one namespace of its own, so several families
/// over one cache do not hide each other's messages: each sink is told of
/// each message.
///
/// A logger owns no lock, no map and no thread. Deriving copies a list of
/// attributes, never the cache, and dropping one logger never affects another.
///
/// ```
/// use quell::{Cache, Logger, WriteSink};
/// use std::sync::Arc;
/// let cache = Arc::new(Cache::builder().build()?);
/// let log = Logger::new(cache, WriteSink::new(std::io::stderr()));
///
/// let queue = log.with_group("remote_write").with_attr("shard", 3);
/// for attempt in 0..100 {
///     queue.error(format_args!("connection refused"));   // written once
///     queue.debug(format_args!("attempt {attempt}"));    // 100 messages
/// }
/// drop((log, queue));   // the last one writes: "... connection refused shard=3: 99 more suppressed"
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// # Guarantees
/// * Each call of [`log`](Self::log) is either written to the sink or counted; each
///   counted call is reported once, by [`Event::suppressed`] or in a
///   [`Summary`](crate::Summary).
/// * When the last logger of a family is dropped, what is pending in its namespace
///   is written to the sink and the sink is flushed. A panic of the sink is
///   swallowed there.
pub struct Logger<S: Sink, C: Clock = Coarse> {
    core: Arc<Core<S, C>>,
    scope: Scope,
    policy: KeyPolicy,
    notices: bool,
}

impl<S: Sink, C: Clock> Logger<S, C> {
    /// The first logger of a family, with a new namespace of `cache`.
    pub fn new(cache: Arc<Cache<C>>, sink: S) -> Self {
        let namespace = cache.new_namespace();
        let core = Arc::new(Core { cache, sink, namespace });
        Self { core, scope: Scope::default(), policy: KeyPolicy::default(), notices: false }
    }

    /// A logger that adds the attribute `key`, in the innermost group entered, to
    /// each event. The attribute is hashed here, once.
    ///
    /// A key may be added twice; both are then written and belong to the key.
    #[must_use]
    pub fn with_attr(&self, key: &str, value: impl Into<AttrValue>) -> Self {
        self.with_scope(self.scope.with_attr(key, value.into(), &self.core.cache.hasher()))
    }

    /// A logger within the group `name`: the names of attributes and fields
    /// added from here on begin with `name.`, and the group is part of the target.
    /// Groups nest. An empty name changes nothing.
    #[must_use]
    pub fn with_group(&self, name: &str) -> Self {
        self.with_scope(self.scope.with_group(name, &self.core.cache.hasher()))
    }

    fn with_scope(&self, scope: Scope) -> Self {
        Self { scope, ..self.clone() }
    }

    /// A logger that tells messages apart by `policy`.
    #[must_use]
    pub fn key(&self, policy: KeyPolicy) -> Self {
        Self { policy, ..self.clone() }
    }

    /// A logger that calls [`Sink::notice`] when suppression of a message starts
    /// (`true`), or does not (`false`; so it is unless set).
    #[must_use]
    pub fn notices(&self, on: bool) -> Self {
        Self { notices: on, ..self.clone() }
    }

    /// Logs a message, unless it is a repeat.
    ///
    /// ```
    /// # use quell::{Cache, Logger, Level, WriteSink};
    /// # let log = Logger::new(std::sync::Arc::new(Cache::builder().build()?), WriteSink::new(std::io::sink()));
    /// log.log(Level::Warn, format_args!("retry {} of {}", 1, 5));
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    ///
    /// # Guarantees
    /// * The arguments are formatted into the hash, not into a buffer. Nothing is
    ///   held meanwhile: a `Display` that logs is harmless.
    /// * An argument that panics or returns an error while it is read is no reason
    ///   to lose the event: it is written without a check, and counted in
    ///   [`Stats::failed_open`](crate::Stats::failed_open).
    /// * A call from within a sink, a `Display` or a clock, on the same thread,
    ///   is treated like any other up to four levels deep. A deeper one is not
    ///   written but counted, under no fingerprint, in the sum of its
    ///   namespace: a sink that logs whenever it is called comes to an end.
    ///
    /// # Progress
    /// A suppressed call allocates nothing and takes no lock, what its arguments'
    /// own `Display` does aside. See [`Cache`] for the rest.
    ///
    /// # Panics
    /// Only if the sink or the clock does.
    #[inline]
    pub fn log(&self, level: Level, args: fmt::Arguments<'_>) {
        self.log_with(level, args, &[]);
    }

    /// As [`log`](Self::log), with fields that belong to this event alone. They
    /// join the key and the line as the attributes of the logger do.
    ///
    /// ```
    /// # use quell::{Cache, Logger, Level, WriteSink};
    /// # let log = Logger::new(std::sync::Arc::new(Cache::builder().build()?), WriteSink::new(std::io::sink()));
    /// let error = std::fmt::Error;
    /// log.log_with(Level::Error, format_args!("append failed"), &[
    ///     ("segment", 17.into()),
    ///     ("error", quell::Value::Display(&error)),
    /// ]);
    /// # Ok::<(), quell::ConfigError>(())
    /// ```
    pub fn log_with(&self, level: Level, args: fmt::Arguments<'_>, fields: &[(&str, Value<'_>)]) {
        let core = &*self.core;
        let nesting = Nesting::enter();
        if nesting.is_too_deep() {
            return core.count_only(&nesting);
        }
        let at = core.cache.now();
        let mut event = Event {
            level,
            args,
            scope: &self.scope,
            fields,
            namespace: core.namespace,
            fingerprint: caught(|| self.fingerprint(level, args, fields)).flatten(),
            suppressed: 0,
            at,
        };
        let Some(fingerprint) = event.fingerprint else {
            core.cache.count_failed_open();
            return core.sink.write(&event);
        };
        match core.cache.check_with_at(fingerprint, at, &Rule::once(), || Some(event.exemplar())) {
            Decision::Emit { suppressed, .. } => {
                event.suppressed = suppressed;
                core.sink.write(&event);
            }
            Decision::Suppress { first: true } if self.notices => core.sink.notice(&event),
            Decision::Suppress { .. } => {}
        }
    }

    /// `None` if a `Display` or `Debug` returned an error.
    fn fingerprint(
        &self,
        level: Level,
        args: fmt::Arguments<'_>,
        fields: &[(&str, Value<'_>)],
    ) -> Option<Fingerprint> {
        let mut hasher = self.core.cache.hasher();
        hasher.namespace(self.core.namespace);
        match self.policy {
            KeyPolicy::Scoped => {
                hasher.bytes(&[level as u8]);
                hasher.add_fields(self.scope.key());
                if !fields.is_empty() {
                    let blank = self.core.cache.hasher();
                    for &(key, value) in fields {
                        let (hash, failed) = hash_field(&blank, self.scope.path(), key, value);
                        if failed {
                            return None;
                        }
                        hasher.add_fields(hash);
                    }
                }
            }
            // Not a level, so the two policies share no key.
            KeyPolicy::Message => hasher.bytes(&[0]),
        }
        hasher.write_fmt(args).ok()?;
        Some(hasher.finish())
    }

    /// Logs an error.
    #[inline]
    pub fn error(&self, args: fmt::Arguments<'_>) {
        self.log(Level::Error, args);
    }

    /// Logs a warning.
    #[inline]
    pub fn warn(&self, args: fmt::Arguments<'_>) {
        self.log(Level::Warn, args);
    }

    /// Logs normal operation.
    #[inline]
    pub fn info(&self, args: fmt::Arguments<'_>) {
        self.log(Level::Info, args);
    }

    /// Logs a detail for developers.
    #[inline]
    pub fn debug(&self, args: fmt::Arguments<'_>) {
        self.log(Level::Debug, args);
    }

    /// Logs a very fine detail.
    #[inline]
    pub fn trace(&self, args: fmt::Arguments<'_>) {
        self.log(Level::Trace, args);
    }

    /// Writes a summary of each message of the family that has suppressed calls
    /// pending, in its window or not, and flushes the sink.
    ///
    /// A sink that flushes the logger that calls it is served like one that logs,
    /// four levels deep; a deeper flush does nothing.
    ///
    /// # Panics
    /// Only if the sink does. The summary it panicked in is spent; those not yet
    /// written stay pending.
    pub fn flush(&self) {
        let nesting = Nesting::enter();
        if nesting.is_too_deep() {
            return;
        }
        let _under_way = UnderWay::begin();
        let core = &*self.core;
        core.cache.drain_namespace(core.namespace, |summary| core.sink.summary(&summary));
        core.sink.flush();
    }

    /// The cache this logger asks.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache<C>> {
        &self.core.cache
    }

    /// The sink this logger writes to.
    #[must_use]
    pub fn sink(&self) -> &S {
        &self.core.sink
    }

    /// The namespace of the family.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.core.namespace
    }

    pub(crate) fn core(&self) -> &Arc<Core<S, C>> {
        &self.core
    }
}

// Not derived: a clone shares the sink and needs no copy of it.
impl<S: Sink, C: Clock> Clone for Logger<S, C> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            scope: self.scope.clone(),
            policy: self.policy,
            notices: self.notices,
        }
    }
}

impl<S: Sink, C: Clock> fmt::Debug for Logger<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger")
            .field("namespace", &self.core.namespace)
            .field("target", &self.scope.path())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// What all loggers of a family share.
pub(crate) struct Core<S: Sink, C: Clock> {
    cache: Arc<Cache<C>>,
    sink: S,
    namespace: Namespace,
}

impl<S: Sink, C: Clock> Core<S, C> {
    #[cold]
    fn count_only(&self, nesting: &Nesting) {
        // A clock that logs would bring us here again from `now`, without end.
        let now = if nesting.is_one_too_deep() { self.cache.now() } else { Tick::MAX };
        self.cache.count_unattributed(self.namespace, 1, now);
    }
}

impl<S: Sink, C: Clock> Outlet for Core<S, C> {
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        if all {
            self.cache.drain_namespace(self.namespace, each);
        } else {
            self.cache.drain_expired_at(Some(self.namespace), self.cache.now(), each);
        }
    }

    fn write(&self, summary: &Summary) {
        self.sink.summary(summary);
    }

    fn flush(&self) {
        self.sink.flush();
    }
}

impl<S: Sink, C: Clock> Drop for Core<S, C> {
    fn drop(&mut self) {
        self.report(true);
    }
}
