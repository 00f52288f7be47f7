//! Several sinks: each has its own first lines and its own counts.

use crate::support::{Memory, dedup, finish, in_scope};
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
        assert_eq!(texts, [("x", None), ("x", Some(9))]);
    }
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (2, 18));
}

#[test]
fn summaries_reach_only_the_sink_that_suppressed() {
    let (dedup, _) = dedup();
    let (all, warnings, plain) = (Memory::default(), Memory::default(), Memory::default());
    let stack = tracing::Dispatch::new(
        registry()
            .with(dedup.wrap(all.clone()))
            .with(dedup.wrap_filtered(LevelFilter::WARN, warnings.clone()))
            .with(plain.clone()),
    );
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        (0..10).for_each(|_| info!("x"));
        (0..5).for_each(|_| warn!("w"));
    });
    finish(guard);
    let of = |text: &str, n: u64| (text.to_string(), n);
    assert_eq!(all.sums(), [of("w", 4), of("x", 9)]);
    assert_eq!(warnings.sums(), [of("w", 4)]);
    assert_eq!((plain.len(), plain.sums()), (15, vec![]));
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
fn layers_wrapped_as_one_have_one_decision() {
    let (dedup, clock) = dedup();
    let (a, b) = (Memory::default(), Memory::default());
    let stack = tracing::Dispatch::new(registry().with(dedup.wrap(a.clone().and_then(b.clone()))));
    let guard = dedup.guard().unwrap();
    in_scope(stack.clone(), || {
        (0..5).for_each(|_| info!("x"));
        clock.advance(crate::support::WINDOW);
        (0..3).for_each(|_| info!("x"));
    });
    finish(guard);
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (2, 6), "one decision an event");
    for memory in [a, b] {
        let counts: Vec<_> = memory.take().iter().map(|line| line.suppressed()).collect();
        assert_eq!(counts, [None, Some(4), None, Some(2)]);
    }
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
        text.contains("INFO front_tracing::sinks: in file and memory n=3 quell.suppressed=9 "),
        "{text}"
    );
}
