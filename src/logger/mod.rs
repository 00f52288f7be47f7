//! Loggers, for programs without a logging crate.

mod scope;
mod sink;
mod write_sink;

pub use sink::{Event, Sink};
pub use write_sink::WriteSink;

use crate::front::{Builder, Core, Emission, Inner};
use crate::panics::catch_panic;
use crate::{
    AttrValue, Cache, Clock, Coarse, Exemplar, Fields, Guard, InitError, Key, Level, Namespace,
    SharedRules, Summary, Tick, Value,
};
use scope::Scope;
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// Logs through a shared [`Cache`] into a [`Sink`].
///
/// [`Logger::new`] and [`Logger::builder`] make the first logger of a family. The others are
/// derived from it by [`with_attr`](Self::with_attr), [`with_group`](Self::with_group),
/// [`with_key`](Self::with_key) or `clone`. A family shares its settings, its cache, its sink and
/// a namespace of its own, so families over one cache do not hide each other's messages.
///
/// A logger owns no lock, no map and no thread. Deriving copies a list of attributes, never the
/// cache. Dropping one logger never affects another.
///
/// ```
/// use quell::{Cache, Logger, WriteSink};
/// use std::sync::Arc;
/// let cache = Arc::new(Cache::builder().build()?);
/// let log = Logger::new(cache, WriteSink::new(std::io::stderr()));
///
/// let queue = log.with_attr("shard", 3).with_group("remote_write");
/// for attempt in 0..100 {
///     queue.error(format_args!("connection refused"));   // written once
///     queue.debug(format_args!("attempt {attempt}"));    // 100 messages
/// }
/// drop((log, queue));   // the last one writes: "... connection refused shard=3: 99 more suppressed"
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// # Guarantees
/// * Each call of [`log`](Self::log) is either written to the sink or counted. Each counted call
///   is reported once, by [`Event::suppressed`] or in a [`Summary`](crate::Summary).
/// * The drop of a family's last logger writes what is pending in its namespace and flushes the
///   sink. It catches a panic of the sink.
pub struct Logger<S: Sink, C: Clock = Coarse> {
    core: Arc<Core<Output<S>, C>>,
    scope: Scope,
    key: Option<Key>,
}

macro_rules! level_methods {
    ($($(#[$doc:meta])* $name:ident $level:ident),*) => {$(
        $(#[$doc])*
        #[inline]
        #[track_caller]
        pub fn $name(&self, args: fmt::Arguments<'_>) {
            self.log(Level::$level, args);
        }
    )*};
}

impl<S: Sink, C: Clock> Logger<S, C> {
    /// Makes the first logger of a family.
    pub fn new(cache: Arc<Cache<C>>, sink: S) -> Self {
        Self::builder(cache, sink).build()
    }

    /// Returns a builder for the first logger of a family, for other settings.
    ///
    /// ```
    /// use quell::{Cache, Fields, Logger, Rule, WriteSink};
    /// # let cache = std::sync::Arc::new(Cache::builder().build()?);
    /// let log = Logger::builder(cache, WriteSink::new(std::io::stderr()))
    ///     .rules(Rule::first(3)?)
    ///     .fields(Fields::except(["attempt"]))
    ///     .notices(true)
    ///     .build();
    /// let _guard = log.guard()?; // writes the summaries
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(cache: Arc<Cache<C>>, sink: S) -> Builder<Output<S>, C> {
        Builder::new(cache, Output(sink))
    }

    /// Starts the thread that writes summaries. The guard does not keep the family alive.
    ///
    /// # Errors
    /// [`InitError::Config`] if the [interval](Builder::interval) is too short or there are
    /// [too many sinks](crate::ConfigError::OutOfNamespaces), [`InitError::Thread`] if the thread
    /// cannot be started.
    pub fn guard(&self) -> Result<Guard, InitError>
    where
        S: 'static,
    {
        self.core.guard()
    }

    /// Derives a logger that adds the attribute `key`, in the innermost group, to each event. The
    /// attribute is hashed here, once. A key that is added twice is written twice, and both
    /// values are compared.
    #[must_use]
    pub fn with_attr(&self, key: &str, value: impl Into<AttrValue>) -> Self {
        // Hashed whatever the key: a logger derived from this one may have another.
        let fields = self.core.settings().fields.as_ref();
        let fields = fields.unwrap_or(const { &Fields::all() });
        let empty = self.core.decider.cache.hasher();
        self.with_scope(self.scope.with_attr(key, value.into(), fields, &empty))
    }

    /// Derives a logger within the group `name`. The names of attributes and fields added from
    /// here on begin with `name.`, and the group is part of the target. Groups nest. An empty name
    /// changes nothing.
    #[must_use]
    pub fn with_group(&self, name: &str) -> Self {
        self.with_scope(self.scope.with_group(name))
    }

    fn with_scope(&self, scope: Scope) -> Self {
        Self { scope, ..self.clone() }
    }

    /// Derives a logger that tells messages apart by `key` instead of the family's. With
    /// [`Key::Message`], loggers derived from one another hide each other's repeats.
    #[must_use]
    pub fn with_key(&self, key: Key) -> Self {
        Self { key: Some(key), ..self.clone() }
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
    /// * The arguments are formatted into the hash, not into a buffer. Nothing is held meanwhile:
    ///   a `Display` that logs is harmless.
    /// * If an argument panics or returns an error while it is read, the event is written without
    ///   a check, and counted in [`Stats::failed_open`](crate::Stats::failed_open).
    /// * Re-entrant calls on one thread, from a sink, a `Display` or a clock, are handled normally
    ///   up to four levels deep. Deeper ones are not written; they are added to the namespace's
    ///   total, so a sink that logs on every call cannot recurse forever.
    ///
    /// # Progress
    /// A suppressed call allocates nothing and takes no lock, unless its arguments' own `Display`
    /// does. See [`Cache`] for the rest.
    ///
    /// # Panics
    /// Only if the sink panics.
    #[inline]
    #[track_caller]
    pub fn log(&self, level: Level, args: fmt::Arguments<'_>) {
        self.log_with(level, args, &[]);
    }

    /// Logs a message as [`log`](Self::log) does, with fields of this event alone. They join the
    /// key and the line as the attributes of the logger do.
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
    #[inline]
    #[track_caller]
    pub fn log_with(&self, level: Level, args: fmt::Arguments<'_>, fields: &[(&str, Value<'_>)]) {
        let Ok(()) = self.core.log(&Event {
            level,
            args,
            scope: &self.scope,
            key: self.key,
            fields,
            namespace: self.core.decider.namespace,
            fingerprint: None,
            suppressed: 0,
            last: None,
            at: Tick::MAX,
            location: Location::caller(),
            now: &|| self.core.decider.cache.now(),
        });
    }

    level_methods! {
        /// Logs an error.
        error Error,
        /// Logs a warning.
        warn Warn,
        /// Logs normal operation.
        info Info,
        /// Logs a detail for developers.
        debug Debug,
        /// Logs a very fine detail.
        trace Trace
    }

    /// Writes a summary of each message of the family with suppressed calls pending, in its window
    /// or not, and flushes the sink. A sink may call this, up to four levels deep; a deeper flush
    /// does nothing.
    ///
    /// # Panics
    /// Only if the sink panics. The summary it panicked in is lost; those not yet written stay
    /// pending.
    pub fn flush(&self) {
        self.core.flush_with(|sink: &S| sink.flush());
    }

    /// Returns the cache that decides.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache<C>> {
        &self.core.decider.cache
    }

    /// Returns the sink.
    #[must_use]
    pub fn sink(&self) -> &S {
        &self.core.inner.0
    }

    /// Returns the namespace of the family.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.core.decider.namespace
    }

    /// Returns the rules of the family, to be changed while it is in use.
    #[must_use]
    pub fn rules(&self) -> &SharedRules {
        &self.core.settings().rules
    }
}

// Not derived: a clone shares the sink and needs no copy of it.
impl<S: Sink, C: Clock> Clone for Logger<S, C> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), scope: self.scope.clone(), key: self.key }
    }
}

impl<S: Sink, C: Clock> fmt::Debug for Logger<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger")
            .field("namespace", &self.namespace())
            .field("target", &self.scope.path())
            .finish_non_exhaustive()
    }
}

impl<S: Sink, C: Clock> Builder<Output<S>, C> {
    /// Builds the first logger of a family.
    pub fn build(self) -> Logger<S, C> {
        Logger { core: Arc::new(Core::new(self)), scope: Scope::default(), key: None }
    }
}

/// A [`Sink`] behind quell.
#[derive(Debug)]
pub struct Output<S>(S);

impl<S> Output<S> {
    /// Adds the decision to an event.
    fn event<'a>(&self, event: &Event<'a>, how: &Emission) -> Event<'a> {
        let &Emission { fingerprint, suppressed, last, now, .. } = how;
        let at = now.unwrap_or_else(|| catch_panic(event.now).unwrap_or(Tick::MAX));
        Event { fingerprint, suppressed, last, at, ..*event }
    }
}

impl<S: Sink> Inner for Output<S> {
    type Record<'a> = Event<'a>;
    type Error = Infallible;
    type Wrapped = S;
    const FRONT_END: &'static str = "logger";
    const LINES_TELL: bool = true;

    fn wrapped(&self) -> &S {
        &self.0
    }

    fn forward(&self, event: &Event<'_>, how: &Emission) -> Result<(), Infallible> {
        self.0.write(&self.event(event, how));
        Ok(())
    }

    /// Needs nothing more: an event guards its text itself.
    fn forward_guarded(&self, event: &Event<'_>) -> Result<(), Infallible> {
        self.forward(event, &Emission::default())
    }

    /// Needs no summary: the event has the count.
    fn forward_with(
        &self,
        event: &Event<'_>,
        how: &Emission,
        _: impl FnOnce() -> (Summary, Option<Tick>),
    ) -> Result<(), Infallible> {
        self.forward(event, how)
    }

    fn summary(&self, summary: &Summary, _: Option<Tick>) -> Result<(), Infallible> {
        self.0.summary(summary);
        Ok(())
    }

    fn notice(
        &self,
        event: &Event<'_>,
        how: &Emission,
        _: impl FnOnce() -> Exemplar,
    ) -> Result<(), Infallible> {
        self.0.notice(&self.event(event, how));
        Ok(())
    }

    fn flush(&self) {
        self.0.flush();
    }
}
