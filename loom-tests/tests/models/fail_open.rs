//! No room: a pinned reader holds rotation back until the table is full.

use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::model::{Fault, Model};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const X: u128 = 1;
const Q: u128 = 21;
/// Four of them fill the third table.
const KEYS: [u128; 4] = [22, 23, 24, 25];
const ONE_MORE: u128 = 30;

/// While a reader stays in the first table, there are three generations and no
/// more. Q is in the second, and fresh; then there is no room for it in the third,
/// nor for one more.
fn full(fault: Option<Fault>, reached: Arc<AtomicU64>) -> impl Fn() {
    move || {
        let mut world = World::<Model>::new(1, fault).may_forget(&[fp(X), fp(Q)]).may_fail_open(3);
        world.alone(|me| {
            me.check(fp(X), 0);
            me.check(fp(X), 1);
        });
        let repeated = Arc::new(AtomicBool::new(false));
        let repeats = Arc::clone(&repeated);
        world.race(vec![
            racer(|me| me.check(fp(X), 2)),
            racer(move |me| {
                me.check(fp(Q), 5);
                for key in KEYS {
                    me.check(fp(key), 5);
                }
                let again = me.decide(fp(Q), 6);
                repeats.store(again && me.cache().stats().rotations == 2, Ordering::Relaxed);
                me.check(fp(ONE_MORE), 6);
            }),
        ]);
        reached.fetch_add(world.stats().failed_open, Ordering::Relaxed);
        assert!(!repeated.load(Ordering::Relaxed), "order: Q is emitted again, and was not forgotten");
        world.finish();
    }
}

#[test]
fn without_room() {
    let reached = Arc::new(AtomicU64::new(0));
    holds("fail open: no room", Bound::preemptions(1), full(None, Arc::clone(&reached)));
    assert_ne!(reached.load(Ordering::Relaxed), 0, "some execution has no room");
}

#[test]
fn fail_open_blindly() {
    must_fail("fail open: FailOpenBlindly", 2, "order", full(Some(Fault::FailOpenBlindly), Arc::default()));
}
