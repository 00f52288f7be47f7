//! A caller that is late by two rotations: settled, sealed.
//!
//! A generation takes one claim, so each new key rotates. While the late caller is
//! pinned in the first table, the second rotation is permitted by a seal only.
//!
//! An emission by the late caller after that could not be told from one made before
//! the first rotation, and forgotten since: the history alone does not show it. So
//! the engine itself looks, in a model, whether an emission is in a table that is
//! gone ("place").

use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::{Fault, Model};
use quell::{Epoch, Reclaim};

const X: u128 = 3;
const Y: u128 = 21;
const Z: u128 = 22;
const W: u128 = 23;

/// X has expired in the first table. Two rotations, and X again.
fn expired_key<R: Reclaim>(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::<R>::shaped(1, 1, 0, fault).may_forget(&[fp(X)]);
        world.alone(|me| me.check(fp(X), 0));
        world.race(vec![
            racer(|me| me.check(fp(X), 100)),
            racer(|me| {
                me.check(fp(Y), 100);
                me.check(fp(Z), 100);
                me.check(fp(X), 100);
            }),
        ]);
        world.alone(|me| me.check(fp(X), 101));
        world.finish();
    }
}

/// X is new. The late caller has found room for it before the others took it.
fn new_key<R: Reclaim>(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::<R>::shaped(1, 1, 0, fault).may_forget(&[fp(X)]);
        world.race(vec![
            racer(|me| me.check(fp(X), 100)),
            racer(|me| {
                me.check(fp(Y), 100);
                me.check(fp(Z), 100);
                me.check(fp(X), 100);
            }),
        ]);
        world.finish();
    }
}

/// X's probe sequence starts in the other group than those of the keys here, so nobody asks
/// about, and closes, the slot that X is to get: only the seal does, in the first of two steps.
const ELSEWHERE: [u128; 4] = [1, 2, 6, 7];

/// X is new. The late caller has found an empty slot for it, and not claimed it.
fn unclaimed(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::<Model>::shaped(2, 1, 0, fault);
        world.race(vec![
            racer(|me| me.check(fp(X), 100)),
            racer(|me| {
                for key in ELSEWHERE {
                    me.check(fp(key), 100);
                }
            }),
        ]);
        world.finish();
    }
}

/// X has expired in the first table, which is sealed in two steps, by a thread each.
fn sealed_by_two(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::<Model>::shaped(2, 1, 0, fault).may_forget(&[fp(X)]);
        world.alone(|me| me.check(fp(X), 0));
        world.race(vec![
            racer(|me| me.check(fp(X), 100)),
            racer(|me| {
                me.check(fp(Y), 100);
                me.check(fp(Z), 100);
            }),
            racer(|me| me.check(fp(W), 100)),
        ]);
        world.finish();
    }
}

#[test]
fn expired_key_two_rotations_on() {
    holds("late: expired key", Bound::preemptions(1), expired_key::<Model>(None));
    holds("late: expired key, further", Bound::preemptions(2).executions(20_000), expired_key::<Model>(None));
}

#[test]
fn new_key_two_rotations_on() {
    holds("late: new key", Bound::preemptions(1), new_key::<Model>(None));
}

#[test]
fn no_settle() {
    let fault = Some(Fault::NoSettle);
    must_fail("late: expired key, NoSettle", 2, "place", expired_key::<Model>(fault));
    must_fail("late: new key, NoSettle", 2, "place", new_key::<Model>(fault));
}

#[test]
fn seal_without_marking() {
    let fault = Some(Fault::SealWithoutMarking);
    must_fail("late: expired key, SealWithoutMarking", 2, "place", expired_key::<Model>(fault));
    must_fail("late: new key, SealWithoutMarking", 2, "place", new_key::<Model>(fault));
    must_fail("late: sealed by two, SealWithoutMarking", 2, "place", sealed_by_two(fault));
}

#[test]
fn unclaimed_two_rotations_on() {
    holds("late: unclaimed slot", Bound::preemptions(1), unclaimed(None));
    holds("late: unclaimed slot, further", Bound::preemptions(2).executions(20_000), unclaimed(None));
}

#[test]
fn sealed_by_two_threads() {
    holds("late: sealed by two", Bound::preemptions(1).executions(20_000), sealed_by_two(None));
}

#[test]
fn seal_without_closing() {
    must_fail("late: unclaimed slot, SealWithoutClosing", 2, "place", unclaimed(Some(Fault::SealWithoutClosing)));
}

#[test]
fn crossbeam_expired_key() {
    holds("late: expired key, Epoch", Bound::preemptions(1).executions(8_000), expired_key::<Epoch>(None));
}

#[test]
fn crossbeam_new_key() {
    holds("late: new key, Epoch", Bound::preemptions(1).executions(8_000), new_key::<Epoch>(None));
}

#[test]
fn crossbeam_no_settle() {
    must_fail("late: expired key, NoSettle, Epoch", 2, "place", expired_key::<Epoch>(Some(Fault::NoSettle)));
}
