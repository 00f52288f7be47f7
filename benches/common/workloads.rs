//! Streams of calls, the same for each contender.

use super::Contender;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// A stream of calls; each thread has its own, or its own place in a common one.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) max_entries: usize,
    /// The window in milliseconds, as the ticks.
    pub(crate) window: u64,
    keys: Keys,
    /// The tick moves on after so many calls of a thread,
    calls_per_tick: u64,
    /// by so much.
    tick_step: u64,
    /// The number of calls that all threads together make in a round.
    pub(crate) calls: u64,
    /// The number of calls that one thread makes first. From then on each round is like the
    /// one before.
    pub(crate) warm_up: u64,
    /// The rule that the number of emissions follows.
    pub(crate) emissions: Emissions,
}

enum Keys {
    Stream(Vec<u128>),
    /// Every call another key.
    Unique,
    /// A stream in which every 20th key is new.
    Mixed(Vec<u128>),
}

/// The degree to which a workload implies the number of emissions of an exact contender.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emissions {
    /// Exactly, however the threads' calls fall.
    Implied,
    /// Exactly for one thread. A thread that is behind has others' emissions in its
    /// future, so several threads emit at most as many as if they kept in step.
    InStep,
    /// As a lower bound, since the keys of a window do not fit.
    Overfull,
}

/// A fingerprint as good as hashed.
#[inline]
pub(crate) fn mix(x: u64) -> u128 {
    let a = (x ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ a >> 31).wrapping_mul(0x94d0_49bb_1331_11eb);
    // Namespace 0, as of a hasher. The halves must not overlap: some maps go by the topmost
    // bits of the lower one.
    u128::from((a ^ a >> 29) >> 16) << 64 | u128::from(b ^ b >> 32)
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

const STILL: u64 = u64::MAX;

impl Workload {
    pub(crate) const NAMES: [&str; 7] =
        ["hot1", "hot64", "zipf", "unique", "mixed", "rollover", "bigzipf"];

    pub(crate) fn named(name: &str) -> Option<Self> {
        let still = Self {
            name: "",
            about: "",
            max_entries: 1024,
            window: 60_000,
            keys: Keys::Unique,
            calls_per_tick: STILL,
            tick_step: 0,
            calls: 4_000_000,
            warm_up: 64_000,
            emissions: Emissions::Implied,
        };
        let hot = |keys: u64| Keys::Stream((0..64).map(|i| mix(i % keys)).collect());
        Some(match name {
            "hot1" => {
                Self { name: "hot1", about: "one key, all suppressed", keys: hot(1), ..still }
            }
            "hot64" => {
                Self { name: "hot64", about: "64 keys, all suppressed", keys: hot(64), ..still }
            }
            "zipf" => Self {
                name: "zipf",
                // In a window of 1,000,000 calls.
                about: "10,000 keys, 1 % emitted at 1 thread",
                max_entries: 16_384,
                window: 1000,
                keys: Keys::Stream(zipf(10_000, 1 << 18)),
                calls_per_tick: 1000,
                tick_step: 1,
                calls: 4_000_000,
                warm_up: 1_280_000,
                emissions: Emissions::InStep,
            },
            "unique" => Self { name: "unique", about: "every call new", calls: 2_000_000, ..still },
            "mixed" => Self {
                name: "mixed",
                about: "95 % zipf, 5 % new",
                max_entries: 16_384,
                window: 1000,
                keys: Keys::Mixed(zipf(10_000, 1 << 18)),
                calls_per_tick: 1000,
                tick_step: 1,
                calls: 2_000_000,
                warm_up: 1_280_000,
                emissions: Emissions::Overfull,
            },
            "rollover" => Self {
                name: "rollover",
                // Each key's window has ended when it comes round. Each tick has each key
                // in each thread, so the first thread that arrives emits it, and no other.
                about: "64 keys, windows end all the time",
                window: 10,
                keys: hot(64),
                calls_per_tick: 64,
                tick_step: 10,
                calls: 4_096_000,
                ..still
            },
            "bigzipf" => Self {
                name: "bigzipf",
                about: "1,000,000 keys, out of cache",
                max_entries: 1 << 20,
                keys: Keys::Stream(zipf(1_000_000, 1 << 22)),
                calls: 2_000_000,
                // The whole stream.
                warm_up: 1 << 22,
                ..still
            },
            _ => return None,
        })
    }

    /// Returns whether all calls are on a few keys.
    pub(crate) fn has_few_keys(&self) -> bool {
        matches!(&self.keys, Keys::Stream(keys) if keys.len() <= 64)
    }

    /// Makes `calls` calls as thread number `thread`, from call number `from` on;
    /// returns how many were to emit.
    #[inline]
    pub(crate) fn run(
        &self,
        contender: &(impl Contender + ?Sized),
        thread: u64,
        from: u64,
        calls: u64,
    ) -> u64 {
        let mut emitted = 0;
        match &self.keys {
            Keys::Stream(keys) => {
                let mut at = Self::place(keys, thread, from);
                self.ticks(from, calls, |_, now| {
                    emitted += u64::from(contender.check(keys[at], now));
                    at += 1;
                    if at == keys.len() {
                        at = 0;
                    }
                });
            }
            Keys::Unique => self.ticks(from, calls, |i, now| {
                emitted += u64::from(contender.check(new(thread, i), now));
            }),
            Keys::Mixed(keys) => {
                let mut at = Self::place(keys, thread, from);
                self.ticks(from, calls, |i, now| {
                    let key = if i % 20 == 0 { new(thread, i) } else { keys[at] };
                    emitted += u64::from(contender.check(key, now));
                    at += 1;
                    if at == keys.len() {
                        at = 0;
                    }
                });
            }
        }
        emitted
    }

    /// Gives `call` the calls of all threads in step: a key, whether it is new for certain,
    /// and the time. Returns at once if none of them can be the first of its window.
    pub(crate) fn in_step(
        &self,
        threads: u64,
        from: u64,
        calls: u64,
        mut call: impl FnMut(u128, bool, u64),
    ) {
        let keys: &[u128] = match &self.keys {
            Keys::Stream(keys) if self.calls_per_tick == STILL && from >= keys.len() as u64 => {
                return;
            }
            Keys::Stream(keys) | Keys::Mixed(keys) => keys,
            Keys::Unique => &[],
        };
        self.ticks(from, calls, |i, now| {
            for thread in 0..threads {
                match self.keys {
                    Keys::Mixed(_) if i % 20 != 0 => {
                        call(keys[Self::place(keys, thread, i)], false, now)
                    }
                    Keys::Stream(_) => call(keys[Self::place(keys, thread, i)], false, now),
                    _ => call(new(thread, i), true, now),
                }
            }
        });
    }

    /// Each thread is somewhere else in the same stream, however many there are.
    #[inline]
    fn place(keys: &[u128], thread: u64, from: u64) -> usize {
        let len = keys.len() as u64;
        let apart = (len as f64 * 0.618) as u64;
        ((from + thread * apart) % len) as usize
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

/// A key that no other call has.
#[inline]
fn new(thread: u64, i: u64) -> u128 {
    mix(1 << 60 | thread << 48 | i)
}
