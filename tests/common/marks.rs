//! A thread marks an entry near itself while another emits it again, or evicts it: at rest
//! no mark may say what the table does not.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(unreachable_pub)]

use quell::{Cache, CacheBuilder, Decision, Fingerprint, Tick};
use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const WINDOW: u64 = 100;
const KEYS: u64 = 4;

/// The fate of an entry while it is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    Emitted,
    Evicted,
}

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn fp(n: u64) -> Fingerprint {
    Fingerprint::from_u128(
        (u128::from(n) + 1).wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9_7f4a_7c15),
    )
}

/// A step that two threads take together.
#[derive(Default)]
struct Step(AtomicU64);

impl Step {
    fn wait_for(&self, step: u64) {
        let mut spins = 0u32;
        while self.0.load(Ordering::Acquire) < step {
            spins += 1;
            if spins % 256 == 0 { thread::yield_now() } else { hint::spin_loop() }
        }
    }

    fn take(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Rounds in which the entry was emitted again.
    pub rounds: u64,
    /// Those of them in which nobody was told that suppression starts, or it was said
    /// twice.
    pub wrong: u64,
}

/// The two meet at another point of their calls each time.
fn dawdle(round: u64, bits: u32) {
    for _ in 0..round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits) {
        hint::spin_loop();
    }
}

/// Races for so many rounds.
pub fn race_for_marks(
    meanwhile: Meanwhile,
    rounds: u64,
    configure: impl Fn(CacheBuilder) -> CacheBuilder,
) -> Marked {
    let builder = Cache::builder().window(Duration::from_millis(WINDOW)).tiny(2);
    let cache = configure(builder).build().unwrap();
    // Said often enough to be admitted near the thread: from then on its first call of a
    // window is marked.
    let repeat = || (0..64 * KEYS).for_each(|n| _ = cache.check_at(fp(n % KEYS), at(0)));
    let is_first = |fingerprint, now| {
        cache.check_at(fingerprint, at(now)) == Decision::Suppress { first: true }
    };
    let (warm, ready, done) = (Step::default(), Step::default(), Step::default());
    let told = AtomicU64::new(0);
    let mut marked = Marked::default();
    thread::scope(|scope| {
        let (repeat, is_first, warm, ready, done, told) =
            (&repeat, &is_first, &warm, &ready, &done, &told);
        // Marks in the race; is asked again at rest.
        scope.spawn(move || {
            repeat();
            warm.take();
            for round in 0..rounds {
                let (key, base) = (fp(round % KEYS), (round + 1) * 10 * WINDOW);
                ready.wait_for(2 * round + 1);
                dawdle(round, 6);
                let early = is_first(key, base + WINDOW / 2);
                done.take();
                ready.wait_for(2 * round + 2);
                // Just before a mark from before would be too old.
                let late = is_first(key, base + WINDOW - 1);
                told.store(u64::from(early) << 1 | u64::from(late), Ordering::Relaxed);
                done.take();
            }
        });
        warm.wait_for(1);
        repeat();
        for round in 0..rounds {
            let (key, base) = (fp(round % KEYS), (round + 1) * 10 * WINDOW);
            let new = |n| fp(1000 + round * 1000 + n);
            for _ in 0..6 {
                let _ = cache.check_at(key, at(base));
            }
            // Pending counts spare an entry.
            cache.drain(|_| {});
            ready.take();
            dawdle(round + 1, 7);
            let emitted = match meanwhile {
                Meanwhile::Emitted => cache.check_at(key, at(base + WINDOW)).is_emit(),
                // Many times the slots: the entry has repeated.
                Meanwhile::Evicted => {
                    (0..200).all(|n| cache.check_at(new(n), at(base + WINDOW / 2)).is_emit())
                }
            };
            done.wait_for(2 * round + 1);
            let emitted = match meanwhile {
                Meanwhile::Emitted => emitted,
                Meanwhile::Evicted => cache.check_at(key, at(base + WINDOW / 2)).is_emit(),
            };
            ready.take();
            done.wait_for(2 * round + 2);
            let told = told.load(Ordering::Relaxed);
            let expected = match meanwhile {
                // Either call, if it came after the emission; the last one at rest.
                Meanwhile::Emitted => told.count_ones() == 1,
                Meanwhile::Evicted => told & 1 == 1,
            };
            marked.rounds += u64::from(emitted);
            marked.wrong += u64::from(emitted && !expected);
        }
    });
    marked
}
