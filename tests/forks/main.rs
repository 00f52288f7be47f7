//! Children forked while other threads are in the midst of something: none finds a lock
//! taken. And what a child has of its parent's guards.
#![cfg(unix)]

mod cache;
#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "fleet")]
mod fleet;
mod guard;
#[cfg(feature = "log")]
mod log;
#[cfg(feature = "slog")]
mod slog;
#[cfg(feature = "tracing")]
mod tracing;

use crossbeam_utils::atomic::AtomicCell;
use quell::{Event, Sink, Summary};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

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

/// Runs `child` in a forked child, which is to return true. It has what the parent has, but
/// for the other threads.
fn in_a_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child uses what is tested and the allocator, which the C library makes
    // ready for it, and ends without returning.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: a child that hangs is ended by the alarm, which the parent sees.
        unsafe { libc::alarm(60) };
        let done = catch_unwind(AssertUnwindSafe(child));
        // SAFETY: ends this process.
        unsafe { libc::_exit(done.map_or(2, |right| i32::from(!right))) };
    }
    let mut status = -1;
    // SAFETY: waits for our child, with a place for its status.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "it hung (14), failed (256) or panicked (512)");
}

/// The interval of a guard that is to write soon.
const OFTEN: Duration = Duration::from_millis(1);

/// Adds up what summaries say.
#[derive(Clone, Default)]
struct Adds(Arc<AtomicCell<u64>>);

impl Adds {
    fn sum(&self) -> u64 {
        self.0.load()
    }

    /// Waits until the sum is `n`, and returns whether it is no more. A child that waits in
    /// vain is ended by the alarm.
    fn becomes(&self, n: u64) -> bool {
        while self.sum() < n {
            thread::sleep(OFTEN);
        }
        self.sum() == n
    }
}

impl Sink for Adds {
    fn write(&self, _: &Event<'_>) {}
    fn summary(&self, summary: &Summary) {
        self.0.fetch_add(summary.suppressed);
    }
}
