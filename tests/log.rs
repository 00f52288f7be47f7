//! The front end for `log`, as far as `tests/front` does not ask it of all: its macros'
//! values, levels that are off, flushes, a source that fails, `env_logger`.
#![cfg(feature = "log")]

mod common;
#[path = "common/records.rs"]
mod records;

use common::{cache, turn};
use log::{Level, LevelFilter, Log, Metadata, Record, error, info, log};
use quell::front::log::Dedup;
use quell::{ConfigError, InitError, Manual, Rule};
use records::{Lines, Told, line_of};
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

type Kept = Dedup<Arc<Lines>, Manual>;

fn dedup() -> (Kept, Arc<Lines>, Manual) {
    let (cache, clock) = cache();
    let lines = Lines::new();
    (Dedup::builder(cache, Arc::clone(&lines)).build(), lines, clock)
}

#[test]
fn values_pass_unchanged_and_a_flush_sums_them() {
    let _turn = turn();
    let (log, lines, clock) = dedup();
    for _ in 0..3 {
        error!(logger: log, target: "store::wal", peer = "db1", n = 3; "seg {} failed", 7);
    }
    let pairs = |pairs: &[(&str, &str)]| -> Vec<_> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    };
    let first = lines.lines().remove(0);
    assert_eq!((&*first.text, first.module.as_deref()), ("seg 7 failed", Some(module_path!())));
    assert_eq!(first.pairs, pairs(&[("peer", "\"db1\""), ("n", "3")]));
    clock.advance(Duration::from_millis(1234));
    log.flush();
    let told = lines.take();
    let [Told::Line(sum), Told::Flushed] = &told[..] else { panic!("{told:?}") };
    assert_eq!(sum.text, "seg 7 failed: 2 more suppressed");
    assert_eq!(
        sum.pairs,
        [
            &first.pairs[..],
            &pairs(&[
                ("quell.suppressed", "2"),
                ("quell.since_ms", "1234"),
                ("quell.last_ms", "1234")
            ])
        ]
        .concat()
    );
    assert_eq!((&sum.file, sum.line), (&first.file, first.line));
    log.flush();
    assert_eq!(lines.take(), [Told::Flushed], "nothing twice");
    assert_eq!(log.rules().get().default_rule(), Rule::once());
}

#[test]
fn types_tell_values_apart() {
    let _turn = turn();
    let calls: &[&dyn Fn(&Kept)] = &[
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
    let (log, lines, _) = dedup();
    calls.iter().for_each(|call| call(&log));
    assert_eq!(lines.lines().len(), calls.len());
}

#[test]
fn order_file_and_literal_do_not_matter() {
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
fn what_is_off_is_neither_asked_nor_counted() {
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

#[test]
fn an_interval_of_zero_installs_nothing() {
    let builder = Dedup::builder(cache().0, Lines::new()).interval(Duration::ZERO);
    let error = builder.init(LevelFilter::Info).unwrap_err();
    assert!(matches!(error, InitError::Config(ConfigError::IntervalTooShort { .. })));
    assert!(!log::logger().enabled(&Metadata::builder().level(Level::Error).build()));
}

#[test]
fn a_source_that_fails_loses_no_record() {
    let _turn = turn();
    struct Fails;
    impl log::kv::Source for Fails {
        fn visit<'kvs>(
            &'kvs self,
            _: &mut dyn log::kv::VisitSource<'kvs>,
        ) -> Result<(), log::kv::Error> {
            Err(log::kv::Error::msg("cannot be read"))
        }
    }
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
    let log = Dedup::builder(cache().0, Texts(Mutex::default())).build();
    for _ in 0..3 {
        log.log(&Record::builder().args(format_args!("source")).key_values(&Fails).build());
    }
    assert_eq!(log.inner().0.lock().unwrap().len(), 3);
    assert_eq!(log.cache().stats().failed_open, 3);
}

#[test]
fn a_logger_that_flushes_itself_ends() {
    let _turn = turn();
    /// Flushes the `Dedup` around it whenever it is flushed.
    #[derive(Default)]
    struct Flushes(OnceLock<Weak<Dedup<Arc<Flushes>, Manual>>>, Mutex<u32>);
    impl Log for Flushes {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &Record<'_>) {}
        fn flush(&self) {
            *self.1.lock().unwrap() += 1;
            if let Some(outer) = self.0.get().unwrap().upgrade() {
                outer.flush();
            }
        }
    }
    let flushes = Arc::new(Flushes::default());
    let log = Arc::new(Dedup::builder(cache().0, Arc::clone(&flushes)).build());
    flushes.0.set(Arc::downgrade(&log)).unwrap();
    log.flush();
    let times = *flushes.1.lock().unwrap();
    assert!((1..=5).contains(&times), "{times}");
}
