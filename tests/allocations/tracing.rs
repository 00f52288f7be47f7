//! The front end for tracing.

use crate::allocations;
use crate::common::turn;
use quell::Key;
use quell::front::tracing::Dedup;
use quell::{Cache, Fields, Rule, Rules};
use std::fmt;
use std::sync::Arc;
use tracing::{Event, Subscriber, error, info, info_span, warn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

/// A sink that costs nothing itself.
struct Nothing;

impl<S: Subscriber> Layer<S> for Nothing {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {}
}

struct Shown(u32);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("n", &self.0).finish()
    }
}

fn log_all() {
    error!("connection refused");
    error!("cannot reach {} after {} attempts", "10.0.0.1", 7);
    warn!(peer = "10.0.0.1", attempt = 7, error = ?Shown(3), "connection refused");
    info!("{:?} {:>40}", Shown(3), 1.5);
    info!(f = 1.0, b = true, w = 1u128, s = %"x");
    let error: &(dyn std::error::Error + 'static) = &fmt::Error;
    info!(error, "x");
    tracing_log::format_trace(
        &tracing_log::log::Record::builder().target("hyper").args(format_args!("from log")).build(),
    )
    .unwrap();
    info!(target: "audit", "exempt");
    info!(target: "other", request_id = 1, "x");
}

fn allocations_on_suppressed(stack: impl Subscriber + Send + Sync, cache: &Cache) {
    tracing::subscriber::with_default(stack, || {
        let _outer = info_span!("outer", user = "a", shard = 3).entered();
        let _inner = info_span!("inner", user = "b").entered();
        // What is about one of them may be the first of its message.
        log_all();
        assert_eq!(allocations(log_all), 0, "the first that are suppressed");
        let suppressed = cache.stats().suppressed;
        assert_eq!(allocations(|| (0..10).for_each(|_| log_all())), 0);
        assert_ne!(cache.stats().suppressed, suppressed);
    });
}

#[test]
fn suppressed_events_allocate_nothing() {
    let _turn = turn();
    for key in [Some(Key::Event), Some(Key::Callsite), Some(Key::Message), None] {
        let cache = Arc::new(Cache::builder().build().unwrap());
        let builder = Dedup::builder(Arc::clone(&cache));
        let builder = match key {
            Some(key) => builder.key(key),
            None => builder.custom_key(|event, hasher| {
                hasher.bytes(event.metadata().target().as_bytes());
            }),
        };
        let builder = builder
            .fields(Fields::except(["request_id"]))
            .rules(Rules::new(Rule::once()).exempt_target("audit"))
            .span_fields(["user", "shard"]);
        let dedup = builder.build();
        let stack = registry().with(dedup.wrap(Nothing)).with(dedup.wrap(Nothing));
        allocations_on_suppressed(stack, &cache);
    }
}
