//! When summaries are written: each interval, at a guard's end, at `exit`, in a panic, on a signal.

mod exit;
#[cfg(all(unix, feature = "signals"))]
mod signals;
mod source;
mod worker;

pub(crate) use exit::revive_after_fork;
pub use exit::{exit, install_panic_hook};
#[cfg(all(unix, feature = "signals"))]
pub use signals::flush_on_signals;
pub(crate) use source::{InProgress, RecursionGuard, SummarySource};
pub(crate) use worker::Worker;

use crate::panics::discard;
use crate::{Cache, Clock, ConfigError, InitError, Summary};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, process};

/// Writes the summaries of a front end, the last of them when it is dropped.
///
/// Made by the `guard` of a front end, by its set-up functions, and by
/// [`for_cache`](Self::for_cache). Bind it to a name in `main`, as in
/// `let _guard = quell::front::log::init(logger, max)?;`.
///
/// A guard has a thread, which writes the summary of each message once its window has ended.
/// Without a guard, a message that stops coming is reported when it comes again, or when its
/// logger is flushed or dropped. The thread keeps neither the logger nor the cache alive, and
/// ends once they are gone.
///
/// # How a program ends
///
/// | the program ends by | the last summaries are written by |
/// |---|---|
/// | returning from `main`, or a panic that unwinds it | the guard's drop |
/// | [`quell::exit`](crate::exit) | that function, for all guards |
/// | a panic that aborts | [`install_panic_hook`](crate::install_panic_hook) |
/// | a signal | `flush_on_signals` (feature `signals`); or [`Guard::flush`], from the thread that your handler wakes |
/// | `std::process::exit`, `abort`, `SIGKILL` | nobody |
///
/// Each of these asks the guards' threads for all that is pending, in its window or not, and
/// waits for all of them together: at most two seconds, in a panic half a second. A sink that
/// hangs, or whose lock the asking thread holds, does not keep a process from ending. (If there
/// is no thread and none can be started, the asking thread writes, without a limit.)
/// A guard in a `static` is never dropped: end such a program by [`quell::exit`](crate::exit).
///
/// # Signal handlers
///
/// Do not log in a signal handler, through quell or without it: it may hang or abort. Set a flag
/// or write to a pipe there (the crate `signal-hook` does this), and call
/// [`flush`](Self::flush) or [`quell::exit`](crate::exit) from an ordinary thread.
///
/// # Forks
///
/// A forked child has the guard without its thread. The first event that a front end lets pass
/// starts the thread again; so do [`flush`](Self::flush) of any guard and whatever ends the
/// program. A program that daemonizes and only asks a [`Cache`] itself calls `flush` in the
/// child.
///
/// Counts that were pending at the fork are pending in both processes, and both report them. If
/// both go on, call `flush` *before* the fork: then nothing is reported twice.
///
/// # Guarantees
/// * Loggers, caches and guards may be dropped in any order, on any thread, the guard's own
///   included.
/// * A panic of the sink is caught. It costs the summary it happens in.
/// * Several guards of one logger or cache share the summaries: none is written twice.
#[must_use = "dropping the guard ends the summaries"]
pub struct Guard {
    worker: Arc<Worker>,
    thread: Option<JoinHandle<()>>,
    /// Of `thread`. A forked child does not have it.
    process: u32,
}

// Sinks are called under `catch_panic`, and nothing of ours is half done meanwhile.
impl UnwindSafe for Guard {}
impl RefUnwindSafe for Guard {}

impl Guard {
    /// The shortest interval, a millisecond: the thread looks at each slot of the cache.
    pub const MIN_INTERVAL: Duration = Duration::from_millis(1);

    /// Calls `report` with the summaries of all of `cache`, each `interval`, for messages whose
    /// window has ended. For programs that ask a [`Cache`] themselves.
    ///
    /// ```
    /// use quell::{Cache, Guard};
    /// use std::{sync::Arc, time::Duration};
    /// let cache = Arc::new(Cache::builder().build()?);
    /// let report = |summary| eprintln!("{summary}");
    /// let guard = Guard::for_cache(&cache, report, Duration::from_secs(10))?;
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Config`] if `interval` is below [`MIN_INTERVAL`](Self::MIN_INTERVAL),
    /// [`InitError::Thread`] if the thread cannot be started.
    pub fn for_cache<C: Clock>(
        cache: &Arc<Cache<C>>,
        report: impl Fn(Summary) + Send + Sync + 'static,
        interval: Duration,
    ) -> Result<Self, InitError> {
        let source = CacheCallback { cache: Arc::downgrade(cache), report };
        let source: Arc<dyn SummarySource> = Arc::new(source);
        Self::start(&source, true, interval)
    }

    pub(crate) fn of<S: SummarySource + 'static>(
        source: &Arc<S>,
        interval: Duration,
    ) -> Result<Self, InitError> {
        let source: Arc<dyn SummarySource> = Arc::<S>::clone(source);
        Self::start(&source, false, interval)
    }

    /// If `owned`, the thread keeps the source alive until it ends.
    fn start(
        source: &Arc<dyn SummarySource>,
        owned: bool,
        interval: Duration,
    ) -> Result<Self, InitError> {
        if interval < Self::MIN_INTERVAL {
            return Err(ConfigError::IntervalTooShort { asked: interval }.into());
        }
        let worker = Arc::new(Worker::new(Arc::downgrade(source), interval));
        let thread =
            worker.start_thread(owned.then(|| Arc::clone(source))).map_err(InitError::Thread)?;
        exit::register(&worker);
        Ok(Self { worker, thread: Some(thread), process: process::id() })
    }

    /// Writes summaries of all that is pending, in its window or not, and flushes the logger
    /// behind it. Can be called from any thread, any number of times.
    ///
    /// Returns whether the guard's thread did it within two seconds. On the thread of a guard, in
    /// a sink, does nothing and returns `false`.
    pub fn flush(&self) -> bool {
        // Two guards whose sinks flush each other would never come to rest.
        let deadline = Instant::now() + exit::LIMIT;
        !Worker::is_any_here() && exit::flush(&[Arc::clone(&self.worker)], deadline)
    }

    #[cfg(feature = "fleet")]
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }
}

impl Drop for Guard {
    /// Ends the thread, after a last report of everything pending, and waits for it, at most two
    /// seconds. Does not wait on the thread itself, in a sink that owns its guard.
    fn drop(&mut self) {
        let worker = &self.worker;
        let Some(thread) = self.thread.take() else { return };
        worker.stop.store(true);
        let thread = if self.process == process::id() {
            Some(thread)
        } else {
            // A forked child that detaches it frees memory that the parent's thread uses.
            std::mem::forget(thread);
            None
        };
        if worker.is_here() {
            return;
        }
        if !worker.revive() {
            worker.report(true);
            return;
        }
        worker.unpark();
        let deadline = Instant::now() + exit::LIMIT;
        if exit::wait_until(deadline, || worker.has_ended.load()) {
            if let Some(Err(payload)) = thread.map(JoinHandle::join) {
                discard(payload);
            }
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

struct CacheCallback<C, F> {
    cache: Weak<Cache<C>>,
    report: F,
}

impl<C: Clock, F: Fn(Summary) + Send + Sync> SummarySource for CacheCallback<C, F> {
    fn take(&self, all: bool, each: &mut dyn FnMut(Summary)) {
        match self.cache.upgrade() {
            Some(cache) if all => cache.drain(each),
            Some(cache) => cache.drain_expired_at(None, cache.now(), each),
            None => {}
        }
    }

    fn write(&self, summary: &Summary) {
        (self.report)(summary.clone());
    }

    fn is_live(&self) -> bool {
        self.cache.strong_count() != 0
    }
}
