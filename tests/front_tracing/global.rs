//! What takes the global subscriber, of which there is one in a process: each test runs in a
//! child, this binary again, told by a variable which part to play.

use quell::front::tracing::Dedup;
use quell::{Cache, Key};
use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tracing::{Event, Subscriber, info};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

const PART: &str = "QUELL_TEST_PART";

/// Returns whether this process is the child that plays `test`; otherwise runs it.
fn is_child(test: &str) -> bool {
    if std::env::var(PART).is_ok_and(|part| part == test) {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("global::{test}"), "--nocapture", "--test-threads=1"])
        .env(PART, test)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

#[test]
fn a_debug_that_logs() {
    /// Logs while it is read, itself as well.
    struct Logs;
    impl fmt::Debug for Logs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("inner");
            info!(value = ?Logs, "endless");
            f.write_str("logs")
        }
    }
    /// Counts, and does not read: reading would start over.
    #[derive(Clone, Default)]
    struct Blind(Arc<Mutex<u64>>);
    impl<S: Subscriber> Layer<S> for Blind {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap() += 1;
        }
    }
    if !is_child("a_debug_that_logs") {
        return;
    }
    let dedup = Dedup::new(Arc::new(Cache::builder().build().unwrap()));
    let sink = Blind::default();
    registry().with(dedup.wrap(sink.clone())).init();
    for _ in 0..3 {
        info!("{:?}", Logs);
    }
    // The outer event, "inner" and "endless", once each; the rest is counted.
    let stats = dedup.cache().stats();
    let lines = *sink.0.lock().unwrap();
    assert_eq!(lines, stats.emitted);
    assert!(lines <= 3 + stats.failed_open, "{lines}, {stats:?}");
    assert!(stats.suppressed >= 6, "{stats:?}");
    let mut summed = 0;
    dedup.cache().drain(|summary| summed += summary.suppressed);
    assert_eq!(summed, stats.suppressed);
}

#[test]
fn a_sink_that_logs_inside_its_write() {
    #[derive(Clone, Default)]
    struct Logs(Arc<Mutex<Vec<String>>>);
    struct Text(String);
    impl tracing::field::Visit for Text {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }
    impl<S: Subscriber> Layer<S> for Logs {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
            info!("written");
        }
    }
    if !is_child("a_sink_that_logs_inside_its_write") {
        return;
    }
    let dedup = Dedup::new(Arc::new(Cache::builder().build().unwrap()));
    let sink = Logs::default();
    registry().with(dedup.wrap(sink.clone())).init();
    let guard = dedup.guard().unwrap();
    (0..3).for_each(|_| info!("x"));
    guard.flush();
    let lines = sink.0.lock().unwrap().clone();
    let count = |text| lines.iter().filter(|line| *line == text).count();
    assert_eq!(count("x"), 2, "the line and its summary: {lines:?}");
    // Each summary is followed by one more "written", which is counted: an end, but never to zero.
    assert!((1..=2).contains(&count("written")), "{lines:?}");
}

#[test]
fn a_call_site_that_logs_inside_its_own_sink() {
    /// The same call site again, from inside the sink: a lock held across it would hang.
    #[derive(Clone, Default)]
    struct Logs(Arc<Mutex<u64>>);
    impl<S: Subscriber> Layer<S> for Logs {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap() += 1;
            helper();
        }
    }
    fn helper() {
        info!("from one place");
    }
    if !is_child("a_call_site_that_logs_inside_its_own_sink") {
        return;
    }
    let cache = Arc::new(Cache::builder().build().unwrap());
    let dedup = Dedup::builder(cache).key(Key::Callsite).build();
    let sink = Logs::default();
    registry().with(dedup.wrap(sink.clone())).init();
    (0..5).for_each(|_| helper());
    assert_eq!(*sink.0.lock().unwrap(), 1);
    assert_eq!(dedup.cache().stats().suppressed, 5);
}

#[cfg(feature = "tracing-init")]
#[test]
fn one_line_set_up() {
    if !is_child("one_line_set_up") {
        return;
    }
    let guard = quell::front::tracing::init(quell::front::tracing::LevelFilter::INFO).unwrap();
    let again = quell::front::tracing::init(quell::front::tracing::LevelFilter::INFO);
    assert!(matches!(again, Err(quell::InitError::Taken(_))), "{again:?}");
    assert_eq!(tracing_log::log::max_level(), tracing_log::log::LevelFilter::Info);
    assert!(tracing::enabled!(tracing::Level::INFO));
    assert!(!tracing::enabled!(tracing::Level::DEBUG));
    info!("x");
    tracing_log::log::info!("x");
    guard.flush();
}
