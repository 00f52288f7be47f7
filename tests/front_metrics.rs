//! The front ends' counters and gauges, through the `metrics` facade.
#![cfg(all(feature = "metrics", any(feature = "log", feature = "slog", feature = "tracing")))]

mod common;
#[cfg(feature = "slog")]
#[path = "common/nowhere.rs"]
mod nowhere;

use common::Bad;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit, with_local_recorder,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Cell(AtomicU64);

impl CounterFn for Cell {
    fn increment(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
    fn absolute(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, _: f64) {
        panic!("gauges are set");
    }
    fn decrement(&self, _: f64) {
        panic!("gauges are set");
    }
    fn set(&self, to: f64) {
        self.0.store(to as u64, Ordering::Relaxed);
    }
}

/// Keeps what is registered, and how often.
#[derive(Default)]
struct Registry {
    cells: Mutex<BTreeMap<String, Arc<Cell>>>,
    registered: AtomicU64,
}

impl Registry {
    fn register(&self, key: &Key) -> Arc<Cell> {
        self.registered.fetch_add(1, Ordering::Relaxed);
        let mut labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::clone(self.cells.lock().unwrap().entry(name).or_default())
    }

    /// Returns the caches that gauges are of.
    fn caches(&self) -> Vec<String> {
        let cells = self.cells.lock().unwrap();
        let cache = |name: &String| {
            Some(name.strip_prefix("quell_entries{cache=")?.strip_suffix('}')?.to_string())
        };
        cells.keys().filter_map(cache).collect()
    }

    /// Returns the values that are not zero.
    fn values(&self) -> BTreeMap<String, u64> {
        let value =
            |(name, cell): (&String, &Arc<Cell>)| (name.clone(), cell.0.load(Ordering::Relaxed));
        self.cells.lock().unwrap().iter().map(value).filter(|(_, value)| *value != 0).collect()
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there are no histograms");
    }
}

/// Returns the metrics of what each front end is offered: 4 errors, 3 warnings (exempt),
/// one that cannot be read, twice.
fn expected(front_end: &str, cache: &str, capacity: u64) -> BTreeMap<String, u64> {
    let events = |outcome: &str, level: &str, n: u64| {
        (format!("quell_events_total{{front_end={front_end},level={level},outcome={outcome}}}"), n)
    };
    BTreeMap::from([
        events("emitted", "error", 1),
        events("suppressed", "error", 3),
        events("exempt", "warn", 3),
        events("failed_open", "info", 2),
        (format!("quell_entries{{cache={cache}}}"), 1),
        (format!("quell_capacity{{cache={cache}}}"), capacity),
    ])
}

/// Four outcomes at five levels, and three of the cache.
const HANDLES: u64 = 4 * 5 + 3;

#[cfg(feature = "log")]
#[test]
fn what_log_offers_is_counted() {
    use log::{Log, Record, error, info, warn};
    struct Nowhere;
    impl Log for Nowhere {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &Record<'_>) {}
        fn flush(&self) {}
    }
    let _turn = common::turn();
    log::set_max_level(log::LevelFilter::Trace);
    let registry = Registry::default();
    let cache = common::cache().0;
    let capacity = cache.stats().capacity as u64;
    with_local_recorder(&registry, || {
        let rules = quell::Rules::default().exempt_level(quell::Level::Warn);
        let log = quell::front::log::Dedup::builder(cache, Nowhere).rules(rules).metrics().build();
        assert_eq!(registry.registered.load(Ordering::Relaxed), HANDLES);
        assert_eq!(
            registry.cells.lock().unwrap().len() as u64,
            HANDLES,
            "each with labels of its own"
        );
        (0..4).for_each(|_| error!(logger: log, "x"));
        (0..3).for_each(|_| warn!(logger: log, "x"));
        (0..2).for_each(|_| info!(logger: log, "{}", Bad { panics: true }));
        log.flush();
    });
    assert_eq!(registry.values(), expected("log", &registry.caches()[0], capacity));
    assert_eq!(
        registry.registered.load(Ordering::Relaxed),
        HANDLES,
        "nothing is registered for an event"
    );
}

#[cfg(feature = "slog")]
#[test]
fn what_slog_offers_is_counted() {
    use slog::{Drain, Logger, crit, error, info, o, warn};
    let _turn = common::turn();
    let registry = Registry::default();
    let cache = common::cache().0;
    let capacity = cache.stats().capacity as u64;
    with_local_recorder(&registry, || {
        let rules = quell::Rules::default().exempt_level(quell::Level::Warn);
        let dedup = quell::front::slog::Dedup::builder(cache, crate::nowhere::Nowhere)
            .rules(rules)
            .metrics()
            .build();
        let dedup = Arc::new(dedup);
        let log = Logger::root(Arc::clone(&dedup), o!());
        assert_eq!(registry.registered.load(Ordering::Relaxed), HANDLES);
        (0..4).for_each(|_| error!(log, "x"));
        (0..3).for_each(|_| warn!(log, "x"));
        (0..2).for_each(|_| info!(log, "{}", Bad { panics: true }));
        let _ = dedup.flush();
        assert_eq!(registry.values(), expected("slog", &registry.caches()[0], capacity));
        (0..2).for_each(|_| crit!(log, "x"));
    });
    let value = |outcome: &str| {
        registry.values()
            [&format!("quell_events_total{{front_end=slog,level=error,outcome={outcome}}}")]
    };
    assert_eq!((value("emitted"), value("suppressed")), (2, 4), "critical is counted as error");
    assert_eq!(
        registry.registered.load(Ordering::Relaxed),
        HANDLES,
        "nothing is registered for an event"
    );
}

#[cfg(feature = "tracing")]
#[test]
fn what_tracing_offers_is_counted() {
    use tracing::{Event, Subscriber, error, info, warn};
    use tracing_subscriber::layer::Context;
    use tracing_subscriber::{Layer, prelude::*, registry};
    struct Nowhere;
    impl<S: Subscriber> Layer<S> for Nowhere {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {}
    }
    let _turn = common::turn();
    let recorder = Registry::default();
    let cache = common::cache().0;
    let capacity = cache.stats().capacity as u64;
    let rules = quell::Rules::default().exempt_level(quell::Level::Warn);
    let dedup = quell::front::tracing::Dedup::builder(cache).rules(rules).metrics().build();
    let stack = with_local_recorder(&recorder, || {
        tracing::Dispatch::new(registry().with(dedup.wrap(Nowhere)))
    });
    assert_eq!(recorder.registered.load(Ordering::Relaxed), HANDLES);
    tracing::dispatcher::with_default(&stack, || {
        (0..4).for_each(|_| error!("x"));
        (0..3).for_each(|_| warn!("x"));
        (0..2).for_each(|_| info!("{}", Bad { panics: true }));
    });
    dedup.guard().unwrap().flush();
    assert_eq!(
        recorder.values(),
        expected("tracing", &recorder.caches()[0], capacity),
        "the summaries that were written are no events"
    );
    assert_eq!(
        recorder.registered.load(Ordering::Relaxed),
        HANDLES,
        "nothing is registered for an event"
    );
}

/// A logger that logs nothing, over a cache of its own.
#[cfg(feature = "log")]
fn counted(registry: &Registry, cache: Arc<quell::Cache<quell::Manual>>) -> impl log::Log + use<> {
    struct Nowhere;
    impl log::Log for Nowhere {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &log::Record<'_>) {}
        fn flush(&self) {}
    }
    log::set_max_level(log::LevelFilter::Trace);
    with_local_recorder(registry, || {
        quell::front::log::Dedup::builder(cache, Nowhere).metrics().build()
    })
}

#[cfg(feature = "log")]
#[test]
fn what_the_cache_cannot_track_failed_open() {
    use log::Log;
    let _turn = common::turn();
    let registry = Registry::default();
    let (cache, clock) = common::cache();
    let log = counted(&registry, Arc::clone(&cache));
    clock.set(quell::Tick::MAX);
    (0..3).for_each(|_| log::error!(logger: log, "x"));
    log.flush();
    let events = "quell_events_total{front_end=log,level=error,outcome=failed_open}";
    assert_eq!(registry.values().get(events), Some(&3));
    assert_eq!(cache.stats().failed_open, 3);
}

#[cfg(feature = "log")]
#[test]
fn caches_have_gauges_of_their_own() {
    use log::Log;
    let _turn = common::turn();
    let registry = Registry::default();
    let build = |entries| {
        let cache = quell::Cache::builder().clock(quell::Manual::default()).max_entries(entries);
        Arc::new(cache.build().unwrap())
    };
    let caches = [build(8), build(800)];
    let logs = caches.each_ref().map(|cache| counted(&registry, Arc::clone(cache)));
    for n in 0..2000 {
        logs.iter().for_each(|log| log::error!(logger: log, "{n}"));
    }
    logs.iter().for_each(|log| log.flush());
    let names = registry.caches();
    let value = |name: &str, i: usize| registry.values()[&format!("{name}{{cache={}}}", names[i])];
    // In the order of their numbers, if these have the same number of digits.
    let [first, second] =
        if value("quell_capacity", 0) < value("quell_capacity", 1) { [0, 1] } else { [1, 0] };
    for (i, cache) in [first, second].into_iter().zip(&caches) {
        let stats = cache.stats();
        assert_eq!(value("quell_capacity", i), stats.capacity as u64);
        assert_eq!(value("quell_entries", i), stats.entries as u64);
        assert_eq!(value("quell_forgotten_total", i), stats.forgotten);
    }
}

/// Panics whenever it is told something.
#[cfg(feature = "log")]
struct Broken;

#[cfg(feature = "log")]
impl CounterFn for Broken {
    fn increment(&self, _: u64) {
        panic!("in a counter");
    }
    fn absolute(&self, _: u64) {
        panic!("in a counter");
    }
}

#[cfg(feature = "log")]
impl GaugeFn for Broken {
    fn increment(&self, _: f64) {
        panic!("in a gauge");
    }
    fn decrement(&self, _: f64) {
        panic!("in a gauge");
    }
    fn set(&self, _: f64) {
        panic!("in a gauge");
    }
}

#[cfg(feature = "log")]
impl Recorder for Broken {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Broken))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Broken))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(feature = "log")]
#[test]
fn a_recorder_that_panics_costs_no_line() {
    use log::{Log, Record, error};
    #[derive(Default)]
    struct Texts(Mutex<Vec<String>>);
    impl Log for Texts {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &Record<'_>) {
            let text = record.args().to_string();
            self.0.lock().unwrap().push(text);
        }
        fn flush(&self) {}
    }
    let _turn = common::turn();
    log::set_max_level(log::LevelFilter::Trace);
    let log = with_local_recorder(&Broken, || {
        quell::front::log::Dedup::builder(common::cache().0, Texts::default()).metrics().build()
    });
    (0..4).for_each(|_| error!(logger: log, "x"));
    log.flush();
    assert_eq!(*log.inner().0.lock().unwrap(), ["x", "x: 3 more suppressed"]);
}

#[test]
#[cfg(feature = "fleet")]
fn a_fleet_is_counted() {
    use quell::fleet::{Fleet, Memory};
    let registry = Registry::default();
    let secret = quell::Secret::from_bytes([7; 16]);
    let cache = Arc::new(quell::Cache::builder().secret(secret).build().unwrap());
    let fleet = with_local_recorder(&registry, || {
        Fleet::builder(Memory::new()).name("f").metrics().build(&cache).unwrap()
    });
    let sink = quell::WriteSink::new(std::io::sink());
    let log = quell::Logger::builder(cache, sink).fleet(&fleet, "nowhere").unwrap().build();
    let guard = log.guard().unwrap();
    (0..5).for_each(|_| log.error(format_args!("refused")));
    assert!(guard.flush());
    let told = |name: &str| registry.values().get(&format!("{name}{{fleet=f}}")).copied();
    // The thread tells them after it has answered.
    while told("quell_fleet_taken_total") != Some(4) {
        std::thread::yield_now();
    }
    assert_eq!(told("quell_fleet_asked_total"), Some(1));
    assert_eq!(told("quell_fleet_store_away"), None);
}
