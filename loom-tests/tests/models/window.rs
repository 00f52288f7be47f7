//! A window that changes under calls.

use loom_tests::{Bound, WINDOW, World, fp, holds, must_fail, racer};
use quell::model::Fault;

const X: u128 = 1;
const P: u128 = 11;
const O: u128 = 12;
const R: u128 = 13;
const WIDE: u64 = 1000;
const NARROW: u64 = 2;

/// X is out of the old window and within the new one.
fn widen(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(4, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
        });
        world.windows(&[WINDOW, WIDE]);
        world.race(vec![
            racer(|me| me.check(fp(X), 100)),
            racer(|me| {
                me.set_window(WIDE);
                me.check(fp(X), 100);
            }),
        ]);
        world.windows(&[WIDE]);
        world.alone(|me| me.check(fp(X), 1050));
        world.finish();
    }
}

#[test]
fn widening() {
    holds("window: widened under two callers", Bound::exhaustive(), widen(None));
}

/// The same across a rotation: one call may carry what another emits.
fn widen_and_rotate(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
            me.check(fp(P), 0);
            me.check(fp(O), 0);
        });
        world.windows(&[WINDOW, WIDE]);
        world.race(vec![
            racer(|me| me.check(fp(X), 100)),
            racer(|me| {
                me.check(fp(R), 100);
                me.set_window(WIDE);
                me.check(fp(X), 100);
            }),
        ]);
        // Fresh if the other call has emitted, and not otherwise.
        world.windows(&[WIDE]);
        world.alone(|me| me.check(fp(X), 1050));
        world.finish();
    }
}

#[test]
fn widening_across_a_rotation() {
    holds("window: widened across a rotation", Bound::preemptions(3), widen_and_rotate(None));
}

#[test]
fn widening_no_freeze() {
    must_fail("window: widened across a rotation, NoFreeze", 2, "order", widen_and_rotate(Some(Fault::NoFreeze)));
}

/// A narrow window again: what one call sees expired another still suppresses.
fn narrow(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(4, fault);
        world.alone(|me| me.check(fp(X), 0));
        world.windows(&[WINDOW, NARROW]);
        world.race(vec![
            racer(|me| me.check(fp(X), 5)),
            racer(|me| {
                me.set_window(NARROW);
                me.check(fp(X), 5);
            }),
        ]);
        world.finish();
    }
}

#[test]
fn narrowing() {
    holds("window: narrowed under two callers", Bound::exhaustive(), narrow(None));
}

#[test]
fn emit_blindly() {
    let fault = Some(Fault::EmitBlindly);
    must_fail("window: narrowed, EmitBlindly", 3, "order", narrow_twice(fault));
}

/// Both emit by the narrow window.
fn narrow_twice(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(4, fault);
        world.windows(&[NARROW]);
        world.alone(|me| {
            me.set_window(NARROW);
            me.check(fp(X), 0);
        });
        world.race(vec![racer(|me| me.check(fp(X), 5)), racer(|me| me.check(fp(X), 5))]);
        world.finish();
    }
}
