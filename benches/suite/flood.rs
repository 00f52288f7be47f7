//! The number of calls of a flood of unique messages that quell lets through without a
//! trace.

use super::common::Contender;
use super::common::quell::Quell;
use super::common::report::Flood;
use super::common::threads::{Start, pin};
use super::common::workloads::mix;
use super::options::Options;

const CALLS: u64 = 4_000_000;

/// Calls that failed open in one flood.
fn flood(max_entries: usize, threads: u64) -> u64 {
    let quell = &Quell::new(max_entries, 60_000);
    let start = &Start::of(threads);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                pin(thread);
                start.wait();
                for i in 0..CALLS / threads {
                    let emitted = quell.check(mix(thread << 40 | i), 0);
                    assert!(emitted, "a message seen for the first time is never suppressed");
                }
            });
        }
    });
    quell.failed_open()
}

pub(crate) fn measure(options: &Options) -> Vec<Flood> {
    let rounds = if options.quick { 1 } else { 7 };
    println!(
        "\nshare of calls that failed open in a flood of {CALLS} unique messages (medians of {rounds} rounds)"
    );
    let threads = [1, 2, 4, 8, 64];
    print!("{:20}", "");
    threads.iter().for_each(|threads| print!("{:>12}", format!("{threads} thread(s)")));
    println!();
    let mut found = Vec::new();
    for max_entries in [1024, 65_536] {
        print!("  {:18}", format!("{max_entries} entries"));
        for threads in threads {
            let mut failed: Vec<u64> = (0..rounds).map(|_| flood(max_entries, threads)).collect();
            failed.sort_unstable();
            let failed_open = failed[rounds / 2];
            print!("{:>10.4} %", 100.0 * failed_open as f64 / CALLS as f64);
            found.push(Flood { max_entries, threads, calls: CALLS, failed_open });
        }
        println!();
    }
    found
}
