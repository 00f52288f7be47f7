//! Chosen span fields, hashed when they are recorded and kept with the span.
//!
//! One type for all filters: a span's extensions hold one value of each type.

use super::key::{Seen, Visitor};
use super::summaries::Shared;
use crate::panics::catch_panic;
use crate::report::RecursionGuard;
use crate::{Clock, FieldsHash, FingerprintHasher, Value};
use std::fmt;
use tracing_core::field::Visit;
use tracing_core::span::Id;
use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// What is kept with a span.
struct SpanFields(Vec<SpanField>);

struct SpanField {
    /// Of which `Dedup`, by number: their secrets differ.
    of: u64,
    /// Which of its names.
    name: usize,
    /// `None` if the value's `Debug` failed: events in this span cannot be told apart.
    hash: Option<FieldsHash>,
}

/// Hashes what `record` shows and keeps it with the span `id`.
pub(super) fn keep<S, C>(
    shared: &Shared<C>,
    id: &Id,
    ctx: &Context<'_, S>,
    record: impl FnOnce(&mut dyn Visit),
) where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
{
    let names = &shared.options.span_fields;
    if names.is_empty() {
        return;
    }
    let recursion = RecursionGuard::enter();
    let mut found = Vec::new();
    // Before the lock of the extensions is taken: a `Debug` may look at its span.
    record(&mut Visitor(|field: &'static str, value: Value<'_>| {
        let Some(name) = names.find(field) else { return };
        let hash = || {
            let mut hasher = shared.cache.hasher();
            let hash = hasher.hash_field(field, value);
            (!hasher.failed()).then_some(hash)
        };
        let hash = if recursion.is_too_deep() { None } else { catch_panic(hash).flatten() };
        found.push(SpanField { of: shared.number, name, hash });
    }));
    if found.is_empty() {
        return;
    }
    let Some(span) = ctx.span(id) else { return };
    // A poisoned lock panics.
    catch_panic(|| {
        let mut extensions = span.extensions_mut();
        let Some(SpanFields(kept)) = extensions.get_mut::<SpanFields>() else {
            return extensions.insert(SpanFields(found));
        };
        for field in found {
            match kept.iter_mut().find(|old| (old.of, old.name) == (field.of, field.name)) {
                Some(old) => old.hash = field.hash,
                None => kept.push(field),
            }
        }
    });
}

/// Adds the chosen fields of the spans around `event`, except those that were `seen`: inner
/// spans shadow outer ones. Fails if one could not be hashed.
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
        let Some(SpanFields(kept)) = extensions.get::<SpanFields>() else { continue };
        for field in kept.iter().filter(|field| field.of == of) {
            if seen.insert(field.name) {
                hasher.add_fields(field.hash.ok_or(fmt::Error)?);
            }
        }
    }
    Ok(())
}
