//! Rules: against a sequential specification of their own, and in races.

mod common;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use quell::{Cache, ConfigError, Decision, Exemplar, Fingerprint, Manual, Monotonic, Namespace, Reclaim, Rule, Tick};
use std::collections::{BTreeMap, HashSet};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

on_each_backend! {
    a_cache_with_room_decides_by_the_rules,
    a_tiny_cache_decides_by_the_rules_or_forgets,
    races_emit_as_many_as_the_rule_says,
    a_hundred_of_five_hundred,
    windows_grow_and_start_over,
    rules_change_in_the_middle_of_a_window,
    windows_of_their_own,
    first_is_said_once_a_window,
    an_exemplar_is_asked_for_on_emission,
    the_end_of_time_is_not_tracked,
    rule_words_are_in_the_bound,
    a_rule_outlives_rotations,
    top_finds_the_most_and_takes_nothing,
}

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn fp(n: u64) -> Fingerprint {
    let bits = (u128::from(n) + 1).wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9_7f4a_7c15);
    Fingerprint::from_u128(bits).with_namespace(Namespace((n % 3) as u16))
}

/// A rule as the specification knows it.
#[derive(Clone, Copy, Debug)]
struct Law {
    policy: Policy,
    window: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Policy {
    /// Without a rule.
    Plain,
    Once,
    First(u32),
    Every(u32, u32),
    BackOff(u64),
}

const fn law(policy: Policy, window: Option<u64>) -> Law {
    Law { policy, window }
}

const LAWS: [Law; 10] = [
    law(Policy::Plain, None),
    law(Policy::Once, None),
    law(Policy::Once, Some(5)),
    law(Policy::First(2), None),
    law(Policy::First(3), Some(17)),
    law(Policy::Every(2, 3), None),
    law(Policy::Every(1, 2), Some(30)),
    law(Policy::Every(3, 1), None),
    law(Policy::BackOff(70), None),
    law(Policy::BackOff(1000), Some(4)),
];

impl Law {
    fn rule(self) -> Rule {
        let rule = match self.policy {
            Policy::Plain | Policy::Once => Rule::once(),
            Policy::First(n) => Rule::first(n).unwrap(),
            Policy::Every(n, every) => Rule::first_then_every(n, every).unwrap(),
            Policy::BackOff(ceiling) => Rule::back_off(millis(ceiling)).unwrap(),
        };
        match self.window {
            Some(window) => rule.window(millis(window)).unwrap(),
            None => rule,
        }
    }

    fn ask<R: Reclaim>(self, cache: &Cache<Monotonic, R>, fp: Fingerprint, now: u64) -> Decision {
        match self.policy {
            Policy::Plain => cache.check_at(fp, at(now)),
            _ => cache.check_rule(fp, at(now), &self.rule()),
        }
    }
}

/// An entry by the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    since: u64,
    noticed: bool,
    /// Calls after the first of the window, as far as a rule counted them.
    more: u32,
    doubled: u32,
}

impl Entry {
    fn new(now: u64) -> Self {
        Entry { since: now, noticed: false, more: 0, doubled: 0 }
    }

    /// What comes of a call: `None` to emit, otherwise whether it is the first suppressed.
    fn decide(&mut self, law: Law, now: u64, window: u64) -> Option<bool> {
        let window = law.window.unwrap_or(window);
        let elapsed = now.saturating_sub(self.since);
        let length = match law.policy {
            Policy::BackOff(ceiling) => (window << self.doubled).min(ceiling).max(window),
            _ => window,
        };
        if elapsed >= length {
            let before = std::mem::replace(self, Entry::new(now));
            if let Policy::BackOff(ceiling) = law.policy {
                if before.noticed && elapsed < 2 * length {
                    // A level of zero says nothing, nor does one that a count replaced.
                    let at_most = length >= ceiling;
                    self.doubled = before.doubled + u32::from(!at_most);
                    self.more = if at_most { before.more } else { 0 };
                }
            }
            return None;
        }
        let emit = match law.policy {
            Policy::First(n) if self.more + 1 < n => {
                (self.more, self.doubled) = (self.more + 1, 0);
                true
            }
            Policy::Every(n, every) => {
                let beyond = (self.more + 2).saturating_sub(n);
                if beyond == 0 {
                    self.more += 1;
                } else {
                    self.more = n - 1 + (beyond - 1) % every + 1;
                }
                self.doubled = 0;
                let emit = beyond == 0 || self.more == n - 1 + every;
                if beyond != 0 && emit {
                    self.more = n - 1;
                }
                emit
            }
            _ => false,
        };
        if emit { None } else { Some(!std::mem::replace(&mut self.noticed, true)) }
    }
}

fn decision_of(first: Option<bool>, pending: &mut u64) -> Decision {
    match first {
        None => Decision::Emit { suppressed: std::mem::take(pending) },
        Some(first) => {
            *pending += 1;
            Decision::Suppress { first }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Check {
        message: u64,
        step: i64,
        law: usize,
    },
    SetWindow(u64),
    Drain,
    /// Messages never seen before.
    Flood(u8),
}

fn operations(messages: u64) -> impl Strategy<Value = Vec<Op>> {
    let step = prop_oneof![6 => Just(0), 4 => 1..4i64, 2 => 4..40i64, 1 => 40..400i64, 1 => -20..0i64];
    let check = (0..messages, step, 0..LAWS.len()).prop_map(|(message, step, law)| Op::Check { message, step, law });
    // Mostly each message has a rule of its own.
    let own = check.prop_map(move |op| match op {
        Op::Check { message, step, law } if law > 1 => {
            Op::Check { message, step, law: (message as usize * 3 + law % 2) % LAWS.len() }
        }
        op => op,
    });
    vec(
        prop_oneof![40 => own, 1 => (1..40u64).prop_map(Op::SetWindow), 1 => Just(Op::Drain), 2 => (1..5u8).prop_map(Op::Flood)],
        1..300,
    )
}

fn run(cases: u32, messages: u64, test: impl Fn(Vec<Op>) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&operations(messages), test).unwrap_or_else(|e| panic!("{e}"));
}

fn a_cache_with_room_decides_by_the_rules<R: Reclaim>() {
    run(300, 5, |ops| {
        let cache = Cache::builder().window(millis(10)).reclaim::<R>().build().unwrap();
        let (mut window, mut now, mut unique) = (10, 1000u64, 1000);
        let mut entries = BTreeMap::new();
        let (mut emitted, mut suppressed) = (0, 0);
        for op in ops {
            match op {
                Op::Check { message, step, law } => {
                    now = now.saturating_add_signed(step);
                    let law = LAWS[law];
                    let first = match entries.get_mut(&message) {
                        Some((entry, _)) => Entry::decide(entry, law, now, window),
                        None => {
                            entries.insert(message, (Entry::new(now), 0));
                            None
                        }
                    };
                    let (_, pending) = entries.get_mut(&message).unwrap();
                    let expected = decision_of(first, pending);
                    prop_assert_eq!(law.ask(&cache, fp(message), now), expected, "{:?} at {}", law, now);
                    *if expected.is_emit() { &mut emitted } else { &mut suppressed } += 1;
                }
                Op::SetWindow(set) => {
                    window = set;
                    cache.set_window(millis(set)).unwrap();
                }
                Op::Drain => {
                    let mut all = Vec::new();
                    cache.drain(|s| all.push((s.fingerprint.unwrap(), s.suppressed, s.since.as_millis())));
                    all.sort();
                    let pending = entries.iter_mut().filter(|(_, (_, pending))| *pending != 0);
                    let mut expected: Vec<_> = pending
                        .map(|(message, (entry, pending))| (fp(*message), std::mem::take(pending), entry.since))
                        .collect();
                    expected.sort();
                    prop_assert_eq!(all, expected);
                }
                Op::Flood(n) => {
                    for _ in 0..n {
                        unique += 1;
                        emitted += 1;
                        prop_assert!(LAWS[unique % LAWS.len()].ask(&cache, fp(unique as u64), now).is_emit());
                    }
                }
            }
        }
        let stats = cache.stats();
        prop_assert_eq!((stats.emitted, stats.suppressed, stats.failed_open), (emitted, suppressed, 0));
        Ok(())
    });
}

/// What may be known of a message on tiny tables. `None` is forgotten.
struct Sight {
    may_be: HashSet<Option<Entry>>,
    rotations: u64,
}

fn a_tiny_cache_decides_by_the_rules_or_forgets<R: Reclaim>() {
    let (carried, forgotten) = (AtomicU64::new(0), AtomicU64::new(0));
    for (groups, claims, hand_over) in [(1, 2, 1), (2, 4, 0), (4, 10, 3)] {
        run(150, 4, |ops| {
            let builder = Cache::builder().window(millis(10)).tiny(groups, claims, hand_over);
            let cache = builder.reclaim::<R>().build().unwrap();
            let (mut window, mut now, mut unique) = (10, 1000u64, 1000);
            let mut sights: BTreeMap<u64, Sight> = BTreeMap::new();
            let (mut offered, mut suppressed, mut reported) = (0, 0, 0);
            for op in ops {
                match op {
                    Op::Check { message, step, law } => {
                        now = now.saturating_add_signed(step);
                        let law = LAWS[law];
                        let before = cache.stats();
                        let decision = law.ask(&cache, fp(message), now);
                        let after = cache.stats();
                        offered += 1;
                        let sight = sights
                            .entry(message)
                            .or_insert_with(|| Sight { may_be: HashSet::from([None]), rotations: before.rotations });
                        if after.rotations > sight.rotations {
                            // One will do where there was no room to take it over.
                            sight.may_be.insert(None);
                        }
                        let failed_open = after.failed_open != before.failed_open;
                        let mut may_be = HashSet::new();
                        for entry in &sight.may_be {
                            let (first, next) = match *entry {
                                None => (None, Entry::new(now)),
                                Some(mut next) => (next.decide(law, now, window), next),
                            };
                            match (decision, first) {
                                (Decision::Emit { .. }, None) => {
                                    may_be.insert(if failed_open { *entry } else { Some(next) });
                                }
                                (Decision::Suppress { first }, Some(expected)) if first == expected => {
                                    may_be.insert(Some(next));
                                }
                                // Another call has it in the newer table, which is full.
                                _ => {}
                            }
                        }
                        prop_assert!(!may_be.is_empty(), "{law:?} at {now}: {decision:?} of {:?}", sight.may_be);
                        let known = sight.may_be.iter().any(|entry| entry.is_some());
                        if after.rotations > sight.rotations && known {
                            let kept = !may_be.contains(&Some(Entry::new(now)));
                            if kept { &carried } else { &forgotten }.fetch_add(1, Ordering::Relaxed);
                        }
                        sight.may_be = may_be;
                        sight.rotations = after.rotations;
                        match decision {
                            Decision::Emit { suppressed } => reported += suppressed,
                            Decision::Suppress { .. } => suppressed += 1,
                        }
                    }
                    Op::SetWindow(set) => {
                        window = set;
                        cache.set_window(millis(set)).unwrap();
                    }
                    Op::Drain => cache.drain(|summary| reported += summary.suppressed),
                    Op::Flood(n) => {
                        for _ in 0..n {
                            unique += 1;
                            offered += 1;
                            prop_assert!(LAWS[unique % LAWS.len()].ask(&cache, fp(unique as u64), now).is_emit());
                        }
                    }
                }
                let stats = cache.stats();
                prop_assert_eq!((stats.emitted + stats.suppressed, stats.suppressed), (offered, suppressed));
            }
            cache.drain(|summary| reported += summary.suppressed);
            prop_assert_eq!(reported, suppressed);
            Ok(())
        });
    }
    let (carried, forgotten) = (carried.into_inner(), forgotten.into_inner());
    println!("{carried} taken over, {forgotten} forgotten");
    assert!(carried > 100 && forgotten > 100, "{carried} taken over, {forgotten} forgotten");
}

/// Keys of a race that follow one law. The tables are so large that most rounds see one
/// rotation or none.
struct Lane {
    law: Law,
    keys: usize,
    /// For each thread and round.
    unique: u64,
    hand_over: usize,
}

const WINDOW: u64 = 10;
const PASSES: u64 = 3;

/// All threads check the same keys at the same tick, round by round, while tables rotate.
fn races_emit_as_many_as_the_rule_says<R: Reclaim>() {
    let lanes = [
        Lane { law: law(Policy::First(3), None), keys: 1, unique: 1, hand_over: 0 },
        Lane { law: law(Policy::First(5), Some(4)), keys: 3, unique: 2, hand_over: 4 },
        Lane { law: law(Policy::Every(2, 3), None), keys: 2, unique: 1, hand_over: 1 },
        Lane { law: law(Policy::BackOff(80), None), keys: 2, unique: 1, hand_over: 0 },
    ];
    let rounds = if cfg!(debug_assertions) { 300 } else { 5000 };
    for threads in [2, 4, 8] {
        let mut all = Race::default();
        for lane in &lanes {
            let race = race::<R>(lane, threads, rounds);
            println!("{:?}, {threads} threads: {race:?}", lane.law);
            assert_eq!(race.violations, [""; 0]);
            all.strict += race.strict;
            all.rotated += race.rotated;
        }
        // Not idle: rotations fall into rounds that are held to the rule.
        assert!(all.strict * 2 > lanes.len() as u64 * rounds && all.rotated * 10 > all.strict, "{all:?}");
    }
}

#[derive(Debug, Default)]
struct Race {
    /// Rounds that were held to the rule, and those among them with a rotation.
    strict: u64,
    rotated: u64,
    violations: Vec<String>,
}

/// What is asserted of a round rests on numbers read between the rounds: with at most one
/// rotation since the one before began, and no call that failed open, nothing is forgotten.
fn race<R: Reclaim>(lane: &Lane, threads: u64, rounds: u64) -> Race {
    let &Lane { law, keys, unique, hand_over } = lane;
    let claims = keys + (3 * threads * unique) as usize;
    let builder = Cache::builder().window(millis(WINDOW)).tiny(claims.div_ceil(2), claims, hand_over);
    let cache = builder.reclaim::<R>().build().unwrap();
    let barrier = Barrier::new(threads as usize + 1);
    let emissions: [AtomicU64; 3] = Default::default();
    let firsts: [AtomicU64; 3] = Default::default();
    let (reported, now) = (AtomicU64::new(0), AtomicU64::new(WINDOW));
    let report = |n| _ = reported.fetch_add(n, Ordering::Relaxed);
    let mut race = Race::default();
    thread::scope(|scope| {
        for thread in 0..threads {
            let (cache, barrier, emissions, firsts, now, report) =
                (&cache, &barrier, &emissions, &firsts, &now, &report);
            scope.spawn(move || {
                for round in 0..rounds {
                    barrier.wait();
                    let moment = now.load(Ordering::Relaxed);
                    for pass in 0..PASSES {
                        for key in 0..keys {
                            match law.ask(cache, fp(key as u64), moment) {
                                Decision::Emit { suppressed } => {
                                    report(suppressed);
                                    emissions[key].fetch_add(1, Ordering::Relaxed);
                                }
                                Decision::Suppress { first } => {
                                    firsts[key].fetch_add(first.into(), Ordering::Relaxed);
                                }
                            }
                        }
                        for n in 0..if pass == round % PASSES { unique } else { 0 } {
                            let new = 1000 + (round * threads + thread) * unique + n;
                            let _ = LAWS[new as usize % LAWS.len()].ask(cache, fp(new), moment);
                        }
                    }
                    barrier.wait();
                }
            });
        }
        let mut model = [None::<Entry>; 3];
        let (mut before, mut lately) = (cache.stats(), 0);
        for round in 0..rounds {
            let moment = now.load(Ordering::Relaxed);
            barrier.wait();
            barrier.wait();
            let after = cache.stats();
            let rotations = after.rotations - before.rotations;
            let strict = rotations + lately <= 1 && after.failed_open == before.failed_open;
            for key in 0..keys {
                let mut expected = (0, 0);
                for _ in 0..threads * PASSES {
                    let first = match &mut model[key] {
                        Some(entry) => entry.decide(law, moment, WINDOW),
                        new => {
                            *new = Some(Entry::new(moment));
                            None
                        }
                    };
                    expected.0 += u64::from(first.is_none());
                    expected.1 += u64::from(first == Some(true));
                }
                let found = (emissions[key].swap(0, Ordering::Relaxed), firsts[key].swap(0, Ordering::Relaxed));
                if strict && found != expected {
                    race.violations.push(format!("round {round}: {found:?} and not {expected:?}"));
                }
                if found.0 < expected.0 {
                    race.violations.push(format!("round {round}: too few, {found:?} for {expected:?}"));
                }
            }
            race.strict += u64::from(strict);
            race.rotated += u64::from(strict && rotations != 0);
            // What happened in a round that forgot is not known: on to a new beginning.
            now.store(moment + if strict { WINDOW } else { 1000 }, Ordering::Relaxed);
            if !strict {
                model = [None; 3];
            }
            if round % 5 == 0 {
                cache.drain(|summary| report(summary.suppressed));
            }
            (before, lately) = (after, rotations);
        }
    });
    cache.drain(|summary| report(summary.suppressed));
    let stats = cache.stats();
    let calls = rounds * threads * (PASSES * keys as u64 + unique);
    if stats.emitted + stats.suppressed != calls || reported.into_inner() != stats.suppressed {
        race.violations.push(format!("{calls} calls, but {stats:?}"));
    }
    race
}

fn a_hundred_of_five_hundred<R: Reclaim>() {
    let cache = Cache::builder().reclaim::<R>().build().unwrap();
    let rule = Rule::first(100).unwrap();
    let barrier = Barrier::new(10);
    let emitted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    (0..50).filter(|_| cache.check_rule(fp(1), at(5), &rule).is_emit()).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let stats = cache.stats();
    assert_eq!(emitted as u64, 100 + stats.failed_open);
    assert_eq!(stats.failed_open, 0, "the first to come allocates in time");
    assert_eq!(stats.suppressed, 400);
}

fn windows_grow_and_start_over<R: Reclaim>() {
    let clock = Manual::new(at(0));
    let cache = Cache::builder().window(millis(10)).clock(clock).reclaim::<R>().build().unwrap();
    let rule = Rule::back_off(millis(80)).unwrap();
    let emitted = |from: u64, to: u64| -> Vec<u64> {
        (from..to).filter(|&now| cache.check_rule(fp(1), at(now), &rule).is_emit()).collect()
    };
    assert_eq!(emitted(0, 400), [0, 10, 30, 70, 150, 230, 310, 390]);
    // 20 of silence after a window of 80 are not enough, 80 are.
    assert_eq!(emitted(490, 500), [490]);
    assert_eq!(emitted(650, 700), [650, 660, 680]);
}

fn rules_change_in_the_middle_of_a_window<R: Reclaim>() {
    let cache = Cache::builder().window(millis(100)).reclaim::<R>().build().unwrap();
    let ask = |now, rule: &Rule| cache.check_rule(fp(1), at(now), rule);
    let (two, four) = (Rule::first(2).unwrap(), Rule::first(4).unwrap());
    let (once, slow) = (Rule::once(), Rule::back_off(millis(1000)).unwrap());
    assert!(cache.check_at(fp(1), at(0)).is_emit());
    assert_eq!(ask(1, &two), Decision::Emit { suppressed: 0 }, "the second, after a plain call");
    assert_eq!(ask(2, &two), Decision::Suppress { first: true });
    assert_eq!(cache.check_at(fp(1), at(3)), Decision::Suppress { first: false });
    assert_eq!(ask(4, &four), Decision::Emit { suppressed: 2 }, "the third");
    assert_eq!(ask(5, &once), Decision::Suppress { first: false });
    assert_eq!(ask(6, &slow), Decision::Suppress { first: false });
    assert_eq!(ask(7, &four), Decision::Emit { suppressed: 2 });
    assert_eq!(ask(8, &four), Decision::Suppress { first: false });
    // A count is no level: the window is one window long.
    assert_eq!(ask(99, &slow), Decision::Suppress { first: false });
    assert_eq!(ask(100, &slow), Decision::Emit { suppressed: 2 });
    assert_eq!(cache.check_at(fp(1), at(150)), Decision::Suppress { first: true }, "knows of the rule's emission");
    assert_eq!(ask(299, &slow), Decision::Suppress { first: false });
    assert_eq!(ask(300, &two), Decision::Emit { suppressed: 2 });
    assert_eq!(ask(301, &once.window(millis(1)).unwrap()), Decision::Emit { suppressed: 0 });
    assert_eq!(ask(302, &two), Decision::Emit { suppressed: 0 }, "a plain emission begins a window for all");
    assert_eq!(ask(303, &two), Decision::Suppress { first: true });
}

fn windows_of_their_own<R: Reclaim>() {
    let cache = Cache::builder().window(millis(100)).reclaim::<R>().build().unwrap();
    let short = Rule::once().window(millis(7)).unwrap();
    assert!(cache.check_rule(fp(1), at(0), &short).is_emit());
    assert_eq!(cache.check_rule(fp(1), at(6), &short), Decision::Suppress { first: true });
    assert_eq!(cache.check_rule(fp(1), at(7), &short), Decision::Emit { suppressed: 1 });
    cache.set_window(millis(1)).unwrap();
    assert_eq!(cache.check_rule(fp(1), at(13), &short), Decision::Suppress { first: true });
    let before = cache.memory_bound();
    let twice = Rule::first(2).unwrap().window(millis(7)).unwrap();
    assert_eq!(cache.check_rule(fp(1), at(13), &twice), Decision::Emit { suppressed: 1 });
    assert!(cache.memory_bound() > before, "once needs no word, whatever its window");
    assert_eq!(cache.check_rule(fp(1), at(13), &twice), Decision::Suppress { first: false });
    assert_eq!(cache.check_rule(fp(1), at(14), &twice), Decision::Emit { suppressed: 1 });
    assert_eq!(Rule::first(0), Err(ConfigError::RuleOutOfRange { asked: 0 }));
    assert!(ConfigError::RuleOutOfRange { asked: 0 }.to_string().contains("500000"));
}

fn first_is_said_once_a_window<R: Reclaim>() {
    let cache = Cache::builder().window(millis(100)).reclaim::<R>().build().unwrap();
    let rule = Rule::first_then_every(2, 3).unwrap();
    for window in 0..3 {
        let decisions: Vec<_> = (0..9).map(|i| cache.check_rule(fp(1), at(window * 100 + i), &rule)).collect();
        let last = if window == 0 { 0 } else { 1 };
        let emit = |suppressed| Decision::Emit { suppressed };
        let [first, other] = [true, false].map(|first| Decision::Suppress { first });
        assert_eq!(decisions, [emit(last), emit(0), first, other, emit(2), other, other, emit(2), other]);
    }
}

fn an_exemplar_is_asked_for_on_emission<R: Reclaim>() {
    let cache = Cache::builder().window(millis(100)).reclaim::<R>().build().unwrap();
    let rule = Rule::first(2).unwrap();
    assert!(cache.check_rule(fp(1), at(0), &rule).is_emit());
    assert!(cache.check_rule_with(fp(1), at(0), &rule, || Exemplar::new("second")).is_emit());
    assert!(!cache.check_rule_with(fp(1), at(0), &rule, || unreachable!()).is_emit());
    let mut texts = Vec::new();
    cache.drain(|summary| texts.push(summary.exemplar.unwrap().text.to_string()));
    assert_eq!(texts, ["second"]);
}

fn the_end_of_time_is_not_tracked<R: Reclaim>() {
    let cache = Cache::builder().window(millis(100)).reclaim::<R>().build().unwrap();
    let rule = Rule::first(2).unwrap();
    for _ in 0..3 {
        assert!(cache.check_rule(fp(1), Tick::MAX, &rule).is_emit());
    }
    for _ in 0..3 {
        let _ = cache.check_rule(fp(2), at(0), &rule);
    }
    assert_eq!(cache.check_rule(fp(2), Tick::MAX, &rule), Decision::Emit { suppressed: 1 });
    assert_eq!(cache.check_rule(fp(2), at(1), &rule), Decision::Suppress { first: false });
    assert_eq!(cache.stats().failed_open, 4);
}

fn rule_words_are_in_the_bound<R: Reclaim>() {
    for max_entries in [1024, 100_000] {
        let cache = Cache::builder().max_entries(max_entries).reclaim::<R>().build().unwrap();
        let before = cache.memory_bound();
        assert!(cache.check_rule(fp(1), at(0), &Rule::first(2).unwrap()).is_emit());
        let words = cache.memory_bound() - before;
        let slots = cache.stats().capacity / 2 * 4;
        assert!((slots * 8..slots * 8 + 256).contains(&words), "{words} bytes for {slots} slots");
    }
}

/// What a rule knows goes from table to table, in its window and after.
fn a_rule_outlives_rotations<R: Reclaim>() {
    let cache = Cache::builder().window(millis(10)).tiny(4, 8, 2).reclaim::<R>().build().unwrap();
    let mut unique = 100;
    let mut rotate = || {
        let before = cache.stats().rotations;
        while cache.stats().rotations == before {
            unique += 1;
            let _ = cache.check_at(fp(unique), at(0));
        }
    };
    let first = Rule::first(5).unwrap();
    for i in 0..8 {
        rotate();
        let decision = cache.check_rule(fp(1), at(1), &first);
        match i {
            0..5 => assert_eq!(decision, Decision::Emit { suppressed: 0 }, "{i}"),
            _ => assert_eq!(decision, Decision::Suppress { first: i == 5 }, "{i}"),
        }
    }
    let slow = Rule::back_off(millis(80)).unwrap();
    let mut emitted = Vec::new();
    for now in 0..200 {
        if now % 3 == 0 {
            rotate();
        }
        if cache.check_rule(fp(2), at(now), &slow).is_emit() {
            emitted.push(now);
        }
    }
    assert_eq!(emitted, [0, 10, 30, 70, 150]);
    assert_eq!(cache.stats().failed_open, 0);
}

/// Also what was forgotten and came again, and what is only among the forgotten.
fn top_finds_the_most_and_takes_nothing<R: Reclaim>() {
    let cache = Cache::builder().window(millis(10)).tiny(8, 16, 4).reclaim::<R>().build().unwrap();
    let suppress = |n: u64, times: u64, now: u64| {
        for _ in 0..times {
            let decision = cache.check_with_at(fp(n), at(now), || Exemplar::new(&format!("text {n}")));
            assert!(!decision.is_emit(), "{n}");
        }
    };
    let emit = |n: u64, now: u64| {
        let text = || Exemplar::new(&format!("text {n}"));
        assert!(cache.check_rule_with(fp(n), at(now), &Rule::once(), text).is_emit(), "{n}");
    };
    for n in 1..=3 {
        emit(n, 0);
        suppress(n, n, 0);
    }
    // Forgets them: two generations, and four in all are cleared.
    let mut unique = 100;
    while cache.stats().rotations < 6 {
        unique += 1;
        let _ = cache.check_at(fp(unique), at(100));
    }
    emit(1, 100);
    suppress(1, 4, 100);
    emit(4, 100);
    suppress(4, 2, 100);
    let top = |k| -> Vec<_> {
        let text = |summary: &quell::Summary| summary.exemplar.as_ref().map(|exemplar| exemplar.text.to_string());
        cache.top(k).iter().map(|s| (s.fingerprint.unwrap(), s.suppressed, s.since.as_millis(), text(s))).collect()
    };
    let expected = |n: u64, count: u64, since: u64| (fp(n), count, since, Some(format!("text {n}")));
    assert_eq!(top(2), [expected(1, 5, 100), expected(3, 3, 0)]);
    assert_eq!(top(0), []);
    let all = top(usize::MAX);
    assert_eq!(all.len(), 4);
    assert_eq!(all, top(4));
    let mut pending = 0;
    cache.drain(|summary| pending += summary.suppressed);
    assert_eq!(pending, all.iter().map(|of| of.1).sum::<u64>());
    assert_eq!(top(4), []);
}
