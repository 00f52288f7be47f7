//! The thread that writes summaries.

use super::exit;
use super::source::SummarySource;
use crate::atomic_cell::AtomicCell;
use crate::panics::{catch_panic, discard};
use crate::{Cache, Clock, ConfigError, InitError, Summary};
use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use std::{fmt, process};

/// Keeps the summaries of a front end coming, and writes the last of them when it is dropped.
///
/// Made by the `guard` of a front end, by its set-up functions, and by
/// [`for_cache`](Self::for_cache). Bind it to a name in `main`:
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # struct MyLogger;
/// # impl log::Log for MyLogger {
/// #     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
/// #     fn log(&self, _: &log::Record<'_>) {}
/// #     fn flush(&self) {}
/// # }
/// let _guard = quell::front::log::init(MyLogger, log::LevelFilter::Info)?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
///
/// A guard has a thread, which writes the summary of each message once its window has ended.
/// Without one, a message that stops coming is reported when it comes again, or when its logger
/// is flushed or dropped. The thread keeps neither the logger nor the cache alive, and ends once
/// they are gone.
///
/// # How a program ends
///
/// | the program ends by | the last summaries are written by |
/// |---|---|
/// | returning from `main`, or a panic that unwinds it | the guard's drop |
/// | [`quell::exit`](crate::exit) | that function, for all guards |
/// | a panic that aborts | [`install_panic_hook`](crate::install_panic_hook) |
/// | a signal | `flush_on_signals`; or [`Guard::flush`], from the thread that your handler wakes |
/// | `std::process::exit`, `abort`, a fatal signal | nobody |
///
/// Each of these asks the guards' threads for all that is pending, in its window or not, and
/// waits for all of them together: at most two seconds, in a panic half a second. A sink that
/// hangs, or whose lock the asking thread holds, does not keep a process from ending.
///
/// quell installs no signal handler of its own, unless `flush_on_signals` (feature `signals`) is
/// called. In a handler itself almost nothing is allowed,
/// and certainly not logging: have it set a flag or write to a pipe (the crate `signal-hook`
/// does this), and call [`flush`](Self::flush) or [`quell::exit`](crate::exit) from an ordinary
/// thread.
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
}

// Sinks are called under `catch_panic`, and nothing of ours is half done meanwhile.
impl UnwindSafe for Guard {}
impl RefUnwindSafe for Guard {}

impl Guard {
    /// Reports to `report` what was suppressed in all of `cache`, each `interval`, for messages
    /// whose window has ended. For programs that ask a [`Cache`] themselves.
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
    /// [`InitError::Config`] if `interval` is zero, [`InitError::Thread`] if the thread cannot
    /// be started.
    pub fn for_cache<C: Clock>(
        cache: &Arc<Cache<C>>,
        report: impl Fn(Summary) + Send + Sync + 'static,
        interval: Duration,
    ) -> Result<Self, InitError> {
        let source = CacheCallback { cache: Arc::downgrade(cache), report };
        let source: Arc<dyn SummarySource> = Arc::new(source);
        Self::start(Arc::downgrade(&source), Some(source), interval)
    }

    pub(crate) fn of<S: SummarySource + 'static>(
        source: &Arc<S>,
        interval: Duration,
    ) -> Result<Self, InitError> {
        let source: Arc<dyn SummarySource> = Arc::<S>::clone(source);
        Self::start(Arc::downgrade(&source), None, interval)
    }

    /// `owned` is dropped by the thread when it ends.
    fn start(
        source: Weak<dyn SummarySource>,
        owned: Option<Arc<dyn SummarySource>>,
        interval: Duration,
    ) -> Result<Self, InitError> {
        if interval.is_zero() {
            return Err(ConfigError::ZeroInterval.into());
        }
        let worker = Arc::new(Worker::new(source));
        let thread = thread::Builder::new().name("quell-summaries".into()).spawn({
            let worker = Arc::clone(&worker);
            move || {
                HERE.set(worker.address());
                worker.run(interval);
                // A callback's own drop may panic.
                catch_panic(|| drop(owned));
                worker.has_ended.store(true);
            }
        });
        let thread = thread.map_err(InitError::Thread)?;
        let _ = worker.thread.set(thread.thread().clone());
        exit::register(Arc::downgrade(&worker));
        Ok(Self { worker, thread: Some(thread) })
    }

    /// Writes a summary of all that is pending, in its window or not, and flushes the logger
    /// behind it. From any thread, any number of times.
    ///
    /// The guard's thread does it; returns whether it was done within two seconds. On that
    /// thread itself, in a sink, does nothing and returns `false`.
    pub fn flush(&self) -> bool {
        // It cannot wait for itself.
        let worker = &self.worker;
        !worker.is_here() && exit::flush(&[Arc::clone(worker)], Instant::now() + exit::LIMIT)
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }
}

impl Drop for Guard {
    /// Ends the thread, after a last report of everything pending, and waits for it, at most two
    /// seconds. Does not wait on the thread itself, in a sink that owns its guard.
    fn drop(&mut self) {
        self.worker.stop.store(true);
        let written = self.flush();
        let Some(thread) = self.thread.take() else { return };
        if self.worker.process != process::id() {
            // A fork has no such thread, and to detach it is to free what the parent uses.
            std::mem::forget(thread);
        } else if written {
            if let Err(payload) = thread.join() {
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

thread_local! {
    /// The address of the worker that this thread writes summaries for; 0 if there is none.
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// What a guard shares with its thread and with those who ask it. Has no lock, which a fork could
/// leave locked.
pub(crate) struct Worker {
    source: Weak<dyn SummarySource>,
    /// How often everything was asked for.
    asked: AtomicCell<u64>,
    /// How many of these were done.
    done: AtomicCell<u64>,
    /// Whether to look before the interval is over.
    look: AtomicCell<bool>,
    stop: AtomicCell<bool>,
    has_ended: AtomicCell<bool>,
    thread: OnceLock<Thread>,
    /// Started the thread. A forked child does not have it.
    process: u32,
}

impl Worker {
    fn new(source: Weak<dyn SummarySource>) -> Self {
        Self {
            source,
            asked: AtomicCell::new(0),
            done: AtomicCell::new(0),
            look: AtomicCell::new(false),
            stop: AtomicCell::new(false),
            has_ended: AtomicCell::new(false),
            thread: OnceLock::new(),
            process: process::id(),
        }
    }

    fn run(&self, interval: Duration) {
        loop {
            self.wait(interval);
            // `stop` first: what is asked for after it was seen is not served any more.
            let last = self.stop.load();
            let asked = self.asked.load();
            let live = self.report(last || asked != self.done.load());
            self.done.store(asked);
            if last || !live {
                return;
            }
        }
    }

    /// Waits for `interval`, or until asked for something.
    fn wait(&self, interval: Duration) {
        let end = Instant::now().checked_add(interval);
        while !self.stop.load() && self.asked.load() == self.done.load() {
            if self.look.compare_exchange(true, false).is_ok() {
                return;
            }
            match end.map(|end| end.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }

    /// Returns whether there may be more to report later.
    fn report(&self, all: bool) -> bool {
        let Some(source) = self.source.upgrade() else { return false };
        catch_panic(|| source.report(all));
        let live = catch_panic(|| source.is_live()).unwrap_or(false);
        // It may be the last owner of a sink, whose drop may panic.
        catch_panic(|| drop(source)).is_some() && live
    }

    /// Has the thread look before its interval is over. Never waits.
    #[cfg(feature = "tracing")]
    pub(crate) fn wake(&self) {
        self.look.store(true);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Asks the thread to write everything; returns when to take it for done. Where it cannot,
    /// another thread does: in a forked child, and if the asking thread is in the midst of a
    /// report of its own.
    pub(super) fn ask(self: &Arc<Self>) -> u64 {
        let ticket = self.asked.fetch_add(1) + 1;
        if self.process == process::id() && !self.is_here() {
            self.unpark();
            return ticket;
        }
        let worker = Arc::clone(self);
        let stand_in = move || {
            HERE.set(worker.address());
            worker.report(true);
            worker.done.store(ticket);
        };
        let started = thread::Builder::new().name("quell-summaries".into()).spawn(stand_in);
        drop(started);
        ticket
    }

    pub(super) fn has_done(&self, ticket: u64) -> bool {
        self.done.load() >= ticket || (self.has_ended.load() && self.process == process::id())
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Returns whether this thread writes the summaries of this guard.
    fn is_here(&self) -> bool {
        HERE.try_with(Cell::get) == Ok(self.address())
    }

    /// Returns whether this thread writes the summaries of any guard.
    pub(super) fn is_any_here() -> bool {
        HERE.try_with(Cell::get).unwrap_or(0) != 0
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
