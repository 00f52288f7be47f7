//! Counts in the table against whoever takes them.

use crate::{Q, X, fill};
use loom_tests::{Bound, Racer, World, fp, holds, must_fail, racer};
use quell::model::Fault;

fn count() -> Racer {
    racer(|me| me.check(fp(X), 9))
}

fn evict() -> Racer {
    racer(|me| me.check(fp(Q), 10))
}

fn renew() -> Racer {
    racer(|me| me.check(fp(X), 10))
}

fn drain() -> Racer {
    racer(|me| {
        me.drain();
    })
}

/// X's count in the table is 1, or, if `drained`, 0: then the next is counted in the table,
/// too.
fn race(fault: Option<Fault>, drained: bool, racers: fn() -> Vec<Racer>) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2).may_forget(&[X]);
        fill(&mut world, 1);
        if drained {
            world.alone(|me| me.drain());
        }
        world.race(racers());
        world.finish();
    }
}

#[test]
fn count_against_eviction() {
    let racers = || vec![count(), evict()];
    holds(
        "counts: count against eviction",
        Bound::exhaustive().executions(15_000),
        race(None, true, racers),
    );
    must_fail("counts: LostCount", 2, "counts", race(Some(Fault::LostCount), false, racers));
    must_fail("counts: CountAnyTurn", 3, "counts", race(Some(Fault::CountAnyTurn), true, racers));
}

#[test]
fn count_against_renewal() {
    holds(
        "counts: count against renewal",
        Bound::exhaustive().executions(15_000),
        race(None, true, || vec![count(), renew()]),
    );
}

#[test]
fn count_against_drain() {
    let racers = || vec![count(), drain()];
    holds(
        "counts: count against drain",
        Bound::exhaustive().executions(15_000),
        race(None, true, racers),
    );
}

#[test]
fn drain_against_takers() {
    let drains = || vec![drain(), drain()];
    holds(
        "counts: drain against drain",
        Bound::exhaustive().executions(15_000),
        race(None, false, drains),
    );
    must_fail(
        "counts: TakeBlindly, drains",
        3,
        "counts",
        race(Some(Fault::TakeBlindly), false, drains),
    );
    let renewal = || vec![drain(), renew()];
    holds(
        "counts: drain against renewal",
        Bound::exhaustive().executions(15_000),
        race(None, false, renewal),
    );
    must_fail(
        "counts: TakeBlindly, renewal",
        3,
        "counts",
        race(Some(Fault::TakeBlindly), false, renewal),
    );
    let eviction = || vec![drain(), evict()];
    holds(
        "counts: drain against eviction",
        Bound::exhaustive().executions(15_000),
        race(None, false, eviction),
    );
}

/// Who drains sees an entry for the first time: its whole fingerprint.
#[test]
fn drain_against_new_entry() {
    holds("counts: drain against a new entry", Bound::preemptions(3).executions(15_000), || {
        let mut world = World::new(None).with_pages(2);
        let calls = racer(|me| {
            me.check(fp(X), 5);
            me.check(fp(X), 6);
        });
        world.race(vec![drain(), calls]);
        world.finish();
    });
}

#[test]
fn count_drain_and_eviction() {
    let racers = || vec![count(), drain(), evict()];
    let bound = Bound::preemptions(2).executions(15_000);
    holds("counts: count, drain and eviction", bound, race(None, true, racers));
}
