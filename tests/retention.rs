//! What a cache remembers: as many messages as it was built for, known repeaters through a
//! flood, and a hot one for ever.

mod common;

use quell::{Cache, Decision, Fingerprint, Monotonic, Reclaim, Rule, Stats, Tick};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

on_each_backend! {
    as_many_as_promised_are_remembered,
    as_many_as_promised_are_remembered_after_a_flood,
    a_hot_message_is_emitted_once_a_window_through_a_flood,
    one_thread_never_fails_open,
    repeaters_that_pause_survive_a_flood,
    repeaters_survive_a_flood_under_rules_of_any_window,
    a_pause_of_less_than_a_generation_is_survived_by_all,
    expired_repeaters_make_room,
}

/// Rotation waits for pinned threads, so those of other tests would be in the way.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

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

fn cache<R: Reclaim>(max_entries: usize) -> Cache<Monotonic, R> {
    Cache::builder().max_entries(max_entries).window(Duration::from_millis(1000)).reclaim().build().unwrap()
}

fn now() -> Tick {
    Tick::from_millis(5000)
}

fn emit_all<R: Reclaim>(cache: &Cache<Monotonic, R>, messages: &[Fingerprint]) {
    for &message in messages {
        assert_eq!(cache.check_at(message, now()), Decision::Emit { suppressed: 0 });
    }
}

fn suppressed<R: Reclaim>(cache: &Cache<Monotonic, R>, messages: &[Fingerprint]) -> usize {
    messages.iter().filter(|&&message| !cache.check_at(message, now()).is_emit()).count()
}

fn as_many_as_promised_are_remembered<R: Reclaim>() {
    let _alone = alone();
    for size in SIZES.into_iter().chain([16_384, 20_011, 65_536]) {
        let cache = cache::<R>(size);
        let live = Messages { next: 0 }.take(size);
        emit_all(&cache, &live);
        for _ in 0..3 {
            assert_eq!(suppressed(&cache, &live), size);
        }
        let Stats { emitted, failed_open, forgotten, entries, .. } = cache.stats();
        assert_eq!((emitted, failed_open, forgotten, entries), (size as u64, 0, 0, size));
    }
}

/// The same from any point of a generation, and with a number of other messages between
/// two looks at each that the promise allows for.
fn as_many_as_promised_are_remembered_after_a_flood<R: Reclaim>() {
    let _alone = alone();
    for size in SIZES {
        let generation = size.max(2048);
        for flood in [1, generation / 2, generation - 1, generation, 3 * generation + generation / 3] {
            let cache = cache::<R>(size);
            let mut messages = Messages { next: 0 };
            emit_all(&cache, &messages.take(flood));
            let live = messages.take(size);
            emit_all(&cache, &live);
            assert_eq!(suppressed(&cache, &live), size, "{size} after {flood}");
            // Half are looked at while as many new ones come as make up the promise.
            let half = &live[..size / 2];
            for _ in 0..2 {
                emit_all(&cache, &messages.take(size - half.len()));
                assert_eq!(suppressed(&cache, half), half.len(), "{size} after {flood}");
            }
            assert_eq!(cache.stats().failed_open, 0);
        }
    }
}

fn a_hot_message_is_emitted_once_a_window_through_a_flood<R: Reclaim>() {
    let _alone = alone();
    for size in [1024usize, 2048, 5001] {
        let mut messages = Messages { next: 0 };
        let cache = cache::<R>(size);
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
                assert_eq!(decision.is_emit(), !fresh, "touch {touch} of a hot message, {size} entries");
                if let Decision::Emit { suppressed } = decision {
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
        assert!(cache.stats().rotations >= 10);
        assert_eq!(cache.stats().failed_open, 0);
    }
}

fn one_thread_never_fails_open<R: Reclaim>() {
    let _alone = alone();
    for size in [1, 1024, 5003] {
        let cache = cache::<R>(size);
        let mut messages = Messages { next: 0 };
        let flood = 30 * size.max(2048);
        emit_all(&cache, &messages.take(flood));
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.failed_open), (flood as u64, 0));
        assert!((28..=30).contains(&stats.rotations), "as many as there are generations: {stats:?}");
        assert!(stats.entries <= stats.capacity);
    }
}

/// Messages that were suppressed at least once are handed over, up to a quarter of a
/// generation.
fn repeaters_that_pause_survive_a_flood<R: Reclaim>() {
    let _alone = alone();
    for size in [1024, 2048, 5000] {
        let quarter = size.max(2048) / 4;
        let cache = cache::<R>(size);
        let mut messages = Messages { next: 0 };
        emit_all(&cache, &messages.take(size / 3));
        let repeaters = messages.take(quarter);
        emit_all(&cache, &repeaters);
        assert_eq!(suppressed(&cache, &repeaters), quarter);
        emit_all(&cache, &messages.take(8 * size.max(2048)));
        assert!(cache.stats().rotations >= 8);
        assert_eq!(suppressed(&cache, &repeaters), quarter, "{size} entries");
        // With all they had been counted for, and nobody told twice.
        let mut sum = 0;
        cache.drain(|summary| {
            assert!(repeaters.contains(&summary.fingerprint.unwrap()));
            sum += summary.suppressed;
        });
        assert_eq!(sum, 2 * quarter as u64);
        assert_eq!(cache.stats().failed_open, 0);
    }
}

/// What is handed over does not depend on the windows of the rules that the flood is under.
fn repeaters_survive_a_flood_under_rules_of_any_window<R: Reclaim>() {
    let _alone = alone();
    for rule in [Rule::once(), Rule::first(2).unwrap()] {
        for window in [Duration::from_millis(1), Duration::from_secs(3600)] {
            let rule = rule.window(window).unwrap();
            let cache = cache::<R>(2048);
            let mut messages = Messages { next: 0 };
            let (old, repeaters) = (messages.take(512), messages.take(512));
            // Suppressed, in the window of the long rule, not in the cache's.
            for &message in old.iter().chain(&old) {
                let _ = cache.check_at(message, Tick::from_millis(1000));
            }
            let at = |millis| Tick::from_millis(now().as_millis() + millis);
            for &message in repeaters.iter().chain(&repeaters) {
                let _ = cache.check_at(message, now());
            }
            for message in messages.take(8 * 2048) {
                assert!(cache.check_rule(message, at(500), &rule).is_emit());
            }
            let known = |message: &&Fingerprint| !cache.check_at(**message, at(500)).is_emit();
            assert_eq!(repeaters.iter().filter(known).count(), 512, "{rule:?}");
        }
    }
}

/// More than a quarter, and never suppressed: what the promise is about.
fn a_pause_of_less_than_a_generation_is_survived_by_all<R: Reclaim>() {
    let _alone = alone();
    for size in [1024, 2049, 5001] {
        let cache = cache::<R>(size);
        let mut messages = Messages { next: 0 };
        for _ in 0..5 {
            let live = messages.take(size / 2);
            emit_all(&cache, &live);
            emit_all(&cache, &messages.take(size - live.len()));
            assert_eq!(suppressed(&cache, &live), live.len());
            emit_all(&cache, &messages.take(size - live.len()));
            assert_eq!(suppressed(&cache, &live), live.len());
        }
    }
}

/// What has expired is not handed over: in-window messages are not crowded out.
fn expired_repeaters_make_room<R: Reclaim>() {
    let _alone = alone();
    let cache = cache::<R>(1024);
    let mut messages = Messages { next: 0 };
    let (old, new) = (messages.take(512), messages.take(512));
    let past = Tick::from_millis(1000);
    for &message in old.iter().chain(&old) {
        let _ = cache.check_at(message, past);
    }
    emit_all(&cache, &new);
    assert_eq!(suppressed(&cache, &new), 512);
    emit_all(&cache, &messages.take(8 * 2048));
    assert_eq!(suppressed(&cache, &new), 512);
    // The old were forgotten, and their counts kept.
    let mut of_old = 0;
    cache.drain(|summary| match summary.fingerprint {
        Some(message) if new.contains(&message) => assert_eq!(summary.suppressed, 2),
        _ => of_old += summary.suppressed,
    });
    assert_eq!(of_old, 512);
    assert_eq!(suppressed(&cache, &old), 0);
}
