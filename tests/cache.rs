//! The decisions and reports of a cache, call by call.

mod common;

use common::{AGAIN, EMIT, Expected, FIRST, emit};
use quell::{
    Cache, ConfigError, Decision, Exemplar, Fingerprint, Level, Manual, Monotonic, Namespace, Rule,
    Secret, Summary, Tick,
};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const WINDOW: u64 = 10;

/// Has tests take turns, so that what one forgets does not hang on the threads of another.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn fp(n: u128) -> Fingerprint {
    Fingerprint::from_u128(n.wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9_7f4a_7c15))
        .with_namespace(Namespace(0))
}

fn cache() -> Cache {
    Cache::builder().window(millis(WINDOW)).build().unwrap()
}

fn tiny() -> Cache {
    Cache::builder().window(millis(WINDOW)).tiny(2).build().unwrap()
}

fn drained(cache: &Cache) -> Vec<Summary> {
    let mut all = Vec::new();
    cache.drain(|summary| all.push(summary));
    all
}

fn total(summaries: &[Summary]) -> u64 {
    summaries.iter().map(|summary| summary.suppressed).sum()
}

/// Checks half as many new messages as a tiny cache has slots, `times` times.
fn flood(cache: &Cache, now: Tick, times: u64) {
    thread_local! {
        static NEXT: Cell<u128> = const { Cell::new(1 << 64) };
    }
    for _ in 0..4 * times {
        let next = NEXT.replace(NEXT.get() + 1);
        assert!(cache.check_at(fp(next), now).is_emit(), "a new message");
    }
}

#[test]
fn a_continuous_repeat_is_logged_once_a_window() {
    let _alone = alone();
    let cache = cache();
    for now in 0..1000 {
        let expected = match (now, now % WINDOW) {
            (0, _) => EMIT,
            (_, 0) => emit(WINDOW - 1),
            (_, since) => Expected::Suppress { first: since == 1 },
        };
        assert_eq!(cache.check_at(fp(1), at(now)), expected, "at {now}");
    }
}

#[test]
fn a_stamp_newer_than_now_is_fresh() {
    let _alone = alone();
    let cache = cache();
    assert_eq!(cache.check_at(fp(1), at(100)), EMIT);
    assert_eq!(cache.check_at(fp(1), at(50)), FIRST);
    assert_eq!(cache.check_at(fp(1), at(0)), AGAIN);
    // What came late has not moved the window.
    assert_eq!(cache.check_at(fp(1), at(100 + WINDOW - 1)), AGAIN);
    assert_eq!(cache.check_at(fp(1), at(100 + WINDOW)), emit(3));
    assert_eq!(cache.check_at(fp(1), at(100)), FIRST);
}

#[test]
fn suppression_starts_once_between_two_emissions() {
    let _alone = alone();
    let cache = tiny();
    for now in [0, WINDOW, 5 * WINDOW] {
        assert!(cache.check_at(fp(1), at(now)).is_emit());
        assert_eq!(cache.check_at(fp(1), at(now)), FIRST);
        assert_eq!(cache.check_at(fp(1), at(now)), AGAIN);
        assert_eq!(total(&drained(&cache)), 2);
        assert_eq!(cache.check_at(fp(1), at(now)), AGAIN, "a drain does not start it anew");
        flood(&cache, at(now), 1);
        assert_eq!(cache.check_at(fp(1), at(now)), AGAIN, "nor do others");
        cache.drain_namespace(Namespace(0), |_| {});
    }
    // Nor where others come before the first that is suppressed.
    assert_eq!(cache.check_at(fp(2), at(900)), EMIT);
    flood(&cache, at(900), 1);
    assert_eq!(cache.check_at(fp(2), at(900)), FIRST);
    assert_eq!(cache.check_at(fp(2), at(900)), AGAIN);
}

#[test]
fn a_count_is_reported_once_whoever_reports_it() {
    let _alone = alone();
    let cache = cache();
    let suppress = |n: u64, now| {
        for _ in 0..n {
            assert!(!cache.check_at(fp(1), at(now)).is_emit());
        }
    };
    assert_eq!(cache.check_at(fp(1), at(0)), EMIT);
    suppress(3, 0);
    assert_eq!(cache.check_at(fp(1), at(10)), emit(3));
    assert!(drained(&cache).is_empty(), "the emission had it");

    suppress(4, 10);
    let summaries = drained(&cache);
    assert_eq!(summaries.len(), 1);
    let summary = &summaries[0];
    assert_eq!((summary.fingerprint, summary.namespace), (Some(fp(1)), Namespace(0)));
    assert_eq!((summary.suppressed, summary.since), (4, at(10)));
    assert!(summary.exemplar.is_none());
    assert!(drained(&cache).is_empty(), "the drain had it");
    assert_eq!(cache.check_at(fp(1), at(20)), EMIT, "the drain had it");

    suppress(5, 20);
    cache.drain_namespace(Namespace(7), |summary| panic!("{summary:?}"));
    let mut sum = 0;
    cache.drain_namespace(Namespace(0), |summary| sum += summary.suppressed);
    assert_eq!(sum, 5);
    cache.drain_expired_at(None, at(1000), |summary| panic!("{summary:?}"));

    suppress(6, 20);
    cache.drain_expired_at(None, at(30), |summary| sum += summary.suppressed);
    assert_eq!(sum, 11);
    assert_eq!(cache.check_at(fp(1), at(30)), EMIT);
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed), (4, 18));
}

/// How many repeats of a message that was emitted at 0, 10 milliseconds apart.
const REPEATS: [u64; 4] = [1, 2, 17, 200];

#[test]
fn the_last_repeat_is_told_if_asked_for() {
    let _alone = alone();
    let last = |decision| match decision {
        Decision::Emit { suppressed, last, .. } => Some((suppressed, last)),
        Decision::Suppress { .. } => None,
    };
    let rules = [
        Rule::once(),
        Rule::back_off(Duration::from_secs(60)).unwrap(),
        Rule::first_then_every(1, 1000).unwrap(),
    ];
    for (rule, repeats) in rules.iter().flat_map(|rule| REPEATS.map(|n| (rule, n))) {
        for asked in [false, true] {
            let builder = Cache::builder().window(Duration::from_secs(10)).last_repeat(asked);
            let cache = builder.build().unwrap();
            let ask = |now| last(cache.check_with_at(fp(1), at(now), rule, || None));
            // Each from 10 to 10 * repeats after `begin`.
            let repeat = |begin: u64| {
                for n in 1..=repeats {
                    assert_eq!(ask(begin + 10 * n), None, "{rule:?}");
                }
            };
            let told = |begin: u64| asked.then_some(at(begin + 10 * repeats));
            assert_eq!(ask(0), Some((0, None)));
            repeat(0);
            let top = cache.top(1);
            assert_eq!((top[0].suppressed, top[0].last), (repeats, told(0)));
            assert_eq!(ask(3_600_000), Some((repeats, told(0))), "an hour of silence");
            repeat(3_600_000);
            let summaries = drained(&cache);
            assert_eq!((summaries[0].suppressed, summaries[0].last), (repeats, told(3_600_000)));
            assert_eq!(ask(7_200_000), Some((0, None)), "told already");
            repeat(7_200_000);
            assert!(cache.forget(fp(1)));
            let summaries = drained(&cache);
            assert_eq!((summaries[0].suppressed, summaries[0].last), (repeats, told(7_200_000)));
        }
    }
}

#[test]
fn the_last_repeat_outlives_its_entry() {
    let _alone = alone();
    for repeats in REPEATS {
        let builder = Cache::builder().window(Duration::from_secs(10)).tiny(2);
        let cache = builder.last_repeat(true).build().unwrap();
        assert!(cache.check_at(fp(1), at(0)).is_emit());
        for n in 1..=repeats {
            assert!(!cache.check_at(fp(1), at(10 * n)).is_emit());
        }
        for n in 2..200 {
            assert!(cache.check_at(fp(n), at(5000)).is_emit());
        }
        assert!(cache.check_at(fp(1), at(6000)).is_emit(), "forgotten");
        assert!(!cache.check_at(fp(1), at(6001)).is_emit());
        let summaries = drained(&cache);
        let told: Vec<_> = summaries.iter().map(|s| (s.suppressed, s.since, s.last)).collect();
        assert_eq!(told, [(repeats + 1, at(6000), Some(at(6001)))], "with what came after");
    }
    // Of so many that they are summed.
    let builder = Cache::builder().window(Duration::from_secs(10)).tiny(2);
    let cache = builder.last_repeat(true).build().unwrap();
    for n in 0..500 {
        assert!(cache.check_at(fp(n.into()), at(n)).is_emit());
        assert!(!cache.check_at(fp(n.into()), at(n + 1)).is_emit());
    }
    let summaries = drained(&cache);
    let (sums, single): (Vec<_>, Vec<_>) = summaries.iter().partition(|s| s.suppressed > 1);
    assert!(single.iter().all(|s| s.last == Some(at(s.since.as_millis() + 1))));
    assert!(single.len() > 4 && sums.len() == 1, "{summaries:?}");
    let (sum, last) = (sums[0], sums[0].last.unwrap());
    assert!(sum.fingerprint.is_none() && last >= at(sum.suppressed) && last <= at(500), "{sum:?}");
}

#[test]
fn a_last_repeat_is_within_its_window() {
    let _alone = alone();
    let cache = Cache::builder().window(Duration::from_millis(100)).last_repeat(true);
    let cache = cache.build().unwrap();
    let last = |now| match cache.check_at(fp(1), at(now)) {
        Decision::Emit { last, .. } => last,
        Decision::Suppress { .. } => None,
    };
    assert_eq!((last(1000), last(900)), (None, None), "the clock went back");
    assert_eq!(drained(&cache)[0].last, Some(at(1000)), "not before the emission");
    assert_eq!((last(1050), last(1020)), (None, None));
    let told = last(1100).unwrap();
    assert!((at(1020)..=at(1050)).contains(&told), "{told:?}");
    // A caller's clock that is ahead, of calls that have no part in the next emission.
    assert_eq!(last(1150), None);
    assert_eq!((cache.set_window(Duration::MAX), last(9000)), (Ok(()), None));
    assert_eq!(cache.set_window(Duration::from_millis(100)), Ok(()));
    assert_eq!(last(1200), Some(at(1200)), "not after the emission");
}

#[test]
fn who_asks_for_the_last_repeat_pays() {
    let _alone = alone();
    let bound = |asked| {
        let cache = Cache::builder().max_entries(16_384).last_repeat(asked).build().unwrap();
        (cache.memory_bound(), cache)
    };
    let ((without, cache), (with, _)) = (bound(false), bound(true));
    let slots = cache.stats().capacity;
    assert!((8 * slots..8 * slots + 1000).contains(&(with - without)), "{with} - {without}");
    let cache = std::sync::Arc::new(cache);
    let log = quell::Logger::new(cache.clone(), quell::WriteSink::new(std::io::sink()));
    assert_eq!(cache.memory_bound(), with, "with the first front end");
    let again = quell::Logger::new(cache.clone(), quell::WriteSink::new(std::io::sink()));
    assert_eq!(cache.memory_bound(), with);
    drop((log, again));
}

#[test]
fn an_emission_says_when_the_one_before_was() {
    let _alone = alone();
    let cache = cache();
    let told = |decision| match decision {
        Decision::Emit { suppressed, since, untracked, .. } => Some((suppressed, since, untracked)),
        Decision::Suppress { .. } => None,
    };
    let two = Rule::first(2).unwrap();
    let ask = |now, rule| told(cache.check_with_at(fp(1), now, rule, || None));
    assert_eq!(told(cache.check_at(fp(1), at(5))), Some((0, None, false)));
    assert_eq!(told(cache.check_at(fp(1), at(6))), None);
    assert_eq!(told(cache.check_at(fp(1), at(15))), Some((1, Some(at(5)), false)));
    assert_eq!(ask(at(25), &two), Some((0, Some(at(15)), false)));
    assert_eq!(ask(at(26), &two), Some((0, Some(at(25)), false)), "the beginning of its window");
    assert_eq!(ask(at(27), &two), None);
    assert_eq!(ask(at(40), &Rule::once()), Some((1, Some(at(25)), false)));
    assert_eq!(told(cache.check_at(fp(2), Tick::MAX)), Some((0, None, true)));
    assert_eq!(told(cache.check_at(fp(2), at(50))), Some((0, None, false)), "no trace of it");
    let decision = cache.check_at(fp(2), at(51));
    assert_eq!((decision.reports(), decision.is_emit()), (None, false));
    assert_eq!(cache.check_at(fp(2), at(60)).reports(), Some(1));
}

#[test]
fn a_drain_of_what_expired_leaves_the_rest() {
    let _alone = alone();
    let cache = cache();
    let other = fp(2).with_namespace(Namespace(9));
    for (fingerprint, now) in [(fp(1), 0), (other, 0), (fp(3), 5)] {
        assert_eq!(cache.check_at(fingerprint, at(now)), EMIT);
        assert_eq!(cache.check_at(fingerprint, at(now)), FIRST);
    }
    let expired = |namespace, now| {
        let mut all = Vec::new();
        cache
            .drain_expired_at(namespace, at(now), |summary| all.push(summary.fingerprint.unwrap()));
        all
    };
    assert_eq!(expired(None, WINDOW - 1), []);
    assert_eq!(expired(Some(Namespace(9)), WINDOW), [other]);
    assert_eq!(expired(None, WINDOW), [fp(1)]);
    assert_eq!(cache.check_at(fp(3), at(5 + WINDOW)), emit(1), "left for the emission");
    assert_eq!(cache.check_at(fp(1), at(WINDOW)), EMIT);
}

#[test]
fn a_wider_window_revives_and_zero_is_refused() {
    let _alone = alone();
    let cache = cache();
    assert_eq!(cache.check_at(fp(1), at(0)), EMIT);
    cache.set_window(millis(100)).unwrap();
    assert_eq!(cache.window(), millis(100));
    assert_eq!(cache.check_at(fp(1), at(99)), FIRST);
    cache.set_window(millis(50)).unwrap();
    assert_eq!(cache.check_at(fp(1), at(50)), emit(1));
    assert_eq!(cache.set_window(Duration::ZERO), Err(ConfigError::ZeroWindow));
    assert_eq!(cache.window(), millis(50));
    assert_eq!(cache.check_at(fp(1), at(99)), FIRST);
    assert_eq!(cache.check_at(fp(1), at(100)), emit(1));
    // Part of a millisecond is a whole one.
    cache.set_window(Duration::from_nanos(1)).unwrap();
    assert_eq!(cache.check_at(fp(1), at(100)), FIRST);
    assert_eq!(cache.check_at(fp(1), at(101)), emit(1));

    // In a table that is full, too; but what was forgotten stays so.
    let cache = tiny();
    assert_eq!(cache.check_at(fp(1), at(0)), EMIT);
    assert_eq!(cache.check_at(fp(2), at(0)), EMIT);
    flood(&cache, at(0), 1);
    cache.set_window(millis(100)).unwrap();
    assert_eq!(cache.check_at(fp(1), at(99)), FIRST);
    flood(&cache, at(99), 50);
    assert_eq!(cache.check_at(fp(2), at(99)), EMIT, "forgotten");
}

#[test]
fn the_end_of_time_fails_open() {
    let _alone = alone();
    let cache = cache();
    for n in 1..=3 {
        assert_eq!(cache.check_at(fp(1), Tick::MAX), EMIT);
        assert_eq!(cache.check_at(fp(1), at(u64::MAX)), EMIT);
        assert_eq!(cache.stats().failed_open, 2 * n);
    }
    assert_eq!(cache.stats().entries, 0, "nothing can be remembered at the end of time");
    // What is known is decided as ever: fresh, or expired and its count reported.
    assert_eq!(cache.check_at(fp(2), at(Tick::MAX.as_millis() - 1)), EMIT);
    assert_eq!(cache.check_at(fp(2), Tick::MAX), FIRST);
    assert_eq!(cache.check_at(fp(3), at(0)), EMIT);
    assert_eq!(cache.check_at(fp(3), at(0)), FIRST);
    assert_eq!(cache.check_at(fp(3), Tick::MAX), emit(1));
    assert_eq!(cache.check_at(fp(3), Tick::MAX), EMIT);
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed, stats.failed_open), (10, 2, 8));
    assert_eq!(total(&drained(&cache)), 1);
}

#[test]
fn a_window_without_end_never_ends() {
    let _alone = alone();
    let cache = Cache::builder().window(Duration::MAX).build().unwrap();
    assert_eq!(cache.check_at(fp(1), at(0)), EMIT);
    assert_eq!(cache.check_at(fp(1), Tick::MAX), FIRST);
    assert_eq!(cache.check_at(fp(1), at(0)), AGAIN);
}

#[test]
fn structured_fingerprints_are_told_apart() {
    let _alone = alone();
    let cache = Cache::builder().max_entries(20_000).build().unwrap();
    let mut all: Vec<u128> = (0..1000).collect();
    for shift in [7, 16, 32, 46, 48, 64, 80, 96, 110, 112] {
        all.extend((1..1000).map(|n| n << shift));
    }
    all.extend((0..1000).map(|n| u128::MAX - n));
    all.extend([u128::from(u64::MAX), u128::MAX << 64]);
    all.extend((1..1000u128).map(|n| n << 64 | n));
    all.sort_unstable();
    all.dedup();
    for &bits in &all {
        assert_eq!(cache.check_at(Fingerprint::from_u128(bits), at(5)), EMIT, "{bits:#x}");
    }
    for &bits in &all {
        assert_eq!(cache.check_at(Fingerprint::from_u128(bits), at(5)), FIRST, "{bits:#x}");
    }
    // All 128 bits come back, and the namespace with them.
    let mut reported = Vec::new();
    cache.drain(|summary| {
        let fingerprint = summary.fingerprint.unwrap();
        assert_eq!((summary.suppressed, summary.namespace), (1, fingerprint.namespace()));
        reported.push(fingerprint.as_u128());
    });
    reported.sort_unstable();
    assert_eq!(reported, all);
    assert_eq!((cache.stats().failed_open, cache.stats().forgotten), (0, 0));
}

#[test]
fn namespaces_have_budgets_of_their_own() {
    let _alone = alone();
    let cache = cache();
    let (a, b) = (fp(1).with_namespace(Namespace(1)), fp(1).with_namespace(Namespace(2)));
    for fingerprint in [a, b] {
        assert_eq!(cache.check_at(fingerprint, at(0)), EMIT);
        assert_eq!(cache.check_at(fingerprint, at(0)), FIRST);
    }
    assert_eq!(cache.check_at(b, at(0)), AGAIN);
    let mut seen = Vec::new();
    cache.drain_namespace(Namespace(2), |summary| {
        seen.push((summary.fingerprint, summary.suppressed))
    });
    assert_eq!(seen, [(Some(b), 2)]);
    assert_eq!(cache.check_at(a, at(WINDOW)), emit(1));
    assert_eq!(cache.check_at(b, at(WINDOW)), EMIT);
}

#[test]
fn new_namespaces_are_new_until_there_are_none() {
    let _alone = alone();
    let cache = cache();
    let mut seen: Vec<_> = (0..65_534).map(|_| cache.new_namespace().unwrap()).collect();
    assert!(!seen.contains(&Namespace(0)) && !seen.contains(&Namespace::MIXED));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 65_534);
    assert_eq!(cache.new_namespace(), Err(ConfigError::OutOfNamespaces));
    cache.give_back_namespace(Namespace(77));
    assert_eq!(cache.new_namespace(), Ok(Namespace(77)));
    assert_eq!(cache.new_namespace(), Err(ConfigError::OutOfNamespaces));
}

#[test]
fn a_namespace_comes_back_with_nothing_in_it() {
    let _alone = alone();
    let cache = cache();
    while cache.new_namespace().is_ok() {}
    let [own, other] = [7, 8].map(|n| fp(1).with_namespace(Namespace(n)));
    for fingerprint in [own, other] {
        let exemplar = || Some(Exemplar::new("secret"));
        assert!(cache.check_with_at(fingerprint, at(0), &Rule::once(), exemplar).is_emit());
        // Enough for some to be near the thread.
        (0..100).for_each(|_| assert!(!cache.check_at(fingerprint, at(1)).is_emit()));
    }
    cache.give_back_namespace(Namespace(7));
    assert_eq!(cache.new_namespace(), Ok(Namespace(7)));
    assert_eq!(cache.check_at(own, at(2)), EMIT, "it has not seen it");
    assert_eq!(cache.check_at(own, at(3)), FIRST);
    assert_eq!(cache.check_at(other, at(3)), AGAIN);
    let mut told = Vec::new();
    cache.drain_namespace(Namespace(7), |summary| {
        told.push((summary.namespace, summary.suppressed, summary.exemplar.is_some()));
    });
    told.sort_unstable();
    let expected = [(Namespace(7), 1, false), (Namespace::MIXED, 100, false)];
    assert_eq!(told, expected, "what another left is in the sum of all");
    assert_eq!(cache.stats().suppressed, 202);
}

#[test]
fn what_is_forgotten_is_emitted_at_once() {
    let _alone = alone();
    for rule in [Rule::once(), Rule::first(1).unwrap(), Rule::back_off(millis(WINDOW)).unwrap()] {
        let cache = cache();
        let ask = |n, now| cache.check_with_at(fp(n), at(now), &rule, || Some(Exemplar::new("x")));
        assert!(!cache.forget(fp(1)));
        for round in 0..3 {
            assert_eq!(ask(1, 5), EMIT, "in the same millisecond, too");
            assert_eq!(ask(1, 5), FIRST);
            // Some of these are near the thread.
            (0..200).for_each(|_| assert_eq!(ask(1, 5), AGAIN));
            assert_eq!(ask(2, 5).is_emit(), round == 0);
            assert!(cache.forget(fp(1)) && !cache.forget(fp(1)));
        }
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.suppressed), (4, 3 * 201 + 2));
        assert_eq!((stats.forgotten, stats.entries), (0, 1));
        let mut told = Vec::new();
        cache.drain(|summary| {
            let text = summary.exemplar.map(|exemplar| exemplar.message.to_string());
            told.push((summary.fingerprint, summary.suppressed, summary.since, text));
        });
        told.sort_by_key(|summary| std::cmp::Reverse(summary.1));
        let text = || Some("x".to_string());
        let expected = [(Some(fp(1)), 3 * 201, at(5), text()), (Some(fp(2)), 2, at(5), text())];
        assert_eq!(told, expected);
        assert_eq!(ask(1, 5), EMIT);
    }
}

#[test]
fn messages_are_forgotten_by_their_exemplars() {
    let _alone = alone();
    let cache = cache();
    for n in 0..10 {
        let exemplar = || Some(Exemplar::new("x").target(if n % 2 == 0 { "db" } else { "net" }));
        assert!(cache.check_with_at(fp(n), at(0), &Rule::once(), exemplar).is_emit());
    }
    assert_eq!(cache.check_at(fp(10), at(0)), EMIT);
    let is_db = |exemplar: &Exemplar| {
        // It may use the cache.
        let _ = cache.check_at(fp(11), at(0));
        &*exemplar.target == "db"
    };
    assert_eq!(cache.forget_where(is_db), 5);
    for n in 0..11 {
        assert_eq!(cache.check_at(fp(n), at(1)).is_emit(), n % 2 == 0 && n != 10, "{n}");
    }
    let asked = std::panic::catch_unwind(|| cache.forget_where(|_| panic!("asked")));
    assert!(asked.is_err());
    assert!(!cache.check_at(fp(1), at(1)).is_emit());
}

#[test]
fn the_clock_decides_when_no_tick_is_given() {
    let _alone = alone();
    let clock = Manual::new(at(7));
    let builder = Cache::builder().window(millis(WINDOW));
    let cache = builder.clock(clock.clone()).build().unwrap();
    assert_eq!(cache.now(), at(7));
    assert_eq!(cache.check(fp(1)), EMIT);
    assert_eq!(cache.check(fp(1)), FIRST);
    clock.advance(millis(WINDOW - 1));
    assert_eq!(cache.check(fp(1)), AGAIN);
    clock.advance(millis(1));
    assert_eq!(cache.check(fp(1)), emit(2));
    clock.set(at(0));
    assert_eq!(cache.check(fp(1)), FIRST, "a clock set back");
    // Two caches with one secret agree on fingerprints, others do not.
    let hash = |secret| {
        let cache = Cache::builder().secret(secret).build().unwrap();
        let mut hasher = cache.hasher();
        hasher.bytes(b"text");
        hasher.finish()
    };
    assert_eq!(hash(Secret::from_bytes([7; 16])), hash(Secret::from_bytes([7; 16])));
    assert_ne!(hash(Secret::random()), hash(Secret::random()));
}

#[test]
fn exemplars_are_asked_for_once_and_kept() {
    let _alone = alone();
    let cache = cache();
    let asked = Cell::new(0);
    let check = |now| {
        cache.check_with_at(fp(1), at(now), &Rule::once(), || {
            asked.set(asked.get() + 1);
            Some(Exemplar::new(&format!("number {}", asked.get())).level(Level::Error).target("t"))
        })
    };
    assert_eq!(check(0), EMIT);
    assert_eq!(asked.get(), 1);
    assert_eq!(check(1), FIRST);
    assert_eq!(check(10), emit(1));
    assert_eq!(check(11), FIRST);
    assert_eq!(asked.get(), 1, "not on a suppression, not with one there");
    let summaries = drained(&cache);
    let exemplar = summaries[0].exemplar.as_deref().unwrap();
    assert_eq!(
        (&*exemplar.message, exemplar.level, &*exemplar.target),
        ("number 1", Some(Level::Error), "t")
    );
    assert_eq!(check(12), AGAIN);
    assert!(drained(&cache)[0].exemplar.is_some(), "a drain does not take it away");

    // An entry that began without gets one at its next emission.
    assert_eq!(cache.check_at(fp(2), at(0)), EMIT);
    assert_eq!(cache.check_with_at(fp(2), at(5), &Rule::once(), || unreachable!()), FIRST);
    assert_eq!(
        cache.check_with_at(fp(2), at(10), &Rule::once(), || Some(Exemplar::new("late"))),
        emit(1)
    );
    assert_eq!(cache.check_at(fp(2), at(10)), FIRST);
    assert_eq!(&*drained(&cache)[0].exemplar.as_ref().unwrap().message, "late");

    // One may think better of it.
    assert_eq!(cache.check_with_at(fp(4), at(0), &Rule::once(), || None), EMIT);
    assert_eq!(cache.check_at(fp(4), at(0)), FIRST);
    assert!(drained(&cache)[0].exemplar.is_none());

    // And through the clock.
    assert_eq!(cache.check_with(fp(3), &Rule::once(), || Some(Exemplar::new("now"))), EMIT);
}

#[test]
fn exemplars_outlive_others_and_forgetting() {
    let _alone = alone();
    let cache = tiny();
    let text = |summaries: &[Summary]| {
        let own = summaries.iter().find(|summary| summary.fingerprint == Some(fp(1))).unwrap();
        own.exemplar.as_ref().map(|exemplar| exemplar.to_string())
    };
    assert_eq!(
        cache.check_with_at(fp(1), at(0), &Rule::once(), || Some(Exemplar::new("kept"))),
        EMIT
    );
    assert_eq!(cache.check_at(fp(1), at(0)), FIRST);
    for _ in 0..5 {
        flood(&cache, at(0), 1);
        assert_eq!(cache.check_at(fp(1), at(0)), AGAIN, "stays while it is touched");
    }
    assert_eq!(text(&drained(&cache)).as_deref(), Some("kept"));
    for n in 1..6 {
        let now = at(n * WINDOW);
        let another = || Some(Exemplar::new("another"));
        assert!(
            cache.check_with_at(fp(1), now, &Rule::once(), another).is_emit(),
            "expired, and in its place"
        );
        assert_eq!(cache.check_at(fp(1), now), FIRST);
    }
    assert_eq!(text(&drained(&cache)).as_deref(), Some("kept"));
    assert!(!cache.check_at(fp(1), at(5 * WINDOW)).is_emit());
    // Expired, hence the first to go; its count and what it shows are kept.
    flood(&cache, at(9 * WINDOW), 5);
    let summaries = drained(&cache);
    assert_eq!(text(&summaries).as_deref(), Some("kept"));
    assert_eq!(summaries.iter().find(|s| s.fingerprint == Some(fp(1))).unwrap().suppressed, 1);
    assert_eq!(
        cache.check_with_at(fp(1), at(99 * WINDOW), &Rule::once(), || Some(Exemplar::new("new"))),
        EMIT
    );
    assert_eq!(cache.check_at(fp(1), at(99 * WINDOW)), FIRST);
    assert_eq!(text(&drained(&cache)).as_deref(), Some("new"));
}

#[test]
fn a_duplicate_never_makes_an_exemplar() {
    let _alone = alone();
    let cache = cache();
    assert_eq!(cache.check_at(fp(1), at(0)), EMIT);
    for now in 0..WINDOW {
        let decision = cache.check_with_at(fp(1), at(now), &Rule::once(), || {
            unreachable!("an exemplar of a duplicate")
        });
        assert!(!decision.is_emit());
    }
    // A call that is not tracked has no entry to keep one with.
    assert_eq!(
        cache.check_with_at(fp(2), Tick::MAX, &Rule::once(), || unreachable!(
            "an exemplar of nothing"
        )),
        EMIT
    );
}

#[test]
fn stats_are_exact_at_rest() {
    let _alone = alone();
    let cache = Cache::builder().window(millis(WINDOW)).max_entries(100).build().unwrap();
    assert!(cache.stats().capacity >= 2 * 100);
    let mut expected = cache.stats();
    assert_eq!((expected.emitted, expected.suppressed, expected.entries), (0, 0, 0));
    for n in 0..10_000u64 {
        // Each key twice in a row, then new ones; every 500 calls a drain. A hundred calls
        // in a tick.
        let decision = cache.check_at(fp(u128::from(n / 2)), at(n / 100));
        *if decision.is_emit() { &mut expected.emitted } else { &mut expected.suppressed } += 1;
        if n % 500 == 0 {
            let stats = cache.stats();
            assert_eq!((stats.emitted, stats.suppressed), (expected.emitted, expected.suppressed));
            assert!(stats.entries <= stats.capacity);
            cache.drain(|_| {});
            let after = cache.stats();
            assert_eq!(
                (after.emitted, after.suppressed),
                (stats.emitted, stats.suppressed),
                "a drain moves no number"
            );
            assert_eq!((after.entries, after.forgotten), (stats.entries, stats.forgotten));
        }
    }
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed, stats.failed_open), (5000, 5000, 0));
    assert!(stats.forgotten > 0);
    // Reading them from another thread, or while it is at work, harms nothing.
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(cache.stats(), stats));
    });
}

#[test]
fn an_entry_is_present_or_forgotten() {
    let _alone = alone();
    for cache in [cache(), tiny()] {
        // In their windows, all of them.
        cache.set_window(millis(1_000_000)).unwrap();
        for n in 0..10_000u64 {
            assert!(cache.check_at(fp(u128::from(n)), at(n)).is_emit());
            if n % 100 == 0 {
                let stats = cache.stats();
                let tracked = stats.emitted - stats.failed_open;
                assert_eq!(tracked, stats.entries as u64 + stats.forgotten, "after {n}: {stats:?}");
            }
        }
        assert!(cache.stats().forgotten > 1000);
    }
}

#[test]
fn what_goes_after_its_window_is_not_forgotten() {
    let _alone = alone();
    for (cache, allowed) in [(cache(), 0), (tiny(), 100)] {
        for n in 0..10_000u64 {
            // At most four are in their windows at once.
            assert!(cache.check_at(fp(u128::from(n)), at(n * 3)).is_emit());
        }
        let stats = cache.stats();
        // One that has ended only since the last call is taken for forgotten.
        assert!(stats.forgotten <= allowed && stats.failed_open == 0, "{stats:?}");
        assert!(stats.entries <= stats.capacity);
    }
}

#[test]
fn the_bound_on_memory_rises_once() {
    let _alone = alone();
    let cache = cache();
    let bound = cache.memory_bound();
    // A table of at most 96 KiB, orphans, and for each of 64 threads at most 16 KiB.
    assert!((64 << 10..=(96 + 16 + 64 * 16) << 10).contains(&bound), "{bound}");
    assert!(cache.check_at(fp(1), at(0)).is_emit());
    assert_eq!(cache.memory_bound(), bound);
    assert!(
        cache.check_with_at(fp(2), at(0), &Rule::once(), || Some(Exemplar::new("first"))).is_emit()
    );
    let with = cache.memory_bound();
    assert!(with >= bound + 8 * 1024, "{bound} {with}");
    assert!(
        cache
            .check_with_at(fp(3), at(0), &Rule::once(), || Some(Exemplar::new("second")))
            .is_emit()
    );
    assert_eq!(cache.memory_bound(), with);
}

#[test]
fn what_is_forgotten_is_in_the_next_drain() {
    let _alone = alone();
    let cache = tiny();
    for (n, times) in [(1, 3), (2, 1)] {
        assert_eq!(cache.check_at(fp(n), at(n as u64)), EMIT);
        for _ in 0..times {
            assert!(!cache.check_at(fp(n), at(n as u64)).is_emit());
        }
    }
    // Out of their windows, so that they make room.
    for rounds in 0..10 {
        flood(&cache, at(100 + rounds), 1);
        assert_eq!(cache.stats().suppressed, 4);
    }
    let mut summaries = drained(&cache);
    summaries.sort_by_key(|summary| summary.since);
    let seen: Vec<_> = summaries.iter().map(|s| (s.fingerprint, s.suppressed, s.since)).collect();
    assert_eq!(seen, [(Some(fp(1)), 3, at(1)), (Some(fp(2)), 1, at(2))]);
    assert_eq!(cache.stats().suppressed, 4);
    assert_eq!(cache.check_at(fp(1), at(200)), EMIT, "its count has been reported");
}

#[test]
fn too_many_forgotten_are_summed_by_namespace() {
    let _alone = alone();
    let cache = tiny();
    let mut expected = HashMap::new();
    for n in 0..100u128 {
        let namespace = Namespace((n % 3) as u16);
        let fingerprint = fp(n).with_namespace(namespace);
        let now = at(1000 + n as u64 * WINDOW);
        assert_eq!(cache.check_at(fingerprint, now), EMIT);
        assert_eq!(cache.check_at(fingerprint, now), FIRST);
        *expected.entry(namespace).or_insert(0) += 1;
    }
    flood(&cache, at(100_000), 6);
    let mut sums = 0;
    for (&namespace, &expected) in &expected {
        let mut sum = 0;
        cache.drain_namespace(namespace, |summary| {
            assert_eq!(summary.namespace, namespace);
            assert!(summary.since >= at(1000) && summary.since < at(2000), "{summary:?}");
            sums += u64::from(summary.fingerprint.is_none());
            sum += summary.suppressed;
        });
        assert_eq!(sum, expected);
    }
    assert_eq!(sums, 3, "4 records cannot hold 100 messages, and each namespace has one sum");
    assert!(drained(&cache).is_empty());
    assert_eq!(cache.stats().suppressed, 100);
}

#[test]
fn a_report_may_use_the_cache() {
    let _alone = alone();
    let cache = tiny();
    for n in 0..6 {
        assert_eq!(cache.check_at(fp(n), at(0)), EMIT);
        assert_eq!(cache.check_at(fp(n), at(0)), FIRST);
    }
    let (sum, calls) = (Cell::new(0), Cell::new(0));
    cache.drain(|summary| {
        sum.set(sum.get() + summary.suppressed);
        // Suppressed, so that there is something to drain again.
        let fingerprint = fp(1000 + calls.get());
        assert!(cache.check_at(fingerprint, at(0)).is_emit());
        assert!(!cache.check_at(fingerprint, at(0)).is_emit());
        flood(&cache, at(0), 1);
        if calls.get() == 0 {
            cache.drain(|summary| sum.set(sum.get() + summary.suppressed));
        }
        calls.set(calls.get() + 1);
    });
    sum.set(sum.get() + total(&drained(&cache)));
    assert_eq!(sum.get(), cache.stats().suppressed);
    assert_eq!(sum.get(), 6 + calls.get() as u64);
}

#[test]
fn dropping_a_cache_drops_what_is_pending() {
    let _alone = alone();
    let cache = tiny();
    let mut exemplars = Vec::new();
    for n in 0..200 {
        let now = at(n as u64 * 3);
        assert!(
            cache
                .check_with_at(fp(n), now, &Rule::once(), || Some(Exemplar::new("text")))
                .is_emit()
        );
        assert!(!cache.check_at(fp(n), now).is_emit());
        if n % 7 == 0 {
            cache.drain(|summary| exemplars.extend(summary.exemplar.as_ref().map(Arc::downgrade)));
        }
    }
    assert!(exemplars.len() > 10);
    // Counts in the table and among the orphans. The last grace periods end with the calls
    // of others.
    drop(cache);
    let leaked = || exemplars.iter().filter(|exemplar| exemplar.upgrade().is_some()).count();
    let other = tiny();
    for n in 0..10_000 {
        if leaked() == 0 {
            break;
        }
        let _ = other
            .check_with_at(fp(n), at(n as u64 * 3), &Rule::once(), || Some(Exemplar::new("text")));
    }
    assert_eq!(leaked(), 0, "of {} exemplars", exemplars.len());
}

#[test]
fn caches_do_not_share() {
    let _alone = alone();
    let (a, b) = (tiny(), tiny());
    for n in 0..100 {
        assert_eq!(a.check_at(fp(n), at(0)), EMIT);
        assert_eq!(b.check_at(fp(n), at(0)), EMIT);
        assert_eq!(a.check_at(fp(n), at(0)), FIRST);
    }
    assert_eq!((a.stats().suppressed, b.stats().suppressed), (100, 0));
    assert!(drained(&b).is_empty());
}

/// Checks when its thread ends.
struct Last {
    cache: Arc<Cache>,
    seen: Arc<Mutex<Vec<Decision>>>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let mut seen = self.seen.lock().unwrap();
        for _ in 0..2 {
            seen.push(self.cache.check_at(fp(1), at(0)));
        }
        // New messages and a drain work from there, too.
        flood(&self.cache, at(100), 5);
        self.cache.drain(|_| {});
    }
}

/// A thread-local that a generic function can fill.
type Slot = RefCell<Option<Box<dyn std::any::Any>>>;
thread_local! {
    static EARLY: Slot = const { RefCell::new(None) };
}

#[test]
fn thread_local_destructors_may_use_a_cache() {
    let _alone = alone();
    // Locals are destroyed newest first, on most systems. The order says whether the
    // cache's own are gone when ours is destroyed, or not, or not yet there at all.
    for order in ["ours first", "the cache's first", "the cache's never"] {
        let cache = Arc::new(tiny());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let last = Last { cache: Arc::clone(&cache), seen: Arc::clone(&seen) };
        let ended = thread::spawn(move || {
            let touch = || assert!(last.cache.check_at(fp(2), at(0)).is_emit());
            match order {
                "ours first" => {
                    EARLY.with(|_| {});
                    touch();
                }
                "the cache's first" => {
                    touch();
                    EARLY.with(|_| {});
                }
                _ => {}
            }
            EARLY.with(|slot| *slot.borrow_mut() = Some(Box::new(last)));
        });
        ended.join().unwrap();
        assert_eq!(*seen.lock().unwrap(), [EMIT, FIRST], "{order}");
        let stats = cache.stats();
        let before = u64::from(order != "the cache's never");
        assert_eq!(stats.suppressed, 1);
        assert!(stats.emitted > before);
        // The thread's record was given back: others go on.
        flood(&cache, at(200), 5);
    }
}

#[test]
fn wrong_configurations_are_typed_errors() {
    fn error(build: impl FnOnce(quell::CacheBuilder) -> quell::CacheBuilder) -> ConfigError {
        build(Cache::builder()).build().map(drop).unwrap_err()
    }
    assert_eq!(error(|b| b.window(Duration::ZERO)), ConfigError::ZeroWindow);
    assert_eq!(error(|b| b.max_entries(0)), ConfigError::ZeroEntries);
    let asked = ConfigError::MAX_ENTRIES + 1;
    assert_eq!(error(|b| b.max_entries(asked)), ConfigError::TooManyEntries { asked });
    let asked = usize::MAX;
    assert_eq!(error(|b| b.max_entries(asked)), ConfigError::TooManyEntries { asked });
    assert!(
        error(|b| b.max_entries(asked)).to_string().contains(&ConfigError::MAX_ENTRIES.to_string())
    );
    // What does not matter is not asked for: one entry is enough, any clock will do.
    assert!(Cache::builder().max_entries(1).clock(Monotonic::new()).build().is_ok());
}

#[test]
fn debug_shows_no_secret() {
    let cache = Cache::builder().secret(Secret::from_bytes([0xab; 16])).build().unwrap();
    assert!(!format!("{cache:?} {:?}", cache.hasher()).to_lowercase().contains("ab"));
}

#[test]
fn caches_may_go_where_they_are_needed() {
    fn everywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}
    everywhere::<Cache>();
    everywhere::<Cache<Monotonic>>();
    everywhere::<Arc<Cache<Manual>>>();
    everywhere::<Decision>();
    everywhere::<Summary>();
    everywhere::<quell::Stats>();
    everywhere::<ConfigError>();
    everywhere::<quell::CacheBuilder>();
}
