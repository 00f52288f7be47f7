//! The layer around a layer: where events are decided on, and summaries written.
// Downcasts, of the wrapped layer and to learn whether it has a filter.
#![allow(unsafe_code)]

use super::key::{self, EventSource, Seen};
use super::probe::{self, PROBE};
use super::state::{Shared, State};
use super::summary_event::SummaryEvent;
use crate::Clock;
use crate::exemplar::Draft;
use crate::front::decide::Action;
use crate::panics::catch_panic;
use crate::report::RecursionGuard;
use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::{Arc, OnceLock};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Interest, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Identity, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// Lets a layer see the first of each message and the summaries of its repeats; forwards all else.
///
/// Summaries go from here to the layer, past the filters and layers in the stack: these have let
/// the lines pass that a summary counts.
pub(super) struct DedupLayer<L, C: Clock> {
    layer: L,
    state: Arc<State<C>>,
    /// Whether all events are forwarded. A layer with a filter of its own would be asked too late:
    /// an event that the filter rejects would use up the window of one that it lets pass.
    is_off: bool,
    /// For layers inside a `Vec` or `Option`, which never learn their subscriber.
    shared: Arc<Shared<C>>,
}

impl<L, C: Clock> DedupLayer<L, C> {
    pub(super) fn new<S: Subscriber>(layer: L, shared: &Arc<Shared<C>>) -> Self
    where
        L: Layer<S>,
    {
        let is_off = has_filter(&layer);
        if is_off {
            // Standard error may be closed.
            let _ = writeln!(
                io::stderr(),
                "quell: a wrapped layer has a filter of its own and is not deduplicated; \
                 use wrap_filtered(filter, layer) in place of wrap(layer.with_filter(filter))"
            );
        }
        Self { layer, state: shared.new_state(), is_off, shared: Arc::clone(shared) }
    }

    fn decide<S>(&self, event: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        L: Layer<S>,
    {
        let state = &*self.state;
        let (decider, options) = (&state.decider, &state.options);
        let source = EventSource::of(event);
        let level = source.level();
        // Lives until the layer has written: it, or a `Debug`, may log.
        let recursion = RecursionGuard::enter();
        if recursion.is_too_deep() {
            return decider.count_only(level, &recursion);
        }
        let draw = |draft: &mut Draft| {
            key::draw(event, &source, &decider.settings, options, draft);
            if !options.span_fields.is_empty() {
                catch_panic(|| state.spans.show(event, &ctx, &options.span_fields, draft));
            }
        };
        let exemplar = || decider.exemplar(draw);
        let action = decider.decide(
            level,
            source.target(),
            state.merges,
            source.call_site(),
            |writer| {
                let mut seen = Seen::default();
                key::write(event, &source, &decider.settings, options, &mut seen, writer)?;
                if options.span_fields.is_empty() {
                    return Ok(());
                }
                state.spans.hash(event, &ctx, seen, writer)
            },
            draw,
        );
        match action {
            Action::Drop => {}
            Action::Notice(_) => self.write(&SummaryEvent::notice(&exemplar()), &ctx),
            Action::Pass(how) if how.suppressed != 0 => {
                // A panic of the summary does not lose the event.
                let written = catch_unwind(AssertUnwindSafe(|| {
                    let summary = how.summary(decider.namespace, exemplar);
                    self.write(&SummaryEvent::summary(&summary, decider.now()), &ctx);
                }));
                self.layer.on_event(event, ctx);
                written.unwrap_or_else(|payload| resume_unwind(payload));
            }
            Action::Pass(_) | Action::PassUnread => self.layer.on_event(event, ctx),
        }
    }

    fn write<S>(&self, summary: &SummaryEvent<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        summary.with_event(&self.state.options.span_fields, |event| {
            self.layer.on_event(event, ctx.clone());
        });
    }

    /// Writes the summary that this thread has for this layer. Returns whether there was one.
    #[cold]
    fn deliver<S>(&self, ctx: &Context<'_, S>) -> bool
    where
        S: Subscriber,
        L: Layer<S>,
    {
        probe::receive(self.state.number, |summary| {
            let now = self.state.decider.now();
            self.write(&SummaryEvent::summary(summary, now), ctx);
        })
    }
}

impl<S, L, C> Layer<S> for DedupLayer<L, C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
    C: Clock,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.state.subscriber.set(subscriber);
        self.shared.subscriber.set(subscriber);
        self.layer.on_register_dispatch(subscriber);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.layer.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.layer.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        if ptr::eq(metadata, &PROBE) {
            // `false` makes the subscriber forget the filters' answers to the probe. The layer may
            // have wrapped layers in it.
            return !self.deliver(&ctx) && self.layer.enabled(metadata, ctx);
        }
        self.layer.enabled(metadata, ctx)
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        if ptr::eq(event.metadata(), &PROBE) {
            // `false` keeps the probe from all layers.
            return !self.deliver(&ctx) && self.layer.event_enabled(event, ctx);
        }
        self.layer.event_enabled(event, ctx)
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if ptr::eq(event.metadata(), &PROBE) {
            return;
        }
        if self.is_off {
            return self.layer.on_event(event, ctx);
        }
        self.decide(event, ctx);
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.state.keep_span_fields(id, |visitor| attrs.record(visitor));
        self.layer.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.state.keep_span_fields(span, |visitor| values.record(visitor));
        self.layer.on_record(span, values, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        if !self.state.options.span_fields.is_empty() {
            self.state.spans.forget(&id);
        }
        self.layer.on_close(id, ctx);
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.layer.max_level_hint()
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, ctx: Context<'_, S>) {
        self.layer.on_follows_from(span, follows, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.layer.on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.layer.on_exit(id, ctx);
    }

    fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, S>) {
        self.layer.on_id_change(old, new, ctx);
    }

    // Lets a look for the wrapped layer in a subscriber find it.
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<L>() {
            return Some(ptr::from_ref(&self.layer).cast());
        }
        // SAFETY: as promised by our caller.
        unsafe { self.layer.downcast_raw(id) }
    }
}

/// A filter before a [`DedupLayer`], which lets the probe pass besides.
pub(super) struct PassProbe<F>(pub(super) F);

impl<S, F: Filter<S>> Filter<S> for PassProbe<F> {
    fn enabled(&self, metadata: &Metadata<'_>, ctx: &Context<'_, S>) -> bool {
        ptr::eq(metadata, &PROBE) || self.0.enabled(metadata, ctx)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.callsite_enabled(metadata)
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> bool {
        ptr::eq(event.metadata(), &PROBE) || self.0.event_enabled(event, ctx)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.0.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.0.on_record(id, values, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.0.on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.0.on_exit(id, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.0.on_close(id, ctx);
    }
}

/// Returns whether `layer` is, or has in it, a layer with a filter, as far as can be told: from the
/// name of its type, unless a layer is boxed, and from its answer to tracing-subscriber's own
/// question.
fn has_filter<S: Subscriber, L: Layer<S>>(layer: &L) -> bool {
    let is_marked = |marker| {
        // SAFETY: the pointer is not used.
        unsafe { layer.downcast_raw(marker) }.is_some()
    };
    type_name::<L>().contains("tracing_subscriber::filter::layer_filters::Filtered<")
        || marker().is_some_and(is_marked)
}

/// Returns the private type that tracing-subscriber asks a layer for to learn whether it has a
/// filter. A layer that is asked tells it; `None` if a test of it fails.
fn marker() -> Option<TypeId> {
    thread_local! {
        static ASKED: Cell<Option<TypeId>> = const { Cell::new(None) };
    }
    struct Asked;
    impl Layer<Registry> for Asked {
        unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
            ASKED.set(ASKED.get().or(Some(id)));
            None
        }
    }
    static MARKER: OnceLock<Option<TypeId>> = OnceLock::new();
    *MARKER.get_or_init(|| {
        drop(Registry::default().with(Asked));
        ASKED.get().filter(|&id| {
            let filtered = Layer::<Registry>::with_filter(Identity::new(), LevelFilter::OFF);
            // SAFETY: the pointer is not used.
            let with = unsafe { filtered.downcast_raw(id) };
            // SAFETY: as above.
            let without = unsafe { Layer::<Registry>::downcast_raw(&Identity::new(), id) };
            with.is_some() && without.is_none()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_seen_in_boxes_too() {
        fn has(layer: impl Layer<Registry>) -> bool {
            has_filter(&layer)
        }
        let plain = || Layer::<Registry>::boxed(Identity::new());
        let filtered = || Layer::<Registry>::with_filter(Identity::new(), LevelFilter::WARN);
        assert!(!has(Identity::new()) && !has(plain()) && !has(plain().and_then(plain())));
        assert!(has(filtered()) && has(filtered().boxed()) && has(Some(filtered())));
        assert!(has(plain().and_then(filtered())) && has(filtered().and_then(plain())));
    }
}
