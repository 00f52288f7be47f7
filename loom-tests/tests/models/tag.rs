//! Two fingerprints with the same key word: only the tag tells them apart.

use loom_tests::{Bound, World, fp, holds, must_fail, racer};
use quell::Fingerprint;
use quell::model::{Fault, twin};

const P: u128 = 11;
const O: u128 = 12;
const R: u128 = 13;

fn x() -> Fingerprint {
    fp(1)
}

fn t() -> Fingerprint {
    twin(x())
}

/// Both are new, and checked twice.
fn new_twins(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(4, fault);
        world.race(vec![racer(|me| me.check(x(), 5)), racer(|me| me.check(t(), 5))]);
        world.alone(|me| {
            me.check(x(), 6);
            me.check(t(), 6);
        });
        world.finish();
    }
}

#[test]
fn twins_are_two() {
    holds("tag: new twins", Bound::exhaustive(), new_twins(None));
}

#[test]
fn no_tag() {
    must_fail("tag: new twins, NoTag", 3, "order", new_twins(Some(Fault::NoTag)));
}

/// One twin is known, or both are, and they are checked across a rotation.
fn twins_across_a_rotation(fault: Option<Fault>, both: bool, at: u64) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        world.alone(|me| {
            me.check(x(), 0);
            me.check(x(), 1);
            me.check(if both { t() } else { fp(P) }, 0);
            me.check(fp(O), 0);
        });
        world.race(vec![
            racer(move |me| me.check(x(), at)),
            racer(move |me| {
                me.check(fp(R), at);
                me.check(t(), at);
            }),
        ]);
        world.finish();
    }
}

#[test]
fn twins_rotate() {
    holds("tag: a twin new across a rotation", Bound::preemptions(3), twins_across_a_rotation(None, false, 5));
    holds("tag: expired twins across a rotation", Bound::preemptions(3), twins_across_a_rotation(None, true, 100));
}

#[test]
fn twins_rotate_no_tag() {
    must_fail("tag: across a rotation, NoTag", 2, "order", twins_across_a_rotation(Some(Fault::NoTag), false, 5));
}

/// A late claim of one twin, undecided, and the other twin in the next table.
fn late_twin(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        world.alone(|me| {
            me.check(fp(P), 0);
            me.check(fp(O), 0);
        });
        world.race(vec![
            racer(|me| me.check(x(), 5)),
            racer(|me| {
                me.check(t(), 5);
                me.check(fp(R), 5);
                me.check(x(), 5);
            }),
        ]);
        world.alone(|me| me.check(x(), 6));
        world.finish();
    }
}

#[test]
fn late_twins() {
    holds("tag: a twin claimed late", Bound::preemptions(2), late_twin(None));
}

#[test]
fn late_twins_no_close() {
    must_fail("tag: a twin claimed late, NoClose", 2, "order", late_twin(Some(Fault::NoClose)));
}
