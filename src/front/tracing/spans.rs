//! Chosen span fields, hashed when they are recorded.
//!
//! They are kept here, not with the span: other layers run user code under the lock of a span's
//! extensions, and an event that this code logs must not wait for it. Nor does an event wait for a
//! lock that a fork left taken: the fields behind it are lost, and events in such spans pass.

use super::key::{FieldNames, Seen, Visitor};
use crate::atomic_cell::AtomicCell;
use crate::exemplar::Draft;
use crate::key::KeyWriter;
use crate::panics::catch_panic;
use crate::report::RecursionGuard;
use crate::text::Field;
use crate::{AttrValue, Exemplar, FieldsHash, FingerprintHasher, Value};
use std::collections::HashMap;
use std::fmt;
use std::sync::{RwLock, TryLockError};
use std::thread;
use tracing_core::field::Visit;
use tracing_core::span::Id;
use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The chosen fields of the spans that are open, by id. No lock is held while user code runs.
#[derive(Default)]
pub(super) struct SpanFields([Shard; SHARDS]);

const SHARDS: usize = 16;

type Spans = HashMap<u64, Vec<SpanField>>;

#[derive(Default)]
struct Shard {
    spans: RwLock<Spans>,
    /// Whether its lock is taken forever, by a thread that a forked child does not have.
    is_lost: AtomicCell<bool>,
}

impl Shard {
    /// How often a lock is tried, yielding in between: threads hold it for a look at a map.
    const TRIES: usize = 10_000;

    /// Calls `f` with the locked spans; returns `None` if the lock is lost.
    fn with<G, T>(
        &self,
        try_lock: impl Fn() -> Result<G, TryLockError<G>>,
        f: impl FnOnce(G) -> T,
    ) -> Option<T> {
        if self.is_lost.load() {
            return None;
        }
        for _ in 0..Self::TRIES {
            match try_lock() {
                Ok(guard) => return Some(f(guard)),
                Err(TryLockError::Poisoned(error)) => return Some(f(error.into_inner())),
                Err(TryLockError::WouldBlock) => thread::yield_now(),
            }
        }
        self.is_lost.store(true);
        None
    }

    fn read<T>(&self, f: impl FnOnce(&Spans) -> T) -> Option<T> {
        self.with(|| self.spans.try_read(), |spans| f(&spans))
    }

    fn write<T>(&self, f: impl FnOnce(&mut Spans) -> T) -> Option<T> {
        self.with(|| self.spans.try_write(), |mut spans| f(&mut spans))
    }
}

struct SpanField {
    /// The index of its name among the chosen ones.
    name: usize,
    /// `None` if the value's `Debug` failed: events in this span cannot be told apart.
    hash: Option<FieldsHash>,
    value: AttrValue,
}

impl SpanFields {
    fn shard(&self, span: &Id) -> &Shard {
        // The registry's ids of neighbours differ in the low bits.
        &self.0[(span.into_u64() % SHARDS as u64) as usize]
    }

    /// Hashes and keeps those of the recorded fields that have one of the `names`.
    pub(super) fn keep(
        &self,
        span: &Id,
        names: &FieldNames,
        hasher: impl Fn() -> FingerprintHasher,
        record: impl FnOnce(&mut dyn Visit),
    ) {
        let recursion = RecursionGuard::enter();
        let mut found = Vec::new();
        record(&mut Visitor(|field: &'static str, value: Value<'_>| {
            let Some(name) = names.find(field) else { return };
            let hash = || {
                let mut hasher = hasher();
                let hash = hasher.hash_field(field, value);
                (!hasher.failed()).then_some(hash)
            };
            let hash = if recursion.is_too_deep() { None } else { catch_panic(hash).flatten() };
            let value = match hash {
                Some(_) => AttrValue::capture(value, Exemplar::MAX_TEXT),
                None => AttrValue::capture(Value::Null, 0),
            };
            found.push(SpanField { name, hash, value });
        }));
        if found.is_empty() {
            return;
        }
        self.shard(span).write(|spans| {
            let kept = spans.entry(span.into_u64()).or_default();
            for field in found {
                match kept.iter_mut().find(|old| old.name == field.name) {
                    Some(old) => *old = field,
                    None => kept.push(field),
                }
            }
        });
    }

    /// Forgets a span that is closed.
    pub(super) fn forget(&self, span: &Id) {
        let shard = self.shard(span);
        if shard.read(|spans| spans.contains_key(&span.into_u64())) == Some(true) {
            shard.write(|spans| spans.remove(&span.into_u64()));
        }
    }

    /// Calls `each` with the chosen fields of the spans around `event`, the innermost first, until
    /// it fails. Fails if they are lost.
    fn each_around<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        mut each: impl FnMut(&SpanField) -> fmt::Result,
    ) -> fmt::Result
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        for span in ctx.event_scope(event).into_iter().flatten() {
            let of_span = |spans: &Spans| {
                let kept = spans.get(&span.id().into_u64());
                kept.into_iter().flatten().try_for_each(&mut each)
            };
            self.shard(&span.id()).read(of_span).unwrap_or(Err(fmt::Error))?;
        }
        Ok(())
    }

    /// Adds the chosen fields of the spans around `event` to its key, except those already `seen`:
    /// inner spans shadow outer ones. Fails if one could not be hashed.
    pub(super) fn hash<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        mut seen: Seen,
        writer: &mut KeyWriter<'_>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.each_around(event, ctx, |field| {
            if seen.insert(field.name) {
                writer.add_fields(field.hash.ok_or(fmt::Error)?);
            }
            Ok(())
        })
    }

    /// Adds them to the event's draft, which has its own fields already.
    pub(super) fn show<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        names: &FieldNames,
        draft: &mut Draft,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let _ = self.each_around(event, ctx, |field| {
            let key = names.name(field.name);
            if !draft.has(key) {
                draft.push(Field { group: "", key, value: field.value.as_value() });
            }
            Ok(())
        });
    }
}
