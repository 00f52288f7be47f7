//! When the last repeat was, in the reports of counts that race with their calls.

use crate::{OTHERS, Q, X};
use loom_tests::{Bound, Racer, World, fp, holds, must_fail, racer};
use quell::model::Fault;

/// X was emitted at 0 and suppressed so many times at 1: the first count is in the table,
/// the second near, as all that follow.
fn world(fault: Option<Fault>, suppressed: usize) -> World {
    let mut world = World::keeping_last(fault).with_pages(2);
    world.alone(|me| {
        me.check(fp(X), 0);
        (0..suppressed).for_each(|_| me.check(fp(X), 1));
    });
    world
}

fn call() -> Racer {
    racer(|me| me.check(fp(X), 9))
}

fn renew() -> Racer {
    racer(|me| me.check(fp(X), 10))
}

fn drain() -> Racer {
    racer(|me| {
        me.drain();
    })
}

fn race(fault: Option<Fault>, suppressed: usize, racers: fn() -> Vec<Racer>) -> impl Fn() {
    move || {
        let mut world = world(fault, suppressed);
        world.race(racers());
        world.finish();
    }
}

/// Of the first repeat, by the way of any call; of the next, by the quick one, if the count was
/// taken before; and near.
#[test]
fn call_against_drain() {
    let racers = || vec![call(), drain()];
    let bound = Bound::preemptions(3).executions(15_000);
    holds("lasts: first call against drain", bound, race(None, 0, racers));
    must_fail("lasts: LastAfterCount", 2, "last", race(Some(Fault::LastAfterCount), 0, racers));
    holds("lasts: near call against drain", bound, race(None, 2, racers));
    holds("lasts: quick call against drain", bound, || {
        let mut world = world(None, 1);
        world.alone(|me| me.drain());
        world.race(vec![call(), drain()]);
        world.finish();
    });
}

#[test]
fn call_against_emission() {
    let racers = || vec![call(), renew()];
    let bound = Bound::preemptions(3).executions(15_000);
    for suppressed in [0, 1, 2] {
        holds("lasts: call against emission", bound, race(None, suppressed, racers));
    }
}

/// X is evicted while its count is in the table, or moved there from near.
#[test]
fn call_against_eviction() {
    for suppressed in [0, 1, 2] {
        let bound = Bound::preemptions(3).executions(15_000);
        holds("lasts: call against eviction", bound, move || {
            let mut world = world(None, suppressed).may_forget(&[X, 2, 3, 4]);
            world.alone(|me| OTHERS.iter().for_each(|&key| me.check(fp(key), 5)));
            world.race(vec![call(), racer(|me| me.check(fp(Q), 10))]);
            world.finish();
        });
    }
}

/// Of two that overlap, one's.
#[test]
fn call_against_call() {
    let racers = || vec![call(), racer(|me| me.check(fp(X), 8))];
    for suppressed in [0, 1, 2] {
        let bound = Bound::preemptions(3).executions(15_000);
        holds("lasts: call against call", bound, race(None, suppressed, racers));
    }
}
