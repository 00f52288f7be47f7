//! Later emissions, the first suppressed call, and what both do to the counts.

use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::Fault;

const X: u128 = 1;

/// X is emitted and, if `suppressed`, suppressed once; then two calls race.
fn pair(fault: Option<Fault>, suppressed: bool, a: u64, b: u64) -> impl Fn() {
    move || {
        let mut world = World::new(4, fault);
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
    holds("expiry: two callers, counts pending", Bound::exhaustive(), pair(None, true, 100, 100));
}

#[test]
fn emit_blindly() {
    must_fail("expiry: EmitBlindly", 3, "order", pair(Some(Fault::EmitBlindly), true, 100, 100));
}

#[test]
fn one_of_two_suppressed_is_the_first() {
    holds("expiry: two first suppressed calls", Bound::exhaustive(), pair(None, false, 5, 6));
}

#[test]
fn notice_blindly() {
    must_fail("expiry: NoticeBlindly", 3, "order", pair(Some(Fault::NoticeBlindly), false, 5, 6));
}

#[test]
fn suppression_against_expiry() {
    holds("expiry: first suppressed call against emission", Bound::exhaustive(), pair(None, false, 5, 100));
    holds("expiry: later suppressed call against emission", Bound::exhaustive(), pair(None, true, 5, 100));
}

#[test]
fn clocks_apart() {
    holds("expiry: two emissions, clocks apart", Bound::exhaustive(), pair(None, true, 100, 95));
}

/// Two at expiry, and one whose clock is behind.
fn three(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(4, fault);
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
    holds("expiry: three callers", Bound::preemptions(2), three(None));
}

#[test]
fn three_callers_emit_blindly() {
    must_fail("expiry: three callers, EmitBlindly", 2, "order", three(Some(Fault::EmitBlindly)));
}
