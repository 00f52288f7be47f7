//! The benchmark suite: speed by workload and threads, latency, floods, memory, clocks,
//! hashes. All contenders in one run, taken in turn, medians of undisturbed rounds: a noisy
//! machine hits all alike.
//!
//! `cargo bench --bench suite -- --help`, then `cargo bench --bench plots`.

#[path = "suite/clocks.rs"]
mod clocks;
mod common;
#[path = "suite/flood.rs"]
mod flood;
#[path = "suite/hashes.rs"]
mod hashes;
#[path = "suite/heap.rs"]
mod heap;
#[path = "suite/latency.rs"]
mod latency;
#[path = "suite/memory.rs"]
mod memory;
#[path = "suite/options.rs"]
mod options;
#[path = "suite/speed.rs"]
mod speed;

use common::report::{Machine, Report};
use common::workloads::Workload;
use common::{quell, threads};
use options::Options;
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|arg| arg == "--help") {
        println!("{}", options::HELP);
        return ExitCode::SUCCESS;
    }
    match &args[..] {
        [_, first, name, size] if first == memory::FILL => {
            memory::fill_and_tell(name, size.parse().expect("a number"));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let options = Options::of_command_line();
    if options.unpinned {
        threads::do_not_pin();
    }
    let began = Instant::now();
    let mut report = Report { machine: machine(), quick: options.quick, ..Report::default() };
    let Machine { processor, processors, pinned, backend } = &report.machine;
    println!(
        "{processors} x {processor}; threads {}pinned; quell on {backend}",
        if *pinned { "" } else { "not " }
    );

    if options.has("speed") {
        println!(
            "nanoseconds a call, all threads together, and times the floor: medians of undisturbed rounds, which are \
             those in which the floor took at most 1.3 times its best, at the beginning and at the end"
        );
        for workload in &options.workloads {
            let workload = Workload::named(workload).expect("checked with the options");
            let found = speed::measure(&options, &workload);
            speed::print(&workload, &options.threads, &found);
            report.speed.extend(found);
        }
    }
    if options.has("latency") {
        report.latency = latency::measure(&options);
    }
    if options.has("flood") {
        report.flood = flood::measure(&options);
    }
    if options.has("memory") {
        report.memory = memory::measure(&options);
    }
    if options.has("clocks") {
        report.clocks = clocks::measure(&options);
    }
    if options.has("hashes") {
        report.hashes = hashes::measure(&options);
    }

    let path = &options.json;
    if let Err(error) = report.write(path) {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    println!("\n{} s; written to {}", began.elapsed().as_secs(), path.display());
    if report.speed.iter().all(|speed| speed.right) {
        ExitCode::SUCCESS
    } else {
        println!("emissions are WRONG, see above");
        ExitCode::FAILURE
    }
}

fn machine() -> Machine {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    Machine {
        processor: model.unwrap_or(std::env::consts::ARCH).into(),
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        pinned: threads::are_pinned(),
        backend: quell::BACKEND.into(),
    }
}
