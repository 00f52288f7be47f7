//! Contenders and workloads that the benches share.
#![allow(dead_code)]

use quell::{Cache, Fingerprint, Reclaim, Tick};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Something that decides whether to emit.
///
/// Each `check` is `inline(always)`: left to the compiler, the floors became part of the loop and
/// all others were called.
pub(crate) trait Contender: Sync {
    fn check(&self, key: u128, now: u64) -> bool;
}

impl<R: Reclaim> Contender for Cache<quell::Monotonic, R> {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        self.check_at(Fingerprint::from_u128(key), Tick::from_millis(now)).is_emit()
    }
}

/// The same under a rule.
pub(crate) struct Ruled<R>(pub(crate) Cache<quell::Monotonic, R>, pub(crate) quell::Rule);

impl<R: Reclaim> Contender for Ruled<R> {
    #[inline]
    fn check(&self, key: u128, now: u64) -> bool {
        self.0.check_rule(Fingerprint::from_u128(key), Tick::from_millis(now), &self.1).is_emit()
    }
}

/// A direct-mapped array of keys and stamps: what the memory system allows. It
/// resolves no collision, evicts by overwriting and is not exact.
pub(crate) struct Floor<const COUNTED: bool> {
    slots: Box<[(AtomicU64, AtomicU64)]>,
    counts: Box<[AtomicU64]>,
    window: u64,
}

impl<const COUNTED: bool> Floor<COUNTED> {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        let len = (2 * max_entries).next_power_of_two();
        let counts = if COUNTED { len } else { 0 };
        Self {
            slots: (0..len).map(|_| Default::default()).collect(),
            counts: (0..counts).map(|_| Default::default()).collect(),
            window,
        }
    }
}

impl<const COUNTED: bool> Contender for Floor<COUNTED> {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        let index = (key >> 64) as usize & (self.slots.len() - 1);
        let key = key as u64 | 1;
        let (slot_key, stamp) = &self.slots[index];
        let now = now + 1;
        if slot_key.load(Ordering::Acquire) == key {
            let seen = stamp.load(Ordering::Acquire);
            if now.saturating_sub(seen) < self.window {
                if COUNTED {
                    self.counts[index].fetch_add(1, Ordering::Relaxed);
                }
                return false;
            }
            return stamp.compare_exchange(seen, now, Ordering::AcqRel, Ordering::Acquire).is_ok();
        }
        slot_key.store(key, Ordering::Release);
        stamp.store(now, Ordering::Release);
        true
    }
}

/// The keys are hashes already: none of the maps need pay for another one.
#[derive(Default, Clone)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u128")
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type State = BuildHasherDefault<AsItIs>;

/// What most programs do first. Stops tracking when full, like most.
pub(crate) struct MutexMap {
    map: Mutex<HashMap<u128, u64, State>>,
    max_entries: usize,
    window: u64,
}

impl MutexMap {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        Self { map: Mutex::new(HashMap::with_capacity_and_hasher(max_entries, State::default())), max_entries, window }
    }
}

impl Contender for MutexMap {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        let mut map = self.map.lock().unwrap();
        if let Some(last) = map.get_mut(&key) {
            if now.saturating_sub(*last) < self.window {
                return false;
            }
            *last = now;
        } else if map.len() < self.max_entries {
            map.insert(key, now);
        }
        true
    }
}

/// A well-kept concurrent map, used as one would. Stops tracking when full.
pub(crate) struct DashMap {
    map: dashmap::DashMap<u128, u64, State>,
    max_entries: usize,
    window: u64,
}

impl DashMap {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        Self { map: dashmap::DashMap::with_capacity_and_hasher(max_entries, State::default()), max_entries, window }
    }
}

impl Contender for DashMap {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        if let Some(last) = self.map.get(&key) {
            if now.saturating_sub(*last) < self.window {
                return false;
            }
        }
        let mut emit = true;
        if self.map.len() < self.max_entries || self.map.contains_key(&key) {
            let mut last = self.map.entry(key).or_insert(now.wrapping_sub(self.window));
            emit = now.saturating_sub(*last) >= self.window || *last > now;
            if emit {
                *last = now;
            }
        }
        emit
    }
}

/// Another well-kept concurrent map, lock-free for readers. Stops tracking when full.
pub(crate) struct Papaya {
    map: papaya::HashMap<u128, AtomicU64, State>,
    max_entries: usize,
    window: u64,
}

impl Papaya {
    pub(crate) fn new(max_entries: usize, window: u64) -> Self {
        Self { map: papaya::HashMap::with_capacity_and_hasher(max_entries, State::default()), max_entries, window }
    }
}

impl Contender for Papaya {
    #[inline(always)]
    fn check(&self, key: u128, now: u64) -> bool {
        let map = self.map.pin();
        if let Some(last) = map.get(&key) {
            let seen = last.load(Ordering::Acquire);
            return now.saturating_sub(seen) >= self.window
                && last.compare_exchange(seen, now, Ordering::AcqRel, Ordering::Acquire).is_ok();
        }
        if map.len() >= self.max_entries {
            return true;
        }
        map.try_insert(key, AtomicU64::new(now)).is_ok()
    }
}

/// A stream of calls, the same for each contender; each thread has its own.
#[derive(Clone)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) max_entries: usize,
    pub(crate) window: u64,
    keys: Keys,
    /// The tick moves on after so many calls.
    calls_per_tick: u64,
    /// by so much.
    tick_step: u64,
}

#[derive(Clone)]
enum Keys {
    Stream(Vec<u128>),
    /// Every call another key.
    Unique,
    /// A stream in which every 20th key is new.
    Mixed(Vec<u128>),
}

/// A fingerprint as good as hashed.
#[inline]
pub(crate) fn mix(x: u64) -> u128 {
    let a = (x ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ a >> 31).wrapping_mul(0x94d0_49bb_1331_11eb);
    // Namespace 0, as of a hasher.
    u128::from(a ^ a >> 29) << 64 >> 16 | u128::from(b ^ b >> 32)
}

fn zipf(keys: usize, len: usize) -> Vec<u128> {
    let mut sum = 0.0;
    let cdf: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    let mut rng = SmallRng::seed_from_u64(7);
    (0..len)
        .map(|_| {
            let point = rng.random::<f64>() * sum;
            mix(cdf.partition_point(|&c| c < point) as u64)
        })
        .collect()
}

impl Workload {
    pub(crate) fn all() -> Vec<Workload> {
        let still = u64::MAX;
        let hot = |keys: u64| Keys::Stream((0..64).map(|i| mix(i % keys)).collect());
        vec![
            Workload {
                name: "hot1",
                max_entries: 1024,
                window: 60_000,
                keys: hot(1),
                calls_per_tick: still,
                tick_step: 0,
            },
            Workload {
                name: "hot64",
                max_entries: 1024,
                window: 60_000,
                keys: hot(64),
                calls_per_tick: still,
                tick_step: 0,
            },
            // 10,000 keys in a window of 1,000,000 calls: 1 % emitted.
            Workload {
                name: "zipf",
                max_entries: 16_384,
                window: 1000,
                keys: Keys::Stream(zipf(10_000, 1 << 18)),
                calls_per_tick: 1000,
                tick_step: 1,
            },
            Workload {
                name: "unique",
                max_entries: 1024,
                window: 60_000,
                keys: Keys::Unique,
                calls_per_tick: still,
                tick_step: 0,
            },
            Workload {
                name: "mixed",
                max_entries: 16_384,
                window: 1000,
                keys: Keys::Mixed(zipf(10_000, 1 << 18)),
                calls_per_tick: 1000,
                tick_step: 1,
            },
            // Each key's window has ended when it comes round.
            Workload {
                name: "rollover",
                max_entries: 1024,
                window: 10,
                keys: hot(64),
                calls_per_tick: 64,
                tick_step: 10,
            },
            Workload {
                name: "bigzipf",
                max_entries: 1 << 20,
                window: 60_000,
                keys: Keys::Stream(zipf(1_000_000, 1 << 22)),
                calls_per_tick: still,
                tick_step: 0,
            },
        ]
    }

    /// Makes `calls` calls as thread number `thread`, from call number `from` on;
    /// returns how many were to emit.
    #[inline]
    pub(crate) fn run(&self, contender: &(impl Contender + ?Sized), thread: u64, from: u64, calls: u64) -> u64 {
        let mut emitted = 0;
        match &self.keys {
            Keys::Stream(keys) => {
                // Each thread somewhere else in the same stream.
                let mut at = ((from + thread * (keys.len() as u64 / 2)) % keys.len() as u64) as usize;
                self.ticks(from, calls, |_, now| {
                    emitted += u64::from(contender.check(keys[at], now));
                    at += 1;
                    if at == keys.len() {
                        at = 0;
                    }
                });
            }
            Keys::Unique => self.ticks(from, calls, |i, now| {
                emitted += u64::from(contender.check(mix(thread << 48 | i), now));
            }),
            Keys::Mixed(keys) => self.ticks(from, calls, |i, now| {
                let key = if i % 20 == 0 { mix(1 << 60 | thread << 48 | i) } else { keys[i as usize % keys.len()] };
                emitted += u64::from(contender.check(key, now));
            }),
        }
        emitted
    }

    #[inline]
    fn ticks(&self, from: u64, calls: u64, mut call: impl FnMut(u64, u64)) {
        let mut now = from / self.calls_per_tick * self.tick_step;
        let mut left = self.calls_per_tick - from % self.calls_per_tick;
        for i in from..from + calls {
            call(i, now);
            left -= 1;
            if left == 0 {
                left = self.calls_per_tick;
                now += self.tick_step;
            }
        }
    }
}

pub(crate) fn quell_cache<R: Reclaim>(workload: &Workload) -> Cache<quell::Monotonic, R> {
    Cache::builder()
        .reclaim::<R>()
        .window(Duration::from_millis(workload.window))
        .max_entries(workload.max_entries)
        .build()
        .unwrap()
}

/// Runs `calls` calls on each of `threads` threads at once; returns the wall time
/// from the first start to the last end.
pub(crate) fn run_threads(
    workload: &Workload,
    contender: &(impl Contender + ?Sized),
    threads: u64,
    from: u64,
    calls: u64,
) -> Duration {
    use std::time::Instant;
    if threads == 1 {
        let start = Instant::now();
        std::hint::black_box(workload.run(contender, 0, from, calls));
        return start.elapsed();
    }
    let barrier = std::sync::Barrier::new(threads as usize);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let start = Instant::now();
                    std::hint::black_box(workload.run(contender, thread, from, calls));
                    (start, Instant::now())
                })
            })
            .collect();
        let times: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        let first = times.iter().map(|t| t.0).min().unwrap();
        let last = times.iter().map(|t| t.1).max().unwrap();
        last - first
    })
}
