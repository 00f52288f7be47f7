//! The scenarios of the rule word, and the faults that must be caught.

use super::Op::{self, Call, Evict};
use super::Rule::{First, FirstThenEvery, Once};
use super::{Fault, Rule, Rules};
use crate::explore::{caught, full, holds};

const TWO: Rule = First(2);
const THREE: Rule = First(3);
const EVERY: Rule = FirstThenEvery(2, 2);

/// Runs a scenario with and without a rule word that is reset for each entry.
fn runs(name: &str, scripts: &'static [&'static [Op]]) {
    holds(name, &Rules { scripts, resets: true, fault: Fault::None });
    holds(&format!("{name}, not reset"), &Rules { scripts, resets: false, fault: Fault::None });
}

#[test]
fn rules_in_one_window() {
    runs(
        "first 2",
        &[&[Call(TWO, 1), Call(TWO, 2)], &[Call(TWO, 1), Call(TWO, 2)], &[Call(TWO, 2)]],
    );
    runs(
        "first 2 and 3",
        &[&[Call(TWO, 1), Call(TWO, 2)], &[Call(THREE, 1), Call(THREE, 2)], &[Call(THREE, 2)]],
    );
    runs(
        "first 2, then every 2nd",
        &[&[Call(EVERY, 1); 3], &[Call(EVERY, 2); 2], &[Call(EVERY, 2)]],
    );
    runs(
        "first 2, plain calls",
        &[&[Call(TWO, 1), Call(TWO, 2)], &[Call(Once, 1), Call(TWO, 2)], &[Call(Once, 2)]],
    );
    runs(
        "every 2nd, plain calls",
        &[&[Call(EVERY, 1); 3], &[Call(Once, 1), Call(EVERY, 2)], &[Call(Once, 2)]],
    );
}

#[test]
fn rules_against_renewal() {
    runs(
        "first 3, renewed",
        &[&[Call(THREE, 2); 3], &[Call(THREE, 3), Call(THREE, 3)], &[Call(THREE, 3)]],
    );
    runs(
        "every 2nd, renewed",
        &[&[Call(EVERY, 2); 3], &[Call(EVERY, 3), Call(EVERY, 3)], &[Call(EVERY, 5)]],
    );
    runs(
        "renewed by a plain call",
        &[&[Call(EVERY, 2); 2], &[Call(Once, 3), Call(Once, 3)], &[Call(TWO, 3)]],
    );
}

#[test]
fn rules_against_eviction_and_return() {
    runs(
        "first 2, evicted",
        &[&[Call(TWO, 1), Call(TWO, 2)], &[Evict, Call(TWO, 1)], &[Call(TWO, 1), Call(TWO, 1)]],
    );
    runs(
        "every 2nd, evicted",
        &[&[Call(EVERY, 1); 2], &[Evict, Call(EVERY, 1)], &[Call(EVERY, 1); 2]],
    );
    runs(
        "evicted and renewed",
        &[&[Call(THREE, 2); 3], &[Evict, Call(THREE, 1)], &[Call(THREE, 3); 2]],
    );
    runs(
        "evicted, plain calls",
        &[&[Call(EVERY, 1); 2], &[Evict, Call(Once, 1), Call(EVERY, 1)], &[Call(Once, 1)]],
    );
    if full() {
        let long: &[&[Op]] = &[
            &[Call(EVERY, 1); 4],
            &[Evict, Call(Once, 1), Call(EVERY, 3), Evict],
            &[Call(EVERY, 2); 4],
        ];
        runs("evicted twice and renewed", long);
    }
}

#[test]
fn faults_in_rules_are_caught() {
    let renewed: &[&[Op]] = &[&[Call(THREE, 2); 2], &[Call(THREE, 3); 2], &[Call(THREE, 3); 2]];
    let evicted: &[&[Op]] = &[&[Call(TWO, 1)], &[Evict, Call(TWO, 1), Call(TWO, 1)]];
    let mixed: &[&[Op]] = &[&[Call(EVERY, 2); 2], &[Call(Once, 2)]];
    let cases = [
        (Fault::NoSecondRead, renewed, "emitted more than"),
        (Fault::NoTurn, evicted, "suppressed what"),
        (Fault::NoTick, renewed, "suppressed what"),
        (Fault::FirstByRuleWord, mixed, "told twice"),
        (Fault::WritesBlindly, &[&[Call(TWO, 2)], &[Call(TWO, 2)]], "emitted more than"),
        (
            Fault::MarksAnyWindow,
            &[&[Call(EVERY, 2); 2], &[Call(Once, 3), Call(Once, 3)]],
            "never told",
        ),
    ];
    for (fault, scripts, expected) in cases {
        caught("rules", fault, &Rules { scripts, resets: true, fault }, expected);
    }
}
