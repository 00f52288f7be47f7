//! Calls that allocate nothing. In a test binary of its own, for the sake of its allocator.

#[path = "common/allocations.rs"]
mod allocations;
mod common;

use allocations::allocations;
use quell::{Cache, Decision, Exemplar, Fingerprint, Monotonic, Reclaim, Rule, Tick};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

on_each_backend! {
    duplicates_allocate_nothing,
    rules_allocate_their_words_once,
    emissions_allocate_nothing,
    a_threads_first_call_alone_registers_it,
    hashing_allocates_nothing,
    rotations_allocate_little,
}

/// Rotation waits for pinned threads, so those of other tests would be in the way.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cache<R: Reclaim>() -> Cache<Monotonic, R> {
    Cache::builder().window(Duration::from_millis(10)).reclaim().build().unwrap()
}

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn fp(n: u64) -> Fingerprint {
    Fingerprint::from_u128(u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 40 | u128::from(n))
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

fn duplicates_allocate_nothing<R: Reclaim>() {
    let _alone = alone();
    let cache = cache::<R>();
    for n in 0..100 {
        let text = || Exemplar::new("text");
        assert!(cache.check_with_at(fp(n), at(0), text).is_emit());
    }
    let in_all = allocations(|| {
        for round in 0..100 {
            for n in 0..100 {
                let decision = match round % 2 {
                    0 => cache.check_at(fp(n), at(5)),
                    _ => cache.check_with_at(fp(n), at(5), || unreachable!()),
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

fn rules_allocate_their_words_once<R: Reclaim>() {
    let _alone = alone();
    let cache = cache::<R>();
    let rules =
        [Rule::first(3), Rule::first_then_every(2, 3), Rule::back_off(Duration::from_secs(1))].map(Result::unwrap);
    assert!(cache.check_at(fp(0), at(0)).is_emit());
    let once = allocations(|| assert!(cache.check_rule(fp(1), at(0), &rules[0]).is_emit()));
    assert_eq!(once, 2, "the words, and where they are");
    for (n, rule) in (10..).zip(&rules) {
        assert!(cache.check_rule(fp(n), at(0), rule).is_emit());
    }
    let mut suppressed = 0;
    let in_all = allocations(|| {
        for _ in 0..100 {
            for (n, rule) in (10..).zip(&rules) {
                let decision = cache.check_rule_with(fp(n), at(5), rule, || Exemplar::new(""));
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
                let _ = cache.check_rule(fp(n), at(now), rule);
            }
        }
    });
    assert_eq!(more, 0);
}

fn emissions_allocate_nothing<R: Reclaim>() {
    let _alone = alone();
    let cache = cache::<R>();
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
        let stats = cache.stats();
        assert_eq!((stats.rotations, stats.failed_open), (0, 1));
    });
    assert_eq!(in_all, 0);
}

fn a_threads_first_call_alone_registers_it<R: Reclaim>() {
    let _alone = alone();
    let cache = cache::<R>();
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

fn hashing_allocates_nothing<R: Reclaim>() {
    let _alone = alone();
    let cache = cache::<R>();
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

/// What a backend needs to find the end of a grace period: nothing of it stays.
fn rotations_allocate_little<R: Reclaim>() {
    let _alone = alone();
    let cache = cache::<R>();
    assert!(cache.check_at(fp(0), at(0)).is_emit());
    let in_all = allocations(|| {
        for n in 1..100_000 {
            assert!(cache.check_at(fp(n), at(0)).is_emit());
        }
    });
    let rotations = cache.stats().rotations;
    println!("{in_all} allocations in {rotations} rotations");
    assert!(rotations >= 40);
    assert!(in_all <= 8 * rotations, "{in_all} allocations in {rotations} rotations");
}
