//! Sinks, and the events that they are given.

use super::scope::Scope;
use crate::front::Record;
use crate::key::KeyWriter;
use crate::text::{Field, Message};
use crate::{Fields, Fingerprint, Key, Level, Namespace, Summary, Tick, Value};
use std::fmt;
use std::panic::Location;
use std::ptr;

/// Receives the events of a [`Logger`](crate::Logger) that are let through, and the summaries of
/// the others.
///
/// Several threads may be inside a sink at once. A sink may log into the logger that calls it: see
/// [`Logger::log`](crate::Logger::log). The cache holds nothing while it calls a sink, so a slow
/// sink delays only its caller.
///
/// Also implemented for `&S`, `Box<S>` and `Arc<S>`, with `S` sized or `dyn`.
///
/// ```
/// use quell::{Cache, Event, Logger, Sink, Summary};
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Default)]
/// struct Lines(Mutex<Vec<String>>);
///
/// impl Sink for Lines {
///     fn write(&self, event: &Event<'_>) {
///         // Before the lock: formatting runs user code.
///         let line = event.message().to_string();
///         self.0.lock().unwrap().push(line);
///     }
///     fn summary(&self, summary: &Summary) {
///         self.0.lock().unwrap().push(format!("{} more", summary.suppressed));
///     }
/// }
///
/// let lines = Arc::new(Lines::default());
/// let log = Logger::new(Arc::new(Cache::builder().build()?), Arc::clone(&lines));
/// for _ in 0..5 {
///     log.error(format_args!("disk full"));
/// }
/// drop(log);
/// assert_eq!(*lines.0.lock().unwrap(), ["disk full", "4 more"]);
/// # Ok::<(), quell::ConfigError>(())
/// ```
///
/// # Panics
/// A panic in `write`, `notice` or a requested `flush` reaches the caller, and leaves logger and
/// cache as usable as before. In a [`Guard`](crate::Guard)'s thread and in the drop of the last
/// logger it is caught.
pub trait Sink: Send + Sync {
    /// Logs an event that was let through.
    fn write(&self, event: &Event<'_>);

    /// Logs how often a message was suppressed: the only report of these calls.
    fn summary(&self, summary: &Summary);

    /// Logs that `event` was suppressed, the first since it was last let through. Called only if
    /// [notices](crate::front::Builder::notices) are on; does nothing unless overridden. The call
    /// is counted and reported later like the others.
    fn notice(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Flushes what is buffered. Does nothing unless overridden.
    fn flush(&self) {}
}

macro_rules! forward_sink {
    ($($ty:ty),*) => {$(
        impl<S: Sink + ?Sized> Sink for $ty {
            fn write(&self, event: &Event<'_>) {
                (**self).write(event);
            }
            fn summary(&self, summary: &Summary) {
                (**self).summary(summary);
            }
            fn notice(&self, event: &Event<'_>) {
                (**self).notice(event);
            }
            fn flush(&self) {
                (**self).flush();
            }
        }
    )*};
}
forward_sink!(&S, Box<S>, std::sync::Arc<S>);

/// One event on its way to a [`Sink`].
///
/// # Guarantees
/// Formatting it never panics: a marker stands where a user's `Display` or `Debug` panics or
/// fails.
pub struct Event<'a> {
    pub(super) level: Level,
    pub(super) args: fmt::Arguments<'a>,
    pub(super) scope: &'a Scope,
    pub(super) key: Option<Key>,
    pub(super) fields: &'a [(&'a str, Value<'a>)],
    pub(super) namespace: Namespace,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) suppressed: u64,
    pub(super) last: Option<Tick>,
    pub(super) at: Tick,
    pub(super) location: &'static Location<'static>,
    /// Reads the cache's clock, for an event without a decision.
    pub(super) now: &'a dyn Fn() -> Tick,
}

impl<'a> Event<'a> {
    /// Returns its level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns its text.
    #[must_use]
    pub fn message(&self) -> Message<'a> {
        Message { args: self.args }
    }

    /// Returns the groups of its logger, outermost first, joined by dots; empty without a group.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.scope.path()
    }

    /// Returns the attributes of its logger in the order in which they were added, then its own
    /// fields. Allocates.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        self.with_own(self.scope.attributes())
    }

    fn with_own<I>(&self, attributes: I) -> impl Iterator<Item = Field<'a>> + use<'a, I>
    where
        I: Iterator<Item = (&'a str, &'a str, Value<'a>)>,
    {
        let group = self.scope.path();
        let attributes = attributes.map(|(group, key, value)| Field { group, key, value });
        let own = self.fields.iter().map(move |&(key, value)| Field { group, key, value });
        attributes.chain(own)
    }

    /// Returns how many calls were suppressed since this message was last reported; 0 in a
    /// [notice](Sink::notice).
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Returns when the last of the suppressed calls was, as [`Summary::last`] says it.
    #[must_use]
    pub fn last_suppressed(&self) -> Option<Tick> {
        self.last
    }

    /// Returns the namespace of its logger.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// Returns its fingerprint; `None` if it was exempt, or if a `Display`, a `Debug` or the clock
    /// panicked or failed.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// Returns when it was logged, by the cache's clock.
    #[must_use]
    pub fn at(&self) -> Tick {
        self.at
    }

    pub(super) fn write_text(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "{}", self.message())?;
        self.fields().try_for_each(|field| write!(out, " {field}"))
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("level", &self.level)
            .field("target", &self.target())
            .field("message", &format_args!("{}", self.message()))
            .field("suppressed", &self.suppressed)
            .finish_non_exhaustive()
    }
}

impl Record for Event<'_> {
    fn level(&self) -> Level {
        self.level
    }

    fn target(&self) -> &str {
        self.scope.path()
    }

    fn own_key(&self) -> Option<Key> {
        self.key
    }

    fn message(&self) -> fmt::Arguments<'_> {
        self.args
    }

    fn call_site(&self) -> usize {
        ptr::from_ref(self.location).addr()
    }

    fn location(&self) -> (Option<&str>, Option<&str>, Option<u32>) {
        (None, Some(self.location.file()), Some(self.location.line()))
    }

    fn each_field(&self, chosen: &Fields, each: impl FnMut(Field<'_>)) -> fmt::Result {
        // For what a summary shows, which is of a few: allocates nothing.
        let fields = self.with_own(self.scope.oldest());
        fields.filter(|field| chosen.has_in(field.group, field.key)).for_each(each);
        Ok(())
    }

    /// Adds the logger's attributes, which are hashed already, and the event's fields.
    #[inline]
    fn hash_fields(&self, chosen: &Fields, writer: &mut KeyWriter<'_>) -> fmt::Result {
        writer.add_fields(self.scope.key());
        let group = self.scope.path();
        for &(name, value) in self.fields {
            if chosen.has_in(group, name) {
                writer.field(group, name, value);
            }
        }
        Ok(())
    }
}
