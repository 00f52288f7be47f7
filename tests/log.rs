//! The front end for `log`, through its macros, into loggers that keep, write or fail.
#![cfg(feature = "log")]

mod common;
#[cfg(unix)]
#[path = "common/forks.rs"]
mod forks;
#[path = "common/records.rs"]
mod records;

use common::{Bad, WINDOW, accounted, cache, turn};
use log::{Level, LevelFilter, Log, Metadata, Record, error, info, log, warn};
use quell::Key;
use quell::front::log::Dedup;
use quell::{Cache, ConfigError, Fields, InitError, Manual, Rule, Rules, SharedRules};
use records::{Line, Lines, Told, line_of};
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

type Kept = Dedup<Arc<Lines>, Manual>;
type Calls<'a> = [&'a dyn Fn(&Kept)];

fn dedup() -> (Kept, Arc<Lines>, Manual) {
    let (cache, clock) = cache();
    let lines = Lines::new();
    (Dedup::builder(cache, Arc::clone(&lines)).build(), lines, clock)
}

/// How many of these calls on one logger are let through.
fn passed(builder: impl Fn(Arc<Cache<Manual>>, Arc<Lines>) -> Kept, calls: &Calls<'_>) -> usize {
    let lines = Lines::new();
    let dedup = builder(cache().0, Arc::clone(&lines));
    calls.iter().for_each(|call| call(&dedup));
    lines.lines().len()
}

fn plain(cache: Arc<Cache<Manual>>, lines: Arc<Lines>) -> Kept {
    Dedup::builder(cache, lines).build()
}

#[test]
fn the_first_passes_unchanged_and_its_repeats_are_in_a_summary_like_it() {
    let _turn = turn();
    let (log, lines, clock) = dedup();
    let say = |n: u32| {
        for _ in 0..n {
            error!(logger: log, target: "store::wal", peer = "db1", attempt = 3; "append to {} failed", "seg 7");
        }
    };
    say(5);
    let first = lines.lines();
    assert_eq!(first.len(), 1);
    let first = &first[0];
    assert_eq!(
        (first.level, &*first.target, &*first.text),
        (Level::Error, "store::wal", "append to seg 7 failed")
    );
    assert_eq!(
        first.pairs,
        [("peer", "\"db1\""), ("attempt", "3")].map(|(k, v)| (k.to_string(), v.to_string()))
    );
    assert_eq!(first.module.as_deref(), Some(module_path!()));
    assert_eq!(first.file.as_deref(), Some(file!()));
    assert!(first.line.is_some());

    // The next window: the summary, then the record itself.
    clock.advance(WINDOW);
    say(3);
    let next = lines.lines();
    assert_eq!(next.len(), 2);
    let summary = &next[0];
    assert_eq!(summary.text, "append to seg 7 failed peer=db1 attempt=3: 4 more suppressed");
    assert_eq!(summary.pair("quell.suppressed"), Some("4"));
    assert!(summary.pair("quell.since_ms").is_some());
    let place = |line: &Line| {
        (line.level, line.target.clone(), line.module.clone(), line.file.clone(), line.line)
    };
    assert_eq!(place(summary), place(first));
    assert_eq!(next[1], *first);

    clock.advance(Duration::from_millis(1234));
    log.flush();
    let told = lines.take();
    let [Told::Line(last), Told::Flushed] = &told[..] else { panic!("{told:?}") };
    assert_eq!(
        last.pairs,
        [("quell.suppressed", "2"), ("quell.since_ms", "1234")].map(|(k, v)| (k.into(), v.into()))
    );
    assert_eq!(place(last), place(first));
    log.flush();
    assert_eq!(lines.take(), [Told::Flushed], "nothing twice");
}

#[test]
fn level_target_text_and_key_values_tell_records_apart() {
    let _turn = turn();
    let calls: &Calls<'_> = &[
        &|log| error!(logger: log, "refused"),
        &|log| warn!(logger: log, "refused"),
        &|log| error!(logger: log, target: "a", "refused"),
        &|log| error!(logger: log, target: "ar", "efused"),
        &|log| error!(logger: log, "refused!"),
        &|log| error!(logger: log, n = 1; "refused"),
        &|log| error!(logger: log, m = 1; "refused"),
        &|log| error!(logger: log, n = 2; "refused"),
        &|log| error!(logger: log, n = 1, m = 1; "refused"),
    ];
    assert_eq!(passed(plain, calls), calls.len());
    assert_eq!(passed(plain, &[calls, calls].concat()), calls.len());
}

#[test]
fn types_tell_values_apart() {
    let _turn = turn();
    let calls: &Calls<'_> = &[
        &|log| info!(logger: log, n = 1u64; "x"),
        &|log| info!(logger: log, n = 1i64; "x"),
        &|log| info!(logger: log, n = 1u128; "x"),
        &|log| info!(logger: log, n = 1i128; "x"),
        &|log| info!(logger: log, n = 1.0; "x"),
        &|log| info!(logger: log, n = "1"; "x"),
        &|log| info!(logger: log, n = '1'; "x"),
        &|log| info!(logger: log, n = true; "x"),
        &|log| info!(logger: log, n = (); "x"),
        &|log| info!(logger: log, n:% = 1u64; "x"),
        &|log| info!(logger: log, n:? = "1"; "x"),
        &|log| info!(logger: log, n = None::<u64>; "y"),
        &|log| info!(logger: log, n = Some(0); "y"),
    ];
    assert_eq!(passed(plain, calls), calls.len());
}

#[test]
fn what_does_not_tell_them_apart() {
    let _turn = turn();
    let (log, lines, _) = dedup();
    // Order; call sites and files; whether the text is a literal or formatted.
    error!(logger: log, target: "t", a = 1, b = "x"; "one 2");
    error!(logger: log, target: "t", b = "x", a = 1; "one 2");
    error!(logger: log, target: "t", b = "x", a = 1; "{} {}", "one", 2);
    error!(logger: log, target: "t", b = "x", a = 1; "{}", String::from("one 2"));
    for file in ["a.rs", "b.rs"] {
        log.log(
            &Record::builder()
                .level(Level::Error)
                .target("t")
                .module_path(Some(file))
                .file(Some(file))
                .line(Some(file.len() as u32))
                .key_values(&[("a", log::kv::Value::from(1)), ("b", log::kv::Value::from("x"))])
                .args(format_args!("one {}", 2))
                .build(),
        );
    }
    assert_eq!(lines.texts(), ["one 2"]);
    assert_eq!(log.cache().stats().suppressed, 5);
}

#[test]
fn fields_say_which_key_values_count() {
    let _turn = turn();
    let calls: &Calls<'_> = &[
        &|log| info!(logger: log, peer = "a", id = 1; "x"),
        &|log| info!(logger: log, peer = "a", id = 2; "x"),
        &|log| info!(logger: log, peer = "a"; "x"),
        &|log| info!(logger: log, peer = "b", id = 1; "x"),
        &|log| info!(logger: log, id = 3; "x"),
    ];
    for (fields, expected) in [
        (Fields::all(), 5),
        (Fields::except(["id", "not there"]), 3),
        (Fields::only(["peer", "not there"]), 3),
        (Fields::only(["id"]), 4),
        (Fields::none(), 1),
    ] {
        let build = |cache, lines| Dedup::builder(cache, lines).fields(fields.clone()).build();
        assert_eq!(passed(build, calls), expected, "{fields:?}");
    }

    // Excluded ones are not in the summary's text, but in the line.
    let (cache, lines) = (cache().0, Lines::new());
    let log = Dedup::builder(cache, Arc::clone(&lines)).fields(Fields::except(["id"])).build();
    for id in 1..4 {
        info!(logger: log, peer = "a", id; "x");
    }
    log.flush();
    let told = lines.lines();
    assert_eq!((told[0].pair("id"), &*told[1].text), (Some("1"), "x peer=a: 2 more suppressed"));
}

#[test]
fn the_text_alone_can_be_the_key() {
    let _turn = turn();
    let calls: &Calls<'_> = &[
        &|log| error!(logger: log, "x"),
        &|log| info!(logger: log, target: "a", n = 1; "x"),
        &|log| info!(logger: log, "y"),
    ];
    assert_eq!(
        passed(|cache, lines| Dedup::builder(cache, lines).key(Key::Message).build(), calls),
        2
    );
}

#[test]
fn asking_whether_it_is_enabled_spends_nothing_and_what_is_disabled_is_not_counted() {
    let _turn = turn();
    let lines = Lines::up_to(LevelFilter::Info);
    let log = Dedup::builder(cache().0, Arc::clone(&lines)).build();
    let at = |level| Metadata::builder().level(level).target("t").build();
    for _ in 0..10 {
        assert!(log.enabled(&at(Level::Info)));
        assert!(!log.enabled(&at(Level::Debug)));
    }
    let stats = log.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed, stats.entries), (0, 0, 0));
    // The macros ask only for the maximum level, which is higher.
    for level in [Level::Debug, Level::Trace, Level::Info, Level::Info] {
        log!(logger: log, target: "t", level, "x");
    }
    assert_eq!(lines.texts(), ["x"]);
    let stats = log.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (1, 1));
}

#[test]
fn two_loggers_over_one_cache_are_each_told_of_the_first() {
    let _turn = turn();
    struct Both<A, B>(A, B);
    impl<A: Log, B: Log> Log for Both<A, B> {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            self.0.enabled(metadata) || self.1.enabled(metadata)
        }
        fn log(&self, record: &Record<'_>) {
            self.0.log(record);
            self.1.log(record);
        }
        fn flush(&self) {
            self.0.flush();
            self.1.flush();
        }
    }
    let (cache, _) = cache();
    let (a, b) = (Lines::new(), Lines::up_to(LevelFilter::Warn));
    let one = Dedup::builder(Arc::clone(&cache), Arc::clone(&a)).build();
    let two = Dedup::builder(cache, Arc::clone(&b)).build();
    assert_ne!(one.namespace(), two.namespace());
    let log = Both(one, two);
    for _ in 0..10 {
        error!(logger: log, "x");
        info!(logger: log, "x");
    }
    log.flush();
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
fn notices_say_that_suppression_starts() {
    let _turn = turn();
    let lines = Lines::new();
    let log = Dedup::builder(cache().0, Arc::clone(&lines)).notices(true).build();
    for _ in 0..4 {
        warn!(logger: log, target: "t", disk = 7; "full");
    }
    let told = lines.lines();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].text, "full disk=7: repeats are suppressed from here on");
    assert_eq!(told[1].pairs, [("quell.notice".to_string(), "true".to_string())]);
    assert_eq!((told[1].level, &*told[1].target, told[1].line), (Level::Warn, "t", told[0].line));
    log.flush();
    assert_eq!(
        lines.texts(),
        ["full disk=7: 3 more suppressed"],
        "the one of the notice is counted"
    );
}

#[test]
fn rules_can_exempt_and_be_changed() {
    let _turn = turn();
    let rules = SharedRules::from(
        Rules::new(Rule::once()).exempt_target("audit").exempt_level(quell::Level::Warn),
    );
    let lines = Lines::new();
    let log = Dedup::builder(cache().0, Arc::clone(&lines)).rules(rules.clone()).build();
    let say = || {
        for _ in 0..3 {
            error!(logger: log, target: "audit::login", "x");
            warn!(logger: log, target: "t", "x");
            error!(logger: log, target: "t", "x");
        }
        lines.texts().len()
    };
    assert_eq!(say(), 3 + 3 + 1);
    rules.set(Rule::once());
    assert_eq!(say(), 2, "what was exempt passes once, the other one is still known");
    assert_eq!(log.rules().get().default_rule(), Rule::once());
}

#[test]
fn a_guard_flushes_and_its_drop_does() {
    let _turn = turn();
    let (log, lines, _) = dedup();
    let guard = log.guard().unwrap();
    let say = || (0..3).for_each(|_| info!(logger: log, "x"));
    say();
    guard.flush();
    let told = lines.take();
    assert!(
        matches!(&told[..], [Told::Line(_), Told::Line(sum), Told::Flushed] if sum.stands_for() == 2),
        "{told:?}"
    );
    say();
    drop(guard);
    let told = lines.take();
    assert!(
        matches!(&told[..], [Told::Line(sum), Told::Flushed] if sum.stands_for() == 3),
        "{told:?}"
    );
}

#[test]
fn a_logger_that_is_dropped_writes_what_is_pending_before_its_guard_does() {
    let _turn = turn();
    let (log, lines, _) = dedup();
    let guard = log.guard().unwrap();
    (0..3).for_each(|_| info!(logger: log, "x"));
    drop(log);
    assert_eq!(lines.texts(), ["x", "x: 2 more suppressed"]);
    guard.flush();
    drop(guard);
    assert_eq!(lines.take(), []);
}

#[test]
fn the_guards_thread_writes_what_is_over() {
    let _turn = turn();
    struct Sends(mpsc::Sender<Line>);
    impl Log for Sends {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &Record<'_>) {
            self.0.send(line_of(record)).unwrap();
        }
        fn flush(&self) {}
    }
    log::set_max_level(LevelFilter::Trace);
    let (sender, lines) = mpsc::channel();
    let (cache, clock) = cache();
    let log = Dedup::builder(cache, Sends(sender)).interval(Duration::from_millis(1)).build();
    let guard = log.guard().unwrap();
    (0..3).for_each(|_| info!(logger: log, "old"));
    clock.advance(WINDOW);
    (0..3).for_each(|_| info!(logger: log, "new"));
    // Two firsts, in this order; the summary of the old one comes by itself, before or after the
    // second first; that of the new one is left to the guard.
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
fn an_interval_of_zero_is_an_error() {
    let log = Dedup::builder(cache().0, Lines::new()).interval(Duration::ZERO).build();
    assert!(matches!(log.guard(), Err(InitError::Config(ConfigError::IntervalTooShort { .. }))));
    let error = Dedup::builder(cache().0, Lines::new())
        .interval(Duration::ZERO)
        .init(LevelFilter::Info)
        .unwrap_err();
    assert!(matches!(error, InitError::Config(_)));
    assert!(
        !log::logger().enabled(&Metadata::builder().level(Level::Error).build()),
        "nothing installed"
    );
}

#[test]
fn a_display_that_panics_or_fails_loses_no_record() {
    let _turn = turn();
    let (log, lines, _) = dedup();
    for _ in 0..3 {
        error!(logger: log, n = 1; "{}!", Bad { panics: true });
        error!(logger: log, n = 1; "{}!", Bad { panics: false });
    }
    let told = lines.lines();
    let panicked = "so far<panicked while formatting>";
    let failed = "so far<error while formatting>";
    let texts: Vec<_> = told.iter().map(|line| &*line.text).collect();
    assert_eq!(texts, [panicked, failed, panicked, failed, panicked, failed]);
    assert!(told.iter().all(|line| line.pair("n") == Some("1")
        && line.level == Level::Error
        && line.line.is_some()));
    assert_eq!(log.cache().stats().failed_open, 6);
    (0..2).for_each(|_| error!(logger: log, "fine"));
    assert_eq!(lines.texts(), ["fine"], "and the logger is as good as before");
}

#[test]
fn a_clock_that_panics_loses_no_record_and_no_count() {
    let _turn = turn();
    /// At the n-th call from now on.
    #[derive(Clone)]
    struct Broken(Manual, Arc<AtomicU64>);
    impl quell::Clock for Broken {
        fn now(&self) -> quell::Tick {
            assert!(self.1.fetch_sub(1, Ordering::Relaxed) != 1, "in the clock");
            self.0.now()
        }
    }
    log::set_max_level(LevelFilter::Trace);
    for nth in 1..4 {
        let clock = Broken(cache().1, Arc::new(AtomicU64::new(u64::MAX)));
        let cache = Cache::builder().window(WINDOW).clock(clock.clone()).build().unwrap();
        let lines = Lines::new();
        let log = Dedup::builder(Arc::new(cache), Arc::clone(&lines)).build();
        (0..3).for_each(|_| error!(logger: log, "x"));
        clock.0.advance(WINDOW);
        clock.1.store(nth, Ordering::Relaxed);
        error!(logger: log, "x");
        drop(log);
        let told: Vec<_> = lines.lines().iter().map(Line::stands_for).collect();
        assert_eq!((told.len(), told.iter().sum::<u64>()), (3, 4), "{nth}: {told:?}");
    }
}

#[test]
fn a_key_value_that_panics_or_fails_loses_no_record() {
    let _turn = turn();
    struct Texts(Mutex<Vec<String>>);
    impl Log for Texts {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &Record<'_>) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
        fn flush(&self) {}
    }
    struct Fails;
    impl log::kv::Source for Fails {
        fn visit<'kvs>(
            &'kvs self,
            _: &mut dyn log::kv::VisitSource<'kvs>,
        ) -> Result<(), log::kv::Error> {
            Err(log::kv::Error::msg("cannot be read"))
        }
    }
    log::set_max_level(LevelFilter::Trace);
    let log = Dedup::builder(cache().0, Texts(Mutex::default())).build();
    for _ in 0..3 {
        error!(logger: log, bad:% = Bad { panics: true }; "panics");
        error!(logger: log, bad:% = Bad { panics: false }; "fails");
        log.log(&Record::builder().args(format_args!("source")).key_values(&Fails).build());
    }
    assert_eq!(log.inner().0.lock().unwrap().len(), 9);
    assert_eq!(log.cache().stats().failed_open, 9);

    let log =
        Dedup::builder(cache().0, Texts(Mutex::default())).fields(Fields::except(["bad"])).build();
    (0..3).for_each(|_| error!(logger: log, bad:% = Bad { panics: true }; "panics"));
    assert_eq!(log.inner().0.lock().unwrap().len(), 1, "what is excluded is not read");
}

#[test]
fn a_display_that_logs_is_harmless() {
    let _turn = turn();
    let (log, lines, _) = dedup();
    struct Logs<'a>(&'a Kept);
    impl fmt::Display for Logs<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!(logger: self.0, "from inside");
            f.write_str("outside")
        }
    }
    for _ in 0..3 {
        error!(logger: log, "{}", Logs(&log));
    }
    assert_eq!(lines.texts(), ["from inside", "outside"]);
    log.flush();
    let told = lines.lines();
    let of = |text: &str| {
        told.iter().filter(|line| line.text.starts_with(text)).map(Line::stands_for).sum::<u64>()
    };
    // Formatted once for each key, once for the exemplar, once for the line.
    assert_eq!((of("outside"), of("from inside")), (2, 4));
}

/// A logger that logs another message whenever it is called, into the `Dedup` around it.
struct Talks {
    outer: OnceLock<std::sync::Weak<Dedup<Arc<Talks>, Manual>>>,
    calls: AtomicU64,
    told: Mutex<Vec<Line>>,
}

impl Log for Talks {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        let line = line_of(record);
        self.told.lock().unwrap().push(line);
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(outer) = self.outer.get().unwrap().upgrade() {
            warn!(logger: *outer, "wrote {n}");
        }
    }
    fn flush(&self) {
        if let Some(outer) = self.outer.get().unwrap().upgrade() {
            outer.flush();
        }
    }
}

#[test]
fn a_logger_that_logs_into_itself_comes_to_an_end() {
    let _turn = turn();
    log::set_max_level(LevelFilter::Trace);
    let talks = Arc::new(Talks {
        outer: OnceLock::new(),
        calls: AtomicU64::new(0),
        told: Mutex::default(),
    });
    let log = Arc::new(Dedup::builder(cache().0, Arc::clone(&talks)).build());
    talks.outer.set(Arc::downgrade(&log)).unwrap();
    error!(logger: *log, "outside");
    let told = std::mem::take(&mut *talks.told.lock().unwrap());
    assert_eq!(told.len(), 1 + 4, "four levels deep");
    let stats = log.cache().stats();
    assert_eq!((stats.emitted, stats.suppressed), (5, 1), "the deepest is counted");
    log.flush();
    let told = std::mem::take(&mut *talks.told.lock().unwrap());
    let sum = &told[0];
    assert_eq!((sum.stands_for(), &*sum.target, sum.level), (1, "quell", Level::Warn));
    assert_eq!(sum.text, "various messages: 1 more suppressed");
}

#[test]
fn a_panic_of_the_logger_is_the_callers_and_breaks_nothing() {
    let _turn = turn();
    struct Panics(Mutex<Vec<String>>);
    impl Log for Panics {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &Record<'_>) {
            let text = record.args().to_string();
            let fatal = text.contains("fatal");
            self.0.lock().unwrap().push(text);
            assert!(!fatal, "in the logger");
        }
        fn flush(&self) {}
    }
    log::set_max_level(LevelFilter::Trace);
    let inner = Arc::new(Panics(Mutex::default()));
    let log = Dedup::builder(cache().0, Arc::new(Arc::clone(&inner))).build();
    for expected in [true, false, false] {
        let panicked = catch_unwind(AssertUnwindSafe(|| error!(logger: log, "fatal"))).is_err();
        assert_eq!(panicked, expected);
    }
    (0..3).for_each(|_| error!(logger: log, "fine"));
    drop(log);
    let mut told = std::mem::take(&mut *inner.0.lock().unwrap());
    told.sort();
    assert_eq!(told, ["fatal", "fatal: 2 more suppressed", "fine", "fine: 2 more suppressed"]);
}

#[test]
fn of_each_message_and_window_exactly_one_passes_from_eight_threads() {
    let _turn = turn();
    const THREADS: u64 = 8;
    const MESSAGES: u64 = 20;
    const ROUNDS: u64 = 10;
    const REPEATS: u64 = 5;
    let (log, lines, clock) = dedup();
    let mut suppressed = 0;
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let log = &log;
                scope.spawn(move || {
                    for n in 0..MESSAGES * REPEATS {
                        let m = (n + thread * 3) % MESSAGES;
                        error!(logger: log, target: "storm", m, odd = m % 2 == 1; "message {m}");
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
    log.flush();
    suppressed += lines.lines().iter().map(Line::stands_for).sum::<u64>();
    assert_eq!(suppressed, ROUNDS * MESSAGES * (THREADS * REPEATS - 1));
}

/// Writes lines like `E target text` and `S n target text` to a file, buffered.
struct ToFile(Mutex<std::io::BufWriter<std::fs::File>>);

impl Log for ToFile {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        let line = line_of(record);
        let mut out = self.0.lock().unwrap();
        match line.pair("quell.suppressed") {
            Some(n) => writeln!(out, "S {n} {} {}", line.target, line.text).unwrap(),
            None => writeln!(out, "E {} {}", line.target, line.text).unwrap(),
        }
    }
    fn flush(&self) {
        self.0.lock().unwrap().flush().unwrap();
    }
}

#[test]
fn a_storm_into_two_files_is_conserved_line_by_line() {
    let _turn = turn();
    const THREADS: u64 = 8;
    const CALLS: u64 = 4000;
    log::set_max_level(LevelFilter::Trace);
    let dir = tempfile::tempdir().unwrap();
    let cache = Arc::new(
        Cache::builder().window(Duration::from_millis(20)).max_entries(64).build().unwrap(),
    );
    let file = |name: &str| {
        ToFile(Mutex::new(std::io::BufWriter::new(
            std::fs::File::create(dir.path().join(name)).unwrap(),
        )))
    };
    let sink = |name: &str| {
        Dedup::builder(Arc::clone(&cache), file(name)).interval(Duration::from_millis(5)).build()
    };
    let (one, two) = (sink("one"), sink("two"));
    let guards = (one.guard().unwrap(), two.guard().unwrap());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let sinks = [&one, &two];
            scope.spawn(move || {
                for n in 0..CALLS {
                    let target = ["net", "disk", "store::wal"][(n % 3) as usize];
                    for log in sinks {
                        match n % 5 {
                            // More messages than there is room for.
                            0 => error!(logger: log, target: target, "request {} of thread {thread}", n / 50),
                            1 => info!(logger: log, target: target, peer = n % 7; "refused"),
                            _ => warn!(logger: log, target: target, "disk {} is full", n % 4),
                        }
                    }
                }
            });
        }
    });
    drop(guards);
    drop((one, two));
    for name in ["one", "two"] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        let (mut offered, mut by_target) = (0, std::collections::BTreeMap::<&str, u64>::new());
        for line in text.lines() {
            let (n, rest) = accounted(line);
            offered += n;
            *by_target.entry(rest.split(' ').next().unwrap()).or_default() += n;
        }
        assert_eq!(offered, THREADS * CALLS, "{name}: {by_target:?}");
        assert!(
            (text.lines().count() as u64) < THREADS * CALLS / 2,
            "{name}: something was suppressed"
        );
    }
}

#[test]
fn through_env_logger() {
    let _turn = turn();
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let out = Shared::default();
    let logger = env_logger::Builder::new()
        .parse_filters("warn,net=debug,quiet=off")
        .format(|out, record| {
            let line = line_of(record);
            writeln!(
                out,
                "{} {} {} {:?}",
                line.level,
                line.target,
                line.text,
                line.pair("quell.suppressed")
            )
        })
        .target(env_logger::Target::Pipe(Box::new(out.clone())))
        .build();
    log::set_max_level(LevelFilter::Trace);
    let log = Dedup::builder(cache().0, logger).build();
    for _ in 0..4 {
        log::debug!(logger: log, target: "net", "sent");
        log::debug!(logger: log, target: "disk", "sent");
        error!(logger: log, target: "quiet", "sent");
    }
    assert_eq!(log.cache().stats().suppressed, 3);
    drop(log);
    let out = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    assert_eq!(out, "DEBUG net sent None\nDEBUG net sent: 3 more suppressed Some(\"3\")\n");
}

#[cfg(unix)]
#[test]
fn a_child_forked_while_others_log_can_log() {
    let _turn = turn();
    log::set_max_level(LevelFilter::Trace);
    struct Counts(AtomicU64);
    impl Log for Counts {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &Record<'_>) {
            let n = line_of(record).stands_for();
            self.0.fetch_add(n, Ordering::Relaxed);
        }
        fn flush(&self) {}
    }
    let cache = Arc::new(Cache::builder().build().unwrap());
    let log = Dedup::builder(cache, Counts(AtomicU64::new(0))).build();
    let storm = |_, n| {
        error!(logger: log, thread = 1; "hot");
        info!(logger: log, n; "new");
        if n % 1000 == 0 {
            log.flush();
        }
    };
    forks::fork_amid(storm, || {
        let before = log.inner().0.load(Ordering::Relaxed);
        (0..3000).for_each(|n| warn!(logger: log, n; "of the child"));
        (0..3000).for_each(|_| warn!(logger: log, "of the child"));
        log.flush();
        assert!(log.inner().0.load(Ordering::Relaxed) >= before + 6000);
    });
}
