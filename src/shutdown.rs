//! The ways a process ends without dropping its guards: `exit`, and a panic that aborts.

use crate::atomic_cell::AtomicCell;
use crate::caught::caught;
use crate::reporter::Target;
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};
use std::{panic, process, thread};

/// Everything that has summaries to write.
static LIVE: Mutex<Vec<Weak<dyn Target>>> = Mutex::new(Vec::new());

/// How long the last flush may take: a sink that hangs must not keep a process from ending.
const AT_EXIT: Duration = Duration::from_secs(2);
/// How long one on a panic may take, which may not be the end.
const ON_PANIC: Duration = Duration::from_millis(500);

/// How many reports are under way: what they have taken is in no cache any more. Not a lock,
/// which a fork may leave taken.
static REPORTS: AtomicCell<u64> = AtomicCell::new(0);

/// A report that is under way, until dropped.
pub(crate) struct UnderWay(());

impl UnderWay {
    pub(crate) fn begin() -> Self {
        REPORTS.fetch_add(1);
        OWN_REPORTS.set(OWN_REPORTS.get() + 1);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        OWN_REPORTS.set(OWN_REPORTS.get() - 1);
        REPORTS.fetch_sub(1);
    }
}

pub(crate) fn register(target: Weak<dyn Target>) {
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    live.retain(|other| other.strong_count() != 0);
    live.push(target);
}

/// Writes all pending summaries of all [`Reporter`](crate::Reporter)s and
/// `Guard`s, flushes their sinks, lets the reports and flushes of other threads that
/// are under way end, and ends the process with `code`.
///
/// [`std::process::exit`] drops nothing, so it would lose them. The summaries are
/// written on a thread of their own and waited for at most two seconds: a sink
/// that hangs, or whose lock this thread holds, does not keep the process from ending.
///
/// ```no_run
/// # let config: Result<(), &str> = Err("no");
/// if let Err(error) = config {
///     eprintln!("{error}");
///     quell::exit(2);
/// }
/// ```
pub fn exit(code: i32) -> ! {
    flush_all(AT_EXIT);
    process::exit(code)
}

/// Has each panic of the program write all pending summaries, as [`exit`] does it,
/// after the hook that was installed before, and waits for it at most half a second. For
/// programs that are built with `panic = "abort"`, whose guards are never dropped.
/// Installs itself once, however often it is called; the set-up functions of the front
/// ends call it.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            previous(info);
            if !FLUSHING.try_with(Cell::get).unwrap_or(true) {
                flush_all(ON_PANIC);
            }
        }));
    });
}

thread_local! {
    /// Whether this thread is the one that flushes: a panic in a sink must not start over.
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
    /// How many reports this thread is in: a sink may end the process.
    static OWN_REPORTS: Cell<u64> = const { Cell::new(0) };
}

#[derive(Default)]
struct Done {
    told: Mutex<bool>,
    changed: Condvar,
}

/// Returns whether everything was written in time.
fn flush_all(patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let Some(live) = lock_until(&LIVE, deadline).map(|live| live.clone()) else { return false };
    let targets: Vec<_> = live.iter().filter_map(Weak::upgrade).collect();
    if targets.is_empty() {
        return true;
    }
    let done = Arc::new(Done::default());
    let own = OWN_REPORTS.get();
    let flusher = thread::Builder::new().name("quell-flush".into()).spawn({
        let done = Arc::clone(&done);
        move || {
            FLUSHING.set(true);
            for target in targets {
                caught(|| target.report(true));
                // A callback's own drop may panic, where its reporter has just stopped.
                caught(|| drop(target));
            }
            // Others have taken counts that they have not written yet.
            while REPORTS.load() > own && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            *done.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
            done.changed.notify_all();
        }
    });
    if flusher.is_err() {
        return false;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let told = done.told.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = done.changed.wait_timeout_while(told, left, |told| !*told);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

/// A lock that may have been held by another thread when this process was forked.
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
