//! The stress test's own test: it must find an engine that leaves a step out, and find
//! nothing wrong with one that lingers at the same steps. Run by `ci/stress-control`.
//!
//! Not among them, but shown by models: `SameLook`, which takes some five preemptions;
//! `NoKill`, whose calls go round and round; `CountAnyTurn`, since what is counted is
//! seldom evicted just then; `NoTurn`, `TakeUnread`, `RuleUnread` and `RuleAnyTurn`, where
//! other looks take care of most.
#![cfg(quell_faults)]

mod common;
#[path = "common/laws.rs"]
mod laws;
#[path = "common/marks.rs"]
mod marks;
#[path = "common/stress.rs"]
mod stress;

use common::turn;
use marks::{Meanwhile, race_for_marks};
use quell::model::Fault;
use std::time::Instant;
use stress::{LANES, Plan, Report, cores, run};

/// Races with a fault until it shows. Found within some thousand pairs, on busy machines
/// too: the budget is hundreds of times that.
fn must_find(fault: Fault, shows: fn(&Report) -> bool) {
    for threads in [2, 4, 8] {
        let began = Instant::now();
        let plan = Plan { threads, spinning: 0, pairs: 3_000_000, until: shows };
        let report = run(&LANES, &plan, |builder| builder.fault(fault));
        println!(
            "{fault:?}, {threads} threads, after {} pairs, {:.1?}: {report:?}",
            report.pairs,
            began.elapsed()
        );
        assert!(shows(&report), "{fault:?} was not found with {threads} threads: {report:?}");
    }
}

#[test]
fn finds_a_claim_decided_without_a_look() {
    let _turn = turn();
    must_find(Fault::NoLook, |report| report.twice != 0);
}

#[test]
fn finds_an_emission_that_does_not_look() {
    let _turn = turn();
    must_find(Fault::RenewBlindly, |report| report.twice != 0);
}

#[test]
fn finds_a_notice_that_does_not_look() {
    let _turn = turn();
    must_find(Fault::NoticeBlindly, |report| report.firsts != 0);
}

#[test]
fn finds_a_lost_count() {
    let _turn = turn();
    must_find(Fault::LostCount, |report| report.lost != 0);
}

#[test]
fn finds_a_count_taken_in_two_steps() {
    let _turn = turn();
    must_find(Fault::TakeBlindly, |report| report.lost != 0);
}

fn must_mark_wrongly(meanwhile: Meanwhile, fault: Fault) {
    let _turn = turn();
    let began = Instant::now();
    let (mut rounds, mut wrong) = (0, 0);
    for _ in 0..300 {
        if wrong != 0 {
            break;
        }
        let marked = race_for_marks(meanwhile, 1000, |builder| builder.fault(fault));
        (rounds, wrong) = (rounds + marked.rounds, wrong + marked.wrong);
    }
    println!("{fault:?}, {meanwhile:?}: {wrong} of {rounds} rounds, {:.1?}", began.elapsed());
    assert_ne!(wrong, 0, "{fault:?} was not found in {rounds} rounds");
}

#[test]
fn finds_marks_that_an_emission_leaves() {
    must_mark_wrongly(Meanwhile::Emitted, Fault::NoVoid);
}

#[test]
fn finds_marks_that_are_voided_early() {
    must_mark_wrongly(Meanwhile::Emitted, Fault::VoidEarly);
}

#[test]
fn finds_marks_set_beside_an_emission() {
    must_mark_wrongly(Meanwhile::Emitted, Fault::MarkUnread);
}

#[test]
fn finds_marks_set_beside_an_eviction() {
    must_mark_wrongly(Meanwhile::Evicted, Fault::MarkUnread);
}

#[test]
fn finds_no_mark_of_a_whole_engine_that_lingers() {
    let _turn = turn();
    for (meanwhile, rounds) in [(Meanwhile::Emitted, 100_000), (Meanwhile::Evicted, 10_000)] {
        let marked = race_for_marks(meanwhile, rounds, |builder| builder);
        println!("no fault, {meanwhile:?}: {marked:?}");
        assert!(marked.rounds > rounds / 100 && marked.wrong == 0, "{meanwhile:?}: {marked:?}");
    }
}

/// Races under rules that count until a violation is found.
fn must_break_a_rule(fault: Fault) {
    let _turn = turn();
    let began = Instant::now();
    let mut races = 0;
    let found = (0..200).find_map(|n| {
        races += 1;
        let lane = &laws::LANES[n % laws::LANES.len()];
        laws::race(lane, 4, 500, |builder| builder.fault(fault)).violations.pop()
    });
    println!("{fault:?}: after {races} races, {:.1?}: {found:?}", began.elapsed());
    assert!(found.is_some(), "{fault:?} was not found");
}

#[test]
fn finds_a_rule_word_of_another_emission() {
    must_break_a_rule(Fault::RuleAnyTick);
}

#[test]
fn an_engine_that_lingers_breaks_no_rule() {
    let _turn = turn();
    for lane in &laws::LANES {
        let race = laws::race(lane, 4, 1000, |builder| builder);
        println!("no fault, {:?}: {race:?}", lane.law);
        assert_eq!(race.violations, [""; 0]);
    }
}

#[test]
fn finds_nothing_in_a_whole_engine_that_lingers() {
    let _turn = turn();
    // Lingering takes milliseconds where the processors are busy.
    let pairs = std::env::var("QUELL_STRESS_PAIRS").map_or(150_000, |pairs| pairs.parse().unwrap());
    for (threads, spinning) in [(2, 0), (4, 0), (8, 0), (4, cores())] {
        let began = Instant::now();
        let until = |report: &Report| report.violations() != 0;
        let plan = Plan {
            threads,
            spinning,
            pairs: if spinning == 0 { pairs / 3 } else { pairs / 30 },
            until,
        };
        let report = run(&LANES, &plan, |builder| builder);
        println!(
            "no fault, {threads} threads, {spinning} spinning, {:.1?}: {report:?}",
            began.elapsed()
        );
        assert_eq!(report.violations(), 0, "{report:?}");
    }
}
