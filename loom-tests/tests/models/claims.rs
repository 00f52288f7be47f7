//! The claim of a new entry, which happens once.

use crate::{OTHERS, Q, X, fill};
use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::Fault;

fn two(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(fault);
        world.race(vec![racer(|me| me.check(fp(X), 5)), racer(|me| me.check(fp(X), 5))]);
        world.alone(|me| me.check(fp(X), 6));
        world.finish();
    }
}

#[test]
fn one_of_two_claimers_emits() {
    holds("claims: two claimers of one key", Bound::preemptions(3).executions(15_000), two(None));
}

#[test]
fn no_look() {
    must_fail("claims: NoLook", 2, "order", two(Some(Fault::NoLook)));
}

#[test]
fn look_once() {
    must_fail("claims: LookOnce", 2, "order", two(Some(Fault::LookOnce)));
}

#[test]
fn no_kill() {
    must_fail("claims: NoKill", 2, "order", two(Some(Fault::NoKill)));
}

fn three(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(fault);
        world.race((0..3).map(|_| racer(|me| me.check(fp(X), 5))).collect());
        world.alone(|me| me.check(fp(X), 6));
        world.finish();
    }
}

#[test]
fn one_of_three_claimers_emits() {
    holds("claims: three claimers", Bound::preemptions(2).executions(25_000), three(None));
}

#[test]
fn two_keys_get_two_slots() {
    holds("claims: two keys", Bound::preemptions(3).executions(15_000), || {
        let mut world = World::new(None);
        world.race(vec![racer(|me| me.check(fp(X), 5)), racer(|me| me.check(fp(Q), 5))]);
        world.alone(|me| {
            me.check(fp(X), 6);
            me.check(fp(Q), 6);
        });
        world.finish();
    });
}

/// One goes on while the other stands still, at whatever point, and comes again.
#[test]
fn a_helper_decides() {
    holds("claims: a helper, twice", Bound::preemptions(2).executions(15_000), || {
        let mut world = World::new(None);
        world.race(vec![
            racer(|me| me.check(fp(X), 5)),
            racer(|me| {
                me.check(fp(X), 6);
                me.check(fp(X), 7);
            }),
        ]);
        world.alone(|me| me.check(fp(X), 8));
        world.finish();
    });
}

/// The table is full: whoever comes takes an entry that is fresh, perhaps X's.
#[test]
fn a_stranger_evicts() {
    holds(
        "claims: two claimers and a stranger, in a full table",
        Bound::preemptions(2).executions(25_000),
        || {
            let mut world = World::new(None).may_forget(&[X, 2, 3, 4, Q]);
            world.alone(|me| OTHERS.iter().for_each(|&key| me.check(fp(key), 5)));
            world.race(vec![
                racer(|me| me.check(fp(X), 5)),
                racer(|me| me.check(fp(X), 5)),
                racer(|me| me.check(fp(Q), 5)),
            ]);
            world.alone(|me| me.check(fp(X), 6));
            world.finish();
        },
    );
}

/// A claim is killed, and its slot goes to a stranger.
#[test]
fn a_killed_claim() {
    holds(
        "claims: a killed claim's slot has a next life",
        Bound::preemptions(3).executions(15_000),
        || {
            let mut world = World::new(None).may_forget(&[X, 2, 3, Q]);
            world.alone(|me| OTHERS[..2].iter().for_each(|&key| me.check(fp(key), 5)));
            world.race(vec![
                racer(|me| me.check(fp(X), 5)),
                racer(|me| {
                    me.check(fp(X), 5);
                    me.check(fp(Q), 5);
                }),
            ]);
            world.alone(|me| {
                me.check(fp(X), 6);
                me.check(fp(Q), 6);
            });
            world.finish();
        },
    );
}

/// A reader stands still between two words of a slot; meanwhile that is another's.
fn reader(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2).may_forget(&[X]);
        fill(&mut world, 0);
        let stranger = racer(|me| {
            me.check(fp(Q), 10);
            me.check(fp(Q), 10);
        });
        world.race(vec![racer(|me| me.check(fp(X), 9)), stranger]);
        world.finish();
    }
}

#[test]
fn read_against_eviction() {
    holds(
        "claims: a reader, and a stranger who evicts",
        Bound::preemptions(3).executions(15_000),
        reader(None),
    );
}

#[test]
fn no_turn() {
    must_fail("claims: NoTurn", 3, "order", reader(Some(Fault::NoTurn)));
}
