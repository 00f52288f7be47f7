//! Where messages go: the trait, and the event it is handed.

use super::scope::Scope;
use crate::front::Record;
use crate::key::KeyWriter;
use crate::text::{Field, Message};
use crate::{Fields, Fingerprint, Key, Level, Namespace, Summary, Tick, Value};
use std::fmt;
use std::panic::Location;
use std::ptr;

/// Where a [`Logger`](crate::Logger) sends what is to be logged.
///
/// Several threads may be inside a sink at once. A sink may log into the logger
/// that calls it: see [`Logger::log`](crate::Logger::log). The cache holds
/// nothing while it calls a sink, so a slow sink delays only its caller.
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
///         // In a statement of its own: formatting runs other people's code,
///         // and that must not happen under the lock.
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
/// A panic in `write`, `notice`, or in a flush that was asked for, goes on to
/// the caller, as from any logger, and leaves logger and cache as usable as
/// before. Where nobody asked (a [`Guard`](crate::Guard), the drop of the
/// last logger) it is swallowed.
pub trait Sink: Send + Sync {
    /// Logs an event that was let through.
    fn write(&self, event: &Event<'_>);

    /// Logs how often a message was suppressed. The only report of these calls.
    fn summary(&self, summary: &Summary);

    /// Says that `event` was suppressed, the first since it was last let
    /// through. Called only where [notices](crate::front::Builder::notices) are
    /// on; does nothing unless overridden. The call stays counted and is
    /// reported later like the others.
    fn notice(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Hands on what is buffered. Does nothing unless overridden.
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
/// Whatever is formatted through it is safe from the user's `Display` and
/// `Debug`: where one panics or fails, a marker stands in the text.
pub struct Event<'a> {
    pub(super) level: Level,
    pub(super) args: fmt::Arguments<'a>,
    pub(super) scope: &'a Scope,
    pub(super) key: Option<Key>,
    pub(super) fields: &'a [(&'a str, Value<'a>)],
    pub(super) namespace: Namespace,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) suppressed: u64,
    pub(super) at: Tick,
    pub(super) location: &'static Location<'static>,
    /// Reads the cache's clock, where nothing was decided.
    pub(super) now: &'a dyn Fn() -> Tick,
}

impl<'a> Event<'a> {
    /// Its level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Its text.
    #[must_use]
    pub fn message(&self) -> Message<'a> {
        Message { args: self.args }
    }

    /// The groups of its logger, outermost first, joined by dots. Empty outside
    /// of any group.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.scope.path()
    }

    /// The attributes of its logger in the order in which they were added, then
    /// its own fields. Allocates.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let group = self.scope.path();
        let attributes =
            self.scope.attributes().map(|(group, key, value)| Field { group, key, value });
        let own = self.fields.iter().map(move |&(key, value)| Field { group, key, value });
        attributes.chain(own)
    }

    /// How many calls were suppressed since this message was last reported. 0
    /// in a [notice](Sink::notice).
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// The namespace of its logger.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// Returns what it was recognised by. `None` if it was exempt, or could not be decided on,
    /// because a `Display`, a `Debug` or the clock panicked or failed.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// When it was logged, by the cache's clock.
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
        let fields = self.fields().filter(|field| chosen.has_in(field.group, field.key));
        fields.for_each(each);
        Ok(())
    }

    /// Adds the logger's attributes, which it has hashed already, and the event's fields.
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
