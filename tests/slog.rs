//! The front end for `slog`, through its macros and loggers, into drains that keep, write or fail.
#![cfg(feature = "slog")]

mod common;
#[path = "common/drains.rs"]
mod drains;
#[cfg(unix)]
#[path = "common/forks.rs"]
mod forks;

use common::{Bad, WINDOW, accounted, cache, turn};
use drains::{Line, Lines, Told, line_of};
use quell::Key;
use quell::front::slog::Dedup;
use quell::{Cache, ConfigError, Fields, InitError, Manual, Rule, Rules, SharedRules};
use slog::{
    Drain, Duplicate, FlushError, FnValue, Level, Logger, Never, OwnedKVList, Record, crit, debug,
    error, info, o, warn,
};
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
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

/// How many of these calls on one logger are let through.
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
fn the_first_passes_unchanged_and_its_repeats_are_in_a_summary_like_it() {
    let _turn = turn();
    let (root, _, lines, clock) =
        root_with(|cache, lines| Dedup::builder(cache, lines).values(o!("host" => "web1")).build());
    let log = root.new(o!("shard" => 3));
    drop(root);
    let say = |n: u32| {
        for _ in 0..n {
            crit!(log, # "wal", "append to {} failed", "seg 7"; "peer" => "db1");
        }
    };
    say(5);
    let first = lines.lines();
    assert_eq!(first.len(), 1);
    let first = &first[0];
    assert_eq!(
        (first.level, &*first.tag, &*first.text),
        (Level::Critical, "wal", "append to seg 7 failed")
    );
    assert_eq!(first.pairs, pairs(&[("peer", "db1"), ("shard", "3")]));
    assert_eq!((first.module, first.file), (module_path!(), file!()));

    // The next window: the summary, then the record itself.
    clock.advance(WINDOW);
    say(3);
    let next = lines.lines();
    assert_eq!(next.len(), 2);
    let summary = &next[0];
    assert_eq!(summary.text, "append to seg 7 failed peer=db1 shard=3: 4 more suppressed");
    assert_eq!(summary.pair("quell.suppressed"), Some("4"));
    assert!(summary.pair("quell.since_ms").is_some());
    let place = |line: &Line| (line.level, line.tag.clone(), line.module, line.file, line.line);
    assert_eq!(place(summary), place(first));
    assert_eq!(next[1], *first);

    clock.advance(Duration::from_millis(1234));
    drop(log);
    let told = lines.take();
    let [Told::Line(last), Told::Flushed] = &told[..] else { panic!("{told:?}") };
    let mut of_last = last.pairs.clone();
    of_last.sort();
    assert_eq!(
        of_last,
        pairs(&[("host", "web1"), ("quell.since_ms", "1234"), ("quell.suppressed", "2")])
    );
    assert_eq!(place(last), place(first));
}

#[test]
fn level_tag_text_and_key_values_tell_records_apart() {
    let _turn = turn();
    let calls: &[&dyn Fn(&Logger)] = &[
        &|log| error!(log, "refused"),
        &|log| crit!(log, "refused"),
        &|log| warn!(log, "refused"),
        &|log| error!(log, # "a", "refused"),
        &|log| error!(log, # "ar", "efused"),
        &|log| error!(log, "refused!"),
        &|log| error!(log, "refused"; "n" => 1),
        &|log| error!(log, "refused"; "m" => 1),
        &|log| error!(log, "refused"; "n" => 2),
        &|log| error!(log, "refused"; "n" => 1, "m" => 1),
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
fn nested_values_show_in_summaries() {
    let _turn = turn();
    let (log, dedup, lines, _) = root();
    let value = || slog::Serde(std::collections::BTreeMap::from([("a", vec![Some(1.5), None])]));
    (0..2).for_each(
        |_| info!(log, "x"; "at" => value(), "took" => slog::Serde(Duration::from_millis(1))),
    );
    dedup.flush().unwrap();
    let summary = lines.lines().pop().unwrap();
    let ordered = summary.text.contains(r#" took="Duration { secs: 0, nanos: 1000000 }""#);
    assert!(
        ordered && summary.text.contains(r#" at="{\"a\": [Some(1.5), None]}""#),
        "{}",
        summary.text
    );
}

#[test]
fn what_does_not_tell_them_apart() {
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
fn fields_say_which_key_values_count() {
    let _turn = turn();
    let calls: &[&dyn Fn(&Logger)] = &[
        &|log| info!(log, "x"; "peer" => "a", "id" => 1),
        &|log| info!(log, "x"; "peer" => "a", "id" => 2),
        &|log| info!(log.new(o!("id" => 7)), "x"; "peer" => "a"),
        &|log| info!(log, "x"; "peer" => "b", "id" => 1),
        &|log| info!(log, "x"; "id" => 3),
    ];
    for (fields, expected) in [
        (Fields::all(), 5),
        (Fields::except(["id", "not there"]), 3),
        (Fields::only(["peer", "not there"]), 3),
        (Fields::only(["id"]), 4),
        (Fields::none(), 1),
    ] {
        assert_eq!(passed(with_fields(fields.clone()), calls), expected, "{fields:?}");
    }
}

#[test]
fn a_timestamp_makes_every_record_a_message_unless_it_is_left_out() {
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
fn the_text_alone_can_be_the_key() {
    let _turn = turn();
    let calls: &[&dyn Fn(&Logger)] = &[
        &|log| error!(log, "x"),
        &|log| crit!(log.new(o!("a" => 1)), # "tag", "x"; "n" => 1),
        &|log| info!(log, "y"),
    ];
    assert_eq!(
        passed(|cache, lines| Dedup::builder(cache, lines).key(Key::Message).build(), calls),
        2
    );
}

#[test]
fn two_drains_over_one_cache_are_each_told_of_the_first() {
    let _turn = turn();
    let (cache, _) = cache();
    let (a, b) = (Lines::new(), Lines::new());
    let one = Dedup::builder(Arc::clone(&cache), Arc::clone(&a)).build();
    let two = Dedup::builder(cache, Arc::clone(&b)).build();
    let log = Logger::root(Duplicate(one, two.filter_level(Level::Warning)).fuse(), o!());
    for _ in 0..10 {
        error!(log, "x");
        info!(log, "x");
    }
    drop(log);
    let sorted = |lines: &Lines| {
        let mut lines: Vec<_> =
            lines.lines().into_iter().map(|line| (line.level, line.text)).collect();
        lines.sort();
        lines
    };
    let x = |level| [(level, "x".to_string()), (level, "x: 9 more suppressed".to_string())];
    assert_eq!(sorted(&a), [x(Level::Error), x(Level::Info)].concat());
    assert_eq!(sorted(&b), x(Level::Error));
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
fn notices_say_that_suppression_starts() {
    let _turn = turn();
    let (log, dedup, lines, _) =
        root_with(|cache, lines| Dedup::builder(cache, lines).notices(true).build());
    for _ in 0..4 {
        crit!(log, "full"; "disk" => 7);
    }
    let told = lines.lines();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].text, "full disk=7: repeats are suppressed from here on");
    assert_eq!(told[1].pairs, pairs(&[("quell.notice", "true")]));
    assert_eq!((told[1].level, told[1].line), (Level::Critical, told[0].line));
    dedup.flush().unwrap();
    assert_eq!(
        lines.texts(),
        ["full disk=7: 3 more suppressed"],
        "the one of the notice is counted"
    );
}

#[test]
fn rules_can_exempt_and_be_changed() {
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
    assert_eq!(
        offer("bad"),
        Err(Refused("bad: 1 more suppressed".into())),
        "the summary's error is the first"
    );
    let error = drain.flush().unwrap_err();
    assert!(matches!(error, FlushError::Io(_)), "{error}");
    assert_eq!(lines.texts(), ["good"]);
}

#[test]
fn flush_writes_what_is_pending_and_then_flushes_or_says_that_it_cannot() {
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
    assert_eq!(lines.texts(), ["x", "x: 2 more suppressed"]);
}

#[test]
fn a_guard_flushes_and_its_drop_does() {
    let _turn = turn();
    let (log, dedup, lines, _) = root();
    let guard = dedup.guard().unwrap();
    let say = || (0..3).for_each(|_| info!(log, "x"));
    say();
    guard.flush();
    assert_eq!(lines.texts(), ["x", "x: 2 more suppressed"]);
    say();
    drop(guard);
    let told = lines.take();
    assert!(
        matches!(&told[..], [Told::Line(sum), Told::Flushed] if sum.stands_for() == 3),
        "{told:?}"
    );

    let zero = Dedup::builder(cache().0, Lines::new()).interval(Duration::ZERO).build();
    assert!(matches!(zero.guard(), Err(InitError::Config(ConfigError::IntervalTooShort { .. }))));
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
    assert_eq!(told[1].text, "x n=1 host=web1: 2 more suppressed");
    assert_eq!((told[0].pair("host"), told[1].pair("host")), (Some("web1"), Some("web1")));
    drop(log);
    assert_eq!(lines.take(), [Told::Flushed], "nothing twice");
}

#[test]
fn the_guards_thread_writes_what_is_over() {
    let _turn = turn();
    struct Sends(Mutex<mpsc::Sender<Line>>);
    impl Drain for Sends {
        type Ok = ();
        type Err = Never;
        fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
            self.0.lock().unwrap().send(line_of(record, values)).unwrap();
            Ok(())
        }
    }
    let (sender, lines) = mpsc::channel();
    let (cache, clock) = cache();
    let dedup =
        Dedup::builder(cache, Sends(Mutex::new(sender))).interval(Duration::from_millis(1)).build();
    let guard = dedup.guard().unwrap();
    let log = Logger::root(dedup, o!());
    (0..3).for_each(|_| info!(log, "old"));
    clock.advance(WINDOW);
    (0..3).for_each(|_| info!(log, "new"));
    let mut texts: Vec<_> = (0..3).map(|_| lines.recv().unwrap().text).collect();
    texts.sort();
    assert_eq!(texts, ["new", "old", "old: 2 more suppressed"]);
    drop(guard);
    assert_eq!(
        lines.try_iter().map(|line| line.text).collect::<Vec<_>>(),
        ["new: 2 more suppressed"]
    );
}

#[test]
fn a_display_that_panics_or_fails_loses_no_record() {
    let _turn = turn();
    let (log, dedup, lines, _) = root();
    for _ in 0..3 {
        crit!(log, "{}!", Bad { panics: true }; "n" => 1);
        crit!(log, "{}!", Bad { panics: false }; "n" => 1);
    }
    let told = lines.lines();
    let (panicked, failed) =
        ("so far<panicked while formatting>", "so far<error while formatting>");
    let texts: Vec<_> = told.iter().map(|line| &*line.text).collect();
    assert_eq!(texts, [panicked, failed, panicked, failed, panicked, failed]);
    assert!(told.iter().all(|line| line.pair("n") == Some("1")
        && line.level == Level::Critical
        && line.file == file!()));
    assert_eq!(dedup.cache().stats().failed_open, 6);
    (0..2).for_each(|_| error!(log, "fine"));
    assert_eq!(lines.texts(), ["fine"], "and the logger is as good as before");
}

#[test]
fn a_key_value_that_panics_or_fails_loses_no_record() {
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
        error!(log, "panics"; "bad" => %Bad { panics: true });
        error!(log, "fails"; "bad" => %Bad { panics: false });
        error!(log, "value"; "bad" => Unserializable);
        error!(log.new(o!("bad" => FnValue(|_| -> u32 { panic!("in a value") }))), "owned");
    }
    assert_eq!(dedup.inner().0.lock().unwrap().len(), 12);
    assert_eq!(dedup.cache().stats().failed_open, 12);

    // What is left out is not formatted. (An `FnValue` is called, whatever its name.)
    let dedup = Arc::new(
        Dedup::builder(cache().0, Texts(Mutex::default())).fields(Fields::except(["bad"])).build(),
    );
    let log = Logger::root(Arc::clone(&dedup), o!());
    (0..3).for_each(|_| error!(log, "panics"; "bad" => %Bad { panics: true }));
    assert_eq!(dedup.inner().0.lock().unwrap().len(), 1);
}

#[test]
fn a_value_that_panics_when_it_is_read_again_loses_no_record() {
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
    let (cache, clock) = cache();
    let dedup = Arc::new(Dedup::builder(cache, Texts(Mutex::default())).build());
    let log = Logger::root(Arc::clone(&dedup), o!());
    (0..2).for_each(|_| error!(log, "x"; "n" => 7u64));
    clock.advance(WINDOW);
    let reads = AtomicU64::new(0);
    let once = FnValue(|_| {
        assert_eq!(reads.fetch_add(1, Ordering::Relaxed), 0, "read again");
        7u64
    });
    error!(log, "x"; "n" => once);
    // The summary is made with what could be read.
    assert_eq!(*dedup.inner().0.lock().unwrap(), ["x", "x: 1 more suppressed", "x"]);
    assert_eq!(reads.into_inner(), 2);
}

#[test]
fn a_display_that_logs_is_harmless() {
    let _turn = turn();
    let (log, dedup, lines, _) = root();
    struct Logs<'a>(&'a Logger);
    impl fmt::Display for Logs<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!(self.0, "from inside");
            f.write_str("outside")
        }
    }
    for _ in 0..3 {
        error!(log, "{}", Logs(&log));
    }
    assert_eq!(lines.texts(), ["from inside", "outside"]);
    dedup.flush().unwrap();
    let told = lines.lines();
    let of = |text: &str| {
        told.iter().filter(|line| line.text.starts_with(text)).map(Line::stands_for).sum::<u64>()
    };
    // Formatted once for each key, once for the exemplar, once for the line.
    assert_eq!((of("outside"), of("from inside")), (2, 4));
}

/// Logs another message whenever it is called, into the logger around it.
#[derive(Default)]
struct Talks {
    outer: OnceLock<Logger>,
    calls: AtomicU64,
    told: Mutex<Vec<Line>>,
}

impl Drain for Talks {
    type Ok = ();
    type Err = Never;
    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let line = line_of(record, values);
        self.told.lock().unwrap().push(line);
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        warn!(self.outer.get().unwrap(), "wrote {n}");
        Ok(())
    }
}

#[test]
fn a_drain_that_logs_into_itself_comes_to_an_end() {
    let _turn = turn();
    let talks = Arc::new(Talks::default());
    let dedup = Arc::new(Dedup::builder(cache().0, Arc::clone(&talks)).build());
    let log = Logger::root(Arc::clone(&dedup), o!());
    talks.outer.set(log.clone()).unwrap();
    error!(log, "outside");
    let told = std::mem::take(&mut *talks.told.lock().unwrap());
    assert_eq!(told.len(), 1 + 4, "four levels deep");
    let stats = dedup.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (5, 1), "the deepest is counted");
    assert!(dedup.flush().is_err());
    let told = std::mem::take(&mut *talks.told.lock().unwrap());
    let sum = &told[0];
    assert_eq!((sum.stands_for(), &*sum.tag, sum.level), (1, "quell", Level::Warning));
    assert_eq!(sum.text, "various messages: 1 more suppressed");
}

#[test]
fn a_panic_of_the_drain_is_the_callers_and_breaks_nothing() {
    let _turn = turn();
    struct Panics(Arc<Mutex<Vec<String>>>);
    impl Drain for Panics {
        type Ok = ();
        type Err = Never;
        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            let text = record.msg().to_string();
            let fatal = text.contains("fatal");
            self.0.lock().unwrap().push(text);
            assert!(!fatal, "in the drain");
            Ok(())
        }
    }
    let texts = Arc::new(Mutex::default());
    let log = Logger::root(Dedup::builder(cache().0, Panics(Arc::clone(&texts))).build(), o!());
    for expected in [true, false, false] {
        assert_eq!(catch_unwind(AssertUnwindSafe(|| error!(log, "fatal"))).is_err(), expected);
    }
    (0..3).for_each(|_| error!(log, "fine"));
    drop(log);
    let mut told = std::mem::take(&mut *texts.lock().unwrap());
    told.sort();
    assert_eq!(told, ["fatal", "fatal: 2 more suppressed", "fine", "fine: 2 more suppressed"]);
}

#[test]
fn of_each_message_and_window_exactly_one_passes_from_eight_derived_loggers() {
    let _turn = turn();
    const THREADS: u64 = 8;
    const MESSAGES: u64 = 20;
    const ROUNDS: u64 = 10;
    const REPEATS: u64 = 5;
    let (log, dedup, lines, clock) = root_with(|cache, lines| {
        Dedup::builder(cache, lines).fields(Fields::except(["thread"])).build()
    });
    let mut suppressed = 0;
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let log = log.new(o!("thread" => thread)).new(o!("queue" => "q"));
                scope.spawn(move || {
                    for n in 0..MESSAGES * REPEATS {
                        let m = (n + thread * 3) % MESSAGES;
                        error!(log, "message {}", m; "odd" => m % 2 == 1);
                    }
                });
            }
        });
        let told = lines.lines();
        let (sums, records): (Vec<_>, Vec<_>) =
            told.iter().partition(|line| line.pair("quell.suppressed").is_some());
        let mut seen: Vec<_> = records.iter().map(|line| &*line.text).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(
            (records.len(), seen.len()),
            (MESSAGES as usize, MESSAGES as usize),
            "round {round}"
        );
        // A repeat that races with the emission may be in its summary, or in the next.
        assert_eq!(sums.len(), if round == 0 { 0 } else { MESSAGES as usize });
        suppressed += sums.iter().map(|sum| sum.stands_for()).sum::<u64>();
        clock.advance(WINDOW);
    }
    dedup.flush().unwrap();
    suppressed += lines.lines().iter().map(Line::stands_for).sum::<u64>();
    assert_eq!(suppressed, ROUNDS * MESSAGES * (THREADS * REPEATS - 1));
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
fn a_storm_through_slog_async_into_two_files_is_conserved_line_by_line() {
    let _turn = turn();
    const THREADS: u64 = 8;
    const CALLS: u64 = 4000;
    let dir = tempfile::tempdir().unwrap();
    let cache = Arc::new(
        Cache::builder().window(Duration::from_millis(20)).max_entries(64).build().unwrap(),
    );
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
            let log = log.new(o!("thread" => thread / 2));
            scope.spawn(move || {
                for n in 0..CALLS {
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
        assert!(
            (text.lines().count() as u64) < THREADS * CALLS / 2,
            "{name}: something was suppressed"
        );
    }
}

#[test]
fn before_slog_async_its_errors_and_records_go_through() {
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
        (Level::Debug, "tag", "x 1 n=1 host=web1: 4 more suppressed"),
        (Level::Critical, "", "y"),
        (Level::Critical, "", "y host=web1: 4 more suppressed"),
    ];
    assert_eq!(texts, expected);
    assert!(told.iter().all(|line| line.file == file!() && line.module == module_path!()));
}

#[cfg(unix)]
#[test]
fn a_child_forked_while_others_log_can_log() {
    let _turn = turn();
    struct Counts(AtomicU64);
    impl Drain for Counts {
        type Ok = ();
        type Err = Never;
        fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
            let n = line_of(record, values).stands_for();
            self.0.fetch_add(n, Ordering::Relaxed);
            Ok(())
        }
        fn flush(&self) -> Result<(), FlushError> {
            Ok(())
        }
    }
    let cache = Arc::new(Cache::builder().build().unwrap());
    let dedup = Arc::new(Dedup::builder(cache, Counts(AtomicU64::new(0))).build());
    let root = Logger::root(Arc::clone(&dedup), o!());
    let storm = |thread, n| {
        let log = root.new(o!("thread" => thread));
        error!(root, "hot");
        info!(log, "new"; "n" => n);
        if n % 1000 == 0 {
            dedup.flush().unwrap();
        }
    };
    forks::fork_amid(storm, || {
        let log = root.new(o!("child" => true));
        let before = dedup.inner().0.load(Ordering::Relaxed);
        (0..3000).for_each(|n| warn!(log, "of the child"; "n" => n));
        (0..3000).for_each(|_| warn!(log, "of the child"));
        dedup.flush().unwrap();
        assert!(dedup.inner().0.load(Ordering::Relaxed) >= before + 6000);
    });
}

#[test]
fn records_that_are_off_are_neither_read_nor_counted() {
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
