//! The memory of a cache: as many messages as it was built for, and in a flood what is
//! touched now and then. `QUELL_RETENTION` says how many new messages each thread of a
//! flood checks.

mod common;

use common::{emit, turn};
use quell::{Cache, Decision, Fingerprint, Rule, Stats, Tick};
use std::hint;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

struct Messages {
    next: u64,
}

impl Messages {
    fn next(&mut self) -> Fingerprint {
        self.next += 1;
        fingerprint(self.next)
    }

    fn take(&mut self, n: usize) -> Vec<Fingerprint> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// A permutation of 64 bits, twice: no two the same.
fn fingerprint(n: u64) -> Fingerprint {
    let mix = |mut x: u64| {
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    let low = mix(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Fingerprint::from_u128(u128::from(mix(low)) << 64 | u128::from(low))
}

const SIZES: [usize; 10] = [1, 2, 100, 1000, 1024, 2047, 2048, 2049, 3001, 8192];

fn cache(max_entries: usize) -> Cache {
    Cache::builder().max_entries(max_entries).window(Duration::from_millis(1000)).build().unwrap()
}

fn now() -> Tick {
    Tick::from_millis(5000)
}

fn emit_all(cache: &Cache, messages: &[Fingerprint]) {
    for &message in messages {
        assert_eq!(cache.check_at(message, now()), emit(0));
    }
}

fn suppressed(cache: &Cache, messages: &[Fingerprint]) -> usize {
    messages.iter().filter(|&&message| !cache.check_at(message, now()).is_emit()).count()
}

#[test]
fn as_many_as_promised_are_remembered() {
    let _turn = turn();
    for size in SIZES.into_iter().chain([16_384, 20_011, 65_536]) {
        let cache = cache(size);
        let live = Messages { next: 0 }.take(size);
        emit_all(&cache, &live);
        for _ in 0..3 {
            assert_eq!(suppressed(&cache, &live), size);
        }
        let Stats { emitted, failed_open, forgotten, entries, .. } = cache.stats();
        assert_eq!((emitted, failed_open, forgotten, entries), (size as u64, 0, 0, size));
    }
}

/// The same after a flood of others that are still in their window.
#[test]
fn as_many_as_promised_after_a_flood() {
    let _turn = turn();
    for size in SIZES {
        let (mut lost, mut looks) = (0, 0);
        for flood in [1, size / 2, size, 3 * size + size / 3, 10 * size] {
            let cache = cache(size);
            let mut messages = Messages { next: 0 };
            emit_all(&cache, &messages.take(flood));
            let live = messages.take(size);
            emit_all(&cache, &live);
            lost += size - suppressed(&cache, &live);
            // Half are looked at while as many new ones come as make up the promise.
            let half = &live[..size / 2];
            for _ in 0..2 {
                emit_all(&cache, &messages.take(size - half.len()));
                lost += half.len() - suppressed(&cache, half);
                looks += half.len();
            }
            looks += size;
            assert_eq!(cache.stats().failed_open, 0);
        }
        println!("{size} entries: {lost} of {looks} looks found nothing");
        assert!(lost * 500 <= looks, "{size} entries: {lost} of {looks}");
    }
}

#[test]
fn a_hot_message_is_emitted_once_a_window() {
    let _turn = turn();
    for size in [1024usize, 2048, 5001] {
        let mut messages = Messages { next: 0 };
        let cache = cache(size);
        let (before, during) = (messages.next(), messages.next());
        // For each: the last emission, by the specification, and what it suppressed since.
        let mut hot = [(before, None, 0), (during, None, 0)];
        let mut emissions = 0;
        for touch in 0..100u64 {
            // A window is ten touches long.
            let now = Tick::from_millis(touch * 100);
            let started = if touch < 13 { 1 } else { 2 };
            for (message, last, pending) in &mut hot[..started] {
                let fresh = last.is_some_and(|last| now.as_millis() - last < 1000);
                let decision = cache.check_at(*message, now);
                assert_eq!(
                    decision.is_emit(),
                    !fresh,
                    "touch {touch} of a hot message, {size} entries"
                );
                if let Decision::Emit { suppressed, .. } = decision {
                    assert_eq!(suppressed, *pending);
                    (*last, *pending) = (Some(now.as_millis()), 0);
                    emissions += 1;
                } else {
                    *pending += 1;
                }
            }
            if touch > 5 {
                for _ in 0..size / 2 {
                    assert!(cache.check_at(messages.next(), now).is_emit());
                }
            }
        }
        assert_eq!(emissions, 10 + 9);
        assert_eq!(cache.stats().failed_open, 0);
    }
}

#[test]
fn one_thread_never_fails_open() {
    let _turn = turn();
    for size in [1, 1024, 5003] {
        let cache = cache(size);
        let mut messages = Messages { next: 0 };
        let flood = 60_000.max(30 * size);
        emit_all(&cache, &messages.take(flood));
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.failed_open), (flood as u64, 0));
        assert!(stats.entries <= stats.capacity);
    }
}

/// Repeats alone do not keep an entry forever: what pauses long enough goes, and its count
/// is kept.
#[test]
fn repeaters_that_are_silent_go_in_the_end() {
    let _turn = turn();
    for times in [1, 2, 6, 20] {
        let tiny = Cache::builder().window(Duration::from_millis(1000)).tiny(2).build().unwrap();
        for (cache, repeaters) in [(tiny, 1), (cache(1024), 512)] {
            let mut messages = Messages { next: 0 };
            let live = messages.take(repeaters);
            for _ in 0..times {
                for &message in &live {
                    let _ = cache.check_at(message, now());
                }
            }
            // What is pending near a thread counts as a touch.
            let mut drained = 0;
            cache.drain(|summary| drained += summary.suppressed);
            let flood = 400 * cache.stats().capacity;
            emit_all(&cache, &messages.take(flood));
            let left = suppressed(&cache, &live);
            println!("{repeaters} said {times} times: {left} are left after {flood} others");
            assert_eq!(left, 0, "{repeaters} said {times} times, after {flood} others");
            cache.drain(|summary| drained += summary.suppressed);
            assert_eq!(drained, (times - 1) * repeaters as u64);
        }
    }
}

/// A message that repeats and is looked at now and then stays, whatever the windows of the
/// rules that the flood is under.
#[test]
fn repeaters_survive_floods_under_any_rule() {
    let _turn = turn();
    for rule in [Rule::once(), Rule::first(2).unwrap()] {
        for window in [Duration::from_millis(1), Duration::from_secs(3600)] {
            let rule = rule.window(window).unwrap();
            let cache = cache(2048);
            let mut messages = Messages { next: 0 };
            let repeaters = messages.take(512);
            emit_all(&cache, &repeaters);
            let mut lost = 0;
            for _ in 0..16 {
                lost += repeaters.len() - suppressed(&cache, &repeaters);
                for message in messages.take(1024) {
                    assert!(cache.check_with_at(message, now(), &rule, || None).is_emit());
                }
            }
            println!("{rule:?}: {lost} of {} looks found nothing", 16 * repeaters.len());
            assert_eq!(lost, 0, "{rule:?}");
        }
    }
}

/// Calls that no entry is made for do not keep the others from ageing.
#[test]
fn exempt_calls_between_messages_change_nothing() {
    let _turn = turn();
    let cache = cache(1024);
    let (mut looks, mut lost) = (0, 0);
    // One more, so that of all calls an emission is never the sixty-fourth.
    cache.count_exempt();
    for n in 0..40_000 {
        cache.count_exempt();
        let _ = cache.check_at(fingerprint(n), now());
        if n % 64 == 0 && n >= 4096 {
            looks += 1;
            if cache.check_at(fingerprint(n - 300), now()).is_emit() {
                lost += 1;
                cache.count_exempt();
            }
        }
    }
    assert!(lost * 100 <= looks, "{lost} of {looks} are lost");
}

/// So does what was never suppressed: nearly all of it, after `max_entries` others or a
/// half of that. But where every other message repeats, those that did are in the way of
/// those that will.
#[test]
fn a_short_pause_is_survived_by_most() {
    let _turn = turn();
    for size in [1024, 2049, 5001] {
        // One in so many is looked at after the pause, and is protected from then on.
        for (one_in, pause, allowed) in [(64, size, 8), (64, size / 2, 2), (2, size / 2, 20)] {
            let cache = cache(size);
            let (mut looks, mut lost) = (0, 0);
            for n in 0..40 * size {
                let _ = cache.check_at(fingerprint(n as u64), now());
                if n % one_in == 0 && n >= 4 * size {
                    looks += 1;
                    lost +=
                        u64::from(cache.check_at(fingerprint((n - pause) as u64), now()).is_emit());
                }
            }
            println!(
                "{size} entries, one in {one_in} looked at after {pause} others: {lost} of {looks} are lost"
            );
            assert!(
                lost * 1000 <= allowed * looks,
                "{size} entries, one in {one_in}, {pause}: {lost} of {looks}"
            );
        }
    }
}

/// Whoever takes what is pending near a thread says that it was touched.
#[test]
fn a_drain_forgets_no_hot_message() {
    let _turn = turn();
    let cache = cache(1024);
    let mut messages = Messages { next: 0 };
    let hot = messages.take(16);
    emit_all(&cache, &hot);
    for _ in 0..10 {
        assert_eq!(suppressed(&cache, &hot), 16);
    }
    let mut drained = 0;
    for round in 0..1000 {
        emit_all(&cache, &messages.take(400));
        assert_eq!(suppressed(&cache, &hot), 16, "round {round}");
        cache.drain(|summary| drained += summary.suppressed);
    }
    assert_eq!(drained, 1010 * 16);
}

/// Expired entries make room first: in-window messages are not crowded out.
#[test]
fn expired_repeaters_make_room() {
    let _turn = turn();
    let cache = cache(1024);
    let mut messages = Messages { next: 0 };
    let (old, new) = (messages.take(512), messages.take(512));
    let past = Tick::from_millis(1000);
    for &message in old.iter().chain(&old) {
        let _ = cache.check_at(message, past);
    }
    emit_all(&cache, &messages.take(1));
    emit_all(&cache, &new);
    emit_all(&cache, &messages.take(511));
    assert_eq!(suppressed(&cache, &new), 512);
    assert_eq!(cache.stats().forgotten, 0);
    emit_all(&cache, &messages.take(16 * 1024));
    // Those that went have left their counts.
    let mut counts = 0;
    cache.drain(|summary| counts += summary.suppressed);
    assert_eq!(counts, 1024);
    assert_eq!(suppressed(&cache, &old), 0);
}

/// A clock far ahead evicts nothing uncounted.
#[test]
fn a_far_future_evicts_what_it_counts() {
    let _turn = turn();
    let cache = cache(1024);
    let mut messages = Messages { next: 0 };
    let live = messages.take(1024);
    emit_all(&cache, &live);
    for n in 0..20_000 {
        let ahead = if n % 2 == 0 { Tick::from_millis(1 << 40) } else { now() };
        assert!(cache.check_at(messages.next(), ahead).is_emit());
    }
    let lost = live.len() - suppressed(&cache, &live);
    let Stats { forgotten, failed_open, .. } = cache.stats();
    println!("{lost} lost, {forgotten} forgotten");
    assert!(lost > 0 && forgotten >= lost as u64, "{lost} lost, {forgotten} forgotten");
    assert_eq!(failed_open, 0);
}

const KEYS: usize = 16;

/// The number of times that each new message is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    Unique,
    Twice,
}

#[derive(Debug, Default)]
struct Outcome {
    emissions: u64,
    touches: u64,
    failed_open: u64,
    forgotten: u64,
}

/// Sixteen keys, each touched once in 250 to 500 other calls of a thread, half of them born
/// before the flood. As many threads that only spin are beside as there are cores. A window
/// never ends.
fn flood(kind: Flood, threads: u64, messages: u64) -> Outcome {
    let cache =
        Cache::builder().max_entries(1024).window(Duration::from_secs(3600)).build().unwrap();
    let keys: Vec<Fingerprint> = (0..KEYS as u64).map(|n| fingerprint(1 << 60 | n)).collect();
    let (emissions, touches) = (AtomicU64::new(0), AtomicU64::new(0));
    let touch = |key: usize, now| {
        touches.fetch_add(1, Ordering::Relaxed);
        emissions.fetch_add(cache.check_at(keys[key], now).is_emit().into(), Ordering::Relaxed);
    };
    (0..KEYS / 2).for_each(|key| touch(key, now()));
    let (barrier, over) = (Barrier::new(threads as usize), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        let floods: Vec<_> = (0..threads)
            .map(|thread| {
                let (cache, touch, barrier) = (&cache, &touch, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let (mut key, mut next) = (thread as usize, 20);
                    let mut calls = 0;
                    for n in 0..messages {
                        // A hundred calls in a millisecond.
                        let now = Tick::from_millis(now().as_millis() + calls / 100);
                        let new = fingerprint((thread + 1) << 40 | n);
                        assert!(cache.check_at(new, now).is_emit(), "a new message");
                        calls += 1;
                        if kind == Flood::Twice {
                            // Seldom forgotten in between; but another thread may make
                            // hundreds meanwhile.
                            let _ = cache.check_at(new, now);
                            calls += 1;
                        }
                        if calls >= next {
                            touch(key % KEYS, now);
                            key += 1;
                            next += 16 + n % 15;
                        }
                    }
                })
            })
            .collect();
        floods.into_iter().for_each(|flood| flood.join().unwrap());
        over.store(true, Ordering::Relaxed);
    });
    let Stats { failed_open, forgotten, .. } = cache.stats();
    let (emissions, touches) = (emissions.into_inner(), touches.into_inner());
    Outcome { emissions, touches, failed_open, forgotten }
}

fn floods(kind: Flood) {
    let _turn = turn();
    for threads in [1, 2, 8, 64] {
        let messages = match std::env::var("QUELL_RETENTION") {
            Ok(messages) => messages.parse().expect("QUELL_RETENTION must be a number"),
            Err(_) => 400_000 / threads,
        };
        let began = Instant::now();
        let outcome = flood(kind, threads, messages);
        println!("{kind:?}, {threads} threads x {messages}, {:.1?}: {outcome:?}", began.elapsed());
        assert_eq!(outcome.failed_open, 0, "{threads} threads: {outcome:?}");
        assert!(
            outcome.forgotten > messages / 2 && outcome.touches > messages / 50,
            "no flood: {outcome:?}"
        );
        // One more for a thread that loses its core for long between two touches.
        let range = KEYS as u64..=KEYS as u64 + 1;
        assert!(
            range.contains(&outcome.emissions),
            "{threads} threads, not in {range:?}: {outcome:?}"
        );
    }
}

#[test]
fn keys_outlive_floods_of_unique_messages() {
    floods(Flood::Unique);
}

/// Each of these has repeated, too, as far as the table can tell.
#[test]
fn keys_outlive_floods_of_messages_said_twice() {
    floods(Flood::Twice);
}
