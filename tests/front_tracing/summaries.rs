//! Summaries: events like the original.

use crate::support::{Memory, WINDOW, dedup, finish, in_scope, stack};
use crate::until::until;
use quell::front::tracing::Dedup;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::{Event, Subscriber, error, info, info_span};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

#[test]
fn a_summary_has_the_place_of_its_original() {
    let (dedup, clock) = dedup();
    let memory = Memory::default();
    let stack = tracing::Dispatch::new(stack(&dedup, &memory));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        (0..5).for_each(|n| error!(target: "store::wal", peer = "a", "disk {} full", n / 5))
    });
    clock.advance(Duration::from_millis(1500));
    finish(guard);
    let [first, summary] = &memory.take()[..] else { panic!("two lines") };
    assert_eq!(summary.message, "disk 0 full");
    assert_eq!(
        (summary.level, &summary.target, &summary.module, &summary.file, summary.line),
        (first.level, &first.target, &first.module, &first.file, first.line)
    );
    assert_eq!(summary.target, "store::wal");
    assert!(summary.line.is_some());
    let fields: Vec<_> = summary.fields.keys().map(String::as_str).collect();
    assert_eq!(fields, ["peer", "quell.last_ms", "quell.since_ms", "quell.suppressed"]);
    assert_eq!(summary.fields["peer"], first.fields["peer"]);
    assert_eq!(summary.suppressed(), Some(4));
}

#[test]
fn summaries_of_an_original_share_a_call_site() {
    /// The addresses of the call sites that were seen.
    #[derive(Clone, Default)]
    struct Sites(Arc<Mutex<Vec<usize>>>);
    impl<S: Subscriber> Layer<S> for Sites {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(std::ptr::from_ref(event.metadata()).addr());
        }
    }
    let (dedup, _) = dedup();
    let sites = Sites::default();
    let stack = tracing::Dispatch::new(registry().with(dedup.wrap(sites.clone())));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        for round in 0..3 {
            for n in 0..4 {
                for _ in 0..2 {
                    info!("round {round} number {n}");
                }
            }
            guard.flush();
        }
    });
    let mut sites = sites.0.lock().unwrap().clone();
    assert_eq!(sites.len(), 24);
    sites.sort_unstable();
    sites.dedup();
    assert_eq!(sites.len(), 2, "the original and the summaries'");
}

#[test]
fn summaries_all_pass_and_are_in_no_span() {
    let (dedup, _) = dedup();
    let memory = Memory::default();
    let stack = tracing::Dispatch::new(stack(&dedup, &memory));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        let _span = info_span!("flushes").entered();
        for _ in 0..3 {
            info!("x");
            info!("x");
            guard.flush();
        }
    });
    let lines = memory.take();
    assert_eq!(lines.iter().filter_map(|line| line.suppressed()).collect::<Vec<_>>(), [1, 2, 2]);
    assert!(lines.iter().all(|line| line.parent.is_some() != line.is_quells()));
}

#[test]
fn without_a_subscriber_counts_stay_in_the_cache() {
    let (dedup, _) = dedup();
    let memory = Memory::default();
    let guard = dedup.guard().unwrap();
    in_scope(stack(&dedup, &memory), || (0..5).for_each(|_| info!("x")));
    finish(guard);
    assert_eq!(memory.take().len(), 1);
    let mut left = 0;
    dedup.cache().drain(|summary| left += summary.suppressed);
    assert_eq!(left, 4);
}

#[test]
fn the_parts_may_be_dropped_in_any_order() {
    for order in 0..6 {
        let (dedup, _) = dedup();
        let memory = Memory::default();
        let stack = tracing::Dispatch::new(stack(&dedup, &memory));
        let guard = dedup.guard().unwrap();
        in_scope(stack.clone(), || (0..2).for_each(|_| info!("x")));
        let cache = Arc::clone(dedup.cache());
        let parts: [Box<dyn std::any::Any>; 3] =
            [Box::new(dedup), Box::new(stack), Box::new(guard)];
        let mut parts = parts.map(Some);
        for part in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][order] {
            drop(parts[part].take());
        }
        let told: u64 = memory.sums().iter().map(|sum| sum.1).sum();
        let mut left = 0;
        cache.drain(|summary| left += summary.suppressed);
        assert_eq!(told + left, 1);
    }
}

#[test]
fn a_panicking_clock_costs_no_summary() {
    use quell::{Cache, Clock, Tick};
    use std::sync::atomic::{AtomicU64, Ordering};
    /// Panics once, in the second call of the reporter's thread after the window.
    #[derive(Clone, Default)]
    struct Broken(Arc<(AtomicU64, AtomicU64)>);
    impl Clock for Broken {
        fn now(&self) -> Tick {
            let millis = self.0.0.load(Ordering::Relaxed);
            let reporter = std::thread::current().name() == Some("quell-summaries");
            if reporter && millis != 0 && self.0.1.fetch_add(1, Ordering::Relaxed) == 1 {
                panic!("in the clock");
            }
            Tick::from_millis(millis)
        }
    }
    let clock = Broken::default();
    let cache = Cache::builder().window(WINDOW).clock(clock.clone()).build().unwrap();
    let dedup = Dedup::builder(Arc::new(cache)).interval(Duration::from_millis(1)).build();
    let (one, two) = (Memory::default(), Memory::default());
    let stack = tracing::Dispatch::new(
        registry().with(dedup.wrap(one.clone())).with(dedup.wrap(two.clone())),
    );
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || (0..5).for_each(|_| info!("x")));
    clock.0.0.store(WINDOW.as_millis() as u64, Ordering::Relaxed);
    until(|| clock.0.1.load(Ordering::Relaxed) >= 3);
    finish(guard);
    assert_eq!((one.sums().len(), two.sums().len()), (1, 1));
}
