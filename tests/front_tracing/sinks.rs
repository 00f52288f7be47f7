//! Several sinks: each has its own first lines and its own counts.

use crate::support::{Memory, builder, dedup, finish, in_scope};
use quell::front::tracing::NoSummaries;
use std::fs;
use std::sync::Mutex;
use tracing::{info, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, registry};

#[test]
fn each_sees_the_first_and_what_it_missed() {
    let (dedup, _) = dedup();
    let (a, b) = (Memory::default(), Memory::default());
    let stack =
        tracing::Dispatch::new(registry().with(dedup.wrap(a.clone())).with(dedup.wrap(b.clone())));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || (0..10).for_each(|_| info!("x")));
    guard.flush();
    for memory in [a, b] {
        let lines = memory.take();
        let texts: Vec<_> = lines.iter().map(|line| (&*line.message, line.suppressed())).collect();
        assert_eq!(texts, [("x", None), ("x: 9 more suppressed", Some(9))]);
    }
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (2, 18));
}

#[test]
fn summaries_reach_only_the_sink_that_suppressed() {
    let (dedup, _) = dedup();
    let (all, warnings, everything, clean) =
        (Memory::default(), Memory::default(), Memory::default(), Memory::default());
    let stack = tracing::Dispatch::new(
        registry()
            .with(dedup.wrap(all.clone()))
            .with(dedup.wrap_filtered(LevelFilter::WARN, warnings.clone()))
            .with(everything.clone())
            .with(clean.clone().with_filter(NoSummaries)),
    );
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        (0..10).for_each(|_| info!("x"));
        (0..5).for_each(|_| warn!("w"));
    });
    finish(guard);
    let of = |text: &str, n: u64| (format!("{text}: {n} more suppressed"), n);
    assert_eq!(all.sums(), [of("w", 4), of("x", 9)]);
    assert_eq!(warnings.sums(), [of("w", 4)]);
    assert_eq!(clean.len(), 15);
    assert_eq!(clean.sums(), []);
    // A layer without a filter cannot be kept out.
    assert_eq!(everything.sums(), [of("w", 4), of("w", 4), of("x", 9)]);
}

#[test]
fn the_order_in_the_stack_does_not_matter() {
    for quell_first in [true, false] {
        let (dedup, _) = dedup();
        let (filtered, plain) = (Memory::default(), Memory::default());
        let stack = if quell_first {
            tracing::Dispatch::new(
                registry().with(dedup.wrap(filtered.clone())).with(plain.clone()),
            )
        } else {
            tracing::Dispatch::new(
                registry().with(plain.clone()).with(dedup.wrap(filtered.clone())),
            )
        };
        let guard = dedup.guard().unwrap();
        in_scope(stack.clone(), || (0..5).for_each(|_| info!("x")));
        assert_eq!((filtered.len(), plain.len()), (1, 5));
        finish(guard);
        assert_eq!(filtered.messages(), ["x"]);
        assert_eq!(plain.messages().len(), 5);
    }
}

#[test]
fn in_global_mode_one_decision_holds_for_all() {
    let (builder, clock) = builder();
    let dedup = builder.global().build();
    let (a, b, warnings) = (Memory::default(), Memory::default(), Memory::default());
    let stack = tracing::Dispatch::new(
        registry()
            .with(dedup.wrap(a.clone()))
            .with(dedup.wrap_filtered(LevelFilter::WARN, warnings.clone()))
            .with(dedup.wrap(b.clone())),
    );
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        for _ in 0..5 {
            info!("x");
            warn!("w");
        }
        clock.advance(crate::support::WINDOW);
        info!("x");
    });
    finish(guard);
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (3, 8), "one decision an event");
    for memory in [a, b] {
        let lines = memory.take();
        assert_eq!(lines.iter().filter(|line| !line.is_quells()).count(), 3);
        assert_eq!(lines.iter().filter_map(|line| line.suppressed()).sum::<u64>(), 8);
    }
    assert_eq!(
        warnings.take().iter().map(|line| line.suppressed().unwrap_or(0)).collect::<Vec<_>>(),
        [0, 4]
    );
}

#[test]
fn in_global_mode_an_event_is_told_from_the_next() {
    // Only one of the filters is asked about the first event, and the other about the
    // second, which stands at the same address.
    use std::sync::atomic::{AtomicBool, Ordering};
    use tracing_subscriber::filter::dynamic_filter_fn;
    static TO_A: AtomicBool = AtomicBool::new(true);
    let dedup = builder().0.global().build();
    let (a, b) = (Memory::default(), Memory::default());
    let to_a = dynamic_filter_fn(|_, _| TO_A.load(Ordering::Relaxed));
    let to_b = dynamic_filter_fn(|_, _| !TO_A.load(Ordering::Relaxed));
    let stack = registry()
        .with(dedup.wrap_filtered(to_a, a.clone()))
        .with(dedup.wrap_filtered(to_b, b.clone()));
    in_scope(stack, || {
        for to_a in [true, false, true] {
            TO_A.store(to_a, Ordering::Relaxed);
            info!("x");
        }
    });
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (1, 2));
    assert_eq!((a.len(), b.len()), (1, 0));
}

#[test]
fn a_file_and_memory_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (dedup, _) = dedup();
    let memory = Memory::default();
    let file =
        fmt::layer().with_ansi(false).with_writer(Mutex::new(fs::File::create(&path).unwrap()));
    let stack =
        tracing::Dispatch::new(registry().with(dedup.wrap(file)).with(dedup.wrap(memory.clone())));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        for n in 0..100 {
            info!(n = n % 10, "in file and memory");
        }
    });
    finish(guard);
    let text = fs::read_to_string(path).unwrap();
    let in_file: u64 = text
        .lines()
        .map(|line| {
            line.split_once("quell.suppressed=")
                .map_or(1, |(_, n)| n.split(' ').next().unwrap().parse().unwrap())
        })
        .sum();
    let in_memory: u64 = memory.take().iter().map(|line| line.suppressed().unwrap_or(1)).sum();
    assert_eq!((in_file, in_memory), (100, 100), "{text}");
    assert_eq!(text.lines().count(), 20, "{text}");
    assert!(
        text.contains("INFO front_tracing::sinks: in file and memory n=3: 9 more suppressed"),
        "{text}"
    );
}
