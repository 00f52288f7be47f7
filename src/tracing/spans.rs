//! Chosen span fields, hashed when they are recorded and kept with the span.
//!
//! One type for all filters: a span's extensions hold one value of each type.

use super::visit::{Chain, Names, Seen, record_typed};
use crate::caught::caught;
use crate::nesting::Nesting;
use crate::{Cache, Clock, FieldsHash, FingerprintHasher, Value};
use std::error::Error;
use std::fmt;
use tracing_core::field::{Field, Visit};
use tracing_core::span::Id;
use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// What is kept with a span.
struct Kept(Vec<Entry>);

struct Entry {
    /// Of which `Dedup`, by number: their secrets differ.
    of: u64,
    /// Which of its names.
    name: usize,
    /// `None` if the value's `Debug` failed: events in this span cannot be told apart.
    hash: Option<FieldsHash>,
}

/// Hashes what `record` shows and keeps it with the span `id`.
pub(super) fn keep<S, C>(
    of: u64,
    names: &Names,
    cache: &Cache<C>,
    id: &Id,
    ctx: &Context<'_, S>,
    record: impl FnOnce(&mut dyn Visit),
) where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
{
    let nesting = Nesting::enter();
    let mut visitor =
        SpanVisitor { of, names, cache, too_deep: nesting.is_too_deep(), found: Vec::new() };
    // Before the lock of the extensions is taken: a `Debug` may look at its span.
    record(&mut visitor);
    if visitor.found.is_empty() {
        return;
    }
    let Some(span) = ctx.span(id) else { return };
    // A poisoned lock panics.
    caught(|| {
        let mut extensions = span.extensions_mut();
        let Some(Kept(kept)) = extensions.get_mut::<Kept>() else {
            return extensions.insert(Kept(visitor.found));
        };
        for entry in visitor.found {
            match kept.iter_mut().find(|old| (old.of, old.name) == (entry.of, entry.name)) {
                Some(old) => old.hash = entry.hash,
                None => kept.push(entry),
            }
        }
    });
}

/// Adds the chosen fields of the spans around `event`, except those that were `seen`: inner
/// spans shadow outer ones. An error if one could not be hashed.
pub(super) fn add<S>(
    of: u64,
    event: &Event<'_>,
    ctx: &Context<'_, S>,
    mut seen: Seen,
    hasher: &mut FingerprintHasher,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    for span in ctx.event_scope(event).into_iter().flatten() {
        let extensions = span.extensions();
        let Some(Kept(kept)) = extensions.get::<Kept>() else { continue };
        for entry in kept.iter().filter(|entry| entry.of == of) {
            if seen.insert(entry.name) {
                hasher.add_fields(entry.hash.ok_or(fmt::Error)?);
            }
        }
    }
    Ok(())
}

struct SpanVisitor<'a, C> {
    of: u64,
    names: &'a Names,
    cache: &'a Cache<C>,
    too_deep: bool,
    found: Vec<Entry>,
}

impl<C: Clock> SpanVisitor<'_, C> {
    fn field(&mut self, field: &Field, value: Value<'_>) {
        let Some(name) = self.names.find(field.name()) else { return };
        let hash = || {
            let mut hasher = self.cache.hasher();
            let hash = hasher.hash_field(field.name(), value);
            (!hasher.failed()).then_some(hash)
        };
        let hash = if self.too_deep { None } else { caught(hash).flatten() };
        self.found.push(Entry { of: self.of, name, hash });
    }
}

impl<C: Clock> Visit for SpanVisitor<'_, C> {
    record_typed!();

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, Value::Str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, Value::Debug(value));
    }
}
