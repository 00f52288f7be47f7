//! Rules: against a sequential specification of their own, and in races.

mod common;
#[path = "common/laws.rs"]
mod laws;

use common::{AGAIN, Expected, FIRST, emit, turn};
use laws::{Entry, LANES, LAWS, at, fp, millis, race};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use quell::{Cache, ConfigError, Decision, Exemplar, Manual, Rule, Tick};
use std::collections::{BTreeMap, HashSet};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

fn decision_of(first: Option<bool>, pending: &mut u64) -> Expected {
    match first {
        None => emit(std::mem::take(pending)),
        Some(first) => {
            *pending += 1;
            Expected::Suppress { first }
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
    let step =
        prop_oneof![6 => Just(0), 4 => 1..4i64, 2 => 4..40i64, 1 => 40..400i64, 1 => -20..0i64];
    let check = (0..messages, step, 0..LAWS.len()).prop_map(|(message, step, law)| Op::Check {
        message,
        step,
        law,
    });
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

#[test]
fn a_cache_with_room_decides_by_the_rules() {
    let _turn = turn();
    run(300, 5, |ops| {
        let cache = Cache::builder().window(millis(10)).build().unwrap();
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
                    prop_assert_eq!(
                        law.ask(&cache, fp(message), now),
                        expected,
                        "{:?} at {}",
                        law,
                        now
                    );
                    *if first.is_none() { &mut emitted } else { &mut suppressed } += 1;
                }
                Op::SetWindow(set) => {
                    window = set;
                    cache.set_window(millis(set)).unwrap();
                }
                Op::Drain => {
                    let mut all = Vec::new();
                    cache.drain(|s| {
                        all.push((s.fingerprint.unwrap(), s.suppressed, s.since.as_millis()))
                    });
                    all.sort();
                    let pending = entries.iter_mut().filter(|(_, (_, pending))| *pending != 0);
                    let mut expected: Vec<_> = pending
                        .map(|(message, (entry, pending))| {
                            (fp(*message), std::mem::take(pending), entry.since)
                        })
                        .collect();
                    expected.sort();
                    prop_assert_eq!(all, expected);
                }
                Op::Flood(n) => {
                    for _ in 0..n {
                        unique += 1;
                        emitted += 1;
                        prop_assert!(
                            LAWS[unique % LAWS.len()].ask(&cache, fp(unique as u64), now).is_emit()
                        );
                    }
                }
            }
        }
        let stats = cache.stats();
        prop_assert_eq!(
            (stats.emitted, stats.suppressed, stats.failed_open),
            (emitted, suppressed, 0)
        );
        Ok(())
    });
}

/// The possible knowledge of a message on tiny tables. `None` is gone.
struct Sight {
    may_be: HashSet<Option<Entry>>,
    forgotten: u64,
}

#[test]
fn a_tiny_cache_decides_by_the_rules_or_forgets() {
    let _turn = turn();
    let (kept, gone) = (AtomicU64::new(0), AtomicU64::new(0));
    for buckets in [2, 4] {
        run(150, 4, |ops| {
            let builder = Cache::builder().window(millis(10)).tiny(buckets);
            let cache = builder.build().unwrap();
            let (mut window, mut now, mut unique) = (10, 1000u64, 1000);
            let mut sights: BTreeMap<u64, Sight> = BTreeMap::new();
            let (mut offered, mut suppressed, mut reported) = (0, 0, 0);
            // The latest call, and the shortest window of the cache.
            let (mut latest, mut least) = (now, window);
            for op in ops {
                match op {
                    Op::Check { message, step, law } => {
                        now = now.saturating_add_signed(step);
                        latest = latest.max(now);
                        let law = LAWS[law];
                        let before = cache.stats();
                        let decision = law.ask(&cache, fp(message), now);
                        let after = cache.stats();
                        offered += 1;
                        let sight = sights.entry(message).or_insert_with(|| Sight {
                            may_be: HashSet::from([None]),
                            forgotten: before.forgotten,
                        });
                        // The table does not know the windows of rules: an entry that is
                        // out of the cache's goes without being forgotten.
                        let is_out = |entry: &Option<Entry>| {
                            entry.is_some_and(|e| latest - e.since.min(latest) >= least)
                        };
                        if after.forgotten > sight.forgotten || sight.may_be.iter().any(is_out) {
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
                                (Decision::Suppress { first }, Some(expected))
                                    if first == expected =>
                                {
                                    may_be.insert(Some(next));
                                }
                                _ => {}
                            }
                        }
                        prop_assert!(
                            !may_be.is_empty(),
                            "{law:?} at {now}: {decision:?} of {:?}",
                            sight.may_be
                        );
                        let known = sight.may_be.iter().any(|entry| entry.is_some());
                        if after.forgotten > sight.forgotten && known {
                            let is_kept = !may_be.contains(&Some(Entry::new(now)));
                            if is_kept { &kept } else { &gone }.fetch_add(1, Ordering::Relaxed);
                        }
                        sight.may_be = may_be;
                        sight.forgotten = after.forgotten;
                        match decision {
                            Decision::Emit { suppressed, .. } => reported += suppressed,
                            Decision::Suppress { .. } => suppressed += 1,
                        }
                    }
                    Op::SetWindow(set) => {
                        window = set;
                        least = least.min(set);
                        cache.set_window(millis(set)).unwrap();
                    }
                    Op::Drain => cache.drain(|summary| reported += summary.suppressed),
                    Op::Flood(n) => {
                        for _ in 0..n {
                            unique += 1;
                            offered += 1;
                            prop_assert!(
                                LAWS[unique % LAWS.len()]
                                    .ask(&cache, fp(unique as u64), now)
                                    .is_emit()
                            );
                        }
                    }
                }
                let stats = cache.stats();
                prop_assert_eq!(
                    (stats.emitted + stats.suppressed, stats.suppressed),
                    (offered, suppressed)
                );
            }
            cache.drain(|summary| reported += summary.suppressed);
            prop_assert_eq!(reported, suppressed);
            Ok(())
        });
    }
    let (kept, gone) = (kept.into_inner(), gone.into_inner());
    println!("{kept} kept, {gone} gone");
    assert!(kept > 100 && gone > 100, "{kept} kept, {gone} gone");
}

/// All threads check the same keys at the same tick, round by round.
#[test]
fn races_emit_as_many_as_the_rule_says() {
    let _turn = turn();
    let rounds = if cfg!(debug_assertions) { 300 } else { 5000 };
    for threads in [2, 4, 8] {
        let (mut strict, mut forgetful) = (0, 0);
        for lane in &LANES {
            let race = race(lane, threads, rounds, |builder| builder);
            println!("{:?}, {threads} threads: {race:?}", lane.law);
            assert_eq!(race.violations, [""; 0]);
            *if lane.tight { &mut forgetful } else { &mut strict } +=
                if lane.tight { race.forgetful } else { race.strict };
        }
        // Not idle: with room the rounds are held to the rule, elsewhere entries go and
        // come back.
        assert!(strict > 2 * rounds && forgetful > rounds, "{strict} {forgetful}");
    }
}

#[test]
fn a_hundred_of_five_hundred() {
    let _turn = turn();
    let cache = Cache::builder().build().unwrap();
    let rule = Rule::first(100).unwrap();
    let barrier = Barrier::new(10);
    let emitted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    (0..50)
                        .filter(|_| cache.check_with_at(fp(1), at(5), &rule, || None).is_emit())
                        .count()
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

#[test]
fn windows_grow_and_start_over() {
    let _turn = turn();
    let clock = Manual::new(at(0));
    let cache = Cache::builder().window(millis(10)).clock(clock).build().unwrap();
    let rule = Rule::back_off(millis(80)).unwrap();
    let emitted = |from: u64, to: u64| -> Vec<u64> {
        (from..to)
            .filter(|&now| cache.check_with_at(fp(1), at(now), &rule, || None).is_emit())
            .collect()
    };
    assert_eq!(emitted(0, 400), [0, 10, 30, 70, 150, 230, 310, 390]);
    // 20 of silence after a window of 80 are not enough, 80 are.
    assert_eq!(emitted(490, 500), [490]);
    assert_eq!(emitted(650, 700), [650, 660, 680]);
}

#[test]
fn rules_change_in_the_middle_of_a_window() {
    let _turn = turn();
    let cache = Cache::builder().window(millis(100)).build().unwrap();
    let ask = |now, rule: &Rule| cache.check_with_at(fp(1), at(now), rule, || None);
    let (two, four) = (Rule::first(2).unwrap(), Rule::first(4).unwrap());
    let (once, slow) = (Rule::once(), Rule::back_off(millis(1000)).unwrap());
    assert!(cache.check_at(fp(1), at(0)).is_emit());
    assert_eq!(ask(1, &two), emit(0), "the second, after a plain call");
    assert_eq!(ask(2, &two), Decision::Suppress { first: true });
    assert_eq!(cache.check_at(fp(1), at(3)), Decision::Suppress { first: false });
    assert_eq!(ask(4, &four), emit(2), "the third");
    assert_eq!(ask(5, &once), Decision::Suppress { first: false });
    assert_eq!(ask(6, &slow), Decision::Suppress { first: false });
    assert_eq!(ask(7, &four), emit(2));
    assert_eq!(ask(8, &four), Decision::Suppress { first: false });
    // A count is no level: the window is one window long.
    assert_eq!(ask(99, &slow), Decision::Suppress { first: false });
    assert_eq!(ask(100, &slow), emit(2));
    assert_eq!(
        cache.check_at(fp(1), at(150)),
        Decision::Suppress { first: true },
        "knows of the rule's emission"
    );
    assert_eq!(ask(299, &slow), Decision::Suppress { first: false });
    assert_eq!(ask(300, &two), emit(2));
    assert_eq!(ask(301, &once.window(millis(1)).unwrap()), emit(0));
    assert_eq!(ask(302, &two), emit(0), "a plain emission begins a window for all");
    assert_eq!(ask(303, &two), Decision::Suppress { first: true });
}

#[test]
fn windows_of_their_own() {
    let _turn = turn();
    let cache = Cache::builder().window(millis(100)).build().unwrap();
    let short = Rule::once().window(millis(7)).unwrap();
    assert!(cache.check_with_at(fp(1), at(0), &short, || None).is_emit());
    assert_eq!(
        cache.check_with_at(fp(1), at(6), &short, || None),
        Decision::Suppress { first: true }
    );
    assert_eq!(cache.check_with_at(fp(1), at(7), &short, || None), emit(1));
    cache.set_window(millis(1)).unwrap();
    assert_eq!(
        cache.check_with_at(fp(1), at(13), &short, || None),
        Decision::Suppress { first: true }
    );
    let before = cache.memory_bound();
    let twice = Rule::first(2).unwrap().window(millis(7)).unwrap();
    assert_eq!(cache.check_with_at(fp(1), at(13), &twice, || None), emit(1));
    assert!(cache.memory_bound() > before, "once needs no word, whatever its window");
    assert_eq!(
        cache.check_with_at(fp(1), at(13), &twice, || None),
        Decision::Suppress { first: false }
    );
    assert_eq!(cache.check_with_at(fp(1), at(14), &twice, || None), emit(1));
    assert_eq!(Rule::first(0), Err(ConfigError::RuleOutOfRange { asked: 0 }));
    assert!(ConfigError::RuleOutOfRange { asked: 0 }.to_string().contains("500000"));
}

#[test]
fn first_is_said_once_a_window() {
    let _turn = turn();
    let cache = Cache::builder().window(millis(100)).build().unwrap();
    let rule = Rule::first_then_every(2, 3).unwrap();
    for window in 0..3 {
        let decisions: Vec<_> = (0..9)
            .map(|i| cache.check_with_at(fp(1), at(window * 100 + i), &rule, || None))
            .collect();
        let last = if window == 0 { 0 } else { 1 };
        let (first, other) = (FIRST, AGAIN);
        assert_eq!(
            decisions,
            [emit(last), emit(0), first, other, emit(2), other, other, emit(2), other]
        );
    }
}

#[test]
fn an_exemplar_is_asked_for_on_emission() {
    let _turn = turn();
    let cache = Cache::builder().window(millis(100)).build().unwrap();
    let rule = Rule::first(2).unwrap();
    assert!(cache.check_with_at(fp(1), at(0), &rule, || None).is_emit());
    assert!(cache.check_with_at(fp(1), at(0), &rule, || Some(Exemplar::new("second"))).is_emit());
    assert!(!cache.check_with_at(fp(1), at(0), &rule, || unreachable!()).is_emit());
    let mut texts = Vec::new();
    cache.drain(|summary| texts.push(summary.exemplar.unwrap().message.to_string()));
    assert_eq!(texts, ["second"]);
}

#[test]
fn the_end_of_time_is_not_tracked() {
    let _turn = turn();
    let cache = Cache::builder().window(millis(100)).build().unwrap();
    let rule = Rule::first(2).unwrap();
    for _ in 0..3 {
        assert!(cache.check_with_at(fp(1), Tick::MAX, &rule, || None).is_emit());
    }
    for _ in 0..3 {
        let _ = cache.check_with_at(fp(2), at(0), &rule, || None);
    }
    assert_eq!(cache.check_with_at(fp(2), Tick::MAX, &rule, || None), emit(1));
    assert_eq!(
        cache.check_with_at(fp(2), at(1), &rule, || None),
        Decision::Suppress { first: false }
    );
    assert_eq!(cache.stats().failed_open, 4);
}

#[test]
fn rule_words_are_in_the_bound() {
    let _turn = turn();
    for max_entries in [1024, 100_000] {
        let cache = Cache::builder().max_entries(max_entries).build().unwrap();
        let before = cache.memory_bound();
        assert!(cache.check_with_at(fp(1), at(0), &Rule::first(2).unwrap(), || None).is_emit());
        let words = cache.memory_bound() - before;
        let slots = cache.stats().capacity;
        assert!((slots * 8..slots * 8 + 256).contains(&words), "{words} bytes for {slots} slots");
    }
}

/// The state of a rule stays with an entry that is touched, whoever else comes and goes.
#[test]
fn a_rule_outlives_floods() {
    let _turn = turn();
    let cache = Cache::builder().window(millis(10)).tiny(4).build().unwrap();
    let mut unique = 100;
    let mut flood = |now| {
        for _ in 0..4 {
            unique += 1;
            assert!(cache.check_at(fp(unique), at(now)).is_emit());
        }
    };
    let first = Rule::first(5).unwrap();
    for i in 0..8 {
        flood(1);
        let decision = cache.check_with_at(fp(1), at(1), &first, || None);
        match i {
            0..5 => assert_eq!(decision, emit(0), "{i}"),
            _ => assert_eq!(decision, Decision::Suppress { first: i == 5 }, "{i}"),
        }
    }
    let slow = Rule::back_off(millis(80)).unwrap();
    let mut emitted = Vec::new();
    for now in 100..300 {
        if now % 3 == 0 {
            flood(now);
        }
        if cache.check_with_at(fp(2), at(now), &slow, || None).is_emit() {
            emitted.push(now - 100);
        }
    }
    assert_eq!(emitted, [0, 10, 30, 70, 150]);
    let stats = cache.stats();
    assert!(stats.failed_open == 0 && stats.forgotten > 100, "{stats:?}");
}

/// An entry that is gone has taken the state of its rule with it.
#[test]
fn a_rule_starts_over_with_a_new_entry() {
    let _turn = turn();
    let cache = Cache::builder().window(millis(1000)).tiny(2).build().unwrap();
    let first = Rule::first(3).unwrap();
    for life in 0..20 {
        let decisions: Vec<_> =
            (0..5).map(|_| cache.check_with_at(fp(1), at(life), &first, || None)).collect();
        assert_eq!(decisions, [emit(0), emit(0), emit(0), FIRST, AGAIN], "life {life}");
        let (forgotten, new) = (cache.stats().forgotten, 100 + life * 10_000);
        for n in 0..9000 {
            assert!(cache.check_with_at(fp(new + n), at(life), &first, || None).is_emit());
        }
        assert!(cache.stats().forgotten >= forgotten + 8900);
        cache.drain(|_| {});
    }
}

/// So do messages that were forgotten and came again, and those only among the forgotten.
#[test]
fn top_finds_the_most_and_takes_nothing() {
    let _turn = turn();
    let cache = Cache::builder().window(millis(10)).tiny(8).build().unwrap();
    let suppress = |n: u64, times: u64, now: u64| {
        for _ in 0..times {
            let decision = cache.check_with_at(fp(n), at(now), &Rule::once(), || {
                Some(Exemplar::new(&format!("text {n}")))
            });
            assert!(!decision.is_emit(), "{n}");
        }
    };
    let emit = |n: u64, now: u64| {
        let text = || Some(Exemplar::new(&format!("text {n}")));
        assert!(cache.check_with_at(fp(n), at(now), &Rule::once(), text).is_emit(), "{n}");
    };
    for n in 1..=3 {
        emit(n, 0);
        suppress(n, n, 0);
    }
    // Forgets them.
    for unique in 100..196 {
        let _ = cache.check_at(fp(unique), at(100));
    }
    emit(1, 100);
    suppress(1, 4, 100);
    emit(4, 100);
    suppress(4, 2, 100);
    let top = |k| -> Vec<_> {
        let text = |summary: &quell::Summary| {
            summary.exemplar.as_ref().map(|exemplar| exemplar.to_string())
        };
        cache
            .top(k)
            .iter()
            .map(|s| (s.fingerprint.unwrap(), s.suppressed, s.since.as_millis(), text(s)))
            .collect()
    };
    let expected =
        |n: u64, count: u64, since: u64| (fp(n), count, since, Some(format!("text {n}")));
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
