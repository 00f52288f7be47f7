//! The front end for tracing.

use crate::common::{WINDOW, cache, turn};
use crate::{Adds, OFTEN, in_a_child};
use quell::Cache;
use quell::front::tracing::Dedup;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber, dispatcher, info, info_span};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

#[test]
fn a_child_forked_while_others_log_can_log() {
    let _turn = turn();
    // Not a file of the formatter's, whose own lock a fork may leave taken.
    #[derive(Clone, Default)]
    struct Counts(Arc<AtomicU64>);
    impl<S: Subscriber> Layer<S> for Counts {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let cache = Arc::new(Cache::builder().build().unwrap());
    let dedup = Dedup::builder(cache).notices(true).span_fields(["user"]).build();
    let counts = Counts::default();
    registry().with(dedup.wrap(counts.clone())).init();
    let _guard = dedup.guard().unwrap();
    let storm = |_, n| {
        (0..16).for_each(|user| drop(info_span!("storm", user)));
        info!("x");
        info!("number {n}");
    };
    crate::fork_amid(storm, || {
        let before = counts.0.load(Ordering::Relaxed);
        for n in 0..20 {
            let _span = info_span!("child", user = n).entered();
            info!("x");
            info!("in child {n}");
        }
        assert!(counts.0.load(Ordering::Relaxed) >= before + 20);
    });
}

impl<S: Subscriber> Layer<S> for Adds {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Adds {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "quell.suppressed" {
            self.0.fetch_add(value);
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[test]
fn an_event_in_a_child_starts_the_thread_again() {
    let _turn = turn();
    let ((cache, clock), sink) = (cache(), Adds::default());
    let dedup = Dedup::builder(cache).interval(OFTEN).build();
    let stack = Dispatch::new(registry().with(dedup.wrap(sink.clone())));
    let _guard = dedup.guard().unwrap();
    dispatcher::with_default(&stack, || {
        let repeat = |n| (0..n).for_each(|_| info!("m"));
        repeat(5);
        in_a_child(|| {
            info!("n");
            clock.advance(WINDOW);
            let inherited = sink.becomes(4);
            repeat(4);
            clock.advance(WINDOW);
            inherited && sink.becomes(4 + 3)
        });
        clock.advance(WINDOW);
        assert!(sink.becomes(4), "the parent has the counts, too");
    });
}
