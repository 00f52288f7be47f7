//! The stress test's own test: it must find an engine that leaves a step out, and find
//! nothing wrong with one that lingers at the same steps. Run by `ci/stress-control`.
//!
//! Not among them: `NoSettle` and the two halves of seal. What they break happens to
//! calls that were under way while a whole generation was claimed, and from outside that
//! cannot be told from an entry forgotten during the call. Models show them.
#![cfg(quell_faults)]

mod common;
#[path = "common/stress.rs"]
mod stress;

use quell::Reclaim;
use quell::model::Fault;
use std::time::Instant;
use stress::{LANES, Plan, Report, run};

on_each_backend! {
    finds_an_entry_that_is_not_frozen,
    finds_a_place_that_is_not_closed,
    finds_a_claim_that_does_not_look,
    finds_an_emission_that_does_not_look,
    finds_a_notice_that_does_not_look,
    finds_a_lost_count,
    finds_nothing_in_a_whole_engine_that_lingers,
}

/// Races with a fault until it shows. Found within some thousand pairs, on busy machines
/// too: the budget is hundreds of times that.
fn must_find<R: Reclaim>(fault: Fault, shows: fn(&Report) -> bool) {
    for threads in [2, 4, 8] {
        let began = Instant::now();
        let plan = Plan { threads, pairs: 3_000_000, until: shows };
        let report = run::<R>(&LANES, &plan, |builder| builder.fault(fault));
        println!("{fault:?}, {threads} threads, after {} pairs, {:.1?}: {report:?}", report.pairs, began.elapsed());
        assert!(shows(&report), "{fault:?} was not found with {threads} threads: {report:?}");
    }
}

fn finds_an_entry_that_is_not_frozen<R: Reclaim>() {
    must_find::<R>(Fault::NoFreeze, |report| report.twice != 0);
}

fn finds_a_place_that_is_not_closed<R: Reclaim>() {
    must_find::<R>(Fault::NoClose, |report| report.twice != 0);
}

fn finds_a_claim_that_does_not_look<R: Reclaim>() {
    must_find::<R>(Fault::ClaimBlindly, |report| report.twice != 0);
}

fn finds_an_emission_that_does_not_look<R: Reclaim>() {
    must_find::<R>(Fault::EmitBlindly, |report| report.twice != 0);
}

fn finds_a_notice_that_does_not_look<R: Reclaim>() {
    must_find::<R>(Fault::NoticeBlindly, |report| report.firsts != 0);
}

fn finds_a_lost_count<R: Reclaim>() {
    must_find::<R>(Fault::LostCount, |report| report.lost != 0);
}

fn finds_nothing_in_a_whole_engine_that_lingers<R: Reclaim>() {
    // Lingering takes milliseconds where the processors are busy.
    let pairs = std::env::var("QUELL_STRESS_PAIRS").map_or(150_000, |pairs| pairs.parse().unwrap());
    for threads in [2, 4, 8] {
        let began = Instant::now();
        let plan = Plan { threads, pairs: pairs / 3, until: |report| report.violations() != 0 };
        let report = run::<R>(&LANES, &plan, |builder| builder);
        println!("no fault, {threads} threads, {:.1?}: {report:?}", began.elapsed());
        assert_eq!(report.violations(), 0, "{report:?}");
    }
}
