//! tracing-throttle: fork while other threads log hung 94 of 300 children. A cache holds no
//! lock that a child could find taken.
#![cfg(unix)]

mod common;

use quell::{Cache, Decision, Fingerprint, Reclaim, Tick};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

on_each_backend! { a_child_forked_while_others_check_can_check }

fn fingerprint(thread: u64, n: u64) -> Fingerprint {
    let low = (thread << 40 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Fingerprint::from_u128(u128::from(low.rotate_left(32)) << 64 | u128::from(low ^ low >> 31))
}

/// Of the 300 of the fault, every third hung.
const CHILDREN: usize = 24;

const NOW: Tick = Tick::from_millis(1000);

/// What a child does with the cache it finds.
fn child<R: Reclaim>(cache: &Cache<quell::Monotonic, R>) {
    let hot = fingerprint(0, 0);
    assert!(!cache.check_at(hot, NOW).is_emit(), "known before the fork");
    for n in 0..3000 {
        assert!(cache.check_at(fingerprint(9, n), NOW).is_emit(), "new");
        if n % 100 == 0 {
            assert!(!cache.check_at(hot, NOW).is_emit(), "known before the fork");
        }
    }
    // A thread that is not there any more may hold rotation back: then what is new is not
    // tracked, and says so.
    let failed_open = cache.stats().failed_open;
    let new = fingerprint(9, 3000);
    assert!(cache.check_at(new, NOW).is_emit());
    if cache.stats().failed_open == failed_open {
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

fn a_child_forked_while_others_check_can_check<R: Reclaim>() {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cache = Cache::builder().reclaim::<R>().build().unwrap();
    assert!(cache.check_at(fingerprint(0, 0), NOW).is_emit());
    let over = AtomicBool::new(false);
    let calls = AtomicU64::new(0);
    let statuses: Vec<i32> = thread::scope(|scope| {
        for thread in 1..3 {
            let (cache, over, calls) = (&cache, &over, &calls);
            scope.spawn(move || {
                for n in 0.. {
                    let _ = cache.check_at(fingerprint(0, 0), NOW);
                    let _ = cache.check_at(fingerprint(thread, n), NOW);
                    if n % 1000 == 0 {
                        cache.drain(|_| {});
                    }
                    calls.fetch_add(1, Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let statuses = (0..CHILDREN).map(|_| {
            let before = calls.load(Ordering::Relaxed);
            while calls.load(Ordering::Relaxed) == before {
                thread::yield_now();
            }
            // SAFETY: the child uses the cache and the allocator, which the C library makes ready
            // for it, and ends without returning.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                // SAFETY: a child that hangs is ended by the alarm, which the parent sees.
                unsafe { libc::alarm(60) };
                let done = catch_unwind(AssertUnwindSafe(|| child(&cache))).is_ok();
                // SAFETY: ends this process.
                unsafe { libc::_exit(if done { 0 } else { 1 }) };
            }
            let mut status = -1;
            // SAFETY: waits for our child, with a place for its status.
            let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
            if waited == pid && pid > 0 { status } else { -1 }
        });
        let statuses = statuses.collect();
        over.store(true, Ordering::Relaxed);
        statuses
    });
    assert_eq!(statuses, [0; CHILDREN], "a child hung (14) or failed (256)");
    // The parent has noticed nothing.
    assert!(!cache.check_at(fingerprint(0, 0), NOW).is_emit());
}
