//! Draining while calls go on.

use loom_tests::{Bound, Caller, World, fp, holds, must_fail, racer};
use quell::model::{Fault, Model};

const X: u128 = 1;
const P: u128 = 11;
const O: u128 = 12;
const KEYS: [u128; 4] = [21, 22, 23, 24];

fn world(claims: usize, fault: Option<Fault>) -> World {
    let mut world = World::<Model>::new(claims, fault);
    world.alone(|me| {
        me.check(fp(X), 0);
        me.check(fp(X), 1);
        if claims == 3 {
            me.check(fp(P), 0);
            me.check(fp(O), 0);
        }
    });
    world
}

/// X has a count pending. A drain races with `other`.
fn against(fault: Option<Fault>, other: fn(&mut Caller)) -> impl Fn() {
    move || {
        let mut world = world(3, fault);
        world.race(vec![racer(|me| drop(me.drain())), racer(other)]);
        world.finish();
    }
}

fn suppress(me: &mut Caller) {
    me.check(fp(X), 5);
}

fn emit(me: &mut Caller) {
    me.check(fp(X), 100);
}

fn drain(me: &mut Caller) {
    me.drain();
}

/// X is carried to the next table.
fn carry(me: &mut Caller) {
    me.check(fp(KEYS[0]), 5);
    me.check(fp(X), 5);
}

#[test]
fn against_calls() {
    holds("drain: against a suppressed call", Bound::exhaustive(), against(None, suppress));
    holds("drain: against an emission", Bound::exhaustive(), against(None, emit));
}

#[test]
fn against_calls_take_blindly() {
    let fault = Some(Fault::TakeBlindly);
    must_fail("drain: against a suppressed call, TakeBlindly", 2, "counts", against(fault, suppress));
    must_fail("drain: against an emission, TakeBlindly", 2, "counts", against(fault, emit));
}

#[test]
fn against_another() {
    holds("drain: against another drain", Bound::preemptions(3), against(None, drain));
}

#[test]
fn against_another_take_blindly() {
    let fault = Some(Fault::TakeBlindly);
    must_fail("drain: against another drain, TakeBlindly", 2, "counts", against(fault, drain));
}

#[test]
fn against_carry() {
    holds("drain: against rotation and carry", Bound::preemptions(3), against(None, carry));
}

#[test]
fn against_carry_lost_count() {
    must_fail("drain: against carry, LostCount", 2, "counts", against(Some(Fault::LostCount), carry));
}

/// The drain meets X's table as it is retired, cleared, and used again for another
/// key, which is suppressed there.
fn against_reuse(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = world(1, fault);
        world.alone(|me| {
            me.check(fp(KEYS[0]), 5);
            me.check(fp(KEYS[1]), 5);
        });
        world.race(vec![
            racer(|me| drop(me.drain())),
            racer(|me| {
                me.check(fp(KEYS[2]), 5);
                me.check(fp(KEYS[3]), 5);
                me.check(fp(KEYS[3]), 6);
            }),
        ]);
        world.finish();
    }
}

#[test]
fn against_clearing_and_reuse() {
    holds("drain: against clearing and reuse", Bound::preemptions(2), against_reuse(None));
}

#[test]
fn drain_unseen() {
    must_fail("drain: against reuse, DrainUnseen", 2, "counts", against_reuse(Some(Fault::DrainUnseen)));
}

/// A drain, an emission, and a third thread that rotates.
fn three(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = world(3, fault);
        world.race(vec![
            racer(|me| me.check(fp(KEYS[0]), 100)),
            racer(|me| me.check(fp(X), 100)),
            racer(|me| drop(me.drain())),
        ]);
        world.finish();
    }
}

#[test]
fn against_emission_and_rotation() {
    holds("drain: against emission and rotation", Bound::preemptions(1), three(None));
}

#[test]
fn against_emission_and_rotation_lost_count() {
    must_fail("drain: three threads, LostCount", 2, "counts", three(Some(Fault::LostCount)));
}
