//! The scenarios of the claim protocol, and the faults that must be caught.

use super::Start::{Expired, Free, Fresh};
use super::{CLAIMER, EVICTOR, STOPPER, THIRD_EVICTOR, TWICE, TWIN_EVICTOR};
use super::{Claims, F, FILLER, Fault, TWIN};
use crate::explore::{caught, full, holds};

const SOUND: Claims = Claims {
    start: &[Free; 3],
    roles: &[CLAIMER; 2],
    split: true,
    at_once: false,
    fault: Fault::None,
};

/// Runs a scenario with both moments of killing.
fn both(name: &str, claims: Claims) {
    holds(name, &claims);
    holds(&format!("{name}, killing at once"), &Claims { at_once: true, ..claims });
}

/// Runs a scenario, and both ways only in a full run.
fn large(name: &str, claims: Claims) {
    if full() { both(name, claims) } else { holds(name, &claims) }
}

#[test]
fn two_claimers() {
    both("two claimers, 3 slots", SOUND);
    both("two claimers, 4 slots", Claims { start: &[Free; 4], ..SOUND });
    both("two claimers, each twice", Claims { roles: &[TWICE; 2], ..SOUND });
}

#[test]
fn three_claimers() {
    let three = Claims { roles: &[CLAIMER; 3], split: false, ..SOUND };
    both("three claimers, 3 slots, read as a whole", three);
    large("three claimers, 4 slots, read as a whole", Claims { start: &[Free; 4], ..three });
    large("three claimers, 3 slots", Claims { split: true, ..three });
    if full() {
        both("three claimers, 4 slots", Claims { start: &[Free; 4], split: true, ..three });
    }
}

#[test]
fn claimers_and_an_evictor() {
    let roles = &[CLAIMER, CLAIMER, EVICTOR];
    let twin = &[CLAIMER, CLAIMER, TWIN_EVICTOR];
    both("two claimers, an evictor", Claims { roles, ..SOUND });
    let start = &[Free, Free, Fresh(F)];
    both("two that know it, an evictor", Claims { start, roles, ..SOUND });
    both("two that know it, an evictor with the same key", Claims { start, roles: twin, ..SOUND });
    let start = &[Fresh(TWIN), Free];
    both("two claimers, an evictor, the same key", Claims { start, roles, ..SOUND });
}

#[test]
fn claimers_and_evictors_in_a_full_table() {
    let pair = &[CLAIMER, EVICTOR, THIRD_EVICTOR];
    let four = &[CLAIMER, CLAIMER, EVICTOR, THIRD_EVICTOR];
    let start = &[Fresh(FILLER), Fresh(F)];
    both("a full table, a claimer and two evictors", Claims { start, roles: pair, ..SOUND });
    large(
        "a full table, two claimers and two evictors",
        Claims { start, roles: four, split: false, ..SOUND },
    );
    let three = Claims {
        start: &[Fresh(FILLER), Fresh(F), Fresh(FILLER)],
        roles: four,
        split: false,
        ..SOUND
    };
    large("a full table of three, two and two, read as a whole", three);
    if full() {
        both("a full table of three, two and two", Claims { split: true, ..three });
        let roles = &[CLAIMER, CLAIMER, CLAIMER, EVICTOR];
        both("a full table of three, three claimers and an evictor", Claims { roles, ..three });
    }
}

#[test]
fn renewal_by_two_and_against_eviction() {
    let start = &[Free, Expired(F)];
    both("renewal by two", Claims { start, ..SOUND });
    both("renewal by three", Claims { start, roles: &[CLAIMER; 3], ..SOUND });
    both(
        "renewal against eviction",
        Claims { start, roles: &[CLAIMER, CLAIMER, EVICTOR], ..SOUND },
    );
}

#[test]
fn helpers_of_one_that_stands_still() {
    both("one stands still", Claims { roles: &[STOPPER, CLAIMER], ..SOUND });
    large(
        "one stands still, two help",
        Claims { roles: &[STOPPER, CLAIMER, CLAIMER], split: false, ..SOUND },
    );
    both(
        "one stands still, an evictor",
        Claims { roles: &[STOPPER, CLAIMER, EVICTOR], split: false, ..SOUND },
    );
}

#[test]
fn a_killed_claim_and_the_next_life() {
    let tight = Claims { start: &[Free, Free], ..SOUND };
    both(
        "killed, and the slot taken by another",
        Claims { roles: &[CLAIMER, CLAIMER, EVICTOR], ..tight },
    );
    both("killed, and the slot taken again", Claims { roles: &[TWICE, CLAIMER, EVICTOR], ..tight });
    both("killed, and no room", Claims { roles: &[CLAIMER; 3], ..tight });
}

/// Runs a scenario with a fault that its message names.
fn breaks(name: &str, fault: Fault, claims: Claims, expected: &str) {
    caught(name, fault, &Claims { fault, ..claims }, expected);
}

#[test]
fn faults_in_finish_are_caught() {
    let three = Claims { roles: &[CLAIMER; 3], split: false, ..SOUND };
    breaks("three claimers", Fault::DecidesUnknown, three, "two LIVE slots");
    breaks(
        "three claimers",
        Fault::DecidesUnknown,
        Claims { at_once: true, ..three },
        "two LIVE slots",
    );
    breaks("two claimers", Fault::NoLookAfterPublishing, SOUND, "two LIVE slots");
    breaks("two claimers", Fault::NoKill, SOUND, "two LIVE slots");
    breaks("three claimers", Fault::KillsLive, three, "emitted too often");
    breaks("two claimers", Fault::PassesByChanged, SOUND, "two LIVE slots");
}

#[test]
fn faults_in_reading_and_renewing_are_caught() {
    let roles = &[CLAIMER, CLAIMER, EVICTOR];
    let one = Claims { start: &[Expired(F)], roles, ..SOUND };
    breaks("an evictor", Fault::IgnoresTurn, one, "suppressed before");
    let twin = Claims { start: &[Fresh(TWIN), Free], roles, ..SOUND };
    breaks("the same key", Fault::NoKeyAgain, twin, "suppressed before");
    breaks(
        "renewal by two",
        Fault::RenewsBlindly,
        Claims { start: &[Expired(F)], ..SOUND },
        "emitted too often",
    );
}
