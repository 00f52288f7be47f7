//! However a program ends, what was suppressed is in its file: each test runs this binary
//! again as a program that ends in one way, and counts the lines it left.

use crate::{child, common, nothing_unwinds_from_here};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;

/// The number of records that each program logs.
const OFFERED: u64 = 3000;

/// The ways to end; the exit code where one is expected.
const ENDS: [(&str, Option<i32>); 8] = [
    ("return", Some(0)),
    ("exit", Some(7)),
    ("exit in a thread", Some(7)),
    ("unwind", Some(101)),
    ("abort", None),
    ("abort in a drop", None),
    ("signal", Some(143)),
    ("flush", Some(4)),
];

/// Lines `E text` and `S n text`, buffered: a line that nobody flushes is lost.
struct Lines(Mutex<BufWriter<File>>);

impl Lines {
    fn create(path: &str) -> Self {
        Self(Mutex::new(BufWriter::with_capacity(1 << 20, File::create(path).unwrap())))
    }

    fn line(&self, suppressed: Option<u64>, text: &str) {
        let mut out = self.0.lock().unwrap();
        match suppressed {
            Some(n) => writeln!(out, "S {n} {text}").unwrap(),
            None => writeln!(out, "E {text}").unwrap(),
        }
    }

    fn flush(&self) {
        self.0.lock().unwrap().flush().unwrap();
    }
}

/// Ends the program. What is to be dropped on the way is `guard`.
fn end(how: &str, guard: quell::Guard) {
    match how {
        "return" => drop(guard),
        "exit" => quell::exit(7),
        "exit in a thread" => {
            std::thread::spawn(|| quell::exit(7)).join().unwrap();
        }
        "unwind" => {
            let _guard = guard;
            panic!("the last one");
        }
        "abort" => nothing_unwinds_from_here(),
        "abort in a drop" => {
            /// A panic in a drop that runs because of a panic aborts.
            struct Again;
            impl Drop for Again {
                fn drop(&mut self) {
                    panic!("again");
                }
            }
            let _again = Again;
            panic!("the last one");
        }
        "signal" => {
            let mut signals =
                signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).unwrap();
            println!("\nready");
            if let Some(signal) = signals.forever().next() {
                quell::exit(128 + signal);
            }
        }
        "flush" => {
            let flush = move || {
                guard.flush();
                std::process::exit(4);
            };
            std::thread::spawn(flush).join().unwrap();
        }
        // The control: this one loses what it has. A panic that ends a thread writes nothing.
        "nobody" => {
            std::mem::forget(guard);
            std::thread::spawn(|| panic!("in a thread")).join().unwrap_err();
            std::process::exit(5);
        }
        other => panic!("{other}"),
    }
}

/// The program, if this process is to be one.
fn run_as_child(front_end: &str, program: impl FnOnce(&str, &dyn Fn(quell::Guard))) {
    let variable = |name| std::env::var(name).ok();
    if variable("QUELL_FRONT_END").as_deref() == Some(front_end) {
        let (how, path) = (variable("QUELL_HOW").unwrap(), variable("QUELL_FILE").unwrap());
        program(&path, &|guard| end(&how, guard));
    }
}

#[test]
fn child_of_logger() {
    use quell::{Cache, Event, Logger, Sink, Summary};
    use std::sync::Arc;
    struct ToLines(Lines);
    impl Sink for ToLines {
        fn write(&self, event: &Event<'_>) {
            let text = event.message().to_string();
            if event.suppressed() > 0 {
                self.0.line(Some(event.suppressed()), &text);
            }
            self.0.line(None, &text);
        }
        fn summary(&self, summary: &Summary) {
            let text = summary.exemplar.as_ref().map_or("", |exemplar| &exemplar.message);
            self.0.line(Some(summary.suppressed), text);
        }
        fn flush(&self) {
            self.0.flush();
        }
    }
    run_as_child("logger", |path, end| {
        quell::install_panic_hook();
        let cache = Arc::new(Cache::builder().build().unwrap());
        let log = Logger::new(cache, ToLines(Lines::create(path)));
        let guard = log.guard().unwrap();
        let store = log.with_group("store");
        for n in 0..OFFERED / 3 {
            log.error(format_args!("connection refused"));
            log.with_attr("peer", n % 7).info(format_args!("cannot reach {}", n % 2));
            store.info(format_args!("disk full"));
        }
        // As when something else still holds a logger.
        std::mem::forget(log);
        end(guard);
    });
}

#[cfg(feature = "log")]
#[test]
fn child_of_log() {
    use log::{LevelFilter, Log, Metadata, Record, debug, error, info};
    struct ToLines(Lines);
    impl Log for ToLines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &Record<'_>) {
            let suppressed =
                record.key_values().get("quell.suppressed".into()).and_then(|n| n.to_u64());
            self.0.line(suppressed, &record.args().to_string());
        }
        fn flush(&self) {
            self.0.flush();
        }
    }
    run_as_child("log", |path, end| {
        let guard =
            quell::front::log::init(ToLines(Lines::create(path)), LevelFilter::Info).unwrap();
        assert_eq!(log::max_level(), LevelFilter::Info);
        let again =
            quell::front::log::init(ToLines(Lines::create("/dev/null")), LevelFilter::Trace)
                .unwrap_err();
        assert!(matches!(again, quell::InitError::Taken(_)), "{again}");
        assert_eq!(log::max_level(), LevelFilter::Info, "nothing changed");
        for n in 0..OFFERED / 3 {
            error!("connection refused");
            info!(peer = n % 7; "cannot reach {}", n % 2);
            info!(target: "store", "disk full");
            debug!("not at this level");
        }
        end(guard);
    });
}

#[cfg(feature = "slog")]
#[test]
fn child_of_slog() {
    use slog::{Drain, FlushError, KV, Never, OwnedKVList, Record, error, info, o};
    use std::fmt;
    struct Suppressed(Option<u64>);
    impl slog::Serializer for Suppressed {
        fn emit_u64(&mut self, key: slog::Key, value: u64) -> slog::Result {
            if AsRef::<str>::as_ref(&key) == "quell.suppressed" {
                self.0 = Some(value);
            }
            Ok(())
        }
        fn emit_arguments(&mut self, _: slog::Key, _: &fmt::Arguments<'_>) -> slog::Result {
            Ok(())
        }
    }
    struct ToLines(Lines);
    impl Drain for ToLines {
        type Ok = ();
        type Err = Never;
        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            let mut suppressed = Suppressed(None);
            record.kv().serialize(record, &mut suppressed).unwrap();
            self.0.line(suppressed.0, &record.msg().to_string());
            Ok(())
        }
        fn flush(&self) -> Result<(), FlushError> {
            self.0.flush();
            Ok(())
        }
    }
    run_as_child("slog", |path, end| {
        let (log, guard) =
            quell::front::slog::root(ToLines(Lines::create(path)), o!("host" => "web1")).unwrap();
        let shard = log.new(o!("shard" => 3));
        for n in 0..OFFERED / 3 {
            error!(log, "connection refused");
            info!(shard, "cannot reach {}", n % 2; "peer" => n % 7);
            info!(shard, # "store", "disk full");
        }
        // As when something else still holds a logger.
        std::mem::forget(log);
        end(guard);
    });
}

#[cfg(feature = "tracing")]
#[test]
fn child_of_tracing() {
    use quell::front::tracing::Dedup;
    use std::sync::Arc;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Subscriber, error, info, info_span, warn};
    use tracing_subscriber::layer::{Context, Layer};
    use tracing_subscriber::prelude::*;
    #[derive(Default)]
    struct Read {
        text: String,
        suppressed: Option<u64>,
    }
    impl Visit for Read {
        fn record_u64(&mut self, field: &Field, value: u64) {
            if field.name() == "quell.suppressed" {
                self.suppressed = Some(value);
            }
        }
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            if field.name() == "message" {
                self.text = format!("{value:?}");
            }
        }
    }
    struct ToFile(Mutex<File>);
    impl<S: Subscriber> Layer<S> for ToFile {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut read = Read::default();
            event.record(&mut read);
            let line = match read.suppressed {
                Some(n) => format!("S {n} {}\n", read.text),
                None => format!("E {}\n", read.text),
            };
            // A layer has no flush: nothing is buffered.
            self.0.lock().unwrap().write_all(line.as_bytes()).unwrap();
        }
    }
    run_as_child("tracing", |path, end| {
        quell::install_panic_hook();
        let dedup = Dedup::new(Arc::new(quell::Cache::builder().build().unwrap()));
        let file = ToFile(Mutex::new(File::create(path).unwrap()));
        tracing_subscriber::registry().with(dedup.wrap(file)).init();
        let guard = dedup.guard().unwrap();
        std::thread::scope(|scope| {
            for shard in 0..8 {
                scope.spawn(move || {
                    let _span = info_span!("queue", shard).entered();
                    for n in 0..OFFERED / 8 / 3 {
                        error!("refused");
                        warn!(n = n % 5, "retry");
                        if n % 2 == 0 {
                            info!("round {}", n / 20);
                        } else {
                            tracing_log::log::info!("from log");
                        }
                    }
                });
            }
        });
        end(guard);
    });
}

fn run(front_end: &str, how: &str, file: &Path) -> ExitStatus {
    let mut child = child(&format!("programs::child_of_{front_end}"))
        .envs([("QUELL_FRONT_END", front_end), ("QUELL_HOW", how), ("RUST_BACKTRACE", "0")])
        .env("QUELL_FILE", file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if line.unwrap() == "ready" {
            // SAFETY: sends a signal to our own child, which nobody has waited for yet.
            assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
        }
    }
    child.wait().unwrap()
}

/// Returns how many records the lines of a file stand for, and how many lines there are.
fn account(file: &Path) -> (u64, usize) {
    let text = std::fs::read_to_string(file).unwrap();
    (text.lines().map(|line| common::accounted(line).0).sum(), text.lines().count())
}

fn however_it_ends(front_end: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    for (how, code) in ENDS {
        let status = run(front_end, how, &file);
        assert_eq!(status.code(), code, "{front_end}: {how}: {status}");
        let (records, lines) = account(&file);
        assert_eq!(records, OFFERED, "{front_end}: {how}");
        // 16 messages, 13 through tracing: a line and a summary each, or both twice if it
        // took longer than a window.
        assert!((26..200).contains(&lines), "{front_end}: {how}: {lines} lines");
    }
    let status = run(front_end, "nobody", &file);
    assert_eq!(status.code(), Some(5));
    assert!(account(&file).0 < OFFERED, "{front_end}: nobody wrote the last summaries");
}

#[test]
fn however_it_ends_with_logger_lines_add_up() {
    however_it_ends("logger");
}

#[cfg(feature = "tracing")]
#[test]
fn however_it_ends_with_tracing_lines_add_up() {
    however_it_ends("tracing");
}

#[cfg(feature = "log")]
#[test]
fn however_it_ends_with_log_lines_add_up() {
    however_it_ends("log");
}

#[cfg(feature = "slog")]
#[test]
fn however_it_ends_with_slog_lines_add_up() {
    however_it_ends("slog");
}
