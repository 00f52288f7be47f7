//! Rules: the rule word decides; freeze and carry take it along.
//!
//! What a rule permits is asserted of each race by itself: how many are emitted, how often
//! `first` is said, and what comes after. Counts are conserved in all of them.

use loom_tests::{Bound, fp, holds, must_fail};
use quell::model::{Fault, Model, set_thread_index};
use quell::{Cache, Decision, Monotonic, Rule, Tick};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

const X: u128 = 1;
const P: u128 = 11;
const O: u128 = 12;
const R: u128 = 13;

const STACK_WORDS: usize = 1 << 15;

/// A call: of which message, at what moment, by what rule.
type Ask = (u128, u64, Option<Rule>);

/// One call for each.
type Asks = &'static [(u128, u64, bool)];

/// A cache with a window of 10, and what it was asked.
struct World {
    /// Left undropped when the model fails: its drop uses loom's words.
    cache: ManuallyDrop<Arc<Cache<Monotonic, Model>>>,
    decisions: Vec<Decision>,
}

fn ask(cache: &Cache<Monotonic, Model>, (message, now, rule): Ask) -> Decision {
    let now = Tick::from_millis(now);
    match rule {
        Some(rule) => cache.check_rule(fp(message), now, &rule),
        None => cache.check_at(fp(message), now),
    }
}

impl World {
    fn new(claims: usize, fault: Option<Fault>) -> Self {
        set_thread_index(0);
        let builder = Cache::builder().window(Duration::from_millis(10)).tiny(1, claims, 0);
        let builder = match fault {
            Some(fault) => builder.fault(fault),
            None => builder,
        };
        let cache = builder.reclaim::<Model>().build().expect("valid");
        Self { cache: ManuallyDrop::new(Arc::new(cache)), decisions: Vec::new() }
    }

    fn alone(&mut self, message: u128, now: u64, rule: Option<Rule>) -> Decision {
        let decision = ask(&self.cache, (message, now, rule));
        self.decisions.push(decision);
        decision
    }

    /// Asks at once, a thread for each list. Where one says so, by `rule`.
    fn race(&mut self, rule: Rule, racers: &[Asks]) -> Vec<Vec<Decision>> {
        let run = move |cache: &Cache<Monotonic, Model>, asks: Asks| {
            let by = |ruled: bool| ruled.then_some(rule);
            asks.iter().map(|&(message, now, ruled)| ask(cache, (message, now, by(ruled)))).collect::<Vec<_>>()
        };
        let others: Vec<_> = (1..)
            .zip(&racers[1..])
            .map(|(index, &asks)| {
                let cache = Arc::clone(&self.cache);
                let run = move || {
                    set_thread_index(index);
                    run(&cache, asks)
                };
                loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(run).expect("a thread")
            })
            .collect();
        let mut all = vec![run(&self.cache, racers[0])];
        all.extend(others.into_iter().map(|thread| thread.join().expect("no panic in a racer")));
        self.decisions.extend(all.iter().flatten());
        all
    }

    fn failed_open(&self) -> u64 {
        self.cache.stats().failed_open
    }

    /// Each suppressed call was reported once.
    fn finish(self) {
        let (mut suppressed, mut reported) = (0, 0);
        for decision in &self.decisions {
            match decision {
                Decision::Emit { suppressed } => reported += suppressed,
                Decision::Suppress { .. } => suppressed += 1,
            }
        }
        self.cache.drain(|summary| reported += summary.suppressed);
        assert_eq!(reported, suppressed, "counts: of {:?}", self.decisions);
        let stats = self.cache.stats();
        assert_eq!(stats.suppressed, suppressed, "counts: stats");
        assert_eq!(stats.emitted + stats.suppressed, self.decisions.len() as u64, "counts: stats");
        drop(ManuallyDrop::into_inner(self.cache));
    }
}

const SUPPRESSED: Decision = Decision::Suppress { first: false };

fn emissions<'a>(decisions: impl IntoIterator<Item = &'a Decision>) -> usize {
    decisions.into_iter().filter(|decision| decision.is_emit()).count()
}

fn firsts<'a>(decisions: impl IntoIterator<Item = &'a Decision>) -> usize {
    decisions.into_iter().filter(|&&decision| decision == Decision::Suppress { first: true }).count()
}

/// One of two may still be emitted.
fn last_place() -> impl Fn() {
    || {
        let mut world = World::new(4, None);
        let rule = Rule::first(2).expect("valid");
        assert!(world.alone(X, 0, Some(rule)).is_emit());
        let raced = world.race(rule, &[&[(X, 1, true)], &[(X, 1, true)]]).concat();
        assert_eq!((emissions(&raced), firsts(&raced)), (1, 1), "rule: {raced:?}");
        assert_eq!(world.alone(X, 2, Some(rule)), SUPPRESSED, "rule: after {raced:?}");
        world.finish();
    }
}

#[test]
fn two_at_the_last_place() {
    holds("rules: two callers at the last place", Bound::exhaustive(), last_place());
}

/// X was emitted once in the old table. One thread rotates and takes it over; the other may
/// still decide there.
fn rotated(fault: Option<Fault>, late: u64) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        let rule = Rule::first(2).expect("valid");
        for message in [X, P, O] {
            assert!(world.alone(message, 0, (message == X).then_some(rule)).is_emit());
        }
        let racer: Asks = if late < 10 { &[(X, 1, true)] } else { &[(X, 20, true)] };
        let raced = world.race(rule, &[racer, &[(R, 1, false), (X, 1, true)]]);
        let of_x = [raced[0][0], raced[1][1]];
        if late < 10 {
            assert_eq!((emissions(&of_x), firsts(&of_x)), (1, 1), "rule: {raced:?}");
            assert_eq!(world.alone(X, 2, Some(rule)), SUPPRESSED, "rule: after {raced:?}");
        } else {
            // A new window for the late one; the other is before it, or its second.
            assert_eq!(emissions(&of_x), 2, "rule: {raced:?}");
            let next = world.alone(X, 21, Some(rule));
            let last = world.alone(X, 22, Some(rule));
            assert!(!last.is_emit() && firsts(&[next, last]) == 1, "rule: {raced:?}, {next:?}, {last:?}");
        }
        world.finish();
    }
}

#[test]
fn late_caller_across_a_rotation() {
    holds("rules: late caller across a rotation", Bound::preemptions(2), rotated(None, 1));
}

#[test]
fn late_expiry_across_a_rotation() {
    holds("rules: late expiry across a rotation", Bound::preemptions(2), rotated(None, 20));
}

#[test]
fn no_freeze_rule() {
    must_fail("rules: NoFreezeRule", 2, "rule", rotated(Some(Fault::NoFreezeRule), 1));
}

/// There is no array of rule words yet: one thread makes it, the other freezes X, which it
/// takes over, and may not see the array.
fn first_array(fault: Option<Fault>) -> impl Fn() {
    move || {
        let mut world = World::new(3, fault);
        let rule = Rule::first(2).expect("valid");
        for message in [X, P, O] {
            assert!(world.alone(message, 0, None).is_emit());
        }
        let raced = world.race(rule, &[&[(X, 1, true)], &[(R, 1, false), (X, 1, false)]]);
        assert!(raced[0][0].is_emit() && !raced[1][1].is_emit(), "rule: {raced:?}");
        assert!(!world.alone(X, 2, Some(rule)).is_emit(), "rule: a third after {raced:?}");
        world.finish();
    }
}

#[test]
fn first_array_against_freeze() {
    holds("rules: first array against freeze", Bound::preemptions(2), first_array(None));
}

#[test]
fn freeze_unsaid() {
    must_fail("rules: FreezeUnsaid", 3, "rule", first_array(Some(Fault::FreezeUnsaid)));
}

/// Two need the array at once. Who does not get it in time fails open, and is counted.
fn two_arrays() -> impl Fn() {
    || {
        let mut world = World::new(4, None);
        let rule = Rule::first(2).expect("valid");
        assert!(world.alone(X, 0, None).is_emit());
        let raced = world.race(rule, &[&[(X, 1, true)], &[(X, 1, true)]]).concat();
        assert_eq!(emissions(&raced) as u64, 1 + world.failed_open(), "rule: {raced:?}");
        let after = world.alone(X, 2, Some(rule)).is_emit();
        assert_eq!(u64::from(after), 0, "rule: after {raced:?}");
        world.finish();
    }
}

#[test]
fn two_need_the_array() {
    holds("rules: two need the array", Bound::preemptions(3), two_arrays());
}

/// X's first window has a suppressed call in it, and ends for two callers at once. A third
/// one's clock is behind.
fn backs_off() -> impl Fn() {
    || {
        let mut world = World::new(4, None);
        let rule = Rule::back_off(Duration::from_millis(1000)).expect("valid");
        assert!(world.alone(X, 0, Some(rule)).is_emit());
        assert_eq!(world.alone(X, 1, Some(rule)), Decision::Suppress { first: true });
        let raced = world.race(rule, &[&[(X, 10, true)], &[(X, 10, true)], &[(X, 5, true)]]).concat();
        assert_eq!((emissions(&raced), firsts(&raced)), (1, 1), "rule: {raced:?}");
        assert_eq!(world.alone(X, 29, Some(rule)), SUPPRESSED, "rule: twice the window, after {raced:?}");
        assert!(world.alone(X, 30, Some(rule)).is_emit(), "rule: no more than twice, after {raced:?}");
        world.finish();
    }
}

#[test]
fn two_at_the_end_of_a_window_and_a_suppressor() {
    holds("rules: back-off, two at expiry and a suppressor", Bound::preemptions(2).executions(12_000), backs_off());
}

/// The first suppressed call races with the emission that ends the window: it is in the
/// window that it makes longer, or in the one after.
fn noticed_late() -> impl Fn() {
    || {
        let mut world = World::new(4, None);
        let rule = Rule::back_off(Duration::from_millis(1000)).expect("valid");
        assert!(world.alone(X, 0, Some(rule)).is_emit());
        let raced = world.race(rule, &[&[(X, 10, true)], &[(X, 5, true)]]).concat();
        assert_eq!((emissions(&raced), firsts(&raced)), (1, 1), "rule: {raced:?}");
        let doubled = world.alone(X, 20, Some(rule));
        if doubled.is_emit() {
            assert_eq!(world.alone(X, 39, Some(rule)), Decision::Suppress { first: true }, "rule: after {raced:?}");
        } else {
            assert_eq!(doubled, Decision::Suppress { first: true }, "rule: after {raced:?}");
        }
        world.finish();
    }
}

#[test]
fn suppressor_at_the_end_of_a_window() {
    holds("rules: first suppressed call against expiry", Bound::exhaustive(), noticed_late());
}

/// Late by two rotations: an emission in a sealed table, or none, and all is counted.
fn late() -> impl Fn() {
    || {
        let mut world = World::new(1, None);
        let rule = Rule::first(2).expect("valid");
        assert!(world.alone(X, 0, Some(rule)).is_emit());
        assert!(world.alone(X, 0, Some(rule)).is_emit());
        let raced = world.race(rule, &[&[(X, 1, true)], &[(21, 1, false), (22, 1, false), (X, 1, true)]]);
        // Nothing emits a third time but what X was forgotten for.
        assert!(!raced[0][0].is_emit() || raced[1][2].is_emit(), "rule: {raced:?}");
        world.finish();
    }
}

#[test]
fn late_by_two_rotations() {
    holds("rules: late by two rotations", Bound::preemptions(2).executions(12_000), late());
}
