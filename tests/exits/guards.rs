//! `exit` while reports are being made, and within them.

use crate::{child, common, nothing_unwinds_from_here};
use common::{WINDOW, cache};
use crossbeam_utils::atomic::AtomicCell;
use quell::{Cache, Event, Guard, Logger, Manual, Sink, Summary};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

const OFTEN: Duration = Duration::from_millis(1);
/// An interval that never passes.
const NEVER: Duration = Duration::MAX;
/// Longer than any of this takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says that a summary begins, and calls `F` before it prints it.
struct Slow<F>(Sender<()>, F);

impl<F: Fn() + Send + Sync> Sink for Slow<F> {
    fn write(&self, _: &Event<'_>) {}
    fn summary(&self, summary: &Summary) {
        let _ = self.0.send(());
        (self.1)();
        println!("\nS {summary:?}");
    }
}

/// The lines beginning with `S` of the program, and its exit code.
fn lines_of_child(how: &str) -> (usize, Option<i32>) {
    let output = child("guards::child_that_exits").env("QUELL_HOW", how).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text.lines().filter(|line| line.starts_with('S')).count(), output.status.code())
}

/// Returns what waits, the first time, until this process has begun to exit, which asks
/// another guard for its report, and that guard with its cache.
fn until_exit() -> (impl Fn() + Send + Sync, impl Sized) {
    let (cache, _clock) = common::cache();
    for _ in 0..2 {
        let _ = cache.check(quell::Fingerprint::from_u128(1));
    }
    let exits = Arc::new(Barrier::new(2));
    let (asked, first) = (Arc::clone(&exits), AtomicCell::new(true));
    let report = move |_| {
        asked.wait();
    };
    let guard = Guard::for_cache(&cache, report, NEVER).unwrap();
    let until_exit = move || {
        if first.swap(false) {
            exits.wait();
            // Time for an `exit` that does not wait to be over: this one waits, however
            // long.
            thread::sleep(Duration::from_millis(50));
        }
    };
    (until_exit, (guard, cache))
}

#[test]
fn child_that_exits() {
    let Ok(how) = std::env::var("QUELL_HOW") else { return };
    let repeat = |cache: &Cache<Manual>| {
        for n in (0..10).chain(0..10) {
            let _ = cache.check(quell::Fingerprint::from_u128(n));
        }
    };
    let (cache, clock) = cache();
    repeat(&cache);
    match &*how {
        "amid a report" => {
            let (until_exit, _other) = until_exit();
            let (sender, begun) = mpsc::channel();
            let slow = move |summary: Summary| {
                let _ = sender.send(());
                until_exit();
                println!("\nS {summary:?}");
            };
            let _reporter = Guard::for_cache(&cache, slow, OFTEN).unwrap();
            clock.advance(WINDOW);
            begun.recv().unwrap();
            quell::exit(7);
        }
        "amid a flush" | "amid a flush, without a guard" => {
            let (until_exit, _other) = until_exit();
            let (sender, begun) = mpsc::channel();
            let sink = Slow(sender, until_exit);
            let log = Logger::builder(Arc::clone(&cache), sink).interval(NEVER).build();
            let _reporter = (how == "amid a flush").then(|| log.guard().unwrap());
            for n in (0..10).chain(0..10) {
                log.info(format_args!("{n}"));
            }
            thread::spawn(move || log.flush());
            begun.recv().unwrap();
            quell::exit(7);
        }
        "in a callback" => {
            let ends = AtomicCell::new(true);
            let last = move |summary: Summary| {
                println!("\nS {summary:?}");
                if ends.swap(false) {
                    quell::exit(7);
                }
            };
            let _reporter = Guard::for_cache(&cache, last, OFTEN).unwrap();
            clock.advance(WINDOW);
            thread::park();
        }
        "with a callback whose drop panics" => {
            struct Nasty(Arc<Mutex<Option<Guard>>>);
            impl Drop for Nasty {
                fn drop(&mut self) {
                    panic!("in drop");
                }
            }
            // Stops its reporter, so whoever called it has the last share of it.
            let nasty = Nasty(Arc::default());
            let own = Arc::clone(&nasty.0);
            let stops = move |_| drop(nasty.0.lock().unwrap().take());
            *own.lock().unwrap() = Some(Guard::for_cache(&cache, stops, NEVER).unwrap());
            let (other, _clock) = common::cache();
            repeat(&other);
            let _reporter =
                Guard::for_cache(&other, |summary| println!("\nS {summary:?}"), NEVER).unwrap();
            quell::exit(7);
        }
        "the first sink hangs" => {
            let _hangs = Guard::for_cache(&cache, |_| thread::sleep(PATIENCE), NEVER).unwrap();
            let (other, _clock) = common::cache();
            repeat(&other);
            let print = |summary| println!("\nS {summary:?}");
            let _other = Guard::for_cache(&other, print, NEVER).unwrap();
            quell::exit(7);
        }
        #[cfg(target_os = "linux")]
        "no threads" => {
            let ends = AtomicCell::new(true);
            let last = move |summary: Summary| {
                println!("\nS {summary:?}");
                if ends.swap(false) {
                    no_more_threads();
                    quell::exit(7);
                }
            };
            let guard = Guard::for_cache(&cache, last, NEVER).unwrap();
            guard.flush();
        }
        "caught panics" => {
            quell::install_panic_hook();
            let print = |summary| println!("\nS {summary:?}");
            let guard = Guard::for_cache(&cache, print, NEVER).unwrap();
            for _ in 0..1000 {
                repeat(&cache);
                std::panic::catch_unwind(|| panic!("caught")).unwrap_err();
            }
            drop(guard);
            std::process::exit(7);
        }
        "the hook is installed in a panic" => {
            struct Installs;
            impl Drop for Installs {
                fn drop(&mut self) {
                    quell::install_panic_hook();
                }
            }
            let in_a_panic = || {
                let _installs = Installs;
                panic!("caught");
            };
            std::panic::catch_unwind(in_a_panic).unwrap_err();
            quell::install_panic_hook();
            let print = |summary| println!("\nS {summary:?}");
            let _guard = Guard::for_cache(&cache, print, NEVER).unwrap();
            nothing_unwinds_from_here();
        }
        other => panic!("{other}"),
    }
}

/// Leaves no room for another stack.
#[cfg(target_os = "linux")]
fn no_more_threads() {
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a valid limit for this process.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    assert!(thread::Builder::new().spawn(|| {}).is_err(), "the limit holds");
}

#[test]
fn exit_waits_for_a_flush_without_a_guard() {
    assert_eq!(lines_of_child("amid a flush, without a guard"), (10, Some(7)));
}

#[test]
fn a_sink_that_hangs_costs_no_other_its_report() {
    assert_eq!(lines_of_child("the first sink hangs"), (10, Some(7)));
}

#[cfg(target_os = "linux")]
#[test]
fn exit_writes_everything_where_no_thread_can_be() {
    assert_eq!(lines_of_child("no threads"), (10, Some(7)));
}

#[test]
fn caught_panics_cost_no_summary() {
    assert_eq!(lines_of_child("caught panics"), (10, Some(7)));
}

#[test]
fn a_hook_cannot_be_installed_amid_a_panic() {
    assert_eq!(lines_of_child("the hook is installed in a panic"), (10, None));
}

#[test]
fn exit_waits_for_a_report_under_way() {
    assert_eq!(lines_of_child("amid a report"), (10, Some(7)));
}

#[test]
fn exit_waits_for_a_flush_under_way() {
    assert_eq!(lines_of_child("amid a flush"), (10, Some(7)));
}

#[test]
fn a_callback_may_exit() {
    assert_eq!(lines_of_child("in a callback"), (10, Some(7)));
}

#[test]
fn a_drop_that_panics_costs_no_other_report() {
    assert_eq!(lines_of_child("with a callback whose drop panics"), (10, Some(7)));
}
