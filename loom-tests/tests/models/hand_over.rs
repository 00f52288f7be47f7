//! Entries that a generation takes over unasked.

use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::{Fault, Model};

const X: u128 = 1;
const P: u128 = 11;
const O: u128 = 12;
const R: u128 = 13;

/// X has been suppressed, so the claim of R after the rotation takes it over, while
/// the other thread checks X at `at`.
fn pair(fault: Option<Fault>, at: u64) -> impl Fn() {
    move || {
        let mut world = World::<Model>::shaped(1, 3, 1, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
            me.check(fp(P), 0);
            me.check(fp(O), 0);
        });
        world.race(vec![racer(|me| me.check(fp(R), 5)), racer(move |me| me.check(fp(X), at))]);
        world.alone(|me| me.check(fp(X), at));
        world.finish();
    }
}

#[test]
fn against_checks() {
    holds("hand-over: against a suppressed call", Bound::preemptions(3), pair(None, 6));
    holds("hand-over: against an emission", Bound::preemptions(3), pair(None, 100));
}

#[test]
fn lost_count() {
    must_fail("hand-over: LostCount", 3, "counts", pair(Some(Fault::LostCount), 6));
}

#[test]
fn no_freeze() {
    must_fail("hand-over: NoFreeze", 3, "order", pair(Some(Fault::NoFreeze), 100));
}

/// With a third thread that suppresses or drains.
fn three(fault: Option<Fault>, drain: bool) -> impl Fn() {
    move || {
        let mut world = World::<Model>::shaped(1, 3, 1, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
            me.check(fp(P), 0);
            me.check(fp(O), 0);
        });
        world.race(vec![
            racer(|me| me.check(fp(R), 5)),
            racer(|me| me.check(fp(X), 100)),
            racer(move |me| {
                if drain {
                    me.drain();
                } else {
                    me.check(fp(X), 6);
                }
            }),
        ]);
        world.finish();
    }
}

#[test]
fn three_threads() {
    holds(
        "hand-over: against emission and suppressed call",
        Bound::preemptions(1).executions(30_000),
        three(None, false),
    );
    holds("hand-over: against emission and drain", Bound::preemptions(1).executions(30_000), three(None, true));
}

#[test]
fn three_threads_lost_count() {
    must_fail("hand-over: three threads, LostCount", 2, "counts", three(Some(Fault::LostCount), false));
}

/// X survives two rotations without a call of its own, with a late caller inside.
fn survives(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::<Model>::shaped(1, 1, 1, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
        });
        world.race(vec![
            racer(|me| {
                me.check(fp(R), 5);
                me.check(fp(P), 5);
                me.check(fp(X), 6);
            }),
            racer(|me| me.check(fp(X), 100)),
        ]);
        world.may_forget(&[fp(X)]).finish();
    }
}

#[test]
fn across_two_rotations() {
    holds("hand-over: across two rotations", Bound::preemptions(1).executions(30_000), survives(None));
}
