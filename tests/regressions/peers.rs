//! Faults that peers were shown to have, each in a test of its name. Those of loggers,
//! sinks and `Display` are in their own files; fork is in `tests/forks`.

use crate::common::{EMIT, emit, turn};
use quell::{Cache, ConfigError, Decision, Exemplar, Fingerprint, Namespace, Rule, Tick, Value};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn fp(n: u64) -> Fingerprint {
    let low = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Fingerprint::from_u128(u128::from(low.rotate_left(32)) << 64 | u128::from(low ^ low >> 31))
        .with_namespace(Namespace(0))
}

fn cache(max_entries: usize, window: u64) -> Cache {
    let builder = Cache::builder().max_entries(max_entries).window(Duration::from_millis(window));
    builder.build().unwrap()
}

fn drained(cache: &Cache) -> u64 {
    let mut sum = 0;
    cache.drain(|summary| sum += summary.suppressed);
    sum
}

/// Runs `f` on some threads that start together, and returns what they return.
fn together<T: Send>(threads: u64, f: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads as usize);
    thread::scope(|scope| {
        let (barrier, f) = (&barrier, &f);
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    barrier.wait();
                    f(thread)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Returns how many of `threads` racing calls with each of `messages` were told to emit.
fn race(cache: &Cache, threads: u64, messages: u64, now: Tick) -> Vec<u64> {
    let emitted: Vec<_> = (0..messages).map(|_| AtomicU64::new(0)).collect();
    together(threads, |_| {
        for (n, emitted) in (0..).zip(&emitted) {
            emitted.fetch_add(cache.check_at(fp(n), now).is_emit().into(), Ordering::Relaxed);
        }
    });
    emitted.into_iter().map(AtomicU64::into_inner).collect()
}

#[test]
fn prometheus_crashes_while_its_map_fills() {
    let _turn = turn();
    for _ in 0..20 {
        let cache = cache(1024, 1000);
        together(2, |thread| {
            for n in 0..5000 {
                assert!(cache.check_at(fp(thread << 32 | n), at(0)).is_emit());
            }
        });
        assert_eq!(cache.stats().emitted, 10_000);
    }
}

#[test]
fn prometheus_emits_fresh_messages_twice() {
    let _turn = turn();
    for threads in [2, 4, 8] {
        let cache = cache(1024, 10);
        for window in 0..40 {
            let emitted = race(&cache, threads, 250, at(window * 10));
            assert!(
                emitted.iter().all(|&times| times == 1),
                "window {window}, {threads} threads: {emitted:?}"
            );
        }
        assert_eq!(cache.stats().emitted, 40 * 250);
    }
}

#[test]
fn prometheus_deduplicates_nothing_new_once_full() {
    let _turn = turn();
    let cache = cache(1024, 1000);
    for n in 0..20_000 {
        assert_eq!(cache.check_at(fp(n), at(0)), EMIT);
        assert_eq!(cache.check_at(fp(n), at(0)), Decision::Suppress { first: true }, "message {n}");
    }
}

#[test]
fn prometheus_does_not_refresh_once_full() {
    let _turn = turn();
    let cache = cache(1024, 10);
    for n in 0..1024 {
        assert!(cache.check_at(fp(n), at(0)).is_emit());
    }
    for window in 1..20 {
        for n in 0..1024 {
            assert!(cache.check_at(fp(n), at(window * 10)).is_emit());
            assert!(
                !cache.check_at(fp(n), at(window * 10 + 9)).is_emit(),
                "not refreshed in window {window}"
            );
        }
    }
}

#[test]
fn prometheus_windows_are_60_to_70_seconds() {
    let _turn = turn();
    for seconds in [1, 59, 60, 61, 90, 86_400, 100 * 365 * 86_400] {
        let cache = Cache::builder().window(Duration::from_secs(seconds)).build().unwrap();
        assert!(cache.check_at(fp(1), at(5)).is_emit());
        assert!(!cache.check_at(fp(1), at(5 + seconds * 1000 - 1)).is_emit());
        assert_eq!(cache.check_at(fp(1), at(5 + seconds * 1000)), emit(1));
    }
}

#[test]
fn throttle_exceeds_its_cap() {
    let _turn = turn();
    let cache = cache(1000, 1_000_000);
    let (bound, over) = (cache.memory_bound(), AtomicBool::new(false));
    let most = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(cache.stats().entries);
            }
            most
        });
        together(4, |thread| {
            for n in 0..25_000 {
                assert!(cache.check_at(fp(thread << 32 | n), at(0)).is_emit());
            }
        });
        over.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    let stats = cache.stats();
    assert!(most.max(stats.entries) <= stats.capacity, "{most}, {stats:?}");
    assert!(stats.capacity < 10_000);
    assert_eq!(cache.memory_bound(), bound);
}

#[test]
fn throttle_exceeds_a_cap_of_one() {
    let _turn = turn();
    let cache = cache(1, 1000);
    for n in 0..20_000 {
        assert!(cache.check_at(fp(n), at(0)).is_emit());
        assert!(!cache.check_at(fp(n), at(0)).is_emit(), "the one entry promised");
    }
    let stats = cache.stats();
    assert!(stats.entries <= stats.capacity && stats.capacity < 10_000, "{stats:?}");
    assert!(cache.memory_bound() <= (96 + 64 * 16) << 10);
}

#[test]
fn throttle_passes_what_is_seen_once_in_100() {
    let _turn = turn();
    let cache = cache(1024, 1_000_000);
    let mut passed = 0;
    for n in 0..80_000 {
        assert!(cache.check_at(fp(n), at(n)).is_emit());
        if n % 100 == 0 {
            passed += u64::from(cache.check_at(fp(u64::MAX - 1), at(n)).is_emit());
        }
    }
    assert_eq!(passed, 1, "of 800");
}

#[test]
fn throttle_loses_counts_of_what_it_evicts() {
    let _turn = turn();
    let cache = cache(100, 1_000_000);
    let mut told = 0;
    for n in 0..9000 {
        for call in 0..6 {
            match cache.check_at(fp(n), at(n * 20)) {
                Decision::Emit { suppressed, .. } => told += suppressed,
                Decision::Suppress { first } => assert_eq!(first, call == 1),
            }
        }
    }
    assert!(cache.stats().forgotten > 0);
    assert_eq!((told, drained(&cache)), (0, 45_000));
}

#[test]
fn throttle_loses_counts_at_shutdown() {
    let _turn = turn();
    let cache = cache(1024, 1000);
    let emitted = (0..1000).filter(|_| cache.check_at(fp(1), at(0)).is_emit()).count();
    assert_eq!(emitted, 1);
    let mut summaries = Vec::new();
    cache.drain(|summary| summaries.push((summary.fingerprint, summary.suppressed, summary.since)));
    assert_eq!(summaries, [(Some(fp(1)), 999, at(0))]);
    assert_eq!(drained(&cache), 0, "shutting down twice reports nothing twice");
}

#[test]
fn throttle_accepts_limits_of_nothing() {
    let _turn = turn();
    // Durations and counts have no NaN and no infinity; what is left is zero and too much.
    let builder = || Cache::builder();
    assert_eq!(builder().window(Duration::ZERO).build().unwrap_err(), ConfigError::ZeroWindow);
    assert_eq!(builder().max_entries(0).build().unwrap_err(), ConfigError::ZeroEntries);
    assert!(matches!(
        builder().max_entries(usize::MAX).build(),
        Err(ConfigError::TooManyEntries { .. })
    ));
    // Whatever is accepted lets the first event through.
    for window in [Duration::from_nanos(1), Duration::from_secs(1), Duration::MAX] {
        let cache = builder().window(window).build().unwrap();
        assert!(cache.check_at(fp(1), at(0)).is_emit());
        assert!(!cache.check_at(fp(1), at(0)).is_emit());
    }
}

#[test]
fn throttle_clones_share_a_budget() {
    let _turn = turn();
    let cache = cache(1024, 1000);
    let sinks = [(); 2].map(|()| cache.new_namespace().unwrap());
    let lines = sinks.map(|sink| {
        let calls = (0..5).map(|_| cache.check_at(fp(1).with_namespace(sink), at(0)).is_emit());
        calls.filter(|&emitted| emitted).count()
    });
    assert_eq!(lines, [1, 1]);
}

#[test]
fn throttle_confuses_typed_values() {
    let _turn = turn();
    let cache = cache(1024, 1000);
    for value in [
        Value::U64(1),
        Value::I64(1),
        Value::F64(1.0),
        Value::Str("1"),
        Value::Bool(true),
        Value::Char('1'),
    ] {
        let mut hasher = cache.hasher();
        hasher.bytes(b"message");
        hasher.field("n", value);
        assert!(cache.check_at(hasher.finish(), at(0)).is_emit(), "{value:?}");
        assert!(!cache.check_at(hasher.finish(), at(0)).is_emit(), "{value:?}");
    }
}

#[test]
fn throttle_deadlocks_when_it_is_used_inside() {
    let _turn = turn();
    let cache = cache(1024, 1000);
    for n in 0..500 {
        let _ = cache.check_at(fp(n), at(0));
        let _ = cache.check_at(fp(n), at(0));
    }
    let (sum, inside) = (AtomicU64::new(0), AtomicU64::new(0));
    together(3, |thread| {
        cache.drain(|summary| {
            sum.fetch_add(summary.suppressed, Ordering::Relaxed);
            // "Logs", and drains again, from inside and while others do the same.
            let _ = cache.check_at(fp(1000 + inside.fetch_add(1, Ordering::Relaxed)), at(0));
            if thread == 0 {
                cache.drain_namespace(Namespace(0), |inner| {
                    sum.fetch_add(inner.suppressed, Ordering::Relaxed);
                });
            }
        });
    });
    assert_eq!(sum.into_inner() + drained(&cache), 500);
}

#[test]
fn vector_hides_messages_behind_a_helper() {
    let _turn = turn();
    let cache = cache(1024, 1000);
    let helper = |text: &str| {
        let mut hasher = cache.hasher();
        hasher.bytes(text.as_bytes());
        cache.check_at(hasher.finish(), at(0)).is_emit()
    };
    assert_eq!(["one", "two", "three", "two"].map(helper), [true, true, true, false]);
}

#[test]
fn vector_reports_only_if_it_fires_again() {
    let _turn = turn();
    let cache = cache(1024, 10);
    for now in [0, 1, 2] {
        let _ = cache
            .check_with_at(fp(1), at(now), &Rule::once(), || Some(Exemplar::new("what it was")));
    }
    let mut summaries = Vec::new();
    cache.drain_expired_at(None, at(10), |summary| summaries.push(summary));
    assert_eq!(summaries.len(), 1);
    assert_eq!(summaries[0].suppressed, 2);
    assert_eq!(&*summaries[0].exemplar.as_ref().unwrap().message, "what it was");
}

#[test]
fn dedup_never_deduplicates_interleaved_messages() {
    let _turn = turn();
    let cache = cache(1024, 1000);
    let emitted = (0..100).filter(|n| cache.check_at(fp(n % 2), at(*n)).is_emit()).count();
    assert_eq!(emitted, 2);
    assert_eq!(drained(&cache), 98, "the trailing repeats among them");
}

#[test]
fn log_hz_is_poisoned_by_a_panic() {
    let _turn = turn();
    let cache = Arc::new(cache(1024, 1000));
    for n in 0..10 {
        let decision = cache.check_with_at(fp(n), at(0), &Rule::once(), || panic!("an exemplar"));
        assert_eq!(decision, EMIT);
        assert!(!cache.check_at(fp(n), at(0)).is_emit());
    }
    let reported = Cell::new(0);
    let report = || {
        cache.drain(|summary| {
            reported.set(reported.get() + summary.suppressed);
            panic!("a report");
        });
    };
    for times in 1..=10 {
        assert!(catch_unwind(AssertUnwindSafe(report)).is_err());
        assert_eq!(reported.get(), times, "each panic costs no other's count");
    }
    // On this thread, on others, and after one that died of it.
    let other = Arc::clone(&cache);
    assert!(thread::spawn(move || other.drain(|_| unreachable!())).join().is_ok());
    assert!(!cache.check_at(fp(1), at(0)).is_emit());
    assert!(cache.check_at(fp(99), at(0)).is_emit());
    assert_eq!(cache.stats().suppressed, 11);
}

#[test]
fn moka_admits_two_of_those_that_race() {
    let _turn = turn();
    for round in 0..50 {
        let cache = cache(1024, 1000);
        let emitted = race(&cache, 2, 500, at(round));
        assert!(emitted.iter().all(|&times| times == 1), "{emitted:?}");
    }
}

#[test]
fn zap_loses_increments_at_a_reset() {
    let _turn = turn();
    let cache = cache(1024, 10);
    const CALLS: u64 = 20_000;
    // Everybody's clock moves on, so windows end all the time; one drains besides.
    let told = together(4, |thread| {
        let (mut emitted, mut reported) = (0, 0);
        for n in 0..CALLS {
            if let Decision::Emit { suppressed, .. } = cache.check_at(fp(n % 3), at(n / 10)) {
                emitted += 1;
                reported += suppressed;
            }
            if thread == 0 && n % 100 == 0 {
                reported += drained(&cache);
            }
        }
        (emitted, reported)
    });
    let emitted: u64 = told.iter().map(|told| told.0).sum();
    let reported: u64 = told.iter().map(|told| told.1).sum();
    assert_eq!(reported + drained(&cache), 4 * CALLS - emitted);
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed), (emitted, 4 * CALLS - emitted));
}
