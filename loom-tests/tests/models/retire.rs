//! Clearing and reuse of a table's place, with a reader inside.

use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::{Fault, Model};
use quell::{Epoch, Reclaim};

const X: u128 = 1;
const KEYS: [u128; 4] = [21, 22, 23, 24];

/// A thread goes through as many generations as it may, until it uses the place of
/// the first again if the other one lets it. That one suppresses or emits X there.
fn reader<R: Reclaim>(fault: Option<Fault>, at: u64) -> impl Fn() {
    move || {
        let mut world = World::<R>::shaped(1, 1, 0, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
        });
        world.race(vec![
            racer(move |me| me.check(fp(X), at)),
            racer(move |me| {
                for key in KEYS {
                    me.check(fp(key), at);
                }
            }),
        ]);
        world.may_forget(&[fp(X)]).may_fail_open(2).finish();
    }
}

#[test]
fn suppressing_in_a_retired_table() {
    holds("retire: suppression inside", Bound::preemptions(1), reader::<Model>(None, 5));
    holds("retire: suppression inside, further", Bound::preemptions(2).executions(20_000), reader::<Model>(None, 5));
}

#[test]
fn emitting_in_a_retired_table() {
    holds("retire: emission inside", Bound::preemptions(1), reader::<Model>(None, 100));
}

#[test]
fn lost_orphans() {
    let fault = Some(Fault::LostOrphans);
    must_fail("retire: LostOrphans", 2, "counts", reader::<Model>(fault, 5));
}

#[test]
fn bury_early() {
    let fault = Some(Fault::BuryEarly);
    must_fail("retire: BuryEarly", 2, "counts", reader::<Model>(fault, 5));
}

/// What was closed in the place's last life stays closed: calls go round for ever.
#[test]
fn reuse_dirty() {
    let fault = Some(Fault::ReuseDirty);
    must_fail("retire: ReuseDirty", 2, "maximum number of branches", reader::<Model>(fault, 5));
}

#[test]
fn crossbeam() {
    holds("retire: suppression inside, Epoch", Bound::preemptions(1).executions(8_000), reader::<Epoch>(None, 5));
}

/// Two threads rotate a table of two groups, which takes two steps to seal and to
/// clear, with a reader inside.
fn two_steps(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::<Model>::shaped(2, 1, 0, fault);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
            me.check(fp(KEYS[0]), 100);
        });
        world.race(vec![
            racer(|me| {
                me.check(fp(KEYS[1]), 100);
                me.check(fp(KEYS[2]), 100);
                me.check(fp(X), 100);
            }),
            racer(|me| {
                me.check(fp(KEYS[3]), 100);
            }),
            racer(|me| me.check(fp(X), 100)),
        ]);
        world.may_forget(&[fp(X)]).may_fail_open(3).finish();
    }
}

#[test]
fn sealing_and_clearing_in_steps() {
    holds("retire: two steps, two threads, a reader", Bound::preemptions(1).executions(30_000), two_steps(None));
}
