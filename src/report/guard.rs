//! The thread that writes summaries.

use super::exit;
use super::source::SummarySource;
use crate::atomic_cell::AtomicCell;
use crate::panics::{catch_panic, discard};
use crate::{Cache, Clock, ConfigError, InitError, Summary};
use arc_swap::ArcSwapOption;
use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use std::{fmt, io, process};

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
/// hangs, or whose lock the asking thread holds, does not keep a process from ending. (Where
/// there is no thread and none can be started, the asking thread writes, and there is no limit.)
/// A guard that is never dropped, in a `static` say, needs [`quell::exit`](crate::exit).
///
/// # Signal handlers
///
/// quell installs no signal handler of its own, unless `flush_on_signals` (feature `signals`) is
/// called. In a handler itself almost nothing is allowed, and certainly not logging, through
/// quell or without it: it may hang or abort. Have it set a flag or write to a pipe (the crate
/// `signal-hook` does this), and call [`flush`](Self::flush) or [`quell::exit`](crate::exit) from
/// an ordinary thread.
///
/// # Forks
///
/// A forked child has the guard without its thread. The thread is started again by the first
/// event of a front end that passes, by [`flush`](Self::flush) of any guard, and by whatever ends
/// the program. A program that daemonizes, and only asks a [`Cache`] itself, calls `flush` in the
/// child.
///
/// What was pending at the fork is pending in both processes, and both report it: whichever goes
/// on, nothing is lost. Where both do, call `flush` *before* the fork: then nothing is reported
/// twice.
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
    /// [`InitError::Config`] if `interval` is below [`MIN_INTERVAL`](Self::MIN_INTERVAL),
    /// [`InitError::Thread`] if the thread cannot be started.
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
        if interval < Self::MIN_INTERVAL {
            return Err(ConfigError::IntervalTooShort { asked: interval }.into());
        }
        let worker = Arc::new(Worker::new(source, interval));
        let thread = worker.start_thread(owned).map_err(InitError::Thread)?;
        exit::register(&worker);
        Ok(Self { worker, thread: Some(thread), process: process::id() })
    }

    /// Writes a summary of all that is pending, in its window or not, and flushes the logger
    /// behind it. From any thread, any number of times.
    ///
    /// The guard's thread does it; returns whether it was done within two seconds. On the thread
    /// of a guard, in a sink, does nothing and returns `false`.
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
            // To detach what a forked child does not have is to free what the parent uses.
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

thread_local! {
    /// The address of the worker that this thread writes summaries for; 0 if there is none.
    static HERE: Cell<usize> = const { Cell::new(0) };
    /// Whether it stands in for the thread of that worker: it starts no other.
    static IS_STAND_IN: Cell<bool> = const { Cell::new(false) };
    /// Whether it is writing everything, because it was asked to.
    static ANSWERING: Cell<bool> = const { Cell::new(false) };
}

/// What a guard shares with its thread and with those who ask it. Has no lock, which a fork could
/// leave locked.
pub(crate) struct Worker {
    source: Weak<dyn SummarySource>,
    interval: Duration,
    /// How often everything was asked for.
    asked: AtomicCell<u64>,
    /// How many of these were done.
    done: AtomicCell<u64>,
    /// Whether to look before the interval is over.
    #[cfg(feature = "fleet")]
    look: AtomicCell<bool>,
    stop: AtomicCell<bool>,
    has_ended: AtomicCell<bool>,
    thread: ArcSwapOption<Thread>,
    /// Has the thread, or is about to start it.
    process: AtomicCell<u32>,
}

impl Worker {
    fn new(source: Weak<dyn SummarySource>, interval: Duration) -> Self {
        Self {
            source,
            interval,
            asked: AtomicCell::new(0),
            done: AtomicCell::new(0),
            #[cfg(feature = "fleet")]
            look: AtomicCell::new(false),
            stop: AtomicCell::new(false),
            has_ended: AtomicCell::new(false),
            thread: ArcSwapOption::empty(),
            process: AtomicCell::new(process::id()),
        }
    }

    fn start_thread(
        self: &Arc<Self>,
        owned: Option<Arc<dyn SummarySource>>,
    ) -> io::Result<JoinHandle<()>> {
        let worker = Arc::clone(self);
        let thread = thread::Builder::new().name("quell-summaries".into()).spawn(move || {
            HERE.set(worker.address());
            worker.run();
            // A callback's own drop may panic.
            catch_panic(|| drop(owned));
            worker.has_ended.store(true);
        })?;
        self.thread.store(Some(Arc::new(thread.thread().clone())));
        Ok(thread)
    }

    /// Starts the thread again if this is a forked child, which does not have it. Returns whether
    /// it is there, or has come to its end.
    pub(super) fn revive(self: &Arc<Self>) -> bool {
        let (process, now) = (self.process.load(), process::id());
        if process == now || self.has_ended.load() {
            return true;
        }
        if self.process.compare_exchange(process, now).is_err() {
            // Another thread of the child does it.
            return true;
        }
        let started = self.start_thread(None).is_ok();
        if !started {
            self.process.store(process);
        }
        started
    }

    fn run(&self) {
        loop {
            self.wait(self.interval);
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
            #[cfg(feature = "fleet")]
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
        ANSWERING.set(all);
        catch_panic(|| source.report(all));
        ANSWERING.set(false);
        let live = catch_panic(|| source.is_live()).unwrap_or(false);
        // It may be the last owner of a sink, whose drop may panic.
        catch_panic(|| drop(source)).is_some() && live
    }

    /// Has the thread look before its interval is over. Never waits.
    #[cfg(feature = "fleet")]
    pub(crate) fn wake(&self) {
        self.look.store(true);
        self.unpark();
    }

    /// Returns whether its thread is there, in this process.
    #[cfg(feature = "fleet")]
    pub(crate) fn is_there(&self) -> bool {
        self.process.load() == process::id() && !self.has_ended.load()
    }

    fn unpark(&self) {
        if let Some(thread) = &*self.thread.load() {
            thread.unpark();
        }
    }

    /// Asks the thread to write everything, or another one if the asking thread is in the midst
    /// of a report of its own.
    pub(super) fn ask(self: &Arc<Self>) -> Answer {
        if !self.is_here() {
            let ticket = self.asked.fetch_add(1) + 1;
            if !self.revive() {
                return Answer::Nobody(Arc::clone(self));
            }
            self.unpark();
            return Answer::Ticket(Arc::clone(self), ticket);
        }
        let done = Arc::new(AtomicCell::new(IS_STAND_IN.get()));
        if !done.load() {
            let (worker, told) = (Arc::clone(self), Arc::clone(&done));
            let stand_in = move || {
                IS_STAND_IN.set(true);
                HERE.set(worker.address());
                worker.report(true);
                told.store(true);
            };
            let started = thread::Builder::new().name("quell-summaries".into()).spawn(stand_in);
            if started.is_err() {
                return Answer::Nobody(Arc::clone(self));
            }
        }
        Answer::StandIn(done)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Returns whether this thread writes the summaries of this guard.
    fn is_here(&self) -> bool {
        HERE.try_with(Cell::get) == Ok(self.address())
    }

    /// Returns whether this thread writes the summaries of any guard.
    fn is_any_here() -> bool {
        HERE.try_with(Cell::get).unwrap_or(0) != 0
    }

    /// Returns whether this thread is writing everything for somebody who waits.
    pub(super) fn is_answering() -> bool {
        ANSWERING.try_with(Cell::get).unwrap_or(false)
    }
}

/// What somebody who asked waits for.
pub(super) enum Answer {
    Ticket(Arc<Worker>, u64),
    StandIn(Arc<AtomicCell<bool>>),
    /// There is no thread, and none can be started.
    Nobody(Arc<Worker>),
}

impl Answer {
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Ticket(worker, ticket) => {
                worker.done.load() >= *ticket || worker.has_ended.load()
            }
            Self::StandIn(done) => done.load(),
            Self::Nobody(_) => true,
        }
    }

    /// Writes on this thread what no other can.
    pub(super) fn write_here(&self) {
        if let Self::Nobody(worker) = self {
            worker.report(true);
        }
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
