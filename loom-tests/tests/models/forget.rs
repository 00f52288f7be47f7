//! An entry that is forgotten on purpose: against claims, counts, emission, eviction and drain.

use crate::{Q, X, fill};
use loom_tests::{Bound, Racer, World, fp, holds, must_fail, racer};
use quell::model::Fault;

fn forget() -> Racer {
    racer(|me| me.forget(fp(X)))
}

fn call() -> Racer {
    racer(|me| me.check(fp(X), 9))
}

fn renew() -> Racer {
    racer(|me| me.check(fp(X), 10))
}

/// X was emitted at 0 and suppressed so many times: the first count is in the table, others are
/// near. Once all is over X is called again.
fn race(fault: Option<Fault>, suppressed: usize, racers: fn() -> Vec<Racer>) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2);
        world.alone(|me| {
            me.check(fp(X), 0);
            (0..suppressed).for_each(|_| me.check(fp(X), 1));
        });
        world.race(racers());
        world.alone(|me| {
            me.check(fp(X), 9);
            me.check(fp(X), 9);
        });
        world.finish();
    }
}

#[test]
fn forget_against_a_call() {
    let racers = || vec![call(), forget()];
    for (name, suppressed) in [
        ("forget: against the first suppressed call", 0),
        ("forget: against a count in the table", 1),
        ("forget: against a count near", 2),
    ] {
        let bound = Bound::preemptions(4).executions(15_000);
        holds(name, bound, race(None, suppressed, racers));
    }
    must_fail("forget: LostCount", 1, "counts", race(Some(Fault::LostCount), 1, racers));
    must_fail("forget: NoVoid", 2, "order", race(Some(Fault::NoVoid), 2, racers));
    must_fail("forget: MarkUnread", 2, "order", race(Some(Fault::MarkUnread), 1, racers));
}

#[test]
fn forget_against_emission() {
    let racers = || vec![forget(), renew()];
    let bound = Bound::preemptions(4).executions(15_000);
    holds("forget: against emission", bound, race(None, 2, racers));
    let fault = Some(Fault::ForgetBlindly);
    must_fail("forget: ForgetBlindly", 3, "order", race(fault, 1, racers));
}

#[test]
fn forget_against_itself() {
    let racers = || vec![forget(), forget()];
    holds(
        "forget: against itself",
        Bound::preemptions(4).executions(15_000),
        race(None, 2, racers),
    );
}

#[test]
fn forget_against_drain() {
    let racers = || {
        vec![
            forget(),
            racer(|me| {
                me.drain();
            }),
        ]
    };
    holds("forget: against drain", Bound::preemptions(4).executions(15_000), race(None, 2, racers));
}

/// X is not there yet: who forgets meets its claims.
#[test]
fn forget_against_claims() {
    let claims = |racers: fn() -> Vec<Racer>| {
        move || {
            let mut world = World::new(None).with_pages(2);
            world.race(racers());
            world.alone(|me| me.check(fp(X), 9));
            world.finish();
        }
    };
    holds(
        "forget: against a claim",
        Bound::preemptions(4).executions(15_000),
        claims(|| vec![forget(), call()]),
    );
    holds(
        "forget: emission and forget against a claim",
        Bound::preemptions(3).executions(15_000),
        claims(|| {
            vec![
                racer(|me| {
                    me.check(fp(X), 9);
                    me.forget(fp(X));
                }),
                call(),
            ]
        }),
    );
    holds(
        "forget: against two claims",
        Bound::preemptions(2).executions(15_000),
        claims(|| vec![forget(), call(), call()]),
    );
}

/// A stranger takes the slot, or one that was just freed.
#[test]
fn forget_against_eviction() {
    holds("forget: against eviction", Bound::preemptions(3).executions(15_000), || {
        let mut world = World::new(None).with_pages(2).may_forget(&[X, 2, 3, 4]);
        fill(&mut world, 1);
        world.race(vec![forget(), racer(|me| me.check(fp(Q), 10))]);
        world.alone(|me| me.check(fp(X), 9));
        world.finish();
    });
}
