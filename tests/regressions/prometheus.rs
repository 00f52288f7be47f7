//! The log de-duplicator of Prometheus 3.0: what it promises, and each fault
//! that it had (prometheus/prometheus#15559 and after), as tests of a logger.

use crate::common::{Recorder, Tally, Told, WINDOW, cache, turn};
use quell::{Cache, Event, Key, Level, Logger, Manual, Sink, Summary, Tick};
use std::collections::HashMap;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

/// The same message passes once in an interval and again after it; another one
/// is another one.
#[test]
fn a_repeat_passes_once_per_interval() {
    let _turn = turn();
    let (cache, clock) = cache();
    let recorder = Recorder::new();
    let log = Logger::builder(cache, Arc::clone(&recorder)).key(Key::Message).build();
    log.info(format_args!("test"));
    log.info(format_args!("test"));
    assert_eq!(recorder.texts(), ["test"]);
    log.info(format_args!("another"));
    log.info(format_args!("test"));
    assert_eq!(recorder.texts(), ["another"]);
    clock.advance(WINDOW);
    log.info(format_args!("test"));
    let passed_again = Told::Wrote(Level::Info, String::new(), "test".into(), 2);
    assert_eq!(recorder.take(), [passed_again]);
}

/// The number of times that each text was written in each window, for many threads.
#[derive(Default)]
struct Written(Mutex<HashMap<(u64, String), u32>>);

impl Sink for Written {
    fn write(&self, event: &Event<'_>) {
        let window = event.at().as_millis() / WINDOW.as_millis() as u64;
        let text = event.message().to_string();
        *self.0.lock().unwrap().entry((window, text)).or_default() += 1;
    }
    fn summary(&self, _: &Summary) {}
}

/// Many threads log through loggers derived from one another.
#[test]
fn derived_loggers_may_log_concurrently() {
    let _turn = turn();
    const THREADS: u64 = 16;
    const ROUNDS: u64 = 250;
    let (cache, _) = cache();
    let written = Arc::new(Written::default());
    let root = Logger::builder(Arc::clone(&cache), Arc::clone(&written)).key(Key::Message).build();
    let child = root.with_attr("child", 1);
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for t in 0..THREADS {
            let (root, child, barrier) = (&root, &child, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for i in 0..ROUNDS {
                    let own = child.with_attr("thread", t).with_group("g").with_attr("round", i);
                    root.info(format_args!("from the root"));
                    child.info(format_args!("from the child"));
                    own.info(format_args!("from a grandchild"));
                    own.info(format_args!("message {}", i % 50));
                }
            });
        }
    });
    let counts = written.0.lock().unwrap();
    assert_eq!(counts.len(), 3 + 50);
    assert!(counts.values().all(|&n| n == 1), "{counts:?}");
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed), (53, THREADS * ROUNDS * 4 - 53));
}

/// The crash: two derived loggers wrote to the shared map under two locks, while
/// it filled.
#[test]
fn derived_loggers_may_log_while_the_cache_fills() {
    let _turn = turn();
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 1500;
    let (cache, clock) = cache();
    let tally = Arc::new(Tally::default());
    let root = Logger::builder(Arc::clone(&cache), Arc::clone(&tally)).key(Key::Message).build();
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for t in 0..THREADS {
            let (root, clock, barrier) = (&root, &clock, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for i in 0..ROUNDS {
                    let log = root.with_attr("remote", t);
                    log.error(format_args!("unique to {t}: {i}"));
                    log.with_group("queue").error(format_args!("shared by all: {i}"));
                    log.error(format_args!("always"));
                    if t == 0 && i % 100 == 0 {
                        clock.advance(WINDOW / 4);
                    }
                }
            });
        }
    });
    root.flush();
    let stats = cache.stats();
    tally.assert_conserved(THREADS * ROUNDS * 3, stats);
    // Nothing that was unique was suppressed.
    assert!(stats.emitted >= THREADS * ROUNDS + ROUNDS, "{stats:?}");
}

/// Check-then-act let 0.2, 1.0 and 2.1 % of fresh (message, window) pairs pass
/// twice.
fn threads_pass_a_fresh_message_once(threads: usize) {
    const MESSAGES: u64 = 40;
    const WINDOWS: u64 = 50;
    let (cache, clock) = cache();
    clock.set(Tick::default());
    let written = Arc::new(Written::default());
    let root = Logger::new(Arc::clone(&cache), Arc::clone(&written));
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        for t in 0..threads {
            let (root, clock, barrier) = (&root, &clock, &barrier);
            scope.spawn(move || {
                let scoped = root.with_attr("job", "prometheus");
                let by_message = root.with_attr("thread", t).with_key(Key::Message);
                for _ in 0..WINDOWS {
                    barrier.wait();
                    for m in 0..MESSAGES {
                        scoped.error(format_args!("scoped {m}"));
                        by_message.error(format_args!("by message {m}"));
                    }
                    if barrier.wait().is_leader() {
                        clock.advance(WINDOW);
                    }
                }
            });
        }
    });
    let counts = written.0.lock().unwrap();
    assert_eq!(counts.len() as u64, 2 * MESSAGES * WINDOWS, "each pair passed");
    let twice: Vec<_> = counts.iter().filter(|&(_, &n)| n != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let stats = cache.stats();
    assert_eq!(stats.failed_open, 0);
    assert_eq!(stats.suppressed, 2 * MESSAGES * WINDOWS * (threads as u64 - 1));
}

#[test]
fn two_threads_pass_a_fresh_message_once() {
    let _turn = turn();
    threads_pass_a_fresh_message_once(2);
}

#[test]
fn four_threads_pass_a_fresh_message_once() {
    let _turn = turn();
    threads_pass_a_fresh_message_once(4);
}

#[test]
fn eight_threads_pass_a_fresh_message_once() {
    let _turn = turn();
    threads_pass_a_fresh_message_once(8);
}

/// From the 1025th message on, each one passed every time.
#[test]
fn past_the_limit_new_messages_are_deduplicated() {
    let _turn = turn();
    const MESSAGES: u64 = 10_000;
    let (cache, _) = cache();
    let tally = Arc::new(Tally::default());
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&tally));
    for i in 0..MESSAGES {
        for _ in 0..3 {
            log.info(format_args!("message {i}"));
        }
    }
    let stats = cache.stats();
    let passed_again = tally.get().written - MESSAGES;
    assert!(passed_again <= stats.failed_open, "each failure is counted: {stats:?}");
    assert!(passed_again < MESSAGES / 20, "and they are few: {stats:?}");
    log.flush();
    tally.assert_conserved(3 * MESSAGES, cache.stats());
}

/// A message that is seen once in a hundred others stays deduplicated, however
/// many they are.
#[test]
fn a_hot_message_outlives_a_flood() {
    let _turn = turn();
    let (cache, clock) = cache();
    clock.set(Tick::default());
    let written = Arc::new(Written::default());
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&written));
    for i in 0..20_000 {
        if i % 100 == 0 {
            log.info(format_args!("hot"));
        }
        log.info(format_args!("unique {i}"));
    }
    assert_eq!(written.0.lock().unwrap()[&(0, "hot".to_string())], 1);
    clock.advance(WINDOW);
    log.info(format_args!("hot"));
    assert_eq!(written.0.lock().unwrap()[&(1, "hot".to_string())], 1);
}

/// Once the map was full, a tracked message whose window had passed was not
/// tracked anew and passed every time.
#[test]
fn a_full_cache_refreshes_expired_entries() {
    let _turn = turn();
    const TRACKED: u64 = 500;
    let (cache, clock) = cache();
    let tally = Arc::new(Tally::default());
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&tally));
    for i in 0..8000 {
        log.info(format_args!("message {i}"));
    }
    for window in 0..5 {
        clock.advance(WINDOW);
        let (before, failed_before) = (tally.get().written, cache.stats().failed_open);
        for _ in 0..3 {
            for i in 8000 - TRACKED..8000 {
                log.info(format_args!("message {i}"));
            }
        }
        let passed = tally.get().written - before;
        let failed = cache.stats().failed_open - failed_before;
        assert!(
            (TRACKED..=TRACKED + failed).contains(&passed),
            "{window}: {passed} passed, {failed} failed open"
        );
        assert!(failed < TRACKED / 20, "{window}: {failed} failed open");
    }
}

/// `Stop` closed a channel, and panicked the second time.
#[test]
fn flushing_after_the_guard_is_harmless() {
    let _turn = turn();
    let (cache, _) = cache();
    let recorder = Recorder::new();
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
    let reporter = log.guard().unwrap();
    log.info(format_args!("m"));
    log.info(format_args!("m"));
    drop(reporter);
    log.flush();
    log.flush();
    drop(log.clone());
    assert_eq!(recorder.sums().len(), 1);
    // And a logger goes on working.
    log.info(format_args!("n"));
    assert_eq!(recorder.texts(), ["n"]);
}

/// Entries were swept every ten seconds above a minute: a window of a minute was
/// one of up to 70 seconds.
#[test]
fn a_window_is_as_long_as_it_says() {
    let _turn = turn();
    for window in [1, 59, 60, 61, 65, 70, 90, 3600].map(Duration::from_secs) {
        let clock = Manual::new(Tick::from_millis(123));
        let cache = Cache::builder().window(window).clock(clock.clone()).build().unwrap();
        let recorder = Recorder::new();
        let log = Logger::new(Arc::new(cache), Arc::clone(&recorder));
        let millisecond = Duration::from_millis(1);
        for emission in 0..3 {
            log.info(format_args!("m"));
            let suppressed = if emission == 0 { 0 } else { 2 };
            assert_eq!(
                recorder.take(),
                [Told::Wrote(Level::Info, String::new(), "m".into(), suppressed)]
            );
            clock.advance(window / 2);
            log.info(format_args!("m"));
            clock.advance(window - window / 2 - millisecond);
            log.info(format_args!("m"));
            assert_eq!(recorder.take(), [], "{window:?}");
            clock.advance(millisecond);
        }
    }
}

/// Only the message counted: an error after a warning of the same text was lost,
/// and so was one about another target.
#[test]
fn level_and_attributes_are_part_of_the_key() {
    let _turn = turn();
    let log_all = |log: &Logger<_, _>| {
        for _ in 0..2 {
            log.warn(format_args!("m"));
            log.error(format_args!("m"));
            log.with_attr("remote", "a").error(format_args!("m"));
            log.with_attr("remote", "b").error(format_args!("m"));
            log.with_group("wal").error(format_args!("m"));
        }
    };
    let (cache, _) = cache();
    let recorder = Recorder::new();
    let log = Logger::new(cache, Arc::clone(&recorder));
    log_all(&log);
    let wrote = |level, target: &str, text: &str| Told::Wrote(level, target.into(), text.into(), 0);
    assert_eq!(
        recorder.take(),
        [
            wrote(Level::Warn, "", "m"),
            wrote(Level::Error, "", "m"),
            wrote(Level::Error, "", "m remote=a"),
            wrote(Level::Error, "", "m remote=b"),
            wrote(Level::Error, "wal", "m"),
        ]
    );
    log_all(&log.with_key(Key::Message));
    assert_eq!(recorder.take(), [wrote(Level::Warn, "", "m")]);
}
