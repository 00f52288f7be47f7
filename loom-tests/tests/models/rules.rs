//! Rules that count the calls of a window.

use crate::{OTHERS, Q, X};
use loom_tests::{Bound, Law, World, fp, holds, must_fail, racer};
use quell::model::Fault;

const TWO: Law = Law::First(2);

/// One place is left, for two.
fn last_place(law: Law) -> impl Fn() {
    move || {
        let mut world = World::new(None).with_pages(2);
        world.alone(|me| me.check_by(law, fp(X), 0));
        world.race(vec![
            racer(move |me| me.check_by(law, fp(X), 1)),
            racer(move |me| me.check_by(law, fp(X), 2)),
        ]);
        world.alone(|me| {
            me.check_by(law, fp(X), 3);
            me.check_by(law, fp(X), 4);
        });
        world.finish();
    }
}

#[test]
fn the_last_place() {
    holds(
        "rules: the last place of first-2",
        Bound::exhaustive().executions(15_000),
        last_place(TWO),
    );
    holds(
        "rules: first-1-then-every-2",
        Bound::exhaustive().executions(15_000),
        last_place(Law::FirstThenEvery(1, 2)),
    );
}

/// The window ends while a call counts in it.
fn renewal(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2);
        world.alone(|me| me.check_by(TWO, fp(X), 0));
        world.race(vec![
            racer(|me| me.check_by(TWO, fp(X), 9)),
            racer(|me| {
                me.check_by(TWO, fp(X), 10);
                me.check_by(TWO, fp(X), 11);
            }),
        ]);
        world.alone(|me| {
            me.check_by(TWO, fp(X), 12);
            me.check_by(TWO, fp(X), 13);
        });
        world.finish();
    }
}

#[test]
fn a_late_word() {
    holds(
        "rules: emission against a late word",
        Bound::exhaustive().executions(15_000),
        renewal(None),
    );
    must_fail("rules: RuleUnread", 3, "order", renewal(Some(Fault::RuleUnread)));
    must_fail("rules: RuleAnyTick", 3, "order", renewal(Some(Fault::RuleAnyTick)));
}

/// A tick that a rule word cannot tell from 5.
const MUCH_LATER: u64 = 5 + (1 << 30);

/// X's slot goes to a stranger and back to X, with a tick that looks the same, while the
/// first call by a rule that counts makes the words and counts at it. Who evicts may not
/// see that there are words now, so that what the late call writes stands.
fn eviction(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2).may_forget(&[X]);
        world.alone(|me| {
            me.check(fp(X), 5);
            OTHERS.iter().for_each(|&key| me.check(fp(key), 6));
            OTHERS.iter().for_each(|&key| me.check(fp(key), 100));
        });
        world.race(vec![
            racer(|me| me.check_by(TWO, fp(X), 14)),
            racer(|me| {
                me.check(fp(Q), 15);
                me.check(fp(X), MUCH_LATER);
            }),
        ]);
        world.alone(|me| me.check_by(TWO, fp(X), MUCH_LATER + 1));
        world.finish();
    }
}

#[test]
fn eviction_and_return() {
    holds("rules: eviction and return", Bound::preemptions(2).executions(20_000), eviction(None));
    must_fail("rules: RuleAnyTurn", 2, "order", eviction(Some(Fault::RuleAnyTurn)));
}
