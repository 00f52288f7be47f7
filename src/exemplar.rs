//! What a message looked like.

use crate::atomic_cell::AtomicCell;
use crate::engine::{Spare, Taken};
use crate::panics::catch_panic;
use crate::text::{self, Buffer, CUT, Field, Part, cut};
use crate::{AttrValue, Level, Namespace, Value};
use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// An example of a message, kept with its entry so that a summary can say what was suppressed, with
/// the fields that belong to its key.
///
/// It is made of an event that is let through. Where a key makes one message of events that differ,
/// front ends make room then for one more: the first event suppressed since is noted there, which
/// allocates nothing, and it is what summaries show.
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
    repeat: Repeat,
    /// The call site, for a summary that is an event itself.
    #[cfg(feature = "tracing")]
    pub(crate) metadata: Option<&'static tracing_core::Metadata<'static>>,
}

// A call site is never left half done, nor is a repeat.
impl UnwindSafe for Exemplar {}
impl RefUnwindSafe for Exemplar {}

impl Exemplar {
    /// The longest text kept, in bytes; all fields together have as many again.
    pub const MAX_TEXT: usize = text::LONGEST;
    /// The most fields kept.
    pub const MAX_FIELDS: usize = 16;

    /// Makes an exemplar of a text.
    #[must_use]
    pub fn new(message: &str) -> Self {
        Self { message: cut(message, Self::MAX_TEXT), ..Self::default() }
    }

    /// Adds a field. One that there is no room for is [left out](Self::left_out).
    #[must_use]
    pub fn field<'a>(mut self, key: &str, value: impl Into<Value<'a>>) -> Self {
        let used = self.fields.iter().map(|(key, value)| key.len() + value.text_len());
        let room = Self::MAX_TEXT - used.sum::<usize>();
        let has_room = self.fields.len() < Self::MAX_FIELDS && fits(key.len(), room);
        if has_room && !is_quells(key) {
            let value = AttrValue::capture(value.into(), room - key.len());
            self.fields.push((key.into(), value));
        } else {
            self.left_out += 1;
        }
        self
    }

    pub(crate) fn leave_out(mut self, fields: usize) -> Self {
        self.left_out += fields;
        self
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

    /// Makes room for the first event suppressed from here on.
    pub(crate) fn with_room(mut self, empty: Draft) -> Self {
        self.repeat = Repeat(Some(Spare::new(empty)));
        self
    }

    /// Takes the room, if there is some that nobody has taken.
    pub(crate) fn take_room(self: &Arc<Self>) -> Option<Room> {
        let room = self.repeat.0.as_ref()?.take()?;
        Some(Room { of: Arc::clone(self), room })
    }

    /// Returns what summaries show: the first event suppressed since it was made, if that was
    /// noted; else itself.
    pub(crate) fn shown(self: Arc<Self>) -> Arc<Self> {
        let Some(repeat) = self.repeat.0.as_ref().and_then(Spare::get) else { return self };
        let repeat = repeat.to_exemplar().namespace(self.namespace);
        if let Some(highest) = self.highest_level() {
            repeat.raise_level(highest);
        }
        Arc::new(repeat)
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

/// Whether a field whose name has so many bytes fits: with room for a mark, should its value be cut.
pub(crate) fn fits(key_len: usize, room: usize) -> bool {
    key_len + CUT.len_utf8() <= room
}

/// Whether a field of this name could be taken for one of quell's own.
pub(crate) fn is_quells(key: &str) -> bool {
    key.starts_with("quell.")
}

/// Room that this thread is to fill, once nothing of the cache is in its hands: what it notes may
/// run user code.
pub(crate) struct Room {
    of: Arc<Exemplar>,
    room: Taken<Draft>,
}

impl Room {
    /// How many bytes it takes.
    pub(crate) const BYTES: usize = Spare::<Draft>::BYTES;

    /// Fills it by `draw`, and shows it unless that panics. Allocates nothing.
    #[cold]
    #[inline(never)]
    pub(crate) fn fill(mut self, draw: impl Fn(&mut Draft)) {
        let draft = self.room.get_mut();
        if catch_panic(|| draw(draft)).is_some() {
            if let Some(spare) = &self.of.repeat.0 {
                spare.show(self.room);
            }
        }
    }
}

/// Room for the first event that is suppressed after an exemplar was made, where it may differ. Not
/// part of what the exemplar says: a copy has none.
#[derive(Default)]
struct Repeat(Option<Spare<Draft>>);

impl Clone for Repeat {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl PartialEq for Repeat {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Repeat {}

impl fmt::Debug for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.is_some().fmt(f)
    }
}

/// What a front end keeps of a record besides, to be found again by its type.
#[derive(Clone, Default)]
pub(crate) struct Extra(Option<Kept>);

/// With how to make room for another.
type Kept = (Arc<dyn Any + Send + Sync + UnwindSafe + RefUnwindSafe>, fn() -> Extra);

impl Extra {
    #[cfg(feature = "slog")]
    pub(crate) fn new<T>(extra: T, room: fn() -> Self) -> Self
    where
        T: Any + Send + Sync + UnwindSafe + RefUnwindSafe,
    {
        Self(Some((Arc::new(extra), room)))
    }

    #[cfg(feature = "slog")]
    pub(crate) fn get<T: 'static>(&self) -> Option<&T> {
        let extra: &dyn Any = &*self.0.as_ref()?.0;
        extra.downcast_ref()
    }

    /// Returns it to be changed, if nobody else has it.
    #[cfg(feature = "slog")]
    pub(crate) fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        let extra: &mut dyn Any = Arc::get_mut(&mut self.0.as_mut()?.0)?;
        extra.downcast_mut()
    }

    /// Returns room for another like it.
    pub(crate) fn room(&self) -> Self {
        self.0.as_ref().map(|(_, room)| room()).unwrap_or_default()
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some((one, _)), Some((two, _))) => Arc::ptr_eq(one, two),
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

/// What front ends draw of an event, an [`Exemplar`] in the making: of a fixed size, so that
/// drawing allocates nothing. Texts may panic or fail.
#[derive(Default)]
// In the methods of a sealed trait, `Record`.
#[allow(unreachable_pub, missing_debug_implementations)]
pub struct Draft {
    texts: Buffer<{ 4 * Exemplar::MAX_TEXT }>,
    level: Option<Level>,
    target: Part,
    message: Part,
    module: Option<Part>,
    file: Option<Part>,
    line: Option<u32>,
    fields: [Option<DraftField>; Exemplar::MAX_FIELDS],
    /// How many bytes the fields take.
    used: usize,
    left_out: usize,
    pub(crate) extra: Extra,
    #[cfg(feature = "tracing")]
    pub(crate) metadata: Option<&'static tracing_core::Metadata<'static>>,
}

struct DraftField {
    key: Part,
    value: DraftValue,
}

enum DraftValue {
    Plain(AttrValue),
    Str(Part),
    /// What a `Display` or `Debug` wrote.
    Formatted(Part),
}

impl Draft {
    /// Makes an exemplar of what `draw` draws.
    #[cold]
    #[inline(never)]
    pub(crate) fn exemplar(draw: impl Fn(&mut Self)) -> Exemplar {
        let mut draft = Self::default();
        draw(&mut draft);
        draft.to_exemplar()
    }

    /// The same, with room for one more like it.
    #[cold]
    #[inline(never)]
    pub(crate) fn exemplar_with_room(draw: impl Fn(&mut Self)) -> Exemplar {
        let mut draft = Self::default();
        draw(&mut draft);
        draft.to_exemplar().with_room(Self { extra: draft.extra.room(), ..Self::default() })
    }

    /// Returns it as an exemplar.
    pub(crate) fn to_exemplar(&self) -> Exemplar {
        let text = |part| self.texts.text(part);
        let mut exemplar = Exemplar::new(text(self.message)).target(text(self.target)).location(
            self.module.map(text),
            self.file.map(text),
            self.line,
        );
        exemplar.level = self.level;
        exemplar.extra = self.extra.clone();
        #[cfg(feature = "tracing")]
        {
            exemplar.metadata = self.metadata;
        }
        for field in self.fields.iter().flatten() {
            let formatted;
            let value = match &field.value {
                DraftValue::Plain(value) => value.as_value(),
                DraftValue::Str(part) => Value::Str(text(*part)),
                DraftValue::Formatted(part) => {
                    formatted = text(*part);
                    Value::Display(&formatted)
                }
            };
            exemplar = exemplar.field(text(field.key), value);
        }
        exemplar.leave_out(self.left_out)
    }

    pub(crate) fn set_level(&mut self, level: Level) {
        self.level = Some(level);
    }

    /// Sets target, module, file and line. The three texts have room for twice the longest.
    pub(crate) fn set_origin(
        &mut self,
        target: &str,
        (module, file, line): (Option<&str>, Option<&str>, Option<u32>),
    ) {
        let mut room = 2 * Exemplar::MAX_TEXT;
        let texts = [Some(target), module, file].map(|text| {
            let part = self.texts.add(format_args!("{}", text?), room.min(Exemplar::MAX_TEXT));
            room -= part.len();
            (part.len() > 0).then_some(part)
        });
        self.target = texts[0].unwrap_or_default();
        (self.module, self.file, self.line) = (texts[1], texts[2], line);
    }

    pub(crate) fn set_message(&mut self, message: fmt::Arguments<'_>) {
        self.message = self.texts.add(message, Exemplar::MAX_TEXT);
    }

    /// Adds a field, and returns whether there was room for it.
    pub(crate) fn push(&mut self, field: Field<'_>) -> bool {
        let room = Exemplar::MAX_TEXT - self.used;
        let dot = if field.group.is_empty() { "" } else { "." };
        let key_len = field.group.len() + dot.len() + field.key.len();
        let place = self.fields.iter_mut().find(|place| place.is_none());
        let (true, Some(place)) = (fits(key_len, room), place) else {
            self.left_out += 1;
            return false;
        };
        let key = self.texts.add(format_args!("{}{dot}{}", field.group, field.key), room);
        if is_quells(self.texts.text(key)) {
            self.texts.take_back(key);
            self.left_out += 1;
            return false;
        }
        let room = room - key.len();
        self.used += key.len();
        let mut add = |text: fmt::Arguments<'_>| {
            let part = self.texts.add(text, room);
            self.used += part.len();
            part
        };
        let value = match field.value {
            Value::Str(text) => DraftValue::Str(add(format_args!("{text}"))),
            value => match AttrValue::plain(value) {
                Some(plain) => DraftValue::Plain(plain),
                None => DraftValue::Formatted(add(format_args!("{value}"))),
            },
        };
        *place = Some(DraftField { key, value });
        true
    }

    /// Returns whether it has a field of this name.
    #[cfg(feature = "tracing")]
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.iter().flatten().any(|field| self.texts.text(field.key) == key)
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

    #[test]
    fn a_draft_keeps_what_an_exemplar_keeps() {
        let long = "é".repeat(200);
        let values: Vec<(&str, Value<'_>)> = vec![
            ("a", Value::Str(&long[..200])),
            ("quell.x", Value::U64(1)),
            ("b", Value::I128(-1)),
            ("c", Value::Display(&long)),
            ("d", Value::Bool(true)),
        ];
        let many: Vec<_> = (0..40).map(|n| ("k", Value::U64(n))).collect();
        for values in [values, many] {
            let exemplar = Draft::exemplar(|draft: &mut Draft| {
                draft.set_level(Level::Warn);
                draft.set_origin(&long, (Some("module"), None, Some(7)));
                draft.set_message(format_args!("{long}"));
                for &(key, value) in &values {
                    draft.push(Field { group: "", key, value });
                }
            });
            let direct = Exemplar::new(&long).level(Level::Warn).target(&long);
            let direct = direct.location(Some("module"), None, Some(7));
            let direct = values.iter().fold(direct, |all, &(key, value)| all.field(key, value));
            assert_eq!(exemplar, direct);
            assert!(exemplar.left_out() > 0);
        }
    }

    #[test]
    fn groups_are_part_of_a_name() {
        let exemplar = Draft::exemplar(|draft: &mut Draft| {
            for group in ["net", "quell"] {
                draft.push(Field { group, key: "peer", value: Value::Char('x') });
            }
        });
        assert_eq!((exemplar.to_string().as_str(), exemplar.left_out()), ("net.peer=x …", 1));
    }
}
