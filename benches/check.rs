//! The cost of a `check_at`. Criterion's view: it keeps the statistics of single calls,
//! each contender by itself. `suite.rs` compares them in turn, which is what
//! `docs/BENCHMARKS.md` quotes.

mod common;

use common::Contender;
use common::floor::Floor;
use common::maps::MutexMap;
use common::quell::Quell;
use common::threads::run_threads;
use common::workloads::Workload;
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};

fn bench(c: &mut Criterion) {
    for name in ["hot1", "hot64", "zipf", "unique", "rollover"] {
        let workload = Workload::named(name).unwrap();
        let mut group = c.benchmark_group(workload.name);
        group.throughput(Throughput::Elements(1)).sample_size(20);
        let (entries, window) = (workload.max_entries, workload.window);
        contender(&mut group, "floor", &workload, &Floor::<false>::new(entries, window));
        contender(&mut group, "counted floor", &workload, &Floor::<true>::new(entries, window));
        contender(&mut group, "quell", &workload, &Quell::new(entries, window));
        contender(&mut group, "Mutex<HashMap>", &workload, &MutexMap::new(entries, window));
        group.finish();
    }
}

fn contender(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    workload: &Workload,
    contender: &impl Contender,
) {
    let mut from = 0;
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new(name, threads), |b| {
            b.iter_custom(|calls| {
                let (time, _) = run_threads(workload, contender, threads, from, calls);
                from += calls;
                // Per call of all threads together, so that more threads can show a gain.
                time / threads as u32
            });
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
