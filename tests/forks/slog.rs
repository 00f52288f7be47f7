//! The front end for `slog`.

use crate::common::turn;
use quell::Cache;
use quell::front::slog::Dedup;
use slog::{Drain, FlushError, Logger, Never, OwnedKVList, Record, error, info, o, warn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[path = "../common/drains.rs"]
mod drains;

#[test]
fn a_child_forked_while_others_log_can_log() {
    let _turn = turn();
    struct Counts(AtomicU64);
    impl Drain for Counts {
        type Ok = ();
        type Err = Never;
        fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
            let n = drains::line_of(record, values).stands_for();
            self.0.fetch_add(n, Ordering::Relaxed);
            Ok(())
        }
        fn flush(&self) -> Result<(), FlushError> {
            Ok(())
        }
    }
    let cache = Arc::new(Cache::builder().build().unwrap());
    let dedup = Arc::new(Dedup::builder(cache, Counts(AtomicU64::new(0))).build());
    let root = Logger::root(Arc::clone(&dedup), o!());
    let storm = |thread, n| {
        let log = root.new(o!("thread" => thread));
        error!(root, "hot");
        info!(log, "new"; "n" => n);
        if n % 1000 == 0 {
            dedup.flush().unwrap();
        }
    };
    crate::fork_amid(storm, || {
        let log = root.new(o!("child" => true));
        let before = dedup.inner().0.load(Ordering::Relaxed);
        (0..3000).for_each(|n| warn!(log, "of the child"; "n" => n));
        (0..3000).for_each(|_| warn!(log, "of the child"));
        dedup.flush().unwrap();
        assert!(dedup.inner().0.load(Ordering::Relaxed) >= before + 6000);
    });
}
