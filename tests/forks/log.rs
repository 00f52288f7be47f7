//! The front end for `log`.

use crate::common::turn;
use log::{LevelFilter, Log, Metadata, Record, error, info, warn};
use quell::Cache;
use quell::front::log::Dedup;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[path = "../common/records.rs"]
mod records;

#[test]
fn a_child_forked_while_others_log_can_log() {
    let _turn = turn();
    log::set_max_level(LevelFilter::Trace);
    struct Counts(AtomicU64);
    impl Log for Counts {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &Record<'_>) {
            let n = records::line_of(record).stands_for();
            self.0.fetch_add(n, Ordering::Relaxed);
        }
        fn flush(&self) {}
    }
    let cache = Arc::new(Cache::builder().build().unwrap());
    let log = Dedup::builder(cache, Counts(AtomicU64::new(0))).build();
    let storm = |_, n| {
        error!(logger: log, thread = 1; "hot");
        info!(logger: log, n; "new");
        if n % 1000 == 0 {
            log.flush();
        }
    };
    crate::fork_amid(storm, || {
        let before = log.inner().0.load(Ordering::Relaxed);
        (0..3000).for_each(|n| warn!(logger: log, n; "of the child"));
        (0..3000).for_each(|_| warn!(logger: log, "of the child"));
        log.flush();
        assert!(log.inner().0.load(Ordering::Relaxed) >= before + 6000);
    });
}
