//! How many times the floor does each contender take? All in one run, taken in turn,
//! medians: a noisy machine hits all alike.
//!
//! `cargo bench --features seize --bench ratios -- [rounds] [milliseconds] [workload ...]`

mod common;

use common::{Contender, DashMap, Floor, MutexMap, Papaya, Ruled, Workload, quell_cache, run_threads};
use quell::Rule;
use std::time::Duration;

struct Entry<'a> {
    name: &'static str,
    run: Box<dyn Fn(u64, u64, u64) -> Duration + 'a>,
    from: u64,
    calls: u64,
    nanos: Vec<f64>,
}

fn entry<'a, C: Contender + 'a>(name: &'static str, workload: &'a Workload, contender: C) -> Entry<'a> {
    let run = Box::new(move |threads, from, calls| run_threads(workload, &contender, threads, from, calls));
    Entry { name, run, from: 0, calls: 1 << 14, nanos: Vec::new() }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let (numbers, names): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.parse::<u64>().is_ok());
    let mut numbers = numbers.iter().filter_map(|arg| arg.parse().ok());
    let rounds = numbers.next().unwrap_or(9);
    let target = Duration::from_millis(numbers.next().unwrap_or(60));
    println!("nanoseconds a call, all threads together, and times the floor; median of {rounds} rounds in turn\n");
    for workload in Workload::all().iter().filter(|w| names.is_empty() || names.iter().any(|name| *name == w.name)) {
        let (entries, window) = (workload.max_entries, workload.window);
        let mut at_one_thread = 0.0;
        for threads in [1, 2] {
            let mut contenders = vec![
                entry("floor", workload, Floor::<false>::new(entries, window)),
                entry("counted floor", workload, Floor::<true>::new(entries, window)),
                entry("quell, Epoch", workload, quell_cache::<quell::Epoch>(workload)),
                #[cfg(feature = "seize")]
                entry("quell, Seize", workload, quell_cache::<quell::Seize>(workload)),
                entry("Mutex<HashMap>", workload, MutexMap::new(entries, window)),
                entry("dashmap", workload, DashMap::new(entries, window)),
                entry("papaya", workload, Papaya::new(entries, window)),
            ];
            if workload.name.starts_with("hot") {
                let ruled = |rule| Ruled(quell_cache::<quell::Epoch>(workload), rule);
                let ceiling = Duration::from_millis(workload.window.saturating_mul(8));
                contenders.push(entry("Epoch, first(3)", workload, ruled(Rule::first(3).unwrap())));
                contenders.push(entry("Epoch, back_off", workload, ruled(Rule::back_off(ceiling).unwrap())));
            }
            // The first round warms up and finds out how many calls take long enough.
            for round in 0..=rounds {
                for contender in &mut contenders {
                    loop {
                        let time = (contender.run)(threads, contender.from, contender.calls);
                        contender.from += contender.calls;
                        if round > 0 {
                            let calls = (contender.calls * threads) as f64;
                            contender.nanos.push(time.as_nanos() as f64 / calls);
                            break;
                        } else if time >= target {
                            break;
                        }
                        contender.calls *= 2;
                    }
                }
            }
            let floors: Vec<f64> = contenders[0].nanos.clone();
            println!("{} at {threads} thread(s)", workload.name);
            for contender in &mut contenders {
                // The ratio within each round, then the median of them.
                let mut ratios: Vec<f64> = contender.nanos.iter().zip(&floors).map(|(n, f)| n / f).collect();
                let nanos = median(&mut contender.nanos);
                print!("  {:16} {nanos:8.2} ns  {:6.2} x", contender.name, median(&mut ratios));
                if contender.name == "quell, Epoch" {
                    if threads == 1 {
                        at_one_thread = nanos;
                    } else {
                        print!("   {:.2} x its throughput at 1 thread", at_one_thread / nanos);
                    }
                }
                println!();
            }
        }
        println!();
    }
}
