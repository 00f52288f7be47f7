//! Panics and errors in everything that a program hands to quell: nothing is
//! poisoned, no count is lost, and only the panics of sinks and clocks get out.

mod common;

use common::{Recorder, Sum, Told, WINDOW, cache, emit, text_of, turn};
use crossbeam_utils::atomic::AtomicCell;
use quell::{
    Cache, Clock, Decision, Event, Exemplar, Fingerprint, Key, Level, Logger, Manual, Rule, Sink,
    Summary, Tick, Value, WriteSink,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Arc, Mutex};
use std::{fmt, io, thread};

/// Writes a little, then panics, fails, or panics with a payload that panics
/// again.
enum Bad {
    Panics,
    Fails,
    Explodes,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic_any(Bomb);
            }
        }
        f.write_str("so far ")?;
        match self {
            Bad::Panics => panic!("in Display"),
            Bad::Fails => Err(fmt::Error),
            Bad::Explodes => panic_any(Bomb),
        }
    }
}

impl fmt::Debug for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn panics(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

#[test]
fn arguments_that_panic_or_fail_cost_no_event() {
    let _turn = turn();
    let (cache, _) = cache();
    let recorder = Recorder::new();
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
    for _ in 0..2 {
        log.info(format_args!("a {} z", Bad::Panics));
        log.info(format_args!("a {:?} z", Bad::Fails));
        log.info(format_args!("fine"));
    }
    let (panicked, failed) =
        ("a so far <panicked while formatting>", "a so far <error while formatting>");
    assert_eq!(recorder.texts(), [panicked, failed, "fine", panicked, failed]);
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed, stats.failed_open), (5, 1, 4));
}

#[test]
fn fields_that_panic_or_fail_cost_no_event() {
    let _turn = turn();
    let (cache, _) = cache();
    let recorder = Recorder::new();
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder)).with_attr("a", 1);
    for group in ["", "g"] {
        let log = log.with_group(group);
        for _ in 0..2 {
            log.log_with(
                Level::Info,
                format_args!("m"),
                &[("f", Value::Display(&Bad::Panics)), ("z", 1.into())],
            );
            log.log_with(Level::Info, format_args!("m"), &[("f", Value::Debug(&Bad::Fails))]);
        }
    }
    assert_eq!(
        recorder.texts(),
        [
            "m a=1 f=\"so far <panicked while formatting>\" z=1",
            "m a=1 f=\"so far <error while formatting>\"",
            "m a=1 f=\"so far <panicked while formatting>\" z=1",
            "m a=1 f=\"so far <error while formatting>\"",
            "m a=1 g.f=\"so far <panicked while formatting>\" g.z=1",
            "m a=1 g.f=\"so far <error while formatting>\"",
            "m a=1 g.f=\"so far <panicked while formatting>\" g.z=1",
            "m a=1 g.f=\"so far <error while formatting>\"",
        ]
    );
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed, stats.failed_open), (8, 0, 8));
}

#[test]
fn a_field_outside_the_key_does_not_spoil_it() {
    let _turn = turn();
    let (cache, _) = cache();
    let recorder = Recorder::new();
    let log = Logger::builder(Arc::clone(&cache), Arc::clone(&recorder)).key(Key::Message).build();
    for _ in 0..3 {
        log.log_with(Level::Info, format_args!("m"), &[("f", Value::Display(&Bad::Panics))]);
    }
    assert_eq!(recorder.texts(), ["m f=\"so far <panicked while formatting>\""]);
    log.flush();
    let sums = recorder.sums();
    assert_eq!((sums[0].suppressed, sums.len()), (2, 1));
    assert_eq!(sums[0].text, "m", "a summary shows what the key is made of");
    assert_eq!(cache.stats().failed_open, 0);
}

#[test]
fn an_argument_that_panics_only_now_and_then() {
    let _turn = turn();
    /// Panics at the given reading.
    struct At(Cell<i32>);
    impl fmt::Display for At {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.set(self.0.get() - 1);
            assert_ne!(self.0.get(), 0, "now");
            f.write_str("fine")
        }
    }
    let (cache, _) = cache();
    let recorder = Recorder::new();
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
    // For the hash, for the exemplar, for the sink.
    for (reading, failed_open, text) in [
        (1, 1, "fine 1"),
        (2, 1, "fine 2"),
        (3, 1, "<panicked while formatting>"),
        (4, 1, "fine 4"),
    ] {
        log.info(format_args!("{} {reading}", At(Cell::new(reading))));
        assert_eq!(recorder.texts(), [text]);
        assert_eq!(cache.stats().failed_open, failed_open);
    }
    assert_eq!(cache.stats().emitted, 4);
}

#[test]
fn payloads_that_panic_when_dropped() {
    let _turn = turn();
    let (cache, _) = cache();
    let recorder = Recorder::new();
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
    log.log_with(
        Level::Info,
        format_args!("{}", Bad::Explodes),
        &[("f", Value::Debug(&Bad::Explodes))],
    );
    assert_eq!(
        recorder.texts(),
        ["so far <panicked while formatting> f=\"so far <panicked while formatting>\""]
    );
}

/// A recorder that panics first, where told to.
#[derive(Default)]
struct Touchy {
    write: AtomicCell<bool>,
    notice: AtomicCell<bool>,
    /// Before the summary that would be the nth from now, if not 0.
    summary: AtomicCell<u32>,
    flush: AtomicCell<bool>,
    recorder: Recorder,
}

impl Sink for Touchy {
    fn write(&self, event: &Event<'_>) {
        assert!(!self.write.load(), "in write");
        self.recorder.write(event);
    }
    fn summary(&self, summary: &Summary) {
        let nth = self.summary.load();
        self.summary.store(nth.saturating_sub(1));
        assert_ne!(nth, 1, "in summary");
        self.recorder.summary(summary);
    }
    fn notice(&self, event: &Event<'_>) {
        assert!(!self.notice.load(), "in notice");
        self.recorder.notice(event);
    }
    fn flush(&self) {
        assert!(!self.flush.load(), "in flush");
        self.recorder.flush();
    }
}

#[test]
fn sinks_that_panic_in_write() {
    let _turn = turn();
    let (cache, clock) = cache();
    let sink = Arc::new(Touchy::default());
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&sink));
    sink.write.store(true);
    // More often than calls may be nested.
    for i in 0..20 {
        assert!(panics(|| log.info(format_args!("m {i}"))));
        assert!(panics(|| log.info(format_args!("{}", Bad::Panics))));
    }
    sink.write.store(false);
    log.info(format_args!("m 0"));
    assert_eq!(sink.recorder.take(), [], "it was decided before the sink panicked");
    clock.advance(WINDOW);
    log.info(format_args!("m 0"));
    assert_eq!(sink.recorder.take(), [Told::Wrote(Level::Info, String::new(), "m 0".into(), 1)]);
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed, stats.failed_open), (41, 1, 20));
}

#[test]
fn sinks_that_panic_in_notice() {
    let _turn = turn();
    let (cache, _) = cache();
    let sink = Arc::new(Touchy::default());
    let log = Logger::builder(Arc::clone(&cache), Arc::clone(&sink)).notices(true).build();
    sink.notice.store(true);
    log.info(format_args!("m"));
    assert!(panics(|| log.info(format_args!("m"))));
    log.info(format_args!("m"));
    drop(log);
    assert_eq!(sink.recorder.sums().iter().map(|sum| sum.suppressed).collect::<Vec<_>>(), [2]);
}

/// Logs five messages once, twice, ... so that each has another count pending.
fn five_messages(log: &Logger<Arc<Touchy>, Manual>) {
    for i in 0..5 {
        for _ in 0..i + 2 {
            log.info(format_args!("m {i}"));
        }
    }
}

fn counts(sums: Vec<Sum>) -> Vec<u64> {
    sums.iter().map(|sum| sum.suppressed).collect()
}

#[test]
fn sinks_that_panic_in_flush() {
    let _turn = turn();
    let (cache, _) = cache();
    let sink = Arc::new(Touchy::default());
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&sink));
    five_messages(&log);
    for _ in 0..20 {
        sink.flush.store(true);
        assert!(panics(|| log.flush()));
    }
    sink.flush.store(false);
    assert_eq!(counts(sink.recorder.sums()), [1, 2, 3, 4, 5]);

    once_more_each(&log);
    sink.summary.store(3);
    assert!(panics(|| log.flush()));
    let mut sums = sink.recorder.sums();
    assert_eq!(sums.len(), 2);
    log.flush();
    sums.extend(sink.recorder.sums());
    assert_eq!(sums.len(), 4, "all but the one that the sink panicked in: {sums:?}");
    log.flush();
    assert_eq!(sink.recorder.sums(), []);
}

/// Logs the five once more each, in the same window.
fn once_more_each(log: &Logger<Arc<Touchy>, Manual>) {
    for i in 0..5 {
        log.info(format_args!("m {i}"));
    }
}

#[test]
fn sinks_that_panic_when_the_last_handle_goes() {
    let _turn = turn();
    let (cache, _) = cache();
    let sink = Arc::new(Touchy::default());
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&sink));
    five_messages(&log);
    sink.recorder.take();
    sink.summary.store(2);
    sink.flush.store(true);
    drop(log);
    assert_eq!(sink.recorder.sums().len(), 4, "the others are written nevertheless");
    let mut left = 0;
    cache.drain(|_| left += 1);
    assert_eq!(left, 0);
}

#[test]
fn sinks_that_panic_while_unwinding() {
    let _turn = turn();
    let (cache, _) = cache();
    let sink = Arc::new(Touchy::default());
    let payload = catch_unwind(AssertUnwindSafe(|| {
        let log = Logger::new(Arc::clone(&cache), Arc::clone(&sink));
        five_messages(&log);
        sink.summary.store(1);
        sink.flush.store(true);
        panic_any("the first panic");
    }))
    .unwrap_err();
    // A second panic that left the drop would have ended the process.
    assert_eq!(payload.downcast_ref(), Some(&"the first panic"));
    assert_eq!(sink.recorder.sums().len(), 4);

    /// Logs what panics, while unwinding.
    struct Parting(Logger<Arc<Touchy>, Manual>);
    impl Drop for Parting {
        fn drop(&mut self) {
            self.0.info(format_args!("parting {}", Bad::Panics));
        }
    }
    sink.flush.store(false);
    assert!(panics(|| {
        let _parting = Parting(Logger::new(Arc::clone(&cache), Arc::clone(&sink)));
        panic!("another panic");
    }));
    let text = "parting so far <panicked while formatting>".into();
    assert_eq!(
        sink.recorder.take(),
        [Told::Wrote(Level::Info, String::new(), text, 0), Told::Flushed]
    );
}

#[test]
fn writers_that_panic() {
    let _turn = turn();
    /// Panics half way through each line that speaks of it.
    #[derive(Clone, Default)]
    struct Moody(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let bad = bytes.starts_with(b"INFO panic");
            let n = if bad { 6 } else { bytes.len() };
            self.0.lock().unwrap().extend_from_slice(&bytes[..n]);
            assert!(!bad, "in the writer");
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (cache, _) = cache();
    let out = Moody::default();
    let log = Logger::new(Arc::clone(&cache), WriteSink::new(out.clone()));
    log.info(format_args!("before"));
    for i in 0..3 {
        assert!(panics(|| log.info(format_args!("panic {i}"))));
    }
    thread::scope(|scope| {
        scope.spawn(|| log.info(format_args!("from another thread")));
    });
    log.info(format_args!("after"));
    drop(log);
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text, "INFO before\nINFO p\nINFO p\nINFO p\nINFO from another thread\nINFO after\n");
}

#[test]
fn clocks_that_panic() {
    let _turn = turn();
    #[derive(Clone, Default)]
    struct Broken(Arc<AtomicCell<bool>>);
    impl Clock for Broken {
        fn now(&self) -> Tick {
            assert!(!self.0.load(), "in the clock");
            Tick::from_millis(1)
        }
    }
    let clock = Broken::default();
    let cache = Arc::new(Cache::builder().clock(clock.clone()).build().unwrap());
    let recorder = Recorder::new();
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
    log.info(format_args!("m"));
    clock.0.store(true);
    for _ in 0..20 {
        log.info(format_args!("m"));
        assert!(panics(|| assert!(cache.check(Fingerprint::from_u128(1)).is_emit())));
    }
    clock.0.store(false);
    log.info(format_args!("m"));
    log.info(format_args!("n"));
    let mut lines = vec!["m"; 21];
    lines.push("n");
    assert_eq!(recorder.texts(), lines, "without a clock events pass");
    assert_eq!(cache.stats().failed_open, 20);
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed), (22, 1), "each call was offered");
}

#[test]
fn exemplars_that_panic() {
    let _turn = turn();
    let (cache, clock) = cache();
    let fp = Fingerprint::from_u128(7);
    assert_eq!(cache.check_with(fp, &Rule::once(), || panic!("in the exemplar")), emit(0));
    assert_eq!(
        cache.check_with(fp, &Rule::once(), || panic!("not called")),
        Decision::Suppress { first: true }
    );
    clock.advance(WINDOW);
    assert_eq!(cache.check_with(fp, &Rule::once(), || Some(Exemplar::new("at last"))), emit(1));
    assert_eq!(
        cache.check_with(fp, &Rule::once(), || panic!("not called")),
        Decision::Suppress { first: true }
    );
    let mut texts = Vec::new();
    cache.drain(|summary| texts.push(summary.exemplar.map(|x| x.to_string())));
    assert_eq!(texts, [Some("at last".into())]);
}

#[test]
fn reports_that_panic() {
    let _turn = turn();
    let (cache, _) = cache();
    for i in 0..300u128 {
        // Spread, as hashes are.
        let fp =
            Fingerprint::from_u128(i.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835) >> 16);
        assert!(cache.check(fp).is_emit());
        assert!(!cache.check(fp).is_emit());
    }
    let mut reported = 0;
    while panics(|| {
        cache.drain(|summary| {
            reported += summary.suppressed;
            assert!(reported % 7 != 0, "in the report");
        });
    }) {}
    assert_eq!(reported, 300);
    assert_eq!(cache.stats().suppressed, 300);
}

#[test]
fn a_thread_that_panics_harms_no_other() {
    let _turn = turn();
    let (cache, _) = cache();
    let sink = Arc::new(Touchy::default());
    let log = Logger::new(Arc::clone(&cache), Arc::clone(&sink));
    thread::scope(|scope| {
        for t in 0..4 {
            let log = log.with_attr("t", t);
            scope.spawn(move || {
                for i in 0..200 {
                    if t == 0 {
                        log.info(format_args!("{} {i}", Bad::Panics));
                    } else {
                        log.info(format_args!("m {}", i % 10));
                    }
                }
            });
        }
    });
    let stats = cache.stats();
    assert_eq!((stats.emitted, stats.suppressed, stats.failed_open), (200 + 30, 3 * 190, 200));
    log.flush();
    assert_eq!(counts(sink.recorder.sums()), [19; 30]);
}

#[test]
fn text_of_an_event_is_safe_for_any_sink() {
    struct Debugs(Mutex<Vec<String>>);
    impl Sink for Debugs {
        fn write(&self, event: &Event<'_>) {
            let lines = [
                format!("{event:?}"),
                text_of(event),
                format!("{:?}", event.fields().collect::<Vec<_>>()),
            ];
            self.0.lock().unwrap().extend(lines);
        }
        fn summary(&self, _: &Summary) {}
    }
    let (cache, _) = cache();
    let log = Logger::new(cache, Debugs(Mutex::default()));
    log.log_with(
        Level::Info,
        format_args!("{:>5}|{:?}", 1, Bad::Panics),
        &[("f", Value::Debug(&Bad::Fails))],
    );
    let lines = log.sink().0.lock().unwrap();
    assert!(lines[0].contains("message:     1|so far <panicked while formatting>"), "{}", lines[0]);
    assert!(lines[1].starts_with("    1|so far <panicked while formatting> f=\""), "{}", lines[1]);
    assert_eq!(lines[2], "[f=\"so far <error while formatting>\"]");
}
