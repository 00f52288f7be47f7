//! The scenarios of near entries, and the faults that must be caught.

use super::Op::{Call, Drain, Evict, Other};
use super::{Counts, Fault, Kind, Name, Near, Op, Word};
use crate::explore::{caught, full, holds};

/// F is LIVE since 1, told and counted.
const TOLD: Word =
    Word { slot: 0, turn: 1, kind: Kind::Live, tick: 1, noticed: true, counted: true };
const ROOM: Word =
    Word { slot: 1, turn: 1, kind: Kind::Other, tick: 0, noticed: false, counted: false };
const NEW: Word = Word { noticed: false, counted: false, ..TOLD };
const NONE: Near = Near { label: Name::Nobody, mark: 0, of: (0, 0), count: 0, taken: 0 };
/// A near entry of F, with one call pending.
const NEAR: Near = Near { label: Name::F, mark: 1, of: (0, 1), count: 1, taken: 0 };

const SOUND: Counts =
    Counts { words: [TOLD, ROOM], near: [NONE; 3], scripts: &[], fault: Fault::None };
const KNOWN: Counts = Counts { near: [NEAR, NONE, NONE], ..SOUND };

fn runs(name: &str, counts: Counts, scripts: &'static [&'static [Op]]) {
    holds(name, &Counts { scripts, ..counts });
}

#[test]
fn near_counts_against_a_renewal() {
    runs("near against a renewal", SOUND, &[&[Call(2), Call(2)], &[Call(3), Call(3)]]);
    runs("near, known, against a renewal", KNOWN, &[&[Call(2), Call(2)], &[Call(3), Call(4)]]);
    runs("near against two renewals", KNOWN, &[&[Call(2), Call(2)], &[Call(3)], &[Call(5)]]);
    let both = Counts { near: [NEAR, NEAR, NONE], ..SOUND };
    runs(
        "two that are near against a renewal",
        both,
        &[&[Call(2)], &[Call(2), Call(4)], &[Call(3)]],
    );
    runs(
        "an entry not yet counted",
        Counts { words: [NEW, ROOM], ..SOUND },
        &[&[Call(2), Call(2)], &[Call(3)]],
    );
}

#[test]
fn near_counts_against_an_eviction() {
    runs("near against an eviction", SOUND, &[&[Call(2), Call(2)], &[Evict]]);
    runs("near, known, against an eviction", KNOWN, &[&[Call(2), Call(2)], &[Evict, Call(2)]]);
    runs(
        "near, evicted and entered again",
        KNOWN,
        &[&[Call(2), Call(2)], &[Evict], &[Call(1), Call(2)]],
    );
    let both = Counts { near: [NEAR, NEAR, NONE], ..SOUND };
    runs(
        "two that are near against an eviction",
        both,
        &[&[Call(2)], &[Call(2), Call(2)], &[Evict]],
    );
    runs("near against renewal and eviction", KNOWN, &[&[Call(2), Call(2)], &[Evict], &[Call(3)]]);
    runs(
        "an entry not yet counted, evicted",
        Counts { words: [NEW, ROOM], ..SOUND },
        &[&[Call(2), Call(2)], &[Evict]],
    );
}

#[test]
fn near_entries_given_to_another() {
    runs("relabelled against a renewal", KNOWN, &[&[Other, Call(2)], &[Call(3)]]);
    runs(
        "relabelled twice against a renewal",
        KNOWN,
        &[&[Call(2), Other, Call(2)], &[Call(3), Call(5)]],
    );
    runs("relabelled against an eviction", KNOWN, &[&[Other, Call(2), Other], &[Evict]]);
    runs("relabelled against both", KNOWN, &[&[Other, Call(2)], &[Evict], &[Call(3)]]);
    if full() {
        let long: &[&[Op]] = &[
            &[Other, Call(2), Other, Call(2)],
            &[Evict, Call(2), Drain],
            &[Call(3), Call(3), Evict],
        ];
        runs("relabelled against all", KNOWN, long);
    }
}

#[test]
fn drains_of_near_counts() {
    runs("a drain against a renewal", KNOWN, &[&[Call(2), Call(2)], &[Drain], &[Call(3)]]);
    runs("a drain against an eviction", KNOWN, &[&[Call(2), Call(2)], &[Drain], &[Evict]]);
    runs("two drains against relabelling", KNOWN, &[&[Other, Call(2)], &[Drain], &[Drain]]);
}

/// Runs a scenario with a fault that its message names.
fn breaks(
    name: &str,
    fault: Fault,
    counts: Counts,
    scripts: &'static [&'static [Op]],
    expected: &str,
) {
    caught(name, fault, &Counts { fault, scripts, ..counts }, expected);
}

#[test]
fn faults_in_voiding_are_caught() {
    let renewed: &[&[Op]] = &[&[Call(2), Call(2)], &[Call(3)]];
    let evicted: &[&[Op]] = &[&[Call(2), Call(2)], &[Evict]];
    for fault in [Fault::NoReread, Fault::VoidsFirst, Fault::NoVoid] {
        breaks("near against a renewal", fault, SOUND, renewed, "outlives its entry");
        breaks("near against an eviction", fault, SOUND, evicted, "outlives its entry");
    }
}

#[test]
fn faults_in_taking_are_caught() {
    let relabelled: &[&[Op]] = &[&[Other, Call(2)], &[Call(3)]];
    breaks("relabelled", Fault::NoSecondLook, KNOWN, relabelled, "reported more");
    breaks(
        "two drains",
        Fault::TakesBlindly,
        KNOWN,
        &[&[Call(2)], &[Drain], &[Drain]],
        "reported more",
    );
    breaks(
        "renewed, then evicted",
        Fault::ClearsCounted,
        SOUND,
        &[&[Call(2)], &[Call(3), Evict]],
        "counts are lost",
    );
    let entered: &[&[Op]] = &[&[Call(2)], &[Evict, Call(2)]];
    breaks(
        "evicted and entered again",
        Fault::DrainsCountedOnly,
        KNOWN,
        entered,
        "counts are lost",
    );
}
