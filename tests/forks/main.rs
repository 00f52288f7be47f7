//! Children forked while other threads are in the midst of something: none finds a lock
//! taken.
#![cfg(unix)]

mod cache;
#[path = "../common/mod.rs"]
mod common;
mod guard;
#[cfg(feature = "log")]
mod log;
#[cfg(feature = "slog")]
mod slog;
#[cfg(feature = "tracing")]
mod tracing;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// tracing-throttle hung in every third of 300.
const CHILDREN: usize = 24;

/// Forks children, one after the other, while two threads, 1 and 2, call `storm` with their
/// number and that of the call. Each child runs `child` and ends; none may hang or panic.
fn fork_amid(storm: impl Fn(u64, u64) + Sync, child: impl Fn()) {
    let over = AtomicBool::new(false);
    let calls = AtomicU64::new(0);
    let statuses: Vec<i32> = thread::scope(|scope| {
        for number in 1..3 {
            let (storm, over, calls) = (&storm, &over, &calls);
            scope.spawn(move || {
                for n in 0.. {
                    storm(number, n);
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
            // SAFETY: the child uses what is tested and the allocator, which the C library
            // makes ready for it, and ends without returning.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                // SAFETY: a child that hangs is ended by the alarm, which the parent sees.
                unsafe { libc::alarm(60) };
                let done = catch_unwind(AssertUnwindSafe(&child)).is_ok();
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
}
