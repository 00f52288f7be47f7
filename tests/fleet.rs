//! Fleets over `Memory`, and over stores that misbehave, through loggers.
#![cfg(feature = "fleet")]

use quell::fleet::{Answer, Away, Fleet, FleetError, Health, Memory, Refused, Store, Touch};
use quell::{Cache, Event, Key, Level, Logger, Rule, Secret, Sink, Summary};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn cache_of(window: Duration, secret: Secret) -> Arc<Cache> {
    Arc::new(Cache::builder().window(window).secret(secret).build().unwrap())
}

fn cache() -> Arc<Cache> {
    cache_of(Duration::from_secs(60), Secret::from_bytes([7; 16]))
}

/// What several processes write.
#[derive(Clone, Default)]
struct Book(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lines: Mutex<Vec<String>>,
    /// What summaries say.
    examples: Mutex<Vec<String>>,
    told: AtomicU64,
    processes: AtomicU64,
}

impl Sink for Book {
    fn write(&self, event: &Event<'_>) {
        let line = event.message().to_string();
        self.0.lines.lock().unwrap().push(line);
        self.0.told.fetch_add(event.suppressed(), Ordering::SeqCst);
    }

    fn summary(&self, summary: &Summary) {
        self.0.told.fetch_add(summary.suppressed, Ordering::SeqCst);
        self.0.examples.lock().unwrap().push(summary.to_string());
        let processes = summary.fleet.map_or(0, |fleet| fleet.processes);
        self.0.processes.fetch_max(processes, Ordering::SeqCst);
    }
}

impl Book {
    fn lines(&self) -> usize {
        self.0.lines.lock().unwrap().len()
    }

    fn sum(&self) -> u64 {
        self.lines() as u64 + self.0.told.load(Ordering::SeqCst)
    }
}

/// A process: a cache, a fleet, a logger and its guard.
struct Process {
    guard: quell::Guard,
    log: Logger<Book>,
    fleet: Fleet,
}

impl Process {
    fn new(store: impl Store, book: &Book, wait: Option<Duration>) -> Self {
        Self::with_rule(store, book, wait, Rule::once())
    }

    fn with_rule(store: impl Store, book: &Book, wait: Option<Duration>, rule: Rule) -> Self {
        let cache = cache();
        let mut fleet = Fleet::builder(store).name("test");
        if let Some(wait) = wait {
            fleet = fleet.wait(wait);
        }
        let fleet = fleet.build(&cache).unwrap();
        let builder = Logger::builder(cache, book.clone()).rules(rule);
        let log = builder.fleet(&fleet, "book").unwrap().build();
        let guard = log.guard().unwrap();
        Self { guard, log, fleet }
    }
}

/// Enough on any machine for an answer from memory.
const WAIT: Option<Duration> = Some(FleetError::MAX_WAIT);

#[test]
fn settings_that_make_no_sense_are_errors() {
    let build = |cache: &Cache| Fleet::builder(Memory::new()).build(cache);
    assert!(matches!(build(&Cache::builder().build().unwrap()), Err(FleetError::NoSecret)));
    let random = Cache::builder().secret(Secret::random()).build().unwrap();
    assert!(matches!(build(&random), Err(FleetError::NoSecret)));
    let cache = cache();
    for name in ["", "two words", "a:b", "{x}", &"x".repeat(65)] {
        let error = Fleet::builder(Memory::new()).name(name).build(&cache).unwrap_err();
        assert!(matches!(error, FleetError::Name(_)), "{name}");
    }
    let wait = |wait| Fleet::builder(Memory::new()).wait(wait).build(&cache);
    assert!(matches!(wait(Duration::ZERO), Err(FleetError::ZeroWait)));
    assert!(matches!(wait(Duration::from_secs(2)), Err(FleetError::LongWait(_))));
    let fleet = wait(Duration::from_millis(5)).unwrap();
    let builder = || Logger::builder(Arc::clone(&cache), Book::default());
    for name in ["", &"x".repeat(65)] {
        assert!(matches!(builder().fleet(&fleet, name), Err(FleetError::SinkName(_))));
    }
    let log = builder().fleet(&fleet, "a").unwrap().fleet(&fleet, "a").unwrap().build();
    assert!(matches!(builder().fleet(&fleet, "a"), Err(FleetError::SinkTaken(_))));
    assert!(builder().fleet(&fleet, "b").is_ok(), "and not kept by a builder that is gone");
    assert!(builder().fleet(&fleet, "b").is_ok());
    drop(log);
    assert!(builder().fleet(&fleet, "a").is_ok(), "a name comes back with its sink's end");
    let other = cache_of(Duration::from_secs(1), Secret::from_bytes([8; 16]));
    let error = Logger::builder(other, Book::default()).fleet(&fleet, "c").unwrap_err();
    assert!(matches!(error, FleetError::OtherSecret), "{error}");
}

#[test]
fn one_process_writes_for_all() {
    let (memory, book) = (Memory::new(), Book::default());
    let all: Vec<Process> = (0..4).map(|_| Process::new(memory.clone(), &book, WAIT)).collect();
    for process in &all {
        (0..100).for_each(|_| process.log.error(format_args!("connection refused")));
    }
    assert_eq!(book.lines(), 1);
    let stats: Vec<_> = all.iter().map(|process| process.log.cache().stats()).collect();
    let emitted: u64 = stats.iter().map(|stats| stats.emitted).sum();
    let suppressed: u64 = stats.iter().map(|stats| stats.suppressed).sum();
    assert_eq!((emitted, suppressed), (1, 399), "what is withheld is suppressed");
    assert!(matches!(all[0].fleet.health(), Health::Good));
    assert_eq!(all[1].fleet.stats().withheld, 1);
    drop(all);
    assert_eq!(book.sum(), 400);
}

#[test]
fn rules_hold_for_the_owner() {
    let (memory, book) = (Memory::new(), Book::default());
    let rule = Rule::first(5).unwrap();
    let process = || Process::with_rule(memory.clone(), &book, WAIT, rule);
    let (one, other) = (process(), process());
    for process in [&one, &other] {
        (0..50).for_each(|_| process.log.error(format_args!("refused")));
    }
    assert_eq!(book.lines(), 5);
    drop((one, other));
    assert_eq!(book.sum(), 100);
}

#[test]
fn a_summary_is_of_several_processes() {
    let (memory, book) = (Memory::new(), Book::default());
    let all: Vec<Process> = (0..3).map(|_| Process::new(memory.clone(), &book, WAIT)).collect();
    for process in &all {
        (0..10).for_each(|_| process.log.error(format_args!("refused")));
    }
    for Process { guard, .. } in all.iter().rev() {
        assert!(guard.flush());
    }
    assert_eq!(book.sum(), 30);
    drop(all);
    assert_eq!(book.sum(), 30, "and each is told once");
}

#[test]
fn loggers_and_places_of_one_name_agree() {
    let (memory, book) = (Memory::new(), Book::default());
    let all: Vec<Logger<Book>> = (0..2)
        .map(|n| {
            let cache = cache();
            // Namespaces by order of creation would differ.
            (0..n).for_each(|_| _ = cache.new_namespace());
            let wait = FleetError::MAX_WAIT;
            let fleet = Fleet::builder(memory.clone()).wait(wait).build(&cache).unwrap();
            let builder = Logger::builder(cache, book.clone()).key(Key::Callsite);
            builder.fleet(&fleet, "book").unwrap().build()
        })
        .collect();
    for (n, log) in all.iter().enumerate() {
        log.error(format_args!("attempt {n}"));
    }
    assert_eq!(book.lines(), 1);
    drop(all);
    assert_eq!(book.sum(), 2, "what there is no guard for is told by the process itself");
}

/// With guards, which leave what they find to the fleet, and without.
#[test]
fn an_example_is_one_of_those_counted() {
    for guarded in [true, false] {
        let (memory, book) = (Memory::new(), Book::default());
        let log = |process: u64| {
            let cache = cache();
            let wait = FleetError::MAX_WAIT;
            let fleet = Fleet::builder(memory.clone()).wait(wait).build(&cache).unwrap();
            let builder = Logger::builder(cache, book.clone()).key(Key::Callsite);
            let log = builder.fleet(&fleet, "book").unwrap().build();
            let guard = guarded.then(|| log.guard().unwrap());
            for n in 0..3 {
                log.error(format_args!("attempt {n} of process {process}"));
            }
            assert!(guard.is_none_or(|guard| guard.flush()));
        };
        (0..2).for_each(log);
        assert_eq!((book.lines(), book.sum()), (1, 6));
        let examples = book.0.examples.lock().unwrap();
        assert!(!examples.is_empty());
        for example in &*examples {
            let is_counted =
                example.starts_with("attempt ") && !example.starts_with("attempt 0 of process 0");
            assert!(is_counted, "{examples:?}");
        }
    }
}

/// A store that never answers, or with errors alone.
#[derive(Clone)]
enum Bad {
    Silent(Arc<AtomicBool>),
    Away,
    Panics,
    Short,
    Refuses,
}

impl Store for Bad {
    fn touch(
        &mut self,
        _: &str,
        batch: &[Touch],
        answers: &mut Vec<Result<Answer, Refused>>,
    ) -> Result<(), Away> {
        match self {
            Self::Silent(over) => {
                while !over.load(Ordering::SeqCst) {
                    std::thread::park_timeout(Duration::from_millis(10));
                }
                Err(Away::new("over"))
            }
            Self::Away => Err(Away::new("nobody there")),
            Self::Panics => panic!("a store's own fault"),
            Self::Short => Ok(()),
            Self::Refuses => {
                answers.extend(batch.iter().map(|_| Err(Refused::new("no"))));
                Ok(())
            }
        }
    }
}

#[test]
fn a_store_that_misbehaves_is_no_store() {
    for bad in [Bad::Away, Bad::Panics, Bad::Short, Bad::Refuses] {
        let book = Book::default();
        let process = Process::new(bad, &book, Some(Duration::from_millis(1)));
        for n in 0..500 {
            process.log.error(format_args!("refused {}", n % 50));
        }
        assert_eq!(book.lines(), 50);
        drop(process);
        assert_eq!(book.sum(), 500);
    }
}

#[test]
fn a_store_that_blocks_keeps_nobody_waiting() {
    let (over, book) = (Arc::new(AtomicBool::new(false)), Book::default());
    let store = Bad::Silent(Arc::clone(&over));
    let process = Process::new(store, &book, Some(Duration::from_millis(20)));
    // More messages than there is room to ask about.
    for n in 0..20_000 {
        process.log.error(format_args!("refused {}", n % 10_000));
    }
    let late = process.fleet.stats().late;
    assert_eq!(late, 1, "who waits in vain has others not wait");
    process.log.error(format_args!("last"));
    drop(process);
    over.store(true, Ordering::SeqCst);
    assert_eq!(book.sum(), 20_001);
}

#[test]
fn a_sink_that_panics_costs_its_summary() {
    #[derive(Clone, Default)]
    struct Panics(Book);
    impl Sink for Panics {
        fn write(&self, event: &Event<'_>) {
            self.0.write(event);
        }
        fn summary(&self, _: &Summary) {
            panic!("a sink's own fault");
        }
    }
    let (cache, book) = (cache(), Panics::default());
    let fleet = Fleet::builder(Memory::new()).build(&cache).unwrap();
    let log = Logger::builder(cache, book.clone()).fleet(&fleet, "panics").unwrap().build();
    let guard = log.guard().unwrap();
    (0..10).for_each(|_| log.log(Level::Warn, format_args!("refused")));
    assert!(guard.flush());
    (0..10).for_each(|_| log.log(Level::Warn, format_args!("refused")));
    assert!(guard.flush());
    assert_eq!(book.0.lines(), 1);
    assert_eq!(fleet.stats().pending, 0);
}

#[test]
#[cfg(feature = "log")]
fn summaries_of_log_say_how_many_processes() {
    use log::kv::Key;
    type Pair = (bool, Option<u64>);
    #[derive(Clone, Default)]
    struct Keys(Arc<Mutex<Vec<Pair>>>);
    impl log::Log for Keys {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let get = |key: &str| record.key_values().get(Key::from_str(key))?.to_u64();
            let is_summary = get("quell.suppressed").is_some();
            self.0.lock().unwrap().push((is_summary, get("quell.processes")));
        }
        fn flush(&self) {}
    }
    let (cache, keys) = (cache(), Keys::default());
    let fleet = Fleet::builder(Memory::new()).build(&cache).unwrap();
    let builder = quell::front::log::Dedup::builder(cache, keys.clone());
    let dedup = builder.fleet(&fleet, "log").unwrap().build();
    let guard = dedup.guard().unwrap();
    for _ in 0..5 {
        log::Log::log(&dedup, &log::Record::builder().args(format_args!("refused")).build());
    }
    assert!(guard.flush());
    assert_eq!(*keys.0.lock().unwrap(), [(false, None), (true, Some(1))]);
}

#[test]
#[cfg(feature = "tracing")]
fn layers_of_tracing_are_sinks_of_a_fleet() {
    use tracing_subscriber::prelude::*;
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<Option<u64>>>>);
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Seen {
        fn on_event(
            &self,
            event: &tracing::Event<'_>,
            _: tracing_subscriber::layer::Context<'_, S>,
        ) {
            struct Visit(Option<u64>);
            impl tracing::field::Visit for Visit {
                fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
                    if field.name() == "quell.processes" {
                        self.0 = Some(value);
                    }
                }
                fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
            }
            let mut visit = Visit(None);
            event.record(&mut visit);
            self.0.lock().unwrap().push(visit.0);
        }
    }
    let (memory, seen) = (Memory::new(), [Seen::default(), Seen::default()]);
    let log = |_| {
        let cache = cache();
        let wait = FleetError::MAX_WAIT;
        let fleet = Fleet::builder(memory.clone()).wait(wait).build(&cache).unwrap();
        let builder = quell::front::tracing::Dedup::builder(cache);
        let dedup = builder.key(Key::Callsite).fleet(&fleet, "layers").unwrap().build();
        let layers = (dedup.wrap(seen[0].clone()), dedup.wrap(seen[1].clone()));
        let stack = tracing_subscriber::registry().with(layers.0).with(layers.1);
        tracing::subscriber::with_default(stack, || {
            let guard = dedup.guard().unwrap();
            (0..5).for_each(|n| tracing::error!("attempt {n}"));
            assert!(guard.flush());
        });
    };
    // Two processes, one after the other: each layer has one line and a summary of each.
    (0..2).for_each(log);
    for seen in seen {
        assert_eq!(*seen.0.lock().unwrap(), [None, Some(1), Some(1)]);
    }
}
