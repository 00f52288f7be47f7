//! Reading an event's fields: into a hash, and into the text of an exemplar.

use crate::caught::write_guarded;
use crate::{Exemplar, Fields, FingerprintHasher, Value};
use std::error::Error;
use std::fmt::{self, Write};
use std::sync::Arc;
use tracing_core::Event;
use tracing_core::field::{Field, Visit};

/// The names of chosen span fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Arc<[Box<str>]>);

impl Names {
    pub(super) fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(|name| name.as_ref().into()).collect())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|one| **one == *name)
    }
}

/// Which of the [`Names`] have been met. Allocates from the 65th name on.
#[derive(Debug, Default)]
pub(super) struct Seen {
    first: u64,
    others: Vec<usize>,
}

impl Seen {
    /// Returns whether it is new.
    pub(super) fn insert(&mut self, name: usize) -> bool {
        if name < 64 {
            let new = self.first & 1 << name == 0;
            self.first |= 1 << name;
            return new;
        }
        let new = !self.others.contains(&name);
        if new {
            self.others.push(name);
        }
        new
    }
}

/// A field of the bridge from `log`, which says where a record is from.
fn is_bridges(name: &str) -> bool {
    matches!(name, "log.target" | "log.module_path" | "log.file" | "log.line")
}

/// Writes an event's text and fields into a hasher.
pub(super) struct KeyVisitor<'a> {
    hasher: &'a mut FingerprintHasher,
    message: bool,
    fields: Option<&'a Fields>,
    span_fields: &'a Names,
    seen: &'a mut Seen,
    bridged: bool,
    result: fmt::Result,
}

impl<'a> KeyVisitor<'a> {
    #[inline]
    pub(super) fn new(
        hasher: &'a mut FingerprintHasher,
        message: bool,
        fields: Option<&'a Fields>,
        span_fields: &'a Names,
        seen: &'a mut Seen,
        bridged: bool,
    ) -> Self {
        Self { hasher, message, fields, span_fields, seen, bridged, result: Ok(()) }
    }

    /// An error if a `Debug` returned one.
    #[inline]
    pub(super) fn finish(self) -> fmt::Result {
        self.result
    }

    #[inline]
    fn field(&mut self, field: &Field, value: Value<'_>) {
        let name = field.name();
        if self.fields.is_some_and(|fields| fields.has(name)) && !(self.bridged && is_bridges(name))
        {
            if !self.span_fields.is_empty() {
                if let Some(name) = self.span_fields.find(name) {
                    self.seen.insert(name);
                }
            }
            self.hasher.field(name, value);
        }
    }
}

fn is_message(field: &Field) -> bool {
    field.name() == "message"
}

/// The methods of `Visit` that hand a value on with its type: each is overridden, lest numbers
/// arrive as what their `Debug` writes.
macro_rules! record_typed {
    () => {
        $crate::tracing::visit::record_typed! {
            record_f64: f64 => Value::F64, record_i64: i64 => Value::I64, record_u64: u64 => Value::U64,
            record_i128: i128 => Value::I128, record_u128: u128 => Value::U128, record_bool: bool => Value::Bool,
            record_bytes: &[u8] => Value::Bytes
        }

        fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
            self.field(field, Value::Display(&Chain(value)));
        }
    };
    ($($record:ident: $ty:ty => $value:expr),+) => {$(
        fn $record(&mut self, field: &Field, value: $ty) {
            self.field(field, $value(value));
        }
    )+};
}
pub(super) use record_typed;

impl Visit for KeyVisitor<'_> {
    record_typed!();

    fn record_str(&mut self, field: &Field, value: &str) {
        if !is_message(field) {
            self.field(field, Value::Str(value));
        } else if self.message {
            self.hasher.bytes(value.as_bytes());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !is_message(field) {
            self.field(field, Value::Debug(value));
        } else if self.message && self.result.is_ok() {
            self.result = write!(self.hasher, "{value:?}");
        }
    }
}

/// An error with what caused it, as it is logged.
pub(super) struct Chain<'a>(pub(super) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut error = self.0;
        while let Some(source) = error.source() {
            write!(f, ": {source}")?;
            error = source;
        }
        Ok(())
    }
}

/// The beginning of an event's text, with the fields that belong to its key.
pub(super) fn text_of(event: &Event<'_>, fields: Option<&Fields>, bridged: bool) -> String {
    let mut visitor =
        TextVisitor { text: Short::default(), fields: Short::default(), chosen: fields, bridged };
    event.record(&mut visitor);
    let TextVisitor { mut text, fields, .. } = visitor;
    if !fields.0.is_empty() {
        if !text.0.is_empty() {
            let _ = text.write_str(" ");
        }
        let _ = text.write_str(&fields.0);
    }
    text.0
}

/// A text that ends where an exemplar's does, or soon after.
#[derive(Default)]
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The whole of a character, and no more than the exemplar will cut.
        let room = (Exemplar::MAX_TEXT + 4).saturating_sub(self.0.len());
        let end = (0..=room.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
        self.0.push_str(&text[..end.unwrap_or(0)]);
        // Ends the formatting of a megabyte whose end nobody will see.
        if end == Some(text.len()) { Ok(()) } else { Err(fmt::Error) }
    }
}

struct TextVisitor<'a> {
    text: Short,
    fields: Short,
    chosen: Option<&'a Fields>,
    bridged: bool,
}

impl TextVisitor<'_> {
    fn field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let name = field.name();
        if self.chosen.is_some_and(|fields| fields.has(name)) && !(self.bridged && is_bridges(name))
        {
            let space = if self.fields.0.is_empty() { "" } else { " " };
            // An error says that the text is long enough.
            let _ = write!(self.fields, "{space}{name}=")
                .and_then(|()| write_guarded(&mut self.fields, value));
        }
    }
}

impl Visit for TextVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if is_message(field) {
            let _ = self.text.write_str(value);
        } else {
            self.field(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.field(field, format_args!("{}", Chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if is_message(field) {
            let _ = write_guarded(&mut self.text, format_args!("{value:?}"));
        } else {
            self.field(field, format_args!("{value:?}"));
        }
    }
}
