//! A guard, whose thread a forked child does not have.

use crate::common::{WINDOW, cache, turn};
use crate::{Adds, OFTEN, in_a_child};
use quell::{Cache, Fingerprint, Guard, Logger, Manual, Sink};
use std::sync::Arc;
use std::time::Duration;

fn guard(cache: &Arc<Cache<Manual>>, sink: &Adds, interval: Duration) -> Guard {
    let sink = sink.clone();
    Guard::for_cache(cache, move |summary| sink.summary(&summary), interval).unwrap()
}

fn repeat(cache: &Cache<Manual>) {
    for _ in 0..5 {
        let _ = cache.check(Fingerprint::from_u128(1));
    }
}

#[test]
fn its_drop_in_a_child_writes_the_last_report() {
    let _turn = turn();
    let ((cache, _clock), sink) = (cache(), Adds::default());
    let reporter = guard(&cache, &sink, Duration::MAX);
    repeat(&cache);
    let mut reporter = Some(reporter);
    in_a_child(|| {
        drop(reporter.take());
        sink.sum() == 4
    });
    drop(reporter);
    assert_eq!(sink.sum(), 4, "the parent has noticed nothing");
}

#[test]
fn a_line_in_a_child_starts_the_thread_again() {
    let _turn = turn();
    let ((cache, clock), sink) = (cache(), Adds::default());
    let log = Logger::builder(cache, sink.clone()).interval(OFTEN).build();
    let _guard = log.guard().unwrap();
    (0..5).for_each(|_| log.info(format_args!("m")));
    in_a_child(|| {
        log.info(format_args!("n"));
        clock.advance(WINDOW);
        let inherited = sink.becomes(4);
        (0..4).for_each(|_| log.info(format_args!("m")));
        clock.advance(WINDOW);
        inherited && sink.becomes(4 + 3)
    });
    clock.advance(WINDOW);
    assert!(sink.becomes(4), "the parent has the counts, too");
}

#[test]
fn a_flush_in_a_child_starts_the_thread_again() {
    let _turn = turn();
    let ((cache, clock), sink) = (cache(), Adds::default());
    let guard = guard(&cache, &sink, OFTEN);
    repeat(&cache);
    in_a_child(|| {
        let flushed = guard.flush() && sink.sum() == 4;
        clock.advance(WINDOW);
        repeat(&cache);
        clock.advance(WINDOW);
        let reported = sink.becomes(4 + 4);
        // And once more, in a child of the child.
        in_a_child(|| {
            clock.advance(WINDOW);
            repeat(&cache);
            drop(guard);
            sink.sum() == 4 + 4 + 4
        });
        flushed && reported
    });
}
