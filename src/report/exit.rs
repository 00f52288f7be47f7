//! The ways a process ends without dropping its guards: `exit`, and a panic that aborts.

use super::guard::{Answer, Worker};
use super::source::InProgress;
use std::sync::{Arc, Mutex, MutexGuard, Once, TryLockError, Weak};
use std::time::{Duration, Instant};
use std::{panic, process, thread};

/// Every guard's.
static LIVE: Mutex<Vec<Weak<Worker>>> = Mutex::new(Vec::new());

/// Limits the last flush: a sink that hangs must not keep a process from ending.
pub(super) const LIMIT: Duration = Duration::from_secs(2);
/// Limits the flush in a panic; shorter, because the panic may be caught and the program go on.
const LIMIT_ON_PANIC: Duration = Duration::from_millis(500);

pub(super) fn register(worker: Weak<Worker>) {
    // Without it `exit` does not know the guard; its drop still writes everything.
    let Some(mut live) = lock_until(&LIVE, Instant::now() + LIMIT) else { return };
    live.retain(|other| other.strong_count() != 0);
    live.push(worker);
}

/// Writes all pending summaries of all [`Guard`](crate::Guard)s, flushes their sinks, lets the
/// reports and flushes of other threads end, and ends the process with `code`.
///
/// [`std::process::exit`] drops nothing, so it would lose the summaries. They are written by the
/// guards' threads and waited for at most two seconds, all together.
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

/// Has each panic of the program write all pending summaries, as [`exit`] does it, after the
/// hook that was installed before, and waits for it at most half a second. For programs that are
/// built with `panic = "abort"`, whose guards are never dropped. Installs itself once, however
/// often it is called; the set-up functions of the front ends call it.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            previous(info);
            // A panic in a sink, amid the last report, must not start over.
            if !Worker::is_answering() {
                flush_all(LIMIT_ON_PANIC);
            }
        }));
    });
}

/// Has every guard write what is pending, and waits for it, at most `limit`.
pub(super) fn flush_all(limit: Duration) {
    let deadline = Instant::now() + limit;
    let Some(live) = lock_until(&LIVE, deadline) else { return };
    let workers: Vec<_> = live.iter().filter_map(Weak::upgrade).collect();
    drop(live);
    flush(&workers, deadline);
    // Others have taken counts that they have not written yet.
    wait_until(deadline, || !InProgress::elsewhere());
}

/// Asks for everything, and waits for all together. Returns whether it was done in time.
pub(super) fn flush(workers: &[Arc<Worker>], deadline: Instant) -> bool {
    let answers: Vec<_> = workers.iter().map(Worker::ask).collect();
    wait_until(deadline, || answers.iter().all(Answer::is_there))
}

/// Waits in steps that grow to a millisecond. Returns whether it was done in time.
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

/// Takes a lock that another thread may have held when this process was forked.
fn lock_until<T>(mutex: &Mutex<T>, deadline: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
    }
}
