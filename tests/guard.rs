//! Guards: summaries when windows end, and every way to drop one.

mod common;

use common::{Sum, WINDOW, cache};
use crossbeam_utils::atomic::AtomicCell;
use quell::{
    Cache, Clock, ConfigError, Event, Guard, InitError, Logger, Manual, Sink, Summary, Tick,
    WriteSink,
};
use std::error::Error;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Barrier, Mutex, OnceLock, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Longer than any of this takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
const OFTEN: Duration = Duration::from_millis(1);
/// An interval that never passes.
const NEVER: Duration = Duration::MAX;

#[derive(Debug, PartialEq)]
enum Told {
    Wrote(String),
    Summed(Sum, ThreadId),
    Flushed(ThreadId),
    Dropped,
}

/// Sends what it is told to the test.
struct Sends(Sender<Told>);

impl Sends {
    fn new() -> (Self, Receiver<Told>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }
}

impl Sink for Sends {
    fn write(&self, event: &Event<'_>) {
        let _ = self.0.send(Told::Wrote(event.message().to_string()));
    }
    fn summary(&self, summary: &Summary) {
        let _ = self.0.send(Told::Summed(summary.into(), thread::current().id()));
    }
    fn flush(&self) {
        let _ = self.0.send(Told::Flushed(thread::current().id()));
    }
}

impl Drop for Sends {
    fn drop(&mut self) {
        let _ = self.0.send(Told::Dropped);
    }
}

fn logger<S: Sink, C: Clock>(every: Duration, cache: Arc<Cache<C>>, sink: S) -> Logger<S, C> {
    Logger::builder(cache, sink).interval(every).build()
}

/// The text and count of the next summary; writes and flushes are passed over.
fn next_sum(told: &Receiver<Told>) -> (String, u64) {
    loop {
        match told.recv_timeout(PATIENCE).expect("a summary") {
            Told::Summed(sum, _) => return (sum.text, sum.suppressed),
            Told::Wrote(_) | Told::Flushed(_) => {}
            Told::Dropped => panic!("the sink is gone"),
        }
    }
}

/// A clock that says when it is read by a thread other than its maker.
#[derive(Clone)]
struct Watched {
    hand: Manual,
    home: ThreadId,
    read: Sender<()>,
}

impl Watched {
    /// The hand, the clock, and what tells of its readings.
    fn new() -> (Manual, Self, Receiver<()>) {
        let (read, rounds) = mpsc::channel();
        let hand = Manual::default();
        (hand.clone(), Self { hand, home: thread::current().id(), read }, rounds)
    }
}

/// Returns when a reporter has been round at least once from start to end.
fn wait_for_rounds(rounds: &Receiver<()>) {
    // Those already begun read the clock earlier.
    while rounds.try_recv().is_ok() {}
    (0..3).for_each(|_| rounds.recv_timeout(PATIENCE).unwrap());
}

impl Clock for Watched {
    fn now(&self) -> Tick {
        if thread::current().id() != self.home {
            let _ = self.read.send(());
        }
        self.hand.now()
    }
}

#[test]
fn summaries_come_when_the_window_has_ended() {
    let (hand, watched, rounds) = Watched::new();
    let cache = Arc::new(Cache::builder().window(WINDOW).clock(watched).build().unwrap());
    let (sink, told) = Sends::new();
    let log = logger(OFTEN, Arc::clone(&cache), sink);
    let reporter = log.guard().unwrap();

    (0..3).for_each(|_| log.info(format_args!("early")));
    hand.advance(WINDOW / 2);
    (0..5).for_each(|_| log.info(format_args!("late")));
    hand.set(Tick::default().after(WINDOW - OFTEN));
    wait_for_rounds(&rounds);
    let so_far: Vec<_> = told.try_iter().collect();
    assert_eq!(so_far, [Told::Wrote("early".into()), Told::Wrote("late".into())]);

    hand.set(Tick::default().after(WINDOW));
    assert_eq!(next_sum(&told), ("early".into(), 2));
    wait_for_rounds(&rounds);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [], "once, and not the other");

    hand.advance(WINDOW / 2);
    assert_eq!(next_sum(&told), ("late".into(), 4));
    // Nothing is left for the next emission.
    log.info(format_args!("late"));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Told::Wrote("late".into())));
    assert_eq!(cache.stats().suppressed, 6);
    drop(reporter);
}

#[test]
fn its_drop_flushes_on_its_own_thread_and_waits() {
    let (cache, _) = cache();
    let (sink, told) = Sends::new();
    let log = logger(NEVER, cache, sink);
    let reporter = log.guard().unwrap();
    (0..4).for_each(|_| log.info(format_args!("m")));
    drop(reporter);
    let told: Vec<_> = told.try_iter().collect();
    let [Told::Wrote(_), Told::Summed(sum, summed_on), Told::Flushed(flushed_on)] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((&*sum.text, sum.suppressed), ("m", 3));
    assert_eq!(summed_on, flushed_on);
    assert_ne!(*summed_on, thread::current().id());
    drop(log);
}

#[test]
fn only_its_own_namespace_is_reported() {
    let (cache, clock) = cache();
    let (one, told_one) = Sends::new();
    let (two, told_two) = Sends::new();
    let one = logger(OFTEN, Arc::clone(&cache), one);
    let two = logger(OFTEN, Arc::clone(&cache), two);
    for _ in 0..3 {
        one.info(format_args!("m"));
        two.info(format_args!("m"));
    }
    clock.advance(WINDOW);
    let reporter = one.guard().unwrap();
    assert_eq!(next_sum(&told_one), ("m".into(), 2));
    drop(reporter);
    assert_eq!(told_two.try_iter().collect::<Vec<_>>(), [Told::Wrote("m".into())]);
    drop(two);
    assert_eq!(next_sum(&told_two), ("m".into(), 2));
}

#[test]
fn a_bare_cache_is_reported_whole() {
    let (clock, watched, rounds) = Watched::new();
    let cache = Arc::new(Cache::builder().window(WINDOW).clock(watched).build().unwrap());
    let (sender, sums) = mpsc::channel();
    let send =
        move |summary: Summary| sender.send((summary.namespace, summary.suppressed)).unwrap();
    let reporter = Guard::for_cache(&cache, send, OFTEN).unwrap();
    let logs = [0, 1].map(|_| Logger::new(Arc::clone(&cache), WriteSink::new(std::io::sink())));
    logs.iter().for_each(|log| (0..3).for_each(|_| log.info(format_args!("m"))));
    clock.advance(WINDOW);
    let mut seen = [0, 1].map(|_| sums.recv_timeout(PATIENCE).unwrap());
    seen.sort_unstable();
    let mut expected = [0, 1].map(|i| (logs[i].namespace(), 2));
    expected.sort_unstable();
    assert_eq!(seen, expected);

    // In its window: left to the last report.
    (0..3).for_each(|_| logs[0].info(format_args!("n")));
    wait_for_rounds(&rounds);
    assert!(sums.try_recv().is_err());
    drop(reporter);
    assert_eq!(
        sums.iter().collect::<Vec<_>>(),
        [(logs[0].namespace(), 2)],
        "and the callback is gone"
    );
}

#[test]
fn dropping_in_any_order_is_harmless() {
    for order in 0..6 {
        let (cache, _) = cache();
        let (sink, told) = Sends::new();
        let log = logger(NEVER, Arc::clone(&cache), sink);
        let reporter = log.guard().unwrap();
        let child = log.with_attr("a", 1);
        (0..3).for_each(|_| child.info(format_args!("m")));
        match order {
            0 => {
                drop(reporter);
                drop((log, child));
            }
            1 => {
                drop((log, child));
                drop(reporter);
            }
            2 => {
                drop(log);
                drop(reporter);
                drop(child);
            }
            3 => {
                drop(reporter);
                drop(child);
                drop(log);
            }
            4 => {
                thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| reporter.flush()))));
                drop((child, log));
                drop(reporter);
            }
            _ => {
                drop((child, log));
                drop(cache);
                drop(reporter);
            }
        }
        let sums: Vec<_> = told.iter().filter(|told| matches!(told, Told::Summed(..))).collect();
        assert!(
            matches!(&sums[..], [Told::Summed(sum, _)] if sum.suppressed == 2),
            "{order}: {sums:?}"
        );
    }
}

#[test]
fn the_thread_ends_when_the_cache_is_gone() {
    let (cache, _) = cache();
    let (sender, sums) = mpsc::channel::<Summary>();
    let reporter =
        Guard::for_cache(&cache, move |summary| sender.send(summary).unwrap(), OFTEN).unwrap();
    drop(cache);
    // The callback goes with the thread.
    assert!(matches!(sums.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected)));
    drop(reporter);
}

#[test]
fn it_keeps_neither_loggers_nor_cache_alive() {
    let (cache, _) = cache();
    let (sink, told) = Sends::new();
    let log = logger(NEVER, Arc::clone(&cache), sink);
    let _reporter = log.guard().unwrap();
    drop(log);
    assert!(told.try_iter().any(|told| told == Told::Dropped));
    assert_eq!(Arc::strong_count(&cache), 1);
}

#[test]
fn panics_of_the_sink_are_caught() {
    struct Panics(Sends);
    impl Sink for Panics {
        fn write(&self, event: &Event<'_>) {
            self.0.write(event);
        }
        fn summary(&self, summary: &Summary) {
            self.0.summary(summary);
            panic!("in summary");
        }
        fn flush(&self) {
            self.0.flush();
            panic!("in flush");
        }
    }
    let (cache, clock) = cache();
    let (sink, told) = Sends::new();
    let log = logger(OFTEN, Arc::clone(&cache), Panics(sink));
    let reporter = log.guard().unwrap();
    for round in 1..4 {
        for message in ["a", "b"] {
            (0..=round).for_each(|_| log.info(format_args!("{message} {round}")));
        }
        clock.advance(WINDOW);
        let mut sums = [next_sum(&told), next_sum(&told)];
        sums.sort_unstable();
        assert_eq!(sums, [(format!("a {round}"), round), (format!("b {round}"), round)]);
    }
    (0..3).for_each(|_| log.info(format_args!("last")));
    drop(reporter);
    assert_eq!(next_sum(&told), ("last".into(), 2));

    let (sender, calls) = mpsc::channel();
    let callback = move |_| {
        sender.send(()).unwrap();
        panic!("in the callback");
    };
    let reporter = Guard::for_cache(&cache, callback, OFTEN).unwrap();
    for message in ["last", "very last"] {
        (0..3).for_each(|_| log.info(format_args!("{message}")));
    }
    clock.advance(WINDOW);
    (0..2).for_each(|_| calls.recv_timeout(PATIENCE).unwrap());
    // In one round, this time.
    for message in ["last", "very last"] {
        (0..3).for_each(|_| log.info(format_args!("{message}")));
    }
    drop(reporter);
    assert_eq!(calls.iter().count(), 2);
    drop(log);
}

/// A sink that does as it is told within `summary`.
struct Acts {
    action: Box<dyn Fn() + Send + Sync>,
    sends: Sends,
}

impl Sink for Acts {
    fn write(&self, _: &Event<'_>) {}
    fn summary(&self, summary: &Summary) {
        (self.action)();
        self.sends.summary(summary);
    }
}

#[test]
fn the_reporter_may_be_dropped_on_its_own_thread() {
    let (cache, clock) = cache();
    let (sends, told) = Sends::new();
    let reporter = Arc::new(Mutex::new(None::<Guard>));
    let action = {
        let reporter = Arc::clone(&reporter);
        Box::new(move || drop(reporter.lock().unwrap().take()))
    };
    let log = logger(OFTEN, cache, Acts { action, sends });
    // Under the lock, so that the sink finds it.
    let mut slot = reporter.lock().unwrap();
    (0..3).for_each(|_| log.info(format_args!("m")));
    clock.advance(WINDOW);
    *slot = Some(log.guard().unwrap());
    drop(slot);
    assert_eq!(next_sum(&told), ("m".into(), 2));
    // Nothing but its own thread had it.
    assert!(reporter.lock().unwrap().is_none());
    drop(log);
    assert!(told.iter().any(|told| told == Told::Dropped), "the thread let go of the sink");
}

#[test]
fn the_last_logger_may_drop_on_the_guards_thread() {
    let (cache, clock) = cache();
    let (sends, told) = Sends::new();
    type Slot = Mutex<Option<Logger<Acts, Manual>>>;
    let slot = Arc::new(Slot::default());
    let weak: Weak<Slot> = Arc::downgrade(&slot);
    let action = Box::new(move || {
        if let Some(slot) = weak.upgrade() {
            let logger = slot.lock().unwrap().take();
            if let Some(logger) = &logger {
                // For the flush of the last logger.
                logger.info(format_args!("parting"));
                logger.info(format_args!("parting"));
            }
            drop(logger);
        }
    });
    let log = logger(OFTEN, Arc::clone(&cache), Acts { action, sends });
    (0..3).for_each(|_| log.info(format_args!("m")));
    clock.advance(WINDOW);
    let mut guard = slot.lock().unwrap();
    let reporter = log.guard().unwrap();
    *guard = Some(log);
    drop(guard);
    let home = thread::current().id();
    for expected in [("m", 2), ("parting", 1)] {
        match told.recv_timeout(PATIENCE).unwrap() {
            Told::Summed(sum, on) => {
                assert_eq!((&*sum.text, sum.suppressed), expected);
                assert_ne!(on, home);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Told::Dropped));
    drop(reporter);
    assert_eq!(Arc::strong_count(&cache), 1);
}

#[test]
fn a_sink_may_own_the_reporter_of_its_logger() {
    struct Owns {
        reporter: OnceLock<Guard>,
        sends: Sends,
    }
    impl Sink for Owns {
        fn write(&self, _: &Event<'_>) {}
        fn summary(&self, summary: &Summary) {
            self.sends.summary(summary);
        }
    }
    for _ in 0..50 {
        let (cache, clock) = cache();
        let (sends, told) = Sends::new();
        let log = logger(OFTEN, cache, Owns { reporter: OnceLock::new(), sends });
        log.sink().reporter.set(log.guard().unwrap()).unwrap();
        (0..3).for_each(|_| log.info(format_args!("m")));
        clock.advance(WINDOW);
        // Here, or there, whichever drops the core last.
        drop(log);
        let mut all = Vec::new();
        loop {
            match told.recv_timeout(PATIENCE).unwrap() {
                Told::Dropped => break,
                told => all.push(told),
            }
        }
        assert!(matches!(&all[..], [Told::Summed(sum, _)] if sum.suppressed == 2), "{all:?}");
    }
}

#[test]
fn each_call_is_reported_once_in_races() {
    let (cache, clock) = cache();
    let summed = Arc::new(AtomicCell::new(0u64));
    struct Adds(Arc<AtomicCell<u64>>);
    impl Sink for Adds {
        fn write(&self, event: &Event<'_>) {
            self.0.fetch_add(event.suppressed());
        }
        fn summary(&self, summary: &Summary) {
            self.0.fetch_add(summary.suppressed);
        }
    }
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        for t in 0..2 {
            let (cache, clock, summed, barrier) = (&cache, &clock, &summed, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..100 {
                    let log = logger(OFTEN, Arc::clone(cache), Adds(Arc::clone(summed)));
                    let reporter = log.guard().unwrap();
                    (0..20).for_each(|i| log.info(format_args!("m {}", i % 3)));
                    clock.advance(WINDOW / 7);
                    if (round + t) % 2 == 0 { drop((log, reporter)) } else { drop((reporter, log)) }
                }
            });
        }
        barrier.wait();
    });
    let stats = cache.stats();
    assert_eq!(stats.emitted + stats.suppressed, 2 * 100 * 20);
    let mut left = 0;
    cache.drain(|summary| left += summary.suppressed);
    // A namespace is given out once, so nobody else had these.
    assert_eq!((summed.load(), left), (stats.suppressed, 0));
}

#[test]
fn an_interval_too_short_is_an_error() {
    let (cache, _) = cache();
    for asked in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(999)] {
        let log = logger(asked, Arc::clone(&cache), WriteSink::new(std::io::sink()));
        let error = log.guard().unwrap_err();
        let expected = ConfigError::IntervalTooShort { asked };
        assert!(error.to_string() == expected.to_string() && error.source().is_none(), "{error}");
        assert!(matches!(error, InitError::Config(config) if config == expected));
        assert!(Guard::for_cache(&cache, |_| {}, asked).is_err());
    }
    drop(Guard::for_cache(&cache, |_| {}, Guard::MIN_INTERVAL).unwrap());

    let error = InitError::Thread(std::io::ErrorKind::OutOfMemory.into());
    assert!(error.source().is_some());
    assert!(error.to_string().starts_with("cannot start"));
}
