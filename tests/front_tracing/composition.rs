//! Combinations of a filter with others, and what happens where they do not work.

use crate::support::{Memory, dedup, in_scope};
use quell::{Rule, Rules};
use tracing::{Subscriber, debug, info, warn};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{registry, reload};

fn flood() {
    for _ in 0..3 {
        debug!("d");
        info!("i");
        warn!("w");
    }
}

#[test]
fn a_level_before_quell() {
    let (dedup, _) = dedup();
    let memory = Memory::default();
    let stack = registry().with(dedup.wrap_filtered(LevelFilter::INFO, memory.clone()));
    assert_eq!(stack.max_level_hint(), Some(LevelFilter::INFO));
    in_scope(stack, flood);
    assert_eq!(memory.messages(), ["i", "w"]);
    let stats = dedup.cache().stats();
    assert_eq!(stats.emitted + stats.suppressed, 6, "what the level keeps out is not counted");
}

#[test]
fn a_filter_without_a_hint_raises_the_level() {
    // As in any layer with such a filter.
    let (dedup, _) = dedup();
    let hintless = filter_fn(|metadata| *metadata.level() <= tracing::Level::INFO);
    let stack = registry().with(dedup.wrap_filtered(hintless, Memory::default()));
    assert_eq!(stack.max_level_hint(), None);
    let hinted = filter_fn(|metadata| *metadata.level() <= tracing::Level::INFO)
        .with_max_level_hint(LevelFilter::INFO);
    let stack = registry().with(dedup.wrap_filtered(hinted, Memory::default()));
    assert_eq!(stack.max_level_hint(), Some(LevelFilter::INFO));
}

#[test]
fn a_filter_beside_quell_can_be_reloaded() {
    let (dedup, _) = dedup();
    let memory = Memory::default();
    let (level, handle) = reload::Layer::new(LevelFilter::WARN);
    let stack = tracing::Dispatch::new(registry().with(dedup.wrap_filtered(level, memory.clone())));
    in_scope(stack.clone(), flood);
    in_scope(stack, || {
        // In scope: a reload asks the current subscriber for its level if there is only
        // one.
        handle.reload(LevelFilter::DEBUG).unwrap();
        flood();
    });
    assert_eq!(memory.messages(), ["w", "d", "i"]);
}

#[test]
fn rules_are_swapped_through_their_own_handle() {
    let (builder, _) = crate::support::builder();
    let rules = quell::SharedRules::from(Rule::once());
    let dedup = builder.rules(rules.clone()).build();
    let memory = Memory::default();
    let stack = tracing::Dispatch::new(crate::support::stack(&dedup, &memory));
    in_scope(stack.clone(), flood);
    assert_eq!(memory.take().len(), 3);
    rules.set(Rules::new(Rule::once()).exempt_level(quell::Level::Warn));
    in_scope(stack, flood);
    assert_eq!(memory.messages(), ["w", "w", "w"]);
}

#[test]
fn boxed_optional_and_listed_layers() {
    // Of these only a box tells its layer which subscriber it is in; one that does is
    // enough.
    for told in [true, false] {
        let (dedup, _) = dedup();
        let memories = [(); 3].map(|()| Memory::default());
        let [a, b, c] = memories.clone();
        let stack = registry().with(vec![dedup.wrap(a), dedup.wrap(b)]).with(Some(dedup.wrap(c)));
        let stack = if told {
            tracing::Dispatch::new(stack.with(dedup.wrap(Memory::default())))
        } else {
            tracing::Dispatch::new(stack)
        };
        let guard = dedup.guard().unwrap();
        in_scope(stack.clone(), flood);
        drop(guard);
        for memory in memories {
            let lines = memory.take();
            let sum: u64 = lines.iter().map(|line| line.suppressed().unwrap_or(1)).sum();
            assert_eq!(sum, if told { 9 } else { 3 });
        }
        let mut left = 0;
        dedup.cache().drain(|summary| left += summary.suppressed);
        assert_eq!(left, if told { 0 } else { 18 }, "what was not told stays in the cache");
    }
    let (dedup, memory) = (dedup().0, Memory::default());
    let stack = tracing::Dispatch::new(registry().with(dedup.wrap(memory.clone()).boxed()));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), flood);
    drop(guard);
    assert_eq!(memory.sums().len(), 3);
}

#[test]
fn dedup_layer_changes_no_interest_and_no_level() {
    fn compare<S: Subscriber>(name: &str, without: S, with: impl Subscriber) {
        assert_eq!(without.max_level_hint(), with.max_level_hint(), "{name}");
        for metadata in [
            metadata_of(tracing::Level::ERROR),
            metadata_of(tracing::Level::INFO),
            metadata_of(tracing::Level::TRACE),
        ] {
            assert_eq!(
                without.enabled(metadata),
                with.enabled(metadata),
                "{name}, {:?}",
                metadata.level()
            );
            let (a, b) = (without.register_callsite(metadata), with.register_callsite(metadata));
            assert_eq!(a.is_never(), b.is_never(), "{name}, {:?}", metadata.level());
        }
    }
    let (dedup, _) = dedup();
    let plain = Memory::default;
    macro_rules! warn {
        () => {
            plain().with_filter(LevelFilter::WARN)
        };
    }
    compare("plain", registry().with(plain()), registry().with(dedup.wrap(plain())));
    compare("level", registry().with(LevelFilter::INFO), {
        registry()
            .with(LevelFilter::INFO)
            .with(dedup.wrap(tracing_subscriber::layer::Identity::new()))
    });
    compare("filtered", registry().with(warn!()), {
        registry().with(dedup.wrap_filtered(LevelFilter::WARN, plain()))
    });
}

fn metadata_of(level: tracing::Level) -> &'static tracing::Metadata<'static> {
    fn take(event: impl Fn()) -> &'static tracing::Metadata<'static> {
        use std::sync::{Arc, Mutex};
        use tracing_subscriber::layer::Context;
        #[derive(Clone, Default)]
        struct Takes(Arc<Mutex<Option<&'static tracing::Metadata<'static>>>>);
        impl<S: Subscriber> Layer<S> for Takes {
            fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
                *self.0.lock().unwrap() = Some(event.metadata());
            }
        }
        let takes = Takes::default();
        in_scope(registry().with(takes.clone()), event);
        takes.0.lock().unwrap().expect("it was logged")
    }
    match level {
        tracing::Level::ERROR => take(|| tracing::error!("e")),
        tracing::Level::INFO => take(|| info!("i")),
        _ => take(|| tracing::trace!("t")),
    }
}

#[test]
fn subscribers_side_by_side() {
    let (one, two) = (dedup().0, dedup().0);
    let (a, b) = (Memory::default(), Memory::default());
    let first = tracing::Dispatch::new(crate::support::stack(&one, &a));
    let second = tracing::Dispatch::new(crate::support::stack(&two, &b));
    let guards = [one.guard().unwrap(), two.guard().unwrap()];
    in_scope(first.clone(), || {
        info!("x");
        in_scope(second.clone(), || (0..3).for_each(|_| info!("x")));
        info!("x");
    });
    drop(guards);
    assert_eq!(a.sums(), [("x".to_string(), 1)]);
    assert_eq!(b.sums(), [("x".to_string(), 2)]);
}

#[test]
fn a_wrapped_layer_can_be_found() {
    let (dedup, memory) = (dedup().0, Memory::default());
    let wrapped = tracing::Dispatch::new(registry().with(dedup.wrap(memory.clone())));
    let filtered = dedup.wrap_filtered(LevelFilter::INFO, memory);
    let filtered = tracing::Dispatch::new(registry().with(filtered));
    assert!(wrapped.downcast_ref::<Memory>().is_some());
    assert!(filtered.downcast_ref::<Memory>().is_some());
}

#[test]
fn the_parts_may_go_where_they_are_needed() {
    fn everywhere<T: Send + Sync + 'static>() {}
    everywhere::<quell::front::tracing::Dedup>();
    everywhere::<quell::front::tracing::Builder>();
    everywhere::<quell::Key>();
}

#[test]
fn a_veto_may_stand_anywhere() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tracing_subscriber::layer::Context;
    /// Vetoes all events for all layers while it is told to.
    #[derive(Clone, Default)]
    struct Veto(Arc<AtomicBool>);
    impl<S: Subscriber> Layer<S> for Veto {
        fn event_enabled(&self, _: &tracing::Event<'_>, _: Context<'_, S>) -> bool {
            !self.0.load(Ordering::Relaxed)
        }
    }
    for above in [true, false] {
        let (dedup, _) = dedup();
        let (memory, veto) = (Memory::default(), Veto::default());
        let stack = if above {
            tracing::Dispatch::new(registry().with(dedup.wrap(memory.clone())).with(veto.clone()))
        } else {
            tracing::Dispatch::new(registry().with(veto.clone()).with(dedup.wrap(memory.clone())))
        };
        let guard = dedup.guard().unwrap();
        veto.0.store(true, Ordering::Relaxed);
        in_scope(stack.clone(), || (0..3).for_each(|_| info!("x")));
        assert_eq!((memory.len(), dedup.cache().stats().emitted), (0, 0), "nothing is counted");
        veto.0.store(false, Ordering::Relaxed);
        in_scope(stack.clone(), || (0..3).for_each(|_| info!("x")));
        // It vetoes events; it is not asked for the probe's level.
        veto.0.store(true, Ordering::Relaxed);
        drop(guard);
        assert_eq!(memory.sums(), [("x".to_string(), 2)], "above: {above}");
    }
}
