//! A guard, whose thread a forked child does not have.

use crate::common::{cache, turn};
use crossbeam_utils::atomic::AtomicCell;
use quell::{Guard, Summary};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn its_drop_in_a_child_writes_the_last_report() {
    let _turn = turn();
    let (cache, _clock) = cache();
    let sums = Arc::new(AtomicCell::new(0u64));
    let add = {
        let sums = Arc::clone(&sums);
        move |summary: Summary| {
            sums.fetch_add(summary.suppressed);
        }
    };
    let reporter = Guard::for_cache(&cache, add, Duration::MAX).unwrap();
    for _ in 0..5 {
        let _ = cache.check(quell::Fingerprint::from_u128(1));
    }
    // SAFETY: the child uses the reporter and the allocator, which the C library makes
    // ready for it, and ends without returning.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: a child that hangs is ended by the alarm, which the parent sees.
        unsafe { libc::alarm(30) };
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(reporter)));
        // SAFETY: ends this process.
        unsafe { libc::_exit(if dropped.is_err() { 2 } else { i32::from(sums.load() != 4) }) };
    }
    let mut status = -1;
    // SAFETY: waits for our child, with a place for its status.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "it hung (14), lost the report (256) or panicked (512)");
    drop(reporter);
    assert_eq!(sums.load(), 4, "the parent has noticed nothing");
}
