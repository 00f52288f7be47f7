//! What a message looked like.

use crate::atomic_cell::AtomicCell;
use crate::text::{self, CUT, Field, cut};
use crate::{AttrValue, Level, Namespace, Value};
use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// An example of a message, kept with its entry so that a summary can say what was suppressed: an
/// event that was let through, with the fields that belong to its key. Made on emission only: a
/// suppressed call allocates nothing.
///
/// ```
/// use quell::{Exemplar, Level};
/// let exemplar = Exemplar::new("disk full").level(Level::Error).target("store").field("disk", 7);
/// assert_eq!((&*exemplar.message, &*exemplar.to_string()), ("disk full", "disk full disk=7"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exemplar {
    /// The namespace it was logged in.
    pub namespace: Namespace,
    /// Its level; see [`highest_level`](Self::highest_level).
    pub level: Option<Level>,
    highest: Highest,
    /// Its target: a module path, a logger's group, ...
    pub target: Box<str>,
    /// Its text. Like each text here it has at most [`Exemplar::MAX_TEXT`] bytes, and ends in `…`
    /// if it was cut.
    pub message: Box<str>,
    fields: Vec<(Box<str>, AttrValue)>,
    left_out: usize,
    /// The module it was logged in.
    pub module: Option<Box<str>>,
    /// The file it was logged in.
    pub file: Option<Box<str>>,
    /// The line it was logged at.
    pub line: Option<u32>,
    pub(crate) extra: Extra,
    /// The call site, for a summary that is an event itself.
    #[cfg(feature = "tracing")]
    pub(crate) metadata: Option<&'static tracing_core::Metadata<'static>>,
}

// A call site is never left half done.
#[cfg(feature = "tracing")]
impl UnwindSafe for Exemplar {}
#[cfg(feature = "tracing")]
impl RefUnwindSafe for Exemplar {}

impl Exemplar {
    /// The longest text kept, in bytes; all fields together have as many again.
    pub const MAX_TEXT: usize = 256;
    /// The most fields kept.
    pub const MAX_FIELDS: usize = 16;

    /// Makes an exemplar of a text.
    #[must_use]
    pub fn new(message: &str) -> Self {
        Self { message: cut(message, Self::MAX_TEXT), ..Self::default() }
    }

    /// Sets the text to one that may panic or fail.
    pub(crate) fn set_message(&mut self, message: fmt::Arguments<'_>) {
        self.message = text::capture(message, Self::MAX_TEXT);
    }

    /// Adds a field. One that there is no room for is [left out](Self::left_out).
    #[must_use]
    pub fn field<'a>(mut self, key: &str, value: impl Into<Value<'a>>) -> Self {
        self.push(Field { group: "", key, value: value.into() });
        self
    }

    /// Adds a field, and returns whether there was room for it.
    pub(crate) fn push(&mut self, field: Field<'_>) -> bool {
        let used = self.fields.iter().map(|(key, value)| key.len() + value.text_len());
        let room = Self::MAX_TEXT - used.sum::<usize>();
        let key: Box<str> = match field.group {
            "" => field.key.into(),
            group => format!("{group}.{}", field.key).into(),
        };
        // With room for a mark, should the value be cut. The names of quell's own are taken.
        let fits = !key.starts_with("quell.")
            && self.fields.len() < Self::MAX_FIELDS
            && key.len() + CUT.len_utf8() <= room;
        if fits {
            let value = AttrValue::capture(field.value, room - key.len());
            self.fields.push((key, value));
        } else {
            self.left_out += 1;
        }
        fits
    }

    /// Returns the fields that belong to its key. A field's key includes the groups that it is in.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        self.fields.iter().map(|(key, value)| Field { group: "", key, value: value.as_value() })
    }

    /// Returns how many fields there was no room for, or that have a name like quell's own.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Sets the level.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Returns the highest level of the message's events since the exemplar was made, where a key
    /// such as [`Key::Message`](crate::Key::Message) makes one message of several levels; else
    /// its own.
    #[must_use]
    pub fn highest_level(&self) -> Option<Level> {
        let of_all = self.highest.0.load();
        Level::ALL.into_iter().find(|level| *level as u8 == of_all).max(self.level)
    }

    pub(crate) fn raise_level(&self, level: Level) {
        let mut highest = self.highest.0.load();
        while highest < level as u8 && self.level < Some(level) {
            match self.highest.0.compare_exchange(highest, level as u8) {
                Ok(_) => return,
                Err(other) => highest = other,
            }
        }
    }

    /// Sets the target.
    #[must_use]
    pub fn target(mut self, target: &str) -> Self {
        self.target = cut(target, Self::MAX_TEXT);
        self
    }

    /// Sets the namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// Sets where in the source it was logged.
    #[must_use]
    pub fn location(mut self, module: Option<&str>, file: Option<&str>, line: Option<u32>) -> Self {
        self.module = module.map(|module| cut(module, Self::MAX_TEXT));
        self.file = file.map(|file| cut(file, Self::MAX_TEXT));
        self.line = line;
        self
    }
}

/// What a front end keeps of a record besides, to be found again by its type.
#[derive(Clone, Default)]
pub(crate) struct Extra(Option<Arc<dyn Any + Send + Sync + UnwindSafe + RefUnwindSafe>>);

impl Extra {
    #[cfg(feature = "slog")]
    pub(crate) fn new(extra: impl Any + Send + Sync + UnwindSafe + RefUnwindSafe) -> Self {
        Self(Some(Arc::new(extra)))
    }

    #[cfg(feature = "slog")]
    pub(crate) fn get<T: 'static>(&self) -> Option<&T> {
        let extra: &dyn Any = self.0.as_deref()?;
        extra.downcast_ref()
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Extra {}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.is_some().fmt(f)
    }
}

/// The highest level that was met, as a number; 0 before any. An exemplar is shared by then.
#[derive(Default)]
struct Highest(AtomicCell<u8>);

impl Clone for Highest {
    fn clone(&self) -> Self {
        Self(AtomicCell::new(self.0.load()))
    }
}

impl PartialEq for Highest {
    fn eq(&self, other: &Self) -> bool {
        self.0.load() == other.0.load()
    }
}

impl Eq for Highest {}

impl fmt::Debug for Highest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.load().fmt(f)
    }
}

impl fmt::Display for Exemplar {
    /// Writes the message and its fields: `disk full path=/var`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut space = if self.message.is_empty() { "" } else { " " };
        for field in self.fields() {
            write!(f, "{space}{field}")?;
            space = " ";
        }
        if self.left_out != 0 { write!(f, "{space}{CUT}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        let exemplar = Exemplar::new(&"é".repeat(200)).target(&"t".repeat(300));
        assert_eq!(exemplar.message.len(), 255);
        assert!(exemplar.message.ends_with("é…") && exemplar.target.ends_with("t…"));
    }

    #[test]
    fn the_highest_level_counts() {
        let exemplar = Exemplar::new("m").level(Level::Info);
        assert_eq!(exemplar.highest_level(), Some(Level::Info));
        [Level::Debug, Level::Error, Level::Warn].iter().for_each(|l| exemplar.raise_level(*l));
        assert_eq!(
            (exemplar.highest_level(), exemplar.level),
            (Some(Level::Error), Some(Level::Info))
        );
        assert_eq!(Exemplar::new("m").highest_level(), None);
    }

    #[test]
    fn fields_have_a_bound_and_say_so() {
        let long = "x".repeat(200);
        let exemplar = Exemplar::new("m").field("a", &*long).field("b", &*long).field("c", 1);
        let kept: Vec<_> = exemplar.fields().map(|field| field.to_string()).collect();
        assert_eq!(kept, [format!("a={long}"), format!("b={}…", "x".repeat(51))]);
        assert_eq!(exemplar.left_out(), 1);
        assert!(exemplar.to_string().ends_with(" …"));
        let many = (0..40).fold(Exemplar::new(""), |all, n| all.field("k", n));
        assert_eq!((many.fields().len(), many.left_out()), (16, 24));
    }
}
