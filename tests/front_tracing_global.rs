//! The front end for tracing under the global subscriber. There is one in a process, so each
//! test runs in a child: this binary again, told by a variable which part to play.

#[cfg(unix)]
#[path = "common/forks.rs"]
mod forks;

use quell::Key;
use quell::front::tracing::Dedup;
use quell::{Cache, Guard};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use tracing::{Event, Subscriber, error, info, info_span, warn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

const PART: &str = "QUELL_TEST_PART";
const LOG: &str = "QUELL_TEST_LOG";

/// Runs the test of this name in a child; returns how it ended and what it logged.
fn child(test: &str) -> (ExitStatus, String) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(PART, test)
        .env(LOG, &log)
        .output()
        .unwrap();
    let text = fs::read_to_string(&log).unwrap_or_default();
    assert!(log.exists(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status, text)
}

/// In a child that plays `test`: the file to log to.
fn part(test: &str) -> Option<PathBuf> {
    (std::env::var(PART).ok()? == test).then(|| std::env::var_os(LOG).unwrap().into())
}

/// Sets up the global subscriber to log to a file.
fn set_up(path: &Path) -> (Dedup, Guard) {
    let dedup = Dedup::new(Arc::new(Cache::builder().build().unwrap()));
    let file = Mutex::new(fs::File::create(path).unwrap());
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(file);
    registry().with(dedup.wrap(layer)).init();
    let guard = dedup.guard().unwrap();
    (dedup, guard)
}

/// What a reader of the log adds up: a line is one event, a summary what it says.
fn offered(text: &str) -> u64 {
    let count = |line: &str| {
        let Some((_, n)) = line.split_once("quell.suppressed=") else { return 1 };
        n.split(' ').next().unwrap().parse().unwrap()
    };
    text.lines().map(count).sum()
}

/// 8 threads, 1000 events each, over the bridge from `log` too.
fn storm() {
    thread::scope(|scope| {
        for shard in 0..8 {
            scope.spawn(move || {
                let _span = info_span!("queue", shard).entered();
                for n in 0..250 {
                    error!("refused");
                    warn!(n = n % 5, "retry");
                    info!("round {}", n / 10);
                    tracing_log::log::info!("from log");
                }
            });
        }
    });
}

const STORM: u64 = 8 * 1000;

#[test]
fn the_end_of_main() {
    let Some(path) = part("the_end_of_main") else {
        let (status, text) = child("the_end_of_main");
        assert!(status.success());
        return assert_eq!(offered(&text), STORM, "{text}");
    };
    let (_dedup, _guard) = set_up(&path);
    storm();
}

#[test]
fn quells_exit() {
    let Some(path) = part("quells_exit") else {
        let (status, text) = child("quells_exit");
        assert_eq!(status.code(), Some(3));
        return assert_eq!(offered(&text), STORM, "{text}");
    };
    let (_dedup, _guard) = set_up(&path);
    storm();
    quell::exit(3);
}

#[test]
fn a_panic_that_unwinds() {
    let Some(path) = part("a_panic_that_unwinds") else {
        let (status, text) = child("a_panic_that_unwinds");
        assert!(!status.success());
        return assert_eq!(offered(&text), STORM, "{text}");
    };
    let (_dedup, _guard) = set_up(&path);
    storm();
    panic!("the end");
}

#[cfg(unix)]
#[test]
fn a_panic_that_aborts() {
    use std::os::unix::process::ExitStatusExt;
    let Some(path) = part("a_panic_that_aborts") else {
        let (status, text) = child("a_panic_that_aborts");
        assert!(status.signal().is_some());
        return assert_eq!(offered(&text), STORM, "{text}");
    };
    let (_dedup, _guard) = set_up(&path);
    quell::install_panic_hook();
    storm();
    /// A panic in a drop that runs because of a panic aborts.
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let _again = Again;
    panic!("the end");
}

#[cfg(unix)]
#[test]
fn a_signal_that_the_program_handles() {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicI32, Ordering};
    let Some(path) = part("a_signal_that_the_program_handles") else {
        let (status, text) = child("a_signal_that_the_program_handles");
        assert_eq!(status.code(), Some(4));
        return assert_eq!(offered(&text), STORM, "{text}");
    };
    // The program's own handler does what little a handler may: it writes to a pipe.
    static PIPE: AtomicI32 = AtomicI32::new(-1);
    extern "C" fn handler(_: libc::c_int) {
        let byte = 0u8;
        // SAFETY: `write` may be called in a handler; the byte outlives the call.
        unsafe { libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
    }
    let (mut read, write) = std::io::pipe().unwrap();
    PIPE.store(write.as_raw_fd(), Ordering::Relaxed);
    // SAFETY: the handler only writes.
    unsafe { libc::signal(libc::SIGTERM, handler as *const () as libc::sighandler_t) };
    let (_dedup, guard) = set_up(&path);
    let waiting = thread::spawn(move || {
        read.read_exact(&mut [0]).unwrap();
        guard.flush();
        std::process::exit(4);
    });
    storm();
    // SAFETY: no memory is involved.
    unsafe { libc::raise(libc::SIGTERM) };
    waiting.join().unwrap();
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
    let Some(path) = part("a_debug_that_logs") else {
        assert!(child("a_debug_that_logs").0.success());
        return;
    };
    fs::File::create(path).unwrap();
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
    let Some(path) = part("a_sink_that_logs_inside_its_write") else {
        assert!(child("a_sink_that_logs_inside_its_write").0.success());
        return;
    };
    fs::File::create(path).unwrap();
    let dedup = Dedup::new(Arc::new(Cache::builder().build().unwrap()));
    let sink = Logs::default();
    registry().with(dedup.wrap(sink.clone())).init();
    let guard = dedup.guard().unwrap();
    (0..3).for_each(|_| info!("x"));
    guard.flush();
    let lines = sink.0.lock().unwrap().clone();
    assert_eq!(lines.iter().filter(|line| *line == "written").count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "x: 2 more suppressed").count(), 1, "{lines:?}");
    // Each summary is followed by one more "written", which is counted: an end, but never to zero.
    let told = lines.iter().filter(|line| line.starts_with("written: ")).count();
    assert!(told <= 1, "{lines:?}");
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
    let Some(path) = part("a_call_site_that_logs_inside_its_own_sink") else {
        assert!(child("a_call_site_that_logs_inside_its_own_sink").0.success());
        return;
    };
    fs::File::create(path).unwrap();
    let cache = Arc::new(Cache::builder().build().unwrap());
    let dedup = Dedup::builder(cache).key(Key::Callsite).build();
    let sink = Logs::default();
    registry().with(dedup.wrap(sink.clone())).init();
    (0..5).for_each(|_| helper());
    assert_eq!(*sink.0.lock().unwrap(), 1);
    assert_eq!(dedup.cache().stats().suppressed, 5);
}

#[test]
fn one_line_set_up() {
    static GUARD: OnceLock<Guard> = OnceLock::new();
    let Some(path) = part("one_line_set_up") else {
        assert!(child("one_line_set_up").0.success());
        return;
    };
    fs::File::create(path).unwrap();
    let guard = quell::front::tracing::init(quell::front::tracing::LevelFilter::INFO).unwrap();
    let again = quell::front::tracing::init(quell::front::tracing::LevelFilter::INFO);
    assert!(matches!(again, Err(quell::InitError::Taken(_))), "{again:?}");
    assert_eq!(tracing_log::log::max_level(), tracing_log::log::LevelFilter::Info);
    assert!(tracing::enabled!(tracing::Level::INFO));
    assert!(!tracing::enabled!(tracing::Level::DEBUG));
    info!("x");
    tracing_log::log::info!("x");
    GUARD.get_or_init(|| guard).flush();
}

#[cfg(unix)]
#[test]
fn a_child_forked_while_others_log() {
    let Some(path) = part("a_child_forked_while_others_log") else {
        assert!(child("a_child_forked_while_others_log").0.success());
        return;
    };
    // Not a file of the formatter's, whose own lock a fork may leave taken.
    fs::File::create(path).unwrap();
    #[derive(Clone, Default)]
    struct Counts(Arc<std::sync::atomic::AtomicU64>);
    impl<S: Subscriber> Layer<S> for Counts {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let dedup = Dedup::builder(Arc::new(Cache::builder().build().unwrap())).notices(true).build();
    registry().with(dedup.wrap(Counts::default())).init();
    let _guard = dedup.guard().unwrap();
    let storm = |_, n| {
        info!("x");
        info!("number {n}");
    };
    forks::fork_amid(storm, || {
        for n in 0..20 {
            info!("x");
            info!("in child {n}");
        }
    });
}
