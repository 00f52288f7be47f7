//! Contended windows: exactly one emission of each, and no count lost, while tables rotate
//! inside the races. `QUELL_STRESS_PAIRS` says how many (fingerprint, window) pairs a
//! backend has to stand.

mod common;
#[path = "common/stress.rs"]
mod stress;

use quell::Reclaim;
use std::time::Instant;
use stress::{LANES, Plan, Report, run};

on_each_backend! { contended_windows_emit_once_and_count_exactly }

fn pairs() -> u64 {
    match std::env::var("QUELL_STRESS_PAIRS") {
        Ok(pairs) => pairs.parse().expect("QUELL_STRESS_PAIRS must be a number"),
        Err(_) => 200_000,
    }
}

fn contended_windows_emit_once_and_count_exactly<R: Reclaim>() {
    let mut all = Report::default();
    for threads in [2, 4, 8] {
        let began = Instant::now();
        let plan = Plan { threads, pairs: pairs().div_ceil(3), until: |report| report.violations() != 0 };
        let report = run::<R>(&LANES, &plan, |builder| builder);
        println!("{threads} threads, {:.1?}: {report:?}", began.elapsed());
        assert_eq!(report.violations(), 0, "{report:?}");
        all.add(&report);
    }
    println!("in all: {all:?}");
    assert!(all.pairs >= pairs());
    // Not idle: most of it is held to the strict rule, and rotations fall into most rounds.
    assert!(all.strict * 2 > all.pairs, "{all:?}");
    assert!(all.rotated * 10 > all.pairs, "{all:?}");
    assert!(all.drained > 0);
}
