//! Exemplars of a slot: kept, shown, evicted, and freed when nobody reads them any more.

use crate::{OTHERS, Q, X};
use loom_tests::{AGAIN, Bound, Racer, World, fp, holds, must_fail, racer};
use quell::Summary;
use quell::model::Fault;

/// X was emitted, with an exemplar if it is `shown`, and suppressed; the table is full. At
/// 20 X is the one that is evicted, emitted at 10 again or not. After the race a summary of
/// the stranger shows no other's exemplar.
fn race(fault: Option<Fault>, shown: bool, racers: fn() -> Vec<Racer>) -> impl Fn() {
    move || {
        let mut world = World::new(fault).with_pages(2).may_forget(&[X]);
        world.alone(|me| {
            if shown {
                me.check_shown(fp(X), 0);
            } else {
                me.check(fp(X), 0);
            }
            me.check(fp(X), 1);
            OTHERS.iter().for_each(|&key| me.check(fp(key), 5));
            OTHERS.iter().for_each(|&key| me.check(fp(key), 15));
        });
        world.race(racers());
        world.alone(|me| me.check(fp(Q), 21));
        world.finish();
    }
}

fn keep() -> Racer {
    racer(|me| me.check_shown(fp(X), 10))
}

fn evict() -> Racer {
    racer(|me| me.check(fp(Q), 20))
}

fn drain() -> Racer {
    racer(|me| {
        me.drain();
    })
}

#[test]
fn keep_against_eviction() {
    let racers = || vec![keep(), evict()];
    holds(
        "exemplars: keep against eviction",
        Bound::preemptions(2).executions(20_000),
        race(None, false, racers),
    );
    must_fail(
        "exemplars: ExemplarUnnamed",
        2,
        "text",
        race(Some(Fault::ExemplarUnnamed), false, racers),
    );
}

#[test]
fn show_against_eviction() {
    let racers = || vec![drain(), evict()];
    holds(
        "exemplars: show against eviction",
        Bound::preemptions(2).executions(20_000),
        race(None, true, racers),
    );
    must_fail(
        "exemplars: FreeEarly",
        2,
        "Causality violation",
        race(Some(Fault::FreeEarly), true, racers),
    );
}

#[test]
fn show_against_keep() {
    let racers = || vec![drain(), keep()];
    holds(
        "exemplars: show against keep",
        Bound::preemptions(2).executions(20_000),
        race(None, false, racers),
    );
}

#[test]
fn keep_against_keep() {
    let racers = || vec![keep(), racer(|me| me.check_shown(fp(X), 20))];
    holds(
        "exemplars: keep against keep",
        Bound::preemptions(2).executions(10_000),
        race(None, false, racers),
    );
}

/// X was emitted at 0, with room for what is suppressed. What is suppressed `then`, after the race,
/// has an example that was suppressed.
fn note(then: u64, racers: fn() -> Vec<Racer>) -> impl Fn() {
    move || {
        let mut world = World::new(None).with_pages(2).may_forget(&[X]);
        world.alone(|me| me.check_noted(fp(X), 0));
        world.race(racers());
        let last = world.alone(|me| {
            me.check_noted(fp(X), then);
            me.drain()
        });
        let is_repeat = |summary: &Summary| {
            summary.exemplar.as_ref().is_some_and(|shown| shown.message.ends_with(AGAIN))
        };
        assert!(last.iter().any(is_repeat), "text: {last:?}");
        world.finish();
    }
}

fn repeat() -> Racer {
    racer(|me| me.check_noted(fp(X), 1))
}

#[test]
fn note_against_drain() {
    let racers = || vec![repeat(), drain()];
    holds(
        "exemplars: note against drain",
        Bound::preemptions(2).executions(20_000),
        note(2, racers),
    );
}

#[test]
fn note_against_note() {
    let racers = || vec![repeat(), repeat()];
    holds(
        "exemplars: note against note",
        Bound::preemptions(2).executions(20_000),
        note(2, racers),
    );
}

#[test]
fn note_against_keep() {
    let racers = || vec![repeat(), racer(|me| me.check_noted(fp(X), 11))];
    // What is suppressed before the emission may be noted after it.
    holds(
        "exemplars: note against keep",
        Bound::preemptions(2).executions(20_000),
        note(12, racers),
    );
}
