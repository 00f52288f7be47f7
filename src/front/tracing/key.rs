//! Reading an event: into a hash, and into the text of an exemplar.

use crate::exemplar::Draft;
use crate::front::builder::Settings;
use crate::key::KeyWriter;
use crate::text::{ErrorChain, Field};
use crate::{FingerprintHasher, Key, Level, Value};
use std::error::Error;
use std::fmt::{self, Write as _};
use std::ops::Deref;
use std::ptr;
use std::sync::Arc;
use tracing_core::field::Visit;
use tracing_core::{Event, Metadata};
use tracing_log::NormalizeEvent;

/// Where an event was logged: its call site or, for a record that came over the bridge from `log`,
/// that of the record.
pub(super) enum EventSource<'a> {
    Callsite(&'static Metadata<'static>),
    Bridged(Metadata<'a>),
}

impl<'a> EventSource<'a> {
    #[inline]
    pub(super) fn of(event: &'a Event<'a>) -> Self {
        let metadata = event.metadata();
        // The text first: it is cheaper than finding the bridge's call site.
        if metadata.target() == "log" {
            if let Some(normalized) = event.normalized_metadata() {
                return Self::Bridged(normalized);
            }
        }
        Self::Callsite(metadata)
    }

    #[inline]
    pub(super) fn level(&self) -> Level {
        (*(**self).level()).into()
    }

    /// Returns a number that most call sites have for themselves.
    #[inline]
    pub(super) fn call_site(&self) -> usize {
        match self {
            Self::Callsite(metadata) => ptr::from_ref::<Metadata<'_>>(metadata).addr(),
            Self::Bridged(at) => at.target().as_ptr().addr() ^ at.line().unwrap_or(0) as usize,
        }
    }

    /// Returns whether `name` is a field of the bridge, which says where a record is from.
    fn adds(&self, name: &str) -> bool {
        matches!(self, Self::Bridged(_))
            && matches!(name, "log.target" | "log.module_path" | "log.file" | "log.line")
    }

    /// `shared`: such that another process has the same.
    fn hash(&self, shared: bool, writer: &mut KeyWriter<'_>) {
        match self {
            Self::Callsite(at) if shared => {
                writer.place(self.level() as u8, at.target());
                writer.location(None, at.file(), at.line());
            }
            Self::Callsite(metadata) => {
                writer.bytes(&ptr::from_ref::<Metadata<'_>>(metadata).addr().to_le_bytes());
            }
            // All records of a level share one call site.
            Self::Bridged(at) => {
                writer.place(self.level() as u8, at.target());
                writer.location(at.module_path(), at.file(), at.line());
            }
        }
    }
}

impl<'a> Deref for EventSource<'a> {
    type Target = Metadata<'a>;

    #[inline]
    fn deref(&self) -> &Metadata<'a> {
        match self {
            Self::Callsite(metadata) => metadata,
            Self::Bridged(metadata) => metadata,
        }
    }
}

/// Which of the [`FieldNames`] have been met. Allocates from the 65th name on.
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

/// Hands each field on with its type. Each method is overridden, lest numbers arrive as what
/// their `Debug` writes.
pub(super) struct Visitor<F>(pub(super) F);

macro_rules! record {
    ($($method:ident($ty:ty) => $variant:ident),+) => {$(
        #[inline]
        fn $method(&mut self, field: &tracing_core::Field, value: $ty) {
            (self.0)(field.name(), Value::$variant(value));
        }
    )+};
}

impl<F: FnMut(&'static str, Value<'_>)> Visit for Visitor<F> {
    record! {
        record_f64(f64) => F64, record_i64(i64) => I64, record_u64(u64) => U64,
        record_i128(i128) => I128, record_u128(u128) => U128, record_bool(bool) => Bool,
        record_str(&str) => Str, record_bytes(&[u8]) => Bytes, record_debug(&dyn fmt::Debug) => Debug
    }

    fn record_error(&mut self, field: &tracing_core::Field, value: &(dyn Error + 'static)) {
        (self.0)(field.name(), Value::Display(&ErrorChain(value)));
    }
}

/// Writes an event's key, and notes in `seen` which of the chosen span fields it has
/// itself. Fails if a `Debug` does.
#[inline]
pub(super) fn write(
    event: &Event<'_>,
    source: &EventSource<'_>,
    settings: &Settings,
    options: &Options,
    seen: &mut Seen,
    writer: &mut KeyWriter<'_>,
) -> fmt::Result {
    if let Some(custom) = &options.custom_key {
        custom(event, writer.hasher());
        return Ok(());
    }
    match settings.key {
        Key::Event => writer.place(source.level() as u8, source.target()),
        Key::Callsite => source.hash(settings.is_shared(), writer),
        Key::Message => {}
    }
    let message = settings.key != Key::Callsite;
    let fields = settings.fields(settings.key);
    if !message && fields.is_none() {
        return Ok(());
    }
    let mut result = Ok(());
    event.record(&mut Visitor(|name: &'static str, value: Value<'_>| {
        if name == "message" {
            if message && result.is_ok() {
                result = match value {
                    Value::Str(text) if settings.normalizer.is_none() => writer.write_str(text),
                    Value::Debug(text) => settings.hash_text(format_args!("{text:?}"), writer),
                    // A typed one: 404 is neither 500 nor "404".
                    value => {
                        writer.field("", name, value);
                        Ok(())
                    }
                };
            }
        } else if fields.is_some_and(|fields| fields.has(name)) && !source.adds(name) {
            if !options.span_fields.is_empty() {
                if let Some(name) = options.span_fields.find(name) {
                    seen.insert(name);
                }
            }
            writer.field("", name, value);
        }
    }));
    result
}

/// Draws what summaries of an event are to show.
#[cold]
pub(super) fn draw(
    event: &Event<'_>,
    source: &EventSource<'_>,
    settings: &Settings,
    options: &Options,
    draft: &mut Draft,
) {
    draft.set_level(source.level());
    draft.set_origin(source.target(), (source.module_path(), source.file(), source.line()));
    draft.metadata = Some(event.metadata());
    let fields = match &options.custom_key {
        Some(_) => settings.fields.as_ref(),
        None => settings.fields(settings.key),
    };
    event.record(&mut Visitor(|key: &'static str, value: Value<'_>| {
        if key == "message" {
            draft.set_message(format_args!("{value}"));
        } else if fields.is_some_and(|fields| fields.has(key)) && !source.adds(key) {
            draft.push(Field { group: "", key, value });
        }
    }));
}

type CustomKey = Arc<dyn Fn(&Event<'_>, &mut FingerprintHasher) + Send + Sync>;

/// The settings of tracing alone.
#[derive(Default)]
pub struct Options {
    pub(super) span_fields: FieldNames,
    pub(super) custom_key: Option<CustomKey>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("span_fields", &self.span_fields).finish_non_exhaustive()
    }
}

/// The names of chosen span fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct FieldNames(Arc<[Box<str>]>);

impl FieldNames {
    pub(super) fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(|name| name.as_ref().into()).collect())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    pub(super) fn name(&self, name: usize) -> &str {
        &self.0[name]
    }

    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|one| **one == *name)
    }
}
