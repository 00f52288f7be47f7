//! The front end for `slog`, as far as `tests/front` does not ask it of all: tags, derived
//! loggers, nested values, errors of drains, `slog-async`.
#![cfg(feature = "slog")]

mod common;
#[path = "common/drains.rs"]
mod drains;

use common::{WINDOW, accounted, cache, turn};
use drains::{Line, Lines, Told, line_of};
use quell::front::slog::Dedup;
use quell::{Cache, Fields, Manual, Rule, Rules, SharedRules};
use slog::{
    Drain, Duplicate, FlushError, FnValue, Level, Logger, Never, OwnedKVList, Record, crit, debug,
    error, info, o, warn,
};
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Wrapped = Dedup<Arc<Lines>, Manual>;

/// A root logger right over the wrapper: that it compiles is a part of the test.
fn root() -> (Logger, Arc<Wrapped>, Arc<Lines>, Manual) {
    root_with(|cache, lines| Dedup::builder(cache, lines).build())
}

fn root_with(
    build: impl Fn(Arc<Cache<Manual>>, Arc<Lines>) -> Wrapped,
) -> (Logger, Arc<Wrapped>, Arc<Lines>, Manual) {
    let (cache, clock) = cache();
    let lines = Lines::new();
    let dedup = Arc::new(build(cache, Arc::clone(&lines)));
    (Logger::root(Arc::clone(&dedup), o!()), dedup, lines, clock)
}

/// Returns how many of these calls on one logger are let through.
fn passed(
    build: impl Fn(Arc<Cache<Manual>>, Arc<Lines>) -> Wrapped,
    calls: &[&dyn Fn(&Logger)],
) -> usize {
    let (log, _dedup, lines, _) = root_with(build);
    calls.iter().for_each(|call| call(&log));
    lines.lines().len()
}

fn plain(cache: Arc<Cache<Manual>>, lines: Arc<Lines>) -> Wrapped {
    Dedup::builder(cache, lines).build()
}

fn with_fields(fields: Fields) -> impl Fn(Arc<Cache<Manual>>, Arc<Lines>) -> Wrapped {
    move |cache, lines| Dedup::builder(cache, lines).fields(fields.clone()).build()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

#[test]
fn summaries_keep_tag_level_and_place() {
    let _turn = turn();
    let (root, _, lines, clock) =
        root_with(|cache, lines| Dedup::builder(cache, lines).values(o!("host" => "web1")).build());
    let log = root.new(o!("shard" => 3));
    drop(root);
    for _ in 0..3 {
        crit!(log, # "wal", "append to {} failed", "seg 7"; "peer" => "db1");
    }
    let first = lines.lines().remove(0);
    assert_eq!(
        (first.level, &*first.tag, &*first.text),
        (Level::Critical, "wal", "append to seg 7 failed")
    );
    assert_eq!(first.pairs, pairs(&[("peer", "db1"), ("shard", "3")]));
    assert_eq!((first.module, first.file), (module_path!(), file!()));
    clock.advance(Duration::from_millis(1234));
    drop(log);
    let told = lines.take();
    let [Told::Line(last), Told::Flushed] = &told[..] else { panic!("{told:?}") };
    assert_eq!(last.text, "append to seg 7 failed");
    let mut of_last = last.pairs.clone();
    of_last.sort();
    assert_eq!(
        of_last,
        pairs(&[
            ("host", "web1"),
            ("peer", "db1"),
            ("quell.last_ms", "1234"),
            ("quell.since_ms", "1234"),
            ("quell.suppressed", "2"),
            ("shard", "3")
        ])
    );
    let place = |line: &Line| (line.level, line.tag.clone(), line.module, line.file, line.line);
    assert_eq!(place(last), place(&first));
}

#[test]
fn critical_and_derived_values_separate() {
    let _turn = turn();
    let calls: &[&dyn Fn(&Logger)] = &[
        &|log| error!(log, "refused"),
        &|log| crit!(log, "refused"),
        &|log| error!(log, "refused"; "n" => 1),
        &|log| error!(log.new(o!("k" => 1)), "refused"; "n" => 1),
        &|log| error!(log.new(o!("k" => 2)), "refused"; "n" => 1),
    ];
    assert_eq!(passed(plain, calls), calls.len());
    assert_eq!(passed(plain, &[calls, calls].concat()), calls.len());
}

#[derive(Debug)]
struct Inner;
impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}
impl std::error::Error for Inner {}

#[derive(Debug)]
struct Outer(Option<Inner>);
impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot connect")
    }
}
impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_ref().map(|inner| inner as _)
    }
}

#[test]
fn types_tell_values_apart() {
    let _turn = turn();
    let calls: &[&dyn Fn(&Logger)] = &[
        &|log| info!(log, "x"; "n" => 1u64),
        &|log| info!(log, "x"; "n" => 1i64),
        &|log| info!(log, "x"; "n" => 1u128),
        &|log| info!(log, "x"; "n" => 1i128),
        &|log| info!(log, "x"; "n" => 1.0),
        &|log| info!(log, "x"; "n" => "1"),
        &|log| info!(log, "x"; "n" => '1'),
        &|log| info!(log, "x"; "n" => true),
        &|log| info!(log, "x"; "n" => ()),
        &|log| info!(log, "x"; "n" => None::<u32>),
        &|log| info!(log, "x"; "n" => %1),
        &|log| info!(log, "x"; "n" => ?"1"),
        &|log| info!(log, "x"; "e" => #Outer(None)),
        &|log| info!(log, "x"; "e" => #Outer(Some(Inner))),
        &|log| info!(log, "x"; "n" => slog::Serde(vec![1, 2])),
        &|log| info!(log, "x"; "n" => slog::Serde(vec![1])),
        &|log| info!(log, "x"; "n" => slog::Serde(vec!["1"])),
        &|log| info!(log, "x"; "n" => slog::Serde(vec![1.0])),
        &|log| info!(log, "x"; "n" => slog::Serde(vec![vec![1], vec![2]])),
        &|log| info!(log, "x"; "n" => slog::Serde(std::collections::BTreeMap::from([(1, 2)]))),
        &|log| info!(log, "x"; "n" => slog::Serde(std::collections::BTreeMap::from([("1", 2)]))),
        &|log| info!(log, "x"; "n" => slog::Serde((Some(1), None::<u32>, ()))),
        &|log| info!(log, "x"; "n" => slog::Serde("1")),
        &|log| info!(log, "x"; "n" => slog::Serde(Ok::<u32, String>(1))),
        &|log| info!(log, "x"; "n" => slog::Serde(Duration::from_millis(1))),
    ];
    assert_eq!(passed(plain, calls), calls.len());
    assert_eq!(passed(plain, &[calls, calls].concat()), calls.len(), "each is equal to itself");
}

#[test]
fn shadowed_values_show_in_summaries() {
    let _turn = turn();
    let lines = Lines::new();
    let (log, guard) =
        quell::front::slog::root(Arc::clone(&lines).fuse(), slog::o!("component" => "root"))
            .unwrap();
    for component in ["root", "db"] {
        let log = log.new(slog::o!("component" => component));
        (0..3).for_each(|_| info!(log, "timeout"));
    }
    guard.flush();
    let sums = lines.lines().into_iter().filter(|line| line.pair("quell.suppressed").is_some());
    let components = |line: Line| {
        let of_key = |(key, value): (String, String)| (key == "component").then_some(value);
        let mut all: Vec<_> = line.pairs.into_iter().filter_map(of_key).collect();
        all.sort();
        all.dedup();
        all
    };
    let mut told: Vec<_> = sums.map(components).collect();
    told.sort();
    assert_eq!(told, [vec!["db".to_string(), "root".into()], vec!["root".into()]]);
}

#[test]
fn nested_values_show_in_summaries() {
    let _turn = turn();
    let (log, dedup, lines, _) = root();
    let value = || slog::Serde(std::collections::BTreeMap::from([("a", vec![Some(1.5), None])]));
    (0..2).for_each(
        |_| info!(log, "x"; "at" => value(), "took" => slog::Serde(Duration::from_millis(1))),
    );
    dedup.flush().unwrap();
    let summary = lines.lines().pop().unwrap();
    assert_eq!(summary.pair("took"), Some("Duration { secs: 0, nanos: 1000000 }"));
    assert_eq!(summary.pair("at"), Some(r#"{"a": [Some(1.5), None]}"#));
}

#[test]
fn order_and_derivation_do_not_matter() {
    let _turn = turn();
    let (log, dedup, lines, _) = root();
    // Order, derivation, width, call sites; whether the text is a literal or formatted.
    error!(log, "one 2"; "a" => 1u8, "b" => "x");
    error!(log, "one 2"; "b" => "x", "a" => 1u64);
    error!(log, "{} {}", "one", 2; "b" => String::from("x"), "a" => 1usize);
    error!(log.new(o!("a" => 1u32)), "one 2"; "b" => "x");
    error!(log.new(o!("b" => "x", "a" => 1u32)), "one 2");
    error!(log.new(o!("a" => 1u32)).new(o!("b" => "x")), "one 2");
    error!(log.new(o!("b" => "x")).new(o!("a" => 1u32)), "one 2");
    error!(log, "one 2"; o!("a" => 1u32, "b" => "x"));
    assert_eq!(lines.texts(), ["one 2"]);
    assert_eq!(dedup.cache().stats().suppressed, 7);

    // Both of two values of a key count, in no order.
    let parent = |n: u32| log.new(o!("k" => n));
    info!(parent(1).new(o!("k" => 2u32)), "shadowed");
    info!(parent(2).new(o!("k" => 1u32)), "shadowed");
    info!(parent(1), "shadowed");
    info!(parent(1).new(o!("k" => 1u32)), "shadowed");
    assert_eq!(lines.texts().len(), 3);
}

#[test]
fn a_timestamp_is_to_be_left_out() {
    let _turn = turn();
    static TIME: AtomicU64 = AtomicU64::new(0);
    let stamped = |build: &dyn Fn(Arc<Cache<Manual>>, Arc<Lines>) -> Wrapped| {
        let (log, _dedup, lines, _) = root_with(build);
        let log = log
            .new(o!("ts" => FnValue(|_| TIME.fetch_add(1, Ordering::Relaxed)), "host" => "web1"));
        (0..10).for_each(|_| info!(log, "x"));
        lines.lines()
    };
    assert_eq!(stamped(&plain).len(), 10);
    let lines = stamped(&with_fields(Fields::except(["ts"])));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].pair("ts").is_some(), "the drain gets it");
}

#[test]
fn is_enabled_is_the_inner_drains() {
    let filtered = Lines::new().filter_level(Level::Warning).map(|drain| drain.ignore_res());
    let dedup = Dedup::builder(cache().0, filtered).build();
    for _ in 0..3 {
        assert!(dedup.is_enabled(Level::Warning) && dedup.is_critical_enabled());
        assert!(!dedup.is_enabled(Level::Info) && !dedup.is_info_enabled());
    }
    assert_eq!(dedup.cache().stats().entries, 0);
}

#[test]
fn rules_go_by_the_tag_or_else_the_module() {
    let _turn = turn();
    let rules = Rules::new(Rule::once()).exempt_target("audit").exempt_target(module_path!());
    let rules = SharedRules::from(rules.target("net", Rule::once()));
    let (log, _dedup, lines, _) =
        root_with(|cache, lines| Dedup::builder(cache, lines).rules(rules.clone()).build());
    let say = || {
        for _ in 0..3 {
            error!(log, # "audit::login", "x");
            error!(log, # "net", "x");
            error!(log, "by its module");
        }
        lines.texts().len()
    };
    assert_eq!(say(), 3 + 1 + 3);
    rules.set(Rule::once());
    assert_eq!(say(), 2, "what was exempt passes once, the other one is still known");
}

/// Refuses what it is told to refuse.
struct Refuses {
    lines: Arc<Lines>,
    refused: &'static str,
}

#[derive(Debug, PartialEq)]
struct Refused(String);

impl Drain for Refuses {
    type Ok = ();
    type Err = Refused;
    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Refused> {
        let text = record.msg().to_string();
        if text.contains(self.refused) {
            Err(Refused(text))
        } else {
            self.lines.log(record, values).map_err(|e| match e {})
        }
    }
    fn flush(&self) -> Result<(), FlushError> {
        Err(std::io::Error::other("cannot flush").into())
    }
}

#[test]
fn errors_of_the_drain_are_the_callers() {
    let _turn = turn();
    let (cache, clock) = cache();
    let lines = Lines::new();
    // A logger would hide the errors.
    let drain =
        Dedup::builder(cache, Refuses { lines: Arc::clone(&lines), refused: "bad" }).build();
    let none: OwnedKVList = o!().into();
    let offer = |text: &str| {
        let rstatic = slog::record_static!(Level::Info, "");
        drain.log(&Record::new(&rstatic, &format_args!("{text}"), slog::b!()), &none)
    };
    assert_eq!(offer("bad"), Err(Refused("bad".into())));
    assert_eq!(offer("bad"), Ok(()), "suppressed: nobody refuses it");
    assert_eq!(offer("good"), Ok(()));
    clock.advance(WINDOW);
    assert_eq!(offer("bad"), Err(Refused("bad".into())), "the summary's error is the first");
    let error = drain.flush().unwrap_err();
    assert!(matches!(error, FlushError::Io(_)), "{error}");
    assert_eq!(lines.texts(), ["good"]);
}

#[test]
fn flush_writes_sums_and_returns_the_error() {
    let _turn = turn();
    let (log, dedup, lines, _) = root();
    (0..3).for_each(|_| info!(log, "x"));
    dedup.flush().unwrap();
    let told = lines.take();
    assert!(
        matches!(&told[..], [Told::Line(_), Told::Line(sum), Told::Flushed] if sum.stands_for() == 2),
        "{told:?}"
    );

    struct NoFlush(Arc<Lines>);
    impl Drain for NoFlush {
        type Ok = ();
        type Err = Never;
        fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
            self.0.log(record, values)
        }
    }
    let dedup = Arc::new(Dedup::builder(cache().0, NoFlush(Arc::clone(&lines))).build());
    let log = Logger::root(Arc::clone(&dedup), o!());
    (0..3).for_each(|_| info!(log, "x"));
    assert!(matches!(dedup.flush(), Err(FlushError::NotSupported)));
    assert_eq!(lines.texts(), ["x", "x"]);
}

#[test]
fn one_line_makes_a_root_logger_and_its_guard() {
    let _turn = turn();
    let lines = Lines::new();
    let (log, guard) = quell::front::slog::root(Arc::clone(&lines), o!("host" => "web1")).unwrap();
    (0..3).for_each(|_| info!(log, "x"; "n" => 1));
    drop(guard);
    let told = lines.lines();
    assert_eq!(told.len(), 2);
    assert_eq!((&*told[1].text, told[1].pair("quell.suppressed")), ("x", Some("2")));
    assert_eq!((told[0].pair("host"), told[1].pair("host")), (Some("web1"), Some("web1")));
    drop(log);
    assert_eq!(lines.take(), [Told::Flushed], "nothing twice");
}

#[test]
fn a_value_that_cannot_be_read_loses_no_record() {
    let _turn = turn();
    struct Texts(Mutex<Vec<String>>);
    impl Drain for Texts {
        type Ok = ();
        type Err = Never;
        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            self.0.lock().unwrap().push(record.msg().to_string());
            Ok(())
        }
    }
    #[derive(Clone)]
    struct Unserializable;
    impl slog::Value for Unserializable {
        fn serialize(
            &self,
            _: &Record<'_>,
            _: slog::Key,
            _: &mut dyn slog::Serializer,
        ) -> slog::Result {
            Err(slog::Error::Other)
        }
    }
    let dedup = Arc::new(Dedup::builder(cache().0, Texts(Mutex::default())).build());
    let log = Logger::root(Arc::clone(&dedup), o!());
    for _ in 0..3 {
        error!(log, "value"; "bad" => Unserializable);
        error!(log.new(o!("bad" => FnValue(|_| -> u32 { panic!("in a value") }))), "owned");
    }
    assert_eq!(dedup.inner().0.lock().unwrap().len(), 6);
    assert_eq!(dedup.cache().stats().failed_open, 6);
}

/// Writes lines like `E peer` and `S n` to a file.
struct ToFile(Mutex<std::io::BufWriter<std::fs::File>>);

impl Drain for ToFile {
    type Ok = ();
    type Err = std::io::Error;
    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), std::io::Error> {
        let line = line_of(record, values);
        let mut out = self.0.lock().unwrap();
        match line.pair("quell.suppressed") {
            Some(n) => writeln!(out, "S {n} {}", line.text),
            None => writeln!(out, "E {}", line.text),
        }
    }
    fn flush(&self) -> Result<(), FlushError> {
        Ok(self.0.lock().unwrap().flush()?)
    }
}

#[test]
fn a_storm_through_slog_async_is_conserved() {
    let _turn = turn();
    const THREADS: u64 = 8;
    const CALLS: u64 = 4000;
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::default();
    let cache = Cache::builder().window(WINDOW).max_entries(64).clock(clock.clone()).build();
    let cache = Arc::new(cache.unwrap());
    let sink = |name: &str| {
        let file = std::io::BufWriter::new(std::fs::File::create(dir.path().join(name)).unwrap());
        let file = slog_async::Async::new(ToFile(Mutex::new(file)).fuse())
            .overflow_strategy(slog_async::OverflowStrategy::Block)
            .build();
        Dedup::builder(Arc::clone(&cache), file).interval(Duration::from_millis(5)).build()
    };
    let (one, two) = (sink("one"), sink("two"));
    let guards = (one.guard().unwrap(), two.guard().unwrap());
    let log = Logger::root(Duplicate(one, two).fuse(), o!("host" => "web1"));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (log, clock) = (log.new(o!("thread" => thread / 2)), &clock);
            scope.spawn(move || {
                for n in 0..CALLS {
                    if n % 200 == 0 {
                        clock.advance(WINDOW / 20);
                    }
                    let log = log.new(o!("queue" => n % 3));
                    match n % 5 {
                        // More messages than there is room for.
                        0 => error!(log, "request {}", n / 50),
                        1 => info!(log, "refused"; "peer" => n % 7),
                        _ => warn!(log, "disk {} is full", n % 4),
                    }
                }
            });
        }
    });
    drop(guards);
    // The last logger's drop waits for slog-async's threads.
    drop(log);
    for name in ["one", "two"] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            text.lines().map(|line| accounted(line).0).sum::<u64>(),
            THREADS * CALLS,
            "{name}"
        );
        assert!((text.lines().count() as u64) < THREADS * CALLS / 2, "{name}: not all of them");
    }
}

#[test]
fn slog_async_gets_records_unchanged() {
    let _turn = turn();
    let lines = Lines::new();
    let dedup =
        Dedup::builder(cache().0, slog_async::Async::new(Arc::clone(&lines)).build()).build();
    let log = Logger::root(dedup.fuse(), o!("host" => "web1"));
    for _ in 0..5 {
        debug!(log, # "tag", "x {}", 1; "n" => 1);
        crit!(log, "y");
    }
    drop(log);
    let mut told = lines.lines();
    told.sort_by(|a, b| a.text.cmp(&b.text));
    let texts: Vec<_> = told.iter().map(|line| (line.level, &*line.tag, &*line.text)).collect();
    let expected = [
        (Level::Debug, "tag", "x 1"),
        (Level::Debug, "tag", "x 1"),
        (Level::Critical, "", "y"),
        (Level::Critical, "", "y"),
    ];
    assert_eq!(texts, expected);
    assert!(told.iter().all(|line| line.file == file!() && line.module == module_path!()));
}

#[test]
fn what_is_off_is_neither_read_nor_counted() {
    struct Errors(Arc<Lines>);
    impl Drain for Errors {
        type Ok = ();
        type Err = slog::Never;
        fn log(&self, record: &slog::Record<'_>, values: &slog::OwnedKVList) -> Result<(), Never> {
            self.0.log(record, values)
        }
        fn is_enabled(&self, level: Level) -> bool {
            level.is_at_least(Level::Error)
        }
    }
    struct Unread;
    impl fmt::Display for Unread {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("it was read");
        }
    }
    let _turn = turn();
    let (cache, lines) = (Arc::new(Cache::builder().build().unwrap()), Lines::new());
    let dedup = Dedup::builder(Arc::clone(&cache), Errors(Arc::clone(&lines))).build();
    let log = Logger::root(dedup, o!());
    info!(log, "x {}", Unread);
    info!(log, "y");
    error!(log, "y");
    assert_eq!(lines.lines().len(), 1);
    assert_eq!((cache.stats().emitted, cache.stats().entries), (1, 1));
}
