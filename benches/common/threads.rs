//! Threads that start together, each on a processor of its own as far as there are enough.

use super::Contender;
use super::workloads::Workload;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

static UNPINNED: AtomicBool = AtomicBool::new(false);

/// Leaves the choice of processors to the system from now on.
pub(crate) fn do_not_pin() {
    UNPINNED.store(true, Ordering::Relaxed);
}

/// Returns whether threads stay on one processor.
pub(crate) fn are_pinned() -> bool {
    cfg!(target_os = "linux") && !UNPINNED.load(Ordering::Relaxed)
}

/// Keeps this thread on the processor of that number, counted round.
#[cfg(target_os = "linux")]
pub(crate) fn pin(number: u64) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    use std::sync::LazyLock;

    /// Those that the process may use, asked before any thread of it is pinned.
    static CPUS: LazyLock<Vec<usize>> = LazyLock::new(|| {
        let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
    });
    if !are_pinned() || CPUS.is_empty() {
        return;
    }
    let mut one = CpuSet::new();
    one.set(CPUS[number as usize % CPUS.len()]);
    // Refused: then it runs where it runs.
    let _ = sched_setaffinity(None, &one);
}

/// Elsewhere threads run where they run.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_: u64) {}

/// Lets all threads of a round start at once. Spins: one that sleeps starts late.
pub(crate) struct Start {
    missing: AtomicU64,
}

impl Start {
    pub(crate) fn of(threads: u64) -> Self {
        Self { missing: AtomicU64::new(threads) }
    }

    pub(crate) fn wait(&self) {
        self.missing.fetch_sub(1, Ordering::AcqRel);
        while self.missing.load(Ordering::Acquire) != 0 {
            // More threads than processors.
            std::thread::yield_now();
        }
    }
}

/// Runs `calls` calls on each of `threads` threads at once; returns the wall time from the
/// first start to the last end, and the number of emissions.
pub(crate) fn run_threads(
    workload: &Workload,
    contender: &(impl Contender + ?Sized),
    threads: u64,
    from: u64,
    calls: u64,
) -> (Duration, u64) {
    if threads == 1 {
        pin(0);
        let start = Instant::now();
        let emitted = std::hint::black_box(workload.run(contender, 0, from, calls));
        return (start.elapsed(), emitted);
    }
    let start = Start::of(threads);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || {
                    pin(thread);
                    start.wait();
                    let began = Instant::now();
                    let emitted =
                        std::hint::black_box(workload.run(contender, thread, from, calls));
                    (began, Instant::now(), emitted)
                })
            })
            .collect();
        let runs: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        let first = runs.iter().map(|run| run.0).min().unwrap();
        let last = runs.iter().map(|run| run.1).max().unwrap();
        (last - first, runs.iter().map(|run| run.2).sum())
    })
}
