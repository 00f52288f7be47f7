//! Later emissions, the first suppressed call, and both against eviction.

use crate::{Q, X, fill};
use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::Fault;

/// X is emitted and, if `suppressed`, suppressed once; then two calls race.
fn pair(fault: Option<Fault>, suppressed: bool, a: u64, b: u64) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2);
        world.alone(|me| {
            me.check(fp(X), 0);
            if suppressed {
                me.check(fp(X), 1);
            }
        });
        world.race(vec![racer(move |me| me.check(fp(X), a)), racer(move |me| me.check(fp(X), b))]);
        world.alone(|me| me.check(fp(X), a.max(b) + 1));
        world.finish();
    }
}

#[test]
fn one_of_two_emits_at_expiry() {
    holds(
        "expiry: two callers, counts pending",
        Bound::exhaustive().executions(15_000),
        pair(None, true, 100, 100),
    );
}

#[test]
fn renew_blindly() {
    must_fail("expiry: RenewBlindly", 3, "order", pair(Some(Fault::RenewBlindly), true, 100, 100));
}

#[test]
fn one_of_two_suppressed_is_the_first() {
    holds(
        "expiry: two first suppressed calls",
        Bound::exhaustive().executions(15_000),
        pair(None, false, 5, 6),
    );
}

#[test]
fn notice_blindly() {
    must_fail("expiry: NoticeBlindly", 3, "order", pair(Some(Fault::NoticeBlindly), false, 5, 6));
}

#[test]
fn suppression_against_expiry() {
    holds(
        "expiry: first suppressed call against emission",
        Bound::exhaustive().executions(15_000),
        pair(None, false, 5, 100),
    );
    holds(
        "expiry: later suppressed call against emission",
        Bound::preemptions(4).executions(15_000),
        pair(None, true, 5, 100),
    );
}

#[test]
fn clocks_apart() {
    holds(
        "expiry: two emissions, clocks apart",
        Bound::exhaustive().executions(15_000),
        pair(None, true, 100, 95),
    );
}

/// Two at expiry, and one whose clock is behind.
fn three(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(3);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
        });
        world.race(vec![
            racer(|me| me.check(fp(X), 100)),
            racer(|me| me.check(fp(X), 100)),
            racer(|me| me.check(fp(X), 5)),
        ]);
        world.finish();
    }
}

#[test]
fn three_callers_at_expiry() {
    holds("expiry: three callers", Bound::preemptions(2).executions(60_000), three(None));
}

#[test]
fn three_callers_renew_blindly() {
    must_fail("expiry: three callers, RenewBlindly", 2, "order", three(Some(Fault::RenewBlindly)));
}

/// X's slot goes to a stranger while X is called at `at`. The stranger is not forgotten,
/// unless X came too late, and took a slot again.
fn evicted(fault: Option<Fault>, suppressed: usize, at: u64) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2).may_forget(&[X, 2, 3, 4]);
        fill(&mut world, suppressed);
        world.race(vec![racer(move |me| me.check(fp(X), at)), racer(|me| me.check(fp(Q), 10))]);
        if world.stats().forgotten > 1 {
            world = world.may_forget(&[Q]);
        }
        world.alone(|me| me.check(fp(Q), 11));
        world.finish();
    }
}

#[test]
fn emission_against_eviction() {
    holds(
        "expiry: emission against eviction",
        Bound::preemptions(4).executions(15_000),
        evicted(None, 1, 10),
    );
    must_fail(
        "expiry: RenewBlindly, against eviction",
        3,
        "order",
        evicted(Some(Fault::RenewBlindly), 1, 10),
    );
}

#[test]
fn first_suppressed_against_eviction() {
    holds(
        "expiry: first suppressed call against eviction",
        Bound::preemptions(4).executions(15_000),
        evicted(None, 0, 9),
    );
    must_fail(
        "expiry: NoticeBlindly, against eviction",
        3,
        "order",
        evicted(Some(Fault::NoticeBlindly), 0, 9),
    );
}
