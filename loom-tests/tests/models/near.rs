//! Counts near threads: against emission, eviction and drain, and as entries and pages
//! change hands.

use crate::{OTHERS, Q, X};
use loom_tests::{Bound, Racer, World, fp, holds, must_fail, racer};
use quell::model::Fault;

const Y: u128 = 5;

/// X was emitted at 0 and suppressed so many times. The first count is in the table, others
/// are near.
fn world(fault: Option<Fault>, suppressed: usize) -> World {
    let mut world = World::new(fault).with_pages(2);
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

/// X's page is marked, or is about to be. Whatever others did, no mark survives the
/// emission that it is of: the next call is the first one suppressed since.
fn renewal(fault: Option<Fault>, suppressed: usize) -> impl Fn() {
    move || {
        let mut world = world(fault, suppressed);
        world.race(vec![call(), renew()]);
        world.alone(|me| me.check(fp(X), 9));
        world.finish();
    }
}

#[test]
fn hit_against_emission() {
    holds("near: hit against emission", Bound::exhaustive().executions(15_000), renewal(None, 2));
    must_fail("near: NoVoid", 1, "order", renewal(Some(Fault::NoVoid), 2));
}

#[test]
fn mark_against_emission() {
    holds(
        "near: mark against emission",
        Bound::preemptions(3).executions(15_000),
        renewal(None, 1),
    );
    must_fail("near: VoidEarly", 3, "order", renewal(Some(Fault::VoidEarly), 1));
    must_fail("near: MarkUnread", 3, "order", renewal(Some(Fault::MarkUnread), 1));
}

/// X goes and comes back.
fn eviction(fault: Option<Fault>, suppressed: usize) -> impl Fn() {
    move || {
        let mut world = world(fault, suppressed).may_forget(&[X, 2, 3, 4]);
        world.alone(|me| OTHERS.iter().for_each(|&key| me.check(fp(key), 5)));
        world.race(vec![
            call(),
            racer(|me| {
                me.check(fp(Q), 10);
                me.check(fp(X), 10);
            }),
        ]);
        world.alone(|me| me.check(fp(X), 9));
        world.finish();
    }
}

#[test]
fn hit_against_eviction() {
    holds(
        "near: hit against eviction and return",
        Bound::preemptions(4).executions(15_000),
        eviction(None, 2),
    );
    must_fail("near: NoVoid, evicted", 2, "order", eviction(Some(Fault::NoVoid), 2));
}

#[test]
fn mark_against_eviction() {
    holds(
        "near: mark against eviction and return",
        Bound::preemptions(4).executions(15_000),
        eviction(None, 1),
    );
    must_fail("near: MarkUnread, evicted", 2, "order", eviction(Some(Fault::MarkUnread), 1));
}

/// X goes, and comes back before who evicted it has voided the mark: then `first` may be
/// missed, but not once all calls are over.
#[test]
fn hit_eviction_and_return() {
    let bound = Bound::preemptions(2).executions(10_000);
    holds("near: hit, eviction and return", bound, || {
        let mut world = world(None, 2).may_forget(&[X, 2, 3, 4]);
        world.alone(|me| OTHERS.iter().for_each(|&key| me.check(fp(key), 5)));
        world.may_miss_first(true);
        world.race(vec![call(), racer(|me| me.check(fp(Q), 10)), renew()]);
        world.may_miss_first(false);
        world.alone(|me| me.check(fp(X), 9));
        world.finish();
    });
}

fn drained(racers: fn() -> Vec<Racer>) -> impl Fn() {
    move || {
        let mut world = world(None, 2);
        world.race(racers());
        world.finish();
    }
}

#[test]
fn counts_against_drains() {
    holds(
        "near: hit against drain",
        Bound::exhaustive().executions(15_000),
        drained(|| vec![call(), drain()]),
    );
    holds(
        "near: drain against drain",
        Bound::exhaustive().executions(15_000),
        drained(|| vec![drain(), drain()]),
    );
    holds(
        "near: drain against emission",
        Bound::exhaustive().executions(15_000),
        drained(|| vec![drain(), renew()]),
    );
    let three = Bound::preemptions(2).executions(15_000);
    holds("near: hit, drain and emission", three, drained(|| vec![call(), drain(), renew()]));
}

/// A page is made while others go through the pages, of which there is one above.
fn new_page(other: fn() -> Racer) -> impl Fn() {
    move || {
        let mut world = World::new(None);
        world.alone_as(1, |me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
        });
        world.race(vec![call(), other()]);
        world.alone(|me| me.check(fp(X), 9));
        world.finish();
    }
}

#[test]
fn a_page_is_made() {
    holds(
        "near: a new page against drain",
        Bound::preemptions(3).executions(15_000),
        new_page(drain),
    );
    holds(
        "near: a new page against emission",
        Bound::preemptions(3).executions(15_000),
        new_page(renew),
    );
}

/// Has Y take the place of X, whose near entry is idle, while the other looks for X's
/// counts.
fn relabelled(fault: Option<Fault>, drained: bool, other: fn() -> Racer) -> impl Fn() {
    move || {
        let mut world = world(fault, 2);
        world.alone(|me| {
            if drained {
                me.drain();
            }
            me.check(fp(Y), 20);
            me.check(fp(Y), 21);
        });
        world.race(vec![racer(|me| me.check(fp(Y), 22)), other()]);
        world.finish();
    }
}

#[test]
fn relabelling() {
    holds(
        "near: relabelling against drain",
        Bound::preemptions(3).executions(15_000),
        relabelled(None, false, drain),
    );
    let emit = || racer(|me| me.check(fp(X), 20));
    holds(
        "near: relabelling against emission",
        Bound::preemptions(3).executions(15_000),
        relabelled(None, false, emit),
    );
    holds(
        "near: relabelling of nothing against drain",
        Bound::exhaustive().executions(15_000),
        relabelled(None, true, drain),
    );
    must_fail("near: TakeUnread", 3, "counts", relabelled(Some(Fault::TakeUnread), true, emit));
}

/// A thread ends, and the next one that gets its number goes on with its page.
fn relay(other: fn() -> Racer) -> impl Fn() {
    move || {
        let mut world = world(None, 1);
        let calls = racer(|me| {
            me.relay(2, vec![racer(|me| me.check(fp(X), 8)), racer(|me| me.check(fp(X), 9))])
        });
        world.race(vec![calls, other()]);
        world.alone_as(2, |me| me.check(fp(X), 9));
        world.finish();
    }
}

#[test]
fn a_number_changes_hands() {
    holds(
        "near: a number changes hands, drain",
        Bound::preemptions(2).executions(15_000),
        relay(drain),
    );
    holds(
        "near: a number changes hands, emission",
        Bound::preemptions(2).executions(15_000),
        relay(renew),
    );
}
