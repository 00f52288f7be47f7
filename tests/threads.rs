//! Threads that come and go, and more of them than have a page of their own.

mod common;

use common::turn;
use quell::{Cache, Decision, Fingerprint, Namespace, Rule, Tick};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const NOW: Tick = Tick::from_millis(1000);

fn fp(n: u64) -> Fingerprint {
    Fingerprint::from_u128(
        (u128::from(n) + 1).wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9_7f4a_7c15),
    )
    .with_namespace(Namespace(0))
}

fn cache() -> Cache {
    Cache::builder().window(Duration::from_secs(3600)).build().unwrap()
}

/// The sums of what all threads were told.
#[derive(Default)]
struct Told {
    calls: AtomicU64,
    emitted: AtomicU64,
    reported: AtomicU64,
    firsts: AtomicU64,
}

impl Told {
    fn hear(&self, decision: Decision) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match decision {
            Decision::Emit { suppressed, .. } => {
                self.emitted.fetch_add(1, Ordering::Relaxed);
                self.reported.fetch_add(suppressed, Ordering::Relaxed);
            }
            Decision::Suppress { first } => {
                _ = self.firsts.fetch_add(first.into(), Ordering::Relaxed)
            }
        }
    }

    fn drain(&self, cache: &Cache) {
        cache.drain(|summary| _ = self.reported.fetch_add(summary.suppressed, Ordering::Relaxed));
    }

    /// Every call and every count, at rest.
    fn must_agree(&self, cache: &Cache) {
        let [calls, emitted] = [&self.calls, &self.emitted].map(|n| n.load(Ordering::Relaxed));
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.suppressed), (emitted, calls - emitted), "{stats:?}");
        assert_eq!(stats.failed_open, 0);
        self.drain(cache);
        assert_eq!(self.reported.load(Ordering::Relaxed), stats.suppressed);
        cache.drain(|summary| panic!("left behind by a drain: {summary:?}"));
    }
}

/// Each leaves counts behind in a page that the next goes on with.
#[test]
fn ten_thousand_short_threads_lose_no_count() {
    let _turn = turn();
    let cache = cache();
    let told = Told::default();
    let (at_once, rounds) = (4, 2500);
    for round in 0..rounds {
        thread::scope(|scope| {
            for thread in 0..at_once {
                let (cache, told) = (&cache, &told);
                scope.spawn(move || {
                    // Near, and a message of this thread's own.
                    (0..12).for_each(|_| told.hear(cache.check_at(fp(0), NOW)));
                    let own = fp(1 + round * at_once + thread);
                    (0..6).for_each(|_| told.hear(cache.check_at(own, NOW)));
                });
            }
        });
        if round % 100 == 0 {
            let before = cache.stats();
            assert_eq!(before.emitted + before.suppressed, told.calls.load(Ordering::Relaxed));
            told.drain(&cache);
        }
    }
    assert_eq!(told.calls.load(Ordering::Relaxed), 10_000 * 18);
    // Each once, and each noticed once: the hot one, and one of each thread.
    assert_eq!(
        (told.emitted.load(Ordering::Relaxed), told.firsts.load(Ordering::Relaxed)),
        (10_001, 10_001)
    );
    told.must_agree(&cache);
}

/// Some have no page, and count in the table.
#[test]
fn more_threads_than_pages_count_exactly() {
    let _turn = turn();
    let (threads, keys) = (150, 20);
    let cache = cache();
    let told = Told::default();
    let (barrier, rule) = (Barrier::new(threads), Rule::first(7).unwrap());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // All are there at once.
                barrier.wait();
                for _ in 0..30 {
                    for key in 0..keys {
                        told.hear(cache.check_at(fp(key), NOW));
                        told.hear(cache.check_with_at(fp(1000 + key), NOW, &rule, || None));
                    }
                }
                barrier.wait();
            });
        }
    });
    assert_eq!(told.calls.load(Ordering::Relaxed), threads as u64 * 30 * 2 * keys);
    assert_eq!(told.emitted.load(Ordering::Relaxed), keys + 7 * keys);
    assert_eq!(told.firsts.load(Ordering::Relaxed), 2 * keys);
    assert_eq!(cache.stats().forgotten, 0);
    told.must_agree(&cache);
}

/// A page belongs to a number, and counts of one cache to none of another.
#[test]
fn threads_use_many_caches_at_once() {
    let _turn = turn();
    let caches: Vec<_> = (0..20).map(|_| (cache(), Told::default())).collect();
    for _ in 0..20 {
        thread::scope(|scope| {
            for thread in 0..8 {
                let caches = &caches;
                scope.spawn(move || {
                    for call in 0..100 {
                        let (cache, told) = &caches[(thread + call) % caches.len()];
                        (0..8).for_each(|_| told.hear(cache.check_at(fp(0), NOW)));
                    }
                });
            }
        });
    }
    for (cache, told) in &caches {
        assert_eq!(told.emitted.load(Ordering::Relaxed), 1);
        told.must_agree(cache);
    }
}

/// Each emission makes an entry, and each that was forgotten made room for one emission more.
#[test]
fn what_is_forgotten_amid_calls_is_emitted_again() {
    let _turn = turn();
    let cache = cache();
    let told = Told::default();
    let forgotten = AtomicU64::new(0);
    const ROUNDS: u64 = 30_000;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..ROUNDS).for_each(|n| told.hear(cache.check_at(fp(n % 3), NOW))));
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..ROUNDS / 10 {
                    // So that there is something to forget, however the threads take turns.
                    told.hear(cache.check_at(fp(n % 3), NOW));
                    let known = cache.forget(fp(n % 3));
                    forgotten.fetch_add(u64::from(known), Ordering::Relaxed);
                    if n % 100 == 0 {
                        told.drain(&cache);
                    }
                }
            });
        }
    });
    let (stats, load) = (cache.stats(), |count: &AtomicU64| count.load(Ordering::Relaxed));
    assert_eq!(load(&told.emitted), load(&forgotten) + stats.entries as u64);
    told.must_agree(&cache);
    assert!(load(&forgotten) > 3, "{stats:?}");
}
