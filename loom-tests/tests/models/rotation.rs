//! The same across a rotation: freeze, close, carry.

use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::Fault;

const X: u128 = 1;
const P: u128 = 11;
const O: u128 = 12;
const Q: u128 = 15;
const R: u128 = 13;

/// X is new. One thread uses the generation up, rotates and checks X; the other
/// may still be in the old table.
fn new_key(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        world.alone(|me| {
            me.check(fp(P), 0);
            me.check(fp(O), 0);
        });
        world.race(vec![
            racer(|me| me.check(fp(X), 0)),
            racer(|me| {
                me.check(fp(Q), 0);
                me.check(fp(R), 0);
                me.check(fp(X), 0);
            }),
        ]);
        world.alone(|me| me.check(fp(X), 1));
        world.finish();
    }
}

#[test]
fn new_key_across_a_rotation() {
    holds("rotation: new key", Bound::preemptions(3), new_key(None));
}

#[test]
fn no_close() {
    must_fail("rotation: NoClose", 2, "order", new_key(Some(Fault::NoClose)));
}

/// X was emitted and suppressed in the old table. One thread rotates and checks X
/// at `a`, the other checks it at `b`.
fn old_key(fault: Option<Fault>, a: u64, b: u64) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
            me.check(fp(P), 0);
            me.check(fp(O), 0);
        });
        world.race(vec![
            racer(move |me| me.check(fp(X), b)),
            racer(move |me| {
                me.check(fp(R), a);
                me.check(fp(X), a);
            }),
        ]);
        world.alone(|me| me.check(fp(X), a.max(b) + 1));
        world.finish();
    }
}

#[test]
fn expired_key_across_a_rotation() {
    holds("rotation: expired key", Bound::preemptions(3), old_key(None, 100, 100));
}

#[test]
fn no_freeze() {
    must_fail("rotation: NoFreeze", 2, "order", old_key(Some(Fault::NoFreeze), 100, 100));
}

#[test]
fn fresh_key_across_a_rotation() {
    holds("rotation: carry, two callers", Bound::preemptions(3), old_key(None, 5, 5));
}

#[test]
fn lost_count() {
    must_fail("rotation: LostCount", 2, "counts", old_key(Some(Fault::LostCount), 5, 5));
}

#[test]
fn carry_against_expiry() {
    holds("rotation: carry against expiry", Bound::preemptions(3), old_key(None, 5, 100));
    holds("rotation: expiry against late suppression", Bound::preemptions(3), old_key(None, 100, 5));
}

#[test]
fn carry_against_expiry_without_freeze() {
    must_fail("rotation: carry against expiry, NoFreeze", 3, "order", old_key(Some(Fault::NoFreeze), 5, 100));
}

/// The first suppressed call races with a carry that must keep whether it happened.
fn first_suppressed(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(P), 0);
            me.check(fp(O), 0);
        });
        world.race(vec![
            racer(|me| me.check(fp(X), 6)),
            racer(|me| {
                me.check(fp(R), 5);
                me.check(fp(X), 5);
            }),
        ]);
        world.finish();
    }
}

#[test]
fn first_suppressed_against_carry() {
    holds("rotation: first suppressed call against carry", Bound::preemptions(3), first_suppressed(None));
}

#[test]
fn first_suppressed_notice_blindly() {
    must_fail(
        "rotation: first suppressed call, NoticeBlindly",
        3,
        "order",
        first_suppressed(Some(Fault::NoticeBlindly)),
    );
}

/// A third thread rotates under two that check X.
fn third_party(fault: Option<Fault>, known: bool) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        world.alone(|me| {
            me.check(fp(P), 0);
            me.check(fp(O), 0);
            me.check(fp(if known { X } else { Q }), 0);
        });
        world.race(vec![
            racer(|me| me.check(fp(R), 100)),
            racer(|me| me.check(fp(X), 100)),
            racer(|me| me.check(fp(X), 100)),
        ]);
        world.alone(|me| me.check(fp(X), 101));
        world.finish();
    }
}

#[test]
fn third_party_rotates() {
    holds("rotation: new key, third party rotates", Bound::preemptions(1), third_party(None, false));
    holds("rotation: expired key, third party rotates", Bound::preemptions(1), third_party(None, true));
}

#[test]
fn third_party_no_freeze() {
    must_fail("rotation: third party, NoFreeze", 2, "order", third_party(Some(Fault::NoFreeze), true));
}
