//! However a program ends, what was suppressed is in its file: each test runs this binary again as
//! a program that ends in one way, and counts the lines it left.
#![cfg(all(unix, any(feature = "log", feature = "slog")))]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;

/// How many records each program logs.
const OFFERED: u64 = 3000;

/// The ways to end; the exit code where one is expected.
const ENDS: [(&str, Option<i32>); 7] = [
    ("return", Some(0)),
    ("exit", Some(7)),
    ("exit in a thread", Some(7)),
    ("unwind", Some(101)),
    ("abort", None),
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

extern "C" fn nothing_unwinds_from_here() {
    panic!("the last one");
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
        "signal" => {
            let mut signals =
                signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).unwrap();
            println!("\nready");
            if let Some(signal) = signals.forever().next() {
                quell::exit(128 + signal);
            }
        }
        "flush" => {
            guard.flush();
            std::process::exit(4);
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

fn run(front_end: &str, how: &str, file: &Path) -> ExitStatus {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("child_of_{front_end}"), "--nocapture", "--test-threads=1"])
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

/// How many records the lines of a file stand for, and how many lines there are.
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
        // 16 messages: a line and a summary each. More if it took more than a window.
        assert!((32..200).contains(&lines), "{front_end}: {how}: {lines} lines");
    }
    let status = run(front_end, "nobody", &file);
    assert_eq!(status.code(), Some(5));
    assert!(account(&file).0 < OFFERED, "{front_end}: nobody wrote the last summaries");
}

#[cfg(feature = "log")]
#[test]
fn however_a_program_that_logs_ends_its_lines_add_up() {
    however_it_ends("log");
}

#[cfg(feature = "slog")]
#[test]
fn however_a_program_with_slog_ends_its_lines_add_up() {
    however_it_ends("slog");
}
