//! The calls of a cache that allocate nothing.

use crate::allocations;
use crate::common::turn;
use quell::{Cache, Decision, Exemplar, Fingerprint, Rule, Tick};
use std::fmt::Write;
use std::thread;
use std::time::Duration;

fn cache() -> Cache {
    Cache::builder().window(Duration::from_millis(10)).build().unwrap()
}

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn fp(n: u64) -> Fingerprint {
    Fingerprint::from_u128(u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 40 | u128::from(n))
}

#[test]
fn duplicates_allocate_nothing() {
    let _turn = turn();
    let cache = cache();
    for n in 0..100 {
        let text = || Some(Exemplar::new("text"));
        assert!(cache.check_with_at(fp(n), at(0), &Rule::once(), text).is_emit());
    }
    let in_all = allocations(|| {
        for round in 0..100 {
            for n in 0..100 {
                let decision = match round % 2 {
                    0 => cache.check_at(fp(n), at(5)),
                    _ => cache.check_with_at(fp(n), at(5), &Rule::once(), || unreachable!()),
                };
                assert_eq!(decision, Decision::Suppress { first: round == 0 });
            }
        }
        // Through the clock, whose present is within the window or not.
        for _ in 0..100 {
            let _ = cache.check(fp(1));
        }
    });
    assert_eq!(in_all, 0);
}

#[test]
fn rules_allocate_their_words_once() {
    let _turn = turn();
    let cache = cache();
    let rules =
        [Rule::first(3), Rule::first_then_every(2, 3), Rule::back_off(Duration::from_secs(1))]
            .map(Result::unwrap);
    assert!(cache.check_at(fp(0), at(0)).is_emit());
    let once =
        allocations(|| assert!(cache.check_with_at(fp(1), at(0), &rules[0], || None).is_emit()));
    assert_eq!(once, 2, "the words, and where they are");
    for (n, rule) in (10..).zip(&rules) {
        assert!(cache.check_with_at(fp(n), at(0), rule, || None).is_emit());
    }
    let mut suppressed = 0;
    let in_all = allocations(|| {
        for _ in 0..100 {
            for (n, rule) in (10..).zip(&rules) {
                let decision = cache.check_with_at(fp(n), at(5), rule, || Some(Exemplar::new("")));
                suppressed += u32::from(!decision.is_emit());
            }
        }
    });
    assert!(suppressed > 250);
    // Emissions without an exemplar ask for one, which is kept.
    let exemplars = 3 * 2 + 2;
    assert!(in_all <= exemplars, "{in_all}");
    let more = allocations(|| {
        for now in 5..1000 {
            for (n, rule) in (10..).zip(&rules) {
                let _ = cache.check_with_at(fp(n), at(now), rule, || None);
            }
        }
    });
    assert_eq!(more, 0);
}

#[test]
fn emissions_allocate_nothing() {
    let _turn = turn();
    let cache = cache();
    // Warm: the thread is known, and the window has ended.
    assert!(cache.check_at(fp(0), at(0)).is_emit());
    let in_all = allocations(|| {
        for round in 1..100 {
            for n in 0..10 {
                assert!(cache.check_at(fp(n), at(round * 10)).is_emit(), "expired, or new");
            }
        }
        for n in 1000..2500 {
            assert!(cache.check_at(fp(n), at(2000)).is_emit(), "new");
        }
        assert!(cache.check_at(fp(1), Tick::MAX).is_emit(), "untracked");
        assert_eq!(cache.stats().failed_open, 1);
    });
    assert_eq!(in_all, 0);
}

#[test]
fn a_threads_first_call_alone_registers_it() {
    let _turn = turn();
    let cache = cache();
    assert!(cache.check_at(fp(0), at(0)).is_emit());
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(!cache.check_at(fp(0), at(0)).is_emit());
            let more = allocations(|| {
                for n in 0..100 {
                    let _ = cache.check_at(fp(n), at(0));
                }
            });
            assert_eq!(more, 0);
        });
    });
}

#[test]
fn hashing_allocates_nothing() {
    let _turn = turn();
    let cache = cache();
    let peer = "10.0.0.1";
    let in_all = allocations(|| {
        let mut hasher = cache.hasher();
        write!(hasher, "cannot reach {} after {:>10.3} s: {:?}", peer, 1.5, Some(7)).unwrap();
        hasher.field("peer", peer.into());
        hasher.field("attempt", 7.into());
        let _ = cache.check_at(hasher.finish(), at(0));
    });
    // The check may have been this thread's first.
    let again = allocations(|| {
        let mut hasher = cache.hasher();
        hasher.bytes(&[7; 10_000]);
        let _ = cache.check_at(hasher.finish(), at(0));
    });
    assert_eq!(again, 0);
    assert!(in_all < 10);
}

#[test]
fn evictions_allocate_nothing() {
    let _turn = turn();
    let cache = cache();
    assert!(cache.check_at(fp(0), at(0)).is_emit());
    let in_all = allocations(|| {
        for n in 1..100_000 {
            assert!(cache.check_at(fp(n), at(0)).is_emit());
            if n % 3 == 0 {
                assert!(!cache.check_at(fp(n), at(0)).is_emit());
            }
        }
    });
    assert!(cache.stats().forgotten > 90_000);
    assert_eq!(in_all, 0);
}

/// Hot keys are counted in the thread's own page, others at their entries, and pages that
/// are full in both; whoever takes the counts allocates no more than who leaves them.
#[test]
fn a_threads_page_is_made_once() {
    let _turn = turn();
    let cache = Cache::builder().window(Duration::from_millis(10)).build().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let first = allocations(|| assert!(cache.check_at(fp(0), at(0)).is_emit()));
            assert!((1..=4).contains(&first), "the page, and the thread's registration: {first}");
            let later = allocations(|| {
                for round in 0..100 {
                    for n in 0..700 {
                        for _ in 0..10 {
                            let _ = cache.check_at(fp(n), at(round));
                        }
                    }
                }
            });
            assert_eq!(later, 0);
        });
    });
    let stats = cache.stats();
    assert_eq!((stats.emitted + stats.suppressed, stats.failed_open), (700_001, 0));
}
