//! What does a `check_at` cost? Criterion's view: each contender by itself.
//! `ratios.rs` compares them in turn, which is what `docs/BENCHMARKS.md` quotes.

mod common;

use common::{Contender, Floor, MutexMap, Workload, quell_cache, run_threads};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn bench(c: &mut Criterion) {
    let names = ["hot1", "hot64", "zipf", "unique", "rollover"];
    for workload in Workload::all().into_iter().filter(|w| names.contains(&w.name)) {
        let mut group = c.benchmark_group(workload.name);
        group.throughput(Throughput::Elements(1)).sample_size(20);
        let (entries, window) = (workload.max_entries, workload.window);
        let mut contender = |name: &str, contender: &dyn Fn(u64, u64, u64) -> std::time::Duration| {
            for threads in [1, 2] {
                group.bench_function(BenchmarkId::new(name, threads), |b| {
                    let mut from = 0;
                    b.iter_custom(|calls| {
                        let time = contender(threads, from, calls);
                        from += calls;
                        // Per call of all threads together, so that more threads can show a gain.
                        time / threads as u32
                    });
                });
            }
        };
        fn run<C: Contender + 'static>(
            workload: &Workload,
            cache: C,
        ) -> impl Fn(u64, u64, u64) -> std::time::Duration + '_ {
            move |threads, from, calls| run_threads(workload, &cache, threads, from, calls)
        }
        contender("floor", &run(&workload, Floor::<false>::new(entries, window)));
        contender("counted_floor", &run(&workload, Floor::<true>::new(entries, window)));
        contender("quell_epoch", &run(&workload, quell_cache::<quell::Epoch>(&workload)));
        #[cfg(feature = "seize")]
        contender("quell_seize", &run(&workload, quell_cache::<quell::Seize>(&workload)));
        contender("mutex_hashmap", &run(&workload, MutexMap::new(entries, window)));
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
