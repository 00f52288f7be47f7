//! A program that a signal ends leaves its summaries, and the signal as its status: each test runs
//! this binary again as such a program.

use crate::TEST_ARGS;
use quell::{Cache, Fingerprint, Guard, Summary};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Ends a program that no signal has ended.
const LIMIT: Duration = Duration::from_secs(60);

const SIGNALS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The program, if this process is to be one.
#[test]
fn child_that_gets_signals() {
    let variable = |name| std::env::var(name).ok();
    let Some(how) = variable("QUELL_TEST_HOW") else { return };
    let file = PathBuf::from(variable("QUELL_TEST_FILE").unwrap());
    let hangs = how == "hangs";
    let cache = Arc::new(Cache::builder().build().unwrap());
    let report = move |summary: Summary| {
        if hangs {
            println!("\nhanging");
            thread::sleep(LIMIT);
        }
        fs::write(&file, summary.suppressed.to_string()).unwrap();
    };
    let guard = Guard::for_cache(&cache, report, Duration::from_secs(3600)).unwrap();
    if how != "no handler" {
        quell::flush_on_signals().unwrap();
        quell::flush_on_signals().unwrap();
    }
    for _ in 0..1000 {
        let _ = cache.check(Fingerprint::from_u128(7));
    }
    if how == "ignores" {
        // SAFETY: sends this process a signal that it ignores.
        assert_eq!(unsafe { libc::raise(libc::SIGHUP) }, 0);
        assert!(is_ignored(libc::SIGHUP), "no handler took its place");
    }
    println!("\nready");
    thread::sleep(LIMIT);
    drop(guard);
}

/// Whether this process ignores a signal.
fn is_ignored(signal: i32) -> bool {
    // SAFETY: zero is a valid value of it.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks for what there is, with a place for it.
    assert_eq!(unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) }, 0);
    action.sa_sigaction == libc::SIG_IGN
}

struct Program {
    child: Child,
    dir: tempfile::TempDir,
}

impl Program {
    /// Starts it by a shell that has run `before`.
    fn start(before: &str, how: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!(r#"{before}; exec "$0" "$@""#)])
            .arg(std::env::current_exe().unwrap())
            .arg("signals::child_that_gets_signals")
            .args(TEST_ARGS)
            .envs([("QUELL_TEST_HOW", how), ("RUST_BACKTRACE", "0")])
            .env("QUELL_TEST_FILE", dir.path().join("summary"))
            .stdout(Stdio::piped());
        // What runs in the background of a script ignores some of them; the child begins with
        // the default.
        let heed = || {
            for signal in SIGNALS {
                // SAFETY: changes the child alone, and is allowed between fork and exec.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
            Ok(())
        };
        // SAFETY: `heed` allocates nothing and takes no lock.
        unsafe { command.pre_exec(heed) };
        Self { child: command.spawn().unwrap(), dir }
    }

    /// Runs it to its end, and sends a signal at each line that is a key of `signals`. Returns the
    /// signal that ended it, and how many events its summary has.
    fn run(mut self, signals: &[(&str, i32)]) -> (Option<i32>, Option<u64>) {
        let pid = i32::try_from(self.child.id()).unwrap();
        for line in BufReader::new(self.child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, signal)) = signals.iter().find(|(key, _)| *key == line) {
                // SAFETY: sends a signal to our own child, which nobody has waited for yet.
                assert_eq!(unsafe { libc::kill(pid, *signal) }, 0);
            }
        }
        let status: ExitStatus = self.child.wait().unwrap();
        let summary = fs::read_to_string(self.dir.path().join("summary")).ok();
        (status.signal(), summary.map(|text| text.parse().unwrap()))
    }
}

#[test]
fn a_signal_ends_it_with_its_summaries() {
    for signal in SIGNALS {
        let end = Program::start(":", "handles").run(&[("ready", signal)]);
        assert_eq!(end, (Some(signal), Some(999)));
    }
}

#[test]
fn without_the_handler_summaries_are_lost() {
    let end = Program::start(":", "no handler").run(&[("ready", libc::SIGTERM)]);
    assert_eq!(end, (Some(libc::SIGTERM), None), "the control");
}

#[test]
fn a_second_signal_ends_a_sink_that_hangs() {
    let signals = [("ready", libc::SIGTERM), ("hanging", libc::SIGINT)];
    // The second may come after the two seconds that the first one waits.
    assert!(
        (0..20).any(|_| Program::start(":", "hangs").run(&signals) == (Some(libc::SIGINT), None))
    );
}

#[cfg(target_os = "linux")]
#[test]
fn ignored_signals_stay_ignored() {
    let end = Program::start("trap '' HUP", "ignores").run(&[("ready", libc::SIGTERM)]);
    assert_eq!(end, (Some(libc::SIGTERM), Some(999)));
}
