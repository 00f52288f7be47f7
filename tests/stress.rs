//! Contended windows: exactly one emission of each, and no count lost, while entries are
//! evicted inside the races. `QUELL_STRESS_PAIRS` says how many (fingerprint, window) pairs
//! an engine has to stand.

mod common;
#[path = "common/marks.rs"]
mod marks;
#[path = "common/stress.rs"]
mod stress;

use common::turn;
use marks::{Marked, Meanwhile, race_for_marks};
use std::time::Instant;
use stress::{LANES, Plan, Report, cores, run};

fn pairs() -> u64 {
    match std::env::var("QUELL_STRESS_PAIRS") {
        Ok(pairs) => pairs.parse().expect("QUELL_STRESS_PAIRS must be a number"),
        Err(_) => 200_000,
    }
}

fn stand(pairs: u64, spinning: usize) -> Report {
    let mut all = Report::default();
    for threads in [2, 4, 8] {
        let began = Instant::now();
        let until = |report: &Report| report.violations() != 0;
        let plan = Plan { threads, spinning, pairs: pairs.div_ceil(3), until };
        let report = run(&LANES, &plan, |builder| builder);
        println!("{threads} threads and {spinning} spinning, {:.1?}: {report:?}", began.elapsed());
        assert_eq!(report.violations(), 0, "{report:?}");
        all.add(&report);
    }
    println!("in all: {all:?}");
    assert!(all.pairs >= pairs);
    // Not idle: most of it is held to the strict rule, and evictions fall into many rounds.
    assert!(all.strict * 2 > all.pairs, "{all:?}");
    assert!(all.forgetful * 20 > all.pairs, "{all:?}");
    assert!(all.drained > 0);
    all
}

#[test]
fn contended_windows_emit_once_and_count_exactly() {
    let _turn = turn();
    stand(pairs(), 0);
}

/// Threads lose their cores in the midst of calls, for as long as others need for
/// thousands.
#[test]
fn contended_windows_on_a_busy_machine() {
    let _turn = turn();
    stand(pairs() / 10, cores());
}

#[test]
fn at_rest_no_mark_says_what_is_not_so() {
    let _turn = turn();
    for meanwhile in [Meanwhile::Emitted, Meanwhile::Evicted] {
        // On several caches: in one whose entries are touched in every flood none may be evicted.
        let mut marked = Marked::default();
        for _ in 0..10 {
            let of_one = race_for_marks(meanwhile, 2_000, |builder| builder);
            marked.rounds += of_one.rounds;
            marked.wrong += of_one.wrong;
        }
        println!("{meanwhile:?}: {marked:?}");
        assert!(marked.rounds > 200 && marked.wrong == 0, "{meanwhile:?}: {marked:?}");
    }
}
