//! Little room, and none: slots are busy, as of threads that stopped in the middle of a
//! call.

use crate::{Q, X};
use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::Fault;

/// While there is room, no call fails open.
fn some(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2).with_busy(2);
        world.race(vec![racer(|me| me.check(fp(X), 5)), racer(|me| me.check(fp(X), 5))]);
        world.alone(|me| me.check(fp(X), 6));
        world.finish();
    }
}

#[test]
fn with_some_room() {
    holds("fail open: two slots left", Bound::preemptions(3).executions(15_000), some(None));
    must_fail("fail open: BusyIsFull", 2, "stats", some(Some(Fault::BusyIsFull)));
}

/// One slot for two keys.
#[test]
fn with_one_slot() {
    holds("fail open: one slot left", Bound::preemptions(2).executions(15_000), || {
        let mut world =
            World::new(None).with_pages(2).with_busy(3).may_forget(&[X, Q]).may_fail_open();
        world.race(vec![
            racer(|me| {
                me.check(fp(X), 5);
                me.check(fp(X), 6);
            }),
            racer(|me| me.check(fp(Q), 5)),
        ]);
        world.finish();
    });
}

#[test]
fn without_room() {
    holds("fail open: no room", Bound::exhaustive().executions(15_000), || {
        let mut world = World::new(None).with_pages(2).with_busy(4).may_fail_open();
        world.race(vec![racer(|me| me.check(fp(X), 5)), racer(|me| me.check(fp(X), 5))]);
        assert_eq!(world.stats().failed_open, 2, "stats: somebody found room");
        world.finish();
    });
}
