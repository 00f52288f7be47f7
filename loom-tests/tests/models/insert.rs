//! Claim and first decision.

use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::Fault;

fn two_inserters(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(4, fault);
        world.race(vec![racer(|me| me.check(fp(1), 5)), racer(|me| me.check(fp(1), 5))]);
        world.alone(|me| me.check(fp(1), 6));
        world.finish();
    }
}

#[test]
fn one_of_two_inserters_emits() {
    holds("insert: two inserters of one key", Bound::exhaustive(), two_inserters(None));
}

#[test]
fn decide_blindly() {
    must_fail("insert: DecideBlindly", 2, "order", two_inserters(Some(Fault::DecideBlindly)));
}

fn two_keys(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(4, fault);
        world.race(vec![racer(|me| me.check(fp(1), 5)), racer(|me| me.check(fp(2), 5))]);
        world.alone(|me| {
            me.check(fp(1), 6);
            me.check(fp(2), 6);
        });
        world.finish();
    }
}

#[test]
fn two_keys_get_two_slots() {
    holds("insert: two keys at once", Bound::exhaustive(), two_keys(None));
}

#[test]
fn claim_blindly() {
    must_fail("insert: ClaimBlindly", 2, "order", two_keys(Some(Fault::ClaimBlindly)));
}
