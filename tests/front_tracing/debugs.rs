//! Arguments that do more than they should while they are read.

use crate::support::{Memory, dedup, in_scope, stack};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tracing::{Event, Subscriber, info};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Debug")
    }
}

struct Fails;

impl fmt::Display for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("so far")?;
        Err(fmt::Error)
    }
}

/// A sink that does not read what it is given.
#[derive(Clone, Default)]
struct Blind(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl<S: Subscriber> Layer<S> for Blind {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_panic_is_not_propagated_and_loses_nothing() {
    let (dedup, _) = dedup();
    let sink = Blind::default();
    in_scope(registry().with(dedup.wrap(sink.clone())), || {
        for _ in 0..3 {
            info!("{:?}", Panics);
            info!(field = ?Panics, "x");
            info!("fine");
        }
    });
    assert_eq!(sink.0.load(std::sync::atomic::Ordering::Relaxed), 7);
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.failed_open, stats.suppressed), (7, 6, 2));
}

#[test]
fn an_error_is_not_propagated_and_loses_nothing() {
    let (dedup, _) = dedup();
    let sink = Blind::default();
    in_scope(registry().with(dedup.wrap(sink.clone())), || {
        for _ in 0..3 {
            info!("{}", Fails);
            info!(field = %Fails, "x");
        }
    });
    assert_eq!(sink.0.load(std::sync::atomic::Ordering::Relaxed), 6);
    assert_eq!(dedup.cache().stats().failed_open, 6);
}

#[test]
fn a_panic_of_the_sink_leaves_quell_intact() {
    let (dedup, _) = dedup();
    let memory = Memory::default();
    let stack = tracing::Dispatch::new(stack(&dedup, &memory));
    in_scope(stack, || {
        // The sink reads it, too, and panics: that is between the sink and its caller.
        let outcome = catch_unwind(AssertUnwindSafe(|| info!("{:?}", Panics)));
        assert!(outcome.is_err());
    });
    assert_eq!(dedup.cache().stats().failed_open, 1);
}
