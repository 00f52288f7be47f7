//! tracing-throttle: fork while other threads log hung 94 of 300 children. A cache holds no
//! lock that a child could find taken.

use crate::common::turn;
use crate::fork_amid;
use quell::{Cache, Decision, Fingerprint, Tick};

fn fingerprint(thread: u64, n: u64) -> Fingerprint {
    let low = (thread << 40 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Fingerprint::from_u128(u128::from(low.rotate_left(32)) << 64 | u128::from(low ^ low >> 31))
}

const NOW: Tick = Tick::from_millis(1000);

/// Uses the cache as a child finds it.
fn child(cache: &Cache) {
    let hot = fingerprint(0, 0);
    assert!(!cache.check_at(hot, NOW).is_emit(), "known before the fork");
    for n in 0..3000 {
        assert!(cache.check_at(fingerprint(9, n), NOW).is_emit(), "new");
        if n % 100 == 0 {
            assert!(!cache.check_at(hot, NOW).is_emit(), "known before the fork");
        }
    }
    // A thread that is not there any more may occupy the room: then what is new is not
    // tracked, and says so.
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
