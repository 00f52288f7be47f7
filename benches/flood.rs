//! What does an endless flood of unique messages do? The share of calls that fail
//! open, the time of the longest call, and what a hot key's calls take meanwhile.

mod common;

use common::{Contender, Floor, mix};
use quell::{Cache, Epoch, Fingerprint, Reclaim, Tick};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CALLS: u64 = 4_000_000;

fn share<R: Reclaim>(name: &str, max_entries: usize) {
    for threads in [1u64, 2, 4, 8] {
        let mut shares: Vec<(f64, u64)> = (0..7)
            .map(|_| {
                let cache = Cache::builder().reclaim::<R>().max_entries(max_entries).build().unwrap();
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        let cache = &cache;
                        scope.spawn(move || {
                            for i in 0..CALLS / threads {
                                let _ = cache.check_at(Fingerprint::from_u128(mix(thread << 40 | i)), Tick::default());
                            }
                        });
                    }
                });
                let stats = cache.stats();
                (100.0 * stats.failed_open as f64 / stats.emitted as f64, stats.rotations)
            })
            .collect();
        shares.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (percent, rotations) = shares[3];
        println!("  {name}, {max_entries} entries, {threads} thread(s): {percent:.2} % ({rotations} rotations)");
    }
}

/// The time of a call on a hot key, at several quantiles, while another thread floods.
fn latency(name: &str, cache: &(impl Contender + ?Sized)) {
    let stop = AtomicBool::new(false);
    let mut times = std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            let mut i = 0;
            while !stop.load(Ordering::Relaxed) {
                cache.check(mix(1 << 50 | i), 0);
                i += 1;
            }
        });
        let times: Vec<Duration> = (0..1_000_000)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(cache.check(mix(7), 0));
                start.elapsed()
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        times
    });
    times.sort();
    let at = |q: f64| times[(times.len() as f64 * q) as usize].as_nanos();
    println!("  {name}: p50 {} p99 {} p99.9 {} p99.99 {} ns", at(0.5), at(0.99), at(0.999), at(0.9999));
}

/// The longest call's time and the quantiles of new keys at a large table.
fn longest<R: Reclaim>(name: &str, max_entries: usize) {
    let cache = Cache::builder().reclaim::<R>().max_entries(max_entries).build().unwrap();
    let mut times: Vec<u64> = (0..6 * max_entries as u64)
        .map(|i| {
            let start = Instant::now();
            let _ = cache.check_at(Fingerprint::from_u128(mix(i)), Tick::default());
            start.elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize];
    println!(
        "  {name}, {max_entries} entries, new keys: p50 {} p99.9 {} p99.99 {} p99.9999 {} max {} ns",
        at(0.5),
        at(0.999),
        at(0.9999),
        at(0.999_999),
        at(1.0)
    );
}

fn main() {
    println!("share of calls that failed open in a flood of {CALLS} unique messages, median of 7");
    for entries in [1024, 65_536] {
        share::<Epoch>("Epoch", entries);
        #[cfg(feature = "seize")]
        share::<quell::Seize>("Seize", entries);
    }
    println!("\na hot key's call during a flood by another thread (with the clock's own time in it)");
    latency("floor", &Floor::<false>::new(1024, 60_000));
    latency("Epoch", &Cache::builder().build().unwrap());
    #[cfg(feature = "seize")]
    latency("Seize", &Cache::builder().reclaim::<quell::Seize>().build().unwrap());
    println!("\nthe time of single calls, 1 thread, page faults and interruptions included");
    longest::<Epoch>("Epoch", 1 << 20);
    longest::<Epoch>("Epoch", 1024);
}
