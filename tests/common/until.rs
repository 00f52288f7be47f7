//! Waiting for another thread.

use std::thread;
use std::time::{Duration, Instant};

/// Waits for what another thread is about to do.
pub(crate) fn until(done: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < patience, "it never came");
        thread::sleep(Duration::from_millis(1));
    }
}
