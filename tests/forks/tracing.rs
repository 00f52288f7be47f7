//! The front end for tracing, under the global subscriber.

use crate::common::turn;
use quell::Cache;
use quell::front::tracing::Dedup;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::{Event, Subscriber, info};
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
    let dedup = Dedup::builder(Arc::new(Cache::builder().build().unwrap())).notices(true).build();
    let counts = Counts::default();
    registry().with(dedup.wrap(counts.clone())).init();
    let _guard = dedup.guard().unwrap();
    let storm = |_, n| {
        info!("x");
        info!("number {n}");
    };
    crate::fork_amid(storm, || {
        let before = counts.0.load(Ordering::Relaxed);
        for n in 0..20 {
            info!("x");
            info!("in child {n}");
        }
        assert!(counts.0.load(Ordering::Relaxed) >= before + 20);
    });
}
