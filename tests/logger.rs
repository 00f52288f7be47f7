//! Handles, what they add to a key, and the sinks they write to.

mod common;

use common::{Recorder, Sum, Told, WINDOW, cache};
use crossbeam_utils::atomic::AtomicCell;
use quell::{
    Cache, Clock, Event, Key, Level, Logger, Manual, Sink, Summary, Tick, Value, WriteSink,
};
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex, OnceLock, Weak, mpsc};
use std::time::Duration;
use std::{fmt, thread};

/// Longer than any of this takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

mod keys {
    use super::*;

    /// Logs through each logger twice; the texts that were let through.
    #[track_caller]
    fn assert_all_different(loggers: &[Logger<Arc<Recorder>, Manual>], recorder: &Recorder) {
        for _ in 0..2 {
            for logger in loggers {
                logger.info(format_args!("m"));
            }
        }
        assert_eq!(recorder.texts().len(), loggers.len());
    }

    #[test]
    fn scopes_are_different_messages() {
        let (cache, _) = cache();
        let recorder = Recorder::new();
        let root = Logger::new(cache, Arc::clone(&recorder));
        assert_all_different(
            &[
                root.clone(),
                root.with_attr("a", 1),
                root.with_attr("a", 2),
                root.with_attr("a", 1u8),
                root.with_attr("a", 1i128),
                root.with_attr("a", 1u128),
                root.with_attr("a", 1.0f32),
                root.with_attr("a", "1"),
                root.with_attr("a", '1'),
                root.with_attr("a", true),
                root.with_attr("b", 1),
                root.with_attr("a", 1).with_attr("b", 1),
                root.with_attr("a", 1).with_attr("a", 1),
                root.with_group("g"),
                root.with_group("g").with_attr("a", 1),
                root.with_attr("a", 1).with_group("g"),
                root.with_group("g").with_group("h").with_attr("a", 1),
                root.with_group("h").with_group("g").with_attr("a", 1),
            ],
            &recorder,
        );
    }

    #[test]
    fn order_and_origin_of_attributes_do_not_matter() {
        let (cache, _) = cache();
        let recorder = Recorder::new();
        let root = Logger::new(cache, Arc::clone(&recorder)).with_group("g");
        let level = Level::Info;
        root.with_group("").with_attr("a", 1).with_attr("b", "x").info(format_args!("m"));
        root.with_attr("b", String::from("x")).with_attr("a", 1i64).info(format_args!("m"));
        root.with_attr("a", 1).log_with(level, format_args!("m"), &[("b", "x".into())]);
        root.log_with(level, format_args!("m"), &[("b", Value::Str("x")), ("a", Value::I64(1))]);
        assert_eq!(recorder.texts(), ["m g.a=1 g.b=x"]);
        root.log_with(
            level,
            format_args!("m"),
            &[("b", Value::Display(&"x")), ("a", Value::I64(1))],
        );
        assert_eq!(
            recorder.texts(),
            ["m g.b=x g.a=1"],
            "a text and something that prints the same are two values"
        );
    }

    #[test]
    fn a_text_is_the_same_however_it_was_composed() {
        let (cache, _) = cache();
        let recorder = Recorder::new();
        let log = Logger::new(cache, Arc::clone(&recorder));
        let (disk, seven) = ("disk", 7);
        log.info(format_args!("disk 7 full"));
        log.info(format_args!("{disk} {seven} {}", "full"));
        log.info(format_args!("{}", format_args!("{}{}", "disk 7", " full")));
        assert_eq!(recorder.texts(), ["disk 7 full"]);
    }

    #[test]
    fn by_message_only_the_text_counts() {
        let (cache, _) = cache();
        let recorder = Recorder::new();
        let scoped = Logger::new(cache, Arc::clone(&recorder)).with_attr("a", 1);
        let log = scoped.with_key(Key::Message);
        log.error(format_args!("m"));
        log.info(format_args!("m"));
        log.with_attr("b", 2).with_group("g").warn(format_args!("m"));
        log.log_with(Level::Error, format_args!("m"), &[("c", 3.into())]);
        assert_eq!(recorder.texts(), ["m a=1"], "derived loggers keep the policy");
        scoped.error(format_args!("m"));
        assert_eq!(recorder.texts(), ["m a=1"], "the two policies share no key");
        log.with_key(Key::Event).error(format_args!("m"));
        assert_eq!(recorder.texts(), [""; 0]);
        assert_eq!(Key::default(), Key::Event);
    }
}

mod families {
    use super::*;

    /// A sink that cannot be cloned.
    struct Lone(Arc<Recorder>);
    impl Sink for Lone {
        fn write(&self, event: &Event<'_>) {
            self.0.write(event);
        }
        fn summary(&self, summary: &Summary) {
            self.0.summary(summary);
        }
        fn flush(&self) {
            self.0.flush();
        }
    }

    #[test]
    fn the_last_logger_flushes_and_no_other_does() {
        let (cache, _) = cache();
        let recorder = Recorder::new();
        let root = Logger::new(cache, Lone(Arc::clone(&recorder)));
        let child = root.with_attr("a", 1);
        let grandchild = child.with_group("g").with_attr("b", 2);
        let clone = grandchild.clone();
        for _ in 0..3 {
            grandchild.info(format_args!("m"));
        }
        drop((root, grandchild));
        drop(child);
        assert_eq!(recorder.texts(), ["m a=1 g.b=2"]);
        clone.info(format_args!("m"));
        let namespace = clone.namespace();
        drop(clone);
        let sum = Sum {
            attributed: true,
            namespace,
            suppressed: 3,
            since: 1_000_000,
            level: Some(Level::Info),
            target: "g".into(),
            text: "m a=1 g.b=2".into(),
        };
        assert_eq!(recorder.take(), [Told::Summed(sum), Told::Flushed]);
    }

    #[test]
    fn each_count_is_in_an_emission_or_a_summary() {
        let (cache, clock) = cache();
        let recorder = Recorder::new();
        let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
        let wrote = |n| Told::Wrote(Level::Warn, String::new(), "m".into(), n);
        for _ in 0..4 {
            log.warn(format_args!("m"));
        }
        clock.advance(WINDOW);
        for _ in 0..3 {
            log.warn(format_args!("m"));
        }
        assert_eq!(recorder.take(), [wrote(0), wrote(3)]);
        log.flush();
        assert_eq!(
            recorder.sums().iter().map(|sum| (sum.suppressed, sum.since)).collect::<Vec<_>>(),
            [(2, 1_060_000)]
        );
        log.flush();
        assert_eq!(recorder.take(), [Told::Flushed]);
        clock.advance(WINDOW);
        log.warn(format_args!("m"));
        assert_eq!(recorder.take(), [wrote(0)]);
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.suppressed), (3, 5));
    }

    #[test]
    fn notices_come_once_per_emission_if_they_are_on() {
        let (cache, clock) = cache();
        let recorder = Recorder::new();
        let quiet = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
        let loud = Logger::builder(cache, Arc::clone(&recorder)).notices(true).build();
        let log = loud.with_attr("a", 1);
        let three = |log: &Logger<_, _>| (0..3).for_each(|_| log.info(format_args!("m")));
        let wrote = |n| Told::Wrote(Level::Info, String::new(), "m a=1".into(), n);
        let noticed = || Told::Noticed("m a=1".into());
        three(&log);
        assert_eq!(recorder.take(), [wrote(0), noticed()]);
        clock.advance(WINDOW);
        three(&log);
        assert_eq!(recorder.take(), [wrote(2), noticed()]);
        log.flush();
        recorder.take();
        log.info(format_args!("m"));
        assert_eq!(recorder.take(), [], "a flush does not repeat the notice");
        clock.advance(WINDOW);
        three(&log);
        three(&quiet);
        let plain = Told::Wrote(Level::Info, String::new(), "m".into(), 0);
        assert_eq!(recorder.take(), [wrote(1), noticed(), plain]);
    }

    #[test]
    fn events_say_what_they_are() {
        struct Looks(OnceLock<()>);
        impl Sink for Looks {
            fn write(&self, event: &Event<'_>) {
                let fields: Vec<_> = event.fields().collect();
                assert_eq!((fields[0].group(), fields[0].key()), ("", "a"));
                assert_eq!((fields[1].group(), fields[1].key()), ("g.h", "b"));
                assert!(matches!(fields[1].value(), Value::U64(2)));
                assert_eq!(fields[2].to_string(), "g.h.c=\"x y\"");
                assert_eq!(fields.len(), 3);
                assert_eq!((event.level(), event.target()), (Level::Error, "g.h"));
                assert_eq!(event.at(), Tick::from_millis(1_000_000));
                assert_eq!(event.fingerprint().map(|fp| fp.namespace()), Some(event.namespace()));
                assert_eq!(event.message().as_str(), None);
                assert!(format!("{event:?}").contains("m 1"));
                self.0.set(()).unwrap();
            }
            fn summary(&self, _: &Summary) {
                unreachable!("nothing was suppressed")
            }
        }
        let (cache, _) = cache();
        let log = Logger::new(cache, Looks(OnceLock::new()))
            .with_attr("a", 1)
            .with_group("g")
            .with_group("h");
        let one = 1 + usize::from(std::hint::black_box(false));
        log.with_attr("b", 2u8).log_with(
            Level::Error,
            format_args!("m {one}"),
            &[("c", "x y".into())],
        );
        assert!(log.sink().0.get().is_some());
        assert_eq!(log.cache().stats().emitted, 1);
        assert!(format!("{log:?}").contains("g.h"));
    }

    #[test]
    fn loggers_and_sinks_go_anywhere() {
        fn anywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}
        anywhere::<Logger<WriteSink<Vec<u8>>>>();
        anywhere::<Logger<WriteSink<io::Stderr>, Manual>>();
        anywhere::<quell::Guard>();
        fn sendable<T: Send + Sync>() {}
        sendable::<Logger<Arc<dyn Sink>>>();
        sendable::<Logger<Box<dyn Sink>>>();
    }

    #[test]
    fn references_boxes_and_arcs_pass_everything_on() {
        fn exercise(sink: impl Sink, recorder: &Recorder) {
            let (cache, _) = cache();
            let log = Logger::builder(cache, sink).notices(true).build();
            log.info(format_args!("m"));
            log.info(format_args!("m"));
            log.flush();
            drop(log);
            let told = recorder.take();
            assert_eq!(told.len(), 5, "{told:?}");
            assert_eq!(told[0], Told::Wrote(Level::Info, String::new(), "m".into(), 0));
            assert_eq!(told[1], Told::Noticed("m".into()));
            assert!(matches!(&told[2], Told::Summed(sum) if sum.suppressed == 1));
            assert_eq!(told[3..], [Told::Flushed, Told::Flushed]);
        }
        let recorder = Recorder::new();
        exercise(&*recorder, &recorder);
        exercise(&&*recorder as &dyn Sink, &recorder);
        exercise(Box::new(Arc::clone(&recorder)), &recorder);
        exercise(Box::new(Arc::clone(&recorder)) as Box<dyn Sink>, &recorder);
        exercise(Arc::clone(&recorder) as Arc<dyn Sink>, &recorder);
    }
}

mod nesting {
    use super::*;

    /// Logs something new whenever it is called. Holds its own logger weakly, as
    /// it were: through a slot that the test empties.
    struct Chatty {
        log: Mutex<Option<Logger<Arc<Chatty>, Manual>>>,
        offered: AtomicCell<u64>,
        recorder: Recorder,
    }

    impl Chatty {
        fn chat(&self) {
            let log = self.log.lock().unwrap().clone();
            if let Some(log) = log {
                let n = self.offered.fetch_add(1);
                log.info(format_args!("call {n}"));
            }
        }
    }

    impl Sink for Chatty {
        fn write(&self, event: &Event<'_>) {
            self.recorder.write(event);
            self.chat();
            self.chat();
        }
        fn summary(&self, summary: &Summary) {
            self.recorder.summary(summary);
            self.chat();
            // Those of the event just logged.
            let log = self.log.lock().unwrap().clone();
            if let Some(log) = log {
                log.flush();
            }
        }
    }

    #[test]
    fn a_sink_that_always_logs_comes_to_an_end() {
        let (cache, _) = cache();
        let sink = Arc::new(Chatty {
            log: Mutex::new(None),
            offered: AtomicCell::new(0),
            recorder: Recorder::default(),
        });
        let log = Logger::new(Arc::clone(&cache), Arc::clone(&sink));
        *sink.log.lock().unwrap() = Some(log.clone());
        log.info(format_args!("outermost"));
        // Two calls from within each write, down to the fourth level.
        assert_eq!(sink.recorder.texts().len(), 1 + 2 + 4 + 8 + 16);
        assert_eq!(sink.offered.load(), 2 + 4 + 8 + 16 + 32);
        let stats = cache.stats();
        assert_eq!((stats.emitted, stats.suppressed), (31, 32));

        log.info(format_args!("outermost"));
        log.flush();
        let offered = sink.offered.load() + 2;
        *sink.log.lock().unwrap() = None;
        log.flush();
        let stats = cache.stats();
        assert_eq!(stats.emitted + stats.suppressed, offered);
        let sums = sink.recorder.sums();
        assert!(sums.iter().all(|sum| sum.namespace == log.namespace()));
        assert_eq!(sums.iter().map(|sum| sum.suppressed).sum::<u64>(), stats.suppressed);
        assert!(sums.iter().any(|sum| !sum.attributed && sum.suppressed >= 32), "{sums:?}");

        // The depth is this thread's and is back to zero.
        log.info(format_args!("afterwards"));
        assert_eq!(sink.recorder.texts(), ["afterwards"]);
    }

    #[test]
    fn a_display_that_logs_is_harmless() {
        struct Logs<'a>(&'a Logger<Arc<Recorder>, Manual>);
        impl fmt::Display for Logs<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.debug(format_args!("inner"));
                f.write_str("shown")
            }
        }
        let (cache, _) = cache();
        let recorder = Recorder::new();
        let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
        log.log_with(
            Level::Info,
            format_args!("outer {}", Logs(&log)),
            &[("f", Value::Display(&Logs(&log)))],
        );
        assert_eq!(recorder.texts(), ["inner", "outer shown f=shown"]);
        log.log_with(
            Level::Info,
            format_args!("outer {}", Logs(&log)),
            &[("f", Value::Display(&Logs(&log)))],
        );
        assert_eq!(recorder.texts(), [""; 0]);
        log.flush();
        let total: u64 = recorder.sums().iter().map(|sum| sum.suppressed).sum();
        assert_eq!(total, cache.stats().suppressed);
    }

    #[derive(Clone)]
    struct LoggingClock(Arc<Face>);
    #[derive(Default)]
    struct Face {
        log: OnceLock<Logger<Arc<Recorder>, LoggingClock>>,
        readings: AtomicCell<u64>,
    }
    impl Clock for LoggingClock {
        fn now(&self) -> Tick {
            if let Some(log) = self.0.log.get() {
                self.0.readings.fetch_add(1);
                log.info(format_args!("the clock is read"));
            }
            Tick::from_millis(7)
        }
    }
    // The logger in it is only ever read.
    impl UnwindSafe for LoggingClock {}
    impl RefUnwindSafe for LoggingClock {}

    #[test]
    fn a_clock_that_logs_comes_to_an_end() {
        let clock = LoggingClock(Arc::default());
        let cache = Arc::new(Cache::builder().clock(clock.clone()).build().unwrap());
        let recorder = Recorder::new();
        let log = Logger::new(Arc::clone(&cache), Arc::clone(&recorder));
        // A cycle, hence a leak: the clock keeps the logger that keeps the clock.
        clock.0.log.set(log.clone()).unwrap();
        log.info(format_args!("m"));
        assert_eq!(recorder.texts(), ["the clock is read", "m"]);
        let stats = cache.stats();
        assert_eq!(stats.emitted + stats.suppressed, clock.0.readings.load() + 1);
    }

    #[test]
    fn a_suppressed_event_does_not_wait_for_the_sink() {
        /// A writer that stands still until it is told to go on.
        struct Stuck {
            entered: mpsc::Sender<()>,
            go_on: mpsc::Receiver<()>,
        }
        impl io::Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.entered.send(()).unwrap();
                self.go_on.recv().unwrap();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (cache, _) = cache();
        let (entered, has_entered) = mpsc::channel();
        let (go_on, told_to) = mpsc::channel();
        let sink = Arc::new(WriteSink::new(Stuck { entered, go_on: told_to }));
        let log = Logger::new(Arc::clone(&cache), Arc::clone(&sink)).with_attr("a", 1);
        let writing = thread::spawn({
            let log = log.clone();
            move || log.info(format_args!("m {}", 1))
        });
        has_entered.recv().unwrap();
        let (done, is_done) = mpsc::channel();
        let suppressed = thread::spawn({
            let log = log.clone();
            move || {
                for _ in 0..1000 {
                    log.info(format_args!("m {}", 1));
                }
                done.send(()).unwrap();
            }
        });
        let in_time = is_done.recv_timeout(PATIENCE);
        go_on.send(()).unwrap();
        writing.join().unwrap();
        assert_eq!(in_time, Ok(()));
        suppressed.join().unwrap();
        assert_eq!(cache.stats().suppressed, 1000);
        // For the summary at the end.
        go_on.send(()).unwrap();
    }
}

mod write_sink {
    use super::*;

    /// A writer whose bytes the test can see meanwhile.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Shared {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }
    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_read_as_documented() {
        let (cache, clock) = cache();
        let out = Shared::default();
        let root = Logger::builder(cache, WriteSink::new(out.clone())).notices(true).build();
        let log = root.with_group("remote_write").with_attr("shard", 3);
        root.info(format_args!("started"));
        for _ in 0..13 {
            log.error(format_args!("connection refused"));
        }
        clock.advance(WINDOW);
        for _ in 0..42 {
            log.error(format_args!("connection refused"));
        }
        drop((log, root));
        assert_eq!(
            out.take(),
            "INFO started\n\
             ERROR remote_write: connection refused remote_write.shard=3\n\
             ERROR remote_write: connection refused remote_write.shard=3: repeats are suppressed from here on\n\
             ERROR remote_write: connection refused remote_write.shard=3 (12 suppressed since last)\n\
             ERROR remote_write: connection refused remote_write.shard=3: repeats are suppressed from here on\n\
             ERROR remote_write: connection refused remote_write.shard=3: 41 more suppressed\n"
        );
    }

    #[test]
    fn summaries_without_an_exemplar_say_so() {
        let (cache, _) = cache();
        let out = Shared::default();
        let sink = WriteSink::new(out.clone());
        let fingerprint = quell::Fingerprint::from_u128(0xabc);
        for _ in 0..3 {
            let _ = cache.check(fingerprint);
        }
        cache.drain(|summary| sink.summary(&summary));
        assert_eq!(
            out.take(),
            "Fingerprint(0x00000000000000000000000000000abc): 2 more suppressed\n"
        );
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let (cache, _) = cache();
        let out = Shared::default();
        let log = Logger::new(cache, WriteSink::new(out.clone())).with_attr("k", "a\nb");
        for _ in 0..2 {
            log.error(format_args!("x\nERROR forged\r\x1b[2Jé\t\u{85}\u{2028}z"));
        }
        log.flush();
        assert_eq!(
            out.take(),
            "ERROR x\\nERROR forged\\r\\u{1b}[2Jé\t\\u{85}\\u{2028}z k=\"a\\nb\"\n\
             ERROR x\\nERROR forged\\r\\u{1b}[2Jé\t\\u{85}\\u{2028}z k=\"a\\nb\": 1 more suppressed\n"
        );
    }

    #[test]
    fn errors_are_counted_and_go_no_further() {
        struct Full;
        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        let (cache, _) = cache();
        let sink = Arc::new(WriteSink::new(Full));
        let log = Logger::new(cache, Arc::clone(&sink));
        log.info(format_args!("a"));
        log.info(format_args!("a"));
        log.info(format_args!("b"));
        assert_eq!(sink.errors(), 2);
        log.flush();
        assert_eq!(sink.errors(), 4, "a summary and a flush");
        assert!(format!("{sink:?}").contains('4'));
    }

    #[test]
    fn lines_of_many_threads_do_not_mix() {
        let (cache, _) = cache();
        let sink = Arc::new(WriteSink::new(Vec::new()));
        let log = Logger::new(cache, Arc::clone(&sink));
        thread::scope(|scope| {
            for t in 0..4 {
                let log = log.with_attr("t", t);
                scope.spawn(move || (0..100).for_each(|i| log.info(format_args!("event {i}"))));
            }
        });
        drop(log);
        let text = String::from_utf8(Arc::into_inner(sink).unwrap().into_inner()).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        let mut expected: Vec<_> =
            (0..4).flat_map(|t| (0..100).map(move |i| format!("INFO event {i} t={t}"))).collect();
        expected.sort_unstable();
        assert_eq!(lines, expected);
    }

    type NestedSink = WriteSink<Nested>;
    /// The place where the writer finds the logger that it logs into.
    type Slot = Arc<OnceLock<Logger<Weakly, Manual>>>;

    /// A writer that logs into the sink it is part of.
    struct Nested {
        out: Shared,
        log: Slot,
        /// The number of lines that it logs from within each line.
        lines: usize,
        count: usize,
        flushes: Arc<AtomicCell<usize>>,
    }

    /// A sink that does not keep the other alive.
    struct Weakly(Weak<NestedSink>);
    impl Sink for Weakly {
        fn write(&self, event: &Event<'_>) {
            if let Some(sink) = self.0.upgrade() {
                sink.write(event);
            }
        }
        fn summary(&self, _: &Summary) {}
        fn flush(&self) {
            if let Some(sink) = self.0.upgrade() {
                sink.flush();
            }
        }
    }

    impl io::Write for Nested {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (half, rest) = bytes.split_at(bytes.len() / 2);
            self.out.write_all(half)?;
            if let Some(log) = self.log.get() {
                for _ in 0..self.lines {
                    self.count += 1;
                    log.info(format_args!("nested {}", self.count));
                }
            }
            self.out.write_all(rest)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.flushes.fetch_add(1);
            if let Some(log) = self.log.get() {
                log.flush();
            }
            Ok(())
        }
    }

    fn nested(lines: usize) -> (Arc<NestedSink>, Slot, Shared, Arc<AtomicCell<usize>>) {
        let (out, slot, flushes) = (Shared::default(), Arc::default(), Arc::default());
        let writer = Nested {
            out: out.clone(),
            log: Arc::clone(&slot),
            lines,
            count: 0,
            flushes: Arc::clone(&flushes),
        };
        let sink = Arc::new(WriteSink::new(writer));
        let log = Logger::new(cache().0, Weakly(Arc::downgrade(&sink)));
        assert!(slot.set(log).is_ok());
        (sink, slot, out, flushes)
    }

    #[test]
    fn a_writer_that_logs_into_its_own_sink_ends() {
        let (sink, slot, out, _) = nested(1);
        slot.get().unwrap().error(format_args!("outer"));
        let text = out.take();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("ERROR outer"));
        for i in 1..=NestedSink::MAX_NESTED {
            assert_eq!(lines.next(), Some(&*format!("INFO nested {i}")));
        }
        assert_eq!(lines.next(), None);
        assert_eq!(sink.errors(), 1, "the line that was one too many");
        // The budget is each call's own.
        slot.get().unwrap().error(format_args!("again"));
        assert_eq!(out.take().lines().count(), 1 + NestedSink::MAX_NESTED);
        assert_eq!(sink.errors(), 2);
    }

    #[test]
    fn a_writer_that_logs_very_much_is_bounded() {
        let (sink, slot, out, _) = nested(1000);
        slot.get().unwrap().error(format_args!("outer"));
        assert_eq!(out.take().lines().count(), 1 + NestedSink::MAX_NESTED);
        assert_eq!(sink.errors(), (65 * 1000 - NestedSink::MAX_NESTED) as u64);
    }

    #[test]
    fn a_writer_that_flushes_its_own_sink_ends() {
        let (sink, slot, _, flushes) = nested(0);
        slot.get().unwrap().flush();
        assert_eq!(flushes.load(), 1 + NestedSink::MAX_NESTED);
        assert_eq!(sink.errors(), 1);
    }
}

mod settings {
    use super::*;
    use quell::{Fields, Rule};

    #[test]
    fn fields_left_out_of_the_key_are_written() {
        let (cache, _) = cache();
        let recorder = Recorder::new();
        let builder = Logger::builder(cache, Arc::clone(&recorder));
        let log = builder.fields(Fields::except(["id", "http.id"])).build();
        let http = log.with_group("http");
        for id in 0..3 {
            log.with_attr("id", id).info(format_args!("m"));
            http.log_with(Level::Info, format_args!("m"), &[("id", id.into())]);
            http.with_attr("id", id).with_attr("peer", "a").info(format_args!("n"));
        }
        assert_eq!(recorder.texts(), ["m id=0", "m http.id=0", "n http.id=0 http.peer=a"]);
        drop((log, http));
        let sums = recorder.sums();
        assert!(sums.iter().any(|sum| sum.text == "n http.peer=a" && sum.suppressed == 2));
    }

    #[test]
    fn its_rules_are_changed_through_it() {
        let (cache, _) = cache();
        let recorder = Recorder::new();
        let log = Logger::new(cache, Arc::clone(&recorder));
        log.info(format_args!("m"));
        log.rules().set(Rule::first(3).unwrap());
        (0..4).for_each(|_| log.info(format_args!("m")));
        assert_eq!(recorder.texts().len(), 3);
    }
}
