//! The time of a call on a hot key while another thread floods with unique messages.

use super::common::Contender;
use super::common::contenders::{self, About, Visitor};
use super::common::report::Latency;
use super::common::rounds::median;
use super::common::threads::{Start, pin};
use super::common::workloads::mix;
use super::options::Options;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const CONTENDERS: [&str; 6] =
    ["floor", "quell", "Mutex<HashMap>", "dashmap", "papaya", "scc HashCache"];

/// The most entries. Those that stop tracking when full get room for all of the flood
/// instead: they are to insert all the time, as the others do.
const ENTRIES: usize = 1024;
const ROOM: usize = 1 << 22;

const QUANTILES: [f64; 4] = [0.5, 0.99, 0.999, 0.9999];

/// Builds a contender, and returns its quantiles over so many calls.
type Round = Box<dyn Fn(usize) -> [f64; 4]>;

struct Entries<'a> {
    options: &'a Options,
    entries: Vec<(&'static str, Round)>,
}

impl Visitor for Entries<'_> {
    fn visit<C: Contender + 'static>(&mut self, about: About, new: fn(usize, u64) -> C) {
        let taken = about.name == "floor" || self.options.takes(about.name);
        if !CONTENDERS.contains(&about.name) || !taken {
            return;
        }
        let stops = ["Mutex<HashMap>", "dashmap", "papaya"].contains(&about.name);
        let max_entries = if stops { ROOM } else { ENTRIES };
        self.entries
            .push((about.name, Box::new(move |calls| round(&new(max_entries, 60_000), calls))));
    }
}

/// The clock alone: how much of the others' time is its own.
struct Clock;

impl Contender for Clock {
    #[inline(always)]
    fn check(&self, _: u128, _: u64) -> bool {
        true
    }
}

fn round(contender: &impl Contender, calls: usize) -> [f64; 4] {
    let hot = mix(7);
    contender.check(hot, 0);
    let (stop, start) = (&AtomicBool::new(false), &Start::of(2));
    let mut times = std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(1);
            start.wait();
            let mut i = 0;
            while !stop.load(Ordering::Relaxed) {
                contender.check(mix(1 << 50 | i), 0);
                i += 1;
            }
        });
        pin(0);
        start.wait();
        let times: Vec<u64> = (0..calls)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(contender.check(hot, 0));
                start.elapsed().as_nanos() as u64
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        times
    });
    times.sort_unstable();
    QUANTILES.map(|quantile| times[(times.len() as f64 * quantile) as usize] as f64)
}

pub(crate) fn measure(options: &Options) -> Vec<Latency> {
    let (rounds, calls) = if options.quick { (7, 100_000) } else { (15, 500_000) };
    let mut entries = Entries { options, entries: Vec::new() };
    entries.entries.push(("the clock alone", Box::new(|calls| round(&Clock, calls))));
    contenders::all(&mut entries);
    let mut found = vec![Vec::new(); entries.entries.len()];
    for _ in 0..rounds {
        for ((_, round), found) in entries.entries.iter().zip(&mut found) {
            found.push(round(calls));
        }
    }
    println!(
        "\na hot key's call while another thread floods, the clock's own time in it, ns (medians of {rounds} rounds)"
    );
    println!("{:20}{:>8}{:>8}{:>8}{:>8}", "", "p50", "p99", "p99.9", "p99.99");
    let latency = |((name, _), found): (&(&'static str, Round), &Vec<[f64; 4]>)| {
        let [p50, p99, p99_9, p99_99] =
            [0, 1, 2, 3].map(|q| median(found.iter().map(|quantiles| quantiles[q])));
        println!("  {name:18}{p50:>8}{p99:>8}{p99_9:>8}{p99_99:>8}");
        Latency { contender: (*name).into(), p50, p99, p99_9, p99_99 }
    };
    entries.entries.iter().zip(&found).map(latency).collect()
}
