//! The ways a process ends without dropping its guards: `exit`, and a panic that aborts.

use super::source::InProgress;
use super::worker::{Answer, Worker};
use crate::atomic_cell::AtomicCell;
use arc_swap::ArcSwapOption;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Once, Weak};
use std::time::{Duration, Instant};
use std::{panic, process, thread};

/// The workers of all guards. Not behind a lock, which a fork could leave locked.
static LIVE: ArcSwapOption<Vec<Weak<Worker>>> = ArcSwapOption::const_empty();
/// The process that their threads are in; 0 before the first guard.
static PROCESS: AtomicCell<u32> = AtomicCell::new(0);

/// Limits the last flush: a sink that hangs must not keep a process from ending.
pub(super) const LIMIT: Duration = Duration::from_secs(2);
/// Limits the flush in a panic; shorter, because the panic may be in a sink whose lock is held.
const LIMIT_ON_PANIC: Duration = Duration::from_millis(500);

pub(super) fn register(worker: &Arc<Worker>) {
    revive_after_fork();
    PROCESS.store(process::id());
    LIVE.rcu(|live| {
        let others = live.iter().flat_map(|live| live.iter());
        let others = others.filter(|other| other.strong_count() != 0).cloned();
        Some(Arc::new(others.chain([Arc::downgrade(worker)]).collect::<Vec<_>>()))
    });
}

fn live() -> Vec<Arc<Worker>> {
    LIVE.load().iter().flat_map(|live| live.iter()).filter_map(Weak::upgrade).collect()
}

/// Starts the guards' threads again in a forked child, which has none of them. Costs a system
/// call.
#[cold]
pub(crate) fn revive_after_fork() {
    let process = PROCESS.load();
    if process == 0 {
        return;
    }
    let now = process::id();
    if process != now && PROCESS.compare_exchange(process, now).is_ok() {
        for worker in live() {
            // If it cannot be started, the thread that asks for summaries writes them.
            let _ = worker.revive();
        }
    }
}

/// Writes all pending summaries of all [`Guard`](crate::Guard)s, flushes their sinks, waits for
/// the reports and flushes of other threads, and ends the process with `code`.
///
/// [`std::process::exit`] drops nothing, so it would lose the summaries. The guards' threads write
/// them; the wait is at most two seconds in all.
///
/// ```no_run
/// # let config: Result<(), &str> = Err("no");
/// if let Err(error) = config {
///     eprintln!("{error}");
///     quell::exit(2);
/// }
/// ```
pub fn exit(code: i32) -> ! {
    flush_all(LIMIT);
    process::exit(code)
}

/// Installs a panic hook that writes all pending summaries, as [`exit`] does, if the panic ends
/// the process. It runs after the hook installed before, and waits at most half a second. The
/// set-up functions of the front ends call it.
///
/// A panic ends the process if the program is built with `panic = "abort"`, or if the panic
/// leaves an `extern "C"` function, or a destructor while another panic unwinds. A panic that is
/// caught, ends a thread or unwinds `main` (there the guard's drop writes) costs nothing here.
///
/// Installs the hook once, however often it is called. Does nothing while the calling thread
/// panics. A hook that the program sets *later*, by [`std::panic::set_hook`], replaces this one
/// unless it calls the one before it: set yours first.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    // A panicking thread cannot change hooks.
    if thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            previous(info);
            // A panic in a sink, amid the last report, must not start over.
            if ends_process(info) && !Worker::is_answering() {
                flush_all(LIMIT_ON_PANIC);
            }
        }));
    });
}

/// How the messages of panics that cannot unwind begin: `PanicHookInfo` does not tell.
const CANNOT_UNWIND: [&str; 3] = [
    "panic in a function that cannot unwind",
    "panic in a destructor during cleanup",
    "unsafe precondition(s) violated",
];

fn ends_process(info: &PanicHookInfo<'_>) -> bool {
    let text = info.payload().downcast_ref::<&str>();
    let cannot_unwind = |text: &&str| CANNOT_UNWIND.iter().any(|start| text.starts_with(start));
    cfg!(panic = "abort") || text.is_some_and(cannot_unwind)
}

/// Has every guard write everything that is pending, and waits at most `limit`.
pub(super) fn flush_all(limit: Duration) {
    let deadline = Instant::now() + limit;
    flush(&live(), deadline);
    // Other threads have taken counts that they have not written yet.
    wait_until(deadline, || !InProgress::elsewhere());
}

/// Has all `workers` write everything. Returns whether they did by `deadline`.
pub(super) fn flush(workers: &[Arc<Worker>], deadline: Instant) -> bool {
    let answers: Vec<_> = workers.iter().map(Worker::ask).collect();
    let done = wait_until(deadline, || answers.iter().all(Answer::is_there));
    // Last, since there is no limit to it; and not in a panic, which may be in the sink.
    if !thread::panicking() {
        answers.iter().for_each(Answer::write_here);
    }
    done
}

/// Waits in steps that grow to a millisecond. Returns whether it was done by `deadline`.
pub(super) fn wait_until(deadline: Instant, is_done: impl Fn() -> bool) -> bool {
    let mut step = Duration::from_micros(20);
    while !is_done() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(step);
        step = (step * 2).min(Duration::from_millis(1));
    }
    true
}
