//! tracing-throttle: fork while other threads log hung 94 of 300 children. A cache holds no
//! lock that a child could find taken.
#![cfg(unix)]

mod common;
#[path = "common/forks.rs"]
mod forks;

use common::turn;
use crossbeam_utils::atomic::AtomicCell;
use forks::fork_amid;
use quell::{Cache, Decision, Event, Fingerprint, Guard, Logger, Sink, Summary, Tick};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

fn fingerprint(thread: u64, n: u64) -> Fingerprint {
    let low = (thread << 40 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Fingerprint::from_u128(u128::from(low.rotate_left(32)) << 64 | u128::from(low ^ low >> 31))
}

const NOW: Tick = Tick::from_millis(1000);

/// What a child does with the cache it finds.
fn child(cache: &Cache) {
    let hot = fingerprint(0, 0);
    assert!(!cache.check_at(hot, NOW).is_emit(), "known before the fork");
    for n in 0..3000 {
        assert!(cache.check_at(fingerprint(9, n), NOW).is_emit(), "new");
        if n % 100 == 0 {
            assert!(!cache.check_at(hot, NOW).is_emit(), "known before the fork");
        }
    }
    // A thread that is not there any more may occupy the room: then what is new is not tracked,
    // and says so.
    let failed_open = cache.stats().failed_open;
    let new = fingerprint(9, 3000);
    let Decision::Emit { untracked, .. } = cache.check_at(new, NOW) else { panic!("new") };
    assert_eq!(cache.stats().failed_open, failed_open + u64::from(untracked));
    if !untracked {
        assert_eq!(cache.check_at(new, NOW), Decision::Suppress { first: true });
        assert_eq!(cache.check_at(new, NOW), Decision::Suppress { first: false });
        let mut reported = 0;
        cache.drain(|summary| {
            if summary.fingerprint == Some(new) {
                reported += summary.suppressed;
            }
        });
        assert_eq!(reported, 2);
    }
    cache.drain(|_| {});
}

#[test]
fn a_child_forked_while_others_check_can_check() {
    let _turn = turn();
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cache = Cache::builder().build().unwrap();
    assert!(cache.check_at(fingerprint(0, 0), NOW).is_emit());
    let storm = |thread, n| {
        let _ = cache.check_at(fingerprint(0, 0), NOW);
        let _ = cache.check_at(fingerprint(thread, n), NOW);
        if n % 1000 == 0 {
            cache.drain(|_| {});
        }
    };
    fork_amid(storm, || child(&cache));
    // The parent has noticed nothing.
    assert!(!cache.check_at(fingerprint(0, 0), NOW).is_emit());
}

/// Runs `child` in a forked child, which is to return true. Other threads' locks aside, it has
/// what the parent has.
fn in_a_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child uses what is tested and the allocator, which the C library makes ready
    // for it, and ends without returning.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: a child that hangs is ended by the alarm, which the parent sees.
        unsafe { libc::alarm(60) };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        // SAFETY: ends this process.
        unsafe { libc::_exit(done.map_or(2, |right| i32::from(!right))) };
    }
    let mut status = -1;
    // SAFETY: waits for our child, with a place for its status.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "it hung (14), failed (256) or panicked (512)");
}

const OFTEN: Duration = Duration::from_millis(1);

/// Adds up what summaries say.
#[derive(Clone, Default)]
struct Adds(Arc<AtomicCell<u64>>);

impl Adds {
    /// Whether it comes to be `n`. One that hangs is ended by the alarm.
    fn becomes(&self, n: u64) -> bool {
        while self.0.load() < n {
            thread::sleep(OFTEN);
        }
        self.0.load() == n
    }
}

impl Sink for Adds {
    fn write(&self, _: &Event<'_>) {}
    fn summary(&self, summary: &Summary) {
        self.0.fetch_add(summary.suppressed);
    }
}

#[test]
fn a_line_in_a_child_starts_the_thread_again() {
    let _turn = turn();
    let (cache, clock) = common::cache();
    let sink = Adds::default();
    let log = Logger::builder(cache, sink.clone()).interval(OFTEN).build();
    let _guard = log.guard().unwrap();
    (0..5).for_each(|_| log.info(format_args!("m")));
    in_a_child(|| {
        log.info(format_args!("n"));
        clock.advance(common::WINDOW);
        let inherited = sink.becomes(4);
        (0..4).for_each(|_| log.info(format_args!("m")));
        clock.advance(common::WINDOW);
        inherited && sink.becomes(4 + 3)
    });
    clock.advance(common::WINDOW);
    assert!(sink.becomes(4), "the parent has the counts, too");
}

#[test]
fn a_flush_in_a_child_starts_the_thread_again() {
    let _turn = turn();
    let (cache, clock) = common::cache();
    let sink = Adds::default();
    let report = {
        let sink = sink.clone();
        move |summary: Summary| sink.summary(&summary)
    };
    let guard = Guard::for_cache(&cache, report, OFTEN).unwrap();
    let repeat = || {
        (0..5).for_each(|_| {
            let _ = cache.check(fingerprint(1, 1));
        });
    };
    repeat();
    in_a_child(|| {
        let flushed = guard.flush() && sink.0.load() == 4;
        clock.advance(common::WINDOW);
        repeat();
        clock.advance(common::WINDOW);
        let reported = sink.becomes(4 + 4);
        // And once more, in a child of the child.
        in_a_child(|| {
            clock.advance(common::WINDOW);
            repeat();
            drop(guard);
            sink.0.load() == 4 + 4 + 4
        });
        flushed && reported
    });
}

#[cfg(feature = "tracing")]
mod on_tracing {
    use super::*;
    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context, Layer};
    use tracing_subscriber::prelude::*;

    impl<S: tracing::Subscriber> Layer<S> for Adds {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
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
        let (cache, clock) = common::cache();
        let sink = Adds::default();
        let dedup = quell::front::tracing::Dedup::builder(cache).interval(OFTEN).build();
        let stack = tracing_subscriber::registry().with(dedup.wrap(sink.clone()));
        let stack = tracing::Dispatch::new(stack);
        let _guard = dedup.guard().unwrap();
        tracing::dispatcher::with_default(&stack, || {
            let repeat = |n| (0..n).for_each(|_| tracing::info!("m"));
            repeat(5);
            in_a_child(|| {
                tracing::info!("n");
                clock.advance(common::WINDOW);
                let inherited = sink.becomes(4);
                repeat(4);
                clock.advance(common::WINDOW);
                inherited && sink.becomes(4 + 3)
            });
            clock.advance(common::WINDOW);
            assert!(sink.becomes(4), "the parent has the counts, too");
        });
    }
}
